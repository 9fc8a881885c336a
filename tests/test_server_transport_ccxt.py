"""Unmodified ccxt.pro on the whole venue, by URL and by proxy; and a venue that is killed and comes back with its orders and fills."""

import asyncio
import json
import os
import time
import urllib.request
from dataclasses import replace
from decimal import Decimal

import pytest
from tiny_client import WAIT_S, until

from hftlab.cli import parser
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.errors import CommandRefused, DataError, EngineDied, EngineUnreachable, InputError, UnknownName
from hftlab.instrument import Instrument
from hftlab.venues.server import transport
from hftlab.venues.server.command import config_of
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.hashing import hash_texts
from hftlab.venues.server.launch import launch
from hftlab.venues.server.memory import remember
from hftlab.venues.server.model import NewOrder, Refused
from hftlab.venues.server.serve import LoopbackVenue

MARKETS = {  # skin: ccxt's symbol, the venue's own, how each says post-only
    "binance": ("BTC/USDT", "BTCUSDT", {"postOnly": True}),
    "binanceusdm": ("BTC/USDT:USDT", "BTCUSDT", {"postOnly": True}),
    "hyperliquid": ("BTC/USDC:USDC", "BTC", {"timeInForce": "Alo"}),
}


@pytest.fixture(scope="module")
def venue():
    with LoopbackVenue(VenueConfig(seed=11, accounts=2)) as started:
        yield started


async def nothing(*_, **__):
    """Approve no builder fee: what venues.md recommends instead of ccxt's own first step at Hyperliquid."""


def client(venue, skin, through="url", account=0):
    import ccxt.pro

    made = getattr(ccxt.pro, skin)(venue.ccxt_options(skin, through, account))
    if skin == "hyperliquid":
        made.initialize_client = nothing
    return made


@pytest.mark.parametrize("through", ["url", "proxy"])
@pytest.mark.parametrize("skin", MARKETS)
def test_an_unmodified_client_streams_and_trades(venue, skin, through):
    symbol, own, post_only = MARKETS[skin]

    async def story():
        exchange = client(venue, skin, through)
        try:
            await exchange.load_markets()
            book = await exchange.watch_order_book(symbol)
            updates = asyncio.create_task(exchange.watch_orders(symbol))
            await until(lambda: _listens(venue, skin))
            resting = await exchange.create_order(symbol, "limit", "buy", 0.01, book["bids"][8][0], post_only)
            ((told, *_), found) = await asyncio.wait_for(updates, WAIT_S), await exchange.fetch_open_orders(symbol)
            await exchange.cancel_order(resting["id"], symbol)
            await exchange.create_order(symbol, "market", "buy", 0.01, book["asks"][0][0])
            fills = await exchange.fetch_my_trades(symbol)
            return told["id"], resting["id"], [one["id"] for one in found], sum(one["amount"] for one in fills if one["side"] == "buy")
        finally:
            await exchange.close()

    truth = venue.truth(skin)
    before = _bought(truth, venue.account(skin))
    told, resting, found, bought = asyncio.run(story())
    assert told == resting == found[-1]
    truth = venue.truth(skin)
    assert not truth["accounts"][venue.account(skin)]["open_orders"]
    assert _bought(truth, venue.account(skin)) > before
    instrument = venue.call(lambda: venue.cores[skin].instruments[own])
    assert bought == pytest.approx(float(instrument.qty(_bought(truth, venue.account(skin)))))


def _listens(venue, skin):
    return any(one.skin == skin and "account" in one.state for one in venue.transport.sockets.values())


def _bought(truth, account):
    return sum(fill["qty_lots"] for fill in truth["fills"] if fill["account"] == account and fill["side"] == 1)


@pytest.mark.parametrize("skin", ["binance", "binanceusdm"])
def test_the_book_that_a_client_builds_is_the_true_one_at_its_update_id(venue, skin):
    symbol, own, _ = MARKETS[skin]

    async def story():
        exchange = client(venue, skin)
        try:
            for _ in range(20):
                book = await exchange.watch_order_book(symbol)
            return book["nonce"], [(one[0], one[1]) for one in book["bids"]], [(one[0], one[1]) for one in book["asks"]]
        finally:
            await exchange.close()

    last_id, bids, asks = asyncio.run(story())
    instrument = venue.call(lambda: venue.cores[skin].instruments[own])
    mine = hash_texts(instrument, *([(str(price), str(qty)) for price, qty in side] for side in (bids, asks)))
    assert mine == venue.book_hash(skin, own, last_id)


def test_each_account_is_its_own(venue):
    async def story():
        async def balance(account):
            exchange = client(venue, "binanceusdm", account=account)
            try:
                return (await exchange.fetch_balance())["total"]["USDT"]
            finally:
                await exchange.close()

        venue.do("deposit", skin="binanceusdm", asset="USDT", amount="5", account=1)
        return await balance(0), await balance(1)

    first, second = asyncio.run(story())
    assert first < 1_000_000 + 5 == second


def test_what_a_venue_says_of_itself(venue):
    said = venue.welcome()
    for skin in MARKETS:
        assert f"ccxt.pro.{skin}(" in said
    assert venue.url in said
    assert venue.proxy_url in said
    with pytest.raises(InputError, match="url, proxy"):
        venue.ccxt_options("binance", "plain")
    with pytest.raises(UnknownName, match="Did you mean 'truth'"):
        venue.do("thruth", skin="binance")
    with pytest.raises(InputError, match="symbool"):
        venue.do("book", skin="binance", symbool="BTCUSDT")
    with pytest.raises(UnknownName, match="Did you mean 'binance'"):
        venue.truth("binanze")


# --- a config ---
def test_a_config_is_plain_values_and_refuses_what_it_does_not_know():
    config = VenueConfig(skins=("binance",), market="still", limits={"binance": {"weight_max": 100}}, faults=({"fault": "gap"},))
    assert VenueConfig.from_dict(config.to_dict()) == config
    with pytest.raises(UnknownName, match="Did you mean 'binance'"):
        VenueConfig(skins=("binanse",))
    with pytest.raises(UnknownName, match="Did you mean 'market'"):
        VenueConfig.from_dict({"markt": "still"})
    with pytest.raises(UnknownName, match="Did you mean 'gap'"):
        VenueConfig(faults=({"fault": "gapp"},))
    with pytest.raises(InputError, match="balance of BTC"):
        VenueConfig(balances={"binance": {"BTC": "ten"}})
    with pytest.raises(InputError, match="wanted synth, still, or the path"):
        LoopbackVenue(market="sinth")
    with pytest.raises(InputError, match="lists none of DOGE"):
        LoopbackVenue(symbols=("DOGE",))


def test_keys_follow_from_the_number_of_an_account_alone():
    assert VenueConfig(seed=1).keys("hyperliquid", 3) == VenueConfig(seed=2).keys("hyperliquid", 3)
    keys = [VenueConfig().keys(skin, account) for skin in MARKETS for account in range(3)]
    assert len({str(one) for one in keys}) == 9


def test_the_command_line_is_a_config(tmp_path):
    faults, base = tmp_path / "faults.yaml", tmp_path / "venue.yaml"
    faults.write_text("seed: 7\nfaults: [{fault: gap, every: 500, times: 0}]\n")
    base.write_text("market: still\nseed: 3\nports: {plain: 9000, tls: 9001}\n")
    line = ["venue", "--config", str(base), "--seed", "4", "--port", "9100", "--skins", "binance", "hyperliquid", "--symbols", "ETH", "BTC"]
    config = config_of(parser().parse_args([*line, "--faults", str(faults), "--no-tls"]))
    assert (config.market, config.seed, config.skins, config.symbols, config.tls) == (
        "still",
        4,
        ("binance", "hyperliquid"),
        ("ETH", "BTC"),
        False,
    )
    assert config.ports == {"plain": 9100, "tls": 9001}
    assert (config.faults, config.fault_seed) == (({"fault": "gap", "every": 500, "times": 0},), 7)
    assert config_of(parser().parse_args(["venue"])) == VenueConfig()


def test_a_recording_is_played_at_the_venue_where_it_was_recorded(tmp_path):
    instrument = Instrument.bundled("binanceusdm:BTC/USDT:USDT")
    path = tmp_path / "tape.npz"
    Tape(synth_rows(instrument, 5.0, seed=4), (instrument,)).save(path)
    with LoopbackVenue(market=str(path), speed=10.0, loop=True, tls=False) as venue:
        assert list(venue.cores) == ["binanceusdm"]
        deadline = time.monotonic() + WAIT_S
        while venue.truth("binanceusdm")["books"]["BTCUSDT"]["last_trade_id"] < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert venue.truth("binanceusdm")["books"]["BTCUSDT"]["last_trade_id"] >= 5
    with pytest.raises(InputError, match="wanted an instrument of hyperliquid"):
        LoopbackVenue(market=str(path), skins=("hyperliquid",))


# --- memory ---
def test_a_venue_lives_through_its_memory_and_is_what_it_was(tmp_path):
    clock = _Clock()
    config = VenueConfig(skins=("binanceusdm", "hyperliquid"), seed=5, state=str(tmp_path / "venue"))
    built, memory = remember(config, clock)
    for name, core in built.cores.items():
        account, (symbol,) = config.account(name), core.instruments
        for n in range(12):
            clock.turn(0.3)
            bid = core.touch(symbol).bid_ticks
            order = core.place(account, NewOrder(symbol, 1, 20, bid - n % 3, client_id=f"c{n}"))
            core.nudge(symbol, -1, 200)
            if n % 4 != 3 and order.leaves_lots:
                core.fill_order(order, min(7, order.leaves_lots))
            if n % 4 == 1 and order.leaves_lots:
                core.cancel(account, symbol, order_id=order.order_id)
            if n % 4 == 2 and name == "binanceusdm" and order.leaves_lots:
                core.amend(account, symbol, bid - 2, 15, order_id=order.order_id)
        with pytest.raises(Refused):
            core.place(account, NewOrder(symbol, 1, 0, 1))
        core.deposit(account, next(iter(core.account(account).balances)), "12.5")
        core.fund(symbol, "0.0001")
        core.set_filters(symbol, orders_max=77)
        clock.turn(-3.6)  # the next venue is brought through the same seconds
    clock.turn(5)
    for core in built.cores.values():
        core.advance()
    memory.keep()
    wanted = {name: core.truth() for name, core in built.cores.items()}
    memory.close()

    again, memory = remember(config, clock)
    for core in again.cores.values():
        core.advance()
    memory.close()
    assert {name: core.truth() for name, core in again.cores.items()} == wanted
    assert [core.filters(next(iter(core.instruments))).orders_max for core in again.cores.values()] == [77, 77]
    assert all(len(truth["fills"]) > 5 for truth in wanted.values())


def test_a_memory_torn_by_a_kill_goes_on_behind_its_last_whole_line(tmp_path):
    """A line without its end was told to nobody; what is written next must not be glued to it, or the venue never comes back again."""
    clock, config = _Clock(), VenueConfig(skins=("binance",), market="still", state=str(tmp_path))
    account = config.account("binance")

    def place(built, client_id):
        clock.turn(1)
        core = built.cores["binance"]
        core.place(account, NewOrder("BTCUSDT", 1, 1000, core.touch("BTCUSDT").bid_ticks, client_id=client_id))

    built, memory = remember(config, clock)
    place(built, "first")
    memory.keep()
    memory.close()
    path = tmp_path / "memory.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"venue":"binance","line":{"n":')
    built, memory = remember(config, clock)
    place(built, "second")
    memory.keep()
    memory.close()
    assert path.read_bytes().startswith(whole)
    built, memory = remember(config, clock)
    memory.close()
    assert [order.client_id for order in built.cores["binance"].open_orders(account)] == ["first", "second"]


def test_what_the_venues_own_door_answers_is_in_the_memory_already(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "TICK_S", 600.0)  # a kill may come before the next turn
    with LoopbackVenue(skins=("binance",), market="still", tls=False, state=str(tmp_path)) as venue:
        with urllib.request.urlopen(f"{venue.control_url}/deposit?skin=binance&asset=BTC&amount=%222.5%22", timeout=WAIT_S) as answer:
            assert answer.status == 200
        *_, last = (tmp_path / "memory.jsonl").read_text().splitlines()
        assert json.loads(last)["line"]["what"] == "deposit"


def test_a_disk_that_takes_a_part_of_a_line_is_given_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda file, data, write=os.write: write(file, data[:100]))
    clock, config = _Clock(), VenueConfig(skins=("binance",), market="still", state=str(tmp_path))
    built, memory = remember(config, clock)
    clock.turn(1)
    core = built.cores["binance"]
    core.place(config.account("binance"), NewOrder("BTCUSDT", 1, 1000, core.touch("BTCUSDT").bid_ticks))
    memory.keep()
    memory.close()
    built, memory = remember(config, clock)
    memory.close()
    assert len(built.cores["binance"].open_orders(config.account("binance"))) == 1


def test_a_memory_knows_the_leverage_that_an_order_needed_and_money_in_the_rules(tmp_path):
    clock = _Clock()
    config = VenueConfig(skins=("hyperliquid",), market="still", balances={"hyperliquid": {"USDC": "1000"}}, state=str(tmp_path))
    account = config.account("hyperliquid")
    built, memory = remember(config, clock)
    core = built.cores["hyperliquid"]
    bid, one = core.touch("BTC").bid_ticks, core.instruments["BTC"]
    wish = NewOrder("BTC", 1, one.lots(30_000 / float(one.price(bid)), toward_zero=True), bid)  # 30 times the wallet, where 20 are the rule
    with pytest.raises(Refused):
        core.place(account, wish)
    core.set_leverage(account, "BTC", 40)
    order = core.place(account, wish)
    core.set_filters("BTC", notional_quote_min=Decimal(20))
    memory.keep()
    memory.close()
    built, memory = remember(config, clock)
    memory.close()
    again = built.cores["hyperliquid"]
    assert [one.order_id for one in again.open_orders(account)] == [order.order_id]
    assert again.filters("BTC").notional_quote_min == Decimal(20)
    with pytest.raises(Refused, match="wanted 20 at least"):
        again.place(account, NewOrder("BTC", 1, 1, bid))


def test_a_memory_that_another_config_refuses_is_not_lived_through_in_part(tmp_path):
    clock, config = _Clock(), VenueConfig(skins=("binance",), market="still", state=str(tmp_path))
    built, memory = remember(config, clock)
    core = built.cores["binance"]
    core.place(config.account("binance"), NewOrder("BTCUSDT", 1, 1000, core.touch("BTCUSDT").bid_ticks))
    memory.keep()
    memory.close()
    with pytest.raises(DataError, match=r"line 1 \(place\) is refused now .*the config was another one"):
        remember(replace(config, balances={"binance": {"USDT": "1"}}), clock)


class _Clock:
    def __init__(self):
        self.now_ns = 1_700_000_000_000_000_000

    def __call__(self):
        return self.now_ns

    def turn(self, seconds):
        self.now_ns += round(seconds * 1e9)


# --- a venue that can be killed ---
def test_a_killed_venue_comes_back_with_its_orders_fills_keys_and_certificate():
    import ccxt.pro

    symbol, own, post_only = MARKETS["binance"]

    async def trade(venue):
        exchange = client(venue, "binance", "proxy")
        try:
            await exchange.load_markets()
            book = await exchange.fetch_order_book(symbol)
            await exchange.create_order(symbol, "market", "buy", 0.02)
            await exchange.create_order(symbol, "limit", "buy", 0.01, book["bids"][0][0] * 0.99, {**post_only, "clientOrderId": "mine"})
            venue.kill()
            with pytest.raises(ccxt.pro.NetworkError):
                await exchange.fetch_open_orders(symbol)
            await asyncio.to_thread(venue.restart)
            return await exchange.fetch_open_orders(symbol), await exchange.fetch_my_trades(symbol)
        finally:
            await exchange.close()

    with launch(skins=("binance",), seed=3) as venue:
        ports, pid = venue.ports, venue.pid
        truth = venue.truth("binance")
        last_id, last_hash = truth["books"][own]["last_id"], truth["books"][own]["hash"]
        orders, fills = asyncio.run(trade(venue))
        assert (venue.ports, venue.pid != pid) == (ports, True)
        assert [one["clientOrderId"] for one in orders] == ["mine"]
        assert sum(one["amount"] for one in fills) == pytest.approx(0.02)
        assert venue.book_hash("binance", own, last_id) == last_hash
        assert not venue.do("stats")["defects"]
        with pytest.raises(CommandRefused, match="no 'kraken'"):
            venue.truth("kraken")
        venue.kill()
        with pytest.raises(EngineUnreachable):
            venue.truth("binance")
        with pytest.raises(EngineDied):
            _ = venue.pid


def test_a_venue_that_cannot_start_says_why():
    with pytest.raises(EngineDied, match="lists none of DOGE"):
        launch(symbols=("DOGE",)).start()


def test_a_launched_venue_ends_at_its_own_door():
    venue = launch(skins=("hyperliquid",), market="still", tls=False).start()
    venue.do("stop")
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            _ = venue.pid
        except EngineDied:
            break
        time.sleep(0.02)
    venue.stop()

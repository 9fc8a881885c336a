"""Unmodified ccxt.pro streams from the loopback Binance, spot and USDⓈ-M, and trades on it: by other URLs, and by a proxy to its real ones."""

import asyncio

import ccxt.pro
import pytest

from hftlab.venues.server.hashing import hash_levels
from hftlab.venues.server.serve import LoopbackVenue

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
SYMBOLS = {"binance": SPOT, "binanceusdm": SWAP}
PATIENCE_S = 60


@pytest.fixture(scope="module")
def venue():
    with LoopbackVenue(skins=("binance", "binanceusdm"), seed=11) as running:
        yield running


@pytest.fixture(params=["url", "proxy"])
def through(request):
    return request.param


@pytest.fixture(params=["binance", "binanceusdm"])
def name(request):
    return request.param


def run(venue, name, through, story):
    """Run a story with a client; afterwards nothing of it rests."""

    async def told():
        client = getattr(ccxt.pro, name)(venue.ccxt_options(name, through))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await client.load_markets()
                await story(client, SYMBOLS[name])
        finally:
            await client.close()

    try:
        asyncio.run(told())
    finally:
        venue.call(lambda: venue.cores[name].cancel_all(venue.account(name)))


async def until(look, wanted):
    """Await `look()` again and again until `wanted` holds of what it returns."""
    while not wanted(found := await look()):
        pass
    return found


async def mid(ex, symbol):
    book = await ex.fetch_order_book(symbol, 5)
    return book["bids"][0][0]


def kept(venue, name, book):
    """Return the hash of a client's book and of the true one at the same update id."""
    one = venue.cores[name].instruments["BTCUSDT"]
    sides = [[(one.ticks(price), one.lots(qty)) for price, qty in book[side]] for side in ("bids", "asks")]
    return hash_levels(*sides), venue.book_hash(name, "BTCUSDT", book["nonce"])


def test_markets(venue, name, through):
    async def story(ex, symbol):
        market = ex.market(symbol)
        wanted = (1e-05, 0.01, 5) if name == "binance" else (0.001, 0.1, 100)
        assert (market["precision"]["amount"], market["precision"]["price"], market["limits"]["cost"]["min"]) == wanted
        assert market["spot"] == (name == "binance")
        assert market["active"]
        status = await ex.fetch_time()
        assert status > 0

    run(venue, name, through, story)


@pytest.mark.parametrize("has_keys", [True, False])
def test_a_client_that_is_told_nothing_but_keys_and_a_proxy(venue, has_keys):
    async def story():
        keys = venue.keys("binance") if has_keys else {}
        client = ccxt.pro.binance({**keys, "httpsProxy": venue.proxy_url, "wssProxy": venue.proxy_url, "cafile": venue.ca_file})
        try:
            async with asyncio.timeout(PATIENCE_S):  # it loads spot, linear and inverse markets, and with keys currencies and margins
                await client.load_markets()
                book = await client.watch_order_book(SPOT)
        finally:
            await client.close()
        assert set(client.markets) == {SPOT, SWAP}
        assert kept(venue, "binance", book)[0] == kept(venue, "binance", book)[1]

    asyncio.run(story())


def test_the_book_is_the_true_one_at_every_update_id(venue, name, through):
    async def story(ex, symbol):
        seen = set()
        while len(seen) < 10:
            book = await ex.watch_order_book(symbol)
            found, true = kept(venue, name, book)
            assert found == true
            seen.add(book["nonce"])

    run(venue, name, through, story)


def test_other_public_streams(venue, name, through):
    async def story(ex, symbol):
        trades = await ex.watch_trades(symbol)
        touch = (await ex.watch_bids_asks([symbol]))[symbol]
        assert 0 < touch["bid"] < touch["ask"]
        ticker = await ex.watch_ticker(symbol)
        assert ticker["last"] > 0
        one, prints = venue.cores[name].instruments["BTCUSDT"], venue.call(lambda: venue.cores[name].prints("BTCUSDT", 10**6))
        true = {
            str(p.trade_id): (float(one.price(p.price_ticks)), float(one.qty(p.qty_lots)), "buy" if p.side > 0 else "sell") for p in prints
        }
        assert {t["id"]: (t["price"], t["amount"], t["side"]) for t in trades}.items() <= true.items()
        assert (await ex.fetch_trades(symbol))[-1]["price"] > 0
        candles = await ex.watch_ohlcv(symbol, "1m")
        assert candles[-1][5] > 0
        assert (await ex.fetch_ohlcv(symbol, "1m"))[-1][0] >= candles[-1][0]
        if name == "binanceusdm":
            assert (await ex.watch_mark_price(symbol))["markPrice"] > 0

    run(venue, name, through, story)


def test_orders_of_every_kind_their_edits_and_their_cancels(venue, name, through):
    async def story(ex, symbol):
        price = await mid(ex, symbol)
        low, lower = round(price * 0.99, 1), round(price * 0.98, 1)
        limit = await ex.create_order(symbol, "limit", "buy", 0.01, low, {"clientOrderId": f"a-{through}"})
        assert (limit["status"], limit["clientOrderId"], limit["price"]) == ("open", f"a-{through}", low)
        post_only = await ex.create_order(symbol, "limit", "buy", 0.02, lower, {"postOnly": True})
        assert post_only["postOnly"]
        taken = await ex.create_order(symbol, "limit", "buy", 0.01, round(price * 1.01, 1), {"timeInForce": "IOC"})
        assert (taken["status"], taken["filled"]) == ("closed", 0.01)
        market = await ex.create_order(symbol, "market", "sell", 0.01)
        assert (market["status"], market["filled"], market["remaining"]) == ("closed", 0.01, 0)
        assert abs(market["average"] - price) < price * 0.01
        edited = await ex.edit_order(limit["id"], symbol, "limit", "buy", 0.03, lower)
        old = await ex.fetch_order(limit["id"], symbol)
        if name == "binance":  # a cancel and a new order under other names
            assert (old["status"], edited["id"] != limit["id"]) == ("canceled", True)
        else:  # the same order, in place
            assert (old["status"], edited["id"], old["clientOrderId"]) == ("open", limit["id"], f"a-{through}")
        opened = await ex.fetch_open_orders(symbol)
        assert {one["id"]: one["amount"] for one in opened} == {edited["id"]: 0.03, post_only["id"]: 0.02}
        assert (await ex.cancel_order(post_only["id"], symbol))["status"] == "canceled"
        await ex.cancel_all_orders(symbol)
        assert await ex.fetch_open_orders(symbol) == []
        trades = await ex.fetch_my_trades(symbol)
        assert {taken["id"], market["id"]} <= {one["order"] for one in trades}
        mine = venue.truth(name)["fills"]
        assert [one["id"] for one in trades] == [str(fill["trade_id"]) for fill in mine]

    run(venue, name, through, story)


def test_orders_over_ws_api(venue, name, through):
    async def story(ex, symbol):
        price = await mid(ex, symbol)
        placed = await ex.create_order_ws(symbol, "limit", "buy", 0.01, round(price * 0.99, 1))
        edited = await ex.edit_order_ws(placed["id"], symbol, "limit", "buy", 0.02, round(price * 0.98, 1))
        found = await ex.fetch_order_ws(edited["id"], symbol)
        assert (found["amount"], found["status"]) == (0.02, "open")
        assert (await ex.cancel_order_ws(edited["id"], symbol))["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            await ex.cancel_order_ws(edited["id"], symbol)

    run(venue, name, through, story)


async def seen(stream, wanted, act):
    """Do something while listening to a stream; return the first of what it tells that is wanted."""
    task = asyncio.ensure_future(stream())
    await asyncio.sleep(0)  # ccxt forgets what came while nobody was listening
    done = await act
    while True:
        for one in await task:
            if wanted(one, done):
                return one
        task = asyncio.ensure_future(stream())


def test_user_streams(venue, name, through):
    async def story(ex, symbol):
        price, core, key = await mid(ex, symbol), venue.cores[name], venue.account(name)
        balance = asyncio.ensure_future(ex.watch_balance())
        await until(lambda: asyncio.to_thread(venue.call, lambda: venue.skins[name].users.listens(key)), bool)
        same = lambda one, placed: one["id"] == placed["id"] and one["status"] == placed["status"]  # noqa: E731
        low = ("limit", "buy", 0.01, round(price * 0.99, 1))
        placed = await seen(lambda: ex.watch_orders(symbol), same, ex.create_order(symbol, *low))
        assert (placed["status"], placed["amount"], placed["price"]) == ("open", 0.01, low[3])
        ended = await seen(lambda: ex.watch_orders(symbol), same, ex.cancel_order(placed["id"], symbol))
        assert (ended["status"], ended["clientOrderId"]) == ("canceled", placed["clientOrderId"])
        trade = await seen(
            lambda: ex.watch_my_trades(symbol),
            lambda one, taken: one["order"] == taken["id"],
            ex.create_order(symbol, "market", "buy", 0.01),
        )
        fills = {str(fill.trade_id): fill for fill in venue.call(lambda: core.fills(key))}
        one, fill = core.instruments["BTCUSDT"], fills[trade["id"]]
        assert (trade["price"], trade["amount"]) == (float(one.price(fill.price_ticks)), float(one.qty(fill.qty_lots)))
        assert trade["fee"]["cost"] == float(fill.fee)
        await balance
        total = float(venue.call(lambda: core.account(key).balances["USDT"]))
        kind = "spot" if name == "binance" else "linear"
        while ex.balance[kind]["USDT"]["total"] != pytest.approx(total):
            await ex.watch_balance()
        fetched = await ex.fetch_balance()
        if name == "binance":
            assert fetched["USDT"]["total"] == pytest.approx(total)
        else:
            (position,) = await ex.fetch_positions([symbol])
            lots = venue.call(lambda: core.position(key, "BTCUSDT").lots)
            sign = 1 if position["side"] == "long" else -1
            assert sign * position["contracts"] == float(one.qty(lots))

    run(venue, name, through, story)


SPOT_ERRORS = [
    (lambda p: ("limit", "buy", 0.01, p * 1.01, {"postOnly": True}), ccxt.OrderImmediatelyFillable, ccxt.OrderImmediatelyFillable),
    (lambda p: ("limit", "buy", 1000, p * 0.99), ccxt.InsufficientFunds, ccxt.InsufficientFunds),
    (lambda p: ("limit", "buy", 0.00001, p * 0.99), ccxt.BadRequest, ccxt.BadRequest),  # below the minimum value
    (lambda p: ("limit", "buy", 0.01, p * 0.2), ccxt.InvalidOrder, ccxt.InvalidOrder),  # too far from the market
]
# By other URLs than the real ones ccxt knows only some of the codes: it chooses them by the URL
SWAP_ERRORS = [
    (lambda p: ("limit", "buy", 0.01, p * 1.01, {"postOnly": True}), ccxt.InvalidOrder, ccxt.OrderNotFillable),
    (lambda p: ("limit", "buy", 900, p * 0.99), ccxt.ExchangeError, ccxt.InsufficientFunds),
    (lambda p: ("limit", "buy", 0.001, p * 0.6), ccxt.ExchangeError, ccxt.InvalidOrder),
    (lambda p: ("limit", "buy", 900, p * 1.01, {"timeInForce": "FOK"}), ccxt.InvalidOrder, ccxt.OrderNotFillable),
]


def test_errors_come_in_their_classes(venue, name, through):
    async def story(ex, symbol):
        price = await mid(ex, symbol)
        for wish, by_url, by_proxy in SPOT_ERRORS if name == "binance" else SWAP_ERRORS:
            wanted = by_url if through == "url" else by_proxy
            kind, side, amount, at, *params = wish(price)
            with pytest.raises(wanted) as raised:
                await ex.create_order(symbol, kind, side, amount, round(at, 1), *params)
            assert raised.type is wanted
        for ask in (ex.cancel_order, ex.fetch_order):
            with pytest.raises(ccxt.OrderNotFound):
                await ask("999999", symbol)
        if name == "binance":
            with pytest.raises(ccxt.OrderNotFound):
                await ex.cancel_all_orders(symbol)
        twice = {"clientOrderId": f"twice-{through}"}
        await ex.create_order(symbol, "limit", "buy", 0.01, round(price * 0.99, 1), twice)
        with pytest.raises(ccxt.InvalidOrder if name == "binance" or through == "proxy" else ccxt.ExchangeError):
            await ex.create_order(symbol, "limit", "buy", 0.01, round(price * 0.99, 1), twice)
        ex.secret = "wrong"
        with pytest.raises(ccxt.AuthenticationError):
            await ex.fetch_open_orders(symbol)

    run(venue, name, through, story)


def test_the_dead_mans_switch(venue, through):
    async def story(ex, symbol):
        price = await mid(ex, symbol)
        placed = await ex.create_order(symbol, "limit", "buy", 0.01, round(price * 0.99, 1))
        await ex.fapiPrivatePostCountdownCancelAll({"symbol": "BTCUSDT", "countdownTime": 50})
        await until(lambda: ex.fetch_open_orders(symbol), lambda found: found == [])
        assert (await ex.fetch_order(placed["id"], symbol))["status"] == "canceled"

    run(venue, "binanceusdm", through, story)

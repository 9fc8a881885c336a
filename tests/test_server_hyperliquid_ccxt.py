"""Unmodified ccxt.pro streams from the loopback Hyperliquid and trades on it."""

import asyncio
import time

import ccxt.pro
import pytest
from hyperliquid_client import BTC, MID, NoFaults, Wallet

from hftlab.venues.server.core import Exchange
from hftlab.venues.server.hyperliquid_limits import HyperliquidRules
from hftlab.venues.server.hyperliquid_skin import HyperliquidSkin
from hftlab.venues.server.market import StillMarket
from hftlab.venues.server.serve import LoopbackVenue

SYMBOL = "BTC/USDC:USDC"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def venue():
    lots = BTC.lots("1")
    ladder = {"bids": {MID - n: lots for n in range(30)}, "asks": {MID + 1 + n: lots for n in range(30)}}
    core = Exchange("hyperliquid", {"BTC": StillMarket(BTC, **ladder)}, clock_ns=time.time_ns)
    core.add_account(Wallet(7).address, balances={"USDC": "1000000"})
    skin = HyperliquidSkin(core, NoFaults(), HyperliquidRules(schedule_traded_quote_min=0, weight_per_min=10**6))
    with LoopbackVenue([skin]) as running:
        running.core = core
        yield running


def by_override(venue):
    """Return a client whose URLs lead to the plain port."""
    base = venue.url + "/hyperliquid"
    ws = base.replace("http", "ws") + "/ws"
    return ccxt.pro.hyperliquid(keys() | {"urls": {"api": {"public": base, "private": base, "ws": {"public": ws}}}})


def by_proxy(venue):
    """Return a client that keeps its real URLs and is led to the TLS port by a proxy."""
    client = ccxt.pro.hyperliquid(keys() | {"httpsProxy": venue.proxy_url, "wssProxy": venue.proxy_url})
    client.cafile = str(venue.ca_file)
    return client


def keys():
    return {"walletAddress": Wallet(7).address, "privateKey": "0x" + (7).to_bytes(32, "big").hex(), "enableRateLimit": False}


def run(story, client):
    async def told():
        try:
            async with asyncio.timeout(PATIENCE_S):
                await story(client)
        finally:
            await client.close()

    asyncio.run(told())


async def until(look, wanted):
    """Await `look()` again and again until `wanted` holds of what it returns."""
    while not wanted(found := await look()):
        pass
    return found


@pytest.fixture(params=[by_override, by_proxy], ids=["override", "proxy"])
def client(request, venue):
    def make():
        return request.param(venue)

    yield make
    for order in venue.call(lambda: venue.core.open_orders(Wallet(7).address)):
        venue.call(lambda order=order: venue.core.cancel(order.account, "BTC", order_id=order.order_id))


def test_orders_of_every_kind_their_edits_and_their_cancels(venue, client):
    async def story(ex):
        await ex.load_markets()
        market = ex.market(SYMBOL)
        assert (market["precision"]["amount"], market["limits"]["cost"]["min"]) == (1e-05, 10)
        resting = await ex.create_order(SYMBOL, "limit", "buy", 0.01, MID - 50, {"clientOrderId": "0x" + "a1" * 16})
        post_only = await ex.create_order(SYMBOL, "limit", "sell", 0.02, MID + 60, {"postOnly": True})
        taken = await ex.create_order(SYMBOL, "limit", "buy", 0.1, MID + 5, {"timeInForce": "IOC"})
        assert (taken["filled"], taken["average"]) == (0.1, MID + 1)
        market_order = await ex.create_order(SYMBOL, "market", "sell", 0.1, MID)
        assert (market_order["filled"], market_order["average"]) == (0.1, MID)
        opened = await ex.fetch_open_orders(SYMBOL)
        assert {one["id"]: (one["side"], one["price"], one["remaining"]) for one in opened} == {
            resting["id"]: ("buy", MID - 50, 0.01),
            post_only["id"]: ("sell", MID + 60, 0.02),
        }
        edited = await ex.edit_order(resting["id"], SYMBOL, "limit", "buy", 0.03, MID - 40, {"clientOrderId": "0x" + "a2" * 16})
        assert edited["id"] != resting["id"]
        old, new = await ex.fetch_order(resting["id"], SYMBOL), await ex.fetch_order("0x" + "a2" * 16, SYMBOL)
        assert (old["status"], new["status"], new["id"], new["amount"]) == ("canceled", "open", edited["id"], 0.03)
        with pytest.raises(ccxt.InvalidOrder, match="Post only order would have immediately matched, bbo was"):
            await ex.create_order(SYMBOL, "limit", "sell", 0.02, MID - 60, {"postOnly": True})
        with pytest.raises(ccxt.InvalidOrder, match="minimum value"):
            await ex.create_order(SYMBOL, "limit", "buy", 0.00009, MID - 60)
        with pytest.raises(ccxt.InsufficientFunds):
            await ex.create_order(SYMBOL, "limit", "buy", 1000, MID - 60)
        await ex.cancel_order(post_only["id"], SYMBOL)
        with pytest.raises(ccxt.OrderNotFound):
            await ex.cancel_order(post_only["id"], SYMBOL)
        with pytest.raises(ccxt.OrderNotFound):
            await ex.fetch_order("999999", SYMBOL)
        more = await ex.create_order(SYMBOL, "limit", "buy", 0.01, MID - 51)
        await ex.cancel_orders([edited["id"], more["id"]], SYMBOL)
        assert await ex.fetch_open_orders(SYMBOL) == []

    run(story, client())


def test_account_questions(venue, client):
    async def story(ex):
        await ex.load_markets()
        before = {one["id"] for one in await ex.fetch_my_trades(SYMBOL)}
        await ex.create_order(SYMBOL, "market", "buy", 0.2, MID)
        new = [one for one in await ex.fetch_my_trades(SYMBOL) if one["id"] not in before]
        assert [(one["side"], one["price"], one["amount"], one["takerOrMaker"]) for one in new] == [("buy", MID + 1, 0.2, "taker")]
        since = await ex.fetch_my_trades(SYMBOL, since=new[0]["timestamp"])
        assert new[0]["id"] in {one["id"] for one in since}
        (position,) = await ex.fetch_positions([SYMBOL])
        truth = venue.call(lambda: venue.core.position(Wallet(7).address, "BTC").lots)
        assert (position["side"], position["contracts"]) == ("long", float(BTC.qty(truth)))
        balance = await ex.fetch_balance()
        wallet = venue.call(lambda: venue.core.perps.equity(Wallet(7).address, "USDC"))
        assert balance["USDC"]["total"] == pytest.approx(float(wallet), abs=1e-6)
        assert 0 < balance["USDC"]["used"] < balance["USDC"]["total"]
        await ex.create_order(SYMBOL, "market", "sell", position["contracts"], MID, {"reduceOnly": True})
        assert await ex.fetch_positions([SYMBOL]) == []
        armed = await ex.cancel_all_orders_after(5_500)
        assert armed["status"] == "ok"
        await ex.create_order(SYMBOL, "limit", "buy", 0.01, MID - 50)
        await until(lambda: ex.fetch_open_orders(SYMBOL), lambda found: not found)
        ended = (await ex.fetch_orders(SYMBOL))[-1]
        assert ended["info"]["status"] == "scheduledCancel"

    run(story, client())


def test_streams(venue, client):
    async def story(ex):
        await ex.load_markets()
        book = await ex.watch_order_book(SYMBOL)
        truth = venue.call(lambda: venue.core.book("BTC", 20))
        assert [level[0] for level in book["bids"]] == [ticks for ticks, _ in truth.bids]
        assert [level[1] for level in book["asks"]] == [float(BTC.qty(lots)) for _, lots in truth.asks]
        orders, fills = asyncio.ensure_future(ex.watch_orders(SYMBOL)), asyncio.ensure_future(ex.watch_my_trades(SYMBOL))
        trades = asyncio.ensure_future(ex.watch_trades(SYMBOL))
        placed = await ex.create_order(SYMBOL, "limit", "buy", 0.01, MID - 50)
        seen = await orders
        seen = seen if any(one["id"] == placed["id"] for one in seen) else await ex.watch_orders(SYMBOL)
        assert [one["status"] for one in seen if one["id"] == placed["id"]] == ["open"]
        await ex.cancel_order(placed["id"], SYMBOL)
        seen = await until(lambda: ex.watch_orders(SYMBOL), lambda found: any(one["id"] == placed["id"] for one in found))
        assert [one["status"] for one in seen if one["id"] == placed["id"]] == ["canceled"]
        taken = await ex.create_order(SYMBOL, "market", "buy", 0.05, MID)
        mine = await fills
        while not any(one["order"] == taken["id"] for one in mine):
            mine = await ex.watch_my_trades(SYMBOL)
        public = await trades
        while not any(one["amount"] == 0.05 and one["side"] == "buy" for one in public):
            public = await ex.watch_trades(SYMBOL)
        await ex.create_order(SYMBOL, "market", "sell", 0.05, MID)
        balance = await ex.watch_balance()
        assert balance["USDC"]["total"] > 0
        ticker = await ex.watch_ticker(SYMBOL)
        assert ticker["symbol"] == SYMBOL

    run(story, client())


def test_orders_over_the_websocket(venue, client):
    async def story(ex):
        placed = await ex.create_order_ws(SYMBOL, "limit", "buy", 0.01, MID - 50)
        edited = await ex.edit_order_ws(placed["id"], SYMBOL, "limit", "buy", 0.02, MID - 49)
        opened = await ex.fetch_open_orders(SYMBOL)
        assert [(one["id"], one["amount"]) for one in opened] == [(edited["id"], 0.02)]
        await ex.cancel_order_ws(edited["id"], SYMBOL)
        assert await ex.fetch_open_orders(SYMBOL) == []

    run(story, client())

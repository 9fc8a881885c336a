"""Every fault strikes a whole venue under a busy client, is written down, and breaks nothing but what it is meant to."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from urllib.parse import urlencode

import aiohttp
import pytest
from tiny_client import WAIT_S, session, until

from hftlab.venues.server.drills import random_schedule
from hftlab.venues.server.faults import KINDS
from hftlab.venues.server.serve import LoopbackVenue

NEEDS = {"s": 0.4, "ms": 50, "ban_s": 0.5}  # as short as they may be and still be met
DOWN = (aiohttp.ClientError, ConnectionError, TimeoutError)


@pytest.fixture(scope="module")
def venue():
    no_limits = {"binanceusdm": {"weight_max": 10**9, "orders": ()}}  # this client is busier than the venue allows
    with LoopbackVenue(skins=("binanceusdm",), seed=2, tls=False, limits=no_limits) as started:
        yield started


class Trader:
    """A client of Binance futures that never stops: books, snapshots, orders, amends, cancels, queries, fills, two user streams."""

    def __init__(self, venue, http):
        self.venue, self.http, self.keys = venue, http, venue.keys("binanceusdm")
        self.url = f"{venue.url}/binanceusdm"
        self.numbers = itertools.count()
        self.heard = 0

    async def ask(self, method, path, **values):
        values |= {"timestamp": time.time_ns() // 1_000_000, "recvWindow": 60000}
        query = urlencode(values)
        signature = hmac.new(self.keys["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self.url}{path}?{query}&signature={signature}"
        try:
            async with self.http.request(method, url, headers={"X-MBX-APIKEY": self.keys["apiKey"]}) as reply:
                return json.loads(await reply.text()) if reply.status == 200 else {}
        except (*DOWN, json.JSONDecodeError):
            return {}

    async def trade(self):
        while True:
            book = await self.ask("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit=50)
            if not book or not book["bids"]:
                await asyncio.sleep(0.02)
                continue
            name, price = f"t{next(self.numbers)}", float(book["bids"][0][0])
            order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
            low, high = f"{price - 5:.1f}", f"{price - 1:.1f}"
            await self.ask("POST", "/fapi/v1/order", **order, type="LIMIT", timeInForce="GTX", price=low, newClientOrderId=name)
            await self.ask("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
            await self.ask("PUT", "/fapi/v1/order", **order, price=high, origClientOrderId=name)
            await self.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=name)
            await self.ask("POST", "/fapi/v1/order", **order, type="MARKET")
            await self.ask("POST", "/fapi/v1/order", **{**order, "side": "SELL"}, type="MARKET")

    async def listen(self, private):
        while True:
            path = "/public/ws/btcusdt@depth@100ms"
            if private:
                key = await self.ask("POST", "/fapi/v1/listenKey")
                path = f"/private/ws/{key.get('listenKey', 'none')}"
            try:
                async with self.http.ws_connect(self.url.replace("http", "ws") + path) as ws:
                    async with asyncio.timeout(1.5 if private else 60):  # a new user stream now and then
                        async for _ in ws:
                            self.heard += 1
            except DOWN:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", KINDS)
def test_a_fault_strikes_a_whole_venue_and_is_written_down(venue, name):
    options = {key: value for key, value in NEEDS.items() if key in KINDS[name].params}
    drill = random_schedule(name, 1, 1.0, times=3, **options)
    if name == "latency":
        drill = random_schedule(name, 1, 1.0, **options, kind="order|md|user")
    before = len(venue.injected())

    async def story():
        async with session() as http:
            trader = Trader(venue, http)
            jobs = [asyncio.create_task(job) for job in (trader.trade(), trader.listen(private=False), trader.listen(private=True))]
            for fault in drill:
                venue.add_fault(fault)
            async with asyncio.timeout(WAIT_S):
                while name not in {one["name"] for one in venue.injected(before)}:
                    for job in jobs:
                        assert not job.done(), job.exception()
                    await asyncio.sleep(0.02)
            venue.clear_faults()
            heard = trader.heard
            await until(lambda: trader.heard > heard)
            await until(lambda: trader.ask("GET", "/fapi/v3/account"))
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(story())
    assert not venue.do("stats")["defects"]

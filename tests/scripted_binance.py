"""A small server that speaks Binance's market data over a book of its own, and misbehaves when told to. It remembers every state."""

import asyncio
import contextlib
import json
import random
from collections import Counter, deque

from aiohttp import web

from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.model import Endpoint

SPOT, USDM = Instrument.bundled("binance:BTC/USDT"), Instrument.bundled("binanceusdm:BTC/USDT:USDT")
ETH = {"binance": Instrument.bundled("binance:ETH/USDT"), "binanceusdm": Instrument.bundled("binanceusdm:ETH/USDT:USDT")}
START_MS = 1_700_000_000_000


class TrueMarket:
    """One symbol: a seeded book of some thirty levels a side that is never crossed, and everything that it ever was."""

    def __init__(self, symbol, instrument, seed, *, futures):
        self.symbol, self.instrument, self.futures = symbol, instrument, futures
        self.random = random.Random(f"{symbol}{seed}")
        self.now_ms = START_MS
        self.update = self.random.randint(10**6, 10**9)
        self.print = self.random.randint(10**6, 10**9)
        mid = 600_000
        self.bids = {mid - i: self.random.randint(1, 9_000) for i in range(1, 30)}
        self.asks = {mid + i: self.random.randint(1, 9_000) for i in range(1, 30)}
        self.history = {}  # update id: (bids, asks)
        self.prints = deque(maxlen=1000)  # REST reaches so far back
        self.printed = set()
        self.restarts = 0
        self._remember()

    def _remember(self):
        self.history[self.update] = (dict(self.bids), dict(self.asks))

    def _text(self, levels):
        one = self.instrument
        return [[f"{one.price(p):.8f}", f"{one.qty(q):.8f}"] for p, q in levels]

    def restart(self):
        """Count anew, as a venue that was reset does."""
        self.update = self.print = 1
        self.restarts += 1
        self._remember()

    def snapshot(self, back=0):
        """Return REST's answer, of `back` diffs ago."""
        ids = list(self.history)
        update = ids[max(0, len(ids) - 1 - back)]
        bids, asks = self.history[update]
        body = {"lastUpdateId": update}
        if self.futures:
            body |= {"E": self.now_ms, "T": self.now_ms}
        return body | {"bids": self._text(sorted(bids.items(), reverse=True)), "asks": self._text(sorted(asks.items()))}

    def step(self):
        """Change the book; return [(stream kind, message)] of what is told about it."""
        rnd, self.now_ms = self.random, self.now_ms + 10
        before, changed = self.update, {BID: {}, ASK: {}}
        for _ in range(rnd.randint(1, 6)):
            side = rnd.choice((BID, ASK))
            mine, other = (self.bids, self.asks) if side == BID else (self.asks, self.bids)
            touch = min(other) if side == BID else max(other)
            best_other = (min if side == BID else max)(other)
            price = best_other - side * rnd.randint(1, 40)
            lots = 0 if (price in mine and len(mine) > 12 and rnd.random() < 0.5) else rnd.randint(1, 9_000)
            assert touch == best_other
            mine.pop(price, None)
            if lots:
                mine[price] = lots
            changed[side][price] = lots
        first = before + 1 + (rnd.randint(0, 3) if self.futures else 0)
        self.update = first + rnd.randint(0, 5)
        self._remember()
        diff = {"e": "depthUpdate", "E": self.now_ms, "s": self.symbol, "U": first, "u": self.update}
        if self.futures:
            diff |= {"T": self.now_ms, "pu": before}
        diff |= {"b": self._text(changed[BID].items()), "a": self._text(changed[ASK].items())}
        told = [("depth", diff), ("bookTicker", self._ticker())]
        if rnd.random() < 0.5:
            told.append(("trade", self._print()))
        rnd.shuffle(told)
        return told

    def _ticker(self):
        one, bid, ask = self.instrument, max(self.bids), min(self.asks)
        told = {"u": self.update, "s": self.symbol, "b": f"{one.price(bid)}", "B": f"{one.qty(self.bids[bid])}"}
        told |= {"a": f"{one.price(ask)}", "A": f"{one.qty(self.asks[ask])}"}
        return {"e": "bookTicker", **told, "T": self.now_ms, "E": self.now_ms} if self.futures else told

    def _print(self):
        self.print += 1
        price, lots, maker = min(self.asks), self.random.randint(1, 99), self.random.random() < 0.5
        p, q = f"{self.instrument.price(price)}", f"{self.instrument.qty(lots)}"
        self.prints.append({"id": self.print, "price": p, "qty": q, "time": self.now_ms, "isBuyerMaker": maker})
        self.printed.add((self.print, price, lots, -1 if maker else 1))
        told = {"e": "trade", "E": self.now_ms, "s": self.symbol, "t": self.print, "p": p, "q": q, "T": self.now_ms}
        return told | ({"X": "MARKET", "m": maker} if self.futures else {"m": maker, "M": True})


class Server:
    """Sends what happens in its markets to every subscriber. `faults`: what is wrong with it, changed at any time."""

    def __init__(self, venue="binance", seed=1, symbols=1):
        self.venue, futures = venue, venue != "binance"
        pairs = [("BTCUSDT", USDM if futures else SPOT), ("ETHUSDT", ETH[venue])][:symbols]
        self.markets = {name: TrueMarket(name, instrument, seed, futures=futures) for name, instrument in pairs}
        self.instruments = tuple(instrument for _, instrument in pairs)
        self.sockets = {}  # socket: streams
        self.counts = Counter()
        self.refused = self.stale = self.stale_by = self.limited = 0
        self.stalled = set()  # kinds of streams that bring nothing, on connections older than `stalled_before`
        self.mutate = lambda kind, message: [message]  # may drop, repeat, change, hold back
        self.paused = False
        self.subscribed = []
        self._numbers = {}

    @contextlib.asynccontextmanager
    async def running(self, period_s=0.002):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._any)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        base = f"127.0.0.1:{port}"
        ws = f"ws://{base}"
        self.endpoint = Endpoint(
            self.venue, "loopback", {"rest": f"http://{base}", "ws": ws, "ws_public": f"{ws}/public", "ws_market": f"{ws}/market"}
        )
        driver = asyncio.create_task(self._drive(period_s))
        try:
            yield self
        finally:
            driver.cancel()
            await asyncio.gather(driver, return_exceptions=True)
            for socket in list(self.sockets):
                await socket.close()
            await runner.cleanup()

    async def _drive(self, period_s):
        while True:
            await asyncio.sleep(period_s)
            if not self.paused:
                for market in self.markets.values():
                    for kind, message in market.step():
                        for one in self.mutate(kind, message):
                            await self.send(f"{market.symbol.lower()}@{kind}", kind, one)

    async def send(self, name, kind, message):
        """Send to every subscriber of a stream; bytes as they are."""
        for socket, streams in list(self.sockets.items()):
            stalled = kind in self.stalled and any(self.stalled_only in one for one in streams)
            if (stalled and self._numbers[socket] <= self.stalled_before) or socket.closed:
                continue
            full = next((one for one in streams if one.startswith(name)), None)
            if full is not None:
                text = message if isinstance(message, str) else json.dumps({"stream": full, "data": message}, separators=(",", ":"))
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await socket.send_str(text)

    stalled_before, stalled_only = 1 << 30, ""  # by number, and by what one of its streams' names holds

    async def disconnect(self):
        for socket in list(self.sockets):
            if socket._req.transport is not None:
                socket._req.transport.abort()

    async def _any(self, request):
        path = request.path
        if path.endswith("/stream"):
            return await self._stream(request)
        market = self.markets[request.query["symbol"]]
        self.counts[path.rpartition("/")[2]] += 1
        if self.limited:
            self.limited -= 1
            return web.json_response({"code": -1003, "msg": "Too many requests."}, status=429, headers={"Retry-After": "1"})
        if path.endswith("/depth"):
            back = self.stale_by if self.stale else 0
            self.stale = max(0, self.stale - 1)
            return web.json_response(market.snapshot(back))
        return web.json_response(list(market.prints))

    async def _stream(self, request):
        self.counts["dials"] += 1
        if self.refused:
            self.refused -= 1
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._numbers[socket] = self.counts["dials"]
        self.sockets[socket] = set(filter(None, request.query.get("streams", "").split("/")))
        try:
            async for message in socket:
                asked = json.loads(message.data)
                self.subscribed.append(asked["params"])
                self.sockets[socket] |= set(asked["params"])
                await socket.send_str(json.dumps({"result": None, "id": asked["id"]}))
        finally:
            self.sockets.pop(socket, None)
        return socket


class Witness:
    """Follows emitted rows the plain way, and holds them against what the server's book was at the same update id."""

    def __init__(self, server):
        self.server, self.rows, self.said = server, [], []
        self.by_number = list(server.markets.values())
        self.books = [({}, {}) for _ in self.by_number]
        self.trusted = [False] * len(self.by_number)
        self.compared = self.wrong = 0
        self.gaps = Counter()
        self.prints = [[] for _ in self.by_number]
        self.seq = [-1] * len(self.by_number)

    def say(self, level, text):
        self.said.append((level, text))

    def emit(self, rows):
        rows = rows.copy()
        self.rows.append(rows)
        for row in rows:
            m, kind = int(row["instrument"]), row["kind"]
            bids, asks = self.books[m]
            if kind == CLEAR:
                bids.clear()
                asks.clear()
                self.trusted[m] = False
            elif kind == GAP:
                self.trusted[m] = False
                self.gaps[m] += 1
            elif kind == DEPTH:
                side = bids if row["side"] == BID else asks
                side.pop(int(row["price_ticks"]), None)
                if row["qty_lots"]:
                    side[int(row["price_ticks"])] = int(row["qty_lots"])
            elif kind == TRADE:
                self.prints[m].append((int(row["seq"]), int(row["price_ticks"]), int(row["qty_lots"]), int(row["side"])))
            if kind in (CLEAR, DEPTH) and row["flags"] & LAST:
                self.trusted[m] |= bool(row["flags"] & SNAPSHOT)
                self.seq[m] = int(row["seq"])
                if self.trusted[m] and not (bids and asks and max(bids) >= min(asks)):  # a crossed book is nowhere believed
                    self.compared += 1
                    self.wrong += (bids, asks) != self.by_number[m].history.get(int(row["seq"]))

    def sound(self, m=0):
        """Say whether the book of a market is trusted and the newest that the server has told."""
        return self.trusted[m] and self.seq[m] == self.by_number[m].update


async def until(condition, seconds=30.0):
    """Wait for a condition, generously."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while not condition():
        assert loop.time() < end_s, "it never came about"
        await asyncio.sleep(0.005)

"""The reader of Binance on the loopback exchange, under every fault of market data: its books are the exchange's at every update id."""

import asyncio
import contextlib
import time

import pytest
from scripted_binance import until

from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.binance_reader import BinanceReader
from hftlab.venues.live.binance_tasks import Limits
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.server.hashing import level_hash
from hftlab.venues.server.serve import LoopbackVenue

NAMES = {"binance": ("binance:BTC/USDT", "binance:ETH/USDT"), "binanceusdm": ("binanceusdm:BTC/USDT:USDT", "binanceusdm:ETH/USDT:USDT")}
SYMBOLS = ("BTCUSDT", "ETHUSDT")
LIMITS = Limits(silence_s={"depth": 1.5, "bookTicker": 30.0, "trade": 30.0}, quiet_s=0.5, checked_each=50, audit_s=0.5)
_MASK = (1 << 64) - 1

# Each fault with how it is armed, and whether a GAP must follow (None: it depends on what was struck).
FAULTS = {
    "gap": ({"stream": "*@depth*", "every": 10, "times": 3}, True),
    "duplicate": ({"stream": "*@depth*", "every": 5, "times": 3}, False),
    "duplicate of everything": ({"fault": "duplicate", "stream": "*", "every": 7, "times": 30}, False),
    "reorder": ({"stream": "*@depth*", "every": 10, "times": 3}, True),
    "garbage": ({"stream": "*@depth*", "every": 10, "times": 2}, True),
    "garbage noise": ({"fault": "garbage", "how": "noise", "stream": "*@depth*", "every": 10, "times": 2}, True),
    "garbage binary": ({"fault": "garbage", "how": "binary", "every": 20, "times": 5}, None),
    "lost prints": ({"fault": "gap", "stream": "*@trade*", "every": 5, "times": 4, "k": 2}, False),
    "lost best prices": ({"fault": "gap", "stream": "*@bookTicker*", "every": 5, "times": 4}, False),
    "crossed_book": ({"every": 15, "times": 2}, True),
    "missing_deletion": ({"every": 5, "times": 4}, None),
    "stale_snapshot": ({"times": 2, "k": 40}, None),
    "stall": ({"stream": "*@depth*", "s": 30.0, "connection": -1}, True),
    "stall without pong": ({"fault": "stall", "s": 30.0, "pong": False, "connection": -1}, True),
    "mass_disconnect": ({}, True),
    "mass_disconnect politely": ({"fault": "mass_disconnect", "code": 1001}, True),
    "refuse_dials": ({"s": 1.0}, True),
    "day_close": ({}, True),
    "server_shutdown": ({"s": 3.0}, False),
    "rate_limit": ({"s": 1.0}, False),
    "maintenance": ({"s": 1.0}, None),
    "latency": ({"kind": "md", "s": 2.0, "ms": 300, "jitter_ms": 50}, False),
    "clock_step": ({"ms": -1500}, False),
}


class Hashes:
    """Rows to books, kept as the exchange hashes them: what it was at each update id while it was to be trusted."""

    def __init__(self, markets):
        self.levels = [{} for _ in range(markets)]
        self.sums = [0] * markets
        self.trusted = [False] * markets
        self.crossed = [False] * markets
        self.at = [{} for _ in range(markets)]
        self.gaps = [0] * markets
        self.seq = [0] * markets
        self.prints = [[] for _ in range(markets)]
        self.said = []

    def say(self, level, text):
        self.said.append((level, text))

    def emit(self, rows):
        for row in rows[["instrument", "kind", "side", "price_ticks", "qty_lots", "flags", "seq"]].tolist():
            m, kind, side, price, lots, flags, seq = row
            levels = self.levels[m]
            if kind == CLEAR:
                levels.clear()
                self.sums[m] = 0
            elif kind == GAP:
                self.trusted[m] = False
                self.gaps[m] += 1
            elif kind == TRADE:
                self.prints[m].append((seq, price, lots, side))
            elif kind == DEPTH:
                old = levels.pop((side, price), 0)
                self.sums[m] += level_hash(side, price, lots) - level_hash(side, price, old)
                if lots:
                    levels[side, price] = lots
            if kind in {CLEAR, DEPTH} and flags & LAST:
                self.trusted[m] |= bool(flags & SNAPSHOT)
                self.seq[m] = seq
                bids, asks = ([price for one, price in levels if one == side] for side in (BID, ASK))
                if self.trusted[m] and not (bids and asks and max(bids) >= min(asks)):
                    self.at[m][seq] = f"{self.sums[m] & _MASK:016x}"

    def wrong(self, venue, name):
        """Return the update ids at which a trusted book was not the exchange's."""
        return [
            (SYMBOLS[m], seq) for m, at in enumerate(self.at) for seq, told in at.items() if venue.do("book_hash", skin=name, symbol=SYMBOLS[m], last_id=seq) != told
        ]  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def running(request):
    limits = {request.param: {"weight_per_min": 10**6}} if request.param == "hyperliquid" else {}
    with LoopbackVenue(skins=(request.param,), symbols=("BTC", "ETH"), limits=limits) as venue:
        yield venue, request.param


@contextlib.asynccontextmanager
async def following(venue, name, place=None, **kw):
    reader = BinanceReader(
        [Instrument.bundled(one) for one in NAMES[name]], place or endpoint(name, venue.url), time.time_ns, limits=LIMITS, **kw
    )
    books = Hashes(2)
    task = asyncio.create_task(reader.run(books.emit, books.say))
    try:
        await until(lambda: all(books.trusted) or task.done(), 60)
        yield reader, books
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def story(running, fault, seed):
    venue, name = running
    options, gap = FAULTS[fault]

    async def played():
        async with following(venue, name, seed=seed) as (reader, books):
            await until(lambda: all(len(at) > 5 for at in books.at))
            before = venue.do("injected_counts").get(options.get("fault", fault.split()[0]), 0)
            armed = {"fault": fault.split()[0], "skin": name, **options}
            if armed.get("connection") == -1:
                armed["connection"] = max(one["number"] for one in venue.do("stats")["sockets"] if "market" not in one["path"])
            venue.do("add_fault", **armed)
            if fault in {"stale_snapshot", "rate_limit", "maintenance"}:
                for book in reader.books:
                    book.distrust(reader.now_ns(), "the test wants a snapshot")
            struck = lambda: venue.do("injected_counts").get(armed["fault"], 0) - before  # noqa: E731
            await until(lambda: struck() >= armed.get("times", 1) or fault in {"rate_limit", "maintenance", "clock_step"}, 60)
            if gap:
                await until(lambda: any(books.gaps), 60)
            seen = [len(at) for at in books.at]
            await until(lambda: all(books.trusted) and all(len(at) > seen[m] + 10 for m, at in enumerate(books.at)), 60)
            if fault == "missing_deletion":  # what is stale far from the touch is seen by an audit
                audits = [book.counts.audits for book in reader.books]
                await until(lambda: all(book.counts.audits >= audits[m] + 2 for m, book in enumerate(reader.books)), 60)
                books.at = [{}, {}]
                await until(lambda: all(books.at))
            if fault == "lost prints":
                await until(
                    lambda: (
                        any(book.prints.late for book in reader.books) and not any(book.prints.wanted.is_set() for book in reader.books)
                    ),
                    60,
                )
            venue.do("clear_faults")
            assert books.wrong(venue, name) == []
            if gap is False:
                at_will = 2 if fault == "rate_limit" else 0
                assert sum(books.gaps) == at_will, (books.gaps, books.said)
            for prints in books.prints:
                numbers = sorted(number for number, *_ in prints)
                assert len(set(numbers)) == len(numbers)
            assert reader.frames.differences == 0

    asyncio.run(asyncio.wait_for(played(), 180))


@pytest.mark.parametrize("fault", FAULTS)
def test_books_are_right_or_marked_under_every_fault_of_market_data(running, fault):
    try:
        story(running, fault, seed=1)
    finally:
        running[0].do("clear_faults")


def test_real_addresses_through_the_proxy(running):
    venue, name = running

    async def played():
        place = endpoint(name, proxy=venue.proxy_url, ca_file=venue.ca_file)
        async with following(venue, name, place) as (_, books):
            await until(lambda: all(len(at) > 20 for at in books.at))
            assert books.wrong(venue, name) == []
            assert sum(books.gaps) == 0

    asyncio.run(asyncio.wait_for(played(), 120))


def test_mark_prices_come_over_a_line_of_their_own(running):
    venue, name = running
    if name == "binance":
        pytest.skip("spot has no mark price")

    async def played():
        async with following(venue, name) as (reader, _):
            marks = [status for status in reader.streams if "markPrice" in status.name]
            await until(lambda: all(status.up and status.messages for status in marks))
            assert len(reader.lines) == 2

    asyncio.run(asyncio.wait_for(played(), 120))

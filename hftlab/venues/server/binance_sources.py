"""Streams that are sent by the clock: batched book changes, best levels, tickers, candles."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from hftlab.venues.server.binance_candles import INTERVALS_MS
from hftlab.venues.server.binance_common import MS
from hftlab.venues.server.binance_frames import Frames
from hftlab.venues.server.model import DepthDiff

KLINE_NS, TICKER_NS = 250 * MS, 1000 * MS
SPEEDS_NS = {"0ms": 0, "100ms": 100 * MS, "250ms": 250 * MS, "500ms": 500 * MS, "1000ms": 1000 * MS}


class Source(Protocol):
    """What a stream is made of. `due_ns` is when it is asked next."""

    due_ns: int

    def take(self, now_ns: int) -> list[Any]:
        """Return the events to send now, and set when to ask again."""
        ...


def next_ns(now_ns: int, every_ns: int) -> int:
    """Return the next full interval of the clock."""
    return (now_ns // every_ns + 1) * every_ns


@dataclass(slots=True, eq=False)  # eq: two streams of one pace gather the same, and only one of them ends
class Batch:
    """Changes of one book since the last frame, as one: the last word on each price, and all their update ids."""

    frames: Frames
    every_ns: int
    due_ns: int = 0
    first: DepthDiff | None = None
    last: DepthDiff | None = None
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)

    def add(self, diff: DepthDiff) -> None:
        """Take one change."""
        self.first, self.last = self.first or diff, diff
        self.bids.update(diff.bids)
        self.asks.update(diff.asks)

    def take(self, now_ns: int) -> list[Any]:
        """Return the sum of the changes, if there were any."""
        self.due_ns = next_ns(now_ns, self.every_ns)
        first, last = self.first, self.last
        if first is None or last is None:
            return []
        whole = DepthDiff(
            first.symbol, first.first_id, last.last_id, first.previous_id, last.ts_ns, tuple(self.bids.items()), tuple(self.asks.items())
        )
        self.first = self.last = None
        self.bids.clear()
        self.asks.clear()
        return [self.frames.depth(whole)]


@dataclass(slots=True)
class Best:
    """The best levels of a book, when it has changed."""

    frames: Frames
    symbol: str
    levels: int
    every_ns: int
    due_ns: int = 0
    last_id: int = -1

    def take(self, now_ns: int) -> list[Any]:
        """Return the best levels, if the book is another one than the last time."""
        self.due_ns = next_ns(now_ns, max(1, self.every_ns))
        event, last_id = self.frames.partial(self.symbol, self.levels, self.last_id)
        if last_id == self.last_id:
            return []
        self.last_id = last_id
        return [event]


@dataclass(slots=True)
class Regular:
    """Something that is told again and again."""

    tell: Callable[[], Any]
    every_ns: int
    due_ns: int = 0

    def take(self, now_ns: int) -> list[Any]:
        """Return it."""
        self.due_ns = next_ns(now_ns, self.every_ns)
        return [self.tell()]


@dataclass(slots=True)
class Kline:
    """The open candle of an interval when it has changed, and each candle once more when it is closed."""

    frames: Frames
    symbol: str
    interval: str
    due_ns: int = 0
    told: tuple[int, int] | None = None

    def take(self, now_ns: int) -> list[Any]:
        """Return what is new."""
        self.due_ns = next_ns(now_ns, KLINE_NS)
        span = INTERVALS_MS[self.interval]
        before, now = self.frames.candles.last(self.symbol, self.interval, self.frames.house.now_ms())
        events = []
        if before and self.told and self.told[0] == before.start_ms:
            events.append(self.frames.kline(self.symbol, self.interval, span, before, closed=True))
        if now and self.told != (now.start_ms, now.count):
            events.append(self.frames.kline(self.symbol, self.interval, span, now, closed=False))
            self.told = (now.start_ms, now.count)
        elif not now:
            self.told = None
        return events


def source_of(frames: Frames, symbol: str, kind: str, speed: str) -> Source | None:
    """Return the source of a stream named symbol@kind@speed; None for one that is told event by event, or that does not exist."""
    spot = frames.house.spot
    if kind.startswith("depth"):
        default = "1000ms" if spot else "250ms"
        every = SPEEDS_NS.get(speed or default)
        levels = kind.removeprefix("depth")
        if every is None or levels not in {"", "5", "10", "20"}:
            return None
        if levels:
            return Best(frames, symbol, int(levels), every)
        return Batch(frames, every) if every else None
    if kind == "miniTicker":
        return Regular(lambda: frames.mini_ticker(symbol), TICKER_NS)
    if kind == "ticker":
        return Regular(lambda: frames.ticker(symbol), TICKER_NS)
    if kind == "markPrice" and not spot:
        return Regular(lambda: frames.mark(symbol), TICKER_NS if speed == "1s" else 3 * TICKER_NS)
    if kind.startswith("kline_") and kind.removeprefix("kline_") in INTERVALS_MS:
        return Kline(frames, symbol, kind.removeprefix("kline_"))
    return None


def source_of_all(frames: Frames, kind: str, speed: str) -> Source | None:
    """Return the source of a stream over all symbols: !miniTicker@arr, !ticker@arr, !markPrice@arr."""
    symbols = list(frames.house.grids)
    if kind == "miniTicker":
        return Regular(lambda: [frames.mini_ticker(symbol) for symbol in symbols], TICKER_NS)
    if kind == "ticker":
        return Regular(lambda: [frames.ticker(symbol) for symbol in symbols], TICKER_NS)
    if kind == "markPrice" and not frames.house.spot:
        return Regular(lambda: [frames.mark(symbol) for symbol in symbols], TICKER_NS if speed == "1s" else 3 * TICKER_NS)
    return None

"""Candles of one minute from the public trades, and what is made of them: longer candles and the last 24 hours."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from hftlab.types import BID
from hftlab.venues.server.binance_common import Grid
from hftlab.venues.server.model import Print

MINUTE_MS = 60_000
KEPT = 1500  # minutes a symbol
INTERVALS_MS = {
    **{f"{n}m": n * MINUTE_MS for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 60 * MINUTE_MS for n in (1, 2, 4, 6, 8, 12)},
    "1d": 1440 * MINUTE_MS,
}


@dataclass(slots=True)
class Candle:
    """Prices in ticks; `bought_*` is what takers bought."""

    start_ms: int
    open: int | None = None
    high: int | None = None
    low: int | None = None
    close: int | None = None
    lots: int = 0
    ticklots: int = 0
    count: int = 0
    bought_lots: int = 0
    bought_ticklots: int = 0
    first_id: int = -1
    last_id: int = -1
    last_lots: int = 0

    def add(self, one: Print) -> None:
        """Add one trade."""
        price, worth = one.price_ticks, one.price_ticks * one.qty_lots
        self.join(Candle(0, price, price, price, price, one.qty_lots, worth, 1, 0, 0, one.trade_id, one.trade_id, one.qty_lots))
        if one.side == BID:
            self.bought_lots, self.bought_ticklots = self.bought_lots + one.qty_lots, self.bought_ticklots + worth

    def join(self, later: "Candle") -> None:
        """Add a later candle to this one."""
        if later.open is None or later.high is None or later.low is None:
            return
        if not self.count or self.high is None or self.low is None:  # a candle without a trade only stands in for one
            self.open, self.high, self.low = later.open, later.high, later.low
        else:
            self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.first_id = later.first_id if self.first_id < 0 else self.first_id
        self.close = later.close
        self.lots, self.ticklots, self.count = self.lots + later.lots, self.ticklots + later.ticklots, self.count + later.count
        self.bought_lots += later.bought_lots
        self.bought_ticklots += later.bought_ticklots
        if later.count:
            self.last_id, self.last_lots = later.last_id, later.last_lots


class Candles:
    """The newest minutes of each symbol in which there was a trade."""

    def __init__(self) -> None:
        self._minutes: dict[str, deque[Candle]] = {}

    def add(self, one: Print, ms: int) -> None:
        """Take one trade at the venue's time."""
        minutes = self._minutes.setdefault(one.symbol, deque(maxlen=KEPT))
        start = ms - ms % MINUTE_MS
        if not minutes or start > minutes[-1].start_ms:
            minutes.append(Candle(start))
        minutes[-1].add(one)

    def rows(self, symbol: str, interval: str, until_ms: int) -> list[Candle]:
        """Return the candles of an interval up to now; one without a trade stands at the close before it."""
        span, rows = INTERVALS_MS[interval], list[Candle]()
        for minute in self._minutes.get(symbol, ()):
            start = minute.start_ms - minute.start_ms % span
            _fill(rows, start, span)
            rows[-1].join(minute)
        if rows:
            _fill(rows, until_ms - until_ms % span, span)
        return rows

    def last(self, symbol: str, interval: str, until_ms: int) -> tuple[Candle | None, Candle | None]:
        """Return the candle before the one that is open now, and this one."""
        span, minutes = INTERVALS_MS[interval], self._minutes.get(symbol, deque[Candle]())
        start = until_ms - until_ms % span
        parts: dict[int, list[Candle]] = {start - span: [], start: []}
        earlier = None
        for minute in reversed(minutes):
            if minute.start_ms < start - span:
                earlier = minute.close
                break
            parts[start if minute.start_ms >= start else start - span].append(minute)
        before, now = (_joined(at, reversed(some)) for at, some in parts.items())
        for one, close in ((before, earlier), (now, before.close if before.close is not None else earlier)):
            if not one.count:
                one.open = one.high = one.low = one.close = close
        return (before if before.open is not None else None), (now if now.open is not None else None)

    def day(self, symbol: str, now_ms: int) -> Candle:
        """Return the last 24 hours as one candle."""
        start = now_ms - 1440 * MINUTE_MS
        return _joined(start, (one for one in self._minutes.get(symbol, ()) if one.start_ms >= start))

    @staticmethod
    def change(grid: Grid, day: Candle) -> tuple[str, str, str]:
        """Return the texts of price change, of its percentage and of the average price of a candle."""
        if not day.open or not day.close or not day.lots:
            return grid.price(0), "0.000", grid.price(0)
        average = Decimal(day.ticklots) / day.lots * grid.instrument.tick_size
        percent = Decimal(day.close - day.open) / day.open * 100
        return grid.price(day.close - day.open), f"{percent:.3f}", f"{average:.8f}"


def _joined(start_ms: int, candles: Iterable[Candle]) -> Candle:
    whole = Candle(start_ms)
    for one in candles:
        whole.join(one)
    return whole


def _fill(rows: list[Candle], start_ms: int, span_ms: int) -> None:
    """Append candles until the last one starts at `start_ms`; of a long silence only the newest are kept."""
    if rows and start_ms - rows[-1].start_ms > KEPT * span_ms:
        close = rows[-1].close
        rows[:] = [Candle(start_ms - KEPT * span_ms, close, close, close, close)]
    while not rows or rows[-1].start_ms < start_ms:
        close = rows[-1].close if rows else None
        rows.append(Candle(rows[-1].start_ms + span_ms if rows else start_ms, close, close, close, close))

"""One feed out of several: the first reader that is whole goes on where another one is down, silent or not to be trusted."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels.reader_book import SLOTS, TOUCH_WORDS, keep
from hftlab.types import CLEAR, DEPTH, EVENT, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.book_rows import empty_book, snapshot_rows
from hftlab.venues.live.model import Reader, StreamStatus

_TICK_S = 0.1
_PRINTS = 2000  # of a reader that does not count, kept for a switch
_TOLD = 5000  # numbers of prints remembered, so that none is handed out twice


@dataclass(slots=True)
class _View:
    """What one reader says of one instrument."""

    book: np.ndarray = field(default_factory=empty_book)
    touches: np.ndarray = field(default_factory=lambda: np.zeros((3, SLOTS, TOUCH_WORDS), np.int64))
    whole: bool = False
    exch_ns: int = 0
    seq: int = 0
    messages: int = 0
    seen: int = 0  # of them, when the watch last looked
    heard_s: float = 0.0
    prints: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=_PRINTS))


@dataclass(slots=True)
class _Market:
    """Which reader counts for one instrument."""

    number: int
    views: list[_View]
    active: int = 0
    told: dict[int, None] = field(default_factory=dict)  # numbers of the newest prints handed out, oldest first
    free_s: list[float] = field(default_factory=list)  # from when on a reader may be chosen again
    wait_s: list[float] = field(default_factory=list)
    switches: int = 0


class Failover:
    """Reads the same instruments of one venue through several readers (connections, endpoints); the first one is preferred at the start.

    All of them run. Rows of the one that counts go on at once; when its book gets a GAP, or it is silent for `silence_s` while another
    one speaks, a GAP and the book of a whole one follow, and prints that were missed. A reader that failed is chosen again after a time
    that doubles from `wait_s` to `wait_s_max`. Readers must give the same instruments the same numbers. Raises InputError.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        clock_ns: Callable[[], int],
        *,
        silence_s: float = 2.0,
        wait_s: float = 5.0,
        wait_s_max: float = 300.0,
    ) -> None:
        if len(readers) < 2 or any(reader.instruments != readers[0].instruments for reader in readers):
            raise InputError("the readers of a Failover were not two or more of the same instruments; wanted the same for each.")
        self._readers, self._clock_ns = tuple(readers), clock_ns
        self._silence_s, self._wait_s, self._wait_s_max = silence_s, wait_s, wait_s_max
        self.instruments: tuple[Instrument, ...] = readers[0].instruments
        self.streams: Sequence[StreamStatus] = [stream for reader in readers for stream in reader.streams]
        self._markets: dict[int, _Market] = {}
        self._emit: Callable[[np.ndarray], None] = lambda _rows: None
        self._say: Callable[[str, str], None] = lambda _level, _text: None
        self._time: Callable[[], float] = lambda: 0.0

    @property
    def switches(self) -> int:
        """Return how often another reader was chosen."""
        return sum(market.switches for market in self._markets.values())

    async def run(self, emit: Callable[[np.ndarray], None], say: Callable[[str, str], None]) -> None:
        """Run all readers until cancelled. Raises what `emit` raised, or what ended one of them."""
        self._emit, self._say, self._time = emit, say, asyncio.get_running_loop().time
        try:
            async with asyncio.TaskGroup() as group:
                for which, reader in enumerate(self._readers):
                    group.create_task(reader.run(self._sink(which), say))
                group.create_task(self._watched())
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    def _sink(self, which: int) -> Callable[[np.ndarray], None]:
        return lambda rows: self.take(which, rows)

    def take(self, which: int, rows: np.ndarray) -> None:
        """Take rows of one reader, all of one instrument."""
        market = self._market(int(rows["instrument"][0]))
        view = market.views[which]
        view.messages += 1
        kind = rows["kind"][0]
        if kind == TRADE:
            if which == market.active:
                self._print(market, rows)
            else:
                view.prints.append(rows.copy())
            return
        active = which == market.active
        if active:
            self._emit(rows)
        if kind in (DEPTH, CLEAR, GAP):
            keep(rows, view.book, view.touches)
            view.exch_ns, view.seq = int(rows["ts_exch_ns"][-1]), int(rows["seq"][-1])
            if kind == GAP:
                view.whole = False
            elif rows["flags"][-1] & SNAPSHOT:
                view.whole = True
        if active and kind == GAP:
            self._leave(market, "its book has a gap")
        elif not active and view.whole and not market.views[market.active].whole:
            self._leave(market, "another one is whole first")

    def _print(self, market: _Market, rows: np.ndarray) -> None:
        """Hand out prints, each once: what one reader fetches afterwards another one may have told."""
        told = market.told
        new = [i for i, number in enumerate(rows["seq"].tolist()) if number not in told]
        if not new:
            return
        for i in new:
            told[int(rows["seq"][i])] = None
        while len(told) > _TOLD:
            del told[next(iter(told))]
        self._emit(rows if len(new) == len(rows) else rows[new])

    def _leave(self, market: _Market, why: str) -> None:
        """Choose another reader for an instrument, where there is a whole one that may be chosen."""
        now_s = self._time()
        old = market.active
        last_s = max(view.heard_s for view in market.views)
        able = [
            i
            for i, view in enumerate(market.views)
            if i != old and view.whole and market.free_s[i] <= now_s and last_s - view.heard_s <= self._silence_s
        ]
        if not able:
            return
        market.free_s[old] = now_s + market.wait_s[old]
        market.wait_s[old] = min(2 * market.wait_s[old], self._wait_s_max)
        market.active = able[0]
        market.switches += 1
        self._say("warn", f"{self.instruments[0].venue}: reader {old + 1} of {len(self._readers)}: {why}; reader {able[0] + 1} goes on.")
        view, recv_ns = market.views[market.active], self._clock_ns()
        if market.views[old].whole:
            gap = np.zeros(1, EVENT)
            gap["ts_exch_ns"], gap["ts_recv_ns"], gap["seq"], gap["instrument"] = view.exch_ns, recv_ns, view.seq, market.number
            gap["kind"], gap["flags"] = GAP, LAST
            self._emit(gap)
        self._emit(snapshot_rows(view.book, market.number, view.exch_ns, recv_ns, view.seq))
        first = min(market.told, default=0)
        for rows in view.prints:
            if rows["seq"][0] > first:  # older ones may have been told and forgotten
                rows["ts_recv_ns"] = recv_ns
                self._print(market, rows)
        view.prints.clear()

    async def _watched(self) -> None:
        """Leave a reader that is silent while another one speaks."""
        while True:
            await asyncio.sleep(_TICK_S)
            now_s = self._time()
            for market in self._markets.values():
                for view in market.views:
                    if view.messages != view.seen:
                        view.seen, view.heard_s = view.messages, now_s
                last_s = [view.heard_s for view in market.views]
                if max(last_s) - last_s[market.active] > self._silence_s:
                    self._leave(market, f"silent for {self._silence_s:g} s")

    def _market(self, number: int) -> _Market:
        if number not in self._markets:
            views = [_View() for _ in self._readers]
            now_s = self._time()
            for view in views:
                view.heard_s = now_s
            self._markets[number] = _Market(number, views, free_s=[0.0] * len(views), wait_s=[self._wait_s] * len(views))
        return self._markets[number]

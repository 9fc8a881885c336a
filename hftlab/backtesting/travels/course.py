"""A run as a road on which one can stand anywhere: its rows by number, saved states along the way, and the run between them.

By the partition law a state at a row is the same bytes however the run came there: from the start, from a saved state, in steps of one
row. So a seek is the nearest saved state before, and the rows from there.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hftlab.analytics.grow import Grow
from hftlab.backtesting.timers import row_times
from hftlab.backtesting.travels.marks import KINDS, WRITTEN, Marks, wrote
from hftlab.data.checkpoints import Checkpoints, pack, unpack
from hftlab.data.state import State
from hftlab.errors import DataError
from hftlab.types import EVENT


class Rows(Protocol):
    """Rows of a run by number."""

    def __len__(self) -> int: ...

    def read(self, start: int, end: int) -> np.ndarray:
        """Return rows `start` to before `end` (EVENT, a copy)."""

    def stamp(self, row: int) -> bytes:
        """Return 16 bytes that change with the rows before `row`."""


class Kept:
    """The rows of a backtest as they were run, timers and a strategy's answers with them: beyond 64 MB in a file without a name."""

    def __init__(self) -> None:
        self._rows = Grow(EVENT)

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, rows: np.ndarray) -> None:
        """Add rows."""
        self._rows.append(rows)

    def read(self, start: int, end: int) -> np.ndarray:
        """Return rows `start` to before `end`."""
        return np.array(self._rows.rows[start:end])

    def stamp(self, _row: int) -> bytes:
        """Return the same always: nobody else can reach these rows."""
        return bytes(16)


class Lead(State):
    """The state of a first pass: what is run on it is kept, and noted."""

    course: "Course"

    def step(self, run: Any, rows: np.ndarray) -> np.ndarray:
        """Run `rows`, as State.step does."""
        return self.course.lead(run, rows)


class Course:
    """The moments of one run. Everything that it is asked may be asked from any thread.

    `fresh` makes the records before the first row. `feed`, where the rows are not written down anywhere, makes a run of a Lead that can
    be taken chunk by chunk. `origin` is the Origin of a backtest, or the RunSpec of the session in `directory`. `said` are things to know, in words.
    """

    def __init__(
        self,
        name: str,
        fresh: Callable[[], State],
        run: Any,
        *,
        rows: Rows | None = None,
        feed: Callable[[State], Iterator[Any]] | None = None,
        store: Checkpoints | None = None,
        origin: Any = None,
        directory: Path | None = None,
    ) -> None:
        self.origin, self.directory = origin, directory
        self.name, self.run, self.fresh = name, run, fresh
        self.rows: Rows = Kept() if rows is None else rows
        self.store = Checkpoints() if store is None else store
        self.block = self.store.spacing_rows  # rows that are run, or looked through, at once
        self.marks = Marks(self.block)
        self.said: list[str] = []
        self.lock = threading.RLock()
        self.here, self.at = fresh(), 0
        first, self._first = fresh(), pack(self.here)
        self._lead = Lead(first.desk, first.markets, first.exchanges, first.out, first.instruments, first.caps)
        self._lead.course = self
        self._feed = None if feed is None else feed(self._lead)
        self._fed = False

    # --- the first pass ------------------------------------------------------------------------------------------------------
    def lead(self, run: Any, rows: np.ndarray) -> np.ndarray:
        """Run rows on the first pass: kept where nobody else has them, noted, and their states saved."""
        written, at = [], 0
        while at < len(rows):
            end = min(len(rows), at + self.block - self.marks.rows % self.block)
            block = rows[at:end]
            if isinstance(self.rows, Kept):
                self.rows.append(block)
            made = State.step(self._lead, run, block)
            self.marks.add(made, len(block), int(self._lead.desk["now_ns"][0]))
            self._save(self._lead, self.marks.rows)
            written.append(made)
            at = end
        return np.concatenate([np.zeros(0, EVENT), *written])

    def passed(self, until: int | None = None) -> Marks:
        """Bring the first pass as far as `until` rows, by default to the end; return its marks."""
        with self.lock:
            if self._feed is not None:
                while (until is None or self.marks.rows < until) and self._next():
                    pass
                return self.marks
            end = len(self.rows) if until is None else min(until, len(self.rows))
            while self.marks.rows < end:
                start = self.marks.rows
                self.lead(self.run, self.rows.read(start, min(end, (start // self.block + 1) * self.block)))
            return self.marks

    def _next(self) -> bool:
        """Run the next chunk of a backtest. Returns whether there was one."""
        self._fed = self._fed or self._feed is None or next(self._feed, None) is None
        return not self._fed

    def read_through(self) -> bool:
        """Return whether the first pass has come to the end."""
        with self.lock:
            return self.marks.rows >= len(self.rows) if self._feed is None else self._fed

    def start_ns(self) -> int:
        """Return the desk's time at the first row. Raises DataError for a run without rows."""
        with self.lock:
            if not self.reach(1):
                raise DataError(f"{self.name} has no rows yet: there is no moment to go to.")
            return int(row_times(self.rows.read(0, 1))[0])

    def count(self) -> int:
        """Return how many rows the run has, by now where it goes on."""
        with self.lock:
            if self._feed is not None:
                self.passed()
            return len(self.rows)

    def reach(self, row: int) -> int:
        """Return `row`, or the end of the run where that comes first; its rows can be read afterwards."""
        with self.lock:
            if self._feed is not None:
                self.passed(row)
            return min(row, len(self.rows))

    # --- going there -------------------------------------------------------------------------------------------------------------
    def seek(self, row: int) -> State:
        """Return the state after `row` rows: the one that all calls share, so copy what is to last. Raises DataError beyond the end."""
        with self.lock:
            if self._feed is not None:
                self.passed(row)
            if not 0 <= row <= len(self.rows):
                raise DataError(
                    f"{self.name} has {len(self.rows):,} rows; event {row:,} is not among them. Ask for 0 to {len(self.rows):,}."
                )
            near = self.store.before(row)
            while not (near <= self.at <= row):
                if near == 0:
                    self._restart()
                elif self.store.load(self.here, near, self.rows.stamp(near)):
                    self.at = near
                else:
                    near = self.store.before(row)
            self.forward(row)
            return self.here

    def _restart(self) -> None:
        unpack(self.here, self._first)
        self.at = 0

    def forward(self, row: int, rows: np.ndarray | None = None) -> np.ndarray:
        """Run from where the shared state stands to `row`; return what that wrote. `rows` are those rows, where they are at hand."""
        written, first = [np.zeros(0, EVENT)], self.at
        while self.at < row:
            end = min(row, (self.at // self.block + 1) * self.block)
            block = self.rows.read(self.at, end) if rows is None else rows[self.at - first : end - first]
            try:
                written.append(self.here.step(self.run, block))
            except BaseException:  # why: whatever it was, a part of the rows has been run: the next seek must not go on from there
                self._restart()
                raise
            self.at = end
            self._save(self.here, end)
        return np.concatenate(written) if len(written) > 2 else written[-1]

    def _save(self, state: State, row: int) -> None:
        if self.store.wants(row):
            self.store.save(state, row, self.rows.stamp(row))

    # --- time ----------------------------------------------------------------------------------------------------------------
    def span_ns(self) -> tuple[int, int]:
        """Return the desk's times at the first and the last row. Raises DataError for a run without rows."""
        with self.lock:
            start_ns, count = self.start_ns(), self.count()
            return start_ns, int(row_times(self.rows.read(max(0, count - self.block), count))[-1])

    def row_at(self, ts_ns: int) -> int:
        """Return how many rows had happened by `ts_ns` inclusive, on the desk's clock."""
        with self.lock:
            if self._feed is not None:
                while self.marks.times_ns[-1] <= ts_ns and self._next():
                    pass
            start, now_ns = self._before(ts_ns)
            while start < len(self.rows):
                times = self.times(start, min(start + self.block, len(self.rows)), now_ns)
                found = int(np.searchsorted(times, ts_ns, side="right"))
                if found < len(times):
                    return start + found
                start, now_ns = start + len(times), int(times[-1])
            return start

    def times(self, start: int, end: int, now_ns: int) -> np.ndarray:
        """Return the desk's time after each of the rows, int64 ns; `now_ns` is its time before them."""
        return np.maximum(row_times(self.rows.read(start, end)), now_ns)

    def _before(self, ts_ns: int) -> tuple[int, int]:
        """Return a row, and the desk's time there, from which a time can be looked for."""
        passed = max(int(np.searchsorted(self.marks.times_ns, ts_ns, side="left")) - 1, 0)
        best = (passed * self.block, self.marks.times_ns[passed])
        saved = self.store.rows()
        while saved and saved[-1] > best[0]:
            row = saved.pop()
            now_ns = self.store.now_ns(row)
            if now_ns is not None and now_ns < ts_ns and row <= len(self.rows):
                return row, now_ns
        return best

    # --- the next and the last of a kind ---------------------------------------------------------------------------------------
    def find(self, kind: str, row: int, *, back: bool) -> int | None:
        """Return the event of a kind (see KINDS) that comes next after event `row`, or with `back` the last before; None without one."""
        with self.lock:
            marks, count = self.passed(), self.count()
            blocks = marks.blocks[kind] if kind in WRITTEN and not (kind == "report" and self._told()) else range(-(-count // self.block))
            here = max(row - 1, 0) // self.block if back else row // self.block
            order = [k for k in reversed(blocks) if k <= here] if back else [k for k in blocks if k >= here]
            for k in order:
                low, high = (
                    (k * self.block, min((k + 1) * self.block, row - 1))
                    if back
                    else (max(k * self.block, row), min((k + 1) * self.block, count))
                )
                found = self._within(kind, low, high, back=back) if low < high else None
                if found is not None:
                    return found
            return None

    def _told(self) -> bool:
        return not self.here.exchanges["active"].any()

    def _within(self, kind: str, low: int, high: int, *, back: bool) -> int | None:
        """Return the first, or last, event among rows `low` to before `high`: its number counts the row itself."""
        if kind not in WRITTEN or (kind == "report" and self._told()):
            found = np.flatnonzero(KINDS[kind](self.rows.read(low, high)))
            return low + int(found[-1 if back else 0]) + 1 if len(found) else None
        now_ns = int(self.seek(low).desk["now_ns"][0])
        made = self.forward(high)
        mine = made[wrote(made, kind)]["ts_recv_ns"]
        if not len(mine):
            return None
        ts_ns = int(mine[-1 if back else 0])
        # A row is written at the time of the row that led to it, or before: when what was in flight comes due on the way to that row.
        at = low + int(np.searchsorted(self.times(low, high, now_ns), ts_ns, side="left"))
        left = int(np.count_nonzero(mine == ts_ns)) if back else 1
        self.seek(at)
        while left > 0 and at < high:
            at += 1
            made = self.forward(at)
            left -= int(np.count_nonzero(wrote(made, kind)))
        return at

"""What all points of a sweep share: the tape on its two clocks with its timers, made once, and the options of the backtest."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.analytics.luck.ledger import STEPS_MIN, STEPS_S
from hftlab.assumptions import latency_rows
from hftlab.backtesting.run import TAPE_ROWS
from hftlab.backtesting.timers import with_timers
from hftlab.data.merging import merged_chunks
from hftlab.data.tape import Tape
from hftlab.errors import InputError
from hftlab.instrument import Instrument

PIECE_ROWS = 1 << 17
"""Rows of the merged tape that a point runs in one go: between two pieces it hears of a cancel."""


@dataclass
class Shared:
    """`options` are those of hl.backtest that no point changes: timer_ms, timer_start, sample_ms, bar_s.

    `rows` counts the tape's own; `edges_ns` (int64, shape (parts,)) is where each part of the tape ends (not included), on our clock: after
    each whole step of the clock, as `analytics.luck.ledger.steps` cuts a run for its Sharpe ratio, and at the end of the tape.
    """

    instruments: tuple[Instrument, ...]
    options: Mapping[str, Any]
    rows: int
    edges_ns: np.ndarray
    tape: Tape | None = None
    _pieces: dict[bytes, tuple[np.ndarray, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, tape: Tape, instruments: Sequence[Instrument], options: Mapping[str, Any]) -> "Shared":
        """Return what the points of a sweep over `tape` share. Nothing is merged before the first point asks for it."""
        last_ns = tape.end_ns + int(options["timer_ms"] * 1e6) - 1  # one timer comes after the last row
        return cls(tuple(instruments), dict(options), len(tape), edges_of(tape.start_ns, last_ns), tape)

    def pieces(self, latencies: Iterable[Any], stop: Callable[[], bool] = lambda: False) -> tuple[np.ndarray, ...]:
        """Return the rows to run, in pieces, which nobody writes to; recorded round trips stand among them.

        Made once for all points, once more for each other recording of latencies. Raises TapeError as Tape.merge does.
        """
        extra = latency_rows(latencies)
        key = extra.tobytes()
        with self._lock:
            if key not in self._pieces:
                self._pieces[key] = self._made(extra, stop)
            return self._pieces[key]

    def write(self, path: Path, latencies: Iterable[Any], stop: Callable[[], bool] = lambda: False) -> bytes:
        """Write the rows to run into a file, as raw EVENTs; return what tells them from rows with other recorded round trips."""
        extra = latency_rows(latencies)
        with path.open("wb") as file:
            for rows in self._merged(extra, stop):
                file.write(rows.data)
        return extra.tobytes()

    def _made(self, extra: np.ndarray, stop: Callable[[], bool]) -> tuple[np.ndarray, ...]:
        return tuple(rows[low : low + PIECE_ROWS] for rows in self._merged(extra, stop) for low in range(0, len(rows), PIECE_ROWS))

    def _merged(self, extra: np.ndarray, stop: Callable[[], bool]) -> Iterator[np.ndarray]:
        if self.tape is None:
            raise InputError("recorded latencies differ between the points; on a cluster they share one recording. Leave cluster out.")
        every_ns = int(self.options["timer_ms"] * 1e6)
        for rows in with_timers(merged_chunks(self.tape, TAPE_ROWS), every_ns, start=self.options["timer_start"], extra=extra):
            yield rows
            if stop():
                return

    def forget(self) -> None:
        """Let go of the merged rows: a sweep that has ended needs them no more."""
        with self._lock:
            self._pieces.clear()


def edges_of(start_ns: int, end_ns: int) -> np.ndarray:
    """Return where the parts of a tape end (see Shared): steps of the longest of STEPS_S of which it holds STEPS_MIN, else of the shortest."""
    step_s = next((step for step in reversed(STEPS_S) if (end_ns - start_ns) / 1e9 / step >= STEPS_MIN), STEPS_S[0])
    step_ns = step_s * 1_000_000_000
    return np.append(np.arange(start_ns // step_ns + 1, end_ns // step_ns + 1, dtype=np.int64) * step_ns, end_ns) + 1


def whole_steps(equity_quote: np.ndarray) -> np.ndarray:
    """Return the P&L of each whole step, float64, shape (parts - 2,): what lies before the first and behind the last is no whole one."""
    return np.diff(equity_quote[:-1])

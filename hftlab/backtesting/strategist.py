"""A Python strategy within a backtest: asked on timers, and its answers run when it would have given them."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from hftlab.backtesting.timers import row_times
from hftlab.data.state import State
from hftlab.engine.commands import rows_of
from hftlab.errors import UserCodeError
from hftlab.strategies.base import Strategy
from hftlab.types import TIMER
from hftlab.usercode.run import blame_method


class Strategist:
    """Runs rows and asks the strategy on its timers.

    An answer takes effect `delay_ns` after the question; None charges the time that the strategy really took (then a run is not the
    same twice). What is remembered goes on from chunk to chunk: the last interval asked about, and answers not yet due.
    """

    def __init__(self, state: State, strategy: Strategy, delay_ns: int | None = 0) -> None:
        self._state, self._strategy, self._delay_ns = state, strategy, delay_ns
        self._slot = -1
        self._due: deque[tuple[int, dict[int, Any]]] = deque()
        self.asked, self.took_ns = 0, 0

    def step(self, run: Any, rows: np.ndarray) -> np.ndarray:
        """Run the rows; return what was written. Raises UserCodeError that names the strategy's line."""
        calls = self._calls(rows)
        times = row_times(rows) if len(rows) else np.zeros(0, np.int64)
        written, at = [self._state.out[:0]], 0
        try:
            for index in [*calls, None]:
                at = self._until(run, rows, times, at, len(rows) if index is None else int(index) + 1, written)
                if index is not None:
                    self._ask(run, written)
        except UserCodeError as error:
            error.written = np.concatenate([*written, self._state.out[:0] if error.written is None else error.written])
            raise
        return np.concatenate(written)

    def text(self) -> str:
        """Return how often the strategy was asked and what its time was taken to be."""
        measured = self.took_ns / max(self.asked, 1) / 1e6
        took = f"{measured:.3g} ms on average, as measured" if self._delay_ns is None else f"{self._delay_ns / 1e6:g} ms"
        return f"asked {self.asked:,} times; its answers took {took}"

    def _calls(self, rows: np.ndarray) -> np.ndarray:
        """Return the timers on which the strategy is asked: the first of each of its intervals."""
        timers = np.flatnonzero(rows["kind"] == TIMER)
        slot = rows["ts_recv_ns"][timers] // int(self._strategy.every_s * 1e9)
        called = timers[np.flatnonzero(np.diff(slot, prepend=self._slot) > 0)]
        if len(slot):
            self._slot = int(slot[-1])
        return called

    def _until(self, run: Any, rows: np.ndarray, times: np.ndarray, at: int, end: int, written: list[np.ndarray]) -> int:
        """Run rows up to `end`, and each answer that comes due on the way after all rows of its time; one due at the end waits."""
        while self._due:
            cut = max(int(np.searchsorted(times, self._due[0][0], side="right")), at)
            if cut >= end:
                break
            written.append(self._state.step(run, rows[at:cut]))
            at = cut
            self._answer(run, *self._due.popleft(), written)
        written.append(self._state.step(run, rows[at:end]))
        return end

    def _ask(self, run: Any, written: list[np.ndarray]) -> None:
        began = time.perf_counter_ns()
        try:
            answer = self._strategy.on_timer(self._state.frame(copy=False))
        except Exception as error:  # why: a user's method may raise anything
            raise blame_method(error, self._strategy.on_timer) from None
        took_ns = time.perf_counter_ns() - began
        self.asked, self.took_ns = self.asked + 1, self.took_ns + took_ns
        if answer is not None and not isinstance(answer, Mapping):
            raise UserCodeError(f"on_timer returned {answer!r}; wanted {{market number: position in base units}}, or None for no change.")
        delay_ns = took_ns if self._delay_ns is None else self._delay_ns
        if not answer:
            return
        now_ns = int(self._state.desk["now_ns"][0])
        if delay_ns == 0:
            self._answer(run, now_ns, dict(answer), written)
        else:
            # One strategy works on one thing at a time: an answer never overtakes the one before.
            last_ns = self._due[-1][0] if self._due else 0
            self._due.append((max(now_ns + delay_ns, last_ns), dict(answer)))

    def _answer(self, run: Any, ts_ns: int, answer: dict[int, Any], written: list[np.ndarray]) -> None:
        for market, qty in answer.items():
            target = rows_of("target", market, {"qty": qty}, self._state, ts_ns)
            written += [target, self._state.step(run, target)]  # a report wants to know what was wished for, and when

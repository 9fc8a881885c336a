"""`hl.walk_forward`: choose on the past, trade the next fold, go on; the only backtest of choosing parameters that is one."""

import threading
import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from hftlab.analytics.report.report import Report
from hftlab.backtesting.sweeps.cell import Cell
from hftlab.backtesting.sweeps.grid import Grid
from hftlab.backtesting.sweeps.sweep import BROKEN, CANCELLED, FINISHED, RUNNING, Progress, Sweep, sweep
from hftlab.backtesting.sweeps.walk_forward_result import Outcome, Step, outcome_of, page, step_of, table
from hftlab.data.tape import Tape
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.params import Limits
from hftlab.show import mimebundle
from hftlab.strict import number

if TYPE_CHECKING:
    import pandas as pd


class WalkForward:
    """A walk forward that runs, or ran: one sweep a fold, one after the other. `hl.walk_forward` returns it at once.

    `spans_s`: from and to of each piece of the tape; `past`: pieces to choose on; `total`: points a piece.
    """

    def __init__(self, spans_s: Sequence[tuple[float, float]], past: int | None, sweeps: Any, total: int, money: str) -> None:
        self.spans_s = tuple(spans_s)
        self.sweeps: list[Sweep] = []
        self.error: BaseException | None = None
        self._past, self._start, self._points, self._money = past, sweeps, total, money
        self._state, self._began_s, self._ended_s = RUNNING, time.monotonic(), 0.0
        self._stop = threading.Event()
        self._outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._main, name="hftlab-walk-forward", daemon=True)
        self._thread.start()

    # --- while it runs -----------------------------------------------------------------------------------------------------
    @property
    def running(self) -> bool:
        """Return whether folds are still being run."""
        return self._state == RUNNING

    def progress(self) -> Progress:
        """Return how far it is, over all folds."""
        state, each = self._state, [one.progress() for one in list(self.sweeps)]
        done, elapsed_s = sum(one.done for one in each), (self._ended_s or time.monotonic()) - self._began_s
        total = self._points * len(self.spans_s)
        left_s = elapsed_s / done * (total - done) if done else float("nan")
        return Progress(state, done, total, sum(one.failed for one in each), 0, elapsed_s, left_s)

    def wait(self, timeout_s: float | None = None) -> "WalkForward":
        """Wait until it has ended, and return it. Raises TimeoutError, or what ended it before its time."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"the walk forward has not ended after {timeout_s:g} s ({self.progress()}).")
        if self.error is not None:
            raise self.error
        return self

    def stop(self) -> None:
        """Ask it to end, and do not wait for it."""
        self._stop.set()
        for one in list(self.sweeps):
            one.stop()

    def cancel(self) -> "WalkForward":
        """End it; the folds that were done stay. Returns it, ended."""
        self.stop()
        self._thread.join()
        return self

    # --- what it found -----------------------------------------------------------------------------------------------------
    @property
    def steps(self) -> list[Step]:
        """Return the folds that have been traded so far."""
        cells = self._cells()
        by, first = (self.sweeps[0].by if self.sweeps else ""), self._past or 1
        found = []
        for k in range(first, len(cells)):
            step = step_of(k - first + 1, self.spans_s[k], cells[0 if self._past is None else k - first : k], cells[k], by)
            if step is not None:
                found.append(step)
        return found

    def table(self) -> "pd.DataFrame":
        """Return one row a fold: when, what was chosen, what it had made before and what it made here, and its rank among all points."""
        return table(self.steps)

    @property
    def outcome(self) -> Outcome:
        """Return all folds together. Raises InputError where none has been traded."""
        if self._outcome is not None:
            return self._outcome
        steps = self.steps
        if not steps:
            raise InputError(f"no fold has been traded ({self.progress()}): a point must come to its end in a fold and in its past.")
        made = outcome_of(steps, self._cells(), self._money)
        if not self.running:
            self._outcome = made
        return made

    def report(self, fold: int) -> Report:
        """Return the whole report of what was chosen for `fold` (1, 2, …), on that fold. Raises InputError."""
        step = next((one for one in self.steps if one.fold == fold), None)
        if step is None:
            raise InputError(f"fold {fold} was not traded; wanted one of {[one.fold for one in self.steps]}.")
        return self.sweeps[len(self.spans_s) - self._traded() + fold - 1].report(step.point)

    # --- within ------------------------------------------------------------------------------------------------------------
    def _traded(self) -> int:
        return len(self.spans_s) - (self._past or 1)

    def _cells(self) -> list[list[Cell]]:
        """Return the points of the folds that were run whole."""
        return [one.cells for one in list(self.sweeps) if one.progress().state == FINISHED]

    def _main(self) -> None:
        state = FINISHED
        try:
            for span_s in self.spans_s:
                if self._stop.is_set():
                    break
                self.sweeps.append(self._start(span_s))
                if self._stop.is_set():  # pressed while the sweep began
                    self.sweeps[-1].stop()
                self.sweeps[-1].wait()
        except BaseException as error:  # why: it is raised again by wait(), and stands on the screen
            self.error, state = error, BROKEN
        self._ended_s = time.monotonic()
        self._state = CANCELLED if self._stop.is_set() and state == FINISHED else state

    def __repr__(self) -> str:
        return f"<WalkForward {self.progress()}>"

    def _repr_html_(self) -> str:
        said = f"<b>Walk forward</b> {escape(str(self.progress()))}"
        if self.error is not None:
            said += f"<div style='color:#d1495b'>{escape(type(self.error).__name__)}: {escape(str(self.error))}</div>"
        return f"<div style='font-size:12px'><div>{said}</div>{page(self.outcome) if self.steps else ''}</div>"

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return mimebundle("sweep:walk_widget", self)


def walk_forward(
    tape: Tape,
    instrument: Instrument | Sequence[Instrument] | None,
    grid: Grid,
    limits: Limits | Sequence[Limits],
    *,
    folds: int = 5,
    past: int | None = 1,
    purge_s: float = 0.0,
    embargo_s: float = 0.0,
    **options: Any,
) -> WalkForward:
    """Choose among the points of a grid on the past, trade the choice in the next fold, and so on; return the running WalkForward at once.

    The tape is cut into `folds` pieces that are traded and, before them, `past` pieces to choose on (None: on all that went before). Every
    point is run once in every piece, from flat to its mark at the end, which is both the past of later pieces and the result of its own.
    Between two pieces `purge_s` at the end of one (for fills that are still to come of its orders) and `embargo_s` at the start of the next
    are left out. Other arguments (queue, latency, fees, score, workers, cluster, …) are those of hl.sweep. Raises InputError, UnknownName.
    """
    if not isinstance(grid, Grid):
        raise InputError("a walk forward wants the same points in every fold: a grid, or some of its points with .sample(n).")
    if not isinstance(tape, Tape):
        raise InputError("a walk forward wants a tape in memory (hl.load): it is cut into folds.")
    pieces = int(number(folds, "folds", 1, 1000)) + (1 if past is None else int(number(past, "past", 1, 1000)))
    purge_s, embargo_s = number(purge_s, "purge_s", 0), number(embargo_s, "embargo_s", 0)
    each_s = tape.span_s / pieces
    if each_s <= purge_s + embargo_s:
        raise InputError(
            f"a piece of {each_s:,.3f} s is no longer than purge_s={purge_s:g} and embargo_s={embargo_s:g} together; use fewer folds."
        )
    spans_s = [(k * each_s + (embargo_s if k else 0.0), (k + 1) * each_s - (purge_s if k + 1 < pieces else 0.0)) for k in range(pieces)]

    def start(span_s: tuple[float, float]) -> Sweep:
        low, high = span_s
        whole = high >= tape.span_s * (1 - 1e-12)
        return sweep(tape.slice(low or None, None if whole else high), instrument, grid, limits, **options)

    first = start(spans_s[0])  # here, so that what fits no point is said at once
    waiting = [first]
    return WalkForward(spans_s, past, lambda span_s: waiting.pop() if waiting else start(span_s), len(grid), tape.instruments[0].settle)

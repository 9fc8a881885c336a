"""`hl.sweep`: many points of a grid over one tape, in threads, while the notebook goes on."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hftlab.analytics.report.report import Report
from hftlab.assumptions import Fees, Latency, Queue
from hftlab.backtesting.run import TIMER_STARTS, backtest, instruments_of
from hftlab.backtesting.sweeps.cell import DONE, FAILED, FIGURES, PRUNED, Cell, Score, state_of
from hftlab.backtesting.sweeps.cluster import Cluster
from hftlab.backtesting.sweeps.count import count_points, counted_trials
from hftlab.backtesting.sweeps.found import Found, by_of
from hftlab.backtesting.sweeps.grid import Grid, Point
from hftlab.backtesting.sweeps.points import GridPoints, Points, Threads, cores, several
from hftlab.backtesting.sweeps.search import Search, probe
from hftlab.backtesting.sweeps.shared import Shared
from hftlab.data.tape import Tape
from hftlab.errors import HftlabError, InputError
from hftlab.instrument import Instrument
from hftlab.params import Limits
from hftlab.strict import choice, keywords, number
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner

RUNNING, FINISHED, CANCELLED, BROKEN = "running", "finished", "cancelled", "broken"


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: `state` (running, finished, cancelled, broken), seconds gone and left (NaN: not known yet).

    Points: `done` of `total`; of them `failed`, and `pruned` (given up early by a search).
    """

    state: str
    done: int
    total: int
    failed: int
    pruned: int
    elapsed_s: float
    left_s: float

    def __str__(self) -> str:
        parts = [f"{self.done:,} of {self.total:,} points"]
        parts += [f"{count:,} {word}" for count, word in ((self.failed, "failed"), (self.pruned, "given up early")) if count]
        parts.append(f"{self.elapsed_s:,.1f} s")
        if self.state == RUNNING and math.isfinite(self.left_s):
            parts.append(f"{self.left_s:,.0f} s left")
        return f"{self.state}: {', '.join(parts)}"


class Sweep(Found):
    """A sweep that runs, or ran: `hl.sweep` returns it at once. Results are there as they come; a point that fails is a row of the table."""

    def __init__(
        self,
        grid: Grid,
        shared: Shared,
        points: Points,
        crew: Threads | Cluster,
        call: dict[str, Any],
        score: str | Score,
        stop: threading.Event,
    ) -> None:
        self.grid, self.score = grid, score
        self._shared, self._points, self._crew, self._call = shared, points, crew, call
        self.trouble = ""  # what kept the lab from counting these points
        self._cells: dict[int, Cell] = {}
        self._lock = threading.Lock()
        self._stop = stop
        self._state = RUNNING
        self.error: BaseException | None = None
        self._began_s, self._first_s, self._ended_s = time.monotonic(), 0.0, 0.0  # 0.0: not yet
        self._thread = threading.Thread(target=self._main, name="hftlab-sweep", daemon=True)
        self._thread.start()

    # --- while it runs -----------------------------------------------------------------------------------------------------
    def progress(self) -> Progress:
        """Return how far it is."""
        with self._lock:
            cells, now_s = list(self._cells.values()), self._ended_s or time.monotonic()
            state, total, first_s = self._state, self._points.total, self._first_s
        # Of the first point one sees only that it is done: what it took lies before the time from which the pace is measured.
        left_s = (now_s - first_s) / (len(cells) - 1) * (total - len(cells)) if len(cells) > 1 else math.nan
        failed, pruned = (sum(cell.state == one for cell in cells) for one in (FAILED, PRUNED))
        return Progress(state, len(cells), total, failed, pruned, now_s - self._began_s, left_s)

    @property
    def running(self) -> bool:
        """Return whether points are still being run."""
        return self._state == RUNNING

    def wait(self, timeout_s: float | None = None) -> "Sweep":
        """Wait until it has ended, and return it. Raises TimeoutError, or what ended it before its time.

        Interrupting the cell ends the waiting, not the sweep; `cancel` ends that.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self._thread.is_alive():
            if until_s is not None and time.monotonic() >= until_s:
                raise TimeoutError(f"the sweep has not ended after {timeout_s:g} s ({self.progress()}).")
            self._thread.join(0.1 if until_s is None else max(0.0, min(0.1, until_s - time.monotonic())))
        if self.error is not None:
            raise self.error
        return self

    def cancel(self) -> "Sweep":
        """End it: no further point begins, those that run are given up. What was found stays. Returns it, ended."""
        self.stop()
        self._thread.join()
        return self

    def stop(self) -> None:
        """Ask it to end, and do not wait for it."""
        self._stop.set()

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return the instruments of the tape."""
        return self._shared.instruments

    # --- what it found -----------------------------------------------------------------------------------------------------
    @property
    def cells(self) -> list[Cell]:
        """Return what each point came to so far, by number."""
        with self._lock:
            return [self._cells[number] for number in sorted(self._cells)]

    def report(self, point: int | Cell | None = None) -> Report:
        """Return the whole report of `point` (its number or Cell; the best by default): it is run again, and must come out the same to the last order.

        Raises InputError for a point that was not run to its end, or that came out otherwise: then the tape, or something that a
        `decide` reads, was changed since.
        """
        cell = self.best if point is None else point if isinstance(point, Cell) else self._cell(point)
        if cell.state != DONE:
            raise InputError(f"point {cell.number} was not run to its end ({cell.state}{': ' + cell.error if cell.error else ''}).")
        report = backtest(self._tape, self._shared.instruments, **self.arguments(cell), **self._shared.options)
        if report.digest != cell.figures["digest"]:
            raise InputError(
                f"point {cell.number} came out as {report.digest}, in the sweep as {cell.figures['digest']}: the tape, or something that the "
                "quoter's code reads, was changed since. Run the sweep again."
            )
        return report

    def arguments(self, point: Cell | Point) -> dict[str, Any]:
        """Return what hl.backtest is called with at a point, beside tape, instrument and timers."""
        return self.grid.arguments(Point(point.number, point.params), self._call)

    # --- within ------------------------------------------------------------------------------------------------------------
    @property
    def _tape(self) -> Tape:
        assert self._shared.tape is not None  # only workers of a cluster have none
        return self._shared.tape

    def _counted(self) -> tuple[float, int]:
        edges_ns = self._shared.edges_ns
        return float(edges_ns[1] - edges_ns[0]) / 1e9 if len(edges_ns) > 2 else math.nan, counted_trials(self._shared)

    def _cell(self, number_of_point: int) -> Cell:
        with self._lock:
            cell = self._cells.get(number_of_point)
        if cell is None:
            raise InputError(
                f"point {number_of_point} was not run; there are {len(self._cells):,} of {self._points.total:,} ({self._state})."
            )
        return cell

    def _main(self) -> None:
        try:
            self._crew.play(self._shared, self.grid, self._call, self.score, self._points, self._take)
            state = CANCELLED if self._stop.is_set() else FINISHED
        except BaseException as error:  # why: it is raised again by wait(), and stands on the screen
            self.error, state = error, BROKEN
        self._shared.forget()
        self._ended_s = time.monotonic()
        try:
            self.trouble = count_points(self._shared, self.cells, self.arguments)
        except Exception as error:  # why: whatever goes wrong with the count, the points are done and wanted
            self.trouble = f"these points were not counted ({type(error).__name__}: {error})."
        self._state = state

    def _take(self, cell: Cell) -> None:
        with self._lock:
            self._first_s = self._first_s or time.monotonic()
            self._cells[cell.number] = cell

    def __repr__(self) -> str:
        return f"<Sweep {self.progress()}>"


@keywords
def sweep(
    tape: Tape,
    instrument: Instrument | Sequence[Instrument] | None,
    grid: Grid | Search,
    limits: Limits | Sequence[Limits],
    *,
    queue: Queue | str | Sequence[Queue | str] = "power",
    latency: Latency | Sequence[Latency] | None = None,
    fees: Fees | Sequence[Fees] | None = None,
    timer_ms: float = 100.0,
    timer_start: str | int = "grid",
    sample_ms: float = 250.0,
    bar_s: float = 10.0,
    score: str | Callable[[Report], float] = "pnl_quote",
    workers: int | None = None,
    cluster: Any = None,
) -> Sweep:
    """Run every point of a grid (hl.grid), or of a search (hl.grid(…).search(…)), over a tape, as hl.backtest would, and return the running Sweep at once.

    Threads share the tape, one a core unless `workers` says otherwise; `cluster` ("tcp://…", or a Cluster or Client of distributed) runs
    the points on Dask's workers instead. `score` ranks the points: a name of `Report.summary`, or a
    function of the Report; larger is better, but for drawdowns and requests per fill. Arguments that fit no point raise here, a point
    that fails is a row. Raises InputError, UnknownName, UserCodeError.
    """
    if not isinstance(tape, Tape):
        raise InputError("a sweep wants a tape in memory (hl.load): its points share it. A stream is read once, by one hl.backtest.")
    options = {"timer_ms": number(timer_ms, "timer_ms", 0.001), "timer_start": timer_start, "sample_ms": sample_ms, "bar_s": bar_s}
    if isinstance(timer_start, str):
        choice(timer_start, TIMER_STARTS, "timer_start")
    call = {"limits": limits, "queue": queue, "latency": latency, "fees": fees}
    shared = Shared.of(tape, instruments_of(tape, instrument), options)
    space = grid.grid if isinstance(grid, Search) else grid
    _check(shared, space, probe(grid) if isinstance(grid, Search) else grid, call)
    points: Points = grid.points(by_of(score)) if isinstance(grid, Search) else GridPoints(grid)
    decide = decide_of(several(space.quoter))
    if decide is not None:
        runner(decide)  # compiled here, so that what is wrong with it is said at once
    stop = threading.Event()
    crew = Threads(cores(workers), stop.is_set) if cluster is None else Cluster(cluster, stop.is_set)
    return Sweep(space, shared, points, crew, call, score, stop)


def _check(shared: Shared, grid: Grid, some: Grid, call: dict[str, Any]) -> None:
    """Raise what is wrong with every one of some points; what is wrong with one is a row of the table."""
    taken = set(grid.axes) & {*FIGURES, "sharpe_block", "score", "outcome", "error", "took_s"}
    if taken:
        raise InputError(f"the axis {min(taken)!r} has the name of a figure; give that value of the quoter another name.")
    first: HftlabError | None = None
    for point in some.points[:100]:
        try:
            state_of(shared, grid.arguments(point, call))
        except HftlabError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first

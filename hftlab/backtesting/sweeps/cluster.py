"""A sweep on a cluster of Dask: the same points, the same rows, run by its workers; the points of a worker that dies are run again.

The merged tape goes there once: as a file that every worker maps into its memory where they all see it (workers of one machine then
share one copy), else as an array that Dask copies to each worker.
"""

import dataclasses
import importlib
import math
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.assumptions import Latency
from hftlab.backtesting.sweeps.cell import FAILED, Cell, Lane, Score, Stopped
from hftlab.backtesting.sweeps.grid import Grid, Point
from hftlab.backtesting.sweeps.points import GridPoints, Points, several
from hftlab.backtesting.sweeps.shared import PIECE_ROWS, Shared
from hftlab.errors import InputError
from hftlab.kernels import core
from hftlab.params import Quoter, UserQuoter
from hftlab.strict import spread
from hftlab.types import EVENT
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner
from hftlab.usercode.travel import capture, restore

BATCH_S = 0.25
"""Points that together take about so long are one task: each costs the scheduler a millisecond, and a cancel waits for none longer."""

LOOK_S = 0.3  # so often a worker asks whether the sweep was cancelled
TRIES = 4  # of a batch whose workers keep dying; a point that kills them is then a row that says so


@dataclass(frozen=True)
class Job:
    """What the workers need to know once: all but the rows and the points."""

    name: str
    path: str
    instruments: tuple[Any, ...]
    options: Mapping[str, Any]
    rows: int
    edges_ns: np.ndarray
    recorded: bytes
    quoter: Quoter | tuple[Quoter, ...]
    code: dict[str, Any] | None
    call: Mapping[str, Any]
    score: str | Score


class Cluster:
    """Workers of a Dask cluster: `where` is its address ("tcp://…"), or a Cluster or Client of distributed."""

    def __init__(self, where: Any, stop: Callable[[], bool] = lambda: False) -> None:
        self._where, self._stop = where, stop
        self._tries: dict[int, int] = {}

    def client(self) -> tuple[Any, bool]:
        """Return a client, and whether it is ours to close. Raises InputError without distributed, or where nobody answers."""
        try:
            distributed: Any = importlib.import_module("distributed")
        except ModuleNotFoundError as error:
            raise InputError(
                "a cluster needs Dask: pip install 'hftlab[cluster]'. Without it, a sweep uses the threads of this machine."
            ) from error
        if isinstance(self._where, distributed.Client):
            return self._where, False
        try:
            return distributed.Client(self._where, set_as_default=False, timeout=10), True
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {self._where!r} ({error}); start one with `dask scheduler`.") from error

    def play(
        self, shared: Shared, grid: Grid, call: Mapping[str, Any], score: str | Score, points: Points, sink: Callable[[Cell], None]
    ) -> None:
        """Run all points; `sink` hears each cell, once. Returns when there are no more, or when the sweep is cancelled."""
        client, ours = self.client()
        folder = tempfile.TemporaryDirectory(prefix="hftlab-sweep-")
        try:
            with folder, client.as_current():
                path = Path(folder.name) / "rows"
                latencies = spread(call["latency"] or Latency(), len(shared.instruments), "latencies")
                recorded = shared.write(path, latencies, self._stop)
                job = _job(shared, grid, call, score, path, recorded)
                mapped = all(client.run(_sees, str(path), path.stat().st_size).values())
                rows = None if mapped else client.scatter(np.fromfile(path, EVENT), broadcast=True)
                self._play(client, job, rows, points, sink)
        finally:
            if ours:
                client.close()

    def _play(self, client: Any, job: Job, rows: Any, points: Points, sink: Callable[[Cell], None]) -> None:
        distributed: Any = importlib.import_module("distributed")  # it has no types
        flying: dict[Any, list[Point]] = {}
        given, took_s, left = 0, 0.0, True
        seen: set[int] = set()
        while (left or flying) and not self._stop():
            slots = 2 * max(1, sum(client.nthreads().values()))
            while left and len(flying) < slots:
                batch = _batch(points, _size(points, took_s, len(seen), given, slots))
                left = bool(batch)
                if batch:
                    given += len(batch)
                    flying[client.submit(run_batch, job, rows, batch, key=f"{job.name}-{batch[0].number}")] = batch
            try:
                over = distributed.wait(list(flying), timeout=0.2, return_when="FIRST_COMPLETED").done if flying else set()
            except TimeoutError:
                over = set()
            for future in over:
                batch = flying.pop(future)
                for cell in self._cells(client, job, rows, future, batch, flying):
                    if cell.number not in seen:  # what a dying worker had still told is not told twice
                        seen.add(cell.number)
                        took_s += cell.took_s
                        points.done(cell)
                        sink(cell)
        if self._stop():
            distributed.Event(job.name).set()
            client.cancel(list(flying), force=True)

    def _cells(self, client: Any, job: Job, rows: Any, future: Any, batch: list[Point], flying: dict[Any, list[Point]]) -> list[Cell]:
        """Return what a task came to; where its workers died it is sent again, and after TRIES its points are rows that say so."""
        error: BaseException | None
        try:
            error = future.exception()
            if error is None:
                return list(future.result())
        except Exception as lost:  # why: the result went with its worker; Dask says so in several ways
            error = lost
        number = batch[0].number
        self._tries[number] = self._tries.get(number, 0) + 1
        if self._tries[number] < TRIES:
            again = f"{job.name}-{number}-{self._tries[number]}"
            flying[client.submit(run_batch, job, rows, batch, key=again)] = batch
            return []
        return [Cell(one.number, one.params, FAILED, error=f"{type(error).__name__}: {error}") for one in batch]


def _job(shared: Shared, grid: Grid, call: Mapping[str, Any], score: str | Score, path: Path, recorded: bytes) -> Job:
    decide = decide_of(several(grid.quoter))
    quoter = grid.quoter
    if decide is not None:  # as text: a function of a notebook is no part of any module that a worker could import
        bare = tuple(dataclasses.replace(one, decide=None) for one in several(quoter))
        quoter = bare[0] if isinstance(grid.quoter, Quoter) else bare
    return Job(
        name=f"hftlab-sweep-{uuid.uuid4().hex[:12]}",
        path=str(path),
        instruments=shared.instruments,
        options=shared.options,
        rows=shared.rows,
        edges_ns=shared.edges_ns,
        recorded=recorded,
        quoter=quoter,
        code=None if decide is None else capture(decide),
        call=dict(call),
        score=score,
    )


def _batch(points: Points, size: int) -> list[Point]:
    found: list[Point] = []
    while len(found) < size and (point := points.take()) is not None:
        found.append(point)
    return found


def _size(points: Points, took_s: float, done: int, given: int, slots: int) -> int:
    """Return how many points make a task: about BATCH_S of them, fewer near the end, one while nothing is known or a search asks."""
    if not done or not isinstance(points, GridPoints):
        return 1
    fit = int(BATCH_S / max(took_s / done, 1e-6))
    return max(1, min(fit, math.ceil((points.total - given) / (2 * slots))))


# --- what a worker runs --------------------------------------------------------------------------------------------------------

_KEPT: dict[str, tuple[Shared, Grid, Any]] = {}


def _sees(path: str, size: int) -> bool:
    """Return whether this worker sees the file."""
    return Path(path).is_file() and Path(path).stat().st_size == size


def run_batch(job: Job, rows: np.ndarray | None, points: list[Point]) -> list[Cell]:
    """Run points in a worker; a sweep that was cancelled ends them early. `rows` is the merged tape, None where the worker maps it."""
    if job.name not in _KEPT:
        made = _opened(job, rows)  # two threads may both do so: the same twice
        _KEPT.clear()  # the tape of an earlier sweep
        _KEPT[job.name] = made
    shared, grid, run = _KEPT[job.name]
    lane = Lane(shared, run, job.score, _Cancelled(job.name))
    found = []
    try:
        for point in points:
            found.append(lane.cell(point, grid.arguments(point, job.call)))  # noqa: PERF401  # what was found before a cancel is kept
    except Stopped:
        pass
    return found


def _opened(job: Job, rows: np.ndarray | None) -> tuple[Shared, Grid, Any]:
    if rows is None:
        rows = np.asarray(np.memmap(job.path, EVENT, mode="c"))  # "c": writable to numba, one compiled loop for all; nobody writes
    pieces = tuple(rows[low : low + PIECE_ROWS] for low in range(0, len(rows), PIECE_ROWS))
    shared = Shared(job.instruments, job.options, job.rows, job.edges_ns, _pieces={job.recorded: pieces})
    decide = None if job.code is None else restore(job.code)
    quoters = tuple(dataclasses.replace(one, decide=decide) if isinstance(one, UserQuoter) else one for one in several(job.quoter))
    quoter = quoters[0] if isinstance(job.quoter, Quoter) else quoters
    return shared, Grid(quoter, {}), core.run if decide is None else runner(decide)


class _Cancelled:
    """Whether the sweep was cancelled, asked of the scheduler now and then."""

    def __init__(self, name: str) -> None:
        self._name, self._due_s, self._said = name, time.monotonic() + LOOK_S, False

    def __call__(self) -> bool:
        if not self._said and time.monotonic() >= self._due_s:
            distributed: Any = importlib.import_module("distributed")
            try:
                self._said = bool(distributed.Event(self._name, client=distributed.get_client()).is_set())
            except (OSError, TimeoutError, ValueError):
                self._said = False  # a scheduler that does not answer has cancelled nothing; without one a worker ends by itself
            self._due_s = time.monotonic() + LOOK_S
        return self._said

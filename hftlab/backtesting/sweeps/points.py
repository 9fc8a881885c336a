"""Where the points of a sweep come from, and how threads share them out."""

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hftlab.backtesting.sweeps.cell import Cell, Lane, Score, Stopped
from hftlab.backtesting.sweeps.grid import Grid, Point
from hftlab.backtesting.sweeps.shared import Shared
from hftlab.kernels import core
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner


class Points(Protocol):
    """Gives out points and hears what became of them; called from several threads."""

    total: int

    def take(self) -> Point | None:
        """Return the next point to run, None when there is none left."""

    def told(self, point: Point, piece: int, pnl_quote: float) -> None:
        """Hear how far a point has come; may raise Pruned."""

    def done(self, cell: Cell) -> None:
        """Hear what a point came to."""


class GridPoints:
    """The points of a grid, in their order."""

    def __init__(self, grid: Grid) -> None:
        self.total = len(grid.points)
        self._points: Iterator[Point] = iter(grid.points)
        self._lock = threading.Lock()

    def take(self) -> Point | None:
        """Return the next point."""
        with self._lock:
            return next(self._points, None)

    def told(self, point: Point, piece: int, pnl_quote: float) -> None:
        """Grids give up no point."""

    def done(self, cell: Cell) -> None:
        """Grids learn nothing."""


@dataclass(frozen=True)
class Threads:
    """Threads of this process over one tape in memory; the kernels run without the GIL."""

    workers: int
    stop: Callable[[], bool]

    def play(
        self, shared: Shared, grid: Grid, call: Mapping[str, Any], score: str | Score, points: Points, sink: Callable[[Cell], None]
    ) -> None:
        """Run all points; `sink` hears each cell. Returns when there are no more, or when the sweep is cancelled."""
        decide = decide_of(several(grid.quoter))
        run = core.run if decide is None else runner(decide)
        failures: list[BaseException] = []

        def work() -> None:
            try:
                lane = Lane(shared, run, score, self.stop)
                while not self.stop() and (point := points.take()) is not None:
                    cell = lane.cell(point, grid.arguments(point, call), functools.partial(points.told, point))
                    points.done(cell)
                    sink(cell)
            except Stopped:
                return
            except BaseException as error:  # why: a thread that ended in silence would leave its points out; the sweep raises it
                failures.append(error)

        others = [threading.Thread(target=work, name=f"hftlab-sweep-{n}", daemon=True) for n in range(1, self.workers)]
        for thread in others:
            thread.start()
        work()
        for thread in others:
            thread.join()
        if failures:
            raise failures[0]


def cores(workers: int | None) -> int:
    """Return how many threads to use: those asked for, or one a core that this process may use."""
    if workers is not None:
        return max(1, int(workers))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def several(value: Any) -> tuple[Any, ...]:
    """Return the value as a tuple, one alone too."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)

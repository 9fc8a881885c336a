"""A search: each next point is chosen by what the points before came to (optuna), and a hopeless one is given up on the way."""

import math
import threading
from dataclasses import dataclass, replace
from typing import Any

from hftlab.backtesting.sweeps.cell import DONE, PRUNED, Cell, Pruned
from hftlab.backtesting.sweeps.grid import Grid, Point, Range
from hftlab.backtesting.sweeps.result import SMALLER_IS_BETTER, value_of
from hftlab.errors import InputError

STARTS = 10
"""Points that are drawn at random before the search begins to choose, and that are never given up."""


@dataclass(frozen=True)
class Search:
    """`trials` points of `grid` (lists and ranges), chosen by optuna's TPE sampler from `seed`, or by the sampler of a `study` of the user's.

    With `prune` a point whose P&L after a part of the tape is below the median of the others there is given up; only where the score is
    `pnl_quote`, for of other figures there is no value on the way. The same seed and one worker give the same points; several workers
    ask for points before others are done, so which ones depends on who was faster.
    """

    grid: Grid
    trials: int
    seed: int = 0
    prune: bool = True
    study: Any = None

    def points(self, by: str) -> "SearchPoints":
        """Return the points of a sweep that is ranked by the figure `by`. Raises InputError without optuna."""
        try:
            import optuna
        except ModuleNotFoundError as error:
            raise InputError(
                "a search needs optuna: pip install 'hftlab[sweep]'. Without it, .sample(n) draws points at random."
            ) from error
        study = self.study
        if study is None:
            pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTS, n_warmup_steps=1)
            sampler = optuna.samplers.TPESampler(seed=self.seed, n_startup_trials=STARTS)
            before = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)  # or it prints that it made a study
            study = optuna.create_study(direction="minimize" if by in SMALLER_IS_BETTER else "maximize", sampler=sampler, pruner=pruner)
            optuna.logging.set_verbosity(before)
        return SearchPoints(self, study, by)

    def __repr__(self) -> str:
        return f"<Search of {self.trials:,} points over {', '.join(f'{name} {values}' for name, values in self.grid.axes.items())}>"


class SearchPoints:
    """The points of a search, as they are asked for. One that was run before is not run again: the search hears its result once more."""

    def __init__(self, search: Search, study: Any, by: str) -> None:
        import optuna

        self.total = search.trials
        self.study = study
        self._by, self._prune = by, search.prune and by == "pnl_quote"
        self._states = optuna.trial.TrialState
        self._values = {name: _ordered(values) for name, values in search.grid.axes.items()}
        self._spaces = {name: _space(values) for name, values in self._values.items()}
        self._trials: dict[int, Any] = {}
        self._known: dict[tuple[str, ...], float] = {}
        self._asked, self._given = 0, 0
        self._lock = threading.Lock()

    def take(self) -> Point | None:
        """Return the point that the search wants to see next."""
        with self._lock:
            while self._given < self.total:
                trial = self.study.ask(self._spaces)
                values = {name: _value(self._values[name], trial.params[name]) for name in self._values}
                known = self._known.get(_key(values))
                if known is None:
                    number, self._given = self._given, self._given + 1
                    self._trials[number] = trial
                    return Point(number, values)
                self.study.tell(trial, known)
                self.total -= 1  # it was a trial, and told nothing new
            return None

    def told(self, point: Point, piece: int, pnl_quote: float) -> None:
        """Tell the search how far a point has come. Raises Pruned where it gives it up."""
        if not self._prune:
            return
        with self._lock:
            trial = self._trials[point.number]
            trial.report(pnl_quote, piece)
            if trial.should_prune():
                raise Pruned

    def done(self, cell: Cell) -> None:
        """Tell the search what a point came to."""
        value = value_of(cell, self._by)
        with self._lock:
            trial = self._trials.pop(cell.number)
            if cell.state == PRUNED:
                self.study.tell(trial, state=self._states.PRUNED)
            elif cell.state == DONE and math.isfinite(value):
                self.study.tell(trial, value)
                self._known[_key(dict(cell.params))] = value
            else:
                self.study.tell(trial, state=self._states.FAIL)


def _ordered(values: tuple[Any, ...] | Range) -> tuple[Any, ...] | Range:
    """Return the values of an axis, numbers in their order: a search learns from neighbours."""
    numbers = not isinstance(values, Range) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    return tuple(sorted(values)) if numbers else values  # type: ignore[arg-type]  # a Range is no numbers


def _space(values: tuple[Any, ...] | Range) -> Any:
    """Return optuna's distribution: of a list the places of its values, ordered where they are numbers."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Range):
        if values.whole:
            return IntDistribution(int(values.low), int(values.high), log=values.log)
        return FloatDistribution(values.low, values.high, log=values.log)
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(tuple(range(len(values))))


def _value(values: tuple[Any, ...] | Range, chosen: Any) -> Any:
    return chosen if isinstance(values, Range) else values[int(chosen)]


def _key(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(map(repr, values.values()))


def probe(search: Search) -> Grid:
    """Return some points of a search's grid drawn at random, to see whether any can be run."""
    return replace(search.grid, drawn=None).sample(1, search.seed)

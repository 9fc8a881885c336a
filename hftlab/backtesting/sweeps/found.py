"""What a running or ended sweep can be asked: its points so far as a table, ranked, on a map, and with the part of luck."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from hftlab.backtesting.sweeps import page
from hftlab.backtesting.sweeps.cell import Cell, Score
from hftlab.backtesting.sweeps.grid import Grid, label
from hftlab.backtesting.sweeps.luck import Luck, luck_of
from hftlab.backtesting.sweeps.result import RANKED, check_name, ranked, table
from hftlab.errors import InputError
from hftlab.show import mimebundle

if TYPE_CHECKING:
    import pandas as pd


def by_of(score: str | Score) -> str:
    """Return the name that a score has among the figures of a cell."""
    return score if isinstance(score, str) and score in RANKED else "score"


class Found(ABC):
    """The results of a sweep, as far as it has come."""

    grid: Grid
    score: str | Score
    _luck: tuple[int, Luck] | None = None

    @property
    @abstractmethod
    def cells(self) -> list[Cell]:
        """Return what each point came to so far, by number."""

    @abstractmethod
    def _counted(self) -> tuple[float, int]:
        """Return the seconds of a step, and how many rules were ever tried on this data."""

    @abstractmethod
    def progress(self) -> Any:
        """Return how far it is."""

    @property
    def by(self) -> str:
        """Return the name of the figure that points are ranked by."""
        return by_of(self.score)

    def table(self) -> "pd.DataFrame":
        """Return one row a point: its axes, its figures (see cell.FIGURES), `outcome`, `error` and `took_s`."""
        return table(self.cells, list(self.grid.axes))

    def ranking(self, by: str | None = None, n: int | None = 10) -> "pd.DataFrame":
        """Return the best `n` rows of the table (None: all) by a figure, the sweep's own score unless named. Raises UnknownName."""
        found = ranked(self.cells, self._named(by))
        return table(found if n is None else found[:n], list(self.grid.axes))

    @property
    def best(self) -> Cell:
        """Return the best point by the score. Raises InputError where no point was run to its end."""
        return self.best_by(self.by)

    def best_by(self, by: str) -> Cell:
        """Return the best point by a figure. Raises UnknownName, and InputError where no point was run to its end."""
        found = ranked(self.cells, self._named(by))
        if not found:
            raise InputError(f"no point has come to its end ({self.progress()}); the column `error` of .table() says what went wrong.")
        return found[0]

    def heatmap(self, x: str, y: str, value: str | None = None, of: str = "best") -> page.Heatmap:
        """Return the map of a figure over two axes; a click on a square shows the report of its point.

        Where several points share a square it shows the best of them, or with `of="mean"` their mean. Raises UnknownName, InputError.
        """
        if of not in {"best", "mean"}:
            raise InputError(f"of was {of!r}; wanted 'best' (of the points that share a square) or 'mean'.")
        made = page.Heatmap(self, x, y, self._named(value), of)  # type: ignore[arg-type]  # a Sweep
        made.svg()
        return made

    def luck(self) -> Luck:
        """Return what is left of the best point after the number of trials. Raises InputError where no point was run to its end."""
        cells, best = self.cells, self.best
        if self._luck is None or self._luck[0] != len(cells):
            self._luck = len(cells), luck_of(cells, best, *self._counted())
        return self._luck[1]

    def summary(self) -> dict[str, Any]:
        """Return in a few figures what it found: points by outcome, the best by each figure (`best_by`), and the luck in words."""
        cells = self.cells
        outcomes = {state: sum(cell.state == state for cell in cells) for state in dict.fromkeys(cell.state for cell in cells)}
        best = {}
        for name in ("pnl_quote", "sharpe_block", "drawdown_quote_max", *(["score"] if self.by == "score" else [])):
            one = self.best_by(name)
            best[name] = {"point": one.number, **{axis: label(value) for axis, value in one.params.items()}, name: one.figures.get(name)}
        return {"points": len(cells), **outcomes, "best_by": best, "luck": self.luck().text()}

    def _named(self, by: str | None) -> str:
        return self.by if by is None else check_name(by, [*RANKED, *(["score"] if self.by == "score" else [])])

    def _repr_html_(self) -> str:
        return page.page(self)  # type: ignore[arg-type]  # a Sweep

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return mimebundle("sweep:sweep_widget", self)

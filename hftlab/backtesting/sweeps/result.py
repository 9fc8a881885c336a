"""What a sweep found: a table, rankings, a map of two axes, and how much of the best is luck."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hftlab.backtesting.sweeps.cell import DONE, FIGURES, Cell
from hftlab.backtesting.sweeps.grid import Range, label
from hftlab.errors import UnknownName, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

SMALLER_IS_BETTER = frozenset({"drawdown_quote_max", "order_to_trade", "took_s"})
BINS = 12
RANKED = (*(name for name in FIGURES if name not in {"state", "digest"}), "sharpe_block")


def value_of(cell: Cell, by: str) -> float:
    """Return a figure of a cell as a number, NaN where it has none."""
    value = cell.figures.get(by, math.nan)
    return float(value) if isinstance(value, int | float) else math.nan


def check_name(by: str, known: Sequence[str]) -> str:
    """Return the name of a figure. Raises UnknownName."""
    if by not in known:
        raise UnknownName(f"a point of a sweep has no figure {by!r}.{did_you_mean(by, known)}")
    return by


def ranked(cells: Sequence[Cell], by: str) -> list[Cell]:
    """Return the cells that were run to their end, best first; those without the figure last, equal ones by number."""
    sign = 1.0 if by in SMALLER_IS_BETTER else -1.0

    def key(cell: Cell) -> tuple[bool, float, int]:
        value = value_of(cell, by)
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value, cell.number

    return sorted((cell for cell in cells if cell.state == DONE), key=key)


def table(cells: Sequence[Cell], axes: Sequence[str]) -> "pd.DataFrame":
    """Return one row a cell, by number: its axes, figures, what became of it (`outcome`), its error in words, and what it took."""
    import pandas as pd

    names = dict.fromkeys(name for cell in cells for name in cell.figures)
    rows = [
        {name: label(cell.params[name]) for name in axes}
        | {name: cell.figures.get(name, math.nan) for name in names}
        | {"outcome": cell.state, "error": cell.error, "took_s": cell.took_s}
        for cell in cells
    ]
    columns = [*axes, *names, "outcome", "error", "took_s"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index([cell.number for cell in cells], name="point"))


def cells_of_map(cells: Sequence[Cell], places: Mapping[str, "Places"], x: str, y: str, value: str) -> dict[tuple[int, int], list[Cell]]:
    """Return the cells of each square (column, row) of the map of two axes, the best by `value` first."""
    found: dict[tuple[int, int], list[Cell]] = {}
    for cell in cells:
        found.setdefault((places[x].of(cell.params[x]), places[y].of(cell.params[y])), []).append(cell)
    return {place: ranked(here, value) or here for place, here in found.items()}


@dataclass(frozen=True)
class Places:
    """Where the values of an axis stand on a map: one place a value, of a range one of BINS stretches, named by its middle."""

    names: list[Any]
    range: Range | None = None

    @classmethod
    def along(cls, axis: tuple[Any, ...] | Range) -> "Places":
        """Return the places of an axis of a grid."""
        if not isinstance(axis, Range):
            return cls(_sorted({label(value) for value in axis}))
        if axis.whole and axis.high - axis.low < BINS:
            return cls(list(range(int(axis.low), int(axis.high) + 1)))
        scale = Range(float(axis.low), float(axis.high), axis.log)
        return cls([float(f"{scale.draw((k + 0.5) / BINS):.3g}") for k in range(BINS)], scale)

    def of(self, value: Any) -> int:
        """Return the place of a value."""
        if self.range is None:
            return self.names.index(label(value))
        low, high, value = self.range.low, self.range.high, float(value)
        share = math.log(value / low) / math.log(high / low) if self.range.log else (value - low) / (high - low)
        return max(0, min(BINS - 1, int(share * BINS)))


def _sorted(values: set[Any]) -> list[Any]:
    numbers = [one for one in values if isinstance(one, int | float)]
    return [*sorted(numbers), *sorted((one for one in values if not isinstance(one, int | float)), key=str)]

"""A sweep in HTML: how far it is, its best points, the map of two axes. The widget shows the same texts, and listens to clicks."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from hftlab.analytics.drawing.heatmap import Square, heatmap
from hftlab.analytics.drawing.pictures import amount
from hftlab.backtesting.sweeps.cell import FAILED, Cell
from hftlab.backtesting.sweeps.grid import label
from hftlab.backtesting.sweeps.result import SMALLER_IS_BETTER, Places, cells_of_map, ranked, value_of
from hftlab.errors import UnknownName, did_you_mean
from hftlab.show import mimebundle

if TYPE_CHECKING:
    from hftlab.backtesting.sweeps.sweep import Sweep

SHOWN = ("pnl_quote", "drawdown_quote_max", "fills", "order_to_trade", "sharpe_block")
ROWS = 8
_CELL = "style='text-align:right;padding:1px 8px'"


@dataclass(frozen=True, repr=False)
class Heatmap:
    """A figure of a sweep over two of its axes; where points share a square, the best of them or their mean (`of`)."""

    sweep: "Sweep"
    x: str
    y: str
    value: str
    of: str = "best"

    def svg(self) -> str:
        """Return the picture of what there is so far."""
        for name in (self.x, self.y):
            if name not in self.sweep.grid.axes:
                raise UnknownName(f"the sweep has no axis {name!r}.{did_you_mean(name, self.sweep.grid.axes)}")
        return drawn(self.sweep.cells, self)

    def __repr__(self) -> str:
        return f"<Heatmap of {self.value}: {self.x} across, {self.y} up>"

    def _repr_html_(self) -> str:
        return self.svg()

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return mimebundle("sweep:heatmap_widget", self)


def drawn(cells: Sequence[Cell], of: Heatmap) -> str:
    """Return the map of cells as SVG, squares that no cell has come to yet left empty."""
    axes = of.sweep.grid.axes
    places = {name: Places.along(axes[name]) for name in (of.x, of.y)}
    found = cells_of_map(cells, places, of.x, of.y, of.value)
    squares = {}
    for place, here in found.items():
        values = [value_of(cell, of.value) for cell in here]
        value = values[0] if of.of == "best" else sum(values) / len(values)
        more = f" (of {len(here)} points the {of.of})" if len(here) > 1 else ""
        squares[place] = Square(value, here[0].number, f"point {here[0].number}: {_values(here[0])}; {of.value}{more} ")
    first = ranked(cells, of.value)[:1]
    shared = f", {of.of} of each square" if any(len(here) > 1 for here in found.values()) else ""
    title = f"{of.value}{unit_of(of.value, of.sweep)}{shared}"
    return heatmap(places[of.x].names, places[of.y].names, squares, title=title, x=of.x, y=of.y, mark=first[0].number if first else None)


def unit_of(figure: str, sweep: "Sweep") -> str:
    """Return the unit of a figure in brackets, where its name stands for one that depends on the instrument."""
    one = sweep.instruments[0]
    return f" ({one.settle})" if "_quote" in figure else f" ({one.qty_unit})" if figure.endswith("_base") else ""


def best_rows(cells: Sequence[Cell], axes: Sequence[str], by: str, n: int = ROWS) -> str:
    """Return the best points as an HTML table; each row carries its point's number in `data-point`."""
    figures = list(dict.fromkeys([by, *SHOWN]))
    head = "".join(f"<th {_CELL}>{escape(name)}</th>" for name in ("point", *axes, *figures))
    body = ""
    for cell in ranked(cells, by)[:n]:
        values = [str(cell.number), *(_text(label(cell.params[name])) for name in axes)]
        values += [_figure(name, cell.figures.get(name)) for name in figures]
        body += f"<tr data-point='{cell.number}'>{''.join(f'<td {_CELL}>{escape(value)}</td>' for value in values)}</tr>"
    order = "smallest" if by in SMALLER_IS_BETTER else "largest"
    return f"<div>best points, by {order} {escape(by)}</div><table style='border-collapse:collapse;font-size:12px'><tr>{head}</tr>{body}</table>"


def failures(cells: Sequence[Cell], n: int = 3) -> str:
    """Return what went wrong in some of the points that failed."""
    bad = [cell for cell in cells if cell.state == FAILED]
    if not bad:
        return ""
    items = "".join(f"<li>point {cell.number} ({escape(_values(cell))}): {escape(cell.error)}</li>" for cell in bad[:n])
    more = f"<li>and {len(bad) - n:,} more; the column `error` of .table() has them all</li>" if len(bad) > n else ""
    return f"<div style='color:#d1495b'>failed:</div><ul>{items}{more}</ul>"


def default_axes(sweep: "Sweep") -> tuple[str, str] | None:
    """Return the two axes with the most values, None where there are not two."""
    counts = {name: len(Places.along(axis).names) for name, axis in sweep.grid.axes.items()}
    first = sorted((name for name in counts if counts[name] > 1), key=lambda name: -counts[name])
    return (first[0], first[1]) if len(first) > 1 else None


def page(sweep: "Sweep") -> str:
    """Return the sweep as HTML."""
    cells, axes = sweep.cells, list(sweep.grid.axes)
    parts = [f"<b>Sweep</b> {escape(str(sweep.progress()))}"]
    if cells:
        parts += [best_rows(cells, axes, sweep.by), picture(sweep, cells), failures(cells)]
    parts.append(end(sweep))
    return "<div style='font-size:12px'>" + "".join(f"<div style='margin:6px 0'>{part}</div>" for part in parts if part) + "</div>"


def end(sweep: "Sweep") -> str:
    """Return what is said of a sweep that has ended: how much of its best is luck, or what ended it."""
    if sweep.running:
        return ""
    if sweep.error is not None:
        return f"<div style='color:#d1495b'>{escape(type(sweep.error).__name__)}: {escape(str(sweep.error))}</div>"
    trouble = f"<div style='color:#d1495b'>{escape(sweep.trouble)}</div>" if sweep.trouble else ""
    return trouble + (f"<div>{escape(sweep.luck().text())}</div>" if ranked(sweep.cells, sweep.by) else "")


def picture(sweep: "Sweep", cells: Sequence[Cell]) -> str:
    """Return the map of the two widest axes; nothing where there are not two."""
    two = default_axes(sweep)
    return drawn(cells, Heatmap(sweep, *two, sweep.by)) if two else ""


def _values(cell: Cell) -> str:
    return ", ".join(f"{name} {_text(label(value))}" for name, value in cell.params.items())


def _figure(name: str, value: Any) -> str:
    if isinstance(value, int) or value is None:
        return "–" if value is None else f"{value:,}"
    return amount(float(value)).removeprefix("" if name == "pnl_quote" else "+")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

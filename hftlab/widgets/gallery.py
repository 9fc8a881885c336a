"""The gallery of kept backtests: ranked by any figure, narrowed by any parameter, curves over each other, two side by side."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np

from hftlab.backtesting.gallery import SUFFIX, Kept, read_gallery
from hftlab.svg import SERIES, Chart
from hftlab.widgets.page import STYLE
from hftlab.widgets.text import DASH, amount, esc, table

ROWS_MAX = 40
FILTERS_MAX = 4
ALL = "all"
# What to rank by: name of the figure, what it is called, and whether more of it is better.
FIGURES = {
    "pnl_quote": ("P&L after fees", True),
    "pnl_per_drawdown": ("P&L per drawdown", True),
    "drawdown_quote_max": ("largest drawdown", False),
    "gross_quote": ("before fees", True),
    "adverse_selection_quote": ("adverse selection", True),
    "fills": ("fills", True),
    "order_to_trade": ("requests per fill", False),
    "quoting_share": ("both sides live", True),
}
STYLES = """<style>.hft-gallery{max-width:1180px}.hft-gallery .hft-panel{overflow-x:auto;padding:8px 0}
.hft-gallery .hft-panel table{border-collapse:collapse;width:auto;min-width:min(100%,720px)}.hft-gallery td,.hft-gallery th{padding:2px 8px;text-align:right;white-space:nowrap;border:0}
.hft-gallery td.l,.hft-gallery th.l{text-align:left}.hft-gallery td.w{white-space:normal;min-width:6em}
.hft-gallery .widget-dropdown{width:auto;max-width:100%}.hft-gallery .widget-dropdown select{max-width:230px}
.hft-gallery svg{max-width:100%;height:auto}.hft-gallery,.hft-gallery>.widget-html,.hft-gallery .widget-html-content{width:100%;min-width:0;
max-width:1180px;height:auto}.hft-gallery .widget-html-content{display:block;overflow-x:auto}</style>"""


def figure(kept: Kept, name: str) -> float:
    """Return a figure of a kept backtest; NaN where it has none."""
    if name == "pnl_per_drawdown":
        fell = figure(kept, "drawdown_quote_max")
        return figure(kept, "pnl_quote") / fell if fell > 0 else math.nan
    value = kept.figures.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def said(kept: Kept, name: str) -> str:
    """Return a figure as text, money in the currency that its run was settled in."""
    return amount(figure(kept, name), kept.settle if "_quote" in name else "")


def ranked(entries: Sequence[Kept], name: str) -> list[Kept]:
    """Return `entries`, best first; those without the figure last, equal ones by name."""
    better = -1.0 if FIGURES[name][1] else 1.0

    def key(one: Kept) -> tuple[bool, float, str]:
        value = figure(one, name)
        return (math.isnan(value), 0.0 if math.isnan(value) else better * value, one.name)

    return sorted(entries, key=key)


def varying(entries: Sequence[Kept]) -> dict[str, list[Any]]:
    """Return the parameters in which the backtests differ, with their values in order; those with the fewest values first."""
    names = sorted({name for one in entries for name in one.parameters})
    found = {}
    for name in names:
        values = {one.parameters.get(name) for one in entries}
        if len(values) > 1:
            found[name] = sorted(values, key=_order)
    return dict(sorted(found.items(), key=lambda item: (len(item[1]), item[0])))


def _order(value: Any) -> tuple[int, float, str]:
    try:
        return (1, float(value), "")
    except (TypeError, ValueError):
        return (0 if value is None else 2, 0.0, str(value))


class Gallery(w.VBox):
    """Kept backtests of a folder. Its controls choose what is shown and change nothing else."""

    def __init__(self, folder: str | Path) -> None:
        self.entries, self.problems = read_gallery(folder)
        self.varying = varying(self.entries)
        self._html = w.HTML()
        self.rank = w.Dropdown(options=[(text, name) for name, (text, _) in FIGURES.items()], description="rank by")
        self.filters = {
            name: w.Dropdown(options=[(ALL, ALL), *((_text(value), value) for value in values)], description=name.rsplit(".", 1)[-1])
            for name, values in list(self.varying.items())[:FILTERS_MAX]
        }
        names = [one.name for one in self.entries]
        self.left = w.Dropdown(options=names, description="compare", index=0 if names else None)
        self.right = w.Dropdown(options=names, description="with", index=min(1, len(names) - 1) if names else None)
        controls = [self.rank, *self.filters.values(), *([self.left, self.right] if len(names) > 1 else [])]
        for one in controls:
            one.style.description_width = "initial"
            one.observe(self._changed, names="index")
        bar = w.Box(controls, layout=w.Layout(flex_flow="row wrap"))
        super().__init__([bar, self._html] if self.entries else [self._html])
        self.add_class("hft")
        self.add_class("hft-gallery")
        self._changed()

    def shown(self) -> list[Kept]:
        """Return the backtests that the filters leave, best first."""
        kept = [
            one
            for one in self.entries
            if all(choice.value == ALL or one.parameters.get(name) == choice.value for name, choice in self.filters.items())
        ]
        return ranked(kept, str(self.rank.value))

    def _changed(self, _change: Any = None) -> None:
        self._html.value = self.render()

    def render(self) -> str:
        """Return the whole gallery as HTML."""
        wrong = "".join(f'<div class="hft-error">{esc(problem)}</div>' for problem in self.problems)
        styles = f"<style>{STYLE}</style>{STYLES}"
        if not self.entries:
            empty = f"no backtest is kept here yet: hftlab.backtesting.gallery.save_backtest(report, name) writes one (*{SUFFIX})."
            return f'{styles}{wrong}<h2>Backtests</h2><div class="hft-none">{esc(empty)}</div>'
        shown, name = self.shown(), str(self.rank.value)
        pair = [next((one for one in self.entries if one.name == box.value), None) for box in (self.left, self.right)]
        parts = [
            f"<h2>Backtests</h2><div class='hft-dim'>{len(shown)} of {len(self.entries)}, ranked by {esc(FIGURES[name][0])}</div>",
            f'<div class="hft-panel">{equity(shown[: len(SERIES)])}</div>',
            f'<div class="hft-panel">{ranking(shown, name, list(self.varying)[:FILTERS_MAX])}</div>',
            f'<div class="hft-panel">{grid(shown, name, self.varying)}</div>',
        ]
        if pair[0] is not None and pair[1] is not None and pair[0] is not pair[1]:
            parts.append(f'<div class="hft-panel">{comparison(pair[0], pair[1])}</div>')
        return styles + wrong + "".join(parts)


def equity(entries: Sequence[Kept]) -> str:
    """Return the P&L of at most five backtests over each other: those in the currency of the first, for one axis has one unit."""
    curves = [one for one in entries if len(one.seconds)]
    if not curves:
        return '<div class="hft-none">no curve</div>'
    drawn = [one for one in curves if one.settle == curves[0].settle]
    others = [one.name for one in curves if one.settle != curves[0].settle]
    lows, highs = [float(one.pnl_quote.min()) for one in drawn], [float(one.pnl_quote.max()) for one in drawn]
    end = max(float(one.seconds[-1]) for one in drawn)
    low, high = min(0.0, *lows), max(0.0, *highs)
    chart = Chart(
        f"P&L after fees ({drawn[0].settle})", x=(0.0, end), y=(low, high), x_unit="s", x_label="since the start", width=860, height=250
    )
    for one, colour in zip(drawn, SERIES, strict=False):
        chart.line(one.seconds, one.pnl_quote, colour)
    keys = " ".join(
        f'<span style="white-space:nowrap;margin-right:12px"><b style="color:{colour}">━</b> {esc(one.name)}</span>'
        for one, colour in zip(drawn, SERIES, strict=False)
    )
    left_out = f'<div class="hft-dim">in another currency, not drawn: {esc(", ".join(others))}</div>' if others else ""
    return f"{chart.svg()}<div>{keys}</div>{left_out}"


def ranking(entries: Sequence[Kept], name: str, parameters: Sequence[str]) -> str:
    """Return the ranking as a table: the figure ranked by, the parameters that differ, the usual figures."""
    figures = list(dict.fromkeys([name, "pnl_quote", "drawdown_quote_max", "fills", "order_to_trade"]))
    heads = [
        ("", ""),
        ("backtest", "l"),
        *((one.rsplit(".", 1)[-1], "") for one in parameters),
        *((FIGURES[one][0], "") for one in figures),
    ]
    rows = [
        [
            (str(k), "hft-dim"),
            (one.name, "l"),
            *((_text(one.parameters.get(parameter)), "hft-n") for parameter in parameters),
            *((said(one, f), "hft-n") for f in figures),
        ]
        for k, one in enumerate(entries[:ROWS_MAX], 1)
    ]
    more = f'<div class="hft-dim">and {len(entries) - ROWS_MAX} more</div>' if len(entries) > ROWS_MAX else ""
    return table(heads, rows) + more


def grid(entries: Sequence[Kept], name: str, parameters: dict[str, list[Any]]) -> str:
    """Return a search over exactly two parameters as a map: one cell a pair, the more colour the better its rank."""
    if len(parameters) != 2:
        return ""
    (down, rows), (across, columns) = parameters.items()
    order = {one.name: k for k, one in enumerate(ranked(entries, name))}
    cells: dict[tuple[Any, Any], Kept] = {}
    for one in reversed(ranked(entries, name)):  # of several in one cell the best is shown
        cells[one.parameters.get(down), one.parameters.get(across)] = one
    head = "".join(f"<th>{esc(_text(value))}</th>" for value in columns)
    body = ""
    for row in rows:
        body += f'<tr><th class="l">{esc(_text(row))}</th>'
        for column in columns:
            found = cells.get((row, column))
            if found is None:
                body += f"<td>{DASH}</td>"
                continue
            share = 1.0 - order[found.name] / max(1, len(order) - 1)
            body += f'<td class="hft-n" style="background:rgba(63,157,107,{0.05 + 0.5 * share:.2f})">{esc(said(found, name))}</td>'
        body += "</tr>"
    title = f"{FIGURES[name][0]}: {down.rsplit('.', 1)[-1]} down, {across.rsplit('.', 1)[-1]} across"
    return f"<b>{esc(title)}</b><table><tr><th></th>{head}</tr>{body}</table>"


def comparison(left: Kept, right: Kept) -> str:
    """Return what differs between two: parameters, assumptions, figures; and their curves."""
    kinds = (("", left.parameters, right.parameters), ("assumed: ", left.assumptions, right.assumptions), ("", left.figures, right.figures))
    rows = [
        [
            (kind + name.replace("_", " "), "l"),
            *(
                (said(one, name) if a is left.figures and "_quote" in name else _text(part.get(name)), "w")
                for one, part in ((left, a), (right, b))
            ),
        ]
        for kind, a, b in kinds
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    ]
    both = table([("differs", "l"), (left.name, ""), (right.name, "")], rows)
    return f"<b>{esc(left.name)} and {esc(right.name)}</b><div>{equity([left, right])}</div>{both}"


def _text(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, float | np.floating):
        return amount(float(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def gallery(folder: str | Path) -> Gallery:
    """Return the gallery of the backtests that save_backtest kept in `folder`."""
    return Gallery(folder)

"""How a queue calibration looks in a notebook: three small pictures, a table, and sentences. SVG without a script, on light and dark."""

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from hftlab.analytics.queues.result import QueueCalibration

_WIDTH, _HEIGHT = 300, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 30, 36
_COLOURS = {"risk_averse": "#3b82f6", "touch": "#ea7317", "through": "#a855f7"}
_DASHES = {"through": "6 2"}  # it often lies on the risk-averse line
_BEST = "#009e73"
_COLUMNS = {
    "fill_share": ("filled", 100, "%"),
    "false_fills": ("false fills", 100, "%"),
    "missed_fills": ("missed fills", 100, "%"),
    "wrong": ("wrong", 100, "%"),
    "late_s": ("late [s]", 1, ""),
    "ahead_bias_lots": ("ahead, bias [lots]", 1, ""),
    "ahead_rmse_lots": ("ahead, RMSE [lots]", 1, ""),
    "brier": ("Brier", 1, ""),
    "brier_over": ("Brier over truth's", 1, ""),
    "skill": ("skill", 100, "%"),
    "log_loss": ("log loss", 1, ""),
    "slope": ("slope", 1, ""),
    "age_skill": ("skill, later", 100, "%"),
}
Points = tuple[np.ndarray, np.ndarray]


def page(c: "QueueCalibration") -> str:
    """Return the calibration as HTML: pictures, a legend, the sentences and the table."""
    said = "".join(f"<li>{html.escape(one)}</li>" for one in words(c))
    assumed = "; ".join(f"{name}: {text}" for name, text in c.assumptions.items())
    return (
        f"<div style='display:flex;flex-wrap:wrap;gap:12px'>{_reliability(c)}{_ahead(c)}{_waits(c)}</div>{_legend(c)}"
        f"<ul style='margin:.5em 0'>{said}</ul>{_table(c)}"
        f"<div style='opacity:.75'>{html.escape(assumed)}. Means over {len(c.seeds)} seeds ± one standard error. Late: of the orders filled in "
        f"both. Ahead and “skill, later”: {c.ages_s[-1]:g} s after placement.</div>"
    )


# --- words -----------------------------------------------------------------------------------------------------------------------


def words(c: "QueueCalibration") -> list[str]:
    """Return what the figures say, in sentences, the safest first."""
    table = c.table()
    said = [_about_best(c, table)]
    middle = [name for name in c.models if name not in ("touch", "through")]
    for name in ("risk_averse", "through"):
        if name in c.models:
            row = table.loc[name]
            ahead = "" if name == "through" else f"; after {c.ages_s[-1]:g} s it sees {row.ahead_bias_lots:,.0f} lots too many before us"
            said.append(f"{name} misses {row.missed_fills:.1%} of the true fills and invents {row.false_fills:.1%}{ahead}.")
    if "touch" in c.models:
        row = table.loc["touch"]
        said.append(
            f"touch fills {row.false_fills:.1%} of the orders that truly stayed unfilled, and the others {-row.late_s:.2f} s too early."
        )
    if len(middle) > 1:
        said += [_nearest(c, what, middle) for what in ("behind", "queue", "trades")]
    return said


def _about_best(c: "QueueCalibration", table: pd.DataFrame) -> str:
    row, truth, more = table.loc[c.best], table.loc["true queue"], c.against_best().drop(["true queue", c.best])
    like = [str(name) for name in more.index[more["wrong_t"].abs() < 2]]
    apart = f" (not told apart from {', '.join(like)})" if like else " (apart from all others by two standard errors)" if len(more) else ""
    return (
        f"{len(c.seed):,} orders in {len(c.seeds)} markets; {truth.fill_share:.1%} filled within {c.horizon_s:g} s. {c.best} is wrong about the "
        f"fewest, {row.wrong:.1%}{apart}; the forecast that it teaches has Brier score {row.brier:.4f}, the true queue's {truth.brier:.4f}."
    )


def _nearest(c: "QueueCalibration", what: str, names: list[str]) -> str:
    named = {"behind": "distance behind the best price", "queue": "queue at our price", "trades": "traded against us in 10 s before"}[what]
    wrong = c.by(what).reset_index().pivot_table("wrong", what, "model", sort=False)[names]
    parts = [f"{group}: {row.idxmin()} ({row.min():.1%} wrong, worst {row.idxmax()} {row.max():.1%})" for group, row in wrong.iterrows()]
    return f"Among the queue models, by {named}: " + "; ".join(parts) + "."


# --- pictures --------------------------------------------------------------------------------------------------------------------


def _reliability(c: "QueueCalibration") -> str:
    def line(name: str) -> Points:
        curve = c.reliability(name)
        curve = curve[curve["orders"] >= 20]  # a mean of fewer says nothing
        return curve["forecast"].to_numpy(), curve["filled"].to_numpy()

    return _panel(c, "Taught P(fill), and what happened", "forecast at placement", "share filled", line, (1.0, 1.0), diagonal=True)


def _ahead(c: "QueueCalibration") -> str:
    k = len(c.ages_s) - 1
    truth = c.ahead_lots[-1, :, k]
    rests = truth >= 0
    edges = np.unique(np.quantile(truth[rests], np.linspace(0, 1, 11))) if rests.any() else np.zeros(1)
    which = np.clip(np.searchsorted(edges, truth[rests], side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.maximum(np.bincount(which), 1)

    def line(name: str) -> Points:
        estimate = c.ahead_lots[c.names.index(name), rests, k]
        return np.bincount(which, truth[rests]) / count, np.bincount(which, estimate) / count

    high = max([float(line(name)[axis].max(initial=1.0)) for name in c.names for axis in (0, 1)])
    return _panel(c, f"Lots ahead after {c.ages_s[k]:g} s", "true", "by the model", line, (high, high), diagonal=True)


def _waits(c: "QueueCalibration") -> str:
    seconds = np.linspace(0, c.horizon_s, 61)

    def line(name: str) -> Points:
        wait = np.sort(c.wait_s[c.names.index(name)])
        return seconds, np.searchsorted(wait, seconds, side="right") / len(wait)

    high = max(float(line(name)[1][-1]) for name in c.names)
    return _panel(
        c, "Share of orders filled", "seconds after placement", "", line, (c.horizon_s, np.ceil(high * 10 + 0.5) / 10), diagonal=False
    )


def _panel(
    c: "QueueCalibration", title: str, across: str, up: str, line: Callable[[str], Points], high: tuple[float, float], *, diagonal: bool
) -> str:
    x1, y0 = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [_text(0, 14, title, "font-weight='600' font-size='12'"), _text(_LEFT, 26, up, "opacity='.75'")]
    parts += [_text((_LEFT + x1) / 2, _HEIGHT - 4, across, "opacity='.75' text-anchor='middle'")]
    for share in (0.0, 0.5, 1.0):
        x, y = _at(np.array([share]), np.array([share]), (1.0, 1.0))
        parts.append(f"<path d='M{_LEFT},{y[0]:.1f}H{x1}M{x[0]:.1f},{_TOP}V{y0}' stroke='currentColor' stroke-opacity='.15'/>")
        parts.append(_text(_LEFT - 4, y[0] + 3, f"{share * high[1]:.3g}", "text-anchor='end'"))
        parts.append(_text(x[0], y0 + 13, f"{share * high[0]:.3g}", f"text-anchor='{'end' if share == 1 else 'middle'}'"))
    if diagonal:
        parts.append(f"<path d='M{_LEFT},{y0}L{x1},{_TOP}' stroke='currentColor' stroke-opacity='.5' stroke-dasharray='2 3'/>")
    for name in sorted(c.names, key=lambda name: _style(c, name)[1]):  # the bold lines on top
        if not (name == "true queue" and title.startswith("Lots")):
            parts.append(_path(_at(*line(name), high), name, _style(c, name)))
    return f"<svg width='{_WIDTH}' height='{_HEIGHT}' font-size='10' fill='currentColor' role='img'>{''.join(parts)}</svg>"


def _at(x: np.ndarray, y: np.ndarray, high: tuple[float, float]) -> Points:
    return _LEFT + x / high[0] * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - y / high[1] * (_HEIGHT - _TOP - _BOTTOM)


def _path(points: Points, name: str, style: tuple[str, float, str]) -> str:
    colour, width, dash = style
    corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(*points, strict=True))
    faint = " stroke-opacity='.4'" if width < 1 else ""
    title = f"<title>{html.escape(name)}</title>"  # what the mouse rests on says its name
    return f"<polyline points='{corners}' fill='none' stroke='{colour}' stroke-width='{width}'{faint} stroke-dasharray='{dash}'>{title}</polyline>"


def _text(x: float, y: float, text: str, style: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {style}>{html.escape(text)}</text>"


def _style(c: "QueueCalibration", name: str) -> tuple[str, float, str]:
    """Return colour, width and dashes: the truth, the best and the bounds stand out, the others are thin."""
    if name == "true queue":
        return "currentColor", 2.0, "5 3"
    if name == c.best:
        return _BEST, 2.2, ""
    return (_COLOURS[name], 1.8, _DASHES.get(name, "")) if name in _COLOURS else ("currentColor", 0.9, "")


def _legend(c: "QueueCalibration") -> str:
    bold = [name for name in c.names if _style(c, name)[1] > 1]
    thin = [name for name in c.names if name not in bold]
    items = [_swatch(*_style(c, name), name + (" (best)" if name == c.best else "")) for name in bold]
    if thin:
        items.append(_swatch("currentColor", 0.9, "", f"{', '.join(thin)} (the mouse tells them apart)"))
    return f"<div style='display:flex;flex-wrap:wrap;gap:4px 16px;font-size:12px'>{''.join(items)}</div>"


def _swatch(colour: str, width: float, dash: str, text: str) -> str:
    faint = " stroke-opacity='.4'" if width < 1 else ""
    line = f"<path d='M0,5H22' stroke='{colour}' stroke-width='{width}' stroke-dasharray='{dash}'{faint}/>"
    return f"<span><svg width='24' height='10'>{line}</svg> {html.escape(text)}</span>"


# --- table -----------------------------------------------------------------------------------------------------------------------


def _table(c: "QueueCalibration") -> str:
    frame = c.table()
    shown = {key: value for key, value in _COLUMNS.items() if key != "log_loss"}  # says what the Brier score says, and the page is narrow
    head = "".join(f"<th style='text-align:right'>{label}</th>" for label, _, _ in shown.values())
    rows = ""
    for name, row in frame.iterrows():
        bold = "font-weight:600" if name == c.best else ""
        cells = "".join(_cell(row[key], row[f"{key}_se"], *shown[key][1:]) for key in shown)
        rows += f"<tr style='{bold}'><td style='text-align:left;white-space:nowrap'>{html.escape(str(name))}</td>{cells}</tr>"
    style = "font-variant-numeric:tabular-nums;font-size:11px;color:inherit"
    table = f"<table style='{style}'><tr><th style='text-align:left'>model</th>{head}</tr>{rows}</table>"
    return f"<div style='overflow-x:auto'>{table}</div>"


def _cell(value: float, error: float, scale: float, unit: str) -> str:
    return f"<td style='text-align:right;white-space:nowrap'>{figure(value, error, scale, unit)}</td>"


def figure(value: float, error: float, scale: float = 1.0, unit: str = "") -> str:
    """Return `value ± error` with as many digits as the error deserves: one of 2 to 9, two of 10 to 19."""
    if not np.isfinite(value):
        return "–"
    value, error = value * scale, error * scale
    if not error > 0:
        return f"{value:,.4g}{unit}"
    digits = int(np.clip(-np.floor(np.log10(error / 2)), 0, 5))
    return f"{round(value, digits) + 0.0:,.{digits}f} ± {error:.{digits}f}{unit}"


def markdown(c: "QueueCalibration", columns: Sequence[str] = tuple(_COLUMNS)) -> str:
    """Return the table as Markdown, with the columns of `QueueCalibration.table` that are asked for."""
    frame = c.table()
    lines = ["| model | " + " | ".join(_COLUMNS[key][0] for key in columns) + " |", "|---|" + "---|" * len(columns)]
    for name, row in frame.iterrows():
        cells = (figure(row[key], row[f"{key}_se"], *_COLUMNS[key][1:]) for key in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

"""Pictures of the tear sheet: equity, drawdown, rolling Sharpe, inventory, spreads by horizon, lives of quotes, uptime by distance."""

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hftlab.analytics.drawing.pictures import markouts as by_horizon
from hftlab.analytics.stats import equity
from hftlab.analytics.stats.distributions import z_of
from hftlab.svg import DATA, MARK, Chart

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report

Floats = npt.NDArray[np.float64]

STEPS, WINDOW = 240, 30
POINTS = 600
_UNITS = ((48 * 3600.0, 86_400.0, "d"), (2 * 3600.0, 3600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))


def time_axis(seconds: Floats) -> tuple[Floats, str]:
    """Return times in the unit that suits their length, and its name."""
    span = float(seconds[-1]) if len(seconds) else 0.0
    scale, unit = next((scale, unit) for least, scale, unit in _UNITS if span >= least)
    return seconds / scale, unit


def thinned(count: int) -> npt.NDArray[np.int64]:
    """Return at most POINTS indices of `count` points, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(POINTS, count)).astype(np.int64)) if count else np.zeros(0, np.int64)


def _chart(title: str, x: Floats, low: float, high: float, units: tuple[str, str]) -> Chart:
    return Chart(
        title, x=(float(x[0]), float(x[-1])), y=(min(low, 0.0), max(high, 0.0)), x_unit=units[0], y_unit=units[1], x_label="since the start"
    )


def equity_and_drawdown(report: "Report") -> list[str]:
    """Return the P&L curve and how far it stands below its highest point, at the desk's mark as sampled; nothing without samples."""
    from hftlab.analytics.report.returns import pnl_curve

    ts_ns, pnl = pnl_curve(report)
    if len(ts_ns) < 2:
        return []
    unit = report.instruments[0].settle
    fallen = -equity.drawdown(pnl)
    x, x_unit = time_axis((ts_ns - ts_ns[0]) / 1e9)
    keep = thinned(len(x))
    # The deepest point is always drawn.
    keep = np.unique(np.append(keep, [int(np.argmin(fallen)), int(np.argmax(pnl))]))
    x, pnl, fallen = x[keep], pnl[keep], fallen[keep]
    curve = _chart(f"P&L after fees, at the desk's mark ({unit})", x, pnl.min(), pnl.max(), (x_unit, unit)).line(x, pnl)
    fall = _chart(f"Below its highest point ({unit})", x, fallen.min(), 0.0, (x_unit, unit))
    return [curve.svg(), fall.band(x, fallen, np.zeros(len(x)), MARK).line(x, fallen, MARK).svg()]


def rolling_sharpe(report: "Report") -> tuple[str, str]:
    """Return the Sharpe ratio of the last WINDOW steps with its 95 % band, and in words what it is of; ("", why) where there is none.

    Steps are a 240th of the run, at least a second: P&L over them needs no capital, and is not annualised (Lo 2002, equation 9).
    """
    from hftlab.analytics.report.returns import pnl_curve

    ts_ns, pnl = pnl_curve(report)
    span_s = (int(ts_ns[-1]) - int(ts_ns[0])) / 1e9 if len(ts_ns) else 0.0
    step_s = max(1.0, math.ceil(span_s / STEPS))
    times, level = equity.at_steps(ts_ns, pnl, round(step_s * 1e9), round(5e9 * step_s))
    ratio, count = equity.rolling_ratio(np.diff(level), WINDOW)
    error = equity.ratio_error(ratio, count) * z_of(0.95)
    known = np.isfinite(ratio) & np.isfinite(error)
    if known.sum() < 2:
        return "", f"The run is too short, or made too little, for a Sharpe ratio of {WINDOW} steps of {step_s:g} s."
    x, unit = time_axis((times[1:] - int(ts_ns[0])) / 1e9)
    x, ratio, error = x[known], ratio[known], error[known]
    low, high = float((ratio - error).min()), float((ratio + error).max())
    picture = _chart(f"Sharpe ratio of the last {WINDOW} steps of {step_s:g} s", x, low, high, (unit, "a step"))
    said = (
        f"Mean over standard deviation of the P&L of {WINDOW} steps of {step_s:g} s, not annualised; band: 95 % for normal steps without "
        "autocorrelation (Lo 2002). Where the band holds zero, the run says nothing of skill."
    )
    return picture.band(x, ratio - error, ratio + error).line(x, ratio).line(x, np.zeros(len(x)), MARK, dashed=True).svg(), said


def inventory(report: "Report", i: int) -> str:
    """Return the position of market `i` over time, with the lowest and highest of each step; "" when it never traded."""
    table = report.inventory(i)
    if not len(report.fills) or len(table) < 2:
        return ""
    seconds = (table.index - table.index[0]).total_seconds().to_numpy()
    keep = thinned(len(seconds))
    x, unit = time_axis(seconds)
    x = x[keep]
    low, high, last = (table[name].to_numpy()[keep] for name in ("low_base", "high_base", "position_base"))
    one = report.instruments[i]
    chart = _chart(f"Position, {one.symbol} ({one.qty_unit})", x, float(low.min()), float(high.max()), (unit, one.qty_unit))
    return chart.band(x, low, high).line(x, last).svg()


def spreads(report: "Report") -> list[str]:
    """Return for makers and takers how the effective spread splits over time: realised and impact with intervals, by horizon."""
    table = report.tca()
    found = []
    for liquidity, rows in table.groupby("liquidity", sort=False):
        series = {"effective": [(float(r.horizon_s), float(r.effective_ticks), math.nan, math.nan) for r in rows.itertuples()]}
        for name in ("realised", "impact"):
            columns = [rows[f"{name}_{part}"].to_numpy() for part in ("ticks", "low", "high")]
            series[name] = [(float(h), float(a), float(b), float(c)) for h, a, b, c in zip(rows["horizon_s"], *columns, strict=True)]
        found.append(by_horizon(series, f"Spread of {liquidity} fills, ticks a lot"))
    return found


def lives(report: "Report", i: int) -> str:
    """Return the distribution of the lives of quotes of market `i`; "" with fewer than ten."""
    from hftlab.analytics.costs.stays import stays

    found = stays(report.facts.own[report.facts.own["instrument"] == i], report.facts.end_ns)
    seconds = (found["until_ns"] - found["from_ns"])[found["ended"] != 0] / 1e9
    seconds = seconds[seconds > 0]
    if len(seconds) < 10:
        return ""
    edges = np.geomspace(seconds.min() * 0.999, seconds.max() * 1.001, 25)
    counts, _ = np.histogram(seconds, edges)
    one = report.instruments[i]
    chart = Chart(
        f"Lives of quotes, {one.symbol} (s)",
        x=(float(edges[0]), float(edges[-1])),
        y=(0.0, float(counts.max())),
        x_unit="s",
        y_unit="quotes",
        x_log=True,
        x_label="life of a quote",
    )
    return chart.bars(edges, counts.astype(float)).svg()


def shares(rows: "pd.Series", title: str) -> str:
    """Return SVG of one bar a name from 0 to 100 %."""
    step, left, wide = 20, 130, 250
    tall = step * len(rows) + 22
    size = f"viewBox='0 0 {left + wide + 60} {tall}' width='{left + wide + 60}' height='{tall}'"
    look = "style='display:block;max-width:100%;height:auto' font-size='11' fill='currentColor'"
    heading = f"<text x='0' y='12' font-weight='600'>{escape(title)}</text>"
    parts = [f"<svg role='img' aria-label='{escape(title)}' {size} {look}>{heading}"]
    for n, (name, value) in enumerate(rows.items()):
        y = 20 + n * step
        known = float(value) if math.isfinite(value) else 0.0
        parts.append(
            f"<text x='0' y='{y + 12}'>{escape(str(name))}</text>"
            f"<rect x='{left}' y='{y + 2}' width='{wide}' height='{step - 7}' fill='currentColor' fill-opacity='.1'/>"
            f"<rect x='{left}' y='{y + 2}' width='{wide * known:.1f}' height='{step - 7}' fill='{DATA}'/>"
            f"<text x='{left + wide + 6}' y='{y + 12}'>{f'{value:.1%}' if math.isfinite(value) else '–'}</text>"
        )
    return "".join(parts) + "</svg>"

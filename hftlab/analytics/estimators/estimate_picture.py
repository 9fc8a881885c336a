"""How estimates look in a notebook: each with its band and flag, the intensity by depth, the day, the book, and volatility by horizon."""

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.estimators.result import Estimate
from hftlab.svg import DATA, MARK, Chart

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.estimators.estimate import Estimates

LABELS = {
    "volatility": "volatility, half-life",
    "volatility_kernel": "volatility, realised kernel",
    "decay": "decay k, public prints",
    "arrival": "arrival A, public prints",
    "fill_decay": "decay k, own fills",
    "fill_arrival": "arrival A, own fills",
    "trades": "market orders",
    "volume": "volume",
    "spread": "spread",
    "depth": "size at the best price",
    "vpin": "VPIN",
}
FLAGS = {"good": "", "wrong law": "the law does not fit", "too few": "too few samples", "unknown": "not known"}
_WIDE, _LOW, _HIGH = 220, 0.5, 2.0
_SECOND = "#e08a1e"


def page(estimates: "Estimates") -> str:
    """Return the estimates as HTML."""
    head = f"<b>{html.escape(estimates.instrument.name)}</b>, {estimates.level:.0%} bands, {estimates.rows:,} rows"
    parts = [_intensity(estimates), *_days(estimates), _book(estimates), _heat(estimates)]
    pictures = "".join(f"<div>{part}</div>" for part in parts if part)
    return f"<div>{head}</div>{bands(list(estimates))}<div style='display:flex;flex-wrap:wrap;gap:10px;margin-top:8px'>{pictures}</div>"


def bands(rows: list[Estimate]) -> str:
    """Return a table of estimates, each with its band drawn as a multiple of its value, from a half to the double."""
    head = "".join(
        f"<th style='text-align:{side}'>{text}</th>"
        for text, side in (
            ("", "left"),
            ("value", "right"),
            ("band", "right"),
            ("", "left"),
            ("÷2 … ×2", "center"),
            ("n", "right"),
            ("", "left"),
        )
    )
    body = "".join(_row(one) for one in rows)
    style = "font-variant-numeric:tabular-nums;color:inherit;background:transparent"
    return f"<div style='overflow-x:auto'><table style='{style}'><tr>{head}</tr>{body}</table></div>"


def _row(one: Estimate) -> str:
    flag = FLAGS[one.flag]
    p = f"p {one.fit_p:.2g}" if one.fit_p >= 1e-4 else "p < 0.0001" if math.isfinite(one.fit_p) else ""
    said = f"{flag} ({p})" if flag and p and one.flag == "wrong law" else flag or p
    colour = f"color:{MARK}" if flag else "opacity:.7"
    cells = (
        f"<td style='text-align:left;white-space:nowrap' title='{html.escape(one.said)}'>{html.escape(LABELS.get(one.name, one.name))}</td>"
        f"<td style='text-align:right'><b>{figure(one.value)}</b></td>"
        f"<td style='text-align:right;white-space:nowrap'>{figure(one.low)} to {figure(one.high)}</td>"
        f"<td style='text-align:left;white-space:nowrap'>{html.escape(one.unit)}</td><td>{_band(one)}</td>"
        f"<td style='text-align:right'>{one.samples:,}</td><td style='text-align:left;white-space:nowrap;{colour}'>{html.escape(said)}</td>"
    )
    return f"<tr style='background:transparent'>{cells}</tr>"


def figure(value: float) -> str:
    """Return a number with four digits, a dash for none."""
    return f"{value:,.4g}" if math.isfinite(value) else "–"


def _band(one: Estimate) -> str:
    if not (one.value > 0 and math.isfinite(one.low) and math.isfinite(one.high)):
        return ""
    look = f"width='{_WIDE}' height='16' role='img' style='display:block'"
    middle = f"<line x1='{_WIDE / 2}' x2='{_WIDE / 2}' y1='1' y2='15' stroke='currentColor' stroke-opacity='.35'/>"
    x1, x2 = (_WIDE * _share(end / one.value) for end in (one.low, one.high))
    colour = MARK if one.flag in ("wrong law", "too few") else DATA
    dash = " stroke-dasharray='4 3'" if one.flag in ("wrong law", "too few") else ""  # not told by colour alone
    ends = f"M{x1:.1f},4v8M{x2:.1f},4v8"
    return (
        f"<svg {look}>{middle}<path d='M{x1:.1f},8H{x2:.1f}' stroke='{colour}' stroke-width='3'{dash}/>"
        f"<path d='{ends}' stroke='{colour}' stroke-width='1.5'/><circle cx='{_WIDE / 2}' cy='8' r='4' fill='{colour}'/></svg>"
    )


def _share(ratio: float) -> float:
    """Return where a multiple of the value stands between a half and the double, 0 to 1, on a log scale."""
    if ratio <= 0:
        return 0.0
    return min(max((math.log(ratio) - math.log(_LOW)) / (math.log(_HIGH) - math.log(_LOW)), 0.0), 1.0)


# --- pictures ------------------------------------------------------------------------------------------------------------
def intensity(estimates: "Estimates", *, own: bool = False) -> str:
    """Return the chart of lambda by depth: dots counted with their bands, the line fitted with its band."""
    curve, counted = estimates.curve(own=own)
    counted = counted[counted["per_s"] > 0]
    if not len(counted) or not math.isfinite(curve.k):
        return ""
    low_x, high_x = float(counted["depth_ticks"].min()), float(counted["depth_ticks"].max())
    depths = np.linspace(low_x, max(high_x, low_x + 0.5), 60)
    low, high = curve.band(depths)
    rates = counted["per_s"].to_numpy()
    bottom, top = min(float(low.min()), float(rates.min())), max(float(high.max()), float(rates.max()))
    whose = "an order of ours is filled" if own else "a market order reaches a depth"
    chart = Chart(
        f"How often {whose}",
        x=(low_x - 0.1, float(depths[-1]) + 0.1),
        y=(max(bottom, top * 1e-6), top),
        x_unit="ticks",
        y_unit="1/s",
        y_log=True,
        x_label="distance from the mid",
        y_label="how often",
    )
    chart.band(depths, low, high).line(depths, curve.per_s(depths))
    for one in counted.itertuples():
        chart.line(np.array([one.depth_ticks] * 2), np.array([max(one.low, top * 1e-6), one.high]), _SECOND)
    return chart.dots(counted["depth_ticks"].to_numpy(), rates, _SECOND).svg()


def _intensity(estimates: "Estimates") -> str:
    public = intensity(estimates) if "decay" in estimates.names else ""
    own = intensity(estimates, own=True) if "fill_decay" in estimates.names else ""
    return public + own


def _days(estimates: "Estimates") -> list[str]:
    titles = {"spread": "Spread by time of day", "volume": "Volume by time of day", "trades": "Market orders by time of day"}
    wanted = [name for name in titles if name in estimates.names]
    if not wanted:
        return []
    table = estimates.profile("day")
    return [_day(table[table["figure"] == name], titles[name]) for name in wanted]


def _day(table: "pd.DataFrame", title: str) -> str:
    if len(table) < 2:
        return ""
    seconds = table["time"].dt.total_seconds().to_numpy()
    unit, scale = ("h", 3600.0) if seconds[-1] - seconds[0] >= 7200 else ("min", 60.0)
    x = seconds / scale
    low, high = (np.where(np.isfinite(table[end]), table[end], table["value"]) for end in ("low", "high"))
    span = (min(0.0, float(np.min(low))), float(np.max(high)))
    chart = Chart(
        title, x=(float(x[0]), float(x[-1])), y=span, x_unit=f"{unit} UTC", y_unit=str(table["unit"].iloc[0]), x_label="time of day"
    )
    values = table["value"].to_numpy()
    return chart.band(x, low, high).line(x, values).dots(x, values).svg()


def _book(estimates: "Estimates") -> str:
    if "depth" not in estimates.names:
        return ""
    table = estimates.profile("book")
    if table["value"].isna().all():
        return ""
    x_max, y_max = float(table["level"].max()), float(table["high"].max())
    chart = Chart(
        "Size by level of the book (bid blue, ask orange)",
        x=(0.7, x_max + 0.3),
        y=(0.0, y_max),
        x_label="level, 1 is the best price",
        y_label="size",
        y_unit=estimates.instrument.qty_unit,
    )
    for side, colour, shift in (("bid", DATA, -0.06), ("ask", _SECOND, 0.06)):
        mine = table[table["side"] == side]
        for one in mine.itertuples():
            chart.line(np.array([one.level + shift] * 2), np.array([one.low, one.high]), colour)
        chart.dots(mine["level"].to_numpy() + shift, mine["value"].to_numpy(), colour)
    return chart.svg()


def _heat(estimates: "Estimates") -> str:
    if "volatility" not in estimates.names:
        return ""
    table = estimates.profile("volatility").dropna(subset="value")
    return heat_map(table, f"{estimates.instrument.quote}/√s") if len(table) else ""


def heat_map(table: "pd.DataFrame", unit: str) -> str:
    """Return the chart of volatility by time and horizon; darker is more, the figure stands in its cell where there is room."""
    times, horizons = sorted(table["time"].unique()), sorted(table["horizon_s"].unique())
    low, high = float(table["value"].min()), float(table["value"].max())
    left, top, wide, tall = 46, 22, 416.0 / len(times), 18
    floor = top + tall * len(horizons)
    title = f"Volatility by time and horizon, {unit}: {low:.3g} (pale) to {high:.3g} (strong)"
    parts = [f"<title>{title}</title><text x='2' y='12' font-weight='600'>{title}</text>"]
    for n, horizon in enumerate(horizons):
        parts.append(f"<text x='{left - 4}' y='{top + tall * n + 12}' text-anchor='end'>{horizon:g} s</text>")
    for one in table.itertuples():
        share = (one.value - low) / (high - low) if high > low else 0.5
        x, y = left + wide * times.index(one.time), top + tall * horizons.index(one.horizon_s)
        text = f"{one.value:.3g} ({one.low:.3g} to {one.high:.3g}) {unit}, {one.samples} steps"
        parts.append(
            f"<rect x='{x:.1f}' y='{y}' width='{wide - 1:.1f}' height='{tall - 1}' fill='{DATA}' fill-opacity='{0.08 + 0.85 * share:.2f}'>"
            f"<title>{text}</title></rect>"
        )
        if wide > 34:
            parts.append(f"<text x='{x + wide / 2:.1f}' y='{y + 12}' text-anchor='middle'>{one.value:.2g}</text>")
    for n in sorted({0, len(times) // 2, len(times) - 1}):
        anchor = "start" if n == 0 else "middle"
        parts.append(f"<text x='{left + wide * n:.1f}' y='{floor + 12}' text-anchor='{anchor}'>{_clock(times[n])}</text>")
    parts.append(f"<text x='{left + 416}' y='{floor + 24}' text-anchor='end'>time, UTC; rows: horizon</text>")
    look = "style='display:inline-block;max-width:100%' font-size='10' font-family='sans-serif' fill='currentColor'"
    size = f"viewBox='0 0 470 {floor + 28}' width='470' height='{floor + 28}'"
    return f"<svg role='img' {size} {look}>{''.join(parts)}</svg>"


def _clock(time: Any) -> str:
    return f"{time:%H:%M:%S}"

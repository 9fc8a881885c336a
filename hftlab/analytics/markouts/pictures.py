"""Markouts as pictures: means over horizons with their bands, and a map of two ways to sort."""

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.drawing.pictures import amount
from hftlab.svg import GAIN, LOSS, SERIES, Chart

if TYPE_CHECKING:
    import pandas as pd

CURVE_S = tuple(float(f"{one:.3g}") for one in np.geomspace(0.01, 60, 20))
_CELL, _ROW, _LEFT, _TOP = 118, 40, 200, 46

HOW = (
    "Side × (mid later − price), weighted by lots; above zero is ours. Band: 95 % block bootstrap; none where there are too few fills or "
    "too few independent stretches of time for one. Fills whose horizon lies past the end are left out and counted."
)


@dataclass(frozen=True, repr=False)
class MarkoutCurve:
    """`table` as `Report.markouts` gives it, over many horizons; `by` is what the fills were sorted by."""

    table: "pd.DataFrame"
    by: str

    def picture(self) -> str:
        """Return SVG: a line and a band a bucket over the horizon (logarithmic), at most five buckets."""
        shown = self.table[(self.table["horizon_s"] > 0) & np.isfinite(self.table["markout_ticks"])]
        if shown.empty:
            return "<div>No fills, so no markouts.</div>"
        ends = shown[["markout_ticks", "low_ticks", "high_ticks"]].to_numpy()
        x = shown["horizon_s"]
        bounds = (min(0.0, float(np.nanmin(ends))), max(0.0, float(np.nanmax(ends))))
        title = "Markout, ticks a lot, over the time since the fill" + ("" if self.by == "all" else f", by {self.by.replace('_', ' ')}")
        chart = Chart(
            title,
            x=(float(x.min()), float(x.max())),
            y=bounds,
            x_unit="s",
            y_unit="ticks",
            x_log=True,
            x_label="time since the fill",
            y_label="markout",
            width=620,
            height=262,
        )
        chart.line(np.array([x.min(), x.max()]), np.zeros(2), "currentColor", dashed=True)
        keys = []
        for (name, rows), colour in zip(shown.groupby("bucket", sort=False), SERIES, strict=False):
            at, mean, low, high = (rows[c].to_numpy(float) for c in ("horizon_s", "markout_ticks", "low_ticks", "high_ticks"))
            sure = np.isfinite(low)
            chart.band(at[sure], low[sure], high[sure], colour).line(at, mean, colour).dots(at, mean, colour)
            keys.append(
                f"<span style='color:{colour}'>●</span> {escape(str(name))} <span style='opacity:.6'>({int(rows['fills'].max()):,} fills)</span>"
            )
        return f"{chart.svg()}<div>{' &nbsp; '.join(keys)}</div>"

    def __repr__(self) -> str:
        return f"<MarkoutCurve by {self.by}: {self.table['bucket'].nunique()} buckets, {self.table['horizon_s'].nunique()} horizons>"

    def _repr_html_(self) -> str:
        return f"<div style='font:13px/1.45 system-ui,sans-serif'>{self.picture()}<div style='opacity:.75'>{HOW}</div></div>"


@dataclass(frozen=True, repr=False)
class MarkoutGrid:
    """`table` as `Report.markouts(by, across)` gives it, at one horizon."""

    table: "pd.DataFrame"
    by: str
    across: str

    def picture(self) -> str:
        """Return SVG of one cell a pair of buckets: its mean in ticks, its interval and fills; coloured only where it is not zero for sure."""
        if self.table.empty:
            return "<div>No fills, so no markouts.</div>"
        rows, columns = (list(dict.fromkeys(self.table[name])) for name in ("bucket", "across"))
        top = float(np.nanmax(np.abs(self.table["markout_ticks"]))) or 1.0
        width, height = _LEFT + _CELL * len(columns) + 4, _TOP + _ROW * len(rows) + 4
        title = f"Markout in ticks at {self.table['horizon_s'].iloc[0]:g} s: {self.by} down, {self.across} across".replace("_", " ")
        size = f"viewBox='0 0 {width} {height}' width='{width}' height='{height}' style='display:block;max-width:100%'"
        parts = [
            f"<svg role='img' aria-label='{escape(title)}' {size} font-size='11' font-family='sans-serif' fill='currentColor'>",
            f"<text x='0' y='12' font-weight='600'>{escape(title)}</text>",
        ]
        parts += [
            f"<text x='{_LEFT + (n + 0.5) * _CELL}' y='{_TOP - 8}' text-anchor='middle' font-size='10'>{escape(str(name))}</text>"
            for n, name in enumerate(columns)
        ]
        parts += [
            f"<text x='{_LEFT - 8}' y='{_TOP + (n + 0.5) * _ROW + 4}' text-anchor='end'>{escape(str(name))}</text>"
            for n, name in enumerate(rows)
        ]
        for r in self.table.itertuples():
            x, y = _LEFT + columns.index(r.across) * _CELL, _TOP + rows.index(r.bucket) * _ROW
            parts.append(_cell(x, y, r.markout_ticks, r.low_ticks, r.high_ticks, r.fills, top))
        return "".join(parts) + "</svg>"

    def __repr__(self) -> str:
        return f"<MarkoutGrid of {self.by} and {self.across}: {len(self.table)} cells>"

    def _repr_html_(self) -> str:
        note = "Coloured (blue ours, orange theirs) where the 95 % interval leaves zero out; of twenty cells of chance alone one would."
        return f"<div style='font:13px/1.45 system-ui,sans-serif'>{self.picture()}<div style='opacity:.75'>{note} {HOW}</div></div>"


def _cell(x: float, y: float, mean: float, low: float, high: float, fills: int, top: float) -> str:
    """Return one cell of a grid."""
    if not math.isfinite(mean):
        words, fill = ("–", f"{fills:,} fills"), "fill='none'"
    elif not math.isfinite(low):
        words, fill = (amount(mean), f"{fills:,} fills: too few"), "fill='none'"
    else:
        sure = GAIN if low > 0 else LOSS if high < 0 else ""
        words = (amount(mean), f"{amount(low)} to {amount(high)} · {fills:,}")
        fill = f"fill='{sure}' fill-opacity='{0.18 + 0.5 * min(abs(mean) / top, 1):.2f}'" if sure else "fill='none'"
    return (
        f"<rect x='{x + 1}' y='{y + 1}' width='{_CELL - 2}' height='{_ROW - 2}' {fill} stroke='currentColor' stroke-opacity='.25'/>"
        f"<text x='{x + _CELL / 2}' y='{y + 17}' text-anchor='middle' font-weight='600'>{words[0]}</text>"
        f"<text x='{x + _CELL / 2}' y='{y + 31}' text-anchor='middle' font-size='9'>{words[1]}</text>"
    )

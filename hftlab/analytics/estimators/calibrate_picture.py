"""How a calibration looks in a notebook: each value with its band, and the half-spread as an interval."""

import html
import math
from typing import TYPE_CHECKING

from hftlab.analytics.estimators.estimate_picture import bands, figure
from hftlab.svg import DATA, MARK

if TYPE_CHECKING:
    from hftlab.analytics.estimators.calibrate import Calibration

_WIDE, _TALL = 470, 64


def page(c: "Calibration") -> str:
    """Return the calibration as HTML."""
    verdict = "It can be used." if c.usable else "It is not to be quoted with."
    said = html.escape(f"{verdict} {c.why}".strip())
    mark = "" if c.usable else f"border-left:3px solid {MARK};padding-left:8px;"
    name = html.escape(f"{type(c.before).__name__} on {c.instrument.name}, {c.rows:,} rows, {c.level:.0%} bands")
    return f"<div><b>{name}</b></div>{bands(list(c.values.values()))}{_interval(c)}<div style='{mark}margin-top:4px'>{said}</div>"


def _interval(c: "Calibration") -> str:
    """Return a picture of the half-spread between zero and the double of its upper end, with the market's own half-spread."""
    h, market = c.half_spread, c.spread.value / 2.0
    if not h.high > 0:
        return ""
    top = 1.15 * max(h.high, h.value + c.band_ticks, market if math.isfinite(market) else 0.0)
    left, right = 10, _WIDE - 10

    def at(ticks: float) -> float:
        return left + (right - left) * ticks / top

    colour = DATA if c.usable else MARK
    text = f"Half-spread at no inventory: {figure(h.value)} ticks, {figure(h.low)} to {figure(h.high)}"
    parts = [f"<text x='0' y='12' font-weight='600'>{text}</text><path d='M{left},34H{right}' stroke='currentColor' stroke-opacity='.3'/>"]
    parts.append(
        f"<rect x='{at(h.low):.1f}' y='28' width='{max(at(h.high) - at(h.low), 2.0):.1f}' height='12' fill='{colour}' fill-opacity='.4'/>"
    )
    parts.append(f"<circle cx='{at(h.value):.1f}' cy='34' r='4' fill='{colour}'/><text x='{left}' y='56'>0</text>")
    if math.isfinite(market):
        parts.append(f"<path d='M{at(market):.1f},24v20' stroke='currentColor' stroke-dasharray='3 2'/>")
        anchor = "end" if market > 0.6 * top else "start"
        text = f"half the market's spread, {figure(market)} ticks"
        parts.append(f"<text x='{at(market):.1f}' y='56' text-anchor='{anchor}'>{text}</text>")
    look = "style='display:block;max-width:100%' font-size='11' font-family='sans-serif' fill='currentColor'"
    return f"<svg role='img' viewBox='0 0 {_WIDE} {_TALL}' width='{_WIDE}' height='{_TALL}' {look}>{''.join(parts)}</svg>"

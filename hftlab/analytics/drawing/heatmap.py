"""A map of two parameters: one square a pair, coloured by a figure, as SVG that reads on light and dark pages.

Two hues that also the colour-blind tell apart: blue for gains, orange for losses, both from zero; a figure of one sign has one hue, the fuller
the further it is from its value nearest to zero. A square with a point's number in `data-point` can be clicked where somebody listens.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from hftlab.analytics.drawing.pictures import amount

MORE, LESS = "#2f7fd0", "#e08a1e"
_TOP, _FOOT, _LABEL = 38, 40, 96
_WORDS_MAX = 14  # columns up to which a square has room for its figure
_WIDTH_MAX = 760


@dataclass(frozen=True)
class Square:
    """One square: its figure, which point a click opens, and what is said when the pointer rests on it."""

    value: float
    point: int
    said: str = ""


def heatmap(
    across: Sequence[Any],
    down: Sequence[Any],
    squares: Mapping[tuple[int, int], Square],
    *,
    title: str,
    x: str,
    y: str,
    mark: int | None = None,
) -> str:
    """Return SVG: `across` and `down` are the values of the axes `x` and `y`, `squares` by their places (column, row from the bottom).

    `mark` is a point that gets a frame, such as the best.
    """
    wide = max(6.0, min(76.0, (_WIDTH_MAX - _LABEL) / max(1, len(across))))
    high = max(6.0, min(30.0, 480.0 / max(1, len(down))))
    width, floor = max(_LABEL + wide * len(across) + 12, 360), _TOP + high * len(down)
    low, top = _ends([one.value for one in squares.values()])
    parts = [f"<title>{escape(title)}</title><text x='2' y='13' font-weight='600'>{escape(title)}</text>"]
    parts.append(
        f"<rect x='{_LABEL - 0.5}' y='{_TOP - 0.5}' width='{wide * len(across):.1f}' height='{high * len(down):.1f}' "
        "fill='none' stroke='currentColor' stroke-opacity='.2'/>"
    )
    framed = ""
    for (column, row), one in sorted(squares.items()):
        box = f"x='{_LABEL + column * wide:.1f}' y='{floor - (row + 1) * high:.1f}' width='{wide - 1:.1f}' height='{high - 1:.1f}'"
        said = escape(f"{one.said}{amount(one.value)}")
        parts.append(f"<g data-point='{one.point}'><rect {box} {_fill(one.value, low, top)}><title>{said}</title></rect>")
        if len(across) <= _WORDS_MAX and high >= 14:
            middle = f"x='{_LABEL + (column + 0.5) * wide:.1f}' y='{floor - (row + 0.5) * high + 3.5:.1f}'"
            parts.append(f"<text {middle} text-anchor='middle' pointer-events='none'>{escape(_short(one.value))}</text>")
        parts.append("</g>")
        if one.point == mark:
            framed = f"<rect {box} fill='none' stroke='currentColor' stroke-width='2' pointer-events='none'/>"
    parts += [framed, _axes(across, down, wide, high, floor, x, y)]
    size = f"viewBox='0 0 {width:.0f} {floor + _FOOT:.0f}' width='{width:.0f}' height='{floor + _FOOT:.0f}'"
    look = "style='display:block;max-width:100%' font-size='10' font-family='sans-serif' fill='currentColor'"
    return f"<svg role='img' {size} {look}>{''.join(parts)}</svg>"


def _axes(across: Sequence[Any], down: Sequence[Any], wide: float, high: float, floor: float, x: str, y: str) -> str:
    every = max(1, math.ceil(44 / wide))
    parts = [
        f"<text x='{_LABEL + (k + 0.5) * wide:.1f}' y='{floor + 13:.1f}' text-anchor='middle'>{escape(_name(value))}</text>"
        for k, value in enumerate(across)
        if k % every == 0
    ]
    every = max(1, math.ceil(12 / high))
    parts += [
        f"<text x='{_LABEL - 5}' y='{floor - (k + 0.5) * high + 3.5:.1f}' text-anchor='end'>{escape(_name(value))}</text>"
        for k, value in enumerate(down)
        if k % every == 0
    ]
    parts.append(
        f"<text x='{_LABEL + wide * len(across) / 2:.1f}' y='{floor + 30:.1f}' text-anchor='middle' font-weight='600'>{escape(x)} →</text>"
    )
    parts.append(f"<text x='2' y='{_TOP - 8}' font-weight='600'>↑ {escape(y)}</text>")
    return "".join(parts)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value; where the figure has both signs, as far from zero as each other."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return 0.0, 0.0
    low, high = min(known), max(known)
    if low < 0 < high:
        top = max(-low, high)
        return -top, top
    return low, high


def _fill(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "fill='none' stroke='currentColor' stroke-opacity='.3' stroke-dasharray='2 2'"
    nearest = low if low >= 0 else high if high <= 0 else 0.0
    share = abs(value - nearest) / max(high - nearest, nearest - low) if high > low else 0.0
    less = value < 0 if nearest == 0 else high <= 0
    return f"fill='{LESS if less else MORE}' fill-opacity='{0.08 + 0.72 * share:.2f}'"


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _name(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:16]

"""Pictures of a report: signed bars, and markouts with their intervals, as SVG that reads on light and dark pages."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from hftlab.svg import GAIN, LOSS, SERIES

_ROW, _LABEL, _BAR = 20, 190, 260
# A series is told by its shape as well as by its colour: the sign of the legend, and the path around a point.
_SHAPES = (
    ("●", "m-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0z"),
    ("■", "m-3,-3h6v6h-6z"),
    ("▲", "m0,-4l4,7h-8z"),
    ("◆", "m0,-4l4,4l-4,4l-4,-4z"),
    ("▼", "m0,4l4,-7h-8z"),
)


def bars(values: Sequence[tuple[str, float]], unit: str = "") -> str:
    """Return SVG of one horizontal bar a (name, value), from a common zero: gains to the right, losses to the left."""
    top = max((abs(value) for _, value in values), default=0.0) or 1.0
    low, high = min(0.0, *(v for _, v in values)), max(0.0, *(v for _, v in values))
    span = (high - low) or top
    zero = _LABEL + _BAR * -low / span
    across, tall = _LABEL + _BAR + 110, _ROW * len(values) + 4
    size = f"viewBox='0 0 {across} {tall}' width='{across}' height='{tall}'"
    parts = [
        f"<svg role='img' aria-label='bars' {size} style='display:block;max-width:100%;height:auto' font-size='11' fill='currentColor'>"
    ]
    for n, (name, value) in enumerate(values):
        y, wide = n * _ROW, _BAR * abs(value) / span
        x = zero if value >= 0 else zero - wide
        parts.append(
            f"<text x='0' y='{y + 14}'>{escape(name)}</text>"
            f"<rect x='{x:.1f}' y='{y + 4}' width='{max(wide, 0.5):.1f}' height='{_ROW - 8}' fill='{GAIN if value >= 0 else LOSS}'/>"
            f"<text x='{_LABEL + _BAR + 8}' y='{y + 14}'>{amount(value)}{escape(' ' + unit if unit else '')}</text>"
        )
    parts.append(
        f"<line x1='{zero:.1f}' x2='{zero:.1f}' y1='0' y2='{_ROW * len(values)}' stroke='currentColor' stroke-opacity='.5'/></svg>"
    )
    return "".join(parts)


def intervals(rows: Sequence[tuple[str, float, float, float]], title: str) -> str:
    """Return SVG of one row a (name, mean, low, high), from a common zero: coloured only where the interval leaves zero out."""
    low, high = min(0.0, *(row[2] for row in rows)), max(0.0, *(row[3] for row in rows))
    scale, top = _BAR / ((high - low) or 1.0), 20
    zero, floor = _LABEL - low * scale, _ROW * len(rows) + top
    across, tall = _LABEL + _BAR + 110, floor + 4
    size = f"viewBox='0 0 {across} {tall}' width='{across}' height='{tall}' style='display:block;max-width:100%;height:auto'"
    head = f"<svg role='img' aria-label='{escape(title)}' {size} font-size='11' fill='currentColor'>"
    heading = f"<text x='0' y='12' font-weight='600'>{escape(title)}</text>"
    axis = f"<line x1='{zero:.1f}' x2='{zero:.1f}' y1='{top}' y2='{floor}' stroke='currentColor' stroke-opacity='.5'/>"
    parts = [head, heading, axis]
    for n, (name, mean, bottom, upper) in enumerate(rows):
        y = n * _ROW + top + 10
        x, x1, x2 = (_LABEL + (value - low) * scale for value in (mean, bottom, upper))
        colour = GAIN if bottom > 0 else LOSS if upper < 0 else "currentColor"
        parts.append(
            f"<text x='0' y='{y + 4}'>{escape(name)}</text>"
            f"<path d='M{x1:.1f},{y}H{x2:.1f}M{x1:.1f},{y - 4}v8M{x2:.1f},{y - 4}v8' stroke='{colour}' stroke-width='1.6' fill='none'/>"
            f"<circle cx='{x:.1f}' cy='{y}' r='4' fill='{colour}'/>"
            f"<text x='{_LABEL + _BAR + 14}' y='{y + 4}'>{amount(mean)}</text>"
        )
    return "".join(parts) + "</svg>"


def amount(value: float) -> str:
    """Return a signed amount with as many decimals as it needs."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    decimals = 0 if size >= 10_000 else 2 if size >= 1 else 4 if size >= 0.001 else 8
    return f"{value:+,.{decimals}f}"


def markouts(series: Mapping[str, Sequence[tuple[float, float, float, float]]], title: str) -> str:
    """Return SVG of means with intervals over horizons: name -> rows of (horizon_s, mean, low, high) in ticks; NaN: no interval."""
    known = [(mean, low, high) for rows in series.values() for _, mean, low, high in rows if math.isfinite(mean)]
    if not known:
        return ""
    ends = [x for row in known for x in row if math.isfinite(x)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    span, width, height, left, top = (high - low) or 1.0, 520, 190, 46, 22
    horizons = sorted({row[0] for rows in series.values() for row in rows})
    step = (width - left - 20) / len(horizons)

    def at(value: float) -> float:
        return top + (high - value) / span * (height - top - 34)

    parts = [
        f"<svg role='img' aria-label='{escape(title)}' viewBox='0 0 {width} {height}' width='{width}' height='{height}' "
        "style='display:block;max-width:100%;height:auto' font-size='10' "
        f"fill='currentColor'><text x='0' y='12' font-weight='600'>{escape(title)}</text>"
        f"<line x1='{left}' x2='{width}' y1='{at(0):.1f}' y2='{at(0):.1f}' stroke='currentColor' stroke-opacity='.4' stroke-dasharray='2 3'/>"
        + "".join(f"<text x='{left - 8}' y='{at(value) + 4:.1f}' text-anchor='end'>{value:,.3g}</text>" for value in {low, 0.0, high})
    ]
    for n, seconds in enumerate(horizons):
        parts.append(f"<text x='{left + (n + 0.5) * step:.1f}' y='{height - 18}' text-anchor='middle'>{seconds:g} s</text>")
    for number, (name, rows) in enumerate(series.items()):
        color, shift = SERIES[number % len(SERIES)], (number - (len(series) - 1) / 2) * 9
        parts.append(
            f"<text x='{left + number * 150}' y='{height - 3}' fill='{color}'>{_SHAPES[number % len(_SHAPES)][0]} {escape(name)}</text>"
        )
        for seconds, mean, bottom, upper in rows:
            if not math.isfinite(mean):
                continue
            x = left + (horizons.index(seconds) + 0.5) * step + shift
            if math.isfinite(bottom):
                parts.append(
                    f"<path d='M{x:.1f},{at(upper):.1f}V{at(bottom):.1f}M{x - 3:.1f},{at(upper):.1f}h6M{x - 3:.1f},{at(bottom):.1f}h6' "
                    f"stroke='{color}' stroke-width='1.3' fill='none'/>"
                )
            filled = color if math.isfinite(bottom) else "none"
            parts.append(f"<path d='M{x:.1f},{at(mean):.1f}{_SHAPES[number % len(_SHAPES)][1]}' fill='{filled}' stroke='{color}'/>")
    return "".join(parts) + "</svg>"

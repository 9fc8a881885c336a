"""One small picture: a line over time, drawn as SVG so that a report shows it anywhere, without a script."""

import html

import numpy as np

_WIDTH, _HEIGHT, _PAD = 520, 120, 16


def curve(seconds: np.ndarray, values: np.ndarray, title: str, *, steps: bool = False, points: int = 600) -> str:
    """Return SVG text of `values` (float, shape (n,)) over `seconds`; of many, every point kept is a real one."""
    keep = np.unique(np.linspace(0, len(values) - 1, min(points, len(values))).astype(int))
    x, y = seconds[keep], values[keep]
    low, high = min(0.0, float(y.min())), max(0.0, float(y.max()))
    span = (high - low) or 1.0
    px = x / (x[-1] or 1.0) * (_WIDTH - 60)
    py = _PAD + (high - y) / span * (_HEIGHT - 2 * _PAD)
    zero = _PAD + high / span * (_HEIGHT - 2 * _PAD)
    path = f"M{px[0]:.1f},{py[0]:.1f}" + "".join(
        f"H{a:.1f}V{b:.1f}" if steps else f"L{a:.1f},{b:.1f}" for a, b in zip(px[1:], py[1:], strict=True)
    )
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' width='{_WIDTH}' height='{_HEIGHT}' style='display:block;max-width:100%;height:auto' font-size='10' fill='currentColor'>"
        f"<text x='0' y='10' font-weight='600'>{html.escape(title)}</text>"
        f"<line x1='0' x2='{_WIDTH - 60}' y1='{zero:.1f}' y2='{zero:.1f}' stroke='currentColor' stroke-opacity='.35' stroke-dasharray='2 3'/>"
        f"<path d='{path}' fill='none' stroke='currentColor' stroke-width='1.2'/>"
        f"<text x='{_WIDTH - 55}' y='{_PAD + 3}'>{high:,.4g}</text><text x='{_WIDTH - 55}' y='{_HEIGHT - _PAD + 3}'>{low:,.4g}</text>"
        f"<text x='0' y='{_HEIGHT - 3}'>0 s</text><text x='{_WIDTH - 90}' y='{_HEIGHT - 3}'>{x[-1]:,.0f} s</text></svg>"
    )


# --- charts of several layers ----------------------------------------------------------------------------------------
# Text and axes take the page's own colour; data and marks have tones that can be read on white and on black.
DATA, MARK = "#4c8dd6", "#e5534b"
# What is told apart by colour is told apart by the colour-blind too (tests/test_colours.py): blue and orange, then green and rose.
GAIN, LOSS = "#2470b0", "#c8681a"
SERIES = (GAIN, LOSS, "#009e73", "#cc79a7", "currentColor")
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 8, 22, 20
_LABEL = 13  # what the words beside an axis take


class Chart:
    """One picture with axes, drawn layer by layer; `svg()` returns its text. Every array is float64, shape (n,).

    `x` and `y` are (low, high) of the axes in data units; `x_log` and `y_log` draw an axis by its logarithm. `x_label` and `y_label` say
    what an axis shows, its unit behind them; without them `x_unit` and `y_unit` stand at the last tick.
    """

    def __init__(
        self,
        title: str,
        *,
        x: tuple[float, float],
        y: tuple[float, float],
        x_unit: str = "",
        y_unit: str = "",
        x_log: bool = False,
        y_log: bool = False,
        x_label: str = "",
        y_label: str = "",
        width: int = 470,
        height: int = 170,
    ) -> None:
        self._width, self._height, self._x_log, self._y_log = width, height, x_log, y_log
        self._foot = _BOTTOM + (_LABEL if x_label else 0)
        self._x = (np.log10(x[0]), np.log10(x[1])) if x_log else x
        y = (float(np.log10(y[0])), float(np.log10(y[1]))) if y_log else y
        self._y = (y[0], y[1] + 0.06 * (y[1] - y[0])) if y[1] > y[0] else (y[0] - 0.5, y[0] + 0.5)
        if not self._x[1] > self._x[0]:
            self._x = (self._x[0] - 0.5, self._x[0] + 0.5)
        self._parts = [f"<title>{html.escape(title)}</title><text x='2' y='12' font-weight='600'>{html.escape(title)}</text>"]
        self._axes("" if x_label else x_unit, "" if y_label else y_unit)
        self._labels(x_label and f"{x_label}{x_unit and f', {x_unit}'}", y_label and f"{y_label}{y_unit and f', {y_unit}'}")

    def band(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str = DATA) -> "Chart":
        """Fill the area between `low` and `high`."""
        forth, back = self._points(x, high), self._points(x[::-1], low[::-1])
        self._parts.append(f"<path d='M{forth}L{back}Z' fill='{colour}' fill-opacity='.28'/>")
        return self

    def line(self, x: np.ndarray, y: np.ndarray, colour: str = DATA, *, dashed: bool = False) -> "Chart":
        """Draw a line through the points."""
        dash = " stroke-dasharray='5 3'" if dashed else ""
        self._parts.append(f"<path d='M{self._points(x, y)}' fill='none' stroke='{colour}' stroke-width='1.3'{dash}/>")
        return self

    def dots(self, x: np.ndarray, y: np.ndarray, colour: str = DATA) -> "Chart":
        """Draw a dot at each point."""
        px, py = self._at(x, y)
        # A line of no length with round ends is a dot, in a fifth of the text of a circle.
        path = "".join(f"M{a:.1f},{b:.1f}h0" for a, b in zip(px, py, strict=True))
        self._parts.append(f"<path d='{path}' stroke='{colour}' stroke-width='3.4' stroke-linecap='round'/>")
        return self

    def bars(self, edges: np.ndarray, heights: np.ndarray, colour: str = DATA) -> "Chart":
        """Draw a histogram from the bottom up: `edges` has one more value than `heights`."""
        px, _ = self._at(edges, np.zeros(len(edges)))
        _, py = self._at(edges[:-1], heights)
        floor = self._height - self._foot
        path = f"M{px[0]:.1f},{floor}" + "".join(f"V{b:.1f}H{a:.1f}" for a, b in zip(px[1:], py, strict=True)) + f"V{floor}Z"
        self._parts.append(f"<path d='{path}' fill='{colour}' fill-opacity='.55'/>")
        return self

    def spans(self, spans: list[tuple[float, float]], colour: str = MARK) -> "Chart":
        """Shade stretches of x over the whole height, each at least as wide as a line."""
        for low, high in spans:
            px, _ = self._at(np.array([low, high]), np.zeros(2))
            width = max(1.5, px[1] - px[0])
            self._parts.append(
                f"<rect x='{px[0]:.1f}' y='{_TOP}' width='{width:.1f}' height='{self._height - _TOP - self._foot}' fill='{colour}' fill-opacity='.45'/>"
            )
        return self

    def svg(self) -> str:
        """Return the picture as text."""
        size = f"viewBox='0 0 {self._width} {self._height}' width='{self._width}' height='{self._height}'"
        look = "style='display:inline-block;max-width:100%;height:auto' font-size='10' font-family='sans-serif' fill='currentColor'"
        return f"<svg role='img' {size} {look}>{''.join(self._parts)}</svg>"

    def _at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels of points; what lies outside the axes is drawn at their edge."""
        x = np.log10(np.maximum(x, 1e-300)) if self._x_log else x
        y = np.log10(np.maximum(y, 1e-300)) if self._y_log else y
        fx = np.clip((x - self._x[0]) / (self._x[1] - self._x[0]), 0, 1)
        fy = np.clip((y - self._y[0]) / (self._y[1] - self._y[0]), 0, 1)
        return _LEFT + fx * (self._width - _LEFT - _RIGHT), self._height - self._foot - fy * (self._height - _TOP - self._foot)

    def _points(self, x: np.ndarray, y: np.ndarray) -> str:
        return "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(*self._at(x, y), strict=True))

    def _axes(self, x_unit: str, y_unit: str) -> None:
        floor, right = self._height - self._foot, self._width - _RIGHT
        for i, value in enumerate(ticks := _log_ticks(*self._y) if self._y_log else _ticks(*self._y)):
            _, py = self._at(np.zeros(1), np.array([value]))
            unit = f" {y_unit}" if i == len(ticks) - 1 and y_unit else ""
            self._parts.append(
                f"<line x1='{_LEFT}' x2='{right}' y1='{py[0]:.1f}' y2='{py[0]:.1f}' stroke='currentColor' stroke-opacity='.15'/>"
                f"<text x='{_LEFT - 4}' y='{py[0] + 3:.1f}' text-anchor='end'>{value:,.10g}{html.escape(unit)}</text>"
            )
        marks = np.array(_log_ticks(*self._x) if self._x_log else _ticks(*self._x))
        px, _ = self._at(marks, np.zeros(len(marks)))
        for i, (value, a) in enumerate(zip(marks, px, strict=True)):
            unit = f" {x_unit}" if i == len(marks) - 1 and x_unit else ""
            anchor = "end" if a > right - 20 else "middle"
            self._parts.append(f"<text x='{a:.1f}' y='{floor + 13}' text-anchor='{anchor}'>{value:,.10g}{html.escape(unit)}</text>")

    def _labels(self, x: str, y: str) -> None:
        """Write what the axes show: `x` under the ticks, `y` upright beside them."""
        middle = (_TOP + self._height - self._foot) / 2
        if x:
            across = (_LEFT + self._width - _RIGHT) / 2
            self._parts.append(f"<text x='{across}' y='{self._height - 4}' text-anchor='middle' opacity='.8'>{html.escape(x)}</text>")
        if y:
            self._parts.append(
                f"<text transform='translate(10,{middle}) rotate(-90)' text-anchor='middle' opacity='.8'>{html.escape(y)}</text>"
            )


def _ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round values between `low` and `high`, about `count` of them: 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = np.ceil(low / step)
    return [float(np.round((first + k) * step, 12)) for k in range(int(np.floor(high / step) - first) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten between 10**low and 10**high; where these are few, 2 and 5 times them too."""
    factors = (1, 2, 5) if high - low < 2 else (1,)
    values = (factor * 10.0**power for power in range(int(np.floor(low)), int(np.ceil(high)) + 1) for factor in factors)
    return [value for value in values if low <= np.log10(value) <= high]

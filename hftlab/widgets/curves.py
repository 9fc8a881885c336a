"""Position and P&L over the time range of the price strip (bqplot, twice a second)."""

from abc import abstractmethod
from typing import Any

import bqplot as bq
import ipywidgets as w
import numpy as np
import numpy.typing as npt

from hftlab.data.frame import Frame
from hftlab.types import NO_PRICE
from hftlab.widgets.panel import Panel
from hftlab.widgets.strip import window_ns
from hftlab.widgets.text import money, number

AXIS_PX = 66  # as in strip.js: the three time axes lie exactly under each other
POINTS_MAX = 300
# One violet for both themes: bqplot writes fill colours into the page, where style sheets do not reach them.
FILL = {"stroke_width": 1.2, "fill_colors": ["#8b74d6"], "fill_opacities": [0.24]}


def steps(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the corners of the step line through (x, y): only where y changes, and both ends. Exact for a position."""
    if len(x) < 2:
        return x, y
    turn = np.flatnonzero(np.diff(y)) + 1
    xs = np.concatenate([[x[0]], np.repeat(x[turn], 2), [x[-1]]])
    ys = np.concatenate([[y[0]], np.stack([y[turn - 1], y[turn]], axis=1).ravel(), [y[-1]]])
    return xs, ys


def thin(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return at most POINTS_MAX points of a curve: the lowest and highest of each stretch, so that no spike is lost, and the last."""
    if len(x) <= POINTS_MAX:
        return x, y
    parts = np.array_split(np.arange(len(x) - 1), POINTS_MAX // 2 - 1)
    keep = np.unique(np.array([[p[np.argmin(y[p])], p[np.argmax(y[p])]] for p in parts] + [[0, len(x) - 1]]))
    return x[keep], y[keep]


def extent(low: float, high: float) -> float:
    """Return how much an axis of money has to show: the range of its curve however small its market, 0.01 of one that does not move."""
    return high - low if high - low > 1e-8 else 0.01


class Plot(Panel):
    """One line over time, the unit of its axis in the heading. Subclasses say what it shows."""

    hz = 2.0
    css = ""
    fill = "none"

    def __init__(self, *, market: int = 0, height_px: int = 96) -> None:
        self.x_scale, self.y_scale = bq.LinearScale(), bq.LinearScale()
        self.line = bq.Lines(x=np.zeros(1), y=np.zeros(1), scales={"x": self.x_scale, "y": self.y_scale}, fill=self.fill, **FILL)
        self.axis = bq.Axis(scale=self.y_scale, side="right", num_ticks=4, grid_lines="solid", tick_format=".2f")
        self.figure = bq.Figure(
            marks=[self.line],
            axes=[self.axis],
            animation_duration=0,
            display_toolbar=False,
            min_aspect_ratio=0.01,
            max_aspect_ratio=100,
            padding_x=0,
            padding_y=0,
            fig_margin={"top": 5, "bottom": 5, "left": 0, "right": AXIS_PX},
            layout=w.Layout(height=f"{height_px}px", width="100%", min_width="0"),
        )
        super().__init__(self.figure, css=self.css, market=market)

    def show(self, frame: Frame, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], start: int, end: int) -> None:
        """Send the points over the times from `start` to `end`, in nanoseconds."""
        low, high = self.bounds(frame, y)
        with self.x_scale.hold_sync(), self.y_scale.hold_sync(), self.line.hold_sync():
            self.x_scale.min, self.x_scale.max = start / 1e6, end / 1e6
            self.y_scale.min, self.y_scale.max = low, high
            self.line.x, self.line.y = x, y  # float64 milliseconds: bqplot would narrow int64 to int32
        ticks = self.ticks(low, high)
        if not np.array_equal(self.axis.tick_values, ticks):
            with self.axis.hold_sync():
                self.axis.tick_values = ticks
                self.axis.tick_format = f".{self.decimals(ticks)}f"
        self.heading(self.right(frame))

    def ticks(self, low: float, high: float) -> npt.NDArray[np.float64]:
        """Return two to four round numbers between `low` and `high`."""
        raw = (high - low) / 4
        unit = 10.0 ** np.floor(np.log10(raw))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw)
        return np.round(np.arange(np.ceil(low / step), np.floor(high / step) + 0.5) * step, 10)

    def decimals(self, ticks: npt.NDArray[np.float64]) -> int:
        """Return how many decimals tell the ticks apart exactly."""
        return next((d for d in range(8) if np.allclose(ticks, np.round(ticks, d), rtol=0, atol=1e-9)), 8)

    @abstractmethod
    def bounds(self, frame: Frame, y: npt.NDArray[np.float64]) -> tuple[float, float]:
        """Return the range of the y axis."""

    @abstractmethod
    def right(self, frame: Frame) -> str:
        """Return what stands beside the title."""


class Curve(Plot):
    """A line under the strip, over the same times."""

    def draw(self, frame: Frame) -> None:
        """Send the curve, in one message a widget."""
        start, end = window_ns(frame, self.market)
        rows = frame.samples(self.market)
        rows = rows[rows["ts_ns"] >= start]
        x, y = self.points(frame, rows)
        x, y = np.append(x, frame.now_ns / 1e6), np.append(y, self.now(frame))
        self.show(frame, *self.simplify(x, y), start, end)

    @abstractmethod
    def points(self, frame: Frame, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return x in ms and y of the samples `rows`."""

    @abstractmethod
    def now(self, frame: Frame) -> float:
        """Return y at the moment of the frame."""

    def simplify(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return fewer points that look the same."""
        return thin(x, y)


class PositionCurve(Curve):
    """The position, between its limits when it comes near them."""

    title = "Position"
    css = "hft-curve-own"
    fill = "inside"

    def points(self, frame: Frame, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the position in units of quantity: base currency or contracts."""
        return rows["ts_ns"] / 1e6, rows["position_lots"] * float(frame.instruments[self.market].lot_size)

    def now(self, frame: Frame) -> float:
        """Return the position."""
        return frame.position(self.market)

    def bounds(self, frame: Frame, y: npt.NDArray[np.float64]) -> tuple[float, float]:
        """Return a range around zero in quarters of the limit, so that its height says how much of the limit is used."""
        limit = self._limit(frame)
        largest = max(float(np.abs(y).max()), float(frame.instruments[self.market].lot_size))
        reach = limit * np.ceil(4 * largest / limit) / 4 if limit > 0 else largest * 1.2
        return -float(reach) * 1.04, float(reach) * 1.04

    def simplify(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the corners, closed at zero so that the area between the line and zero is filled."""
        xs, ys = steps(x, y)
        return np.concatenate([xs[:1], xs, xs[-1:]]), np.concatenate([[0.0], ys, [0.0]])

    def ticks(self, low: float, high: float) -> npt.NDArray[np.float64]:
        """Return both ends and zero."""
        return np.array([low, 0.0, high]) / 1.04

    def right(self, frame: Frame) -> str:
        """Return position, limit and unit."""
        instrument = frame.instruments[self.market]
        decimals, limit = instrument.qty_decimals, self._limit(frame)
        of = f" of {number(limit, decimals)}" if limit > 0 else ""
        return f"{number(frame.position(self.market), decimals, sign=True)}{of} {instrument.qty_unit}"

    def _limit(self, frame: Frame) -> float:
        return float(frame.markets[self.market]["limits"]["position_lots_max"]) * float(frame.instruments[self.market].lot_size)


class PnlCurve(Curve):
    """Profit and loss after fees, marked to the fair price."""

    title = "P&L"
    css = "hft-curve-ink"

    def points(self, frame: Frame, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the P&L in settlement currency; samples before the first fair price have none."""
        known = np.isfinite(rows["pnl_quote"]) & (rows["ts_ns"] != NO_PRICE)
        return rows["ts_ns"][known] / 1e6, rows["pnl_quote"][known]

    def now(self, frame: Frame) -> float:
        """Return the P&L."""
        value = float(frame.markets[self.market]["pnl_quote"])
        return value if np.isfinite(value) else 0.0

    def bounds(self, frame: Frame, y: npt.NDArray[np.float64]) -> tuple[float, float]:
        """Return a range on a coarse grid, so that the axis rests while the curve moves."""
        low, high = float(y.min()), float(y.max())
        step = 10.0 ** np.floor(np.log10(extent(low, high))) / 2
        low, high = np.floor(low / step) * step, np.ceil(high / step) * step
        return float(low - 0.1 * step), float(max(high, low + step) + 0.1 * step)

    def right(self, frame: Frame) -> str:
        """Return the P&L and its unit."""
        return money(self.now(frame), frame.instruments[self.market].settle)

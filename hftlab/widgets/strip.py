"""The live price strip: fair, our quotes, the touch and fills over the last minutes, 20 frames a second."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.frame import Frame
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, NO_PRICE
from hftlab.widgets.page import Canvas, script
from hftlab.widgets.panel import Panel

HEAD = 8  # full?, samples, fills, bands, from ms, to ms, price decimals, tick size
SAMPLE_FIELDS = ("best_bid_ticks", "best_ask_ticks", "bid_ticks", "ask_ticks")
WINDOW_NS = 300_000_000_000
WINDOW_NS_MIN = 20_000_000_000
HOLE_SAMPLES = 5  # this many sample spacings without a sample is a hole in the data
NO_BOOK, HALT = 1, 2
UNSENT = 2**62


class StripCanvas(Canvas):
    """Draws the buffer of `Strip`."""

    _esm = script("strip.js")


def window_ns(frame: Frame, i: int) -> tuple[int, int]:
    """Return the time range that price, position and P&L share: five minutes, or what there is."""
    count = int(frame.markets[i]["samples_count"])
    samples = frame.markets[i]["samples"]
    first = int(samples["ts_ns"][0 if count <= len(samples) else count % len(samples)]) if count else frame.now_ns
    start = min(max(first, frame.now_ns - WINDOW_NS), frame.now_ns - WINDOW_NS_MIN)
    return start, frame.now_ns


def sample_table(rows: npt.NDArray[Any], instrument: Instrument) -> npt.NDArray[np.float64]:
    """Return SAMPLE_ROW records as float64 of shape (n, 6): ms, fair, best bid, best ask, our bid, our ask; NaN where none."""
    tick = float(instrument.tick_size)
    out = np.empty((len(rows), 6))
    out[:, 0] = rows["ts_ns"] / 1e6
    out[:, 1] = rows["fair_ticks"] * tick
    for k, name in enumerate(SAMPLE_FIELDS, start=2):
        out[:, k] = np.where(rows[name] == NO_PRICE, np.nan, rows[name] * tick)
    return out


def present(frame: Frame, i: int) -> npt.NDArray[np.float64]:
    """Return one row like those of `sample_table` for the moment of the frame, so that lines reach the present."""
    bid, ask = frame.touch(i)
    orders = frame.orders(i)  # best first on each side
    mine = [next((order.price for order in orders if order.side == side), np.nan) for side in (BID, ASK)]
    return np.array([[frame.now_ns / 1e6, frame.fair(i), bid, ask, *mine]])


def fill_table(rows: npt.NDArray[Any], instrument: Instrument) -> npt.NDArray[np.float64]:
    """Return FILL_ROW records as float64 of shape (n, 3): ms, price, side."""
    return np.column_stack([rows["ts_ns"] / 1e6, rows["price_ticks"] * float(instrument.tick_size), rows["side"].astype(np.float64)])


def bands(frame: Frame, samples: npt.NDArray[Any]) -> list[tuple[float, float, float]]:
    """Return (from ms, to ms, kind) of times without a valid book, and of the present halt.

    The state keeps no history of halts, so only the present one is drawn, from the last sample in which we had a quote.
    """
    if not len(samples):
        return []
    ts, spacing = samples["ts_ns"], max(int(frame.desk["sample_ns"]), 1)
    found = [(float(ts[k]), float(ts[k + 1]), NO_BOOK) for k in np.flatnonzero(np.diff(ts) > HOLE_SAMPLES * spacing)]
    blind = np.concatenate([[False], ~np.isfinite(samples["fair_ticks"]), [False]])
    edges = np.flatnonzero(np.diff(blind.astype(np.int8)))
    found += [(float(ts[a]), float(ts[min(b, len(ts) - 1)]), NO_BOOK) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    if frame.state == "HALTED":
        quoted = np.flatnonzero((samples["bid_ticks"] != NO_PRICE) | (samples["ask_ticks"] != NO_PRICE))
        found.append((float(ts[quoted[-1]] if len(quoted) else ts[0]), float(frame.now_ns), HALT))
    return [(a / 1e6, b / 1e6, float(kind)) for a, b, kind in found]


class Strip(Panel):
    """Price history of one market. A page that connects gets all of it, afterwards only what is new."""

    hz = 20.0

    def __init__(self, *, market: int = 0, height_px: int = 300) -> None:
        self.title = "Price, our quotes, fills"
        self.canvas = StripCanvas(height_px=height_px)
        super().__init__(self.canvas, right="", market=market)
        self._samples = self._fills = 0  # counts already sent
        self._bands: list[tuple[float, float, float]] = []
        self._right = ""

    def draw(self, frame: Frame) -> None:
        """Send what is new since the last frame, unless the page is still digesting earlier ones."""
        if self.canvas.behind:
            return
        self.canvas.push(self.pack(frame), frame.published_ns)
        start, end = window_ns(frame, self.market)
        seconds = (end - start) // 1_000_000_000
        shown = f"{seconds // 10 * 10} s" if seconds < 120 else f"{seconds // 60} min"
        right = f"{frame.instruments[self.market].quote} · last {shown} · UTC"
        if right != self._right:
            self._right = right
            self.heading(right)

    def pack(self, frame: Frame) -> npt.NDArray[np.float64]:
        """Return the next buffer: HEAD numbers, new samples and the present (6 each), new fills (3), bands (3)."""
        i, instrument = self.market, frame.instruments[self.market]
        samples_count, fills_count = int(frame.markets[i]["samples_count"]), int(frame.markets[i]["fills_count"])
        sent_samples, sent_fills = self._samples, self._fills
        restarted = samples_count < sent_samples or fills_count < sent_fills
        full = self.canvas.take_greeting() or restarted
        self._samples = self._fills = UNSENT  # until this buffer is complete: a failure on the way means a full one next
        samples, fills = frame.samples(i)[:0], frame.fills(i)[:0]
        if full or samples_count != sent_samples:
            history = frame.samples(i)
            self._bands = bands(frame, history)
            samples = history if full else history[-(samples_count - sent_samples) :]
        if full or fills_count != sent_fills:
            fills = frame.fills(i) if full else frame.fills(i)[-(fills_count - sent_fills) :]
        self._samples, self._fills = samples_count, fills_count
        rows = np.concatenate([sample_table(samples, instrument), present(frame, i)])
        marks = fill_table(fills, instrument)
        strips = np.array(self._bands, dtype=np.float64).reshape(-1, 3)
        start, end = window_ns(frame, i)
        head = [
            float(full),
            len(rows),
            len(marks),
            len(strips),
            start / 1e6,
            end / 1e6,
            instrument.price_decimals,
            float(instrument.tick_size),
        ]
        return np.concatenate([np.array(head), rows.ravel(), marks.ravel(), strips.ravel()])

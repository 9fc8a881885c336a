"""How the markets are: spread, volatility, activity; and volatility over time as a map of colours."""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
import traitlets as t

from hftlab.analytics.estimators import market_state as ms
from hftlab.data.frame import Frame
from hftlab.widgets.history import History
from hftlab.widgets.page import Canvas, script
from hftlab.widgets.panel import HtmlPanel, Panel
from hftlab.widgets.text import DASH, number, table

SPREAD_HALF_LIFE_S = 30.0
RATE_NS = 10_000_000_000  # activity is counted over this long
COLUMNS = 60
BUCKETS_S = (30, 60, 120, 300, 900, 3600)
HORIZONS_S = (1.0, 3.0, 10.0, 30.0, 60.0)
ROWS_MAX = 16
LABEL_CHARS = 11
HEAD = 4  # rows, columns, from ms, bucket ms


class Rates:
    """Counts per second over the last RATE_NS, from counters of frames."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int, int]] = deque()

    def take(self, now_ns: int, trades: int, messages: int) -> tuple[float, float]:
        """Return trades and messages per second; NaN before a second has passed."""
        # After a pause in which nobody looked, the mean over all of it is not what the market does now.
        if self._seen and (trades < self._seen[-1][1] or not 0 <= now_ns - self._seen[-1][0] <= RATE_NS):
            self._seen.clear()
        self._seen.append((now_ns, trades, messages))
        while len(self._seen) > 2 and self._seen[1][0] <= now_ns - RATE_NS:
            self._seen.popleft()
        past_ns, past_trades, past_messages = self._seen[0]
        seconds = (now_ns - past_ns) / 1e9
        if seconds < 1.0:
            return float("nan"), float("nan")
        return (trades - past_trades) / seconds, (messages - past_messages) / seconds


def spreads(frame: Frame, i: int) -> tuple[float, float, float]:
    """Return the spread of market `i`: now in ticks, its average in ticks, and a tick in basis points of the fair price; NaN where unknown."""
    samples = frame.samples(i)
    bid, ask = frame.touch(i)
    tick = float(frame.instruments[i].tick_size)
    mean = ms.ewma(samples["ts_ns"], ms.spread_ticks(samples), SPREAD_HALF_LIFE_S, frame.now_ns)
    fair = frame.fair(i)
    return (ask - bid) / tick, mean, tick / fair * 1e4 if fair > 0 else float("nan")


class MarketState(HtmlPanel):
    """One column a market: spread, volatility, activity, flow."""

    hz = 2.0
    title = "Market state"

    def __init__(self, *, market: int = 0) -> None:
        super().__init__(market=market)
        self._rates: dict[int, Rates] = {}

    def render(self, frame: Frame) -> str:
        """Return a table: a figure a row, a market a column."""
        self.heading(f"averages: half-life {SPREAD_HALF_LIFE_S:.0f} s · rates: last {RATE_NS // 10**9} s")
        columns = [self._figures(frame, i) for i in range(len(frame.instruments))]
        heads = [("", "l"), *((one.symbol, "") for one in frame.instruments)]
        rows = [[(name, "l hft-dim"), *((column[k][1], "hft-n") for column in columns)] for k, (name, _) in enumerate(columns[0])]
        return f'<div class="hft-scroll-x">{table(heads, rows)}</div>'

    def _figures(self, frame: Frame, i: int) -> list[tuple[str, str]]:
        market, instrument = frame.markets[i], frame.instruments[i]
        ticks, mean, tick_bps = spreads(frame, i)
        sigma = frame.sigma_bps(i)
        trades, messages = self._rates.setdefault(i, Rates()).take(frame.now_ns, int(market["trades"]), int(market["messages"]))
        arrivals, distance = float(market["arrivals_per_s"]), float(market["distance_ticks"])
        bid, ask = frame.levels(i, 5)
        depth = (float(bid[:, 1].sum()), float(ask[:, 1].sum()))
        sides = sum(depth)
        return [
            ("fair price", number(frame.fair(i), instrument.price_decimals + 1, unit=instrument.quote)),
            ("spread now", number(ticks, 0, unit="ticks")),
            ("", number(ticks * tick_bps, 3, unit="bps")),
            ("spread, average", number(mean, 1, unit="ticks")),
            ("", number(mean * tick_bps, 3, unit="bps")),
            ("volatility", number(sigma, 3, unit="bps/√s")),
            ("… over a minute", number(sigma * 60**0.5, 2, unit="bps")),
            ("… over a day", number(sigma * 86_400**0.5 / 100, 1, unit="%")),
            ("trades", number(trades, 2, unit="/s")),
            ("messages", number(messages, 1, unit="/s")),
            ("arrivals at the fair price", number(arrivals, 3, unit="/s") if arrivals > 0 else DASH),
            ("prints from fair, mean", number(distance, 1, unit="ticks") if distance > 0 else DASH),
            ("bid share of 5 levels", number(100 * depth[0] / sides, 0, unit="%") if sides > 0 else DASH),
            ("toxicity (VPIN)", number(frame.toxicity(i), 2)),
        ]


class HeatCanvas(Canvas):
    """Draws the buffer of `HeatMap`. `labels` name its rows."""

    _esm = script("heat.js")
    labels = t.List(t.Unicode()).tag(sync=True)


class HeatMap(Panel):
    """Realised volatility by time: a market a row, or with one market a horizon a row."""

    hz = 0.5
    title = "Volatility map"

    def __init__(self, history: History, *, market: int = 0, height_px: int = 190) -> None:
        self.history = history
        self.canvas = HeatCanvas(height_px=height_px)
        super().__init__(self.canvas, market=market)

    def draw(self, frame: Frame) -> None:
        """Send the map, at most ROWS_MAX x COLUMNS numbers."""
        self.canvas.take_greeting()
        if self.canvas.behind:
            return
        labels, grid, edges = self.grid(frame)
        self.canvas.labels = labels
        head = [float(len(grid)), float(grid.shape[1]), edges[0] / 1e6, (edges[1] - edges[0]) / 1e6]
        self.canvas.push(np.concatenate([np.array(head), grid.ravel()]), frame.published_ns)
        many = "by market, returns of 1 s" if len(frame.instruments) > 1 else "by length of the returns"
        self.heading(f"bps/√s · {many} · columns of {_span((edges[1] - edges[0]) / 1e9)} · UTC")

    def grid(self, frame: Frame) -> tuple[list[str], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return labels, volatilities of shape (labels, COLUMNS) in bps per square root of a second, NaN where unknown, and the edges."""
        everything = [self.history.rows(i) for i in range(len(frame.instruments))]
        firsts = [int(rows["ts_ns"][0]) for rows in everything if len(rows)]
        span_s = (frame.now_ns - min(firsts)) / 1e9 if firsts else 0.0
        bucket_s = next((b for b in BUCKETS_S if b * COLUMNS >= span_s), BUCKETS_S[-1])
        edges = ms.edges(frame.now_ns, bucket_s * 10**9, COLUMNS)
        if len(frame.instruments) > 1:
            named = [
                (frame.instruments[i].symbol[:LABEL_CHARS], everything[i], i, HORIZONS_S[0]) for i in range(min(len(everything), ROWS_MAX))
            ]
        else:
            named = [(_span(h), everything[0], 0, h) for h in HORIZONS_S if h * ms.MOVES_MIN <= bucket_s or h == HORIZONS_S[0]]
        found = [self._row(frame, rows, i, horizon_s, edges) for _, rows, i, horizon_s in named]
        return [label for label, *_ in named], np.array(found).reshape(len(named), COLUMNS), edges

    def _row(self, frame: Frame, rows: Any, i: int, horizon_s: float, edges: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        worth = np.asarray(rows["fair_ticks"], dtype=np.float64) * float(frame.instruments[i].tick_size)
        return ms.volatility_bps(rows["ts_ns"], worth, horizon_s, edges)


def _span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"

"""Estimates along an axis: sizes by level of the book, the market by time of day, volatility by time and horizon."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.estimators.walk import NS, Watching, stays_s
from hftlab.analytics.stats.bands import NOTHING, mean_band, variance_band
from hftlab.analytics.stats.tests import neumann_p
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels.est_walk import DEPTH_LEVELS
from hftlab.strict import number

if TYPE_CHECKING:
    import pandas as pd

DAY_NS = 86_400 * NS
BUCKETS_S = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
PARTS = 10  # a time bucket is looked at in so many parts, and its band is of their means
BLOCKS = 40
HORIZONS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
MOVES_MIN = 8


class BookDepth(Watching):
    """Sizes of the best occupied levels in base units, from a look every 0.1 s.

    Band: Student's on the means of 40 blocks of time. Fit: von Neumann's ratio of those means.
    """

    KEEPS = ("samples",)

    def __init__(self, instrument: Instrument, *, market: int = 0, window_s: float | None = None) -> None:
        super().__init__(market=market, window_s=window_s)
        self.instrument = instrument

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return the mean size at the best price, of both sides."""
        samples = self.rows("samples")
        return self._of((samples["bid_lots"][:, 0] + samples["ask_lots"][:, 0]) / 2.0, "depth", level)

    def profile(self, level: float = 0.90) -> "pd.DataFrame":
        """Return one row a side and level: side, level (1 is the best), value, low, high [base], samples."""
        import pandas as pd

        samples = self.rows("samples")
        rows = []
        for side in ("bid", "ask"):
            for place in range(DEPTH_LEVELS):
                one = self._of(samples[f"{side}_lots"][:, place], f"{side} {place + 1}", level)
                rows.append((side, place + 1, one.value, one.low, one.high, one.samples))
        return pd.DataFrame(rows, columns=["side", "level", "value", "low", "high", "samples"])

    def _of(self, lots: np.ndarray, name: str, level: float) -> Estimate:
        unit, said = self.instrument.qty_unit, "looked at every 0.1 s; Student's band of blocks of time"
        blocks = min(BLOCKS, len(lots) // 5)
        if blocks < 5:
            return Estimate(name, math.nan, math.nan, math.nan, unit, len(lots), math.nan, level, said)
        cuts = np.linspace(0, len(lots), blocks + 1).astype(int)
        means = np.add.reduceat(lots.astype(float), cuts[:-1]) / np.diff(cuts) * float(self.instrument.lot_size)
        low, high = mean_band(means, level)
        return Estimate(name, float(means.mean()), low, high, unit, len(lots), neumann_p(means), level, said)


@dataclass(frozen=True)
class _Parts:
    """Sums over equal parts of time, by column; `seconds` watched in each, `bucket` the number of the time-of-day bucket of each."""

    seconds: np.ndarray
    bucket: np.ndarray
    columns: dict[str, np.ndarray]


class DayProfile(Watching):
    """Spread, volume per minute and market orders per second by time of day (UTC); days are laid on one another.

    `bucket_s` divides a day; None takes the shortest of BUCKETS_S that cuts the time seen into at most 24. Bands: Student's on tenths of
    the buckets.
    """

    KEEPS = ("touches", "orders")

    def __init__(self, instrument: Instrument, *, market: int = 0, bucket_s: float | None = None, window_s: float | None = None) -> None:
        super().__init__(market=market, window_s=window_s)
        self.instrument = instrument
        self._bucket_s = None if bucket_s is None else number(bucket_s, "bucket_s", 1.0, 86_400.0)
        if self._bucket_s is not None and 86_400 % self._bucket_s:
            raise InputError(f"bucket_s was {bucket_s}; wanted seconds that divide a day, such as 60 or 3600.")

    def bucket_s(self) -> float:
        """Return how long a bucket is."""
        touches = self.rows("touches")
        span_s = (self.end_exch_ns - int(touches["exch_ns"][0])) / NS if len(touches) else 0.0
        return self._bucket_s or next((one for one in BUCKETS_S if span_s <= 24 * one), BUCKETS_S[-1])

    def profile(self, level: float = 0.90) -> "pd.DataFrame":
        """Return one row a bucket and figure: time (of day), figure ("spread", "volume", "trades"), unit, value, low, high, samples."""
        import pandas as pd

        columns = ["time", "figure", "unit", "value", "low", "high", "samples"]
        parts = self._parts()
        if parts is None:
            return pd.DataFrame(columns=columns)
        unit_qty, width_s = self.instrument.qty_unit, self.bucket_s()
        units = {"spread": "ticks", "volume": f"{unit_qty}/min", "trades": "1/s"}
        rows = []
        for figure, sums in parts.columns.items():
            rates = sums / parts.seconds * (60.0 * float(self.instrument.lot_size) if figure == "volume" else 1.0)
            for bucket in np.unique(parts.bucket):
                mine = rates[parts.bucket == bucket]
                low, high = mean_band(mine, level) if len(mine) > 1 else NOTHING
                time = pd.Timedelta(seconds=float(bucket * width_s))
                rows.append((time, figure, units[figure], float(mine.mean()), low, high, len(mine)))
        return pd.DataFrame(rows, columns=columns)

    def _parts(self) -> _Parts | None:
        touches, orders = self.rows("touches"), self.rows("orders")
        if len(touches) < 2:
            return None
        part_ns = int(self.bucket_s() * NS / PARTS)
        times = np.append(np.maximum.accumulate(touches["exch_ns"]), self.end_exch_ns)
        first, last = int(times[0]) // part_ns, int(times[-1]) // part_ns
        edges = np.arange(first, last + 2) * part_ns
        stays = stays_s(touches, self.end_exch_ns)
        spread = (touches["ask_ticks"] - touches["bid_ticks"]).astype(float)
        held = np.where(touches["bid_ticks"] == touches["ask_ticks"], 0.0, 1.0)  # both are NO_PRICE where there is no book
        seconds, spreads = (
            np.diff(np.interp(edges, times, np.concatenate([[0.0], np.cumsum(stays * what)]))) for what in (held, held * spread)
        )
        place = np.clip(orders["exch_ns"] // part_ns - first, 0, len(seconds) - 1)
        counts = np.bincount(place, minlength=len(seconds)).astype(float)
        lots = np.bincount(place, orders["qty_lots"], len(seconds))
        whole = seconds > 0.5 * part_ns / NS  # a part that was hardly watched would tell of an accident
        bucket = (edges[:-1] % DAY_NS) // (part_ns * PARTS)
        columns = {"spread": spreads, "volume": lots, "trades": counts}
        return _Parts(seconds[whole], bucket[whole], {name: sums[whole] for name, sums in columns.items()})


class VolatilityMap(Watching):
    """Volatility by time and horizon: root mean square moves of the mid over steps of each horizon, per root second.

    Without drift, noise or memory every column says the same; where short horizons say more than long ones the mid bounces, where they say
    less it trends. Band: chi-square, one degree of freedom a step.
    """

    KEEPS = ("samples",)

    def __init__(
        self,
        instrument: Instrument,
        *,
        market: int = 0,
        horizons_s: tuple[float, ...] = HORIZONS_S,
        buckets: int = 24,
        window_s: float | None = None,
    ) -> None:
        super().__init__(market=market, window_s=window_s)
        self.instrument = instrument
        self._horizons_s = tuple(number(one, "horizons_s", 0.1) for one in horizons_s)
        self._buckets = int(number(buckets, "buckets", 1, 1000))

    def profile(self, level: float = 0.90) -> "pd.DataFrame":
        """Return one row a time and horizon: time (UTC, begin), horizon_s, value, low, high [quote/sqrt(s)], samples.

        NaN where fewer than 8 steps fit. The time is cut so that the middle horizon fits 8 times, into at most `buckets` pieces.
        """
        import pandas as pd

        samples = self.rows("samples")
        columns = ["time", "horizon_s", "value", "low", "high", "samples"]
        if len(samples) < 2:
            return pd.DataFrame(columns=columns)
        start_ns, end_ns = int(samples["recv_ns"][0]), int(samples["recv_ns"][-1])
        span_s = (end_ns - start_ns) / NS
        typical = sorted(self._horizons_s)[len(self._horizons_s) // 2]
        buckets = int(np.clip(span_s / (MOVES_MIN * typical), 1, self._buckets))
        edges = np.linspace(start_ns, end_ns + 1, buckets + 1).astype(np.int64)
        tick = float(self.instrument.tick_size)
        rows = []
        for low_ns, high_ns in pairwise(edges.tolist()):
            for horizon_s in self._horizons_s:
                squares = _squared_moves(samples, low_ns, high_ns, round(horizon_s * NS)) / horizon_s
                n = len(squares)
                value = low = high = math.nan
                if n >= MOVES_MIN:
                    variance = float(squares.mean())
                    low, high = variance_band(variance, n, level)
                    value, low, high = (tick * math.sqrt(one) for one in (variance, low, high))
                rows.append((pd.Timestamp(low_ns, tz="UTC"), horizon_s, value, low, high, n))
        return pd.DataFrame(rows, columns=columns)


def _squared_moves(samples: np.ndarray, low_ns: int, high_ns: int, step_ns: int) -> np.ndarray:
    """Return squared moves of the mid [ticks^2] over steps that do not overlap, without those over a break of the book."""
    grid = np.arange(low_ns, high_ns, step_ns)
    at = np.searchsorted(samples["recv_ns"], grid, side="right") - 1
    at = at[at >= 0]
    mid = (samples["bid_ticks"][at] + samples["ask_ticks"][at]) / 2.0
    breaks = np.cumsum(samples["first"])[at]
    return np.asarray(np.diff(mid)[np.diff(breaks) == 0] ** 2)

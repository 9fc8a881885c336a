"""How often an order at a distance from the mid is reached: lambda(delta) = A exp(-k delta), from the public prints."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.estimators.walk import NS, Watching, known, stays_s
from hftlab.analytics.stats.tests import dispersion_of, even_p, exponential_p, least, pearson_p, poisson_band, z_of
from hftlab.instrument import Instrument
from hftlab.types import NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

BLOCKS = 40


@dataclass(frozen=True)
class Curve:
    """A fitted lambda(delta) of one side. Depths are in ticks from the mid, `k` in 1/tick, `arrival` in 1/s at depth zero.

    `log_arrival_error` and `k_error` are standard errors of ln lambda at the depth `pivot_ticks`, where the two do not hang together, and
    of k.
    """

    arrival: float
    k: float
    pivot_ticks: float
    log_arrival_error: float
    k_error: float
    level: float

    def per_s(self, depth_ticks: np.ndarray) -> np.ndarray:
        """Return lambda [1/s] at depths in ticks."""
        return np.asarray(self.arrival * np.exp(-self.k * depth_ticks))

    def band(self, depth_ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the band of lambda at depths in ticks."""
        error = np.sqrt(self.log_arrival_error**2 + (depth_ticks - self.pivot_ticks) ** 2 * self.k_error**2)
        middle, width = np.log(self.per_s(depth_ticks)), z_of(self.level) * error
        return np.exp(middle - width), np.exp(middle + width)


@dataclass(frozen=True)
class _Met:
    """The orders that met a known book: place in time as a share of the exposure, half-spread met and reach behind it in ticks."""

    half_ticks: np.ndarray  # f8 (n,)
    beyond_ticks: np.ndarray  # i8 (n,): 0 is the best price
    exch_ns: np.ndarray
    stays_s: np.ndarray  # f8 (m,) of the touches
    half_stood: np.ndarray  # f8 (m,) their half-spreads, NaN: no book
    exch_stood: np.ndarray  # i8 (m,)


class Intensity(Watching):
    """A [1/s, one side] and k [1/price] of lambda(delta) = A exp(-k delta), from how deep the market orders of the tape reach.

    An order at depth delta from the mid is filled by a market order that reaches it: lambda(delta) is the rate of orders that reach so far
    (Avellaneda & Stoikov 2008, section 2.5; fitting by depth after Gueant 2016, "The Financial Mathematics of Market Liquidity", ch. 10).
    An order that comes eats at least the best price, half a spread h away; by the law it goes j whole ticks beyond it with probability
    (1 - q) q^j, q = exp(-k). So k = ln(1 + 1/mean j) is the maximum-likelihood estimate given the arrivals, whatever the spread does, and
    A = N / (2 sum T_h exp(-k h)) that of a Poisson law, T_h being how long the half-spread was h. Bands: normal in ln(mean j) and in ln A,
    widened by how much more blocks of time scatter than the law says. Fit: of k Pearson's chi-square of the reaches, of A the waits in
    the law's own time, which must be exponential (time rescaling) and even.
    """

    KEEPS = ("touches", "orders")

    def __init__(self, instrument: Instrument, *, market: int = 0, window_s: float | None = None) -> None:
        super().__init__(market=market, window_s=window_s)
        self.instrument = instrument

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return k."""
        return self.estimates(level)["decay"]

    def estimates(self, level: float = 0.90) -> dict[str, Estimate]:
        """Return "decay" (k) and "arrival" (A)."""
        tick, met = float(self.instrument.tick_size), self._met()
        curve, n = self._fitted(met, level)[0], len(met.half_ticks)
        unit = f"1/{self.instrument.quote}"
        said = "reach of market orders behind the touch; maximum likelihood"
        z = z_of(level)
        width = z * curve.k_error / _slope(curve.k)
        low, high = _of_mean(_mean_of(curve.k) * math.exp(width)), _of_mean(_mean_of(curve.k) * math.exp(-width))
        k = Estimate("decay", curve.k / tick, low / tick, high / tick, unit, n, self._depth_p(met, curve.k), level, said)
        error = math.hypot(curve.log_arrival_error, curve.pivot_ticks * curve.k_error)
        a_low, a_high = curve.arrival * math.exp(-z * error), curve.arrival * math.exp(z * error)
        said = "market orders of one side at the mid; Poisson maximum likelihood"
        a = Estimate("arrival", curve.arrival, a_low, a_high, "1/s", n, self._time_p(met, curve.k), level, said)
        return {"decay": k, "arrival": a}

    def curve(self, level: float = 0.90) -> tuple[Curve, "pd.DataFrame"]:
        """Return the fitted curve, and a table of what was counted: depth_ticks, per_s, low, high, orders.

        Each depth with the rate at which market orders reached it while the touch was no deeper than that.
        """
        met = self._met()
        curve, dispersion = self._fitted(met, level)
        return curve, _observed(met, level, dispersion)

    def _fitted(self, met: _Met, level: float) -> tuple[Curve, float]:
        n = len(met.half_ticks)
        mean = float(met.beyond_ticks.mean()) if n else math.nan
        k = _of_mean(mean)
        open_s = ~np.isnan(met.half_stood)
        half, stays = met.half_stood[open_s], met.stays_s[open_s]
        weights = stays * np.exp(-k * half)
        exposure = float(weights.sum())
        if not (n and exposure > 0):
            return Curve(math.nan, k, math.nan, math.nan, math.nan, level), 1.0
        q = math.exp(-k)
        variance = q / (1.0 - q) ** 2
        block = _blocks(met)
        counts, beyond = (np.bincount(block, w, BLOCKS) for w in (np.ones(n), met.beyond_ticks - mean))
        reach_spread = dispersion_of(beyond, counts * variance)
        count_spread = dispersion_of(counts - n / BLOCKS, np.full(BLOCKS, n / BLOCKS))
        error = math.sqrt(reach_spread * variance / n) / mean
        pivot = float(weights @ half) / exposure
        return Curve(n / (2.0 * exposure), k, pivot, math.sqrt(count_spread / n), error * _slope(k), level), count_spread

    def _met(self) -> _Met:
        touches, orders = self.rows("touches"), self.rows("orders")
        seen = orders[orders["bid_ticks"] != NO_PRICE]
        if len(touches):
            seen = seen[seen["exch_ns"] >= touches["exch_ns"][0]]
        best = np.where(seen["side"] > 0, seen["ask_ticks"], seen["bid_ticks"])
        spread = (touches["ask_ticks"] - touches["bid_ticks"]) / 2.0
        return _Met(
            (seen["ask_ticks"] - seen["bid_ticks"]) / 2.0,
            np.maximum((seen["price_ticks"] - best) * seen["side"], 0),
            seen["exch_ns"],
            stays_s(touches, self.end_exch_ns),
            np.where(known(touches), spread, np.nan),
            touches["exch_ns"],
        )

    @staticmethod
    def _depth_p(met: _Met, k: float) -> float:
        n = len(met.half_ticks)
        if n < 30 or not math.isfinite(k):
            return math.nan
        deepest = int(met.beyond_ticks.max()) + 2
        q = math.exp(-k)
        law = n * (1.0 - q) * q ** np.arange(deepest)
        law[-1] = n * q ** (deepest - 1)
        return pearson_p(np.bincount(met.beyond_ticks, minlength=deepest), law, fitted=1)

    @staticmethod
    def _time_p(met: _Met, k: float) -> float:
        """Return p that the orders are a Poisson process of intensity 2 A exp(-k h(t)): in its own time it has rate one."""
        if not math.isfinite(k):
            return math.nan
        own = _own_time(met, k)
        return least(exponential_p(np.diff(own)), even_p(own / _whole(met, k), 20))


def _observed(met: _Met, level: float, dispersion: float) -> "pd.DataFrame":
    import pandas as pd

    open_s = ~np.isnan(met.half_stood)
    half, stays = met.half_stood[open_s], met.stays_s[open_s]
    reach = met.half_ticks + met.beyond_ticks
    rows = []
    for depth in np.unique(np.concatenate([half, reach]))[:200] if len(reach) else ():
        exposure = 2.0 * float(stays[half <= depth].sum())
        count = int(np.count_nonzero((reach >= depth) & (met.half_ticks <= depth)))
        if exposure > 0 and count >= 3:
            rows.append((depth, count / exposure, *poisson_band(count, exposure, level, dispersion), count))
    return pd.DataFrame(rows, columns=["depth_ticks", "per_s", "low", "high", "orders"])


def _of_mean(mean: float) -> float:
    """Return k [1/tick] of the law whose mean reach behind the touch is `mean` ticks."""
    return math.log1p(1.0 / mean) if mean > 0 else math.inf if mean == 0 else math.nan


def _mean_of(k: float) -> float:
    return 1.0 / math.expm1(k) if math.isfinite(k) else math.nan


def _slope(k: float) -> float:
    """Return |dk / d ln(mean)| = 1 / (1 + mean)."""
    return 1.0 / (1.0 + _mean_of(k)) if math.isfinite(k) else math.nan


def _whole(met: _Met, k: float) -> float:
    weights = met.stays_s * np.exp(-k * met.half_stood)
    return max(float(np.nansum(weights)), 1e-300)


def _own_time(met: _Met, k: float) -> np.ndarray:
    """Return the times of the orders on the clock that runs exp(-k h(t)) fast and stands while there is no book."""
    weights = np.nan_to_num(met.stays_s * np.exp(-k * met.half_stood))
    starts = np.maximum.accumulate(met.exch_stood)
    edges = np.append(starts, starts[-1] + round(met.stays_s[-1] * NS))
    return np.sort(np.interp(met.exch_ns, edges, np.concatenate([[0.0], np.cumsum(weights)])))


def _blocks(met: _Met) -> np.ndarray:
    """Return the block of each order: equal stretches of the time in which there was a book."""
    if not len(met.half_ticks):
        return np.zeros(0, np.int64)
    place = _own_time(met, 0.0) / _whole(met, 0.0)
    return np.minimum((place * BLOCKS).astype(np.int64), BLOCKS - 1)

"""Volatility by time half-life, as the desk has it, and by realised kernel, which sees through the noise of single quotes."""

import math
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.estimators.walk import NS, Watching, known
from hftlab.analytics.stats.tests import constant_p, least, uncorrelated_p, variance_band
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import est_sums
from hftlab.strict import number

_KEPT_HALF_LIVES = 12.0  # what is older weighs less than 2**-12 together
_PARZEN_00 = 151.0 / 560.0  # the integrals over 0..1 of k^2, k'^2 and k''^2, and -k''(0)
_PARZEN_11, _PARZEN_22, _PARZEN_CURVE = 1.5, 24.0, 12.0
_C_STAR = (_PARZEN_CURVE**2 / 0.269) ** 0.2  # 3.5134


def steps(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the moves of the mid [ticks, f8] from sample to sample, and their durations [ns, i8]; none over a break of the book."""
    if len(samples) < 2:
        return np.zeros(0), np.zeros(0, np.int64)
    mid = (samples["bid_ticks"] + samples["ask_ticks"]) / 2.0
    held = samples["first"][1:] == 0
    return np.diff(mid)[held], np.diff(samples["recv_ns"])[held]


class Volatility(Watching):
    """sigma of the mid by time half-life [quote/sqrt(s)]: the desk's own formula (`pricing.ewma_variance_per_s`) on 0.1 s samples.

    Law: moves of one constant variance per second that do not follow from one another. Band: chi-square with the degrees of freedom
    that the weights leave, fewer where moves have fat tails or their squares hang together (Newey-West). Fit: `constant_p` of the squared
    moves and `uncorrelated_p` of the moves.
    """

    KEEPS = ("samples",)

    def __init__(self, instrument: Instrument, *, market: int = 0, half_life_s: float = 60.0, window_s: float | None = None) -> None:
        super().__init__(market=market, window_s=window_s or _KEPT_HALF_LIVES * number(half_life_s, "half_life_s", 1e-3))
        self.instrument, self.half_life_s = instrument, half_life_s

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return the estimate at the last row."""
        moves, dt_ns = steps(self.rows("samples"))
        said = f"time half-life {self.half_life_s:g} s, 0.1 s samples; chi-square band"
        tick = float(self.instrument.tick_size)
        unit = f"{self.instrument.quote}/√s"
        if len(moves) < 2 or not moves.any():
            return Estimate("volatility", math.nan, math.nan, math.nan, unit, len(moves), math.nan, level, said)
        weights = np.zeros(len(moves))
        variance = est_sums.ewma_path(moves, dt_ns, self.half_life_s, weights)
        rates = moves**2 / (dt_ns / NS)
        degrees = 2.0 * variance**2 / _weighted_variance(rates, weights, variance)
        low, high = variance_band(variance, degrees, level)
        fit = least(constant_p(rates), uncorrelated_p(moves / np.sqrt(dt_ns / NS)))
        value, low, high = (tick * math.sqrt(one) for one in (variance, low, high))
        return Estimate("volatility", value, low, high, unit, int(degrees), fit, level, said)


def _weighted_variance(rates: np.ndarray, weights: np.ndarray, mean: float) -> float:
    """Return the variance of the weighted mean of `rates`: at least that of Gaussian moves, and what scatter and Newey-West say."""
    rest = weights * (rates - mean)
    lags = int(len(rates) ** (1 / 3))
    spread = float(rest @ rest)
    hac = spread + 2.0 * sum((1.0 - j / (lags + 1.0)) * float(rest[j:] @ rest[:-j]) for j in range(1, lags + 1) if j < len(rest))
    return max(2.0 * mean**2 * float(weights @ weights), spread, hac)


class RealisedKernel(Watching):
    """sigma over the last `window_s` by realised kernel of every change of the mid [quote/sqrt(s)].

    Barndorff-Nielsen, Hansen, Lunde & Shephard: Parzen weights, non-flat-top, jittered ends (2 prices), bandwidth
    H = 3.5134 (omega^2/IV)^(2/5) n^(3/5) with omega^2 and IV from subsampled variances ("Realized kernels in practice", Econometrics
    Journal 12, 2009, section 2.2: 20 minutes and 2 minutes of a day of 6.5 h, here the same fractions of the window). The noise that the
    weights let through (12 omega^2 n / H^2) is taken out. Band: chi-square of the variance of theorem 1 of "Designing realised kernels"
    (Econometrica 76, 2008). Law tested: one constant variance, by the dispersion of squared moves sampled beyond the noise.
    """

    KEEPS = ("touches",)

    def __init__(self, instrument: Instrument, *, market: int = 0, window_s: float = 1800.0) -> None:
        super().__init__(market=market, window_s=number(window_s, "window_s", 1e-3))
        self.instrument = instrument

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return the estimate over the window that ends with the last row."""
        touches = self.rows("touches")
        touches = touches[known(touches)]
        mid = (touches["bid_ticks"] + touches["ask_ticks"]) / 2.0
        moved = np.concatenate([[True], np.diff(mid) != 0]) if len(mid) else np.zeros(0, bool)
        mid, times = mid[moved], touches["recv_ns"][moved]
        unit, said = f"{self.instrument.quote}/√s", "realised kernel (Parzen) of every change of the mid; chi-square band"
        if len(mid) < 30:
            return Estimate("volatility_kernel", math.nan, math.nan, math.nan, unit, len(mid), math.nan, level, said)
        span_s = (self.end_recv_ns - int(times[0])) / NS
        made = realised(mid)
        degrees = 2.0 * made.variance**2 / made.error2
        low, high = variance_band(made.variance, degrees, level)
        tick = float(self.instrument.tick_size)
        value, low, high = (tick * math.sqrt(one / span_s) for one in (made.variance, low, high))
        fit = _constant_after_noise(mid, times)
        return Estimate("volatility_kernel", value, low, high, unit, int(degrees), fit, level, f"{said}, H = {made.bandwidth}")


@dataclass(frozen=True)
class Realised:
    """Integrated `variance` [P^2] of a window with the square of its standard error; `noise2` is the variance of a quote's noise."""

    variance: float
    error2: float
    bandwidth: int
    noise2: float


def realised(prices: np.ndarray) -> Realised:
    """Return the realised kernel of prices (f8, in order). Raises InputError for fewer than 10."""
    if len(prices) < 10:
        raise InputError(f"{len(prices)} prices were given; a realised kernel wants 10 or more.")
    prices = np.concatenate([[prices[:2].mean()], prices[2:-2], [prices[-2:].mean()]])
    returns = np.diff(prices)
    n = len(returns)
    coarse, _ = est_sums.subsampled_variance(prices, max(1, round(n / 19.5)))
    dense, count = est_sums.subsampled_variance(prices, max(1, round(n / 195.0)))
    ratio = dense / (2.0 * count) / coarse if coarse > 0 else 1.0
    bandwidth = min(max(1, math.ceil(_C_STAR * ratio**0.4 * n**0.6)), n // 2)
    raw = est_sums.realised_kernel(returns, bandwidth)
    noise2 = max(0.0, (float(returns @ returns) - raw) / (2.0 * n))
    variance = max(raw - _PARZEN_CURVE * noise2 * n / (bandwidth + 1.0) ** 2, 0.1 * raw)
    weights = np.array([est_sums.parzen(h / (bandwidth + 1.0)) for h in range(1, bandwidth + 1)])
    fourth = max(1.0, n * float((returns**4).sum()) / (3.0 * float(returns @ returns) ** 2))
    signal = 2.0 / n * (fourth + 2.0 * float(weights @ weights)) * variance**2
    noise = 8.0 * _PARZEN_11 * noise2 * variance / bandwidth + 4.0 * _PARZEN_22 * noise2**2 * n / bandwidth**3
    return Realised(variance, signal + noise, bandwidth, noise2)


def _constant_after_noise(prices: np.ndarray, times: np.ndarray) -> float:
    """Return `constant_p` of the squared moves between means of several prices: in a mean the noise of single quotes is small."""
    length = max(8, len(prices) // 800)
    blocks = len(prices) // length
    means, middles = (column[: blocks * length].reshape(blocks, length).mean(axis=1) for column in (prices, (times - times[0]) / NS))
    spans = np.diff(middles)
    return constant_p(np.diff(means)[spans > 0] ** 2 / spans[spans > 0])

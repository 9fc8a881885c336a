"""Bands of figures: of a mean, a share, a rate, a variance, and of whatever was drawn many times. `level` is 0.95 for 95 %."""

import math
from collections.abc import Sequence

import numpy as np

from hftlab.analytics.stats.distributions import chi2_quantile, student_t, z_of

NOTHING = (math.nan, math.nan)


def mean_band(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return low and high of the mean of `values` f8 (n,), n from 2, by Student's t with n - 1 degrees of freedom."""
    _, low, high = mean_bands(values[:, None], level)
    return float(low[0]), float(high[0])


def mean_bands(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of each column of `values` f8 (n, k), n from 2, with low and high, as `mean_band`: three of shape (k,)."""
    n = len(values)
    mean = values.mean(axis=0)
    reach = student_t(n - 1, level) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - reach, mean + reach


def drawn_band(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return low and high of what was drawn many times: its percentiles, NaN left out; NaN where none is known."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return NOTHING
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2)).tolist()
    return low, high


def mostly_known_band(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return `drawn_band` of the finite ones of `values` (f8), NaN where a tenth of the draws or more has no value, or none was drawn."""
    known = values[np.isfinite(values)]
    return drawn_band(known, level) if len(known) >= max(1, 0.9 * len(values)) else NOTHING


def wilson_band(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the band of a share of `n` independent trials (Wilson 1927): of some width even for none or all of them."""
    z2 = z_of(level) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def variance_band(variance: float, degrees: float, level: float) -> tuple[float, float]:
    """Return the band of a variance whose estimate is chi-square with so many degrees of freedom, divided by them."""
    tail = (1.0 - level) / 2.0
    return variance * degrees / chi2_quantile(1.0 - tail, degrees), variance * degrees / chi2_quantile(tail, degrees)


def poisson_band(count: float, exposure: float, level: float, dispersion: float = 1.0) -> tuple[float, float]:
    """Return the band of a rate from a count over an exposure (Garwood 1936, exact for Poisson).

    With a dispersion above 1 a count of n says as much as one of n / dispersion would.
    """
    tail, n = (1.0 - level) / 2.0, count / dispersion
    low = chi2_quantile(tail, 2.0 * n) / 2.0 if n > 0 else 0.0
    return low * dispersion / exposure, chi2_quantile(1.0 - tail, 2.0 * n + 2.0) / 2.0 * dispersion / exposure


def dispersion_of(parts: np.ndarray, expected: np.ndarray) -> float:
    """Return by how much sums over blocks of time scatter more than their law says, never below 1.

    parts: what each block gave less what the law expects of it; expected: the variance that the law gives it. Both f8 (blocks,).
    """
    degrees = len(parts) - 1
    return max(1.0, float(((parts - parts.mean()) ** 2).sum() / degrees / expected.mean())) if degrees > 0 and expected.sum() > 0 else 1.0

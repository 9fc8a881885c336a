"""What is left of a Sharpe ratio when it is the best of many: probabilistic and deflated ratio, and how long a record it takes.

Ratios here are a period's, not annualised; kurtosis is 3 for the normal law. Sources: Bailey & Lopez de Prado, "The Sharpe ratio
efficient frontier" (2012) and "The deflated Sharpe ratio" (2014).
"""

import math

from hftlab.analytics.stats.distributions import normal_cdf, normal_quantile
from hftlab.errors import InputError

_EULER = 0.5772156649015329


def scatter(ratio: float, skew: float, kurtosis: float) -> float:
    """Return n - 1 times the variance of a ratio measured from n returns: 1 - skew SR + (kurtosis - 1) / 4 SR^2 (Mertens 2002)."""
    return 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2


def probabilistic_sharpe(ratio: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, *, benchmark: float = 0.0) -> float:
    """Return the probability that the true ratio is above `benchmark`, from a measured `ratio` of `n` returns (2012, equation 9).

    Z((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)). NaN with fewer than two returns.
    """
    if n < 2 or math.isnan(ratio):
        return math.nan
    spread = scatter(ratio, skew, kurtosis)
    return normal_cdf((ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(spread)) if spread > 0 else math.nan


def expected_max_sharpe(trials: int, variance: float) -> float:
    """Return the best ratio that `trials` independent rules without skill are expected to show, their ratios' variance being `variance`.

    sqrt(V) ((1 - g) Z^-1(1 - 1 / N) + g Z^-1(1 - 1 / (N e))), g the Euler-Mascheroni constant (2014, equation 1). Raises InputError.
    """
    if trials < 1 or not variance >= 0:
        raise InputError(f"trials={trials}, variance={variance}; wanted at least one trial and a variance of zero or more.")
    if trials == 1:
        return 0.0
    high, higher = normal_quantile(1 - 1 / trials), normal_quantile(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER) * high + _EULER * higher)


def deflated_sharpe(
    ratio: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, *, trials: int, trials_variance: float | None = None
) -> float:
    """Return the probability that the true ratio is above 0 given that it is the best of `trials` (2014, equation 2).

    `trials_variance` is the variance of the trials' ratios a period; without it that of rules without skill, 1 / (n - 1).
    Published: SR 2.5 a year of 250, n 1250, skew -3, kurtosis 10, 100 trials of variance 1/2 a year give 0.9004. Raises InputError.
    """
    if n < 2 or math.isnan(ratio):
        return math.nan
    variance = 1 / (n - 1) if trials_variance is None else trials_variance
    return probabilistic_sharpe(ratio, n, skew, kurtosis, benchmark=expected_max_sharpe(trials, variance))


def minimum_track_record(ratio: float, skew: float = 0.0, kurtosis: float = 3.0, *, benchmark: float = 0.0, level: float = 0.95) -> float:
    """Return how many returns it takes to say with confidence `level` that the true ratio is above `benchmark` (2012, equation 11).

    1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (Z^-1(level) / (SR - SR*))^2; infinite for a ratio that is not above it.
    """
    if math.isnan(ratio):
        return math.nan
    if ratio <= benchmark:
        return math.inf
    return 1 + scatter(ratio, skew, kurtosis) * (normal_quantile(level) / (ratio - benchmark)) ** 2

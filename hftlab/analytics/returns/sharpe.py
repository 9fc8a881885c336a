"""The Sharpe ratio with what belongs to it: how many returns, an interval, and what is left of it after the number of trials.

Convention: simple returns, arithmetic mean of the excess, standard deviation with n - 1, times the square root of the periods in a
year, which the caller names: 365 for a market that never closes, 252 for one that does. Nothing here guesses it.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.luck.overfit import deflated_sharpe, probabilistic_sharpe
from hftlab.analytics.returns.equity import ratio_error
from hftlab.errors import InputError
from hftlab.strict import number

Floats = npt.NDArray[np.float64]

METHODS = {
    "moments": "Mertens 2002: any skew and kurtosis, no autocorrelation",
    "normal": "Lo 2002, equation 9: normal returns, no autocorrelation",
    "hac": "Lo 2002, section 'Non-IID returns': GMM with Newey-West weights",
}
_FLAT = 1e-12
"""Below this share of the largest return a standard deviation is what rounding leaves."""


@dataclass(frozen=True, slots=True)
class Sharpe:
    """A Sharpe ratio: `value` with its `level` interval [`low`, `high`], a year's where `periods_per_year` is given, else a period's.

    `n` returns; `per_period` is the ratio not annualised, `error` its standard error by `method`. `skew` and `kurtosis` (3 for the
    normal law) are those of the returns. `probability` that the true ratio is above 0 (Bailey & Lopez de Prado 2012); `deflated` that it
    is above what the best of `trials` without any skill would show (2014): equal to `probability` for one trial. NaN: not known.
    """

    value: float
    low: float
    high: float
    per_period: float
    error: float
    n: int
    skew: float
    kurtosis: float
    probability: float
    deflated: float
    trials: int
    periods_per_year: float | None
    level: float
    method: str

    def __str__(self) -> str:
        unit = "a period, not annualised" if self.periods_per_year is None else f"a year of {self.periods_per_year:g} periods"
        return (
            f"Sharpe {self.value:.3g} [{self.low:.3g}, {self.high:.3g}] {unit} (n={self.n:,}, {self.level:.0%}, {METHODS[self.method]}); "
            f"above 0 with probability {self.probability:.3g}, after {self.trials:,} trials {self.deflated:.3g}"
        )


def sharpe(
    returns: Any,
    periods_per_year: float | None,
    *,
    risk_free: float = 0.0,
    level: float = 0.95,
    method: str = "moments",
    trials: int = 1,
    trials_variance: float | None = None,
) -> Sharpe:
    """Return the Sharpe ratio of simple returns, shape (n,), NaN left out.

    `periods_per_year` has no default: 365 or 252 for days, None for a ratio that is not annualised. `risk_free` is a return a period.
    `method` of the interval: see METHODS. `trials` is how many rules were tried, this one among them, and `trials_variance` the variance
    of their ratios a period; without it that of rules without skill, 1 / (n - 1). Fewer than two returns, or returns that do not
    vary, have no ratio: NaN. Raises InputError.
    """
    if method not in METHODS:
        raise InputError(f"method was {method!r}; wanted one of {', '.join(METHODS)}.")
    if periods_per_year is not None:
        number(periods_per_year, "periods_per_year", 1e-9)
    excess = known(returns) - risk_free
    n, ratio = len(excess), per_period(excess)
    skew, kurtosis = moments(excess)
    error = math.sqrt(_hac_variance(excess, ratio) if method == "hac" else ratio_variance(ratio, n, skew, kurtosis, method))
    scale = 1.0 if periods_per_year is None else math.sqrt(periods_per_year)
    z = NormalDist().inv_cdf((1 + number(level, "level", 0.01, 0.9999)) / 2)
    return Sharpe(
        value=ratio * scale,
        low=(ratio - z * error) * scale,
        high=(ratio + z * error) * scale,
        per_period=ratio,
        error=error,
        n=n,
        skew=skew,
        kurtosis=kurtosis,
        probability=probabilistic_sharpe(ratio, n, skew, kurtosis),
        deflated=deflated_sharpe(ratio, n, skew, kurtosis, trials=trials, trials_variance=trials_variance),
        trials=trials,
        periods_per_year=periods_per_year,
        level=level,
        method=method,
    )


def known(returns: Any) -> Floats:
    """Return returns as float64, shape (n,), without NaN. Raises InputError for another shape or for an infinite return."""
    values = np.asarray(returns, np.float64)
    if values.ndim != 1:
        raise InputError(f"returns had the shape {values.shape}; wanted one series, shape (n,).")
    values = values[~np.isnan(values)]
    if not np.isfinite(values).all():
        raise InputError("returns held an infinite value: something was divided by a capital of zero. Give capital_quote above zero.")
    return values


def per_period(excess: Floats) -> float:
    """Return mean / standard deviation (n - 1) of excess returns, shape (n,); NaN where they do not vary."""
    if len(excess) < 2:
        return math.nan
    deviation = float(excess.std(ddof=1))
    return float(excess.mean()) / deviation if deviation > _FLAT * float(np.abs(excess).max()) else math.nan


def moments(values: Floats) -> tuple[float, float]:
    """Return skew and kurtosis (3 for the normal law) of `values`, shape (n,): the plain moments, as the deflated ratio wants them."""
    if len(values) < 2 or math.isnan(per_period(values)):
        return math.nan, math.nan
    centred = (values - values.mean()) / values.std()
    squares = centred * centred
    return float((squares * centred).mean()), float((squares * squares).mean())


def ratio_variance(ratio: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, method: str = "moments") -> float:
    """Return the variance of a ratio a period: (1 - skew SR + (kurtosis - 1) / 4 SR^2) / (n - 1) (Mertens 2002), normal: / n (Lo 2002)."""
    if method == "normal":
        return float(ratio_error(ratio, n)) ** 2 if n >= 2 else math.nan
    return max(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2, 0.0) / (n - 1) if n >= 2 else math.nan


def _hac_variance(excess: Floats, ratio: float) -> float:
    """Return the variance of a ratio under autocorrelation: the delta method on mean and variance, Newey-West long-run covariance.

    Lo (2002, appendix): d SR = (1 / s, -(mean) / (2 s^3)); Bartlett weights over floor(4 (n / 100)^(2/9)) lags (Newey & West 1994).
    """
    n = len(excess)
    if n < 2 or math.isnan(ratio):
        return math.nan
    mean, variance = float(excess.mean()), float(excess.var())
    parts = np.stack([excess - mean, (excess - mean) ** 2 - variance])
    lags = int(4 * (n / 100) ** (2 / 9))
    covariance = parts @ parts.T / n
    for lag in range(1, min(lags, n - 1) + 1):
        step = parts[:, lag:] @ parts[:, :-lag].T / n
        covariance += (1 - lag / (lags + 1)) * (step + step.T)
    slope = np.array([1 / math.sqrt(variance), -mean / (2 * variance**1.5)])
    return max(float(slope @ covariance @ slope), 0.0) / n

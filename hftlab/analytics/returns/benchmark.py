"""Returns beside those of a benchmark: alpha, beta, information ratio, with standard errors that bear autocorrelation."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.returns.sharpe import Sharpe, sharpe
from hftlab.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Against:
    """Returns against a benchmark: r = alpha + beta b + rest, by least squares. `alpha` is a period's, `alpha_year` times the periods.

    The intervals are alpha and beta +- z Newey-West errors (lags 4 (n / 100)^(2/9), no small-sample factor). `information` is the
    Sharpe ratio of r - b, with its own interval; `tracking_error` the standard deviation (n - 1) of r - b a period.
    """

    alpha: float
    alpha_error: float
    beta: float
    beta_error: float
    correlation: float
    tracking_error: float
    information: Sharpe
    n: int
    periods_per_year: float | None
    level: float

    @property
    def alpha_year(self) -> float:
        """Return alpha times the periods in a year, NaN where it is not annualised: an arithmetic rate, as the Sharpe ratio's mean."""
        return self.alpha * self.periods_per_year if self.periods_per_year is not None else math.nan

    @property
    def z(self) -> float:
        """Return how many standard errors the interval reaches to each side."""
        return NormalDist().inv_cdf((1 + self.level) / 2)

    @property
    def alpha_interval(self) -> tuple[float, float]:
        """Return low and high of alpha a period."""
        return self.alpha - self.z * self.alpha_error, self.alpha + self.z * self.alpha_error

    @property
    def beta_interval(self) -> tuple[float, float]:
        """Return low and high of beta."""
        return self.beta - self.z * self.beta_error, self.beta + self.z * self.beta_error


def against(returns: Any, benchmark: Any, periods_per_year: float | None, *, risk_free: float = 0.0, level: float = 0.95) -> Against:
    """Return how `returns`, shape (n,), went against `benchmark`, shape (n,), of the same periods; pairs with a NaN are left out.

    `risk_free`, a return a period, is taken from both for alpha and beta (Jensen 1968). Raises InputError.
    """
    r, b = np.asarray(returns, np.float64), np.asarray(benchmark, np.float64)
    if r.shape != b.shape or r.ndim != 1:
        raise InputError(f"returns had the shape {r.shape} and the benchmark {b.shape}; wanted two series of the same periods.")
    both = np.isfinite(r) & np.isfinite(b)
    r, b = r[both], b[both]
    information = sharpe(r - b, periods_per_year, level=level)
    n = len(r)
    if n < 3 or np.ptp(b) == 0:
        nan = math.nan
        return Against(nan, nan, nan, nan, nan, float((r - b).std(ddof=1)) if n > 1 else nan, information, n, periods_per_year, level)
    x = np.stack([np.ones(n), b - risk_free], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(x, r - risk_free, rcond=None)
    errors = _newey_west(x, (r - risk_free) - x @ np.array([alpha, beta]))
    correlation = float(np.corrcoef(r, b)[0, 1]) if np.ptp(r) > 0 else math.nan
    deviation = float((r - b).std(ddof=1))
    return Against(
        float(alpha), float(errors[0]), float(beta), float(errors[1]), correlation, deviation, information, n, periods_per_year, level
    )


def _newey_west(x: Floats, rest: Floats) -> Floats:
    """Return the standard errors of a least-squares fit under heteroscedasticity and autocorrelation (Newey & West 1987, Bartlett)."""
    n = len(x)
    lags = int(4 * (n / 100) ** (2 / 9))
    u = x * rest[:, None]
    middle = u.T @ u
    for lag in range(1, min(lags, n - 1) + 1):
        step = u[lag:].T @ u[:-lag]
        middle += (1 - lag / (lags + 1)) * (step + step.T)
    bread = np.linalg.inv(x.T @ x)
    return np.sqrt(np.maximum(np.diag(bread @ middle @ bread), 0.0))

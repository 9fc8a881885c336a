"""A line through steps of time, with a band that holds where the steps hang together, and a test that the law is a line."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hftlab.analytics.report.sensitivity import student_t

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """`slope` of y on x with its standard error and band at `level`; `r2`; `lags` of the error; `fit_p` of the law being a line."""

    slope: float
    error: float
    low: float
    high: float
    r2: float
    fit_p: float
    samples: int
    lags: int


NOTHING = Line(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 0, 0)


def lags_for(n: int) -> int:
    """Return the lags of the Bartlett kernel for `n` steps: 4 (n / 100)^(2/9), rounded down (Newey & West 1994)."""
    return max(int(4 * (n / 100) ** (2 / 9)), 1)


def hac(x: Floats, rest: Floats, lags: int) -> Floats:
    """Return the covariance (k, k) of least-squares coefficients on `x` (n, k) with residuals `rest` (n,).

    Newey & West 1987, Bartlett weights. Each residual is divided by 1 - its leverage (HC3 of MacKinnon & White 1985): a few large flows
    pull the line to themselves, and without that the band is too narrow and the test of the law cries wolf.
    """
    bread = np.linalg.pinv(x.T @ x)
    leverage = np.einsum("ij,jk,ik->i", x, bread, x)
    scores = x * (rest / np.maximum(1.0 - leverage, 1e-6))[:, None]
    middle = scores.T @ scores
    for lag in range(1, lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        middle += (1 - lag / (lags + 1)) * (cross + cross.T)
    return np.asarray(bread @ middle @ bread)


def line(y: Floats, x: Floats, *, origin: bool = False, level: float = 0.90, lags: int | None = None) -> Line:
    """Return the least-squares Line of `y` (n,) on `x` (n,), through the origin or not.

    Band: Newey–West standard error x Student's t with n / (1 + 2 lags / 3) degrees of freedom, about the independent pieces that the
    lags leave. `fit_p`: Ramsey's RESET with x|x| and x^2, a Wald test on the same covariance: small where the answer bends, or bends
    differently up and down. All NaN with fewer than 8 steps or without any x.
    """
    known = np.isfinite(x) & np.isfinite(y)
    y, x = y[known], x[known]
    n = len(x)
    scale = float(np.sqrt(np.mean(x * x))) if n else 0.0
    if n < 8 or scale == 0.0 or (not origin and float(np.ptp(x)) == 0.0):
        return NOTHING
    lags = lags_for(n) if lags is None else lags
    unit = x / scale
    ones = [] if origin else [np.ones(n)]
    design = np.column_stack([unit, *ones])
    coefficients, rest = _least_squares(design, y)
    error = math.sqrt(max(float(hac(design, rest, lags)[0, 0]), 0.0)) / scale
    reach = student_t(max(round(n / (1 + 2 * lags / 3)) - design.shape[1], 1), level) * error
    slope = float(coefficients[0]) / scale
    total = float(y @ y) if origin else float(((y - y.mean()) ** 2).sum())
    r2 = 1.0 - float(rest @ rest) / total if total > 0 else math.nan
    bends = np.column_stack([design, unit * np.abs(unit), unit * unit])
    return Line(slope, error, slope - reach, slope + reach, r2, added_p(y, bends, design.shape[1], lags), n, lags)


def added_p(y: Floats, x: Floats, kept: int, lags: int) -> float:
    """Return the p-value that the columns of `x` (n, k) from `kept` on add nothing to the first: an F test on the HAC covariance."""
    coefficients, rest = _least_squares(x, y)
    if float(rest @ rest) <= 1e-20 * float(y @ y):
        return 1.0 if np.abs(coefficients[kept:]).max() <= 1e-9 * np.abs(coefficients).max() else 0.0
    added = coefficients[kept:]
    wald = float(added @ np.linalg.pinv(hac(x, rest, lags)[kept:, kept:]) @ added)
    return f_tail(wald / len(added), len(added), max(round(len(y) / (1 + 2 * lags / 3)) - x.shape[1], 1))


def f_tail(value: float, above: int, below: int) -> float:
    """Return P(F > `value`) with `above` and `below` degrees of freedom, by the beta integral on a grid of angles.

    With x = below / (below + above f) = cos(a)^2 the density of the angle a is proportional to cos(a)^(below - 1) sin(a)^(above - 1).
    """
    if not math.isfinite(value):
        return math.nan
    below = min(below, 10_000)  # nearer to chi-square than the grid could tell
    start = math.atan(math.sqrt(above * max(value, 0.0) / below))

    def weight(low: float, high: float) -> float:
        angle = np.linspace(low, high, 4001)
        return float(np.trapezoid(np.cos(angle) ** (below - 1) * np.sin(angle) ** (above - 1), angle))

    tail, head = weight(start, math.pi / 2), weight(0.0, start)
    return min(max(tail / (tail + head), 0.0), 1.0)


def _least_squares(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    coefficients = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], np.float64)
    return coefficients, y - x @ coefficients

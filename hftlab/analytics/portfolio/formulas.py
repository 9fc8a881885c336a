"""The arithmetic of portfolio risk, on plain arrays: covariance and correlation by EWMA, value at risk, expected shortfall, drawdown.

Losses are positive numbers. Rows are moments in time, oldest first; columns are markets.
"""

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from hftlab.analytics.returns import equity

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
Z_95 = NormalDist().inv_cdf(LEVEL)
DECAY = 0.94
"""Lambda of RiskMetrics (Technical Document, 4th edition, 1996) for daily data; here it is applied to each move of one horizon."""

MOVES_MIN = 40
"""Moves wanted before a risk number is shown: then at least two lie in the tail of 5 %, and 0.94**40 leaves 8 % of the EWMA weight out."""


def ewma_covariance(moves: Floats, decay: float = DECAY) -> Floats:
    """Return the zero-mean EWMA covariance, shape (m, m), of `moves` (n, m): c = decay c + (1 - decay) r r' (RiskMetrics 1996).

    The weights are divided by their sum, so that a short history is not taken for a quiet one. No moves give NaN.
    """
    n, m = moves.shape
    if n == 0:
        return np.full((m, m), np.nan)
    weights = decay ** np.arange(n - 1, -1, -1, dtype=np.float64)
    weighted = moves * (weights / weights.sum())[:, None]
    covariance: Floats = weighted.T @ moves
    return (covariance + covariance.T) / 2.0


def ewma_update(covariance: Floats, move: Floats, decay: float = DECAY) -> Floats:
    """Return the covariance (m, m) after one more move (m,)."""
    updated: Floats = decay * covariance + (1.0 - decay) * np.outer(move, move)
    return updated


def correlation_of(covariance: Floats) -> Floats:
    """Return the correlation (m, m) of a covariance: NaN beside a market that has not moved, 1 on the diagonal."""
    deviation = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = covariance / np.outer(deviation, deviation)
    correlation[~np.isfinite(correlation)] = np.nan
    correlation = np.clip(correlation, -1.0, 1.0)  # rounding leaves the diagonal a hair beside 1
    np.fill_diagonal(correlation, 1.0)
    return correlation


def var_historical(pnl: Floats, level: float = LEVEL) -> float:
    """Return the loss that a share 1 - `level` of the P&L outcomes `pnl` (n,) exceeds: numpy's linear percentile. Never below 0."""
    return max(0.0, -float(np.quantile(pnl, 1.0 - level))) if len(pnl) else math.nan


def cvar_historical(pnl: Floats, level: float = LEVEL) -> float:
    """Return the mean loss of the worst int((n - 1)(1 - level)) + 1 outcomes: those at or beyond the percentile of `var_historical`.

    A fixed count and not "all that are <= VaR": outcomes that tie at the percentile (prices often do not move at all) would else
    dilute the tail, and the measure would not be subadditive. As a mean of the k worst it is (Acerbi & Tasche 2002). Never below 0.
    """
    if not len(pnl):
        return math.nan
    worst = int((len(pnl) - 1) * (1.0 - level) + 1e-9) + 1
    return max(0.0, -float(np.sort(pnl)[:worst].mean()))


def var_normal(exposures: Floats, covariance: Floats, level: float = LEVEL) -> float:
    """Return z sqrt(w' C w): the VaR of normal moves with mean zero, of exposures `w` (m,) in money."""
    variance = float(exposures @ covariance @ exposures)
    return NormalDist().inv_cdf(level) * math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else math.nan


def var_undiversified(exposures: Floats, covariance: Floats, level: float = LEVEL) -> float:
    """Return the sum of each market's own normal VaR: what is left of diversification when every correlation goes to 1 against us."""
    return NormalDist().inv_cdf(level) * float(np.abs(exposures) @ np.sqrt(np.diag(covariance)))


def drawdown(pnl: Floats, peak: float = 0.0) -> tuple[float, float]:
    """Return the fall of P&L `pnl` (n,) from its peak now, and the largest there was: the last and the most of `equity.drawdown`."""
    falls = equity.drawdown(pnl, peak)
    return (float(falls[-1]), float(falls.max())) if len(falls) else (0.0, 0.0)

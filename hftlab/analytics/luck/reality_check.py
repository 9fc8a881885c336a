"""Is the best of many rules better than doing nothing? White's reality check (2000) and Hansen's test of superior predictive ability (2005).

Both draw the whole table of returns anew, all rules together, with the stationary bootstrap: rules that are alike stay alike, so five
hundred variations of one idea do not count as five hundred ideas.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.stats.stationary import block_length, mean_variances, weights
from hftlab.errors import InputError
from hftlab.strict import number

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RealityCheck:
    """The p-values of "no rule has a mean above the benchmark's": small ones speak against luck.

    `white`: White 2000, the largest mean. `spa`: Hansen 2005, studentised, rules that are clearly bad put aside (his consistent one), between
    `spa_low` (liberal) and `spa_high` (conservative). `best` is the column with the largest mean, `mean` that mean. `error` is the
    standard error of a p-value of 5 % from `replicates` draws; `block` the mean block length in rows.
    """

    white: float
    spa: float
    spa_low: float
    spa_high: float
    best: int
    mean: float
    rules: int
    n: int
    block: float
    replicates: int

    @property
    def error(self) -> float:
        """Return the Monte Carlo standard error of `white` and `spa` where they are near 5 %."""
        return math.sqrt(0.05 * 0.95 / self.replicates)

    def __str__(self) -> str:
        return (
            f"best of {self.rules:,} rules: p {self.white:.3g} (White), {self.spa:.3g} [{self.spa_low:.3g}, {self.spa_high:.3g}] (SPA); "
            f"n={self.n:,}, blocks of {self.block:.1f}, {self.replicates:,} draws"
        )


def reality_check(returns: Any, benchmark: Any = 0.0, *, block: float | None = None, replicates: int = 1000, seed: int = 0) -> RealityCheck:
    """Return the reality check of `returns`, shape (n, rules), one row a period, over `benchmark`: a number, or (n,).

    `block`: the mean block length in rows; without it the median over the rules of what Politis & White (2004) choose. Raises InputError.
    """
    matrix = np.asarray(returns, np.float64)
    if matrix.ndim != 2 or len(matrix) < 8 or not matrix.shape[1] or not np.isfinite(matrix).all():
        raise InputError(f"returns had the shape {matrix.shape}; wanted (n, rules) of known numbers, eight rows or more.")
    if replicates < 100:
        raise InputError(f"replicates was {replicates}; wanted 100 or more: a p-value of 5 % from fewer is noise.")
    excess = matrix - np.asarray(benchmark, np.float64).reshape(-1, 1)
    n, rules = excess.shape
    length = float(np.median([block_length(column) for column in excess.T])) if block is None else number(block, "block", 1, n)
    means = excess.mean(axis=0)
    deviation = np.sqrt(mean_variances(excess, length))
    trades = deviation > 1e-12 * np.maximum(np.abs(excess).max(axis=0), 1e-300)  # who never trades has no ratio and beats nobody
    scaled = np.where(trades, deviation, np.inf)
    ratios = math.sqrt(n) * means / scaled
    centres = _centres(means, scaled, n)
    white = 0
    above = np.zeros(3)
    best, best_ratio = float(means.max()), max(float(ratios.max()), 0.0)
    for picks in weights(n, length, replicates, seed):
        drawn = picks @ excess / n
        white += int(((drawn - means).max(axis=1) >= best).sum())
        for k, centre in enumerate(centres):
            top = np.maximum((math.sqrt(n) * (drawn - centre) / scaled).max(axis=1), 0.0)
            above[k] += int((top > best_ratio).sum()) if best_ratio > 0 else len(top)
    low, middle, high = (above / replicates).tolist()
    return RealityCheck(white / replicates, middle, low, high, int(means.argmax()), best, rules, n, length, replicates)


def _centres(means: Floats, deviation: Floats, n: int) -> tuple[Floats, Floats, Floats]:
    """Return what is taken from the replicates' means: Hansen's lower, consistent and upper choice (2005, section 3)."""
    edge = -deviation / math.sqrt(n) * math.sqrt(2 * math.log(math.log(n)))
    # An infinite deviation is that of a rule that never traded: it stays where it is.
    bad = np.isfinite(edge) & (means < edge)
    return np.maximum(means, 0.0), np.where(bad, 0.0, means), means

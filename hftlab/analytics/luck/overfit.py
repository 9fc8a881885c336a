"""What is left of a good result when it is the best of many: probabilistic and deflated Sharpe ratio, probability of overfitting.

Ratios here are a period's, not annualised; kurtosis is 3 for the normal law. Sources: Bailey & Lopez de Prado, "The Sharpe ratio
efficient frontier" (2012) and "The deflated Sharpe ratio" (2014); Bailey, Borwein, Lopez de Prado & Zhu, "The probability of backtest
overfitting" (2015), which is where CSCV, the combinatorially symmetric cross-validation, comes from.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.errors import InputError

Floats = npt.NDArray[np.float64]

_NORMAL = NormalDist()
_EULER = 0.5772156649015329
_CHUNK = 1 << 21


def probabilistic_sharpe(ratio: float, n: int, skew: float = 0.0, kurtosis: float = 3.0, *, benchmark: float = 0.0) -> float:
    """Return the probability that the true ratio is above `benchmark`, from a measured `ratio` of `n` returns (2012, equation 9).

    Z((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)). NaN with fewer than two returns.
    """
    if n < 2 or math.isnan(ratio):
        return math.nan
    spread = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(spread)) if spread > 0 else math.nan


def expected_max_sharpe(trials: int, variance: float) -> float:
    """Return the best ratio that `trials` independent rules without skill are expected to show, their ratios' variance being `variance`.

    sqrt(V) ((1 - g) Z^-1(1 - 1 / N) + g Z^-1(1 - 1 / (N e))), g the Euler-Mascheroni constant (2014, equation 1). Raises InputError.
    """
    if trials < 1 or not variance >= 0:
        raise InputError(f"trials={trials}, variance={variance}; wanted at least one trial and a variance of zero or more.")
    if trials == 1:
        return 0.0
    high, higher = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
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
    return 1 + (1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) * (_NORMAL.inv_cdf(level) / (ratio - benchmark)) ** 2


@dataclass(frozen=True, repr=False)
class Overfitting:
    """What choosing the best of `rules` in one half of the time says of the other half, over all `splits` into halves (CSCV).

    `probability`: how often the rule that was best in one half was no better than the median in the other. `logits` (splits,): ln of the
    odds of its rank there. `chosen_in` and `chosen_out` (splits,): its figure in both. `slope`: of out on in, below 0 where a better past
    means a worse future. `loss_share`: how often it lost in the other half. The halves overlap from split to split, so these are
    no independent draws, and no interval of theirs is honest; without skill `probability` lies about 1/2 and varies much.
    """

    probability: float
    logits: Floats
    chosen_in: Floats
    chosen_out: Floats
    slope: float
    loss_share: float
    rules: int
    blocks: int

    @property
    def splits(self) -> int:
        """Return how many ways there are to halve the blocks."""
        return len(self.logits)

    def __repr__(self) -> str:
        return (
            f"<Overfitting {self.probability:.3g}: of {self.splits:,} halvings of {self.blocks} blocks, the best of {self.rules:,} rules in "
            f"one half was at or below the median in the other; it lost there in {self.loss_share:.0%}>"
        )


def sharpe_of_sums(count: Floats, total: Floats, squares: Floats) -> Floats:
    """Return the ratio a period from how many returns there are, their sum and their sum of squares; 0 for who made and lost nothing."""
    mean = total / count
    variance = (squares - total * mean) / (count - 1)
    floor = 1e-12 * squares / count
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > floor, mean / np.sqrt(variance), np.sign(mean) * np.where(mean == 0, 0.0, np.inf))


def mean_of_sums(count: Floats, total: Floats, squares: Floats) -> Floats:  # noqa: ARG001  # the signature of a figure
    """Return the mean return from the same sums."""
    return np.asarray(total / count)


def probability_of_overfitting(
    returns: Any, *, blocks: int = 16, figure: Callable[[Floats, Floats, Floats], Floats] = sharpe_of_sums
) -> Overfitting:
    """Return the probability of backtest overfitting of `returns`, shape (n, rules): one column a rule, one row a period of time.

    The rows are cut into `blocks` (even) of equal length, what is left over at the start is not used. `figure` is what rules are chosen
    by, from the count, sum and sum of squares of their returns: `sharpe_of_sums` or `mean_of_sums`. Raises InputError.
    """
    matrix = np.asarray(returns, np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2 or not np.isfinite(matrix).all():
        raise InputError(f"returns had the shape {matrix.shape}; wanted (n, rules) of known numbers, with two rules or more.")
    if blocks < 2 or blocks % 2 or len(matrix) < 2 * blocks or blocks > 20:
        raise InputError(f"blocks was {blocks} for {len(matrix)} rows; wanted an even number from 2 to 20, and two rows or more in each.")
    each = len(matrix) // blocks
    cut = matrix[len(matrix) - each * blocks :].reshape(blocks, each, -1)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    inside = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, chosen in enumerate(itertools.combinations(range(blocks), blocks // 2)):
        inside[row, list(chosen)] = 1.0
    step = max(1, _CHUNK // matrix.shape[1])
    parts = [_halves(inside[low : low + step], sums, squares, each, figure) for low in range(0, len(inside), step)]
    logits, chosen_in, chosen_out = (np.concatenate([part[i] for part in parts]) for i in range(3))
    finite = np.isfinite(chosen_in) & np.isfinite(chosen_out)
    spread = chosen_in[finite].var() if finite.any() else 0.0
    covariance = float(((chosen_in[finite] - chosen_in[finite].mean()) * (chosen_out[finite])).mean()) if finite.any() else math.nan
    return Overfitting(
        probability=float((logits <= 0).mean()),
        logits=logits,
        chosen_in=chosen_in,
        chosen_out=chosen_out,
        slope=covariance / float(spread) if spread > 0 else math.nan,
        loss_share=float((chosen_out < 0).mean()),
        rules=matrix.shape[1],
        blocks=blocks,
    )


def _halves(inside: Floats, sums: Floats, squares: Floats, each: int, figure: Any) -> tuple[Floats, Floats, Floats]:
    """Return logit, figure in and figure out of the chosen rule for each row of `inside` (splits, blocks)."""
    count = np.array(float(each * (len(sums) // 2)))
    past = figure(count, inside @ sums, inside @ squares)
    future = figure(count, (1 - inside) @ sums, (1 - inside) @ squares)
    rows, best = np.arange(len(past)), past.argmax(axis=1)
    got = future[rows, best]
    below, ties = (future < got[:, None]).sum(axis=1), (future == got[:, None]).sum(axis=1) - 1
    rank = (1 + below + ties / 2) / (sums.shape[1] + 1)
    return np.log(rank / (1 - rank)), past[rows, best], got

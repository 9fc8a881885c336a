"""The statistics of a signal study: what hangs together in time stays together, and many questions are asked at once."""

import functools
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.report.sensitivity import student_t
from hftlab.analytics.stats.regression import Floats

BLOCKS_MIN, BLOCKS_MAX = 8, 50
HORIZONS_A_BLOCK = 3
DECILES = 10
FLIPS, DRAWS = 2000, 1000
SEED = 20_180_927


_student = functools.cache(student_t)


@dataclass(frozen=True)
class Blocks:
    """Stretches of time of one length. `edges_ns` i8 (blocks + 1,); `weights` f8 (DRAWS, blocks): how often each draw has each block."""

    edges_ns: np.ndarray
    weights: Floats

    @classmethod
    def of(cls, start_ns: int, end_ns: int, count: int) -> "Blocks":
        """Return `count` blocks from `start_ns` to `end_ns`, and DRAWS draws of so many, with replacement, from a fixed seed."""
        picks = np.random.default_rng(SEED).integers(0, count, (DRAWS, count))
        weights = np.stack([np.bincount(row, minlength=count) for row in picks]).astype(np.float64)
        return cls(np.linspace(start_ns, end_ns, count + 1).astype(np.int64), weights)

    def __len__(self) -> int:
        return len(self.edges_ns) - 1

    def number(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return the block of each time."""
        return np.clip(np.searchsorted(self.edges_ns, ts_ns, side="right") - 1, 0, len(self) - 1)

    def reach(self, draws: Floats, level: float) -> Floats:
        """Return half the width of the interval of figures (k,) from their bootstrap draws (DRAWS, k).

        Bootstrap error x Student's t with blocks - 1 degrees of freedom x sqrt(blocks / (blocks - 1)): with few blocks the draws' own
        quantiles hold the truth too seldom. NaN where a draw in ten has no value.
        """
        with np.errstate(invalid="ignore"):
            known = np.isfinite(draws)
            count = known.sum(0)
            mean = np.where(known, draws, 0.0).sum(0) / np.maximum(count, 1)
            error = np.sqrt(np.where(known, (draws - mean) ** 2, 0.0).sum(0) / np.maximum(count - 1, 1))
        wide = _student(len(self) - 1, level) * np.sqrt(len(self) / (len(self) - 1))
        return np.where(count >= 0.9 * len(draws), error * wide, np.nan)

    def means(self, values: Floats, block: np.ndarray, group: np.ndarray, groups: int, level: float) -> tuple[Floats, Floats, np.ndarray]:
        """Return the mean of `values` (n,) in each group (0 to groups - 1), half the width of its interval, and the counts."""
        cell, size = block * groups + group, len(self) * groups
        counts = np.bincount(cell, minlength=size).reshape(len(self), groups)
        sums = np.bincount(cell, values, size).reshape(len(self), groups)
        with np.errstate(invalid="ignore", divide="ignore"):
            return sums.sum(0) / counts.sum(0), self.reach((self.weights @ sums) / (self.weights @ counts), level), counts.sum(0)


def blocks_for(span_ns: int, horizon_ns: int) -> int:
    """Return how many blocks a span is cut into: each at least HORIZONS_A_BLOCK of the longest horizon, at most BLOCKS_MAX."""
    return int(min(span_ns // max(HORIZONS_A_BLOCK * horizon_ns, 1), BLOCKS_MAX))


def ranks(values: Floats) -> Floats:
    """Return the ranks of values (n,) from 0, equal values sharing the mean of theirs, less the mean of all."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    ends = np.append(starts[1:], len(values))
    out = np.empty(len(values))
    out[order] = np.repeat((starts + ends - 1) / 2.0, ends - starts)
    return out - (len(values) - 1) / 2.0


def deciles(values: Floats) -> np.ndarray:
    """Return the tenth that each value lies in, 0 to 9; equal values lie in one tenth."""
    n = max(len(values), 1)
    return np.minimum((ranks(values) + (n - 1) / 2.0 + 0.5) / n * DECILES, DECILES - 1).astype(np.int64)


@dataclass(frozen=True)
class Correlation:
    """`value` with half the width of its interval, one value a `block`, and the `scores` (blocks,) whose sum is its numerator."""

    value: float
    reach: float
    by_block: Floats
    scores: Floats


def correlation(x: Floats, y: Floats, block: np.ndarray, blocks: Blocks, level: float) -> Correlation:
    """Return the correlation of x and y (n,), with an interval from drawing whole blocks."""
    count = len(blocks)
    x, y = x - x.mean(), y - y.mean()
    parts: Floats = np.column_stack([np.bincount(block, weights, count) for weights in (np.ones(len(x)), x, y, x * x, y * y, x * y)])
    with np.errstate(invalid="ignore", divide="ignore"):
        each = _of_sums(parts)
        return Correlation(
            float(_of_sums(parts.sum(0))), float(blocks.reach(_of_sums(blocks.weights @ parts)[:, None], level)[0]), each, parts[:, 5]
        )


def _of_sums(parts: np.ndarray) -> Floats:
    """Return the correlation of sums (…, 6): n, x, y, xx, yy, xy."""
    n, x, y, xx, yy, xy = np.moveaxis(parts, -1, 0)
    return np.asarray((n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y)))


def sign_flips(scores: Floats, *, flips: int = FLIPS, seed: int = SEED) -> tuple[Floats, Floats]:
    """Return raw and corrected two-sided p-values (k,) of the sums of `scores` (blocks, k) being zero.

    Under no relation a block's score is as likely to be turned round, whole and for all k questions together: so the draws have the
    dependence of the questions in them. Each sum is divided by the root of its summed squares. Corrected: the step-down of Romano and
    Wolf (Econometrica 73, 2005) on the largest of the questions that are left, which holds the chance of one false call or more.
    """
    power = np.sqrt((scores**2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(power > 0, scores / power, 0.0)
    seen = np.abs(unit.sum(0))
    signs = np.random.default_rng(seed).integers(0, 2, (flips, len(scores))) * 2.0 - 1.0
    drawn = np.abs(signs @ unit)
    # A drawn sum that is the same but for the order of adding is equal.
    raw = (1 + (drawn >= seen * (1 - 1e-12)).sum(0)) / (flips + 1)
    order = np.argsort(-seen, kind="stable")
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    steps = (1 + (largest >= seen[order] * (1 - 1e-12)).sum(0)) / (flips + 1)
    corrected = np.empty(len(seen))
    corrected[order] = np.maximum.accumulate(steps)
    return raw, corrected

"""The interval of a mean over fills, whose markouts hang together in time: a block bootstrap.

A block is all fills of one stretch of time, the longer of HORIZONS_A_BLOCK horizons and a fiftieth of the time from the first to
the last fill. Blocks are drawn with replacement, and each draw's weighted mean is noted. The draws' quantiles are widened

* by t(k - 1) / z and sqrt(k / (k - 1)), k = (Σ w)² / Σ w² over the blocks' lots w: as many equal blocks would be as uneven;
* for horizons that overlap across the edge of a block: at horizons h and blocks of length L a share h / 3L of the variance lies
  between blocks, because the covariance of two markouts falls linearly to zero at h;
* for what hangs together longer than a block (a market that is toxic for minutes): by sqrt((1 + r) / (1 - r)), where r is the
  correlation of neighbouring blocks less its bias, -(1 + 3 r) / blocks (Marriott & Pope 1954), if it stands out of the noise by one
  standard deviation, 1 / sqrt(blocks). k shrinks by the same factor.

Blocks: Künsch 1989; AR(1) in the variance of a mean: Andrews 1991. With fewer than BLOCKS_MIN blocks, or fewer than EQUAL_MIN after
both reductions, there is no interval: it would not hold the truth as often as it says. `python -m benchmarks markouts` measures how
often it does.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

BLOCKS_MIN = 8
EQUAL_MIN = 5.0
BLOCKS = 50
HORIZONS_A_BLOCK = 5
DRAWS = 2000
SEED = 20_080_415
_R_MAX = 0.9


@dataclass(frozen=True, slots=True)
class Blocked:
    """`sums` and `sizes` of the blocks that hold fills, f8 (blocks, columns) and (blocks,); `edge` the share of variance between them.

    `linked` f8 (columns,): by how much longer dependence widens the interval; `equal` f8 (columns,): equal independent blocks.
    """

    sums: np.ndarray
    sizes: np.ndarray
    edge: float
    linked: np.ndarray
    equal: np.ndarray


def block_ns(ts_ns: np.ndarray, horizon_ns: int) -> int:
    """Return the length of a bootstrap block in nanoseconds: see the rule above."""
    span_ns = int(ts_ns.max() - ts_ns.min()) if len(ts_ns) else 0
    return max(HORIZONS_A_BLOCK * horizon_ns, span_ns // BLOCKS, 1)


def blocked(ts_ns: np.ndarray, values: np.ndarray, weights: np.ndarray, horizon_ns: int) -> Blocked:
    """Return fills (`values` f8 (n, columns), n from 1) cut into blocks."""
    length_ns = block_ns(ts_ns, horizon_ns)
    number, block = np.unique((ts_ns - ts_ns.min()) // length_ns, return_inverse=True)
    sizes = np.bincount(block, weights)
    sums = np.stack([np.bincount(block, weights * column) for column in values.T], axis=1)
    off = sums - sums.sum(axis=0) / sizes.sum() * sizes[:, None]
    off[np.abs(off) < 1e-9 * np.abs(sums).max(axis=0)] = 0.0  # what rounding left where every markout is the same
    factor = np.array([_linked(number, column) for column in off.T])
    equal = float(sizes.sum() ** 2 / (sizes**2).sum())
    return Blocked(sums, sizes, horizon_ns / (3 * length_ns), np.sqrt(factor), equal / factor)


def _linked(number: np.ndarray, off: np.ndarray) -> float:
    """Return by what factor dependence between neighbouring blocks raises the variance of a mean, 1 where none stands out."""
    near = np.flatnonzero(np.diff(number) == 1)
    power = float((off**2).mean())
    if len(near) < BLOCKS_MIN - 1 or power <= 0:
        return 1.0
    r = float((off[near] * off[near + 1]).mean()) / power
    r += (1 + 3 * r) / len(off)
    if r <= 1 / math.sqrt(len(off)):
        return 1.0
    r = min(r, _R_MAX)
    return (1 + r) / (1 - r)


@lru_cache(maxsize=16)
def _draws(count: int, seed: int) -> np.ndarray:
    """Return how often each of `count` blocks is in each draw, f8 (DRAWS, count): the same for every table, so made once."""
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count)) + count * np.arange(DRAWS)[:, None]
    return np.bincount(drawn.ravel(), minlength=DRAWS * count).reshape(DRAWS, count).astype(float)


def intervals(
    ts_ns: np.ndarray, values: np.ndarray, weights: np.ndarray, horizon_ns: int, *, level: float = 0.95, seed: int = SEED
) -> np.ndarray:
    """Return low and high of the weighted mean of each column of `values` f8 (n, columns): f8 (columns, 2), NaN where too few.

    `ts_ns` i8 and `weights` f8 have shape (n,). The same numbers give the same intervals.
    """
    found = np.full((values.shape[1], 2), math.nan)
    if not len(values):
        return found
    parts = blocked(ts_ns, values, weights, horizon_ns)
    count = len(parts.sizes)
    if count < BLOCKS_MIN:
        return found
    drawn = _draws(count, seed)
    sizes = drawn @ parts.sizes
    tail = (1 - level) / 2
    for k, equal in enumerate(parts.equal):
        if equal < EQUAL_MIN:
            continue
        low, high = np.quantile(drawn @ parts.sums[:, k] / sizes, (tail, 1 - tail))
        center = parts.sums[:, k].sum() / parts.sizes.sum()
        wider = student(1 - tail, equal - 1) / NormalDist().inv_cdf(1 - tail) * math.sqrt(equal / (equal - 1) / (1 - parts.edge))
        wider *= float(parts.linked[k])
        found[k] = center - (center - low) * wider, center + (high - center) * wider
    return found


def interval(
    ts_ns: np.ndarray, values: np.ndarray, weights: np.ndarray, horizon_ns: int, *, level: float = 0.95, seed: int = SEED
) -> tuple[float, float]:
    """Return the interval of the weighted mean of `values` (f8, shape (n,)); see `intervals`."""
    low, high = intervals(ts_ns, values[:, None], weights, horizon_ns, level=level, seed=seed)[0]
    return float(low), float(high)


def student(p: float, df: float) -> float:
    """Return the p-quantile of Student's t (Cornish-Fisher to 1/df**4, Abramowitz & Stegun 26.7.5: 0.5 % off at 4 degrees, p = 0.975)."""
    z = NormalDist().inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / df ** (n + 1) for n, term in enumerate(terms))

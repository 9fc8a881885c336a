"""Tests that data follow a law, numpy only. Each returns a p-value: small when the law is wrong, NaN when there is too little to say."""

import math

import numpy as np

from hftlab.analytics.stats.distributions import chi2_sf, normal_cdf


def least(*ps: float) -> float:
    """Return one p of several tests of the same law: the least, times how many there were (Bonferroni). NaN ones say nothing."""
    told = [p for p in ps if not math.isnan(p)]
    return min(1.0, len(told) * min(told)) if told else math.nan


def exponential_p(gaps: np.ndarray) -> float:
    """Return p that waits (f8) are exponential of one rate, which is what a Poisson process leaves (Moran 1951; Bartlett's test).

    2n (ln mean - mean ln) / (1 + (n + 1) / (6 n)) is chi-square with n - 1 degrees of freedom whatever the rate; both tails count:
    clusters make it large, a regular beat makes it small. Waits of zero are prints of one stamp: they count as a thousandth of the mean.
    """
    n = len(gaps)
    if n < 5 or gaps.sum() <= 0:
        return math.nan
    mean = float(gaps.mean())
    statistic = 2.0 * n * (math.log(mean) - float(np.log(np.maximum(gaps, 1e-3 * mean)).mean())) / (1.0 + (n + 1.0) / (6.0 * n))
    above = chi2_sf(statistic, n - 1)
    return min(1.0, 2.0 * min(above, 1.0 - above))


def even_p(places: np.ndarray, blocks: int) -> float:
    """Return p that points (f8 in [0, 1)) fall evenly: the chi-square of their counts in equal blocks. Slow swings of a rate show here."""
    n = len(places)
    if n < 5 * blocks:
        return math.nan
    counts = np.bincount(np.clip((places * blocks).astype(int), 0, blocks - 1), minlength=blocks)
    return chi2_sf(float(((counts - n / blocks) ** 2).sum() / (n / blocks)), blocks - 1)


def pearson_p(counts: np.ndarray, expected: np.ndarray, fitted: int) -> float:
    """Return p of Pearson's chi-square over cells in order, pooled from the far end until each expects 5; `fitted` parameters."""
    seen, law = [0.0], [0.0]
    for count, wanted in zip(counts[::-1], expected[::-1], strict=True):
        seen[-1] += float(count)
        law[-1] += float(wanted)
        if law[-1] >= 5.0:
            seen.append(0.0)
            law.append(0.0)
    if len(law) > 1:  # what is left at the near end joins its neighbour
        rest, missing = seen.pop(), law.pop()
        seen[-1] += rest
        law[-1] += missing
    degrees = len(law) - 1 - fitted
    if degrees < 1 or min(law) <= 0:
        return math.nan
    return chi2_sf(float(sum((a - b) ** 2 / b for a, b in zip(seen, law, strict=True))), degrees)


def constant_p(squares: np.ndarray) -> float:
    """Return p that independent observations (f8) of one mean were seen: block means scatter as the observations say they must.

    (blocks - 1) Var(block means) / (Var / block length) is chi-square: a one-way analysis of variance in time. A variance that wanders
    makes blocks of squared moves differ; single jumps, which are in both parts of the ratio, do not.
    """
    n = len(squares)
    blocks = min(40, n // 20)
    if blocks < 5 or not squares.var() > 0:
        return math.nan
    length = n // blocks
    table = squares[: blocks * length].reshape(blocks, length)
    ratio = float(table.mean(axis=1).var(ddof=1)) * length / float(table.var(axis=1, ddof=1).mean())
    return chi2_sf((blocks - 1) * ratio, blocks - 1)


def uncorrelated_p(moves: np.ndarray, lags: int = 5) -> float:
    """Return p that moves (f8, mean zero) of any variance do not follow from one another.

    Sum over lags of (sum r_t r_{t-j})^2 / sum r_t^2 r_{t-j}^2 is chi-square: a Box-Pierce test that holds under changing variance
    (Lobato, Nankervis & Savin 2001).
    """
    n = len(moves)
    if n < 20 * lags:
        return math.nan
    total, told = 0.0, 0
    for j in range(1, lags + 1):
        products = moves[j:] * moves[:-j]
        power = float((products**2).sum())
        if power > 0:
            total += float(products.sum()) ** 2 / power
            told += 1
    return chi2_sf(total, told) if told else math.nan


def neumann_p(means: np.ndarray) -> float:
    """Return p that block means (f8) hang together no longer: von Neumann's ratio (1941), normal with variance (n-2)/(n^2-1).

    One-sided: means that follow each other make an interval from their scatter too narrow.
    """
    n = len(means)
    power = float(((means - means.mean()) ** 2).sum()) if n else 0.0
    if n < 8 or power <= 0:
        return math.nan
    ratio = 1.0 - float((np.diff(means) ** 2).sum()) / (2.0 * power)
    return normal_cdf(-ratio * math.sqrt((n * n - 1.0) / (n - 2.0)))

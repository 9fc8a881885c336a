"""Tests that data follow a law, and the distributions behind their p-values and bands; numpy only.

Each test returns a p-value: small when the law is wrong. NaN when there is too little to say.
"""

import math
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()


# --- distributions -------------------------------------------------------------------------------------------------------
def chi2_sf(x: float, degrees: float) -> float:
    """Return P(X > x) of the chi-square distribution, Q(degrees/2, x/2): series below, continued fraction above (Lentz 1976)."""
    a, z = degrees / 2.0, x / 2.0
    if not (math.isfinite(z) and a > 0):
        return math.nan if math.isnan(z) else 0.0
    if z <= 0:
        return 1.0
    front = math.exp(a * math.log(z) - z - math.lgamma(a))
    if z < a + 1.0:
        term = total = 1.0 / a
        n = a
        while abs(term) > 1e-16 * abs(total):
            n += 1.0
            term *= z / n
            total += term
        return max(0.0, 1.0 - front * total)
    b = z + 1.0 - a
    c, d = 1e300, 1.0 / b
    h = d
    for i in range(1, 10_000):
        an = -i * (i - a)
        b += 2.0
        d = 1.0 / (an * d + b)
        c = b + an / c
        h *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return min(1.0, front * h)


def chi2_quantile(p: float, degrees: float) -> float:
    """Return x with P(X <= x) = p of the chi-square distribution, by bisection of `chi2_sf`."""
    high = max(1.0, degrees)
    while chi2_sf(high, degrees) > 1.0 - p:
        high *= 2.0
    low = 0.0
    for _ in range(200):
        middle = (low + high) / 2.0
        if chi2_sf(middle, degrees) > 1.0 - p:
            low = middle
        else:
            high = middle
        if high - low <= 1e-13 * high:
            break
    return (low + high) / 2.0


def z_of(level: float) -> float:
    """Return z with P(-z < Z < z) = level of the standard normal."""
    return _NORMAL.inv_cdf(0.5 + level / 2.0)


def two_sided(z: float) -> float:
    """Return P(|Z| > |z|) of the standard normal."""
    return 2.0 * _NORMAL.cdf(-abs(z)) if math.isfinite(z) else math.nan


def least(*ps: float) -> float:
    """Return one p of several tests of the same law: the least, times how many there were (Bonferroni). NaN ones say nothing."""
    told = [p for p in ps if not math.isnan(p)]
    return min(1.0, len(told) * min(told)) if told else math.nan


# --- bands ---------------------------------------------------------------------------------------------------------------
def variance_band(variance: float, degrees: float, level: float) -> tuple[float, float]:
    """Return the band of a variance whose estimate is chi-square with so many degrees of freedom, divided by them."""
    tail = (1.0 - level) / 2.0
    return variance * degrees / chi2_quantile(1.0 - tail, degrees), variance * degrees / chi2_quantile(tail, degrees)


def poisson_band(count: float, exposure: float, level: float, dispersion: float = 1.0) -> tuple[float, float]:
    """Return the band of a rate from a count over an exposure (Garwood 1936, exact for Poisson).

    With a dispersion above 1 a count of n says as much as one of n / dispersion would.
    """
    tail, n = (1.0 - level) / 2.0, count / dispersion
    low = chi2_quantile(tail, 2.0 * n) / 2.0 if n > 0 else 0.0
    return low * dispersion / exposure, chi2_quantile(1.0 - tail, 2.0 * n + 2.0) / 2.0 * dispersion / exposure


def dispersion_of(parts: np.ndarray, expected: np.ndarray) -> float:
    """Return by how much sums over blocks of time scatter more than their law says, never below 1.

    parts: what each block gave less what the law expects of it; expected: the variance that the law gives it. Both f8 (blocks,).
    """
    degrees = len(parts) - 1
    return max(1.0, float(((parts - parts.mean()) ** 2).sum() / degrees / expected.mean())) if degrees > 0 and expected.sum() > 0 else 1.0


# --- tests ---------------------------------------------------------------------------------------------------------------
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
    return _NORMAL.cdf(-ratio * math.sqrt((n * n - 1.0) / (n - 2.0)))

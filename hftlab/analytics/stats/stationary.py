"""The stationary bootstrap (Politis & Romano 1994) and the block length that suits a series (Politis & White 2004).

Blocks of geometric length are drawn around the clock; how often a replicate holds each observation is all that a mean needs.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BUDGET = 1 << 22


def block_length(values: Floats) -> float:
    """Return the mean block length of the stationary bootstrap for a series, shape (n,): b = (2 g^2 / D)^(1/3) n^(1/3).

    Politis & White 2004 with the correction of Patton, Politis & White 2009: a flat-top window over twice the lag from which on
    the correlations stay within 2 sqrt(log10(n) / n), found as the authors' own program does, D = 2 v^2. From 1 to min(3 sqrt(n), n / 3); 1 for a series that does not vary.
    """
    n = len(values)
    centred = values - values.mean()
    top = min(3 * math.sqrt(n), n / 3)
    variance = float(centred @ centred) / n
    if n < 8 or variance <= 1e-24 * float(np.abs(values).max()) ** 2:
        return 1.0
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = math.ceil(math.sqrt(n)) + run
    lags = np.arange(most + 1)
    covariance = np.array([float(centred[lag:] @ centred[: n - lag]) / n for lag in lags if lag < n])
    beyond = np.abs(covariance[1:]) / variance >= 2 * math.sqrt(math.log10(n) / n)
    width = min(2 * max(_first_quiet(beyond, run), 1), len(covariance) - 1)
    lag = np.arange(-width, width + 1)
    share = np.abs(lag) / width
    window = np.where(share <= 0.5, 1.0, 2 * (1 - share))
    both = covariance[np.abs(lag)]
    g = float((window * np.abs(lag) * both).sum())
    d = 2 * float((window * both).sum()) ** 2
    return float(np.clip((2 * g**2 / d) ** (1 / 3) * n ** (1 / 3), 1.0, top)) if d > 0 else 1.0


def _first_quiet(beyond: npt.NDArray[np.bool_], run: int) -> int:
    """Return the first lag from which `run` correlations in a row are within the band; the last outside it where there is none."""
    for lag in range(1, len(beyond) - run + 2):
        if not beyond[lag - 1 : lag - 1 + run].any():
            return lag
    return int(np.flatnonzero(beyond)[-1]) + 1


def draws(n: int, length: float, replicates: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield indices of replicates, i8 (some, n), until there were `replicates`: blocks of mean `length` that go around the end."""
    rng = np.random.default_rng(seed)
    step = max(1, _BUDGET // n)
    for low in range(0, replicates, step):
        rows = min(step, replicates - low)
        fresh = rng.random((rows, n)) < 1 / length
        fresh[:, 0] = True
        began = np.maximum.accumulate(np.where(fresh, np.arange(n), 0), axis=1)
        starts = rng.integers(0, n, (rows, n))
        yield (np.take_along_axis(starts, began, axis=1) + np.arange(n) - began) % n


def weights(n: int, length: float, replicates: int, seed: int) -> Iterator[Floats]:
    """Yield how often each observation is in each replicate: f8 (some, n), every row adds up to n."""
    for index in draws(n, length, replicates, seed):
        rows = len(index)
        flat = (index + n * np.arange(rows)[:, None]).ravel()
        yield np.bincount(flat, minlength=rows * n).reshape(rows, n).astype(np.float64)


def mean_variances(values: Floats, length: float) -> Floats:
    """Return the variance of sqrt(n) times the mean under this bootstrap, of each column of `values` (n, k), without drawing.

    c0 + 2 sum k(n, i) ci, k(n, i) = (n - i) / n (1 - p)^i + i / n (1 - p)^(n - i), p = 1 / length (Politis & Romano 1994, lemma 1).
    """
    n = len(values)
    keep = 1 - 1 / length
    spectrum = np.abs(np.fft.rfft(values - values.mean(axis=0), 2 * n, axis=0)) ** 2
    covariance = np.fft.irfft(spectrum, 2 * n, axis=0)[:n] / n
    i = np.arange(1, n)
    kernel = (n - i) / n * keep**i + i / n * keep ** (n - i)
    return np.maximum(covariance[0] + 2 * kernel @ covariance[1:], 0.0)

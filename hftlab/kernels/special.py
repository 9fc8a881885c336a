"""Gamma and beta functions of our own, for the C library's lgamma and Python's differ in the last digits.

A difference of two of them loses four digits more, and a compiled kernel would leave other bytes than the same kernel as plain Python.
Here only log, log1p and exp are used, in which both agree, and differences are formed before anything large is subtracted.
"""

import math

from hftlab.kernels.jit import kernel

# Stirling's series is good to 1e-15 from here on; below it the argument is raised step by step.
STIRLING_MIN = 12.0
HALF_LOG_TWO_PI = 0.9189385332046727


@kernel
def _stirling_rest(x):
    """Return log Gamma(x) - ((x - 1/2) log x - x + log(2 pi)/2), for x >= STIRLING_MIN (DLMF 5.11.1)."""
    z = 1.0 / (x * x)
    return (1.0 / 12.0 + z * (-1.0 / 360.0 + z * (1.0 / 1260.0 + z * (-1.0 / 1680.0 + z * (1.0 / 1188.0 - z * 691.0 / 360360.0))))) / x


@kernel
def log_gamma(x):
    """Return log Gamma(x), for x > 0."""
    product = 1.0
    while x < STIRLING_MIN:
        product *= x
        x += 1.0
    return (x - 0.5) * math.log(x) - x + HALF_LOG_TWO_PI + _stirling_rest(x) - math.log(product)


@kernel
def log_rise(x, by):
    """Return log(Gamma(x + by) / Gamma(x)), for x > 0 and by >= 0, without the loss of a difference of two large numbers."""
    product = 1.0
    while x < STIRLING_MIN:
        product *= x / (x + by)
        x += 1.0
    more = (x - 0.5) * math.log1p(by / x) + by * math.log(x + by) - by
    return more + _stirling_rest(x + by) - _stirling_rest(x) + math.log(product)


@kernel
def beta_share(a, b, x):
    """Return the regularised incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1]."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on the other side
        return 1.0 - _beta_fraction(b, a, 1.0 - x)
    return _beta_fraction(a, b, x)


@kernel
def _beta_fraction(a, b, x):
    """Return I_x(a, b) by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    scale = log_rise(max(a, b), min(a, b)) - log_gamma(min(a, b))
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    c = 1.0
    d = 1.0 / max(1.0 - (a + b) * x / (a + 1.0), 1e-300)
    h = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        d = 1.0 / (1.0 + even * d)
        c = 1.0 + even / c
        h *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        d = 1.0 / (1.0 + odd * d)
        c = 1.0 + odd / c
        h *= d * c
        if abs(d * c - 1.0) < 1e-13:
            break
    return front * h

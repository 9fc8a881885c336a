"""The distributions behind p-values and bands: normal, chi-square, Student's t, F. One of each; numpy only.

`level` is the probability of a two-sided band, 0.95 for 95 %.
"""

import functools
import math
from statistics import NormalDist

import numpy as np

from hftlab.strict import number

_NORMAL = NormalDist()
normal_cdf = _NORMAL.cdf
normal_quantile = _NORMAL.inv_cdf
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


def z_of(level: float) -> float:
    """Return z with P(-z < Z < z) = level of the standard normal."""
    return normal_quantile(0.5 + level / 2.0)


def two_sided(z: float) -> float:
    """Return P(|Z| > |z|) of the standard normal."""
    return 2.0 * normal_cdf(-abs(z)) if math.isfinite(z) else math.nan


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


@functools.lru_cache(maxsize=4096)
def student_t(degrees: float, level: float = 0.95) -> float:
    """Return t with P(-t < T < t) = `level` for Student's T with `degrees` of freedom, from 1, whole or not; right to 9 digits.

    With T = sqrt(degrees) tan(a), the density of the angle a is proportional to cos(a)**(degrees - 1). It falls, so that Newton's steps
    from the normal's quantile, which is too small, come up to the root from one side. Raises InputError for a level outside of
    0.001 to 0.999.
    """
    number(degrees, "degrees", 1)
    number(level, "level", 0.001, 0.999)
    whole = math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2)) * math.sqrt(math.pi) / 2
    angle = math.atan(z_of(level) / math.sqrt(degrees))
    for _ in range(100):
        half = angle / 2
        inside = half * float(_WEIGHTS @ np.cos(half * (_NODES + 1)) ** (degrees - 1))
        step = (level * whole - inside) / math.cos(angle) ** (degrees - 1)
        angle += step
        if step <= 1e-14 * angle:
            break
    return math.sqrt(degrees) * math.tan(angle)


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

"""Random numbers whose whole state is one uint64 field of a record, so that a run can be cut anywhere and go on the same.

Multiply-with-carry (Marsaglia 1994): x' = A * low32(x) + high32(x), output low32(x) ^ high32(x). No product exceeds 64 bits, so
the plain-Python run of the kernels raises no overflow warning, and both runs draw the same numbers.
"""

import math

import numpy as np

from hftlab.kernels.jit import kernel

_A = np.uint64(4294883355)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_SCALE = 1.0 / 4294967296.0


def rng_seed(seed: int) -> np.uint64:
    """Return a start state for any integer seed; near seeds give far states (SplitMix64's finaliser, Steele et al. 2014)."""
    mask = (1 << 64) - 1
    z = (seed + 1) * 0x9E3779B97F4A7C15 & mask
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    # 0 and (A-1) << 32 | 0xffffffff are fixed points: stay away from both
    return np.uint64((z ^ (z >> 31)) % (int(_A) * (1 << 32) - 3) + 1)


@kernel
def uniform(state):
    """Draw from the open interval (0, 1), on a grid of 2**-32, from `state.rng`."""
    x = state.rng
    state.rng = _A * (x & _LOW) + (x >> _SHIFT)
    return (np.float64((x ^ (x >> _SHIFT)) & _LOW) + 0.5) * _SCALE


@kernel
def exponential(state):
    """Draw from the exponential distribution with mean 1."""
    return -math.log(uniform(state))


@kernel
def normal(state):
    """Draw from the standard normal distribution (Box and Muller 1958; the second of the pair is not kept)."""
    return math.sqrt(-2.0 * math.log(uniform(state))) * math.cos(2.0 * math.pi * uniform(state))


@kernel
def pareto(state, exponent):
    """Draw from the Pareto distribution on [1, inf) with P(X > x) = x**-exponent."""
    return uniform(state) ** (-1.0 / exponent)

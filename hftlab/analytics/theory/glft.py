"""The exact Guéant–Lehalle–Fernandez-Tapia depths, to hold the closed form of the kernels against.

Units as in `hftlab.kernels.pricing`: prices in P, quantities in Q, seconds, risk aversion in 1/(P x Q).
"""

import math
from dataclasses import dataclass

import numpy as np

from hftlab.errors import InputError


@dataclass(frozen=True, slots=True)
class Depths:
    """Optimal distances from the fair price at each inventory.

    `q` (n,) inventories in Q, ascending; `bid` and `ask` (n,) float64 depths in P. Where the limit forbids a side its depth is inf.
    """

    q: np.ndarray
    bid: np.ndarray
    ask: np.ndarray


def _growth(nonnegative: np.ndarray, ones: np.ndarray) -> np.ndarray:
    """Return exp(`nonnegative`) @ `ones` up to a common factor, by scaling and squaring.

    Every entry is non-negative, so nothing cancels and even the smallest component of the result has all its digits (an
    eigen-decomposition loses those far below the largest). The factor drops out of ratios; without rescaling it overflows.
    """
    norm = float(nonnegative.sum(axis=1).max())
    squarings = max(0, math.ceil(math.log2(norm)) + 1) if norm > 0 else 0
    scaled = nonnegative / 2.0**squarings
    term = np.eye(len(ones))
    power = term.copy()
    for order in range(1, 20):  # the norm is at most 1/2: the first omitted term is below 1e-24
        term = term @ scaled / order
        power = power + term
    for _ in range(squarings):
        power = power @ power
        power = power / power.max()
    return power @ ones


def exact_depths(tau_s: float, q_max: float, gamma: float, sigma: float, k: float, A: float, size: float = 1.0) -> Depths:
    """Return the depths `tau_s` seconds before the horizon for every inventory -q_max, -q_max + size, …, q_max.

    v(t) = exp(-M tau) 1 with M tridiagonal: diagonal alpha j^2, off-diagonal -eta, j = q/size; alpha = k gamma sigma^2 size / 2,
    eta = A (1 + gamma size/k)^-(1 + k/(gamma size)). bid = ln(v_q / v_{q+size})/k + c1, ask = ln(v_q / v_{q-size})/k + c1 with
    c1 = ln(1 + gamma size/k)/(gamma size) (Guéant, Lehalle & Fernandez-Tapia 2013, theorem 1; size = 1 there, other sizes
    by counting in units of `size`). Raises InputError for values outside the model.
    """
    for name, value in (("sigma", sigma), ("k", k), ("A", A), ("size", size), ("q_max", q_max)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} was {value}; wanted a finite number above zero.")
    for name, value in (("tau_s", tau_s), ("gamma", gamma)):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name} was {value}; wanted a finite number, zero or more.")
    steps = round(q_max / size)
    if abs(steps * size - q_max) > 1e-9 * q_max:
        raise InputError(f"q_max was {q_max}; wanted a whole number of orders of {size}.")
    j = np.arange(-steps, steps + 1)
    x = gamma * size / k
    ratio = math.log1p(x) / x if x > 0 else 1.0
    eta = A * math.exp(-(1.0 + x) * ratio)
    diagonal = 0.5 * k * gamma * sigma * sigma * size * j.astype(np.float64) ** 2
    # exp(-M tau) and exp((c - M) tau) differ by a factor that drops out; with c the largest diagonal entry nothing is negative.
    matrix = np.diag(diagonal.max() - diagonal) + eta * (np.eye(len(j), k=1) + np.eye(len(j), k=-1))
    log_v = np.log(_growth(matrix * tau_s, np.ones(len(j))))
    c1 = ratio / k
    bid = np.full(len(j), np.inf)
    ask = np.full(len(j), np.inf)
    bid[:-1] = (log_v[:-1] - log_v[1:]) / k + c1
    ask[1:] = (log_v[1:] - log_v[:-1]) / k + c1
    return Depths(q=j * size, bid=bid, ask=ask)

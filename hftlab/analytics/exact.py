"""Integer sums and products that cannot pass 2**63 without a word, and the worth of a half-tick price."""

from typing import Any

import numpy as np

from hftlab.instrument import Instrument

_SAFE = 1 << 62


def _top(values: np.ndarray) -> int:
    """Return the largest magnitude in an integer array, as a Python int."""
    return max(int(values.max()), -int(values.min())) if len(values) else 0


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a x b, element by element: int64 where no product can overflow, Python ints (dtype object) otherwise."""
    if object not in {a.dtype, b.dtype} and _top(a) * _top(b) < _SAFE:
        return a * b
    return a.astype(object) * b.astype(object)


def total(values: np.ndarray) -> int:
    """Return the exact sum of an array of integers as a Python int."""
    if values.dtype != object and _top(values) * len(values) < _SAFE:
        return int(values.sum())
    return sum(int(value) for value in values.tolist())


def value2(instrument: Instrument, mid2: Any) -> Any:
    """Return what one lot is worth at a price given in half ticks (bid + ask), in halves of a money unit; ints and int64 arrays.

    A price between two ticks is worth the mean of its neighbours, so `value2(2 x price) = 2 x value_of(price)` for every
    contract, and a trade at the mid earns no spread.
    """
    low = mid2 // 2
    return instrument.value_of(low) + instrument.value_of(mid2 - low)

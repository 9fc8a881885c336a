"""How a benchmark measures: warm, several times, the median; the best beside it says what the neighbours on the machine cost."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Durations(NamedTuple):
    """Seconds of repeated runs."""

    median: float
    best: float


def durations(call: Callable[[], object], repeats: int = 7, warm_ups: int = 1) -> Durations:
    """Return how long `call` took over `repeats` runs, after `warm_ups` that do not count."""
    for _ in range(warm_ups):
        call()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return Durations(round(statistics.median(seconds), 6), round(min(seconds), 6))


def seconds(call: Callable[[], object], repeats: int = 7, warm_ups: int = 1) -> float:
    """Return the median duration of `call`."""
    return durations(call, repeats, warm_ups).median

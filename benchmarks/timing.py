"""How a benchmark measures: warm, several times, the median."""

import statistics
import time
from collections.abc import Callable


def seconds(call: Callable[[], object], repeats: int = 7, warm_ups: int = 1) -> float:
    """Return the median duration of `call` over `repeats` runs, after `warm_ups` that do not count."""
    for _ in range(warm_ups):
        call()
    durations = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return statistics.median(durations)

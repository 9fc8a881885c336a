"""The wall clock for those outside the engine who must tell how old something published is."""

import time


def age_ms(published_ns: int) -> float:
    """Return how many milliseconds ago `published_ns` (wall clock, ns since 1970 UTC) was; never negative."""
    return max(0.0, (time.time_ns() - published_ns) / 1e6)

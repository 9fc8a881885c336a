"""The wall clock: of the engine's driver, and for those outside who must tell how old something published is."""

import time


def wall_now_ns() -> int:
    """Return the time of day, ns since 1970 UTC."""
    return time.time_ns()


def age_ms(published_ns: int) -> float:
    """Return how many milliseconds ago `published_ns` (wall clock, ns since 1970 UTC) was; never negative."""
    return max(0.0, (time.time_ns() - published_ns) / 1e6)

"""Many moments of a run in a row, for playing: one way forward over the rows, looked at again and again."""

import time
from collections.abc import Callable

import numpy as np

from hftlab.backtesting.travels.course import Course
from hftlab.data.state import State

Read = Callable[[State, int], np.ndarray]
"""What a moment is drawn from: called with the shared state and the event, it returns numbers of its own."""


def by_time(course: Course, start_ns: int, step_ns: int, count: int, read: Read, budget_s: float) -> list[np.ndarray]:
    """Return what `read` gives of `count` moments, `step_ns` apart from `start_ns` on.

    Fewer at the end of the run, and when `budget_s` is over: whoever waits has the first ones then.
    """
    limit = time.perf_counter() + budget_s
    found: list[np.ndarray] = []
    with course.lock:
        row, total = course.row_at(start_ns), len(course.rows)
        now_ns = int(course.seek(row).desk["now_ns"][0])
        first, rows, times = row, np.zeros(0), np.zeros(0, np.int64)
        for k in range(count):
            ts_ns = start_ns + k * step_ns
            while (not len(times) or times[-1] <= ts_ns) and first + len(times) < total:
                if len(times):
                    course.forward(first + len(times), rows[course.at - first :])
                    first, now_ns = first + len(times), int(times[-1])
                end = min(first + course.block, total)
                rows, times = course.rows.read(first, end), course.times(first, end, now_ns)
            row = first + int(np.searchsorted(times, ts_ns, side="right"))
            course.forward(row, rows[course.at - first : row - first])
            found.append(read(course.here, row))
            if row == total or time.perf_counter() > limit:
                break
    return found


def by_event(course: Course, start: int, step: int, count: int, read: Read, budget_s: float) -> list[np.ndarray]:
    """Return what `read` gives of `count` events, `step` apart from event `start` on; fewer as with `by_time`."""
    limit = time.perf_counter() + budget_s
    found: list[np.ndarray] = []
    with course.lock:
        total = len(course.rows)
        for k in range(count):
            row = min(start + k * step, total)
            course.seek(row)
            found.append(read(course.here, row))
            if row == total or time.perf_counter() > limit:
                break
    return found

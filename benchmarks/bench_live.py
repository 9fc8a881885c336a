"""One live call with one event: what stands between a market row and the requests that answer it.

A desk plays the recording row by row, as a live engine that gets every row alone. A row inside a message only changes the book; the row
that ends a message also runs the quoter and the risk gate; a TIMER does so without a row of the market.
"""

import time
from typing import Any

import numpy as np

import hftlab as hl
from benchmarks.desk import LIMITS, quoter, tape

GOAL_US = 5.0
WARM_ROWS, ROWS, REPEATS = 50_000, 20_000, 5
TIMER_NS = 100_000_000


def run() -> dict[str, object]:
    """Return medians and 99th percentiles in microseconds, of the compiled call alone and of `State.step`."""
    data, said = tape()
    rows = _live_rows(data)
    result: dict[str, object] = {**said, "rows": ROWS * REPEATS, "goal_us": GOAL_US}
    for name, simulate in (("modelled", True), ("matched", False)):
        for how, timed in (("run", _time_run), ("step", _time_step)):
            took = [timed(_warm_state(data, rows, simulate=simulate), rows[WARM_ROWS : WARM_ROWS + ROWS]) for _ in range(REPEATS)]
            result[f"{name}_{how}_us"] = _figures(np.concatenate(took), np.tile(_classes(rows[WARM_ROWS : WARM_ROWS + ROWS]), REPEATS))
    return result


def _live_rows(data: Any) -> np.ndarray:
    """Return the tape as a live feed gives it: no marks of two clocks, with timers."""
    from hftlab.backtesting.timers import with_timers
    from hftlab.types import AT_DESK, AT_EXCHANGE

    return next(with_timers(iter((data.rows[data.rows["flags"] & (AT_DESK | AT_EXCHANGE) == 0],)), TIMER_NS))[: WARM_ROWS + ROWS]


def _warm_state(data: Any, rows: np.ndarray, *, simulate: bool) -> Any:
    from hftlab.data.state import build
    from hftlab.kernels import core

    state = build(data.instruments, [quoter()], [LIMITS], latency=hl.Latency(order_ms=1.0), simulate=simulate)
    state.step(core.run, rows[:WARM_ROWS])
    return state


def _time_run(state: Any, rows: np.ndarray) -> np.ndarray:
    """Return nanoseconds of each compiled call."""
    from hftlab.kernels.core import run

    desk, markets, exchanges, out = state.desk, state.markets, state.exchanges, state.out
    clock, took = time.perf_counter_ns, np.empty(len(rows))
    singles = [rows[i : i + 1] for i in range(len(rows))]
    for i, row in enumerate(singles):
        out["seq"][0] = 0
        began = clock()
        run(desk, markets, exchanges, row, out)
        took[i] = clock() - began
    return took


def _time_step(state: Any, rows: np.ndarray) -> np.ndarray:
    """Return nanoseconds of each `State.step`."""
    from hftlab.kernels.core import run

    clock, took = time.perf_counter_ns, np.empty(len(rows))
    singles = [rows[i : i + 1] for i in range(len(rows))]
    for i, row in enumerate(singles):
        began = clock()
        state.step(run, row)
        took[i] = clock() - began
    return took


def _classes(rows: np.ndarray) -> np.ndarray:
    from hftlab.types import LAST, TIMER

    return np.where(rows["kind"] == TIMER, "timer", np.where((rows["flags"] & LAST) != 0, "ends a message", "inside a message"))


def _figures(took_ns: np.ndarray, classes: np.ndarray) -> dict[str, dict[str, float]]:
    parts = {str(name): took_ns[classes == name] / 1e3 for name in np.unique(classes)}
    return {name: {"p50": round(float(np.median(us)), 2), "p99": round(float(np.percentile(us, 99)), 2)} for name, us in parts.items()}

"""A backtest of one quoter on a recording of a real exchange.

`run` is the compiled call alone, on rows that are already merged on their two clocks; `call` is all of `hl.backtest`: merge, timers,
run, report. Rows are rows of the tape; each is run once for the exchange and once for the desk, so the merged rows are twice as many.
"""

import hftlab as hl
from benchmarks.desk import LIMITS, quoter, tape
from benchmarks.timing import durations

GOAL_ROWS_PER_S = 10_000_000
REPEATS = 11


def run() -> dict[str, object]:
    """Return seconds and rows per second of both."""
    data, said = tape()
    instrument = data.instruments[0]
    report = hl.backtest(data, instrument, quoter(), LIMITS)

    from hftlab.backtesting.timers import with_timers
    from hftlab.data.state import build
    from hftlab.kernels import core

    merged = next(with_timers(iter((data.merge().rows,)), 100_000_000))
    # A fresh desk for each run, made before the clock starts.
    states = [build([instrument], [quoter()], [LIMITS], latency=hl.Latency(), sample_ms=250.0) for _ in range(REPEATS + 1)]
    alone = durations(lambda: states.pop().step(core.run, merged), REPEATS)
    whole = durations(lambda: hl.backtest(data, instrument, quoter(), LIMITS), REPEATS)
    rows = len(data)
    return said | {
        "rows": rows,
        "merged_rows": len(merged),
        "fills": int(report.summary()["fills"]),
        "run_median_s": alone.median,
        "run_best_s": alone.best,
        "run_rows_per_s": round(rows / alone.median),
        "run_best_rows_per_s": round(rows / alone.best),
        "run_merged_rows_per_s": round(len(merged) / alone.median),
        "goal_run_rows_per_s": GOAL_ROWS_PER_S,
        "call_median_s": whole.median,
        "call_rows_per_s": round(rows / whole.median),
    }

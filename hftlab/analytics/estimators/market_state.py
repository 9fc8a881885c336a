"""How a market is just now: its spread, its volatility over time, and how much happens in it."""

import numpy as np
import numpy.typing as npt

from hftlab.analytics.returns.equity import at_steps
from hftlab.types import NO_PRICE

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

MOVES_MIN = 8  # fewer moves of a bucket are no volatility
HOLE_STEPS = 5  # a value that is older than so many steps is a hole in the data


def spread_ticks(samples: npt.NDArray[np.void]) -> Floats:
    """Return best ask less best bid of SAMPLE_ROW records in ticks, NaN where a side is missing."""
    bid, ask = samples["best_bid_ticks"], samples["best_ask_ticks"]
    there = (bid != NO_PRICE) & (ask != NO_PRICE)
    return np.where(there, np.where(there, ask, 0) - np.where(there, bid, 0), np.nan)


def ewma(ts_ns: Times, values: Floats, half_life_s: float, now_ns: int) -> float:
    """Return the mean of a step function over the past, a moment `half_life_s` ago counting half; NaN without a known value.

    Each value holds from its time to the next one's, the last until `now_ns`; unknown values (NaN) have no weight.
    """
    if not len(ts_ns):
        return float("nan")
    rate = np.log(2) / (half_life_s * 1e9)
    edges = np.append(ts_ns, max(now_ns, int(ts_ns[-1]) + 1))
    # Weight of a stretch: the integral of exp(-rate x age) over it.
    age = np.exp(-rate * (edges[-1] - edges).astype(np.float64))
    weight = np.where(np.isfinite(values), np.diff(age), 0.0)
    whole = float(weight.sum())
    return float(np.nansum(weight * np.nan_to_num(values)) / whole) if whole > 0 else float("nan")


def volatility_bps(ts_ns: Times, price: Floats, horizon_s: float, edges_ns: Times) -> Floats:
    """Return the realised volatility of each bucket between `edges_ns`, shape (len(edges) - 1,), in bps per square root of a second.

    Root mean square of the log returns over steps of `horizon_s` that end in the bucket, divided by the square root of `horizon_s`: on a
    random walk every horizon says the same, a longer one says less where prices swing back (bid-ask bounce) and more where they trend.
    NaN with fewer than MOVES_MIN returns. `price` NaN or not above zero is unknown.
    """
    step_ns = int(horizon_s * 1e9)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(price > 0, price, np.nan))
    times, x = at_steps(ts_ns, logs, step_ns, max(step_ns, HOLE_STEPS * _spacing_ns(ts_ns)))
    moves = np.diff(x)
    known = np.isfinite(moves)
    bucket = np.searchsorted(edges_ns, times[1:][known], side="left") - 1
    inside = (bucket >= 0) & (bucket < len(edges_ns) - 1)
    size = len(edges_ns) - 1
    count = np.bincount(bucket[inside], minlength=size)
    power = np.bincount(bucket[inside], weights=moves[known][inside] ** 2, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count >= MOVES_MIN, np.sqrt(power / count / horizon_s) * 1e4, np.nan))


def edges(now_ns: int, bucket_ns: int, columns: int) -> Times:
    """Return `columns` + 1 ascending edges on multiples of `bucket_ns`; the last bucket holds `now_ns`."""
    last = now_ns // bucket_ns + 1
    return np.arange(last - columns, last + 1, dtype=np.int64) * bucket_ns


def _spacing_ns(ts_ns: Times) -> int:
    return int(np.median(np.diff(ts_ns))) if len(ts_ns) > 1 else 0

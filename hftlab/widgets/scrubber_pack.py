"""What a scrubber sends: one moment as numbers, and the whole run as a curve with its fills and its halts."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.backtesting.travels.course import Course
from hftlab.data.state import State
from hftlab.types import DESK_STATE_NAMES, FREE, HALTED, NO_PRICE, PAUSED
from hftlab.widgets.ladder import pack
from hftlab.widgets.strip import HALT, HOLE_SAMPLES, NO_BOOK

HEAD = 8  # event, ns since the start, state, then position, P&L, fills and orders of the market, its number; then a ladder
SAMPLE, FILL, BAND = 6, 4, 3  # numbers a sample, a fill, a band
PAUSE = 3

Floats = npt.NDArray[np.float64]


def frame_of(state: State, event: int, start_ns: int, market: int, depth: int) -> Floats:
    """Return HEAD numbers and the ladder of `market` (see `ladder.pack`)."""
    frame = state.frame(copy=False)
    one = state.markets[market]
    code = DESK_STATE_NAMES.index(frame.state)
    resting = int((one["orders"]["status"] != FREE).sum())
    head = [
        event,
        frame.now_ns - start_ns,
        code,
        frame.position(market),
        float(one["pnl_quote"]),
        int(one["fills_count"]),
        resting,
        market,
    ]
    return np.concatenate([np.array(head, np.float64), pack(frame, market, depth)])


def overview(course: Course, market: int, start_ns: int, sample_ns: int) -> list[Floats]:
    """Return samples (ns, fair, our bid, our ask, position, P&L), fills (ns, price, side, qty) and bands (from, to, kind), flat.

    NaN where there is nothing; ns count from `start_ns`, on the desk's clock: a fill stands where we learned of it.
    """
    tick, lot = (float(getattr(course.here.instruments[market], name)) for name in ("tick_size", "lot_size"))
    marks = course.marks
    rows = marks.samples.rows
    rows = rows[rows["instrument"] == market]
    samples = np.empty((len(rows), SAMPLE))
    samples[:, 0] = rows["ts_recv_ns"] - start_ns
    samples[:, 1] = rows["price_ticks"].view(np.float64) * tick if len(rows) else 0.0
    for column, name in ((2, "order_id"), (3, "seq")):
        samples[:, column] = np.where(rows[name] == NO_PRICE, np.nan, rows[name] * tick)
    samples[:, 4], samples[:, 5] = rows["qty_lots"] * lot, rows["leaves_lots"].view(np.float64) if len(rows) else 0.0
    made = marks.fills.rows
    made = made[made["instrument"] == market]
    fills = np.column_stack([made["ts_recv_ns"] - start_ns, made["price_ticks"] * tick, made["side"], made["qty_lots"] * lot])
    end_ns = int(course.here.desk["now_ns"][0]) if not len(rows) else int(rows["ts_recv_ns"][-1])
    spans = [*_holes(samples[:, 0], sample_ns), *_stops(marks.changes.rows, start_ns, end_ns)]
    return [samples.ravel(), fills.astype(np.float64).ravel(), np.array(spans, np.float64).ravel()]


def _holes(ns: Floats, sample_ns: int) -> list[tuple[float, float, float]]:
    """Return the times without a fair price: no samples are written in them."""
    if len(ns) < 2:
        return []
    # A long run keeps every second sample, or fewer: the usual distance says which.
    far = HOLE_SAMPLES * max(sample_ns, float(np.median(np.diff(ns))))
    return [(float(ns[k]), float(ns[k + 1]), NO_BOOK) for k in np.flatnonzero(np.diff(ns) > far)]


def _stops(changes: Any, start_ns: int, end_ns: int) -> list[tuple[float, float, float]]:
    """Return the times in which the desk was halted or paused."""
    desk = changes[changes["seq"] == 1]
    ends = [*desk["ts_recv_ns"][1:].tolist(), end_ns]
    kinds = {HALTED: HALT, PAUSED: PAUSE}
    return [
        (int(row["ts_recv_ns"]) - start_ns, end - start_ns, kinds[int(row["qty_lots"])])
        for row, end in zip(desk, ends, strict=False)
        if int(row["qty_lots"]) in kinds
    ]

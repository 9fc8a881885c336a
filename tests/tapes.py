"""Small random tapes for law tests: two instruments, snapshots, updates, prints, gaps, timers and commands."""

import numpy as np
from hypothesis import strategies as st

from hftlab.instrument import Instrument
from hftlab.types import (
    ASK,
    AT_DESK,
    AT_EXCHANGE,
    BID,
    CLEAR,
    DEPTH,
    EVENT,
    FLATTEN,
    FUNDING,
    GAP,
    HALT,
    L3_ORDER,
    LAST,
    LATENCY,
    PAUSE,
    RESUME,
    SET_PARAMS,
    SET_TARGET,
    SNAPSHOT,
    TIMER,
    TRADE,
)

A = Instrument(venue="test", symbol="A/USD", base="A", quote="USD", tick_size="0.5", lot_size="0.01", amend="requeues")
B = Instrument(venue="test", symbol="B/USD", base="B", quote="USD", tick_size="0.01", lot_size="1", amend="never")
MID = {0: 2000, 1: 10_000}
MS = 1_000_000
START_NS = 1_700_000_000_000_000_000


class Writer:
    """Collects rows; `now` moves forward with each message."""

    def __init__(self, *, copies: bool = False, feed_ns: int = 2 * MS):
        self.rows: list[tuple] = []
        self.now = START_NS
        self.seq = 0
        self.copies = copies
        self.feed_ns = feed_ns

    def row(self, kind, instrument=0, side=0, price=0, lots=0, flags=0, order_id=0):
        self.seq += 1
        return (self.now, self.now + self.feed_ns, price, lots, 0, order_id, self.seq, kind, side, flags, instrument)

    def message(self, *rows):
        rows = list(rows)
        rows[-1] = (*rows[-1][:9], rows[-1][9] | LAST, rows[-1][10])
        self.rows += rows

    def snapshot(self, instrument, mid, depth=8, lots=50):
        rows = [self.row(CLEAR, instrument, flags=SNAPSHOT)]
        for k in range(1, depth + 1):
            rows.append(self.row(DEPTH, instrument, BID, mid - k, lots, SNAPSHOT))
            rows.append(self.row(DEPTH, instrument, ASK, mid + k, lots, SNAPSHOT))
        self.message(*rows)

    def array(self):
        rows = np.array(self.rows, dtype=EVENT)
        if not self.copies:
            return rows
        market = rows["kind"] < TIMER
        exchange, desk = rows[market].copy(), rows.copy()
        exchange["flags"] |= AT_EXCHANGE
        desk["flags"][market] |= AT_DESK
        times = np.concatenate([exchange["ts_exch_ns"], desk["ts_recv_ns"]])
        order = np.argsort(times, kind="stable")
        return np.concatenate([exchange, desk])[order]


def moves_and_prints(steps, instrument=A):
    """A tape of random moves, each with a print beyond the touch, five a second."""
    from hftlab.data.tape import Tape

    w, mid = Writer(feed_ns=2 * MS), 2000
    for n in np.random.default_rng(3).integers(-2, 3, steps).tolist():
        mid += n
        w.snapshot(0, mid, depth=4, lots=5)
        w.now += 100 * MS
        w.message(w.row(TRADE, 0, BID if n > 0 else ASK, mid + 3 * (1 if n > 0 else -1), 20))
        w.now += 100 * MS
    return Tape(w.array(), (instrument,))


def bits(value: float) -> int:
    """The int64 whose bits are those of the float64."""
    return int(np.float64(value).view(np.int64))


STEP = st.tuples(
    st.integers(0, 1),  # instrument
    st.sampled_from(["move", "trade", "level", "level", "trade", "sweep", "timer", "gap", "command", "funding", "latency", "order"]),
    st.integers(-3, 3),
    st.integers(1, 60),
    st.integers(0, 400),  # ms to the next
)


def build_tape(steps, *, copies=True, commands=True):
    """Turn drawn steps into rows. The book stays uncrossed at the end of each message."""
    w = Writer(copies=copies)
    mid = dict(MID)
    for i in (0, 1):
        w.snapshot(i, mid[i])
    for i, what, n, lots, wait_ms in steps:
        w.now += wait_ms * MS
        if what == "move" and n:
            mid[i] += n
            w.snapshot(i, mid[i], lots=lots)
        elif what == "level":
            side = BID if n > 0 else ASK
            w.message(w.row(DEPTH, i, side, mid[i] - side * max(abs(n), 1), lots))
        elif what == "trade":
            side = BID if n > 0 else ASK
            w.message(w.row(TRADE, i, side, mid[i] + side, lots))
        elif what == "sweep":
            side = BID if n > 0 else ASK
            w.message(*[w.row(TRADE, i, side, mid[i] + side * k, lots) for k in (1, 2, 3)])
        elif what == "timer":
            w.message(w.row(TIMER))
        elif what == "funding":
            w.message(w.row(FUNDING, i, 0, mid[i], 12_345 * n))
        elif what == "latency":
            row = w.row(LATENCY, i, 0, lots * MS // 10, lots * MS // 5)
            w.message((*row[:4], 2 * MS, MS, w.now + 100 * MS, *row[7:]))
        elif what == "order":
            side = BID if n > 0 else ASK
            row = w.row(L3_ORDER, i, side, mid[i] - side * max(abs(n), 1), lots, 0, 7)
            w.message((*row[:4], lots // 2, *row[5:]))
        elif what == "gap":
            w.message(w.row(GAP, i))
            w.snapshot(i, mid[i], lots=lots)
        elif what == "command" and commands:
            kinds = [(PAUSE,), (RESUME,), (HALT,), (RESUME,), (FLATTEN,), (SET_TARGET,), (SET_PARAMS,)]
            kind = kinds[n + 3][0]
            order_id, price, side, qty = 0, 0, 0, 0
            if kind == SET_PARAMS:
                order_id, price = 2, bits(float(lots))  # order_lots
            if kind == SET_TARGET:
                side, qty = lots % 2, lots - 30
            w.message(w.row(kind, i, side, price, qty, order_id=order_id))
    w.now += 1000 * MS
    w.message(w.row(TIMER))
    return w.array()


TAPES = st.lists(STEP, min_size=1, max_size=60)

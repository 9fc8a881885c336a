"""Rows as a run writes them, made by hand: touches as the exchange sees them, fills as the desk learns of them."""

import numpy as np
from hypothesis import strategies as st

from hftlab.analytics.facts.pnl import WHOLE, Ledger
from hftlab.instrument import Instrument
from hftlab.types import EVENT, FEE, FILL, MAKER, NO_PRICE, PAYMENT, SAMPLE, TOUCH

LINEAR = Instrument(venue="test", symbol="A/USD", base="A", quote="USD", tick_size="0.5", lot_size="0.01")
INVERSE = Instrument(venue="test", symbol="B/USD", base="B", quote="USD", tick_size="0.1", lot_size="1", multiplier="100", inverse=True)
MS = 1_000_000
START_NS = 1_700_000_000_000_000_000 - 1_700_000_000_000_000_000 % 3_600_000_000_000 + 3_590_000_000_000  # ten seconds before an hour


def row(kind, exch_ns, recv_ns, price=0, lots=0, leaves=0, order_id=0, seq=0, side=0, flags=0, instrument=0):
    return (exch_ns, recv_ns, price, lots, leaves, order_id, seq, kind, side, flags, instrument)


def bits(value):
    return int(np.float64(value).view(np.int64))


def touch(ts_ns, bid, ask, bid_lots=5, ask_lots=5, instrument=0, order_id=0):
    return row(
        TOUCH,
        ts_ns,
        ts_ns,
        NO_PRICE if bid is None else bid,
        bid_lots,
        NO_PRICE if ask is None else ask,
        ask_lots,
        seq=order_id,
        instrument=instrument,
    )


class Written:
    """Collects rows with the time at which each was written, and keeps a ledger in plain Python."""

    def __init__(self, instruments=(LINEAR,)):
        self.instruments, self.rows = instruments, []
        self.books = [{"position": 0, "cash": 0, "fees_u": 0, "funding_e8": 0} for _ in instruments]
        self.queue = []  # fills on their way: they are booked when they are learned of

    def touch(self, ts_ns, bid, ask, instrument=0, **sizes):
        self.rows.append((ts_ns, 0, [touch(ts_ns, bid, ask, instrument=instrument, **sizes)]))

    def fill(self, ts_ns, learned_ns, side, price, lots, fee_u=0, order_id=1, instrument=0, leaves=0, fair=np.nan, maker=True):
        self.queue.append((learned_ns, ts_ns, side, price, lots, fee_u, order_id, instrument, leaves, fair, maker))

    def payment(self, ts_ns, ticklots, e8=0, instrument=0):
        self.books[instrument]["funding_e8"] += ticklots * 10**8 + e8
        self.rows.append((ts_ns, 1, [row(PAYMENT, ts_ns, ts_ns, lots=ticklots, leaves=e8, instrument=instrument)]))

    def sample(self, ts_ns, fair, position=0, pnl=0.0, instrument=0):
        self.rows.append(
            (ts_ns, 2, [row(SAMPLE, ts_ns, ts_ns, bits(fair), position, bits(pnl), NO_PRICE, NO_PRICE, instrument=instrument)])
        )

    def add(self, written_ns, *rows):
        self.rows.append((written_ns, 1, list(rows)))

    def array(self):
        """The rows in the order in which the run writes them."""
        for learned, ts, side, price, lots, fee_u, order_id, i, leaves, fair, maker in sorted(self.queue, key=lambda f: f[0]):
            book = self.books[i]
            book["position"] += side * lots
            book["cash"] -= side * lots * int(self.instruments[i].value_of(price))
            book["fees_u"] += fee_u
            whole, rest = divmod(fee_u, 10**6)
            pair = [
                row(FILL, ts, learned, price, lots, leaves, order_id, bits(fair), side, MAKER if maker else 0, i),
                row(FEE, ts, learned, whole, rest, book["position"], order_id, side=side, instrument=i),
            ]
            self.rows.append((learned, 1, pair))
        self.queue = []
        self.rows.sort(key=lambda entry: entry[:2])
        return np.array([one for _, _, rows in self.rows for one in rows], EVENT)

    def ledgers(self):
        return tuple(Ledger(b["position"], b["cash"], *divmod(b["fees_u"], 10**6), *divmod(b["funding_e8"], 10**8)) for b in self.books)

    def account(self, i, mid2):
        """P&L in 1e-8 of half a money unit, from the ledger alone, at a mid in half ticks that is a whole tick."""
        b = self.books[i]
        worth = b["position"] * int(self.instruments[i].value_of(mid2 // 2)) if mid2 % 2 == 0 else None
        return None if worth is None else WHOLE * (b["cash"] + worth) - 200 * b["fees_u"] - 2 * b["funding_e8"]


STEP = st.tuples(
    st.sampled_from(["touch", "touch", "size", "fill", "fill", "pay", "empty"]),
    st.sampled_from([0, 0, 1, 40, 900, 7_000, 70_000]),  # ms to the next
    st.integers(-4, 4),
    st.integers(1, 30),
    st.integers(-3_000_000, 3_000_000),  # fee in millionths
    st.integers(0, 1),  # instrument
    st.sampled_from([0, 5, 300, 2_500]),  # ms until the fill is learned of
)


def build(steps, instruments=(LINEAR, INVERSE)):
    """Turn drawn steps into what a run writes. Fills are reported in the order of their matches."""
    w, now, mid, learned = Written(instruments), START_NS, [20_000, 600_000], [0, 0]
    for kind, wait_ms, n, lots, fee_u, i, response_ms in steps:
        now += wait_ms * MS
        if kind in {"touch", "size"}:
            mid[i] += n if kind == "touch" else 0
            w.touch(now, mid[i], mid[i] + 1 + abs(n) % 2, instrument=i, bid_lots=lots)
        elif kind == "empty":
            w.touch(now, None, mid[i] + 1, instrument=i)
        elif kind == "fill":
            learned[i] = max(now + response_ms * MS, learned[i])
            w.fill(now, learned[i], 1 if n >= 0 else -1, mid[i] + n, lots, fee_u, instrument=i)
        else:
            w.payment(now, n, abs(fee_u), instrument=i)
    return w


STORIES = st.lists(STEP, min_size=1, max_size=60)

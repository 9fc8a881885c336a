"""A desk that is told one message at a time, for worked stories: what it wrote in answer is what each call returns."""

import numba
import numpy as np
from tapes import MS, A, Writer

from hftlab.data.state import build
from hftlab.kernels import core, risk
from hftlab.params import FixedSpread, Limits
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    ASK,
    BID,
    CANCEL,
    CANCELED,
    CLEAR,
    DEPTH,
    FREE,
    LAST,
    PENDING_AMEND,
    PENDING_CANCEL,
    PENDING_NEW,
    SNAPSHOT,
    SUBMIT,
    TIMER,
    VERDICT_NAMES,
)

FAR_LIMITS = {"position_qty_max": "1", "requests_per_s_max": 1e6, "requests_burst": 1e6, "capital_quote": 1e9, "loss_quote_max": 1e9}


@numba.njit
def _gate(desk, markets, exchanges, i, out):
    risk.permit(desk[0], markets, exchanges, i, out)


def quoter(**options):
    """A fixed spread of one tick each side, that moves at once."""
    return FixedSpread(**({"order_qty": "0.1", "half_spread_ticks": 1, "life_ms_min": 0} | options))


def limits(**options):
    """Limits that stop nothing but what a story names."""
    return Limits(**(FAR_LIMITS | options))


class Story:
    """One desk; without `simulate=True` nobody answers its requests but the story."""

    def __init__(self, quoters=None, bounds=None, instruments=(A,), **options):
        def spread(one):
            return one if isinstance(one, tuple) else (one,) * len(instruments)

        options = {"simulate": False, "sample_ms": 0} | options
        self.state = build(instruments, spread(quoters or quoter()), spread(bounds or limits()), **options)
        self.w = Writer(feed_ns=0)
        self.written = self.state.out[:0]

    # --- what is there ---
    @property
    def desk(self):
        return self.state.desk[0]

    def market(self, i=0):
        return self.state.markets[i]

    def orders(self, i=0, *statuses):
        rows = self.state.markets["orders"][i]
        return rows[np.isin(rows["status"], statuses)] if statuses else rows[rows["status"] != FREE]

    def refused(self, name):
        return int(self.desk["verdicts"][VERDICT_NAMES.index(name)])

    # --- what happens ---
    def wait(self, ms):
        self.w.now += int(ms * MS)

    def tell(self, *rows):
        """Run one message; return the requests that came of it."""
        self.w.rows.clear()
        self.w.message(*rows)
        self.written = self.state.step(core.run, self.w.array())
        kinds = self.written["kind"]
        return self.written[(kinds >= SUBMIT) & (kinds <= CANCEL)]

    def book(self, bid=1999, ask=2001, lots=50, i=0):
        """A snapshot of one level a side."""
        return self.tell(
            self.w.row(CLEAR, i, flags=SNAPSHOT),
            self.w.row(DEPTH, i, BID, bid, lots, SNAPSHOT),
            self.w.row(DEPTH, i, ASK, ask, lots, SNAPSHOT),
        )

    def timer(self):
        return self.tell(self.w.row(TIMER))

    def command(self, kind, i=0, **fields):
        return self.tell(self.w.row(kind, i, **fields))

    def report(self, kind, order_id, lots=0, leaves=0, *, i=0, side=0, price=0, flags=0):
        row = self.w.row(kind, i, side, price, lots, flags | LAST, order_id)
        return self.tell((*row[:4], leaves, *row[5:]))

    def wish(self, i=0, *, bid=None, ask=None, lots=10):
        """Put a wish to the gate as a quoter would."""
        quote = self.state.markets["quote"][i : i + 1]
        quote["bid_lots"], quote["ask_lots"] = lots * (bid is not None), lots * (ask is not None)
        quote["bid_ticks"], quote["ask_ticks"] = bid or 0, ask or 0
        quote["levels"], quote["step_ticks"] = 1, 1
        return self.permit(i)

    def permit(self, i=0):
        """Let the gate act on the wish that stands in the record."""
        state = self.state
        state.out["seq"][0] = 0
        _gate(state.desk, state.markets, state.exchanges, i, state.out)
        return state.out[1 : int(state.out["seq"][0]) + 1].copy()

    def fill(self, order, lots):
        """Fill `lots` of an order of ours, as maker at its price."""
        order = order.copy()
        leaves = int(order["leaves_lots"]) - lots
        return self.report(36, int(order["order_id"]), lots, leaves, side=int(order["side"]), price=int(order["price_ticks"]), flags=256)

    def answer(self, i=0):
        """Let the venue accept, amend and cancel everything that waits for it; return what the desk then asked."""
        asked = []
        for order in self.orders(i, PENDING_NEW, PENDING_AMEND, PENDING_CANCEL).copy():
            kind = {PENDING_NEW: ACCEPTED, PENDING_AMEND: AMENDED, PENDING_CANCEL: CANCELED}[int(order["status"])]
            price, lots = int(order["wish_ticks"]), int(order["wish_lots"])
            asked.append(self.report(kind, int(order["order_id"]), lots, lots, i=i, side=int(order["side"]), price=price))
        return np.concatenate(asked) if asked else self.state.out[:0]


def sides(requests, kind=SUBMIT):
    """(side, price, lots) of the requests of a kind, bids first."""
    rows = requests[requests["kind"] == kind]
    return sorted(((int(r["side"]), int(r["price_ticks"]), int(r["qty_lots"])) for r in rows), key=lambda r: (-r[0], -r[0] * r[1]))


def kinds(requests):
    """How many SUBMIT, AMEND and CANCEL."""
    return tuple(int((requests["kind"] == k).sum()) for k in (SUBMIT, AMEND, CANCEL))

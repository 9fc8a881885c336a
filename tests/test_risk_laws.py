"""What the gate promises whatever happens: over random tapes with commands, and before a venue that loses its answers."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import Story, limits, quoter
from tapes import STEP, A, B, build_tape

from hftlab.assumptions import Fees, Latency
from hftlab.data.state import build
from hftlab.kernels import core
from hftlab.params import FixedSpread
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    ASK,
    BID,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    FILL,
    FREE,
    HALT,
    HALTED,
    IOC,
    LAST,
    PAUSE,
    REJECTED,
    RESUME,
    STOPPED,
    SUBMIT,
    TIMER,
    UNKNOWN,
)


def held_and_open(market):
    """Position, and what could still be bought and sold: every order at the larger of what rests and what was asked for."""
    rows = market["orders"][market["orders"]["status"] != FREE]
    worst = np.maximum(rows["leaves_lots"], rows["wish_lots"])
    return int(market["position_lots"]), int(worst[rows["side"] == BID].sum()), int(worst[rows["side"] == ASK].sum())


def never_meets_itself(market):
    rows = market["orders"][market["orders"]["status"] != FREE]
    bids, asks = rows[rows["side"] == BID], rows[rows["side"] == ASK]
    if len(bids) and len(asks):
        bid = max(bids["price_ticks"].max(), bids["wish_ticks"].max())
        assert bid < min(asks["price_ticks"].min(), asks["wish_ticks"].min())


def desk():
    quoters = (
        FixedSpread(order_qty="0.2", half_spread_ticks=1, skew_ticks_per_order=2, levels=3, life_ms_min=0),
        FixedSpread(order_qty="20", half_spread_ticks=0.5, skew_ticks_per_order=3, levels=2, life_ms_min=0),
    )
    bounds = (
        limits(position_qty_max="0.5", loss_quote_max=1.0, requests_per_s_max=50, requests_burst=30),
        limits(position_qty_max="50", requests_per_s_max=50),
    )
    return build((A, B), quoters, bounds, fees=Fees(maker_bps=1, taker_bps=5), latency=Latency(order_ms=3, report_ms=4))


@settings(max_examples=40)
@given(steps=st.lists(STEP, min_size=10, max_size=60))
def test_over_any_tape_position_requests_ids_and_prices_keep_their_laws(steps):
    state, rows, ids = desk(), build_tape(steps), set()
    ends = np.flatnonzero(rows["flags"] & LAST) + 1
    for start, end in itertools.pairwise([0, *ends]):
        before, flattening = int(state.desk["state"][0]), int(state.desk["flattening"][0])
        written = state.step(core.run, rows[start:end])
        after = int(state.desk["state"][0])
        for market in state.markets:
            position, bids, asks = held_and_open(market)
            limit = int(market["limits"]["position_lots_max"])
            # FLATTEN's order only brings the position nearer to zero.
            assert position + bids <= max(limit, position)
            assert position - asks >= min(-limit, position)
            assert abs(position) <= limit
            never_meets_itself(market)
        submits = written[written["kind"] == SUBMIT]
        assert not ids & set(submits["order_id"].tolist())
        ids |= set(submits["order_id"].tolist())
        assert len(set(submits["order_id"].tolist())) == len(submits)
        if before == after and after in (HALTED, STOPPED):
            assert AMEND not in written["kind"]
            assert (submits["flags"] & IOC != 0).all()
            assert flattening or state.desk["flattening"][0] or not len(submits)
    assert state.desk["unexpected"][0] == 0


class ForgetfulVenue:
    """A venue that is right about every order but may answer late, never, or "no such order". Fills are never lost."""

    def __init__(self, story, i=0):
        self.story, self.resting, self.requests, self.reports, self.position, self.i = story, {}, [], [], 0, i

    def tell(self, kind, order_id, side, price, lots, leaves):
        w = self.story.w
        self.reports.append((w.now, w.now, price, lots, leaves, order_id, 0, kind, side, LAST, self.i))

    def act(self):
        """Act on the oldest request."""
        r = self.requests.pop(0)
        order_id, kind, side, price, lots = (int(r[n]) for n in ("order_id", "kind", "side", "price_ticks", "qty_lots"))
        order = self.resting.get(order_id)
        if kind == SUBMIT:
            if lots % 7 == 0:
                return self.tell(REJECTED, order_id, side, price, lots, 0)
            self.resting[order_id] = [side, price, lots, 0]  # ..., total, executed
            return self.tell(ACCEPTED, order_id, side, price, lots, lots)
        if order is None:
            return self.tell(CANCEL_REJECTED if kind == CANCEL else REJECTED, order_id, side, price, lots, 0)
        if kind == CANCEL:
            del self.resting[order_id]
            return self.tell(CANCELED, order_id, side, order[1], order[2], order[2] - order[3])
        if price % 5 == 0 or lots <= order[3]:
            return self.tell(REJECTED if price % 2 else CANCEL_REJECTED, order_id, side, order[1], order[2], order[2] - order[3])
        order[1:3] = price, lots
        return self.tell(AMENDED, order_id, side, price, lots, lots - order[3])

    def fill(self, n):
        """Fill a part of one resting order."""
        if self.resting:
            order_id = sorted(self.resting)[n % len(self.resting)]
            order = self.resting[order_id]
            lots = min(1 + n % 4, order[2] - order[3])
            order[3] += lots
            self.position += order[0] * lots
            if order[3] == order[2]:
                del self.resting[order_id]
            self.tell(FILL, order_id, order[0], order[1], lots, order[2] - order[3])

    def answer(self, *, lost):
        """Deliver the oldest report, or let the driver of the venue say that none came."""
        row = self.reports.pop(0)
        if lost and row[7] != FILL:
            row = (*row[:7], UNKNOWN, *row[8:])
        story = self.story
        asked = story.tell((story.w.now, story.w.now, *row[2:]))
        self.requests += list(asked)
        return asked

    def worst(self, side):
        return side * self.position + sum(o[2] - o[3] for o in self.resting.values() if o[0] == side)


ACTS = st.tuples(
    st.sampled_from(["act", "act", "answer", "answer", "lose", "drop", "fill", "move", "move", "timer", "pause", "resume"]),
    st.integers(0, 50),
)


@settings(max_examples=200)
@given(acts=st.lists(ACTS, min_size=20, max_size=120), amend=st.sampled_from(["never", "requeues"]))
def test_no_order_of_a_venue_that_loses_answers_escapes_the_limit_or_the_desk(acts, amend):
    instrument = type(A)(**{**A.to_dict(), "amend": amend})
    story = Story(quoter(order_qty="0.05", levels=2), limits(position_qty_max="0.12"), (instrument,))
    venue, mid = ForgetfulVenue(story), 2000

    def step(what, n):
        nonlocal mid
        story.wait(200)
        if what == "act" and venue.requests:
            venue.act()
        elif what in ("answer", "lose") and venue.reports:
            venue.answer(lost=what == "lose")
        elif what == "drop" and venue.requests:
            r = venue.requests.pop(0)  # it never reached the venue
            venue.tell(UNKNOWN, int(r["order_id"]), int(r["side"]), 0, 0, 0)
        elif what in ("pause", "resume"):
            venue.requests += list(story.command(PAUSE if what == "pause" else RESUME))
        elif what == "fill":
            venue.fill(n)
        elif what == "move":
            mid += n % 7 - 3
            venue.requests += list(story.book(mid - 1, mid + 1))
        elif what == "timer":
            venue.requests += list(story.tell(story.w.row(TIMER)))

    for what, n in acts:
        step(what, n)
        assert max(venue.worst(BID), venue.worst(ASK)) <= 12
        # What rests there is known here: no order is forgotten while it can still fill.
        known = set(story.orders()["order_id"].tolist())
        assert set(venue.resting) <= known | {int(r["order_id"]) for r in venue.requests}
    # Let the venue catch up, then halt: nothing rests there, whatever was lost on the way.
    venue.requests += list(story.command(HALT))
    for _ in range(30):
        while venue.requests:
            venue.act()
        while venue.reports:
            venue.answer(lost=False)
        story.wait(1100)
        venue.requests += list(story.tell(story.w.row(TIMER)))
    assert not venue.resting
    assert story.market()["position_lots"] == venue.position


WISH = st.tuples(
    st.integers(-12, 12),  # of the bid from the mid, and of the ask
    st.integers(-12, 12),
    st.integers(0, 60),  # lots
    st.integers(1, 4),  # levels
    st.integers(0, 3),  # step
    st.sampled_from([0, 0, 0, IOC]),
)
TROUBLE = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["act", "act", "answer", "lose", "drop", "fill", "again", "move", "timer", "wish", "wish", "wish"]),
    st.integers(0, 50),
    WISH,
)
BOUNDS = (
    limits(position_qty_max="0.40", exposure_quote_max=1200, leverage_max=1.4, capital_quote=1000, drawdown_frac_max=1e6, margin_frac=0.5),
    limits(position_qty_max="10", margin_frac=0.8, widen_at_frac=0.5, reduce_at_frac=0.9, one_position=True),
)


def wishes(story, i, mid, wish):
    bid, ask, lots, levels, step, flags = wish
    quote = story.state.markets["quote"][i : i + 1]
    quote["bid_ticks"], quote["ask_ticks"], quote["bid_lots"], quote["ask_lots"] = mid + bid, mid + ask, lots, (lots * 7) % 60
    quote["levels"], quote["step_ticks"], quote["flags"], quote["fair_ticks"] = levels, step, flags, mid
    return story.permit(i)


def within_limits(story, asked, duplicated):
    """Hold each request against the worst case that follows: every order filled that is not known to be gone."""
    worst = [held_and_open(market) for market in story.state.markets]
    exposure = 0.0
    for (position, bids, asks), market in zip(worst, story.state.markets, strict=True):
        unit = float(market["spec"]["ticklot_quote"]) * float(market["mark_ticks"])
        exposure += max(abs(position + bids), abs(position - asks)) * unit if bids or asks or position else 0.0
    for row in asked[asked["kind"] != CANCEL]:
        i, side = int(row["instrument"]), int(row["side"])
        position, bids, asks = worst[i]
        open_lots = bids if side == BID else asks
        assert side * position + open_lots <= int(story.market(i)["limits"]["position_lots_max"])
        if side * position >= 0 or open_lots > abs(position):  # what can only reduce is let through
            assert exposure <= 1200 * (1 + 1e-12)
            assert exposure <= 1.4 * float(1000 + story.desk["pnl_quote"]) * (1 + 1e-12)
        if i == 1:
            assert side * position <= 0
    if not duplicated:
        for (position, _, _), market in zip(worst, story.state.markets, strict=True):
            assert abs(position) <= int(market["limits"]["position_lots_max"])


@settings(max_examples=150, deadline=None)
@given(trouble=st.lists(TROUBLE, min_size=20, max_size=100))
def test_whatever_is_wished_and_whatever_the_venue_does_no_limit_is_exceeded_orders_of_unknown_fate_included(trouble):
    story = Story((quoter(), quoter(order_qty="1")), BOUNDS, (A, B))
    story.state.markets["params"]["kind"] = 0
    venues, mids, duplicated = (ForgetfulVenue(story, 0), ForgetfulVenue(story, 1)), [2000, 10_000], False
    for i in (0, 1):
        story.book(mids[i] - 1, mids[i] + 1, i=i)
    for i, what, n, wish in trouble:
        venue, asked = venues[i], []
        story.wait(200)
        if what == "act" and venue.requests:
            venue.act()
        elif what in ("answer", "lose") and venue.reports:
            asked = venue.answer(lost=what == "lose")
        elif what == "drop" and venue.requests:
            r = venue.requests.pop(0)
            venue.tell(UNKNOWN, int(r["order_id"]), int(r["side"]), 0, 0, 0)
        elif what == "fill":
            venue.fill(n)
        elif what == "again" and venue.reports and venue.reports[0][7] == FILL:
            venue.reports.append(venue.reports[0])
            duplicated = True
        elif what == "move":
            mids[i] += n % 7 - 3
            asked = story.book(mids[i] - 1, mids[i] + 1, i=i)
        elif what == "timer":
            asked = story.timer()
        elif what == "wish":
            asked = wishes(story, i, mids[i], wish)
        if len(asked):
            within_limits(story, asked, duplicated)
            for row in asked:
                if what not in ("answer", "lose"):
                    venues[int(row["instrument"])].requests.append(row)
        if not duplicated:
            for one, market in zip(venues, story.state.markets, strict=True):
                limit = int(market["limits"]["position_lots_max"])
                assert max(one.worst(BID), one.worst(ASK)) <= limit

"""Faults of what a venue knows, over a real core: books, queries, keys, clock, filters, and the races before a match."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab.errors import UnknownName
from hftlab.types import ASK, BID
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.faults import Fault
from hftlab.venues.server.inject_market import SkinFaults, raced
from hftlab.venues.server.injector import Injector
from hftlab.venues.server.market import StillMarket
from hftlab.venues.server.model import DepthDiff, NewOrder, Refused, Status, Why
from hftlab.venues.server.rules import bundled_instruments
from hftlab.venues.server.schedule import NS, Schedule

START_NS = 1_700_000_000 * NS
SYMBOL = "BTCUSDT"
BEST_BID, BEST_ASK = 600_000, 600_001  # a futures ladder a tick apart round 60,000.0


class Rig:
    """A futures exchange over a still ladder of 10 lots a level, its faults, and a clock turned by hand."""

    def __init__(self, *faults, venue="binanceusdm", seed=0):
        self.now_ns = START_NS
        instrument = bundled_instruments("binanceusdm")[SYMBOL]
        self.exchange = Exchange(venue, {SYMBOL: StillMarket(instrument, lots=10, levels=20)}, clock_ns=lambda: self.now_ns)
        self.exchange.add_account("alice", balances={"USDT": "1000000"})
        self.schedule = Schedule(faults, seed=seed, clock=lambda: self.now_ns)
        injector = Injector(self.schedule, [venue])
        self.faults: SkinFaults = injector.of(venue)
        self.core = raced(self.exchange, self.faults)
        self.faults.core = self.exchange
        self.schedule.tick()

    def turn(self, seconds):
        self.now_ns += round(seconds * NS)
        self.schedule.tick()

    def bid(self, price_ticks=BEST_BID, qty_lots=4, **options):
        return self.core.place("alice", NewOrder(SYMBOL, BID, qty_lots, price_ticks, **options))

    def log(self):
        return [one.name for one in self.schedule.log]


# --- clock ---
def test_a_clock_is_ahead_for_a_while_jumps_for_good_and_drifts():
    rig = Rig(
        Fault("clock_offset", at_s=1.0, s=2.0, ms=1500),
        Fault("clock_step", at_s=5.0, ms=-300),
        Fault("clock_drift", at_s=10.0, s=100.0, ppm=1000.0),
    )
    shown = []
    for seconds in (0, 1, 1, 1.5, 2, 5, 10, 200):
        rig.turn(seconds)
        shown.append((rig.faults.clock_ns(rig.now_ns) - rig.now_ns) / 1e6)
    # by hand: after 1 s ahead by 1500 ms, for 2 s; at 5.5 s back by 300 ms; from 10.5 s on a thousandth of what has passed
    assert shown == [0, 1500, 1500, 0, -300, -300, -300 + 10, -300]


# --- books ---
def test_a_crossed_diff_has_a_bid_above_the_best_ask():
    rig = Rig(Fault("crossed_book", at_event=2, ticks=3, lots=7))
    diff = DepthDiff(SYMBOL, 5, 5, 4, START_NS, ((BEST_BID, 9),), ())
    assert rig.faults.diffs(diff) == [diff]
    (crossed,) = rig.faults.diffs(diff)
    assert crossed.bids == ((BEST_BID, 9), (BEST_ASK + 3, 7))
    assert (crossed.first_id, crossed.last_id, crossed.previous_id) == (5, 5, 4)


def test_a_missing_deletion_waits_for_a_diff_that_deletes():
    rig = Rig(Fault("missing_deletion", k=1))
    keeps = DepthDiff(SYMBOL, 5, 5, 4, START_NS, ((BEST_BID, 9),), ())
    deletes = DepthDiff(SYMBOL, 6, 8, 5, START_NS, ((BEST_BID, 0), (BEST_BID - 1, 3)), ((BEST_ASK, 0),))
    assert rig.faults.diffs(keeps) == [keeps]
    (left,) = rig.faults.diffs(deletes)
    assert (left.bids, left.asks) == (((BEST_BID - 1, 3),), ((BEST_ASK, 0),))
    assert rig.faults.diffs(deletes) == [deletes]
    assert rig.log() == ["missing_deletion"]


def test_a_stale_snapshot_says_how_old_and_how_late():
    rig = Rig(Fault("stale_snapshot", k=20, ms=300))
    assert rig.faults.snapshot_back("ETHUSDT") == 20
    assert rig.faults.delay_s == 0.3
    assert rig.faults.snapshot_back(SYMBOL) == 0


# --- queries ---
def test_an_order_is_not_seen_before_it_is_old_enough():
    rig = Rig(Fault("delayed_visibility", s=10.0, ms=1000))
    order = rig.bid()
    seen = []
    for seconds in (0, 0.9, 0.2):
        rig.turn(seconds)
        seen.append(not rig.faults.hides(order, rig.now_ns))
    assert seen == [False, False, True]
    assert rig.log().count("delayed_visibility") == 2  # that the spell began, and the order that it hid


def test_amnesia_forgets_the_same_orders_until_it_is_over():
    rig = Rig(Fault("amnesia", s=5.0, share=0.5), seed=3)
    orders = [rig.bid(BEST_BID - n) for n in range(20)]
    hidden = [rig.faults.hides(order, rig.now_ns) for order in orders]
    assert 3 < sum(hidden) < 17
    assert hidden == [rig.faults.hides(order, rig.now_ns) for order in orders]
    rig.turn(6)
    assert not any(rig.faults.hides(order, rig.now_ns) for order in orders)


def test_a_key_ends_once_with_its_event_or_without():
    rig = Rig(Fault("key_expiry", at_s=1.0), Fault("key_expiry", at_s=2.0, event=False))
    fates = []
    for _ in range(6):
        fates.append(rig.faults.user_key("key", 0))
        rig.turn(0.6)
    assert fates == ["", "", "expire", "", "silent", ""]


# --- filters ---
def test_a_grid_grows_while_orders_rest_and_shrinks_again():
    rig = Rig(Fault("filter_change", at_s=1.0, s=5.0, price_step=10, qty_step=2))
    old = rig.bid(BEST_BID - 1)
    rig.turn(1)
    with pytest.raises(Refused) as price:
        rig.bid(BEST_BID - 1)
    with pytest.raises(Refused) as qty:
        rig.bid(BEST_BID, 3)
    assert (price.value.why, qty.value.why) == (Why.BAD_PRICE, Why.BAD_QTY)
    assert rig.bid(BEST_BID, 4).status is Status.NEW
    assert old in rig.core.open_orders("alice")
    rig.turn(6)
    assert rig.bid(BEST_BID - 1, 3).status is Status.NEW


def test_a_symbol_is_halted_for_a_while():
    rig = Rig(Fault("symbol_break", at_s=1.0, s=2.0))
    order = rig.bid()
    rig.turn(1)
    with pytest.raises(Refused) as refused:
        rig.bid()
    assert refused.value.why is Why.CLOSED
    assert rig.core.cancel("alice", SYMBOL, order_id=order.order_id).status is Status.CANCELED
    rig.turn(3)
    assert rig.bid().status is Status.NEW


# --- races ---
@given(share=st.floats(0.01, 1.0), qty=st.integers(2, 50), below=st.integers(0, 5))
@settings(max_examples=25)
def test_a_cancel_that_loses_the_race_finds_what_was_filled_before_it(share, qty, below):
    rig = Rig(Fault("cancel_fill_race", share=share))
    order = rig.bid(BEST_BID - below, qty)
    taken = max(1, round(qty * share))
    if taken == qty:
        with pytest.raises(Refused) as refused:
            rig.core.cancel("alice", SYMBOL, order_id=order.order_id)
        assert refused.value.why is Why.UNKNOWN_ORDER
        assert order.status is Status.FILLED
    else:
        rig.core.cancel("alice", SYMBOL, order_id=order.order_id)
        assert (order.status, order.filled_lots) == (Status.CANCELED, taken)
    assert rig.log() == ["cancel_fill_race"]


def test_a_cancel_of_everything_loses_the_race_once():
    rig = Rig(Fault("cancel_fill_race"))
    first, second = rig.bid(BEST_BID), rig.bid(BEST_BID - 1)
    assert rig.core.cancel_all("alice") == [second]
    assert (first.status, second.status) == (Status.FILLED, Status.CANCELED)


@pytest.mark.parametrize("side", [BID, ASK])
@pytest.mark.parametrize("away", [0, 3])
def test_the_market_comes_through_the_price_of_a_post_only_order(side, away):
    rig = Rig(Fault("post_only_race", lots=5))
    price = (BEST_BID if side == BID else BEST_ASK) - side * away
    with pytest.raises(Refused) as refused:
        rig.core.place("alice", NewOrder(SYMBOL, side, 4, price, post_only=True))
    assert refused.value.why is Why.WOULD_TAKE
    touch = rig.core.touch(SYMBOL)
    assert (touch.ask_ticks, touch.ask_lots) == (price, 5) if side == BID else (touch.bid_ticks, touch.bid_lots) == (price, 5)
    assert rig.core.place("alice", NewOrder(SYMBOL, side, 4, price - side, post_only=True)).status is Status.NEW


def test_an_order_that_may_take_has_no_such_race():
    rig = Rig(Fault("post_only_race"))
    assert rig.bid().status is Status.NEW
    assert not rig.log()


def test_an_amend_of_a_post_only_order_crosses_and_ends_it():
    rig = Rig(Fault("amend_race"))
    order = rig.bid(BEST_BID - 5, post_only=True)
    with pytest.raises(Refused) as refused:
        rig.core.amend("alice", SYMBOL, BEST_BID, 4, order_id=order.order_id)
    assert (refused.value.why, order.status) == (Why.WOULD_TAKE, Status.EXPIRED)
    assert order.filled_lots == 0


def test_a_venue_that_amends_by_replacing_has_the_race_at_its_new_order():
    rig = Rig(Fault("amend_race"), venue="hyperliquid")
    order = rig.bid(BEST_BID - 5, post_only=True)
    rig.faults.before("amend", SYMBOL, order)
    rig.core.cancel("alice", SYMBOL, order_id=order.order_id)
    with pytest.raises(Refused) as refused:
        rig.bid(BEST_BID, post_only=True)
    assert refused.value.why is Why.WOULD_TAKE
    assert rig.log() == ["amend_race"]


def test_the_raced_core_is_the_core_in_everything_else():
    rig = Rig()
    rig.bid()
    assert rig.core.book(SYMBOL) == rig.exchange.book(SYMBOL)
    assert rig.core.venue == "binanceusdm"
    with pytest.raises(UnknownName):
        rig.core.set_filters(SYMBOL, nothing=1)

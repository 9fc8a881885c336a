"""The life of an order: the table of pairs, and when a working order is moved."""

import itertools

import numpy as np
import pytest
from stories import Story, kinds, limits, quoter, sides
from tapes import A, B

from hftlab.kernels import core
from hftlab.kernels.orders import REFUSED, REPORTS, TRANSITIONS
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    ASK,
    BID,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    DEPTH,
    FILL,
    FREE,
    LIVE,
    LOST,
    MAKER,
    PAUSE,
    PENDING_AMEND,
    PENDING_CANCEL,
    PENDING_NEW,
    REJECTED,
    RESUME,
    UNKNOWN,
)

# Written down a second time and by hand: (status, report) -> status of an order that has rested and keeps 10 lots.
LEGAL = {
    (PENDING_NEW, ACCEPTED): LIVE,
    (PENDING_NEW, REJECTED): FREE,
    (PENDING_NEW, CANCELED): FREE,
    (PENDING_NEW, FILL): LIVE,
    (PENDING_NEW, UNKNOWN): LOST,
    (LIVE, CANCELED): FREE,
    (LIVE, FILL): LIVE,
    (LIVE, UNKNOWN): LOST,
    (PENDING_AMEND, AMENDED): LIVE,
    (PENDING_AMEND, REJECTED): LIVE,
    (PENDING_AMEND, CANCEL_REJECTED): LIVE,
    (PENDING_AMEND, CANCELED): FREE,
    (PENDING_AMEND, FILL): PENDING_AMEND,
    (PENDING_AMEND, UNKNOWN): LOST,
    (PENDING_CANCEL, ACCEPTED): PENDING_CANCEL,
    (PENDING_CANCEL, REJECTED): PENDING_CANCEL,  # of the amend that was sent before the cancel
    (PENDING_CANCEL, AMENDED): PENDING_CANCEL,
    (PENDING_CANCEL, CANCELED): FREE,
    (PENDING_CANCEL, CANCEL_REJECTED): LOST,
    (PENDING_CANCEL, FILL): PENDING_CANCEL,
    (PENDING_CANCEL, UNKNOWN): LOST,
    (LOST, ACCEPTED): LIVE,
    (LOST, AMENDED): LIVE,
    (LOST, REJECTED): LOST,  # of an amend: the order itself rested once
    (LOST, CANCELED): FREE,
    (LOST, CANCEL_REJECTED): LOST,
    (LOST, FILL): LIVE,
    (LOST, UNKNOWN): LOST,
}


def resting(amend="requeues", **options):
    """A desk with 20 lots resting on each side, five ticks from the mid of 2000."""
    instrument = type(A)(**{**A.to_dict(), "amend": amend})
    story = Story(quoter(order_qty="0.2", half_spread_ticks=5, **options), instruments=(instrument,))
    story.book()
    story.answer()
    return story


def put(story, status):
    """Set the bid to a status by hand and leave it alone in its market."""
    orders = story.state.markets["orders"][0]
    bid = int(np.flatnonzero((orders["side"] == BID) & (orders["status"] != FREE))[0])
    orders["status"][bid] = status
    if status == PENDING_NEW:
        orders["live_ns"][bid] = 0
    story.state.desk["state"] = 1  # PAUSED
    story.state.markets["validity"] = 1
    return bid, int(orders["order_id"][bid])


@pytest.mark.parametrize(("status", "kind"), list(itertools.product(range(PENDING_NEW, LOST + 1), REPORTS)))
def test_every_pair_of_status_and_report_is_in_the_table_or_refused_and_counted(status, kind):
    story = resting()
    bid, order_id = put(story, status)
    unexpected = int(story.desk["unexpected"])
    # Not the last row of its message: nothing is decided after it.
    row = story.w.row(kind, 0, BID, 1999, 10, MAKER, order_id)
    story.w.rows.clear()
    story.w.rows.append((*row[:4], 10, *row[5:]))
    story.state.step(core.run, story.w.array())
    found = int(story.state.markets["orders"][0]["status"][bid])
    assert found == LEGAL.get((status, kind), status)
    assert int(story.desk["unexpected"]) - unexpected == ((status, kind) not in LEGAL)
    assert (TRANSITIONS[status, kind] == REFUSED) == ((status, kind) not in LEGAL)


def test_an_empty_slot_takes_no_report():
    assert (TRANSITIONS[FREE] == REFUSED).all()


def test_a_submit_that_was_cancelled_and_then_rejected_is_gone():
    story = Story()
    story.book()
    story.command(PAUSE)
    order_id = int(story.orders(0, PENDING_CANCEL)["order_id"][0])
    story.report(REJECTED, order_id, 10)
    assert order_id not in story.orders()["order_id"]


def test_a_refused_amend_of_an_order_that_is_being_cancelled_does_not_make_it_gone():
    story = resting()
    assert kinds(story.book(2000, 2002)) == (0, 2, 0)
    order_id = int(story.orders()["order_id"][0])
    story.command(PAUSE)
    story.report(REJECTED, order_id, 20, 20)
    assert order_id in story.orders(0, PENDING_CANCEL)["order_id"]
    assert int(story.desk["unexpected"]) == 0


# --- moving ----------------------------------------------------------------------------------------------------------------------


def test_an_order_is_kept_within_the_hysteresis_and_moved_at_it():
    story = resting(hysteresis_ticks=3)
    assert kinds(story.book(2001, 2003)) == (0, 0, 0)
    assert sides(story.book(2002, 2004), AMEND) == [(BID, 1998, 20), (ASK, 2008, 20)]


def test_a_venue_without_amend_gets_a_cancel_and_a_new_order():
    story = resting("never")
    asked = story.book(2001, 2003)
    assert kinds(asked) == (2, 0, 2)
    assert asked["kind"].tolist()[:2] == [CANCEL, CANCEL]


def test_a_young_order_may_step_back_but_not_closer():
    story = resting(life_ms_min=1000)
    story.wait(900)
    # The market rises: the ask steps back, the bid would step closer and is too young.
    assert sides(story.book(2001, 2003), AMEND) == [(ASK, 2007, 20)]
    story.answer()
    story.wait(101)
    assert sides(story.book(2001, 2003), AMEND) == [(BID, 1997, 20)]


def test_more_size_alone_moves_nothing_and_less_is_asked_for():
    story = resting()
    story.state.markets["params"]["order_lots"] = 30
    assert kinds(story.book()) == (0, 0, 0)
    story.state.markets["params"]["order_lots"] = 5
    assert sides(story.book(), AMEND) == [(BID, 1995, 5), (ASK, 2005, 5)]


def test_an_amend_asks_for_the_total_and_a_partly_filled_order_is_not_refilled():
    story = resting()
    bid = next(o for o in story.orders() if o["side"] == BID)
    assert kinds(story.fill(bid, 5)) == (0, 0, 0)
    story.book(2001, 2003)
    row = next(o for o in story.orders() if o["side"] == BID)
    assert (int(row["leaves_lots"]), int(row["wish_lots"])) == (15, 20)
    # 5 are done, 20 are to rest: the new total is 25.
    assert int(story.written[(story.written["kind"] == AMEND) & (story.written["side"] == BID)]["qty_lots"][0]) == 25


def test_an_amend_on_its_way_counts_at_the_larger_of_both_sizes():
    story = Story(quoter(order_qty="0.06", levels=2), limits(position_qty_max="0.12"))
    story.book()
    story.answer()
    assert len(story.orders()) == 4
    story.state.markets["params"]["order_lots"] = 2
    story.book()
    assert set(story.orders()["status"].tolist()) == {PENDING_AMEND}
    story.state.markets["params"]["levels"] = 3
    story.state.markets["params"]["order_lots"] = 6
    # Until the venue has answered, each may still be 6 and no third level fits.
    assert kinds(story.book()) == (0, 0, 0)
    story.state.markets["params"]["order_lots"] = 2
    assert kinds(story.answer())[0] > 0


def test_a_fill_between_an_amend_and_a_cancel_does_not_hide_what_the_amend_may_still_add():
    # Long 10, 10 rest, amended to 20, then cancelled; 2 fill before the venue reads either. It may still hold 18.
    story = Story(quoter(order_qty="0.2", half_spread_ticks=5), limits(position_qty_max="0.3"))
    story.book()
    story.answer()
    story.fill(next(o for o in story.orders() if o["side"] == BID), 10)
    story.book(2002, 2004)
    bid = next(o for o in story.orders() if o["side"] == BID).copy()
    assert (int(bid["status"]), int(bid["leaves_lots"]), int(bid["wish_lots"])) == (PENDING_AMEND, 10, 20)
    story.command(PAUSE)
    story.fill(bid, 2)
    # 30 - 12 - 18 leaves no room for another bid; the ask may come back.
    assert [r[0] for r in sides(story.command(RESUME))] == [ASK]
    story.report(AMENDED, int(bid["order_id"]), 30, 18, side=BID, price=1998)
    story.report(CANCELED, int(bid["order_id"]))
    assert (BID, 1998, 18) in [(int(o["side"]), int(o["price_ticks"]), int(o["leaves_lots"])) for o in story.orders()]


def test_a_lost_order_keeps_its_place_counts_in_full_and_is_asked_for_again():
    story = Story(bounds=limits(position_qty_max="0.1"))
    story.book()
    order_id = int(story.orders(0, PENDING_NEW)["order_id"][0])
    story.answer()
    story.report(UNKNOWN, order_id)
    assert kinds(story.book(1995, 1997))[0] == 0  # nothing new beside it
    story.wait(500)
    assert CANCEL not in story.timer()["kind"]
    story.wait(600)
    assert story.timer()["order_id"].tolist() == [order_id]
    assert kinds(story.timer()) == (0, 0, 0)
    story.report(CANCEL_REJECTED, order_id)
    assert order_id in story.orders(0, LOST)["order_id"]
    story.wait(1100)
    assert story.timer()["order_id"].tolist() == [order_id]
    assert sides(story.report(CANCELED, order_id)) == [(BID, 1995, 10)]


def test_an_order_that_outlives_its_cancel_is_cancelled_again():
    story = resting()
    order_id = int(story.orders()["order_id"][0])
    story.command(PAUSE)
    story.report(CANCEL_REJECTED, order_id)
    story.report(FILL, order_id, 5, 15, side=BID, price=1999)
    story.answer()
    story.command(RESUME)
    assert order_id in story.orders(0, LIVE)["order_id"]
    story.wait(1100)
    assert order_id in story.timer()["order_id"]


def test_a_bid_that_would_meet_our_own_ask_waits_where_it_is_until_the_ask_has_moved():
    story = Story(quoter(order_qty="0.2"))
    story.book()
    story.answer()
    assert sides(story.book(2001, 2003), AMEND) == [(ASK, 2003, 20)]
    assert story.refused("self cross") == 1
    assert sides(story.answer(), AMEND) == [(BID, 2001, 20)]


@pytest.mark.parametrize("kind", [REJECTED, CANCEL_REJECTED])
def test_what_the_venue_refused_is_not_asked_again_before_the_market_speaks(kind):
    story = resting()
    story.book(2001, 2003)
    for order_id in story.orders()["order_id"].tolist():
        assert kinds(story.report(kind, order_id, 20, 20)) == (0, 0, 0)
    assert set(story.orders()["status"].tolist()) == {LIVE}
    assert kinds(story.timer()) == (0, 0, 0)
    assert kinds(story.tell(story.w.row(DEPTH, 0, BID, 1990, 1))) == (0, 2, 0)


def test_a_rejected_submit_waits_for_the_market_too():
    story = Story(instruments=(B,), quoters=quoter(order_qty="1"))
    story.book(9999, 10001)
    for order_id in story.orders()["order_id"].tolist():
        assert kinds(story.report(REJECTED, order_id, 1)) == (0, 0, 0)
    assert int(story.desk["rejects"]) == 2
    assert kinds(story.book(9999, 10001)) == (2, 0, 0)


def test_the_queue_place_after_an_amend_does_not_count_ourselves_as_shown():
    # The feed shows our orders. Ours of 20 moves to 2001, where others show 50: 50 are in front, not 30.
    story = Story(quoter(order_qty="0.2"), own_in_book=True)
    story.book()
    story.answer()
    story.book(2001, 2003)
    bid = next(o for o in story.orders() if o["side"] == BID)
    story.report(AMENDED, int(bid["order_id"]), 20, 20, side=BID, price=2001)
    bid = next(o for o in story.orders() if o["side"] == BID)
    assert float(bid["ahead_lots"]) == 50

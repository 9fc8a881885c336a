"""The modelled exchange in time: latencies, two markets, messages and the order of things."""

import numpy as np
from stories import Story, limits, quoter
from tapes import MS, A, B, Writer

from hftlab.assumptions import Latency
from hftlab.kernels import core
from hftlab.types import (
    ASK,
    BID,
    CLEAR,
    DEPTH,
    SUBMIT,
    TRADE,
)

# --- time ----------------------------------------------------------------------------------------------------------------------------


def live_pair(**latency):
    return Story(quoter(order_qty="1"), limits(position_qty_max="100"), (A, B), simulate=True, latency=Latency(**latency))


def test_a_request_meets_the_book_of_its_arrival_not_of_its_sending():
    # Sent at 0 for the ask at 2001; the bid is at 2001 when it comes after 5 ms: a post-only ask is refused.
    story = live_pair(order_ms=5, report_ms=1)
    story.book()
    story.wait(4)
    story.state.markets["limits"]["orders_max"] = 0  # the desk does nothing more
    story.book(2001, 2003)
    story.wait(2)
    story.timer()
    resting = story.state.exchanges["resting"][0][: int(story.state.exchanges["resting_count"][0])]
    assert resting["side"].tolist() == [BID]
    assert story.desk["rejects"] == 1


def test_two_requests_of_one_moment_arrive_in_the_order_of_their_sending():
    story = live_pair(order_ms=5, report_ms=0)
    story.book()
    story.wait(1)
    story.book(1994, 1996)
    requests = story.state.exchanges["requests"][0][:4]
    assert np.diff(requests["ts_exch_ns"][: int(story.state.exchanges["request_count"][0])]).min() >= 0
    story.wait(20)
    story.timer()
    story.timer()
    assert story.desk["unexpected"] == 0


def test_the_markets_answer_in_the_order_of_time_whichever_is_looked_at_first():
    story = live_pair(order_ms=5, report_ms=2)
    story.book(9999, 10001, i=1)
    story.wait(1)
    story.book(1999, 2001, i=0)
    story.wait(6.5)  # market 1 has answered (7 ms after 0), market 0 not (8 ms after 0)
    story.timer()
    assert set(story.orders(0)["status"].tolist()) == {1}
    assert set(story.orders(1)["status"].tolist()) == {2}


def test_a_print_of_one_market_fills_nothing_in_the_other():
    story = live_pair()
    story.book(1999, 2001, i=0)
    story.book(1999, 2001, i=1)
    story.wait(1)
    story.timer()
    story.tell(story.w.row(TRADE, 1, ASK, 1900, 500))
    story.timer()
    assert int(story.market(0)["position_lots"]) == 0
    assert int(story.market(1)["position_lots"]) > 0


def test_a_report_that_comes_due_within_a_message_waits_for_its_end():
    # Without latency a fill by the first row is due at once; the desk must not decide on a book that is half a snapshot.
    story = live_pair()
    story.book()
    story.wait(1)
    story.timer()
    w, before = story.w, story.refused("book not valid")
    asked = story.tell(
        w.row(TRADE, 0, ASK, 1990, 4),
        w.row(CLEAR),
        w.row(DEPTH, 0, BID, 1999, 50, 2),
        w.row(DEPTH, 0, ASK, 2001, 50, 2),
    )
    assert len(asked) == 0
    assert story.refused("book not valid") == before
    story.timer()
    assert int(story.market(0)["position_lots"]) == 4


def test_a_quote_that_the_exchange_refuses_is_asked_once_a_message_even_without_latency_or_limit():
    # The exchange is 2 ms ahead of us: its ask is at 1998 while we still see 2001 and want to bid 1999.
    story = live_pair()
    w = Writer(copies=True, feed_ns=2 * MS)
    w.snapshot(0, 2000, depth=3)
    w.now += MS
    w.snapshot(0, 1990, depth=3)
    written = story.state.step(core.run, w.array())
    bids = written[(written["kind"] == SUBMIT) & (written["side"] == BID)]
    assert bids["price_ticks"].tolist() == [1999, 1989]
    assert story.desk["rejects"] == 1

"""One tape by hand, through every queue model: five lots stand before us, then prints and cancels one by one.

    level 1999 shows 5            we join with 4: 5 ahead
    level 8                       3 join behind us
    print 2                       3 ahead
    level 6                       what the print took; nothing new
    level 4                       2 cancelled: the model says how many of the 3 ahead and the 3 behind they were
    print 3, print 2 at 1999      and 1 through, at 1998

Ahead after the cancel: risk averse 3; power n=2: P(behind) = 9/18, 2; power2: 9/36, 1.5; power3: 1 - 1/4, 2.5; log: 1/2, 2;
log2: ln 4 / ln 7 = .7124, 2.4248; fifo: the cancelled order stood before us, 1.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_match import Exchange, filled

from hftlab.assumptions import Queue
from hftlab.kernels import queue
from hftlab.types import ASK, BID, DEPTH, L3_ORDER, QUEUE_LOG, QUEUE_LOG2, QUEUE_POWER, QUEUE_POWER2, QUEUE_POWER3, TRADE

# Lots filled by the prints of 2, 3, 2 at our price and of 1 through it.
BY_HAND = {
    "risk_averse": (0, 0, 2, 1),
    "power": (0, 1, 2, 1),
    "power2": (0, 2, 2, 0),
    "power3": (0, 1, 2, 1),
    "log": (0, 1, 2, 1),
    "log2": (0, 1, 2, 1),
    "fifo": (0, 2, 2, 0),
    "touch": (2, 2, 0, 0),
    "through": (0, 0, 0, 1),
}


def orders(x, *changes):
    """Tell of the venue's own orders: (id, lots before, lots after, number of the event that placed it)."""
    rows = x._rows(*((L3_ORDER, BID, 1999, before, 0, order_id) for order_id, before, _, _ in changes))
    for row, (_, _, after, stamp) in zip(rows, changes, strict=True):
        row["leaves_lots"], row["seq"] = after, stamp
    x.play(rows)


def played(model, **options):
    x = Exchange(queue=Queue(model=model, **options))
    fills = []

    def take(said):
        fills.append(sum(w[3] for w in said if w[0] == "FILL"))

    x.level(BID, 1999, 5)
    orders(x, (71, 0, 3, 1), (72, 0, 2, 2))  # two orders stand there: 3 lots, then 2
    x.submit(1, BID, 1999, 4)
    x.level(BID, 1999, 8)
    orders(x, (73, 0, 3, 3))
    take(x.trade(ASK, 1999, 2))
    orders(x, (71, 3, 1, 1))  # the print took two of the first
    x.level(BID, 1999, 6)
    orders(x, (72, 2, 0, 2))  # the second is cancelled
    x.level(BID, 1999, 4)
    take(x.trade(ASK, 1999, 3))
    take(x.trade(ASK, 1999, 2))
    take(x.trade(ASK, 1998, 1))
    return tuple(fills)


@pytest.mark.parametrize("model", BY_HAND)
def test_the_tape_by_hand_gives_its_known_fills(model):
    assert played(model) == BY_HAND[model]


@pytest.mark.parametrize("model", BY_HAND)
def test_without_partial_fills_the_first_lot_that_reaches_us_fills_everything(model):
    first = next(n for n, lots in enumerate(BY_HAND[model]) if lots)
    assert played(model, partial_fills=False) == tuple(4 if n == first else 0 for n in range(4))


@given(
    model=st.sampled_from([QUEUE_POWER, QUEUE_POWER2, QUEUE_POWER3, QUEUE_LOG, QUEUE_LOG2]),
    ahead=st.floats(0.01, 1e6),
    behind=st.floats(0, 1e6),
    more=st.floats(0.01, 1e6),
    power=st.floats(1.0, 5),
)
def test_a_probability_that_grows_with_what_stands_behind(model, ahead, behind, more, power):
    p = queue.p_behind(behind, ahead, model, power)
    assert 0 <= p <= 1 + 1e-12
    assert queue.p_behind(behind + more, ahead, model, power) >= p - 1e-12


def test_in_fifo_an_order_that_came_after_us_is_nothing_to_us_and_a_print_is_not_counted_twice():
    x = Exchange(queue="fifo")
    x.level(BID, 1999, 5)
    orders(x, (71, 0, 5, 1))
    x.submit(1, BID, 1999, 4)
    orders(x, (72, 0, 9, 2))
    orders(x, (72, 9, 0, 2))
    assert x.trade(ASK, 1999, 3) == []
    orders(x, (71, 5, 2, 1))  # what the print took
    assert filled(x.trade(ASK, 1999, 3)) == {1: 1}  # 2 were left before us


def test_a_print_and_the_book_may_come_in_one_message():
    x = Exchange(queue="power")
    x.level(BID, 1999, 5)
    x.submit(1, BID, 1999, 4)
    assert filled(x.message((TRADE, ASK, 1999, 7), (DEPTH, BID, 1999, 0))) == {1: 2}

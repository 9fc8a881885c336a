"""The comparison with another backtester: small runs whose differences are known by hand, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.compare import (
    AGREE,
    FILL,
    NONE,
    ONLY_OURS,
    ONLY_THEIRS,
    ORDER,
    OTHER_PRICE,
    OTHER_QTY,
    OTHER_TIME,
    Pair,
    Run,
    compare,
    pairs,
    read_theirs,
    table,
)

SECOND = 1_000_000_000


def run(orders=(), fills=(), cancels=0, position=0, pnl=0.0):
    """A run of orders (sent, price, side) and fills (matched, price, qty, order, side)."""
    return Run(np.array(list(orders), ORDER), np.array(list(fills), FILL), cancels, position, pnl)


def kinds(found):
    return [pair.kind for pair in found]


def test_equal_runs_agree_in_everything():
    one = run([(100, 50, 1), (100, 53, -1)], [(120, 50, 10, 0, 1)])
    both = compare(one, one)
    assert both.share("orders") == both.share("fills") == 1.0
    assert both.caused == []


def test_each_kind_of_difference_has_its_name():
    theirs = run(fills=[(10, 50, 1, 0, 1), (20, 51, 1, 1, 1), (30, 52, 1, 2, 1), (40, 53, 1, 3, 1), (50, 54, 1, 4, 1)])
    ours = run(fills=[(10, 50, 1, 0, 1), (21, 51, 1, 1, 1), (30, 57, 1, 2, 1), (40, 53, 2, 3, 1), (60, 54, 1, 4, -1)])
    found = compare(theirs, ours).fills
    assert kinds(found) == [AGREE, OTHER_TIME, OTHER_PRICE, OTHER_QTY, ONLY_THEIRS, ONLY_OURS]
    assert found[-2:] == [Pair(ONLY_THEIRS, 4, NONE), Pair(ONLY_OURS, NONE, 4)]
    # 1 of the 6 things that happened in either run happened in both alike
    assert compare(theirs, ours).share("fills") == pytest.approx(1 / 6)


def test_the_same_fill_a_long_time_later_is_another_fill():
    theirs, ours = run(fills=[(0, 50, 1, 0, 1)]), run(fills=[(SECOND + 1, 50, 1, 0, 1)])
    assert kinds(compare(theirs, ours).fills) == [ONLY_THEIRS, ONLY_OURS]
    assert kinds(compare(theirs, ours, window_ns=SECOND + 1).fills) == [OTHER_TIME]


def test_two_like_fills_are_two():
    twice, once = run(fills=[(10, 50, 1, 0, 1)] * 2), run(fills=[(10, 50, 1, 0, 1)])
    assert kinds(compare(twice, once).fills) == [AGREE, ONLY_THEIRS]


def test_the_nearest_in_time_are_paired():
    # 100 and 130 against 125: 130 is nearer, though 100 comes first
    found = compare(run(fills=[(100, 50, 1, 0, 1), (130, 50, 1, 1, 1)]), run(fills=[(125, 50, 1, 0, 1)])).fills
    assert found == [Pair(ONLY_THEIRS, 0, NONE), Pair(OTHER_TIME, 1, 0)]


def test_a_difference_on_an_order_that_both_sent_is_a_cause_and_one_on_a_later_order_a_consequence():
    # Both sent a bid at 50; only they are filled. Then they bid 49 and we still 50: what fills there follows from that.
    theirs = run([(0, 50, 1), (100, 49, 1)], [(10, 50, 1, 0, 1), (120, 49, 1, 1, 1)])
    ours = run([(0, 50, 1), (100, 50, 1)], [(120, 50, 1, 1, 1)])
    both = compare(theirs, ours)
    assert kinds(both.orders) == [AGREE, OTHER_PRICE]
    assert kinds(both.fills) == [OTHER_TIME, ONLY_THEIRS]  # our bid at 50 filled 110 ns after theirs
    assert both.caused == []  # ours was another order, sent later
    assert compare(theirs, run([(0, 50, 1)])).caused == [Pair(ONLY_THEIRS, 0, NONE)]


def test_nothing_against_nothing_has_no_share():
    assert np.isnan(compare(run(), run()).share("fills"))


def test_the_table_tells_totals_kinds_and_the_first_differences():
    theirs = run([(0, 50, 1)], [(10, 50, 1, 0, 1), (20, 50, 1, 0, 1)], cancels=3, position=2, pnl=-1.5)
    text = table(compare(theirs, run([(0, 50, 1)], [(10, 50, 1, 0, 1)], position=1)), shown=1)
    for words in ("only theirs", "50.00%", "-1.500000", "1 fills differ, 1 of them on orders that both runs sent", "buy  1 @ 50"):
        assert words in text


def test_a_dump_of_theirs_is_read_with_its_fills_in_time_order(tmp_path):
    sent = np.array([(0, 100, 50, 1), (1, 100, 53, -1)], [("order_id", "i8"), ("sent_ns", "i8"), ("price_ticks", "i8"), ("side", "i1")])
    done = np.array(
        [(1, 140, 53, 0.01, 3, -1), (0, 120, 50, 0.01, 3, 1), (2, 110, 51, 0.0, 4, 1)],
        [("order_id", "i8"), ("exch_ns", "i8"), ("price_ticks", "i8"), ("qty", "f8"), ("status", "i1"), ("side", "i1")],
    )
    np.savez(tmp_path / "dump.npz", sent=sent, done=done)
    read = read_theirs(tmp_path / "dump.npz", {"cancels": 1, "position": -0.019999999999999997, "pnl": 2.5}, lot_size=0.001)
    assert read.fills.tolist() == [(120, 50, 10, 0, 1), (140, 53, 10, 1, -1)]  # the cancelled order is no fill
    assert read.orders.tolist() == [(100, 50, 1), (100, 53, -1)]
    assert (read.position_lots, read.cancels, read.pnl_quote) == (-20, 1, 2.5)


FILLS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 2), st.just(0), st.sampled_from((-1, 1))), max_size=12)


@given(theirs=FILLS, ours=FILLS)
def test_every_row_is_in_exactly_one_pair_and_what_agrees_is_what_both_have(theirs, ours):
    a, b = run(fills=theirs).fills, run(fills=ours).fills
    found = pairs(a, b, "exch_ns", 2)
    assert sorted(pair.theirs for pair in found if pair.theirs != NONE) == list(range(len(a)))
    assert sorted(pair.ours for pair in found if pair.ours != NONE) == list(range(len(b)))
    common = sum(min(theirs.count(row), ours.count(row)) for row in set(theirs))
    assert kinds(found).count(AGREE) == common

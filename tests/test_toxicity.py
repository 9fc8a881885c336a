"""Prints and the regimes of flow: by hand, and with the one that costs planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import LINEAR, MS, START_NS, Written, row

from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.facts.prints import Prints
from hftlab.analytics.markouts.toxicity import toxicity
from hftlab.types import AT_DESK, AT_EXCHANGE, EVENT, TRADE


def trade(ts_ns, price, lots, side, flags=0, instrument=0):
    return row(TRADE, ts_ns, ts_ns + MS, price, lots, side=side, flags=flags, instrument=instrument)


def prints(*trades):
    return Prints.read([np.array(list(trades), EVENT)], 1)[0]


def test_prints_are_read_once_from_two_copies_and_by_instrument():
    rows = np.array(
        [
            trade(30, 101, 2, 1, AT_EXCHANGE),
            trade(30, 101, 2, 1, AT_DESK),
            trade(20, 100, 5, -1),
            trade(25, 7, 1, 1, instrument=1),
            row(4, 26, 27, 0),
        ],
        EVENT,
    )
    one, other = Prints.read([rows[:2], rows[2:]], 2)
    assert list(one.ts_ns) == [20, 30]
    assert list(one.qty_lots) == [5, 2]
    assert list(other.price_ticks) == [7]
    assert [len(p.ts_ns) for p in Prints.read([], 2)] == [0, 0]


def test_the_balance_before_a_time_by_hand():
    p = prints(trade(10, 100, 3, 1), trade(20, 100, 1, -1), trade(30, 100, 6, -1))
    # Before 30, in the last 25 ns: 3 bought, 1 sold. The print at 30 itself is not in it.
    assert list(p.balance(np.array([30, 31, 36]), 25)) == pytest.approx([0.5, (3 - 7) / 10, -1.0])
    assert np.isnan(p.balance(np.array([10, 500]), 25)).all()


def test_a_sweep_is_one_side_at_one_time_at_several_prices():
    p = prints(trade(10, 100, 1, -1), trade(10, 99, 1, -1), trade(10, 99, 4, -1), trade(10, 103, 1, 1), trade(20, 99, 1, -1))
    assert list(p.levels(np.array([10, 10, 20, 15]), np.array([-1, 1, -1, -1]))) == [2, 1, 1, 0]
    assert list(prints().levels(np.array([10]), np.array([1]))) == [0]


def test_vpin_by_hand_splits_prints_at_the_edges_of_buckets():
    # Buckets of 4 lots: [3 bought, 1 sold], [4 sold], [1 sold, 3 bought] -> |2| , |4|, |2| of 4.
    p = prints(trade(10, 100, 3, 1), trade(20, 100, 6, -1), trade(30, 100, 3, 1))
    when, vpin = p.vpin(4, window=1)
    assert list(when) == [20, 20, 30]
    assert list(vpin) == pytest.approx([0.5, 1.0, 0.5])
    when, vpin = p.vpin(4, window=2)
    assert list(vpin) == pytest.approx([0.75, 0.75])
    assert len(p.vpin(4, window=4)[0]) == 0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([-1, 0, 1])), min_size=1, max_size=60), st.integers(1, 40))
def test_vpin_is_that_of_a_bucket_filled_lot_by_lot(trades, bucket):
    p = prints(*(trade(10 * n, 100, lots, side) for n, (lots, side) in enumerate(trades)))
    lot_by_lot = [side for lots, side in trades for _ in range(lots)]
    whole = [abs(sum(lot_by_lot[k : k + bucket])) for k in range(0, len(lot_by_lot) - bucket + 1, bucket)]
    when, vpin = p.vpin(bucket, window=1)
    assert list(vpin) == pytest.approx([uneven / bucket for uneven in whole])
    filled_by = np.repeat(np.arange(len(trades)), [lots for lots, _ in trades])
    assert list(when) == [10 * int(filled_by[(k + 1) * bucket - 1]) for k in range(len(whole))]


def story(seconds=1200):
    """A fill a second, bought from sellers: those by a sweep fall by 4 ticks, the others stay where they are."""
    w, rows = Written(), []
    w.touch(START_NS, 100, 102)
    for n in range(1, seconds):
        ts, sweep = START_NS + n * 1000 * MS, n % 4 == 0
        w.fill(ts, ts + MS, 1, 100, 1, order_id=n)
        rows += [trade(ts, 100, 5, -1), *([trade(ts, 99, 5, -1)] if sweep else [])]
        if sweep:
            w.touch(ts + 100 * MS, 96, 98)
            w.touch(ts + 700 * MS, 100, 102)
    collector = Collector((LINEAR,))
    collector.add(w.array())
    return collector.finish(), np.array(rows, EVENT)


def test_the_planted_sweep_is_what_costs():
    facts, rows = story()
    found = toxicity(facts, [rows], 0.5)
    table = found.table.set_index(["regime", "bucket"])
    assert table["markout_ticks"]["sweep", "one price"] == 1
    assert table["markout_ticks"]["sweep", "2 prices"] == -3
    assert table["lots_share"]["sweep", "2 prices"] == pytest.approx(0.25, abs=0.01)
    worst = found.worst()
    assert (worst["regime"], worst["bucket"]) == ("sweep", "2 prices")
    assert worst["markout_quote"] == pytest.approx(-3 * 299 * 0.5 * 0.01)
    assert "sweep, 2 prices" in repr(found)
    assert "svg" in found._repr_html_()
    # Within one regime the money of all fills that it sorts is there, once; the last one has no markout.
    whole = table.loc["sweep"]["markout_quote"].sum()
    assert whole == pytest.approx((-3 * 299 + 899) * 0.5 * 0.01)


def test_without_prints_it_says_what_is_missing():
    facts, _ = story(60)
    found = toxicity(facts, None, 0.5)
    assert set(found.table["regime"]) == {"move before"}
    assert "need the public prints" in found._repr_html_()
    collector = Collector((LINEAR,))
    nothing = toxicity(collector.finish(), None, 0.5)
    assert nothing.table.empty
    assert "no fills" in repr(nothing)
    assert nothing._repr_html_()

"""Transaction costs: the four parts of a shortfall and the spreads add up to the last unit, and are what a hand computes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import INVERSE, LINEAR, MS, START_NS, STORIES, Written, build, row

import hftlab as hl
from hftlab.analytics.costs import shortfall as sf
from hftlab.analytics.costs import tca
from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.facts.pnl import HALF, WHOLE, identity
from hftlab.analytics.facts.prices import best_at, mids2_at
from hftlab.errors import InputError
from hftlab.types import ACCEPTED, CANCELED, EVENT, NO_PRICE, POST_ONLY, SET_TARGET, SUBMIT, TOUCH

BOTH = (LINEAR, INVERSE)


def collect(rows, instruments=(LINEAR,), cuts=()):
    collector = Collector(instruments)
    for part in np.split(rows, sorted(cuts)):
        collector.add(part)
    return collector.finish()


def target(ts_ns, lots, instrument=0):
    return row(SET_TARGET, ts_ns, ts_ns, lots=lots or 0, side=0 if lots is None else 1, instrument=instrument)


# --- prices ------------------------------------------------------------------------------------------------------------------
@given(steps=STORIES, cuts=st.lists(st.integers(0, 150), max_size=20))
def test_the_kept_prices_are_those_of_the_touches_in_any_pieces(steps, cuts):
    rows = build(steps).array()
    whole, pieces = collect(rows, BOTH), collect(rows, BOTH, [c for c in cuts if c <= len(rows)])
    for i in (0, 1):
        assert whole.prices[i].tobytes() == pieces.prices[i].tobytes()
        told = rows[(rows["kind"] == TOUCH) & (rows["instrument"] == i)]
        moments, last = np.unique(told["ts_exch_ns"][::-1], return_index=True)
        bid, ask = best_at(whole.prices[i], moments)
        assert (bid == told["price_ticks"][::-1][last]).all()
        assert (ask == told["leaves_lots"][::-1][last]).all()


# --- shortfall ---------------------------------------------------------------------------------------------------------------
def a_worked_target():
    """At mid 101 (bid 100, ask 102) a strategy wants 10 long. Its order is accepted at mid 102; 4 fill at 103, 2 at 104; the end is at mid 105."""
    w = Written()
    w.touch(START_NS, 100, 102)
    w.add(START_NS + 10 * MS, target(START_NS + 10 * MS, 10))
    w.add(START_NS + 11 * MS, row(SUBMIT, START_NS + 11 * MS, START_NS + 11 * MS, 104, 10, order_id=1, side=1))
    w.touch(START_NS + 15 * MS, 101, 103)
    w.add(START_NS + 20 * MS, row(ACCEPTED, START_NS + 20 * MS, START_NS + 21 * MS, 104, 10, 10, 1, side=1))
    w.fill(START_NS + 30 * MS, START_NS + 31 * MS, 1, 103, 4, fee_u=2_500_000, leaves=6, maker=False)
    w.fill(START_NS + 40 * MS, START_NS + 41 * MS, 1, 104, 2, fee_u=500_001, leaves=4, maker=False)
    w.add(START_NS + 50 * MS, row(CANCELED, START_NS + 50 * MS, START_NS + 51 * MS, 104, 10, 4, 1, side=1))
    w.touch(START_NS + 60 * MS, 104, 106)
    w.sample(START_NS + 100 * MS, 105.0)
    return w


def test_a_target_by_hand():
    facts = collect(a_worked_target().array())
    (one,) = sf.of_targets(facts, (LINEAR,))
    assert (one.wanted_lots, one.filled_lots) == (10, 6)
    assert (one.decided_mid2, one.arrived_mid2, one.end_mid2) == (202, 204, 210)
    assert one.commission == 200 * 3_000_001
    # 4 at one above the mid at arrival, 2 at two above.
    assert one.execution == WHOLE * (4 * 1 + 2 * 2)
    # Six lots were bought after the mid had gone from 101 to 102; four were never bought while it went to 105.
    assert one.delay == WHOLE * 6
    assert one.missed == WHOLE * 4 * 4
    # On paper 10 lots made 4 ticks each; the account has 6 lots bought for 412 + 208, worth 630, less fees.
    assert one.shortfall == WHOLE * (40 - (630 - 412 - 208)) + one.commission
    table = sf.frame([one], (LINEAR,)).iloc[0]
    assert table["shortfall_quote"] == pytest.approx((30 + 3.000001) * 0.005)
    assert table["shortfall_bps"] == pytest.approx((30 + 3.000001) / 1010 * 1e4)
    assert (table["arrived_ms"], table["wanted"], table["filled"]) == (10.0, pytest.approx(0.10), pytest.approx(0.06))
    assert sf.totals([one], (LINEAR,))["shortfall_quote"] == pytest.approx(table["shortfall_quote"])


def test_an_order_by_hand_and_one_that_was_never_filled():
    w = a_worked_target()
    w.add(START_NS + 61 * MS, row(SUBMIT, START_NS + 61 * MS, START_NS + 61 * MS, 106, 5, order_id=2, side=-1, flags=POST_ONLY))
    w.add(START_NS + 62 * MS, row(ACCEPTED, START_NS + 62 * MS, START_NS + 63 * MS, 106, 5, 5, 2, side=-1))
    w.touch(START_NS + 65 * MS, 100, 102)
    w.add(START_NS + 70 * MS, row(CANCELED, START_NS + 70 * MS, START_NS + 71 * MS, 106, 5, 5, 2, side=-1))
    buy, sell = sf.of_orders(collect(w.array()), (LINEAR,))
    assert (buy.execution, buy.delay, buy.missed) == (WHOLE * 8, WHOLE * 6, WHOLE * 4 * 1)  # until the cancel, at mid 102
    # A sale of 5 at a mid of 105 would have saved 4 ticks a lot: that is what not being filled cost.
    assert (sell.commission, sell.execution, sell.delay, sell.missed) == (0, 0, 0, WHOLE * 20)
    assert sell.filled_lots == 0


@given(steps=STORIES, wishes=st.lists(st.tuples(st.integers(0, 59), st.integers(-60, 60), st.integers(0, 1)), min_size=1, max_size=8))
def test_the_shortfalls_of_all_targets_are_paper_less_account(steps, wishes):
    """Over any tape: what a desk of targets, filled at the mid of their moments, makes on paper less what the account made."""
    w = build([step for step in steps if step[0] != "pay"])
    span = max(entry[0] for entry in w.rows) - START_NS if w.rows else 0
    for place, lots, i in wishes:
        ts_ns = START_NS + span * place // 60
        w.add(ts_ns, target(ts_ns, lots, i))
    for i in (0, 1):  # the first wish is there before anything happens
        w.add(START_NS - MS, target(START_NS - MS, 0, i))
    rows = w.array()
    facts = collect(rows, BOTH)
    parents = sf.of_targets(facts, BOTH) if all((p["mid2"] != NO_PRICE).any() for p in facts.prices) else []
    if not parents:
        return
    for i, closed in enumerate(identity(facts, BOTH, w.ledgers())):
        mine = [one for one in parents if one.instrument == i]
        held, paper = 0, 0
        for one in mine:
            held_on_paper = one.wanted_lots + held
            v0, v1 = (int(sf.value2(BOTH[i], mid2)) for mid2 in (one.decided_mid2, one.end_mid2))
            paper += HALF * held_on_paper * (v1 - v0)
            held += one.filled_lots
        assert sum(one.shortfall for one in mine) == paper - closed.total.account
        assert held == w.ledgers()[i].position_lots


def test_what_was_wished_for_stands_in_the_report_of_a_run():
    tape = hl.sample().slice(0, 150)
    strategy = hl.ZScoreReversion(qty="0.02", lookback=4, entry_z=0.5, exit_z=0.1)
    limits = hl.Limits(position_qty_max="0.05", loss_quote_max=200)
    quoter, fees = hl.WorkTarget(order_qty="0.02", taking=True), hl.Fees(taker_bps=5)
    report = hl.backtest(tape, None, quoter, limits, strategy=strategy, fees=fees, latency=hl.Latency(order_ms=5))
    table = report.shortfall("targets")
    assert len(table) >= 3
    assert (table["filled"] == table["wanted"]).iloc[:-1].all()
    assert table["commission_quote"].sum() == pytest.approx(report.summary()["fees_quote"])
    # The account: what the targets make on paper, less their shortfall.
    held = table["wanted"] + table["filled"].cumsum().shift(fill_value=0)
    paper = float((held * (table["end_mid"] - table["decided_mid"])).sum())
    assert paper - table["shortfall_quote"].sum() == pytest.approx(report.pnl_quote)
    assert (table["arrived_ms"] == 5.0).all()
    orders = report.shortfall()
    assert orders["commission_quote"].sum() == pytest.approx(report.summary()["fees_quote"])
    with pytest.raises(InputError, match="wanted 'targets'"):
        report.shortfall("parents")


# --- spreads -----------------------------------------------------------------------------------------------------------------
@given(steps=STORIES)
def test_effective_is_realised_plus_impact_and_as_maker_realised_is_the_markout(steps):
    facts = collect(build(steps).array(), BOTH)
    effective, realised, impact = tca.spreads(facts.fills)
    assert (effective[:, None] == realised + impact).all()
    side = facts.fills["side"].astype(np.int64)[:, None]
    markout2 = side * (facts.fills["later_mid2"] - 2 * facts.fills["price_ticks"][:, None])
    maker = facts.fills["maker"][:, None] != 0
    assert (realised == np.where(maker, markout2, -markout2)).all()


def test_spreads_slippage_and_fees_by_hand():
    facts = collect(a_worked_target().array())
    costs = tca.cost_table(facts, (LINEAR,)).iloc[0]
    # Decided at mid 101 (ask 102); bought 4 at 103 and 2 at 104 while the mid was 102.
    assert costs["slippage_ticks"] == pytest.approx((4 * 2 + 2 * 3) / 6)
    assert costs["beyond_touch_ticks"] == pytest.approx((4 * 1 + 2 * 2) / 6)
    assert costs["effective_ticks"] == pytest.approx((4 * 2 + 2 * 4) / 6)
    assert costs["fee_bps"] == pytest.approx(3.000001 / (412 + 208) * 1e4)
    assert (costs["liquidity"], costs["fills"], costs["qty_base"]) == ("taker", 2, pytest.approx(0.06))
    assert math.isnan(costs["slippage_low"])  # two fills tell nothing of the mean
    # No horizon of these fills lies within the data but for the shortest: the mid stood at 105 a tenth of a second later.
    w = a_worked_target()
    w.sample(START_NS + 500 * MS, 105.0)
    table = tca.spread_table(collect(w.array()), (LINEAR,)).set_index("horizon_s")
    assert list(table["fills"]) == [2, 0, 0, 0, 0]
    assert list(table["excluded"]) == [0, 2, 2, 2, 2]
    short = table.loc[0.1]
    assert short["impact_ticks"] == 6.0  # twice the three ticks that the mid rose after each of them
    assert short["realised_ticks"] == pytest.approx((4 * -4 + 2 * -2) / 6)
    assert short["effective_ticks"] == pytest.approx(short["realised_ticks"] + short["impact_ticks"])
    assert short["kept_quote"] == pytest.approx((4 * -2 + 2 * -1) * 0.005)


def test_buckets_split_the_fills_without_loss():
    facts = collect(
        build([("touch", 900, 1, 5, 0, 0, 0), *[("fill", 7_000, n % 3 - 1, 1 + n % 7, 0, n % 2, 5) for n in range(40)]]).array(), BOTH
    )
    for by in tca.BY:
        table = tca.cost_table(facts, BOTH, by)
        assert table["fills"].sum() == 40
        assert not table.duplicated(["liquidity", "bucket"]).any()
    assert list(tca.cost_table(facts, BOTH, "side")["bucket"]) == ["buy", "sell"]
    assert len(tca.cost_table(facts, BOTH, "size")) > 2
    with pytest.raises(InputError, match="Did you mean 'hour'"):
        tca.cost_table(facts, BOTH, "hours")


def test_prices_that_nobody_told_are_no_prices():
    nothing = collect(np.zeros(0, EVENT)).prices[0]
    assert (mids2_at(nothing, np.array([1, 2])) == NO_PRICE).all()
    assert all((best == NO_PRICE).all() for best in best_at(nothing, np.array([1, 2])))

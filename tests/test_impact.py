"""Market impact: worlds whose lambda is known, the published formulas, and what cannot be measured."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import MS, A, Writer

from hftlab.analytics.signals.impact import impact, kyle_equilibrium, kyle_lambda, square_root_bps
from hftlab.backtesting.run import backtest
from hftlab.data.samples import sample
from hftlab.data.tape import Tape
from hftlab.errors import InputError
from hftlab.params import FixedSpread, Limits
from hftlab.types import ASK, BID, TRADE

IDLE = FixedSpread(order_qty="0.01", half_spread_ticks=1e6, half_spread_ticks_min=1e6)  # wishes nothing that the gate lets out


def report_of(tape, **options):
    return backtest(tape, None, IDLE, Limits(position_qty_max="0.1"), **options)


@given(st.floats(-10, 10), st.integers(0, 2**32 - 1))
def test_a_line_without_noise_is_found_exactly(slope, seed):
    flow = np.random.default_rng(seed).normal(0, 3, 50)
    found, error, r2 = kyle_lambda(slope * flow, flow)
    assert found == pytest.approx(slope, abs=1e-12)
    assert error == pytest.approx(0, abs=1e-7)
    assert r2 == pytest.approx(1) or abs(slope) < 1e-9


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        flow = rng.normal(0, 1, 60)
        slope, error, _ = kyle_lambda(0.5 * flow + rng.normal(0, 2, 60), flow)
        hits += abs(slope - 0.5) < 2.001 * error  # t(59) at 95 %
    assert 0.92 < hits / 400 < 0.98


def test_kyles_equilibrium_and_the_square_root_law_by_hand():
    assert kyle_equilibrium(4.0, 0.5) == pytest.approx(2.0)  # sqrt(4) / (2 x .5)
    # a hundredth of the day's volume at 2 % a day: 200 x .1 = 20 bps; four times the size, twice the cost
    assert square_root_bps(1, 100, 200) == pytest.approx(20)
    assert square_root_bps(4, 100, 200) == pytest.approx(40)
    assert square_root_bps(1, 100, 200, y=0.5) == pytest.approx(10)
    assert all(math.isnan(x) for x in kyle_lambda(np.ones(5), np.zeros(5)))


def test_a_market_that_moves_a_tick_for_each_ten_lots_bought():
    w, mid = Writer(feed_ns=0), 2000
    w.snapshot(0, mid, depth=4)
    for n in np.random.default_rng(2).integers(-3, 4, 60).tolist():
        w.now += 500 * MS
        if n:
            w.message(w.row(TRADE, 0, BID if n > 0 else ASK, mid, 10 * abs(n)))
        mid += n
        w.now += 100 * MS
        w.snapshot(0, mid, depth=4)
        w.now += 400 * MS
    found = impact(report_of(Tape(w.array(), (A,))), interval_s=1)
    # a tick is 0.5, ten lots are 0.1: 5 a unit
    assert found.lambda_price == pytest.approx(5, rel=1e-6)
    assert found.r2 == pytest.approx(1)
    assert found.cost_bps(0.2, 1000) == pytest.approx(10)
    assert found.table["move"].is_monotonic_increasing


def test_takers_of_the_sample_market_move_it_their_way():
    found = impact(report_of(sample()), interval_s=2)
    assert 0 < found.low < found.lambda_price < found.high
    assert 0 < found.r2 < 1
    assert found.table["move"].iloc[0] < 0 < found.table["move"].iloc[-1]
    assert "R2" in found._repr_html_()


def test_too_short_a_run_says_so():
    with pytest.raises(InputError, match="steps of 60 s fit into the run; wanted 30 or more"):
        impact(report_of(sample().slice(0, 120)), interval_s=60)
    with pytest.raises(InputError, match="wrote no samples"):
        impact(report_of(sample().slice(0, 20), sample_ms=0))

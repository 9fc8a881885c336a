"""Sensitivity: every case on the same tapes, intervals that mean what they say, and a picture of them."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import hftlab as hl
from hftlab.analytics.drawing.pictures import GAIN, LOSS, intervals
from hftlab.analytics.report.sensitivity import interval, student_t
from hftlab.errors import InputError, UnknownName

QUOTER = hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5, skew_ticks_per_order=0.5)
LIMITS = hl.Limits(position_qty_max="0.1")
SLOW = {"latency": hl.Latency(order_ms=50)}


@pytest.fixture(scope="module")
def tape():
    return hl.sample().slice(0, 60)


@pytest.fixture(scope="module")
def report(tape):
    return hl.backtest(tape, None, QUOTER, LIMITS, latency=hl.Latency(order_ms=1))


def test_every_run_is_the_backtest_of_its_tape_and_case(report, tape):
    tapes = [tape.slice(0, 20), tape.slice(20, 45), tape.slice(45)]
    found = report.sensitivity({"as it was": {}, "slow": SLOW}, tapes)
    assert len(found.runs) == 6
    for row in found.runs.itertuples():
        ms = {"as it was": 1, "slow": 50}[row.case]
        alone = hl.backtest(tapes[row.tape], None, QUOTER, LIMITS, latency=hl.Latency(order_ms=ms))
        assert (row.pnl_quote, row.fills) == (alone.pnl_quote, len(alone.fills))


def test_the_table_is_over_tapes_and_differences_are_paired(report):
    found = report.sensitivity({"fast": {}, "slow": SLOW, "fast again": {}}, blocks=4)
    table = found.table()
    assert list(table.index) == ["fast", "slow", "fast again"]
    pnl = found.runs.pivot_table(index="tape", columns="case", values="pnl_quote")
    assert len(pnl) == 4
    assert table.loc["slow", "pnl_quote"] == pytest.approx(pnl["slow"].mean())
    mine = stats.ttest_rel(pnl["slow"], pnl["fast"]).confidence_interval(0.95)
    assert tuple(table.loc["slow", ["more_low", "more_high"]]) == pytest.approx(tuple(mine), rel=1e-6)
    assert (table.loc["fast again", ["more_quote", "more_low", "more_high"]] == 0).all()
    assert table.loc["slow", "winning_tapes"] == (pnl["slow"] > 0).mean()


def test_blocks_are_the_tape_cut_into_equal_times(report, tape):
    found = report.sensitivity({"as it was": {}}, blocks=3)
    again = report.sensitivity({"as it was": {}}, [tape.slice(0, 20), tape.slice(20, 40), tape.slice(40)])
    assert found.runs["fills"].tolist() == pytest.approx(again.runs["fills"].tolist(), abs=2)  # the tape is a little longer or shorter
    assert "3 blocks" in repr(found)


@pytest.mark.parametrize("jit", [True, False])
def test_a_quoter_of_the_users_runs_in_it(tape, jit):
    def decide(desk, market, params, quote):
        quote.bid_ticks = int(market.fair_ticks) - 1
        quote.ask_ticks = int(market.fair_ticks) + 1
        quote.bid_lots = quote.ask_lots = int(params.order_lots)
        quote.levels = 1

    quoter = hl.UserQuoter(decide=decide, order_qty="0.01")
    base = hl.backtest(tape.slice(0, 6), None, quoter, LIMITS, jit=jit)
    found = base.sensitivity({"one": {}, "other": {"quoter": QUOTER}}, blocks=2)
    assert len(found.runs) == 4


def test_a_strategy_begins_anew_in_every_run(tape):
    strategy = hl.ZScoreReversion(qty="0.02", lookback=5)
    base = hl.backtest(tape, None, hl.WorkTarget(order_qty="0.01"), LIMITS, strategy=strategy, bar_s=1)
    found = base.sensitivity({"one": {}, "again": {}}, [tape, tape])
    assert len(set(found.runs["pnl_quote"])) == 1
    assert found.runs["pnl_quote"][0] == base.pnl_quote


@given(st.integers(1, 400), st.floats(0.5, 0.999))
def test_t_is_that_of_scipy(degrees, confidence):
    assert student_t(degrees, confidence) == pytest.approx(stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-5)


def test_intervals_cover_the_true_mean_as_often_as_they_say():
    values = np.random.default_rng(1).normal(3.0, 2.0, (6, 20_000))
    _, low, high = interval(values)
    assert np.mean((low < 3.0) & (high > 3.0)) == pytest.approx(0.95, abs=0.005)


def test_numbers_become_a_curve_and_names_become_rows(report):
    numbers = report.sensitivity({ms: {"latency": hl.Latency(order_ms=ms)} for ms in (0.1, 5, 50)}, blocks=2, name="latency, ms")
    assert "fill-opacity" in numbers.picture()  # a band
    assert list(numbers.table().index) == [0.1, 5, 50]
    assert "by latency, ms" in numbers.picture()
    names = report.sensitivity({"<fast>": {}, "slow": SLOW}, blocks=2)
    assert "&lt;fast&gt;" in names.picture()
    assert "95 %" in names._repr_html_()


def test_only_what_is_told_apart_from_zero_has_a_colour():
    svg = intervals([("win", 2.0, 1.0, 3.0), ("lose", -2.0, -3.0, -1.0), ("unknown", 0.5, -1.0, 2.0)], "three")
    assert re.findall(r"<circle[^>]*fill='([^']*)'", svg) == [GAIN, LOSS, "currentColor"]


def test_what_cannot_be_run_is_refused_in_words(report, tape):
    with pytest.raises(UnknownName, match=r"no argument 'latencies'\. Did you mean 'latency'"):
        report.sensitivity({"slow": {"latencies": hl.Latency()}}, blocks=2)
    with pytest.raises(InputError, match="a name for each and what is different in it"):
        report.sensitivity({"slow": hl.Latency()}, blocks=2)
    with pytest.raises(InputError, match="a list of two or more tapes"):
        report.sensitivity({"as it was": {}}, [tape])
    with pytest.raises(InputError, match="a list of two or more tapes"):
        report.sensitivity({"as it was": {}}, tape)
    with pytest.raises(InputError, match="at least two"):
        report.sensitivity({"as it was": {}}, blocks=1)

"""Sweeps: every point is the backtest of its arguments, nothing that happens to one is lost, and it ends when it is told to."""

import dataclasses
import itertools
import math
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hftlab as hl
from hftlab.analytics.drawing.heatmap import LESS, MORE, Square, heatmap
from hftlab.analytics.luck import runs_file
from hftlab.analytics.luck.ledger import steps, trials
from hftlab.analytics.luck.runs_file import Place
from hftlab.analytics.report.returns import pnl_curve
from hftlab.analytics.returns.sharpe import per_period
from hftlab.backtesting.sweeps.cell import DONE, FAILED, FIGURES, PRUNED
from hftlab.backtesting.sweeps.grid import Range
from hftlab.backtesting.sweeps.result import BINS, Places
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UnknownName, UserCodeError
from hftlab.types import ASK, DEPTH

QUOTER = hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5)
LIMITS = hl.Limits(position_qty_max="0.1")
LONG_S = 60.0  # how long a condition is waited for; what is waited for takes well under a second on a quiet machine


@pytest.fixture(scope="module")
def tape():
    return hl.sample().slice(0, 40)


@pytest.fixture(scope="module")
def runs(tape):
    grid = hl.grid(QUOTER, half_spread_ticks=[0.5, 1.0, 2.0], skew_ticks_per_order=[0.0, 1.0], latency_order_ms=[0, 20])
    return hl.sweep(tape, None, grid, LIMITS, fees=hl.Fees(maker_bps=0.3), workers=2).wait(LONG_S)


def same(found, wanted):
    return found == wanted or (isinstance(found, float) and math.isnan(found) and math.isnan(wanted))


def assert_is_the_backtest(sweep, tape):
    for cell in sweep.cells:
        assert cell.state == DONE, cell.error
        summary = hl.backtest(tape, None, **sweep.arguments(cell)).summary()
        assert {name for name in FIGURES if not same(cell.figures[name], summary[name])} == set(), cell.params


def until(condition):
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


# --- the law: a point is a backtest ------------------------------------------------------------------------------------------


def test_every_point_is_the_backtest_of_its_arguments_to_the_last_bit(runs, tape):
    assert len(runs.cells) == 12
    assert_is_the_backtest(runs, tape)
    assert len({cell.figures["digest"] for cell in runs.cells}) > 6, "the points differ: the law was tried on something"


def test_limits_queue_and_fees_vary_too_each_as_a_whole_or_by_field(tape):
    fees = [hl.Fees(), hl.Fees(maker_bps=1)]
    grid = hl.grid(QUOTER, queue=["power", "risk_averse"], queue_power=[1.0, 3.0], limits_position_qty_max=["0.02", "0.1"], fees=fees)
    found = hl.sweep(tape, None, grid, LIMITS, workers=2).wait(LONG_S)
    assert_is_the_backtest(found, tape)
    assert found.table().groupby("fees")["fees_quote"].sum().nunique() == 2


def test_two_instruments_on_one_desk(tape):
    other = hl.Instrument.bundled("sim:BTC/USDT")
    twin = Tape(synth_rows(other, 20, 5, start_ns=tape.start_ns), (dataclasses.replace(other, symbol="TWIN/USDT"),))
    both = Tape.join([tape.slice(0, 20), twin])
    found = hl.sweep(both, None, hl.grid((QUOTER, QUOTER), half_spread_ticks=[0.5, 1.5]), LIMITS, workers=1).wait(LONG_S)
    assert_is_the_backtest(found, both)
    assert all(cell.figures["fills"] for cell in found.cells)


def test_a_market_that_never_had_two_sides_is_marked_as_a_report_marks_it(tape):
    rows = tape.rows[~((tape.rows["kind"] == DEPTH) & (tape.rows["side"] == ASK))]
    bids = Tape(np.ascontiguousarray(rows), tape.instruments)
    assert_is_the_backtest(hl.sweep(bids, None, hl.grid(QUOTER, half_spread_ticks=[1.0]), LIMITS).wait(LONG_S), bids)


def test_a_score_is_any_figure_of_the_summary_or_a_function_of_the_report(tape):
    grid = hl.grid(QUOTER, half_spread_ticks=[0.5, 1.0, 2.0])
    named = hl.sweep(tape, None, grid, LIMITS, score="adverse_selection_quote").wait(LONG_S)
    own = hl.sweep(tape, None, grid, LIMITS, score=lambda report: report.summary()["adverse_selection_quote"]).wait(LONG_S)
    wanted = [hl.backtest(tape, None, **named.arguments(cell)).summary()["adverse_selection_quote"] for cell in named.cells]
    assert [cell.figures["score"] for cell in named.cells] == [cell.figures["score"] for cell in own.cells] == wanted
    assert own.best.figures["score"] == max(wanted)
    assert_is_the_backtest(own, tape)


def test_the_parts_add_up_to_the_pnl(runs):
    for cell in runs.cells:
        assert np.diff(cell.equity_quote, prepend=0.0).sum() == pytest.approx(cell.figures["pnl_quote"], abs=1e-9)


# --- grids -------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_grid_is_every_combination_once_the_last_axis_fastest(sizes):
    names = ["half_spread_ticks", "skew_ticks_per_order", "hysteresis_ticks", "life_ms_min"][: len(sizes)]
    axes = {name: [float(k) for k in range(n)] for name, n in zip(names, sizes, strict=True)}
    grid = hl.grid(QUOTER, **axes)
    assert [tuple(point.params.values()) for point in grid.points] == list(itertools.product(*axes.values()))
    drawn = grid.sample(len(grid), seed=3)
    assert sorted(tuple(point.params.values()) for point in drawn) == sorted(itertools.product(*axes.values()))


@given(st.floats(0, 1), st.booleans())
def test_what_is_drawn_from_a_range_lies_in_it_and_on_its_place_of_the_map(u, log):
    axis = Range(0.01, 10.0, log)
    value = axis.draw(u)
    assert 0.01 <= value <= 10.0 + 1e-12
    assert abs(Places.along(axis).of(value) - u * BINS) <= 1 + 1e-6
    assert Range(2, 5).draw(u) in {2, 3, 4, 5}


def test_a_sample_is_the_same_for_the_same_seed():
    grid = hl.grid(QUOTER, half_spread_ticks=(0.5, 4.0), levels=(1, 3))
    first, again, other = (grid.sample(20, seed=seed).points for seed in (1, 1, 2))
    assert [one.params for one in first] == [one.params for one in again] != [one.params for one in other]


@pytest.mark.parametrize(
    ("axes", "error", "words"),
    [
        ({"half_spred_ticks": [1]}, UnknownName, "Did you mean 'half_spread_ticks'"),
        ({"latency_order_m": [1]}, UnknownName, "Did you mean 'latency_order_ms'"),
        ({"half_spread_ticks": 1.0}, InputError, "wanted a list of values"),
        ({"half_spread_ticks": []}, InputError, "no values"),
        ({"half_spread_ticks": [1.0, 1.0]}, InputError, "twice"),
        ({"half_spread_ticks": (0.0, 1.0, "log")}, InputError, "above zero"),
        ({"half_spread_ticks": (1.0, 2.0, 3.0)}, InputError, "Values to try stand in a list"),
    ],
)
def test_an_axis_that_cannot_be_is_answered_in_words(axes, error, words):
    with pytest.raises(error, match=words):
        hl.grid(QUOTER, **axes)


def test_a_range_has_no_end_of_points(tape):
    with pytest.raises(InputError, match=r"\.sample\(n\)"):
        hl.sweep(tape, None, hl.grid(QUOTER, half_spread_ticks=(0.5, 2.0)), LIMITS)


# --- what goes wrong ---------------------------------------------------------------------------------------------------------


def test_a_point_that_fails_is_a_row_with_its_text_and_the_others_go_on(tape):
    found = hl.sweep(tape, None, hl.grid(QUOTER, order_qty=["0.01", "0.0005", "0.02"]), LIMITS).wait(LONG_S)
    table = found.table()
    assert table["outcome"].tolist() == [DONE, FAILED, DONE]
    assert "0.0005" in table["error"][1]
    assert len(found.ranking()) == 2
    assert "0.0005" in found._repr_html_()
    with pytest.raises(InputError, match="not run to its end"):
        found.report(1)


def breaks(desk, market, params, quote):
    if params.user0 > 1.0:
        raise ValueError("too wide")
    quote.bid_ticks = int(market.fair_ticks) - 1
    quote.ask_ticks = int(market.fair_ticks) + 2
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


def test_a_decide_of_the_users_is_swept_by_its_own_values_and_its_errors_name_the_line(tape):
    quoter = hl.UserQuoter(order_qty="0.01", decide=breaks, values={"edge": 1.0})
    found = hl.sweep(tape, None, hl.grid(quoter, edge=[0.5, 1.5]), LIMITS).wait(LONG_S)
    good, bad = found.cells
    assert (good.state, bad.state) == (DONE, FAILED)
    assert "too wide" in bad.error
    assert "UserCodeError" in bad.error
    assert good.figures["digest"] == hl.backtest(tape, None, **found.arguments(good)).digest


def test_what_fits_no_point_raises_at_once(tape):
    with pytest.raises(UserCodeError):
        hl.sweep(tape, None, hl.grid(hl.UserQuoter(order_qty="0.01", decide=lambda desk: None)), LIMITS)
    with pytest.raises(InputError, match="lot"):
        hl.sweep(tape, None, hl.grid(QUOTER, order_qty=["0.0000001", "0.0000002"]), LIMITS)
    with pytest.raises(UnknownName, match="Did you mean 'workers'"):
        hl.sweep(tape, None, hl.grid(QUOTER), LIMITS, worker=2)


def test_a_report_is_the_point_run_again_or_it_says_what_changed():
    tape = hl.sample().slice(0, 20)
    found = hl.sweep(tape, None, hl.grid(QUOTER, half_spread_ticks=[0.5, 1.0]), LIMITS).wait(LONG_S)
    assert found.report(1).digest == found.cells[1].figures["digest"]
    assert found.report().pnl_quote == found.best.figures["pnl_quote"] == found.table()["pnl_quote"].max()
    depth = tape.rows["kind"] == DEPTH
    tape.rows["price_ticks"][depth] += 1
    with pytest.raises(InputError, match="was changed since"):
        found.report(1)
    with pytest.raises(InputError, match="not run"):
        found.report(17)


# --- while it runs -----------------------------------------------------------------------------------------------------------


def test_a_cancelled_sweep_keeps_what_it_found():
    tape = hl.sample()
    grid = hl.grid(QUOTER, half_spread_ticks=np.linspace(0.5, 5, 100), skew_ticks_per_order=np.linspace(0, 2, 50))
    found = hl.sweep(tape, None, grid, LIMITS, workers=2)
    assert found.running
    until(lambda: found.progress().done >= 3)
    found.cancel()
    assert not found.running
    progress = found.progress()
    assert (progress.state, progress.total) == ("cancelled", 5000)
    assert 3 <= progress.done < 5000
    assert len(found.table()) == progress.done
    assert found.best.figures["pnl_quote"] == found.table()["pnl_quote"].max()
    with pytest.raises(InputError, match="not run"):
        found.report(4999)


def test_waiting_has_an_end():
    grid = hl.grid(QUOTER, half_spread_ticks=np.linspace(0.5, 5, 2000))
    found = hl.sweep(hl.sample(), None, grid, LIMITS)
    with pytest.raises(TimeoutError, match="2,000"):
        found.wait(0.01)
    found.cancel()


# --- searches ----------------------------------------------------------------------------------------------------------------


def test_a_search_with_a_seed_and_one_worker_is_the_same_twice(tape):
    grid = hl.grid(QUOTER, half_spread_ticks=(0.5, 4.0), skew_ticks_per_order=[0.0, 0.5, 1.0], fair=["mid", "micro"])
    first, again = (hl.sweep(tape, None, grid.search(14, seed=5), LIMITS, workers=1).wait(LONG_S) for _ in range(2))
    assert [cell.params for cell in first.cells] == [cell.params for cell in again.cells]
    assert len(first.cells) == 14
    assert first.best.figures["pnl_quote"] == max(c.figures["pnl_quote"] for c in first.cells if c.state == DONE)
    assert first.report().digest == first.best.figures["digest"]


def test_a_search_runs_no_point_twice(tape):
    found = hl.sweep(tape, None, hl.grid(QUOTER, levels=[1, 2], fair=["mid", "micro"]).search(25, prune=False), LIMITS, workers=1).wait(
        LONG_S
    )
    params = [tuple(cell.params.values()) for cell in found.cells]
    assert len(params) == len(set(params)) <= 4
    assert found.progress().total == len(params)


def test_a_hopeless_point_is_given_up_and_counts_as_a_trial():
    tape = hl.sample()  # long enough for several pieces
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=3.0)
    found = hl.sweep(tape, None, hl.grid(quoter, half_spread_ticks=(0.5, 8.0)).search(20, seed=1), LIMITS, workers=1).wait(LONG_S)
    pruned = [cell for cell in found.cells if cell.state == PRUNED]
    assert pruned
    assert found.progress().pruned == len(pruned)
    assert found.luck().trials == 20
    assert "given up early" in str(found.progress())


def test_a_search_or_a_cluster_without_its_library_names_the_extra(tape, monkeypatch):
    grid = hl.grid(QUOTER, half_spread_ticks=(0.5, 4.0))
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(InputError, match=r"hftlab\[sweep\]"):
        hl.sweep(tape, None, grid.search(3), LIMITS)
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(InputError, match=r"hftlab\[cluster\]"):
        hl.sweep(tape, None, grid.sample(3), LIMITS, cluster="tcp://127.0.0.1:1").wait(LONG_S)


# --- what it found -----------------------------------------------------------------------------------------------------------


def test_rankings_and_maps(runs):
    by_drawdown = runs.ranking("drawdown_quote_max", n=None)
    assert by_drawdown["drawdown_quote_max"].is_monotonic_increasing
    assert runs.ranking(n=3)["pnl_quote"].is_monotonic_decreasing
    with pytest.raises(UnknownName, match="Did you mean 'pnl_quote'"):
        runs.ranking("pnl_qote")
    svg = runs.heatmap("half_spread_ticks", "skew_ticks_per_order", of="mean").svg()
    assert svg.count("<g data-point") == 6  # two latencies share a square
    assert "pnl_quote (USDT), mean of each square" in svg
    table = runs.table()
    square = table[(table["half_spread_ticks"] == 2.0) & (table["skew_ticks_per_order"] == 1.0)]
    assert f"{square['pnl_quote'].mean():.3g}" in svg
    with pytest.raises(UnknownName, match="no axis"):
        runs.heatmap("half_spread_ticks", "gamma")


def best_ratio(report):
    """Return mean over standard deviation of the P&L of whole seconds, from the samples of the report itself."""
    return per_period(steps(*pnl_curve(report))[1])


def test_every_point_is_a_trial_that_the_lab_counts_once(tape, monkeypatch, tmp_path):
    monkeypatch.setenv("HFTLAB_COUNT_RUNS", "on")
    monkeypatch.setenv("HFTLAB_STATE_DIR", str(tmp_path))
    runs_file.forget()  # what other tests of this process have counted on the same rows
    grid = hl.grid(QUOTER, half_spread_ticks=[0.5, 1.0, 2.0], latency_order_ms=[0, 20], order_qty=["0.01", "0.0005"])
    found = hl.sweep(tape, None, grid, LIMITS).wait(LONG_S)
    assert found.trouble == ""
    lines = Place.of(tape).read()
    assert [line["kind"] for line in lines] == ["run"] * 6, "points that could not be run are no trials"
    assert len(trials(lines)) == 3, "nobody can choose the latency"
    wanted = hl.backtest(tape, None, **found.arguments(found.best))  # run again, counted again, and yet no new trial
    again = Place.of(tape).read()
    assert (len(again), len(trials(again))) == (7, 3)
    mine = [line for line in lines if line["rule"] == again[-1]["rule"]][
        list(grid.axes["latency_order_ms"]).index(found.best.params["latency_order_ms"])
    ]
    assert mine["sharpe"] == pytest.approx(again[-1]["sharpe"], rel=1e-12)
    assert (mine["step_s"], mine["n"]) == (again[-1]["step_s"], again[-1]["n"])
    assert wanted.digest == found.best.figures["digest"]
    other = hl.sweep(tape, None, hl.grid(QUOTER, half_spread_ticks=[0.7]), LIMITS).wait(LONG_S)
    assert (other.luck().points, other.luck().trials) == (1, 4)
    assert "counted on this data before" in other.luck().text()


@pytest.mark.parametrize(
    ("values", "hues"),
    [([-2.0, 0.0, 1.0], [LESS, MORE, MORE]), ([3.0, 5.0], [MORE, MORE]), ([-3.0, -5.0], [LESS, LESS]), ([0.0, 9.0], [MORE, MORE])],
)
def test_gains_are_blue_losses_orange_and_the_furthest_from_zero_the_fullest(values, hues):
    svg = heatmap([*range(len(values))], ["y"], {(k, 0): Square(v, k) for k, v in enumerate(values)}, title="t", x="x", y="y")
    found = re.findall(r"<g data-point.*?fill='(#\w+)' fill-opacity='([\d.]+)'", svg)
    assert [hue for hue, _ in found] == hues
    assert [float(full) for _, full in found][int(np.argmax(np.abs(values)))] == 0.80


def test_the_best_is_shown_with_the_number_of_its_trials(runs):
    luck = runs.luck()
    assert luck.trials == 12
    assert luck.best == runs.best.number
    assert luck.sharpe.deflated < luck.sharpe.probability
    assert 0 <= luck.overfitting.probability <= 1
    assert "12 trials" in runs._repr_html_()
    assert luck.step_s == 1.0
    best = hl.backtest(hl.sample().slice(0, 40), None, **runs.arguments(runs.best))
    assert luck.sharpe.per_period == pytest.approx(best_ratio(best), rel=1e-12)
    summary = runs.summary()
    assert summary["points"] == summary["done"] == 12
    assert summary["best_by"]["pnl_quote"]["point"] == runs.best.number

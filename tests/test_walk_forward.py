"""Walk forward: what is chosen for a fold is the best of its past, and what it makes there is its backtest there."""

import numpy as np
import pytest

import hftlab as hl
from hftlab.errors import InputError

QUOTER = hl.FixedSpread(order_qty="0.01")
LIMITS = hl.Limits(position_qty_max="0.1")
GRID = hl.grid(QUOTER, half_spread_ticks=[0.5, 1.0, 2.0], skew_ticks_per_order=[0.0, 1.0])
SLOW = {"latency": hl.Latency(order_ms=5)}
LONG_S = 60.0


@pytest.fixture(scope="module")
def tape():
    return hl.sample().slice(0, 120)


@pytest.fixture(scope="module")
def walk(tape):
    return hl.walk_forward(tape, None, GRID, LIMITS, folds=3, purge_s=2, embargo_s=1, **SLOW).wait(LONG_S)


def pnl(tape, span, params):
    quoter = hl.FixedSpread(order_qty="0.01", **params)
    return hl.backtest(tape.slice(span[0] or None, span[1]), None, quoter, LIMITS, **SLOW).pnl_quote


def test_each_fold_is_traded_with_what_was_best_in_the_one_before(walk, tape):
    quarter = tape.span_s / 4
    spans = [(0, quarter - 2), (quarter + 1, 2 * quarter - 2), (2 * quarter + 1, 3 * quarter - 2), (3 * quarter + 1, None)]
    points = [point.params for point in GRID.points]
    made = np.array([[pnl(tape, span, params) for params in points] for span in spans])
    for step, past, here in zip(walk.steps, made[:-1], made[1:], strict=True):
        best = int(past.argmax())
        assert step.point == best
        assert step.params == points[best]
        assert (step.past_pnl_quote, step.pnl_quote) == (past[best], here[best])
        assert step.rank == (here > here[best]).sum() / 5
        assert (step.best_quote, step.median_quote) == (here.max(), np.median(here))
    assert walk.report(2).pnl_quote == walk.steps[1].pnl_quote


def test_the_outcome_is_the_sum_of_the_folds_and_its_interval_holds_it(walk):
    outcome = walk.outcome
    assert outcome.pnl_quote == pytest.approx(sum(step.pnl_quote for step in walk.steps))
    assert outcome.low < outcome.pnl_quote < outcome.high
    assert outcome.worse_quote == pytest.approx(np.mean([step.past_pnl_quote - step.pnl_quote for step in walk.steps]))
    assert 0 <= outcome.overfitting.probability <= 1
    table = walk.table()
    assert list(table.index) == [1, 2, 3]
    html = walk._repr_html_()
    assert "Out of sample, 3 folds" in html
    assert "<svg" in html


def test_all_of_the_past_may_choose(tape):
    walk = hl.walk_forward(tape, None, GRID, LIMITS, folds=2, past=None, **SLOW).wait(LONG_S)
    first, second, third = (np.array([cell.figures["pnl_quote"] for cell in one.cells]) for one in walk.sweeps)
    assert [step.point for step in walk.steps] == [int(first.argmax()), int(((first + second) / 2).argmax())]
    assert walk.steps[1].pnl_quote == third[walk.steps[1].point]


def test_a_cancelled_walk_keeps_its_folds():
    grid = hl.grid(QUOTER, half_spread_ticks=np.linspace(0.5, 5, 3000))
    walk = hl.walk_forward(hl.sample(), None, grid, LIMITS, folds=4)
    assert walk.running
    walk.cancel()
    assert walk.progress().state == "cancelled"
    with pytest.raises(InputError, match="no fold has been traded"):
        walk.outcome  # noqa: B018


def test_folds_must_be_longer_than_what_is_left_out_between_them(tape):
    with pytest.raises(InputError, match="use fewer folds"):
        hl.walk_forward(tape, None, GRID, LIMITS, folds=50, purge_s=2, embargo_s=2)
    with pytest.raises(InputError, match="the same points in every fold"):
        hl.walk_forward(tape, None, GRID.search(10), LIMITS)

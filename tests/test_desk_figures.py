"""The figures behind the panels: risk grade, drawdown, rolling Sharpe, spread average, volatility by time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.analytics.estimators import market_state
from hftlab.analytics.portfolio.grade import CAPS, Grade, grade
from hftlab.analytics.returns import equity
from hftlab.data.frame import Gauge
from hftlab.types import NO_PRICE, SAMPLE_ROW

shares = st.lists(st.floats(0, 3), min_size=1, max_size=12)


def gauges(used, name="limit"):
    return [Gauge(f"{name} {k}", share * 40.0, 40.0, "USDT") for k, share in enumerate(used)]


# --- grade ---
def test_the_example_of_the_ledger_is_an_a_of_92():
    # Ledger G32: position 65.2 %, daily loss 12.5 %, drawdown 46 %, order rate 46 % -> "A (92/100)".
    # By hand: only the position is beyond half; (0.652 - 0.5) / 0.5 = 0.304, a quarter of it is 0.076.
    assert str(grade(gauges([0.652, 0.125, 0.46, 0.46]), "ACTIVE")) == "A (92/100)"


@pytest.mark.parametrize(
    ("used", "state", "shown"),
    [
        ([0.0, 0.5], "ACTIVE", "A (100/100)"),
        ([0.9], "ACTIVE", "F (20/100)"),  # alone: the mean takes 80, the worst 50; the larger counts
        ([0.9, 0, 0, 0], "ACTIVE", "F (50/100)"),  # the mean takes 20, the worst 50
        ([1.0, 0, 0, 0, 0, 0, 0, 0], "ACTIVE", "F (0/100)"),  # at a limit, however many others are free
        ([0.1], "WIDEN", "C (79/100)"),
        ([0.1], "REDUCING", "F (59/100)"),
        ([0.1], "HALTED", "F (0/100)"),
        ([0.1], "PAUSED", "A (100/100)"),
    ],
)
def test_grades_by_hand(used, state, shown):
    assert str(grade(gauges(used), state)) == shown


@given(shares, st.integers(0, 11), st.floats(0, 1), st.sampled_from(["ACTIVE", *CAPS]))
def test_using_more_of_a_limit_never_betters_the_grade(used, which, more, state):
    before = grade(gauges(used), state)
    used[which % len(used)] += more
    after = grade(gauges(used), state)
    assert 0 <= after.points <= before.points <= 100


def test_a_spent_request_budget_alone_does_not_fail_a_desk():
    free = gauges([0.0] * 5)
    assert grade([*free, Gauge("request budget used", 20, 20, "")], "ACTIVE").points == 83
    assert grade([*free, Gauge("position", 20, 20, "")], "ACTIVE").points == 0


def test_what_is_not_limited_or_not_known_is_not_graded():
    nothing = [Gauge("notional", 5.0, math.inf, ""), Gauge("position", 1.0, math.nan, ""), Gauge("VaR", math.nan, 10.0, "")]
    assert grade(nothing, "ACTIVE") is None
    found = grade([*nothing, Gauge("position", -6.0, 10.0, "")], "ACTIVE")
    assert (found.fullest, found.share, found.unknown) == ("position", 0.6, 1)


@pytest.mark.parametrize(("points", "letter"), [(100, "A"), (90, "A"), (89, "B"), (80, "B"), (70, "C"), (60, "D"), (59, "F"), (0, "F")])
def test_letters(points, letter):
    assert Grade(points, "", 0.0, 0).letter == letter


# --- equity ---
money = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=200).map(np.array)


@given(money)
def test_a_drawdown_is_the_fall_from_the_highest_point_so_far(pnl):
    found = equity.drawdown(pnl)
    curve = np.append(0.0, pnl)
    assert (found >= 0).all()
    falls = [max(curve[: k + 1]) - curve[k] for k in range(1, len(curve))]
    assert found == pytest.approx(falls)


def test_a_sharpe_by_hand():
    # Changes +1 and +3 in turn: mean 2, variance (n - 1) of 40 of them is 40/39; steps of a year make the factor 1.
    pnl = np.cumsum(np.tile([1.0, 3.0], 60))
    found = equity.rolling_sharpe(pnl, equity.YEAR_S, 40)
    assert found[-1] == pytest.approx(2 / math.sqrt(40 / 39))
    assert np.isnan(found[: equity.MOVES_MIN]).all()
    assert np.isfinite(found[equity.MOVES_MIN]).all()


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-50, 50))
def test_a_sharpe_knows_no_scale_and_no_starting_point(seed, scale, shift):
    pnl = np.cumsum(np.random.default_rng(seed).normal(0.01, 1, 150))
    first = equity.rolling_sharpe(pnl, 1.0, 60)
    assert equity.rolling_sharpe(pnl * scale + shift, 1.0, 60) == pytest.approx(first, rel=1e-6, nan_ok=True)
    direct = np.diff(pnl)[-60:]
    assert first[-1] == pytest.approx(direct.mean() / direct.std(ddof=1) * math.sqrt(365 * 86_400))


@pytest.mark.parametrize("pnl", [np.zeros(200), np.arange(200.0), np.arange(20) ** 2.0, np.full(200, np.nan)])
def test_a_curve_that_does_not_vary_or_is_too_short_has_no_sharpe(pnl):
    assert np.isnan(equity.rolling_sharpe(pnl, 1.0, 60)).all()


def test_the_error_of_a_sharpe_is_what_simulation_shows():
    # 2000 runs of 100 steps of a normal P&L with a per-step ratio of 0.5: their spread is Lo's standard error.
    rng = np.random.default_rng(3)
    moves = rng.normal(0.5, 1.0, (2000, 100))
    found = moves.mean(axis=1) / moves.std(axis=1, ddof=1)
    assert equity.sharpe_error(0.5, equity.YEAR_S, 100) == pytest.approx(found.std(), rel=0.06)
    assert math.isnan(equity.sharpe_error(0.5, 1.0, 5))


def test_even_steps_take_the_last_value_and_leave_holes():
    ts, values = np.array([100, 250, 900], np.int64), np.array([1.0, 2.0, 3.0])
    times, found = equity.at_steps(ts, values, 100, 200)
    assert times.tolist() == [100, 200, 300, 400, 500, 600, 700, 800, 900]
    assert found == pytest.approx([1, 1, 2, 2, math.nan, math.nan, math.nan, math.nan, 3], nan_ok=True)


# --- market state ---
def test_a_missing_side_has_no_spread():
    rows = np.zeros(3, SAMPLE_ROW)
    rows["best_bid_ticks"], rows["best_ask_ticks"] = [100, NO_PRICE, 100], [103, 100, NO_PRICE]
    assert market_state.spread_ticks(rows) == pytest.approx([3, math.nan, math.nan], nan_ok=True)


def test_an_average_by_hand_a_half_life_ago_counts_half():
    # 4 for ever until one half-life ago, 1 since: half of the weight each, so 2.5.
    ts = np.array([-(10**15), -30 * 10**9], np.int64)
    assert market_state.ewma(ts, np.array([4.0, 1.0]), 30.0, 0) == pytest.approx(2.5, abs=1e-3)


@given(
    st.lists(st.tuples(st.integers(1, 10**11), st.floats(-100, 100)), min_size=1, max_size=50), st.floats(0.1, 1000), st.integers(0, 10**12)
)
def test_an_average_lies_between_its_values_and_skips_unknown_ones(steps, half_life, more):
    ts = np.cumsum([gap for gap, _ in steps]).astype(np.int64)
    values = np.array([value for _, value in steps])
    found = market_state.ewma(ts, values, half_life, int(ts[-1]) + more)
    assert np.isnan(found) or values.min() - 1e-6 <= found <= values.max() + 1e-6
    assert np.isnan(market_state.ewma(ts, np.full(len(ts), np.nan), half_life, int(ts[-1])))


def test_the_volatility_of_a_random_walk_is_its_own_at_every_horizon():
    rng = np.random.default_rng(11)
    spacing, sigma_bps = 200_000_000, 3.0
    ts = np.arange(200_000, dtype=np.int64) * spacing
    price = 100 * np.exp(np.cumsum(rng.normal(0, sigma_bps * 1e-4 * math.sqrt(0.2), len(ts))))
    edges = market_state.edges(int(ts[-1]), 10_000 * 10**9, 4)
    for horizon_s, least in ((1.0, 0.03), (5.0, 0.07), (60.0, 0.25)):
        found = market_state.volatility_bps(ts, price, horizon_s, edges)
        assert found[1:] == pytest.approx([sigma_bps] * 3, rel=least)


def test_a_bucket_with_few_moves_or_no_price_is_unknown():
    ts = np.arange(100, dtype=np.int64) * 10**9
    price = np.where(ts < 50 * 10**9, 100.0 + ts % (2 * 10**9) / 10**9, np.nan)
    edges = np.array([0, 5, 50, 100], np.int64) * 10**9
    found = market_state.volatility_bps(ts, price, 1.0, edges)
    assert np.isnan(found[[0, 2]]).all()
    assert found[1] == pytest.approx(math.log(101 / 100) * 1e4)


def test_the_last_bucket_holds_the_present():
    found = market_state.edges(61, 60, 3)
    assert found.tolist() == [-60, 0, 60, 120]

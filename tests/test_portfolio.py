"""Portfolio risk: published numbers, small worlds by hand, and the laws that the measures must keep."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stories import Story, limits, quoter
from tapes import A, B

from hftlab.analytics.portfolio import formulas as pm
from hftlab.analytics.portfolio.book import Desk, Holding, desk_of, moves, summed
from hftlab.analytics.portfolio.portfolio import risk_metrics
from hftlab.analytics.portfolio.stress import liquidation_quote, shocked_quote, spread_quote
from hftlab.backtesting.run import backtest
from hftlab.data.samples import sample
from hftlab.errors import InputError, UnknownName
from hftlab.instrument import Instrument
from hftlab.params import FixedSpread, Limits
from hftlab.types import ASK, BID, DEPTH

S = 1_000_000_000
INVERSE = Instrument(
    venue="test", symbol="XUSD", base="X", quote="USD", tick_size="0.5", lot_size="1", multiplier="100", amend="requeues", inverse=True
)


def holding(position=10, mark=2000.0, fair=None, instrument=A, bids=((1999, 5), (1998, 50)), asks=((2001, 5), (2002, 50)), orders=()):
    """A market of A (tick 0.5, lot 0.01: a tick of a lot is 0.005) with a price a second."""
    fair = np.full(61, mark) if fair is None else np.asarray(fair, np.float64)
    return Holding(
        instrument,
        position,
        mark,
        np.array(bids, np.int64).reshape(-1, 2),
        np.array(asks, np.int64).reshape(-1, 2),
        np.array(orders, np.int64).reshape(-1, 3),
        np.arange(len(fair)) * S,
        fair,
    )


def desk(*holdings):
    return Desk(holdings, np.array([0, S, 2 * S, 3 * S]), np.array([0.0, 7.0, -2.0, 1.0]))


walks = arrays(np.float64, st.tuples(st.integers(45, 90), st.integers(1, 4)), elements=st.floats(-0.02, 0.02, allow_subnormal=False))
outcomes = st.integers(1, 300).flatmap(lambda n: arrays(np.float64, (2, n), elements=st.floats(-1e6, 1e6, allow_subnormal=False)))


# --- published ----------------------------------------------------------------------------------------------------------------


def test_one_step_of_ewma_is_hulls_example():
    # Hull, Risk Management and Financial Institutions, example 5.2: lambda .9, 1 % a day, then a move of 2 %: 0.00013, 1.14 % a day.
    after = pm.ewma_update(np.array([[0.01**2]]), np.array([0.02]), 0.9)
    assert after[0, 0] == pytest.approx(0.00013)
    assert math.sqrt(after[0, 0]) == pytest.approx(0.0114, abs=5e-5)


def test_one_step_of_ewma_correlation_by_hand():
    # lambda .95, volatilities 1 % and 2 %, correlation .6; then moves of .5 % and 2.5 %:
    # .95 x .0001 + .05 x .005^2 = .00009625; .95 x .0004 + .05 x .025^2 = .00041125; .95 x .00012 + .05 x .005 x .025 = .00012025
    before = np.array([[0.0001, 0.00012], [0.00012, 0.0004]])
    after = pm.ewma_update(before, np.array([0.005, 0.025]), 0.95)
    assert after == pytest.approx(np.array([[0.00009625, 0.00012025], [0.00012025, 0.00041125]]))
    assert pm.correlation_of(after)[0, 1] == pytest.approx(0.6044, abs=5e-5)


def test_normal_var_of_two_positions_is_the_textbooks():
    # Hull: 10 million at 2 % a day and 5 million at 1 %, correlation .3, 99 %: 2.326 x 220,227 = 512,300; alone 465,300 and 116,300.
    covariance = np.array([[0.02**2, 0.3 * 0.02 * 0.01], [0.3 * 0.02 * 0.01, 0.01**2]])
    exposures = np.array([10e6, 5e6])
    assert pm.var_normal(exposures, covariance, 0.99) == pytest.approx(512_327, abs=50)
    assert pm.var_undiversified(exposures, covariance, 0.99) == pytest.approx(465_270 + 116_317, abs=50)


def test_the_weights_of_riskmetrics():
    # RiskMetrics Technical Document 1996, table 5.7: with lambda .94, 74 days hold 99 % of the weight.
    assert math.ceil(math.log(0.01) / math.log(pm.DECAY)) in (74, 75)
    assert 1 - pm.DECAY**pm.MOVES_MIN > 0.9


def test_historical_var_and_shortfall_by_hand():
    # 1 to 100: numpy's 5 % is between the 5th and 6th worst, -95 + .05; the worst five are 100 to 96.
    pnl = -np.arange(1.0, 101.0)
    assert pm.var_historical(pnl) == pytest.approx(95.05)
    assert pm.cvar_historical(pnl) == pytest.approx(98.0)


def test_two_bonds_whose_var_punishes_diversification_and_whose_shortfall_does_not():
    # The textbook case against VaR: each bond loses 100 with probability 4 %, apart from each other.
    n = 2500
    one, two = np.zeros(n), np.zeros(n)
    one[:100] = -100
    two[96:196] = -100  # 4 of 2500 together: 0.16 % = 4 % of 4 %
    assert pm.var_historical(one) == pm.var_historical(two) == 0
    assert pm.var_historical(one + two) == 100
    assert pm.cvar_historical(one + two) <= pm.cvar_historical(one) + pm.cvar_historical(two)


def test_a_normal_world_is_judged_right_by_both_measures():
    rng = np.random.default_rng(5)
    pnl = 3.0 * rng.standard_normal(200_000)
    assert pm.var_historical(pnl) == pytest.approx(3 * 1.6449, rel=0.02)
    assert pm.cvar_historical(pnl) == pytest.approx(3 * 2.0627, rel=0.02)  # phi(z) / 5 %


def test_the_loss_is_beyond_value_at_risk_as_often_as_kupiec_allows():
    # Kupiec 1995: of 255 days, 7 to 20 beyond a VaR 95 are no evidence against it (95 % region). 40 worlds of 250 + 255 moves.
    inside = {"historical": 0, "normal": 0}
    for seed in range(40):
        moves_ = np.random.default_rng(seed).standard_normal(505)
        windows = np.lib.stride_tricks.sliding_window_view(moves_[:-1], 250)
        beyond = -np.quantile(windows, 1 - pm.LEVEL, axis=1)
        assert pm.var_historical(windows[0]) == pytest.approx(beyond[0])
        inside["historical"] += 7 <= int((moves_[250:] < -beyond).sum()) <= 20
        forecasts = [pm.var_normal(np.ones(1), pm.ewma_covariance(w[:, None], 0.97)) for w in windows]
        inside["normal"] += 7 <= int((moves_[250:] < -np.array(forecasts)).sum()) <= 20
    assert min(inside.values()) >= 34, inside


# --- laws ---------------------------------------------------------------------------------------------------------------------


@given(outcomes)
def test_shortfall_is_no_less_than_value_at_risk_and_neither_is_negative(pair):
    for pnl in pair:
        scale = np.abs(pnl).max()
        assert pm.cvar_historical(pnl) >= pm.var_historical(pnl) - 1e-12 * scale
        assert pm.var_historical(pnl) >= 0


@given(outcomes)
def test_the_shortfall_of_a_sum_is_no_more_than_the_sum_of_shortfalls(pair):
    one, two = pair
    apart = pm.cvar_historical(one) + pm.cvar_historical(two)
    assert pm.cvar_historical(one + two) <= apart + 1e-9 * (1 + apart)


@given(walks, st.floats(0.5, 0.99))
def test_a_correlation_is_symmetric_and_no_portfolio_has_a_negative_variance(table, decay):
    covariance = pm.ewma_covariance(table, decay)
    correlation = pm.correlation_of(covariance)
    assert np.array_equal(covariance, covariance.T)
    assert np.array_equal(correlation, correlation.T, equal_nan=True)
    assert (np.diag(correlation) == 1).all()
    assert np.linalg.eigvalsh(covariance).min() >= -1e-15
    known = correlation[np.isfinite(correlation)]
    assert ((known >= -1) & (known <= 1)).all()
    moved = np.diag(covariance) > 1e-12
    if moved.all():
        assert np.linalg.eigvalsh(correlation).min() >= -1e-9


@given(walks, st.floats(0.5, 0.99))
def test_the_closed_form_is_the_recursion(table, decay):
    recursive = np.zeros((table.shape[1],) * 2)
    for move in table:
        recursive = pm.ewma_update(recursive, move, decay)
    assert pm.ewma_covariance(table, decay) == pytest.approx(recursive / (1 - decay ** len(table)), abs=1e-15)


@given(st.integers(1, 1000), st.integers(2, 50), st.integers(0, 2**32 - 1))
def test_value_at_risk_grows_with_the_position(lots, factor, seed):
    fair = 2000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.001, 61)))
    small, large = (risk_metrics(desk(holding(size, fair[-1], fair)), horizon_s=1) for size in (lots, lots * factor))
    for name in ("var_95_quote", "var_95_normal_quote", "cvar_95_quote", "gross_quote", "net_quote"):
        assert getattr(large, name) == pytest.approx(factor * getattr(small, name), rel=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_a_hedge_with_itself_has_no_risk_but_its_gross(seed):
    fair = 2000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.001, 61)))
    both = risk_metrics(desk(holding(10, fair[-1], fair), holding(-10, fair[-1], fair)), horizon_s=1)
    assert both.var_95_quote == pytest.approx(0, abs=1e-9)
    assert both.var_95_normal_quote == pytest.approx(0, abs=1e-6)
    assert both.net_quote == 0 < both.gross_quote
    assert both.correlation.iloc[0, 1] == pytest.approx(1)
    assert both.stress.loc["correlation to 1", "pnl_quote"] < 0


# --- what is counted -----------------------------------------------------------------------------------------------------------


def test_prices_are_compared_over_the_same_steps_and_a_hole_is_not_a_calm():
    one = holding(fair=np.arange(61) + 2000.0)
    table, _ = moves([one], 10)
    assert table[:, 0] == pytest.approx(
        [2010 / 2000 - 1, 2020 / 2010 - 1, 2030 / 2020 - 1, 2040 / 2030 - 1, 2050 / 2040 - 1, 2060 / 2050 - 1]
    )
    kept = (one.ts_ns < 20 * S) | (one.ts_ns > 45 * S)
    gap = Holding(A, 10, 2000.0, one.bids, one.asks, one.orders, one.ts_ns[kept], one.fair_ticks[kept])
    table, _ = moves([gap], 10)  # at 30 and 40 s the last price is older than a step
    assert len(table) == 3


def test_a_horizon_finer_than_the_prices_is_refused():
    with pytest.raises(InputError, match=r"known every 1 s only; wanted 1 or more"):
        moves([holding()], 0.5)


def test_with_too_few_moves_there_is_no_number_and_it_says_how_many_are_wanted():
    metrics = risk_metrics(desk(holding(fair=np.linspace(2000, 2010, 30))), horizon_s=1)
    assert metrics.samples == 29
    for name in ("var_95_quote", "var_95_normal_quote", "cvar_95_quote"):
        assert math.isnan(getattr(metrics, name))
    assert math.isnan(metrics.stress.loc["volatility x 2", "pnl_quote"])
    assert metrics.stress.loc["price -1.0%", "pnl_quote"] == pytest.approx(-10 * 20 * 0.005)
    assert "want 40 moves of 1 s (40 s of prices), and there are 29" in metrics.notes[0]
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["var_95_quote"] is None
    assert "–" in metrics._repr_html_()


def test_exposure_is_signed_worth_and_currencies_are_not_added_without_a_rate():
    # A: 0.1 x 1000 USD = 100; B is -2 x 100 USD
    metrics = risk_metrics([desk(holding(10)), desk(holding(-2, 10_000.0, instrument=B))], horizon_s=1)
    assert (metrics.net_quote, metrics.gross_quote) == (pytest.approx(-100), pytest.approx(300))
    assert metrics.exposure["exposure_quote"].tolist() == pytest.approx([100, -200])
    assert metrics.exposure["gross_share"].tolist() == pytest.approx([1 / 3, 2 / 3])
    # 10 inverse contracts of 100 USD at 1000 are worth 1 X
    mixed = [desk(holding(10)), desk(holding(10, 2000.0, instrument=INVERSE))]
    with pytest.raises(InputError, match="X and USD cannot be added without a rate"):
        risk_metrics(mixed, horizon_s=1)
    with pytest.raises(InputError, match="wanted a number above zero"):
        risk_metrics(mixed, horizon_s=1, rates={"X": 0})
    assert risk_metrics(mixed[1], horizon_s=1).net_quote == pytest.approx(1)
    both = risk_metrics(mixed, horizon_s=1, rates={"X": 250})
    assert both.gross_quote == pytest.approx(100 + 250)
    assert both.currency == "USD"


def test_drawdown_counts_the_start_as_a_peak():
    assert pm.drawdown(np.array([0.0, 7.0, -2.0, 1.0])) == (6.0, 9.0)
    assert pm.drawdown(np.array([-3.0, -1.0])) == (1.0, 3.0)
    assert pm.drawdown(np.array([1.0]), peak=10.0) == (9.0, 9.0)
    metrics = risk_metrics(desk(holding()), horizon_s=1)
    assert (metrics.drawdown_quote, metrics.drawdown_quote_max) == (6.0, 9.0)


def test_what_says_nothing_keeps_its_last_value():
    times, total = summed([(np.array([1, 3]), np.array([10.0, 20.0])), (np.array([2]), np.array([1.0]))])
    assert (times.tolist(), total.tolist()) == ([1, 2, 3], [10, 11, 21])


# --- stress ------------------------------------------------------------------------------------------------------------------


def test_a_liquidation_walks_down_the_book():
    # long 10 at a mark of 2000: 5 at 1999, 5 at 1998: 5 + 10 tick-lots of 0.005
    assert liquidation_quote(holding(10)) == (pytest.approx(-0.075), 1.0)
    # a book a fifth as deep: 1 at 1999, 9 at 1998
    assert liquidation_quote(holding(10), 0.2) == (pytest.approx(-(1 + 18) * 0.005), 1.0)
    # short 60 of 55 offered: 5 at 2001, 50 and the 5 that are missing at 2002
    cost, share = liquidation_quote(holding(-60))
    assert (cost, share) == (pytest.approx(-(5 + 110) * 0.005), pytest.approx(55 / 60))
    assert liquidation_quote(holding(0)) == (0.0, 1.0)
    assert math.isnan(liquidation_quote(holding(10, bids=()))[0])


def test_a_wider_spread_costs_in_proportion():
    assert spread_quote(holding(10), 1) == pytest.approx(-0.05)
    assert spread_quote(holding(-10), 5) == pytest.approx(-0.25)


def test_a_price_shock_fills_our_orders_on_its_way():
    one = holding(10, orders=((BID, 1990, 4), (BID, 1500, 4), (ASK, 2010, 4)))
    # -10 %: to 1800. The position loses 200 ticks x 10, the bid at 1990 another 190 x 4; the bid at 1500 is not reached.
    assert shocked_quote(one, -0.10) == pytest.approx(-(2000 + 760) * 0.005)
    # +10 %: to 2200: gains 200 x 10, and the ask at 2010 sold 4 too early.
    assert shocked_quote(one, 0.10) == pytest.approx((2000 - 760) * 0.005)


@given(st.integers(-100, 100), st.floats(0.001, 0.5))
def test_without_orders_a_fall_and_a_rise_mirror_each_other(lots, shock):
    one = holding(lots)
    assert shocked_quote(one, shock) == pytest.approx(-shocked_quote(one, -shock))


def test_the_table_holds_every_scenario_and_answers_a_misspelt_one():
    fair = 2000 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.001, 61)))
    metrics = risk_metrics(desk(holding(10, fair[-1], fair)), horizon_s=1, price_shocks_frac=(0.02,), spread_factors=(3,))
    assert list(metrics.stress.index) == [
        "price -2.0%",
        "price +2.0%",
        "volatility x 2",
        "volatility x 3",
        "correlation to 1",
        "spread x 3",
        "liquidation",
        "liquidation, depth x 0.25",
    ]
    assert metrics.stress.loc["volatility x 3", "pnl_quote"] == pytest.approx(-3 * metrics.var_95_normal_quote)
    # one market alone has nothing to diversify
    assert metrics.stress.loc["correlation to 1", "pnl_quote"] == pytest.approx(-metrics.var_95_normal_quote)
    with pytest.raises(UnknownName, match="Did you mean 'spread_factors'"):
        risk_metrics(desk(holding()), horizon_s=1, spread_factor=(3,))


# --- from what runs ------------------------------------------------------------------------------------------------------------


def test_a_frame_gives_position_book_and_our_own_orders():
    story = Story(quoter(order_qty="0.1"), limits())
    story.book(1999, 2001, lots=50)
    story.answer()
    story.fill(next(o for o in story.orders() if o["side"] == BID), 10)
    story.answer()
    metrics = risk_metrics(story.state, horizon_s=1)
    assert metrics.net_quote == pytest.approx(0.1 * 1000)
    assert metrics.exposure.loc[A.symbol, "position"] == pytest.approx(0.1)
    # bought at 1999, worth 2000: +0.05; closing at the bid gives it back
    assert metrics.stress.loc["liquidation", "pnl_quote"] == pytest.approx(-0.05)
    # the next bid of 0.1 at 1999 is filled on the way down to 1980: (20 + 19) ticks x 10 lots
    assert metrics.stress.loc["price -1.0%", "pnl_quote"] == pytest.approx(-(200 + 190) * 0.005)
    assert metrics.samples == 0
    assert repr(metrics).startswith("<RiskMetrics net 100.00 USD")


def test_our_own_orders_are_no_liquidity():
    story = Story(quoter(order_qty="0.1"), limits(), own_in_book=True)
    story.book(1998, 2002, lots=50)
    story.answer()
    mine = next(int(o["price_ticks"]) for o in story.orders() if o["side"] == BID)
    story.tell(story.w.row(DEPTH, 0, BID, mine, 13))  # ours, and 3 of somebody else's
    (found,) = desk_of(story.state).holdings
    assert found.bids.tolist() == [[mine, 3], [1998, 50]]
    assert found.orders.tolist() == [[o["side"], o["price_ticks"], 10] for o in story.orders()]


def test_an_inverse_position_gains_less_than_it_loses():
    # long 10 x 100 USD at 1000: 1 X. At 900 it is worth 1.111 of them (-0.111 X), at 1100 .909 (+0.0909 X).
    one = holding(10, 2000.0, instrument=INVERSE)
    assert shocked_quote(one, -0.1) == pytest.approx(-1 / 9)
    assert shocked_quote(one, 0.1) == pytest.approx(1 / 11)


@pytest.fixture(scope="module")
def report():
    tape = sample()
    quoter_ = FixedSpread(order_qty="0.01", half_spread_ticks=0.5, skew_ticks_per_order=0.5)
    return backtest(tape, None, quoter_, Limits(position_qty_max="0.1", requests_per_s_max=100, requests_burst=100))


def test_a_report_gives_the_same_drawdown_and_a_book_to_walk(report):
    metrics = risk_metrics(report)
    summary = report.summary()
    assert metrics.drawdown_quote_max == pytest.approx(summary["drawdown_quote_max"])
    assert metrics.exposure["position"].iloc[0] == pytest.approx(summary["position_base"])
    assert metrics.samples >= metrics.samples_wanted
    assert metrics.cvar_95_quote >= metrics.var_95_quote > 0
    assert metrics.stress.loc["liquidation", "pnl_quote"] < 0
    assert "historical" in metrics._repr_html_()


def test_what_has_no_risk_says_what_was_wanted():
    with pytest.raises(InputError, match="wanted a Report, a Frame, a View or Session"):
        risk_metrics(7)

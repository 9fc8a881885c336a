"""Returns and their figures: by hand, by law, and beside empyrical-reloaded, quantstats and statsmodels."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hftlab as hl
from benchmarks.peers.metrics import compared
from hftlab.analytics.returns import returns as rt
from hftlab.analytics.returns.benchmark import against
from hftlab.analytics.returns.sharpe import moments, per_period, sharpe
from hftlab.analytics.returns.trades import TRADE, trade_figures, trades
from hftlab.errors import InputError
from hftlab.types import EVENT, SAMPLE

DAY_NS = rt.DAY_NS
some_returns = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60).map(np.array)


# --- beside others ---
def test_shared_conventions_are_equal_to_known_libraries_and_the_others_differ():
    rows = [row for seed in (1, 2, 3) for row in compared(seed)]
    assert {row.library for row in rows} >= {"empyrical-reloaded", "statsmodels"}
    wrong = [row for row in rows if not row.why and not row.apart <= 1e-12]
    assert not wrong
    stale = [row for row in rows if row.why and not row.apart > 1e-9]
    assert not stale, "listed as another convention, and equal"


# --- laws ---
@given(some_returns, st.floats(0.01, 100))
def test_a_sharpe_ratio_knows_no_scale(values, scale):
    first, second = sharpe(values, 365), sharpe(values * scale, 365)
    if math.isfinite(first.value):
        assert second.value == pytest.approx(first.value, rel=1e-9)
        assert second.error == pytest.approx(first.error, rel=1e-6)
        assert sharpe(-values, 365).value == pytest.approx(-first.value, rel=1e-9)


@given(some_returns)
def test_the_deepest_fall_is_the_same_read_backwards(values):
    # It is the smallest product of neighbouring factors, and products do not know a direction; so the start must count as a peak.
    there, back = rt.deepest_drawdown(values), rt.deepest_drawdown(values[::-1])
    assert back.depth == pytest.approx(there.depth, abs=1e-12)
    factors = 1 + values
    smallest = min(1.0, *(np.prod(factors[i : j + 1]) for i in range(len(values)) for j in range(i, len(values))))
    assert there.depth == pytest.approx(smallest - 1, abs=1e-12)


@given(some_returns)
def test_a_drawdown_says_where_it_was(values):
    found, wealth = rt.deepest_drawdown(values), np.cumprod(np.concatenate([[1.0], 1 + values]))
    assert wealth[found.trough] / wealth[found.peak] - 1 == pytest.approx(found.depth, abs=1e-12)
    if found.recovered is not None:
        assert wealth[found.recovered] >= wealth[found.peak]
        assert (wealth[found.peak + 1 : found.recovered] < wealth[found.peak]).all()
        assert found.under_water_max >= found.recovered - found.peak - 1


@given(st.integers(0, 1000), st.floats(0.01, 1000))
def test_returns_know_no_currency_and_no_finer_samples(seed, scale):
    rng = np.random.default_rng(seed)
    ts_ns = np.sort(rng.integers(0, 10 * DAY_NS, 400))
    pnl = np.cumsum(rng.normal(0, 1, 400))
    one = rt.returns_of(ts_ns, pnl, 1000.0)
    assert rt.returns_of(ts_ns, pnl * scale, 1000.0 * scale).values == pytest.approx(one.values, abs=1e-12)
    last = np.append(np.flatnonzero(np.diff(ts_ns // DAY_NS)), 399)
    keep = np.union1d(last, [0])
    assert rt.returns_of(ts_ns[keep], pnl[keep], 1000.0).values == pytest.approx(one.values, abs=1e-15)
    assert 1000 * np.prod(1 + one.values) == pytest.approx(1000 + pnl[-1])


# --- by hand ---
def test_days_are_calendar_days_and_a_cut_day_is_no_day():
    # From noon of day 0 to noon of day 3 on 100 of capital: +1 by midnight, +2 on day 1, a loss of 3 on day 2, +4 on the morning of day 3.
    ts_ns = np.array([0.5, 0.999, 1.5, 1.9999, 2.5, 3.5]) * DAY_NS
    found = rt.returns_of(ts_ns.astype(np.int64), np.array([0.0, 1.0, 2.0, 3.0, 0.0, 4.0]), 100.0)
    assert found.values == pytest.approx([1 / 100, 2 / 101, -3 / 103, 4 / 100])
    assert found.covered == pytest.approx([0.5, 1, 1, 0.5])
    assert found.whole == pytest.approx([2 / 101, -3 / 103])
    assert (found.start_ns // DAY_NS).tolist() == [0, 1, 2, 3]


def test_figures_by_hand():
    r = [0.10, -0.05, 0.0, 0.02]
    assert rt.total_return(r) == pytest.approx(1.1 * 0.95 * 1.02 - 1)
    assert rt.downside(r) == pytest.approx(math.sqrt(0.05**2 / 4))  # over all four
    assert rt.sortino(r, None) == pytest.approx(0.0175 / 0.025)
    assert rt.deepest_drawdown(r) == rt.Drawdown(pytest.approx(-0.05), 1, 2, None, 3)
    assert rt.deepest_drawdown([-0.1, -0.1]).depth == pytest.approx(-0.19)  # who only lost has drawn down
    assert rt.cagr(r, 4) == pytest.approx(rt.total_return(r))
    assert rt.calmar(r, 4) == pytest.approx(rt.total_return(r) / 0.05)
    one = sharpe([1.0, 3.0], 4)
    assert (one.value, one.n) == (pytest.approx(2 / math.sqrt(2) * 2), 2)


@pytest.mark.parametrize("values", [[], [0.1], [0.01] * 20, [0.0] * 5])
def test_too_few_returns_or_none_that_vary_have_no_ratio(values):
    one = sharpe(values, 365)
    assert math.isnan(one.value)
    assert math.isnan(one.low)
    assert math.isnan(one.probability)
    assert math.isnan(rt.sortino(values, 365))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sharpe([0.1, 0.2], 365, method="magic"), "magic"),
        (lambda: sharpe([[0.1], [0.2]], 365), "shape"),
        (lambda: sharpe([0.1, math.inf], 365), "infinite"),
        (lambda: rt.returns_of(np.array([0]), np.array([1.0]), 0.0), "above zero"),
        (lambda: rt.returns_of(np.array([0]), np.array([-11.0]), 10.0), "more capital"),
        (lambda: rt.period_ns("1 fortnight"), "fortnight"),
        (lambda: rt.period_ns("0D"), "0D"),
        (lambda: against([0.1, 0.2], [0.1], 365), "same periods"),
    ],
)
def test_bad_input_says_what_was_wanted(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_periods_in_words():
    assert [rt.period_ns(one) for one in ("1D", "4h", "15min", "30s", "D")] == [DAY_NS, DAY_NS // 6, DAY_NS // 96, 30_000_000_000, DAY_NS]


# --- intervals, by simulation ---
def test_the_error_of_a_ratio_holds_for_skewed_returns_where_the_normal_one_does_not():
    rng = np.random.default_rng(5)
    draws = 0.6 - rng.gamma(1.0, 0.5, (3000, 300))  # mean 0.1, sd 0.5, skew -2, kurtosis 9
    found = draws.mean(axis=1) / draws.std(axis=1, ddof=1)
    errors = {method: np.mean([sharpe(one, None, method=method).error for one in draws[:200]]) for method in ("moments", "normal")}
    assert errors["moments"] == pytest.approx(found.std(), rel=0.05)
    assert errors["normal"] < 0.93 * found.std()


def test_the_error_grows_with_autocorrelation_only_where_it_is_asked_for():
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(400, 1000))
    for t in range(1, 1000):
        noise[:, t] += 0.3 * noise[:, t - 1]
    found = noise.mean(axis=1) / noise.std(axis=1, ddof=1)
    hac = np.mean([sharpe(one, None, method="hac").error for one in noise[:60]])
    assert hac == pytest.approx(found.std(), rel=0.12)
    assert sharpe(noise[0], None).error < 0.8 * found.std()


def test_moments_are_those_of_the_law():
    skew, kurtosis = moments(np.random.default_rng(0).exponential(size=400_000))
    assert skew == pytest.approx(2, rel=0.03)
    assert kurtosis == pytest.approx(9, rel=0.07)


# --- of a report ---
@pytest.fixture(scope="module")
def report():
    return hl.backtest(
        hl.sample(),
        None,
        hl.FixedSpread(order_qty="0.01", half_spread_ticks=1),
        hl.Limits(position_qty_max="0.05"),
        fees=hl.Fees(maker_bps=1),
    )


def with_curve(report, ts_ns, pnl):
    """The same report with another sampled P&L."""
    rows = np.zeros(len(ts_ns), EVENT)
    rows["kind"], rows["ts_recv_ns"], rows["ts_exch_ns"] = SAMPLE, ts_ns, ts_ns
    rows["leaves_lots"] = np.asarray(pnl, np.float64).view(np.int64)
    rows["price_ticks"] = (100.0 + 0.001 * np.asarray(pnl)).view(np.int64)
    return dataclasses.replace(report, facts=dataclasses.replace(report.facts, samples=rows))


def test_a_short_run_has_no_daily_sharpe_and_says_so(report):
    found = report.performance(capital_quote=1000)
    assert math.isnan(found.sharpe.value)
    assert "no daily Sharpe" in found.said[0]
    assert "no daily Sharpe" in found._repr_html_()
    by_second = report.performance(capital_quote=1000, every="1s", days_per_year=365)
    assert by_second.sharpe.periods_per_year is None  # a second is never annualised
    assert by_second.figures["sharpe"].value == pytest.approx(per_period(report.returns(capital_quote=1000, every="1s").whole))
    assert "not annualised" in by_second.said[0]
    assert by_second.figures["sharpe"].low < by_second.figures["sharpe"].value < by_second.figures["sharpe"].high


def test_forty_days_by_hand(report):
    rng = np.random.default_rng(1)
    moves = rng.normal(1.0, 5.0, 42)
    hours = np.arange(42 * 24 + 1) * (DAY_NS // 24) + 1000 * DAY_NS
    pnl = np.concatenate([[0.0], np.cumsum(np.repeat(moves / 24, 24))])
    made = with_curve(report, hours, pnl)
    found = made.performance(capital_quote=1000.0, days_per_year=365, benchmark="hold")
    days = made.returns(capital_quote=1000.0)
    assert len(days.whole) == 42
    assert found.sharpe.value == pytest.approx(days.whole.mean() / days.whole.std(ddof=1) * math.sqrt(365))
    assert found.figures["cagr"].value == pytest.approx((1 + days.whole).prod() ** (365 / 42) - 1)
    assert found.figures["beta"].low < found.figures["beta"].value < found.figures["beta"].high
    rolled = made.rolling_sharpe(capital_quote=1000.0, window=30, days_per_year=365)
    assert rolled["sharpe"].iloc[29] == pytest.approx(days.whole[:30].mean() / days.whole[:30].std(ddof=1) * math.sqrt(365))
    assert (rolled["low"].iloc[29:42] < rolled["sharpe"].iloc[29:42]).all()
    with pytest.raises(InputError, match="30 periods"):
        made.rolling_sharpe(capital_quote=1000.0, window=10)


def test_an_unknown_benchmark_is_refused(report):
    with pytest.raises(InputError, match="hold"):
        report.performance(capital_quote=1000, benchmark="S&P")


def test_every_figure_of_the_table_says_how_it_was_made(report):
    table = report.performance(capital_quote=1000, every="10s").frame()
    assert (table["how"].str.len() > 5).all()
    assert {"win_rate", "average_trade_quote", "profit_factor", "turnover_per_day", "max_drawdown", "var"} <= set(table.index)


# --- trades ---
def test_trades_by_hand():
    # Bought 2 at 100 and 2 at 110 (average 105), sold 3 at 120: 45. Sold 3 at 90: closes 1 (a loss of 15), and is short 2 at 90.
    # Bought 2 at 80: 20. Fees of 1 on each fill; of the fourth a third closes.
    one = hl.Instrument.bundled("sim:BTC/USDT")
    unit = one.ticklot_quote
    from hftlab.analytics.facts.collector import FILL_FACT

    fills = np.zeros(5, FILL_FACT)
    fills["ts_ns"] = np.arange(5)
    fills["side"], fills["qty_lots"] = [1, 1, -1, -1, 1], [2, 2, 3, 3, 2]
    fills["price_ticks"], fills["fee_ticklots"] = [100, 110, 120, 90, 80], 1
    made = trades(fills, (one,))
    assert (made["gross_quote"] / unit).tolist() == pytest.approx([45, -15, 20])
    assert (made["fees_quote"] / unit).tolist() == pytest.approx([1.5 + 1, 0.5 + 1 / 3, 2 / 3 + 1])
    assert made["side"].tolist() == [1, 1, -1]
    found = trade_figures(made)
    assert found["win_rate"].value == pytest.approx(2 / 3)
    assert found["profit_factor"].value == pytest.approx((42.5 + 20 - 5 / 3) / (15 + 5 / 6))
    assert math.isnan(found["win_rate"].low)  # three trades have no interval


def test_a_desk_that_never_won_is_not_sure_of_it():
    made = np.zeros(46, TRADE)
    made["closed_ns"], made["net_quote"] = np.arange(46), -1.0
    found = trade_figures(made)
    # Wilson (1927) for 0 of 46: z^2 / (n + z^2).
    assert (found["win_rate"].low, found["win_rate"].high) == (0.0, pytest.approx(1.959964**2 / (46 + 1.959964**2), rel=1e-6))
    assert math.isnan(found["profit_factor"].low)


def test_the_trades_of_a_run_add_up_to_what_its_books_realised(report):
    made, account = trades(report.fills, report.instruments), report.accounts[0]
    unit = report.instruments[0].ticklot_quote  # the books round each closing down to a whole one
    assert made["gross_quote"].sum() == pytest.approx(account["gross_quote"] - account["open_quote"], abs=len(made) * unit)
    opening = report.frame()["fee_quote"].sum() - made["fees_quote"].sum()
    assert -1e-9 <= opening <= account["fees_quote"]  # the fees of what is still open
    assert int(made["lots"].sum()) < int(report.fills["qty_lots"].sum())

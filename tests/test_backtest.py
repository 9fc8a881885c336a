"""Backtests: the same run twice, two instruments, strategies, and what is refused."""

import numpy as np
import pytest
from numba import njit
from tapes import A, B, build_tape

import hftlab as hl
from hftlab.data.tape import Tape
from hftlab.errors import InputError, TapeError, UnknownName
from hftlab.types import TIMER

BTC = hl.Instrument.bundled("sim:BTC/USDT")
LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=200)
QUOTER = hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01")


@pytest.fixture(scope="module")
def tape():
    return hl.sample()


@njit
def decide(desk, market, params, quote):
    quote.bid_ticks = int(np.floor(market.fair_ticks - params.user0))
    quote.ask_ticks = int(np.ceil(market.fair_ticks + params.user0))
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


def test_the_same_backtest_twice_is_the_same_to_the_last_fill(tape):
    one, two = (hl.backtest(tape, BTC, QUOTER, LIMITS, latency=hl.Latency(order_ms=5)) for _ in range(2))
    assert one.digest == two.digest
    assert one.summary()["fills"] == len(one.frame()) > 10


def test_the_curves_end_where_the_account_ends(tape):
    report = hl.backtest(tape, BTC, QUOTER, LIMITS, fees=hl.Fees(maker_bps=1))
    frame, summary = report.frame(), report.summary()
    signed = np.where(frame["side"] == "buy", frame["qty"], -frame["qty"])
    assert signed.sum() == pytest.approx(summary["position_base"])
    assert frame["fee_quote"].sum() == pytest.approx(summary["fees_quote"])
    cash = -(signed * frame["price"]).sum() - frame["fee_quote"].sum()
    last_fair = report.curves()["fair"].iloc[-1]
    assert cash + signed.sum() * last_fair == pytest.approx(summary["pnl_quote"], abs=0.02)
    assert summary["fees_quote"] > 0
    assert "digest" in report._repr_html_()


def test_more_latency_or_a_more_averse_queue_never_fills_all_the_same(tape):
    fast = hl.backtest(tape, BTC, QUOTER, LIMITS, queue="power", latency=hl.Latency(order_ms=1))
    slow = hl.backtest(tape, BTC, QUOTER, LIMITS, queue="power", latency=hl.Latency(order_ms=200))
    averse = hl.backtest(tape, BTC, QUOTER, LIMITS, queue="risk_averse", latency=hl.Latency(order_ms=1))
    assert len({fast.digest, slow.digest, averse.digest}) == 3
    for report in (fast, slow, averse):
        assert report.summary()["fills"] > 0


def test_two_instruments_share_a_desk_and_keep_their_own_accounts():
    steps = [(i % 2, what, n, 40, 120) for i, (what, n) in enumerate([("trade", 1), ("move", 1), ("sweep", -2), ("move", -2)] * 30)]
    rows = build_tape(steps, copies=False, commands=False)
    tape = Tape(np.ascontiguousarray(rows[rows["kind"] < TIMER]), (A, B))
    quoters = (hl.FixedSpread(order_qty="0.2", half_spread_ticks=1), hl.FixedSpread(order_qty="20", half_spread_ticks=1))
    limits = (hl.Limits(position_qty_max="1"), hl.Limits(position_qty_max="100"))
    report = hl.backtest(tape, None, quoters, limits)
    assert [account["fills"] > 0 for account in report.accounts] == [True, True]
    assert report.pnl_quote == pytest.approx(sum(account["pnl_quote"] for account in report.accounts))
    assert set(report.frame()["instrument"]) == {"A/USD", "B/USD"}


def test_a_users_quoter_equals_the_built_in_one_that_does_the_same(tape):
    own = hl.backtest(tape, BTC, hl.UserQuoter(decide=decide, order_qty="0.01", values={"edge": 1.0}), LIMITS)
    built_in = hl.backtest(tape, BTC, hl.FixedSpread(order_qty="0.01", half_spread_ticks=1.0), LIMITS)
    assert own.fills.tobytes() == built_in.fills.tobytes()
    assert len(own.fills) > 0


def test_a_strategy_is_worked_to_its_targets(tape):
    strategy = hl.ZScoreReversion(qty="0.02", lookback=20)
    report = hl.backtest(tape, BTC, hl.WorkTarget(order_qty="0.01"), LIMITS, strategy=strategy, bar_s=2)
    positions = report.curves()["position_base"]
    assert {round(float(p), 3) for p in positions} >= {-0.02, 0.0} or {round(float(p), 3) for p in positions} >= {0.02, 0.0}
    assert positions.abs().max() <= 0.02 + 1e-12


def test_what_cannot_be_backtested_is_refused_in_words(tape):
    with pytest.raises(UnknownName, match="Did you mean 'latency'"):
        hl.backtest(tape, BTC, QUOTER, LIMITS, latncy=hl.Latency())
    with pytest.raises(InputError, match=r"has tick 0\.01"):
        hl.backtest(tape, hl.Instrument.bundled("binance:BTC/USDT"), QUOTER, LIMITS)
    with pytest.raises(InputError, match="Did you mean 'power'"):
        hl.backtest(tape, BTC, QUOTER, LIMITS, queue="powr")
    with pytest.raises(InputError, match="order_ms was -1"):
        hl.backtest(tape, BTC, QUOTER, LIMITS, latency=hl.Latency(order_ms=-1))
    with pytest.raises(InputError, match="2 quoters were given for 1"):
        hl.backtest(tape, BTC, (QUOTER, QUOTER), LIMITS)
    rows = tape.rows[:500].copy()
    rows["ts_exch_ns"] += 2_000_000_000
    with pytest.raises(TapeError, match="clock"):
        hl.backtest(Tape(rows, tape.instruments), BTC, QUOTER, LIMITS)


def test_true_places_are_not_guessed_from_data_that_has_none(tape):
    with pytest.raises(InputError, match="needs order-by-order data"):
        hl.backtest(tape, BTC, QUOTER, LIMITS, queue="fifo")


@pytest.mark.parametrize(
    ("venue", "words"),
    [
        ({"latency": hl.Latency(order_ms=1, jitter_ms=2)}, "knows order_ms and report_ms only"),
        ({"latency": hl.Latency(order_ms=1, cancel_ms=2)}, "knows order_ms and report_ms only"),
        ({"fills": "modelled", "queue": "fifo"}, "does not send"),
    ],
)
def test_a_paper_venue_refuses_what_it_would_not_heed(venue, words):
    with pytest.raises(InputError, match=words):
        hl.PaperVenue(**venue).matched(hl.SynthFeed(BTC, seed=1))
    with pytest.raises(InputError, match="no use for recorded"):
        hl.PaperVenue(latency=hl.Latency(recorded=[(1, 2, 3)]))


def test_the_latencies_of_one_run_are_the_recorded_ones_of_another():
    """A run with a constant latency, told by its own orders, is the same run; a random one is followed order by order."""
    tape, quoter, limits = (
        hl.sample().slice(0, 180),
        hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5),
        hl.Limits(position_qty_max="0.1"),
    )
    plain = hl.backtest(tape, None, quoter, limits, latency=hl.Latency(order_ms=4, report_ms=7))
    trips = plain.round_trips()
    assert len(trips) > 20
    assert set(np.diff(trips, axis=1)[:, 0]) == {4 * 1_000_000}
    told = hl.backtest(tape, None, quoter, limits, latency=hl.Latency(recorded=trips, order_ms=4, report_ms=7))
    assert told.digest == plain.digest
    rough = hl.backtest(tape, None, quoter, limits, latency=hl.Latency(order_ms=4, jitter_ms=3, seed=2))
    recorded = rough.round_trips()
    followed = hl.backtest(tape, None, quoter, limits, latency=hl.Latency(recorded=recorded)).round_trips()
    # Between two recorded orders the latency goes in a straight line; the steps of the rows that carry it leave less than a microsecond.
    between = np.interp(followed[:, 0], recorded[:, 0], np.diff(recorded, axis=1)[:, 0].astype(np.float64))
    assert np.abs(np.diff(followed, axis=1)[:, 0] - between).max() < 1000

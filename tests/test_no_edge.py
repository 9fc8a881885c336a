"""A market without an edge gives no profit: what a backtester that peeks, or fills too kindly, would get wrong.

Twenty markets of the matching engine in which trades tell nothing (`informed=0`). Whoever takes at random pays half the spread and
the fees, and nothing else happens to him on average. A strategy that sees one second ahead, on the same tapes, shows that the test
would find a peek. With toxic flow a naive maker loses. Longer runs of the same: `python -m benchmarks no_edge`.
"""

import numpy as np
import pytest

import hftlab as hl
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.types import DEPTH

BTC = hl.Instrument.bundled("sim:BTC/USDT")
SEEDS = range(20)
FAR = hl.Limits(
    position_qty_max="0.5", loss_quote_max=1e9, drawdown_frac_max=1e9, capital_quote=1e9, requests_per_s_max=1e3, requests_burst=1e3
)


class RandomTargets:
    """A new position every second, drawn without a look at the market."""

    every_s = 1.0

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def on_timer(self, frame):
        return {0: float(self.rng.integers(-3, 4)) * 0.01}


class Peeks:
    """A position in the direction of the next second: it holds the prices that are yet to come."""

    every_s = 1.0

    def __init__(self, tape):
        bids = tape.rows[(tape.rows["kind"] == DEPTH) & (tape.rows["side"] == 1) & (tape.rows["qty_lots"] > 0)]
        self.times, self.prices = bids["ts_recv_ns"], bids["price_ticks"]

    def on_timer(self, frame):
        now_ns = int(frame.desk["now_ns"])
        now, then = (np.searchsorted(self.times, now_ns + ahead) for ahead in (0, 1_000_000_000))
        if then >= len(self.prices):
            return {}
        return {0: 0.03 * float(np.sign(np.median(self.prices[then - 20 : then]) - np.median(self.prices[max(now - 20, 0) : now + 1])))}


def market(seed, seconds=60, **options):
    return Tape(synth_rows(BTC, seconds, seed, latency_ns=1_000_000, **options), (BTC,))


def beyond_costs(tape, strategy):
    """P&L before fees and without the half-spread paid, in quote currency: zero on average if nothing is known."""
    quoter, fees = hl.WorkTarget(order_qty="0.06", taking=True), hl.Fees(taker_bps=1)
    report = hl.backtest(tape, BTC, quoter, FAR, strategy=strategy, fees=fees, latency=hl.Latency(order_ms=2))
    fills = report.frame()
    assert len(fills) > 20
    signed = np.where(fills["side"] == "buy", fills["qty"], -fills["qty"])
    half_spread = float((signed * (fills["fair"] - fills["price"])).sum())
    assert half_spread < 0  # a taker pays it
    return report.pnl_quote + float(fills["fee_quote"].sum()) - half_spread


def mean_and_error(values):
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))


def test_without_an_edge_a_taker_loses_his_costs_and_nothing_else():
    found = [beyond_costs(market(seed, informed=0.0), RandomTargets(seed)) for seed in SEEDS]
    mean, error = mean_and_error(found)
    assert abs(mean) < 3 * error


def test_a_strategy_that_peeks_would_be_found():
    found = []
    for seed in SEEDS[:8]:
        tape = market(seed, informed=0.0)
        found.append(beyond_costs(tape, Peeks(tape)))
    mean, error = mean_and_error(found)
    assert mean > 5 * error


def test_with_toxic_flow_naive_quoting_loses():
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, skew_ticks_per_order=0.5)
    found = [
        hl.backtest(market(seed, toxic=1.0), BTC, quoter, FAR, latency=hl.Latency(order_ms=20), queue="power").pnl_quote for seed in SEEDS
    ]
    mean, error = mean_and_error(found)
    assert mean < -3 * error


@pytest.mark.parametrize("queue", ["risk_averse", "power", "touch"])
def test_fills_are_never_kinder_than_the_prints(queue):
    tape = market(1)
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1)
    report = hl.backtest(tape, BTC, quoter, FAR, queue=queue)
    printed = tape.rows[tape.rows["kind"] == 2]["qty_lots"].sum()
    assert 0 < report.fills["qty_lots"].sum() <= printed

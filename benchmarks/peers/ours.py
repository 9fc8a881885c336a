"""The rule of the comparison in hftlab, on the same npz that hftbacktest's converter wrote."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

import hftlab as hl
from benchmarks.peers.compare import FILL as FILL_ROW
from benchmarks.peers.compare import ORDER as ORDER_ROW
from benchmarks.peers.compare import Run
from hftlab.backtesting.timers import with_timers
from hftlab.data.state import State, build
from hftlab.types import CANCEL, EVENT, FILL, SUBMIT
from hftlab.usercode.run import runner

INTERVAL_NS = 100_000_000
INSTRUMENT = hl.Instrument(venue="binanceusdm", symbol="BTC/USDT:USDT", base="BTC", quote="USDT", tick_size="0.1", lot_size="0.001")
# hftbacktest has no risk gate: every limit of ours is set where it cannot be met.
LIMITS = hl.Limits(
    position_qty_max=1000,
    order_qty_max=1,
    orders_max=128,
    capital_quote=1e12,
    loss_quote_max=1e12,
    drawdown_frac_max=1e6,
    requests_per_s_max=1e6,
    requests_burst=1e6,
    price_band_bps=1e6,
    stale_s_max=1e6,
)


@njit
def decide(desk, market, params, quote):
    """Quote as docs/benchmarks.md says; a lot is 0.001, so 10 lots are the order and 200 the limit. user0: levels, user1: step."""
    step = int(params.user1)
    fair = (market.book.best_bid_ticks + market.book.best_ask_ticks) / 2.0 - 0.5 * market.position_lots / 10.0
    bid = min(math.floor(fair - 2.0), market.book.best_bid_ticks)
    ask = max(math.ceil(fair + 2.0), market.book.best_ask_ticks)
    quote.bid_ticks = bid // step * step
    quote.ask_ticks = -(-ask // step) * step
    quote.bid_lots = 10 if market.position_lots < 200 else 0
    quote.ask_lots = 10 if market.position_lots > -200 else 0
    quote.levels = int(params.user0)
    quote.step_ticks = step


class Ours:
    """A tape and a compiled run, ready to be run again and again."""

    def __init__(self, path: Path, start_ns: int, levels: int = 1, step: int = 1) -> None:
        self.tape = hl.load(path, INSTRUMENT)
        # No hysteresis, no minimum life: an order anywhere but at the wished price is cancelled and sent anew.
        grid = {"levels": levels, "step": step}
        self.quoter = hl.UserQuoter(decide=decide, order_qty="0.01", hysteresis_ticks=1.0, life_ms_min=0.0, decide_on="timer", values=grid)
        self.rows = np.concatenate(list(with_timers(iter((self.tape.merge().rows,)), INTERVAL_NS, start=start_ns)))
        self.compiled = runner(decide)

    def run(self) -> tuple[float, Run, State]:
        """Run once from a fresh desk. Returns the seconds of the compiled run alone, what it did, and its final state."""
        state = build(
            [INSTRUMENT],
            [self.quoter],
            [LIMITS],
            fees=hl.Fees(maker_bps=-0.5, taker_bps=7),
            latency=hl.Latency(order_ms=5),
            queue=hl.Queue(model="power", power=2.0, partial_fills=False),
            sample_ms=0,
        )
        state.step(self.compiled, np.zeros(0, EVENT))
        began = time.perf_counter()
        written = state.step(self.compiled, self.rows)
        return time.perf_counter() - began, as_run(written, state), state


def as_run(written: Any, state: State) -> Run:
    """Return the orders and fills among the rows that a run wrote."""
    sent, filled = written[written["kind"] == SUBMIT], written[written["kind"] == FILL]
    orders, fills = np.zeros(len(sent), ORDER_ROW), np.zeros(len(filled), FILL_ROW)
    orders["sent_ns"], orders["price_ticks"], orders["side"] = sent["ts_recv_ns"], sent["price_ticks"], sent["side"]
    fills["exch_ns"], fills["price_ticks"], fills["qty_lots"] = filled["ts_exch_ns"], filled["price_ticks"], filled["qty_lots"]
    fills["side"] = filled["side"]
    number = {int(order_id): row for row, order_id in enumerate(sent["order_id"])}
    fills["order"] = [number[int(order_id)] for order_id in filled["order_id"]]
    market = state.markets[0]
    cancels = int(np.count_nonzero(written["kind"] == CANCEL))
    return Run(orders, fills, cancels, int(market["position_lots"]), float(market["pnl_quote"]))

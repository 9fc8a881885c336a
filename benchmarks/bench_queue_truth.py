"""How wrong the queue models are: small orders with a known fate, and a whole quoter whose session is backtested afterwards.

The first part is `hl.calibrate_queue` over 20 seeds, in the plain market and in one with toxic flow. In the second a symmetric quoter of one
level trades in the matching engine; what the public saw, without its orders, is then a tape on which the same quoter is backtested
with each queue model, at the same latency. The truth is its own session.
"""

import time
from typing import Any

import numpy as np

import hftlab as hl
from hftlab.analytics.queues.calibrate import calibrate_queue
from hftlab.analytics.queues.picture import markdown
from hftlab.analytics.queues.result import QueueCalibration
from hftlab.data.state import build
from hftlab.data.synth import SAMPLE_START_NS
from hftlab.data.tape import Tape
from hftlab.kernels import core
from hftlab.types import ACCEPTED, AMENDED, CANCEL, CANCELED, DEPTH, FILL, L3_ORDER, SUBMIT
from hftlab.venues.simulated import SimulatedMarket

SEEDS, MINUTES = 20, 10.0
SESSION_S, STEP_NS = 120, 10_000_000
LATENCY_MS = 5  # there and back: at least one step together, or a request would come late
MODELS = ("through", "risk_averse", hl.Queue(model="power", power=1.0), "power", "log", "touch")
BTC = hl.Instrument.bundled("sim:BTC/USDT")
QUOTER = hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5, skew_ticks_per_order=0.25)
LIMITS = hl.Limits(
    position_qty_max="0.1", loss_quote_max=1e9, drawdown_frac_max=1e9, capital_quote=1e9, requests_per_s_max=1e3, requests_burst=1e3
)


def run() -> dict[str, object]:
    """Return the calibration tables, what they took, and the quoter's truth beside its backtests."""
    began = time.perf_counter()
    calibrate_queue(seeds=range(3), minutes=3)
    small_s = time.perf_counter() - began
    began = time.perf_counter()
    plain = calibrate_queue(seeds=range(SEEDS), minutes=MINUTES)
    took_s = time.perf_counter() - began
    toxic = calibrate_queue(seeds=range(SEEDS), minutes=MINUTES, toxic=0.5)
    return {
        "seeds": SEEDS,
        "minutes": MINUTES,
        "took_s": round(took_s, 1),
        "goal_s": 120,
        "small_took_s": round(small_s, 1),
        "goal_small_s": 10,
        "plain": _said(plain),
        "toxic": _said(toxic),
        "quoter": sessions(),
    }


def _said(calibration: QueueCalibration) -> dict[str, object]:
    table = calibration.table().round(5)
    return {
        "orders": len(calibration.seed),
        "table": table.to_dict("index"),
        "words": calibration.words(),
        "markdown": markdown(calibration),
    }


# --- a quoter ----------------------------------------------------------------------------------------------------------------------


def sessions(seeds: int = SEEDS) -> dict[str, Any]:
    """Return P&L and lots of the quoter in truth and by each model: means over seeds with standard errors, differences paired."""
    names = ["truth", *(hl.Queue.of(model).text() for model in MODELS)]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for seed in range(seeds):
        pnl, lots, tape = session(seed)
        found["truth"].append((pnl, lots))
        for name, model in zip(names[1:], MODELS, strict=True):
            report = hl.backtest(tape, BTC, QUOTER, LIMITS, queue=model, latency=hl.Latency(order_ms=LATENCY_MS))
            found[name].append((report.pnl_quote / BTC.ticklot_quote, float(report.fills["qty_lots"].sum())))
    truth = np.array(found["truth"])
    return {name: _mean(np.array(values), truth) for name, values in found.items()}


def _mean(values: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    more = values - truth
    error = more.std(axis=0, ddof=1) / np.sqrt(len(more))
    return {
        "pnl_ticklots": round(float(values[:, 0].mean()), 1),
        "pnl_ticklots_se": round(float(values[:, 0].std(ddof=1) / np.sqrt(len(values))), 1),
        "pnl_ticklots_more": round(float(more[:, 0].mean()), 1),
        "pnl_ticklots_more_se": round(float(error[0]), 1),
        "ticks_per_lot": round(float(values[:, 0].sum() / values[:, 1].sum()), 3),
        "lots": round(float(values[:, 1].mean())),
        "lots_more_share": round(float(more[:, 1].mean() / truth[:, 1].mean()), 4),
        "lots_more_share_se": round(float(error[1] / truth[:, 1].mean()), 4),
    }


def session(seed: int) -> tuple[float, float, Tape]:
    """Let the quoter trade in the matching engine; return its P&L in ticks x lots, the lots it traded, and what the public saw."""
    latency_ns = LATENCY_MS * 1_000_000
    market = SimulatedMarket(BTC, seed=seed, start_ns=SAMPLE_START_NS, entry_ns=latency_ns, response_ns=latency_ns)
    state = build((BTC,), (QUOTER,), (LIMITS,), simulate=False, own_in_book=True)
    rows, parts = market.snapshot(), []
    for now_ns in range(SAMPLE_START_NS + STEP_NS, SAMPLE_START_NS + SESSION_S * 1_000_000_000, STEP_NS):
        if len(rows):
            parts.append(rows)
            written = state.step(core.run, rows)
            requests = written[(written["kind"] >= SUBMIT) & (written["kind"] <= CANCEL)]
            if len(requests):
                market.submit(requests)
        rows = market.advance(now_ns)
    traded = int(state.markets["bought_lots"][0] + state.markets["sold_lots"][0])
    return float(state.desk["pnl_quote"][0]) / BTC.ticklot_quote, float(traded), Tape(public(np.concatenate(parts)), (BTC,))


def public(rows: np.ndarray) -> np.ndarray:
    """Return the market rows with our lots taken out of every level; reports go."""
    resting: dict[int, tuple[int, int]] = {}  # order id: the row since which it rests so, and its lots
    for at in np.flatnonzero(np.isin(rows["kind"], (ACCEPTED, AMENDED, FILL, CANCELED))):
        order_id = int(rows["order_id"][at])
        if order_id in resting:
            _take_out(rows, *resting.pop(order_id), int(at))
        if rows["kind"][at] != CANCELED and rows["leaves_lots"][at] > 0:
            resting[order_id] = (int(at), int(rows["leaves_lots"][at]))
    for since, lots in resting.values():
        _take_out(rows, since, lots, len(rows))
    return rows[(rows["kind"] >= DEPTH) & (rows["kind"] <= L3_ORDER)]


def _take_out(rows: np.ndarray, since: int, lots: int, until: int) -> None:
    part = rows[since:until]
    ours = (part["kind"] == DEPTH) & (part["price_ticks"] == part["price_ticks"][0]) & (part["side"] == part["side"][0])
    part["qty_lots"][ours] -= lots

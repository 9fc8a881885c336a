"""Profit where there is none to be had: 20 simulated markets of ten minutes each, paired by seed.

`beyond_costs_quote` is the P&L of a taker at random targets, before fees and without the half-spread he paid: zero on average, or
the backtester peeks. `toxic_pnl_quote` is a naive maker's P&L where takers see news first: it must lose.
"""

import numpy as np

import hftlab as hl
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape

SEEDS, SECONDS = 20, 600
BTC = hl.Instrument.bundled("sim:BTC/USDT")
FAR = hl.Limits(
    position_qty_max="0.5", loss_quote_max=1e9, drawdown_frac_max=1e9, capital_quote=1e9, requests_per_s_max=1e3, requests_burst=1e3
)


class RandomTargets:
    """A new position every second, drawn without a look at the market."""

    every_s = 1.0

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def on_timer(self, frame: object) -> dict[int, float]:
        """Return the wished position in base units."""
        return {0: float(self.rng.integers(-3, 4)) * 0.01}


def _taker(seed: int) -> tuple[float, float]:
    tape = Tape(synth_rows(BTC, SECONDS, seed, informed=0.0), (BTC,))
    quoter, fees = hl.WorkTarget(order_qty="0.06", taking=True), hl.Fees(taker_bps=1)
    report = hl.backtest(tape, BTC, quoter, FAR, strategy=RandomTargets(seed), fees=fees, latency=hl.Latency(order_ms=2))
    fills = report.frame()
    signed = np.where(fills["side"] == "buy", fills["qty"], -fills["qty"])
    half_spread = float((signed * (fills["fair"] - fills["price"])).sum())
    fee = float(fills["fee_quote"].sum())
    return report.pnl_quote + fee - half_spread, half_spread - fee


def _maker(seed: int) -> float:
    tape = Tape(synth_rows(BTC, SECONDS, seed, toxic=1.0), (BTC,))
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, skew_ticks_per_order=0.5)
    return float(hl.backtest(tape, BTC, quoter, FAR, latency=hl.Latency(order_ms=20)).pnl_quote)


def run() -> dict[str, object]:
    """Return means and standard errors over the seeds, in quote currency."""
    takers = np.array([_taker(seed) for seed in range(SEEDS)])
    makers = np.array([_maker(seed) for seed in range(SEEDS)])

    def error(values: np.ndarray) -> float:
        return float(values.std(ddof=1) / np.sqrt(len(values)))

    beyond = takers[:, 0]
    return {
        "seeds": SEEDS,
        "seconds_each": SECONDS,
        "costs_quote": float(takers[:, 1].mean()),
        "beyond_costs_quote": float(beyond.mean()),
        "beyond_costs_error_quote": error(beyond),
        "beyond_costs_in_errors": float(beyond.mean() / error(beyond)),
        "toxic_pnl_quote": float(makers.mean()),
        "toxic_pnl_error_quote": error(makers),
        "toxic_pnl_in_errors": float(makers.mean() / error(makers)),
    }

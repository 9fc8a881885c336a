"""Round trips: what each closing fill made against the average price of what it closed, after the fees of both sides.

A market maker is seldom flat, so a trade is not "flat to flat" but each fill that makes the position smaller: the books of the desk itself
go by average price, and the sum of the trades is its realised P&L. A fill that turns the position around closes what was held, and
opens the rest. Funding belongs to no trade.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hftlab.analytics.stats.resample import Blocks
from hftlab.instrument import Instrument

TRADE = np.dtype(
    [
        ("closed_ns", "i8"),  # the match that closed it, exchange clock
        ("instrument", "u4"),
        ("side", "i1"),  # of the position that was closed: long is 1
        ("lots", "i8"),
        ("gross_quote", "f8"),
        ("fees_quote", "f8"),  # its share of the opening fees, and of the closing one
        ("net_quote", "f8"),
    ]
)
"""One closing fill."""


def trades(fills: np.ndarray, instruments: Sequence[Instrument]) -> np.ndarray:
    """Return TRADE, one a closing fill, in the order of the fills (FILL_FACT, in the order of the desk's books)."""
    parts = [_of_market(fills[fills["instrument"] == i], i, one) for i, one in enumerate(instruments)]
    made = np.concatenate([np.zeros(0, TRADE), *parts])
    return made[np.argsort(made["closed_ns"], kind="stable")]


def _of_market(fills: np.ndarray, i: int, instrument: Instrument) -> np.ndarray:
    unit = instrument.ticklot_quote
    signed = (fills["side"].astype(np.int64) * fills["qty_lots"]).tolist()
    worth = (np.asarray(instrument.value_of(fills["price_ticks"]), np.float64) * unit).tolist()
    fees = ((fills["fee_ticklots"] + fills["fee_uticklots"] * 1e-6) * unit).tolist()
    made, held, cost, paid = [], 0, 0.0, 0.0  # lots, and what they cost in money: at their prices, and in fees
    for ts_ns, lots, price, fee in zip(fills["ts_ns"].tolist(), signed, worth, fees, strict=True):
        closing = min(abs(lots), abs(held)) if held * lots < 0 else 0
        if closing:
            side = 1 if held > 0 else -1
            of_held, of_fill = closing / abs(held), closing / abs(lots)
            gross = side * closing * price - cost * of_held
            both = paid * of_held + fee * of_fill
            made.append((ts_ns, i, side, closing, gross, both, gross - both))
            cost, paid, held = cost * (1 - of_held), paid * (1 - of_held), held - side * closing
        opening = abs(lots) - closing
        if opening:
            sign = 1 if lots > 0 else -1
            held += sign * opening
            cost += sign * opening * price
            paid += fee * opening / abs(lots)
    return np.array(made, TRADE)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval, how many observations it is of, and in words how it was made."""

    value: float
    low: float
    high: float
    n: int
    how: str = ""


def trade_figures(made: np.ndarray, level: float = 0.95) -> dict[str, Figure]:
    """Return win rate, average trade, average win and loss, and profit factor of TRADE rows, with block-bootstrap intervals.

    A trade that made exactly nothing is no win. The profit factor is what winners made over what losers lost; with no losers it is
    infinite. Blocks of time are drawn anew (`resample.Blocks`): trades hang together. A win rate of none or all has the interval
    of Wilson (1927), for independent trades.
    """
    net, n = made["net_quote"], len(made)
    blocks = Blocks.of(made["closed_ns"]).weights(made["closed_ns"]) if n >= 10 else np.zeros((0, n))
    gains, losses = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    of = {
        "win_rate": (net > 0, np.ones(n), "share of trades above 0 after fees"),
        "average_trade_quote": (net, np.ones(n), "after the fees of both sides"),
        "average_win_quote": (gains, net > 0, "of the winners"),
        "average_loss_quote": (-losses, net < 0, "of the losers"),
        "profit_factor": (gains, losses, "what winners made over what losers lost"),
    }
    found = {
        name: _ratio(np.asarray(top, np.float64), np.asarray(under, np.float64), blocks, n, how, level)
        for name, (top, under, how) in of.items()
    }
    if n >= 10 and found["win_rate"].value in {0.0, 1.0}:
        found["win_rate"] = _wilson(found["win_rate"], level)
    return found


def _wilson(one: Figure, level: float) -> Figure:
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    middle = (one.value + z2 / (2 * one.n)) / (1 + z2 / one.n)
    half = math.sqrt(z2 * (one.value * (1 - one.value) / one.n + z2 / (4 * one.n**2))) / (1 + z2 / one.n)
    return Figure(one.value, max(middle - half, 0.0), min(middle + half, 1.0), one.n, f"{one.how}; Wilson interval")


def _ratio(top: np.ndarray, under: np.ndarray, blocks: np.ndarray, n: int, how: str, level: float) -> Figure:
    """Return sum(top) / sum(under) and the percentiles of it over the replicates; no interval where a tenth of them has nothing below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.divide(top.sum(), under.sum())) if n else math.nan
        drawn = (blocks @ top) / (blocks @ under)
    known = drawn[np.isfinite(drawn)]
    if len(known) < max(1, 0.9 * len(blocks)):
        return Figure(value, math.nan, math.nan, n, how)
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2)).tolist()
    # Where no trade won, no draw wins: an interval of no width would say that we are sure.
    return Figure(value, low, high, n, how) if high > low else Figure(value, math.nan, math.nan, n, how)

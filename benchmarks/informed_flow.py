"""A market whose takers are informed with a known probability, so that the markout of whoever meets them is known.

The mid stands between a bid and an ask HALF_TICKS away on each side. Takers come as a Poisson process and buy or sell with equal
chance. A share of them is informed: the mid jumps JUMP_TICKS to their side, an exponential time of mean `delay_s` later. News that
nobody traded on moves it too, to either side alike. A maker who is always first at the best prices meets every taker, and makes

    E[markout after h] = HALF_TICKS - share x JUMP_TICKS x (1 - exp(-h / delay_s))   in ticks a lot,

because what earlier takers knew, and the news, are independent of the side of this one. Nothing is fitted, nothing is assumed.
"""

import math
from typing import Any

import numpy as np

import hftlab as hl
from hftlab.data.tape import Tape
from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, LAST, SNAPSHOT, TRADE

HALF_TICKS, JUMP_TICKS, NEWS_TICKS = 2, 3, 2
START_NS, START_TICKS = 1_767_571_200_000_000_000, 100_000
LOTS = 40
SETTLE_S = 1.0  # before the first taker: our quotes are there
COIN = hl.Instrument(venue="test", symbol="A/USD", base="A", quote="USD", tick_size="0.5", lot_size="0.01")
QUOTER = hl.FixedSpread(order_qty="0.01", half_spread_ticks=HALF_TICKS, life_ms_min=0, hysteresis_ticks=0)
LIMITS = hl.Limits(
    position_qty_max="1e6", loss_quote_max=1e12, drawdown_frac_max=1e9, capital_quote=1e12, requests_per_s_max=1e6, requests_burst=1e6
)


def truth(share: float, delay_s: float, horizon_s: float) -> float:
    """Return the expected markout in ticks."""
    return HALF_TICKS - share * JUMP_TICKS * (1 - math.exp(-horizon_s / delay_s))


def market(
    seed: int, *, share: float, seconds: float = 600.0, takers_per_s: float = 2.0, delay_s: float = 0.5, news_per_s: float = 0.5
) -> Tape:
    """Return the tape of such a market; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    takes = SETTLE_S + np.sort(rng.uniform(0, seconds, rng.poisson(seconds * takers_per_s)))
    side = rng.choice((BID, ASK), len(takes))
    knows = rng.random(len(takes)) < share
    news = SETTLE_S + rng.uniform(0, seconds, rng.poisson(seconds * news_per_s))
    jumps = np.concatenate([takes[knows] + rng.exponential(delay_s, int(knows.sum())), news])
    by = np.concatenate([JUMP_TICKS * side[knows], NEWS_TICKS * rng.choice((-1, 1), len(news))])
    when = np.concatenate([takes, jumps])
    order = np.argsort(when, kind="stable")
    rows, mid, bid, ask = [_snapshot()], START_TICKS, START_TICKS - HALF_TICKS, START_TICKS + HALF_TICKS
    for k in order.tolist():
        ts_ns = START_NS + int(when[k] * 1e9)
        if k < len(takes):
            rows.append([_row(ts_ns, TRADE, int(side[k]), ask if side[k] == BID else bid, 1, LAST)])
            continue
        mid += int(by[k - len(takes)])
        gone = [_row(ts_ns, DEPTH, BID, bid, 0), _row(ts_ns, DEPTH, ASK, ask, 0)]
        bid, ask = mid - HALF_TICKS, mid + HALF_TICKS
        rows.append([*gone, _row(ts_ns, DEPTH, BID, bid, LOTS), _row(ts_ns, DEPTH, ASK, ask, LOTS, LAST)])
    table = np.array([row for message in rows for row in message], EVENT)
    table["seq"] = np.arange(1, len(table) + 1)
    return Tape(table, (COIN,), f"informed flow, share {share:g}, seed {seed}")


def _snapshot() -> list[tuple[int, ...]]:
    best = [_row(START_NS, DEPTH, side, START_TICKS - side * HALF_TICKS, LOTS, SNAPSHOT) for side in (BID, ASK)]
    best[-1] = (*best[-1][:9], SNAPSHOT | LAST, 0)
    return [_row(START_NS, CLEAR, 0, 0, 0, SNAPSHOT), *best]


def _row(ts_ns: int, kind: int, side: int, price: int, lots: int, flags: int = 0) -> tuple[int, ...]:
    return (ts_ns, ts_ns, price, lots, 0, 0, 0, kind, side, flags, 0)


def report(tape: Tape) -> Any:
    """Return the backtest of a maker who is always there, and first, without latency."""
    return hl.backtest(tape, COIN, QUOTER, LIMITS, queue="touch")

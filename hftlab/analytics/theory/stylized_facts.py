"""Statistics of a market from its rows alone, each with its formula.

A *trade* is one engine event with TRADE rows: its size is their sum, its sign the aggressor's. The mid is that of the touch after the
last row of an event, in ticks; a return over tau seconds is a difference of mids on a regular grid, in ticks.
"""

from dataclasses import dataclass

import numpy as np

from hftlab.errors import InputError
from hftlab.kernels.touch import touch_series
from hftlab.types import DEPTH, EVENT, LAST, TRADE

SPAN_TICKS_MAX = 20_000_000
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Market:
    """Series taken from rows: the touch after each event and the trades.

    `ts_ns` i8 (n,), `touch` i8 (n, 4) bid_ticks, bid_lots, ask_ticks, ask_lots. Trades: `trade_at` i8 (m,) index of the event of each
    trade in `ts_ns`, `sign` i8 (m,), `lots` i8 (m,), `price_ticks` f8 (m,) their average price, `number` i8 (m,)
    the hidden metaorder, or 0. `limits` and `cancels` count the DEPTH rows outside trades that raised and lowered a level.
    """

    ts_ns: np.ndarray
    touch: np.ndarray
    trade_at: np.ndarray
    sign: np.ndarray
    lots: np.ndarray
    price_ticks: np.ndarray
    number: np.ndarray
    limits: int
    cancels: int

    @property
    def mid(self) -> np.ndarray:
        """Return the mid after each event, in ticks."""
        return (self.touch[:, 0] + self.touch[:, 2]) / 2

    def grid(self, step_s: float) -> np.ndarray:
        """Return the mid every `step_s` seconds, the last known value."""
        return self.mid[self.grid_index(step_s)]

    def grid_index(self, step_s: float) -> np.ndarray:
        """Return the index of the last event at or before each point of a grid of `step_s` seconds."""
        points = np.arange(self.ts_ns[0], self.ts_ns[-1] + 1, int(step_s * NS))
        return np.searchsorted(self.ts_ns, points, side="right") - 1


def market(rows: np.ndarray) -> Market:
    """Return the series of `rows` (EVENT, one instrument, a snapshot first). Raises InputError when there is no book in them."""
    if rows.dtype != EVENT:
        raise InputError(f"rows had dtype {rows.dtype}; wanted rows of hftlab.types.EVENT.")
    depth = rows[rows["kind"] == DEPTH]
    if len(depth) == 0:
        raise InputError("rows held no DEPTH row; wanted a market stream that begins with a snapshot.")
    low, high = int(depth["price_ticks"].min()), int(depth["price_ticks"].max())
    if high - low > SPAN_TICKS_MAX:
        raise InputError(f"prices spanned {high - low} ticks; wanted at most {SPAN_TICKS_MAX}. Drop far levels first.")
    touch = np.zeros((int(np.count_nonzero(rows["flags"] & LAST)), 4), "i8")
    index = np.zeros(len(touch), "i8")
    ladders = np.zeros((2, high - low + 1), "i8")
    count = touch_series(rows, low, ladders[0], ladders[1], touch, index)
    touch, index = touch[:count], index[:count]
    event_of = np.searchsorted(index, np.arange(len(rows)))  # the event to which each row belongs
    is_trade = rows["kind"] == TRADE
    prints = rows[is_trade]
    trade_at, first, place = np.unique(event_of[is_trade], return_index=True, return_inverse=True)
    lots = np.bincount(place, prints["qty_lots"], len(trade_at))
    money = np.bincount(place, prints["qty_lots"] * prints["price_ticks"], len(trade_at))
    limits, cancels = _changes(rows, event_of, trade_at)
    keep = trade_at < count
    return Market(
        rows["ts_exch_ns"][index],
        touch,
        trade_at[keep],
        prints["side"][first].astype("i8")[keep],
        lots[keep].astype("i8"),
        (money / lots)[keep],
        prints["order_id"][first][keep],
        limits,
        cancels,
    )


def _changes(rows: np.ndarray, event_of: np.ndarray, trade_at: np.ndarray) -> tuple[int, int]:
    """Count the level changes up and down that are not part of a trade."""
    traded = np.zeros(int(event_of[-1]) + 2, bool)
    traded[trade_at] = True
    levels = np.flatnonzero(rows["kind"] == DEPTH)
    key = rows["price_ticks"][levels] * 2 + (rows["side"][levels] > 0)
    order = np.argsort(key, kind="stable")
    lots = rows["qty_lots"][levels][order]
    same = key[order][1:] == key[order][:-1]
    change = np.where(same, lots[1:] - lots[:-1], lots[1:])
    quiet = ~traded[event_of[levels][order][1:]]
    quiet &= (rows["flags"][levels][order][1:] & 2) == 0
    return int(np.count_nonzero((change > 0) & quiet)), int(np.count_nonzero((change < 0) & quiet))


def spread_one(m: Market) -> float:
    """Return the share of time with a spread of one tick."""
    held_ns = np.diff(m.ts_ns)
    return float(held_ns[(m.touch[:-1, 2] - m.touch[:-1, 0]) == 1].sum() / held_ns.sum())


def autocorrelation(x: np.ndarray, lag: int) -> float:
    """Return sum (x_t - mean)(x_{t+lag} - mean) / sum (x_t - mean)**2."""
    y = x - x.mean()
    return float(np.dot(y[:-lag], y[lag:]) / np.dot(y, y))


def signature(m: Market, long_s: int = 300, short_s: int = 1) -> float:
    """Return V(long)/V(short), V(tau) = mean squared return over tau, overlapping by 1 s, divided by tau."""
    mid = m.grid(1.0)
    v = [np.mean((mid[tau:] - mid[:-tau]) ** 2) / tau for tau in (long_s, short_s)]
    return float(v[0] / v[1])


def kurtosis(m: Market, tau_s: int) -> float:
    """Return the fourth moment over the squared second of tau-second returns (3 for a Gaussian), overlapping by 1 s."""
    mid = m.grid(1.0)
    r = mid[tau_s:] - mid[:-tau_s]
    r = r - r.mean()
    return float(np.mean(r**4) / np.mean(r**2) ** 2)


def clustering(m: Market) -> tuple[float, float]:
    """Return the CV of waiting times between trades, and the Fano factor (variance/mean) of trades per second."""
    ts = m.ts_ns[m.trade_at]
    wait = np.diff(ts)
    counts = np.bincount(((ts - m.ts_ns[0]) // NS).astype(int))
    return float(wait.std() / wait.mean()), float(counts.var() / counts.mean())


def sign_exponent(m: Market, lag_max: int = 100) -> float:
    """Return gamma of C(l) ~ l**-gamma: least squares of log C on log l, over 12 lags evenly spaced in the logarithm."""
    lags = np.unique(np.round(np.geomspace(1, lag_max, 12)).astype(int))
    c = np.array([autocorrelation(m.sign.astype(float), lag) for lag in lags])
    positive = c > 0
    return float(-np.polyfit(np.log(lags[positive]), np.log(c[positive]), 1)[0])


def flow_r2(m: Market, tau_s: float = 10.0) -> tuple[float, float]:
    """Return R2 of tau-second returns on order flow imbalance (Cont, Kukanov, Stoikov 2014, eq. 4) and on signed traded lots."""
    bid, bid_lots, ask, ask_lots = m.touch.T
    e = np.where(bid[1:] >= bid[:-1], bid_lots[1:], 0) - np.where(bid[1:] <= bid[:-1], bid_lots[:-1], 0)
    e -= np.where(ask[1:] <= ask[:-1], ask_lots[1:], 0) - np.where(ask[1:] >= ask[:-1], ask_lots[:-1], 0)
    at = m.grid_index(tau_s)
    returns = np.diff(m.mid[at])
    ofi = np.diff(np.concatenate(([0], np.cumsum(e)))[at])
    signed = np.zeros(len(m.ts_ns))
    signed[m.trade_at] = m.sign * m.lots
    imbalance = np.diff(np.cumsum(signed)[at])
    return float(np.corrcoef(returns, ofi)[0, 1] ** 2), float(np.corrcoef(returns, imbalance)[0, 1] ** 2)


def up_given_imbalance(m: Market, share: float = 0.8, step_s: float = 0.1) -> float:
    """Return P(the next move of the mid is up | bid lots / (bid + ask lots) > share), both sides pooled by symmetry, on a time grid."""
    mid = m.mid
    moves = np.flatnonzero(np.diff(mid) != 0)
    at = m.grid_index(step_s)
    following = np.searchsorted(moves, at)
    at, following = at[following < len(moves)], following[following < len(moves)]
    up = mid[moves[following] + 1] > mid[moves[following]]
    weight = m.touch[at, 1] / (m.touch[at, 1] + m.touch[at, 3])
    return float(np.concatenate((up[weight > share], ~up[weight < 1 - share])).mean())


def response(m: Market, lags: tuple[int, ...] = (1, 10, 100)) -> tuple[float, ...]:
    """Return R(l) = mean of sign_k x (mid before trade k+l - mid before trade k), in ticks."""
    before = m.mid[np.maximum(m.trade_at - 1, 0)]
    return tuple(float(np.mean(m.sign[:-lag] * (before[lag:] - before[:-lag]))) for lag in lags)


def size_exponent(m: Market, share: float = 0.02) -> float:
    """Return the Hill (1975) estimate of the tail exponent of trade sizes, over the largest `share` of trades."""
    sizes = np.sort(m.lots)[::-1]
    k = max(int(len(sizes) * share), 10)
    return float(1.0 / np.mean(np.log(sizes[:k] / sizes[k])))


def impact_exponent(m: Market, after_s: float = 1.0) -> float:
    """Return delta of I(Q) ~ Q**delta: metaorders (trades of one `number`) in bins of Q doubling, least squares of log mean I on log Q.

    I is sign x (mid `after_s` after the last piece, when the book has answered it, - mid before the first). Bins with under 50 metaorders or a mean not above twice its
    standard error are left out: noise there would be read as slope.
    """
    order = np.argsort(m.number, kind="stable")
    order = order[m.number[order] > 0]
    _, first, count = np.unique(m.number[order], return_index=True, return_counts=True)
    last = order[first + count - 1]
    mid = m.mid
    after = np.searchsorted(m.ts_ns, m.ts_ns[m.trade_at[last]] + int(after_s * NS), side="right") - 1
    impact = m.sign[order[first]] * (mid[after] - mid[np.maximum(m.trade_at[order[first]] - 1, 0)])
    lots = np.add.reduceat(m.lots[order], first)
    bins = np.floor(np.log2(lots)).astype(int)
    points = []
    for b in np.unique(bins):
        x = impact[bins == b]
        if len(x) >= 50 and x.mean() > 2 * x.std() / np.sqrt(len(x)):
            points.append((np.log(lots[bins == b].mean()), np.log(x.mean()), np.sqrt(len(x)) * x.mean() / x.std()))
    if len(points) < 3:
        return float("nan")
    q, i, weight = np.array(points).T
    return float(np.polyfit(q, i, 1, w=np.minimum(weight, 20))[0])


def day_ratio(m: Market, day_s: float) -> float:
    """Return trades per second in the first and last tenth of the day over that in its middle fifth."""
    x = (m.ts_ns[m.trade_at] * 1e-9 / day_s) % 1.0
    edges, noon = int(np.count_nonzero((x < 0.1) | (x > 0.9))), int(np.count_nonzero(np.abs(x - 0.5) < 0.1))
    return edges / max(noon, 1)


def realised_half_spread(m: Market, after_s: float = 10.0) -> float:
    """Return what makers keep: mean over lots of sign x (price - mid `after_s` later), in ticks."""
    ts = m.ts_ns[m.trade_at]
    later = np.searchsorted(m.ts_ns, ts + int(after_s * NS), side="right") - 1
    return float(np.average(m.sign * (m.price_ticks - m.mid[later]), weights=m.lots))

"""Markets whose law is known, as EVENT rows, to hold estimators against; and each of them with a law that is wrong."""

from dataclasses import dataclass

import numpy as np

import hftlab as hl
from hftlab.types import ACCEPTED, ASK, BID, CANCELED, CLEAR, DEPTH, EVENT, FILL, LAST, MAKER, SNAPSHOT, SUBMIT, TRADE

BTC = hl.Instrument.bundled("sim:BTC/USDT")
TICK, LOT = float(BTC.tick_size), float(BTC.lot_size)
START_NS = 1_767_571_200_000_000_000
MID = 100_000

SIGMA = 20.0  # ticks/sqrt(s)
A, K = 2.0, 0.5  # 1/s of one side, 1/tick
LOTS_MEAN = 5.0
HALF_SPREAD = 1.0


@dataclass(frozen=True)
class Path:
    """Touches: times in s (f8), best bid and ask in ticks, the lots at both (i8)."""

    ts_s: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    lots: np.ndarray


def rows_of(path: Path, order_s: np.ndarray, side: np.ndarray, price: np.ndarray, lots: np.ndarray) -> np.ndarray:
    """Return EVENT rows of a path and of market orders, one print each, by time; what comes to a new touch removes the old one."""
    n = len(path.ts_s)
    book = np.zeros((n, 4), EVENT)
    stamps = START_NS + np.round(path.ts_s * 1e9).astype(np.int64)
    for column, (own, values, old) in enumerate(
        ((BID, path.bid, False), (ASK, path.ask, False), (BID, path.bid, True), (ASK, path.ask, True))
    ):
        made = book[:, column]
        made["side"], made["kind"], made["ts_exch_ns"], made["ts_recv_ns"] = own, DEPTH, stamps, stamps
        before = np.concatenate([values[:1], values[:-1]])
        made["price_ticks"] = before if old else values
        made["qty_lots"] = np.where((before == values) | (not old), path.lots, 0)
    book["flags"][:, 3] = LAST
    book["flags"][0] |= SNAPSHOT
    clear = np.zeros(1, EVENT)
    clear["kind"], clear["flags"], clear["ts_exch_ns"] = CLEAR, SNAPSHOT, stamps[0]
    clear["ts_recv_ns"] = stamps[0]
    prints = np.zeros(len(order_s), EVENT)
    prints["ts_exch_ns"] = prints["ts_recv_ns"] = START_NS + np.round(order_s * 1e9).astype(np.int64)
    prints["kind"], prints["flags"], prints["side"], prints["price_ticks"], prints["qty_lots"] = TRADE, LAST, side, price, lots
    rows = np.concatenate([clear, book.ravel(), prints])
    return rows[np.argsort(rows["ts_recv_ns"], kind="stable")]


def diffusion(rng: np.random.Generator, *, wrong: bool = False, noise: float = 0.0, seconds: float = 300.0) -> np.ndarray:
    """Return a mid that diffuses at SIGMA, 20 updates a second. Wrong: sigma wanders (log-normal, half-life 30 s). `noise`: of a quote."""
    n = rng.poisson(20 * seconds)
    ts = np.sort(rng.uniform(0, seconds, n))
    sigma = SIGMA * np.exp(_wander(rng, ts, 0.6, 30.0)) if wrong else SIGMA
    moves = sigma * np.sqrt(np.diff(ts, prepend=ts[0])) * rng.standard_normal(n)
    mid = MID + np.round(np.cumsum(moves) + noise * rng.standard_normal(n)).astype(np.int64)
    return rows_of(Path(ts, mid - 1, mid + 1, np.full(n, 50)), *_no_orders())


def _wander(rng: np.random.Generator, ts: np.ndarray, size: float, half_life_s: float) -> np.ndarray:
    """Return an Ornstein-Uhlenbeck path of stationary standard deviation `size`, a value a second, at times `ts`."""
    keep = 2.0 ** (-1.0 / half_life_s)
    shocks = rng.standard_normal(int(ts[-1]) + 2) * size
    path = [shocks[0]]
    for shock in shocks[1:]:
        path.append(keep * path[-1] + np.sqrt(1 - keep**2) * shock)
    return np.array(path)[ts.astype(int)]


def _no_orders() -> tuple[np.ndarray, ...]:
    return np.zeros(0), np.zeros(0, np.int8), np.zeros(0, np.int64), np.zeros(0, np.int64)


def flow(
    rng: np.random.Generator,
    *,
    depth: str = "exponential",
    times: str = "poisson",
    spreads: str = "one",
    sizes: str = "apart",
    sides: str = "even",
    seconds: float = 600.0,
) -> np.ndarray:
    """Return market orders whose reach from the mid is exponential (K) and which come at A a side; those that reach the touch print.

    depth "power": a Pareto reach. times "clusters": each order brings others; "swings": the rate wanders. spreads "apart": drawn anew at
    each update from 1 to 4 ticks; "wander": a slow path between them. sizes "wander": the lots at the touch. sides "drift": buyers from
    half to all.
    """
    n = rng.poisson(2 * seconds) + 2
    ts = np.sort(rng.uniform(0, seconds, n))
    ts[0] = 0.0
    spread = {
        "one": lambda: np.full(n, int(2 * HALF_SPREAD)),
        "apart": lambda: rng.integers(1, 5, n),
        "wander": lambda: np.clip(np.round(2.5 + _wander(rng, ts, 1.0, 30.0)), 1, 4).astype(np.int64),
    }[spreads]()
    bid = MID + np.cumsum(rng.integers(-3, 4, n))
    lots = 50 * np.exp(_wander(rng, ts, 0.5, 60.0)) if sizes == "wander" else rng.integers(1, 100, n)
    path = Path(ts, bid, bid + spread, np.maximum(lots, 1).astype(np.int64))
    when = _times(rng, times, seconds)
    reach = rng.exponential(1 / K, len(when)) if depth == "exponential" else rng.pareto(2.0, len(when)) / K
    at = np.searchsorted(ts, when, side="right") - 1
    seen = reach >= spread[at] / 2.0
    when, at, reach = when[seen], at[seen], reach[seen]
    buyers = 0.5 if sides == "even" else 0.5 + 0.5 * when / seconds
    side = np.where(rng.random(len(when)) < buyers, BID, ASK)
    beyond = np.floor(reach - spread[at] / 2.0).astype(np.int64)
    price = np.where(side == BID, path.ask[at] + beyond, path.bid[at] - beyond)
    return rows_of(path, when, side, price, rng.geometric(1 / LOTS_MEAN, len(when)))


def _times(rng: np.random.Generator, law: str, seconds: float) -> np.ndarray:
    if law == "clusters":
        parents = rng.uniform(0, seconds, rng.poisson(2 * A * seconds / 2.5))
        children = rng.poisson(1.5, len(parents))
        when = np.concatenate([parents, np.repeat(parents, children) + rng.exponential(0.5, children.sum())])
    else:
        when = rng.uniform(0, seconds, rng.poisson(2 * A * seconds * (3 if law == "swings" else 1)))
        if law == "swings":
            rate = np.exp(_wander(rng, np.arange(seconds + 1), 0.7, 60.0))
            when = when[rng.random(len(when)) < np.minimum(rate[when.astype(int)] / 3, 1)]
    return np.sort(when[when < seconds])


SEEN_PER_S = 2 * A * np.exp(-K * HALF_SPREAD)
TRUTH = {
    "volatility": SIGMA * TICK,
    "volatility_kernel": SIGMA * TICK,
    "decay": K / TICK,
    "arrival": A,
    "trades": SEEN_PER_S,
    "volume": 60 * SEEN_PER_S * LOTS_MEAN * LOT,
    "spread": 2.5,
    "depth": 50 * LOT,
    "fill_decay": K / TICK,
    "fill_arrival": A,
}


def fills(rng: np.random.Generator, *, law: str = "exponential", orders: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Return market rows of a mid that stands, and the rows of our own orders, a second each at 1 to 12 half ticks from it.

    They are filled at A exp(-K depth). law "power": at a power of the depth; "bursts": the rate wanders.
    """
    depth2 = rng.integers(1, 13, orders)
    start_s = np.arange(orders) * 1.1
    rate = A * np.exp(-K * depth2 / 2.0)
    if law == "power":
        rate = 3.0 * A * (1 + depth2 / 2.0) ** -3.0
    elif law == "bursts":
        rate = rate * np.exp(_wander(rng, start_s, 0.8, 120.0))
    wait = rng.exponential(1 / rate)
    filled = wait < 1.0
    own = np.zeros((orders, 3), EVENT)
    own["order_id"], own["side"], own["qty_lots"], own["leaves_lots"] = np.arange(orders)[:, None] + 1, BID, 1, 1
    # Depths in half ticks want a mid between two ticks for the odd ones: the ask stands one higher then.
    stamps = START_NS + np.round(start_s * 1e9).astype(np.int64)
    ask = MID + 20 + (depth2 % 2)
    own["price_ticks"] = ((MID + ask - depth2) // 2)[:, None]
    own["kind"] = [SUBMIT, ACCEPTED, CANCELED]
    own["kind"][:, 2] = np.where(filled, FILL, CANCELED)
    own["flags"][:, 2] = np.where(filled, MAKER, 0)
    own["leaves_lots"][:, 2] = 0
    ends = stamps + np.round(np.minimum(wait, 1.0) * 1e9).astype(np.int64)
    own["ts_exch_ns"] = own["ts_recv_ns"] = np.stack([stamps, stamps, ends], axis=1)
    market = rows_of(Path(start_s, np.full(orders, MID), ask, np.full(orders, 50)), *_no_orders())
    return market, own.ravel()

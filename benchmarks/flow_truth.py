"""Markets whose law is known, as rows: what the flow estimators are judged on. Everything is drawn from the generator given."""

import bisect

import numpy as np

from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, LAST, SNAPSHOT, TRADE

START_NS = 1_767_571_200_000_000_000
MID, QUEUE = 100_000, 1_000_000
"""Where prices begin, in ticks, and the size of a queue in lots before anything has happened: room for any flow."""


def row(ts_ns: int, kind: int, side: int, price: int, lots: int, flags: int = 0) -> tuple[int, ...]:
    """Return one EVENT row as a tuple, received when it happened."""
    return (ts_ns, ts_ns, price, lots, 0, 0, 0, kind, side, flags, 0)


def book(ts_ns: int, bid: int, ask: int, bid_lots: int = QUEUE, ask_lots: int = QUEUE) -> list[tuple[int, ...]]:
    """Return a message that sets the book anew, one level a side."""
    return [
        row(ts_ns, CLEAR, 0, 0, 0, SNAPSHOT),
        row(ts_ns, DEPTH, BID, bid, bid_lots, SNAPSHOT),
        row(ts_ns, DEPTH, ASK, ask, ask_lots, SNAPSHOT | LAST),
    ]


def event_rows(rows: list[tuple[int, ...]]) -> np.ndarray:
    """Return EVENT rows."""
    return np.array(rows, EVENT)


# --- arrivals ----------------------------------------------------------------------------------------------------------
def clocked_times(rng: np.random.Generator, end_s: float) -> np.ndarray:
    """Return arrivals at random, one in two seconds, and beside them a program's that trades every second, give or take 20 ms: no Hawkes."""
    clock = np.arange(1.0, end_s - 1.0) + rng.normal(0, 0.02, int(np.ceil(end_s - 2.0)))
    return np.sort(np.concatenate([rng.uniform(0, end_s, rng.poisson(0.5 * end_s)), clock]))


def echoed_times(rng: np.random.Generator, end_s: float, *, branching: float = 0.6, after_s: float = 2.0) -> np.ndarray:
    """Return arrivals each of which brings others, not at once but `after_s` later, give or take a quarter: another kernel."""
    found, newest = [], rng.uniform(0, end_s, rng.poisson(0.5 * end_s))
    while len(newest):
        found.append(newest)
        born = np.repeat(newest, rng.poisson(branching, len(newest)))
        newest = born + np.abs(rng.normal(after_s, after_s / 4, len(born)))
        newest = newest[newest < end_s]
    return np.sort(np.concatenate(found))


# --- moves that answer flow ----------------------------------------------------------------------------------------------
def noise_of(rng: np.random.Generator, n: int, sd: float, size: np.ndarray) -> np.ndarray:
    """Return noise that hangs together (a third of the last shock stays) and is wilder where `size` is large."""
    shocks = rng.normal(0, sd, n + 1)
    return (shocks[1:] + shocks[:-1] / 3) * (0.5 + 0.5 * size)


def ofi_rows(flow_lots: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return rows, a step a second, in which OFI is `flow_lots` and the mid moves by `moves` ticks (both int64, (n,)).

    A move is flow too: 2 QUEUE lots of it. So each step goes a tick the other way first, which takes that back. The flow itself goes into
    the queue that this tick leaves behind without counting what it held.
    """
    rows, bid = book(START_NS, MID, MID + 1), MID
    for n, (flow, move) in enumerate(zip(flow_lots.tolist(), moves.tolist(), strict=True)):
        ts_ns = START_NS + n * 1_000_000_000 + 300_000_000
        first = -1 if move >= 0 else 1
        side, price, lots = (ASK, bid + 1, QUEUE - flow) if first < 0 else (BID, bid, QUEUE + flow)
        rows.append(row(ts_ns, DEPTH, side, price, lots, LAST))
        for k, jump in enumerate((first, move - first)):
            bid += jump
            rows += book(ts_ns + (k + 1) * 100_000_000, bid, bid + 1)
    rows += book(START_NS + len(moves) * 1_000_000_000 + 300_000_000, bid, bid + 1)
    return event_rows(rows)


def print_rows(flow_lots: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return rows, a step a second, in which takers buy `flow_lots` (sell, where negative) and the mid moves by `moves` ticks."""
    rows, bid = book(START_NS, MID, MID + 1), MID
    for n, (flow, move) in enumerate(zip(flow_lots.tolist(), moves.tolist(), strict=True)):
        ts_ns = START_NS + n * 1_000_000_000 + 300_000_000
        if flow:
            rows.append(row(ts_ns, TRADE, BID if flow > 0 else ASK, bid + (flow > 0), abs(flow), LAST))
        bid += move
        rows += book(ts_ns + 100_000_000, bid, bid + 1)
    rows += book(START_NS + len(moves) * 1_000_000_000 + 300_000_000, bid, bid + 1)
    return event_rows(rows)


# --- a touch that is a chain ---------------------------------------------------------------------------------------------
BUCKETS, SPREADS = 4, 2


def touch_chain() -> tuple[np.ndarray, np.ndarray]:
    """Return the chances (states, states, 3) of a step to each state with a move of the mid of -1, 0, +1 half ticks x its size, and that size.

    States are spread x BUCKETS + imbalance bucket. At spread 1 the ask or the bid may step away (mid by half a tick up or down, spread 2);
    at spread 2 one may step in. The heavier side pushes. The chain is its own mirror image.
    """
    size = BUCKETS * SPREADS
    chances = np.zeros((size, size, 3))
    lean = (np.arange(BUCKETS) + 0.5) / BUCKETS * 2 - 1
    for spread in range(SPREADS):
        for i in range(BUCKETS):
            move = 0.10 if spread == 0 else 0.4
            up = move * (1 + 0.8 * lean[i]) / 2
            down = move * (1 - 0.8 * lean[i]) / 2
            x, other = spread * BUCKETS + i, 1 - spread
            near = np.array([1.0 if abs(i - j) == 1 else 0.3 if i == j else 0.1 for j in range(BUCKETS)])
            chances[x, spread * BUCKETS : (spread + 1) * BUCKETS, 1] = (1 - move) * near / near.sum()
            after_up = np.arange(BUCKETS, 0, -1.0)  # after a move up the bid is the shorter queue
            chances[x, other * BUCKETS : (other + 1) * BUCKETS, 2] = up * after_up / after_up.sum()
            chances[x, other * BUCKETS : (other + 1) * BUCKETS, 0] = down * after_up[::-1] / after_up.sum()
    return chances, np.full(size, 0.5)


def true_adjustment() -> np.ndarray:
    """Return G* of the chain in ticks by Stoikov's own sum, B^i G1, with B = (I - Q)^-1 T and G1 = (I - Q)^-1 r."""
    chances, half = touch_chain()
    stay, go = chances[:, :, 1], chances[:, :, 0] + chances[:, :, 2]
    drift = half * (chances[:, :, 2] - chances[:, :, 0]).sum(1)
    inverse = np.linalg.inv(np.eye(len(drift)) - stay)
    term, total = inverse @ drift, np.zeros(len(drift))
    while np.abs(term).max() > 1e-14:
        total, term = total + term, inverse @ go @ term
    return total


def chain_touches(rng: np.random.Generator, steps: int, *, momentum: float = 0.0) -> np.ndarray:
    """Return a path of the chain: int64 (steps, 4): bid and ask in ticks, bid and ask in lots. `momentum`: moves repeat the last one's sign.

    With momentum the chain has a memory beside its state, and the micro-price is no longer a function of the touch.
    """
    chances, _ = touch_chain()
    size = len(chances)
    up, down = (np.cumsum(_tilted(chances, sign * momentum).reshape(size, -1), axis=1).tolist() for sign in (1, -1))
    out = []
    draws, jitter = (rng.random(steps) * 0.999999999).tolist(), rng.integers(-40, 41, steps).tolist()
    state, bid, last = 1, MID, 1
    for n in range(steps):
        spread = state // BUCKETS + 1
        share = (state % BUCKETS + 0.5) / BUCKETS
        bid_lots = int(1000 * share) + jitter[n]
        out.append((bid, bid + spread, bid_lots, 1000 - bid_lots))
        at = bisect.bisect_left((up if last > 0 else down)[state], draws[n])
        to, move = at // 3, at % 3 - 1
        # From 1 to 2 ticks the ask steps up or the bid steps down; from 2 to 1 the bid steps up or the ask steps down.
        if spread == 1:
            bid -= move < 0
        else:
            bid += move > 0
        last, state = (move or last), to
    return np.array(out, np.int64)


def _tilted(chances: np.ndarray, tilt: float) -> np.ndarray:
    """Return the chances with moves up made likelier by `tilt` and moves down less, or the other way round."""
    weights = chances * np.array([1 - tilt, 1.0, 1 + tilt])
    moves = chances[:, :, [0, 2]].sum((1, 2)) / weights[:, :, [0, 2]].sum((1, 2))
    return np.asarray(weights * np.stack([moves, np.ones(len(moves)), moves], axis=1)[:, None, :])


def touch_rows(touches: np.ndarray) -> np.ndarray:
    """Return rows of a path of touches, a message a millisecond."""
    n = len(touches)
    rows = np.zeros((n, 3), EVENT)
    rows["ts_exch_ns"] = (START_NS + np.arange(n) * 1_000_000)[:, None]
    rows["ts_recv_ns"] = rows["ts_exch_ns"]
    rows["kind"], rows["flags"] = np.array([CLEAR, DEPTH, DEPTH]), np.array([SNAPSHOT, SNAPSHOT, SNAPSHOT | LAST])
    rows["side"] = np.array([0, BID, ASK])
    rows["price_ticks"][:, 1:], rows["qty_lots"][:, 1:] = touches[:, :2], touches[:, 2:]
    return rows.ravel()

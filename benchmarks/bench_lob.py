"""Speed of the matching engine.

The stream is drawn beforehand, so that only the engine is timed: 49% limit orders (power-law distance from the touch), 46%
cancels of random resting orders, 5% market orders, on a book held between 1000 and 3000 orders; rows are written for every
event. Commands name prices as offsets from the touch, and orders by a random number, both resolved in the loop.
"""

import numpy as np

from benchmarks.timing import durations
from hftlab.kernels.jit import kernel
from hftlab.kernels.lob import cancel_slot, submit
from hftlab.kernels.lob_types import lob_new
from hftlab.types import ASK, BID, EVENT, MARKET_ORDER

EVENTS = 1_000_000
GOAL_EVENTS_PER_S = 4_000_000
REPEATS = 9
RESTING_MIN, RESTING_MAX = 1000, 3000
OUT_ROWS = 65_536


@kernel
def feed(books, out, kinds, sides, offsets, lots, picks):
    """Run the stream; return engine events (a cancel that draws a free slot tries its neighbours) and rows."""
    lob = books[0]
    rows = 0
    for i in range(len(kinds)):
        if lob.cursor > len(out) // 2:
            rows += lob.cursor
            lob.cursor = 0
        side = sides[i]
        kind = kinds[i]
        resting = lob.bid_orders + lob.ask_orders
        if kind < 2 and (resting < RESTING_MIN or resting > RESTING_MAX):
            kind = 0 if resting < RESTING_MIN else 1
        if kind == 0:
            touch = lob.best_ask_ticks if side == BID else lob.best_bid_ticks
            submit(lob, out, i, 0, 0, side, touch - side * offsets[i], lots[i], 0)
        elif kind == 1:
            slot = np.int64(picks[i] * lob.high_water)
            while lob.orders[slot].side == 0:
                slot = slot + 1 if slot + 1 < lob.high_water else 0
            cancel_slot(lob, out, i, slot)
        else:
            submit(lob, out, i, 0, 0, side, 0, lots[i], MARKET_ORDER)
    rows += lob.cursor
    lob.cursor = 0
    return rows


def run() -> dict[str, object]:
    """Return events per second of the stream on fresh books."""
    rng = np.random.default_rng(1)
    kinds = rng.choice(3, EVENTS, p=(0.49, 0.46, 0.05))
    sides = rng.choice((BID, ASK), EVENTS)
    offsets = np.minimum(np.floor(2 * (rng.random(EVENTS) ** -1.25 - 1)), 400).astype("i8") + 1
    lots = 1 + rng.geometric(0.1, EVENTS)
    picks = rng.random(EVENTS)
    # Fresh books, made before the clock starts; the first run, which may compile, is not counted.
    books = [_filled_book() for _ in range(REPEATS + 1)]
    last, out = books[0], np.zeros(OUT_ROWS, EVENT)
    took = durations(lambda: feed(books.pop(), out, kinds, sides, offsets, lots, picks), REPEATS)
    return {
        "events": EVENTS,
        "resting_orders": int(last["bid_orders"][0] + last["ask_orders"][0]),
        "traded_lots": int(last["traded_lots"][0]),
        "refused": int(last["rejects"].sum()),
        "median_s": took.median,
        "best_s": took.best,
        "events_per_s": round(EVENTS / took.median),
        "best_events_per_s": round(EVENTS / took.best),
        "goal_events_per_s": GOAL_EVENTS_PER_S,
    }


def _filled_book() -> np.ndarray:
    book, out = lob_new(), np.zeros(OUT_ROWS, EVENT)
    for k in range(1, 501):
        for side in (BID, ASK):
            submit(book[0], out, 0, 0, 0, side, 60_000 - side * (1 + k % 50), 10, 0)
            book["cursor"] = 0
    return book

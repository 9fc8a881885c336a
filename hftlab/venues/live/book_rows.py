"""A compiled book as levels, and as the rows of a snapshot."""

import numpy as np

from hftlab.types import ASK, BID, BOOK, CLEAR, DEPTH, EVENT, LAST, NO_PRICE, SNAPSHOT


def empty_book() -> np.ndarray:
    """Return BOOK[1] without a level."""
    book = np.zeros(1, BOOK)
    for price in ("anchor_ticks", "best_bid_ticks", "best_ask_ticks"):
        book[price] = NO_PRICE
    return book


def levels_of(book: np.ndarray, side: int) -> np.ndarray:
    """Return the levels of a side of books[0] as int64 (levels, 2): ticks and lots, best first."""
    one = book[0]
    ladder = one["bid_lots" if side == BID else "ask_lots"]
    near = np.flatnonzero(ladder > 0)
    far = one["far"][one["far"]["lots"] * side > 0]
    ticks = np.concatenate([near + one["anchor_ticks"], far["ticks"]])
    lots = np.concatenate([ladder[near], np.abs(far["lots"])])
    order = np.argsort(-side * ticks)
    return np.stack([ticks[order], lots[order]], axis=1)


def snapshot_rows(book: np.ndarray, instrument: int, exch_ns: int, recv_ns: int, seq: int) -> np.ndarray:
    """Return a book as the rows of one message, EVENT: CLEAR, bids from the best down, asks from the best up."""
    bids, asks = levels_of(book, BID), levels_of(book, ASK)
    rows = np.zeros(1 + len(bids) + len(asks), EVENT)
    rows["ts_exch_ns"], rows["ts_recv_ns"], rows["seq"] = exch_ns, recv_ns, seq
    rows["kind"], rows["flags"], rows["instrument"] = DEPTH, SNAPSHOT, instrument
    rows["kind"][0] = CLEAR
    rows["flags"][-1] |= LAST
    rows["side"][1 : 1 + len(bids)], rows["side"][1 + len(bids) :] = BID, ASK
    rows["price_ticks"][1:] = np.concatenate([bids[:, 0], asks[:, 0]])
    rows["qty_lots"][1:] = np.concatenate([bids[:, 1], asks[:, 1]])
    return rows


def differs(mine: np.ndarray, theirs: np.ndarray, whole: tuple[bool, bool]) -> bool:
    """Say whether two books differ where the second one can be known: to its last level, or to the end where it is `whole` (bids, asks)."""
    for side, all_of_it in zip((BID, ASK), whole, strict=True):
        ours, other = levels_of(mine, side), levels_of(theirs, side)
        if not all_of_it:
            last = other[-1, 0] if len(other) else 0
            ours = ours[ours[:, 0] * side >= last * side]
        if not np.array_equal(ours, other):
            return True
    return False

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


def differs(mine: np.ndarray, theirs: np.ndarray, low_ticks: int, high_ticks: int) -> bool:
    """Say whether two books differ in their bids from `low_ticks` up or in their asks up to `high_ticks`."""
    for side, last in ((BID, low_ticks), (ASK, high_ticks)):
        ours, other = levels_of(mine, side), levels_of(theirs, side)
        if not np.array_equal(ours[ours[:, 0] * side >= last * side], other[other[:, 0] * side >= last * side]):
            return True
    return False

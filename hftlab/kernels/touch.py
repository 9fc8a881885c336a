"""The touch after every message of a stream of rows, for statistics over whole tapes."""

from hftlab.kernels.book import follow, reset, settle
from hftlab.kernels.jit import kernel
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, NO_PRICE


@kernel
def _scan(lots, start, step):
    """Return the next index with lots from `start` on, or -1."""
    i = start
    while 0 <= i < len(lots):
        if lots[i] > 0:
            return i
        i += step
    return -1


@kernel
def touch_series(rows, low_ticks, bid_lots, ask_lots, touch, index):
    """Play DEPTH and CLEAR rows on two zeroed ladders whose index 0 is `low_ticks`. Returns the number of messages kept.

    For every message that ends with both sides present: touch[k] = bid_ticks, bid_lots, ask_ticks, ask_lots; index[k] = its LAST row.
    """
    best_bid, best_ask, count = -1, -1, 0
    for i in range(len(rows)):
        row = rows[i]
        if row.kind == CLEAR:
            if row.side != ASK:
                bid_lots[:] = 0
                best_bid = -1
            if row.side != BID:
                ask_lots[:] = 0
                best_ask = -1
        elif row.kind == DEPTH:
            at = row.price_ticks - low_ticks
            if row.side == BID:
                bid_lots[at] = row.qty_lots
                if row.qty_lots > 0:
                    best_bid = max(best_bid, at)
                elif at == best_bid:
                    best_bid = _scan(bid_lots, at, -1)
            else:
                ask_lots[at] = row.qty_lots
                if row.qty_lots > 0:
                    best_ask = at if best_ask < 0 else min(best_ask, at)
                elif at == best_ask:
                    best_ask = _scan(ask_lots, at, 1)
        if row["flags"] & LAST and best_bid >= 0 and best_ask >= 0:
            touch[count, 0] = low_ticks + best_bid
            touch[count, 1] = bid_lots[best_bid]
            touch[count, 2] = low_ticks + best_ask
            touch[count, 3] = ask_lots[best_ask]
            index[count] = i
            count += 1
    return count


@kernel
def walk_touch(rows, books, ready, touch):
    """Fill `touch` (int64, shape (rows, 2): best bid and ask in ticks) with the touch of each row's instrument after that row.

    A book is looked at where its message ends; before that, and on prints, the touch is the one before. NO_PRICE where there
    is none, and while the book is not to be trusted: before its first CLEAR and from a GAP to the next one. `books` (BOOK) and
    `ready` (int64, shape (instruments, 3): trusted, and the touch kept) are scratch, one an instrument.
    """
    for i in range(len(books)):
        reset(books[i])
        ready[i, 0] = 0
        ready[i, 1] = NO_PRICE
        ready[i, 2] = NO_PRICE
    for k in range(len(rows)):
        kind = rows[k].kind
        i = rows[k].instrument
        book = books[i]
        ready[i, 0] = follow(book, rows[k], ready[i, 0])
        if kind in (CLEAR, GAP, DEPTH) and rows[k]["flags"] & LAST != 0:
            settle(book)
            ready[i, 1] = book.best_bid_ticks if ready[i, 0] == 1 else NO_PRICE
            ready[i, 2] = book.best_ask_ticks if ready[i, 0] == 1 else NO_PRICE
        touch[k, 0] = ready[i, 1]
        touch[k, 1] = ready[i, 2]

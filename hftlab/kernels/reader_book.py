"""The book that a live reader keeps to check what it hands out: never crossed, and at each update id the venue's own best prices.

A diff and the venue's best prices (BBO rows) of the same update id come over two streams in either order, so the last few of both are
remembered, each in the slot of its update id.
"""

from hftlab.kernels.book import apply_level, clear, lots_at, settle
from hftlab.kernels.jit import kernel
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, GAP, LAST, NO_PRICE, SNAPSHOT

SLOTS = 256  # update ids remembered of each stream
OURS, VENUES, READY = 0, 1, 2  # blocks of `touches`; READY holds in its first word 1 while the book is whole
TOUCH_WORDS = 5  # update id, bid ticks, bid lots, ask ticks, ask lots
CROSSED_BOOK, OTHER_TOUCH = 1, 2


@kernel
def keep(rows, books, touches):
    """Apply whole messages, EVENT rows, to books[0]; return 0, CROSSED_BOOK or OTHER_TOUCH (the venue's best prices are others).

    `touches` is int64 (3, SLOTS, TOUCH_WORDS), zero at the beginning.
    """
    book = books[0]
    found = 0
    for k in range(len(rows)):
        row = rows[k]
        if row.kind == DEPTH:
            apply_level(book, row.side, row.price_ticks, row.qty_lots)
        elif row.kind == CLEAR:
            clear(book, row.side)
            touches[:] = 0
        elif row.kind == GAP:
            touches[:] = 0
        elif row.kind == BBO:
            found = max(found, _on_touch(row, touches))
            continue
        else:
            continue
        if row["flags"] & LAST != 0 and row.kind != GAP:
            settle(book)
            if row["flags"] & SNAPSHOT != 0:
                touches[READY, 0, 0] = 1
            if touches[READY, 0, 0] == 1:
                found = max(found, _on_book(book, row.seq, touches))
    return found


@kernel
def _on_book(book, seq, touches):
    """Check the book after a message."""
    bid, ask = book.best_bid_ticks, book.best_ask_ticks
    if bid != NO_PRICE and ask != NO_PRICE and bid >= ask:
        return CROSSED_BOOK
    ours = touches[OURS, seq % SLOTS]
    ours[0] = seq
    ours[1], ours[3] = bid, ask
    ours[2] = lots_at(book, BID, bid) if bid != NO_PRICE else 0
    ours[4] = lots_at(book, ASK, ask) if ask != NO_PRICE else 0
    return _compared(touches, seq)


@kernel
def _on_touch(row, touches):
    """Remember one side of the venue's best prices; the ask is the second row of the two."""
    venues = touches[VENUES, row.seq % SLOTS]
    if row.side == BID:
        venues[0] = 0
        venues[1], venues[2] = row.price_ticks, row.qty_lots
        return 0
    venues[0] = row.seq
    venues[3], venues[4] = row.price_ticks, row.qty_lots
    return _compared(touches, row.seq)


@kernel
def _compared(touches, seq):
    """Return OTHER_TOUCH when both streams have told of this update id and differ."""
    ours, venues = touches[OURS, seq % SLOTS], touches[VENUES, seq % SLOTS]
    if ours[0] != seq or venues[0] != seq:
        return 0
    for i in range(1, TOUCH_WORDS):
        if ours[i] != venues[i]:
            return OTHER_TOUCH
    return 0

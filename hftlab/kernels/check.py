"""Walk a tape with the compiled book: whether it is ever crossed, and whether it agrees with the venue's own best prices."""

from hftlab.kernels.book import follow, lots_at, reset, settle
from hftlab.kernels.jit import kernel
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, NO_PRICE

CROSSED_MESSAGES, CROSSED_FIRST, COMPARED, DIFFERENT, DIFFERENT_FIRST = range(5)


@kernel
def check_books(rows, books, ready, bbo, bbo_first, result):
    """Replay the DEPTH rows into `books` (one BOOK an instrument) and fill `result` (int64 by the names above).

    `ready[i]` is 1 while the book of instrument i may be trusted. `bbo` holds the venue's best prices as int64 rows
    (seq, bid ticks, bid lots, ask ticks, ask lots), ascending in seq within each instrument, whose block is
    bbo_first[i]:bbo_first[i + 1]. The comparison is made right after the diff that carries the same update id.
    """
    result[CROSSED_FIRST] = -1
    result[DIFFERENT_FIRST] = -1
    for i in range(len(books)):
        reset(books[i])
    for k in range(len(rows)):
        kind = rows[k].kind
        i = rows[k].instrument
        book = books[i]
        ready[i] = follow(book, rows[k], ready[i])
        if kind not in (CLEAR, GAP, DEPTH) or (rows[k]["flags"] & LAST) == 0:
            continue
        settle(book)
        bid, ask = book.best_bid_ticks, book.best_ask_ticks
        if bid != NO_PRICE and ask != NO_PRICE and bid >= ask:
            result[CROSSED_MESSAGES] += 1
            if result[CROSSED_FIRST] < 0:
                result[CROSSED_FIRST] = k
        if kind == DEPTH and ready[i] == 1:
            found = _find(bbo, bbo_first[i], bbo_first[i + 1], rows[k].seq)
            if found >= 0:
                result[COMPARED] += 1
                same = bbo[found, 1] == bid and bbo[found, 3] == ask
                same = same and bbo[found, 2] == lots_at(book, BID, bid) and bbo[found, 4] == lots_at(book, ASK, ask)
                if not same:
                    result[DIFFERENT] += 1
                    if result[DIFFERENT_FIRST] < 0:
                        result[DIFFERENT_FIRST] = k


@kernel
def _find(bbo, low, high, seq):
    """Return the row of `bbo` between low and high with this seq, or -1."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if bbo[middle, 0] < seq:
            low = middle + 1
        else:
            high = middle
    return low if low < end and bbo[low, 0] == seq else -1

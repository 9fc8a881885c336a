"""The touch at every row of a tape: the compiled walk behind the book checks of the full report."""

from typing import Any

from hftlab.kernels.book import apply_level, clear, reset, settle
from hftlab.kernels.jit import kernel
from hftlab.types import CLEAR, DEPTH, GAP, LAST, NO_PRICE


@kernel
def walk_touch(rows: Any, books: Any, ready: Any, touch: Any) -> None:
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
        if kind == CLEAR:
            clear(book, rows[k].side)
            ready[i, 0] = 1
        elif kind == GAP:
            ready[i, 0] = 0
        elif kind == DEPTH:
            apply_level(book, rows[k].side, rows[k].price_ticks, rows[k].qty_lots)
        if kind in (CLEAR, GAP, DEPTH) and rows[k]["flags"] & LAST != 0:
            settle(book)
            ready[i, 1] = book.best_bid_ticks if ready[i, 0] == 1 else NO_PRICE
            ready[i, 2] = book.best_ask_ticks if ready[i, 0] == 1 else NO_PRICE
        touch[k, 0] = ready[i, 1]
        touch[k, 1] = ready[i, 2]

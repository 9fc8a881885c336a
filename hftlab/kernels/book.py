"""The book of one instrument: a dense window of ticks around the touch, and a hash table for the levels far from it.

A venue's diffs reach from half to twice the price (58,000 ticks on the busiest recording), while everything that matters
happens within a few dozen ticks. The window keeps an update at two memory accesses; the table keeps the book exact when
the touch walks out of the window and levels that were far become near.
"""

from hftlab.kernels.jit import inlined, kernel
from hftlab.types import BID, CLEAR, DEPTH, FAR, GAP, LADDER, NO_PRICE

_EDGE = LADDER // 8
# 2**32 / golden ratio: neighbouring prices land far apart (Knuth, vol. 3, 6.4). On 31 bits of the price no product passes 2**63.
_HASH = 0x9E3779B1
_HASHED = (1 << 31) - 1
_SHIFT = 32 - 14
assert FAR == 1 << 14


@kernel
def reset(book):
    """Empty the book and forget where its window lies."""
    book.anchor_ticks = NO_PRICE
    book.best_bid_ticks = NO_PRICE
    book.best_ask_ticks = NO_PRICE
    book.far_count = 0
    book.seq = 0
    book.bid_lots[:] = 0
    book.ask_lots[:] = 0
    _far_clear(book)


@kernel
def clear(book, side):
    """Empty one side, or both when `side` is 0."""
    if side == 0:
        reset(book)
        return
    if side == BID:
        book.bid_lots[:] = 0
        book.best_bid_ticks = NO_PRICE
    else:
        book.ask_lots[:] = 0
        book.best_ask_ticks = NO_PRICE
    kept = book.far.copy()
    _far_clear(book)
    book.far_count = 0
    for i in range(FAR):
        if kept[i].lots != 0 and (kept[i].lots > 0) != (side == BID):
            _far_put(book, kept[i].ticks, kept[i].lots)


@kernel
def follow(book, row, trusted):
    """Apply a DEPTH, CLEAR or GAP row; return whether the book may be trusted now: 1 from a CLEAR on, 0 from a GAP on, else `trusted`.

    Rows of other kinds change nothing. `settle` is left to the caller, at the end of the message.
    """
    if row.kind == DEPTH:
        apply_level(book, row.side, row.price_ticks, row.qty_lots)
    elif row.kind == CLEAR:
        clear(book, row.side)
        return 1
    elif row.kind == GAP:
        return 0
    return trusted


@kernel
def lots_at(book, side, price_ticks):
    """Return the quantity in lots of a level, 0 where there is none."""
    if book.anchor_ticks == NO_PRICE:
        return 0
    index = price_ticks - book.anchor_ticks
    if 0 <= index < LADDER:
        return book.bid_lots[index] if side == BID else book.ask_lots[index]
    slot = _far_find(book, price_ticks, side)
    return abs(book.far[slot].lots) if slot >= 0 else 0


@inlined
def apply_level(book, side, price_ticks, lots):
    """Set a level to `lots` (0 removes it) and keep the best price of its side. Returns the lots it held before.

    The most frequent call of all: what is rare stands in functions of its own, so that this one is small enough to be inlined.
    """
    if book.anchor_ticks != NO_PRICE:
        index = price_ticks - book.anchor_ticks
        if 0 <= index < LADDER:
            return _apply_inside(book, side, price_ticks, index, lots)
    return _apply_outside(book, side, price_ticks, lots)


@inlined
def _apply_inside(book, side, price_ticks, index, lots):
    """Set a level of the window."""
    if side == BID:
        old = book.bid_lots[index]
        book.bid_lots[index] = lots
        if lots > 0:
            book.best_bid_ticks = max(book.best_bid_ticks, price_ticks)
        elif price_ticks == book.best_bid_ticks:
            book.best_bid_ticks = next_level(book, side, price_ticks)
    else:
        old = book.ask_lots[index]
        book.ask_lots[index] = lots
        if lots > 0:
            if price_ticks < book.best_ask_ticks or book.best_ask_ticks == NO_PRICE:
                book.best_ask_ticks = price_ticks
        elif price_ticks == book.best_ask_ticks:
            book.best_ask_ticks = next_level(book, side, price_ticks)
    return old


@kernel
def _apply_outside(book, side, price_ticks, lots):
    """Set a level that lies outside the window, or the first of all, round which the window is laid."""
    if book.anchor_ticks == NO_PRICE:
        book.anchor_ticks = price_ticks - LADDER // 2
        return _apply_inside(book, side, price_ticks, LADDER // 2, lots)
    old = _far_set(book, side, price_ticks, lots)
    best = book.best_bid_ticks if side == BID else book.best_ask_ticks
    if lots > 0:
        if best == NO_PRICE or (price_ticks - best) * side > 0:
            best = price_ticks
    elif price_ticks == best:
        best = next_level(book, side, price_ticks)
    if side == BID:
        book.best_bid_ticks = best
    else:
        book.best_ask_ticks = best
    return old


@kernel
def next_level(book, side, price_ticks):
    """Return the next price with quantity behind `price_ticks` on its side, or NO_PRICE."""
    index = price_ticks - book.anchor_ticks
    if side == BID:
        i = min(index - 1, LADDER - 1)
        while i >= 0:
            if book.bid_lots[i] > 0:
                return book.anchor_ticks + i
            i -= 1
    else:
        i = max(index + 1, 0)
        while i < LADDER:
            if book.ask_lots[i] > 0:
                return book.anchor_ticks + i
            i += 1
    return _far_next(book, side, price_ticks)


@kernel
def settle(book):
    """Move the window when the touch has come near its edge. To be called at the end of a message, not within it."""
    bid = book.best_bid_ticks
    ask = book.best_ask_ticks
    if bid == NO_PRICE and ask == NO_PRICE:
        return
    centre = ask if bid == NO_PRICE else (bid if ask == NO_PRICE else bid + (ask - bid) // 2)
    index = centre - book.anchor_ticks
    if index < _EDGE or index >= LADDER - _EDGE:
        _move_window(book, centre - LADDER // 2)


@kernel
def _move_window(book, anchor):
    old_anchor = book.anchor_ticks
    bids = book.bid_lots.copy()
    asks = book.ask_lots.copy()
    book.bid_lots[:] = 0
    book.ask_lots[:] = 0
    book.anchor_ticks = anchor
    far = book.far.copy()
    _far_clear(book)
    book.far_count = 0
    for i in range(FAR):
        if far[i].lots != 0:
            _place(book, far[i].ticks, far[i].lots)
    for i in range(LADDER):
        if bids[i] > 0:
            _place(book, old_anchor + i, bids[i])
        if asks[i] > 0:
            _place(book, old_anchor + i, -asks[i])


@kernel
def _place(book, price_ticks, signed_lots):
    index = price_ticks - book.anchor_ticks
    if 0 <= index < LADDER:
        if signed_lots > 0:
            book.bid_lots[index] = signed_lots
        else:
            book.ask_lots[index] = -signed_lots
    else:
        _far_put(book, price_ticks, signed_lots)


# --- the table of far levels: open addressing with linear probing; bid and ask of one price may stand side by side -------


@kernel
def _far_slot(price_ticks):
    return ((price_ticks & _HASHED) * _HASH >> _SHIFT) & (FAR - 1)


@kernel
def _far_clear(book):
    for i in range(FAR):
        book.far[i].lots = 0


@kernel
def _far_find(book, price_ticks, side):
    slot = _far_slot(price_ticks)
    for _ in range(FAR):
        lots = book.far[slot].lots
        if lots == 0:
            return -1
        if book.far[slot].ticks == price_ticks and (lots > 0) == (side == BID):
            return slot
        slot = (slot + 1) & (FAR - 1)
    return -1


@kernel
def _far_put(book, price_ticks, signed_lots):
    # Three quarters full is where linear probing becomes slow; by then the book holds 12,000 levels.
    if book.far_count >= FAR * 3 // 4:
        book.dropped += 1
        return
    slot = _far_slot(price_ticks)
    while book.far[slot].lots != 0:
        slot = (slot + 1) & (FAR - 1)
    book.far[slot].ticks = price_ticks
    book.far[slot].lots = signed_lots
    book.far_count += 1


@kernel
def _far_remove(book, slot):
    # Backward shift: close the hole so that no search ends early, without tombstones that would fill the table in time.
    book.far_count -= 1
    hole = slot
    book.far[hole].lots = 0
    slot = (slot + 1) & (FAR - 1)
    while book.far[slot].lots != 0:
        home = _far_slot(book.far[slot].ticks)
        if ((slot - home) & (FAR - 1)) >= ((slot - hole) & (FAR - 1)):
            book.far[hole].ticks = book.far[slot].ticks
            book.far[hole].lots = book.far[slot].lots
            book.far[slot].lots = 0
            hole = slot
        slot = (slot + 1) & (FAR - 1)


@kernel
def _far_set(book, side, price_ticks, lots):
    slot = _far_find(book, price_ticks, side)
    signed = lots if side == BID else -lots
    if slot >= 0:
        old = abs(book.far[slot].lots)
        if lots == 0:
            _far_remove(book, slot)
        else:
            book.far[slot].lots = signed
        return old
    if lots > 0:
        _far_put(book, price_ticks, signed)
    return 0


@kernel
def _far_next(book, side, price_ticks):
    best = NO_PRICE
    for i in range(FAR):
        lots = book.far[i].lots
        if lots == 0 or (lots > 0) != (side == BID):
            continue
        ticks = book.far[i].ticks
        if side == BID:
            if ticks < price_ticks and (best == NO_PRICE or ticks > best):
                best = ticks
        elif ticks > price_ticks and (best == NO_PRICE or ticks < best):
            best = ticks
    return best

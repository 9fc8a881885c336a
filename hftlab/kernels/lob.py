"""Order-by-order matching with strict price-time priority.

Every public kernel takes `lob` (a LOB record), `out` (EVENT rows), `now_ns`, and is one *engine event*: it appends its rows at
`lob.cursor`, our reports first and then the market rows, so that whoever looks at the book on the LAST row has read the reports.
It returns ACCEPT, a refusal (see `lob_types`), or FAULT_ROOM when `out` is too short for the worst case; then nothing happened.
"""

import numpy as np

from hftlab.kernels.jit import kernel
from hftlab.kernels.lob_book import find, fits, queue_ahead, unlink
from hftlab.kernels.lob_match import crosses, enter, fillable, remove, set_taker, taker_report
from hftlab.kernels.lob_rows import begin, finish, market_row, report_row, room
from hftlab.kernels.lob_types import (
    ACCEPT,
    BAD_SIDE,
    BAD_SIZE,
    CANNOT_FILL,
    DUPLICATE,
    FAULT_ROOM,
    LEVEL_MASK,
    LOB_ORDERS,
    NIL,
    NO_AMEND,
    OUTSIDE_LADDER,
    POOL_FULL,
    UNKNOWN_ORDER,
    WOULD_TAKE,
)
from hftlab.kernels.staging import may_amend
from hftlab.types import (
    ACCEPTED,
    AMEND_CROSS_CANCELS,
    AMEND_KEEPS,
    AMENDED,
    ASK,
    BID,
    CANCEL_REJECTED,
    DEPTH,
    FOK,
    IOC,
    MARKET_ORDER,
    NO_PRICE,
    POST_ONLY,
    REJECTED,
)


@kernel
def _refusal(lob, out, owner, order_id, side, price_ticks, qty_lots, flags):
    """Return why an order cannot be taken in, or ACCEPT. May move the window of prices (and drop what falls out of it)."""
    if qty_lots <= 0:
        return BAD_SIZE
    if side != BID and side != ASK:
        return BAD_SIDE
    if order_id != 0 and find(lob, owner, order_id) != NIL:
        return DUPLICATE
    if flags & FOK and not fillable(lob, owner, side, price_ticks, qty_lots, flags & MARKET_ORDER != 0):
        return CANNOT_FILL
    if flags & (FOK | IOC | MARKET_ORDER):
        return ACCEPT
    if lob.free_head == NIL:
        return POOL_FULL
    if flags & POST_ONLY and crosses(lob, side, price_ticks):
        return WOULD_TAKE
    if not fits(lob, out, price_ticks):
        return OUTSIDE_LADDER
    return ACCEPT


@kernel
def submit(lob, out, now_ns, owner, order_id, side, price_ticks, qty_lots, flags):
    """Take in one order; `flags` POST_ONLY, IOC, FOK, MARKET_ORDER. `lob.handle` names it if it came to rest, else NIL."""
    if not room(lob, out):
        return FAULT_ROOM
    begin(lob)
    code = _refusal(lob, out, owner, order_id, side, price_ticks, qty_lots, flags)
    if code != ACCEPT:
        lob.rejects[code] += 1
        report_row(lob, out, REJECTED, owner, order_id, side, price_ticks, qty_lots, 0, 0)
        finish(lob, out, now_ns)
        return code
    lob.added_lots += qty_lots
    set_taker(lob, owner, order_id, side, price_ticks, qty_lots, 0)
    taker_report(lob, out, ACCEPTED, qty_lots, qty_lots)
    enter(lob, out, flags & MARKET_ORDER != 0, flags & (IOC | FOK | MARKET_ORDER) == 0, flags & POST_ONLY)
    finish(lob, out, now_ns)
    return ACCEPT


@kernel
def cancel_slot(lob, out, now_ns, slot):
    """Cancel the order in `slot`, which must hold one."""
    if not room(lob, out):
        return FAULT_ROOM
    begin(lob)
    order = lob.orders[slot]
    side = np.int64(order.side)
    price_ticks = order.price_ticks
    remove(lob, out, slot, order.leaves_lots)
    market_row(lob, out, DEPTH, side, price_ticks, lob.levels[price_ticks & LEVEL_MASK].lots)
    finish(lob, out, now_ns)
    return ACCEPT


@kernel
def slot_of(lob, handle):
    """Return the slot of a handle given out by `submit`, or NIL when that order is gone."""
    slot = handle % LOB_ORDERS
    if handle < 0 or lob.orders[slot].side == 0 or lob.orders[slot].generation != handle // LOB_ORDERS:
        return NIL
    return slot


@kernel
def _refuse_change(lob, out, now_ns, owner, order_id, slot, code):
    """Report that a cancel or amend was refused; the order, if there is one, rests as before."""
    begin(lob)
    lob.rejects[code] += 1
    if slot == NIL:
        report_row(lob, out, CANCEL_REJECTED, owner, order_id, 0, NO_PRICE, 0, 0, 0)
    else:
        order = lob.orders[slot]
        total = order.executed_lots + order.leaves_lots
        report_row(lob, out, CANCEL_REJECTED, owner, order_id, np.int64(order.side), order.price_ticks, total, order.leaves_lots, 0)
    finish(lob, out, now_ns)
    return code


@kernel
def cancel(lob, out, now_ns, owner, order_id):
    """Cancel by client order id; CANCEL_REJECTED when no such order rests."""
    if not room(lob, out):
        return FAULT_ROOM
    slot = find(lob, owner, order_id)
    if slot == NIL:
        return _refuse_change(lob, out, now_ns, owner, order_id, slot, UNKNOWN_ORDER)
    return cancel_slot(lob, out, now_ns, slot)


@kernel
def amend(lob, out, now_ns, owner, order_id, price_ticks, qty_lots):
    """Change price and *total* quantity (executed part included) of a resting order, by the venue's `amend_rule`.

    A total not above what is executed cancels the order. Refusals are CANCEL_REJECTED: the order rests unchanged.
    """
    if not room(lob, out):
        return FAULT_ROOM
    slot = find(lob, owner, order_id)
    if slot == NIL:
        return _refuse_change(lob, out, now_ns, owner, order_id, slot, UNKNOWN_ORDER)
    order = lob.orders[slot]
    side = np.int64(order.side)
    leaves = qty_lots - order.executed_lots
    if not may_amend(lob.amend_rule, price_ticks == order.price_ticks, leaves < order.leaves_lots):
        return _refuse_change(lob, out, now_ns, owner, order_id, slot, NO_AMEND)
    if leaves <= 0:
        return cancel_slot(lob, out, now_ns, slot)
    if order.post_only and crosses(lob, side, price_ticks):
        if lob.amend_rule & AMEND_CROSS_CANCELS:
            return cancel_slot(lob, out, now_ns, slot)
        return _refuse_change(lob, out, now_ns, owner, order_id, slot, WOULD_TAKE)
    begin(lob)
    if not fits(lob, out, price_ticks):
        return _refuse_change(lob, out, now_ns, owner, order_id, slot, OUTSIDE_LADDER)
    if order.side == 0:  # the window moved away from under the order: fits() has canceled it
        finish(lob, out, now_ns)
        return OUTSIDE_LADDER
    report_row(lob, out, AMENDED, owner, order_id, side, price_ticks, qty_lots, leaves, 0)
    lob.added_lots += leaves
    lob.canceled_lots += order.leaves_lots
    if lob.amend_rule & AMEND_KEEPS and price_ticks == order.price_ticks and leaves <= order.leaves_lots:
        lob.levels[price_ticks & LEVEL_MASK].lots += leaves - order.leaves_lots
        order.leaves_lots = leaves
        market_row(lob, out, DEPTH, side, price_ticks, lob.levels[price_ticks & LEVEL_MASK].lots)
    else:
        _requeue(lob, out, slot, price_ticks, leaves)
    finish(lob, out, now_ns)
    return ACCEPT


@kernel
def _requeue(lob, out, slot, price_ticks, leaves):
    """Take an order out and bring it in again as the youngest at its new price, where it may trade first."""
    order = lob.orders[slot]
    side = np.int64(order.side)
    old_ticks = order.price_ticks
    post_only = np.int64(order.post_only)
    set_taker(lob, order.owner, order.order_id, side, price_ticks, leaves, order.executed_lots)
    lob.levels[old_ticks & LEVEL_MASK].lots -= order.leaves_lots
    unlink(lob, slot)
    if price_ticks != old_ticks:
        market_row(lob, out, DEPTH, side, old_ticks, lob.levels[old_ticks & LEVEL_MASK].lots)
    enter(lob, out, False, True, post_only)


@kernel
def ahead_of(lob, owner, order_id):
    """Return the lots resting in front of an order at its price, or -1 when it does not rest."""
    slot = find(lob, owner, order_id)
    return -1 if slot == NIL else queue_ahead(lob, slot)

"""The places of orders in the book: levels, queues, the pool, the map of client ids, and the window of prices."""

from hftlab.kernels.jit import kernel
from hftlab.kernels.lob_rows import market_row, report_row
from hftlab.kernels.lob_types import LEVEL_MASK, LOB_LEVELS, LOB_MAP, MAP_MASK, NIL
from hftlab.types import BID, CANCELED, DEPTH, NO_PRICE


@kernel
def _home(owner, order_id):
    """Return the first map place of an id. Ids count upward, so folding them is enough; no product that could overflow."""
    return (order_id ^ (order_id >> 15) ^ (owner << 7)) & MAP_MASK


@kernel
def find(lob, owner, order_id):
    """Return the slot of a resting order, or NIL."""
    place = _home(owner, order_id)
    while lob.map[place] != NIL:
        slot = lob.map[place]
        if lob.orders[slot].order_id == order_id and lob.orders[slot].owner == owner:
            return slot
        place = (place + 1) & MAP_MASK
    return NIL


@kernel
def _remember(lob, slot):
    place = _home(lob.orders[slot].owner, lob.orders[slot].order_id)
    while lob.map[place] != NIL:
        place = (place + 1) & MAP_MASK
    lob.map[place] = slot


@kernel
def _forget(lob, slot):
    """Take a slot out of the map and close the gap, so that no search stops early."""
    place = _home(lob.orders[slot].owner, lob.orders[slot].order_id)
    while lob.map[place] != slot:
        place = (place + 1) & MAP_MASK
    hole = place
    place = (place + 1) & MAP_MASK
    while lob.map[place] != NIL:
        other = lob.map[place]
        home = _home(lob.orders[other].owner, lob.orders[other].order_id)
        # it may move back into the hole only if its own search would pass there
        if (place - home) % LOB_MAP >= (place - hole) % LOB_MAP:
            lob.map[hole] = other
            hole = place
        place = (place + 1) & MAP_MASK
    lob.map[hole] = NIL


@kernel
def link(lob, owner, order_id, side, price_ticks, leaves_lots, executed_lots, post_only):
    """Put an order at the back of its queue and return its slot. The pool must have a free one."""
    slot = lob.free_head
    order = lob.orders[slot]
    lob.free_head = order.next
    lob.high_water = max(lob.high_water, slot + 1)
    level = lob.levels[price_ticks & LEVEL_MASK]
    order.generation += 1
    order.order_id = order_id
    order.owner = owner
    order.side = side
    order.price_ticks = price_ticks
    order.leaves_lots = leaves_lots
    order.executed_lots = executed_lots
    order.post_only = post_only
    order.next = NIL
    order.prev = level.tail
    if level.tail == NIL:
        level.head = slot
    else:
        lob.orders[level.tail].next = slot
    level.tail = slot
    level.lots += leaves_lots
    if side == BID:
        lob.bid_orders += 1
        if lob.best_bid_ticks == NO_PRICE or price_ticks > lob.best_bid_ticks:
            lob.best_bid_ticks = price_ticks
    else:
        lob.ask_orders += 1
        if lob.best_ask_ticks == NO_PRICE or price_ticks < lob.best_ask_ticks:
            lob.best_ask_ticks = price_ticks
    if order_id != 0:
        _remember(lob, slot)
    return slot


@kernel
def unlink(lob, slot):
    """Take an order out of its queue and free the slot. Its lots must already be off the level."""
    order = lob.orders[slot]
    price_ticks = order.price_ticks
    level = lob.levels[price_ticks & LEVEL_MASK]
    if order.order_id != 0:
        _forget(lob, slot)
    if order.prev == NIL:
        level.head = order.next
    else:
        lob.orders[order.prev].next = order.next
    if order.next == NIL:
        level.tail = order.prev
    else:
        lob.orders[order.next].prev = order.prev
    if order.side == BID:
        lob.bid_orders -= 1
        if level.head == NIL and price_ticks == lob.best_bid_ticks:
            lob.best_bid_ticks = _next_price(lob, price_ticks, -1, lob.bid_orders)
    else:
        lob.ask_orders -= 1
        if level.head == NIL and price_ticks == lob.best_ask_ticks:
            lob.best_ask_ticks = _next_price(lob, price_ticks, 1, lob.ask_orders)
    order.side = 0
    order.next = lob.free_head
    lob.free_head = slot


@kernel
def _next_price(lob, price_ticks, step, orders):
    """Return the next occupied price away from the touch, or NO_PRICE when no order is left on the side."""
    if orders == 0:
        return NO_PRICE
    price_ticks += step
    while lob.levels[price_ticks & LEVEL_MASK].head == NIL:
        price_ticks += step
    return price_ticks


@kernel
def queue_ahead(lob, slot):
    """Return the lots in front of the order in `slot`."""
    lots = 0
    at = lob.orders[slot].prev
    while at != NIL:
        lots += lob.orders[at].leaves_lots
        at = lob.orders[at].prev
    return lots


@kernel
def fits(lob, out, price_ticks):
    """Return whether `price_ticks` lies in the window of prices, moving the window round the touch if that brings it in.

    Orders that fall out of a moved window are canceled by the venue, as under a price band, with their rows.
    """
    if lob.anchor_ticks <= price_ticks < lob.anchor_ticks + LOB_LEVELS:
        return True
    if lob.bid_orders + lob.ask_orders == 0:
        lob.anchor_ticks = price_ticks - LOB_LEVELS // 2
        return True
    touch = lob.best_bid_ticks if lob.best_bid_ticks != NO_PRICE else lob.best_ask_ticks
    anchor = touch - LOB_LEVELS // 2
    if price_ticks < anchor or price_ticks >= anchor + LOB_LEVELS:
        return False
    shift = anchor - lob.anchor_ticks
    if shift > 0:
        _purge(lob, out, lob.anchor_ticks, min(anchor, lob.anchor_ticks + LOB_LEVELS))
    else:
        _purge(lob, out, max(anchor, lob.anchor_ticks - LOB_LEVELS) + LOB_LEVELS, lob.anchor_ticks + LOB_LEVELS)
    lob.anchor_ticks = anchor
    return True


@kernel
def _purge(lob, out, low_ticks, high_ticks):
    """Cancel every order with low_ticks <= price < high_ticks."""
    for price_ticks in range(low_ticks, high_ticks):
        level = lob.levels[price_ticks & LEVEL_MASK]
        slot = level.head
        if slot == NIL:
            continue
        side = lob.orders[slot].side
        while slot != NIL:
            order = lob.orders[slot]
            following = order.next
            lots = order.leaves_lots
            level.lots -= lots
            lob.canceled_lots += lots
            report_row(lob, out, CANCELED, order.owner, order.order_id, order.side, price_ticks, order.executed_lots, lots, 0)
            unlink(lob, slot)
            slot = following
        market_row(lob, out, DEPTH, side, price_ticks, 0)

"""Our orders: the table and its life cycle.

The life cycle is one table of pairs (status, report); every pair that is not in it is refused and counted.
"""

import math

import numpy as np

from hftlab.kernels import ledger, own, pulls, queue
from hftlab.kernels.jit import kernel
from hftlab.types import (
    ACCEPTED,
    AMEND_KEEPS,
    AMENDED,
    BID,
    CANCEL_REJECTED,
    CANCELED,
    FILL,
    FREE,
    IOC,
    LEVELS_MAX,
    LIVE,
    LOST,
    MAKER,
    ORDERS,
    PENDING_AMEND,
    PENDING_CANCEL,
    PENDING_NEW,
    QUEUE_POWER,
    REJECTED,
    UNDECIDED,
    UNKNOWN,
)

REFUSED = -1
REPORTS = (ACCEPTED, REJECTED, AMENDED, CANCELED, FILL, UNKNOWN, CANCEL_REJECTED)


def _transitions() -> np.ndarray:
    """Return the next status for [status, kind]. A FILL that leaves nothing frees the slot whatever stands here."""
    table = np.full((6, 128), REFUSED, dtype=np.int64)
    for status in (PENDING_NEW, LIVE, PENDING_AMEND, PENDING_CANCEL, LOST):
        table[status, CANCELED] = FREE
        table[status, UNKNOWN] = LOST
        table[status, FILL] = status
    table[PENDING_NEW, ACCEPTED] = LIVE
    table[PENDING_NEW, REJECTED] = FREE
    table[PENDING_NEW, FILL] = LIVE  # the acknowledgement was lost or is late: a fill proves that the order rests
    table[PENDING_CANCEL, ACCEPTED] = PENDING_CANCEL  # cancelled before its acknowledgement came
    table[PENDING_CANCEL, REJECTED] = FREE
    table[PENDING_CANCEL, AMENDED] = PENDING_CANCEL
    table[PENDING_CANCEL, CANCEL_REJECTED] = LOST  # "no such order" is not "filled": ask, never guess
    table[PENDING_AMEND, AMENDED] = LIVE
    table[PENDING_AMEND, REJECTED] = LIVE  # the amend was refused, the order stands as it was
    table[PENDING_AMEND, CANCEL_REJECTED] = LIVE  # the word of venues that have one refusal for cancels and amends
    table[LOST, ACCEPTED] = LIVE
    table[LOST, AMENDED] = LIVE
    table[LOST, REJECTED] = FREE
    table[LOST, CANCEL_REJECTED] = LOST
    table[LOST, FILL] = LIVE
    return table


TRANSITIONS = _transitions()


@kernel
def slot_key(side, level):
    """Return the index of a side and level in `market.slots`."""
    return level if side == BID else LEVELS_MAX + level


@kernel
def find(market, order_id):
    """Return the slot of an order id, or -1. Ids are made as number x ORDERS + slot, so this is one look."""
    slot = order_id % ORDERS
    order = market.orders[slot]
    return slot if order_id > 0 and order.status != FREE and order.order_id == order_id else -1


@kernel
def free_slot(market):
    """Return an empty slot, or -1."""
    for slot in range(ORDERS):
        if market.orders[slot].status == FREE:
            return slot
    return -1


@kernel
def add(market, order_id, side, level, price_ticks, lots, flags, now_ns):
    """Enter a new order, on its way to the venue, into slot `order_id % ORDERS`."""
    order = market.orders[order_id % ORDERS]
    order.order_id = order_id
    order.price_ticks = price_ticks
    order.qty_lots = lots
    order.leaves_lots = lots
    order.wish_ticks = price_ticks
    order.wish_lots = lots
    order.sent_ns = now_ns
    order.live_ns = 0
    order.ahead_lots = 0.0
    order.traded_lots = 0.0
    order.fill_p = math.nan
    order.value_ticks = math.nan
    order.decision = UNDECIDED
    order.status = PENDING_NEW
    order.side = side
    order.level = level
    order["flags"] = flags
    market.working += 1
    own.count_at(market, order_id % ORDERS, 1)
    market.open_lots[0 if side == BID else 1] += lots
    if market.own_known != 0:
        own.widen_own_touch(market, order)
    market.levels_used = max(market.levels_used, level + 1)
    market.slots[slot_key(side, level)] = order_id % ORDERS + 1


@kernel
def release(market, slot):
    """Empty a slot after a terminal report."""
    order = market.orders[slot]
    key = slot_key(order.side, order.level)
    if market.slots[key] == slot + 1:
        market.slots[key] = 0
    own.count_at(market, slot, -1)
    order.status = FREE
    market.working -= 1
    if market.working == 0:
        market.levels_used = 0


@kernel
def apply_report(desk, market, event):
    """Apply a venue report to the order that it names. Returns False for a report that fits no order or no transition.

    A fill is always booked: the money moved whether or not we still know the order.
    """
    kind = event.kind
    slot = find(market, event.order_id)
    if kind == FILL:
        ledger.apply_fill(market, event, (event["flags"] & MAKER) != 0, desk.now_ns)
    if slot < 0:
        # The answer to an amend or cancel that crossed with the order's last fill is no surprise.
        if kind == REJECTED or kind == CANCEL_REJECTED:
            desk.rejects += 1
        else:
            desk.unexpected += 1
        return False
    _time_answer(desk, market, market.orders[slot], kind)
    side = market.orders[slot].side
    before = own.worst_leaves(market.orders[slot])
    known = _change(desk, market, slot, event)
    after = own.worst_leaves(market.orders[slot]) if market.orders[slot].status != FREE else 0
    own.add_open(market, side, after - before)
    return known


@kernel
def _time_answer(desk, market, order, kind):
    """Note how long a request took, where a report is the answer to it: what else happens to an order answers nothing."""
    refused = kind == REJECTED or kind == CANCEL_REJECTED
    new = order.status == PENDING_NEW and (kind == ACCEPTED or refused)
    amend = order.status == PENDING_AMEND and (kind == AMENDED or refused)
    if new or amend or (order.status == PENDING_CANCEL and (kind == CANCELED or refused)):
        pulls.answered(market, order.sent_ns, desk.now_ns)


@kernel
def _change(desk, market, slot, event):
    """Apply a report to the order that it names. Returns False for one that fits no transition."""
    kind = event.kind
    order = market.orders[slot]
    status = TRANSITIONS[order.status, kind]
    if status == REFUSED:
        desk.unexpected += 1
        return False
    refused_amend = order.status == PENDING_AMEND and kind == CANCEL_REJECTED
    if kind == REJECTED and order.live_ns > 0 and status == FREE:
        status = order.status  # an amend was refused while a cancel is on its way, or after silence: the order may still rest
    if kind == FILL:
        order.leaves_lots = event.leaves_lots
        # An amend asks for a total, so a fill on the way makes what it would leave smaller too; with none, the two are one.
        waits = order.status == PENDING_AMEND or order.status == PENDING_CANCEL or order.status == LOST
        order.wish_lots = max(order.wish_lots - event.qty_lots, 0) if waits else event.leaves_lots
        if order.live_ns == 0:
            order.live_ns = desk.now_ns
        if event.leaves_lots == 0:
            status = FREE
    elif kind == ACCEPTED:
        order.live_ns = desk.now_ns
        queue.place(order, own.public_lots(market, order.side, order.price_ticks), QUEUE_POWER)
    elif kind == AMENDED:
        _amended(market, order, event, desk.now_ns)
    elif kind == REJECTED or refused_amend:
        desk.rejects += 1
        _remember(market, order)
        order.wish_ticks = order.price_ticks
        order.wish_lots = order.leaves_lots
    elif kind == CANCELED and (order["flags"] & IOC) != 0:
        _remember(market, order)
    if status == FREE:
        release(market, slot)
    else:
        order.status = status
    return True


@kernel
def _remember(market, order):
    """Note what the venue refused, so that it is not asked the same thing again before it has said something new."""
    key = slot_key(order.side, order.level)
    market.rejected_ticks[key] = order.wish_ticks
    market.rejected_messages[key] = market.messages


@kernel
def just_rejected(market, key, price_ticks):
    """Return whether the venue refused this price and the market has said nothing since."""
    return market.rejected_ticks[key] == price_ticks and market.rejected_messages[key] == market.messages


@kernel
def _amended(market, order, event, now_ns):
    smaller = event.price_ticks == order.price_ticks and event.leaves_lots <= order.leaves_lots
    # Asked before the order moves: the book does not hold it at its new price yet.
    level_lots = own.public_lots(market, order.side, event.price_ticks)
    own.count_at(market, order.order_id % ORDERS, -1)
    order.price_ticks = event.price_ticks
    own.count_at(market, order.order_id % ORDERS, 1)
    order.leaves_lots = event.leaves_lots
    order.wish_lots = event.leaves_lots
    order.qty_lots = event.qty_lots
    order.live_ns = now_ns
    if not (smaller and market.spec.amend_rule & AMEND_KEEPS != 0):
        queue.place(order, level_lots, QUEUE_POWER)

"""The simulated exchange for recorded markets, our side: what our requests do when they arrive."""

from hftlab.kernels import book as bk
from hftlab.kernels import ledger, match, queue, taken
from hftlab.kernels.flight import report
from hftlab.kernels.jit import kernel
from hftlab.kernels.staging import may_amend
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMEND_CROSS_CANCELS,
    AMEND_KEEPS,
    AMENDED,
    BID,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    FILL,
    FOK,
    IOC,
    MARKET_ORDER,
    NO_PRICE,
    ORDERS,
    POST_ONLY,
    REDUCE_ONLY,
    REJECTED,
    STP_CANCEL_MAKER,
    STP_CANCEL_TAKER,
    STP_DECREMENT,
    STP_NONE,
    SUBMIT,
)


@kernel
def on_request(desk, exchange, spec, row, out):
    """Let the exchange act on one request at its arrival time."""
    exchange.now_ns = max(exchange.now_ns, row.ts_exch_ns)
    if row.kind == SUBMIT:
        _submit(desk, exchange, spec, row, out)
        return
    slot = _find(exchange, row.order_id)
    if slot < 0:
        kind = REJECTED if row.kind == AMEND else CANCEL_REJECTED
        report(desk, exchange, kind, row.order_id, row.side, row.price_ticks, row.qty_lots, 0, 0, row.instrument)
    elif row.kind == CANCEL:
        _cancel(desk, exchange, slot, row.instrument)
    else:
        _amend(desk, exchange, spec, slot, row)


@kernel
def _find(exchange, order_id):
    for slot in range(exchange.resting_count):
        if exchange.resting[slot].order_id == order_id:
            return slot
    return -1


@kernel
def _cancel(desk, exchange, slot, instrument):
    order = exchange.resting[slot]
    report(desk, exchange, CANCELED, order.order_id, order.side, order.price_ticks, order.qty_lots, order.leaves_lots, 0, instrument)
    match.remove(exchange, slot)


@kernel
def _best_own(exchange, side):
    """Return the slot of our own resting order of a side that trades first, or -1."""
    best = -1
    for slot in range(exchange.resting_count):
        order = exchange.resting[slot]
        if order.side == side:
            lead = 0 if best < 0 else (order.price_ticks - exchange.resting[best].price_ticks) * side
            if best < 0 or lead > 0 or (lead == 0 and order.arrival < exchange.resting[best].arrival):
                best = slot
    return best


@kernel
def _within(row, price_ticks):
    if price_ticks == NO_PRICE:
        return False
    if (row["flags"] & MARKET_ORDER) != 0:
        return True
    return price_ticks <= row.price_ticks if row.side == BID else price_ticks >= row.price_ticks


@kernel
def crosses(exchange, side, price_ticks):
    """Return whether an order at this price would trade at once, with the market or with ourselves."""
    best = match.best_against(exchange, side)
    if best != NO_PRICE and (price_ticks - best) * side >= 0:
        return True
    own = match.own_best_ticks(exchange, -side)
    return own != NO_PRICE and (price_ticks - own) * side >= 0


@kernel
def _refused(exchange, spec, row, crossing):
    """Return whether the venue does not take this order in at all."""
    flags = row["flags"]
    if row.qty_lots <= 0 or (crossing and (flags & POST_ONLY) != 0) or exchange.resting_count >= ORDERS:
        return True
    if (flags & REDUCE_ONLY) != 0:
        return exchange.position_lots * row.side >= 0
    price = row.price_ticks if (flags & MARKET_ORDER) == 0 else match.best_against(exchange, row.side)
    if price != NO_PRICE and abs(ledger.value(spec, price)) * row.qty_lots < spec.notional_ticklots_min:
        return True
    return (flags & FOK) != 0 and _takeable(exchange, row) < row.qty_lots


@kernel
def _submit(desk, exchange, spec, row, out):
    flags = row["flags"]
    crossing = (flags & MARKET_ORDER) != 0 or crosses(exchange, row.side, row.price_ticks)
    if _refused(exchange, spec, row, crossing):
        report(desk, exchange, REJECTED, row.order_id, row.side, row.price_ticks, row.qty_lots, 0, 0, row.instrument)
        return
    ahead = 0 if crossing else bk.lots_at(exchange.book, row.side, row.price_ticks)
    report(desk, exchange, ACCEPTED, row.order_id, row.side, row.price_ticks, row.qty_lots, row.qty_lots, 0, row.instrument, ahead)
    leaves = _take(desk, exchange, row, out) if crossing else row.qty_lots
    if leaves > 0 and ((flags & (IOC | FOK | MARKET_ORDER)) != 0 or exchange.resting_count >= ORDERS):
        report(desk, exchange, CANCELED, row.order_id, row.side, row.price_ticks, row.qty_lots, leaves, 0, row.instrument)
    elif leaves > 0:
        order = exchange.resting[exchange.resting_count]
        order.order_id = row.order_id
        order.price_ticks = row.price_ticks
        order.qty_lots = row.qty_lots
        order.leaves_lots = leaves
        order.side = row.side
        order["flags"] = flags
        exchange.resting_count += 1
        match.count_own(exchange, exchange.resting_count - 1, 1)
        _to_the_back(exchange, order)


@kernel
def _to_the_back(exchange, order):
    exchange.arrivals += 1
    order.arrival = exchange.arrivals
    order.stamp = exchange.stamp
    queue.place(order, bk.lots_at(exchange.book, order.side, order.price_ticks), exchange.queue_model)


@kernel
def _takeable(exchange, row):
    """Return what a fill-or-kill order could take of the market; our own orders are no liquidity."""
    price = match.best_against(exchange, row.side)
    total = 0
    while _within(row, price) and total < row.qty_lots:
        total += bk.lots_at(exchange.book, -row.side, price)
        price = bk.next_level(exchange.book, -row.side, price)
    return total


@kernel
def _take(desk, exchange, row, out):
    """Let a taker trade as far as its limit goes, with the market and, where the venue lets it, with ourselves. Returns what is left."""
    leaves = row.qty_lots
    if (row["flags"] & REDUCE_ONLY) != 0:
        leaves = min(leaves, max(-exchange.position_lots * row.side, 0))
    spared = row.qty_lots - leaves  # what a reduce-only order may not trade
    match.write_touch(exchange, row.instrument, row.order_id, out)
    while leaves > 0:
        price = match.best_against(exchange, row.side)
        lots = leaves
        own = _best_own(exchange, -row.side) if exchange.resting_count > 0 else -1
        if own >= 0 and _within(row, exchange.resting[own].price_ticks):
            order = exchange.resting[own]
            lead = 1 if price == NO_PRICE else (price - order.price_ticks) * row.side
            if lead > 0 or (lead == 0 and order.ahead_lots < 1.0):
                leaves = _meet_own(desk, exchange, row, own, leaves, spared, out)
                if leaves < 0:
                    return 0
                continue
            if lead == 0:
                lots = min(lots, int(order.ahead_lots))
                order.ahead_lots -= min(lots, bk.lots_at(exchange.book, -row.side, price))
        if not _within(row, price):
            break
        lots = min(lots, bk.lots_at(exchange.book, -row.side, price))
        leaves -= lots
        exchange.position_lots += row.side * lots
        report(desk, exchange, FILL, row.order_id, row.side, price, lots, leaves + spared, 0, row.instrument)
        taken.take_from(exchange, -row.side, price, lots)
    return leaves + spared


@kernel
def _meet_own(desk, exchange, row, own, leaves, spared, out):
    """Let our taker meet our own maker by the venue's rule. Returns what is left of the taker, -1 when the rule cancelled it."""
    order = exchange.resting[own]
    lots = min(leaves, order.leaves_lots)
    mode = exchange.stp_mode
    if mode == STP_NONE:
        report(desk, exchange, FILL, row.order_id, row.side, order.price_ticks, lots, leaves - lots + spared, 0, row.instrument)
        exchange.position_lots += row.side * lots
        match.fill(desk, exchange, own, lots, row.instrument, out)
        return leaves - lots
    if mode == STP_DECREMENT:
        left = leaves - lots
        _shrink(desk, exchange, own, lots, row.instrument)
        if left > 0:
            total = row.qty_lots - lots
            report(desk, exchange, AMENDED, row.order_id, row.side, row.price_ticks, total, left + spared, 0, row.instrument)
            return left
    elif mode != STP_CANCEL_TAKER:
        _cancel(desk, exchange, own, row.instrument)
        if mode == STP_CANCEL_MAKER:
            return leaves
    report(desk, exchange, CANCELED, row.order_id, row.side, row.price_ticks, row.qty_lots, leaves + spared, 0, row.instrument)
    return -1


@kernel
def _shrink(desk, exchange, slot, lots, instrument):
    """Take `lots` off a resting order of ours without a trade."""
    order = exchange.resting[slot]
    if order.leaves_lots == lots:
        _cancel(desk, exchange, slot, instrument)
        return
    order.leaves_lots -= lots
    order.qty_lots -= lots
    report(desk, exchange, AMENDED, order.order_id, order.side, order.price_ticks, order.qty_lots, order.leaves_lots, 0, instrument)


@kernel
def _amend(desk, exchange, spec, slot, row):
    order = exchange.resting[slot]
    leaves = row.qty_lots - (order.qty_lots - order.leaves_lots)  # qty_lots of an amend is the new total
    same_price = row.price_ticks == order.price_ticks
    crossing = crosses(exchange, order.side, row.price_ticks)
    if leaves <= 0 or (crossing and spec.amend_rule & AMEND_CROSS_CANCELS != 0):
        # Venues cancel an order whose new total is already executed (Binance futures documents it so).
        _cancel(desk, exchange, slot, row.instrument)
        return
    if crossing or not may_amend(spec.amend_rule, same_price, leaves < order.leaves_lots):
        # Refused, the order stands as it was. Quotes are post-only, so none may be amended into the other side.
        report(desk, exchange, REJECTED, row.order_id, order.side, row.price_ticks, row.qty_lots, order.leaves_lots, 0, row.instrument)
        return
    keeps = same_price and leaves <= order.leaves_lots and spec.amend_rule & AMEND_KEEPS != 0
    match.count_own(exchange, slot, -1)
    order.price_ticks = row.price_ticks
    match.count_own(exchange, slot, 1)
    order.qty_lots = row.qty_lots
    order.leaves_lots = leaves
    if not keeps:
        _to_the_back(exchange, order)
    ahead = int(max(order.ahead_lots, 0.0))
    report(desk, exchange, AMENDED, row.order_id, order.side, order.price_ticks, order.qty_lots, leaves, 0, row.instrument, ahead)

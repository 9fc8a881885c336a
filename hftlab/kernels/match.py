"""The simulated exchange for recorded markets: our orders rest in a book that does not know them.

It fills a resting order when a print trades through its price, when prints at its price have eaten the queue in front of
it, or when the other side of the book has come to its price. A print fills no more than its own quantity, in price-time
priority among our orders. What our takers take is taken out of the book until the venue's next word on that level.
"""

from hftlab.kernels import book as bk
from hftlab.kernels import queue
from hftlab.kernels.flight import report
from hftlab.kernels.jit import kernel
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMEND_KEEPS_SMALLER,
    AMENDED,
    BID,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    CLEAR,
    DEPTH,
    FILL,
    FOK,
    IOC,
    LAST,
    MAKER,
    MARKET_ORDER,
    NO_PRICE,
    ORDERS,
    POST_ONLY,
    REJECTED,
    SUBMIT,
    TRADE,
)

# --- requests ------------------------------------------------------------------------------------------------------------


@kernel
def on_request(desk, exchange, spec, row):
    """Let the exchange act on one request at its arrival time."""
    exchange.now_ns = max(exchange.now_ns, row.ts_exch_ns)
    if row.kind == SUBMIT:
        _submit(desk, exchange, row)
        return
    slot = _find(exchange, row.order_id)
    if slot < 0:
        kind = REJECTED if row.kind == AMEND else CANCEL_REJECTED
        report(desk, exchange, kind, row.order_id, row.side, row.price_ticks, row.qty_lots, 0, 0, row.instrument)
        return
    order = exchange.resting[slot]
    if row.kind == CANCEL:
        report(desk, exchange, CANCELED, row.order_id, order.side, order.price_ticks, order.qty_lots, order.leaves_lots, 0, row.instrument)
        _remove(exchange, slot)
    else:
        _amend(desk, exchange, spec, slot, row)


@kernel
def _find(exchange, order_id):
    for slot in range(exchange.resting_count):
        if exchange.resting[slot].order_id == order_id:
            return slot
    return -1


@kernel
def _remove(exchange, slot):
    """Close the gap with the last order: the first `resting_count` slots are the resting orders, in no order."""
    exchange.resting_count -= 1
    last = exchange.resting[exchange.resting_count]
    order = exchange.resting[slot]
    order.order_id = last.order_id
    order.price_ticks = last.price_ticks
    order.leaves_lots = last.leaves_lots
    order.qty_lots = last.qty_lots
    order.ahead_lots = last.ahead_lots
    order.traded_lots = last.traded_lots
    order.arrival = last.arrival
    order.side = last.side


@kernel
def crosses(exchange, side, price_ticks):
    """Return whether an order at this price would trade at once."""
    if side == BID:
        return exchange.book.best_ask_ticks != NO_PRICE and price_ticks >= exchange.book.best_ask_ticks
    return exchange.book.best_bid_ticks != NO_PRICE and price_ticks <= exchange.book.best_bid_ticks


@kernel
def _submit(desk, exchange, row):
    crossing = (row["flags"] & MARKET_ORDER) != 0 or crosses(exchange, row.side, row.price_ticks)
    killed = crossing and (row["flags"] & FOK) != 0 and _takeable(exchange, row) < row.qty_lots
    if (crossing and (row["flags"] & POST_ONLY) != 0) or killed or exchange.resting_count >= ORDERS:
        report(desk, exchange, REJECTED, row.order_id, row.side, row.price_ticks, row.qty_lots, 0, 0, row.instrument)
        return
    leaves = row.qty_lots
    report(desk, exchange, ACCEPTED, row.order_id, row.side, row.price_ticks, row.qty_lots, leaves, 0, row.instrument)
    if crossing:
        leaves = _take(desk, exchange, row)
    if leaves > 0 and (row["flags"] & (IOC | FOK | MARKET_ORDER)) != 0:
        report(desk, exchange, CANCELED, row.order_id, row.side, row.price_ticks, row.qty_lots, leaves, 0, row.instrument)
    elif leaves > 0:
        order = exchange.resting[exchange.resting_count]
        order.order_id = row.order_id
        order.price_ticks = row.price_ticks
        order.qty_lots = row.qty_lots
        order.leaves_lots = leaves
        order.side = row.side
        exchange.arrivals += 1
        order.arrival = exchange.arrivals
        queue.place(order, bk.lots_at(exchange.book, row.side, row.price_ticks))
        exchange.resting_count += 1


@kernel
def _within(row, price_ticks):
    if price_ticks == NO_PRICE:
        return False
    if (row["flags"] & MARKET_ORDER) != 0:
        return True
    return price_ticks <= row.price_ticks if row.side == BID else price_ticks >= row.price_ticks


@kernel
def _takeable(exchange, row):
    price = exchange.book.best_ask_ticks if row.side == BID else exchange.book.best_bid_ticks
    total = 0
    while _within(row, price) and total < row.qty_lots:
        total += bk.lots_at(exchange.book, -row.side, price)
        price = bk.next_level(exchange.book, -row.side, price)
    return total


@kernel
def _take(desk, exchange, row):
    leaves = row.qty_lots
    price = exchange.book.best_ask_ticks if row.side == BID else exchange.book.best_bid_ticks
    while leaves > 0 and _within(row, price):
        there = bk.lots_at(exchange.book, -row.side, price)
        lots = min(leaves, there)
        leaves -= lots
        report(desk, exchange, FILL, row.order_id, row.side, price, lots, leaves, 0, row.instrument)
        bk.apply_level(exchange.book, -row.side, price, there - lots)
        price = exchange.book.best_ask_ticks if row.side == BID else exchange.book.best_bid_ticks
    return leaves


@kernel
def _amend(desk, exchange, spec, slot, row):
    order = exchange.resting[slot]
    leaves = row.qty_lots - (order.qty_lots - order.leaves_lots)  # qty_lots of an amend is the new total
    if leaves <= 0:
        # Venues cancel an order whose new total is already executed (Binance futures documents it so).
        report(desk, exchange, CANCELED, row.order_id, order.side, order.price_ticks, order.qty_lots, order.leaves_lots, 0, row.instrument)
        _remove(exchange, slot)
        return
    if crosses(exchange, order.side, row.price_ticks):
        # A post-only order amended into the other side is refused and stands as it was; quotes are post-only.
        report(desk, exchange, REJECTED, row.order_id, order.side, row.price_ticks, row.qty_lots, order.leaves_lots, 0, row.instrument)
        return
    keeps = row.price_ticks == order.price_ticks and leaves <= order.leaves_lots and spec.amend_rule == AMEND_KEEPS_SMALLER
    order.price_ticks = row.price_ticks
    order.qty_lots = row.qty_lots
    order.leaves_lots = leaves
    if not keeps:
        exchange.arrivals += 1
        order.arrival = exchange.arrivals
        queue.place(order, bk.lots_at(exchange.book, order.side, order.price_ticks))
    report(desk, exchange, AMENDED, row.order_id, order.side, order.price_ticks, order.qty_lots, leaves, 0, row.instrument)


# --- the market ------------------------------------------------------------------------------------------------------------


@kernel
def on_row(desk, exchange, row):
    """Apply one market row to the exchange's book and to our resting orders."""
    exchange.now_ns = max(exchange.now_ns, row.ts_exch_ns)
    if row.kind == DEPTH:
        old = bk.apply_level(exchange.book, row.side, row.price_ticks, row.qty_lots)
        if exchange.resting_count > 0:
            for slot in range(exchange.resting_count):
                order = exchange.resting[slot]
                if order.price_ticks == row.price_ticks and order.side == row.side:
                    queue.on_depth(order, old, row.qty_lots, exchange.queue_model, exchange.queue_power)
    elif row.kind == TRADE:
        if exchange.resting_count > 0:
            _on_trade(desk, exchange, row)
    elif row.kind == CLEAR:
        bk.clear(exchange.book, row.side)
    if (row["flags"] & LAST) != 0:
        bk.settle(exchange.book)
        if exchange.resting_count > 0:
            _fill_crossed(desk, exchange, row.instrument)


@kernel
def _fill(desk, exchange, slot, lots, instrument):
    order = exchange.resting[slot]
    order.leaves_lots -= lots
    report(desk, exchange, FILL, order.order_id, order.side, order.price_ticks, lots, order.leaves_lots, MAKER, instrument)
    if order.leaves_lots == 0:
        _remove(exchange, slot)


@kernel
def _next_in_line(exchange, side, price_ticks, after_price, after_arrival):
    """Return our next order, in price-time priority, that a print at `price_ticks` against `side` reaches, or -1."""
    best = -1
    for slot in range(exchange.resting_count):
        order = exchange.resting[slot]
        if order.side != side:
            continue
        if (order.price_ticks - price_ticks) * side < 0:
            continue
        behind = (after_price - order.price_ticks) * side
        if after_arrival >= 0 and not (behind > 0 or (behind == 0 and order.arrival > after_arrival)):
            continue
        if best < 0:
            best = slot
            continue
        lead = (order.price_ticks - exchange.resting[best].price_ticks) * side
        if lead > 0 or (lead == 0 and order.arrival < exchange.resting[best].arrival):
            best = slot
    return best


@kernel
def _on_trade(desk, exchange, row):
    side = -row.side  # resting side
    budget = row.qty_lots
    price = 0
    arrival = -1
    slot = _next_in_line(exchange, side, row.price_ticks, price, arrival)
    while slot >= 0:
        order = exchange.resting[slot]
        price = order.price_ticks
        arrival = order.arrival
        if order.price_ticks == row.price_ticks:
            queue.on_trade(order, row.qty_lots)
            order.ahead_lots += row.qty_lots - budget  # what our orders before this one took did not reach its queue
            due = min(int(-order.ahead_lots), order.leaves_lots) if order.ahead_lots < 0 else 0
        else:
            due = order.leaves_lots  # it traded through us
        if exchange.partial_fills == 0:
            if due > 0:
                _fill(desk, exchange, slot, order.leaves_lots, row.instrument)
        else:
            due = min(due, budget)
            if due > 0:
                budget -= due
                order.ahead_lots = max(order.ahead_lots, 0.0)
                _fill(desk, exchange, slot, due, row.instrument)
        slot = _next_in_line(exchange, side, row.price_ticks, price, arrival)


@kernel
def _fill_crossed(desk, exchange, instrument):
    for slot in range(exchange.resting_count - 1, -1, -1):  # backwards: a fill closes the gap with the last
        order = exchange.resting[slot]
        if crosses(exchange, order.side, order.price_ticks):
            _fill(desk, exchange, slot, order.leaves_lots, instrument)

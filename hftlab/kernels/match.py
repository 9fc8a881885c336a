"""The simulated exchange for recorded markets, market side: what recorded rows do to our resting orders.

Our orders rest in a book that does not know them. A resting order fills when a print trades through its price, when prints at its
price have eaten the queue in front of it, or when the other side of the book has come to its price. A print fills no more than its
own quantity, in price-time priority among our orders, and a level of the book no more than it shows: what we were given of it is
gone, until the feed shows *more* there.
"""

from hftlab.kernels import book as bk
from hftlab.kernels import funding, queue, taken
from hftlab.kernels.flight import report
from hftlab.kernels.jit import inlined, kernel
from hftlab.types import (
    ASK,
    BID,
    CANCELED,
    CLEAR,
    DEPTH,
    FILL,
    FUNDING,
    L3_ORDER,
    LAST,
    MAKER,
    NO_PRICE,
    OWN_AT,
    QUEUE_FIFO,
    QUEUE_THROUGH,
    REDUCE_ONLY,
    TOUCH,
    TRADE,
)


@kernel
def on_row(desk, exchange, spec, row, out):
    """Apply one market row to the exchange's book and to our resting orders."""
    exchange.now_ns = max(exchange.now_ns, row.ts_exch_ns)
    if row.kind == DEPTH:
        on_depth(exchange, row)
    elif row.kind == TRADE:
        if exchange.resting_count > 0:
            _on_trade(desk, exchange, row, out)
    elif row.kind == CLEAR:
        bk.clear(exchange.book, row.side)
        exchange.taken_count = 0
    elif row.kind == L3_ORDER:
        _on_order(exchange, row)
    elif row.kind == FUNDING:
        funding.on_funding(desk, exchange, spec, row)
    if (row["flags"] & LAST) != 0:
        bk.settle(exchange.book)
        book = exchange.book
        if book.best_bid_ticks != exchange.touch_bid_ticks or book.best_ask_ticks != exchange.touch_ask_ticks:
            write_touch(exchange, row.instrument, 0, out)
        if book.best_bid_ticks != exchange.seen_bid_ticks or book.best_ask_ticks != exchange.seen_ask_ticks:
            if exchange.resting_count > 0:
                _fill_crossed(desk, exchange, row.instrument, out)
            exchange.seen_bid_ticks = book.best_bid_ticks
            exchange.seen_ask_ticks = book.best_ask_ticks


@inlined
def on_depth(exchange, row):
    """Apply one level to the exchange's book and to the queues in front of our orders at it."""
    lots = row.qty_lots if exchange.taken_count == 0 else taken.less_taken(exchange, row)
    old = bk.apply_level(exchange.book, row.side, row.price_ticks, lots)
    if exchange.own_at[row.price_ticks & (OWN_AT - 1)] != 0:
        _queues_on_depth(exchange, row, old, lots)


@kernel
def _queues_on_depth(exchange, row, old_lots, new_lots):
    bucket = row.price_ticks & (OWN_AT - 1)
    first = 0
    end = exchange.resting_count
    slot = exchange.own_slot[bucket]
    if exchange.own_at[bucket] == 1 and slot < end and exchange.resting[slot].price_ticks & (OWN_AT - 1) == bucket:
        first = slot
        end = slot + 1
    for k in range(first, end):
        order = exchange.resting[k]
        if order.price_ticks == row.price_ticks and order.side == row.side:
            queue.on_depth(order, old_lots, new_lots, exchange.queue_model, exchange.queue_power)


@kernel
def count_own(exchange, slot, change):
    """Count the order in `slot` in (+1) or out (-1) where it stands; our best prices may be others now."""
    bucket = exchange.resting[slot].price_ticks & (OWN_AT - 1)
    exchange.own_at[bucket] = int(exchange.own_at[bucket]) + change
    exchange.own_slot[bucket] = slot
    price = exchange.resting[slot].price_ticks
    if change < 0:
        exchange.own_known = 0
    elif exchange.resting[slot].side == BID:
        exchange.own_bid_ticks = max(exchange.own_bid_ticks, price)
    elif exchange.own_ask_ticks == NO_PRICE or price < exchange.own_ask_ticks:
        exchange.own_ask_ticks = price


@kernel
def own_best_ticks(exchange, side):
    """Return the price of our own resting order of a side that trades first, or NO_PRICE."""
    if exchange.own_known == 0:
        exchange.own_known = 1
        exchange.own_bid_ticks = NO_PRICE
        exchange.own_ask_ticks = NO_PRICE
        for slot in range(exchange.resting_count):
            price = exchange.resting[slot].price_ticks
            if exchange.resting[slot].side == BID:
                exchange.own_bid_ticks = max(exchange.own_bid_ticks, price)
            elif exchange.own_ask_ticks == NO_PRICE or price < exchange.own_ask_ticks:
                exchange.own_ask_ticks = price
    return exchange.own_bid_ticks if side == BID else exchange.own_ask_ticks


@kernel
def write_touch(exchange, instrument, order_id, out):
    """Write down the exchange's best prices and their sizes, as they are now; `seq` names our order that is about to be filled."""
    book = exchange.book
    bid = book.best_bid_ticks
    ask = book.best_ask_ticks
    exchange.touch_bid_ticks = bid
    exchange.touch_ask_ticks = ask
    out[0].seq += 1
    row = out[out[0].seq]
    row.ts_exch_ns = exchange.now_ns
    row.ts_recv_ns = exchange.now_ns
    row.price_ticks = bid
    row.qty_lots = 0 if bid == NO_PRICE else bk.lots_at(book, BID, bid)
    row.leaves_lots = ask
    row.order_id = 0 if ask == NO_PRICE else bk.lots_at(book, -BID, ask)
    row.seq = order_id
    row.kind = TOUCH
    row.side = 0
    row["flags"] = 0
    row.instrument = instrument


# --- our resting orders ----------------------------------------------------------------------------------------------------------


@kernel
def remove(exchange, slot):
    """Close the gap with the last order: the first `resting_count` slots are the resting orders, in no order."""
    count_own(exchange, slot, -1)
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
    order.stamp = last.stamp
    order.side = last.side
    order["flags"] = last["flags"]
    exchange.own_slot[order.price_ticks & (OWN_AT - 1)] = slot


@kernel
def fill(desk, exchange, slot, lots, instrument, out):
    """Fill a resting order of ours at its price; a reduce-only one no further than the position reaches. Returns the lots filled."""
    order = exchange.resting[slot]
    if order["flags"] & REDUCE_ONLY != 0:
        lots = min(lots, max(-exchange.position_lots * order.side, 0))
    if lots > 0:
        write_touch(exchange, instrument, order.order_id, out)
        order.leaves_lots -= lots
        exchange.position_lots += order.side * lots
        report(desk, exchange, FILL, order.order_id, order.side, order.price_ticks, lots, order.leaves_lots, MAKER, instrument)
    done = order["flags"] & REDUCE_ONLY != 0 and exchange.position_lots * order.side >= 0
    if done and order.leaves_lots > 0:
        report(desk, exchange, CANCELED, order.order_id, order.side, order.price_ticks, order.qty_lots, order.leaves_lots, 0, instrument)
        remove(exchange, slot)
    elif order.leaves_lots == 0:
        remove(exchange, slot)
    return lots


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
def _on_trade(desk, exchange, row, out):
    side = -row.side  # resting side
    best = own_best_ticks(exchange, side)
    if best == NO_PRICE or (best - row.price_ticks) * side < 0:
        return
    budget = row.qty_lots
    price = 0
    arrival = -1
    slot = _next_in_line(exchange, side, row.price_ticks, price, arrival)
    while slot >= 0:
        order = exchange.resting[slot]
        price = order.price_ticks
        arrival = order.arrival
        if order.price_ticks == row.price_ticks:
            queue.on_trade(order, row.qty_lots, exchange.queue_model)
            if exchange.queue_model != QUEUE_THROUGH:
                order.ahead_lots += row.qty_lots - budget  # what our orders before this one took did not reach its queue
            due = min(queue.due_lots(order), order.leaves_lots)
        else:
            due = order.leaves_lots  # it traded through us
        if exchange.partial_fills == 0:
            if due > 0:
                fill(desk, exchange, slot, order.leaves_lots, row.instrument, out)
        else:
            due = min(due, budget)
            if due > 0:
                order.ahead_lots = max(order.ahead_lots, 0.0)
                budget -= fill(desk, exchange, slot, due, row.instrument, out)
        slot = _next_in_line(exchange, side, row.price_ticks, price, arrival)


@kernel
def _on_order(exchange, row):
    """Let one of the venue's orders in front of ours shrink, where the feed tells orders apart."""
    exchange.stamp = max(exchange.stamp, row.seq)
    if exchange.queue_model != QUEUE_FIFO:
        return
    gone = row.qty_lots - row.leaves_lots
    for slot in range(exchange.resting_count):
        order = exchange.resting[slot]
        if gone > 0 and order.price_ticks == row.price_ticks and order.side == row.side and row.seq <= order.stamp:
            queue.on_order(order, gone)


@kernel
def _fill_crossed(desk, exchange, instrument, out):
    """Fill orders that the other side has come to: it would have traded with us first. No more than it shows there."""
    if exchange.partial_fills != 0:
        _fill_from_touch(desk, exchange, BID, instrument, out)
        _fill_from_touch(desk, exchange, ASK, instrument, out)
        return
    slot = exchange.resting_count - 1
    while slot >= 0:  # backwards: a fill closes the gap with the last
        order = exchange.resting[slot]
        price = best_against(exchange, order.side)
        if price != NO_PRICE and (order.price_ticks - price) * order.side >= 0:
            fill(desk, exchange, slot, order.leaves_lots, instrument, out)
        slot -= 1


@kernel
def _fill_from_touch(desk, exchange, side, instrument, out):
    """Give our orders of a side what the other side shows at their prices and better: by price, then age, one level after the other."""
    while True:
        price = best_against(exchange, side)
        slot = -1 if price == NO_PRICE else _next_in_line(exchange, side, price, 0, -1)
        if slot < 0:
            return
        shown = bk.lots_at(exchange.book, -side, price)
        count = exchange.resting_count
        given = fill(desk, exchange, slot, min(exchange.resting[slot].leaves_lots, shown), instrument, out)
        if given > 0:
            taken.take_from(exchange, -side, price, given)
        elif exchange.resting_count == count:
            return


@kernel
def best_against(exchange, side):
    """Return the best price of the side that an order of `side` trades with, or NO_PRICE."""
    return exchange.book.best_ask_ticks if side == BID else exchange.book.best_bid_ticks

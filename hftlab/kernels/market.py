"""What market rows do to what we know of one instrument."""

import math

from hftlab.kernels import book as bk
from hftlab.kernels import ledger, liquidity, own, pulls, queue, quote, touch_flow, toxicity
from hftlab.kernels.jit import inlined, kernel
from hftlab.types import (
    ASK,
    BBO,
    BID,
    CLEAR,
    CROSSED,
    DEPTH,
    FREE,
    FUNDING,
    GAP,
    LAST,
    LEVELS_MAX,
    NO_PRICE,
    ORDERS,
    OWN_AT,
    QUEUE_POWER,
    RESYNC,
    SNAPSHOT,
    TRADE,
    VALID,
)

# The queue estimate of the live table: proportional cancels (power 1) need no calibration.
_ESTIMATE_POWER = 1.0


@kernel
def on_row(market, row, now_ns):
    """Apply one market row to the book, the queue estimates and the estimators."""
    kind = row.kind
    if kind == DEPTH:
        on_depth(market, row)
    elif kind == TRADE:
        if touch_flow.is_wanted(market.params):
            touch_flow.on_print(market, row, row.ts_exch_ns != market.arrivals_ns or row.side != market.arrivals_side)
        quote.update_intensity(market, row, now_ns)
        liquidity.on_print(market, row, now_ns)
        toxicity.on_print(market, row)
        pulls.on_print(market, row, now_ns)
        market.bar_open.traded_lots += row.qty_lots
        if market.own_at[row.price_ticks & (OWN_AT - 1)] != 0:
            _queues_on_trade(market, row)
    elif kind == CLEAR:
        bk.clear(market.book, row.side)
        _lose_book(market)
    elif kind == GAP:
        market.gaps += 1
        _lose_book(market)
    elif kind == BBO:
        _compare_bbo(market, row)
        return
    elif kind == FUNDING:
        market.funding_e8 = row.qty_lots
    if (row["flags"] & LAST) != 0:
        _end_of_message(market, row, now_ns)


@inlined
def on_depth(market, row):
    """Apply one level to the book, and to our estimate of the queues in front of us."""
    old = bk.apply_level(market.book, row.side, row.price_ticks, row.qty_lots)
    if market.own_at[row.price_ticks & (OWN_AT - 1)] != 0:
        _queues_on_depth(market, row, old)


@kernel
def _end_of_message(market, row, now_ns):
    market.messages += 1
    market.feed_ns = max(now_ns - row.ts_exch_ns, 0)
    if row.kind == TRADE or row.kind == FUNDING:
        return
    market.last_exch_ns = max(market.last_exch_ns, row.ts_exch_ns)
    market.last_recv_ns = max(market.last_recv_ns, now_ns)
    market.book.seq = row.seq
    bk.settle(market.book)
    if market.validity == RESYNC and (row["flags"] & SNAPSHOT) == 0:
        return  # after a gap or a clear only a whole snapshot makes the book trustworthy again
    bid = market.book.best_bid_ticks
    ask = market.book.best_ask_ticks
    if bid != NO_PRICE and ask != NO_PRICE and bid >= ask:
        if market.validity != CROSSED:
            market.crosses += 1
        market.validity = CROSSED
    else:
        market.validity = VALID
        if touch_flow.is_wanted(market.params):
            touch_flow.on_message(market, quote.public_touch(market, BID), quote.public_touch(market, ASK), now_ns)


@kernel
def _lose_book(market):
    market.validity = RESYNC
    market.fair_ticks = math.nan
    touch_flow.forget_touch(market.flow)


@kernel
def revalue(market, now_ns):
    """Bring the fair price, the volatility, the open bar and the P&L up to date."""
    if market.validity == VALID:
        fair = quote.fair_ticks(market)
        if fair == fair:
            market.fair_ticks = fair
            market.mark_ticks = fair
            quote.update_volatility(market, now_ns)
            if touch_flow.is_wanted(market.params):
                touch_flow.watch(market, now_ns)
            bar = market.bar_open
            if bar.open_ticks == 0.0:
                bar.open_ticks = fair
                bar.high_ticks = fair
                bar.low_ticks = fair
            bar.high_ticks = max(bar.high_ticks, fair)
            bar.low_ticks = min(bar.low_ticks, fair)
            bar.close_ticks = fair
    ledger.mark(market)
    toxicity.watch_fills(market, now_ns)
    pulls.watch(market, now_ns)


@kernel
def _compare_bbo(market, row):
    """Hold the book against the venue's own best price when both speak of the same update."""
    if row.seq != market.book.seq or market.validity == RESYNC:
        return
    best = market.book.best_bid_ticks if row.side == BID else market.book.best_ask_ticks
    market.bbo_compared += 1
    if best != row.price_ticks or bk.lots_at(market.book, row.side, row.price_ticks) != row.qty_lots:
        market.bbo_different += 1


@kernel
def _queues_on_depth(market, row, old_lots):
    bucket = row.price_ticks & (OWN_AT - 1)
    first = 0
    end = ORDERS
    slot = market.own_slot[bucket]
    if market.own_at[bucket] == 1 and market.orders[slot].status != FREE and market.orders[slot].price_ticks & (OWN_AT - 1) == bucket:
        first = slot
        end = slot + 1
    ours = own.own_lots(market, row.side, row.price_ticks) if market.spec.own_in_book != 0 else 0
    for k in range(first, end):
        order = market.orders[k]
        if order.price_ticks == row.price_ticks and order.side == row.side and order.status != FREE and order.live_ns > 0:
            queue.on_depth(order, max(old_lots - ours, 0), max(row.qty_lots - ours, 0), QUEUE_POWER, _ESTIMATE_POWER)


@kernel
def _queues_on_trade(market, row):
    first = LEVELS_MAX if row.side == BID else 0  # a buyer takes from the asks
    for key in range(first, first + market.levels_used):
        slot = market.slots[key] - 1
        if slot >= 0:
            order = market.orders[slot]
            if order.price_ticks == row.price_ticks and order.live_ns > 0:
                queue.on_trade(order, row.qty_lots, QUEUE_POWER)
                order.ahead_lots = max(order.ahead_lots, 0.0)

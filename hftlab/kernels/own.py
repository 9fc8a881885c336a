"""What of ours stands where: at a price, on a side, at the worst."""

from hftlab.kernels import book as bk
from hftlab.kernels.jit import kernel
from hftlab.types import BID, FREE, LIVE, NO_PRICE, ORDERS, OWN_AT


@kernel
def count_at(market, slot, change):
    """Count the order in `slot` in (+1) or out (-1) at its price."""
    bucket = market.orders[slot].price_ticks & (OWN_AT - 1)
    market.own_at[bucket] = int(market.own_at[bucket]) + change
    market.own_slot[bucket] = slot


@kernel
def worst_leaves(order):
    """Return the most that an order can still fill: an amend in flight may or may not have happened."""
    return max(order.leaves_lots, order.wish_lots)


@kernel
def open_lots(market, side):
    """Return what could still be filled on a side: every order that is not known to be gone, at its largest size."""
    return market.open_lots[0 if side == BID else 1]


@kernel
def add_open(market, side, lots):
    """Count `lots` more that could still be filled on a side; our own best prices may be others now."""
    market.open_lots[0 if side == BID else 1] += lots
    market.own_known = 0


@kernel
def crosses_own(market, side, price_ticks):
    """Return whether an order would meet one of our own, as it stands or as it is asked to be."""
    if market.working == 0:
        return False
    if market.own_known == 0:
        _find_own_touch(market)
    other = market.own_ask_ticks if side == BID else market.own_bid_ticks
    return other != NO_PRICE and (price_ticks - other) * side >= 0


@kernel
def _find_own_touch(market):
    market.own_bid_ticks = NO_PRICE
    market.own_ask_ticks = NO_PRICE
    market.own_known = 1
    left = market.working
    for slot in range(ORDERS):
        if left == 0:
            break
        if market.orders[slot].status != FREE:
            left -= 1
            widen_own_touch(market, market.orders[slot])


@kernel
def widen_own_touch(market, order):
    """Let our own best prices include an order, as it stands or as it is asked to be."""
    nearest = max(order.price_ticks * order.side, order.wish_ticks * order.side) * order.side
    if order.side == BID:
        market.own_bid_ticks = max(market.own_bid_ticks, nearest)
    elif market.own_ask_ticks == NO_PRICE or nearest < market.own_ask_ticks:
        market.own_ask_ticks = nearest


@kernel
def own_lots(market, side, price_ticks):
    """Return what we ourselves show at a level."""
    total = 0
    if market.own_at[price_ticks & (OWN_AT - 1)] != 0:
        for slot in range(ORDERS):
            order = market.orders[slot]
            if order.status >= LIVE and order.side == side and order.price_ticks == price_ticks and order.live_ns > 0:
                total += order.leaves_lots
    return total


@kernel
def public_lots(market, side, price_ticks):
    """Return what others show at a level: our own orders are taken out where the feed contains them."""
    lots = bk.lots_at(market.book, side, price_ticks)
    if market.spec.own_in_book != 0:
        lots = max(lots - own_lots(market, side, price_ticks), 0)
    return lots

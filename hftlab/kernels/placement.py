"""Which of the prices near a wish is worth most: chance of a fill x (edge - expected adverse move), by `queue_value`."""

from hftlab.kernels import own, queue_value
from hftlab.kernels.jit import kernel
from hftlab.types import ASK, BID, LEVELS_MAX, LIVE, NO_PRICE


@kernel
def place(market, quote, nearest_ticks, bid_touch_ticks, ask_touch_ticks):
    """Move the first level of each side by at most `placement_ticks` to the price that is worth most; a tie stays at the wish.

    No price nearer to the reservation price than `nearest_ticks`, none at it, and none that would take. An order of ours that rests at
    a price counts with its own place, a new one joins the back. Touches are without our own orders.
    """
    if bid_touch_ticks == NO_PRICE or ask_touch_ticks == NO_PRICE:
        return
    quote.bid_ticks = _best(market, quote, BID, quote.bid_ticks, nearest_ticks, bid_touch_ticks, ask_touch_ticks)
    quote.ask_ticks = _best(market, quote, ASK, quote.ask_ticks, nearest_ticks, ask_touch_ticks, bid_touch_ticks)


@kernel
def _best(market, quote, side, wish_ticks, nearest_ticks, touch_ticks, other_ticks):
    reach = int(market.params.placement_ticks)
    reservation = quote.reservation_ticks
    best_ticks = wish_ticks
    best = worth(market, side, wish_ticks, touch_ticks, reservation)
    for k in range(-reach, reach + 1):
        price = wish_ticks + k
        distance = (reservation - price) * side
        if k == 0 or distance < nearest_ticks or distance <= 0.0 or (other_ticks - price) * side <= 0:
            continue
        value = worth(market, side, price, touch_ticks, reservation)
        if value > best:
            best = value
            best_ticks = price
    return best_ticks


@kernel
def worth(market, side, price_ticks, touch_ticks, reservation_ticks):
    """Return what our order at a price is worth [ticks], or one that would join the back there; NaN before the rates are known."""
    ahead = float(own.public_lots(market, side, price_ticks))
    slot = market.slots[0 if side == BID else LEVELS_MAX] - 1
    if slot >= 0 and market.orders[slot].status == LIVE and market.orders[slot].price_ticks == price_ticks:
        ahead = market.orders[slot].ahead_lots
    _, value = queue_value.value_ticks(market, side, price_ticks, ahead, touch_ticks, reservation_ticks)
    return value

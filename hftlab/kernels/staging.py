"""From a wish to the least that must be asked of the venue: which order stands for which level, and when one is moved."""

from hftlab.kernels.jit import kernel
from hftlab.kernels.orders import slot_key
from hftlab.types import AMEND_ALLOWED, AMEND_ONLY_SMALLER, AMEND_SAME_PRICE, BID, LEVELS_MAX, LIVE, NO_PRICE, PENDING_CANCEL

KEEP, DO_AMEND, DO_CANCEL, DO_REPLACE = 0, 1, 2, 3


@kernel
def may_amend(rule, same_price, smaller):
    """Return whether a venue's rule lets an order be amended like this."""
    allowed = rule & AMEND_ALLOWED != 0 and (same_price or rule & AMEND_SAME_PRICE == 0)
    return allowed and (smaller or rule & AMEND_ONLY_SMALLER == 0)


@kernel
def stage(market, order, price_ticks, lots, now_ns):
    """Say what to do with a working order when `lots` at `price_ticks` are wished now.

    Keep when the price is less than the hysteresis away, or when the order is younger than its minimum life and the wish
    is *closer* to the market: a quote may always step back. Size alone never moves an order (its place in the queue is
    worth more), unless less is wished than rests. Otherwise amend where the venue can, or cancel and replace.
    """
    if order.status != LIVE:
        # What is on its way must land first; only a withdrawn wish does not wait.
        return DO_CANCEL if lots == 0 and order.status != PENDING_CANCEL else KEEP
    if lots == 0:
        return DO_CANCEL
    possible = may_amend(market.spec.amend_rule, price_ticks == order.price_ticks, lots < order.leaves_lots)
    replace = DO_AMEND if possible else DO_REPLACE
    if lots < order.leaves_lots:
        return replace
    moved = (price_ticks - order.price_ticks) * order.side  # > 0: closer to the market
    if moved == 0 or abs(moved) < market.params.hysteresis_ticks:
        return KEEP
    if moved > 0 and now_ns - order.live_ns < market.params.life_ns_min:
        return KEEP
    return replace


@kernel
def level_ticks(wish, side, level, other_touch_ticks):
    """Return the price of a level of a wish.

    A quote is post-only: at or through the other side (`other_touch_ticks`, NO_PRICE for none) it would only be rejected, so it
    stands one tick away.
    """
    price = (wish.bid_ticks if side == BID else wish.ask_ticks) - side * level * wish.step_ticks
    if other_touch_ticks == NO_PRICE:
        return price
    nearest = other_touch_ticks - side * (1 + level * wish.step_ticks)
    return min(price, nearest) if side == BID else max(price, nearest)


@kernel
def regrid(market, wish, side, other_touch_ticks):
    """Let an order that stands at the price of another level stand for that level: a grid that moves by a step keeps its places."""
    if (wish.bid_lots if side == BID else wish.ask_lots) == 0:
        return
    levels = min(wish.levels, LEVELS_MAX)
    first = slot_key(side, 0)
    used = max(levels, market.levels_used)
    slot = market.slots[first] - 1
    if slot >= 0 and market.orders[slot].wish_ticks == level_ticks(wish, side, 0, other_touch_ticks):
        return  # the grid has not moved
    for level in range(levels):
        price = level_ticks(wish, side, level, other_touch_ticks)
        slot = market.slots[first + level] - 1
        if slot >= 0 and market.orders[slot].wish_ticks == price:
            continue
        for other in range(used):
            found = market.slots[first + other] - 1
            if found >= 0 and market.orders[found].wish_ticks == price:
                market.slots[first + other] = slot + 1
                market.slots[first + level] = found + 1
                market.orders[found].level = level
                if slot >= 0:
                    market.orders[slot].level = other
                market.levels_used = max(market.levels_used, level + 1)
                break

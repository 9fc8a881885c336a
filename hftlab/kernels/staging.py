"""From a wish to the least that must be asked of the venue: which order stands for which level, and when one is moved."""

import math

from hftlab.kernels import own, queue_value, quote
from hftlab.kernels.jit import kernel
from hftlab.kernels.orders import slot_key
from hftlab.types import (
    AMEND_ALLOWED,
    AMEND_LESS,
    AMEND_MOVED,
    AMEND_ONLY_SMALLER,
    AMEND_SAME_PRICE,
    BID,
    CANCEL_UNWISHED,
    KEEP_NEAR,
    KEEP_PLACE,
    KEEP_WISHED,
    KEEP_YOUNG,
    LEVELS_MAX,
    LIVE,
    NO_PRICE,
    PENDING_CANCEL,
    QUOTER_USER,
    REPLACE_LESS,
    REPLACE_MOVED,
)

KEEP, DO_AMEND, DO_CANCEL, DO_REPLACE = 0, 1, 2, 3


@kernel
def may_amend(rule, same_price, smaller):
    """Return whether a venue's rule lets an order be amended like this."""
    allowed = rule & AMEND_ALLOWED != 0 and (same_price or rule & AMEND_SAME_PRICE == 0)
    return allowed and (smaller or rule & AMEND_ONLY_SMALLER == 0)


@kernel
def stage(market, order, price_ticks, lots, now_ns):
    """Say what to do with a working order when `lots` at `price_ticks` are wished now, and note in the order why.

    Keep when the price is less than the hysteresis away, when the order is younger than its least life and the wish is *closer* to
    the market (a quote may always step back), or when its place in the queue is worth more than the new price. Size alone never moves
    an order, unless less is wished than rests. Otherwise amend where the venue can, or cancel and replace.
    """
    if order.status != LIVE:
        # What is on its way must land first, and the reason for it stays; only a withdrawn wish does not wait.
        if lots > 0 or order.status == PENDING_CANCEL:
            return KEEP
        order.decision = CANCEL_UNWISHED
        return DO_CANCEL
    if lots == 0:
        order.decision = CANCEL_UNWISHED
        return DO_CANCEL
    possible = may_amend(market.spec.amend_rule, price_ticks == order.price_ticks, lots < order.leaves_lots)
    replace = DO_AMEND if possible else DO_REPLACE
    if lots < order.leaves_lots:
        order.decision = AMEND_LESS if possible else REPLACE_LESS
        return replace
    moved = (price_ticks - order.price_ticks) * order.side  # > 0: closer to the market
    if moved == 0:
        order.decision = KEEP_WISHED
    elif abs(moved) < market.params.hysteresis_ticks:
        order.decision = KEEP_NEAR
    elif moved > 0 and now_ns - order.live_ns < life_ns(market):
        order.decision = KEEP_YOUNG
    elif abs(moved) <= market.params.queue_keep_ticks and is_place_worth_more(market, order, price_ticks):
        order.decision = KEEP_PLACE
    else:
        order.decision = AMEND_MOVED if possible else REPLACE_MOVED
        return replace
    return KEEP


@kernel
def life_ns(market):
    """Return the least life of an order: the time in which the price moves by `life_move_ticks` in one standard deviation, in its bounds.

    (move / sigma)^2 seconds: in a wild market an order that stands back is out of place soon, in a calm one it may wait in its queue.
    """
    params = market.params
    move = params.life_move_ticks
    if not move > 0.0:
        return params.life_ns_min
    variance = market.variance_ticks2_per_s
    lasts_ns = move * move / variance * 1e9 if variance > 0.0 else math.inf
    return max(min(lasts_ns, params.life_ns_max), params.life_ns_min)


@kernel
def reservation_ticks(market):
    """Return what the quote is around; a user's quoter need not say it, then it is the fair price."""
    return market.quote.fair_ticks if market.params.kind == QUOTER_USER else market.quote.reservation_ticks


@kernel
def is_place_worth_more(market, order, price_ticks):
    """Return whether an order is worth more where it stands than at the back of the queue at a new price. False before the rates are known."""
    reservation = reservation_ticks(market)
    touch = quote.public_touch(market, order.side)
    _, stays = queue_value.value_ticks(market, order.side, order.price_ticks, order.ahead_lots, touch, reservation)
    behind = float(own.public_lots(market, order.side, price_ticks))
    _, moves = queue_value.value_ticks(market, order.side, price_ticks, behind, touch, reservation)
    return stays > moves


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

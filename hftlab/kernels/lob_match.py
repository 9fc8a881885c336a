"""How a taker meets the makers: matching, fill-or-kill, self-trade prevention. The taker is held in the `taker_*` fields."""

import numpy as np

from hftlab.kernels.jit import kernel
from hftlab.kernels.lob_book import link, unlink
from hftlab.kernels.lob_rows import market_row, report_row
from hftlab.kernels.lob_types import LEVEL_MASK, LOB_ORDERS, NIL
from hftlab.types import (
    AMENDED,
    BID,
    CANCELED,
    DEPTH,
    FILL,
    MAKER,
    NO_PRICE,
    STP_CANCEL_MAKER,
    STP_CANCEL_TAKER,
    STP_DECREMENT,
    STP_NONE,
    TRADE,
)


@kernel
def crosses(lob, side, price_ticks):
    """Return whether an order of `side` at `price_ticks` would take at once."""
    if side == BID:
        return lob.best_ask_ticks != NO_PRICE and price_ticks >= lob.best_ask_ticks
    return lob.best_bid_ticks != NO_PRICE and price_ticks <= lob.best_bid_ticks


@kernel
def fillable(lob, owner, side, price_ticks, qty_lots, any_price):
    """Return whether `qty_lots` could trade in full now: the promise of fill-or-kill.

    A maker of the same owner is no liquidity. It ends the count unless the mode cancels makers and goes on.
    """
    wanted = qty_lots
    price = lob.best_ask_ticks if side == BID else lob.best_bid_ticks
    left = lob.ask_orders if side == BID else lob.bid_orders
    while wanted > 0 and left > 0 and (any_price or side * (price - price_ticks) <= 0):
        slot = lob.levels[price & LEVEL_MASK].head
        while slot != NIL and wanted > 0:
            left -= 1
            if owner != 0 and lob.orders[slot].owner == owner and lob.stp_mode != STP_NONE:
                if lob.stp_mode != STP_CANCEL_MAKER:
                    return False
            else:
                wanted -= lob.orders[slot].leaves_lots
            slot = lob.orders[slot].next
        price += side
    return wanted <= 0


@kernel
def taker_report(lob, out, kind, qty_lots, leaves_lots):
    """Report on the taker at its own limit price."""
    report_row(lob, out, kind, lob.taker_owner, lob.taker_id, lob.taker_side, lob.taker_ticks, qty_lots, leaves_lots, 0)


@kernel
def _cancel_taker(lob, out):
    """Cancel what is left of the taker; nothing when nothing is left."""
    lots = lob.taker_left_lots
    if lots > 0:
        lob.canceled_lots += lots
        lob.taker_left_lots = 0
        taker_report(lob, out, CANCELED, lob.taker_executed_lots, lots)


@kernel
def remove(lob, out, slot, lots):
    """Take `lots` off a resting order without a trade, and report it; the caller writes the DEPTH row."""
    order = lob.orders[slot]
    side = np.int64(order.side)
    order.leaves_lots -= lots
    lob.levels[order.price_ticks & LEVEL_MASK].lots -= lots
    lob.canceled_lots += lots
    if order.leaves_lots == 0:
        report_row(lob, out, CANCELED, order.owner, order.order_id, side, order.price_ticks, order.executed_lots, lots, 0)
        unlink(lob, slot)
    else:
        total = order.executed_lots + order.leaves_lots
        report_row(lob, out, AMENDED, order.owner, order.order_id, side, order.price_ticks, total, order.leaves_lots, 0)


@kernel
def _prevent(lob, out, slot):
    """Keep the taker from its owner's own maker in `slot`, by the mode of the venue."""
    leaves = lob.orders[slot].leaves_lots
    if lob.stp_mode == STP_DECREMENT:
        lots = min(lob.taker_left_lots, leaves)
        remove(lob, out, slot, lots)
        if lots == lob.taker_left_lots:
            _cancel_taker(lob, out)
        else:
            lob.canceled_lots += lots
            lob.taker_left_lots -= lots
            taker_report(lob, out, AMENDED, lob.taker_executed_lots + lob.taker_left_lots, lob.taker_left_lots)
        return
    if lob.stp_mode != STP_CANCEL_TAKER:
        remove(lob, out, slot, leaves)
    if lob.stp_mode != STP_CANCEL_MAKER:
        _cancel_taker(lob, out)


@kernel
def _trade(lob, out, slot):
    """Match the taker with the maker in `slot`, at the maker's price."""
    order = lob.orders[slot]
    price_ticks = order.price_ticks
    lots = min(lob.taker_left_lots, order.leaves_lots)
    order.leaves_lots -= lots
    order.executed_lots += lots
    lob.levels[price_ticks & LEVEL_MASK].lots -= lots
    lob.traded_lots += lots
    lob.taker_left_lots -= lots
    lob.taker_executed_lots += lots
    report_row(lob, out, FILL, order.owner, order.order_id, np.int64(order.side), price_ticks, lots, order.leaves_lots, MAKER)
    report_row(lob, out, FILL, lob.taker_owner, lob.taker_id, lob.taker_side, price_ticks, lots, lob.taker_left_lots, 0)
    market_row(lob, out, TRADE, lob.taker_side, price_ticks, lots)
    if order.leaves_lots == 0:
        unlink(lob, slot)


@kernel
def _sweep(lob, out, any_price):
    """Trade the taker against the other side, best price and oldest order first, as far as its limit goes."""
    side = lob.taker_side
    while lob.taker_left_lots > 0:
        price = lob.best_ask_ticks if side == BID else lob.best_bid_ticks
        if price == NO_PRICE or (not any_price and side * (price - lob.taker_ticks) > 0):
            break
        level = lob.levels[price & LEVEL_MASK]
        before = level.lots
        slot = level.head
        while slot != NIL and lob.taker_left_lots > 0:
            following = lob.orders[slot].next
            if lob.taker_owner != 0 and lob.orders[slot].owner == lob.taker_owner and lob.stp_mode != STP_NONE:
                _prevent(lob, out, slot)
            else:
                _trade(lob, out, slot)
            slot = following
        if level.lots != before:
            market_row(lob, out, DEPTH, -side, price, level.lots)


@kernel
def enter(lob, out, any_price, rests, post_only):
    """Bring the taker to the market: let it trade, then rest or cancel what is left."""
    if any_price or crosses(lob, lob.taker_side, lob.taker_ticks):
        _sweep(lob, out, any_price)
    if not rests:
        _cancel_taker(lob, out)
    elif lob.taker_left_lots > 0:
        slot = link(
            lob, lob.taker_owner, lob.taker_id, lob.taker_side, lob.taker_ticks, lob.taker_left_lots, lob.taker_executed_lots, post_only
        )
        lob.handle = slot + np.int64(lob.orders[slot].generation) * LOB_ORDERS
        market_row(lob, out, DEPTH, lob.taker_side, lob.taker_ticks, lob.levels[lob.taker_ticks & LEVEL_MASK].lots)


@kernel
def set_taker(lob, owner, order_id, side, price_ticks, left_lots, executed_lots):
    """Make this order the taker in hand; `executed_lots` is what it traded before, if it is an amended one."""
    lob.taker_owner = owner
    lob.taker_id = order_id
    lob.taker_side = side
    lob.taker_ticks = price_ticks
    lob.taker_left_lots = left_lots
    lob.taker_executed_lots = executed_lots

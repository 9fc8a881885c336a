"""The compiled part of a recorded market: a message's levels and trades, acted out by the crowd on the order-by-order book."""

from typing import Any

from hftlab.kernels.jit import kernel
from hftlab.kernels.lob import submit
from hftlab.kernels.lob_book import unlink
from hftlab.kernels.lob_match import crosses
from hftlab.kernels.lob_rows import begin, finish, market_row, room
from hftlab.kernels.lob_types import FAULT_ROOM, LEVEL_MASK, LOB_LEVELS, NIL
from hftlab.types import DEPTH, IOC, LAST, TRADE


@kernel
def _crowd_lots(lob: Any, side: Any, price_ticks: Any) -> Any:
    """Return what the crowd holds at a price; 0 where the other side rests."""
    lots = 0
    slot = lob.levels[price_ticks & LEVEL_MASK].head
    while slot != NIL:
        order = lob.orders[slot]
        if order.owner == 0 and order.side == side:
            lots += order.leaves_lots
        slot = order.next
    return lots


@kernel
def _take_away(lob: Any, out: Any, now_ns: Any, side: Any, price_ticks: Any, lots: Any) -> None:
    """Let the crowd cancel `lots` at a price, the youngest first, in one engine event."""
    begin(lob)
    level = lob.levels[price_ticks & LEVEL_MASK]
    slot = level.tail
    while slot != NIL and lots > 0:
        order = lob.orders[slot]
        older = order.prev
        if order.owner == 0:
            cut = min(lots, order.leaves_lots)
            lots -= cut
            order.leaves_lots -= cut
            level.lots -= cut
            lob.canceled_lots += cut
            if order.leaves_lots == 0:
                unlink(lob, slot)
        slot = older
    market_row(lob, out, DEPTH, side, price_ticks, level.lots)
    finish(lob, out, now_ns)


@kernel
def _add(lob: Any, out: Any, now_ns: Any, side: Any, price_ticks: Any, lots: Any) -> None:
    """Let the crowd bring `lots` to the back of a price; where it is the last one there, by more of the same order."""
    level = lob.levels[price_ticks & LEVEL_MASK]
    if level.tail == NIL or lob.orders[level.tail].owner != 0 or crosses(lob, side, price_ticks):
        submit(lob, out, now_ns, 0, 0, side, price_ticks, lots, 0)
        return
    begin(lob)
    lob.orders[level.tail].leaves_lots += lots
    level.lots += lots
    lob.added_lots += lots
    market_row(lob, out, DEPTH, side, price_ticks, level.lots)
    finish(lob, out, now_ns)


@kernel
def play_message(worlds: Any, out: Any, rows: Any, low: Any, high: Any, now_ns: Any, middle_ticks: Any, reach_ticks: Any) -> Any:
    """Act out `rows[low:high]`: trades first, then what became less, then what became more. Returns the rows written, or FAULT_ROOM.

    The public sees all of it at once: only the final row is LAST. Levels `reach_ticks` or more from `middle_ticks` are held empty.
    """
    lob = worlds[0].lob
    for turn in range(3):
        for i in range(low, high):
            row = rows[i]
            if not room(lob, out):
                return FAULT_ROOM
            if turn == 0:
                if row.kind == TRADE and row.qty_lots > 0:
                    submit(lob, out, now_ns, 0, 0, row.side, row.price_ticks, row.qty_lots, IOC)
            elif row.kind == DEPTH:
                near = abs(row.price_ticks - middle_ticks) < reach_ticks
                if not near and not (lob.anchor_ticks <= row.price_ticks < lob.anchor_ticks + LOB_LEVELS):
                    continue
                more = (row.qty_lots if near else 0) - _crowd_lots(lob, row.side, row.price_ticks)
                if turn == 1 and more < 0:
                    _take_away(lob, out, now_ns, row.side, row.price_ticks, -more)
                elif turn == 2 and more > 0:
                    _add(lob, out, now_ns, row.side, row.price_ticks, more)
    written = lob.cursor
    for i in range(written - 1):
        out[i]["flags"] &= ~LAST
    lob.cursor = 0
    lob.first = 0
    lob.market_first = 0
    return written

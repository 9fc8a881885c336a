"""The touch after every message of a stream of rows, for statistics over whole tapes."""

from hftlab.kernels.jit import kernel
from hftlab.types import ASK, BID, CLEAR, DEPTH, LAST


@kernel
def _scan(lots, start, step):
    """Return the next index with lots from `start` on, or -1."""
    i = start
    while 0 <= i < len(lots):
        if lots[i] > 0:
            return i
        i += step
    return -1


@kernel
def touch_series(rows, low_ticks, bid_lots, ask_lots, touch, index):
    """Play DEPTH and CLEAR rows on two zeroed ladders whose index 0 is `low_ticks`. Returns the number of messages kept.

    For every message that ends with both sides present: touch[k] = bid_ticks, bid_lots, ask_ticks, ask_lots; index[k] = its LAST row.
    """
    best_bid, best_ask, count = -1, -1, 0
    for i in range(len(rows)):
        row = rows[i]
        if row.kind == CLEAR:
            if row.side != ASK:
                bid_lots[:] = 0
                best_bid = -1
            if row.side != BID:
                ask_lots[:] = 0
                best_ask = -1
        elif row.kind == DEPTH:
            at = row.price_ticks - low_ticks
            if row.side == BID:
                bid_lots[at] = row.qty_lots
                if row.qty_lots > 0:
                    best_bid = max(best_bid, at)
                elif at == best_bid:
                    best_bid = _scan(bid_lots, at, -1)
            else:
                ask_lots[at] = row.qty_lots
                if row.qty_lots > 0:
                    best_ask = at if best_ask < 0 else min(best_ask, at)
                elif at == best_ask:
                    best_ask = _scan(ask_lots, at, 1)
        if row["flags"] & LAST and best_bid >= 0 and best_ask >= 0:
            touch[count, 0] = low_ticks + best_bid
            touch[count, 1] = bid_lots[best_bid]
            touch[count, 2] = low_ticks + best_ask
            touch[count, 3] = ask_lots[best_ask]
            index[count] = i
            count += 1
    return count

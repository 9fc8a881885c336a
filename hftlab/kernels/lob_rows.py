"""How the matching engine writes its rows: reports before market rows, the last one flagged LAST."""

from hftlab.kernels.jit import kernel
from hftlab.kernels.lob_types import NIL
from hftlab.types import LAST


@kernel
def room(lob, out):
    """Return whether `out` can take the worst engine event: every resting order traded against, or dropped."""
    return len(out) - lob.cursor >= rows_worst(lob)


@kernel
def rows_worst(lob):
    """Return a bound on the rows of one engine event: per maker a trade, two fills, a level and a stop; and the taker's own."""
    return 5 * (lob.bid_orders + lob.ask_orders) + 8


@kernel
def begin(lob):
    """Open an engine event."""
    lob.first = lob.cursor
    lob.market_first = lob.cursor
    lob.handle = NIL


@kernel
def _write(row, kind, order_id, side, price_ticks, qty_lots, leaves_lots, flags):
    row.kind = kind
    row.order_id = order_id
    row.side = side
    row.price_ticks = price_ticks
    row.qty_lots = qty_lots
    row.leaves_lots = leaves_lots
    row.flags = flags


@kernel
def market_row(lob, out, kind, side, price_ticks, qty_lots):
    """Append a DEPTH or TRADE row."""
    _write(out[lob.cursor], kind, 0, side, price_ticks, qty_lots, 0, 0)
    lob.cursor += 1


@kernel
def report_row(lob, out, kind, owner, order_id, side, price_ticks, qty_lots, leaves_lots, flags):
    """Put a report in front of the market rows of this event; nothing for the crowd (owner 0). Shifts few rows, seldom."""
    if owner == 0:
        return
    for i in range(lob.cursor, lob.market_first, -1):
        row, last = out[i], out[i - 1]
        _write(row, last.kind, last.order_id, last.side, last.price_ticks, last.qty_lots, last.leaves_lots, last["flags"])
    _write(out[lob.market_first], kind, order_id, side, price_ticks, qty_lots, leaves_lots, flags)
    lob.market_first += 1
    lob.cursor += 1


@kernel
def finish(lob, out, now_ns):
    """Close an engine event: times, sequence numbers (one more each row), instrument, and LAST on the final row."""
    for i in range(lob.first, lob.cursor):
        row = out[i]
        lob.seq += 1
        row.seq = lob.seq
        row.ts_exch_ns = now_ns
        row.ts_recv_ns = now_ns + lob.response_ns
        row.instrument = lob.instrument
    if lob.cursor > lob.first:
        # by name: as an attribute, `flags` of a numpy record is numpy's own when the kernels run as plain Python
        out[lob.cursor - 1]["flags"] |= LAST

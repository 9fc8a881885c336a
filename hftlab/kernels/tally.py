"""What one point of a sweep made, summed up from the rows it wrote while they lie in `out`: without the GIL, and nothing is kept.

A report reads the same rows in Python, in milliseconds under the GIL; two threads that did so would wait for each other.
"""

import numpy as np

from hftlab.kernels.flight import copy_event
from hftlab.kernels.jit import kernel
from hftlab.types import ACCEPTED, CANCEL, FEE, FILL, MAKER, NO_PRICE, PAYMENT, SAMPLE, SUBMIT, TOUCH

TALLY = np.dtype(
    [
        ("own", "i8"),  # rows that `own` holds since the last call
        ("fills", "i8"),
        ("maker_fills", "i8"),
        ("moments", "i8"),  # sample times seen; one has a row for each market
        ("moment_ns", "i8"),  # the last of them, still open
        ("part", "i8"),  # parts of the tape that are over
        ("pnl_quote", "f8"),  # of the open moment, at the desk's own mark
        ("peak_quote", "f8"),
        ("drawdown_quote_max", "f8"),
    ]
)


@kernel
def tally(rows, totals, mids2, lots, edges_ns, equity_quote, own):
    """Read `rows` (EVENT[n]) as they were written, in any cuts.

    totals: TALLY[1]; mids2: int64[m], the last mid of each market in half ticks; lots: int64[m], bought less sold; edges_ns: int64[parts],
    where each part of the tape ends; equity_quote: float64[parts], the P&L there; own: EVENT[>= n], our requests, reports, fills and fees.
    """
    head = totals[0]
    head.own = 0
    for n in range(len(rows)):
        row = rows[n]
        kind = row.kind
        if kind == TOUCH:
            if row.price_ticks != NO_PRICE and row.leaves_lots != NO_PRICE:
                mids2[row.instrument] = row.price_ticks + row.leaves_lots
        elif kind == SAMPLE:
            if row.ts_recv_ns != head.moment_ns or head.moments == 0:
                close_moment(totals, row.ts_recv_ns, edges_ns, equity_quote)
            head.pnl_quote += np.int64(row.leaves_lots).view(np.float64)
        elif ACCEPTED <= kind <= PAYMENT or SUBMIT <= kind <= CANCEL or kind == FEE:
            copy_event(own[head.own], row)
            head.own += 1
            if kind == FILL:
                head.fills += 1
                head.maker_fills += 1 if row["flags"] & MAKER != 0 else 0
                lots[row.instrument] += row.side * row.qty_lots


@kernel
def close_moment(totals, next_ns, edges_ns, equity_quote):
    """End the open sample time, and each part of the tape that ended by `next_ns`; open the next."""
    head = totals[0]
    if head.moments > 0:
        head.peak_quote = max(head.peak_quote, head.pnl_quote)
        head.drawdown_quote_max = max(head.drawdown_quote_max, head.peak_quote - head.pnl_quote)
    while head.part < len(edges_ns) and edges_ns[head.part] <= next_ns:
        equity_quote[head.part] = head.pnl_quote
        head.part += 1
    head.moments += 1
    head.moment_ns = next_ns
    head.pnl_quote = 0.0

"""One tape, two clocks: every row once when it happens at the exchange and once when it reaches us."""

import numpy as np

from hftlab.kernels.jit import kernel
from hftlab.types import AT_DESK, AT_EXCHANGE, LAST

_SEEN = np.uint16(AT_EXCHANGE | AT_DESK)


@kernel
def messages(rows, starts, exch_ns):
    """Find the messages: fill where each starts and when it happened at the exchange (the newest time of its rows).

    Returns how many there are. A message ends with LAST; a change of the receive time ends one that lacks it.
    """
    count = 0
    opened = False
    for i in range(len(rows)):
        if not opened or rows[i].ts_recv_ns != rows[i - 1].ts_recv_ns:
            starts[count] = i
            exch_ns[count] = rows[i].ts_exch_ns
            count += 1
        elif rows[i].ts_exch_ns > exch_ns[count - 1]:
            exch_ns[count - 1] = rows[i].ts_exch_ns
        opened = (rows[i]["flags"] & LAST) == 0
    return count


@kernel
def merge(rows, starts, exch_ns, order, out):
    """Write both copies of every message by time, the exchange's first on ties. Returns the number of rows written.

    `order` is the stable sort of the messages by `exch_ns`; `starts` has one entry more, the end. A message of one row
    whose copies meet with nothing between them is written once, with both flags.
    """
    count = len(order)
    at_exchange = 0
    at_desk = 0
    n = 0
    while at_desk < count:
        desk_start = starts[at_desk]
        if at_exchange < count and exch_ns[order[at_exchange]] <= rows[desk_start].ts_recv_ns:
            message = order[at_exchange]
            at_exchange += 1
            start, end = starts[message], starts[message + 1]
            both = message == at_desk and end - start == 1
            if both and at_exchange < count:
                both = exch_ns[order[at_exchange]] > rows[start].ts_recv_ns
            flag = _SEEN if both else np.uint16(AT_EXCHANGE)
            if both:
                at_desk += 1
        else:
            start, end = desk_start, starts[at_desk + 1]
            flag = np.uint16(AT_DESK)
            at_desk += 1
        for i in range(start, end):
            out[n] = rows[i]
            out[n]["flags"] = (rows[i]["flags"] & ~_SEEN) | flag
            n += 1
    return n

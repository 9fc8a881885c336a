"""What the estimators look at, taken from market rows in one pass: each change of the touch, the book now and then, and market orders.

Nothing here depends on where a call begins or ends: all memory is in `state` and `book`, so any partition of the rows writes the same.
"""

from hftlab.kernels.book import follow, lots_at, next_level, reset, settle
from hftlab.kernels.jit import kernel
from hftlab.kernels.quote import SAMPLING_NS
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, NO_PRICE, TRADE

DEPTH_LEVELS = 5  # occupied levels a side of which the sizes are kept


@kernel
def begin(book, state):
    """Forget everything."""
    reset(book)
    head = state[0]
    head.ready = 0
    head.bid_ticks = NO_PRICE
    head.ask_ticks = NO_PRICE
    head.before_bid_ticks = NO_PRICE
    head.before_ask_ticks = NO_PRICE
    head.touch_exch_ns = 0
    head.sampled_ns = 0
    head.now_recv_ns = 0
    head.now_exch_ns = 0
    head.open_lots = 0


@kernel
def walk(rows, market, book, state, touches, samples, orders):
    """Read rows (EVENT) of one market. `state[0]` counts what was written to touches, samples and orders; they must have the room.

    touches: one a change of best bid or ask (NO_PRICE: no trusted book); samples: the touch and the sizes of DEPTH_LEVELS levels, at
    least SAMPLING_NS apart as in `quote.update_volatility`; orders: prints of one side at one exchange time are one order.
    """
    head = state[0]
    head.touches = 0
    head.samples = 0
    head.orders = 0
    for k in range(len(rows)):
        row = rows[k]
        if row.instrument != market:
            continue
        kind = row.kind
        if kind == TRADE:
            _on_print(head, row, orders)
        elif kind in (DEPTH, CLEAR, GAP):
            head.ready = follow(book, row, head.ready)
        else:
            continue
        head.now_recv_ns = max(head.now_recv_ns, row.ts_recv_ns)
        head.now_exch_ns = max(head.now_exch_ns, row.ts_exch_ns)
        if kind != TRADE and row["flags"] & LAST != 0:
            if head.open_lots > 0 and row.ts_exch_ns > head.open_exch_ns:
                _close_order(head, orders)
            settle(book)
            _on_message(head, book, row, touches, samples)


@kernel
def _on_message(head, book, row, touches, samples):
    bid = book.best_bid_ticks
    ask = book.best_ask_ticks
    if head.ready == 0 or bid == NO_PRICE or ask == NO_PRICE or bid >= ask:
        bid = NO_PRICE
        ask = NO_PRICE
    if bid != head.bid_ticks or ask != head.ask_ticks:
        if head.now_exch_ns > head.touch_exch_ns:
            head.before_bid_ticks = head.bid_ticks
            head.before_ask_ticks = head.ask_ticks
        head.bid_ticks = bid
        head.ask_ticks = ask
        head.touch_exch_ns = head.now_exch_ns
        touch = touches[head.touches]
        touch.recv_ns = head.now_recv_ns
        touch.exch_ns = head.now_exch_ns
        touch.bid_ticks = bid
        touch.ask_ticks = ask
        head.touches += 1
    if bid == NO_PRICE:
        head.sampled_ns = 0
    elif head.sampled_ns == 0 or head.now_recv_ns - head.sampled_ns >= SAMPLING_NS:
        _sample(head, book, samples[head.samples])
        head.samples += 1


@kernel
def _sample(head, book, sample):
    sample.first = 1 if head.sampled_ns == 0 else 0
    sample.recv_ns = head.now_recv_ns
    sample.bid_ticks = head.bid_ticks
    sample.ask_ticks = head.ask_ticks
    bid = head.bid_ticks
    ask = head.ask_ticks
    for i in range(DEPTH_LEVELS):
        sample.bid_lots[i] = lots_at(book, BID, bid) if bid != NO_PRICE else 0
        sample.ask_lots[i] = lots_at(book, ASK, ask) if ask != NO_PRICE else 0
        if i + 1 < DEPTH_LEVELS:
            bid = next_level(book, BID, bid) if bid != NO_PRICE else NO_PRICE
            ask = next_level(book, ASK, ask) if ask != NO_PRICE else NO_PRICE
    head.sampled_ns = head.now_recv_ns


@kernel
def _on_print(head, row, orders):
    """Add a print to the open order, or close that and open another. It met the touch that stood *before* its exchange time."""
    if head.open_lots > 0 and (row.ts_exch_ns != head.open_exch_ns or row.side != head.open_side):
        _close_order(head, orders)
    if head.open_lots == 0:
        head.open_exch_ns = row.ts_exch_ns
        head.open_recv_ns = row.ts_recv_ns
        head.open_side = row.side
        head.open_ticks = row.price_ticks
        later = head.touch_exch_ns >= row.ts_exch_ns  # the book is told faster than the prints: it shows what the order left
        head.open_bid_ticks = head.before_bid_ticks if later else head.bid_ticks
        head.open_ask_ticks = head.before_ask_ticks if later else head.ask_ticks
    elif (row.price_ticks - head.open_ticks) * row.side > 0:
        head.open_ticks = row.price_ticks
    head.open_lots += row.qty_lots


@kernel
def _close_order(head, orders):
    order = orders[head.orders]
    order.exch_ns = head.open_exch_ns
    order.recv_ns = head.open_recv_ns
    order.side = head.open_side
    order.qty_lots = head.open_lots
    order.price_ticks = head.open_ticks
    order.bid_ticks = head.open_bid_ticks
    order.ask_ticks = head.open_ask_ticks
    head.orders += 1
    head.open_lots = 0

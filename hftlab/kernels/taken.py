"""What our orders were given of a level is gone, though the feed, which does not know us, goes on showing it."""

from hftlab.kernels import book as bk
from hftlab.kernels.jit import kernel
from hftlab.types import BID, TAKEN


@kernel
def less_taken(exchange, row):
    """Return what of a level's new quantity is still there for us; a level that fell below what we took has nothing more."""
    for k in range(exchange.taken_count):
        if exchange.taken_ticks[k] == row.price_ticks and (exchange.taken_lots[k] > 0) == (row.side == BID):
            taken = min(abs(exchange.taken_lots[k]), row.qty_lots)
            exchange.taken_lots[k] = row.side * taken
            if taken == 0:
                exchange.taken_count -= 1
                exchange.taken_ticks[k] = exchange.taken_ticks[exchange.taken_count]
                exchange.taken_lots[k] = exchange.taken_lots[exchange.taken_count]
            return row.qty_lots - taken
    return row.qty_lots


@kernel
def take_from(exchange, side, price_ticks, lots):
    """Take `lots` of a level out of the book and remember that they are ours."""
    bk.apply_level(exchange.book, side, price_ticks, bk.lots_at(exchange.book, side, price_ticks) - lots)
    for k in range(exchange.taken_count):
        if exchange.taken_ticks[k] == price_ticks and (exchange.taken_lots[k] > 0) == (side == BID):
            exchange.taken_lots[k] += side * lots
            return
    if exchange.taken_count == TAKEN:  # the oldest is forgotten: its level has most likely been spoken of since
        exchange.taken_count -= 1
        for k in range(exchange.taken_count):
            exchange.taken_ticks[k] = exchange.taken_ticks[k + 1]
            exchange.taken_lots[k] = exchange.taken_lots[k + 1]
    exchange.taken_ticks[exchange.taken_count] = price_ticks
    exchange.taken_lots[exchange.taken_count] = side * lots
    exchange.taken_count += 1

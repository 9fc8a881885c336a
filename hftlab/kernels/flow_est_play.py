"""Play market rows and sample what was known at fixed times: the one source of features for estimators and signal studies."""

from hftlab.kernels.book import follow, lots_at, next_level, settle
from hftlab.kernels.flow_est_types import DEEP
from hftlab.kernels.jit import kernel
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, NO_PRICE, TRADE


@kernel
def play_rows(rows, instrument, book, player, waiting, samples, joined, touches):
    """Play `rows` (EVENT, in receive order) of one instrument. Returns how many samples, joined and touches were written.

    A sample at g holds all rows received at or before g: it is written when a later row shows that time has gone on. Any cut of the
    rows into calls writes the same. `book` (BOOK), `player` (PLAYER) shape (1,); `waiting` (WAITING) a ring, empty when nobody joins.
    The output arrays must have room: a sample a step of time, a joined a sample, a touch a row.
    """
    one = player[0]
    levels = book[0]
    made = 0
    done = 0
    moved = 0
    for i in range(len(rows)):
        row = rows[i]
        if row.instrument != instrument:
            continue
        now = row.ts_recv_ns
        if one.next_ns == 0:
            one.next_ns = -(-now // one.every_ns) * one.every_ns
        while one.next_ns < now:
            done = _settle_joined(one, waiting, joined, done, one.next_ns)
            _sample(one, levels, samples, made, waiting)
            made += 1
            one.next_ns += one.every_ns
        kind = row.kind
        if kind == TRADE:
            _print(one, row, waiting)
            continue
        if kind not in (DEPTH, CLEAR, GAP):
            continue
        one.trusted = follow(levels, row, one.trusted)
        if row["flags"] & LAST != 0:
            settle(levels)
            moved = _message(one, levels, now, touches, moved)
    return made, done, moved


@kernel
def _message(one, book, now, touches, moved):
    """Bring the touch and the order flow imbalance up to date at the end of a message about the book."""
    bid = book.best_bid_ticks if one.trusted == 1 else NO_PRICE
    ask = book.best_ask_ticks if one.trusted == 1 else NO_PRICE
    if bid == NO_PRICE or ask == NO_PRICE or bid >= ask:
        bid = NO_PRICE
        ask = NO_PRICE
    bid_lots = 0 if bid == NO_PRICE else lots_at(book, BID, bid)
    ask_lots = 0 if ask == NO_PRICE else lots_at(book, ASK, ask)
    if bid != NO_PRICE and one.bid_ticks != NO_PRICE:
        # Cont, Kukanov & Stoikov 2014, equation 4: what came to the bid less what left it, less the same of the ask.
        if bid >= one.bid_ticks:
            one.ofi_lots += bid_lots
        if bid <= one.bid_ticks:
            one.ofi_lots -= one.bid_lots
        if ask <= one.ask_ticks:
            one.ofi_lots -= ask_lots
        if ask >= one.ask_ticks:
            one.ofi_lots += one.ask_lots
    if bid != one.bid_ticks or ask != one.ask_ticks or bid_lots != one.bid_lots or ask_lots != one.ask_lots:
        touches[moved].ts_ns = now
        touches[moved].bid_ticks = bid
        touches[moved].ask_ticks = ask
        touches[moved].bid_lots = bid_lots
        touches[moved].ask_lots = ask_lots
        moved += 1
    one.bid_ticks = bid
    one.ask_ticks = ask
    one.bid_lots = bid_lots
    one.ask_lots = ask_lots
    return moved


@kernel
def _deep(book, side, best_ticks):
    """Return the lots of the best DEEP levels of a side."""
    lots = 0
    price = best_ticks
    for _ in range(DEEP):
        if price == NO_PRICE:
            break
        lots += lots_at(book, side, price)
        price = next_level(book, side, price)
    return lots


@kernel
def _sample(one, book, samples, made, waiting):
    out = samples[made]
    out.ts_ns = one.next_ns
    out.bid_ticks = one.bid_ticks
    out.ask_ticks = one.ask_ticks
    out.bid_lots = one.bid_lots
    out.ask_lots = one.ask_lots
    known = one.bid_ticks != NO_PRICE
    out.bid_deep_lots = _deep(book, BID, one.bid_ticks) if known else 0
    out.ask_deep_lots = _deep(book, ASK, one.ask_ticks) if known else 0
    out.ofi_lots = one.ofi_lots
    out.bought_lots = one.bought_lots
    out.sold_lots = one.sold_lots
    out.prints = one.prints
    if len(waiting) > 0:
        wait = waiting[one.samples % len(waiting)]
        wait.ts_ns = one.next_ns
        wait.price_ticks[0] = one.bid_ticks
        wait.price_ticks[1] = one.ask_ticks
        wait.ahead_lots[0] = one.bid_lots
        wait.ahead_lots[1] = one.ask_lots
        for s in range(2):
            wait.joined.hit_ns[s] = 0
            wait.joined.filled_ns[s] = 0
    one.samples += 1


@kernel
def _settle_joined(one, waiting, joined, done, now):
    """Write what became of the orders whose time is over at `now`."""
    if len(waiting) == 0:
        return done
    while one.settled < one.samples:
        wait = waiting[one.settled % len(waiting)]
        if wait.ts_ns + one.joined_ns > now:
            break
        for s in range(2):
            joined[done].hit_ns[s] = wait.joined.hit_ns[s]
            joined[done].filled_ns[s] = wait.joined.filled_ns[s]
        done += 1
        one.settled += 1
    return done


@kernel
def _print(one, row, waiting):
    """Count a print, and let it meet the orders that wait."""
    lots = row.qty_lots
    one.prints += 1
    if row.side == BID:
        one.bought_lots += lots
    elif row.side == ASK:
        one.sold_lots += lots
    if len(waiting) == 0 or row.side == 0:
        return
    s = 1 if row.side == BID else 0  # a buyer takes from the asks
    for n in range(one.settled, one.samples):
        wait = waiting[n % len(waiting)]
        price = wait.price_ticks[s]
        if price == NO_PRICE or row.ts_recv_ns > wait.ts_ns + one.joined_ns:
            continue
        beyond = (row.price_ticks - price) * row.side
        if beyond < 0:
            continue
        if wait.joined.hit_ns[s] == 0:
            wait.joined.hit_ns[s] = row.ts_recv_ns
        if wait.joined.filled_ns[s] != 0:
            continue
        if beyond > 0 or wait.ahead_lots[s] < lots:
            wait.joined.filled_ns[s] = row.ts_recv_ns
        wait.ahead_lots[s] -= lots

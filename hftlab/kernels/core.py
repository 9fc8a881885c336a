"""`run`: the one compiled function that consumes rows and changes records, in a backtest and live.

Partition law: `run(rows)` leaves the same bytes as `run(rows[:k]); run(rows[k:])` for every k. So nothing here may depend
on where a call begins or ends: time is the time of the rows, and all memory is in the records.
"""

from hftlab.kernels import checks, flight, graded, latency, ledger, match, orders, pulls, quote, requests, risk
from hftlab.kernels import desk as dk
from hftlab.kernels import market as mk
from hftlab.kernels.jit import borrowed, inlined, kernel
from hftlab.types import (
    ACCEPTED,
    ACTIVE,
    AT_DESK,
    AT_EXCHANGE,
    DEACTIVATE,
    DEPTH,
    FAULT_INSTRUMENT,
    FAULT_KIND,
    FAULT_OUT_FULL,
    FILL,
    IN_FLIGHT,
    L3_ORDER,
    LAST,
    LATENCY,
    LINK,
    NEVER_NS,
    OK,
    ORDERS,
    PAUSE,
    PAYMENT,
    TIMER,
)

# Most rows that one input row can write: every report in flight may come due before it and lead to a full requote.
OUT_ROOM = 8192
# Most rows of one report or one market in one row: cancel everything, then withdraw and submit every level, and a sample.
_ROOM = 4 * ORDERS


@kernel
def loop(desk, markets, exchanges, events, out, decide):
    """Run rows through the desk until they are used up, `out` is nearly full, or a fault. Returns the rows consumed.

    desk: DESK[1]; markets: MARKET[m]; exchanges: EXCHANGE[m]; events: EVENT[n]; out: EVENT[k], k > OUT_ROOM, in which
    row 0 is a header whose `seq` counts the rows written after it; decide: compiled (desk, market, params, quote).
    """
    markets = borrowed(markets)
    exchanges = borrowed(exchanges)
    events = borrowed(events)
    out = borrowed(out)
    head = desk[0]
    n = 0
    while n < events.shape[0]:
        row = events[n]
        if row.instrument >= markets.shape[0]:
            head.fault = FAULT_INSTRUMENT
        if out.shape[0] - out[0].seq <= OUT_ROOM or head.fault != 0:
            head.rows += n
            return n
        if DEPTH <= row.kind <= L3_ORDER:
            market_row(head, markets, exchanges, row, out, decide)
        else:
            reach(head, markets, exchanges, row.ts_recv_ns, row.ts_recv_ns, out, decide)
            head.message_open = 0
            other_row(head, markets, exchanges, row, out, decide)
        if out[0].seq >= out.shape[0] - IN_FLIGHT:
            head.fault = FAULT_OUT_FULL
        n += 1
        if head.message_open != 0:
            n = depth_rows(head, markets[row.instrument], exchanges[row.instrument], events, n)
    head.rows += n
    return n


@inlined
def reach(desk, markets, exchanges, until_ns, ts_ns, out, decide):
    """Let what is in flight until then happen, and let it be `ts_ns`."""
    for i in range(exchanges.shape[0]):
        if exchanges[i].due_ns <= until_ns:
            advance(desk, markets, exchanges, until_ns, out, decide)
            break
    if ts_ns > desk.now_ns:
        if desk.now_ns == 0:
            desk.start_ns = ts_ns
        desk.now_ns = ts_ns


@inlined
def market_row(desk, markets, exchanges, row, out, decide):
    """Apply one market row where it happens: at the exchange, at the desk, or, for a live row without marks, on both sides when it comes.

    What the venue does at one moment comes before a request that arrives in that moment: an order is never filled by a print of its
    own arrival time, a cancel of that time comes too late. Venues stamp in milliseconds, so such ties are common; this is the careful
    way to decide them. A report that is due within a message waits for its end: between two rows the book is half old, half new.
    """
    marks = row["flags"] & (AT_EXCHANGE | AT_DESK)
    market = markets[row.instrument]
    exchange = exchanges[row.instrument]
    simulated = exchange.active != 0
    if marks & AT_EXCHANGE != 0:
        if desk.message_open == 0 or row.ts_exch_ns > desk.now_ns:
            reach(desk, markets, exchanges, row.ts_exch_ns - 1, row.ts_exch_ns, out, decide)
        if simulated:
            match.on_row(desk, exchange, market.spec, row, out)
    last = (row["flags"] & LAST) != 0
    if marks != AT_EXCHANGE:
        if desk.message_open == 0 or row.ts_recv_ns > desk.now_ns:
            reach(desk, markets, exchanges, row.ts_recv_ns - 1, row.ts_recv_ns, out, decide)
        if marks == 0 and simulated:
            match.on_row(desk, exchange, market.spec, row, out)
        mk.on_row(market, row, desk.now_ns)
        if last:
            desk.message_open = 0
            exchange.feed_ns = max(row.ts_recv_ns - row.ts_exch_ns, 0)
            after(desk, markets, exchanges, row.instrument, out, decide, False)
    desk.message_open = 0 if last else 1


@kernel
def depth_rows(desk, market, exchange, events, n):
    """Apply the levels that follow within an open message, all but its last row. Returns the number of the next row.

    Nothing else can happen among them, so this says no more than `market_row` would; it only says it faster, and most rows of any
    feed are such rows.
    """
    instrument = events[n - 1].instrument
    marks = events[n - 1]["flags"] & (AT_EXCHANGE | AT_DESK)
    if marks != AT_EXCHANGE and marks != AT_DESK:
        return n
    if marks == AT_DESK:
        while n < events.shape[0]:
            row = events[n]
            if _ends_run(row, marks, instrument) or row.ts_recv_ns > desk.now_ns:
                break
            mk.on_depth(market, row)
            n += 1
    elif exchange.active != 0:
        while n < events.shape[0]:
            row = events[n]
            if _ends_run(row, marks, instrument) or row.ts_exch_ns > desk.now_ns:
                break
            match.on_depth(exchange, row)
            n += 1
    return n


@inlined
def _ends_run(row, marks, instrument):
    """Return whether this row is not one more level, within its message, of the same book."""
    return row.kind != DEPTH or row["flags"] & (LAST | AT_EXCHANGE | AT_DESK) != marks or row.instrument != instrument


@kernel
def other_row(desk, markets, exchanges, row, out, decide):
    """Apply a timer, a report that came from outside, or a command."""
    if row.kind == TIMER:
        desk.timers += 1
        desk.timer_ns = row.ts_recv_ns
        dk.close_bars(desk, markets)
        for i in range(markets.shape[0]):
            pulls.overdue(markets[i], desk.now_ns)
            after(desk, markets, exchanges, i, out, decide, True)
        risk.chase(desk, markets, exchanges, out)
    elif ACCEPTED <= row.kind <= LINK:
        report(desk, markets, row, False, out)
        # A matching engine tells of an order before it tells of the book with that order in it, in one message: until its last
        # row our own lots would be taken out of a book that does not hold them yet.
        if (row["flags"] & LAST) != 0:
            after(desk, markets, exchanges, row.instrument, out, decide, False)
    elif PAUSE <= row.kind <= DEACTIVATE:
        dk.command(desk, markets, row)
        for i in range(markets.shape[0]):
            after(desk, markets, exchanges, i, out, decide, False)
    elif row.kind == LATENCY:
        latency.set_recorded(exchanges[row.instrument], row)
    else:
        desk.fault = FAULT_KIND


@kernel
def report(desk, markets, row, simulated, out):
    """Apply one venue report to our orders and ledger; write down a fill with its fee, and what the simulated exchange said."""
    market = markets[row.instrument]
    if row.kind == PAYMENT:
        ledger.pay(market, row.qty_lots, row.leaves_lots)
    elif row.kind == LINK:
        market.link_down = 0 if row.qty_lots > 0 else 1
    else:
        orders.apply_report(desk, market, row)
    if row.kind == FILL:
        dk.write_fill(market, row, desk.now_ns, out)
    elif simulated:  # a real venue's reports are rows of the journal already
        out[0].seq += 1
        flight.copy_event(out[out[0].seq], row)


@kernel
def advance(desk, markets, exchanges, until_ns, out, decide):
    """Let everything in flight that is due by `until_ns` happen, in time order; on one exchange requests before reports."""
    while True:
        due_ns = NEVER_NS
        which = -1
        for i in range(exchanges.shape[0]):
            if exchanges[i].due_ns < due_ns:
                due_ns = exchanges[i].due_ns
                which = i
        if due_ns > until_ns or which < 0:
            return
        if out.shape[0] - out[0].seq <= _ROOM * markets.shape[0]:
            desk.fault = FAULT_OUT_FULL
            return
        x = exchanges[which]
        if flight.next_request_ns(x) == due_ns:
            requests.on_request(desk, x, markets[which].spec, flight.pop_request(x), out)
        else:
            row = flight.pop_report(x)
            desk.now_ns = max(desk.now_ns, row.ts_recv_ns)
            report(desk, markets, row, True, out)
            after(desk, markets, exchanges, row.instrument, out, decide, False)


@kernel
def after(desk, markets, exchanges, i, out, decide, at_timer):
    """Do what follows any change that we know of: mark, watch the limits, wish, and let the risk gate act on the wish."""
    market = markets[i]
    was_halted = desk.state
    mk.revalue(market, desk.now_ns)
    if checks.watch(desk, markets) and desk.state != was_halted:
        risk.cancel_all(desk, markets, exchanges, out)
    desk_graded, graded_here = graded.regrade(desk, market)
    graded.tell(desk, market, i, out)
    if desk_graded:
        for j in range(markets.shape[0]):
            if j != i:
                _act(desk, markets, exchanges, j, out, decide)
    waits = market.params.on_timer != 0 and not (at_timer or desk_graded or graded_here) and desk.state == ACTIVE and desk.flattening == 0
    if waits and market.inactive == 0 and checks.quoting_verdict(desk, market) == OK:
        pass  # the wish of the last timer stands; what became of it is looked at with the next
    else:
        _act(desk, markets, exchanges, i, out, decide)
    dk.quoting_time(desk, market)
    if desk.now_ns >= desk.next_sample_ns:
        dk.sample(desk, markets, out)


@kernel
def _act(desk, markets, exchanges, i, out, decide):
    """Wish anew and let the risk gate turn the wish into requests."""
    market = markets[i]
    wish = market.quote
    wish.bid_lots = 0
    wish.ask_lots = 0
    wish.levels = 1
    wish.step_ticks = 0
    wish["flags"] = 0
    wish.fair_ticks = market.fair_ticks
    if desk.flattening != 0:
        risk.cancel_quotes(desk, market, exchanges[i], i, out)
        risk.flatten(desk, markets, exchanges, i, out)
        dk.end_flattening(desk, markets)
        return
    if desk.state == ACTIVE and market.inactive == 0 and market.fair_ticks == market.fair_ticks:
        if market.has_target != 0:
            quote.work_target(market, wish)
        else:
            decide(desk, market, market.params, wish)
    risk.permit(desk, markets, exchanges, i, out)


@kernel
def run(desk, markets, exchanges, events, out):
    """Run rows with the built-in quoters. See `loop`."""
    return loop(desk, markets, exchanges, events, out, quote.decide)

"""The one exit to the market. Only this file writes requests, and every request has passed every check.

Checks run in the order of `types.VERDICT_NAMES`. A refusal has a reason and is counted; the same refusal of the same wish
is one refusal, however often it is asked again. Cancels are never refused.
"""

from hftlab.kernels import budget, checks, flight, graded, orders, own, queue_value, quote, staging, touch_flow
from hftlab.kernels import desk as dk
from hftlab.kernels.jit import kernel
from hftlab.types import (
    AMEND,
    ASK,
    BID,
    CANCEL,
    FREE,
    IOC,
    KEEP_WISHED,
    LEVELS_MAX,
    LIVE,
    LOST,
    NO_HALTED,
    NO_PRICE,
    NO_REQUEST_RATE,
    NO_SELF_CROSS,
    OK,
    ORDERS,
    PENDING_AMEND,
    PENDING_CANCEL,
    POST_ONLY,
    REDUCE_ONLY,
    SUBMIT,
    TAKING,
    VALID,
)

# A taking order of FLATTEN reaches this far through the touch: deep enough to fill, near enough not to be a market order.
FLATTEN_BPS = 10.0
# An order whose fate is unknown is asked to be cancelled at most this often.
LOST_RETRY_NS = 1_000_000_000


# --- writing requests ------------------------------------------------------------------------------------------------------


@kernel
def _write(desk, market, exchange, out, kind, order_id, side, price_ticks, lots, flags, instrument):
    out[0].seq += 1
    row = out[out[0].seq]
    row.ts_exch_ns = 0
    row.ts_recv_ns = desk.now_ns
    row.price_ticks = price_ticks
    row.qty_lots = lots
    row.leaves_lots = 0
    row.order_id = order_id
    row.seq = desk.submits + desk.amends + desk.cancels
    row.kind = kind
    row.side = side
    row["flags"] = flags
    row.instrument = instrument
    budget.spend(desk, market.spec.venue)
    if exchange.active != 0:
        flight.send(desk, exchange, row)


@kernel
def cancel(desk, market, exchange, i, slot, out):
    """Ask for an order to be cancelled, unless that is already asked."""
    order = market.orders[slot]
    if order.status == FREE or order.status == PENDING_CANCEL:
        return
    if order.status == LOST:
        # It keeps its place in `slots`, so that nothing new is shown there before its fate is known.
        if desk.now_ns - order.sent_ns < LOST_RETRY_NS:
            return
    else:
        order.status = PENDING_CANCEL
        key = orders.slot_key(order.side, order.level)
        if market.slots[key] == slot + 1:
            market.slots[key] = 0
    order.sent_ns = desk.now_ns
    desk.cancels += 1
    _write(desk, market, exchange, out, CANCEL, order.order_id, order.side, order.price_ticks, order.leaves_lots, 0, i)


@kernel
def cancel_quotes(desk, market, exchange, i, out):
    """Ask for every post-only order of one market to be cancelled; taking orders are on their way out by themselves."""
    if market.working > 0:
        for slot in range(ORDERS):
            if (market.orders[slot]["flags"] & POST_ONLY) != 0:
                cancel(desk, market, exchange, i, slot, out)


@kernel
def cancel_all(desk, markets, exchanges, out):
    """Ask for every order of every market to be cancelled."""
    for i in range(markets.shape[0]):
        if markets[i].working > 0:
            for slot in range(ORDERS):
                cancel(desk, markets[i], exchanges[i], i, slot, out)


@kernel
def chase(desk, markets, exchanges, out):
    """Ask for the cancel of what no quote looks after: orders of unknown fate, and those that outlived a refused cancel."""
    for i in range(markets.shape[0]):
        market = markets[i]
        left = market.working
        for slot in range(ORDERS):
            if left == 0:
                break
            order = market.orders[slot]
            left -= order.status != FREE
            orphan = order.status == LIVE and market.slots[orders.slot_key(order.side, order.level)] != slot + 1
            if order.status == LOST or orphan:
                cancel(desk, market, exchanges[i], i, slot, out)


@kernel
def _submit(desk, market, exchange, i, side, level, price_ticks, lots, flags, out):
    desk.next_order_id += 1
    order_id = desk.next_order_id * ORDERS + orders.free_slot(market)
    orders.add(market, order_id, side, level, price_ticks, lots, flags, desk.now_ns)
    desk.submits += 1
    _write(desk, market, exchange, out, SUBMIT, order_id, side, price_ticks, lots, flags, i)


@kernel
def _amend(desk, market, exchange, i, slot, price_ticks, lots, out):
    order = market.orders[slot]
    before = own.worst_leaves(order)
    order.status = PENDING_AMEND
    order.wish_ticks = price_ticks
    order.wish_lots = lots
    own.add_open(market, order.side, own.worst_leaves(order) - before)
    order.sent_ns = desk.now_ns
    desk.amends += 1
    total = order.qty_lots - order.leaves_lots + lots  # venues want the new total, executed part included
    _write(desk, market, exchange, out, AMEND, order.order_id, order.side, price_ticks, total, POST_ONLY, i)


@kernel
def _refuse(desk, market, key, price_ticks, verdict):
    if market.refused_verdict[key] != verdict or market.refused_ticks[key] != price_ticks:
        market.refused_verdict[key] = verdict
        market.refused_ticks[key] = price_ticks
        desk.verdicts[verdict] += 1


# --- the gate ----------------------------------------------------------------------------------------------------------------


@kernel
def permit(desk, markets, exchanges, i, out):
    """Turn the wish in `market.quote` into requests: withdraw first, then what passes every check."""
    market = markets[i]
    wish = market.quote
    verdict = checks.quoting_verdict(desk, market)
    if verdict != market.gate_verdict:
        market.gate_verdict = verdict
        if verdict != OK and verdict != NO_HALTED:  # a halt was counted, with its reason, when it came
            desk.verdicts[verdict] += 1
    if verdict != OK:
        wish.bid_lots = 0
        wish.ask_lots = 0
    else:
        graded.temper(desk, market, wish)
    budget.refill(desk, market.spec.venue)
    if wish.bid_lots == 0 and wish.ask_lots == 0 and market.working == 0:
        return
    taking = wish["flags"] & TAKING != 0
    best_bid = NO_PRICE if taking else quote.public_touch(market, BID)
    best_ask = NO_PRICE if taking else quote.public_touch(market, ASK)
    if wish.levels > 1 and market.working > 0:
        staging.regrid(market, wish, BID, best_ask)
        staging.regrid(market, wish, ASK, best_bid)
    if touch_flow.is_wanted(market.params) and market.working > 0 and not taking:
        queue_value.note(market, best_bid, best_ask, staging.reservation_ticks(market))
    differs = _pass(desk, markets, exchanges, i, best_bid, best_ask, out, True)
    if verdict == OK and differs:
        _pass(desk, markets, exchanges, i, best_bid, best_ask, out, False)


@kernel
def _pass(desk, markets, exchanges, i, best_bid, best_ask, out, withdrawing):
    market = markets[i]
    wish = market.quote
    differs = False
    bid_room = checks.room_lots(desk, market, BID, 0)
    ask_room = checks.room_lots(desk, market, ASK, 0)
    for level in range(min(max(wish.levels, market.levels_used), LEVELS_MAX)):
        wanted = level < wish.levels
        bid_ticks = staging.level_ticks(wish, BID, level, best_ask)
        ask_ticks = staging.level_ticks(wish, ASK, level, best_bid)
        bid_lots = wish.bid_lots if wanted else 0
        ask_lots = wish.ask_lots if wanted else 0
        if not _stands(market, BID, level, bid_ticks, bid_lots, bid_room):
            differs = True
            _side(desk, markets, exchanges, i, BID, level, bid_ticks, bid_lots, out, withdrawing)
        if not _stands(market, ASK, level, ask_ticks, ask_lots, ask_room):
            differs = True
            _side(desk, markets, exchanges, i, ASK, level, ask_ticks, ask_lots, out, withdrawing)
    return differs


@kernel
def _stands(market, side, level, price_ticks, lots, room):
    """Return whether the order of a level is live and just what is wished, and note it: nothing to ask about, and the most frequent case."""
    slot = market.slots[orders.slot_key(side, level)] - 1
    if slot < 0 or lots == 0 or lots > room:
        return False
    order = market.orders[slot]
    if order.status != LIVE or order.price_ticks != price_ticks or lots < order.leaves_lots:
        return False
    order.decision = KEEP_WISHED
    return True


@kernel
def _side(desk, markets, exchanges, i, side, level, price_ticks, lots, out, withdrawing):
    market = markets[i]
    key = orders.slot_key(side, level)
    slot = market.slots[key] - 1
    if slot < 0 and (lots == 0 or withdrawing):
        return
    resting = own.worst_leaves(market.orders[slot]) if slot >= 0 else 0
    if lots > 0:
        room = checks.room_lots(desk, market, side, resting)
        if room <= 0:
            _refuse(desk, market, key, price_ticks, checks.room_verdict(desk, market))
            lots = 0
        else:
            lots = min(lots, room)
    if slot < 0:
        if lots > 0:
            _try_submit(desk, markets, exchanges, i, side, level, price_ticks, lots, out)
        return
    action = staging.stage(market, market.orders[slot], price_ticks, lots, desk.now_ns)
    if action == staging.KEEP:
        return
    if action == staging.DO_CANCEL or (withdrawing and action == staging.DO_REPLACE):
        cancel(desk, market, exchanges[i], i, slot, out)
    elif not withdrawing and action == staging.DO_AMEND and not orders.just_rejected(market, key, price_ticks):
        verdict = checks.order_verdict(desk, markets, i, side, price_ticks, lots, slot)
        if verdict == OK:
            _amend(desk, market, exchanges[i], i, slot, price_ticks, lots, out)
        else:
            _refuse(desk, market, key, price_ticks, verdict)
            # The new price is not allowed and the old one no longer wished. Out of budget, or while our own other side has yet
            # to make room, an order that only stands too far away may stay; any other is taken away.
            waits = verdict == NO_REQUEST_RATE or verdict == NO_SELF_CROSS
            if not waits or (price_ticks - market.orders[slot].price_ticks) * side < 0:
                cancel(desk, market, exchanges[i], i, slot, out)


@kernel
def _try_submit(desk, markets, exchanges, i, side, level, price_ticks, lots, out):
    market = markets[i]
    key = orders.slot_key(side, level)
    if orders.just_rejected(market, key, price_ticks):
        return
    verdict = checks.order_verdict(desk, markets, i, side, price_ticks, lots, -1)
    if verdict == OK:
        market.refused_verdict[key] = OK
        flags = market.quote["flags"] & (TAKING | REDUCE_ONLY)
        _submit(desk, market, exchanges[i], i, side, level, price_ticks, lots, flags if flags & TAKING else flags | POST_ONLY, out)
    else:
        _refuse(desk, market, key, price_ticks, verdict)


@kernel
def flatten(desk, markets, exchanges, i, out):
    """Work the position of a market to zero with taking orders, one at a time, once nothing of ours rests."""
    market = markets[i]
    if market.working > 0 or dk.is_dust(market):
        return
    if market.validity != VALID or market.link_down != 0:
        return
    side = ASK if market.position_lots > 0 else BID
    touch = quote.public_touch(market, -side)
    if touch == NO_PRICE:
        return
    budget.refill(desk, market.spec.venue)
    lots = min(abs(market.position_lots), max(int(market.limits.order_lots_max), 1))
    price_ticks = touch + side * int(abs(touch) * FLATTEN_BPS * 1e-4 + 1)
    if budget.is_enough(desk, market.spec.venue, 0.0) and not orders.just_rejected(market, orders.slot_key(side, 0), price_ticks):
        _submit(desk, market, exchanges[i], i, side, 0, price_ticks, lots, IOC, out)

"""What the risk gate asks: of the desk, of a market, of one order. Pure questions, except for the halt that a loss trips."""

from hftlab.kernels import ledger, own
from hftlab.kernels.jit import kernel
from hftlab.types import (
    ASK,
    BID,
    CROSSED,
    HALTED,
    NO_BAD_QUOTE,
    NO_BOOK,
    NO_CAPITAL,
    NO_CROSSED,
    NO_DAILY_LOSS,
    NO_DRAWDOWN,
    NO_HALTED,
    NO_LINK,
    NO_MIN_NOTIONAL,
    NO_NOTIONAL,
    NO_OPEN_ORDERS,
    NO_ORDER_SIZE,
    NO_POSITION,
    NO_PRICE_BAND,
    NO_REQUEST_RATE,
    NO_SELF_CROSS,
    NO_STALE,
    OK,
    ORDERS,
    RESYNC,
    STOPPED,
    VALID,
)

DAY_NS = 86_400_000_000_000
# No price is beyond this: floats hold every integer up to here, and a ladder of levels beyond it could leave the int64.
PRICE_TICKS_END = 1 << 53


# --- the desk --------------------------------------------------------------------------------------------------------------


@kernel
def trip(desk, verdict):
    """Halt the desk for a reason. Only an explicit RESUME clears it."""
    if desk.state != HALTED:
        desk.state = HALTED
        desk.halt_verdict = verdict
        desk.verdicts[verdict] += 1


@kernel
def watch(desk, markets):
    """Mark the desk: day, P&L, peak, drawdown. Returns True when a loss limit has just halted it."""
    pnl = 0.0
    for i in range(markets.shape[0]):
        pnl += markets[i].pnl_quote
    desk.pnl_quote = pnl
    if not 0 <= desk.now_ns - desk.day * DAY_NS < DAY_NS:  # a division for every message would cost more than all else here
        desk.day = desk.now_ns // DAY_NS
        desk.day_open_pnl_quote = pnl
    desk.peak_pnl_quote = max(desk.peak_pnl_quote, pnl)
    desk.drawdown_quote = desk.peak_pnl_quote - pnl
    # A stopped desk stays stopped: it would else wait for a RESUME that it must not take.
    if desk.state == HALTED or desk.state == STOPPED:
        return False
    if desk.day_open_pnl_quote - pnl > desk.limits.loss_quote_max:
        trip(desk, NO_DAILY_LOSS)
    elif desk.drawdown_quote > desk.limits.drawdown_frac_max * (desk.limits.capital_quote + max(desk.peak_pnl_quote, 0.0)):
        trip(desk, NO_DRAWDOWN)
    return desk.state == HALTED


@kernel
def quoting_verdict(desk, market):
    """Return why this market must not be quoted at all now, or OK."""
    if desk.state == HALTED:
        return NO_HALTED
    if market.link_down != 0:
        return NO_LINK
    if market.validity == RESYNC or (market.validity == VALID and market.fair_ticks != market.fair_ticks):
        return NO_BOOK
    if desk.now_ns - market.last_recv_ns > market.limits.stale_ns_max:
        return NO_STALE
    return NO_CROSSED if market.validity == CROSSED else quote_verdict(market.quote)


@kernel
def quote_verdict(wish):
    """Return NO_BAD_QUOTE for a wish that no quoter can mean: crossed in itself, or numbers that came out of a NaN."""
    bid = wish.bid_lots > 0
    ask = wish.ask_lots > 0
    if bid and ask and wish.bid_ticks >= wish.ask_ticks:
        return NO_BAD_QUOTE
    # A NaN or infinite price becomes the least int64, which the clamp to the touch would turn into an offer at the bid.
    if bid and not -PRICE_TICKS_END < wish.bid_ticks < PRICE_TICKS_END:
        return NO_BAD_QUOTE
    if ask and not -PRICE_TICKS_END < wish.ask_ticks < PRICE_TICKS_END:
        return NO_BAD_QUOTE
    return OK if 0 <= wish.step_ticks < PRICE_TICKS_END else NO_BAD_QUOTE


# --- one order ---------------------------------------------------------------------------------------------------------------


@kernel
def worst_notional(market, extra_bid_lots, extra_ask_lots):
    """Return the largest notional [ticklots] that the position and all open orders, and these, could come to.

    At the last fair price there was: a market whose book is lost has not become worthless. NaN if there never was one.
    """
    longest = market.position_lots + own.open_lots(market, BID) + extra_bid_lots
    shortest = market.position_lots - own.open_lots(market, ASK) - extra_ask_lots
    lots = max(abs(longest), abs(shortest))
    return lots * abs(ledger.value_between(market.spec, market.mark_ticks)) if lots > 0 else 0.0


@kernel
def room_lots(market, side, replaced_lots):
    """Return how much more may be shown on a side before the position limit, counting every open order as filled."""
    held = side * market.position_lots + own.open_lots(market, side) - replaced_lots
    return int(market.limits.position_lots_max) - held


@kernel
def order_verdict(desk, markets, i, side, price_ticks, lots, replaced):
    """Return the first check that a new order (or `replaced`, the slot of one to be amended, else -1) does not pass."""
    market = markets[i]
    limits = market.limits
    was = own.worst_leaves(market.orders[replaced]) if replaced >= 0 else 0
    if lots > room_lots(market, side, was):
        return NO_POSITION
    if lots > limits.order_lots_max:
        return NO_ORDER_SIZE
    if abs(price_ticks - market.fair_ticks) > limits.price_band_bps * 1e-4 * abs(market.fair_ticks):
        return NO_PRICE_BAND
    if own.crosses_own(market, side, price_ticks):
        return NO_SELF_CROSS
    if abs(ledger.value(market.spec, price_ticks)) * lots < market.spec.notional_ticklots_min:
        return NO_MIN_NOTIONAL
    more = max(lots - was, 0)
    bid_lots = more if side == BID else 0
    ask_lots = more if side == ASK else 0
    if not worst_notional(market, bid_lots, ask_lots) <= limits.notional_ticklots_max:
        return NO_NOTIONAL
    used = 0.0
    for j in range(markets.shape[0]):
        this = j == i
        used += worst_notional(markets[j], bid_lots if this else 0, ask_lots if this else 0) * markets[j].spec.ticklot_quote
    # Asked so that a NaN refuses.
    if not used <= desk.limits.capital_quote + min(desk.pnl_quote, 0.0):
        return NO_CAPITAL
    if replaced < 0 and (market.working >= limits.orders_max or market.working >= ORDERS):
        return NO_OPEN_ORDERS
    return OK if desk.request_tokens >= 1.0 else NO_REQUEST_RATE

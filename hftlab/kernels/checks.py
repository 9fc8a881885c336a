"""What the risk gate asks: of the desk, of a market, of one order. Pure questions, except for the halt that a loss trips."""

import math

from hftlab.kernels import budget, graded, ledger, liquidity, own
from hftlab.kernels.jit import kernel
from hftlab.types import (
    ASK,
    BID,
    CROSSED,
    HALTED,
    NO_BAD_QUOTE,
    NO_BOOK,
    NO_CALIBRATION,
    NO_CAPITAL,
    NO_CONCENTRATION,
    NO_CROSSED,
    NO_DAILY_LOSS,
    NO_DRAWDOWN,
    NO_DUPLICATE,
    NO_EXPOSURE,
    NO_HALTED,
    NO_LEVERAGE,
    NO_LINK,
    NO_LIQUIDITY,
    NO_MARGIN,
    NO_MIN_NOTIONAL,
    NO_NOTIONAL,
    NO_OPEN_ORDERS,
    NO_ORDER_SIZE,
    NO_POSITION,
    NO_PRICE_BAND,
    NO_REDUCING,
    NO_REQUEST_RATE,
    NO_SELF_CROSS,
    NO_STALE,
    NO_TRADE_RISK,
    OK,
    ORDERS,
    QUOTER_USER,
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
    loss = desk.day_open_pnl_quote - pnl
    if loss > desk.limits.loss_quote_max or _is_loss_share_broken(desk, loss):
        trip(desk, NO_DAILY_LOSS)
    elif desk.drawdown_quote > desk.limits.drawdown_frac_max * (desk.limits.capital_quote + max(desk.peak_pnl_quote, 0.0)):
        trip(desk, NO_DRAWDOWN)
    return desk.state == HALTED


@kernel
def _is_loss_share_broken(desk, loss):
    """Return whether a day's loss is more than its share of the equity with which the day began."""
    share = desk.limits.loss_frac_max
    return share < math.inf and loss > share * (desk.limits.capital_quote + desk.day_open_pnl_quote)


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
    if market.validity == CROSSED:
        return NO_CROSSED
    if desk.now_ns < market.pulled_until_ns:
        return market.pull_verdict
    if market.params.calibration_band_ticks > 0.0 and is_uncertain(market):
        return NO_CALIBRATION
    return quote_verdict(market.quote)


@kernel
def is_uncertain(market):
    """Return whether the band of the calibration is wider than the half-spread of the wish: what is earned may then as well be lost.

    As with the other shares of a limit, quoting comes back once the band is below `recover_frac` of the half-spread. A user's quoter
    says its half-spread by its prices. A target is not worked for a spread.
    """
    wish = market.quote
    if market.has_target != 0 or (wish.bid_lots == 0 and wish.ask_lots == 0):
        return False
    half = wish.half_spread_ticks
    if market.params.kind == QUOTER_USER:
        if wish.bid_lots > 0 and wish.ask_lots > 0:
            half = (wish.ask_ticks - wish.bid_ticks) / 2.0
        else:
            half = wish.fair_ticks - wish.bid_ticks if wish.bid_lots > 0 else wish.ask_ticks - wish.fair_ticks
    if market.gate_verdict == NO_CALIBRATION:
        half *= market.limits.recover_frac
    return not half >= market.params.calibration_band_ticks


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
def room_lots(desk, market, side, replaced_lots):
    """Return how much more may be shown on a side before the position limit, counting every open order as filled.

    Where only the position may be reduced the limit is zero: there is room towards it, and none beyond.
    """
    held = side * market.position_lots + own.open_lots(market, side) - replaced_lots
    return -held if graded.reducing(desk, market) else int(market.limits.position_lots_max) - held


@kernel
def room_verdict(desk, market):
    """Return the name of the limit that leaves no room."""
    return NO_REDUCING if graded.reducing(desk, market) else NO_POSITION


@kernel
def order_verdict(desk, markets, i, side, price_ticks, lots, replaced):
    """Return the first check that a new order (or `replaced`, the slot of one to be amended, else -1) does not pass."""
    market = markets[i]
    limits = market.limits
    was = own.worst_leaves(market.orders[replaced]) if replaced >= 0 else 0
    if lots > room_lots(desk, market, side, was):
        return room_verdict(desk, market)
    if limits.one_position != 0.0 and (side * market.position_lots > 0 or own.open_lots(market, side) - was > 0):
        return NO_DUPLICATE
    if lots > limits.order_lots_max:
        return NO_ORDER_SIZE
    if abs(price_ticks - market.fair_ticks) > limits.price_band_bps * 1e-4 * abs(market.fair_ticks):
        return NO_PRICE_BAND
    if own.crosses_own(market, side, price_ticks):
        return NO_SELF_CROSS
    notional = abs(ledger.value(market.spec, price_ticks)) * lots
    if notional < market.spec.notional_ticklots_min:
        return NO_MIN_NOTIONAL
    # Asked so that a NaN refuses.
    if limits.liquidity_frac_max < math.inf and not lots <= limits.liquidity_frac_max * liquidity.near_lots(market, side):
        return NO_LIQUIDITY
    if limits.concentration_frac_max < math.inf:
        if not lots <= limits.concentration_frac_max * liquidity.lots_per_min(market, desk.now_ns):
            return NO_CONCENTRATION
    if limits.risk_per_trade_frac_max < math.inf:
        risked = notional * limits.stop_bps * 1e-4 * market.spec.ticklot_quote
        if not risked <= limits.risk_per_trade_frac_max * equity_quote(desk):
            return NO_TRADE_RISK
    # What can only bring the position nearer to zero is let through: with too much on, it is the way to less.
    if side * market.position_lots >= 0 or own.open_lots(market, side) - was + lots > abs(market.position_lots):
        verdict = _money_verdict(desk, markets, i, side, max(lots - was, 0))
        if verdict != OK:
            return verdict
    if replaced < 0 and (market.working >= limits.orders_max or market.working >= ORDERS):
        return NO_OPEN_ORDERS
    return OK if budget.is_enough(desk, market.spec.venue, desk.limits.requests_reserved) else NO_REQUEST_RATE


@kernel
def equity_quote(desk):
    """Return capital and P&L."""
    return desk.limits.capital_quote + desk.pnl_quote


@kernel
def _money_verdict(desk, markets, i, side, more):
    """Return which limit on money the worst case breaks, of this market and of all together, with `more` lots on one side."""
    market = markets[i]
    bid_lots = more if side == BID else 0
    ask_lots = more if side == ASK else 0
    if not worst_notional(market, bid_lots, ask_lots) <= market.limits.notional_ticklots_max:
        return NO_NOTIONAL
    used = 0.0
    paid = 0.0  # what is bought with money of ours as a whole
    margin = 0.0
    for j in range(markets.shape[0]):
        this = j == i
        one = worst_notional(markets[j], bid_lots if this else 0, ask_lots if this else 0) * markets[j].spec.ticklot_quote
        used += one
        share = markets[j].limits.margin_frac
        if share > 0.0:
            margin += one * share
        else:
            paid += one
    limits = desk.limits
    if not paid <= limits.capital_quote + min(desk.pnl_quote, 0.0) or used != used:
        return NO_CAPITAL
    if used > limits.exposure_quote_max:
        return NO_EXPOSURE
    if limits.leverage_max < math.inf and used > limits.leverage_max * equity_quote(desk):
        return NO_LEVERAGE
    return NO_MARGIN if margin > 0.0 and margin + paid > equity_quote(desk) else OK

"""What we wish to show: fair value, estimators, and the built-in quoters.

A quoter reads the desk, the market and its parameters and fills one `Quote`. It never sees its own orders: they are taken
out of the touch first, or the quoter would follow itself.
"""

import math

from hftlab.kernels import book as bk
from hftlab.kernels import own, placement, pricing, regime
from hftlab.kernels.jit import kernel
from hftlab.types import (
    ASK,
    BID,
    FAIR_MICRO,
    HORIZON_FINITE,
    HORIZON_STATIONARY,
    IOC,
    NO_PRICE,
    QUOTER_AS,
    QUOTER_FIXED,
)

# Volatility is sampled at this spacing: closer together, the bounce of single updates would be taken for movement.
SAMPLING_NS = 100_000_000
_LN2 = math.log(2.0)


@kernel
def public_touch(market, side):
    """Return the best price of a side without our own orders, or NO_PRICE."""
    price = market.book.best_bid_ticks if side == BID else market.book.best_ask_ticks
    if market.spec.own_in_book != 0:
        while price != NO_PRICE and own.public_lots(market, side, price) <= 0:
            price = bk.next_level(market.book, side, price)
    return price


@kernel
def fair_ticks(market):
    """Return the fair price in ticks, NaN when a side is empty.

    Mid, or micro-price: the mid weighted by the size of the *other* side, 100 x 30 against 101 x 10 gives 100.75.
    """
    bid = public_touch(market, BID)
    ask = public_touch(market, ASK)
    if bid == NO_PRICE or ask == NO_PRICE:
        return math.nan
    if market.params.fair == FAIR_MICRO:
        bid_lots = own.public_lots(market, BID, bid)
        ask_lots = own.public_lots(market, ASK, ask)
        return (bid * ask_lots + ask * bid_lots) / (bid_lots + ask_lots)
    return (bid + ask) / 2.0


@kernel
def update_volatility(market, now_ns):
    """Update the variance [ticks^2/s] from the fair price, by time half-life.

    Zero-mean EWMA of squared changes per second. The weight is kept beside the sum, so that the estimate is the plain
    mean while it is young instead of climbing from zero.
    """
    dt_ns = now_ns - market.fair_ns
    if market.fair_ns != 0 and dt_ns < SAMPLING_NS:
        return
    if market.fair_ns != 0:
        change = market.fair_ticks - market.reference_ticks
        half_life_s = market.params.volatility_half_life_s
        market.variance_sum = pricing.ewma_variance_per_s(market.variance_sum, change, dt_ns, half_life_s)
        market.variance_weight += pricing.ewma_weight(dt_ns, half_life_s) * (1.0 - market.variance_weight)
        market.variance_ticks2_per_s = market.variance_sum / market.variance_weight
        if market.params.regime_factor_max > 1.0:
            regime.on_move(market, change, dt_ns)
    market.fair_ns = now_ns
    market.reference_ticks = market.fair_ticks


@kernel
def update_intensity(market, event, now_ns):
    """Update the rate of market orders [1/s] and their mean distance from fair [ticks] from one public print.

    Prints of one side within the same exchange time are one order that ate several levels or several makers.
    """
    market.trades += 1
    if market.fair_ticks != market.fair_ticks:
        return
    distance = max(abs(event.price_ticks - market.fair_ticks), 0.5)
    half_life_s = market.params.intensity_half_life_s
    if event.ts_exch_ns == market.arrivals_ns and event.side == market.arrivals_side:
        return
    if market.arrivals_ns == 0:
        market.distance_ticks = distance
        market.arrivals_from_ns = event.ts_exch_ns
    else:
        faded = pricing.ewma_weight(event.ts_exch_ns - market.arrivals_ns, half_life_s)
        market.arrivals_per_s = (1.0 - faded) * market.arrivals_per_s + _LN2 / half_life_s
        weight = -math.expm1(-_LN2 / max(market.arrivals_per_s * half_life_s, 20.0))
        market.distance_ticks += weight * (distance - market.distance_ticks)
        if market.params.regime_factor_max > 1.0:
            regime.on_order(market, event.ts_exch_ns, market.arrivals_ns)
    market.arrivals_ns = event.ts_exch_ns
    market.arrivals_side = event.side


@kernel
def decay_per_tick(market, params):
    """Return k [1/tick]: as set, or 1 / mean distance of prints (the maximum-likelihood rate of an exponential)."""
    if params.decay_per_tick > 0:
        return params.decay_per_tick
    return 1.0 / market.distance_ticks if market.distance_ticks > 0 else 1.0


@kernel
def arrival_per_s(market, params):
    """Return A [1/s], market orders of one side: as set, or half of the measured rate of both."""
    if params.arrival_per_s > 0:
        return params.arrival_per_s
    return max(market.arrivals_per_s / 2.0, 1e-3)


@kernel
def decide(desk, market, params, quote):
    """Fill `quote` by the built-in quoter that the parameters name; then its sizes lean, and its prices look for a better place."""
    if params.kind == QUOTER_FIXED:
        sigma = math.sqrt(market.variance_ticks2_per_s)
        skew = params.skew_ticks_per_lot + params.skew_sigmas_per_lot * sigma
        reservation = market.fair_ticks - skew * (market.position_lots - params.target_lots)
        half = _by_regime(desk, market, params.half_spread_ticks + params.half_spread_sigmas * sigma)
        around(quote, params, reservation, half, half)
    elif params.kind == QUOTER_AS:
        avellaneda_stoikov(desk, market, params, quote)
    if params.size_taper_frac > 0.0:
        _taper(market, params, quote)
    if params.placement_ticks > 0.0:
        nearest = half_spread_floor(quote, params)
        placement.place(market, quote, nearest, public_touch(market, BID), public_touch(market, ASK))


@kernel
def _by_regime(desk, market, half_ticks):
    """Return a half-spread as wide as the regime asks for, and note by how much it is wider."""
    market.regime_factor = regime.factor(market, desk.now_ns)
    return half_ticks * market.regime_factor


@kernel
def _taper(market, params, quote):
    """Let the side that would add to the position shrink: to 1 - `size_taper_frac` of its size at the limit, on a straight line."""
    inventory = market.position_lots - params.target_lots
    limit = market.limits.position_lots_max
    used = min(abs(inventory) / limit, 1.0) if limit > 0.0 else 1.0
    lots = int(params.order_lots * (1.0 - params.size_taper_frac * used) + 1e-9)
    if inventory > 0:
        quote.bid_lots = lots
    elif inventory < 0:
        quote.ask_lots = lots


@kernel
def avellaneda_stoikov(desk, market, params, quote):
    """Fill `quote` after Avellaneda & Stoikov 2008, or Gueant, Lehalle & Fernandez-Tapia 2013 for the stationary horizon.

    Rolling: T - t is always `horizon_s`. Finite: it runs down to `end_ns`, and after it only the 2/k part is left.
    """
    inventory = market.position_lots - params.target_lots
    gamma = params.risk_aversion_per_ticklot
    if market.spec.inverse_scale != 0:  # a tick is worth scale / price^2 of money there
        gamma *= market.spec.inverse_scale / (market.fair_ticks * market.fair_ticks)
    sigma = math.sqrt(market.variance_ticks2_per_s)
    k = decay_per_tick(market, params)
    if params.horizon_mode == HORIZON_STATIONARY:
        bid_depth, ask_depth = pricing.glft_depths(inventory, gamma, sigma, k, arrival_per_s(market, params), params.order_lots)
        half = (bid_depth + ask_depth) / 2.0
        reservation = market.fair_ticks + (ask_depth - bid_depth) / 2.0
    else:
        tau = params.horizon_s
        if params.horizon_mode == HORIZON_FINITE:
            tau = max((params.end_ns - desk.now_ns) * 1e-9, 0.0)
        reservation = pricing.as_reservation_ticks(market.fair_ticks, inventory, gamma, sigma, tau)
        half = pricing.as_spread(gamma, sigma, tau, k, params.order_lots) / 2.0
    half = _by_regime(desk, market, half)
    around(quote, params, reservation, half, half)


@kernel
def half_spread_floor(quote, params):
    """Return the least half-spread [ticks]: the larger of the two floors."""
    return max(params.half_spread_ticks_min, params.half_spread_bps_min * 1e-4 * abs(quote.fair_ticks))


@kernel
def around(quote, params, reservation_ticks, bid_half_ticks, ask_half_ticks):
    """Fill both sides around a reservation price: a bid rounds down, an ask up, half-spreads are held in their bounds."""
    low = half_spread_floor(quote, params)
    high = max(params.half_spread_ticks_max, low)
    quote.reservation_ticks = reservation_ticks
    quote.half_spread_ticks = min(max((bid_half_ticks + ask_half_ticks) / 2.0, low), high)
    quote.bid_ticks = math.floor(reservation_ticks - min(max(bid_half_ticks, low), high))
    quote.ask_ticks = math.ceil(reservation_ticks + min(max(ask_half_ticks, low), high))
    quote.bid_lots = int(params.order_lots)
    quote.ask_lots = int(params.order_lots)
    quote.levels = int(params.levels)
    quote.step_ticks = int(params.level_step_ticks)


@kernel
def work_target(market, quote):
    """Fill `quote` with the one side that brings the position to its target: at the touch of that side, or taking the other."""
    missing = market.target_lots - market.position_lots
    quote.levels = 1
    quote.reservation_ticks = market.fair_ticks
    quote.half_spread_ticks = 0.0
    lots = min(abs(missing), int(market.params.order_lots))
    taking = market.params.taking != 0
    quote["flags"] = IOC if taking else 0
    if missing > 0:
        quote.bid_ticks = public_touch(market, ASK if taking else BID)
        quote.bid_lots = lots
    elif missing < 0:
        quote.ask_ticks = public_touch(market, BID if taking else ASK)
        quote.ask_lots = lots

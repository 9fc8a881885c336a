"""What a place in a queue is worth: the chance of a fill before the price moves away, times what a fill earns.

The model is that of Moallemi & Yuan 2016, "A model for queue position valuation in a limit order book", with market orders of one
size: they come at rate mu and take one unit from the front, each unit in front of us is cancelled at rate theta, and the price moves
away at rate rho, which ends it; or it comes through our price, which fills us at a loss. Our place then only improves (Cont, Stoikov &
Talreja 2010, section 4.3): with n units in front the wait is a sum of exponential times with rates mu + theta i, i = 0 … n, so that
exp(-theta wait) has the distribution Beta(mu/theta, n + 1) (Renyi 1953, "On the theory of order statistics"): the chance is closed form.
"""

import math

from hftlab.kernels import touch_flow
from hftlab.kernels.jit import kernel
from hftlab.kernels.special import beta_share, log_rise
from hftlab.types import LIVE, NO_PRICE, ORDERS

# Cancels slower than this share of all else are taken to be so fast: the formula is a ratio of gamma functions of mu/theta.
CANCEL_SHARE_MIN = 1e-4
# A fair price so far beyond ours has taken everything that stood there; the distance that forecasts best, of 0, 1/2 and 1, in simulated
# markets: see `analytics.queues.fill_probability`.
THROUGH_TICKS = 1.0
# Pieces of the horizon in which the price can come to an order that stands behind the best one.
PIECES = 8


@kernel
def fill_p(units_ahead, mu, theta, rho, horizon_s):
    """Return the chance that an order with `units_ahead` in front fills within `horizon_s`, before the price moves away.

    E[exp(-rho T); T <= H] with exp(-theta T) ~ Beta(a, n + 1), a = mu/theta, r = rho/theta:
    Gamma(a + r) Gamma(a + n + 1) / (Gamma(a) Gamma(a + r + n + 1)) x P(Beta(a + r, n + 1) >= exp(-theta H)). Rates are per second.
    """
    if not mu > 0.0 or not horizon_s > 0.0:
        return 0.0
    theta = max(theta, CANCEL_SHARE_MIN * (mu + rho))
    n = max(units_ahead, 0.0)
    a = mu / theta
    r = rho / theta
    before = math.exp(log_rise(a, r) - log_rise(a + n + 1.0, r))
    return before * beta_share(n + 1.0, a + r, -math.expm1(-theta * horizon_s))


@kernel
def reach_p(distance_ticks, sigma_ticks, seconds):
    """Return the chance that a price with volatility `sigma_ticks` [ticks/sqrt(s)] comes `distance_ticks` nearer within that time.

    2 (1 - Phi(d / (sigma sqrt(t)))), by reflection.
    """
    if distance_ticks <= 0.0:
        return 1.0
    spread = sigma_ticks * math.sqrt(max(seconds, 0.0))
    return math.erfc(distance_ticks / (spread * math.sqrt(2.0))) if spread > 0.0 else 0.0


@kernel
def market_fill_p(market, side, price_ticks, ahead_lots, touch_ticks, horizon_s):
    """Return the chances of a fill within `horizon_s` in the two ways there are; NaN before the rates of this market are known.

    First by the queue: served at the best price. An order behind it waits for the price to come: the sum over pieces of the horizon of
    the chance that it comes in one, times that of a fill in what is then left. One before the best price has nothing in front.
    Second by the price: fair passes ours by THROUGH_TICKS, and whatever stood there is gone. `touch_ticks` is the best price of our
    side without our own orders, not NO_PRICE. The two are taken to be independent.
    """
    flow = market.flow
    if not touch_flow.is_known(flow):
        return math.nan, math.nan
    behind = float((touch_ticks - price_ticks) * side)
    units = ahead_lots / touch_flow.order_lots(flow) if behind >= 0.0 else 0.0
    mu = touch_flow.orders_per_s(flow)
    theta = touch_flow.cancels_per_s(flow)
    rho = touch_flow.away_per_s(flow)
    sigma = math.sqrt(market.variance_ticks2_per_s)
    through = reach_p(max((market.fair_ticks - price_ticks) * side, 0.0) + THROUGH_TICKS, sigma, horizon_s)
    if behind <= 0.0:
        return fill_p(units, mu, theta, rho, horizon_s), through
    served = 0.0
    come_before = 0.0
    for k in range(PIECES):
        come = reach_p(behind, sigma, horizon_s * (k + 1) / PIECES)
        served += (come - come_before) * fill_p(units, mu, theta, rho, horizon_s * (1.0 - (k + 0.5) / PIECES))
        come_before = come
    return served, through


@kernel
def value_ticks(market, side, price_ticks, ahead_lots, touch_ticks, reservation_ticks):
    """Return chance of a fill within `fill_horizon_s`, and what the order is worth in ticks; NaN before the rates are known.

    Worth is chance x (edge - expected adverse move), of both ways to be filled. The edge is the distance from the reservation price.
    Served by the queue, the adverse move is that of the fair price a second after a market order, and, for an order behind the best
    price, the way that the price has to come first: it gives none of it back. Passed by the price, it is the whole way of the price.
    """
    if touch_ticks == NO_PRICE:
        return math.nan, math.nan
    served, through = market_fill_p(market, side, price_ticks, ahead_lots, touch_ticks, market.params.fill_horizon_s)
    passed = (1.0 - served) * through
    edge = (reservation_ticks - price_ticks) * side
    behind = max(float((touch_ticks - price_ticks) * side), 0.0)
    way = max((market.fair_ticks - price_ticks) * side, 0.0) + THROUGH_TICKS
    value = served * (edge - touch_flow.impact_ticks(market.flow) - behind) + passed * (edge - way)
    return served + passed, value


@kernel
def note(market, bid_ticks, ask_ticks, reservation_ticks):
    """Write into every resting order its chance of a fill and its worth, for the screen; the touch is without our own orders."""
    left = market.working
    for slot in range(ORDERS):
        if left == 0:
            return
        order = market.orders[slot]
        left -= order.status != 0
        if order.status == LIVE:
            touch = bid_ticks if order.side > 0 else ask_ticks
            p, value = value_ticks(market, order.side, order.price_ticks, order.ahead_lots, touch, reservation_ticks)
            order.fill_p = p
            order.value_ticks = value

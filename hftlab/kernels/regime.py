"""Is the market wilder than it has been: short against long volatility, and short against long activity.

The half-spread of a built-in quoter is multiplied by `factor`. That is the quoter's own choice of where to quote; the answer to a
*limit* that comes near is `graded.temper`, which acts on whatever was wished.
"""

import math

from hftlab.kernels import pricing
from hftlab.kernels.jit import kernel

# A short estimate younger than its half-life says nothing yet.
WEIGHT_MIN = 0.5


@kernel
def on_move(market, change, dt_ns):
    """Update the short variance [ticks^2/s] with a sample of the fair price. As the long one: unbiased from its first update."""
    half_life_s = market.params.regime_half_life_s
    market.variance_short_sum = pricing.ewma_variance_per_s(market.variance_short_sum, change, dt_ns, half_life_s)
    market.variance_short_weight += pricing.ewma_weight(dt_ns, half_life_s) * (1.0 - market.variance_short_weight)


@kernel
def on_order(market, ts_ns, before_ns):
    """Update the short rate of market orders [1/s] with one at `ts_ns`; the one before came at `before_ns`."""
    half_life_s = market.params.regime_half_life_s
    if market.arrivals_short_from_ns == 0:
        market.arrivals_short_from_ns = ts_ns
        return
    kept = 1.0 - pricing.ewma_weight(ts_ns - before_ns, half_life_s)
    market.arrivals_short_per_s = kept * market.arrivals_short_per_s + pricing.LN2 / half_life_s


@kernel
def volatility_ratio(market):
    """Return short over long standard deviation, 1 while either is young."""
    if market.variance_short_weight < WEIGHT_MIN or not market.variance_ticks2_per_s > 0.0:
        return 1.0
    return math.sqrt(market.variance_short_sum / market.variance_short_weight / market.variance_ticks2_per_s)


@kernel
def _rate_now(rate, last_ns, from_ns, now_ns, half_life_s):
    """Return a rate with what has passed since its last event, and without the bias of its youth."""
    return rate * (1.0 - pricing.ewma_weight(max(now_ns - last_ns, 0), half_life_s)) / pricing.ewma_weight(now_ns - from_ns, half_life_s)


@kernel
def activity_ratio(market, now_ns):
    """Return short over long rate of market orders, 1 while the short one is young."""
    params = market.params
    from_ns = market.arrivals_short_from_ns
    if from_ns == 0 or pricing.ewma_weight(max(now_ns - from_ns, 0), params.regime_half_life_s) < WEIGHT_MIN:
        return 1.0
    long = _rate_now(market.arrivals_per_s, market.arrivals_ns, market.arrivals_from_ns, now_ns, params.intensity_half_life_s)
    short = _rate_now(market.arrivals_short_per_s, market.arrivals_ns, from_ns, now_ns, params.regime_half_life_s)
    return short / long if long > 0.0 else 1.0


@kernel
def factor(market, now_ns):
    """Return how many times as wide as usual the quoter is in this regime: from 1 to `regime_factor_max`, 1 where that is not above 1.

    max(sigma_short / sigma_long, sqrt(rate_short / rate_long)) / `regime_ratio_min`, held in those bounds. The root: variance grows with
    the number of trades (Clark 1973, "A subordinated stochastic process model"), so both are readings of the same ratio of volatilities.
    """
    most = market.params.regime_factor_max
    if not most > 1.0:
        return 1.0
    ratio = max(volatility_ratio(market), math.sqrt(activity_ratio(market, now_ns)))
    return min(max(ratio / market.params.regime_ratio_min, 1.0), most)

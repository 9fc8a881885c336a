"""Forecasts of a fill for Python that asks: by the queue, and by the exponential law of Avellaneda & Stoikov."""

import math

from hftlab.kernels import quote
from hftlab.kernels.jit import kernel
from hftlab.kernels.queue_value import market_fill_p
from hftlab.types import NO_PRICE


@kernel
def forecasts(markets, side, price_ticks, ahead_lots, horizon_s, said):
    """Write into `said` (f8, (3,)) what `markets[0]` says of a new order at a price with so much in front of it.

    The chance of a fill within the horizon, the part of it that is the queue's, and 1 - exp(-A exp(-k depth) H) with the depth [ticks]
    from the fair price. NaN before the rates are known.
    """
    market = markets[0]
    touch = quote.public_touch(market, side)
    said[:] = math.nan
    if touch == NO_PRICE:
        return
    served, through = market_fill_p(market, side, price_ticks, ahead_lots, touch, horizon_s)
    said[0] = served + (1.0 - served) * through
    said[1] = served
    k = quote.decay_per_tick(market, market.params)
    depth = abs(price_ticks - market.fair_ticks)
    said[2] = -math.expm1(-quote.arrival_per_s(market, market.params) * math.exp(-k * depth) * horizon_s)

"""What the market could take of an order: what rests near the touch, and what is traded in a minute."""

import math

from hftlab.kernels import book as bk
from hftlab.kernels import own
from hftlab.kernels.jit import kernel
from hftlab.kernels.pricing import LN2, ewma_weight
from hftlab.types import BID, NEAR_PRICES, NO_PRICE

MINUTE_NS = 60_000_000_000


@kernel
def near_lots(market, side):
    """Return what others show at the best NEAR_PRICES prices of a side."""
    price = market.book.best_bid_ticks if side == BID else market.book.best_ask_ticks
    total = 0
    for _ in range(NEAR_PRICES):
        if price == NO_PRICE:
            break
        total += own.public_lots(market, side, price)
        price = bk.next_level(market.book, side, price)
    return total


@kernel
def on_print(market, row, now_ns):
    """Count a print into the traded volume, which fades by the half-life of the intensity. Only where a limit asks for it."""
    if market.limits.concentration_frac_max == math.inf:
        return
    if market.volume_from_ns == 0:
        market.volume_from_ns = now_ns
    else:
        market.volume_lots *= 1.0 - ewma_weight(now_ns - market.volume_ns, market.params.intensity_half_life_s)
    market.volume_lots += row.qty_lots
    market.volume_ns = now_ns


@kernel
def lots_per_min(market, now_ns):
    """Return the traded volume of a typical minute: an average with exponential weights by time, zero before the first print.

    What is younger than a minute counts as if it were all that a minute brings: less than the truth, never more.
    """
    if market.volume_from_ns == 0:
        return 0.0
    half_life_s = market.params.intensity_half_life_s
    faded = market.volume_lots * (1.0 - ewma_weight(now_ns - market.volume_ns, half_life_s))
    seen = ewma_weight(max(now_ns - market.volume_from_ns, MINUTE_NS), half_life_s)
    return faded * 60.0 * LN2 / half_life_s / seen

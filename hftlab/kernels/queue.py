"""Where we stand in the queue at our price, when the venue only tells how long the queue is.

Works on any record with `ahead_lots` and `traded_lots`: our own order table (an estimate for the screen and for live
decisions) and the resting orders of the simulated exchange (where it decides fills).
"""

import math

from hftlab.kernels.jit import kernel
from hftlab.types import QUEUE_RISK_AVERSE


@kernel
def place(order, level_lots):
    """Join the back of a level that holds `level_lots` without us."""
    order.ahead_lots = float(level_lots)
    order.traded_lots = 0.0


@kernel
def on_trade(order, lots):
    """A print of `lots` at our price takes from the front of the queue."""
    order.ahead_lots -= lots
    order.traded_lots += lots


@kernel
def on_depth(order, old_lots, new_lots, model, power):
    """Move our place after the level went from `old_lots` to `new_lots` (both without us).

    Prints were already taken from `ahead_lots`: counting them again would bring us to the front too early. What is left
    of the fall are cancels. Risk-averse: all of them behind us. Power: split between those ahead and those behind by
    f(x) = x**power, P(behind) = f(behind) / (f(behind) + f(ahead)) (Rigtorp 2013, "Estimating order queue position").
    """
    cancelled = old_lots - new_lots - order.traded_lots
    order.traded_lots = 0.0
    if model != QUEUE_RISK_AVERSE and cancelled > 0 and order.ahead_lots > 0:
        ahead = order.ahead_lots
        behind = max(old_lots - ahead, 0.0)
        weight_behind = math.pow(behind, power)
        p_behind = weight_behind / (weight_behind + math.pow(ahead, power))
        # More cancels than stood behind us must have come from ahead.
        order.ahead_lots = ahead - (1.0 - p_behind) * cancelled + min(behind - p_behind * cancelled, 0.0)
    order.ahead_lots = min(order.ahead_lots, float(new_lots))

"""Where we stand in the queue at our price.

Works on any record with `ahead_lots` and `traded_lots`: our own order table (an estimate for the screen and for live
decisions) and the resting orders of the simulated exchange (where it decides fills). When the venue only tells how long a queue
is, a fall that no print explains is cancels, and a model says how many of them stood in front of us:

    risk averse  none: only prints move us on
    power, log   P(behind) = f(behind) / (f(behind) + f(ahead)), f(x) = x**n or log(1 + x)
    power2, log2 P(behind) = f(behind) / f(behind + ahead)
    power3       P(behind) = 1 - f(ahead / (ahead + behind))

(Rigtorp 2013, "Estimating order queue position"; x in lots.) With order-by-order data (fifo) nothing is left to guess: an order
that came before us is in front. Two bounds beside the models: touch (always first in the queue) and through (never).
"""

import math

from hftlab.kernels.jit import kernel
from hftlab.types import (
    QUEUE_FIFO,
    QUEUE_LOG,
    QUEUE_LOG2,
    QUEUE_POWER2,
    QUEUE_POWER3,
    QUEUE_RISK_AVERSE,
    QUEUE_THROUGH,
    QUEUE_TOUCH,
)


@kernel
def place(order, level_lots, model):
    """Join the back of a level that holds `level_lots` without us."""
    order.ahead_lots = 0.0 if model == QUEUE_TOUCH else float(level_lots)
    order.traded_lots = 0.0


@kernel
def on_trade(order, lots, model):
    """A print of `lots` at our price takes from the front of the queue."""
    if model == QUEUE_THROUGH:
        return
    order.traded_lots += min(float(lots), max(order.ahead_lots, 0.0)) if model == QUEUE_FIFO else lots
    order.ahead_lots -= lots


@kernel
def due_lots(order):
    """Return what of us the prints so far have reached: the queue in front may be an estimate, so to the nearest lot."""
    return math.floor(0.5 - order.ahead_lots) if order.ahead_lots < 0 else 0


@kernel
def p_behind(behind, ahead, model, power):
    """Return the probability that a cancel at our level stood behind us, by the model."""
    if behind <= 0.0:
        return 0.0
    if model == QUEUE_POWER3:
        return 1.0 - math.pow(ahead / (ahead + behind), power)
    if model == QUEUE_LOG or model == QUEUE_LOG2:
        weight = math.log1p(behind)
        return weight / (weight + math.log1p(ahead)) if model == QUEUE_LOG else weight / math.log1p(behind + ahead)
    weight = math.pow(behind, power)
    if model == QUEUE_POWER2:
        return weight / math.pow(behind + ahead, power)
    return weight / (weight + math.pow(ahead, power))


@kernel
def on_depth(order, old_lots, new_lots, model, power):
    """Move our place after the level went from `old_lots` to `new_lots` (both without us).

    Prints were already taken from `ahead_lots`: counting them again would bring us to the front too early. What is left
    of the fall are cancels.
    """
    if model == QUEUE_TOUCH or model == QUEUE_FIFO:
        return
    cancelled = old_lots - new_lots - order.traded_lots
    order.traded_lots = 0.0
    if model != QUEUE_RISK_AVERSE and model != QUEUE_THROUGH and cancelled > 0 and order.ahead_lots > 0:
        ahead = order.ahead_lots
        behind = max(old_lots - ahead, 0.0)
        share = p_behind(behind, ahead, model, power)
        # More cancels than stood behind us must have come from ahead.
        order.ahead_lots = max(ahead - (1.0 - share) * cancelled + min(behind - share * cancelled, 0.0), 0.0)
    order.ahead_lots = min(order.ahead_lots, float(new_lots))


@kernel
def on_order(order, gone_lots):
    """An order in front of us lost `gone_lots`. What prints already took from the queue is not taken again."""
    printed = min(order.traded_lots, float(gone_lots))
    order.traded_lots -= printed
    order.ahead_lots = max(order.ahead_lots - (gone_lots - printed), 0.0)

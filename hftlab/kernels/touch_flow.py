"""What comes to the best queues and goes from them: the rates behind the chance of a fill.

Measured only while a quoter asks for it (`queue_keep_ticks` or `placement_ticks` above zero). All sums fade by the half-life of the
intensity, and both sides are counted together: each second counts as two, one of each side.
"""

from hftlab.kernels import own
from hftlab.kernels.jit import kernel
from hftlab.kernels.pricing import ewma_weight
from hftlab.types import ASK, BID, NO_PRICE

# A market order is judged by where the fair price stands this much later, as the markouts of our own fills are by default.
IMPACT_NS = 1_000_000_000
# What happened between two looks further apart than this is not known: the quoter did not ask, or the feed was down.
BLIND_NS = 10_000_000_000
# With fewer recent market orders nothing is said.
ORDERS_MIN = 5.0


@kernel
def is_wanted(params):
    """Return whether a decision of the quoter needs these rates."""
    return params.queue_keep_ticks > 0.0 or params.placement_ticks > 0.0


@kernel
def on_print(market, row, is_new_order):
    """Count a public print; the first of a market order also as that order."""
    flow = market.flow
    flow.printed_lots += row.qty_lots
    if not is_new_order:
        return
    flow.orders += 1.0
    if flow.impact_from_ns == 0 and market.fair_ticks == market.fair_ticks:
        flow.impact_from_ns = row.ts_recv_ns
        flow.impact_from_ticks = market.fair_ticks
        flow.impact_side = row.side


@kernel
def on_message(market, bid_ticks, ask_ticks, now_ns):
    """Look at the best queues after a message about the book; `bid_ticks` and `ask_ticks` are the best prices without our own orders."""
    flow = market.flow
    bid_lots = own.public_lots(market, BID, bid_ticks) if bid_ticks != NO_PRICE else 0
    ask_lots = own.public_lots(market, ASK, ask_ticks) if ask_ticks != NO_PRICE else 0
    dt_ns = now_ns - flow.ns
    _fade(flow, dt_ns, market.params.intensity_half_life_s)
    if dt_ns < BLIND_NS and flow.bid_ticks != NO_PRICE and flow.ask_ticks != NO_PRICE:
        flow.side_s += 2.0 * dt_ns * 1e-9
        flow.lots_s += (flow.bid_lots + flow.ask_lots) * dt_ns * 1e-9
        _compare(flow, BID, flow.bid_ticks, flow.bid_lots, bid_ticks, bid_lots)
        _compare(flow, ASK, flow.ask_ticks, flow.ask_lots, ask_ticks, ask_lots)
    flow.ns = now_ns
    flow.bid_ticks = bid_ticks
    flow.bid_lots = bid_lots
    flow.ask_ticks = ask_ticks
    flow.ask_lots = ask_lots


@kernel
def watch(market, now_ns):
    """Look where the fair price stands, once the market order that is followed is old enough."""
    flow = market.flow
    if flow.impact_from_ns != 0 and now_ns - flow.impact_from_ns >= IMPACT_NS:
        flow.impact_sum_ticks += flow.impact_side * (market.fair_ticks - flow.impact_from_ticks)
        flow.impact_weight += 1.0
        flow.impact_from_ns = 0


@kernel
def forget_touch(flow):
    """The book is lost, or will be told anew: the next look is the first."""
    flow.bid_ticks = NO_PRICE
    flow.ask_ticks = NO_PRICE


@kernel
def _fade(flow, dt_ns, half_life_s):
    kept = 1.0 - ewma_weight(dt_ns, half_life_s)
    flow.printed_lots *= kept
    flow.orders *= kept
    flow.gone_lots *= kept
    flow.away *= kept
    flow.side_s *= kept
    flow.lots_s *= kept
    flow.impact_sum_ticks *= kept
    flow.impact_weight *= kept


@kernel
def _compare(flow, side, before_ticks, before_lots, ticks, lots):
    """Count what a best queue lost since the last look, or that a better price has come before it."""
    if ticks == NO_PRICE:
        return
    moved = (ticks - before_ticks) * side
    if moved > 0:
        flow.away += 1.0
    elif moved < 0:
        flow.gone_lots += before_lots
    elif lots < before_lots:
        flow.gone_lots += before_lots - lots


@kernel
def is_known(flow):
    """Return whether enough has been seen to speak of rates."""
    return flow.orders >= ORDERS_MIN and flow.side_s > 0.0 and flow.lots_s > 0.0 and flow.printed_lots > 0.0


@kernel
def order_lots(flow):
    """Return the mean size of a market order."""
    return flow.printed_lots / flow.orders


@kernel
def orders_per_s(flow):
    """Return the rate of market orders that meet one side."""
    return flow.orders / flow.side_s


@kernel
def cancels_per_s(flow):
    """Return at which rate a lot of the best queue is cancelled: what went and was not traded, over what stood there, by time."""
    return max(flow.gone_lots - flow.printed_lots, 0.0) / flow.lots_s


@kernel
def away_per_s(flow):
    """Return how often a better price comes before the best queue of one side."""
    return flow.away / flow.side_s


@kernel
def impact_ticks(flow):
    """Return how far the fair price has gone a second after a market order, in its direction: what a fill at the touch loses. Not below 0."""
    return max(flow.impact_sum_ticks / flow.impact_weight, 0.0) if flow.impact_weight > 0.0 else 0.0

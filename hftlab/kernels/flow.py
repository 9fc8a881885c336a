"""A seeded crowd that trades on the order-by-order book: limit orders, cancels, trades, news, in simulated time.

All arrivals are one Poisson stream of candidates at a rate that bounds the sum of all rates until the next candidate, each kept
with the probability that its true rate asks for (Lewis and Shedler 1979; for Hawkes, Ogata 1981). The time of the next candidate is part of
the state, so cutting `advance` anywhere changes nothing.
"""

import math

import numpy as np

from hftlab.kernels.flow_price import edge_hazard, news, on_trade, sign_and_number
from hftlab.kernels.jit import kernel
from hftlab.kernels.lob import cancel_slot, submit
from hftlab.kernels.lob_rows import room
from hftlab.kernels.lob_types import LEVEL_MASK
from hftlab.kernels.rng import exponential, normal, pareto, uniform
from hftlab.types import ASK, BID, MARKET_ORDER, NO_PRICE, TRADE

CLOCK_NS = 1_000_000_000  # step of the activity clock
MAX_GAP_NS = 3_600_000_000_000


@kernel
def step_clock(world, now_ns):
    """Move the activity: the exponential of an Ornstein-Uhlenbeck process (exact step), times the U of the day."""
    flow = world.flow
    params = world.params
    keep = math.exp(-1e-9 * CLOCK_NS / params.activity_tau_s)
    sd = params.activity_sd
    flow.log_activity = keep * flow.log_activity + sd * math.sqrt(1.0 - keep * keep) * normal(flow)
    x = (now_ns * 1e-9 / params.day_s) % 1.0
    # 1 - d/2 at noon to 1 + d at midnight, mean 1
    u = 1.0 + params.day_depth * (1.5 * (2.0 * x - 1.0) ** 2 - 0.5)
    flow.rate = params.activity * u * math.exp(flow.log_activity - 0.5 * sd * sd)
    flow.clock_ns = now_ns + CLOCK_NS


@kernel
def _decay(flow, params, now_ns):
    """Let the excitement of past trades fade until `now_ns`."""
    dt_s = 1e-9 * (now_ns - flow.excite_ns)
    flow.excite_fast_per_s *= math.exp(-params.decay_fast_per_s * dt_s)
    flow.excite_slow_per_s *= math.exp(-params.decay_slow_per_s * dt_s)
    flow.excite_ns = now_ns


@kernel
def draw_next(world):
    """Draw the time of the next candidate after `flow.now_ns`."""
    flow = world.flow
    params = world.params
    flow.high_water = world.lob.high_water
    per_s = params.limit_per_s + params.cancel_per_s_max * flow.high_water + params.trade_per_s + params.news_per_s
    flow.total_per_s = flow.rate * per_s + flow.excite_fast_per_s + flow.excite_slow_per_s
    if flow.snipes > 0:
        flow.total_per_s += params.snipe_per_s
    gap_ns = 1e9 * exponential(flow) / flow.total_per_s
    flow.next_ns = flow.now_ns + 1 + np.int64(min(gap_ns, MAX_GAP_NS))
    flow.clock_due = 0
    if flow.next_ns >= flow.clock_ns:
        flow.next_ns = flow.clock_ns
        flow.clock_due = 1


@kernel
def _place(world, out, now_ns):
    """One limit order of the crowd: power-law distance from the other side, kept or not by edge and by queue."""
    lob = world.lob
    flow = world.flow
    params = world.params
    side = BID if uniform(flow) < 0.5 else ASK
    depth = math.floor(params.place_offset_ticks * (pareto(flow, params.place_exponent) - 1.0))
    size = params.unit_lots * math.ceil(params.limit_size * exponential(flow))
    keep = uniform(flow)
    if depth > params.place_ticks_max:
        return
    other = lob.best_ask_ticks if side == BID else lob.best_bid_ticks
    if other == NO_PRICE:
        other = np.int64(math.floor(flow.efficient_ticks)) + (1 if side == BID else 0)
    price_ticks = other - side * (1 + np.int64(depth))
    edge = side * (flow.efficient_ticks - price_ticks)
    accept = 1.0 - edge_hazard(params, edge - params.edge_enter_ticks)
    queue = lob.levels[price_ticks & LEVEL_MASK].lots / (params.unit_lots * params.queue_full)
    accept /= 1.0 + queue * queue
    own = lob.best_bid_ticks if side == BID else lob.best_ask_ticks
    if own != NO_PRICE and side * (price_ticks - own) > 0:
        accept *= params.improve
    if keep < accept:
        submit(lob, out, now_ns, 0, 0, side, price_ticks, np.int64(size), 0)


@kernel
def _withdraw(world, out, now_ns):
    """Look at one slot of the pool and cancel its order with the hazard of its place; empty slots and our orders are left."""
    lob = world.lob
    flow = world.flow
    params = world.params
    slot = np.int64(uniform(flow) * flow.high_water)
    keep = uniform(flow)
    order = lob.orders[slot]
    if order.side == 0 or order.owner != 0:
        return
    best = lob.best_bid_ticks if order.side == BID else lob.best_ask_ticks
    distance = abs(best - order.price_ticks)
    edge = order.side * (flow.efficient_ticks - order.price_ticks)
    hazard = params.cancel_far_per_s + params.cancel_touch_per_s * math.exp(-distance / params.cancel_scale_ticks)
    hazard += params.cancel_per_s_max * edge_hazard(params, edge - params.edge_leave_ticks)
    if keep * params.cancel_per_s_max < hazard:
        cancel_slot(lob, out, now_ns, slot)


@kernel
def _take(world, out, now_ns, side, number):
    """One market order of the crowd, and what it does to the efficient price."""
    lob = world.lob
    params = world.params
    size = min(params.trade_size_min * pareto(world.flow, params.trade_exponent), params.trade_size_max)
    lots = np.int64(params.unit_lots * math.floor(size))
    first = lob.cursor
    before = lob.traded_lots
    submit(lob, out, now_ns, 0, 0, side, 0, max(lots, 1), MARKET_ORDER)
    traded = lob.traded_lots - before
    if traded > 0:
        on_trade(world, side, traded)
        if params.reveal > 0.0:
            for i in range(first, lob.cursor):
                if out[i].kind == TRADE:
                    out[i].order_id = number


@kernel
def _snipe(world, out, now_ns):
    """One toxic taker: takes what is quoted on the wrong side of the efficient price, and gives up when nothing is."""
    flow = world.flow
    side = flow.snipe_side
    touch = world.lob.best_ask_ticks if side == BID else world.lob.best_bid_ticks
    if touch == NO_PRICE or side * (flow.efficient_ticks - touch) <= 0:
        flow.snipes = 0
        return
    flow.snipes -= 1
    _take(world, out, now_ns, side, 0)


@kernel
def _act(world, out, now_ns):
    """Turn the candidate that is due at `now_ns` into an event, or into nothing."""
    flow = world.flow
    params = world.params
    _decay(flow, params, now_ns)
    pick = uniform(flow) * flow.total_per_s
    pick -= flow.rate * params.limit_per_s
    if pick < 0.0:
        _place(world, out, now_ns)
        return
    pick -= flow.rate * params.cancel_per_s_max * flow.high_water
    if pick < 0.0:
        _withdraw(world, out, now_ns)
        return
    pick -= flow.rate * params.news_per_s
    if pick < 0.0:
        news(world)
        return
    if flow.snipes > 0:
        pick -= params.snipe_per_s
        if pick < 0.0:
            _snipe(world, out, now_ns)
            return
    pick -= flow.rate * params.trade_per_s + flow.excite_fast_per_s + flow.excite_slow_per_s
    if pick < 0.0:
        side, number = sign_and_number(world)
        _take(world, out, now_ns, side, number)
        flow.excite_fast_per_s += params.branch_fast * params.decay_fast_per_s
        flow.excite_slow_per_s += params.branch_slow * params.decay_slow_per_s


@kernel
def advance(world, out, until_ns):
    """Run the crowd up to and including `until_ns`, appending rows at `lob.cursor`.

    Returns whether it got there: False means `out` is nearly full, to be emptied before the same call is made again.
    """
    flow = world.flow
    while flow.next_ns <= until_ns:
        if not room(world.lob, out):
            return False
        flow.now_ns = flow.next_ns
        if flow.clock_due == 1:
            _decay(flow, world.params, flow.now_ns)
            step_clock(world, flow.now_ns)
        else:
            _act(world, out, flow.now_ns)
        draw_next(world)
    return True

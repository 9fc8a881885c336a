"""What the crowd believes: signs of trades, the efficient price, and who leaves when it moves.

Signs come from a few hidden metaorders of Pareto length, each trade a piece of one of them: that gives signs a memory
C(l) ~ l**-(exponent-1) (Lillo, Mike and Farmer 2005). A price that moved with the bare sign would then be predictable; it moves with the
*surprise*, sign minus prediction (Bouchaud et al. 2004), so it is a martingale and a metaorder's impact is concave.
"""

import math

import numpy as np

from hftlab.kernels.flow_types import MEMORIES
from hftlab.kernels.jit import kernel
from hftlab.kernels.rng import exponential, pareto, uniform
from hftlab.types import ASK, BID

# Best linear forecast of the next sign from six exponential averages, least squares on 300,000 signs of 2 metaorders with exponent 1.4.
MEMORY_TRADES = np.array([1.5, 5.0, 20.0, 80.0, 320.0, 1280.0])
MEMORY_WEIGHTS = np.array([0.1039, 0.5119, 0.0888, 0.1495, 0.0223, 0.0641])


@kernel
def edge_hazard(params, edge_ticks):
    """Return the share, 0 to 1, of those who would not rest at this edge: a logistic step of stated sharpness."""
    return 1.0 / (1.0 + math.exp(min(params.edge_sharpness * edge_ticks, 60.0)))


@kernel
def _renew(flow, params, i):
    """Start a new metaorder in place `i` of the pool."""
    meta = flow.pool[i]
    flow.metas += 1
    meta.number = flow.metas
    meta.side = BID if uniform(flow) < 0.5 else ASK
    length = min(pareto(flow, params.meta_exponent), params.meta_length_max)
    meta.left = 1 if params.informed == 0.0 else np.int64(length)


@kernel
def sign_and_number(world):
    """Return side and number of the metaorder whose next piece trades now."""
    flow = world.flow
    i = np.int64(uniform(flow) * world.params.meta_pool)
    meta = flow.pool[i]
    if meta.left <= 0:
        _renew(flow, world.params, i)
    meta.left -= 1
    return meta.side, meta.number


@kernel
def on_trade(world, side, lots):
    """Move the efficient price by the surprise in a trade's sign, concave in its size, and remember the sign."""
    flow = world.flow
    params = world.params
    flow.trades += 1
    expected = 0.0
    for i in range(MEMORIES):
        expected += MEMORY_WEIGHTS[i] * flow.memory[i]
        flow.memory[i] += (side - flow.memory[i]) / MEMORY_TRADES[i]
    size = (lots / (params.unit_lots * params.impact_scale)) ** params.impact_exponent
    flow.efficient_ticks += params.informed * params.impact_ticks * size * (side - expected)


@kernel
def news(world):
    """Move the efficient price by a Laplace jump. Toxic takers, if any, see it before the makers do."""
    flow = world.flow
    params = world.params
    side = BID if uniform(flow) < 0.5 else ASK
    jump = params.news_ticks * exponential(flow)
    flow.efficient_ticks += side * jump
    snipes = np.int64(params.toxic * params.snipes_per_tick * jump + uniform(flow))
    if params.toxic > 0.0 and snipes > 0:
        flow.snipe_side = side
        flow.snipes = snipes

"""Layout of the order flow (`kernels/flow.py`): its parameters, its state, and the world that holds flow and book.

Everything is in ticks, lots and seconds of the instrument, so the market looks the same at any tick size.
"""

import numpy as np

from hftlab.kernels.lob_types import LOB

POOL = 16  # hidden metaorders at most
MEMORIES = 6  # exponential averages of past trade signs

FLOW_DEFAULTS: dict[str, float] = {
    # activity: every rate below is multiplied by exp(OU), mean 1, times `activity`, times the U of the day
    "activity": 1.0,
    "activity_sd": 1.0,
    "activity_tau_s": 400.0,
    "day_depth": 0.0,  # 0: flat day; 0.6: rates run from 0.7 at noon to 1.6 at the edges
    "day_s": 86400.0,
    # limit orders: distance from the opposite best is offset x (u**(-1/exponent) - 1)
    "limit_per_s": 600.0,
    "place_exponent": 0.8,
    "place_offset_ticks": 2.0,
    "place_ticks_max": 400.0,
    "limit_size": 8.0,  # mean, in units
    "queue_full": 250.0,  # units at the touch at which joining has become half as likely
    "improve": 0.1,  # share of the willing who do quote inside a spread wider than a tick
    # cancels: per order and second, by distance from its own best
    "cancel_per_s_max": 20.0,
    "cancel_touch_per_s": 0.5,
    "cancel_far_per_s": 0.1,
    "cancel_scale_ticks": 4.0,
    # who rests where, by the edge = (efficient - price) x side, in ticks
    "edge_sharpness": 6.0,
    "edge_enter_ticks": 0.1,
    "edge_leave_ticks": -0.1,
    # trades: Hawkes with two exponential kernels
    "trade_per_s": 1.2,
    "branch_fast": 0.45,
    "branch_slow": 0.3,
    "decay_fast_per_s": 25.0,
    "decay_slow_per_s": 0.8,
    "trade_exponent": 1.5,
    "trade_size_min": 2.0,
    "trade_size_max": 1500.0,
    # metaorders
    "meta_pool": 2.0,
    "meta_exponent": 1.4,
    "meta_length_max": 5000.0,
    # efficient price
    "informed": 1.0,  # 0: trades carry no information and signs are coin tosses
    "impact_ticks": 0.5,
    "impact_exponent": 0.2,
    "impact_scale": 6.0,  # trade size, in units, of impact 1
    "news_per_s": 0.6,
    "news_ticks": 1.5,
    # toxic takers: they see news first
    "toxic": 0.0,
    "snipe_per_s": 200.0,
    "snipes_per_tick": 5.0,  # how many takers a jump draws, at toxic = 1
    "unit_lots": 1.0,  # sizes are multiples of it
    "reveal": 0.0,  # 1: TRADE rows carry the number of their hidden metaorder in order_id
}
FLOW_PARAMS = np.dtype([(name, "f8") for name in FLOW_DEFAULTS])

META = np.dtype([("number", "i8"), ("left", "i8"), ("side", "i8")])

FLOW = np.dtype(
    [
        ("rng", "u8"),
        ("now_ns", "i8"),  # time of the last event
        ("next_ns", "i8"),  # time of the next candidate
        ("clock_ns", "i8"),  # time of the next step of the activity clock
        ("clock_due", "i8"),  # 1: the next candidate is that step
        ("high_water", "i8"),  # slots that the cancel rate of the candidate stands for
        ("log_activity", "f8"),
        ("rate", "f8"),  # the activity multiplier in force
        ("total_per_s", "f8"),  # all rates when the next candidate was drawn: they can only have fallen since
        ("excite_fast_per_s", "f8"),
        ("excite_slow_per_s", "f8"),
        ("excite_ns", "i8"),
        ("efficient_ticks", "f8"),
        ("snipes", "i8"),
        ("snipe_side", "i8"),
        ("metas", "i8"),
        ("trades", "i8"),
        ("memory", "f8", (MEMORIES,)),
        ("pool", META, (POOL,)),
    ]
)

WORLD = np.dtype([("lob", LOB), ("flow", FLOW), ("params", FLOW_PARAMS)])
"""A market: the book, the flow and its parameters."""

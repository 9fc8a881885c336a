"""Records of what the flow estimators sample from a market."""

import numpy as np

FEATURE = np.dtype(
    [
        ("ts_ns", "i8"),
        ("bid_ticks", "i8"),  # NO_PRICE while the book is not to be trusted
        ("ask_ticks", "i8"),
        ("bid_lots", "i8"),
        ("ask_lots", "i8"),
        ("bid_deep_lots", "i8"),  # of the best DEEP levels
        ("ask_deep_lots", "i8"),
        ("ofi_lots", "i8"),  # order flow imbalance at the touch, summed from the first row on
        ("bought_lots", "i8"),  # by takers, summed from the first row on
        ("sold_lots", "i8"),
        ("prints", "i8"),
    ]
)
"""What was known at `ts_ns`: all rows received up to and at that time, and none after it."""

JOINED = np.dtype([("hit_ns", "i8", (2,)), ("filled_ns", "i8", (2,))])
"""What became of one lot that joined the bid [0] and the ask [1] at a sample: the first print that reached its price, and the one that
ate the queue that stood before it (cancels are not credited). 0: not within the time given."""

TOUCH_AT = np.dtype([("ts_ns", "i8"), ("bid_ticks", "i8"), ("ask_ticks", "i8"), ("bid_lots", "i8"), ("ask_lots", "i8")])
"""Best prices and sizes from `ts_ns` on; NO_PRICE in both where the book is not to be trusted."""

PLAYER = np.dtype(
    [
        ("trusted", "i8"),
        ("next_ns", "i8"),  # of the next sample; 0 before the first row
        ("every_ns", "i8"),
        ("joined_ns", "i8"),  # how long a joined order waits
        ("bid_ticks", "i8"),  # the touch after the last message
        ("ask_ticks", "i8"),
        ("bid_lots", "i8"),
        ("ask_lots", "i8"),
        ("ofi_lots", "i8"),
        ("bought_lots", "i8"),
        ("sold_lots", "i8"),
        ("prints", "i8"),
        ("samples", "i8"),  # so far
        ("settled", "i8"),  # samples whose joined orders have had their time
    ]
)
"""Where a player of rows stands between two calls."""

WAITING = np.dtype([("ts_ns", "i8"), ("price_ticks", "i8", (2,)), ("ahead_lots", "i8", (2,)), ("joined", JOINED)])
"""The orders of one sample that still wait: a ring of these."""

DEEP = 5

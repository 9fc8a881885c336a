"""Layout of the order-by-order book (`kernels/lob.py`): one structured array of length 1 holds all of it.

The ladder is a ring: the level of price p is `levels[p & LEVEL_MASK]`, so moving the window of prices moves no memory.
One ladder serves both sides, because a price is never bid and offered at rest.
"""

import numpy as np

from hftlab.types import NO_PRICE, STP_CANCEL_TAKER

LOB_LEVELS = 65536  # prices in the window, a power of two: at a tick of 0.01 still +-327 round the touch
LEVEL_MASK = LOB_LEVELS - 1
LOB_ORDERS = 16384  # resting orders at most
LOB_MAP = 2 * LOB_ORDERS  # slots of the id map: never more than half full; a power of two
MAP_MASK = LOB_MAP - 1
NIL = -1

# Why a request was refused; counted in `rejects`. FAULT_ROOM is not a refusal: nothing was done, call again with room.
REJECT_NAMES = (
    "ok",
    "size not positive",
    "side neither bid nor ask",
    "order id already rests",
    "price outside the ladder",
    "post-only would take",
    "fill-or-kill cannot fill",
    "order pool full",
    "unknown order",
    "venue knows no amend",
)
(
    ACCEPT,
    BAD_SIZE,
    BAD_SIDE,
    DUPLICATE,
    OUTSIDE_LADDER,
    WOULD_TAKE,
    CANNOT_FILL,
    POOL_FULL,
    UNKNOWN_ORDER,
    NO_AMEND,
) = range(len(REJECT_NAMES))
FAULT_ROOM = -1

LOB_LEVEL = np.dtype([("lots", "i8"), ("head", "i4"), ("tail", "i4")])

LOB_ORDER = np.dtype(
    [
        ("order_id", "i8"),  # client order id; 0: anonymous, reached by handle only
        ("price_ticks", "i8"),
        ("leaves_lots", "i8"),
        ("executed_lots", "i8"),
        ("owner", "i8"),  # 0: the crowd, which gets no reports
        ("generation", "i4"),  # counts the reuses of the slot: an old handle finds nobody
        ("next", "i4"),  # younger order at the price, or next free slot
        ("prev", "i4"),
        ("side", "i1"),  # 0: free slot
        ("post_only", "i1"),
        ("pad", "u2"),
        ("pad2", "u8"),
    ]
)

LOB = np.dtype(
    [
        ("anchor_ticks", "i8"),  # lowest price of the window
        ("best_bid_ticks", "i8"),
        ("best_ask_ticks", "i8"),
        ("bid_orders", "i8"),
        ("ask_orders", "i8"),
        ("free_head", "i8"),
        ("high_water", "i8"),  # slots ever used: live orders all lie below
        ("stp_mode", "i8"),
        ("amend_rule", "i8"),  # AMEND_*
        ("response_ns", "i8"),
        ("instrument", "i8"),
        ("seq", "i8"),
        # of the engine event in hand
        ("cursor", "i8"),  # rows written to `out`
        ("first", "i8"),
        ("market_first", "i8"),
        ("handle", "i8"),  # of the order that came to rest, or NIL
        ("taker_owner", "i8"),
        ("taker_id", "i8"),
        ("taker_side", "i8"),
        ("taker_ticks", "i8"),  # its limit
        ("taker_left_lots", "i8"),
        ("taker_executed_lots", "i8"),
        # running totals, in lots: added = 2 x traded + canceled + resting
        ("added_lots", "i8"),
        ("traded_lots", "i8"),
        ("canceled_lots", "i8"),
        ("rejects", "i8", (len(REJECT_NAMES),)),
        ("levels", LOB_LEVEL, (LOB_LEVELS,)),
        ("orders", LOB_ORDER, (LOB_ORDERS,)),
        ("map", "i4", (LOB_MAP,)),
    ]
)
"""An order book for one instrument, 2.2 MB."""


def lob_reset(lob: np.ndarray) -> None:
    """Empty the book held in `lob` (LOB, shape (1,)), in place."""
    lob["best_bid_ticks"] = lob["best_ask_ticks"] = NO_PRICE
    lob["anchor_ticks"] = 0
    for name in ("bid_orders", "ask_orders", "free_head", "high_water", "cursor", "seq", "added_lots", "traded_lots", "canceled_lots"):
        lob[name] = 0
    lob["rejects"] = 0
    lob["handle"] = NIL
    lob["levels"]["lots"] = 0
    lob["levels"]["head"] = lob["levels"]["tail"] = NIL
    lob["orders"] = np.zeros(1, LOB_ORDER)
    lob["orders"]["next"] = np.arange(1, LOB_ORDERS + 1)
    lob["orders"]["next"][:, -1] = NIL
    lob["map"] = NIL


def lob_new(stp_mode: int = STP_CANCEL_TAKER, amend_rule: int = 0, response_ns: int = 0, instrument: int = 0) -> np.ndarray:
    """Return an empty book: LOB, shape (1,)."""
    lob = np.zeros(1, LOB)
    lob_reset(lob)
    lob["stp_mode"], lob["amend_rule"], lob["response_ns"], lob["instrument"] = stp_mode, amend_rule, response_ns, instrument
    return lob

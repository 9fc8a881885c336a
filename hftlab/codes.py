"""The numbers that stand for things: sides, event kinds, flags, states, verdicts, and the sizes of tables."""

import numpy as np

from hftlab.codes_params import *  # noqa: F403  # read from here as everything else

BID, ASK = 1, -1

NO_PRICE = np.iinfo(np.int64).min
"""The one absent price. Zero and negative prices are legal in some markets, so neither can mean "none"."""

NEVER_NS = np.iinfo(np.int64).max
"""A time that does not come."""

# --- event kinds -----------------------------------------------------------------------------------------------------
# Market data. A message of many rows carries LAST on its final row: the book is only looked at there.
DEPTH = 1  # price_ticks, side: the level now holds qty_lots
TRADE = 2  # a public print: price_ticks, qty_lots, side of the aggressor
CLEAR = 3  # forget the book of one side (side = BID or ASK) or of both (side = 0); a snapshot follows
GAP = 4  # updates were lost: the book is not to be trusted until the next CLEAR and snapshot
BBO = 5  # the venue's own best price of one side, used only to check the book built from DEPTH rows
FUNDING = 6  # a perpetual pays: price_ticks is the mark price (NO_PRICE: take ours), qty_lots the rate in 1e-8; longs pay a positive one
# One resting order of the venue (order-by-order data): order_id is the venue's, at price_ticks it now holds leaves_lots (0: gone) and
# held qty_lots before. `seq` numbers the event that gave it its place in the queue: a smaller one stands in front.
L3_ORDER = 7
TIMER = 16  # time passes: ts_recv_ns
# Latencies in force from ts_recv_ns on, straight lines up to the time `seq`: requests need price_ticks ns now and qty_lots ns then,
# reports leaves_lots ns now and order_id ns then.
LATENCY = 17
# Venue reports on our own orders (order_id is our client order id).
ACCEPTED = 32
REJECTED = 33
AMENDED = 34
CANCELED = 35
FILL = 36
UNKNOWN = 37  # no answer in time: the order may or may not rest. Never a terminal state
CANCEL_REJECTED = 38
PAYMENT = 39  # money the venue booked outside of fills (funding): qty_lots in ticklots and leaves_lots in 1e-8 of one, what we paid > 0
LINK = 40  # our line to the venue's orders: qty_lots 1 stands (fills and answers reach us), 0 is down: nothing is quoted
# Commands, from people and strategies.
PAUSE = 64
RESUME = 65
HALT = 66
FLATTEN = 67
SET_PARAMS = 68  # order_id: index into PARAMS.values; price_ticks: the bits of the float64 value
SET_TARGET = 69  # qty_lots: the wished position; side = 0 withdraws the target
STOP = 70
SET_LIMITS = 71  # as SET_PARAMS, into LIMITS.values; those of the first market are the desk's
ACTIVATE = 72  # one market is quoted again
DEACTIVATE = 73  # its quotes are withdrawn, and its strategy is not asked
# Requests: only `risk.permit` writes these rows.
SUBMIT = 96
AMEND = 97
CANCEL = 98
# Records written to `out` for reports, never read back.
# TOUCH: the exchange's best prices changed, or a fill of ours follows: price_ticks and leaves_lots are best bid and ask (NO_PRICE: none),
# qty_lots and order_id their sizes, ts_exch_ns when.
TOUCH = 113
# FEE follows a FILL of ours: price_ticks is its fee in ticklots, qty_lots the rest of it in millionths, leaves_lots our position after it.
FEE = 114
# STATE: the desk (seq 1) or one market (seq 0) changed its state: qty_lots is the new one, leaves_lots the one before, order_id the
# verdict that is the reason (0: a command, or all is well again), price_ticks the bits of the share of its limit.
STATE = 115
SAMPLE = 112  # price_ticks: bits of fair, leaves_lots: bits of P&L, qty_lots: position, order_id and seq: our bid and ask

KIND_NAMES = {
    value: name
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, int) and 0 < value < 128 and name not in ("BID", "ASK")
}

# --- flags of an event row -------------------------------------------------------------------------------------------
LAST = 1  # last row of its message
SNAPSHOT = 2  # row of a snapshot, not of an update
AT_EXCHANGE = 4  # this copy of the row is the exchange's: it happens at ts_exch_ns
AT_DESK = 8  # this copy is ours: it happens at ts_recv_ns
POST_ONLY = 16
IOC = 32
FOK = 64
MARKET_ORDER = 128
MAKER = 256  # a FILL that added liquidity
TAKING = IOC | FOK | MARKET_ORDER  # orders that take; what is none of them is post-only
REDUCE_ONLY = 512
BACKFILL = 1024  # fetched afterwards, not streamed

# --- states ----------------------------------------------------------------------------------------------------------
# Order status. FREE is an empty slot; a terminal report frees the slot.
FREE, PENDING_NEW, LIVE, PENDING_AMEND, PENDING_CANCEL, LOST = 0, 1, 2, 3, 4, 5
STATUS_NAMES = ("free", "pending new", "live", "pending amend", "pending cancel", "unknown")

# What became of a working order when it was last held against its wish, and why.
DECISION_NAMES = (
    "",
    "keep: at the wished price",
    "keep: within hysteresis",
    "keep: younger than its life",
    "keep: its place is worth more",
    "amend: less is wished",
    "replace: less is wished",
    "amend: the wish has moved",
    "replace: the wish has moved",
    "cancel: not wished",
)
(
    UNDECIDED,
    KEEP_WISHED,
    KEEP_NEAR,
    KEEP_YOUNG,
    KEEP_PLACE,
    AMEND_LESS,
    REPLACE_LESS,
    AMEND_MOVED,
    REPLACE_MOVED,
    CANCEL_UNWISHED,
) = range(len(DECISION_NAMES))

# Validity of a book.
VALID, RESYNC, CROSSED = 0, 1, 2
VALIDITY_NAMES = ("valid", "resync", "crossed")

# State of the desk. WIDEN and REDUCING are never in `desk.state`: they are grades, which the limits set, and show where the state is ACTIVE.
ACTIVE, PAUSED, REDUCING, HALTED, STOPPED, WIDEN = 0, 1, 2, 3, 4, 5
DESK_STATE_NAMES = ("ACTIVE", "PAUSED", "REDUCING", "HALTED", "STOPPED", "WIDEN")
# Grades of the answer to a limit that comes near.
GRADE_FULL, GRADE_WIDEN, GRADE_REDUCE = 0, 1, 2

# Verdicts of the risk gate, in the order in which they are checked.
VERDICT_NAMES = (
    "ok",
    "halted",
    "daily loss",
    "drawdown",
    "venue link",
    "book not valid",
    "stale data",
    "crossed book",
    "latency",
    "volatility",
    "toxic flow",
    "markout",
    "sweep",
    "calibration band",
    "bad quote",
    "reducing",
    "position",
    "duplicate position",
    "order size",
    "price band",
    "self cross",
    "min notional",
    "liquidity",
    "concentration",
    "risk per trade",
    "notional",
    "capital",
    "exposure",
    "leverage",
    "margin",
    "open orders",
    "request rate",
)
(
    OK,
    NO_HALTED,
    NO_DAILY_LOSS,
    NO_DRAWDOWN,
    NO_LINK,
    NO_BOOK,
    NO_STALE,
    NO_CROSSED,
    NO_LATENCY,
    NO_VOLATILITY,
    NO_TOXIC,
    NO_MARKOUT,
    NO_SWEEP,
    NO_CALIBRATION,
    NO_BAD_QUOTE,
    NO_REDUCING,
    NO_POSITION,
    NO_DUPLICATE,
    NO_ORDER_SIZE,
    NO_PRICE_BAND,
    NO_SELF_CROSS,
    NO_MIN_NOTIONAL,
    NO_LIQUIDITY,
    NO_CONCENTRATION,
    NO_TRADE_RISK,
    NO_NOTIONAL,
    NO_CAPITAL,
    NO_EXPOSURE,
    NO_LEVERAGE,
    NO_MARGIN,
    NO_OPEN_ORDERS,
    NO_REQUEST_RATE,
) = range(len(VERDICT_NAMES))

# Choices held as numbers in PARAMS and SPEC.
QUOTER_NONE, QUOTER_FIXED, QUOTER_AS, QUOTER_USER = 0, 1, 2, 3
FAIR_MID, FAIR_MICRO = 0, 1
HORIZON_ROLLING, HORIZON_FINITE, HORIZON_STATIONARY = 0, 1, 2
# What a venue lets an amend do, and what becomes of the order's place: bits of SPEC.amend_rule.
AMEND_ALLOWED = 1  # 0: cancel and replace
AMEND_KEEPS = 2  # the place is kept when the price stays and the size falls; any other amend goes to the back
AMEND_SAME_PRICE = 4  # the price may not change
AMEND_ONLY_SMALLER = 8  # the size may only fall
AMEND_CROSS_CANCELS = 16  # a post-only order amended into the other side is cancelled; without it the amend is refused
AMEND_NEVER, AMEND_REQUEUES, AMEND_KEEPS_SMALLER = 0, AMEND_ALLOWED, AMEND_ALLOWED | AMEND_KEEPS
# Queue models: how prints and cancels move our order's place. TOUCH: always in front; THROUGH: only a print beyond our price fills.
QUEUE_RISK_AVERSE, QUEUE_POWER, QUEUE_POWER2, QUEUE_POWER3, QUEUE_LOG, QUEUE_LOG2, QUEUE_FIFO, QUEUE_TOUCH, QUEUE_THROUGH = range(9)
# What the venue does when our taker meets our own maker.
STP_NONE, STP_CANCEL_TAKER, STP_CANCEL_MAKER, STP_CANCEL_BOTH, STP_DECREMENT = range(5)
STP_NAMES = ("none", "cancel taker", "cancel maker", "cancel both", "decrement")

# Faults of the core: what it must not pass over.
FAULT_OUT_FULL, FAULT_IN_FLIGHT_FULL, FAULT_INSTRUMENT, FAULT_KIND = 1, 2, 3, 4
FAULT_NAMES = ("none", "output full", "too many requests or reports in flight", "instrument out of range", "unknown event kind")

# --- sizes -----------------------------------------------------------------------------------------------------------
LADDER = 16384  # ticks held in the dense window of a book; levels outside wait in a hash table
FAR = 16384  # slots of that table; the busiest recording keeps 10,000 levels
ORDERS = 128  # our orders per instrument, working or in flight
IN_FLIGHT = 256  # requests, or reports, on their way per instrument
SAMPLES = 1536  # rows of recent history kept in the state for viewers
FILLS = 256
BARS = 256
LEVELS_MAX = 32
OWN_AT = 1024  # prices, by their last bits: where none of ours rests a row of the book needs no second look
TIERS = 8  # steps of a fee schedule
CHANGES = 64  # changes of state kept for viewers
NEAR_PRICES = 5  # the best prices of a side that an order is held against
VPIN_BUCKETS = 50  # as in the paper: see kernels.toxicity
VENUES = 8  # request budgets: one a venue
TAKEN = 32  # levels that we took from and the feed still shows

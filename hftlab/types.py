"""The dictionary of the project: record layouts, event kinds and status codes.

Suffixes are units: `_ns` int64 nanoseconds since 1970 UTC, `_ticks` price in tick sizes, `_lots` quantity in lot sizes,
`_ticklots` money as ticks x lots (exact integers; x tick_size x lot_size gives quote currency), `_uticklots` millionths
of a ticklot (fees), `_quote` quote currency, `_bps` basis points, `_s` seconds, `_per_s` a rate.

Sides are +1 (bid, buy) and -1 (ask, sell); on a `TRADE` row the side is the aggressor's.
"""

import numpy as np

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
TIMER = 16  # time passes: ts_recv_ns
# Venue reports on our own orders (order_id is our client order id).
ACCEPTED = 32
REJECTED = 33
AMENDED = 34
CANCELED = 35
FILL = 36
UNKNOWN = 37  # no answer in time: the order may or may not rest. Never a terminal state
CANCEL_REJECTED = 38
# Commands, from people and strategies.
PAUSE = 64
RESUME = 65
HALT = 66
FLATTEN = 67
SET_PARAMS = 68  # order_id: index into PARAMS.values; price_ticks: the bits of the float64 value
SET_TARGET = 69  # qty_lots: the wished position; side = 0 withdraws the target
STOP = 70
SET_LIMITS = 71  # as SET_PARAMS, into LIMITS.values
# Requests: only `risk.permit` writes these rows.
SUBMIT = 96
AMEND = 97
CANCEL = 98
# Records written to `out` for reports, never read back.
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
REDUCE_ONLY = 512
BACKFILL = 1024  # fetched afterwards, not streamed

EVENT = np.dtype(
    [
        ("ts_exch_ns", "i8"),
        ("ts_recv_ns", "i8"),
        ("price_ticks", "i8"),
        ("qty_lots", "i8"),
        ("leaves_lots", "i8"),
        ("order_id", "i8"),
        ("seq", "i8"),
        ("kind", "u1"),
        ("side", "i1"),
        ("flags", "u2"),
        ("instrument", "u4"),
    ]
)
"""One row of anything that can happen, 64 bytes. What is not an event row did not happen."""

# --- states ----------------------------------------------------------------------------------------------------------
# Order status. FREE is an empty slot; a terminal report frees the slot.
FREE, PENDING_NEW, LIVE, PENDING_AMEND, PENDING_CANCEL, LOST = 0, 1, 2, 3, 4, 5
STATUS_NAMES = ("free", "pending new", "live", "pending amend", "pending cancel", "unknown")

# Validity of a book.
VALID, RESYNC, CROSSED = 0, 1, 2
VALIDITY_NAMES = ("valid", "resync", "crossed")

# State of the desk.
ACTIVE, PAUSED, REDUCING, HALTED, STOPPED = 0, 1, 2, 3, 4
DESK_STATE_NAMES = ("ACTIVE", "PAUSED", "REDUCING", "HALTED", "STOPPED")

# Verdicts of the risk gate, in the order in which they are checked.
VERDICT_NAMES = (
    "ok",
    "halted",
    "daily loss",
    "drawdown",
    "book not valid",
    "stale data",
    "crossed book",
    "order size",
    "price band",
    "self cross",
    "min notional",
    "position",
    "notional",
    "capital",
    "open orders",
    "request rate",
    "bad quote",
)
(
    OK,
    NO_HALTED,
    NO_DAILY_LOSS,
    NO_DRAWDOWN,
    NO_BOOK,
    NO_STALE,
    NO_CROSSED,
    NO_ORDER_SIZE,
    NO_PRICE_BAND,
    NO_SELF_CROSS,
    NO_MIN_NOTIONAL,
    NO_POSITION,
    NO_NOTIONAL,
    NO_CAPITAL,
    NO_OPEN_ORDERS,
    NO_REQUEST_RATE,
    NO_BAD_QUOTE,
) = range(len(VERDICT_NAMES))

# Choices held as numbers in PARAMS and SPEC.
QUOTER_NONE, QUOTER_FIXED, QUOTER_AS, QUOTER_USER = 0, 1, 2, 3
FAIR_MID, FAIR_MICRO = 0, 1
HORIZON_ROLLING, HORIZON_FINITE, HORIZON_STATIONARY = 0, 1, 2
AMEND_NEVER, AMEND_REQUEUES, AMEND_KEEPS_SMALLER = 0, 1, 2
QUEUE_RISK_AVERSE, QUEUE_POWER = 0, 1

# --- sizes -----------------------------------------------------------------------------------------------------------
LADDER = 4096  # ticks held in the dense window of a book; levels outside wait in a hash table
FAR = 16384  # slots of that table; the busiest recording keeps 10,000 levels
ORDERS = 64  # our orders per instrument, working or in flight
IN_FLIGHT = 256  # requests, or reports, on their way per instrument
SAMPLES = 1536  # rows of recent history kept in the state for viewers
FILLS = 256
BARS = 256
USER_VALUES = 16  # free numbers for a user's own `decide`
LEVELS_MAX = 8


def _with_values(names: tuple[str, ...]) -> np.dtype:
    """All-float64 record whose fields can also be reached by number, through the overlapping field `values`."""
    n = len(names)
    return np.dtype(
        {
            "names": [*names, "values"],
            "formats": ["f8"] * n + [("f8", (n,))],
            "offsets": [8 * i for i in range(n)] + [0],
            "itemsize": 8 * n,
        }
    )


PARAM_NAMES = (
    "kind",  # QUOTER_*
    "fair",  # FAIR_*
    "order_lots",
    "levels",
    "level_step_ticks",
    "target_lots",  # the inventory that the quoter leans towards
    "half_spread_ticks",  # fixed spread
    "skew_ticks_per_lot",  # fixed spread: reservation = fair - skew x (position - target)
    "horizon_mode",  # HORIZON_*
    "risk_aversion_per_ticklot",
    "horizon_s",
    "end_ns",  # finite horizon: when T is
    "decay_per_tick",  # k; 0 means estimate it from the trades
    "arrival_per_s",  # A; 0 means estimate it from the trades
    "volatility_half_life_s",
    "intensity_half_life_s",
    "half_spread_ticks_min",
    "half_spread_ticks_max",
    "half_spread_bps_min",  # of fair; the larger of the two floors holds
    "hysteresis_ticks",
    "life_ns_min",
    *(f"user{i}" for i in range(USER_VALUES)),
)
PARAMS = _with_values(PARAM_NAMES)

LIMIT_NAMES = (
    "position_lots_max",
    "order_lots_max",
    "orders_max",
    "notional_ticklots_max",
    "price_band_bps",
    "stale_ns_max",
    "capital_quote",
    "loss_quote_max",
    "drawdown_frac_max",
    "requests_per_s_max",
    "requests_burst",
)
LIMITS = _with_values(LIMIT_NAMES)

SPEC = np.dtype(
    [
        ("ticklot_quote", "f8"),  # tick_size x lot_size x multiplier
        ("tick_size", "f8"),
        ("lot_size", "f8"),
        ("maker_centibps", "i8"),  # hundredths of a basis point; negative is a rebate
        ("taker_centibps", "i8"),
        ("min_notional_ticklots", "i8"),
        ("amend_rule", "i8"),
        ("own_in_book", "i8"),  # 1 where the feed shows our own orders (a real or matched venue)
    ]
)

BOOK = np.dtype(
    [
        ("anchor_ticks", "i8"),  # price of ladder index 0; NO_PRICE before the first level
        ("best_bid_ticks", "i8"),
        ("best_ask_ticks", "i8"),
        ("far_count", "i8"),
        ("dropped", "i8"),  # levels that found no room; 0 or the far book is incomplete
        ("seq", "i8"),
        ("bid_lots", "i8", (LADDER,)),
        ("ask_lots", "i8", (LADDER,)),
        ("far_ticks", "i8", (FAR,)),
        ("far_lots", "i8", (FAR,)),  # + bid, - ask, 0 free
    ]
)

ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("price_ticks", "i8"),
        ("qty_lots", "i8"),
        ("leaves_lots", "i8"),
        ("wish_ticks", "i8"),  # price asked for by an amend in flight
        ("wish_lots", "i8"),
        ("sent_ns", "i8"),
        ("live_ns", "i8"),
        ("ahead_lots", "f8"),  # estimated quantity in front of us at our price
        ("traded_lots", "f8"),  # prints at our price since the level last changed
        ("status", "u1"),
        ("side", "i1"),
        ("level", "u1"),
        ("flags", "u1"),
        ("pad", "u4"),
    ]
)

QUOTE = np.dtype(
    [
        ("bid_ticks", "i8"),
        ("bid_lots", "i8"),  # 0: no bid wished
        ("ask_ticks", "i8"),
        ("ask_lots", "i8"),
        ("levels", "i8"),
        ("step_ticks", "i8"),
        ("fair_ticks", "f8"),
        ("reservation_ticks", "f8"),
        ("half_spread_ticks", "f8"),
    ]
)

SAMPLE_ROW = np.dtype(
    [
        ("ts_ns", "i8"),
        ("fair_ticks", "f8"),
        ("best_bid_ticks", "i8"),
        ("best_ask_ticks", "i8"),
        ("bid_ticks", "i8"),  # our best working bid, or NO_PRICE
        ("ask_ticks", "i8"),
        ("position_lots", "i8"),
        ("pnl_quote", "f8"),
    ]
)

FILL_ROW = np.dtype(
    [
        ("ts_ns", "i8"),  # when the exchange matched
        ("recv_ns", "i8"),  # when we learned of it
        ("price_ticks", "i8"),
        ("qty_lots", "i8"),
        ("order_id", "i8"),
        ("position_lots", "i8"),  # after the fill
        ("fee_uticklots", "i8"),
        ("fair_ticks", "f8"),
        ("side", "i8"),
        ("maker", "i8"),
    ]
)

BAR = np.dtype([("ts_ns", "i8"), ("open_ticks", "f8"), ("high_ticks", "f8"), ("low_ticks", "f8"), ("close_ticks", "f8"), ("traded_lots", "f8")])
"""A time bar of the fair price; `ts_ns` is its end."""

MARKET = np.dtype(
    [
        ("spec", SPEC),
        ("params", PARAMS),
        ("limits", LIMITS),
        ("quote", QUOTE),
        # what we know of the market
        ("validity", "i8"),
        ("last_exch_ns", "i8"),
        ("last_recv_ns", "i8"),
        ("fair_ticks", "f8"),  # NaN while there is no trustworthy book
        ("mark_ticks", "f8"),  # the last fair price there was: a gap in the data is no loss of money
        ("reference_ticks", "f8"),  # fair at the last volatility sample, taken at fair_ns
        ("fair_ns", "i8"),
        ("variance_ticks2_per_s", "f8"),
        ("variance_sum", "f8"),  # numerator and weight of that estimate, so that it is unbiased from the first update
        ("variance_weight", "f8"),
        ("distance_ticks", "f8"),  # mean distance of prints from fair: 1/k
        ("arrivals_per_s", "f8"),
        ("arrivals_ns", "i8"),
        ("arrivals_side", "i8"),
        ("trades", "i8"),
        ("messages", "i8"),
        ("gaps", "i8"),
        ("crosses", "i8"),
        ("bbo_compared", "i8"),
        ("bbo_different", "i8"),
        # what we have
        ("position_lots", "i8"),
        ("cash_ticklots", "i8"),  # minus what was bought, plus what was sold
        ("entry_ticklots", "i8"),  # signed cost of the open position
        ("fees_uticklots", "i8"),
        ("bought_lots", "i8"),
        ("sold_lots", "i8"),
        ("fills_count", "i8"),
        ("pnl_quote", "f8"),  # marked to fair, after fees
        ("working", "i8"),  # slots in use
        ("levels_used", "i8"),  # no level from here on has had an order since the table was last empty
        ("slots", "i8", (2 * LEVELS_MAX,)),  # 1 + slot of the working order of a side and level, 0 none
        ("has_target", "i8"),
        ("target_lots", "i8"),
        ("quoted_ns", "i8"),  # time with both sides live
        ("quoted_from_ns", "i8"),
        ("gate_verdict", "i8"),  # why the market as a whole is not quoted, OK when it is
        # who refused what last, per side and level: an unchanged refusal is counted once
        ("refused_verdict", "i8", (2 * LEVELS_MAX,)),
        ("refused_ticks", "i8", (2 * LEVELS_MAX,)),
        ("bar_open", BAR),
        ("bars_count", "i8"),
        ("samples_count", "i8"),
        ("orders", ORDER, (ORDERS,)),
        ("bars", BAR, (BARS,)),
        ("fills", FILL_ROW, (FILLS,)),
        ("samples", SAMPLE_ROW, (SAMPLES,)),
        ("book", BOOK),
    ]
)
"""Everything we know about one instrument and have in it."""

DESK = np.dtype(
    [
        ("now_ns", "i8"),
        ("rows", "i8"),  # rows consumed
        ("state", "i8"),
        ("halt_verdict", "i8"),
        ("flattening", "i8"),
        ("start_ns", "i8"),
        ("day", "i8"),  # UTC day number, for the daily loss
        ("pnl_quote", "f8"),
        ("day_open_pnl_quote", "f8"),
        ("peak_pnl_quote", "f8"),
        ("drawdown_quote", "f8"),
        ("limits", LIMITS),
        ("request_tokens", "f8"),
        ("tokens_ns", "i8"),
        ("next_order_id", "i8"),
        ("submits", "i8"),
        ("amends", "i8"),
        ("cancels", "i8"),
        ("rejects", "i8"),
        ("unexpected", "i8"),  # reports that fit no order of ours
        ("commands", "i8"),
        ("timers", "i8"),
        ("timer_ns", "i8"),  # time of the last TIMER row
        ("verdicts", "i8", (32,)),
        ("sample_ns", "i8"),  # spacing of samples
        ("next_sample_ns", "i8"),
        ("bar_ns", "i8"),
        ("next_bar_ns", "i8"),
        ("fault", "i8"),  # FAULT_*
    ]
)
"""The portfolio over the markets."""

FAULT_OUT_FULL, FAULT_IN_FLIGHT_FULL, FAULT_INSTRUMENT, FAULT_KIND = 1, 2, 3, 4
FAULT_NAMES = ("none", "output full", "too many requests or reports in flight", "instrument out of range", "unknown event kind")

RESTING = np.dtype(
    [
        ("order_id", "i8"),
        ("price_ticks", "i8"),
        ("leaves_lots", "i8"),
        ("qty_lots", "i8"),
        ("ahead_lots", "f8"),
        ("traded_lots", "f8"),
        ("arrival", "i8"),
        ("side", "i8"),  # 0: free slot
    ]
)

EXCHANGE = np.dtype(
    [
        ("active", "i8"),  # 0: inert, a real or matched venue plays this part
        ("queue_model", "i8"),
        ("queue_power", "f8"),
        ("partial_fills", "i8"),
        ("entry_ns", "i8"),
        ("response_ns", "i8"),
        ("now_ns", "i8"),
        ("arrivals", "i8"),
        ("resting_count", "i8"),
        ("due_ns", "i8"),  # the earliest of what is in flight, NEVER_NS for nothing
        ("request_head", "i8"),
        ("request_count", "i8"),
        ("report_head", "i8"),
        ("report_count", "i8"),
        ("resting", RESTING, (ORDERS,)),
        ("requests", EVENT, (IN_FLIGHT,)),  # ts_exch_ns: when each reaches the exchange
        ("reports", EVENT, (IN_FLIGHT,)),  # ts_recv_ns: when each reaches us
        ("book", BOOK),
    ]
)
"""The simulated venue of one instrument: its own book, our resting orders with their place, and what is on its way."""

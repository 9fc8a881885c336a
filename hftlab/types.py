"""The dictionary of the project: record layouts, event kinds and status codes.

Suffixes are units: `_ns` int64 nanoseconds since 1970 UTC, `_ticks` price in tick sizes, `_lots` quantity in lot sizes,
`_ticklots` money as ticks x lots (exact integers; x tick_size x lot_size gives quote currency), `_uticklots` millionths
and `_e8ticklots` hundred-millionths of a ticklot (the rest of a fee or a funding payment, never negative, below one ticklot),
`_quote` settlement currency (the quote currency; of an inverse contract the base: see `Instrument.value_of`), `_bps` basis points, `_s` seconds, `_per_s` a rate.

Sides are +1 (bid, buy) and -1 (ask, sell); on a `TRADE` row the side is the aggressor's.
"""

import numpy as np

from hftlab.codes import *  # noqa: F403  # one dictionary: whoever knows the records knows the codes
from hftlab.codes import (
    BARS,
    CHANGES,
    FAR,
    FILLS,
    LADDER,
    LEVELS_MAX,
    LIMIT_NAMES,
    ORDERS,
    OWN_AT,
    PARAM_NAMES,
    SAMPLES,
    TIERS,
    VENUES,
    VPIN_BUCKETS,
)
from hftlab.types_rows import BAR, CHANGE, FILL_ROW, SAMPLE_ROW, TOUCH_FLOW

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


PARAMS = _with_values(PARAM_NAMES)

LIMITS = _with_values(LIMIT_NAMES)

SPEC = np.dtype(
    [
        ("ticklot_quote", "f8"),  # worth of one unit of money: tick_size x lot_size x multiplier, of an inverse contract a power of ten
        ("inverse_scale", "i8"),  # 0: a lot is worth price_ticks; else -round(inverse_scale / price_ticks)
        ("tick_size", "f8"),
        ("lot_size", "f8"),
        ("maker_centibps", "i8"),  # hundredths of a basis point; negative is a rebate
        ("taker_centibps", "i8"),
        ("tiers", "i8"),  # steps of the fee schedule; 0: the fees above for ever
        ("tier_from_ticklots", "i8", (TIERS,)),  # traded notional from which a step holds
        ("tier_maker_centibps", "i8", (TIERS,)),
        ("tier_taker_centibps", "i8", (TIERS,)),
        ("notional_ticklots_min", "i8"),
        ("amend_rule", "i8"),  # bits AMEND_*
        ("own_in_book", "i8"),  # 1 where the feed shows our own orders (a real or matched venue)
        ("venue", "i8"),  # whose request budget counts: a number below VENUES
    ]
)

FAR_LEVEL = np.dtype([("ticks", "i8"), ("lots", "i8")])
"""A level outside the window: lots + bid, - ask, 0 free. Price and size side by side: a look is one line of the cache."""

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
        ("far", FAR_LEVEL, (FAR,)),
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
        ("decision", "u1"),  # place in DECISION_NAMES
        ("flags", "u2"),
        ("pad", "u2"),
        ("fill_p", "f8"),  # chance of a fill within fill_horizon_s, and what the place is worth; where a decision asks for it
        ("value_ticks", "f8"),
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
        ("flags", "i8"),  # 0: post-only; IOC, FOK or MARKET_ORDER take; REDUCE_ONLY may be added
        ("fair_ticks", "f8"),
        ("reservation_ticks", "f8"),
        ("half_spread_ticks", "f8"),
    ]
)

MARKET = np.dtype(
    [
        ("spec", SPEC),
        ("params", PARAMS),
        ("limits", LIMITS),
        ("quote", QUOTE),
        # what we know of the market
        ("validity", "i8"),
        ("link_down", "i8"),  # 1 while what happens to our orders does not reach us
        ("last_exch_ns", "i8"),  # of the last message about the book; prints do not make an old book young
        ("last_recv_ns", "i8"),
        ("fair_ticks", "f8"),  # NaN while there is no trustworthy book
        ("mark_ticks", "f8"),  # the last fair price there was: a gap in the data is no loss of money
        ("reference_ticks", "f8"),  # fair at the last volatility sample, taken at fair_ns
        ("fair_ns", "i8"),
        ("variance_ticks2_per_s", "f8"),
        ("variance_sum", "f8"),  # numerator and weight of that estimate, so that it is unbiased from the first update
        ("variance_weight", "f8"),
        ("variance_short_sum", "f8"),  # the same over regime_half_life_s
        ("variance_short_weight", "f8"),
        ("distance_ticks", "f8"),  # mean distance of prints from fair: 1/k
        ("arrivals_per_s", "f8"),
        ("arrivals_ns", "i8"),
        ("arrivals_side", "i8"),
        ("arrivals_from_ns", "i8"),
        ("arrivals_short_per_s", "f8"),
        ("arrivals_short_from_ns", "i8"),
        ("regime_factor", "f8"),  # how many times as wide as usual the last quote was
        ("flow", TOUCH_FLOW),
        ("trades", "i8"),
        ("messages", "i8"),
        ("gaps", "i8"),
        ("crosses", "i8"),
        ("bbo_compared", "i8"),
        ("bbo_different", "i8"),
        ("funding_e8", "i8"),  # the last funding rate announced, in 1e-8
        ("feed_ns", "i8"),  # how long the last message took to us, never below zero
        ("trip_ns", "i8"),  # how long the last request of ours took until its answer
        ("volume_lots", "f8"),  # prints, fading by the half-life of the intensity; counted from volume_from_ns up to volume_ns
        ("volume_from_ns", "i8"),
        ("volume_ns", "i8"),
        ("sweep_side", "i8"),  # the run of prints of one side that began at sweep_from_ns
        ("sweep_from_ns", "i8"),
        ("sweep_from_ticks", "i8"),
        ("sweep_ticks", "i8"),  # the furthest price of it
        ("sweep_levels", "i8"),
        ("vpin", "f8"),  # NaN until VPIN_BUCKETS are full
        ("vpin_sum_lots", "i8"),
        ("vpin_count", "i8"),  # full buckets so far
        ("vpin_open_lots", "i8"),  # volume, and bought less sold, in the open bucket
        ("vpin_signed_lots", "i8"),
        ("vpin_lots", "i8", (VPIN_BUCKETS,)),  # |bought less sold| of the last buckets
        ("markout_bps", "f8"),  # mean of what our fills have made after markout_ns, by time half-life
        ("markout_sum_bps", "f8"),
        ("markout_weight", "f8"),
        ("markout_at_ns", "i8"),
        ("markout_next", "i8"),  # number of the next fill to look at
        ("pulled_until_ns", "i8"),  # not quoted before, because of pull_verdict
        ("pull_verdict", "i8"),
        ("pulls", "i8"),
        ("inactive", "i8"),  # 1: deactivated by command
        ("grade", "i8"),  # GRADE_*, by the limits of this market; for grade_verdict, which stood at grade_share of its limit
        ("grade_verdict", "i8"),
        ("grade_share", "f8"),
        ("told_state", "i8"),  # of the last STATE row
        # what we have
        ("position_lots", "i8"),
        ("cash_ticklots", "i8"),  # minus what was bought, plus what was sold
        ("entry_ticklots", "i8"),  # signed cost of the open position
        ("fees_ticklots", "i8"),
        ("fees_uticklots", "i8"),
        ("funding_ticklots", "i8"),  # paid > 0
        ("funding_e8ticklots", "i8"),
        ("traded_ticklots", "i8"),  # notional of all fills, from the start volume of the fee schedule on
        ("bought_lots", "i8"),
        ("sold_lots", "i8"),
        ("fills_count", "i8"),
        ("pnl_quote", "f8"),  # marked to fair, after fees
        ("working", "i8"),  # slots in use
        ("open_lots", "i8", (2,)),  # what all bids, and all asks, could still fill at most
        ("own_known", "i8"),  # 1 while the two below hold
        ("own_bid_ticks", "i8"),  # highest bid and lowest ask that is ours or that we have asked for
        ("own_ask_ticks", "i8"),
        ("levels_used", "i8"),  # no level from here on has had an order since the table was last empty
        ("own_at", "u1", (OWN_AT,)),  # orders at the prices with these last bits
        ("own_slot", "u1", (OWN_AT,)),  # and where the last that came stands in `orders`
        ("slots", "i8", (2 * LEVELS_MAX,)),  # 1 + slot of the working order of a side and level, 0 none
        ("has_target", "i8"),
        ("target_lots", "i8"),
        ("quoted_ns", "i8"),  # time with both sides live
        ("quoted_from_ns", "i8"),
        ("gate_verdict", "i8"),  # why the market as a whole is not quoted, OK when it is
        # who refused what last, per side and level: an unchanged refusal is counted once
        ("refused_verdict", "i8", (2 * LEVELS_MAX,)),
        ("refused_ticks", "i8", (2 * LEVELS_MAX,)),
        # what the venue itself refused there, and the count of messages at that time: not asked again before the market speaks
        ("rejected_ticks", "i8", (2 * LEVELS_MAX,)),
        ("rejected_messages", "i8", (2 * LEVELS_MAX,)),
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
        ("message_open", "i8"),  # 1 within a message: its rows belong together, nothing is decided between them
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
        ("request_tokens", "f8", (VENUES,)),
        ("tokens_ns", "i8", (VENUES,)),
        ("next_order_id", "i8"),
        ("submits", "i8"),
        ("amends", "i8"),
        ("cancels", "i8"),
        ("rejects", "i8"),
        ("unexpected", "i8"),  # reports that fit no order of ours
        ("commands", "i8"),
        ("timers", "i8"),
        ("timer_ns", "i8"),  # time of the last TIMER row
        ("verdicts", "i8", (48,)),
        ("grade", "i8"),  # as in MARKET, by the limits of the desk
        ("grade_verdict", "i8"),
        ("grade_share", "f8"),
        ("told_state", "i8"),
        ("changes_count", "i8"),
        ("changes", CHANGE, (CHANGES,)),
        ("sample_ns", "i8"),  # spacing of samples
        ("next_sample_ns", "i8"),
        ("bar_ns", "i8"),
        ("next_bar_ns", "i8"),
        ("fault", "i8"),  # FAULT_*
    ]
)
"""The portfolio over the markets."""

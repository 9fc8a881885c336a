"""The record of the simulated exchange. Suffixes as in `types`."""

import numpy as np

from hftlab.types import BOOK, EVENT, IN_FLIGHT, ORDERS, OWN_AT, TAKEN

RESTING = np.dtype(
    [
        ("order_id", "i8"),
        ("price_ticks", "i8"),
        ("leaves_lots", "i8"),
        ("qty_lots", "i8"),
        ("ahead_lots", "f8"),
        ("traded_lots", "f8"),
        ("arrival", "i8"),
        ("stamp", "i8"),  # orders of the venue with a smaller or equal stamp stand in front (QUEUE_FIFO)
        ("side", "i8"),
        ("flags", "i8"),
    ]
)

EXCHANGE = np.dtype(
    [
        ("active", "i8"),  # 0: inert, a real or matched venue plays this part
        ("queue_model", "i8"),
        ("queue_power", "f8"),
        ("partial_fills", "i8"),
        ("stp_mode", "i8"),
        # latency: the recorded one where LATENCY rows gave one, else constant; then a share of the feed's and a random part
        ("entry_ns", "i8"),
        ("cancel_ns", "i8"),
        ("response_ns", "i8"),
        ("compute_ns", "i8"),
        ("entry_feed_share", "f8"),
        ("response_feed_share", "f8"),
        ("jitter_ns", "f8"),  # mean of a lognormal part
        ("jitter_log_sd", "f8"),
        ("rng", "u8"),
        ("feed_ns", "i8"),  # of the last market row received
        ("recorded_from_ns", "i8"),  # 0: nothing recorded
        ("recorded_to_ns", "i8"),
        ("recorded_entry_ns", "i8", (2,)),
        ("recorded_response_ns", "i8", (2,)),
        ("now_ns", "i8"),
        ("arrivals", "i8"),
        ("stamp", "i8"),  # of the newest ORDER row
        ("position_lots", "i8"),
        ("touch_bid_ticks", "i8"),  # as last written down
        ("touch_ask_ticks", "i8"),
        ("seen_bid_ticks", "i8"),  # when crossed orders were last looked for
        ("seen_ask_ticks", "i8"),
        ("resting_count", "i8"),
        ("own_at", "u1", (OWN_AT,)),  # resting orders at the prices with these last bits
        ("own_slot", "u1", (OWN_AT,)),  # and where the last that came stands in `resting`
        ("own_known", "i8"),  # 1 while the two below hold
        ("own_bid_ticks", "i8"),  # our highest resting bid and lowest ask, NO_PRICE for none
        ("own_ask_ticks", "i8"),
        ("due_ns", "i8"),  # the earliest of what is in flight, NEVER_NS for nothing
        ("request_head", "i8"),
        ("request_count", "i8"),
        ("report_head", "i8"),
        ("report_count", "i8"),
        ("taken_count", "i8"),
        ("taken_ticks", "i8", (TAKEN,)),
        ("taken_lots", "i8", (TAKEN,)),  # + bid, - ask: what of this level we have already been given
        ("resting", RESTING, (ORDERS,)),
        ("requests", EVENT, (IN_FLIGHT,)),  # ts_exch_ns: when each reaches the exchange
        ("reports", EVENT, (IN_FLIGHT,)),  # ts_recv_ns: when each reaches us
        ("book", BOOK),
    ]
)
"""The simulated venue of one instrument: its own book, our resting orders with their place, and what is on its way."""

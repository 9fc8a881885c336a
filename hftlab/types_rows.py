"""Rows of the rings in which a desk keeps its recent past for viewers."""

import numpy as np

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
        ("fee_ticklots", "i8"),
        ("fee_uticklots", "i8"),
        ("fair_ticks", "f8"),
        ("side", "i8"),
        ("maker", "i8"),
    ]
)

TOUCH_FLOW = np.dtype(
    [
        ("ns", "i8"),  # the last look
        ("bid_ticks", "i8"),  # the touch then, without our own orders; NO_PRICE: unknown
        ("bid_lots", "i8"),
        ("ask_ticks", "i8"),
        ("ask_lots", "i8"),
        # sums that fade
        ("printed_lots", "f8"),
        ("orders", "f8"),  # market orders
        ("gone_lots", "f8"),  # from the best queues, traded or cancelled
        ("away", "f8"),  # times that a better price came before a best one
        ("side_s", "f8"),  # seconds, each counted for both sides
        ("lots_s", "f8"),  # lots of both best queues, by seconds
        ("impact_sum_ticks", "f8"),  # how far the fair price went after market orders, in their direction
        ("impact_weight", "f8"),
        ("impact_side", "i8"),  # the market order that is followed now
        ("impact_from_ns", "i8"),  # 0: none
        ("impact_from_ticks", "f8"),
    ]
)
"""What comes to the best queues of a market and goes from them: see `kernels.touch_flow`."""

BAR = np.dtype(
    [("ts_ns", "i8"), ("open_ticks", "f8"), ("high_ticks", "f8"), ("low_ticks", "f8"), ("close_ticks", "f8"), ("traded_lots", "f8")]
)
"""A time bar of the fair price; `ts_ns` is its end."""

CHANGE = np.dtype([("ts_ns", "i8"), ("market", "i8"), ("before", "i8"), ("after", "i8"), ("verdict", "i8"), ("share", "f8")])
"""A change of state; `market` is -1 for that of the whole desk."""

"""What the fields behind the quoting decisions mean."""

PARAMS_DECISIONS_MEAN = {
    "half_spread_sigmas": "FixedSpread: standard deviations of a second's movement that are added to the half-spread",
    "skew_sigmas_per_lot": "FixedSpread: the same for the skew",
    "regime_factor_max": "built-in quoters: how much wider a wild market makes them at most; 1: not at all",
    "regime_ratio_min": "short over long volatility from which on they are wider",
    "regime_half_life_s": "half-life of the short estimates",
    "life_move_ticks": "an order lives at least for the time in which the price moves so far; 0: for life_ns_min",
    "life_ns_max": "and at most so long for that reason",
    "size_taper_frac": "built-in quoters: how much of the size the side that adds to the position loses up to the limit",
    "queue_keep_ticks": "an order may stand so far from its wish for the sake of its place; 0: it may not",
    "placement_ticks": "built-in quoters: the first level may be moved so far to the price that is worth most; 0: it is not",
    "fill_horizon_s": "time within which a fill counts for those two",
    "calibration_band_ticks": "half the width of the band in which the best half-spread lies; wider than the half-spread, nothing is quoted",
}

FLOW_MEAN = {
    "ns": "the last look at the best queues",
    "bid_ticks": "best bid then, without our own orders; NO_PRICE: unknown",
    "bid_lots": "its size",
    "ask_ticks": "best ask then",
    "ask_lots": "its size",
    "printed_lots": "public prints, fading as all sums here by intensity_half_life_s",
    "orders": "market orders",
    "gone_lots": "lots that left the best queues, traded or cancelled",
    "away": "times that a better price came before a best one",
    "side_s": "seconds, each counted for both sides",
    "lots_s": "lots of both best queues, by seconds",
    "impact_sum_ticks": "how far the fair price went in the second after market orders, in their direction",
    "impact_weight": "over how many",
    "impact_side": "side of the market order that is followed now",
    "impact_from_ns": "since when; 0: none is",
    "impact_from_ticks": "the fair price then",
}

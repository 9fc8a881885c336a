"""What a person sets, by name and in machine units: the fields of PARAMS and LIMITS, in their order."""

USER_VALUES = 16  # free numbers for a user's own `decide`

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
    "on_timer",  # 1: wish and act on timers only, withdraw at any time
    "taking",  # a target is worked with taking orders instead of a quote at the touch
    *(f"user{i}" for i in range(USER_VALUES)),
    # A journal names a parameter by its place here: new ones come last.
    "calibration_band_ticks",  # half-width of the band in which the true half-spread lies; 0: none
    "half_spread_sigmas",  # fixed spread: and so many standard deviations of a second's movement
    "skew_sigmas_per_lot",
    "regime_factor_max",  # 1: the half-spread knows no regimes
    "regime_ratio_min",
    "regime_half_life_s",
    "life_move_ticks",  # the least life is the time in which the price moves so far; 0: life_ns_min
    "life_ns_max",
    "size_taper_frac",
    "queue_keep_ticks",  # an order may stand so far from its wish for the sake of its place; 0: it may not
    "placement_ticks",  # the first level may be moved so far to the price that is worth most; 0: it is not
    "fill_horizon_s",
)

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
    # what follows is off until it is set
    "loss_frac_max",
    "exposure_quote_max",
    "leverage_max",
    "margin_frac",
    "risk_per_trade_frac_max",
    "stop_bps",
    "liquidity_frac_max",
    "concentration_frac_max",
    "one_position",
    "requests_reserved",
    "latency_ns_max",
    "volatility_bps_max",
    "size_volatility_bps",
    "vpin_bucket_lots",
    "vpin_max",
    "markout_loss_bps_max",
    "markout_ns",
    "markout_half_life_s",
    "sweep_levels_max",
    "sweep_sigmas_max",
    "sweep_ns",
    "pull_ns",
    "widen_at_frac",
    "reduce_at_frac",
    "recover_frac",
    "widen_factor",
)

"""The live parameters: one table of machine fields and factors, read in both directions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.errors import InputError, OffGridQuantity, UnknownName, did_you_mean
from hftlab.instrument import Instrument, decimal
from hftlab.strict import number
from hftlab.types import LEVELS_MAX, PARAM_NAMES

PARAM_INDEX = {name: i for i, name in enumerate(PARAM_NAMES)}


@dataclass(frozen=True, slots=True)
class Tunable:
    """One live parameter: its machine field, factor (machine = human x factor), bounds and how a slider shows it."""

    machine: str
    factor: Callable[[Instrument], float]
    unit: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    sized: bool = False  # a quantity: must lie on the lot grid
    per_order: bool = False  # for each order's worth of inventory; the machine counts in lots


def _one(_: Instrument) -> float:
    return 1.0


TUNABLE: dict[str, Tunable] = {
    "order_qty": Tunable("order_lots", lambda i: float(1 / i.lot_size), "base", 0.0, 1e12, sized=True),
    "levels": Tunable("levels", _one, "", 1, LEVELS_MAX, whole=True),
    "level_step_ticks": Tunable("level_step_ticks", _one, "ticks", 1, 1000, whole=True),
    "target_qty": Tunable("target_lots", lambda i: float(1 / i.lot_size), "base", -1e12, 1e12, sized=True),
    "half_spread_ticks": Tunable("half_spread_ticks", _one, "ticks", 0.0, 1e6),
    "skew_ticks_per_order": Tunable("skew_ticks_per_lot", _one, "ticks", 0.0, 1e6, per_order=True),
    "risk_aversion": Tunable("risk_aversion_per_ticklot", lambda i: i.ticklot_quote, "1/quote", 0.0, 1e6, log=True),
    "horizon_s": Tunable("horizon_s", _one, "s", 0.0, 1e7, log=True),
    "decay_per_price": Tunable("decay_per_tick", lambda i: float(i.tick_size), "1/price", 0.0, 1e9, log=True),
    "arrival_per_s": Tunable("arrival_per_s", _one, "1/s", 0.0, 1e6, log=True),
    "volatility_half_life_s": Tunable("volatility_half_life_s", _one, "s", 0.1, 1e6, log=True),
    "intensity_half_life_s": Tunable("intensity_half_life_s", _one, "s", 0.1, 1e6, log=True),
    "half_spread_ticks_min": Tunable("half_spread_ticks_min", _one, "ticks", 0.0, 1e6),
    "half_spread_ticks_max": Tunable("half_spread_ticks_max", _one, "ticks", 0.0, 1e9),
    "half_spread_bps_min": Tunable("half_spread_bps_min", _one, "bps", 0.0, 1e4),
    "hysteresis_ticks": Tunable("hysteresis_ticks", _one, "ticks", 0.0, 1e6),
    "life_ms_min": Tunable("life_ns_min", lambda _: 1e6, "ms", 0.0, 1e7),
    "calibration_band_ticks": Tunable("calibration_band_ticks", _one, "ticks", 0.0, 1e6),
    "half_spread_sigmas": Tunable("half_spread_sigmas", _one, "σ of 1 s", 0.0, 1e3),
    "skew_sigmas_per_order": Tunable("skew_sigmas_per_lot", _one, "σ of 1 s", 0.0, 1e3, per_order=True),
    "regime_factor_max": Tunable("regime_factor_max", _one, "times", 1.0, 100.0),
    "regime_ratio_min": Tunable("regime_ratio_min", _one, "times", 1.0, 100.0),
    "regime_half_life_s": Tunable("regime_half_life_s", _one, "s", 0.1, 1e6, log=True),
    "life_move_ticks": Tunable("life_move_ticks", _one, "ticks", 0.0, 1e6),
    "life_ms_max": Tunable("life_ns_max", lambda _: 1e6, "ms", 0.0, 1e7),
    "size_taper_frac": Tunable("size_taper_frac", _one, "of the size", 0.0, 1.0),
    "queue_keep_ticks": Tunable("queue_keep_ticks", _one, "ticks", 0.0, 1e3),
    "placement_ticks": Tunable("placement_ticks", _one, "ticks", 0, 50, whole=True),
    "fill_horizon_s": Tunable("fill_horizon_s", _one, "s", 0.01, 1e5, log=True),
}


def to_machine(name: str, value: Any, instrument: Instrument, record: np.ndarray | None = None) -> float:
    """Return the machine value of one live parameter. Raises UnknownName, InputError, OffGridQuantity."""
    if name not in TUNABLE:
        raise UnknownName(f"no live parameter {name!r}.{did_you_mean(name, TUNABLE)}")
    rule = TUNABLE[name]
    if rule.sized:
        exact = decimal(value, name)
        if name == "order_qty" and exact <= 0:
            raise OffGridQuantity(f"order_qty was {value}; wanted more than zero.")
        return float(instrument.lots(exact, signed=True))
    amount = number(value, name, rule.low, rule.high)
    if rule.whole and amount != int(amount):
        raise InputError(f"{name} was {value!r}; wanted a whole number.")
    machine = amount * rule.factor(instrument)
    if rule.per_order and record is not None:
        machine /= max(float(record["order_lots"][0]), 1.0)
    return machine


def to_human(name: str, record: Any, instrument: Instrument) -> float:
    """Return the running value of one live parameter in human units."""
    rule = TUNABLE[name]
    value = float(record[rule.machine])
    if rule.per_order:
        value *= max(float(record["order_lots"]), 1.0)
    if rule.sized:
        return float(instrument.qty(int(value)))
    return value / rule.factor(instrument)

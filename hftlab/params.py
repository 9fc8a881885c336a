"""What a person sets, in human units, and its way into the records of the kernels.

Every parameter that can change while a quoter runs stands in one table, `tunable.TUNABLE`: its machine field and the exact
factor between the two. Both directions (a slider's value in, the running value out) read that table and nothing else.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np

from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument, Number
from hftlab.limits import UNLIMITED, Limits
from hftlab.strict import choice, number, strict
from hftlab.tunable import TUNABLE, to_machine
from hftlab.types import (
    FAIR_MICRO,
    FAIR_MID,
    HORIZON_FINITE,
    HORIZON_ROLLING,
    HORIZON_STATIONARY,
    PARAMS,
    QUOTER_AS,
    QUOTER_FIXED,
    QUOTER_NONE,
    QUOTER_USER,
    USER_VALUES,
)

__all__ = [
    "DECIDE_ON",
    "FAIRS",
    "HORIZONS",
    "QUOTERS",
    "UNLIMITED",
    "AvellanedaStoikov",
    "FixedSpread",
    "Limits",
    "Quoter",
    "UserQuoter",
    "WorkTarget",
    "quoter_from_dict",
]

FAIRS = {"mid": FAIR_MID, "micro": FAIR_MICRO}
HORIZONS = {"rolling": HORIZON_ROLLING, "finite": HORIZON_FINITE, "stationary": HORIZON_STATIONARY}
DECIDE_ON = {"message": 0, "timer": 1}
# Decisions that are off until they are set: sliders of every quoter that is built in.
LIVE_DECISIONS = (
    "life_move_ticks",
    "life_ms_max",
    "queue_keep_ticks",
    "regime_factor_max",
    "regime_ratio_min",
    "regime_half_life_s",
    "size_taper_frac",
    "placement_ticks",
    "fill_horizon_s",
)


@strict
class Quoter:
    """What every quoter has. Quantities in base units, spreads in ticks or basis points, times as named.

    `decide_on` "message" looks after the quotes at the end of every market message and report; "timer" only at timers (and withdraws
    at any time). `calibration_band_ticks` is how far the half-spread may be from the best one, as a calibration on data says it: half the
    width of its band, 0 where there is none. A quoter whose band is wider than its half-spread does not quote.

    What follows is off until it is set; formulas in docs/quoting.md. When an order is moved:

    * `life_move_ticks`: an order is moved closer to the market no sooner than the price would, in one standard deviation, move so far;
      never sooner than `life_ms_min`, never held for longer than `life_ms_max`. 0: `life_ms_min` alone.
    * `queue_keep_ticks`: an order may stand so far from its wish while its place in the queue is worth more than the new price.

    What is wished, by the quoters that are built in:

    * `regime_factor_max`: the half-spread grows, at most by this factor, once the market is `regime_ratio_min` times as volatile, by
      `regime_half_life_s` against the usual half-life, or as active. 1: it does not.
    * `size_taper_frac`: the side that adds to the position shrinks by this share of the size at the position limit, in proportion below.
    * `placement_ticks`: the first level is moved at most so far to the price where the chance of a fill within `fill_horizon_s` x
      (edge - expected adverse move) is largest.
    """

    KIND: ClassVar[int] = QUOTER_NONE
    LIVE: ClassVar[tuple[str, ...]] = ("order_qty",)

    order_qty: Number
    levels: int = 1
    level_step_ticks: int = 1
    target_qty: Number = 0
    fair: str = "mid"
    volatility_half_life_s: float = 60.0
    intensity_half_life_s: float = 60.0
    half_spread_ticks_min: float = 0.5
    half_spread_ticks_max: float = 1e9
    half_spread_bps_min: float = 0.0
    hysteresis_ticks: float = 1.0
    life_ms_min: float = 100.0
    calibration_band_ticks: float = 0.0
    life_move_ticks: float = 0.0
    life_ms_max: float = 5000.0
    queue_keep_ticks: float = 0.0
    regime_factor_max: float = 1.0
    regime_ratio_min: float = 1.5
    regime_half_life_s: float = 5.0
    size_taper_frac: float = 0.0
    placement_ticks: int = 0
    fill_horizon_s: float = 10.0
    decide_on: str = "message"

    def record(self, instrument: Instrument) -> np.ndarray:
        """Return a PARAMS array of shape (1,) in machine units. Raises InputError for values that cannot be used."""
        record = np.zeros(1, PARAMS)
        record["kind"] = self.KIND
        record["fair"] = choice(self.fair, FAIRS, "fair")
        record["on_timer"] = choice(self.decide_on, DECIDE_ON, "decide_on")
        self._special(record, instrument)
        for name in sorted(TUNABLE, key=lambda name: name != "order_qty"):
            value = getattr(self, name, None)
            if value is not None:
                record[TUNABLE[name].machine] = to_machine(name, value, instrument, record)
        return record

    def _special(self, record: np.ndarray, instrument: Instrument) -> None:
        """Fill what is no live parameter."""

    def tunable(self) -> tuple[str, ...]:
        """Return the names of the parameters worth a slider."""
        return self.LIVE

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `quoter_from_dict` makes the same quoter of them."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {"type": type(self).__name__} | {k: str(v) if isinstance(v, Decimal) else v for k, v in values.items()}


@strict
class FixedSpread(Quoter):
    """Quote a fixed half-spread around fair, leaning by `skew_ticks_per_order` ticks for each order's worth of inventory.

    With `half_spread_sigmas` and `skew_sigmas_per_order` both also follow the volatility: so many standard deviations of the fair price
    over one second are added to them.
    """

    KIND: ClassVar[int] = QUOTER_FIXED
    LIVE: ClassVar[tuple[str, ...]] = (
        "half_spread_ticks",
        "skew_ticks_per_order",
        "half_spread_sigmas",
        "skew_sigmas_per_order",
        "order_qty",
        "levels",
        "hysteresis_ticks",
        "life_ms_min",
        "calibration_band_ticks",
        *LIVE_DECISIONS,
    )

    half_spread_ticks: float = 1.0
    skew_ticks_per_order: float = 0.0
    half_spread_sigmas: float = 0.0
    skew_sigmas_per_order: float = 0.0


@strict
class AvellanedaStoikov(Quoter):
    """Quote around the reservation price of Avellaneda & Stoikov (2008).

    `risk_aversion` is gamma in 1/quote currency, applied to the money at risk, so that it means the same for any order
    size; `horizon` "rolling" keeps T - t at `horizon_s`, "finite" runs down to `end_ns`, "stationary" is the closed form of
    Gueant, Lehalle & Fernandez-Tapia (2013), which has no horizon. `decay_per_price` is k [1/price] and `arrival_per_s` is
    A [1/s] of the fill intensity A exp(-k depth); None estimates them from the prints.
    """

    KIND: ClassVar[int] = QUOTER_AS
    LIVE: ClassVar[tuple[str, ...]] = (
        "risk_aversion",
        "horizon_s",
        "order_qty",
        "half_spread_ticks_min",
        "levels",
        "hysteresis_ticks",
        "life_ms_min",
        "calibration_band_ticks",
        *LIVE_DECISIONS,
    )

    risk_aversion: float = 0.1
    horizon: str = "rolling"
    horizon_s: float = 30.0
    end_ns: int | None = None
    decay_per_price: float | None = None
    arrival_per_s: float | None = None

    def _special(self, record: np.ndarray, instrument: Instrument) -> None:
        record["horizon_mode"] = choice(self.horizon, HORIZONS, "horizon")
        if self.horizon == "finite":
            if self.end_ns is None:
                raise InputError("horizon='finite' needs end_ns=…, the time T in nanoseconds since 1970 UTC.")
            record["end_ns"] = float(self.end_ns)


@strict
class WorkTarget(Quoter):
    """Quote nothing by itself; work the position that a strategy sets as a target: one side at the touch, or with orders that take."""

    taking: bool = False

    def _special(self, record: np.ndarray, instrument: Instrument) -> None:
        record["taking"] = int(self.taking)


@strict
class UserQuoter(Quoter):
    """Quote by the user's own compiled `decide(desk, market, params, quote)`.

    `values` are up to 16 numbers of the user's, read in `decide` as `params.user0`, `params.user1`, … in the given order.
    """

    KIND: ClassVar[int] = QUOTER_USER

    decide: Any
    values: Mapping[str, float] = field(default_factory=dict)

    def _special(self, record: np.ndarray, instrument: Instrument) -> None:
        if len(self.values) > USER_VALUES:
            raise InputError(f"values has {len(self.values)} entries; wanted at most {USER_VALUES}.")
        for i, (name, value) in enumerate(self.values.items()):
            record[f"user{i}"] = number(value, name)


QUOTERS: dict[str, type[Quoter]] = {c.__name__: c for c in (FixedSpread, AvellanedaStoikov, WorkTarget, UserQuoter)}


def quoter_from_dict(values: Mapping[str, Any], decide: Any = None) -> Quoter:
    """Return the quoter that `to_dict` described; a UserQuoter needs its `decide` again."""
    values = dict(values)
    name = values.pop("type")
    if name not in QUOTERS:
        raise UnknownName(f"no quoter {name!r}.{did_you_mean(name, QUOTERS)}")
    if name == "UserQuoter":
        values["decide"] = decide
    return QUOTERS[name](**values)

"""The command `calibrate`: as `set`, all values in one message, and none far from what is in force."""

import math
from collections.abc import Mapping
from typing import Any

from hftlab.data.state import State
from hftlab.errors import CommandRefused, InputError
from hftlab.instrument import Instrument
from hftlab.strict import number
from hftlab.tunable import TUNABLE, to_machine

BOUND = 4.0
NOT_PARAMS = ("bound", "revert")
_NONE_AT = 1e9  # half_spread_ticks_max of a quoter that has none


def checked(values: Mapping[str, Any], market: int, state: State) -> dict[str, Any]:
    """Return the parameters of a `calibrate` command, each within its bound. Raises InputError, UnknownName, CommandRefused.

    `bound`: how many times more or less than what is in force a value may be, 4 unless given. `revert`: the journal's row of the
    calibration that is taken back; then the values are those that stood before it, and are not bounded.
    """
    params = {name: value for name, value in values.items() if name not in NOT_PARAMS}
    if not params:
        raise InputError("calibrate was given no parameter; wanted e.g. decay_per_price=3.5.")
    bound = number(values.get("bound", BOUND), "bound", 1.0, 1e12)
    if "revert" in values:
        number(values["revert"], "revert", 0)
        return params
    instrument, now = state.instruments[market], state.markets[market]
    record = state.markets["params"][market : market + 1]
    wanted = {name: to_machine(name, value, instrument, record) for name, value in params.items()}
    k_wanted = wanted.get("decay_per_price", 0.0)
    for name, value in wanted.items():
        there = in_force(name, now, k_wanted)
        if there is not None and not there / bound <= value <= there * bound:
            raise CommandRefused(_too_far(name, value, there, bound, instrument))
    return params


def in_force(name: str, market: Any, k_wanted: float) -> float | None:
    """Return the machine value that one parameter has now, None where there is none to compare with.

    k and A of zero mean that the desk takes them from the prints, k as 1 / their mean distance from fair, and A as their rate. That rate
    is of orders which came so far: the A that means the same at the mid is larger by exp(k_wanted x distance).
    """
    now, distance = float(market["params"][TUNABLE[name].machine]), float(market["distance_ticks"])
    if name == "calibration_band_ticks" or now >= _NONE_AT:
        return None
    if now == 0.0 and name == "decay_per_price":
        return 1.0 / distance if distance > 0 else None
    if now == 0.0 and name == "arrival_per_s":
        now = float(market["arrivals_per_s"]) / 2.0 * math.exp(min(k_wanted * distance, 100.0))
    return now if now > 0 else None


def _too_far(name: str, wanted: float, now: float, bound: float, instrument: Instrument) -> str:
    factor = 1.0 if name == "skew_ticks_per_order" else TUNABLE[name].factor(instrument)
    return (
        f"{name} was {wanted / factor:.6g}, more than {bound:g} times away from the {now / factor:.6g} in force; nothing was changed. "
        "Look at the calibration, and pass bound=… if it is meant."
    )

"""Commands: from what a person sends to event rows. Everything is checked before the first row is made."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hftlab.data.state import LIMIT_INDEX, State
from hftlab.engine import calibrating
from hftlab.errors import CommandRefused, InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.limits import FIXED, RULES, Limits, human, looser
from hftlab.strict import number
from hftlab.tunable import PARAM_INDEX, TUNABLE, to_machine
from hftlab.types import (
    ACTIVATE,
    DEACTIVATE,
    EVENT,
    FLATTEN,
    HALT,
    LAST,
    PAUSE,
    RESUME,
    SET_LIMITS,
    SET_PARAMS,
    SET_TARGET,
    STOP,
)

# Of the whole desk, but for `activate` and `deactivate`, which are of the market they name.
SIMPLE = {
    "pause": PAUSE,
    "resume": RESUME,
    "halt": HALT,
    "flatten": FLATTEN,
    "stop": STOP,
    "activate": ACTIVATE,
    "deactivate": DEACTIVATE,
}
COMMANDS = (*SIMPLE, "set", "calibrate", "set_limits", "target")


def rows_of(name: str, market: int, values: Mapping[str, Any], state: State, now_ns: int) -> np.ndarray:
    """Return the EVENT rows of a command. Raises UnknownName, InputError, CommandRefused: then nothing of it is applied."""
    if name not in COMMANDS:
        raise UnknownName(f"no command {name!r}.{did_you_mean(name, COMMANDS)}")
    if not 0 <= market < len(state.instruments):
        raise InputError(f"market was {market}; wanted 0 to {len(state.instruments) - 1}.")
    instrument = state.instruments[market]
    if name in SIMPLE:
        if values:
            raise UnknownName(f"{name} takes no parameters; {', '.join(values)} was given.")
        return _rows([(SIMPLE[name], 0, 0, 0, 0, market)], now_ns)
    if name == "target":
        return _target(values, market, state, now_ns)
    if name == "set_limits":
        return _limits(values, market, state, now_ns)
    if name == "calibrate":
        values = calibrating.checked(values, market, state)
    record = state.markets["params"][market : market + 1].copy()
    made = []
    # The order size first: another parameter's factor may depend on it.
    for key in sorted(values, key=lambda key: key != "order_qty"):
        machine = to_machine(key, values[key], instrument, record)
        record[TUNABLE[key].machine] = machine
        made.append((SET_PARAMS, _bits(machine), 0, PARAM_INDEX[TUNABLE[key].machine], 0, market))
    if not made:
        raise InputError("set was given no parameter; wanted e.g. risk_aversion=0.2.")
    return _rows(made, now_ns)


def _target(values: Mapping[str, Any], market: int, state: State, now_ns: int) -> np.ndarray:
    unknown = set(values) - {"qty"}
    if unknown or "qty" not in values:
        raise UnknownName(f"target takes qty=…, the wished position in base units or None; {sorted(values)} was given.")
    if values["qty"] is None:
        return _rows([(SET_TARGET, 0, 0, 0, 0, market)], now_ns)
    lots = state.instruments[market].lots(values["qty"], signed=True, toward_zero=True)
    return _rows([(SET_TARGET, 0, lots, 0, 1, market)], now_ns)


def _limits(values: Mapping[str, Any], market: int, state: State, now_ns: int) -> np.ndarray:
    """Return SET_LIMITS rows. What belongs to the desk is set where the desk's limits are: with the first market."""
    for name in values:
        if name not in RULES:
            raise UnknownName(f"no limit {name!r}.{did_you_mean(name, RULES)}")
    made = []
    for home in sorted({0 if RULES[name].desk else market for name in values}):
        instrument = state.instruments[home]
        mine = {name: value for name, value in values.items() if (0 if RULES[name].desk else market) == home}
        now = Limits.of(state.markets["limits"][home], instrument)
        record = dataclasses.replace(now, **mine).record(instrument)[0]
        for name in mine:
            _within_caps(name, record, state.caps[home], instrument)
            machine = RULES[name].machine
            made.append((SET_LIMITS, _bits(float(record[machine])), 0, LIMIT_INDEX[machine], 0, home))
    if not made:
        raise InputError("set_limits was given no limit; wanted e.g. loss_quote_max=500.")
    return _rows(made, now_ns)


def _within_caps(name: str, record: Any, caps: Any, instrument: Instrument) -> None:
    rule = RULES[name]
    wanted, cap = float(record[rule.machine]), float(caps[rule.machine])
    if rule.looser == FIXED and wanted != cap:
        raise CommandRefused(f"{name} is how something is measured, {human(name, caps, instrument)}; it stays so while the desk runs.")
    if looser(rule, wanted, cap):
        raise CommandRefused(
            f"{name} was {human(name, record, instrument)}, looser than the hard cap {human(name, caps, instrument)}. Tighten it, or start "
            f"again with Limits({name}=…), or with hard={{{name!r}: …}} beside a tighter limit."
        )


def _bits(value: float) -> int:
    return int(np.float64(number(value, "value")).view(np.int64))


def _rows(made: list[tuple[int, int, int, int, int, int]], now_ns: int) -> np.ndarray:
    rows = [(now_ns, now_ns, price, qty, 0, index, 0, kind, side, LAST, market) for kind, price, qty, index, side, market in made]
    return np.array(rows, dtype=EVENT)

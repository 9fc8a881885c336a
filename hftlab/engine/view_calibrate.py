"""How a Session takes a calibration, and takes it back."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.data import journal as jn
from hftlab.engine.audit import read_calls
from hftlab.engine.calibrating import BOUND, NOT_PARAMS
from hftlab.engine.spec import load_spec
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.strict import number
from hftlab.tunable import TUNABLE, to_human, to_machine
from hftlab.types import SET_PARAMS

if TYPE_CHECKING:
    from hftlab.analytics.estimators.calibrate import Calibration


class CalibratesSession:
    """Methods of Session; `directory`, `instruments` and `command` are its own."""

    directory: Path
    instruments: Any
    command: Any

    def apply(self, calibration: "Calibration", why: str = "", *, bound: float = BOUND) -> dict[str, Any]:
        """Set the parameters of a calibration in one command: all of them or none, journaled, with who and why in the audit trail.

        A value more than `bound` times away from what is in force is refused. A calibration whose band is wider than its half-spread
        is set too: the quoter then refuses to quote. Raises CommandRefused, InputError for a calibration without values, EngineDied.
        """
        names = [one.name for one in self.instruments]
        if calibration.instrument.name not in names:
            raise InputError(f"the calibration is of {calibration.instrument.name}; this run trades {', '.join(names)}.")
        market = names.index(calibration.instrument.name)
        kind = type(calibration.before).__name__
        running = type(load_spec(self.directory).quoters[market]).__name__
        if kind != running:
            raise InputError(f"the calibration is of a quoter {kind}; {names[market]} is quoted by {running}.")
        why = why or f"calibrated on {calibration.rows:,} rows"
        answer: dict[str, Any] = self.command("calibrate", market, why=why, bound=number(bound, "bound", 1.0, 1e12), **calibration.params)
        return answer

    def revert(self, why: str = "", market: int = 0) -> dict[str, Any]:
        """Take back the last calibration that was not taken back yet: its parameters become what they were right before it.

        Reads the audit trail and the journal, so it works after a restart of the engine, and in another kernel. Raises InputError when
        there is nothing to take back, CommandRefused, EngineDied.
        """
        calls = [one for one in read_calls(self.directory) if one["command"] == "calibrate" and one["ok"] and one["market"] == market]
        calls = [one for one in calls if one["row"] is not None and not one["replayed"]]
        gone = {int(one["values"]["revert"]) for one in calls if "revert" in one["values"]}
        left = [one for one in calls if "revert" not in one["values"] and one["row"] not in gone]
        if not left:
            raise InputError(f"no calibration of {self.instruments[market].name} is in force in this run; there is nothing to take back.")
        last = left[-1]
        record = params_before(self.directory, market, last["row"])
        values = {name: _exact(name, record, self.instruments[market]) for name in last["values"] if name not in NOT_PARAMS}
        answer: dict[str, Any] = self.command("calibrate", market, why=why or "taken back", revert=last["row"], **values)
        return answer


def params_before(directory: Path, market: int, row: int) -> np.ndarray:
    """Return the PARAMS (shape (1,)) of a market as they stood before a row of the journal."""
    spec = load_spec(directory)
    record = spec.quoters[market].record(spec.instruments[market])
    first = 0
    for rows in jn.parts(directory / "journal"):
        part = rows[: max(row - first, 0)]
        for one in part[(part["kind"] == SET_PARAMS) & (part["instrument"] == market)]:
            record["values"][0, int(one["order_id"])] = one["price_ticks"].view(np.float64)
        first += len(rows)
        if first >= row:
            break
    return record


def _exact(name: str, record: np.ndarray, instrument: Instrument) -> float:
    """Return the human value that becomes exactly the machine value again: the conversion there and back may lose the last bit."""
    near = wanted = to_human(name, record[0], instrument)
    machine = float(record[TUNABLE[name].machine][0])
    for _ in range(8):
        missing = machine - to_machine(name, wanted, instrument, record)
        if missing == 0:
            return wanted
        wanted = math.nextafter(wanted, math.inf if missing > 0 else -math.inf)
    return near

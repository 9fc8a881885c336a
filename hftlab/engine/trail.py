"""What a run's audit trail says, for people: the calls as they were made, or everything that happened, in order, from the journal."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.data import journal as jn
from hftlab.data.frame import reason_text
from hftlab.data.state import State
from hftlab.engine.audit import read_calls
from hftlab.engine.spec import load_spec
from hftlab.types import (
    ACCEPTED,
    AMEND,
    BID,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    DEACTIVATE,
    DESK_STATE_NAMES,
    FILL,
    KIND_NAMES,
    LIMIT_NAMES,
    NO_HALTED,
    PARAM_NAMES,
    PAUSE,
    PAYMENT,
    REJECTED,
    SET_LIMITS,
    SET_PARAMS,
    STATE,
    SUBMIT,
    TIMER,
    UNKNOWN,
)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("time", "row", "what", "instrument", "side", "price", "qty", "order_id", "who", "why", "text")
_SHOWN = (SUBMIT, AMEND, CANCEL, FILL, REJECTED, CANCELED, CANCEL_REJECTED, UNKNOWN, PAYMENT, STATE)
_PRICED = (SUBMIT, AMEND, FILL)


class AuditTrail:
    """The part of a View that tells who did what."""

    directory: Path

    def audit(self, count: int | None = 200) -> list[dict[str, Any]]:
        """Return the last `count` control calls (None: all), oldest first: who, why, what, and what came of it; refused ones too.

        Fields: see `hftlab.engine.audit.FIELDS`. Reads the end of one small file; `pandas.DataFrame` makes a table of it.
        """
        return read_calls(self.directory, count)

    def audit_table(self) -> "pd.DataFrame":
        """Return everything that happened, in order: commands with who and why, orders, fills, and the desk's changes of state.

        One row an event, with the columns of COLUMNS; `time` is the session's (UTC), of refused calls that of the row before; `row`
        its number in the journal. Replays the journal: seconds for an hour of a busy market.
        """
        import pandas as pd

        table = pd.DataFrame(list(_entries(self.directory)), columns=list(COLUMNS))
        table["time"] = pd.to_datetime(table["time"], unit="ns", utc=True)
        return table


def _entries(directory: Path) -> Iterator[dict[str, Any]]:
    spec = load_spec(directory)
    state, run = spec.state(), spec.run()
    calls = read_calls(directory)
    known = {call["row"] + k: call for call in calls if call["row"] is not None for k in range(call["count"] or 1)}
    refused = _refused_after(calls)
    told_too = not state.exchanges["active"].any()
    yield from (_call(call, 0) for call in refused.pop(-1, ()))
    first = 0
    for rows in jn.parts(directory / "journal"):
        for start, end in itertools.pairwise(_cuts(rows, told_too=told_too)):
            part, number = rows[start:end], first + start
            head = part[0]
            if PAUSE <= head["kind"] <= DEACTIVATE:
                yield _command(head, number, state, known.get(number))
            elif told_too and head["kind"] in _SHOWN and head["kind"] != FILL:
                yield _event(head, number, state)
            written = state.step(run, part)
            yield from (_event(one, first + end - 1, state) for one in written[np.isin(written["kind"], _SHOWN)])
            for n in range(number, first + end):
                yield from (_call(call, int(rows[n - first]["ts_recv_ns"])) for call in refused.pop(n, ()))
        first += len(rows)


def _refused_after(calls: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Return the calls that led to no row, by the row of the last call before them that did; -1 before the first."""
    found: dict[int, list[dict[str, Any]]] = {}
    last = -1
    for call in calls:
        if call["row"] is None:
            found.setdefault(last, []).append(call)
        else:
            last = call["row"]
    return found


def _cuts(rows: np.ndarray, *, told_too: bool) -> list[int]:
    """Return where rows are cut: at commands, which stand before what they led to, and at timers, so that row numbers are near."""
    kind = rows["kind"]
    cut = (kind == TIMER) | ((kind >= PAUSE) & (kind <= DEACTIVATE))
    if told_too:
        cut |= (kind >= ACCEPTED) & (kind <= PAYMENT) & (kind != FILL)
    at = np.flatnonzero(cut)
    return sorted({0, len(rows), *at.tolist(), *(at + 1).tolist()}) if len(rows) else []


def _entry(ts_ns: int, row: int | None, what: str, **more: Any) -> dict[str, Any]:
    return dict.fromkeys(COLUMNS) | {"time": ts_ns, "row": row, "what": what} | more


def _call(call: Mapping[str, Any], ts_ns: int) -> dict[str, Any]:
    name = call["command"] or call["call"]
    what = "refused" if not call["ok"] else str(name)
    return _entry(ts_ns, None, what, who=call["who"], why=call["why"], text=f"{name}: {call['answer']}" if call["answer"] else name)


def _command(row: Any, number: int, state: State, call: Mapping[str, Any] | None) -> dict[str, Any]:
    kind, text = int(row["kind"]), ""
    if kind in (SET_PARAMS, SET_LIMITS):
        names = PARAM_NAMES if kind == SET_PARAMS else LIMIT_NAMES
        text = f"{names[int(row['order_id'])]} = {float(row['price_ticks'].view(np.float64)):g} (machine units)"
    if call is not None and call["values"]:
        text = ", ".join(f"{name}={value}" for name, value in call["values"].items())
    return _entry(
        int(row["ts_recv_ns"]),
        number,
        KIND_NAMES[kind],
        instrument=state.instruments[int(row["instrument"])].name,
        who=call["who"] if call is not None else None,
        why=call["why"] if call is not None else None,
        text=text,
    )


def _event(row: Any, number: int, state: State) -> dict[str, Any]:
    instrument, kind = state.instruments[int(row["instrument"])], int(row["kind"])
    if kind == STATE:
        return _changed(row, number, None if int(row["seq"]) else instrument.name)
    priced = kind in _PRICED
    return _entry(
        int(row["ts_recv_ns"]),
        number,
        KIND_NAMES[kind],
        instrument=instrument.name,
        side=("buy" if int(row["side"]) == BID else "sell") if priced else None,
        price=float(instrument.price(int(row["price_ticks"]))) if priced else None,
        qty=float(instrument.qty(int(row["qty_lots"]))) if priced else None,
        order_id=int(row["order_id"]) or None,
    )


def _changed(row: Any, number: int, instrument: str | None) -> dict[str, Any]:
    after, before, verdict = (int(row[name]) for name in ("qty_lots", "leaves_lots", "order_id"))
    why = f": {reason_text(verdict, row['price_ticks'].view(np.float64))}" if verdict and verdict != NO_HALTED else ""
    text = f"{DESK_STATE_NAMES[before]} to {DESK_STATE_NAMES[after]}{why}"
    return _entry(int(row["ts_recv_ns"]), number, "STATE", instrument=instrument, text=text)

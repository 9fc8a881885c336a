"""What became of each order, read from its requests, reports and fills, each with its time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.errors import UnknownName
from hftlab.instrument import Instrument
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    FILL,
    FOK,
    IOC,
    KIND_NAMES,
    MAKER,
    MARKET_ORDER,
    PAYMENT,
    POST_ONLY,
    REJECTED,
    SUBMIT,
    UNKNOWN,
)

if TYPE_CHECKING:
    import pandas as pd

NONE_NS = -1
"""A time that did not come. Lots ahead that nobody told of are -1 too."""

STATUSES = ("open", "filled", "canceled", "rejected", "unknown")
OPEN, FILLED, GONE, REFUSED, SILENT = range(5)

JOURNEY = np.dtype(
    [
        ("order_id", "i8"),
        ("instrument", "u4"),
        ("side", "i1"),
        ("status", "u1"),  # of STATUSES
        ("flags", "u2"),  # of the SUBMIT
        ("price_ticks", "i8"),  # first asked for
        ("qty_lots", "i8"),
        ("last_qty_lots", "i8"),  # in the end: amends change it, what was filled is a part of it
        ("decided_ns", "i8"),  # asked for: our clock
        ("accepted_ns", "i8"),  # exchange's clock; NONE_NS: never
        ("accepted_learned_ns", "i8"),
        ("ahead_lots", "i8"),  # in the queue before us, when it was accepted
        ("amend_requests", "i8"),
        ("amends", "i8"),  # of them acknowledged
        ("fills", "i8"),
        ("filled_lots", "i8"),
        ("first_fill_ns", "i8"),  # exchange's clock
        ("last_fill_ns", "i8"),
        ("cancel_ns", "i8"),  # first asked for: our clock
        ("cancel_refused", "i8"),
        ("done_ns", "i8"),  # exchange's clock, when nothing rested any more
        ("done_learned_ns", "i8"),
        ("canceled_by_us", "u1"),  # it was asked for before the exchange's CANCELED
    ]
)
"""One order of ours from the decision to its end."""


def order_rows(own: np.ndarray) -> np.ndarray:
    """Return the requests, reports and fills (EVENT) about single orders, by order, in the desk's order of time within each."""
    kinds = own["kind"]
    about = ((kinds >= ACCEPTED) & (kinds < PAYMENT)) | ((kinds >= SUBMIT) & (kinds <= CANCEL))
    rows = own[about]
    return rows[np.argsort(rows["order_id"], kind="stable")]


def journeys(own: np.ndarray) -> np.ndarray:
    """Return JOURNEY, one an order in order of its id, from the rows of a run."""
    rows = order_rows(own)
    if not len(rows):
        return np.zeros(0, JOURNEY)
    starts = np.flatnonzero(np.diff(rows["order_id"], prepend=rows["order_id"][0] - 1))
    kinds, sent_ns, exch_ns = rows["kind"], rows["ts_recv_ns"], rows["ts_exch_ns"]

    def first(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return for each order the value at its first row of the mask, NONE_NS where there is none."""
        at = np.minimum.reduceat(np.where(mask, np.arange(len(rows)), len(rows)), starts)
        return np.where(at < len(rows), values[np.minimum(at, len(rows) - 1)], NONE_NS)

    def last(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
        at = np.maximum.reduceat(np.where(mask, np.arange(len(rows)), -1), starts)
        return np.where(at >= 0, values[np.maximum(at, 0)], NONE_NS)

    def count(mask: np.ndarray, values: np.ndarray | int = 1) -> np.ndarray:
        return np.add.reduceat(np.where(mask, values, 0), starts)

    fill, done = kinds == FILL, _terminal(rows, starts)
    found = np.zeros(len(starts), JOURNEY)
    for name in ("order_id", "instrument", "side", "flags", "price_ticks", "qty_lots"):
        found[name] = rows[name][starts]
    sized = last((kinds == ACCEPTED) | (kinds == AMENDED), rows["qty_lots"])
    found["last_qty_lots"] = np.where(sized == NONE_NS, found["qty_lots"], sized)
    found["decided_ns"] = first(kinds == SUBMIT, sent_ns)
    found["accepted_ns"], found["accepted_learned_ns"] = first(kinds == ACCEPTED, exch_ns), first(kinds == ACCEPTED, sent_ns)
    found["ahead_lots"] = first(kinds == ACCEPTED, rows["seq"])
    found["amend_requests"], found["amends"] = count(kinds == AMEND), count(kinds == AMENDED)
    found["fills"], found["filled_lots"] = count(fill), count(fill, rows["qty_lots"])
    found["first_fill_ns"], found["last_fill_ns"] = first(fill, exch_ns), last(fill, exch_ns)
    found["cancel_ns"], found["cancel_refused"] = first(kinds == CANCEL, sent_ns), count(kinds == CANCEL_REJECTED)
    found["done_ns"], found["done_learned_ns"] = first(done, exch_ns), first(done, sent_ns)
    ended_by = first(done, kinds.astype(np.int64))
    found["status"] = np.select(
        [ended_by == FILL, ended_by == CANCELED, ended_by == REJECTED, last(kinds >= ACCEPTED, kinds.astype(np.int64)) == UNKNOWN],
        [FILLED, GONE, REFUSED, SILENT],
        OPEN,
    )
    asked = found["cancel_ns"]
    found["canceled_by_us"] = (found["status"] == GONE) & (asked != NONE_NS) & (asked <= found["done_ns"])
    return found


def _terminal(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return which rows ended their order: the last fill, a cancel, or a refusal of what was never accepted."""
    kinds = rows["kind"]
    accepted = np.cumsum(kinds == ACCEPTED)
    before = accepted - np.repeat(accepted[starts] - (kinds[starts] == ACCEPTED), np.diff(np.append(starts, len(rows))))
    gone = (kinds == CANCELED) | ((kinds == FILL) & (rows["leaves_lots"] == 0))
    return gone | ((kinds == REJECTED) & (before == 0))


def reason(order: np.void) -> str:
    """Return in words why an order (one JOURNEY) ended, or that it did not."""
    flags, status = int(order["flags"]), int(order["status"])
    if status == FILLED:
        return "filled"
    if status == GONE:
        if order["canceled_by_us"]:
            return "we cancelled the rest" if order["fills"] else "we cancelled it"
        return "nothing more to take" if flags & (IOC | FOK | MARKET_ORDER) else "the exchange cancelled it"
    if status == REFUSED:
        return "post-only would have traded" if flags & POST_ONLY else "refused by the exchange"
    return "no answer from the exchange" if status == SILENT else "still open at the end"


def frame(found: np.ndarray, instruments: Sequence[Instrument]) -> "pd.DataFrame":
    """Return journeys as a table in human units: UTC times, prices, quantities, durations in milliseconds."""
    import pandas as pd

    which = found["instrument"]
    tick, lot = (np.array([float(getattr(i, name)) for i in instruments])[which] for name in ("tick_size", "lot_size"))
    table = {
        "order_id": found["order_id"],
        "instrument": np.array([i.symbol for i in instruments])[which],
        "side": np.where(found["side"] > 0, "buy", "sell"),
        "price": found["price_ticks"] * tick,
        "qty": found["qty_lots"] * lot,
        "last_qty": found["last_qty_lots"] * lot,
        "status": np.array(STATUSES)[found["status"]],
        "reason": [reason(one) for one in found],
        "filled_qty": found["filled_lots"] * lot,
        "ahead_qty": np.where(found["ahead_lots"] == NONE_NS, np.nan, found["ahead_lots"] * lot),
    }
    table |= {name: found[name] for name in ("fills", "amend_requests", "amends", "cancel_refused")}
    stamps = ("decided", "accepted", "accepted_learned", "first_fill", "last_fill", "cancel", "done", "done_learned")
    for name in stamps:
        stamp = found[f"{name}_ns"]
        table[name] = pd.to_datetime(np.where(stamp == NONE_NS, np.iinfo(np.int64).min, stamp), utc=True)
    for name, start, stop in DURATIONS:
        table[name] = between_ms(found, start, stop)
    return pd.DataFrame(table)


DURATIONS = (
    ("entry_ms", "decided_ns", "accepted_ns"),
    ("response_ms", "accepted_ns", "accepted_learned_ns"),
    ("to_fill_ms", "accepted_ns", "first_fill_ns"),
    ("cancel_ms", "cancel_ns", "done_ns"),
    ("life_ms", "accepted_ns", "done_ns"),
)


def between_ms(found: np.ndarray, start: str, stop: str) -> np.ndarray:
    """Return the milliseconds between two times of JOURNEY, NaN where either did not come."""
    known = (found[start] != NONE_NS) & (found[stop] != NONE_NS)
    if stop == "done_ns" and start == "cancel_ns":
        known &= found["canceled_by_us"] != 0  # an order that ended before its cancel came says nothing of the cancel
    return np.where(known, (found[stop] - found[start]) / 1e6, np.nan)


def events(own: np.ndarray, order_id: int, instruments: Sequence[Instrument]) -> "pd.DataFrame":
    """Return all that happened to one order, in the order in which it happened. Raises UnknownName for an id nobody used.

    A request happens when it is sent, a report when the exchange acted; `learned` is when we knew.
    """
    import pandas as pd

    rows = order_rows(own)
    rows = rows[rows["order_id"] == order_id]
    if not len(rows):
        raise UnknownName(f"no order has the id {order_id}; report.journeys()['order_id'] lists them.")
    request = rows["kind"] >= SUBMIT
    happened = np.where(request, rows["ts_recv_ns"], rows["ts_exch_ns"])
    order = np.lexsort((rows["ts_recv_ns"], happened))
    rows, request, happened = rows[order], request[order], happened[order]
    one = instruments[int(rows["instrument"][0])]
    told = np.isin(rows["kind"], (ACCEPTED, AMENDED))
    lot = float(one.lot_size)
    return pd.DataFrame(
        {
            "ts": pd.to_datetime(happened, utc=True),
            "what": [_what(row) for row in rows],
            "price": rows["price_ticks"] * float(one.tick_size),
            "qty": rows["qty_lots"] * lot,
            "leaves": np.where(request, np.nan, rows["leaves_lots"] * lot),
            "ahead": np.where(told, rows["seq"] * lot, np.nan),
            "learned": pd.to_datetime(np.where(request, np.iinfo(np.int64).min, rows["ts_recv_ns"]), utc=True),
            "since_ms": (happened - happened[0]) / 1e6,
        }
    )


def _what(row: Any) -> str:
    kind = int(row["kind"])
    if kind == FILL:
        return "filled, maker" if int(row["flags"]) & MAKER else "filled, taker"
    names = {SUBMIT: "asked to submit", AMEND: "asked to amend", CANCEL: "asked to cancel", CANCEL_REJECTED: "cancel refused"}
    return names.get(kind, KIND_NAMES[kind].lower())

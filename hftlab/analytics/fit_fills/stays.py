"""The stays of our orders in the queues of the venue: what a queue model is fitted to, and judged by.

A stay is one order at one price from the moment it joined the queue there to its fill, its cancel, or the amend that moved it. All of
its times are the exchange's, so that a model that is given the stay can be wrong about the queue and about nothing else.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMEND_KEEPS,
    AMENDED,
    CANCEL,
    CANCELED,
    FILL,
    MAKER,
    PAYMENT,
    SUBMIT,
    UNKNOWN,
)

FILLED, CANCELLED, MOVED, OPEN = range(4)
ENDS = ("filled", "canceled", "moved by an amend", "open at the end")

STAY = np.dtype(
    [
        ("order_id", "i8"),
        ("instrument", "u4"),
        ("side", "i1"),
        ("ended", "u1"),  # FILLED, CANCELLED, MOVED, OPEN
        ("price_ticks", "i8"),
        ("qty_lots", "i8"),  # when it joined
        ("cap_lots", "i8"),  # less what amends took off it in its place
        ("filled_lots", "i8"),
        ("sent_ns", "i8"),  # our clock: when what began it was asked for
        ("start_ns", "i8"),
        ("end_ns", "i8"),
        ("told_ns", "i8"),  # our clock: when we knew that it had begun, and that it was over
        ("end_told_ns", "i8"),
        ("end_sent_ns", "i8"),  # our clock: when its cancel or its move was asked for, in vain or not; 0 for never
    ]
)
"""One stay."""

TAKER = np.dtype(
    [
        ("order_id", "i8"),
        ("instrument", "u4"),
        ("side", "i1"),
        ("flags", "u2"),
        ("price_ticks", "i8"),
        ("qty_lots", "i8"),
        ("filled_lots", "i8"),
        ("paid_ticklots", "f8"),  # sum of price x lots
        ("sent_ns", "i8"),
        ("start_ns", "i8"),
    ]
)
"""One order that took when it came."""

PART = np.dtype([("which", "i8"), ("ts_ns", "i8"), ("lots", "i8"), ("price_ticks", "i8")])
"""One fill of the stay, or taker, number `which`, on the exchange's clock."""


def stays(own: np.ndarray, rules: Sequence[int], end_ns: int, shift_ns: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return STAY by the time it began, their PARTs by stay and time, and TAKER, from the rows of a session.

    `rules`: AMEND_* of each instrument; `end_ns`: what still rests then is OPEN; `shift_ns` is added to our clock.
    """
    walk = _Walk(rules, end_ns, shift_ns)
    for rows in _by_order(own):
        walk.order(rows)
    found, parts = np.array(walk.found, STAY), np.array(walk.parts, PART)
    order = np.argsort(found["start_ns"], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    if len(parts):
        parts["which"] = place[parts["which"]]
    takers = np.array(walk.takers, TAKER)
    return found[order], parts[np.lexsort((parts["ts_ns"], parts["which"]))], takers[np.argsort(takers["start_ns"], kind="stable")]


def _by_order(own: np.ndarray) -> Iterator[np.ndarray]:
    about = own[((own["kind"] >= ACCEPTED) & (own["kind"] < PAYMENT)) | ((own["kind"] >= SUBMIT) & (own["kind"] <= CANCEL))]
    about = about[np.lexsort((about["order_id"], about["instrument"]))]  # stable: the desk's order within each
    if len(about):
        change = (np.diff(about["order_id"]) != 0) | (np.diff(about["instrument"].astype(np.int64)) != 0)
        yield from np.split(about, np.flatnonzero(change) + 1)


class _Walk:
    """Reads orders one by one."""

    def __init__(self, rules: Sequence[int], end_ns: int, shift_ns: int) -> None:
        self._rules, self._end_ns, self._shift_ns = rules, end_ns, shift_ns
        self.found: list[tuple[int, ...]] = []
        self.parts: list[tuple[int, int, int, int]] = []
        self.takers: list[tuple[float, ...]] = []

    def order(self, rows: np.ndarray) -> None:
        """Read the requests and reports of one order."""
        requests = rows[rows["kind"] >= SUBMIT]
        reports = rows[(rows["kind"] < SUBMIT) & (rows["kind"] != UNKNOWN)]
        reports = reports[np.argsort(reports["ts_exch_ns"], kind="stable")]
        keeps = bool(self._rules[int(rows["instrument"][0])] & AMEND_KEEPS)
        at: dict[str, int] | None = None
        taken = np.zeros(1, TAKER)[0]
        for row in reports:
            kind, ts_ns, leaves, ticks = (int(row[name]) for name in ("kind", "ts_exch_ns", "leaves_lots", "price_ticks"))
            if kind == FILL and not int(row["flags"]) & MAKER:
                self._take(taken, row, requests)
                if at is not None:
                    at["qty"], at["cap"], at["leaves"] = leaves, leaves, leaves
            elif kind == FILL:
                at = at or self._join(row, requests, leaves + int(row["qty_lots"]))
                self.parts.append((len(self.found), ts_ns, int(row["qty_lots"]), ticks))
                at["filled"] += int(row["qty_lots"])
                at["leaves"] = leaves
                if leaves == 0:
                    self._leave(row, at, FILLED, ts_ns, self._in_vain(requests, at, int(row["ts_recv_ns"])))
                    at = None
            elif kind == ACCEPTED and at is None:
                at = self._join(row, requests, leaves)
            elif kind == AMENDED:
                if at is not None and keeps and ticks == at["price"] and leaves <= at["leaves"]:
                    at["cap"] -= at["leaves"] - leaves
                    at["leaves"], at["asked"] = leaves, self._asked(requests, AMEND, int(row["ts_recv_ns"]))
                    continue
                if at is not None:
                    self._leave(row, at, MOVED, ts_ns, self._asked(requests, AMEND, int(row["ts_recv_ns"])))
                at = self._join(row, requests, leaves)
            elif kind == CANCELED and at is not None:
                self._leave(row, at, CANCELLED, ts_ns, self._asked(requests, CANCEL, int(row["ts_recv_ns"])))
                at = None
        if at is not None:
            self._leave(rows[0], at, OPEN, max(self._end_ns, at["start"]), 0)
        if taken["filled_lots"]:
            self.takers.append(tuple(taken.tolist()))

    def _join(self, row: np.void, requests: np.ndarray, leaves: int) -> dict[str, int]:
        kind = AMEND if int(row["kind"]) == AMENDED else SUBMIT
        sent_ns, start = self._asked(requests, kind, int(row["ts_recv_ns"])), int(row["ts_exch_ns"])
        told_ns = int(row["ts_recv_ns"]) + self._shift_ns
        first = {
            "side": int(row["side"]),
            "price": int(row["price_ticks"]),
            "start": start,
            "sent": sent_ns,
            "asked": sent_ns,
            "told": told_ns,
        }
        return first | {"qty": leaves, "cap": leaves, "leaves": leaves, "filled": 0}

    def _leave(self, row: np.void, at: dict[str, int], ended: int, ts_ns: int, sent_ns: int) -> None:
        """Write down a stay that is over; one that never was (it took all that it had) leaves no trace."""
        told_ns = ts_ns if ended == OPEN else int(row["ts_recv_ns"]) + self._shift_ns
        if at["qty"] > 0 and (ts_ns > at["start"] or at["filled"]):
            names = ("price", "qty", "cap", "filled", "sent", "start")
            self.found.append(
                (
                    int(row["order_id"]),
                    int(row["instrument"]),
                    at["side"],
                    ended,
                    *(at[name] for name in names),
                    ts_ns,
                    at["told"],
                    told_ns,
                    sent_ns,
                )
            )

    def _take(self, taken: np.void, row: np.void, requests: np.ndarray) -> None:
        asked = requests[requests["kind"] == SUBMIT]
        if not taken["filled_lots"] and len(asked):
            for name in ("order_id", "instrument", "side", "flags", "price_ticks", "qty_lots"):
                taken[name] = asked[name][0]
            taken["sent_ns"], taken["start_ns"] = int(asked["ts_recv_ns"][0]) + self._shift_ns, int(row["ts_exch_ns"])
        if len(asked):
            taken["filled_lots"] += row["qty_lots"]
            taken["paid_ticklots"] += float(row["qty_lots"]) * float(row["price_ticks"])

    def _in_vain(self, requests: np.ndarray, at: dict[str, int], told_ns: int) -> int:
        """Return when an order that was filled had been asked away, our clock: a race that was lost. 0 for never."""
        sent_ns = requests["ts_recv_ns"] + self._shift_ns
        late = sent_ns[(requests["kind"] != SUBMIT) & (sent_ns > at["asked"]) & (requests["ts_recv_ns"] < told_ns)]
        return int(late[0]) if len(late) else 0

    def _asked(self, requests: np.ndarray, kind: int, told_ns: int) -> int:
        """Return when the request that was answered at `told_ns` was sent: the last of its kind before, 0 for none."""
        mine = requests["ts_recv_ns"][(requests["kind"] == kind) & (requests["ts_recv_ns"] <= told_ns)]
        return int(mine[-1]) + self._shift_ns if len(mine) else 0

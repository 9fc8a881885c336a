"""The round trips of a session: what was asked when, when the exchange acted, when we learned of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hftlab.types import ACCEPTED, AMEND, AMENDED, BACKFILL, CANCEL, CANCELED, FILL, LAST, SUBMIT, TIMER

TRIP = np.dtype(
    [
        ("order_id", "i8"),
        ("kind", "u1"),  # SUBMIT, AMEND or CANCEL; FILL where nothing was asked
        ("instrument", "u4"),
        ("sent_ns", "i8"),  # our clock; of a FILL, when it was matched
        ("matched_ns", "i8"),  # the exchange's
        ("learned_ns", "i8"),  # ours
        ("held", "u1"),  # one sent before it was still on its way: on an ordered connection it may have had to wait for that one
        ("report_held", "u1"),  # the same of its report
    ]
)
"""One request and its answer, or one fill that nobody asked for."""

TRIPS_MIN = 20
CLASSES = ("entry", "cancel", "report", "round trip")
STILL_NS = 1000.0  # latencies that differ by less than this are constant
_ANSWERS = {ACCEPTED: SUBMIT, AMENDED: AMEND, CANCELED: CANCEL}


def trips(own: np.ndarray, shift_ns: int = 0, gaps_ns: Sequence[int] | np.ndarray = ()) -> np.ndarray:
    """Return TRIP, by time of sending, of the requests that the venue carried out and of its fills, from the rows of a session.

    `shift_ns` is added to our clock. Left out: refusals (many never came to the venue), what was fetched afterwards, and what was told at
    the very time of a gap in the data (`gaps_ns`, on the shifted clock): the orders that a restart ended.
    """
    found: list[tuple[int, ...]] = []
    waiting: dict[tuple[int, int, int], int] = {}
    restarted = {int(ts_ns) - shift_ns for ts_ns in gaps_ns}
    for row in own:
        kind, key = int(row["kind"]), (int(row["instrument"]), int(row["order_id"]))
        if kind in (SUBMIT, AMEND, CANCEL):
            waiting[(*key, kind)] = int(row["ts_recv_ns"])
            continue
        asked = waiting.pop((*key, _ANSWERS[kind]), None) if kind in _ANSWERS else None
        if int(row["flags"]) & BACKFILL or int(row["ts_recv_ns"]) in restarted:
            continue
        if kind == FILL:
            matched_ns = int(row["ts_exch_ns"])
            found.append((key[1], FILL, key[0], matched_ns, matched_ns, int(row["ts_recv_ns"]) + shift_ns, 0, 0))
        elif asked is not None:
            times = (asked + shift_ns, int(row["ts_exch_ns"]), int(row["ts_recv_ns"]) + shift_ns)
            found.append((key[1], _ANSWERS[kind], key[0], *times, 0, 0))
    made = np.array(found, TRIP)
    made = made[np.argsort(made["sent_ns"], kind="stable")]
    _mark_held(made)
    return made


def _mark_held(made: np.ndarray) -> None:
    """Mark what one in front of it on the same connection may have held up: that one came later than this one could have come at best.

    It goes by the one in front alone. To leave out only what was really held up would leave out the fast ones and keep the slow.
    """
    asked = np.flatnonzero(made["kind"] != FILL)
    made["held"][asked] = _held(made["sent_ns"][asked], made["matched_ns"][asked])
    order = np.lexsort((made["learned_ns"], made["matched_ns"]))
    made["report_held"][order] = _held(made["matched_ns"][order], made["learned_ns"][order])


def _held(left_ns: np.ndarray, came_ns: np.ndarray) -> np.ndarray:
    if not len(left_ns):
        return np.zeros(0, bool)
    before_ns = np.maximum.accumulate(came_ns)[:-1]
    best_ns = int((came_ns - left_ns).min())
    return np.concatenate(([False], before_ns > left_ns[1:] + best_ns))


def feed_latency_ns(market: np.ndarray, at_ns: np.ndarray) -> np.ndarray:
    """Return, for each time on our clock, how long the last message received before it had travelled: f8, 0 before the first."""
    last = market[((market["flags"] & LAST) != 0) & (market["kind"] < TIMER)]
    where = np.searchsorted(last["ts_recv_ns"], at_ns, side="right") - 1
    if not len(last):
        return np.zeros(len(at_ns))
    took = np.maximum(last["ts_recv_ns"] - last["ts_exch_ns"], 0).astype(np.float64)
    return np.where(where >= 0, took[np.maximum(where, 0)], 0.0)


def load_per_s(market: np.ndarray, at_ns: np.ndarray, over_s: float = 0.1) -> np.ndarray:
    """Return the messages a second received in the last `over_s` before each time, f8."""
    ends = market["ts_recv_ns"][((market["flags"] & LAST) != 0) & (market["kind"] < TIMER)]
    now, before = (np.searchsorted(ends, at, side="right") for at in (at_ns, at_ns - round(over_s * 1e9)))
    return np.asarray((now - before) / over_s, np.float64)


@dataclass(frozen=True)
class Samples:
    """Latencies of one class in ns (f8), with the time, the feed's latency and the load at each."""

    ts_ns: np.ndarray
    took_ns: np.ndarray
    feed_ns: np.ndarray
    load_per_s: np.ndarray

    def take(self, kept: np.ndarray) -> "Samples":
        """Return those of an index or mask."""
        return Samples(self.ts_ns[kept], self.took_ns[kept], self.feed_ns[kept], self.load_per_s[kept])


def samples(made: np.ndarray, market: np.ndarray, *, free: bool = False) -> dict[str, Samples]:
    """Return the Samples of each of CLASSES; with `free` only of what nothing in front of it can have held up, where that is enough."""
    asked = made[made["kind"] != FILL]
    parts = {
        "entry": (asked[asked["kind"] != CANCEL], "sent_ns", "matched_ns", "held"),
        "cancel": (asked[asked["kind"] == CANCEL], "sent_ns", "matched_ns", "held"),
        "report": (made, "matched_ns", "learned_ns", "report_held"),
        "round trip": (asked, "sent_ns", "learned_ns", "held"),
    }
    found = {}
    for name, (rows, start, stop, held) in parts.items():
        kept = rows[rows[held] == 0] if free and np.count_nonzero(rows[held] == 0) >= TRIPS_MIN else rows
        at_ns = kept[start]
        took_ns = (kept[stop] - at_ns).astype(np.float64)
        found[name] = Samples(at_ns, took_ns, feed_latency_ns(market, at_ns), load_per_s(market, at_ns))
    return found

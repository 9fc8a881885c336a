"""The market data of a session without what was ours in it: the tape that the session's own backtest runs on.

What the reports say rests, by the *exchange's* time, is taken out of the levels of the book, whichever stream was the faster one. Of
the prints:

* A print that hit us stays whole. Whoever hit us would have hit the next in the queue, and everybody saw it.
* Our own takes are taken out of the prints. What they took is put back into its level until the market speaks of that level again,
  comes to it, or `hold_s` is over: a backtested take finds it there, and later nobody knows whether it would still have been.

What others did because we were there stays: nobody knows what they would have done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from hftlab.data.notes import Notes
from hftlab.data.tape import Tape
from hftlab.errors import DataError
from hftlab.instrument import Instrument
from hftlab.types import ACCEPTED, AMENDED, BBO, CANCELED, DEPTH, FILL, L3_ORDER, LAST, MAKER, SUBMIT, TRADE

_FAR_NS = 10_000_000_000  # how late a message may come and still be found
_CHANGES = (ACCEPTED, AMENDED, CANCELED, FILL)


def own_rows(reports: np.ndarray, told_ns: np.ndarray, requests: np.ndarray) -> np.ndarray:
    """Return reports and requests (EVENT) as one array in the desk's order; on ties what was heard comes before what was said."""
    rows = np.concatenate([reports, requests])
    return rows[np.argsort(np.concatenate([told_ns, requests["ts_recv_ns"]]), kind="stable")]


def strip_own(
    market: np.ndarray,
    own: np.ndarray,
    instruments: Sequence[Instrument],
    *,
    shown: Sequence[bool] | None = None,
    hold_s: float = 1.0,
    source: str = "",
) -> Tape:
    """Return the market rows of a session (EVENT, as received) as a Tape without our orders and takes.

    `own`: our requests and reports (see `own_rows`); `shown` says of each instrument whether its feed shows our orders, by default it
    does. Receive times that lie before the exchange's are moved, all by the same, which is `tape.notes.clock_shift_ns`.
    Raises DataError for order-by-order data (a journal does not know the venue's numbers of our orders), TapeError.
    """
    rows, notes = _in_order(market.copy(), source)
    shown = tuple(shown) if shown is not None else (True,) * len(instruments)
    ours = own[np.array(shown, bool)[own["instrument"]]] if len(own) else own
    if len(ours):
        if (rows["kind"] == L3_ORDER).any():
            raise DataError(
                f"{source or 'the session'} has order-by-order data; taking our own orders out of it needs the venue's numbers."
            )
        taken = _takes(ours)
        levels = _without_ours(rows, changes(ours))
        prints, keep = _without_takes(rows, taken)
        rows, back = _put_back(rows, keep, taken, round(hold_s * 1e9))
        clipped = int(levels.below.sum())
        notes.say(
            "info",
            f"our lots were taken out of {levels.rows:,} rows of the book, our takes out of {prints:,} prints; {back:,} taken levels were "
            f"put back for up to {hold_s:g} s. What others did because of us stays.",
        )
        if clipped:
            notes.say("warning", f"{clipped:,} rows of the book showed less than we had resting there by the reports; they became empty.")
    return Tape(np.ascontiguousarray(rows), tuple(instruments), source, notes)


def _in_order(rows: np.ndarray, source: str) -> tuple[np.ndarray, Notes]:
    notes = Notes(lines=len(rows))
    back = int(np.count_nonzero(np.diff(rows["ts_recv_ns"]) < 0))
    if back:
        rows = rows[np.argsort(rows["ts_recv_ns"], kind="stable")]
        notes.say("warning", f"{source}: the receive time went back {back:,} times; the rows were put in order.")
    early_ns = int((rows["ts_exch_ns"] - rows["ts_recv_ns"]).max(initial=0))
    if early_ns > 0:
        rows["ts_recv_ns"] += early_ns
        notes.clock_shift_ns = early_ns
        notes.say(
            "info",
            f"our clock was behind the exchange's by {early_ns / 1e6:g} ms at the least; every receive time was moved by that.",
        )
    return rows, notes


# --- what rested where ---------------------------------------------------------------------------------------------------
CHANGE = np.dtype([("ts_ns", "i8"), ("price_ticks", "i8"), ("lots", "i8"), ("order_id", "i8"), ("instrument", "u4"), ("side", "i1")])
"""From `ts_ns` (exchange's clock) on an order adds `lots` (signed) to what of ours rests at a level."""


def changes(own: np.ndarray) -> np.ndarray:
    """Return CHANGE rows in order of time: what our reports say came to each level and left it."""
    asked = own[own["kind"] == SUBMIT]
    wanted = {(int(r["instrument"]), int(r["order_id"])): (int(r["side"]), int(r["price_ticks"])) for r in asked}
    told = own[np.isin(own["kind"], _CHANGES)]
    told = told[np.argsort(told["ts_exch_ns"], kind="stable")]
    resting: dict[tuple[int, int], tuple[int, int, int]] = {}  # side, price, lots
    found: list[tuple[int, int, int, int, int, int]] = []
    for row in told:
        instrument, order_id, kind = int(row["instrument"]), int(row["order_id"]), int(row["kind"])
        key = (instrument, order_id)
        before = resting.pop(key, None)
        place = (int(row["side"]), int(row["price_ticks"]))
        if kind == FILL:  # a fill tells its own price, not the order's
            place = before[:2] if before is not None else wanted.get(key, place)
        leaves = 0 if kind == CANCELED else int(row["leaves_lots"])
        if before == (*place, leaves):
            resting[key] = before
            continue
        ts_ns = int(row["ts_exch_ns"])
        if before is not None:
            found.append((ts_ns, before[1], -before[2], order_id, instrument, before[0]))
        if leaves > 0:
            found.append((ts_ns, place[1], leaves, order_id, instrument, place[0]))
            resting[key] = (*place, leaves)
    return np.array(found, CHANGE)


@dataclass(frozen=True)
class _Levels:
    """How many rows our lots were taken out of, and which of them showed less than that."""

    rows: int
    below: np.ndarray = field(repr=False)


def _keys(rows: np.ndarray) -> np.ndarray:
    """Return one number a level: instrument, side and price."""
    return (rows["price_ticks"] * 2 + (rows["side"] > 0)) * 4096 + rows["instrument"].astype(np.int64)


def _without_ours(rows: np.ndarray, ours: np.ndarray) -> _Levels:
    """Take our resting lots out of the levels, in place. What changed at the very time of a row is in that row already."""
    levels, which = np.unique(_keys(ours), return_inverse=True)
    order = np.lexsort((ours["ts_ns"], which))
    ours, which = ours[order], which[order]
    starts = np.searchsorted(which, np.arange(len(levels) + 1))
    at = np.flatnonzero(np.isin(rows["kind"], (DEPTH, BBO)))
    at = at[np.isin(_keys(rows[at]), levels)]
    group = np.searchsorted(levels, _keys(rows[at]))
    order = np.argsort(group, kind="stable")
    at, group = at[order], group[order]
    ends = np.searchsorted(group, np.arange(len(levels) + 1))
    touched, below = 0, np.zeros(len(rows), bool)
    for n in range(len(levels)):
        mine, there = ours[starts[n] : starts[n + 1]], at[ends[n] : ends[n + 1]]
        if not len(there):
            continue
        total = np.concatenate(([0], np.cumsum(mine["lots"])))
        lots = total[np.searchsorted(mine["ts_ns"], rows["ts_exch_ns"][there], side="right")]
        touched += int(np.count_nonzero(lots))
        below[there] = lots > rows["qty_lots"][there]
        rows["qty_lots"][there] = np.maximum(rows["qty_lots"][there] - lots, 0)
    return _Levels(touched, below)


# --- what we took --------------------------------------------------------------------------------------------------------
def _takes(own: np.ndarray) -> np.ndarray:
    """Return our fills as takers."""
    return own[(own["kind"] == FILL) & ((own["flags"] & MAKER) == 0)]


def _without_takes(rows: np.ndarray, takes: np.ndarray) -> tuple[int, np.ndarray]:
    """Take our takes out of the prints, in place. Returns how many prints, and which rows are left."""
    keep = ~((rows["kind"] == BBO) & (rows["qty_lots"] == 0))  # a best price that was ours alone says nothing of the others
    count = 0
    for take in takes:
        left = int(take["qty_lots"])
        for i in _near(rows, take, TRADE, int(take["side"])):
            if left and rows["ts_exch_ns"][i] == take["ts_exch_ns"]:
                mine = min(left, int(rows["qty_lots"][i]))
                count += mine > 0
                left -= mine
                rows["qty_lots"][i] -= mine
                keep[i] = rows["qty_lots"][i] > 0
    return count, keep


def _near(rows: np.ndarray, take: np.void, kind: int, side: int, late_ns: int = _FAR_NS) -> Iterator[int]:
    """Yield the rows of a kind and side at the price of a take that happened with it or after it, in the order of the tape."""
    low, high = np.searchsorted(rows["ts_recv_ns"], [int(take["ts_exch_ns"]), int(take["ts_exch_ns"]) + late_ns])
    part = rows[low:high]
    mine = (part["kind"] == kind) & (part["side"] == side) & (part["price_ticks"] == take["price_ticks"])
    mine &= (part["instrument"] == take["instrument"]) & (part["ts_exch_ns"] >= take["ts_exch_ns"])
    yield from (np.flatnonzero(mine) + low).tolist()


def _put_back(rows: np.ndarray, keep: np.ndarray, takes: np.ndarray, hold_ns: int) -> tuple[np.ndarray, int]:
    """Put what we took back into its level for a while. Returns the kept rows with those that end it, and how many levels."""
    ends: list[tuple[int, np.ndarray]] = []
    count = 0
    for take in takes:
        told = list(_near(rows, take, DEPTH, -int(take["side"]), hold_ns + _FAR_NS))
        shown = [i for i in told if rows["ts_exch_ns"][i] == take["ts_exch_ns"]] or told[:1]
        if not shown or int(rows["ts_exch_ns"][shown[0]]) > int(take["ts_exch_ns"]) + hold_ns:
            continue
        last = shown[-1]
        without = rows[last : last + 1].copy()
        rows["qty_lots"][shown] += take["qty_lots"]
        count += 1
        later = [i for i in told if i > last]
        end = _end(rows, last, take, hold_ns)
        if end is not None and (not later or end < later[0]):
            for name in ("ts_exch_ns", "ts_recv_ns", "seq"):
                without[name] = rows[name][end]
            without["flags"] &= ~np.uint16(LAST)
            ends.append((end, without))
    if ends:
        at = [end for end, _ in ends]
        rows = np.insert(rows, at, np.concatenate([row for _, row in ends]))
        keep = np.insert(keep, at, np.ones(len(ends), bool))
    return _kept(rows, keep), count


def _end(rows: np.ndarray, shown: int, take: np.void, hold_ns: int) -> int | None:
    """Return the first row after `shown` before which a level that was put back must go: time is over, or the other side is there."""
    side = int(take["side"])
    high = int(np.searchsorted(rows["ts_recv_ns"], int(take["ts_exch_ns"]) + hold_ns + _FAR_NS))
    part = rows[shown + 1 : high]
    mine = part["instrument"] == take["instrument"]
    over = mine & (part["ts_exch_ns"] >= take["ts_exch_ns"] + hold_ns)
    meets = mine & (part["kind"] == DEPTH) & (part["side"] == side) & (part["qty_lots"] > 0)
    meets &= (part["price_ticks"] - take["price_ticks"]) * side >= 0
    found = np.flatnonzero(over | meets)
    return int(found[0]) + shown + 1 if len(found) else None


def _kept(rows: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Return the kept rows; a message that loses its last row ends with the row before."""
    for at in np.flatnonzero(~keep & ((rows["flags"] & LAST) != 0)):
        before = at - 1
        while before >= 0 and not keep[before] and not rows["flags"][before] & LAST:
            before -= 1
        if before >= 0 and keep[before] and not rows["flags"][before] & LAST:
            rows["flags"][before] |= LAST
    return rows[keep]

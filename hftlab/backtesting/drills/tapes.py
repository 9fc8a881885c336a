"""What a drill does to a tape: prices that jump, data that comes late, a market that stops.

Prices are moved book by book: at each step the whole book is told anew at its new place, and every later row is moved with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.report.origin import apply_levels
from hftlab.data.rows import Rows
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, EVENT, FUNDING, L3_ORDER, LAST, NO_PRICE, SNAPSHOT, TRADE

LEVELS = 100
"""Levels a side that a moved book is told with."""


@dataclass(frozen=True)
class Step:
    """From `ts_ns` (exchange clock) on, prices stand `frac` of themselves away from the tape; `prints`: the move trades its way."""

    ts_ns: int
    frac: float
    prints: bool = False


def moved(rows: Rows, steps: Sequence[Step]) -> Rows:
    """Return rows whose prices follow `steps` (rising in time), each market's by its own price. Order-by-order rows are left out.

    A step that prints sends one taker through the levels that it passes, so that what rests there is filled; one that does not is
    a gap.
    """
    rows = rows[rows["kind"] != L3_ORDER].copy()
    first = _first_rows(rows)
    parts: list[tuple[int, Rows]] = []
    for i in np.unique(rows["instrument"]).tolist():
        parts += _moved_market(rows, first, i, steps)
    if not parts:
        return rows
    # Every inserted message goes in front of the row that it was made for; the sort is stable, so the rest keeps its order.
    places = [np.arange(len(rows)) * 2 + 1, *(np.full(len(part), 2 * at) for at, part in parts)]
    whole = np.concatenate([rows, *(part for _, part in parts)])
    whole = whole[np.argsort(np.concatenate(places), kind="stable")]
    return in_order(whole)


def _moved_market(rows: Rows, first: np.ndarray, i: int, steps: Sequence[Step]) -> list[tuple[int, Rows]]:
    """Move the prices of market `i` in place; return the messages to insert, each with the number of the row it goes before."""
    mine = rows["instrument"] == i
    starts = np.flatnonzero(mine & (first == np.arange(len(rows))))
    if not len(starts):
        return []
    books: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
    inserted: list[tuple[int, Rows]] = []
    done, last, offset, reference = 0, 0, 0, 0
    priced = mine & np.isin(rows["kind"], (DEPTH, TRADE, BBO, FUNDING)) & (rows["price_ticks"] != NO_PRICE)
    for k, step in enumerate(steps):
        later = starts[rows["ts_exch_ns"][starts] >= step.ts_ns]
        at = int(later[0]) if len(later) else len(rows)
        _shift(rows, priced, last, at, offset)
        part = rows[done:at][mine[done:at]]
        for side, levels in books.items():
            moved_part = part[np.isin(part["kind"], (DEPTH, CLEAR))].copy()
            unshifted = moved_part["kind"] == DEPTH
            moved_part["price_ticks"][unshifted] -= offset
            apply_levels(levels, moved_part, side)
        live = {side: {p: q for p, q in levels.items() if q > 0} for side, levels in books.items()}
        done, last = at, at
        if not live[BID] or not live[ASK]:
            continue
        if k == 0 or not reference:
            reference = (max(live[BID]) + min(live[ASK])) // 2
        before, offset = offset, round(reference * step.frac)
        stamp = _stamp(rows, at, step.ts_ns, i)
        message = _snapshot(live, offset, stamp)
        if step.prints and offset != before:
            message = np.concatenate([_sweep(live, before, offset, stamp), message])
        inserted.append((at, message))
    _shift(rows, priced, last, len(rows), offset)
    return inserted


def _first_rows(rows: Rows) -> np.ndarray:
    """Return the number of the first row of each row's message."""
    ends = (rows["flags"] & LAST) != 0
    starts = np.concatenate([[0], np.flatnonzero(ends)[:-1] + 1]) if ends.any() else np.array([0])
    message = np.concatenate([[0], np.cumsum(ends)[:-1]])
    return np.asarray(starts[np.minimum(message, len(starts) - 1)])


def _shift(rows: Rows, priced: np.ndarray, low: int, high: int, offset: int) -> None:
    if offset:
        rows["price_ticks"][low:high][priced[low:high]] += offset


def _stamp(rows: Rows, at: int, ts_ns: int, i: int) -> Rows:
    """Return one row with the times of a message that happened at `ts_ns` and took as long as its neighbours to arrive."""
    near = rows[max(at - 50, 0) : at + 50]
    stamp = np.zeros(1, EVENT)
    stamp["ts_exch_ns"], stamp["instrument"] = ts_ns, i
    stamp["ts_recv_ns"] = ts_ns + int(np.median(near["ts_recv_ns"] - near["ts_exch_ns"]))
    stamp["seq"] = rows["seq"][min(at, len(rows) - 1)]
    return stamp


def _snapshot(live: dict[int, dict[int, int]], offset: int, stamp: Rows) -> Rows:
    """Return one message that tells the whole book, `offset` ticks from where it was."""
    levels = [
        (side, price + offset, live[side][price]) for side in (BID, ASK) for price in sorted(live[side], reverse=side == BID)[:LEVELS]
    ]
    message = np.repeat(stamp, 1 + len(levels))
    message["kind"], message["flags"] = DEPTH, SNAPSHOT
    message["kind"][0], message["price_ticks"][0] = CLEAR, NO_PRICE
    message["side"][1:], message["price_ticks"][1:], message["qty_lots"][1:] = np.array(levels, np.int64).T
    message["flags"][-1] |= LAST
    return message


def _sweep(live: dict[int, dict[int, int]], before: int, offset: int, stamp: Rows) -> Rows:
    """Return the prints of a taker that goes through the levels between the old place of the book and the new one, best first.

    The last stands at the new best price, as large as all that it ate: whoever rested on the way has been traded through.
    """
    resting = BID if offset < before else ASK
    reached = (max(live[BID]) if resting == BID else min(live[ASK])) + offset
    eaten = sorted(((price + before, lots) for price, lots in live[resting].items()), reverse=resting == BID)
    prints = [(price, lots) for price, lots in eaten if (price - reached) * resting > 0]
    prints.append((reached, max(sum(lots for _, lots in prints), 1)))
    rows = np.repeat(stamp, len(prints))
    rows["kind"], rows["side"] = TRADE, -resting
    rows["price_ticks"], rows["qty_lots"] = np.array(prints, np.int64).T
    rows["flags"][-1] = LAST
    return rows


def held_back(rows: Rows, from_ns: int, until_ns: int) -> Rows:
    """Return rows of which those received in between all come at `until_ns`; at the exchange they happen as they did."""
    late = rows.copy()
    waits = (late["ts_recv_ns"] >= from_ns) & (late["ts_recv_ns"] < until_ns)
    late["ts_recv_ns"][waits] = until_ns
    return in_order(late)


def stopped(rows: Rows, from_ns: int, until_ns: int) -> Rows:
    """Return rows without the messages that happened in between."""
    began = rows["ts_exch_ns"][_first_rows(rows)]
    return rows[(began < from_ns) | (began >= until_ns)]


def in_order(rows: Rows) -> Rows:
    """Return rows that are never received before an earlier row, nor before they happened."""
    rows["ts_recv_ns"] = np.maximum.accumulate(np.maximum(rows["ts_recv_ns"], rows["ts_exch_ns"]))
    return np.ascontiguousarray(rows)

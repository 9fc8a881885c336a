"""Quotes as stays: each stretch in which an order of ours rested at one price, what was filled there, and the size that was live when."""

import numpy as np

from hftlab.analytics.facts.journeys import order_rows
from hftlab.analytics.facts.prices import best_at
from hftlab.types import ACCEPTED, AMENDED, CANCELED, DESK_STATE_NAMES, FILL, MAKER, NO_PRICE

STAY = np.dtype(
    [
        ("order_id", "i8"),
        ("instrument", "i8"),
        ("side", "i8"),
        ("price_ticks", "i8"),
        ("lots", "i8"),  # at its start
        ("ahead_lots", "i8"),  # told by the exchange at its start
        ("from_ns", "i8"),
        ("until_ns", "i8"),
        ("filled_lots", "i8"),
        ("first_fill_ns", "i8"),  # -1: none
        ("ended", "u1"),  # 0: it still rested in the end
    ]
)
"""One quote: an order at one price, from its acceptance (or the amend that brought it there) to the next amend or its end."""

_DOWN = tuple(DESK_STATE_NAMES.index(name) for name in ("HALTED", "STOPPED"))


def stays(own: np.ndarray, end_ns: int) -> np.ndarray:
    """Return STAY rows, by order and time, from the rows of a run. Orders that took and never rested have none."""
    rows = order_rows(own)
    rows = rows[np.isin(rows["kind"], (ACCEPTED, AMENDED, CANCELED, FILL))]
    rows = rows[np.lexsort((rows["ts_exch_ns"], rows["order_id"]))]
    if not len(rows):
        return np.zeros(0, STAY)
    kinds, new_order = rows["kind"], np.append(True, rows["order_id"][1:] != rows["order_id"][:-1])
    starts = np.isin(kinds, (ACCEPTED, AMENDED))
    # A stay ends where its order's next word that is not a partial fill stands.
    ends = starts | (kinds == CANCELED) | ((kinds == FILL) & (rows["leaves_lots"] == 0)) | new_order
    at = np.flatnonzero(starts)
    after = np.flatnonzero(ends)
    following = np.append(after, len(rows))[np.searchsorted(after, at, side="right")]
    inside = following < len(rows)
    same = inside & (rows["order_id"][np.minimum(following, len(rows) - 1)] == rows["order_id"][at])
    found = np.zeros(len(at), STAY)
    for name in ("order_id", "instrument", "side", "price_ticks"):
        found[name] = rows[name][at]
    found["lots"], found["ahead_lots"], found["from_ns"] = rows["leaves_lots"][at], rows["seq"][at], rows["ts_exch_ns"][at]
    found["until_ns"] = np.where(same, rows["ts_exch_ns"][np.minimum(following, len(rows) - 1)], end_ns)
    found["ended"] = same
    _add_fills(found, rows, at)
    return found


def _add_fills(found: np.ndarray, rows: np.ndarray, at: np.ndarray) -> None:
    fills = np.flatnonzero((rows["kind"] == FILL) & ((rows["flags"] & MAKER) != 0))
    found["first_fill_ns"] = -1
    if not len(at) or not len(fills):
        return
    stay = np.searchsorted(at, fills, side="right") - 1
    mine = (stay >= 0) & (rows["order_id"][fills] == rows["order_id"][at[np.maximum(stay, 0)]])
    stay, fills = stay[mine], fills[mine]
    np.add.at(found["filled_lots"], stay, rows["qty_lots"][fills])
    first, where = np.unique(stay, return_index=True)
    found["first_fill_ns"][first] = rows["ts_exch_ns"][fills[where]]


def pieces(own: np.ndarray, end_ns: int) -> np.ndarray:
    """Return STAY rows cut where a partial fill left less: within each, `lots` rested. Only those that lasted."""
    rows = order_rows(own)
    rows = rows[np.isin(rows["kind"], (ACCEPTED, AMENDED, CANCELED, FILL))]
    rows = rows[np.lexsort((rows["ts_exch_ns"], rows["order_id"]))]
    kinds = rows["kind"]
    placed = np.maximum.accumulate(np.where(np.isin(kinds, (ACCEPTED, AMENDED)), np.arange(len(rows)), -1)) if len(rows) else kinds
    same = np.append(rows["order_id"][1:] == rows["order_id"][:-1], False)[: len(rows)]
    until_ns = np.where(same, np.append(rows["ts_exch_ns"][1:], end_ns)[: len(rows)], end_ns)
    known = (placed >= 0) & (rows["order_id"][np.maximum(placed, 0)] == rows["order_id"]) if len(rows) else np.zeros(0, bool)
    rests = known & (kinds != CANCELED) & (rows["leaves_lots"] > 0) & (until_ns > rows["ts_exch_ns"])
    found = np.zeros(int(rests.sum()), STAY)
    for name in ("order_id", "instrument", "side"):
        found[name] = rows[name][rests]
    found["price_ticks"] = rows["price_ticks"][placed[rests]]  # a fill tells its own price, not the order's
    found["lots"], found["from_ns"], found["until_ns"] = rows["leaves_lots"][rests], rows["ts_exch_ns"][rests], until_ns[rests]
    return found


def live_lots(found: np.ndarray, prices: np.ndarray, within_ticks: int | None, edges_ns: np.ndarray) -> np.ndarray:
    """Return what rested on each side between neighbouring `edges_ns`, int64 of shape (2, len(edges) - 1), bids first.

    `found`: pieces of one market; every start and end of them and of `prices` within the edges must be an edge. Lots count where their
    price is at most `within_ticks` behind the best of their side (None: anywhere); without a best price there is no near.
    """
    lots = np.zeros((2, len(edges_ns) - 1), np.int64)
    if len(edges_ns) < 2:
        return lots
    bid, ask = best_at(prices, edges_ns[:-1])
    for row, (side, best) in enumerate(((1, bid), (-1, ask))):
        mine = found[found["side"] == side]
        low = np.searchsorted(edges_ns, mine["from_ns"], side="left")
        high = np.minimum(np.searchsorted(edges_ns, mine["until_ns"], side="left"), len(edges_ns) - 1)
        for a, b, price, size in zip(low.tolist(), high.tolist(), mine["price_ticks"].tolist(), mine["lots"].tolist(), strict=True):
            if within_ticks is None:
                lots[row, a:b] += size
                continue
            there = best[a:b]
            lots[row, a:b] += size * ((there != NO_PRICE) & (side * (there - price) <= within_ticks))
    return lots


def down_ns(states: np.ndarray, end_ns: int) -> list[tuple[int, int]]:
    """Return the stretches (desk's clock) in which the desk was halted or stopped, from its STATE rows."""
    desk = states[states["seq"] == 1]
    found, since = [], -1
    for row in desk:
        down = int(row["qty_lots"]) in _DOWN
        if down and since < 0:
            since = int(row["ts_recv_ns"])
        elif not down and since >= 0:
            found.append((since, int(row["ts_recv_ns"])))
            since = -1
    return [*found, (since, max(end_ns, since))] if since >= 0 else found


def stay_of(found: np.ndarray, order_id: np.ndarray, ts_ns: np.ndarray) -> np.ndarray:
    """Return the number of the stay (of `stays`) in which each order was at each time, -1 for none."""
    if not len(found):
        return np.full(len(order_id), -1, np.int64)
    ids = np.unique(found["order_id"])
    times, place = np.unique(np.concatenate([found["from_ns"], ts_ns]), return_inverse=True)
    # One sorted key out of (order, time): the last stay of an order that began at or before the time.
    key = np.searchsorted(ids, found["order_id"]) * len(times) + place[: len(found)]
    at = np.searchsorted(key, np.searchsorted(ids, order_id) * len(times) + place[len(found) :], side="right") - 1
    return np.where((at >= 0) & (found["order_id"][np.maximum(at, 0)] == order_id), at, -1)

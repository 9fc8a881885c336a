"""When and where our orders rested, on the exchange's clock, and what traded at our prices meanwhile."""

from collections.abc import Iterable

import numpy as np

from hftlab.analytics.facts.journeys import order_rows
from hftlab.types import ACCEPTED, AMENDED, AT_DESK, AT_EXCHANGE, CANCELED, FILL, TRADE

SEGMENT = np.dtype([("order_id", "i8"), ("instrument", "i8"), ("side", "i8"), ("price_ticks", "i8"), ("from_ns", "i8"), ("until_ns", "i8")])
"""A stretch of time in which one order rested at one price."""


def segments(own: np.ndarray, end_ns: int) -> np.ndarray:
    """Return SEGMENT, by start, from the rows of a run; what rests in the end rests until `end_ns`."""
    rows = order_rows(own)
    rows = rows[np.isin(rows["kind"], (ACCEPTED, AMENDED, CANCELED)) | ((rows["kind"] == FILL) & (rows["leaves_lots"] == 0))]
    rows = rows[np.lexsort((rows["ts_exch_ns"], rows["order_id"]))]
    same = np.append(rows["order_id"][1:] == rows["order_id"][:-1], False)
    until_ns = np.where(same, np.append(rows["ts_exch_ns"][1:], end_ns), end_ns)
    rests = np.isin(rows["kind"], (ACCEPTED, AMENDED)) & (until_ns > rows["ts_exch_ns"])
    found = np.zeros(int(rests.sum()), SEGMENT)
    for name in ("order_id", "instrument", "side", "price_ticks"):
        found[name] = rows[name][rests]
    found["from_ns"], found["until_ns"] = rows["ts_exch_ns"][rests], until_ns[rests]
    return found[np.argsort(found["from_ns"], kind="stable")]


def covered_ns(found: np.ndarray) -> int:
    """Return how long at least one of some segments (by start) was there."""
    if not len(found):
        return 0
    reach = np.maximum.accumulate(found["until_ns"])
    before = np.append(found["from_ns"][0], reach[:-1])
    return int(np.maximum(reach - np.maximum(found["from_ns"], before), 0).sum())


def quoted_s(found: np.ndarray) -> dict[str, float]:
    """Return seconds with a resting bid, a resting ask, both, and either, of one market."""
    bid, ask = covered_ns(found[found["side"] > 0]), covered_ns(found[found["side"] < 0])
    either = covered_ns(found)
    return {"bid": bid / 1e9, "ask": ask / 1e9, "both": (bid + ask - either) / 1e9, "either": either / 1e9}


def traded_at_our_prices(found: np.ndarray, chunks: Iterable[np.ndarray]) -> dict[tuple[int, int], int]:
    """Return the lots that traded at the price of a resting order of ours, by (instrument, our side); each print counts once.

    `chunks` are EVENT rows of the tape in any pieces; only TRADE rows are read, and the desk's copies of merged rows are not.
    """
    lots: dict[tuple[int, int], int] = {}
    for rows in chunks:
        ours = (rows["flags"] & (AT_DESK | AT_EXCHANGE)) != AT_DESK
        prints = rows[(rows["kind"] == TRADE) & ours]
        prints = prints[np.argsort(prints["ts_exch_ns"], kind="stable")]
        if not len(prints):
            continue
        times = prints["ts_exch_ns"]
        near = found[(found["from_ns"] <= times[-1]) & (found["until_ns"] >= times[0])]
        low, high = np.searchsorted(times, near["from_ns"], side="right"), np.searchsorted(times, near["until_ns"], side="right")
        hit = np.zeros(len(prints), bool)
        for n in np.flatnonzero(high > low):
            part, one = prints[low[n] : high[n]], near[n]
            at_price = (part["price_ticks"] == one["price_ticks"]) & (part["side"] == -one["side"])
            hit[low[n] : high[n]] |= at_price & (part["instrument"] == one["instrument"])
        for i in np.unique(prints["instrument"][hit]):
            for side in (1, -1):
                mine = hit & (prints["instrument"] == i) & (prints["side"] == -side)
                lots[int(i), side] = lots.get((int(i), side), 0) + int(prints["qty_lots"][mine].sum())
    return lots

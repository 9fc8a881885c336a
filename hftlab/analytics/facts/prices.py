"""Best prices and mid of one market over a whole run: a row only where a price changed, and what they were at any time.

A path forgets what no fill can ask for any more; costs and quality ask of every order and every moment. Sizes change many times as
often as prices, so that prices alone are small beside what a quoter asks for; beyond 64 MB they lie in a file (see `Grow`).
"""

import numpy as np

from hftlab.analytics.facts.path import Path
from hftlab.analytics.grow import Grow
from hftlab.types import NO_PRICE

PRICE = np.dtype([("ts_ns", "i8"), ("bid_ticks", "i8"), ("ask_ticks", "i8"), ("mid2", "i8")])
"""From `ts_ns` (exchange's clock) on: best prices, NO_PRICE for none, and the mid in half ticks, the last known where a side is missing."""

_NAMES = ("bid_ticks", "ask_ticks", "mid2")


class Prices:
    """The changes of one market's prices. Told by the exchange's touches, or by `see`: then these stand instead."""

    def __init__(self) -> None:
        self._told, self._seen = Grow(PRICE), Grow(PRICE)
        self._count = 0  # touches of the path that were read

    @property
    def rows(self) -> np.ndarray:
        """Return PRICE rows by time."""
        return (self._seen if len(self._seen) else self._told).rows

    def follow(self, path: Path) -> None:
        """Read the touches that a path took in since the last look."""
        new = path.count - self._count
        self._count = path.count
        if new:
            part = path.last(new)
            _append(self._told, part["ts_ns"], part["bid_ticks"], part["ask_ticks"], part["mid2"])

    def see(self, ts_ns: np.ndarray, bid_ticks: np.ndarray, ask_ticks: np.ndarray) -> None:
        """Read best prices off a book that the exchange did not write down (int64, shape (n,), by time)."""
        known = (bid_ticks != NO_PRICE) & (ask_ticks != NO_PRICE)
        before = int(self._seen.rows["mid2"][-1]) if len(self._seen) else NO_PRICE
        last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1)) if len(known) else np.zeros(0, np.int64)
        mid2 = np.where(last >= 0, (np.where(known, bid_ticks, 0) + np.where(known, ask_ticks, 0))[last], before)
        _append(self._seen, ts_ns, bid_ticks, ask_ticks, mid2)


def _append(grown: Grow, ts_ns: np.ndarray, *values: np.ndarray) -> None:
    if not len(ts_ns):
        return
    last = grown.rows[-1] if len(grown) else None
    changed = np.zeros(len(ts_ns), bool)
    for name, column in zip(_NAMES, values, strict=True):
        changed[1:] |= column[1:] != column[:-1]
        changed[0] |= last is None or column[0] != last[name]
    found = np.zeros(int(changed.sum()), PRICE)
    floor = int(ts_ns[0]) if last is None else int(last["ts_ns"])
    found["ts_ns"] = np.maximum(np.maximum.accumulate(ts_ns), floor)[changed]
    for name, column in zip(_NAMES, values, strict=True):
        found[name] = column[changed]
    grown.append(found)


def mids2_at(prices: np.ndarray, ts_ns: np.ndarray) -> np.ndarray:
    """Return the mids in half ticks at times (int64, shape (n,)); before the first mid it is that first one, NO_PRICE without any."""
    known = prices["mid2"] != NO_PRICE
    if not known.any():
        return np.full(len(ts_ns), NO_PRICE, np.int64)
    told = prices[known]
    return told["mid2"][np.maximum(np.searchsorted(told["ts_ns"], ts_ns, side="right") - 1, 0)]


def best_at(prices: np.ndarray, ts_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return best bids and asks in ticks at times (int64, shape (n,)), NO_PRICE where there is none."""
    if not len(prices):
        nothing = np.full(len(ts_ns), NO_PRICE, np.int64)
        return nothing, nothing.copy()
    index = np.searchsorted(prices["ts_ns"], ts_ns, side="right") - 1
    bid, ask = (np.where(index >= 0, prices[name][np.maximum(index, 0)], NO_PRICE) for name in ("bid_ticks", "ask_ticks"))
    return bid, ask

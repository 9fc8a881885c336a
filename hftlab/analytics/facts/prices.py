"""Best prices and mid of one market over a whole run: a row only where a price changed, and what they were at any time.

The one place where prices are kept for longer than a fill can ask for its touch: markouts at any horizon, costs and quality read it.
Sizes change many times as often as prices, so that prices alone are small beside what a quoter asks for; beyond 64 MB they lie in a
file (see `Grow`).
"""

import numpy as np

from hftlab.analytics.grow import Grow
from hftlab.types import NO_PRICE

PRICE = np.dtype([("ts_ns", "i8"), ("bid_ticks", "i8"), ("ask_ticks", "i8"), ("mid2", "i8")])
"""From `ts_ns` (exchange's clock) on: best prices, NO_PRICE for none, and the mid in half ticks, the last known where a side is missing."""

_NAMES = ("bid_ticks", "ask_ticks", "mid2")


class Prices:
    """The changes of one market's prices: `told` by the exchange's touches (the desk's fair price where it wrote none), or `seen`.

    What is seen, on the book of an exchange that writes no touches, stands instead of what was told for best prices, costs and quality
    (`rows`). Mids of markouts are those that were told, as the fills' own are.
    """

    def __init__(self) -> None:
        self._told, self._seen = Grow(PRICE), Grow(PRICE)

    @property
    def rows(self) -> np.ndarray:
        """Return PRICE rows by time."""
        return (self._seen if len(self._seen) else self._told).rows

    @property
    def told(self) -> np.ndarray:
        """Return the PRICE rows that were told, by time, from the first that has a mid on."""
        return _from_first_mid(self._told.rows)

    def tell(self, ts_ns: np.ndarray, bid_ticks: np.ndarray, ask_ticks: np.ndarray, mid2: np.ndarray) -> None:
        """Add prices of touches (int64, shape (n,), by time); a mid goes on where a side is missing."""
        _append(self._told, ts_ns, bid_ticks, ask_ticks, mid2)

    def see(self, ts_ns: np.ndarray, bid_ticks: np.ndarray, ask_ticks: np.ndarray) -> None:
        """Read best prices off a book that the exchange did not write down (int64, shape (n,), by time)."""
        known = (bid_ticks != NO_PRICE) & (ask_ticks != NO_PRICE)
        before = int(self._seen.rows["mid2"][-1]) if len(self._seen) else NO_PRICE
        last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1)) if len(known) else np.zeros(0, np.int64)
        mid2 = np.where(last >= 0, (np.where(known, bid_ticks, 0) + np.where(known, ask_ticks, 0))[last], before)
        _append(self._seen, ts_ns, bid_ticks, ask_ticks, mid2)

    def mids2_at(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return the mid told for each time, in half ticks; before the first mid it is that first one, NO_PRICE without any."""
        return mids2_at(self.told, ts_ns)

    def mid_known(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return whether a mid had been told at each time."""
        told = self.told
        return np.asarray(ts_ns) >= told["ts_ns"][0] if len(told) else np.zeros(np.shape(ts_ns), bool)

    def mids2_between(self, low_ns: int, high_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return times and mids, in half ticks, of the steps between two times, with what stood at both ends."""
        told = self.told
        told = told[np.diff(told["mid2"], prepend=NO_PRICE) != 0]
        first, last = np.searchsorted(told["ts_ns"], (low_ns, high_ns), side="right")
        ends = mids2_at(told, np.array([low_ns, high_ns]))
        return (
            np.concatenate([[low_ns], told["ts_ns"][first:last], [high_ns]]),
            np.concatenate([ends[:1], told["mid2"][first:last], ends[1:]]),
        )


def _from_first_mid(rows: np.ndarray) -> np.ndarray:
    """Return PRICE rows from the first that has a mid on: from there every row has one."""
    known = rows["mid2"] != NO_PRICE
    return rows[int(np.argmax(known)) :] if known.any() else rows[:0]


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
    """Return the mids of PRICE rows in half ticks at times (int64, any shape); before the first mid it is that first one, NO_PRICE without any."""
    told = _from_first_mid(prices)
    if not len(told):
        return np.full(np.shape(ts_ns), NO_PRICE, np.int64)
    return np.asarray(told["mid2"][np.maximum(np.searchsorted(told["ts_ns"], ts_ns, side="right") - 1, 0)])


def best_at(prices: np.ndarray, ts_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return best bids and asks in ticks at times (int64, shape (n,)), NO_PRICE where there is none."""
    if not len(prices):
        nothing = np.full(len(ts_ns), NO_PRICE, np.int64)
        return nothing, nothing.copy()
    index = np.searchsorted(prices["ts_ns"], ts_ns, side="right") - 1
    bid, ask = (np.where(index >= 0, prices[name][np.maximum(index, 0)], NO_PRICE) for name in ("bid_ticks", "ask_ticks"))
    return bid, ask

"""The mid of one instrument over the whole run, at its changes: what a markout at any horizon, or a fill's own minute, is read from.

Best prices change by size far more often than by price, so this is a small part of the touches; beyond 64 MB it lies in a file.
"""

import numpy as np

from hftlab.analytics.grow import Grow
from hftlab.types import NO_PRICE

MID = np.dtype([("ts_ns", "i8"), ("mid2", "i8")])


class Mids:
    """Mids in half ticks (bid + ask) at the exchange's times at which they changed; each holds until the next."""

    def __init__(self) -> None:
        self._rows = Grow(MID)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def ts_ns(self) -> np.ndarray:
        """Return the times of the changes, i8, not falling."""
        return np.asarray(self._rows.rows["ts_ns"])

    @property
    def mid2(self) -> np.ndarray:
        """Return the mids from each of these times on, i8."""
        return np.asarray(self._rows.rows["mid2"])

    def extend(self, ts_ns: np.ndarray, mid2: np.ndarray) -> None:
        """Add mids in order of time; those that say nothing new, or nothing (NO_PRICE), are left out."""
        last = self._rows.rows["mid2"][-1] if len(self._rows) else NO_PRICE
        new = (mid2 != np.concatenate([[last], mid2[:-1]])) & (mid2 != NO_PRICE)
        rows = np.empty(int(new.sum()), MID)
        rows["ts_ns"], rows["mid2"] = ts_ns[new], mid2[new]
        self._rows.append(rows)

    def at(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return the mid2 that stood at each time, the first known one before that; NO_PRICE where there never was any."""
        if not len(self):
            return np.full(np.shape(ts_ns), NO_PRICE, np.int64)
        return self.mid2[np.maximum(np.searchsorted(self.ts_ns, ts_ns, side="right") - 1, 0)]

    def known(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return whether a mid was known at each time."""
        return np.asarray(ts_ns) >= self.ts_ns[0] if len(self) else np.zeros(np.shape(ts_ns), bool)

    def between(self, low_ns: int, high_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return times and mid2 of the steps between two times, with what stood at both ends."""
        first, last = np.searchsorted(self.ts_ns, (low_ns, high_ns), side="right")
        ends = self.at(np.array([low_ns, high_ns]))
        return (
            np.concatenate([[low_ns], self.ts_ns[first:last], [high_ns]]),
            np.concatenate([ends[:1], self.mid2[first:last], ends[1:]]),
        )

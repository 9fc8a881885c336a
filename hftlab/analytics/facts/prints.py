"""The public prints of one instrument, on the exchange's clock, and what can be told of the flow at any moment from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hftlab.types import AT_DESK, AT_EXCHANGE, TRADE

VPIN_WINDOW = 50
VPIN_BUCKETS_A_RUN = 500


@dataclass(frozen=True)
class Prints:
    """Prints in order of time: when (i8), at what price, how much, and the side of the aggressor (1 buys, -1 sells, 0 unknown)."""

    ts_ns: np.ndarray
    price_ticks: np.ndarray
    qty_lots: np.ndarray
    side: np.ndarray

    @classmethod
    def read(cls, chunks: Iterable[np.ndarray], instruments: int) -> "tuple[Prints, ...]":
        """Return the prints of each instrument in chunks of market rows (EVENT); of a row with two copies, the exchange's."""
        found = []
        for rows in chunks:
            theirs = (rows["flags"] & (AT_EXCHANGE | AT_DESK)) != AT_DESK
            found.append(rows[(rows["kind"] == TRADE) & theirs][["ts_exch_ns", "price_ticks", "qty_lots", "side", "instrument"]])
        rows = np.concatenate(found) if found else np.zeros(0, [("instrument", "u4")])
        made = []
        for i in range(instruments):
            mine = rows[rows["instrument"] == i]
            if not len(mine):
                nothing = np.zeros(0, np.int64)
                made.append(cls(nothing, nothing, nothing, nothing))
                continue
            mine = mine[np.argsort(mine["ts_exch_ns"], kind="stable")]
            made.append(cls(*(mine[name].astype(np.int64) for name in ("ts_exch_ns", "price_ticks", "qty_lots", "side"))))
        return tuple(made)

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the volume, and the volume of buyers less that of sellers, before each print and after the last."""
        return tuple(np.concatenate([[0], np.cumsum(lots)]) for lots in (self.qty_lots, self.side * self.qty_lots))  # type: ignore[return-value]

    def balance(self, ts_ns: np.ndarray, window_ns: int) -> np.ndarray:
        """Return (bought - sold) / both in the window before each time, that time itself not in it; NaN where nothing was traded."""
        first, last = (np.searchsorted(self.ts_ns, when, side="left") for when in (ts_ns - window_ns, ts_ns))
        whole, signed = (total[last] - total[first] for total in self._sums)
        return np.where(whole > 0, signed / np.maximum(whole, 1), np.nan)

    def levels(self, ts_ns: np.ndarray, aggressor: np.ndarray) -> np.ndarray:
        """Return at how many prices that aggressor (1, -1) traded at that very time; 0 where there is no such print.

        One order that eats through several prices is printed price by price with one time.
        """
        keys = np.stack([self.ts_ns, self.side, self.price_ticks], axis=1)
        keys = np.unique(keys, axis=0)[:, :2]
        events, count = np.unique(keys, axis=0, return_counts=True) if len(keys) else (keys, np.zeros(0, np.int64))
        found = np.zeros(len(ts_ns), np.int64)
        for side in (1, -1):
            mine, wanted = events[:, 1] == side, np.flatnonzero(aggressor == side)
            times, counts = events[mine, 0], count[mine]
            if len(times):
                at = np.minimum(np.searchsorted(times, ts_ns[wanted]), len(times) - 1)
                found[wanted] = np.where(times[at] == ts_ns[wanted], counts[at], 0)
        return found

    def vpin(self, bucket_lots: float | None = None, window: int = VPIN_WINDOW) -> tuple[np.ndarray, np.ndarray]:
        """Return when each bucket of volume was full (i8) and VPIN over the last `window` of them (f8), from the first such time on.

        VPIN = Σ |V_buy - V_sell| / (n V) over n buckets of volume V, prints split where a bucket is full (Easley, López de Prado &
        O'Hara 2012). They guess the side of volume from price changes; ours is printed. V is a five-hundredth of what was traded, if
        not given: known only afterwards, so this is for looking back.
        """
        whole, signed = self._sums
        size = whole[-1] / VPIN_BUCKETS_A_RUN if bucket_lots is None else float(bucket_lots)
        count = int(whole[-1] / size + 1e-9) if size > 0 else 0
        if count < window:
            return np.zeros(0, np.int64), np.zeros(0)
        edges = np.arange(count + 1) * size
        uneven = np.abs(np.diff(np.interp(edges, whole, signed)))
        full = self.ts_ns[np.minimum(np.searchsorted(whole, edges[1:] - 1e-9) - 1, len(self.ts_ns) - 1)]
        sums = np.concatenate([[0.0], np.cumsum(uneven)])
        return full[window - 1 :], (sums[window:] - sums[:-window]) / (window * size)

    def vpin_before(self, ts_ns: np.ndarray, bucket_lots: float | None = None) -> np.ndarray:
        """Return VPIN of the buckets that were full before each time, NaN where there were too few."""
        when, found = self.vpin(bucket_lots)
        at = np.searchsorted(when, ts_ns, side="left") - 1
        return np.where(at >= 0, found[np.maximum(at, 0)], np.nan) if len(when) else np.full(len(ts_ns), np.nan)

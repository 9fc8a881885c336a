"""The path of one instrument's mid on the exchange's clock, read once as it is written, and what follows from it.

Rows of the touch are many (every change of best price or size), so none is kept longer than it can still be asked for: a
markout looks at most a minute ahead, a report comes home some latency after its match. What is older is summed up:
inventory carry by the hour, and the mid at the end of each hour. The changes of the mid alone are kept (`mids`).
"""

from collections import defaultdict
from itertools import pairwise

import numpy as np

from hftlab.analytics.exact import product, total, value2
from hftlab.analytics.facts.mids import Mids
from hftlab.errors import AccountingError
from hftlab.instrument import Instrument
from hftlab.types import NO_PRICE

HORIZONS_S = (0.1, 1.0, 5.0, 30.0, 60.0)
HORIZONS_NS = tuple(int(s * 1e9) for s in HORIZONS_S)
HOUR_NS = 3_600_000_000_000

_COLUMNS = ("ts_ns", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots", "order_id", "mid2")


class Path:
    """Touches of one instrument in a moving window, its mid in half ticks (bid + ask), and the sums over what left the window.

    `carry2[k][hour]` is Σ position x Δvalue of the mid over the moves of that UTC hour, in halves of a money unit, where a fill
    counts as position from HORIZONS_NS[k] after its match on: the path's own account of what holding inventory made.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.touched = False  # the exchange itself spoke; before that the desk's fair price stands in
        self.count = 0  # touches seen
        self.first_mid2, self.last_mid2 = NO_PRICE, NO_PRICE
        self.hour_mid2: dict[int, int] = {}
        self.mids = Mids()
        self.carry2: tuple[dict[int, int], ...] = tuple(defaultdict(int) for _ in HORIZONS_NS)
        self._window = {name: np.zeros(0, np.int64) for name in _COLUMNS}
        self._settled = 0  # rows at the window's front whose moves are in the sums
        self._settled_mid2 = NO_PRICE
        self._fill_ns, self._fill_lots = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._base_lots = 0  # position of the fills that are too old for the lists above

    @property
    def ts_ns(self) -> np.ndarray:
        """Return the exchange times in the window."""
        return self._window["ts_ns"]

    @property
    def dropped(self) -> int:
        """Return how many touches have left the window."""
        return self.count - len(self.ts_ns)

    # --- what comes in ---------------------------------------------------------------------------------------------------
    def extend(self, touches: np.ndarray) -> None:
        """Add TOUCH rows in the order in which they were written. A side that is missing (NO_PRICE) leaves the mid where it was."""
        bid, ask = touches["price_ticks"], touches["leaves_lots"]
        mid2 = np.where((bid == NO_PRICE) | (ask == NO_PRICE), NO_PRICE, bid + ask)
        self._add(touches["ts_exch_ns"], (bid, touches["qty_lots"], ask, touches["order_id"], touches["seq"]), mid2)

    def extend_mids(self, ts_ns: np.ndarray, mid2: np.ndarray) -> None:
        """Add mids that were not read from a touch: there are no best prices to them."""
        nothing, zero = np.full(len(mid2), NO_PRICE, np.int64), np.zeros(len(mid2), np.int64)
        self._add(ts_ns, (nothing, zero, nothing, zero, zero), mid2)

    def _add(self, ts_ns: np.ndarray, touch: tuple[np.ndarray, ...], mid2: np.ndarray) -> None:
        if not len(ts_ns):
            return
        known = mid2 != NO_PRICE
        if not known.all():  # the last known mid goes on
            last = np.maximum.accumulate(np.where(known, np.arange(len(mid2)), -1))
            mid2 = np.where(last >= 0, mid2[last], self.last_mid2)
        if self.first_mid2 == NO_PRICE and known.any():
            self.first_mid2 = int(mid2[np.argmax(known)])
        self.last_mid2 = int(mid2[-1])
        if len(self.ts_ns):
            ts_ns = np.maximum(ts_ns, self.ts_ns[-1])
        ts_ns = np.maximum.accumulate(ts_ns)
        self.mids.extend(ts_ns, mid2)
        new = (ts_ns, *touch, mid2)
        self._window = {name: np.concatenate([self._window[name], part]) for name, part in zip(_COLUMNS, new, strict=True)}
        self.count += len(ts_ns)

    def fill(self, ts_ns: np.ndarray, signed_lots: np.ndarray) -> None:
        """Tell of fills of ours: when they were matched, and how many lots, bought > 0."""
        if len(ts_ns) and self._settled and ts_ns.min() < self.ts_ns[0]:
            raise AccountingError(
                f"{self.instrument.name}: a fill was learned of so long after its match that the market of that time is no longer kept. "
                "Give Collector(keep_s=…) more than the longest response latency."
            )
        self._fill_ns = np.concatenate([self._fill_ns, ts_ns])
        self._fill_lots = np.concatenate([self._fill_lots, signed_lots])

    # --- what is asked ---------------------------------------------------------------------------------------------------
    def last(self, count: int) -> dict[str, np.ndarray]:
        """Return the last `count` touches of the window, column by column: views."""
        start = len(self.ts_ns) - count
        return {name: column[start:] for name, column in self._window.items()}

    def index_at(self, ts_ns: np.ndarray) -> np.ndarray:
        """Return the window index of the last touch at or before each time, -1 for none."""
        return np.searchsorted(self.ts_ns, ts_ns, side="right") - 1

    def index_of_fills(self, ts_ns: np.ndarray, order_id: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Return the window index of the touch in which each fill happened: the one written for its order at that very time.

        Where none names the order it is the last at or before the match, of the first `before` touches ever seen: those
        written by the time the fill was learned of.
        """
        last = np.minimum(np.searchsorted(self.ts_ns, ts_ns, side="right"), before - self.dropped) - 1
        index, named = last.copy(), self._window["order_id"]
        while True:  # a venue that stamps milliseconds has several touches at one time
            back = (index > 0) & (named[index] != order_id)
            back[back] = self.ts_ns[index[back] - 1] == ts_ns[back]
            if not back.any():
                return np.where((index >= 0) & (named[np.maximum(index, 0)] == order_id), index, last)
            index[back] -= 1

    def mid2_at(self, index: np.ndarray) -> np.ndarray:
        """Return the mids at window indices; before the first mid it is that first one."""
        if not len(self.ts_ns):
            return np.full(len(index), self.first_mid2, np.int64)
        mid2 = self._window["mid2"][np.maximum(index, 0)]
        return np.where((index < 0) | (mid2 == NO_PRICE), self.first_mid2, mid2)

    def touch_at(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Return bid_ticks, bid_lots, ask_ticks and ask_lots at window indices; NO_PRICE and 0 where there is none."""
        found = {}
        for name in _COLUMNS[1:5]:
            nothing = NO_PRICE if name.endswith("_ticks") else 0
            column = self._window[name]
            found[name] = np.where(index < 0, nothing, column[np.maximum(index, 0)]) if len(column) else np.full(len(index), nothing)
        return found

    # --- what is summed up ------------------------------------------------------------------------------------------------
    def settle(self, until_ns: int) -> None:
        """Add the moves up to `until_ns`, for which every fill is known, to the sums, and let their touches go."""
        start, stop = self._settled, int(np.searchsorted(self.ts_ns, until_ns, side="right"))
        if stop <= start:
            return
        ts_ns, mid2 = self.ts_ns[start:stop], self._window["mid2"][start:stop]
        before = np.concatenate([[self._settled_mid2], mid2[:-1]])
        self._close_hours(ts_ns, mid2)
        moved = (mid2 != before) & (before != NO_PRICE)
        if moved.any():
            self._carry(ts_ns[moved], value2(self.instrument, mid2[moved]) - value2(self.instrument, before[moved]))
        self._settled_mid2 = int(mid2[-1])
        self._window = {name: column[stop - 1 :].copy() for name, column in self._window.items()}
        self._settled = 1
        old = self._fill_ns + HORIZONS_NS[-1] < ts_ns[-1]
        self._base_lots += total(self._fill_lots[old])
        self._fill_ns, self._fill_lots = self._fill_ns[~old], self._fill_lots[~old]

    def _close_hours(self, ts_ns: np.ndarray, mid2: np.ndarray) -> None:
        hours = ts_ns // HOUR_NS
        for at in (*np.flatnonzero(np.diff(hours)), len(hours) - 1):
            if mid2[at] != NO_PRICE:
                self.hour_mid2[int(hours[at])] = int(mid2[at])

    def _carry(self, ts_ns: np.ndarray, moves2: np.ndarray) -> None:
        order = np.argsort(self._fill_ns, kind="stable")
        fill_ns = self._fill_ns[order]
        lots = np.concatenate([[0], np.cumsum(self._fill_lots[order])]) + self._base_lots
        hours = ts_ns // HOUR_NS
        cuts = [0, *(np.flatnonzero(np.diff(hours)) + 1), len(hours)]
        for k, horizon_ns in enumerate(HORIZONS_NS):
            held = product(lots[np.searchsorted(fill_ns + horizon_ns, ts_ns, side="left")], moves2)
            for low, high in pairwise(cuts):
                self.carry2[k][int(hours[low])] += total(held[low:high])

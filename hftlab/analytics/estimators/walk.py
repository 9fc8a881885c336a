"""From market rows to what estimators look at: the one pass that all estimators of a source share."""

from dataclasses import dataclass

import numpy as np

from hftlab.analytics.grow import Grow
from hftlab.errors import InputError
from hftlab.kernels import est_walk
from hftlab.kernels.jit import records
from hftlab.types import BOOK, EVENT, NO_PRICE, VPIN_BUCKETS

NS = 1_000_000_000
_PIECE = 1 << 16  # rows read together: the room for what they add is a few MB

TOUCHED = np.dtype([("recv_ns", "i8"), ("exch_ns", "i8"), ("bid_ticks", "i8"), ("ask_ticks", "i8")])
"""A change of the touch; NO_PRICE on both sides while there is no book to be trusted."""

SAMPLED = np.dtype(
    [
        ("recv_ns", "i8"),
        ("bid_ticks", "i8"),
        ("ask_ticks", "i8"),
        ("first", "i8"),  # 1: no sample stands before it that it could have moved from
        ("bid_lots", "i8", (est_walk.DEPTH_LEVELS,)),
        ("ask_lots", "i8", (est_walk.DEPTH_LEVELS,)),
    ]
)
"""The touch and the sizes of the best occupied levels, at least 0.1 s after the sample before."""

MARKET_ORDER_SEEN = np.dtype(
    [
        ("exch_ns", "i8"),
        ("recv_ns", "i8"),
        ("side", "i8"),
        ("qty_lots", "i8"),
        ("price_ticks", "i8"),  # the worst that it paid
        ("bid_ticks", "i8"),  # the touch that it met, NO_PRICE when not known
        ("ask_ticks", "i8"),
    ]
)
"""One market order: the prints of one side at one exchange time."""

_STATE = np.dtype(
    [(name, "i8") for name in ("ready", "bid_ticks", "ask_ticks", "before_bid_ticks", "before_ask_ticks", "touch_exch_ns", "sampled_ns")]
    + [(name, "i8") for name in ("now_recv_ns", "now_exch_ns", "touches", "samples", "orders")]
    + [(f"open_{name}", "i8") for name in ("exch_ns", "recv_ns", "side", "lots", "ticks", "bid_ticks", "ask_ticks")]
)

VPIN_STATE = np.dtype(
    [
        ("limits", [("vpin_bucket_lots", "f8")]),
        ("vpin", "f8"),
        ("vpin_sum_lots", "i8"),
        ("vpin_count", "i8"),
        ("vpin_open_lots", "i8"),
        ("vpin_signed_lots", "i8"),
        ("vpin_lots", "i8", (VPIN_BUCKETS,)),
    ]
)
"""The fields of MARKET that `kernels.toxicity.on_print` works on."""


@dataclass(frozen=True)
class Seen:
    """What one pass saw: TOUCHED, SAMPLED and MARKET_ORDER_SEEN rows, and the times (ns) up to which it looked."""

    touches: np.ndarray
    samples: np.ndarray
    orders: np.ndarray
    end_recv_ns: int
    end_exch_ns: int


class Walk:
    """Reads EVENT rows of one market in any chunks and keeps their book. `market` is its number on the source."""

    def __init__(self, market: int = 0) -> None:
        self._market = market
        self._book = records(np.zeros(1, BOOK))
        self._state = records(np.zeros(1, _STATE))
        est_walk.begin(self._book[0], self._state)

    def read(self, rows: np.ndarray) -> Seen:
        """Return what the next rows (EVENT, in receive order) add. Raises InputError for other rows."""
        if rows.dtype != EVENT:
            raise InputError(f"rows had dtype {rows.dtype}; wanted rows of hftlab.types.EVENT, as tape.rows or tape.chunks() give.")
        parts = [self._read(rows[low : low + _PIECE]) for low in range(0, max(len(rows), 1), _PIECE)]
        head = self._state[0]
        touches, samples, orders = (np.concatenate([part[k] for part in parts]) for k in range(3))
        return Seen(touches, samples, orders, int(head["now_recv_ns"]), int(head["now_exch_ns"]))

    def _read(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        count = len(rows)
        made = [records(np.zeros(count + 1, dtype)) for dtype in (TOUCHED, SAMPLED, MARKET_ORDER_SEEN)]
        est_walk.walk(records(rows), self._market, self._book[0], self._state, *made)
        head = self._state[0]
        return tuple(part[: int(head[name])] for part, name in zip(made, ("touches", "samples", "orders"), strict=True))


class Watching:
    """An estimator of one market: `update(rows)` reads EVENT rows in any chunks, `take(seen)` what a shared Walk has read.

    It keeps what it needs of the last `window_s` seconds (None: of all).
    """

    KEEPS: tuple[str, ...] = ("touches",)

    def __init__(self, *, market: int = 0, window_s: float | None = None) -> None:
        self._walk: Walk | None = None
        self._market = market
        self.window_s = window_s
        dtypes = {"touches": TOUCHED, "samples": SAMPLED, "orders": MARKET_ORDER_SEEN}
        self._kept = {name: Grow(dtypes[name]) for name in self.KEEPS}
        self.end_recv_ns = 0
        self.end_exch_ns = 0

    def update(self, rows: np.ndarray) -> None:
        """Read the next EVENT rows, in receive order; where they are cut makes no difference."""
        if self._walk is None:
            self._walk = Walk(self._market)
        self.take(self._walk.read(rows))

    def take(self, seen: Seen) -> None:
        """Take what a shared Walk has read."""
        for name, kept in self._kept.items():
            kept.append(getattr(seen, name))
        self.end_recv_ns, self.end_exch_ns = max(self.end_recv_ns, seen.end_recv_ns), max(self.end_exch_ns, seen.end_exch_ns)

    def rows(self, name: str) -> np.ndarray:
        """Return the kept rows of the window: those of `touches`, `samples` or `orders` that came in its time.

        The touch that stood when the window began is kept, with the time of that begin.
        """
        found = self._kept[name].rows
        if self.window_s is None or not len(found):
            return found
        from_ns = self.end_recv_ns - int(self.window_s * NS)
        at = int(np.searchsorted(found["recv_ns"], from_ns, side="left"))
        if name != "touches" or at == 0:
            return found[at:]
        opening = found[at - 1 : at].copy()
        lag_ns = int(opening["recv_ns"][0] - opening["exch_ns"][0])
        opening["recv_ns"], opening["exch_ns"] = from_ns, max(from_ns - lag_ns, int(opening["exch_ns"][0]))
        return np.concatenate([opening, found[at:]])


def known(touches: np.ndarray) -> np.ndarray:
    """Return which touches (TOUCHED) tell of a book."""
    return touches["bid_ticks"] != NO_PRICE


def stays_s(touches: np.ndarray, end_ns: int, clock: str = "exch_ns") -> np.ndarray:
    """Return for how many seconds each touch stood, f8; the last one until `end_ns`."""
    times = np.maximum.accumulate(touches[clock])
    return np.diff(np.append(times, max(end_ns, int(times[-1]) if len(times) else 0))) / NS

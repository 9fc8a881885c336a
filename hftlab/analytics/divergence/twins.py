"""Two runs of one session held side by side: each order of the one with its twin in the other, each lot with the same lot.

The unit is the stay (an order at one price, see `fit_fills_stays`) and the order that took. Twins have the same instrument, side and
price, and were decided within `window_ns` of each other: the nearest first, each order once. The first lot filled of an order is held
against the first lot of its twin, and so on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hftlab.analytics.exact import value2
from hftlab.analytics.fit_fills.stays import stays
from hftlab.errors import AccountingError
from hftlab.instrument import Instrument
from hftlab.types import FILL, MAKER

NONE = -1
MILLION = 1_000_000

FILL_OF = np.dtype(
    [
        ("which", "i8"),  # of the stays, or of the takers
        ("taker", "u1"),
        ("ts_ns", "i8"),
        ("told_ns", "i8"),
        ("lots", "i8"),
        ("price_ticks", "i8"),
        ("fee_u", "i8"),  # millionths of a ticklot
        ("side", "i1"),
    ]
)
"""One fill with the stay or the taker whose it was."""

PAIR = np.dtype([("live", "i8"), ("other", "i8"), ("lots", "i8"), ("half_u", "O")])
"""`lots` of fill `live` and of fill `other` (NONE: of neither), and the money they make apart: millionths of half a ticklot."""


@dataclass(frozen=True)
class Run:
    """What one run did in one instrument: STAY, their PARTs, TAKER, and every fill (FILL_OF)."""

    found: np.ndarray
    parts: np.ndarray
    takers: np.ndarray
    fills: np.ndarray

    @classmethod
    def of(cls, own: np.ndarray, fees: np.ndarray, rules: tuple[int, ...], index: int, end_ns: int, shift_ns: int = 0) -> "Run":
        """Return the run of instrument `index` from its rows; `fees` holds the FEE of each FILL in `own`, in their order.

        Raises AccountingError when a fill has no fee, or is of no order that is known.
        """
        filled = own[own["kind"] == FILL]
        if len(filled) != len(fees):
            raise AccountingError(f"{len(filled):,} fills but {len(fees):,} fees; wanted one fee behind each fill.")
        mine = filled["instrument"] == index
        filled, fees = filled[mine], fees[mine]
        found, parts, takers = stays(own[own["instrument"] == index], rules, end_ns, shift_ns)
        return cls(found, parts, takers, _fills(filled, fees, found, parts, takers, shift_ns))

    def contribution(self, k: int, low: int, lots: int, end_mid2: int, instrument: Instrument) -> int:
        """Return what `lots` of fill `k` from its lot `low` on make of the P&L, marked at `end_mid2`: millionths of half a ticklot."""
        row = self.fills[k]
        total, fee = int(row["lots"]), int(row["fee_u"])
        share = fee * (low + lots) // total - fee * low // total
        worth = value2(instrument, end_mid2) - 2 * instrument.value_of(int(row["price_ticks"]))
        return MILLION * lots * int(row["side"]) * int(worth) - 2 * share

    def pnl(self, end_mid2: int, instrument: Instrument) -> int:
        """Return the P&L of all fills after fees, marked at `end_mid2`: millionths of half a ticklot."""
        return sum(self.contribution(k, 0, int(row["lots"]), end_mid2, instrument) for k, row in enumerate(self.fills))


def _fills(filled: np.ndarray, fees: np.ndarray, found: np.ndarray, parts: np.ndarray, takers: np.ndarray, shift_ns: int) -> np.ndarray:
    out = np.zeros(len(filled), FILL_OF)
    out["ts_ns"], out["told_ns"] = filled["ts_exch_ns"], filled["ts_recv_ns"] + shift_ns
    out["lots"], out["price_ticks"], out["side"] = filled["qty_lots"], filled["price_ticks"], filled["side"]
    out["fee_u"] = fees["price_ticks"] * MILLION + fees["qty_lots"]
    out["taker"] = (filled["flags"] & MAKER) == 0
    # Of one order the fills stand in the same order on both sides, by exchange time.
    maker = np.flatnonzero(out["taker"] == 0)
    ours = maker[np.lexsort((maker, filled["ts_exch_ns"][maker], filled["order_id"][maker]))]
    theirs = np.lexsort((np.arange(len(parts)), parts["ts_ns"], found["order_id"][parts["which"]])) if len(parts) else np.zeros(0, np.int64)
    if len(ours) != len(theirs):
        raise AccountingError(f"{len(ours):,} fills of resting orders, of which {len(theirs):,} are of orders that are known.")
    out["which"][ours] = parts["which"][theirs]
    number = {int(order_id): k for k, order_id in enumerate(takers["order_id"])}
    for k in np.flatnonzero(out["taker"]):
        if int(filled["order_id"][k]) not in number:
            raise AccountingError(f"order {int(filled['order_id'][k])} took, and nothing says that it was sent.")
        out["which"][k] = number[int(filled["order_id"][k])]
    return out


def twins(live: np.ndarray, other: np.ndarray, window_ns: int, *, price: bool = True) -> np.ndarray:
    """Return for each STAY or TAKER of `live` the number of its twin in `other`, NONE without one, i8."""
    keys = ["side", "price_ticks"] if price else ["side"]
    found = np.full(len(live), NONE)
    near: list[tuple[int, int, int]] = []
    groups: dict[tuple[int, ...], np.ndarray] = {}
    for key in {tuple(int(row[name]) for name in keys) for row in other}:
        mask = np.ones(len(other), bool)
        for name, value in zip(keys, key, strict=True):
            mask &= other[name] == value
        at = np.flatnonzero(mask)
        groups[key] = at[np.argsort(_decided(other[at]), kind="stable")]
    times = _decided(other)
    for k, ts_ns in enumerate(_decided(live).tolist()):
        mine = groups.get(tuple(int(live[name][k]) for name in keys))
        if mine is not None:
            low, high = np.searchsorted(times[mine], [ts_ns - window_ns, ts_ns + window_ns + 1])
            near += [(abs(int(times[j]) - ts_ns), k, int(j)) for j in mine[low:high]]
    taken: set[int] = set()
    for _, k, j in sorted(near):
        if found[k] == NONE and j not in taken:
            found[k] = j
            taken.add(j)
    return found


def _decided(rows: np.ndarray) -> np.ndarray:
    """Return when each was asked for, or where that is not known when it came to the venue."""
    return np.where(rows["sent_ns"] > 0, rows["sent_ns"], rows["start_ns"])


@dataclass(frozen=True)
class Sides:
    """The live run and the other, twins of stays and of takers (see `twins`), and every lot of both: PAIR."""

    live: Run
    other: Run
    twin: np.ndarray
    taker_twin: np.ndarray
    pairs: np.ndarray = field(repr=False)


def sides(live: Run, other: Run, window_ns: int, end_mid2: int, instrument: Instrument) -> Sides:
    """Return both runs with their twins and every lot of their fills, once. The money of the pairs adds up to that between the runs."""
    twin, taker_twin = twins(live.found, other.found, window_ns), twins(live.takers, other.takers, window_ns, price=False)
    made = _Pairs(live, other, end_mid2, instrument)
    for taker, match in ((0, twin), (1, taker_twin)):
        ours, theirs = _by_order(live.fills, taker), _by_order(other.fills, taker)
        for k, j in enumerate(match.tolist()):
            made.pair(ours(k), theirs(j) if j != NONE else [])
        without = set(range(len(other.takers if taker else other.found))) - set(match.tolist())
        for j in sorted(without):
            made.pair([], theirs(j))
    pairs = np.array(made.found, PAIR)
    total = live.pnl(end_mid2, instrument) - other.pnl(end_mid2, instrument)
    if sum(pairs["half_u"].tolist()) != total:
        raise AccountingError(f"the differences of single lots make {sum(pairs['half_u'].tolist())}, the runs are {total} apart.")
    return Sides(live, other, twin, taker_twin, pairs)


def _by_order(fills: np.ndarray, taker: int) -> Callable[[int], list[int]]:
    """Return a look-up of the fills of one stay (or taker), in order of time."""
    at = np.flatnonzero(fills["taker"] == taker)
    at = at[np.lexsort((fills["ts_ns"][at], fills["which"][at]))]
    which = fills["which"][at]
    return lambda k: at[np.searchsorted(which, k) : np.searchsorted(which, k, side="right")].tolist()


class _Pairs:
    """Lays fills of an order and of its twin lot beside lot."""

    def __init__(self, live: Run, other: Run, end_mid2: int, instrument: Instrument) -> None:
        self._runs, self._mid2, self._instrument = (live, other), end_mid2, instrument
        self.found: list[tuple[int, int, int, int]] = []

    def pair(self, ours: list[int], theirs: list[int]) -> None:
        """Add the lots of one order and of its twin."""
        queues = [list(ours), list(theirs)]
        used = [0, 0]
        while queues[0] or queues[1]:
            left = [int(run.fills["lots"][q[0]]) - u if q else 0 for run, q, u in zip(self._runs, queues, used, strict=True)]
            lots = min(x for x in left if x)
            money, at = 0, [NONE, NONE]
            for n in (0, 1):
                if queues[n]:
                    at[n] = queues[n][0]
                    money += (1 - 2 * n) * self._runs[n].contribution(at[n], used[n], lots, self._mid2, self._instrument)
                    used[n] += lots
                    if used[n] == int(self._runs[n].fills["lots"][at[n]]):
                        queues[n].pop(0)
                        used[n] = 0
            self.found.append((at[0], at[1], lots, money))

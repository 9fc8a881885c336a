"""Why a fill of a session is not a fill of its backtest, or the other way round: each difference gets exactly one cause of a closed list.

queue place
    Both had the order resting there at that time; the one was reached, the other not (or at another time).
latency or cancel race
    Decided at one time, the order of the one had not come yet, or was gone already. Or the one decided otherwise because a report of
    the same event had not reached it yet.
price impact of our own orders
    Takers: what we took stands in the stripped book as it was restored, which is not quite what we met. Decisions: with nothing of our
    own being different, the one decided otherwise, while our own lots stood at the best prices of the live book.
decision differed
    An order was sent, moved or withdrawn in one run only, or later, and the state was different before (position, or orders): a chain.
    `root` is the cause of the difference with which the two states parted last.
order size
    The order was smaller in the other run. `root` is what the states had parted with, where they had.
market data
    The public data cannot have it: live filled though not even the first in the queue is reached by a print of that time, or live did not
    fill though a print went through the price. The feed merged, delayed or left out what happened.
session boundary
    The order ended with a restart or a gap, of which the backtest knows nothing.
unexplained
    None of these. It is counted and shown like the others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.divergence.states import FILL_LIVE, FILL_OTHER, States
from hftlab.analytics.divergence.twins import NONE, Sides
from hftlab.analytics.fit_fills.stays import CANCELLED, MOVED

QUEUE, LATENCY, IMPACT, CHAIN, SIZE, DATA, BOUNDARY, UNEXPLAINED = range(8)
CAUSES = (
    "queue place",
    "latency or cancel race",
    "price impact of our own orders",
    "decision differed",
    "order size",
    "market data",
    "session boundary",
    "unexplained",
)

LIVE_ONLY, OTHER_ONLY, ELSEWHEN, ELSEWHERE, SAME = range(5)
KINDS = ("filled live only", "filled in the backtest only", "filled at another time", "filled at another price or fee", "the same")

DIFFERENCE = np.dtype(
    [
        ("ts_ns", "i8"),  # exchange's clock, of the earlier of the two fills
        ("kind", "u1"),  # of KINDS
        ("cause", "u1"),  # of CAUSES
        ("root", "u1"),  # of CAUSES: the cause itself, or of a chain what it began with
        ("side", "i1"),
        ("taker", "u1"),
        ("price_ticks", "i8"),
        ("lots", "i8"),
        ("late_ns", "i8"),  # how much later the backtest filled, where both did
        ("live", "i8"),  # stays or takers, NONE for no twin
        ("other", "i8"),
        ("half_u", "O"),  # live less backtest: millionths of half a ticklot
    ]
)
"""Lots of one fill that are not the same in both runs."""


@dataclass(frozen=True)
class Evidence:
    """What is known besides the two runs.

    `touch_ns`, `through_ns`: for each live stay the times at which its lots fill when first in the queue, and when only prints beyond its
    price fill: i8 arrays, one time a lot, rising. `boundaries_ns`: restarts and gaps. `at_touch(ts_ns)`: whether lots of ours stood at
    the best prices of the live book then (never where the feed does not show our orders).
    """

    touch_ns: list[np.ndarray]
    through_ns: list[np.ndarray]
    boundaries_ns: np.ndarray
    at_touch: Callable[[int], bool]
    still_ns: int = 1_000_000  # fills of the two runs that are no further apart are at one time
    merge_ns: int = 100_000_000  # how late a feed may tell of what happened


def differences(both: Sides, known: Evidence, window_ns: int) -> np.ndarray:
    """Return DIFFERENCE, by time, of every lot of both runs that is not the same in both."""
    judge = Judge(both, known, States.of(both, window_ns))
    found = [one for n in range(len(both.pairs)) if (one := judge.difference(n)) is not None]
    made = np.array(found, DIFFERENCE)
    return made[np.argsort(made["ts_ns"], kind="stable")]


class Judge:
    """Finds the cause of each pair of lots. A chain is followed back in time to what began it, so every answer is kept."""

    def __init__(self, both: Sides, known: Evidence, states: States) -> None:
        self._both, self._known, self._states = both, known, states
        self._answers: dict[int, tuple[int, int]] = {}
        self._decisions: dict[int, tuple[int, int]] = {}
        self._pair_of: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for n, pair in enumerate(both.pairs):
            for of, name in zip(self._pair_of, ("live", "other"), strict=True):
                of.setdefault(int(pair[name]), n)
        self._back = {int(j): k for k, j in enumerate(both.twin.tolist())}
        self._taker_back = {int(j): k for k, j in enumerate(both.taker_twin.tolist())}

    def difference(self, n: int) -> tuple[object, ...] | None:
        """Return pair `n` as a DIFFERENCE, None where it is the same in both."""
        kind, late_ns = self._kind(n)
        if kind == SAME:
            return None
        a, b = self._fills(n)
        first = a if a is not None else b
        assert first is not None
        cause, root = self.cause(n)
        k, j = self._orders(n)
        ts_ns = min(int(fill["ts_ns"]) for fill in (a, b) if fill is not None)
        what = (int(first["side"]), int(first["taker"]), int(first["price_ticks"]), int(self._both.pairs["lots"][n]))
        return (ts_ns, kind, cause, root, *what, late_ns, k, j, self._both.pairs["half_u"][n])

    def cause(self, n: int) -> tuple[int, int]:
        """Return cause and root of pair `n`."""
        if n not in self._answers:
            self._answers[n] = LATENCY, LATENCY  # should it lead back to itself, it was learned of at different times
            a, b = self._fills(n)
            taker = bool((a if a is not None else b)["taker"])  # type: ignore[index]
            self._answers[n] = self._taker(n) if taker else self._stay(n)
        return self._answers[n]

    # --- one pair ---
    def _fills(self, n: int) -> tuple[np.void | None, np.void | None]:
        live, other = int(self._both.pairs["live"][n]), int(self._both.pairs["other"][n])
        return self._both.live.fills[live] if live != NONE else None, self._both.other.fills[other] if other != NONE else None

    def _kind(self, n: int) -> tuple[int, int]:
        a, b = self._fills(n)
        if a is None or b is None:
            return (LIVE_ONLY if b is None else OTHER_ONLY), 0
        late_ns = int(b["ts_ns"]) - int(a["ts_ns"])
        if self._both.pairs["half_u"][n] != 0:
            return ELSEWHERE, late_ns
        return (SAME if abs(late_ns) <= self._known.still_ns else ELSEWHEN), late_ns

    def _orders(self, n: int) -> tuple[int, int]:
        """Return the live order of a pair and its twin, NONE for what there is not."""
        a, b = self._fills(n)
        if a is not None:
            match = self._both.taker_twin if a["taker"] else self._both.twin
            return int(a["which"]), int(match[int(a["which"])])
        assert b is not None
        back = self._taker_back if b["taker"] else self._back
        return back.get(int(b["which"]), NONE), int(b["which"])

    def _stay(self, n: int) -> tuple[int, int]:
        k, j = self._orders(n)
        if NONE in (k, j):
            mine = self._both.live.found[k] if k != NONE else self._both.other.found[j]
            return self._decision(int(mine["sent_ns"]) or int(mine["start_ns"]))
        ours, theirs = self._both.live.found[k], self._both.other.found[j]
        a, b = self._fills(n)
        # Where both filled it: why had the later one not done so at the time of the earlier?
        fill, absent = (a, theirs) if b is None or (a is not None and a["ts_ns"] <= b["ts_ns"]) else (b, ours)
        assert fill is not None
        ts_ns = int(fill["ts_ns"])
        if ts_ns < int(absent["start_ns"]):
            return self._not_yet(ts_ns, absent, ours if absent is theirs else theirs)
        if ts_ns >= int(absent["end_ns"]) and absent["ended"] in (CANCELLED, MOVED):
            return self._gone(ts_ns, absent, ours if absent is theirs else theirs)
        full = int(absent["filled_lots"]) >= int(absent["cap_lots"])
        if full and (a is None or b is None) and int(ours["cap_lots"]) != int(theirs["cap_lots"]):
            return self._size(int(ours["sent_ns"]))
        return self._reached(n, k, ts_ns)

    def _size(self, ts_ns: int) -> tuple[int, int]:
        """Return cause and root of a size that differs: most often the state did, when it was decided."""
        stretch = self._states.stretch(ts_ns)
        return SIZE, SIZE if stretch is None else self._root(stretch)

    def _not_yet(self, ts_ns: int, absent: np.void, there: np.void) -> tuple[int, int]:
        """Say why the order of one run came later: its way was longer, or it was decided later."""
        asked = [int(one["sent_ns"]) for one in (absent, there)]
        later_ns = asked[0] - asked[1] if all(asked) else 0
        if int(absent["start_ns"]) - later_ns > ts_ns:
            return LATENCY, LATENCY
        return self._decision(min(asked))

    def _gone(self, ts_ns: int, absent: np.void, there: np.void) -> tuple[int, int]:
        """Say why the order of one run was gone already: its cancel was faster, or decided earlier, or nobody decided it."""
        if absent["end_sent_ns"] == 0 and self._at_boundary(int(absent["end_ns"])):
            return BOUNDARY, BOUNDARY
        asked = [int(one["end_sent_ns"]) for one in (absent, there)]
        if all(asked) and int(absent["end_ns"]) + asked[1] - asked[0] <= ts_ns:
            return LATENCY, LATENCY
        return self._decision(asked[0] or int(absent["end_ns"]))

    def _reached(self, n: int, k: int, ts_ns: int) -> tuple[int, int]:
        """Say whether the bounds on any queue let the one that filled be right: both rested."""
        known, (a, b) = self._known, self._fills(n)
        mine = self._both.live.fills
        mine = mine[(mine["taker"] == 0) & (mine["which"] == k)]
        had = int(mine["lots"][mine["ts_ns"] <= ts_ns].sum())
        if b is None and _until(known.touch_ns[k], ts_ns + known.merge_ns) < had:
            return DATA, DATA
        if a is None and _until(known.through_ns[k], ts_ns - known.merge_ns) > int(self._both.live.found["filled_lots"][k]):
            return DATA, DATA
        return QUEUE, QUEUE

    def _taker(self, n: int) -> tuple[int, int]:
        k, j = self._orders(n)
        if NONE in (k, j):
            mine = self._both.live.takers[k] if k != NONE else self._both.other.takers[j]
            return self._decision(int(mine["sent_ns"]))
        ours, theirs = self._both.live.takers[k], self._both.other.takers[j]
        if int(ours["qty_lots"]) != int(theirs["qty_lots"]) and None in self._fills(n):
            return self._size(int(ours["sent_ns"]))
        if int(ours["price_ticks"]) != int(theirs["price_ticks"]):
            return self._decision(int(ours["sent_ns"]))
        moved = abs(int(ours["start_ns"]) - int(theirs["start_ns"])) > self._known.still_ns
        return (LATENCY, LATENCY) if moved else (IMPACT, IMPACT)

    # --- decisions ---
    def _decision(self, ts_ns: int) -> tuple[int, int]:
        """Say why the two decided differently at a time."""
        if ts_ns not in self._decisions:
            self._decisions[ts_ns] = LATENCY, LATENCY
            self._decisions[ts_ns] = self._decide(ts_ns)
        return self._decisions[ts_ns]

    def _decide(self, ts_ns: int) -> tuple[int, int]:
        if self._at_boundary(ts_ns):
            return BOUNDARY, BOUNDARY
        stretch = self._states.stretch(ts_ns)
        if stretch is not None:
            return CHAIN, self._root(stretch)
        if self._states.waited(ts_ns):
            return LATENCY, LATENCY
        if self._known.at_touch(ts_ns):
            return IMPACT, IMPACT
        return UNEXPLAINED, UNEXPLAINED

    def _root(self, stretch: np.void) -> int:
        by, index = int(stretch["by"]), int(stretch["index"])
        if by in (FILL_LIVE, FILL_OTHER):
            return self.cause(self._pair_of[by][index])[1]
        return self._decision(int(stretch["from_ns"]))[1]

    def _at_boundary(self, ts_ns: int) -> bool:
        near = self._known.boundaries_ns
        return bool(len(near)) and int(np.abs(near - ts_ns).min()) <= self._states.window_ns


def _until(times_ns: np.ndarray, ts_ns: int) -> int:
    """Return how many lots fill up to a time."""
    return int(np.searchsorted(times_ns, ts_ns, side="right"))

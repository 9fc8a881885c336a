"""Where the states of two runs part and meet again: the position by what was learned, and the orders that only one of them has."""

from dataclasses import dataclass

import numpy as np

from hftlab.analytics.divergence.twins import NONE, Sides

FILL_LIVE, FILL_OTHER, ORDER_LIVE, ORDER_OTHER, END = range(5)
STRETCH = np.dtype([("from_ns", "i8"), ("to_ns", "i8"), ("by", "u1"), ("index", "i8")])
"""From when to when the states differ, and what began it: a fill, an order of one run alone, or the end of an order that only one asked for."""


@dataclass(frozen=True)
class States:
    """When two runs are in different states, on our clock.

    `apart`: STRETCH, by time; `waits`: i8 (n, 2), when of two twins only one was known to rest, or to be over; `window_ns`: decisions
    that are no further apart are one.
    """

    apart: np.ndarray
    waits: np.ndarray
    window_ns: int

    @classmethod
    def of(cls, both: Sides, window_ns: int) -> "States":
        """Return the states of two runs."""
        return cls(_apart(_events(both, window_ns)), _waits(both), window_ns)

    def stretch(self, ts_ns: int) -> np.void | None:
        """Return the stretch in which a decision fell. A fill may be what it answers to; an order of one run is no cause of itself."""
        k = int(np.searchsorted(self.apart["from_ns"], ts_ns, side="right")) - 1
        while k >= 0:
            one = self.apart[k]
            fill = one["by"] in (FILL_LIVE, FILL_OTHER)
            if int(one["to_ns"]) >= ts_ns and (int(one["from_ns"]) < ts_ns or fill):
                return one
            if int(one["to_ns"]) < ts_ns:
                return None
            k -= 1
        return None

    def waited(self, ts_ns: int) -> bool:
        """Say whether at that time a report had reached the one run and the same report not yet the other."""
        return bool(len(self.waits)) and bool(((self.waits[:, 0] <= ts_ns) & (ts_ns <= self.waits[:, 1])).any())


def _events(both: Sides, window_ns: int) -> list[tuple[int, int, int, int, int]]:
    """Return (when, change of position, change of orders, what, which) of everything that makes the states differ or the same."""
    found: list[tuple[int, int, int, int, int]] = []
    for run, sign, by in ((both.live, 1, FILL_LIVE), (both.other, -1, FILL_OTHER)):
        for k, fill in enumerate(run.fills):
            found.append((int(fill["told_ns"]), sign * int(fill["side"]) * int(fill["lots"]), 0, by, k))
    matched = set(both.twin.tolist())
    alone = [(both.live.found, k, ORDER_LIVE) for k in np.flatnonzero(both.twin == NONE).tolist()]
    alone += [(both.other.found, j, ORDER_OTHER) for j in range(len(both.other.found)) if j not in matched]
    for rows, k, by in alone:
        began = int(rows["sent_ns"][k]) or int(rows["start_ns"][k])
        found += [(began, 0, 1, by, k), (max(int(rows["end_told_ns"][k]), began + 1), 0, -1, by, k)]
    for k in np.flatnonzero(both.twin != NONE).tolist():
        ours, theirs = both.live.found[k], both.other.found[both.twin[k]]
        asked = [int(one["end_sent_ns"]) for one in (ours, theirs)]
        if all(asked) and abs(asked[0] - asked[1]) > window_ns:
            until = max(int(ours["end_told_ns"]), int(theirs["end_told_ns"]), min(asked) + 1)
            found += [(min(asked), 0, 1, END, k), (until, 0, -1, END, k)]
    return sorted(found)


def _apart(events: list[tuple[int, int, int, int, int]]) -> np.ndarray:
    found: list[tuple[int, int, int, int]] = []
    position = orders = 0
    began: tuple[int, int, int] | None = None
    at = 0
    while at < len(events):
        ts_ns, last = events[at][0], at
        while last < len(events) and events[last][0] == ts_ns:
            position += events[last][1]
            orders += events[last][2]
            last += 1
        apart = position != 0 or orders != 0
        if apart and began is None:
            # A fill comes before what was decided when it was learned of.
            _, by, index = min((one[3] > FILL_OTHER, one[3], one[4]) for one in events[at:last] if one[1] != 0 or one[2] > 0)
            began = (ts_ns, by, index)
        elif not apart and began is not None:
            found.append((began[0], ts_ns, began[1], began[2]))
            began = None
        at = last
    if began is not None:
        found.append((began[0], np.iinfo(np.int64).max, began[1], began[2]))
    return np.array(found, STRETCH)


def _waits(both: Sides) -> np.ndarray:
    paired = np.flatnonzero(both.twin != NONE)
    ours, theirs = both.live.found[paired], both.other.found[both.twin[paired]]
    spans = [np.sort(np.stack([ours[name], theirs[name]], axis=1), axis=1) for name in ("told_ns", "end_told_ns")]
    every = np.concatenate(spans)
    return every[every[:, 0] < every[:, 1]]

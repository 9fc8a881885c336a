"""What a first pass over a run writes down of it: the curve for the track, fills, changes of state, and where the rest is to be found."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hftlab.analytics.grow import Grow
from hftlab.types import (
    ACCEPTED,
    AT_DESK,
    AT_EXCHANGE,
    CANCEL,
    DEACTIVATE,
    EVENT,
    FEE,
    FILL,
    FUNDING,
    GAP,
    HALTED,
    LAST,
    PAUSE,
    PAYMENT,
    SAMPLE,
    STATE,
    SUBMIT,
    TIMER,
    TRADE,
)

SAMPLES_MAX = 1 << 14
"""Sample times kept for the track. A longer run keeps every second, then every fourth …"""

WRITTEN = ("fill", "order", "risk", "halt", "report")
"""What a run writes itself; the other kinds of moments are rows that came in."""


def wrote(rows: np.ndarray, kind: str) -> np.ndarray:
    """Return which of the rows that a run wrote (EVENT) are of a kind of `WRITTEN`."""
    kinds = rows["kind"]
    if kind == "fill":
        return np.asarray(kinds == FILL)
    if kind == "order":
        return np.asarray((kinds >= SUBMIT) & (kinds <= CANCEL))
    if kind == "report":
        return np.asarray((kinds >= ACCEPTED) & (kinds <= PAYMENT))
    state = kinds == STATE
    return np.asarray(state & (rows["seq"] == 1) & (rows["qty_lots"] == HALTED) if kind == "halt" else state)


def _marked(rows: np.ndarray) -> np.ndarray:
    return np.asarray((rows["flags"] & (AT_EXCHANGE | AT_DESK)) != AT_EXCHANGE)


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys(WRITTEN, lambda rows: np.asarray((rows["kind"] >= ACCEPTED) & (rows["kind"] <= PAYMENT))),
    "trade": lambda rows: _marked(rows) & (rows["kind"] == TRADE),
    "gap": lambda rows: _marked(rows) & (rows["kind"] == GAP),
    "funding": lambda rows: _marked(rows) & (rows["kind"] == FUNDING),
    "message": lambda rows: _marked(rows) & ((rows["flags"] & LAST) != 0) & (rows["kind"] < TIMER),
    "timer": lambda rows: np.asarray(rows["kind"] == TIMER),
    "command": lambda rows: np.asarray((rows["kind"] >= PAUSE) & (rows["kind"] <= DEACTIVATE)),
}
"""What `next` and `prev` look for. Those of WRITTEN are what the run wrote: fill, order (a request), risk (a change of state), halt,
report (a venue's answer; of a real venue it is a row of the journal)."""


@dataclass
class Marks:
    """What a pass has written down so far.

    samples, fills, changes: EVENT rows that the run wrote; `blocks[kind]`: numbers of the blocks of `block` rows with one, rising;
    `times_ns[k]`: the desk's time after k blocks; `rows`: how far the pass has come.
    """

    block: int
    samples: Grow = field(default_factory=lambda: Grow(EVENT))
    fills: Grow = field(default_factory=lambda: Grow(EVENT))
    changes: Grow = field(default_factory=lambda: Grow(EVENT))
    blocks: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in WRITTEN})
    times_ns: list[int] = field(default_factory=lambda: [0])
    rows: int = 0

    def __post_init__(self) -> None:
        self._own = hashlib.blake2b(digest_size=8)
        self._step, self._number, self._last_ns = 1, 0, -1

    @property
    def digest(self) -> str:
        """Return the digest of every request, report, fill and fee, as that of a Report."""
        return self._own.hexdigest()

    def add(self, written: np.ndarray, rows: int, now_ns: int) -> None:
        """Take note of what the next `rows` rows made the run write; they lie within one block. `now_ns`: the desk's time after them."""
        number = self.rows // self.block
        self.rows += rows
        if self.rows % self.block == 0:
            self.times_ns.append(now_ns)
        if not len(written):
            return
        kinds = written["kind"]
        own = ((kinds >= ACCEPTED) & (kinds <= PAYMENT)) | ((kinds >= SUBMIT) & (kinds <= CANCEL)) | (kinds == FEE)
        self._own.update(written[own].tobytes())
        self.fills.append(written[kinds == FILL])
        self.changes.append(written[kinds == STATE])
        self._samples(written[kinds == SAMPLE])
        for kind, found in self.blocks.items():
            if (not found or found[-1] != number) and wrote(written, kind).any():
                found.append(number)

    def _samples(self, rows: np.ndarray) -> None:
        if not len(rows):
            return
        times = rows["ts_recv_ns"]
        number = self._number + np.cumsum(np.diff(times, prepend=self._last_ns) != 0) - 1
        self._number, self._last_ns = int(number[-1]) + 1, int(times[-1])
        self.samples.append(rows[number % self._step == 0])
        while len(self.samples) > SAMPLES_MAX * (1 + int(rows["instrument"].max())):
            self.samples.keep(np.cumsum(np.diff(self.samples.rows["ts_recv_ns"], prepend=-1) != 0) % 2 == 1)
            self._step *= 2

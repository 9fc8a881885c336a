"""One instrument of a live reader: diffs and snapshots into a book that is right, or marked as not to be trusted.

From a GAP row (a hole, a lost connection, a crossed book, other best prices than the venue's) until the next CLEAR and snapshot the
book is not to be trusted; diffs go on being handed out, and are kept to be replayed on the snapshot that is fetched meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hftlab.data.binance_chain import GAPPED, INSIDE, REPEATED, Chain
from hftlab.data.binance_messages import Envelope
from hftlab.kernels import binance_wire as wire
from hftlab.kernels.reader_book import CROSSED_BOOK, SLOTS, TOUCH_WORDS, keep
from hftlab.types import BBO, DEPTH, EVENT, FUNDING, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.binance_frames import Frames
from hftlab.venues.live.binance_prints import Prints
from hftlab.venues.live.binance_public import LEVELS
from hftlab.venues.live.binance_slow import stamp_ns
from hftlab.venues.live.book_rows import differs, empty_book
from hftlab.venues.live.model import StreamStatus
from hftlab.venues.live.takeover import Takeover

_LOWEST, _HIGHEST = -(1 << 62), 1 << 62
_INSIDE_NS = 10_000_000_000  # diffs that lag behind a snapshot for longer are of a venue that counts anew
_RECENT = 4096  # diffs kept to be replayed: minutes of the fastest stream, snapshots take under a second


@dataclass(slots=True)
class Counts:
    """What went wrong with one instrument, and was noticed."""

    gaps: int = 0  # GAP rows
    holes: int = 0  # of them: update ids missing
    lost: int = 0  # of them: connection gone, stream silent or frame unreadable
    crossed: int = 0  # of them: best bid not below best ask
    differing: int = 0  # of them: other best prices than the venue's at the same update id
    repeated: int = 0  # messages seen before
    inside: int = 0  # diffs that the snapshot already held
    stale_snapshots: int = 0  # fetched again: older than the first diff kept
    audits: int = 0
    stale_levels: int = 0  # gaps because a snapshot showed other levels
    resyncs: int = 0
    takeovers: int = 0  # a younger connection went on where the older one stood


@dataclass(slots=True)
class Kept:
    """A diff kept to be replayed."""

    first_id: int
    last_id: int
    previous_id: int
    payload: bytes


class LiveBook(Takeover):
    """One instrument. `emit` and `say` are the engine's; `taken` (the recorder's) gets every frame in the order in which it counts."""

    def __init__(self, market: int, number: int, name: str, frames: Frames, streams: dict[int, StreamStatus], *, futures: bool) -> None:
        super().__init__()
        self.market, self.name, self.symbol = market, name, frames.slow.symbol(market)
        self._frames, self._head, self._rows = frames, frames.head, frames.rows
        self.streams = streams
        self.emit: Callable[[np.ndarray], None] = lambda _rows: None
        self.say: Callable[[str, str], None] = lambda _level, _text: None
        self.taken: Callable[[int, bytes, int, int], None] | None = None
        self.chain = Chain(futures)
        self.counts = Counts()
        self.trusted = False
        self._recent: deque[Kept] = deque(maxlen=_RECENT)
        self._depth_ns = 0  # newest exchange time among the rows of the book
        self._seen_id, self._seen_ns = -1, 0  # of the newest diff that came, in the book or not
        self._inside_ns = 0  # exchange time of the first diff that the snapshot already held; 0: none came
        self._last_touch = -1
        self.prints = Prints(market, name, frames.slow)
        self.wanted = asyncio.Event()  # a snapshot is
        self.arrived = asyncio.Event()  # a diff has, since the last gap
        self._takers = {DEPTH: self._diff, TRADE: self._print, BBO: self._touch, FUNDING: self._funding}
        self._pair = self._rows[:2]  # of best prices: to slice costs as much as half of what is done with them
        self._gap_row = np.zeros(1, EVENT)
        self._gap_row["kind"], self._gap_row["flags"], self._gap_row["instrument"] = GAP, LAST, number
        self._book = empty_book()
        self._known = (_LOWEST, _HIGHEST)  # bids from here up and asks up to here were told by a snapshot: 1,000 levels a side
        self._auditing = False
        self._touches = np.zeros((3, SLOTS, TOUCH_WORDS), np.int64)

    # --- connections -------------------------------------------------------------------------------------------------
    def _followed(self) -> None:
        if not self.trusted:
            self.wanted.set()

    def _orphaned(self, recv_ns: int, why: str) -> None:
        self.wanted.clear()
        self._forget()
        self._distrust(recv_ns, why)

    def _again(self, recv_ns: int, payload: bytes) -> None:
        count = self._frames.read(payload, recv_ns)
        if count >= 0:
            self._takers[self._head[wire.KIND]](recv_ns, payload, count)

    # --- frames ------------------------------------------------------------------------------------------------------
    def take(self, connection: int, kind: int, recv_ns: int, payload: bytes, count: int) -> None:
        """Take a frame that has just been read: `count` rows of it stand at the beginning of `frames.rows`."""
        if connection == self.source or kind == FUNDING:  # mark prices come over a line of their own, in no order with the book
            self._takers[kind](recv_ns, payload, count)
        elif connection in self._held:
            self._held[connection].append(payload)
            if kind == DEPTH and self._meets():
                self.counts.takeovers += 1
                self.promote(connection, recv_ns)

    def _meets(self) -> bool:
        """Say whether the diff in hand is in the book already, or is the next one: from here on its connection misses nothing."""
        head = self._head
        return self.chain.last_id >= 0 and self.chain.place(head[wire.FIRST_ID], head[wire.LAST_ID], head[wire.PREVIOUS_ID]) < GAPPED

    def _diff(self, recv_ns: int, payload: bytes, count: int) -> None:
        head, rows = self._head, self._rows
        ids = head[wire.FIRST_ID], head[wire.LAST_ID], head[wire.PREVIOUS_ID]
        found = self.chain.take(*ids)
        if found <= REPEATED:
            self.counts.repeated += found == REPEATED
            self.counts.inside += found == INSIDE
            if self._counts_anew(found, ids[1], head[wire.EXCH_NS]):
                self._restarted(recv_ns, ids[1])
            return
        self._seen_id, self._seen_ns = ids[1], head[wire.EXCH_NS]
        if self.taken is not None:
            self.taken(recv_ns, payload, self.market, DEPTH)
        exch_ns = head[wire.EXCH_NS]
        if exch_ns < self._depth_ns:  # sorted by it, diffs would change places
            rows["ts_exch_ns"][:count] = exch_ns = self._depth_ns
        self._depth_ns = exch_ns
        if found == GAPPED and self.trusted:
            self.counts.holes += 1
            self.distrust(recv_ns, f"updates are missing before {ids[0]}")
        if not self.trusted or self._auditing:
            self._recent.append(Kept(*ids, payload))
            self.arrived.set()
        if count and self.counts.resyncs:  # before the first snapshot there is no book that could be changed
            message = rows[:count]
            self.emit(message)
            if doubt := keep(message, self._book, self._touches):
                self._doubt(doubt, recv_ns)
        self._frames.note_newest(self.market, exch_ns)

    def _print(self, recv_ns: int, payload: bytes, count: int) -> None:
        if self.prints.new(self._head[wire.TRADE_ID], self._head[wire.EXCH_NS]):
            if self.taken is not None:
                self.taken(recv_ns, payload, self.market, TRADE)
            if count:
                self.emit(self._rows[:count])

    def _touch(self, recv_ns: int, payload: bytes, count: int) -> None:
        update = self._head[wire.LAST_ID]
        if update <= self._last_touch:
            self.counts.repeated += 1
            return
        self._last_touch = update
        if self.taken is not None:
            self.taken(recv_ns, payload, self.market, BBO)
        self.emit(self._pair)
        if doubt := keep(self._pair, self._book, self._touches):
            self._doubt(doubt, recv_ns)

    def _funding(self, recv_ns: int, payload: bytes, count: int) -> None:
        if self.taken is not None:
            self.taken(recv_ns, payload, self.market, FUNDING)
        if count:
            self.emit(self._rows[:count])

    def _doubt(self, found: int, recv_ns: int) -> None:
        """Act on what our own book says: it is crossed, or the venue's best prices are others at the same update id."""
        if not self.trusted:
            return
        if found == CROSSED_BOOK:
            self.counts.crossed += 1
            self.distrust(recv_ns, "the book is crossed")
        else:
            self.counts.differing += 1
            self.distrust(recv_ns, "the venue's best prices are others at the same update id")

    # --- trust -------------------------------------------------------------------------------------------------------
    def distrust(self, recv_ns: int, why: str) -> None:
        """Say with a GAP row that the book is wrong or may be, and ask for a snapshot."""
        self._forget()
        self._distrust(recv_ns, why)
        if self.source >= 0:
            self.wanted.set()

    def _counts_anew(self, found: int, last_id: int, exch_ns: int) -> bool:
        """Say whether a diff that is old by its number is new by its time: the venue was reset, perhaps just after the snapshot."""
        if exch_ns <= self._seen_ns:
            return False
        if last_id < self._seen_id:
            return True
        self._seen_id, self._seen_ns = last_id, exch_ns
        self._inside_ns = self._inside_ns or exch_ns
        return found == INSIDE and exch_ns - self._inside_ns > _INSIDE_NS

    def _restarted(self, recv_ns: int, last_id: int) -> None:
        """Begin a new chain."""
        self.distrust(recv_ns, f"update ids went back from {self.chain.last_id} to {last_id}")
        self.chain, self._last_touch = Chain(self.chain.futures), -1
        self._seen_id, self._inside_ns = -1, 0

    def _forget(self) -> None:
        self._recent.clear()
        self.arrived.clear()

    def _distrust(self, recv_ns: int, why: str) -> None:
        if not self.trusted:
            return
        self.trusted = False
        self.counts.gaps += 1
        self.streams[DEPTH].gaps += 1
        self.streams[DEPTH].note = why
        row = self._gap_row
        row["ts_exch_ns"], row["ts_recv_ns"], row["seq"] = self._depth_ns, recv_ns, self.chain.last_id
        keep(row, self._book, self._touches)
        self.say("warn", f"{self.name}: {why}; the book is fetched again.")
        self.emit(row)

    def join(self, snapshot: Envelope, body: bytes, recv_ns: int) -> bool:
        """Begin again at a snapshot, with the diffs kept since; False when something is missing in between. Raises InputError."""
        joined = self._joined(snapshot, recv_ns)
        if joined is None:
            self.counts.stale_snapshots += 1
            return False
        if self.taken is not None:
            self.taken(recv_ns, body, self.market, 0)
        self.chain, self._known, rows = joined
        self.trusted = True
        self._inside_ns = 0
        self.counts.resyncs += 1
        self.streams[DEPTH].resyncs += 1
        self.streams[DEPTH].note = ""
        self.wanted.clear()
        self._recent.clear()
        self.emit(rows)
        if doubt := keep(rows, self._book, self._touches):
            self._doubt(doubt, recv_ns)
        return True

    def _joined(self, snapshot: Envelope, recv_ns: int) -> tuple[Chain, tuple[int, int], np.ndarray] | None:
        """Return chain, known range of prices and rows after a snapshot and the diffs kept since; None when something is missing."""
        last = snapshot.last_update_id
        waiting = [kept for kept in self._recent if self.chain.after(last, kept.last_id)]
        trial = Chain(self.chain.futures)
        trial.restart(last)
        places = [trial.take(kept.first_id, kept.last_id, kept.previous_id) for kept in waiting]
        # Without a diff to join, it must at least be as new as the last one seen.
        if GAPPED in places or (not waiting and last < self.chain.last_id):
            return None
        self._depth_ns = max(self._depth_ns, stamp_ns(snapshot.T)) or recv_ns
        self._frames.note_newest(self.market, self._depth_ns)
        parts = [self._frames.slow.snapshot(self.market, snapshot, self._depth_ns, recv_ns)]
        for kept, place in zip(waiting, places, strict=True):
            if place > REPEATED:
                count = self._frames.read(kept.payload, recv_ns)
                rows = self._rows[:count].copy()
                rows["flags"] |= SNAPSHOT
                rows["ts_exch_ns"] = self._depth_ns
                parts.append(rows)
        low = int(parts[0]["price_ticks"][len(snapshot.bids)]) if len(snapshot.bids) >= LEVELS else _LOWEST
        high = int(parts[0]["price_ticks"][-1]) if len(snapshot.asks) >= LEVELS else _HIGHEST
        # One message: what lies between the snapshot and now is history that nobody should act on.
        rows = np.concatenate(parts)
        rows["flags"] &= ~np.uint16(LAST)
        rows["flags"][-1] |= LAST
        return trial, (low, high), rows

    def audit(self, snapshot: Envelope, body: bytes, recv_ns: int) -> None:
        """Hold the whole book against a snapshot, as far as both are known, and begin again at it where they differ. Raises InputError.

        A wrong level far from the touch is seen by no other check. Nothing happens when the two cannot be brought to one update id.
        """
        joined = self._joined(snapshot, recv_ns) if self.trusted else None
        if joined is None or joined[0].last_id != self.chain.last_id:
            return
        _, (low, high), rows = joined
        reference = empty_book()
        keep(rows, reference, np.zeros_like(self._touches))
        self.counts.audits += 1
        if differs(self._book, reference, max(low, self._known[0]), min(high, self._known[1])):
            self.counts.stale_levels += 1
            self._distrust(recv_ns, "it differs from a snapshot at the same update id")
            self.join(snapshot, body, recv_ns)

    def keep_diffs(self, *, wanted: bool) -> None:
        """Keep the diffs that come, for an audit; or no longer."""
        self._auditing = wanted
        if self.trusted:
            self._forget()

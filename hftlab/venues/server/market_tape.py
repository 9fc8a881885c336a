"""A recording drives the market: its levels and trades are the crowd's, and the clients' orders queue among them."""

from collections.abc import Iterator

import numpy as np

from hftlab.data.rows import Rows
from hftlab.data.tape import Tape
from hftlab.errors import InputError, KernelFault, TapeError
from hftlab.instrument import Instrument
from hftlab.kernels.lob_types import FAULT_ROOM
from hftlab.kernels.world import snapshot_world
from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, L3_ORDER, LAST, NO_PRICE, TRADE
from hftlab.venues.server.market import empty_world
from hftlab.venues.server.tape_levels import play_message

REACH_TICKS = 30_000  # levels further from the touch are not shown: the matching engine holds 65536 prices
LOOP_GAP_NS = 1_000_000


class TapeMarket:
    """A recording, played at `speed` times its own pace, by the times at which it was received; over and over with `loop`.

    Each recorded level is what the crowd holds there: what becomes more joins the back of the queue, what becomes less is canceled from
    the back. Recorded trades are takers of the crowd up to the recorded price; what they would take and nobody offers is not printed.
    A snapshot, also the one at the start of each loop, is a diff like any other: the update ids have no hole.
    """

    def __init__(self, tape: Tape, *, index: int = 0, speed: float = 1.0, loop: bool = True) -> None:
        if not 0 < speed < 1e6:
            raise InputError(f"speed was {speed}; wanted more than 0: 1 is the pace of the recording, 20 is twenty times faster.")
        if not 0 <= index < len(tape.instruments):
            raise InputError(f"instrument {index} was asked for; the tape holds {len(tape.instruments)}, from 0 on.")
        self.instrument: Instrument = tape.instruments[index]
        self.speed, self.loop = speed, loop
        mine = tape.rows["instrument"] == index
        if np.any(mine & (tape.rows["kind"] == L3_ORDER)):
            raise TapeError(f"{tape.source or 'the tape'} is order by order; wanted price levels (DEPTH rows).")
        rows = tape.rows[mine]
        snapshots = np.flatnonzero(rows["kind"] == CLEAR)
        # what comes before the first snapshot changes a book that nobody knows
        self._rows, self._ends = _messages(rows[snapshots[0] :] if len(snapshots) else rows)
        if not len(self._ends) or not np.any(self._rows["kind"] == DEPTH):
            raise TapeError(f"{tape.source or 'the tape'} holds no depth of {self.instrument.name}; wanted price levels (DEPTH rows).")
        received = self._rows["ts_recv_ns"][self._ends - 1]
        self._after_ns = ((received - received[0]) / speed).astype(np.int64)
        self._next = self.loops = 0

    def open(self, start_ns: int, out: np.ndarray) -> np.ndarray:
        """Return the book as the recording has it first. Raises TapeError when it never has both sides."""
        self._world, self._start_ns = empty_world(), start_ns
        lob = self._world["lob"]
        while not (lob["bid_orders"][0] and lob["ask_orders"][0]):
            if self._next == len(self._ends):
                raise TapeError(f"the recording of {self.instrument.name} never has both a bid and an ask.")
            self._play(out, start_ns)
        self._start_ns -= int(self._after_ns[self._next - 1])
        return self._world

    def advance(self, out: np.ndarray, until_ns: int) -> Iterator[np.ndarray]:
        """Play the messages that are due."""
        while True:
            if self._next == len(self._ends):
                if not self.loop:
                    return
                self._start_ns += int(self._after_ns[-1]) + LOOP_GAP_NS
                self._next = 0
                self.loops += 1
            due_ns = self._start_ns + int(self._after_ns[self._next])
            if due_ns > until_ns:
                return
            count = self._play(out, due_ns)
            if count:
                yield out[:count]

    def _play(self, out: np.ndarray, now_ns: int) -> int:
        """Act out the next message. Returns the rows written."""
        low, high = (int(self._ends[self._next - 1]) if self._next else 0), int(self._ends[self._next])
        self._next += 1
        rows = self._rows
        if np.any(rows["kind"][low:high] == CLEAR):
            rows = self._as_diff(rows[low:high], out, now_ns)
            low, high = 0, len(rows)
        middle = self._middle(rows[low:high])
        written = int(play_message(self._world, out, rows, low, high, now_ns, middle, REACH_TICKS))
        if written == FAULT_ROOM:
            raise KernelFault(f"a message of {high - low:,} rows needs more room than the {len(out):,} rows there are.")
        return written

    def _middle(self, rows: Rows) -> int:
        """Return where the market is: the best bid there is, or of the first message its own."""
        best = int(self._world["lob"]["best_bid_ticks"][0])
        bids = rows["price_ticks"][(rows["kind"] == DEPTH) & (rows["side"] == BID) & (rows["qty_lots"] > 0)]
        if best != NO_PRICE or not len(bids):
            return best if best != NO_PRICE else int(rows["price_ticks"][-1])
        return int(bids.max())

    def _as_diff(self, message: Rows, out: np.ndarray, now_ns: int) -> Rows:
        """Return a snapshot as changes: its own levels, and the end of every other level that stands now."""
        cleared = {int(side) for side in message["side"][message["kind"] == CLEAR]}
        sides = (BID, ASK) if 0 in cleared else tuple(cleared)
        standing = out[: snapshot_world(self._world, out, now_ns, now_ns)]
        gone = []
        for side in sides:
            levels = standing[(standing["kind"] == DEPTH) & (standing["side"] == side)]
            kept = message["price_ticks"][(message["kind"] == DEPTH) & (message["side"] == side)]
            gone.append(levels[~np.isin(levels["price_ticks"], kept)])
        rows = np.concatenate([message, *gone])
        rows["qty_lots"][len(message) :] = 0
        return rows


def _messages(rows: Rows) -> tuple[Rows, np.ndarray]:
    """Return the rows of book and trades, and where each message of them ends."""
    last = np.flatnonzero(rows["flags"] & LAST)
    number = np.searchsorted(last, np.arange(len(rows)))
    used = np.isin(rows["kind"], (DEPTH, TRADE, CLEAR))
    kept = np.ascontiguousarray(rows[used])
    assert kept.dtype == EVENT
    return kept, np.flatnonzero(np.diff(number[used], append=-1)) + 1

"""From a frame's bytes to rows: compiled where it can be, slow where it must be, and the one checked against the other.

A seeded sample of frames is read both ways. A difference is a defect: it is said aloud, and that kind of message of that market is
read the slow way from then on.
"""

import random
from collections.abc import Callable

import msgspec
import numpy as np

from hftlab.data.markets import native_symbol
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import binance_wire as wire
from hftlab.kernels.wire_text import SYMBOL_BYTES
from hftlab.types import BBO, DEPTH, EVENT, TRADE
from hftlab.venues.live.binance_slow import Message, SlowReader

ROWS_MAX = 16_384  # of one message: spot sends at most 5,000 levels a side
OTHER, GARBAGE = -1, -2
"""What a frame is that gave no rows: none of our markets' business, or unreadable."""

_KIND_NAMES = {DEPTH: "diffs", TRADE: "prints", BBO: "best prices"}


class Frames:
    """Reads the frames of some instruments of one venue.

    After `read`, `head` (memoryview of int64) holds kind, market and ids by the names in hftlab.kernels.binance_wire, and `rows` (EVENT)
    the rows at its beginning: they are overwritten by the next call.
    """

    def __init__(
        self, instruments: tuple[Instrument, ...], numbers: tuple[int, ...], say: Callable[[str, str], None], seed: int, checked_each: int
    ) -> None:
        self.slow = SlowReader(instruments, numbers)
        self._instruments, self._say = instruments, say
        self.state = state_of(instruments, numbers)
        self.head = self.state.data
        self.rows = self.state[wire.rows_at(len(instruments)) :].view(EVENT)
        self._random, self._each = random.Random(seed), checked_each
        self._mistrusted: set[tuple[int, int]] = set()  # (kind, market) that the compiled reader got wrong
        self.until_check = self._drawn()  # frames until one is read both ways
        self.slow_frames = self.checked = self.differences = 0
        self.culprit = -1  # the market that the last GARBAGE seemed to be about
        self.why = ""

    def read(self, payload: bytes, recv_ns: int) -> int:
        """Return how many rows a frame gave, or OTHER or GARBAGE."""
        count = wire.parse(payload, recv_ns, self.state)
        self.until_check -= 1
        return self.settled(payload, recv_ns, count) if count < 0 or self.until_check <= 0 else count

    def settled(self, payload: bytes, recv_ns: int, count: int) -> int:
        """Return what `read` does, after the compiled reader said `count`: for those few frames where that is not the last word."""
        return self._slowly(payload, recv_ns) if count < 0 else self._checked(payload, recv_ns, count)

    def note_newest(self, market: int, exch_ns: int) -> None:
        """Tell the newest exchange time of a market's book: best prices without a time of their own take it."""
        at = wire.HEAD_WORDS + market * wire.MARKET_WORDS + wire.NEWEST_NS
        self.head[at] = max(self.head[at], exch_ns)

    def newest_ns(self, market: int) -> int:
        """Return the newest exchange time of a market, ns."""
        return self.head[wire.HEAD_WORDS + market * wire.MARKET_WORDS + wire.NEWEST_NS]

    def _drawn(self) -> int:
        """Draw after how many frames the next one is read both ways, `checked_each` on average; when one was wrong, all are looked at."""
        if self._mistrusted:
            return 1
        return self._random.randint(1, 2 * self._each - 1) if self._each > 0 else 1 << 62

    def _slowly(self, payload: bytes, recv_ns: int) -> int:
        self.slow_frames += 1
        try:
            message = self._message(payload, recv_ns)
        except (msgspec.DecodeError, InputError, UnicodeDecodeError) as error:
            self.culprit, self.why = self.slow.guess(payload), str(error)
            return GARBAGE
        if message is None:
            return OTHER
        if len(message.rows) > ROWS_MAX:
            self.culprit, self.why = message.market, f"a message of {len(message.rows):,} rows"
            return GARBAGE
        return self._placed(message)

    def _message(self, payload: bytes, recv_ns: int) -> Message | None:
        # Only best prices without a time of their own need the newest one, and they name their market inside.
        newest = self.newest_ns(max(self.slow.guess(payload), 0))
        return self.slow.read(payload, recv_ns, newest)

    def _placed(self, message: Message) -> int:
        """Put a message where the compiled reader puts its own."""
        head, count = self.head, len(message.rows)
        head[wire.KIND], head[wire.MARKET], head[wire.EXCH_NS] = message.kind, message.market, message.exch_ns
        head[wire.FIRST_ID], head[wire.PREVIOUS_ID] = message.first_id, message.previous_id
        head[wire.LAST_ID] = head[wire.TRADE_ID] = message.last_id
        self.rows[:count] = message.rows
        if message.kind != DEPTH:
            self.note_newest(message.market, message.exch_ns)
        return count

    def _checked(self, payload: bytes, recv_ns: int, count: int) -> int:
        """Read a frame the slow way too, and keep what that says."""
        kind, market = self.head[wire.KIND], self.head[wire.MARKET]
        self.until_check = self._drawn()
        self.checked += 1
        fast = (kind, market, *self._ids(kind), self.head[wire.EXCH_NS], self.rows[:count].tobytes())
        found = self._slowly(payload, recv_ns)
        self.slow_frames -= 1
        slow = () if found < 0 else (self.head[wire.KIND], self.head[wire.MARKET], *self._ids(kind), self.head[wire.EXCH_NS])
        if slow == fast[:-1] and self.rows[: max(found, 0)].tobytes() == fast[-1]:
            return found
        self.differences += 1
        if (kind, market) not in self._mistrusted:
            self._mistrusted.add((kind, market))
            self.until_check = self._drawn()
            self._say(
                "error",
                f"{self._instruments[market].name}: the compiled and the validating reader of {_KIND_NAMES[kind]} differ; the validating "
                f"one is used from now on. Please report the frame: {payload[:600]!r}",
            )
        return found

    def _ids(self, kind: int) -> tuple[int, ...]:
        head = self.head
        if kind == DEPTH:
            return head[wire.FIRST_ID], head[wire.LAST_ID], head[wire.PREVIOUS_ID]
        return (head[wire.TRADE_ID if kind == TRADE else wire.LAST_ID],)


def state_of(instruments: tuple[Instrument, ...], numbers: tuple[int, ...], rows_max: int = ROWS_MAX) -> np.ndarray:
    """Return the state of `parse` for some instruments of one venue. Raises InputError for a name that is too long."""
    state = np.zeros(wire.rows_at(len(instruments)) + rows_max * wire.ROW_WORDS, np.int64)
    state[wire.MARKETS], state[wire.CAPACITY] = len(instruments), rows_max
    for i, (one, number) in enumerate(zip(instruments, numbers, strict=True)):
        symbol = native_symbol(one).encode("ascii")
        if len(symbol) > SYMBOL_BYTES:
            raise InputError(f"the symbol of {one.name} was {symbol.decode()!r}; wanted at most {SYMBOL_BYTES} letters.")
        at = wire.HEAD_WORDS + i * wire.MARKET_WORDS
        state[at + wire.SYMBOL : at + wire.SYMBOL + SYMBOL_BYTES // 8] = np.frombuffer(symbol.ljust(SYMBOL_BYTES, b"\0"), "<i8")
        for word, size in ((wire.TICK_DECIMALS, one.tick_size), (wire.LOT_DECIMALS, one.lot_size)):
            decimals = max(0, -int(size.normalize().as_tuple().exponent))
            state[at + word], state[at + word + 1] = decimals, int(size.scaleb(decimals))
        state[at + wire.NUMBER] = number
    return state

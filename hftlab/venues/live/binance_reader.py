"""Binance's market data, spot and USDⓈ-M: from the sockets to EVENT rows, with nothing lost unnoticed.

A frame goes from the socket's callback through one compiled call to `emit`, at once. Addresses used of an `Endpoint`: `rest`, and for
streams `ws` (spot) or `ws_public` (USDⓈ-M; mark prices come from `ws_market`), to which "/stream?streams=…" is added.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

import numpy as np

from hftlab.data.markets import native_symbol
from hftlab.errors import InputError, did_you_mean
from hftlab.instrument import Instrument
from hftlab.kernels import binance_wire as wire
from hftlab.types import BBO, DEPTH, FUNDING, TRADE
from hftlab.venues.live.binance_book import LiveBook
from hftlab.venues.live.binance_frames import GARBAGE, Frames
from hftlab.venues.live.binance_public import BinancePublic
from hftlab.venues.live.binance_tasks import BookTasks, Limits
from hftlab.venues.live.line import Line
from hftlab.venues.live.model import Endpoint, StreamStatus

KINDS = {"depth": DEPTH, "trade": TRADE, "bookTicker": BBO, "markPrice": FUNDING}
_VENUES = {"binance": "ws", "binanceusdm": "ws_public"}


class Recorder(Protocol):
    """Takes every frame that counted, in order."""

    def frame(self, instrument: Instrument, stream: str, recv_ns: int, payload: bytes) -> None:
        """Take one frame, or the body of a snapshot (`stream` is "")."""
        ...


class BinanceReader:
    """Follows instruments of one venue (binance or binanceusdm).

    `clock_ns` gives receive times. `streams` are of depth, trade, bookTicker and markPrice (USDⓈ-M; FUNDING rows); depth is always
    needed. `numbers` go into the `instrument` field of the rows (default: places in `instruments`). Rows handed to `emit` are
    overwritten after the call: whoever keeps them copies them. Raises InputError.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        endpoint: Endpoint,
        clock_ns: Callable[[], int],
        *,
        seed: int = 1,
        streams: Sequence[str] | None = None,
        speed: str = "100ms",
        numbers: Sequence[int] | None = None,
        limits: Limits | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.instruments, self.endpoint = tuple(instruments), endpoint
        self.limits = limits or Limits()
        self._spot = endpoint.venue == "binance"
        kinds = _checked(self.instruments, endpoint, streams)
        self._clock_ns, self._recv_ns = clock_ns, 0
        self._recorder = recorder
        self._say: Callable[[str, str], None] = lambda _level, _text: None
        self._numbers = count()
        self._speed, self._seed = speed, seed
        rows_of = tuple(numbers) if numbers is not None else tuple(range(len(self.instruments)))
        self.frames = Frames(self.instruments, rows_of, self._tell, seed, self.limits.checked_each)
        self._head, self._state = self.frames.head, self.frames.state
        self._by_kind = [{KINDS[kind]: StreamStatus(self._stream(i, kind)) for kind in kinds} for i in range(len(self.instruments))]
        self.streams: Sequence[StreamStatus] = [status for each in self._by_kind for status in each.values()]
        self.books = [
            LiveBook(i, rows_of[i], one.name, self.frames, self._by_kind[i], futures=not self._spot)
            for i, one in enumerate(self.instruments)
        ]
        self.lines = self._lines(kinds)
        self.garbage = self.others = 0

    # --- what is asked for -------------------------------------------------------------------------------------------
    def _stream(self, market: int, kind: str) -> str:
        speed = {"depth": f"@{self._speed}", "markPrice": "@1s"}.get(kind, "")
        return f"{native_symbol(self.instruments[market]).lower()}@{kind}{speed}"

    def _lines(self, kinds: Sequence[str]) -> list[Line]:
        """Spread the markets over connections; the streams of one market stay together."""
        own = [kind for kind in kinds if kind != "markPrice"]
        per_line = max(1, self.limits.streams_per_line // len(own))
        every = range(len(self.instruments))
        made = []
        for at in range(0, len(self.instruments), per_line):
            members = every[at : at + per_line]
            made.append(self._line(_VENUES[self.endpoint.venue], [self._stream(i, kind) for i in members for kind in own], members))
        if "markPrice" in kinds:
            made.append(self._line("ws_market", [self._stream(i, "markPrice") for i in every], ()))
        return made

    def _line(self, url: str, streams: Sequence[str], members: Sequence[int]) -> Line:
        return Line(
            self.endpoint.urls[url],
            streams,
            members,
            self.endpoint,
            self,
            self._numbers.__next__,
            seed=self._seed,
            life_s=self.limits.life_s,
            overlap_s=self.limits.overlap_s,
            in_url=self.limits.streams_in_url,
        )

    # --- running -----------------------------------------------------------------------------------------------------
    async def run(self, emit: Callable[[np.ndarray], None], say: Callable[[str, str], None]) -> None:
        """Connect, follow, resync, reconnect, until cancelled. Raises what `emit` raised."""
        self._say = say
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for book in self.books:
            book.emit, book.say = emit, say
            if self._recorder is not None:
                book.taken = self._record
        public = BinancePublic(self.endpoint)
        tasks = BookTasks(self.books, public, self.limits, self.line_of, self.now_ns, say, self._seed)
        try:
            async with asyncio.TaskGroup() as group:
                for line in self.lines:
                    group.create_task(line.run())
                for book in self.books:
                    group.create_task(tasks.synced(book))
                    group.create_task(tasks.filled(book))
                    group.create_task(tasks.audited(book))
                group.create_task(tasks.watched())
                group.create_task(self._fails())
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            await public.close()

    async def _fails(self) -> None:
        await self._failure

    def now_ns(self) -> int:
        """Return the receive time of something that comes now; it never goes back."""
        self._recv_ns = max(self._recv_ns, self._clock_ns())
        return self._recv_ns

    def line_of(self, market: int) -> Line:
        """Return the line with the book of a market."""
        return next(line for line in self.lines if market in line.members)

    # --- what a line tells (line.Listener) -----------------------------------------------------------------------------
    def heard(self, connection: int, payload: bytes) -> None:
        """Take a frame."""
        recv_ns = self._recv_ns = max(self._clock_ns(), self._recv_ns)
        frames, head = self.frames, self._head
        rows = wire.parse(payload, recv_ns, self._state)
        frames.until_check -= 1
        if rows < 0 or frames.until_check <= 0:
            rows = frames.settled(payload, recv_ns, rows)
            if rows < 0:
                self._no_rows(connection, payload, recv_ns, rows)
                return
        market, kind = head[wire.MARKET], head[wire.KIND]
        status = self._by_kind[market].get(kind)
        if status is not None:
            status.messages += 1
            status.last_ns = recv_ns
            self.books[market].take(connection, kind, recv_ns, payload, rows)

    def up(self, line: Line, connection: int) -> None:
        """Take note of a connection whose streams are subscribed."""
        for market in line.members:
            self.books[market].connected(connection)
        for status in self._of(line):
            status.up = True
            status.reconnects += line.dials > 1

    def down(self, line: Line, connection: int, why: str) -> None:
        """Take note of the end of a connection."""
        recv_ns = self.now_ns()
        for market in line.members:
            self.books[market].lost(connection, recv_ns, why)
        for status in self._of(line):
            status.up = bool(line.sockets)
            status.note = "" if line.sockets else why
        if not line.sockets:
            self._tell("warn", f"{self.endpoint.venue}: {why}; dialling again.")

    def waiting(self, line: Line, connection: int) -> bool:
        """Say whether any market of the line still holds a younger connection back."""
        return any(self.books[market].waits_for(connection) for market in line.members)

    def promote(self, line: Line, connection: int) -> None:
        """Have a younger connection count everywhere."""
        for market in line.members:
            if self.books[market].waits_for(connection):
                self.books[market].promote(connection, self.now_ns())

    def failed(self, error: Exception) -> None:
        """Take an exception that must end the reader: `emit` raised it."""
        if not self._failure.done():
            self._failure.set_exception(error)

    # --- the rest ------------------------------------------------------------------------------------------------------
    def _of(self, line: Line) -> list[StreamStatus]:
        return [status for status in self.streams if status.name in line.streams]

    def _no_rows(self, connection: int, payload: bytes, recv_ns: int, what: int) -> None:
        """Take a frame that gave no rows: an answer, an announcement, or something unreadable."""
        if what == GARBAGE:
            self.garbage += 1
            if self.garbage & (self.garbage - 1) == 0:  # the first, second, fourth, eighth …
                self._tell(
                    "error", f"{self.endpoint.venue}: frame {self.garbage:,} that cannot be read: {self.frames.why}: {payload[:200]!r}"
                )
            # A print that is lost is missed by its number; anything else may have been a diff.
            if self.frames.culprit >= 0 and b"trade" not in payload and b"bookTicker" not in payload:
                book = self.books[self.frames.culprit]
                if connection == book.source:
                    book.counts.lost += 1
                    book.distrust(recv_ns, "a frame could not be read")
            return
        line = next((line for line in self.lines if connection in line.sockets), None)
        if line is None or line.sockets[connection].answered(payload):
            return
        self.others += 1
        if b'"serverShutdown"' in payload:
            self._tell("info", f"{self.endpoint.venue}: the server says that it will shut down; the connection is replaced.")
            line.roll("serverShutdown")

    def _record(self, recv_ns: int, payload: bytes, market: int, kind: int) -> None:
        assert self._recorder is not None
        status = self._by_kind[market].get(kind)
        self._recorder.frame(self.instruments[market], status.name if status is not None else "", recv_ns, payload)

    def _tell(self, level: str, text: str) -> None:
        self._say(level, text)


def _checked(instruments: tuple[Instrument, ...], endpoint: Endpoint, streams: Sequence[str] | None) -> tuple[str, ...]:
    """Return the kinds of streams. Raises InputError."""
    if endpoint.venue not in _VENUES:
        raise InputError(f"venue was {endpoint.venue!r}; this reader speaks with {' and '.join(_VENUES)}.")
    wrong = [one.name for one in instruments if one.venue != endpoint.venue]
    if wrong or not instruments:
        raise InputError(f"instruments were {', '.join(wrong) or 'none'}; wanted instruments of {endpoint.venue}.")
    kinds = tuple(streams) if streams is not None else tuple(KINDS)[: 3 if endpoint.venue == "binance" else 4]
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"there is no stream {kind!r}.{did_you_mean(kind, KINDS)}")
    if "depth" not in kinds or ("markPrice" in kinds and endpoint.venue == "binance"):
        raise InputError(f"streams were {', '.join(kinds)}; wanted depth among them, and markPrice of binanceusdm only.")
    return kinds

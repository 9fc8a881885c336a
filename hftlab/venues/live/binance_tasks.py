"""What a reader of Binance does beside its frames: snapshots, prints that were missed, and a watch over silent streams."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from hftlab.data.binance_messages import Envelope
from hftlab.errors import InputError, VenueDown
from hftlab.types import BBO, DEPTH, TRADE
from hftlab.venues.live import line as lines
from hftlab.venues.live.backoff import Backoff
from hftlab.venues.live.binance_book import LiveBook
from hftlab.venues.live.binance_public import BinancePublic
from hftlab.venues.live.binance_slow import Past
from hftlab.venues.live.line import Line
from hftlab.venues.live.watch import Watch

_TICK_S = 0.25
_ANSWER_S = 2.0
_RETRY_S = (0.1, 10.0)
_FILL_WAIT_S, _FILL_TRIES = 0.3, 3
_SNAPSHOT = msgspec.json.Decoder(Envelope)


@dataclass(frozen=True)
class Limits:
    """What a reader of Binance waits for, seconds, and how much it asks at once."""

    silence_s: Mapping[str, float] = field(default_factory=lambda: {"depth": 5.0, "bookTicker": 30.0, "trade": 60.0})
    quiet_s: float = 1.0  # a snapshot is taken without a diff to join when none has come for so long
    audit_s: float = 300.0  # between two snapshots that the whole book is held against
    life_s: float = lines.LIFE_S
    overlap_s: float = lines.OVERLAP_S
    streams_per_line: int = 200
    streams_in_url: int = lines.IN_URL
    checked_each: int = 1000  # one frame in so many is read both ways; 0: none


class BookTasks:
    """Coroutines that run for as long as the reader does."""

    def __init__(
        self,
        books: Sequence[LiveBook],
        public: BinancePublic,
        limits: Limits,
        line_of: Callable[[int], Line],
        now_ns: Callable[[], int],
        say: Callable[[str, str], None],
        seed: int,
    ) -> None:
        self._books, self._public, self._limits, self._seed = books, public, limits, seed
        self._line_of, self._now_ns, self._say = line_of, now_ns, say

    async def synced(self, book: LiveBook) -> None:
        """Fetch a snapshot whenever one is wanted, again and again until it joins."""
        backoff, tries = Backoff(self._seed + book.market, *_RETRY_S), 0
        while True:
            await book.wanted.wait()
            retry_s = 0.0
            try:
                why = await self._snapshot(book)
            except VenueDown as error:
                why, retry_s = str(error), error.retry_after_s
            except (msgspec.DecodeError, UnicodeDecodeError, InputError) as error:
                why = f"the snapshot cannot be used: {error}"
            if not why:
                backoff.reset()
                tries = 0
                continue
            tries += 1
            if tries & (tries - 1) == 0:
                self._say("warn" if tries < 4 else "error", f"{book.name}: no snapshot after {tries} tries: {why}")
            await asyncio.sleep(max(backoff.delay_s(), retry_s))

    async def _snapshot(self, book: LiveBook) -> str:
        """Fetch a snapshot and join it; return "" or why that could not be."""
        born = book.epoch
        body = await self._public.depth(book.symbol)
        snapshot = _SNAPSHOT.decode(body)
        if snapshot.last_update_id < 0:
            return f"an answer without lastUpdateId: {body[:100]!r}"
        await self._first_diff(book)
        if book.epoch != born or not book.wanted.is_set():
            return "the connection changed meanwhile"
        return "" if book.join(snapshot, body, self._now_ns()) else "it was older than the diffs that came"

    async def _first_diff(self, book: LiveBook) -> None:
        """Wait for a diff to join a snapshot with; in a quiet market there may be none."""
        waiting = asyncio.ensure_future(book.arrived.wait())
        await asyncio.wait({waiting}, timeout=self._limits.quiet_s)
        waiting.cancel()

    async def audited(self, book: LiveBook) -> None:
        """Now and then hold the whole book against a snapshot."""
        while True:
            await asyncio.sleep(self._limits.audit_s)
            book.keep_diffs(wanted=True)
            try:
                body = await self._public.depth(book.symbol)
                await self._first_diff(book)
                book.audit(_SNAPSHOT.decode(body), body, self._now_ns())
            except (VenueDown, msgspec.DecodeError, UnicodeDecodeError, InputError) as error:
                self._say("info", f"{book.name}: the book could not be audited: {error}")
            finally:
                book.keep_diffs(wanted=False)

    async def filled(self, book: LiveBook) -> None:
        """Fetch prints that were missed, as far back as one request reaches."""
        prints = book.prints
        while True:
            await prints.wanted.wait()
            for _ in range(_FILL_TRIES):
                await asyncio.sleep(_FILL_WAIT_S)
                try:
                    rows = prints.found(await self._past(book), self._now_ns())
                except (VenueDown, InputError) as error:
                    self._say("warn", f"{book.name}: prints that were missed could not be fetched: {error}")
                    await asyncio.sleep(getattr(error, "retry_after_s", 0.0))
                    continue
                if len(rows):
                    book.emit(rows)
                if not prints.wanted.is_set():
                    break
            prints.give_up(self._say)

    async def _past(self, book: LiveBook) -> list[Past]:
        try:
            return book.prints.past(await self._public.prints(book.symbol))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise VenueDown(f"the answer cannot be used: {error}") from error

    async def watched(self) -> None:
        """Have a connection replaced when one of its streams is silent for too long."""
        clock = asyncio.get_running_loop().time
        kinds = {"depth": DEPTH, "bookTicker": BBO, "trade": TRADE}
        silence_s = {kinds[name]: limit for name, limit in self._limits.silence_s.items()}
        streams = {(book.market, kind): status for book in self._books for kind, status in book.streams.items()}
        watch = Watch(streams, silence_s, clock())
        while True:
            await asyncio.sleep(_TICK_S)
            for market, kind in watch.silent(clock()):
                book = self._books[market]
                others = [(market, other) for other in book.streams if other != kind]
                spoke = any(watch.spoke(other, silence_s[kind], clock()) for other in others)
                await self._on_silence(book, kind, spoke=spoke)

    async def _on_silence(self, book: LiveBook, kind: int, *, spoke: bool) -> None:
        name = book.streams[kind].name
        if kind == TRADE and not await self._prints_went_on(book):
            return
        if kind == DEPTH and spoke and book.source >= 0:
            book.abandon(self._now_ns(), f"{name} is silent while other streams of this market speak")
        else:
            self._say("info", f"{book.name}: {name} is silent; its connection is replaced.")
        self._line_of(book.market).roll(f"{name} was silent", broken=True)

    async def _prints_went_on(self, book: LiveBook) -> bool:
        """Ask whether there were prints that the stream did not bring; take note of them. No answer is no: other streams are watched too."""
        try:
            async with asyncio.timeout(_ANSWER_S):  # while the venue wants quiet, a question waits for its turn, hours perhaps
                prints = await self._past(book)
        except (VenueDown, TimeoutError):
            return False
        return bool(prints) and book.prints.behind(prints[-1].id)

"""Live messages of Hyperliquid as EVENT rows: by the recordings' own rules, and by those that only a connection that falls needs.

Every l2Book is a whole book, so nothing has to be fetched: after a GAP row the next one makes the book right again.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hftlab.data.markets import Markets, native_symbol
from hftlab.data.notes import Notes
from hftlab.data.recordings_hyperliquid import Book, HyperliquidReader, Market, Print, Touch
from hftlab.data.rows import RowBuilder
from hftlab.instrument import Instrument
from hftlab.types import BACKFILL, GAP, LAST
from hftlab.venues.live.model import StreamStatus

CHANNELS = ("l2Book", "bbo", "trades")  # in the order of subscription: prints are told apart by the first book of their connection
SEEN = 8192  # trade ids kept per coin; the venue repeats some tens
OLDER_MAX = 3  # so many books in a row that are older than the last: it is the venue's clock that went back
DIFFERING_MAX = 3  # so many books in a row with other best prices than the bbo's: it is the bbo that is doubted
HOLD_S = 0.05  # how long a book waits for the bbo of its own block

_NS_PER_MS = 1_000_000

Emit = Callable[[np.ndarray], None]
Say = Callable[[str, str], None]
Best = tuple[str, str]  # best bid and ask, as the venue writes them; "" for an empty side


@dataclass(slots=True)
class Coin:
    """One coin on its connection."""

    name: str
    streams: dict[str, StreamStatus]
    trusted: bool = False
    first_book_ms: int = 0  # of this connection, by the venue's clock
    book_ms: int = 0  # of the last book taken
    older: int = 0  # books in a row that were older
    connected_ns: int = 0
    moved_ns: int = 0  # when, by our clock, the venue's time of the book last moved
    doubt_ns: int = 0  # since when books differ from the last bbo; 0: they agree
    touch_ms: int = 0  # time of the last bbo
    touch: Best = ("", "")
    held: Book | None = None  # a book whose best prices are not the last bbo's
    held_ns: int = 0
    differing: int = 0  # books in a row for which no bbo came that agrees
    seen: set[int] = field(default_factory=set)
    seen_in_order: deque[int] = field(default_factory=deque)


class LiveRows(HyperliquidReader):
    """Hands on the rows of each message, and keeps the health of the streams.

    `counts` tells by name what was noticed: gaps (GAP rows), crossed and differing books (not the best prices of the venue's own bbo),
    older books, repeated and backfilled prints.
    """

    def __init__(self, instruments: tuple[Instrument, ...], clock_ns: Callable[[], int]) -> None:
        self._builder = RowBuilder()
        super().__init__(Markets(instruments), self._builder, Notes(), bbo=True)
        self._clock_ns = clock_ns
        self.coins = [
            Coin(name, {channel: StreamStatus(f"{name} {channel}") for channel in CHANNELS}) for name in map(native_symbol, instruments)
        ]
        self.streams = tuple(stream for coin in self.coins for stream in coin.streams.values())
        self.counts: Counter[str] = Counter()
        self.emit: Emit = lambda _rows: None
        self.say: Say = lambda _level, _text: None

    def take(self, recv_ns: int, payload: bytes) -> None:
        """Hand on the rows of one frame. Raises msgspec.DecodeError for an unreadable one, InputError for what is off the grid."""
        refused = self._notes.ignored["error"]
        self.read(recv_ns, payload)
        if self._notes.ignored["error"] > refused:
            self.say("error", f"hyperliquid refused something: {payload[:300].decode(errors='replace')}")
        self._hand_on()

    def _hand_on(self) -> None:
        if self._builder.count:
            self.emit(self._builder.take())

    # --- the connection ---
    def connected(self) -> None:
        """Begin a connection: its first book tells its prints from those of the time without one."""
        for coin in self.coins:
            coin.connected_ns = coin.moved_ns = self._clock_ns()
            coin.first_book_ms = coin.older = coin.doubt_ns = coin.touch_ms = coin.differing = 0
            coin.touch, coin.held = ("", ""), None

    def lost(self, why: str) -> None:
        """Say with GAP rows that the books are not to be trusted any more."""
        for number, coin in enumerate(self.coins):
            for stream in coin.streams.values():
                stream.reconnects += 1
                stream.up, stream.note = False, why
            self._distrust(number, self._clock_ns(), why)
        self._hand_on()

    def silent(self, book_s: float, trades_s: float) -> str:
        """Return which stream is silent though the connection stands, or "".

        A book that is sent again and again with an old time is silent too; so is a bbo that stays behind the books.
        """
        now_ns = self._clock_ns()
        for coin in self.coins:
            if now_ns - coin.moved_ns > book_s * 1e9:
                return f"{coin.name} l2Book: nothing new for {book_s:g} s"
            if coin.doubt_ns and now_ns - coin.doubt_ns > book_s * 1e9:
                return f"{coin.name} bbo: nothing for {book_s:g} s, and the books show other best prices"
            if now_ns - max(coin.streams["trades"].last_ns, coin.connected_ns) > trades_s * 1e9:
                return f"{coin.name} trades: nothing for {trades_s:g} s"
        return ""

    def _heard(self, number: int, channel: str, recv_ns: int) -> Coin:
        coin = self.coins[number]
        stream = coin.streams[channel]
        stream.up, stream.note, stream.last_ns = True, "", recv_ns
        stream.messages += 1
        return coin

    # --- trust ---
    def _distrust(self, number: int, recv_ns: int, why: str) -> None:
        coin = self.coins[number]
        if not coin.trusted:
            return
        coin.trusted = False
        self.counts["gaps"] += 1
        stream = coin.streams["l2Book"]
        stream.gaps += 1
        stream.note = why
        self.say("warn", f"{coin.name}: {why}; the book is not used until the next one.")
        self._builder.add(GAP, 0, LAST, (coin.book_ms * _NS_PER_MS, recv_ns, 0), number)

    # --- messages ---
    def _book(self, recv_ns: int, book: Book) -> None:
        market = self._market(book.coin)
        if market is None:
            return
        coin = self._heard(market.index, "l2Book", recv_ns)
        if not self._in_order(market, coin, recv_ns, book):
            return
        best = _best(book)
        if all(best) and market.prices[best[0]] >= market.prices[best[1]]:
            self.counts["crossed"] += 1
            self._distrust(market.index, recv_ns, f"the book is crossed: {best[0]} bid, {best[1]} asked")
            return
        if coin.held is not None:
            self._differs(market.index, recv_ns)
        if best == coin.touch or not coin.touch_ms or coin.differing >= DIFFERING_MAX:
            self._accept(recv_ns, market, book)
        else:
            # The bbo of this block may be on its way still, just behind the book.
            coin.held, coin.held_ns = book, recv_ns

    def _accept(self, recv_ns: int, market: Market, book: Book) -> None:
        coin = self.coins[market.index]
        if _best(book) == coin.touch:
            coin.differing = coin.doubt_ns = 0
        else:
            coin.doubt_ns = coin.doubt_ns or recv_ns
        if not coin.trusted:
            coin.streams["l2Book"].resyncs += 1
            coin.trusted = True
        super()._book(recv_ns, book)

    def _differs(self, number: int, recv_ns: int) -> None:
        """Give up a book that waited for a bbo that agrees with it."""
        coin = self.coins[number]
        assert coin.held is not None
        self.counts["differing"] += 1
        why = f"the book shows {'@'.join(_best(coin.held))}, the bbo {'@'.join(coin.touch)}"
        coin.held, coin.doubt_ns = None, coin.doubt_ns or recv_ns
        coin.differing += 1
        self._distrust(number, recv_ns, why)

    def overdue(self) -> None:
        """Give up books that waited long enough for a bbo that agrees with them."""
        now_ns = self._clock_ns()
        for number, coin in enumerate(self.coins):
            if coin.held is not None and now_ns - coin.held_ns > HOLD_S * 1e9:
                self._differs(number, now_ns)
        self._hand_on()

    def _in_order(self, market: Market, coin: Coin, recv_ns: int, book: Book) -> bool:
        """Say whether a book is not older than the last one; after some in a row that are, the venue's clock went back."""
        if book.time < coin.book_ms:
            coin.older += 1
            self.counts["older books"] += 1
            if coin.older < OLDER_MAX:
                return False
            self._distrust(market.index, recv_ns, f"the venue's clock went back by {coin.book_ms - book.time} ms")
        if book.time != coin.book_ms:
            coin.moved_ns = recv_ns
        coin.older, coin.book_ms = 0, book.time
        coin.first_book_ms = coin.first_book_ms or book.time
        book.time = max(book.time, market.book_ns // _NS_PER_MS)  # exchange time does not go back within a book
        return True

    def _touch(self, recv_ns: int, touch: Touch) -> None:
        market = self._market(touch.coin)
        if market is None:
            return
        coin = self._heard(market.index, "bbo", recv_ns)
        bid, ask = (level.px if level else "" for level in touch.bbo)
        coin.touch_ms, coin.touch, coin.doubt_ns = touch.time, (bid, ask), 0
        held = coin.held
        if held is not None and _best(held) == coin.touch:
            coin.held = None
            self._accept(recv_ns, market, held)
        elif held is not None and touch.time > held.time:
            self._differs(market.index, recv_ns)
        super()._touch(recv_ns, touch)

    def _trades(self, recv_ns: int, prints: list[Print]) -> None:
        for one in prints[:1]:
            market = self._market(one.coin)
            if market is not None:
                self._heard(market.index, "trades", recv_ns)
        super()._trades(recv_ns, prints)

    def _flags_of_print(self, market: Market, one: Print, exch_ns: int) -> int:
        """Leave out what was told before; mark what happened before the first book of this connection."""
        coin = self.coins[market.index]
        if one.tid in coin.seen:
            self.counts["repeated prints"] += 1
            return -1
        coin.seen.add(one.tid)
        coin.seen_in_order.append(one.tid)
        if len(coin.seen_in_order) > SEEN:
            coin.seen.discard(coin.seen_in_order.popleft())
        flags = super()._flags_of_print(market, one, exch_ns)
        if flags < 0 or one.time >= coin.first_book_ms > 0:
            return flags
        self.counts["backfilled prints"] += 1
        return flags | BACKFILL


def _best(book: Book) -> Best:
    bids, asks = book.levels
    return (bids[0].px if bids else "", asks[0].px if asks else "")

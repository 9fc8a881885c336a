"""Captures of Hyperliquid's websocket as EVENT rows: `l2Book`, `trades`, `bbo`.

Every l2Book message is a whole book of up to 20 levels a side: CLEAR and a snapshot. There are no diffs and no sequence.
"""

import msgspec

from hftlab.data.markets import Markets
from hftlab.data.notes import Notes, say_rounded
from hftlab.data.rows import Grid, RowBuilder, SizeGrid, price_grid
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, LAST, SNAPSHOT, TRADE

_NS_PER_MS = 1_000_000
_SIDES = {"B": BID, "A": ASK}


class Level(msgspec.Struct, gc=False):
    """One price level."""

    px: str
    sz: str


class _Envelope(msgspec.Struct):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class Book(msgspec.Struct):
    """A whole book: bids, then asks, best first."""

    coin: str
    time: int
    levels: tuple[list[Level], list[Level]]


class Print(msgspec.Struct):
    """A public trade."""

    coin: str
    side: str
    px: str
    sz: str
    time: int
    tid: int


class Touch(msgspec.Struct):
    """Best bid and best ask."""

    coin: str
    time: int
    bbo: tuple[Level | None, Level | None]


class Market:
    """What is kept of one coin."""

    def __init__(self, index: int, prices: Grid, sizes: SizeGrid) -> None:
        self.index = index
        self.prices = prices
        self.sizes = sizes
        self.first_book_ns = 0
        self.book_ns = 0


class HyperliquidReader:
    """Turns payloads into rows."""

    def __init__(self, markets: Markets, out: RowBuilder, notes: Notes, *, bbo: bool) -> None:
        self._markets = markets
        self._out = out
        self._notes = notes
        self._bbo = bbo
        self._known: dict[str, Market | None] = {}
        self.first_ns = 0  # when the first row came
        self._envelope = msgspec.json.Decoder(_Envelope).decode
        self._book_of = msgspec.json.Decoder(Book).decode
        self._prints_of = msgspec.json.Decoder(list[Print]).decode
        self._touch_of = msgspec.json.Decoder(Touch).decode

    def start_file(self) -> None:
        """Nothing to forget: a coin has one meaning."""

    def snapshots(self) -> dict[int, int]:
        """Return, by instrument, the row where the first snapshot stands: no row before it has to go."""
        return {market.index: 0 for market in self._known.values() if market is not None}

    def finish(self) -> None:
        """Report what was rounded."""
        for market in self._known.values():
            if market is not None:
                say_rounded(market.sizes, self._notes)

    def read(self, recv_ns: int, payload: bytes) -> None:
        """Add the rows of one line. Raises msgspec.DecodeError, InputError."""
        line = self._envelope(payload)
        if line.channel == "l2Book":
            self._book(recv_ns, self._book_of(line.data))
        elif line.channel == "trades":
            self._trades(recv_ns, self._prints_of(line.data))
        elif line.channel == "bbo" and self._bbo:
            self._touch(recv_ns, self._touch_of(line.data))
        else:
            self._notes.ignored[line.channel or "(no channel)"] += 1
        if self._out.count and not self.first_ns:
            self.first_ns = recv_ns

    def _market(self, coin: str) -> Market | None:
        if coin not in self._known:
            index = self._markets.index("hyperliquid", coin)
            self._known[coin] = None
            if index >= 0:
                instrument = self._markets.instruments[index]
                self._known[coin] = Market(index, price_grid(instrument), SizeGrid(instrument))
        return self._known[coin]

    def _book(self, recv_ns: int, book: Book) -> None:
        market = self._market(book.coin)
        if market is None:
            return
        exch_ns = book.time * _NS_PER_MS
        if exch_ns < market.book_ns:
            self._notes.dropped["book older than the one before"] += 1
            return
        market.first_book_ns = market.first_book_ns or exch_ns
        market.book_ns = exch_ns
        stamps = (exch_ns, recv_ns, 0)
        bids, asks = book.levels
        self._out.add(CLEAR, 0, SNAPSHOT | (0 if bids or asks else LAST), stamps, market.index)
        for side, levels, end in ((BID, bids, 0 if asks else LAST), (ASK, asks, LAST)):
            if levels:
                prices = [market.prices[level.px] for level in levels]
                sizes = [market.sizes[level.sz] for level in levels]
                self._out.add(DEPTH, side, SNAPSHOT | end, stamps, market.index, prices, sizes)

    def _trades(self, recv_ns: int, prints: list[Print]) -> None:
        """Add each print as its own message: the prints of one line have their own times."""
        for one in prints:
            market = self._market(one.coin)
            if market is None:
                continue
            exch_ns = one.time * _NS_PER_MS
            flags = self._flags_of_print(market, one, exch_ns)
            if flags < 0:
                continue
            if one.side not in _SIDES:
                raise msgspec.ValidationError(f"a trade of side {one.side!r}, not 'B' or 'A'")
            price, lots = market.prices[one.px], market.sizes[one.sz]
            if price == 0 or lots == 0:
                self._notes.dropped["trade of zero price or size"] += 1
                continue
            self._out.add(TRADE, _SIDES[one.side], flags, (exch_ns, recv_ns, one.tid), market.index, (price,), (lots,))

    def _flags_of_print(self, market: Market, one: Print, exch_ns: int) -> int:
        """Return the flags of a print's row, or -1 for one to be left out."""
        if exch_ns < market.first_book_ns or not market.first_book_ns:
            # On subscription the venue sends the last prints, up to minutes old: they are history, not market data.
            self._notes.dropped["trade from before the capture (sent on subscription)"] += 1
            return -1
        return LAST

    def _touch(self, recv_ns: int, touch: Touch) -> None:
        market = self._market(touch.coin)
        if market is None:
            return
        stamps = (touch.time * _NS_PER_MS, recv_ns, 0)
        bid, ask = touch.bbo
        for side, level, end in ((BID, bid, 0 if ask else LAST), (ASK, ask, LAST)):
            if level is not None:
                self._out.add(BBO, side, end, stamps, market.index, (market.prices[level.px],), (market.sizes[level.sz],))

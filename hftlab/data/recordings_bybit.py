"""Bybit's archived order books (ob500: a zip of JSON lines) as EVENT rows.

Messages are those of its websocket (its documentation, v5, "Orderbook"): a snapshot replaces the book, a delta changes levels,
size zero takes one away. `cts` is when the matching engine made it, `ts` when the system sent it, both in ms.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from hftlab.data.capture_lines import SHOWN
from hftlab.data.notes import say_rounded
from hftlab.data.reading import Reading
from hftlab.data.rows import Grid, RowBuilder, Rows, SizeGrid, price_grid, same_kind_of_error
from hftlab.data.tables import Blocks
from hftlab.errors import FormatError, InputError, TruncatedFile
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, SNAPSHOT

_NS_PER_MS = 1_000_000
_SENT = "bybit order books do not say when they were received; each row is received when the venue sent it. Give the latency with the latency model."


class _Data(msgspec.Struct, gc=False):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int = 0


class _Message(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: _Data
    cts: int = 0


class _Market:
    def __init__(self, index: int, prices: Grid, sizes: SizeGrid) -> None:
        self.index = index
        self.prices = prices
        self.sizes = sizes
        self.exch_ns = 0
        self.raised = 0
        self.last_id = -1  # of the book; none before the first snapshot


def is_book(start: bytes) -> bool:
    """Return whether a text begins with a message of an order book of Bybit."""
    return start.startswith(b"{") and b'"topic"' in start[:200] and b'"orderbook.' in start[:200]


def read_books(path: Path, reading: Reading) -> Iterator[Rows]:
    """Yield the rows of one archive. Raises FormatError, TruncatedFile, OffGridPrice, OffGridQuantity."""
    reader = _Books(reading)
    blocks = Blocks(path, partial=reading.partial, progress=reading.progress)
    for first, block in blocks:
        for number, line in enumerate(block.splitlines(), first):
            if not line.strip():
                continue
            try:
                reader.take(line)
            except msgspec.DecodeError as error:
                if number == blocks.lines and not block.endswith(b"\n"):
                    blocks.cut, blocks.lines = True, blocks.lines - 1
                    if not reading.partial:
                        raise TruncatedFile(
                            f"{path.name} ends in the middle (the last line is incomplete) after {blocks.lines:,} good lines. "
                            "Fetch it again, or pass partial=True to use those lines."
                        ) from error
                    break
                shown = line[:SHOWN].decode("utf-8", "replace")
                raise FormatError(f"{path.name}, line {number:,}: {shown!r}; {error}. Wanted an order book message as JSON.") from error
            except InputError as error:
                raise same_kind_of_error(error, f"{path.name}, line {number:,}") from error
        yield reader.out.take()
    reading.notes.lines += blocks.lines
    reader.finish()
    if blocks.cut:
        reading.notes.say("warning", f"{path.name} ends in the middle; its first {blocks.lines:,} lines were read.")


class _Books:
    def __init__(self, reading: Reading) -> None:
        self.out = RowBuilder(reading.watch)
        self._reading = reading
        self._decode = msgspec.json.Decoder(_Message).decode
        self._markets: dict[str, _Market | None] = {}
        if ("info", _SENT) not in reading.notes.sentences:
            reading.notes.say("info", _SENT)

    def take(self, line: bytes) -> None:
        """Add the rows of one message."""
        message = self._decode(line)
        data = message.data
        market = self._market(data.s)
        if market is None:
            return
        sent_ns = message.ts * _NS_PER_MS
        exch_ns = (message.cts or message.ts) * _NS_PER_MS
        if exch_ns < market.exch_ns:
            market.raised += 1
        market.exch_ns = exch_ns = max(exch_ns, market.exch_ns)
        stamps = (exch_ns, max(sent_ns, exch_ns), data.u)
        if message.type == "snapshot":
            self.out.add(CLEAR, 0, SNAPSHOT | (0 if data.b or data.a else LAST), stamps, market.index)
            self._levels(market, stamps, data, SNAPSHOT)
        elif message.type == "delta":
            if market.last_id < 0:
                self._reading.notes.dropped["update before the first snapshot"] += 1
                return
            if data.u <= market.last_id:
                self.out.add(GAP, 0, LAST, stamps, market.index)
            self._levels(market, stamps, data, 0)
        else:
            raise msgspec.ValidationError(f"a message of type {message.type!r}, not 'snapshot' or 'delta'")
        market.last_id = data.u

    def finish(self) -> None:
        """Report what was rounded and raised."""
        for market in self._markets.values():
            if market is None:
                continue
            say_rounded(market.sizes, self._reading.notes)
            if market.raised:
                self._reading.notes.say(
                    "warning", f"the exchange time of {market.raised:,} books went back and was raised to the one before."
                )

    def _market(self, symbol: str) -> _Market | None:
        if symbol not in self._markets:
            index = self._reading.markets.find("bybit", symbol)
            self._markets[symbol] = None
            if index >= 0:
                instrument = self._reading.markets.instruments[index]
                self._markets[symbol] = _Market(index, price_grid(instrument), SizeGrid(instrument))
        return self._markets[symbol]

    def _levels(self, market: _Market, stamps: tuple[int, int, int], data: _Data, flags: int) -> None:
        prices, sizes = market.prices, market.sizes
        for side, levels, end in ((BID, data.b, 0 if data.a else LAST), (ASK, data.a, LAST)):
            if levels:
                self.out.add(DEPTH, side, flags | end, stamps, market.index, [prices[p] for p, _ in levels], [sizes[q] for _, q in levels])

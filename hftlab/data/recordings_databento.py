"""Databento market-by-order files (.dbn, .dbn.zst) as EVENT rows: every resting order, and the levels that they make up.

Rules: databento.com, "Market by order (MBO)" and "State management of resting orders". Add, Cancel (by an amount), Modify and
Clear change the book; Trade and Fill do not, for a Cancel follows every fill. A modify to another price or to more lots loses
its place in the queue, one to fewer lots keeps it (CME). The book is whole after a record with F_LAST.

Each change of an order is one L3_ORDER row (a change of price two: gone here, new there), followed by DEPTH of its level.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.files import pieces
from hftlab.data.reading import Reading
from hftlab.data.rows import Rows
from hftlab.errors import FormatError, InputError, OffGridPrice, OffGridQuantity, TruncatedFile
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, L3_ORDER, LAST, SNAPSHOT, TRADE

_RTYPE_MBO = 160
_PRICE_SCALE = 10**9
_SIDES = {b"B": BID, b"A": ASK}
_RECORDS = 1 << 16  # decoded at once

Row = tuple[int, ...]
Order = list[int]  # side, price in ticks, lots, number of the event that gave it its place


def read_databento(path: Path, reading: Reading) -> Iterator[Rows]:
    """Yield the rows of one file. Raises InputError without the optional extra, FormatError, TruncatedFile, OffGridPrice."""
    dbn = _library(path)
    symbols, batches = _records(path, reading, dbn)
    books: dict[int, _Book | None] = {}
    out: list[Row] = []
    number = 0
    for records in batches:
        for record in records.tolist():
            number += 1
            (_, rtype, _, instrument_id, *_) = record
            if rtype != _RTYPE_MBO:
                reading.notes.ignored[f"databento record {rtype}"] += 1
                continue
            if instrument_id not in books:
                books[instrument_id] = _book(path, reading, dbn, symbols.get(instrument_id, str(instrument_id)))
            book = books[instrument_id]
            if book is not None:
                book.take(record, number, out)
        # The packet received last may go on: its closing record can be one without a row.
        done = next((at for at in range(len(out), 0, -1) if out[at - 1][1] != out[-1][1]), 0)
        yield np.array(out[:done], EVENT)
        out = out[done:]
        for book in books.values():
            if book is not None:
                book.forget(done)
    yield np.array(out, EVENT)
    reading.notes.lines += number


def _library(path: Path) -> Any:
    try:
        import databento_dbn
    except ImportError as error:
        raise InputError(
            f"{path.name} is a Databento file, and the package 'databento-dbn' is not installed. Install the optional extra: "
            "pip install 'hftlab[databento]'."
        ) from error
    return databento_dbn


def _records(path: Path, reading: Reading, dbn: Any) -> tuple[dict[int, str], Iterator[npt.NDArray[np.void]]]:
    """Return the symbols by instrument id, and the records in batches."""
    source = pieces(path, reading.progress)
    held = b""
    try:
        while len(held) < 8 or len(held) < 8 + struct.unpack("<I", held[4:8])[0]:
            held += next(source)
        size = 8 + struct.unpack("<I", held[4:8])[0]
        meta = dbn.Metadata.decode(held[:size])
    except (StopIteration, EOFError) as error:
        raise TruncatedFile(f"{path.name} ends within its description. Fetch it again.") from error
    except dbn.DBNError as error:
        raise FormatError(f"{path.name} cannot be decoded: {error}.") from error
    if str(meta.schema) != "mbo":
        raise FormatError(f"{path.name} holds {meta.schema}; wanted the schema mbo, with every order.")
    symbols = {int(one["symbol"]): name for name, spans in meta.mappings.items() for one in spans if one["symbol"].isdigit()}
    return symbols, _batches(path, source, held[size:], reading, np.dtype(dbn.MBOMsg._dtypes))  # noqa: SLF001  # its numpy layout has no other door


def _batches(path: Path, source: Iterator[bytes], held: bytes, reading: Reading, layout: np.dtype[Any]) -> Iterator[npt.NDArray[np.void]]:
    done, ended = 0, False
    while not ended:
        try:
            piece = next(source, None)
        except EOFError:
            piece = None
            held = held[: len(held) - len(held) % layout.itemsize] + b"\0"  # as if a record had been cut
        ended = piece is None
        held += piece or b""
        while len(held) >= layout.itemsize * (1 if ended else _RECORDS):
            count = min(len(held) // layout.itemsize, _RECORDS)
            batch, held = held[: count * layout.itemsize], held[count * layout.itemsize :]
            records = np.frombuffer(batch, layout)
            _refuse_lengths(path, records, done)
            done += count
            yield records
    if held and not reading.partial:
        raise TruncatedFile(
            f"{path.name} ends in the middle after {done:,} good records. Fetch it again, or pass partial=True to use those records."
        )
    if held:
        reading.notes.say("warning", f"{path.name} ends in the middle; its first {done:,} records were read.")


def _refuse_lengths(path: Path, records: npt.NDArray[np.void], done: int) -> None:
    wrong = np.flatnonzero(records["length"].astype(np.int64) * 4 != records.dtype.itemsize)
    if len(wrong):
        row = int(wrong[0])
        raise FormatError(
            f"{path.name}, record {done + row + 1:,}: length {int(records['length'][row]) * 4} bytes; wanted {records.dtype.itemsize}, a record of "
            "market by order. Split files of several schemas by schema."
        )


def _book(path: Path, reading: Reading, dbn: Any, symbol: str) -> "_Book | None":
    index = reading.markets.find("databento", symbol)
    return _Book(path, reading, dbn, index, reading.markets.instruments[index]) if index >= 0 else None


class _Book:
    """The orders and levels of one instrument."""

    def __init__(self, path: Path, reading: Reading, dbn: Any, index: int, instrument: Instrument) -> None:
        self._path = path
        self._notes = reading.notes
        self._index = index
        self._instrument = instrument
        self._orders: dict[int, Order] = {}
        self._levels: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._ticks: dict[int, int] = {}
        self._lots: dict[int, int] = {}
        self._last, self._snapshot, self._undefined = int(dbn.F_LAST), int(dbn.F_SNAPSHOT), int(dbn.UNDEF_PRICE)
        self._stamps = (0, 0)
        self._flags = 0
        self._book_ns = 0
        self._newest = -1  # where its newest row stands in `out`

    def take(self, record: tuple[Any, ...], number: int, out: list[Row]) -> None:
        """Append the rows of one record, numbered `number`."""
        _, _, _, _, event_ns, order_id, price, size, flags, _, action, side_code, recv_ns, _, _ = record
        side = _SIDES.get(side_code, 0)
        self._flags = SNAPSHOT if flags & self._snapshot else 0
        if action in (b"A", b"C", b"M", b"R"):
            # Within a book time does not go back, or sorting by it would change the order of events.
            event_ns = self._book_ns = max(self._book_ns, event_ns)
        self._stamps = (event_ns, recv_ns)
        if action == b"A":
            self._add(order_id, side, self._price(price, number), self._size(size, number), number, out)
        elif action == b"C":
            self._cancel(order_id, self._size(size, number), number, out)
        elif action == b"M":
            self._modify(order_id, side, self._price(price, number), self._size(size, number), number, out)
        elif action == b"R":
            self._orders.clear()
            self._levels.clear()
            self._row(CLEAR, 0, 0, 0, 0, 0, number, out)
        elif action == b"T":
            if side == 0:
                self._notes.dropped["trade of unknown side"] += 1
            elif price != self._undefined and size:
                self._row(TRADE, side, self._price(price, number), self._size(size, number), 0, 0, number, out)
        elif action not in (b"F", b"N"):
            raise FormatError(f"{self._path.name}, record {number:,}: action {action!r}; wanted A, C, M, R, T, F or N.")
        if flags & self._last:
            self._close(out)

    def forget(self, rows: int) -> None:
        """Take note that the first rows of `out` are gone."""
        self._newest -= rows

    def _close(self, out: list[Row]) -> None:
        """Put LAST on the final row of the packet, which the closing record need not have made."""
        at = self._newest
        if at >= 0 and out[at][1] == self._stamps[1]:
            row = out[at]
            out[at] = (*row[:9], row[9] | LAST, row[10])

    def _row(self, kind: int, side: int, ticks: int, lots: int, leaves: int, order_id: int, number: int, out: list[Row]) -> None:
        self._newest = len(out)
        out.append((*self._stamps, ticks, lots, leaves, order_id, number, kind, side, self._flags, self._index))

    def _change(self, order_id: int, order: Order, lots: int, number: int, out: list[Row]) -> None:
        """Let an order hold `lots` at its price, and write what changed."""
        side, ticks, held, place = order
        order[2] = lots
        total = self._levels[side, ticks] + lots - held
        if total:
            self._levels[side, ticks] = total
        else:
            self._levels.pop((side, ticks))
        self._row(L3_ORDER, side, ticks, held, lots, order_id, place, out)
        self._row(DEPTH, side, ticks, total, 0, 0, number, out)

    def _add(self, order_id: int, side: int, ticks: int, lots: int, number: int, out: list[Row]) -> None:
        if order_id in self._orders:
            raise FormatError(f"{self._path.name}, record {number:,}: order {order_id} is added, but rests already.")
        if not side:
            raise FormatError(f"{self._path.name}, record {number:,}: order {order_id} has no side; wanted B or A.")
        order = self._orders[order_id] = [side, ticks, 0, number]
        self._change(order_id, order, lots, number, out)

    def _cancel(self, order_id: int, lots: int, number: int, out: list[Row]) -> None:
        order = self._orders.get(order_id)
        if order is None:
            self._notes.dropped["cancel of an order from before the recording"] += 1
            return
        left = max(order[2] - lots, 0)
        if not left:
            del self._orders[order_id]
        self._change(order_id, order, left, number, out)

    def _modify(self, order_id: int, side: int, ticks: int, lots: int, number: int, out: list[Row]) -> None:
        order = self._orders.get(order_id)
        if order is None:
            # Databento: an unknown order that is modified is to be taken as new.
            self._add(order_id, side, ticks, lots, number, out)
            return
        if ticks != order[1] or side not in (0, order[0]):
            del self._orders[order_id]
            self._change(order_id, order, 0, number, out)
            self._add(order_id, side or order[0], ticks, lots, number, out)
            return
        if lots > order[2]:
            order[3] = number
        if not lots:
            del self._orders[order_id]
        self._change(order_id, order, lots, number, out)

    def _price(self, price: int, number: int) -> int:
        ticks = self._ticks.get(price)
        if ticks is None:
            if price == self._undefined:
                raise FormatError(
                    f"{self._path.name}, record {number:,}: an order without a price; wanted market by order, not best prices."
                )
            numerator, denominator = self._instrument.tick_size.as_integer_ratio()
            ticks, rest = divmod(price * denominator, _PRICE_SCALE * numerator)
            if rest:
                raise OffGridPrice(
                    f"{self._path.name}, record {number:,}: price {price / _PRICE_SCALE} is not on the grid of {self._instrument.name} "
                    f"(tick size {self._instrument.tick_size}). The likely cause is a wrong instrument."
                )
            self._ticks[price] = ticks
        return ticks

    def _size(self, size: int, number: int) -> int:
        lots = self._lots.get(size)
        if lots is None:
            numerator, denominator = self._instrument.lot_size.as_integer_ratio()
            lots, rest = divmod(size * denominator, numerator)
            if rest:
                raise OffGridQuantity(
                    f"{self._path.name}, record {number:,}: quantity {size} lies between two lots of {self._instrument.name} "
                    f"(lot size {self._instrument.lot_size}). The likely cause is a wrong instrument."
                )
            self._lots[size] = lots
        return lots

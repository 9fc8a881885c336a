"""Tables that venues publish themselves, as EVENT rows: Binance's public archive (trades, aggTrades, bookTicker) and Bybit's trades.

Columns: the README of binance/binance-public-data, and the header lines of the files. Spot files have no header line, and
microseconds since 2025; futures files have one, and milliseconds. None of these tables knows when a row was received.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.data.grids import Columns, Ints, stamps_ns
from hftlab.data.reading import Reading
from hftlab.data.recordings_tardis import best_prices
from hftlab.data.rows import Rows
from hftlab.data.tables import NAME, NUMBER, WHOLE, Table, read_table
from hftlab.errors import FormatError
from hftlab.types import ASK, BBO, BID, EVENT, LAST, TRADE

if TYPE_CHECKING:
    import pandas as pd

_MAKER = {"true": ASK, "false": BID}  # the buyer was the maker: a seller took
_TAKERS = {"buy": BID, "sell": ASK}


@dataclass(frozen=True)
class Archive:
    """One kind of table: which columns hold what. `symbol` and `sent` (when the venue sent it) are "" where there is none."""

    name: str
    columns: tuple[str, ...]
    stamp: str
    price: str = "price"
    size: str = "qty"
    side: str = ""
    sides: Any = None
    number: str = ""
    symbol: str = ""
    sent: str = ""

    def table(self, header: tuple[str, ...], *, with_header: bool) -> Table:
        """Return how to parse a file with these columns."""
        types = {self.stamp: NUMBER if self.name == "bybit trades" else WHOLE}
        numbers = _TOUCH if self.name == "binance bookTicker" else (self.price, self.size)
        types |= dict.fromkeys(numbers, NUMBER)
        types |= {name: NAME for name in (self.side, self.symbol) if name}
        types |= {name: WHOLE for name in (self.number, self.sent) if name}
        return Table(header, types, header=with_header, gaps=frozenset(_TOUCH))


_TOUCH = ("best_bid_qty", "best_bid_price", "best_ask_price", "best_ask_qty")
_SPOT_TRADES = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
_AGG = ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker", "is_best_match")
_TICKER = ("update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "transaction_time", "event_time")

KNOWN = (
    Archive("binance trades", _SPOT_TRADES[:6], "time", side="is_buyer_maker", sides=_MAKER, number="id"),
    Archive("binance aggTrades", _AGG[:7], "transact_time", size="quantity", side="is_buyer_maker", sides=_MAKER, number="agg_trade_id"),
    Archive("binance bookTicker", _TICKER, "transaction_time", number="update_id", sent="event_time"),
    Archive(
        "bybit trades",
        ("timestamp", "symbol", "side", "size", "price"),
        "timestamp",
        size="size",
        side="side",
        sides=_TAKERS,
        symbol="symbol",
    ),
    Archive("bybit spot trades", ("id", "timestamp", "price", "volume", "side"), "timestamp", size="volume", side="side", sides=_TAKERS),
)


def with_header(header: tuple[str, ...]) -> tuple[Archive, tuple[str, ...]] | None:
    """Return the kind that a header line tells, and its columns; COIN-M trades call the fourth one base_qty."""
    columns = tuple("quote_qty" if name == "base_qty" else name for name in header)
    found = next((one for one in KNOWN if columns[: len(one.columns)] == one.columns), None)
    return (found, columns) if found else None


def without_header(cells: tuple[str, ...]) -> tuple[Archive, tuple[str, ...]] | None:
    """Return the kind that a first line of data tells: where its words are."""
    words = [i for i, cell in enumerate(cells) if cell.lower() in _MAKER]
    shapes = {
        (6, (5,)): (0, _SPOT_TRADES[:6]),
        (7, (5, 6)): (0, _SPOT_TRADES),
        (7, (6,)): (1, _AGG[:7]),
        (8, (6, 7)): (1, _AGG),
        (7, ()): (2, _TICKER),
    }
    found = shapes.get((len(cells), tuple(words)))
    return (KNOWN[found[0]], found[1]) if found and cells[0].isdigit() else None


def table_of(kind: Archive, first: tuple[str, ...]) -> Table:
    """Return how to parse a file of this kind whose first line holds the cells `first`: the names of its columns, or data already."""
    named = with_header(first)
    found = named or without_header(first)
    return kind.table(found[1] if found else kind.columns, with_header=named is not None)


def read_archive(path: Path, reading: Reading, kind: Archive, table: Table) -> Iterator[Rows]:
    """Yield the rows of one table. Raises FormatError, TruncatedFile, InputError, OffGridPrice, OffGridQuantity."""
    columns: dict[str, Columns | None] = {}
    indices: dict[str, int] = {}

    def market(symbol: str) -> Columns | None:
        if symbol not in columns:
            markets = reading.markets
            index = indices[symbol] = markets.find("bybit", symbol) if kind.symbol else markets.only(path.name)
            columns[symbol] = Columns(markets.instruments[index], path.name) if index >= 0 else None
        return columns[symbol]

    for first, frame in read_table(path, table, reading.notes, partial=reading.partial, progress=reading.progress):
        where = np.arange(first, first + len(frame))
        symbols = frame[kind.symbol].astype(str).to_numpy() if kind.symbol else None
        for symbol in dict.fromkeys(symbols.tolist()) if symbols is not None else [""]:
            found = market(symbol)
            if found is None:
                continue
            mine = slice(None) if symbols is None else symbols == symbol
            rows = _rows(path, reading, kind, found, frame[mine], where[mine])
            rows["instrument"] = indices[symbol]
            yield rows
    for one in columns.values():
        if one is not None:
            one.say(reading.notes)
    text = f"{kind.name} do not say when they were received"
    text += "; each row is received when the venue sent it." if kind.sent else "; each row is received when it happened."
    text += " Give the latency with the latency model."
    if ("info", text) not in reading.notes.sentences:
        reading.notes.say("info", text)


def _rows(path: Path, reading: Reading, kind: Archive, columns: Columns, frame: "pd.DataFrame", where: Ints) -> Rows:
    rows = np.zeros(len(frame), EVENT)
    rows["ts_exch_ns"] = rows["ts_recv_ns"] = _times(frame[kind.stamp].to_numpy(), where, path.name, kind.stamp)
    if kind.sent:
        sent = stamps_ns(frame[kind.sent].to_numpy(), where, path.name, kind.sent, (1_000, 1_000_000))
        rows["ts_recv_ns"] = np.maximum(rows["ts_recv_ns"], sent)
    rows["seq"] = frame[kind.number].to_numpy() if kind.number else 0
    if not kind.side:
        rows["kind"] = BBO
        return best_prices(rows, columns, where, *(frame[name].to_numpy() for name in _TOUCH))
    rows["kind"], rows["flags"] = TRADE, LAST
    rows["side"] = _taker(frame[kind.side], where, path.name, kind)
    rows["price_ticks"] = columns.ticks(frame[kind.price].to_numpy(), where)
    rows["qty_lots"] = columns.lots(frame[kind.size].to_numpy(), where)
    empty = (rows["qty_lots"] == 0) | (frame[kind.price].to_numpy() == 0)
    reading.notes.dropped["trade of zero price or size"] += int(np.count_nonzero(empty))
    return rows[~empty]


def _times(stamps: Any, where: Ints, name: str, column: str) -> Ints:
    """Return times in ns: whole ms or us, or Bybit's seconds with decimals, of which a double holds the microseconds."""
    if stamps.dtype.kind == "f" and len(stamps) and stamps[0] < 1e11:
        stamps = np.rint(np.nan_to_num(stamps) * 1e6)
    return stamps_ns(stamps.astype(np.int64), where, name, column, (1_000, 1_000_000))


def _taker(values: "pd.Series[Any]", where: Ints, name: str, kind: Archive) -> Any:
    codes = np.array([kind.sides.get(str(word).lower(), 0) for word in values.cat.categories], np.int8)
    found = codes[values.cat.codes.to_numpy()]
    bad = np.flatnonzero(found == 0)
    if len(bad):
        raise FormatError(
            f"{name}, line {where[bad[0]]:,}: column {kind.side!r} was {str(values.iloc[bad[0]])!r}; wanted {' or '.join(kind.sides)}."
        )
    return found

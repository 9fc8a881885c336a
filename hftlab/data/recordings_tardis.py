"""Tables of Tardis.dev as EVENT rows: incremental_book_L2, book_snapshot_N, trades, quotes, book_ticker, derivative_ticker.

Columns and rules: docs.tardis.dev, "Downloadable CSV files", "Data types". Times are microseconds; `timestamp` is the
exchange's, `local_timestamp` the arrival. Rows that arrived together are one message. Updates before the first snapshot are
skipped; a snapshot after an update discards the book.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hftlab.data.chunking import closed
from hftlab.data.grids import Columns, Ints, stamps_ns
from hftlab.data.reading import Reading
from hftlab.data.rows import Rows
from hftlab.data.tables import NAME, NUMBER, TEXT, WHOLE, Table, read_table
from hftlab.errors import FormatError, TapeError
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, EVENT, FUNDING, LAST, SNAPSHOT, TRADE

if TYPE_CHECKING:
    import pandas as pd

HEAD = ("exchange", "symbol", "timestamp", "local_timestamp")
_HEAD_TYPES = {"exchange": NAME, "symbol": NAME, "timestamp": WHOLE, "local_timestamp": WHOLE}
_VENUES = {"binance-futures": "binanceusdm", "binance-delivery": "binancecoinm"}
_BOOK = ("is_snapshot", "side", "price", "amount")
_TRADES = ("id", "side", "price", "amount")
_QUOTES = ("ask_amount", "ask_price", "bid_price", "bid_amount")
_TICKER = ("funding_timestamp", "funding_rate", "mark_price")
_LEVEL = re.compile(r"(asks|bids)\[(\d+)\]\.(price|amount)")

KNOWN = {"incremental_book_L2": _BOOK, "trades": _TRADES, "quotes": _QUOTES, "derivative_ticker": _TICKER}


def kind_of(header: tuple[str, ...]) -> str:
    """Return which table of Tardis has this header, "" for none."""
    if header[:4] != HEAD:
        return ""
    if len(header) > 4 and _LEVEL.fullmatch(header[4]):
        return "book_snapshot"
    return next((kind for kind, columns in KNOWN.items() if set(columns) <= set(header)), "")


def table_of(header: tuple[str, ...], kind: str) -> Table:
    """Return how to parse it."""
    if kind == "book_snapshot":
        levels = [name for name in header if _LEVEL.fullmatch(name)]
        return Table(header, {**_HEAD_TYPES, **dict.fromkeys(levels, NUMBER)}, gaps=frozenset(levels))
    types = {name: NAME if name in ("is_snapshot", "side") else NUMBER for name in KNOWN[kind]}
    if kind == "trades":
        types["id"] = TEXT  # numbers of one venue, words of another
    gaps = {"trades": {"id"}, "quotes": set(_QUOTES), "derivative_ticker": set(_TICKER)}.get(kind, set())
    return Table(header, {**_HEAD_TYPES, **types}, gaps=frozenset(gaps))


def read_tardis(path: Path, reading: Reading, header: tuple[str, ...], kind: str) -> Iterator[Rows]:
    """Yield the rows of one table. Raises FormatError, TapeError, TruncatedFile, OffGridPrice, OffGridQuantity."""
    yield from closed(_Tardis(path, reading, kind).chunks(table_of(header, kind)))


class _Market:
    """What is kept of one symbol from block to block."""

    def __init__(self, index: int, columns: Columns) -> None:
        self.index = index
        self.columns = columns
        self.started = False  # a snapshot has come
        self.in_snapshot = False
        self.book_ns = 0
        self.raised = 0
        self.funding: tuple[float, float, float] = (np.nan, np.nan, np.nan)  # next time in us, rate, mark price


class _Tardis:
    def __init__(self, path: Path, reading: Reading, kind: str) -> None:
        self._path = path
        self._reading = reading
        self._make = {
            "incremental_book_L2": self._book,
            "book_snapshot": self._snapshots,
            "trades": self._trades,
            "quotes": self._quotes,
            "derivative_ticker": self._funding,
        }[kind]
        self._markets: dict[tuple[str, str], _Market | None] = {}
        self._back = 0  # lines of several symbols that were received before the line above

    def chunks(self, table: Table) -> Iterator[Rows]:
        reading = self._reading
        for first, frame in read_table(self._path, table, reading.notes, partial=reading.partial, progress=reading.progress):
            where = np.arange(first, first + len(frame))
            parts, used = [], []
            groups = frame.groupby(["exchange", "symbol"], observed=True, sort=False).indices
            for (venue, symbol), rows in groups.items():
                market = self._market(str(venue), str(symbol))
                if market is not None:
                    part = frame if len(rows) == len(frame) else frame.iloc[rows]
                    parts.append(self._make(market, part, where[rows]))
                    used.append(rows)
            if len(parts) > 1:
                self._look_for_back(frame["local_timestamp"].to_numpy(), np.sort(np.concatenate(used)), where)
            if parts:
                rows = np.concatenate(parts)
                yield rows if len(parts) == 1 else rows[np.argsort(rows["ts_recv_ns"], kind="stable")]
        self._say()

    def _look_for_back(self, received_us: Ints, used: Ints, where: Ints) -> None:
        """Refuse, or count, lines out of order. Symbols are put together by time, and after that nobody could see it."""
        steps_us = np.diff(received_us[used])
        back = np.flatnonzero(steps_us < 0)
        if len(back) and not self._reading.sort:
            raise TapeError(
                f"{self._path.name}, line {where[used[back[0] + 1]]:,}: received {-int(steps_us[back[0]]) / 1e6:.6f} s before the line above it "
                f"({len(back):,} times). Load with sort=True to put the rows in order."
            )
        self._back += len(back)

    def _market(self, exchange: str, symbol: str) -> _Market | None:
        key = (exchange, symbol)
        if key not in self._markets:
            markets = self._reading.markets
            index = markets.find(_VENUES.get(exchange, exchange), symbol)
            self._markets[key] = _Market(index, Columns(markets.instruments[index], self._path.name)) if index >= 0 else None
        return self._markets[key]

    def _say(self) -> None:
        if self._back:
            self._reading.notes.say(
                "warning",
                f"{self._path.name}: the receive time went back {self._back:,} times; the rows were put in order (sort=True).",
            )
        for market in self._markets.values():
            if market is None:
                continue
            market.columns.say(self._reading.notes)
            if market.raised:
                self._reading.notes.say(
                    "warning",
                    f"{self._path.name}: the exchange time of {market.raised:,} rows of the book went back and was raised to the one before.",
                )

    # --- rows --------------------------------------------------------------------------------------------------------
    def _stamped(self, market: _Market, frame: "pd.DataFrame", where: Ints, kind: int) -> Rows:
        rows = np.zeros(len(frame), EVENT)
        for column, name in (("ts_exch_ns", "timestamp"), ("ts_recv_ns", "local_timestamp")):
            rows[column] = stamps_ns(frame[name].to_numpy(), where, self._path.name, name, (1_000,))
        rows["kind"], rows["instrument"] = kind, market.index
        return rows

    def _sides(self, frame: "pd.DataFrame", where: Ints, column: str, codes: dict[str, Any]) -> npt.NDArray[np.int8]:
        """Return the codes of a column of names. Raises FormatError for another name."""
        values = frame[column].cat
        code_of = np.array([codes.get(str(name).lower(), -128) for name in values.categories], np.int8)
        found = code_of[values.codes.to_numpy()]
        bad = np.flatnonzero(found == -128)
        if len(bad):
            shown = str(frame[column].iloc[bad[0]])
            raise FormatError(f"{self._path.name}, line {where[bad[0]]:,}: column {column!r} was {shown!r}; wanted {' or '.join(codes)}.")
        return found

    def _raise_times(self, market: _Market, rows: Rows) -> None:
        """Keep the book in order on the exchange's clock."""
        if not len(rows):
            return
        raised = np.maximum(np.maximum.accumulate(rows["ts_exch_ns"]), market.book_ns)
        market.raised += int(np.count_nonzero(raised != rows["ts_exch_ns"]))
        rows["ts_exch_ns"] = raised
        market.book_ns = int(raised[-1])

    def _book(self, market: _Market, frame: "pd.DataFrame", where: Ints) -> Rows:
        rows = self._stamped(market, frame, where, DEPTH)
        rows["side"] = self._sides(frame, where, "side", {"bid": BID, "ask": ASK})
        snapshot = self._sides(frame, where, "is_snapshot", {"true": 1, "false": 0}) == 1
        rows["price_ticks"] = market.columns.ticks(frame["price"].to_numpy(), where)
        rows["qty_lots"] = market.columns.lots(frame["amount"].to_numpy(), where)
        rows["flags"] = np.where(snapshot, SNAPSHOT, 0)
        begins = snapshot.copy()
        begins[1:] &= ~snapshot[:-1]
        begins[0] &= not market.in_snapshot
        market.in_snapshot = bool(snapshot[-1])
        if not market.started:
            found = np.flatnonzero(snapshot)
            skipped = int(found[0]) if len(found) else len(rows)
            self._reading.notes.dropped["update before the first snapshot"] += skipped
            rows, begins = rows[skipped:], begins[skipped:]
            market.started = len(found) > 0
        self._raise_times(market, rows)
        return _with_clears(rows, np.flatnonzero(begins))

    def _snapshots(self, market: _Market, frame: "pd.DataFrame", where: Ints) -> Rows:
        """Every line is a whole book of the best N levels: CLEAR and its levels."""
        levels = [found.group(1, 2) for name in frame.columns if (found := _LEVEL.fullmatch(name)) and found.group(3) == "price"]
        levels.sort(key=lambda level: (level[0] == "asks", int(level[1])))
        width = len(levels)
        base = self._stamped(market, frame, where, DEPTH)
        self._raise_times(market, base)
        rows = np.repeat(base, width + 1).reshape(len(base), width + 1)
        rows["flags"] = SNAPSHOT
        rows["kind"][:, 0] = CLEAR
        kept = np.ones(rows.shape, bool)
        for at, (side, number) in enumerate(levels, 1):
            price, amount = (frame[f"{side}[{number}].{name}"].to_numpy() for name in ("price", "amount"))
            kept[:, at] = there = ~np.isnan(price)
            rows["side"][:, at] = BID if side == "bids" else ASK
            rows["price_ticks"][there, at] = market.columns.ticks(price[there], where[there])
            rows["qty_lots"][there, at] = market.columns.lots(amount[there], where[there])
        ends = width - np.argmax(kept[:, ::-1], axis=1)
        rows["flags"][np.arange(len(rows)), ends] |= LAST
        return rows[kept]

    def _trades(self, market: _Market, frame: "pd.DataFrame", where: Ints) -> Rows:
        rows = self._stamped(market, frame, where, TRADE)
        rows["side"] = self._sides(frame, where, "side", {"buy": BID, "sell": ASK, "unknown": 0})
        rows["price_ticks"] = market.columns.ticks(frame["price"].to_numpy(), where)
        rows["qty_lots"] = market.columns.lots(frame["amount"].to_numpy(), where)
        rows["flags"] = LAST
        rows["seq"] = _numeric_ids(frame["id"])
        unsided, empty = rows["side"] == 0, rows["qty_lots"] == 0
        self._reading.notes.dropped["trade of unknown side"] += int(np.count_nonzero(unsided))
        self._reading.notes.dropped["trade of zero price or size"] += int(np.count_nonzero(empty & ~unsided))
        return rows[~(unsided | empty)]

    def _quotes(self, market: _Market, frame: "pd.DataFrame", where: Ints) -> Rows:
        return best_prices(
            self._stamped(market, frame, where, BBO), market.columns, where, *(frame[f"{name}"].to_numpy() for name in _QUOTES[::-1])
        )

    def _funding(self, market: _Market, frame: "pd.DataFrame", where: Ints) -> Rows:
        """One FUNDING row when the announced time of payment has passed, with the rate and mark price announced last before it."""
        values = np.vstack([market.funding, frame[list(_TICKER)].to_numpy()])
        known = np.flatnonzero(~np.isnan(values[:, 0]) & ~np.isnan(values[:, 1]))
        if len(known):
            market.funding = tuple(values[known[-1]])
        rows = self._stamped(market, frame, where, FUNDING)
        passed = rows["ts_exch_ns"][known[1:] - 1] >= values[known[:-1], 0] * 1_000  # a payment put off is none
        due = np.flatnonzero((values[known[1:], 0] > values[known[:-1], 0]) & passed)
        before, after = values[known[due]], known[due + 1] - 1
        rows = rows[after]
        rows["ts_exch_ns"] = before[:, 0].astype(np.int64) * 1_000
        rows["qty_lots"] = np.rint(before[:, 1] * 1e8)
        rows["price_ticks"] = np.where(
            np.isnan(before[:, 2]),
            np.iinfo(np.int64).min,
            np.rint(np.nan_to_num(before[:, 2]) / float(market.columns.instrument.tick_size)),
        )
        rows["flags"] = LAST
        return rows


def best_prices(base: Rows, columns: Columns, where: Ints, bid_lots: Any, bid_price: Any, ask_price: Any, ask_lots: Any) -> Rows:
    """Return two BBO rows for each line, bid and ask; a side without a price has none."""
    rows = np.repeat(base, 2)
    kept = np.ones(len(rows), bool)
    for at, side, price, amount in ((0, BID, bid_price, bid_lots), (1, ASK, ask_price, ask_lots)):
        kept[at::2] = there = ~np.isnan(price)
        mine = rows[at::2]
        mine["side"] = side
        mine["price_ticks"][there] = columns.ticks(price[there], where[there])
        mine["qty_lots"][there] = columns.lots(amount[there], where[there])
    rows["flags"][1::2] |= LAST
    rows["flags"][0::2][~kept[1::2]] |= LAST
    return rows[kept]


def _with_clears(rows: Rows, begins: Ints) -> Rows:
    clears = rows[begins].copy()
    for name in ("side", "price_ticks", "qty_lots"):
        clears[name] = 0
    clears["kind"], clears["flags"] = CLEAR, SNAPSHOT
    return np.insert(rows, begins, clears) if len(begins) else rows


def _numeric_ids(ids: "pd.Series[Any]") -> Ints:
    """Return trade ids that are numbers; others (texts of some venues, or none) as 0."""
    import pandas as pd

    numbers = pd.to_numeric(ids, errors="coerce").to_numpy(np.float64)
    return np.where(np.isfinite(numbers) & (np.abs(numbers) < 2**53), np.nan_to_num(numbers), 0).astype(np.int64)

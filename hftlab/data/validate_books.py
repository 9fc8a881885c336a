"""The books of a tape: crosses and how long they last, prints and levels far from the touch, the venue's own best prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.rows import Rows
from hftlab.data.validate_report import ERROR, INFO, WARNING, Finding
from hftlab.data.validate_rows import moment, name_of, of_instruments, some
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, BOOK, CLEAR, DEPTH, GAP, LAST, NO_PRICE, TRADE

Ints = npt.NDArray[np.int64]

_PRICE_MAX = 1 << 40
_INSTRUMENTS_MAX = 4096
_FAR_FACTOR = 2.0
"""A level beyond this multiple, or fraction, of the touch is said to be far; venues that allow it hold thousands."""

_SPREADS = 5  # a print within this many spreads of the touch is near it, however wide the market is
_AROUND = 5  # prints whose median stands for the market where there is no book


@dataclass(frozen=True)
class BookCheck:
    """What the quick walk over the books counted; rows are those of the tape, -1 for none."""

    crossed: int
    crossed_first: int
    compared: int
    different: int
    different_first: int
    dropped: int


def walkable(rows: Rows) -> tuple[Rows, Ints | None]:
    """Return the rows that a book can take, and where they stand in `rows`; None for all of them, without a copy."""
    good = (rows["qty_lots"] >= 0) & (np.abs(rows["side"]) <= 1) & (rows["instrument"] < _INSTRUMENTS_MAX)
    good &= (rows["kind"] != DEPTH) | ((np.abs(rows["price_ticks"]) < _PRICE_MAX) & (rows["side"] != 0))
    if good.all():
        return rows, None
    where = np.flatnonzero(good)
    return rows[where], where


def check_books(rows: Rows) -> BookCheck:
    """Run the compiled check over the rows that a book can take."""
    # Imported here: numba takes longer to load than a small tape takes to read.
    from hftlab.kernels import check

    rows, where = walkable(rows)
    count = int(rows["instrument"].max()) + 1 if len(rows) else 1
    pairs, first = _bbo_pairs(rows, count)
    result = np.zeros(5, np.int64)
    books = np.zeros(count, BOOK).view(np.recarray)  # the same to numba; and the kernels run uncompiled too
    check.check_books(rows.view(np.recarray), books, np.zeros(count, np.int64), pairs, first, result)
    crossed, crossed_first, compared, different, different_first = result.tolist()
    if where is not None:
        crossed_first, different_first = (int(where[row]) if row >= 0 else row for row in (crossed_first, different_first))
    return BookCheck(crossed, crossed_first, compared, different, different_first, int(books["dropped"].sum()))


def touches(rows: Rows) -> Ints:
    """Return best bid and ask in ticks after each row, shape (rows, 2), of the row's instrument; NO_PRICE where there is none."""
    from hftlab.kernels.touch import walk_touch

    kept, where = walkable(rows)
    count = int(kept["instrument"].max()) + 1 if len(kept) else 1
    touch = np.full((len(kept), 2), NO_PRICE, np.int64)
    walk_touch(kept.view(np.recarray), np.zeros(count, BOOK).view(np.recarray), np.zeros((count, 3), np.int64), touch)
    if where is None:
        return touch
    every = np.full((len(rows), 2), NO_PRICE, np.int64)
    every[where] = touch
    return every


def _bbo_pairs(rows: Rows, count: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the best prices as int64 (seq, bid ticks, bid lots, ask ticks, ask lots), and where each instrument's begin."""
    touch = rows[(rows["kind"] == BBO) & (rows["seq"] != 0)]
    bid, ask = touch[:-1], touch[1:]
    pair = (bid["side"] == BID) & (ask["side"] == ASK) & (bid["seq"] == ask["seq"]) & (bid["instrument"] == ask["instrument"])
    bid, ask = bid[pair], ask[pair]
    order = np.lexsort((bid["seq"], bid["instrument"]))
    bid, ask = bid[order], ask[order]
    columns = (bid["seq"], bid["price_ticks"], bid["qty_lots"], ask["price_ticks"], ask["qty_lots"])
    table = np.ascontiguousarray(np.stack(columns, axis=1), np.int64)
    return table, np.searchsorted(bid["instrument"], np.arange(count + 1)).astype(np.int64)


# --- findings of the quick walk --------------------------------------------------------------------------------------
def book_findings(rows: Rows, instruments: Sequence[Instrument], books: BookCheck) -> list[Finding]:
    """Say what the quick walk counted, but for crosses."""
    found: list[Finding] = []
    if books.dropped:
        text = f"{books.dropped:,} levels far from the touch found no room in the book and were dropped: its deep end is incomplete"
        found.append(Finding(WARNING, text, "levels that fit", "Record fewer levels, or trust the touch only.", "levels"))
    if books.different:
        row = books.different_first
        text = (
            f"the built book differs from the venue's best prices at {books.different:,} of {books.compared:,} update ids, "
            f"first after update {rows['seq'][row]} of {_place(rows, row, instruments)}"
        )
        fix = "Updates are missing or applied twice, or the reader misreads this venue: do not trust the book."
        found.append(Finding(ERROR, text, "the same best prices and sizes", fix, "bbo", row, "price_ticks, qty_lots", books.different))
    return found


def crossed_finding(rows: Rows, instruments: Sequence[Instrument], crossed: int, row: int, how_long: str = "") -> list[Finding]:
    """Say at which row a book is crossed first, and after how many messages."""
    if not crossed:
        return []
    text = f"the book is crossed after {crossed:,} messages, first in {_place(rows, row, instruments)}{how_long}"
    fix = "An update before it is missing or damaged: nothing should quote on such a book; backtest around it, or record again."
    return [Finding(WARNING, text, "every bid below every ask", fix, "crossed", row, "price_ticks", crossed)]


def _place(rows: Rows, row: int, instruments: Sequence[Instrument]) -> str:
    return f"{name_of(instruments, int(rows['instrument'][row]))} ({moment(rows, row)})"


# --- findings of the full walk ---------------------------------------------------------------------------------------
def crosses_text(rows: Rows, touch: Ints) -> str:
    """Return how long the books were crossed while they were to be trusted, as the end of a sentence."""
    lengths: list[Ints] = []
    ends = ((rows["flags"] & LAST) != 0) & np.isin(rows["kind"], (DEPTH, CLEAR, GAP))
    for _, mine in of_instruments(rows, ends):
        bid, ask = touch[mine, 0], touch[mine, 1]
        crossed = (bid != NO_PRICE) & (ask != NO_PRICE) & (bid >= ask)
        edges = np.diff(np.concatenate([[0], crossed.astype(np.int8), [0]]))
        begin, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        times = rows["ts_recv_ns"][mine]
        lengths.append(times[np.minimum(end, len(mine) - 1)] - times[begin])
    every = np.concatenate(lengths) / 1e6 if lengths else np.zeros(0)
    if not len(every):
        return ", always where the book is not to be trusted (from a gap to the next snapshot)"
    return f", in {len(every):,} stretches of {every.sum():,.3f} ms together, the longest {every.max():,.3f} ms"


def off_market(rows: Rows, instruments: Sequence[Instrument], touch: Ints, off_market_bps: float) -> list[Finding]:
    """Find prints far outside the touch they met, or, without a book, far from the prints around them."""
    bid, ask = touch[:, 0], touch[:, 1]
    prints = (rows["kind"] == TRADE) & (rows["price_ticks"] > 0)
    met = prints & (bid != NO_PRICE) & (ask != NO_PRICE) & (bid < ask)
    low, high = np.where(met, bid, 0), np.where(met, ask, 0)
    price = rows["price_ticks"]
    outside = np.where(met, np.maximum(low - price, price - high), 0)
    near = np.maximum(high * (off_market_bps * 1e-4), _SPREADS * (high - low))
    bad = outside > near
    for _, alone in of_instruments(rows, prints):
        if len(alone) < _AROUND or met[alone].any():
            continue
        padded = np.pad(price[alone].astype(float), _AROUND // 2, mode="reflect")
        around = np.median(np.lib.stride_tricks.sliding_window_view(padded, _AROUND), axis=1)
        bad[alone] = np.abs(price[alone] - around) > around * (off_market_bps * 1e-4)
        low[alone] = high[alone] = np.rint(around).astype(np.int64)

    def found(row: int) -> str:
        market = f"{low[row]}/{high[row]} ticks" if low[row] != high[row] else f"about {low[row]} ticks in the prints around it"
        place = _place(rows, row, instruments)
        return f"a print at {price[row]} ticks while the market was {market}: {place}"

    wanted = f"prints within {off_market_bps:g} bps of the touch"
    fix = "Drop the print if it is no trade of this market (block, wrong symbol, damaged); else look for a missing update before it."
    return some(WARNING, "off market", "price_ticks", bad, found, wanted, fix)


def far_levels(rows: Rows, instruments: Sequence[Instrument], touch: Ints) -> list[Finding]:
    """Find levels at more than twice, or less than half, of the touch."""
    known = (touch[:, 0] > 0) & (touch[:, 1] > 0)
    middle = np.where(known, (touch[:, 0] + touch[:, 1]) / 2, 1.0)
    ratio = rows["price_ticks"] / middle
    bad = known & (rows["kind"] == DEPTH) & (rows["qty_lots"] > 0) & ((ratio > _FAR_FACTOR) | (ratio < 1 / _FAR_FACTOR))
    return some(
        INFO,
        "off market",
        "price_ticks",
        bad,
        lambda row: f"a level at {rows['price_ticks'][row]} ticks, {ratio[row]:.3g} times the touch, in {_place(rows, row, instruments)}",
        f"levels between 1/{_FAR_FACTOR:g} and {_FAR_FACTOR:g} times the touch",
        "Harmless where the venue takes such orders (Binance does); else a damaged price.",
    )

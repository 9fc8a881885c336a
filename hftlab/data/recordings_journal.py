"""The market rows of a session's run, read back from its journal.

Where our orders went to the market that the feed tells of (a real venue, or the simulated market's matching engine), the recorded
book shows them, and the prints show our trades. The journal knows every order of ours, so what is ours is taken out again: our
resting lots from each level, our takes from the prints. What others did because we were there stays, for nobody knows what they
would have done.

This reads forwards and once, as a session that goes on must be read. At a venue the book and our reports come over two streams, so
for as long as one is behind the other a level shows our lots or lacks them twice; `hftlab.backtesting.replay` looks back over a whole
session and takes them out by the exchange's clock.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hftlab.data.journal import parts
from hftlab.data.reading import Reading
from hftlab.data.rows import Rows
from hftlab.data.run_files import FILE, read_values, shows_our_orders
from hftlab.instrument import Instrument
from hftlab.types import ACCEPTED, AMENDED, AT_DESK, AT_EXCHANGE, BBO, CANCELED, DEPTH, FILL, LAST, MAKER, TIMER, TRADE

Level = tuple[int, int, int]  # side, price in ticks, lots

_REPORTS = (ACCEPTED, AMENDED, CANCELED, FILL)


def is_run(path: Path) -> bool:
    """Return whether a path is a run directory, or the journal in one."""
    return path.is_dir() and (_run_of(path) / FILE).is_file()


def _run_of(path: Path) -> Path:
    return path.parent if path.name == "journal" else path


def read_run(path: Path, reading: Reading) -> Iterator[Rows]:
    """Yield the market rows of a run, in the order in which they were received. Raises DataError, InputError."""
    run = _run_of(path)
    values = read_values(run)
    places = np.array([_place(reading, Instrument(**one)) for one in values["instruments"]])
    ours = Ours() if shows_our_orders(values) else None
    for journaled in parts(run / "journal"):
        reading.notes.lines += len(journaled)
        market = market_rows_of(journaled, ours)
        market = market[places[market["instrument"]] >= 0]
        market["instrument"] = places[market["instrument"]]
        yield market
    if ours is not None:
        ours.say(reading)


def market_rows_of(journaled: Rows, ours: "Ours | None") -> Rows:
    """Return the market rows among the next rows of a journal, without what is ours where the feed showed it."""
    # A replay journals the exchange's copies too.
    rows = journaled[((journaled["flags"] & AT_DESK) != 0) | ((journaled["flags"] & AT_EXCHANGE) == 0)]
    market = rows[rows["kind"] < TIMER] if ours is None else ours.strip(rows)
    market["flags"] &= ~np.uint16(AT_EXCHANGE | AT_DESK)
    return market


def _place(reading: Reading, instrument: Instrument) -> int:
    """Return the number of an instrument on the tape, -1 when it was not asked for. The run's own grid holds."""
    markets = reading.markets
    if not markets.given:
        if instrument not in markets.instruments:
            markets.instruments.append(instrument)
    elif instrument not in markets.instruments:
        markets.other.add(instrument.name)
        return -1
    found = markets.instruments.index(instrument)
    markets.used.add(found)
    return found


class Ours:
    """Our resting lots by level, and what we just took, as the reports in a journal tell them.

    The matching engine writes the reports of an event in front of its market rows, so there one walk in journal order is exact.
    """

    def __init__(self) -> None:
        self._resting: dict[tuple[int, int], Level] = {}  # (instrument, order id): side, price, lots
        self._taken: dict[tuple[int, int, int, int], int] = {}  # (instrument, time, side, price): lots
        self._levels = 0
        self._prints = 0

    def strip(self, rows: Rows) -> Rows:
        """Return the market rows without what is ours."""
        market = rows["kind"] < TIMER
        keep = market.copy()
        reports = np.flatnonzero(np.isin(rows["kind"], _REPORTS))
        bounds = [0, *(reports + 1).tolist(), len(rows)]
        for at, (low, high) in enumerate(pairwise(bounds)):
            if high > low:
                self._strip(rows[low:high], keep[low:high])
            if at < len(reports):
                self._learn(rows[high - 1])
        return _without(rows, market, keep)

    def _learn(self, row: Rows) -> None:
        instrument, order_id, leaves = (int(row[name]) for name in ("instrument", "order_id", "leaves_lots"))
        key = (instrument, order_id)
        if row["kind"] == FILL and not row["flags"] & MAKER:
            when = (instrument, int(row["ts_exch_ns"]), int(row["side"]), int(row["price_ticks"]))
            self._taken[when] = self._taken.get(when, 0) + int(row["qty_lots"])
        if row["kind"] == CANCELED or not leaves:
            self._resting.pop(key, None)
        elif row["kind"] != FILL:
            self._resting[key] = (int(row["side"]), int(row["price_ticks"]), leaves)
        elif key in self._resting:  # a fill is at the maker's price; where the rest of ours lies does not change
            self._resting[key] = (*self._resting[key][:2], leaves)

    def _strip(self, rows: Rows, keep: npt.NDArray[np.bool_]) -> None:
        levels, best = np.isin(rows["kind"], (DEPTH, BBO)), rows["kind"] == BBO
        for (instrument, _), (side, ticks, lots) in self._resting.items():
            level = levels & (rows["price_ticks"] == ticks) & (rows["side"] == side) & (rows["instrument"] == instrument)
            if level.any():
                rows["qty_lots"][level] = np.maximum(rows["qty_lots"][level] - lots, 0)
                self._levels += int(np.count_nonzero(level))
                keep[level & best & (rows["qty_lots"] == 0)] = False  # a best price that was ours alone says nothing of the others
        for i in np.flatnonzero(rows["kind"] == TRADE) if self._taken else ():
            row = rows[i]
            when = (int(row["instrument"]), int(row["ts_exch_ns"]), int(row["side"]), int(row["price_ticks"]))
            mine = min(self._taken.get(when, 0), int(row["qty_lots"]))
            if mine:
                self._taken[when] -= mine
                self._prints += 1
                rows["qty_lots"][i] -= mine
                keep[i] = rows["qty_lots"][i] > 0
        if self._taken and len(rows):  # prints follow their fills at once, but a segment may end between them
            newest_ns = int(rows["ts_exch_ns"].max())
            self._taken = {when: lots for when, lots in self._taken.items() if lots and when[1] >= newest_ns}

    def say(self, reading: Reading) -> None:
        """Report what was taken out."""
        reading.notes.say(
            "info",
            f"the feed showed our own orders: our lots were taken out of {self._levels:,} rows of the book, our takes out of "
            f"{self._prints:,} prints. What others did because of us stays.",
        )


def _without(rows: Rows, market: npt.NDArray[np.bool_], keep: npt.NDArray[np.bool_]) -> Rows:
    """Return the kept market rows; a message that loses its last row ends with the row before."""
    out = rows[market]
    gone = ~keep[market]
    for at in np.flatnonzero(gone & ((out["flags"] & LAST) != 0)):
        before = at - 1
        while before >= 0 and gone[before] and not out["flags"][before] & LAST:
            before -= 1
        if before >= 0 and not gone[before] and not out["flags"][before] & LAST:
            out["flags"][before] |= LAST
    return out[~gone]

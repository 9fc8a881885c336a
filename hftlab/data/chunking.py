"""Chunks of rows: cut between messages, put together by receive time, and checked, so that no tape has to be held as a whole."""

import bisect
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from hftlab.data.rows import Rows
from hftlab.errors import InputError, TapeError
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, EVENT, KIND_NAMES, L3_ORDER, LAST, TRADE

ROWS = 1 << 20
"""Rows looked at together: 64 MB."""

_KNOWN = np.isin(np.arange(256), list(KIND_NAMES))
_SIDED = (DEPTH, TRADE, BBO, L3_ORDER)


# --- checks ----------------------------------------------------------------------------------------------------------
class RowCheck:
    """Refuses rows that are no tape, chunk by chunk. `name` is what messages call the tape."""

    def __init__(self, name: str, instruments: int) -> None:
        self._name = name
        self._instruments = instruments
        self._last_ns = np.iinfo(np.int64).min
        self._rows = 0

    def take(self, rows: Rows) -> Rows:
        """Return `rows` when they may follow those before. Raises TapeError with the number of the first bad row."""
        if not len(rows):
            return rows
        recv_ns = rows["ts_recv_ns"]
        back = np.flatnonzero(np.diff(recv_ns) < 0)
        if len(back) or int(recv_ns[0]) < self._last_ns:
            row = self._rows + (int(back[0]) + 1 if int(recv_ns[0]) >= self._last_ns else 0)
            raise TapeError(
                f"row {row:,} was received before the row above it; a tape is in receive order. Sort it, or load with sort=True."
            )
        kinds = rows["kind"]
        self._refuse(~_KNOWN[kinds], rows, "kind", "is no event kind that hftlab knows; it was written by another version, or is damaged")
        if int(rows["instrument"].max()) >= self._instruments:
            raise TapeError(f"a row names instrument {rows['instrument'].max()}, but the tape has {self._instruments}.")
        sided = np.isin(kinds, _SIDED)
        self._refuse(sided & (rows["qty_lots"] < 0), rows, "qty_lots", "is negative; wanted the size, zero or more")
        self._refuse(
            sided & (rows["side"] != BID) & (rows["side"] != ASK), rows, "side", f"is no side; wanted {BID} (bid, buy) or {ASK} (ask, sell)"
        )
        self._rows += len(rows)
        self._last_ns = int(recv_ns[-1])
        return rows

    def _refuse(self, bad: npt.NDArray[np.bool_], rows: Rows, column: str, what: str) -> None:
        found = np.flatnonzero(bad)
        if len(found):
            row = int(found[0])
            kind = KIND_NAMES.get(int(rows["kind"][row]), "?")
            raise TapeError(
                f"{self._name}, row {self._rows + row:,} ({kind}): column {column!r} was {rows[column][row]}, which {what}. "
                f"{len(found):,} rows are like it."
            )


def rows_count(value: int, name: str = "rows_max") -> int:
    """Return a wished number of rows. Raises InputError for less than one."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{name} was {value!r}; wanted a whole number of rows, one or more (1_000_000 rows are 64 MB).")
    return int(value)


# --- messages --------------------------------------------------------------------------------------------------------
def boundaries(rows: Rows) -> npt.NDArray[np.int64]:
    """Return where messages begin: after LAST, or where the receive time changes. The first row begins one."""
    begins = np.ones(len(rows), bool)
    begins[1:] = ((rows["flags"][:-1] & LAST) != 0) | (rows["ts_recv_ns"][1:] != rows["ts_recv_ns"][:-1])
    return np.flatnonzero(begins)


def whole_messages(chunks: Iterable[Rows], rows_max: int) -> Iterator[Rows]:
    """Cut chunks of any size into chunks of at most `rows_max` rows that end where a message ends; a longer message stays whole."""
    held = np.zeros(0, EVENT)
    for chunk in chunks:
        if not len(chunk):
            continue
        rows = np.concatenate([held, chunk]) if len(held) else chunk
        cuts = boundaries(rows)
        # The last message may go on in the next chunk: only LAST says that it is over.
        end = len(rows) if rows["flags"][-1] & LAST else int(cuts[-1])
        held = rows[end:]
        yield from _pieces(rows[:end], [*cuts[cuts < end].tolist(), end], rows_max)
    if len(held):
        yield held


def _pieces(rows: Rows, cuts: list[int], rows_max: int) -> Iterator[Rows]:
    low = 0
    while low < len(rows):
        at = bisect.bisect_right(cuts, low + rows_max) - 1
        high = cuts[at]
        if high <= low:
            high = cuts[bisect.bisect_right(cuts, low)]
        yield rows[low:high]
        low = high


def closed(chunks: Iterable[Rows]) -> Iterator[Rows]:
    """Set LAST where the format knows no messages: book rows of one instrument received together are one message.

    Prints and best prices carry their own LAST already.
    """
    held = np.zeros(0, EVENT)
    for chunk in chunks:
        if not len(chunk):
            continue
        rows = np.concatenate([held, chunk]) if len(held) else chunk
        end = int(np.searchsorted(rows["ts_recv_ns"], rows["ts_recv_ns"][-1]))  # what came last may go on
        held = rows[end:]
        if end:
            yield _close(rows[:end])
    if len(held):
        yield _close(held)


def _close(rows: Rows) -> Rows:
    rows = rows.copy()
    book = np.isin(rows["kind"], (DEPTH, CLEAR))
    goes_on = np.zeros(len(rows), bool)
    goes_on[:-1] = book[:-1] & book[1:]
    for column in ("ts_recv_ns", "instrument"):
        goes_on[:-1] &= rows[column][:-1] == rows[column][1:]
    rows["flags"][book & ~goes_on] |= LAST
    return rows


# --- several sources -------------------------------------------------------------------------------------------------
def by_receive_time(sources: list[Iterator[Rows]]) -> Iterator[Rows]:
    """Merge sources, each in receive order, into one; on ties the earlier source comes first. Messages never interleave.

    Holds about one chunk of each source.
    """
    if len(sources) == 1:
        yield from sources[0]
        return
    held = [_next(source) for source in sources]
    ended = [not len(rows) for rows in held]
    while any(map(len, held)):
        open_ends = [int(rows["ts_recv_ns"][-1]) for rows, end in zip(held, ended, strict=True) if not end]
        limit = min(open_ends, default=None)
        ready = [len(rows) if limit is None else int(np.searchsorted(rows["ts_recv_ns"], limit)) for rows in held]
        if any(ready):
            yield ordered([rows[:count] for rows, count in zip(held, ready, strict=True)])
            held = [rows[count:] for rows, count in zip(held, ready, strict=True)]
        for i, source in enumerate(sources):
            # Rows at the limit wait until it is known that no more come at that time.
            if not ended[i] and (not len(held[i]) or int(held[i]["ts_recv_ns"][-1]) == limit):
                more = _next(source)
                ended[i] = not len(more)
                held[i] = np.concatenate([held[i], more])


def ordered(parts: list[Rows]) -> Rows:
    """Return rows of several sources by receive time, on ties in the order of the sources."""
    rows = np.concatenate(parts)
    return rows[np.argsort(rows["ts_recv_ns"], kind="stable")] if sum(map(bool, map(len, parts))) > 1 else rows


def _next(source: Iterator[Rows]) -> Rows:
    """Return the next chunk that holds rows; none at the end."""
    return next((rows for rows in source if len(rows)), np.zeros(0, EVENT))

"""A tape on two clocks, in parts: every row when it happens at the exchange and when it reaches us, with bounded memory.

The merge of a whole tape is one order of all copies, by (time, exchange first, order on the tape). A part of it can be given
out as soon as no row still to come can stand before it: rows come in receive order, so of our copies that is known, and of the
exchange's it is known up to the earliest exchange time of the next chunk, which is read ahead.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hftlab.data.chunking import rows_count
from hftlab.data.rows import Rows
from hftlab.errors import TapeError
from hftlab.types import AT_DESK, AT_EXCHANGE, EVENT, NEVER_NS

Ints = npt.NDArray[np.int64]

_BOTH = np.uint16(AT_EXCHANGE | AT_DESK)
_LONG_AGO = np.iinfo(np.int64).min


class Chunked(Protocol):
    """A tape, or a stream: rows in receive order, in chunks."""

    def chunks(self, rows_max: int) -> Iterator[Rows]:
        """Yield EVENT arrays that end where a message ends."""


def merged_chunks(source: Chunked, rows_max: int = 1_000_000) -> Iterator[Rows]:
    """Yield the rows of `Tape.merge` in parts, byte for byte the same, holding about three chunks of `rows_max` rows.

    Raises TapeError where a row is received before it happened, and where a message happened before what was already given
    out: then it came more than a chunk late.
    """
    return _merged(source.chunks(rows_count(rows_max)))


def _merged(chunks: Iterable[Rows]) -> Iterator[Rows]:
    merger = _Merger()
    held: _Messages | None = None
    for rows in chunks:
        chunk = merger.read(rows)
        if held is not None:
            yield from merger.give(held, int(chunk.exch_ns.min()))
        held = chunk
    if held is not None:
        yield from merger.give(held, NEVER_NS)


def merge_rows(rows: Rows) -> Rows:
    """Return a whole tape on two clocks. Raises TapeError where a row is received before it happened."""
    return next(_merged([rows]))


@dataclass
class _Messages:
    """Rows in receive order, where each message of them begins (and the last one ends), and when it happened."""

    rows: Rows
    starts: Ints
    exch_ns: Ints

    def after(self, before: "_Messages") -> "_Messages":
        """Return both, one after the other."""
        if not len(before.rows):
            return self
        return _Messages(
            np.concatenate([before.rows, self.rows]),
            np.concatenate([before.starts[:-1], self.starts + len(before.rows)]),
            np.concatenate([before.exch_ns, self.exch_ns]),
        )


class _Merger:
    """Keeps the messages of which a copy is still to come, and how many of their copies were given out."""

    def __init__(self) -> None:
        self._held = _Messages(np.zeros(0, EVENT), np.zeros(1, np.int64), np.zeros(0, np.int64))
        self._given = 0  # copies of held rows that were given out: always the first ones of their merge
        self._rows = 0  # read so far
        self._newest_exch_ns = _LONG_AGO  # of the exchange's copies given out
        self._newest_recv_ns = _LONG_AGO  # of ours

    def read(self, rows: Rows) -> _Messages:
        """Return the messages of the next chunk, which ends with a message. Raises TapeError for clocks that disagree."""
        from hftlab.kernels.merge import messages

        early = np.flatnonzero(rows["ts_exch_ns"] > rows["ts_recv_ns"])
        if len(early):
            row = int(early[0])
            by_ms = int(rows["ts_exch_ns"][row] - rows["ts_recv_ns"][row]) / 1e6
            raise TapeError(
                f"row {self._rows + row:,} was received {by_ms:,.3f} ms before it happened ({len(early):,} rows like it): the clocks disagree. "
                "Load the recording with clock='correct'."
            )
        starts, exch_ns = np.empty(len(rows) + 1, np.int64), np.empty(len(rows), np.int64)
        count = messages(rows.view(np.recarray), starts, exch_ns)  # the same to numba; and the kernels run uncompiled too
        starts[count] = len(rows)
        self._rows += len(rows)
        return _Messages(rows, starts[: count + 1], exch_ns[:count])

    def give(self, chunk: _Messages, next_exch_ns: int) -> Iterator[Rows]:
        """Take the next messages; yield the copies that nothing from `next_exch_ns` on can stand before. Raises TapeError."""
        from hftlab.kernels.merge import merge

        self._refuse_late(chunk)
        every = chunk.after(self._held)
        rows, starts, exch_ns = every.rows, every.starts, every.exch_ns
        out = np.empty(2 * len(rows), EVENT)
        written = merge(rows.view(np.recarray), starts, exch_ns, np.argsort(exch_ns, kind="stable"), out.view(np.recarray))
        recv_ns = rows["ts_recv_ns"][starts[:-1]]
        theirs = exch_ns <= next_exch_ns  # what comes later and happened at the same time stands behind
        ours = int(np.searchsorted(recv_ns, next_exch_ns))  # and before our copies of the same time
        sizes = np.diff(starts)
        due = int(sizes[theirs].sum()) + int(starts[ours])
        self._newest_exch_ns = max(self._newest_exch_ns, int(exch_ns[theirs].max(initial=_LONG_AGO)))
        self._newest_recv_ns = max(self._newest_recv_ns, int(recv_ns[:ours].max(initial=_LONG_AGO)))
        if due > self._given:
            whole = not self._given and due == 2 * len(rows)
            yield out[:written] if whole else _copies(out[:written], self._given, due)
        self._given = int(sizes[ours:][theirs[ours:]].sum())
        self._held = _Messages(rows[starts[ours] :].copy(), starts[ours:] - starts[ours], exch_ns[ours:])

    def _refuse_late(self, chunk: _Messages) -> None:
        late = np.flatnonzero((chunk.exch_ns < self._newest_exch_ns) | (chunk.exch_ns <= self._newest_recv_ns))
        if len(late):
            at = int(chunk.starts[late[0]])
            by_s = (int(chunk.rows["ts_recv_ns"][at]) - int(chunk.exch_ns[late[0]])) / 1e9
            raise TapeError(
                f"a message of {np.datetime64(int(chunk.exch_ns[late[0]]), 'ns')} was received {by_s:,.6f} s after it happened, more than a "
                "chunk late: what stands behind it is already given out. Raise rows_max, so that a chunk lasts longer than that."
            )


def _copies(out: Rows, low: int, high: int) -> Rows:
    """Return the copies numbered `low` to before `high` of a merge, in which a row with both flags is two copies.

    Where a cut goes through such a row, its copies are written apart: what lies between them is on another side of the cut.
    """
    ends = np.cumsum(1 + ((out["flags"] & _BOTH) == _BOTH))
    first, last = int(np.searchsorted(ends, low, side="right")), int(np.searchsorted(ends, high))
    part = out[first : last + 1]
    if (part["flags"][0] & _BOTH) == _BOTH and int(ends[first]) == low + 1:
        part["flags"][0] &= ~np.uint16(AT_EXCHANGE)
    if int(ends[last]) > high:
        part["flags"][-1] &= ~np.uint16(AT_DESK)
    return part

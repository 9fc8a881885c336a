"""Captures: lines of `local_ts {json}` as a recorder wrote them, to chunks of rows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from hftlab.data.capture_lines import Lines
from hftlab.data.notes import Notes
from hftlab.data.reading import Reading
from hftlab.data.recordings_binance import BinanceReader
from hftlab.data.recordings_hyperliquid import HyperliquidReader
from hftlab.data.rows import RowBuilder, Rows, same_kind_of_error
from hftlab.data.validate_clock import smallest_latency_ns
from hftlab.errors import FormatError, InputError, TapeError
from hftlab.instrument import Instrument
from hftlab.types import CLEAR, DEPTH, GAP

_LOOKED_AT = 200  # lines read to tell the format

Reader = BinanceReader | HyperliquidReader

_READERS: dict[str, Callable[..., Reader]] = {"binance": BinanceReader, "hyperliquid": HyperliquidReader}


def read_captures(paths: Sequence[Path], reading: Reading) -> Iterator[Rows]:
    """Yield the rows of captures that follow each other. Raises what `hl.load` raises."""
    out = RowBuilder(reading.watch)
    readers: dict[str, Reader] = {}
    clock = _ReceiveClock(reading.end_s)
    first = True
    for path in paths:
        name = _format_of(path)
        if name not in readers:
            readers[name] = _READERS[name](reading.markets, out, reading.notes, bbo=reading.bbo)
        for _ in _read_file(path, readers[name], clock, reading):
            if reading.rows_each is not None and out.count >= reading.rows_each:
                yield _finished(out.take(), readers, reading, first=first)
                first = False
    rows = out.take()
    for reader in readers.values():
        reader.finish()
    if len(rows):
        yield _finished(rows, readers, reading, first=first)


def _finished(rows: Rows, readers: dict[str, Reader], reading: Reading, *, first: bool) -> Rows:
    """Return rows as they belong on a tape; only the first ones can stand before a snapshot, or before any exchange time."""
    if first:
        snapshots = {index: row for reader in readers.values() for index, row in reader.snapshots().items()}
        rows = _from_first_snapshot(rows, snapshots, reading.markets.instruments, reading.notes)
        _fill_missing_exchange_times(rows)
    return rows


class _ReceiveClock:
    """Refuses a receive time that goes back, and says when `end_s` is reached."""

    def __init__(self, end_s: float | None) -> None:
        self._length_ns = round(end_s * 1e9) if end_s is not None and np.isfinite(end_s) else None
        self._last_ns = 0
        self.first_ns = 0
        self.before = ""  # the file before this one, while no line of this one was taken

    def past_end(self, recv_ns: int) -> bool:
        """Take the next receive time; return whether reading is over. Raises TapeError when it goes back."""
        if recv_ns < self._last_ns:
            above = f"{self.before} ends" if self.before else "the line above it"
            raise TapeError(
                f"received {(self._last_ns - recv_ns) / 1e9:.6f} s before {above}. "
                "Give files in the order of recording, or pass sort=True to put the lines in order."
            )
        self._last_ns = recv_ns
        self.before = ""
        return self._length_ns is not None and self.first_ns > 0 and recv_ns >= self.first_ns + self._length_ns


def _read_file(path: Path, reader: Reader, clock: _ReceiveClock, reading: Reading) -> Iterator[None]:
    """Give every line to the reader, and stop for a moment after each."""
    reader.start_file()
    lines = Lines(path, partial=reading.partial, progress=reading.progress)
    with _located(path, lines):
        for recv_ns, payload in _in_order(lines, reading.notes) if reading.sort else lines:
            if clock.past_end(recv_ns):
                break
            reader.read(recv_ns, payload)
            clock.first_ns = clock.first_ns or reader.first_ns
            yield
    clock.before = path.name
    reading.notes.lines += lines.number
    if lines.cut:
        reading.notes.say("warning", f"{path.name} ends in the middle; its first {lines.number:,} lines were read.")


def _in_order(lines: Lines, notes: Notes) -> Iterator[tuple[int, bytes]]:
    """Yield all lines by receive time, equal times in file order. Holds the file in memory."""
    every = [(recv_ns, lines.number, payload) for recv_ns, payload in lines]
    total = lines.number
    late = sum(after[0] < before[0] for before, after in pairwise(every))
    if late:
        notes.say("warning", f"{lines.path.name}: the receive time went back {late:,} times; the lines were put in order (sort=True).")
    for recv_ns, lines.number, payload in sorted(every):  # errors name the line where it stands in the file
        yield recv_ns, payload
    lines.number = total


@contextmanager
def _located(path: Path, lines: Lines) -> Iterator[None]:
    """Put file and line in front of whatever is wrong with a line."""
    try:
        yield
    except msgspec.DecodeError as error:
        raise FormatError(f"{path.name}, line {lines.number:,}: {error}. Wanted one message of the venue's stream as JSON.") from error
    except InputError as error:
        raise same_kind_of_error(error, f"{path.name}, line {lines.number:,}") from error
    except TapeError as error:
        raise TapeError(f"{path.name}, line {lines.number:,}: {error}") from error


def _format_of(path: Path) -> str:
    """Return which reader a capture needs, by its first lines."""
    lines = Lines(path, partial=True)
    for _, payload in lines:
        try:
            message = msgspec.json.decode(payload)
        except msgspec.DecodeError as error:
            raise lines.bad_line(payload, f"wanted JSON after the local time ({error})") from error
        if isinstance(message, dict):
            if "stream" in message or "lastUpdateId" in message:
                return "binance"
            if "channel" in message:
                return "hyperliquid"
        if lines.number >= _LOOKED_AT:
            break
    if lines.cut:
        list(Lines(path))  # raises TruncatedFile
    raise FormatError(
        f"{path.name}: no line of the first {lines.number:,} is a message of a known stream. Known are Binance combined streams "
        '({"stream": …, "data": …}) and Hyperliquid ({"channel": …, "data": …}).'
    )


def _from_first_snapshot(rows: Rows, snapshots: dict[int, int], instruments: list[Instrument], notes: Notes) -> Rows:
    """Take out the book rows before each first snapshot: they change levels that nobody knew."""
    drop = np.zeros(len(rows), bool)
    book = np.isin(rows["kind"], (DEPTH, CLEAR, GAP))
    for index, first in snapshots.items():
        if first > 0:
            drop[:first] |= book[:first] & (rows["instrument"][:first] == index)
        elif first < 0 and np.any(book & (rows["instrument"] == index)):
            notes.say(
                "warning",
                f"{instruments[index].name}: no snapshot in the recording. The book begins empty; levels that no diff touched "
                "are missing, so its depth is incomplete for minutes, and deep levels for good.",
            )
    return rows[~drop] if drop.any() else rows


def _fill_missing_exchange_times(rows: Rows) -> None:
    """Give rows that came before any exchange time one that fits: as fast as the fastest, and not after the first known."""
    missing = rows["ts_exch_ns"] == 0
    if not missing.any():
        return
    if missing.all():
        raise TapeError("no message carries an exchange time, so nothing can be put on the exchange's clock.")
    known = rows[~missing]
    fastest = rows["ts_recv_ns"][missing] - smallest_latency_ns(known)
    rows["ts_exch_ns"][missing] = np.minimum(fastest, known["ts_exch_ns"].min())

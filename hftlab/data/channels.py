"""Which reader a file needs, and which files follow each other: files of one kind and market are one channel."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from hftlab.data import recordings_archive, recordings_bybit, recordings_tardis
from hftlab.data.capture_lines import SHOWN
from hftlab.data.captures import read_captures
from hftlab.data.chunking import by_receive_time
from hftlab.data.files import beginning, file_kind
from hftlab.data.mapped import open_mapped
from hftlab.data.npz import read_npz
from hftlab.data.reading import Reading, ReadOne, one_after_another
from hftlab.data.recordings_databento import read_databento
from hftlab.data.recordings_journal import is_run, read_run
from hftlab.data.rows import Rows
from hftlab.data.tables import header_of, second_line
from hftlab.errors import FormatError, InputError
from hftlab.instrument import Instrument

KNOWN = (
    "lines of `local_ts {json}` of Binance combined streams or of Hyperliquid; tables of Tardis.dev; Binance's public archive; Bybit's trades "
    "and ob500 books; Databento MBO; npz of hftbacktest or of Tape.save; a run directory"
)


ROWS_MAPPED = 1 << 18
"""Rows of a mapped tape that are mapped together: 16 MB."""


@dataclass
class Channel:
    """Files of one kind and market, in the order given."""

    read: Callable[[list[Path], Reading], Iterator[Rows]]
    paths: list[Path] = field(default_factory=list)


def channels_of(files: list[Path]) -> list[Channel]:
    """Return the channels of some files, in order of appearance. Raises FormatError for a file that no reader knows."""
    found: dict[tuple[str, ...], Channel] = {}
    for path in files:
        key, read = _reader_of(path)
        found.setdefault(key, Channel(read)).paths.append(path)
    return list(found.values())


def read_all(channels: list[Channel], reading: Reading) -> Iterator[Rows]:
    """Yield the rows of all channels by receive time, up to `reading.end_s`. Raises FormatError when there are none."""
    sources = [channel.read(channel.paths, reading) for channel in channels]
    # Readers that are asked to sort give rows in any order: `load` sorts them when it has them all.
    merged = (rows for source in sources for rows in source) if reading.sort else by_receive_time(sources)
    count = 0
    for rows in _until(merged, reading):
        count += len(rows)
        yield rows
    source = ", ".join(path.name for channel in channels for path in channel.paths)
    if not count:
        reading.markets.check_used(source)
        left_out = ", ".join([*reading.notes.ignored, *reading.notes.dropped]) or "nothing"
        raise FormatError(f"{source} holds no market data in {reading.notes.lines:,} lines (left out: {left_out}).")
    reading.markets.check_used(source)
    for name in sorted(reading.markets.other):
        reading.notes.say("info", f"{name} is also recorded and was left out; it was not asked for.")


def _until(chunks: Iterator[Rows], reading: Reading) -> Iterator[Rows]:
    end_s, end_ns = reading.end_s, None
    for rows in chunks:
        if end_s is not None and np.isfinite(end_s) and not reading.sort and len(rows):
            end_ns = int(rows["ts_recv_ns"][0]) + round(end_s * 1e9) if end_ns is None else end_ns
            if int(rows["ts_recv_ns"][-1]) >= end_ns:
                yield rows[: int(np.searchsorted(rows["ts_recv_ns"], end_ns))]
                return
        yield rows


# --- which reader ----------------------------------------------------------------------------------------------------
def _reader_of(path: Path) -> tuple[tuple[str, ...], Callable[[list[Path], Reading], Iterator[Rows]]]:
    if path.is_dir():
        if not is_run(path):
            raise FormatError(f"{path} is a directory, but no run of hl.start (it holds no spec.yaml). Give the files in it.")
        return ("run", str(path)), _each(read_run)
    kind = file_kind(path)
    if kind == "npz":
        return ("npz",), _each(_read_npz)
    if kind == "tape":
        return ("tape",), _each(_read_mapped)
    start = beginning(path)
    if start.startswith(b"DBN"):
        return ("databento",), _each(read_databento)
    return _reader_of_text(path, start)


def _reader_of_text(path: Path, start: bytes) -> tuple[tuple[str, ...], Callable[[list[Path], Reading], Iterator[Rows]]]:
    if recordings_bybit.is_book(start):
        symbol = start.split(b'"orderbook.', 1)[1].partition(b'"')[0].decode()
        return ("bybit book", symbol), _each(recordings_bybit.read_books)
    header, data = header_of(start), tuple(second_line(start))
    if tardis := recordings_tardis.kind_of(header):
        return ("tardis", tardis, *data[:2]), _each(partial(_read_tardis, kind=tardis))
    if header[:4] == recordings_tardis.HEAD:
        raise FormatError(
            f"{path.name}, line 1: a table of Tardis.dev with the columns {', '.join(header[4:10])}…; wanted one of "
            f"{', '.join(recordings_tardis.KNOWN)}, book_ticker or book_snapshot_N."
        )
    found = recordings_archive.with_header(header) or recordings_archive.without_header(header)
    if found is not None:
        kind, columns = found
        symbol = data[columns.index(kind.symbol)] if kind.symbol and len(data) == len(columns) else ""
        return (kind.name, symbol), _each(partial(_read_archive, kind=kind))
    if start[:1].isdigit() and b"," not in start.partition(b" ")[0]:
        return ("capture",), read_captures
    shown = start.partition(b"\n")[0][:SHOWN].decode("utf-8", "replace")
    raise FormatError(f"{path.name} is not a recording: it begins with line 1: {shown!r}; wanted {KNOWN}.")


def _each(read: ReadOne) -> Callable[[list[Path], Reading], Iterator[Rows]]:
    return lambda paths, reading: one_after_another(paths, read, reading)


# Files of one market need not have the same columns: Binance's tables got a header line one day, and snapshots have 5 or 25 levels.
# So each is read by its own first line.
def _read_tardis(path: Path, reading: Reading, kind: str) -> Iterator[Rows]:
    return recordings_tardis.read_tardis(path, reading, header_of(beginning(path)), kind)


def _read_archive(path: Path, reading: Reading, kind: recordings_archive.Archive) -> Iterator[Rows]:
    return recordings_archive.read_archive(path, reading, kind, recordings_archive.table_of(kind, header_of(beginning(path))))


# --- our own files, and hftbacktest's ----------------------------------------------------------------------------------
def _read_npz(path: Path, reading: Reading) -> Iterator[Rows]:
    wanted = tuple(reading.markets.instruments) or None
    rows, instruments = read_npz([path], wanted, reading.notes, sort=False)
    yield _placed(rows, instruments, reading)


def _read_mapped(path: Path, reading: Reading) -> Iterator[Rows]:
    mapped = open_mapped(path)
    reading.notes.add(mapped.notes)
    check_instruments(path, mapped.instruments, tuple(reading.markets.instruments) or None)
    for low in range(0, mapped.count, ROWS_MAPPED):
        rows = mapped.rows(low, low + ROWS_MAPPED)
        if reading.progress is not None:
            reading.progress.read += rows.nbytes
        yield _placed(rows, mapped.instruments, reading)


def _placed(rows: Rows, instruments: tuple[Instrument, ...], reading: Reading) -> Rows:
    if not reading.markets.instruments:
        reading.markets.instruments.extend(instruments)
    reading.markets.used.update(range(len(instruments)))
    return rows


def check_instruments(path: Path, found: tuple[Instrument, ...], wanted: tuple[Instrument, ...] | None) -> None:
    """Raise InputError where a tape holds other instruments than those that were asked for, or that came before."""
    if wanted is not None and found != wanted:
        raise InputError(
            f"{path.name} holds {', '.join(one.name for one in found)}; wanted {', '.join(one.name for one in wanted)} as given or as in the "
            "first file."
        )

"""`load`: from files that people have to a checked tape."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftlab.data.lines import Lines, file_kind
from hftlab.data.markets import Markets, Wanted
from hftlab.data.notes import Notes
from hftlab.data.npz import read_npz
from hftlab.data.recordings_binance import BinanceReader
from hftlab.data.recordings_hyperliquid import HyperliquidReader
from hftlab.data.rows import RowBuilder, Rows, same_kind_of_error
from hftlab.data.tape import Tape
from hftlab.data.validate_clock import clock_is_possible, smallest_latency_ns
from hftlab.errors import DataWarning, FormatError, InputError, TapeError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.types import CLEAR, DEPTH, GAP

CLOCKS = ("as recorded", "correct")
OPTIONS = ("instrument", "clock", "bbo", "start_s", "end_s", "partial", "sort")

LATENCY_FLOOR_NS = 1_000_000
"""The smallest latency after a clock correction. It cannot be known from the file; a millisecond is about the least that a
host near the venue sees. All other latencies keep their distance to it."""

_LOOKED_AT = 200  # lines read to tell the format

Paths = str | Path | Sequence[str | Path]
Reader = BinanceReader | HyperliquidReader

_READERS: dict[str, Callable[..., Reader]] = {"binance": BinanceReader, "hyperliquid": HyperliquidReader}


def load(
    paths: Paths,
    instrument: Wanted = None,
    *,
    clock: str = "as recorded",
    bbo: bool = False,
    start_s: float | None = None,
    end_s: float | None = None,
    partial: bool = False,
    sort: bool = False,
    **unknown: Any,
) -> Tape:
    """Read recordings into one checked tape. The format is told by content.

    `paths`: one file, or several that follow each other. Known are lines of `local_ts {json}` (plain or gzip) of Binance
    combined streams and of Hyperliquid, and npz of hftbacktest (needs `instrument`) and of `Tape.save`.
    `instrument`: which to read, one or several, as Instrument or bundled name; none takes every symbol of the file from the
    bundled catalogue.
    `clock`: "correct" moves all receive times by a constant, so that the smallest latency is 1 ms, if the recorded clocks
    cannot both be right; "as recorded" leaves them and warns. `bbo` keeps the venue's own best prices, to check the book.
    `start_s`, `end_s`: seconds after the first row, as in `Tape.slice`; reading stops at the end. `partial` accepts a file that ends in the middle. `sort` puts lines
    that are out of order in order.

    Raises FormatError, TruncatedFile, TapeError, OffGridPrice, OffGridQuantity, UnknownInstrument, InputError, UnknownName.
    """
    _check_options(unknown, clock)
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not files:
        raise InputError("no files were given; wanted at least one path.")
    kinds = {file_kind(path) == "zip" for path in files}
    if len(kinds) > 1:
        raise FormatError("npz files and line captures were given together; load each kind on its own.")
    notes = Notes()
    if kinds == {True}:
        rows, instruments = read_npz(files, instrument, notes, sort=sort)
    else:
        rows, instruments = _read_captures(files, Markets(instrument), notes, bbo=bbo, end_s=end_s, partial=partial, sort=sort)
    if clock == "correct":
        _correct_clock(rows, notes)
    tape = Tape(rows, instruments, ", ".join(path.name for path in files), notes)
    if start_s is not None or end_s is not None:
        tape = tape.slice(start_s, end_s)
    if not tape.report.clock_ok and clock == "as recorded":
        text = next(finding.text for finding in tape.report.findings if "clock" in finding.text)
        warnings.warn(f"{tape.source}: {text}", DataWarning, stacklevel=2)
    return tape


def _check_options(unknown: dict[str, Any], clock: str) -> None:
    for name in unknown:
        raise UnknownName(f"load has no option {name!r}.{did_you_mean(name, OPTIONS)}")
    if clock not in CLOCKS:
        raise UnknownName(f"clock was {clock!r}.{did_you_mean(clock, CLOCKS)}")


def _correct_clock(rows: Rows, notes: Notes) -> None:
    """Shift the receive times in place when the smallest latency cannot be one."""
    lowest = smallest_latency_ns(rows)
    if clock_is_possible(lowest):
        return
    shift = LATENCY_FLOOR_NS - lowest
    rows["ts_recv_ns"] += shift
    notes.clock_shift_ns += shift
    notes.say(
        "info",
        f"the receive clock was moved by {shift / 1e9:+.6f} s, so that the smallest latency is {LATENCY_FLOOR_NS / 1e6:g} ms. "
        "The true floor is unknown: add it with the latency model.",
    )


# --- line captures ---------------------------------------------------------------------------------------------------
def _read_captures(
    files: list[Path], markets: Markets, notes: Notes, *, bbo: bool, end_s: float | None, partial: bool, sort: bool
) -> tuple[Rows, tuple[Instrument, ...]]:
    out = RowBuilder()
    readers: dict[str, Reader] = {}
    clock = _ReceiveClock(end_s)
    for path in files:
        name = _format_of(path)
        if name not in readers:
            readers[name] = _READERS[name](markets, out, notes, bbo=bbo)
        _read_file(path, readers[name], clock, notes, partial=partial, sort=sort)
    source = ", ".join(path.name for path in files)
    if not out.count:
        markets.check_used(source)
        left_out = ", ".join([*notes.ignored, *notes.dropped]) or "nothing"
        raise FormatError(f"{source} holds no market data in {notes.lines:,} lines (left out: {left_out}).")
    markets.check_used(source)
    for name in sorted(markets.other):
        notes.say("info", f"{name} is also recorded and was left out; it was not asked for.")
    snapshots = {index: row for reader in readers.values() for index, row in reader.finish().items()}
    rows = _from_first_snapshot(out.rows(), snapshots, markets.instruments, notes)
    _fill_missing_exchange_times(rows)
    return rows, tuple(markets.instruments)


class _ReceiveClock:
    """Refuses a receive time that goes back, and says when `end_s` is reached."""

    def __init__(self, end_s: float | None) -> None:
        self._length_ns = round(end_s * 1e9) if end_s is not None and np.isfinite(end_s) else None
        self._last_ns = 0
        self.first_ns = 0

    def past_end(self, recv_ns: int) -> bool:
        """Take the next receive time; return whether reading is over. Raises TapeError when it goes back."""
        if recv_ns < self._last_ns:
            raise TapeError(
                f"received {(self._last_ns - recv_ns) / 1e9:.6f} s before the line above it. "
                "Give files in the order of recording, or pass sort=True to put the lines in order."
            )
        self._last_ns = recv_ns
        return self._length_ns is not None and self.first_ns > 0 and recv_ns >= self.first_ns + self._length_ns


def _read_file(path: Path, reader: Reader, clock: _ReceiveClock, notes: Notes, *, partial: bool, sort: bool) -> None:
    reader.start_file()
    lines = Lines(path, partial=partial)
    with _located(path, lines):
        for recv_ns, payload in _in_order(lines, notes) if sort else lines:
            if clock.past_end(recv_ns):
                break
            reader.read(recv_ns, payload)
            clock.first_ns = clock.first_ns or reader.first_ns
    notes.lines += lines.number
    if lines.cut:
        notes.say("warning", f"{path.name} ends in the middle; its first {lines.number:,} lines were read.")


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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
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
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
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

"""`load`: from files that people have to a checked tape."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.data.channels import channels_of, check_instruments, read_all
from hftlab.data.chunking import ROWS
from hftlab.data.files import Progress, file_kind
from hftlab.data.mapped import open_mapped
from hftlab.data.markets import Markets, Wanted, as_instruments
from hftlab.data.notes import Notes
from hftlab.data.npz import count_rows, read_npz
from hftlab.data.reading import Budget, Reading
from hftlab.data.rows import Rows
from hftlab.data.tape import Tape
from hftlab.data.validate_clock import clock_is_possible, smallest_latency_ns
from hftlab.errors import DataWarning, FormatError, InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.types import EVENT

CLOCKS = ("as recorded", "correct")
OPTIONS = ("instrument", "clock", "bbo", "start_s", "end_s", "partial", "sort", "memory_max_gb")

LATENCY_FLOOR_NS = 1_000_000
"""The smallest latency after a clock correction. It cannot be known from the file; a millisecond is about the least that a
host near the venue sees. All other latencies keep their distance to it."""

Paths = str | Path | Sequence[str | Path]


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
    memory_max_gb: float | None = None,
    **unknown: Any,
) -> Tape:
    """Read recordings into one checked tape. The format is told by content.

    `paths`: one file, or several. Files of one kind and market follow each other; those of different kinds (a book and its trades)
    are merged by receive time. Known are, plain or packed with gzip, zip or zstd: lines of `local_ts {json}` of Binance combined
    streams and of Hyperliquid; tables of Tardis.dev (incremental_book_L2, book_snapshot_N, trades, quotes, book_ticker,
    derivative_ticker); Binance's public archive (trades, aggTrades, bookTicker); Bybit's trades and ob500 books; Databento MBO (the
    optional extra hftlab[databento]); npz of hftbacktest and of `Tape.save`; mapped tapes; and run directories of `hl.start`.
    `instrument`: which to read, one or several, as Instrument or bundled name; none takes every symbol of the file from the
    bundled catalogue. Files that do not say what was traded (hftbacktest, Binance's archive) need it.
    `clock`: "correct" moves all receive times by a constant, so that the smallest latency is 1 ms, if the recorded clocks
    cannot both be right; "as recorded" leaves them and warns. `bbo` keeps the venue's own best prices of a capture, to check the book.
    `start_s`, `end_s`: seconds after the first row, as in `Tape.slice`; reading stops at the end. `partial` accepts a file that
    ends in the middle. `sort` puts rows that are out of order in order. `memory_max_gb`: refuse to read what needs more memory;
    none takes four fifths of what is free.

    Raises FormatError, TruncatedFile, TapeError, OffGridPrice, OffGridQuantity, UnknownInstrument, InputError, UnknownName.
    """
    _check_options(unknown, clock)
    files = files_of(paths)
    source = ", ".join(path.name for path in files)
    budget = Budget(source, Progress(files), memory_max_gb, whole=end_s is None)
    reading = Reading(Markets(instrument), bbo=bbo, partial=partial, sort=sort, end_s=end_s)
    kinds = {"run" if path.is_dir() else file_kind(path) for path in files}
    if kinds == {"tape"} and len(files) == 1:
        rows, instruments = _open(files[0], instrument, reading.notes, budget, clock)
    elif "npz" in kinds:
        if kinds != {"npz"}:
            raise FormatError("npz files and other recordings were given together; load each kind on its own.")
        budget.need(sum(map(count_rows, files)))
        rows, instruments = read_npz(files, instrument, reading.notes, sort=sort)
    else:
        rows, instruments = _read(files, reading, budget)
    lowest_ns = _lowest_latency_ns(rows)
    if clock == "correct" and not clock_is_possible(lowest_ns):
        correct_clock(rows, lowest_ns, reading.notes)
    tape = Tape(rows, instruments, source, reading.notes, tuple(files))
    if start_s is not None or end_s is not None:
        tape = tape.slice(start_s, end_s)
    if clock == "as recorded" and not clock_is_possible(lowest_ns):
        text = next((finding.text for finding in tape.report.findings if "clock" in finding.text), None)
        if text is not None:  # a slice may hold no bad one
            warnings.warn(f"{tape.source}: {text}", DataWarning, stacklevel=2)
    return tape


def files_of(paths: Paths) -> list[Path]:
    """Return what the caller gave as a list. Raises InputError for nothing."""
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not files:
        raise InputError("no files were given; wanted at least one path.")
    return files


def _check_options(unknown: dict[str, Any], clock: str) -> None:
    for name in unknown:
        raise UnknownName(f"load has no option {name!r}.{did_you_mean(name, OPTIONS)}")
    if clock not in CLOCKS:
        raise UnknownName(f"clock was {clock!r}.{did_you_mean(clock, CLOCKS)}")


def _open(path: Path, instrument: Wanted, notes: Notes, budget: Budget, clock: str) -> tuple[Rows, tuple[Instrument, ...]]:
    """Return a mapped tape as it lies in its file: it needs no memory, unless its clock is to be corrected."""
    mapped = open_mapped(path)
    notes.add(mapped.notes)
    check_instruments(path, mapped.instruments, as_instruments(instrument))
    if clock == "correct":
        budget.need(mapped.count)
    return mapped.rows(), mapped.instruments


def _read(files: list[Path], reading: Reading, budget: Budget) -> tuple[Rows, tuple[Instrument, ...]]:
    reading.progress = budget.progress
    reading.watch = budget.check
    parts: list[Rows] = []
    count = 0
    for rows in read_all(channels_of(files), reading):
        parts.append(rows)
        count += len(rows)
        budget.check(count)
    rows = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, EVENT), *parts])
    back = int(np.count_nonzero(np.diff(rows["ts_recv_ns"]) < 0))
    if back and reading.sort:
        rows = rows[np.argsort(rows["ts_recv_ns"], kind="stable")]
        reading.notes.say("warning", f"the receive time went back {back:,} times; the rows were put in order (sort=True).")
    return np.ascontiguousarray(rows), tuple(reading.markets.instruments)


def _lowest_latency_ns(rows: Rows) -> int:
    """Return the smallest latency of rows that may be mapped: part by part, so that no column of them is held."""
    return min((smallest_latency_ns(rows[low : low + ROWS]) for low in range(0, len(rows), ROWS)), default=0)


def correct_clock(rows: Rows, lowest_ns: int, notes: Notes) -> None:
    """Shift the receive times in place, so that the smallest latency `lowest_ns` becomes a possible one."""
    shift = LATENCY_FLOOR_NS - lowest_ns
    rows["ts_recv_ns"] += shift
    notes.clock_shift_ns += shift
    notes.say(
        "info",
        f"the receive clock was moved by {shift / 1e9:+.6f} s, so that the smallest latency is {LATENCY_FLOOR_NS / 1e6:g} ms. "
        "The true floor is unknown: add it with the latency model.",
    )

"""Is this recording fit for use? Counted, measured, drawn, and said with row, column and remedy; nothing is repaired here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hftlab.data.markets import Wanted, as_instruments
from hftlab.data.notes import Notes
from hftlab.data.rows import Rows
from hftlab.data.validate_books import check_books, crossed_finding, crosses_text, far_levels, off_market, touches
from hftlab.data.validate_clock import ClockFit, clock_is_possible, fit_clocks, smallest_latency_ns
from hftlab.data.validate_files import placed, read_files
from hftlab.data.validate_html import draw
from hftlab.data.validate_order import check_grid, check_repeats, check_skipped_ids, check_whole
from hftlab.data.validate_quick import quick_report
from hftlab.data.validate_report import ERROR, SEVERITIES, WARNING, Finding, Pictures, ValidationReport
from hftlab.data.validate_rows import check_instruments, check_kinds, check_times, check_values
from hftlab.data.validate_silence import check_silence, check_stale
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.strict import keywords, number
from hftlab.types import EVENT

__all__ = ["Finding", "ValidationReport", "clock_is_possible", "compare_bbo", "quick_report", "smallest_latency_ns", "validate"]


@runtime_checkable
class _Tape(Protocol):
    @property
    def rows(self) -> Rows: ...
    @property
    def instruments(self) -> tuple[Instrument, ...]: ...


@keywords
def validate(
    data: _Tape | Rows | str | Path | Sequence[str | Path],
    instrument: Wanted = None,
    *,
    quiet_s: float | None = None,
    off_market_bps: float = 100.0,
) -> ValidationReport:
    """Return the full report on a tape, on bare EVENT rows, or on files as `hl.load` takes them. It shows itself in a notebook.

    Bad data never raises: it is reported, with file, line or row, column, what was wanted and what to do. A file is read
    as far as it can be: a cut end and lines out of order are reported and then passed over. Some 70 bytes of memory a row are
    needed beside the rows.

    `instrument`: as in `hl.load`; those of bare rows, in the order of their numbers. `quiet_s`: a silence longer than this is
    a finding; by default 50 times the median wait, 5 times the 99th percentile, at least a second. `off_market_bps`: prints
    farther from the touch than this, and than five spreads, are a finding.

    Raises InputError for a missing file, an hftbacktest npz without `instrument`, or anything that is no market data at all;
    UnknownInstrument, UnknownName.
    """
    if quiet_s is not None:
        quiet_s = number(quiet_s, "quiet_s", 1e-9, 1e9)
    off_market_bps = number(off_market_bps, "off_market_bps", 0.0, 1e9)
    instruments = as_instruments(instrument) or ()
    if isinstance(data, np.ndarray):
        if data.dtype != EVENT or data.ndim != 1:
            raise InputError(f"an array of {data.dtype} and shape {data.shape} was given; wanted rows of hftlab.types.EVENT, or a tape.")
        return _full(data, instruments, Notes(), "rows in memory", quiet_s, off_market_bps)
    if isinstance(data, _Tape):
        if instrument is not None:
            raise InputError("a tape carries its instruments; leave instrument= out.")
        notes, source = getattr(data, "notes", Notes()), getattr(data, "source", "")
        return _full(data.rows, data.instruments, notes, source or "a tape in memory", quiet_s, off_market_bps)
    recording = read_files(_files(data), instrument)
    report = _full(recording.rows, recording.instruments, recording.notes, recording.source, quiet_s, off_market_bps, recording.findings)
    return replace(report, findings=tuple(placed(report.findings, recording.rows, _files(data))))


def compare_bbo(tape: _Tape) -> tuple[int, int]:
    """Return how many of the venue's own best prices were compared with the built book, and how many differ.

    Compared where a diff, or a snapshot, carries the update id of a recorded best-price message: both prices and both
    quantities, right after it. The tape must have been loaded with bbo=True, else there is nothing to compare.
    """
    books = check_books(tape.rows)
    return books.compared, books.different


def _files(data: Any) -> list[Path]:
    paths = [data] if isinstance(data, str | Path) else data
    if not isinstance(paths, Sequence) or not paths or not all(isinstance(one, str | Path) for one in paths):
        raise InputError(f"{type(data).__name__} was given; wanted a tape, EVENT rows, or the path of a recording (or several).")
    return [Path(one) for one in paths]


def _full(
    rows: Rows,
    instruments: Sequence[Instrument],
    notes: Notes,
    source: str,
    quiet_s: float | None,
    off_market_bps: float,
    of_file: Sequence[Finding] = (),
) -> ValidationReport:
    """Return the quick report with everything that takes longer: every column, the touch at every row, the clocks, pictures."""
    report = quick_report(rows, instruments, notes, source)
    if not len(rows):
        return replace(report, findings=tuple(of_file) or (_empty(source),), clock_ok=True)
    touch = touches(rows)
    silence, spans = check_silence(rows, quiet_s)
    whole = check_whole(rows, instruments)
    # What the reader's notes say without a row is not said twice.
    again = {"no snapshot": any(one.check == "snapshot" for one in whole), "ends in the middle": bool(of_file)}
    kept = [one for one in report.findings if one.check != "crossed"]
    kept = [one for one in kept if one.check != "reader" or not any(said and words in one.found for words, said in again.items())]
    findings = [
        *of_file,
        *kept,
        *check_times(rows),
        *check_kinds(rows),
        *check_instruments(rows, instruments),
        *check_values(rows, instruments),
        *check_repeats(rows),
        *check_skipped_ids(rows, instruments, sum(count for name, count in notes.dropped.items() if name.startswith("trade"))),
        *whole,
        *check_grid(rows, instruments),
        *crossed_finding(rows, instruments, report.crossed_messages, report.crossed_first_row, crosses_text(rows, touch)),
        *off_market(rows, instruments, touch, off_market_bps),
        *far_levels(rows, instruments, touch),
        *silence,
        *check_stale(rows, instruments, quiet_s),
    ]
    bad_times = any(one.check == "times" for one in findings)
    if bad_times:  # what follows from them would only hide them
        findings = [one for one in findings if one.check not in ("clock", "silence", "stale")]
    clock = () if bad_times else fit_clocks(rows, instruments)
    findings += [finding for fit in clock for finding in _clock_findings(fit)]
    findings.sort(key=lambda one: SEVERITIES.index(one.severity))
    pictures = Pictures() if bad_times else draw(rows, clock, spans)
    return replace(report, findings=tuple(findings), clock=clock, pictures=pictures)


def _empty(source: str) -> Finding:
    return Finding(ERROR, f"{source} holds no rows", "at least one", "Record again, or look at why the recorder wrote nothing.", "empty")


def _clock_findings(fit: ClockFit) -> list[Finding]:
    """Say when the clocks of a venue and of the recorder do not stand still towards each other."""
    fix = "clock='correct' takes away the constant only: latencies are wrong by that much in places. Discipline the recorder's clock (NTP, PTP)."
    wanted = "clocks that stand still towards each other"
    if fit.wanders:
        text = f"the fastest messages of {fit.venue} move by {fit.wander_ms:,.1f} ms over the recording: one of the clocks is being steered"
        return [Finding(WARNING, text, wanted, fix, "drift", column="ts_recv_ns, ts_exch_ns")]
    if not fit.drifts:
        return []
    moved_ms = fit.drift_ppm * 1e-3 * fit.span_s
    text = f"the clocks drift apart by {fit.drift_ppm:+,.1f} ppm, {moved_ms:+,.3f} ms over the recording of {fit.venue}"
    return [Finding(WARNING, text, wanted, fix, "drift", column="ts_recv_ns, ts_exch_ns")]

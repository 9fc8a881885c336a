"""The quick report, made whenever a tape's `report` is read: one walk over the books, counts, and the clock."""

from collections.abc import Sequence

import numpy as np

from hftlab.data.notes import Notes
from hftlab.data.rows import Rows
from hftlab.data.validate_books import book_findings, check_books, crossed_finding
from hftlab.data.validate_clock import PERCENTILES, clock_is_possible, latency_by_kind, smallest_latency_ns, streamed
from hftlab.data.validate_order import (
    check_book_there,
    check_gaps,
    check_order,
    check_trade_ids,
    exch_regressions,
    recv_regressions,
    repeated_trades,
)
from hftlab.data.validate_report import WARNING, Finding, ValidationReport
from hftlab.instrument import Instrument
from hftlab.types import GAP, KIND_NAMES, LAST


def quick_report(rows: Rows, instruments: Sequence[Instrument] = (), notes: Notes | None = None, source: str = "") -> ValidationReport:
    """Return the quick report of EVENT rows. `notes` are those of the reader that made them."""
    notes = notes or Notes()
    books = check_books(rows)
    where = streamed(rows)
    latency = rows["ts_recv_ns"][where] - rows["ts_exch_ns"][where]
    lowest = smallest_latency_ns(rows)
    counts = np.bincount(rows["kind"], minlength=1)
    span_ns = int(rows["ts_recv_ns"].max() - rows["ts_recv_ns"].min()) if len(rows) else 0
    back_recv, back_exch, repeated = recv_regressions(rows), exch_regressions(rows), repeated_trades(rows)
    findings = [
        *(Finding(severity, text, check="reader") for severity, text in notes.sentences),
        *check_clock(rows, lowest),
        *check_order(rows, back_recv, back_exch),
        *check_gaps(rows, instruments),
        *crossed_finding(rows, instruments, books.crossed, books.crossed_first),
        *check_trade_ids(rows, repeated),
        *book_findings(rows, instruments, books),
        *check_book_there(rows),
    ]
    return ValidationReport(
        rows=len(rows),
        messages=int(np.count_nonzero(rows["flags"] & LAST)),
        rows_by_kind={KIND_NAMES.get(kind, str(kind)): int(count) for kind, count in enumerate(counts) if count},
        span_s=span_ns / 1e9,
        gaps=int(np.count_nonzero(rows["kind"] == GAP)),
        recv_regressions=int(np.count_nonzero(back_recv)),
        exch_regressions=int(np.count_nonzero(back_exch)),
        crossed_messages=books.crossed,
        crossed_first_row=books.crossed_first,
        duplicates=int(np.count_nonzero(repeated)),
        latency_min_ns=lowest,
        clock_ok=clock_is_possible(lowest),
        clock_shift_ns=notes.clock_shift_ns,
        latency_ms={p: float(np.percentile(latency, p)) / 1e6 for p in PERCENTILES} if len(latency) else {},
        bbo_compared=books.compared,
        bbo_different=books.different,
        ignored=dict(notes.ignored),
        dropped=dict(notes.dropped),
        findings=tuple(findings),
        source=source,
        latency_by_kind=latency_by_kind(rows, where),
    )


def check_clock(rows: Rows, lowest_ns: int) -> list[Finding]:
    """Say when the smallest latency cannot be one."""
    if clock_is_possible(lowest_ns):
        return []
    latency = rows["ts_recv_ns"] - rows["ts_exch_ns"]
    row, column = int(np.argmin(latency)), "ts_recv_ns, ts_exch_ns"
    if lowest_ns < 0:
        count = int(np.count_nonzero(latency < 0))
        text = (
            f"the local clock is at least {-lowest_ns / 1e9:.3f} s behind the exchange's: the fastest message seems to arrive "
            f"{-lowest_ns / 1e6:,.3f} ms before it was sent, and {count:,} rows have a negative latency"
        )
        fix = "Latencies mean nothing until it is loaded with hl.load(…, clock='correct')."
        return [Finding(WARNING, text, "receive times after exchange times", fix, "clock", row, column, count)]
    text = f"even the fastest message took {lowest_ns / 1e9:,.3f} s: the local clock is ahead of the exchange's, or the stream was old"
    fix = "Load with hl.load(…, clock='correct') to take the constant part away."
    return [Finding(WARNING, text, "a latency of a network, below 2 s", fix, "clock", row, column, len(rows))]

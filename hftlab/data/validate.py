"""Is this tape fit for use? Counted, measured, and said in sentences; nothing is repaired here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

import numpy as np

from hftlab.data.notes import Notes
from hftlab.data.rows import Rows
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, BOOK, CLEAR, DEPTH, GAP, KIND_NAMES, LAST, SNAPSHOT, TRADE

CLOCK_AHEAD_NS = 2_000_000_000
"""A smallest latency above this is no network: the local clock is ahead, or the venue's stamps are old."""

PERCENTILES = (1, 50, 90, 99, 100)


class _Tape(Protocol):
    @property
    def rows(self) -> Rows: ...
    @property
    def instruments(self) -> tuple[Instrument, ...]: ...


@dataclass(frozen=True)
class Finding:
    """One sentence for a person. `severity` is "info", "warning" or "error"."""

    severity: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}"


@dataclass(frozen=True)
class ValidationReport:
    """What was found in a tape. Times in ns, `latency_ms` by percentile of the streamed messages."""

    rows: int
    messages: int
    rows_by_kind: dict[str, int]
    span_s: float
    gaps: int
    recv_regressions: int
    exch_regressions: int
    crossed_messages: int
    crossed_first_row: int  # -1: none
    duplicates: int
    latency_min_ns: int
    clock_ok: bool
    clock_shift_ns: int
    latency_ms: dict[int, float]
    bbo_compared: int
    bbo_different: int
    ignored: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Return whether nothing worse than a remark was found."""
        return all(finding.severity == "info" for finding in self.findings)

    def facts(self) -> dict[str, str]:
        """Return the measured facts as text, for a table."""
        kinds = ", ".join(f"{name} {count:,}" for name, count in self.rows_by_kind.items())
        latency = ", ".join(f"p{p} {value:,.3f}" for p, value in self.latency_ms.items())
        facts = {
            "rows": f"{self.rows:,} ({kinds})",
            "messages": f"{self.messages:,}",
            "span": f"{self.span_s:,.1f} s",
            "gaps": f"{self.gaps:,}",
            "crossed after a message": f"{self.crossed_messages:,}",
            "feed latency, ms": f"min {self.latency_min_ns / 1e6:,.3f}, {latency}" if latency else "none measured",
        }
        if self.clock_shift_ns:
            facts["receive clock shifted by"] = f"{self.clock_shift_ns / 1e9:+.6f} s"
        if self.rows_by_kind.get("BBO"):
            facts["best prices compared"] = f"{self.bbo_compared:,}, different {self.bbo_different:,}"
        for title, counts in (("ignored", self.ignored), ("dropped", self.dropped)):
            if counts:
                facts[title] = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        return facts

    def __str__(self) -> str:
        lines = [f"{name}: {value}" for name, value in self.facts().items()]
        return "\n".join([*lines, *map(str, self.findings)])

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th style='text-align:left'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self.facts().items())
        items = "".join(f"<li><b>{finding.severity}</b> {escape(finding.text)}</li>" for finding in self.findings)
        return f"<table>{cells}</table>" + (f"<ul>{items}</ul>" if items else "<p>no findings</p>")


def validate(tape: _Tape | Rows, instruments: Sequence[Instrument] = (), notes: Notes | None = None) -> ValidationReport:
    """Return the report of a tape, or of bare EVENT rows. `notes` are those of the reader that made them."""
    rows = tape if isinstance(tape, np.ndarray) else tape.rows
    instruments = instruments or (() if isinstance(tape, np.ndarray) else tape.instruments)
    notes = notes or Notes()
    crossed, crossed_first, compared, different, different_first = _check_books(rows)
    latency = _streamed_latency_ns(rows)
    lowest = smallest_latency_ns(rows)
    counts = np.bincount(rows["kind"], minlength=1) if len(rows) else np.zeros(1, int)
    span_ns = int(rows["ts_recv_ns"].max() - rows["ts_recv_ns"].min()) if len(rows) else 0
    facts: dict[str, Any] = {
        "rows": len(rows),
        "messages": int(np.count_nonzero(rows["flags"] & LAST)),
        "rows_by_kind": {KIND_NAMES.get(kind, str(kind)): int(count) for kind, count in enumerate(counts) if count},
        "span_s": span_ns / 1e9,
        "gaps": int(np.count_nonzero(rows["kind"] == GAP)),
        "recv_regressions": int(np.count_nonzero(np.diff(rows["ts_recv_ns"]) < 0)),
        "exch_regressions": _book_time_regressions(rows),
        "crossed_messages": crossed,
        "crossed_first_row": crossed_first,
        "duplicates": _repeated_trades(rows),
        "latency_min_ns": lowest,
        "clock_ok": clock_is_possible(lowest),
        "clock_shift_ns": notes.clock_shift_ns,
        "latency_ms": {p: float(np.percentile(latency, p)) / 1e6 for p in PERCENTILES} if len(latency) else {},
        "bbo_compared": compared,
        "bbo_different": different,
    }
    findings = tuple(Finding(*pair) for pair in [*notes.sentences, *_findings(rows, instruments, facts, different_first)])
    return ValidationReport(**facts, ignored=dict(notes.ignored), dropped=dict(notes.dropped), findings=findings)


def compare_bbo(tape: _Tape) -> tuple[int, int]:
    """Return how many of the venue's own best prices were compared with the built book, and how many differ.

    Compared where a diff, or a snapshot, carries the update id of a recorded best-price message: both prices and both
    quantities, right after it. The tape must have been loaded with bbo=True, else there is nothing to compare.
    """
    _, _, compared, different, _ = _check_books(tape.rows)
    return compared, different


def smallest_latency_ns(rows: Rows) -> int:
    """Return the smallest receive minus exchange time, 0 without rows. Below zero no pair of true clocks can have it."""
    return int((rows["ts_recv_ns"] - rows["ts_exch_ns"]).min()) if len(rows) else 0


def clock_is_possible(latency_min_ns: int) -> bool:
    """Return whether the smallest latency can be one."""
    return 0 <= latency_min_ns <= CLOCK_AHEAD_NS


def _streamed_latency_ns(rows: Rows) -> np.ndarray[Any, Any]:
    """Return the latency of each streamed message; of snapshots too on venues that stream nothing else."""
    ends = rows[((rows["flags"] & LAST) != 0) & np.isin(rows["kind"], (DEPTH, TRADE))]
    streamed = ends[(ends["flags"] & SNAPSHOT) == 0]
    if not np.any(streamed["kind"] == DEPTH):
        streamed = ends
    return streamed["ts_recv_ns"] - streamed["ts_exch_ns"]


def _of_instruments(rows: Rows) -> list[Rows]:
    return [rows[rows["instrument"] == i] for i in np.unique(rows["instrument"])]


def _book_time_regressions(rows: Rows) -> int:
    """Return how often exchange time goes back within the rows of one book; between books and prints it may."""
    books = rows[np.isin(rows["kind"], (DEPTH, CLEAR, GAP))]
    return sum(int(np.count_nonzero(np.diff(one["ts_exch_ns"]) < 0)) for one in _of_instruments(books))


def _repeated_trades(rows: Rows) -> int:
    trades = rows[(rows["kind"] == TRADE) & (rows["seq"] != 0)]
    return sum(len(one) - len(np.unique(one["seq"])) for one in _of_instruments(trades))


def _check_books(rows: Rows) -> tuple[int, int, int, int, int]:
    """Run the compiled check. Returns (crossed, row of the first, compared, different, row of the first)."""
    # Imported here: numba takes longer to load than a small tape takes to read.
    from hftlab.kernels.check import check_books

    count = int(rows["instrument"].max()) + 1 if len(rows) else 1
    pairs, first = _bbo_pairs(rows, count)
    result = np.zeros(5, np.int64)
    books = np.zeros(count, BOOK).view(np.recarray)  # the same to numba; and the kernels run uncompiled too
    check_books(rows.view(np.recarray), books, np.zeros(count, np.int64), pairs, first, result)
    return tuple(int(value) for value in result)  # type: ignore[return-value]


def _bbo_pairs(rows: Rows, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
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


def _findings(rows: Rows, instruments: Sequence[Instrument], facts: dict[str, Any], different_first: int) -> list[tuple[str, str]]:
    """Return what a person should know, as (severity, text)."""
    found: list[tuple[str, str]] = []

    def say(severity: str, text: str) -> None:
        found.append((severity, text))

    lowest_ms = facts["latency_min_ns"] / 1e6
    if facts["latency_min_ns"] < 0:
        say(
            "warning",
            f"the local clock is at least {-lowest_ms / 1e3:.3f} s behind the exchange's: the fastest message seems to arrive "
            f"{-lowest_ms:,.3f} ms before it was sent. Latencies mean nothing until it is loaded with clock='correct'.",
        )
    elif not facts["clock_ok"]:
        say(
            "warning",
            f"even the fastest message took {lowest_ms / 1e3:,.3f} s: the local clock is ahead of the exchange's, or the "
            "stream was old. Load with clock='correct' to take the constant part away.",
        )
    if facts["recv_regressions"]:
        say("error", f"the receive time goes back {facts['recv_regressions']:,} times. Load with sort=True to put lines in order.")
    if facts["exch_regressions"]:
        say("warning", f"exchange time goes back {facts['exch_regressions']:,} times within a book: ordered by it, diffs change places.")
    if facts["gaps"]:
        say("warning", f"{facts['gaps']:,} gaps: updates were lost, and each book is not to be trusted until its next snapshot.")
    if facts["crossed_messages"]:
        row = facts["crossed_first_row"]
        say(
            "warning",
            f"the book is crossed after {facts['crossed_messages']:,} messages, first at row {row:,}{_where(rows, row, instruments)}.",
        )
    if facts["duplicates"]:
        say("warning", f"{facts['duplicates']:,} trades repeat the id of another one.")
    if facts["bbo_different"]:
        say(
            "error",
            f"the built book differs from the venue's best prices at {facts['bbo_different']:,} of {facts['bbo_compared']:,} update "
            f"ids, first at row {different_first:,}{_where(rows, different_first, instruments)}.",
        )
    if not np.any(rows["kind"] == DEPTH):
        say("warning", "no book: the tape holds no DEPTH rows.")
    return found


def _where(rows: Rows, row: int, instruments: Sequence[Instrument]) -> str:
    index = int(rows[row]["instrument"])
    name = instruments[index].name if index < len(instruments) else f"instrument {index}"
    after_s = (int(rows[row]["ts_recv_ns"]) - int(rows[0]["ts_recv_ns"])) / 1e9
    return f" ({name}, {after_s:.3f} s in)"

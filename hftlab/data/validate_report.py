"""What validation says: findings, each with its place and its remedy, and the report that shows them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hftlab.data.validate_clock import ClockFit

if TYPE_CHECKING:
    import pandas as pd

INFO, WARNING, ERROR = "info", "warning", "error"
SEVERITIES = (ERROR, WARNING, INFO)


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know: where it is, what was found, what was wanted, what to do.

    `severity` is "info", "warning" or "error". `row` counts from 0 in the rows of the tape, -1 where no row can be named;
    `place` is the file, and the line (from 1) or row (from 0) in it, where a file was read; `count` is how many are like it.
    """

    severity: str
    found: str
    wanted: str = ""
    fix: str = ""
    check: str = ""
    row: int = -1
    column: str = ""
    count: int = 1
    place: str = ""

    @property
    def where(self) -> str:
        """Return place, row and column as text, as far as they are known."""
        row = f"row {self.row:,}" if self.row >= 0 else ""
        if row and self.place:
            row = f"({row} of the tape)"
        return ", ".join(part for part in (" ".join(part for part in (self.place, row) if part), self.column) if part)

    @property
    def text(self) -> str:
        """Return the finding as sentences."""
        head = f"{self.where}: " if self.where else ""
        wanted = f"; wanted {self.wanted}" if self.wanted else ""
        sentence = f"{head}{self.found}{wanted}"
        stop = "" if sentence.endswith(".") else "."
        return f"{sentence}{stop}{' ' + self.fix if self.fix else ''}"

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}"


@dataclass(frozen=True)
class Pictures:
    """The inline pictures of a report, SVG text each; made with the full report only."""

    svgs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ValidationReport:
    """What was found in market data. Times in ns; `latency_ms` by percentile of the streamed messages of all kinds.

    Counts: `rows`, `messages`, `gaps` (GAP rows), `recv_regressions` (rows received before the row above), `exch_regressions`
    (rows that happened before the one above in the same book), `crossed_messages` (after which the book was crossed; `crossed_first_row` is
    the first, -1: none), `duplicates` (prints whose id came before), and best prices of the venue that were held against the book
    (`bbo_compared`) and differed (`bbo_different`).

    The report that a tape carries (`tape.report`) is the quick one: it walks the books and counts. `hl.validate` makes the
    full one: it also has `clock`, one fit a venue, pictures, and findings that name row, column and remedy.
    """

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
    source: str = field(default="", compare=False)  # the same data from another file is the same
    latency_by_kind: dict[str, dict[str, float]] = field(default_factory=dict)
    clock: tuple[ClockFit, ...] = ()
    pictures: Pictures = field(default_factory=Pictures, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Return whether nothing worse than a remark was found."""
        return all(finding.severity == INFO for finding in self.findings)

    @property
    def latency(self) -> "pd.DataFrame":
        """Return receive minus exchange time in ms by kind of message: count, min, p50, p95, p99, max. Snapshots and best prices are left out."""
        import pandas as pd

        frame = pd.DataFrame.from_dict(self.latency_by_kind, orient="index").rename_axis("kind")
        return frame.astype({"messages": int}) if len(frame) else frame

    def frame(self) -> "pd.DataFrame":
        """Return the findings as a DataFrame, one a row: severity, check, place, row, column, count, found, wanted, fix."""
        import pandas as pd

        names = ("severity", "check", "place", "row", "column", "count", "found", "wanted", "fix")
        return pd.DataFrame([[getattr(one, name) for name in names] for one in self.findings], columns=list(names))

    def facts(self) -> dict[str, str]:
        """Return the measured facts as text, for a table."""
        kinds = ", ".join(f"{name} {count:,}" for name, count in self.rows_by_kind.items())
        latency = ", ".join(f"p{p} {value:,.3f}" for p, value in self.latency_ms.items())
        facts = {
            "rows": f"{self.rows:,} ({kinds})" if kinds else f"{self.rows:,}",
            "messages": f"{self.messages:,}",
            "span": f"{self.span_s:,.1f} s",
            "gaps": f"{self.gaps:,}",
            "crossed after a message": f"{self.crossed_messages:,}",
            "feed latency, ms": f"min {self.latency_min_ns / 1e6:,.3f}, {latency}" if latency else "none measured",
        }
        for kind, row in self.latency_by_kind.items():
            if kind != "all" and len(self.latency_by_kind) > 2:
                facts[f"{kind} only, ms"] = ", ".join(f"{name} {row[name]:,.3f}" for name in ("min", "p50", "p95", "p99", "max"))
        for one in self.clock:
            facts[f"clock, {one.venue}"] = str(one)
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
        from hftlab.data.validate_html import html_of

        return html_of(self)

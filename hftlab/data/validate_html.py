"""The full report as a page part: facts, findings, and pictures of latency, rate and clock as inline SVG without scripts."""

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from hftlab.data.rows import Rows
from hftlab.data.validate_clock import ClockFit, over_time, streamed
from hftlab.data.validate_report import ERROR, SEVERITIES, WARNING, Finding, Pictures, ValidationReport
from hftlab.svg import MARK, Chart
from hftlab.types import GAP, LAST

Floats = npt.NDArray[np.float64]

SHOWN = 40  # findings that a page shows; frame() has all
_RATE_BINS = 160
_SPANS_MAX = 60
_TONES = {ERROR: MARK, WARNING: "#c98a1b"}


def draw(rows: Rows, clock: Sequence[ClockFit], silences: Sequence[tuple[float, float]]) -> Pictures:
    """Return the four pictures of a tape: latency over time, its distribution, message rate, and the clock."""
    where = streamed(rows)
    if not len(where):
        return Pictures()
    start_ns = int(rows["ts_recv_ns"].min())
    span_s = (int(rows["ts_recv_ns"].max()) - start_ns) / 1e9
    seconds = (rows["ts_recv_ns"][where] - start_ns) / 1e9
    latency = (rows["ts_recv_ns"][where] - rows["ts_exch_ns"][where]) / 1e6
    times = (rows["ts_recv_ns"][(rows["flags"] & LAST) != 0] - start_ns) / 1e9
    gaps = [(at, at) for at in ((rows["ts_recv_ns"][rows["kind"] == GAP] - start_ns) / 1e9).tolist()]
    marks = sorted([*silences, *gaps])[:_SPANS_MAX]
    pictures = [_latency(seconds, latency, span_s), _distribution(latency), _rate(times, span_s, marks)]
    return Pictures((*pictures, *(_clock(fit, span_s) for fit in clock[:4])))


def _latency(seconds: Floats, latency: Floats, span_s: float) -> str:
    x, band = over_time(seconds, latency, span_s)
    low, high = float(band["low"].min()), float(band["high"].max())
    chart = Chart("latency over time: median, 5 to 95 %", x=(0, span_s), y=(low, high), x_unit="s", y_unit="ms")
    return chart.band(x, band["low"], band["high"]).line(x, band["middle"]).svg()


def _distribution(latency: Floats) -> str:
    """Draw latencies by their logarithm; where clocks make them negative, what they are above the fastest."""
    above = latency.min() <= 0
    values = np.maximum(latency - (latency.min() if above else 0.0), 1e-3)
    low, high = np.percentile(values, 0.1), values.max()  # the very fastest would stretch the axis over empty decades
    edges = np.logspace(np.log10(low) - 0.01, np.log10(high) + 0.01, 61)
    heights, _ = np.histogram(np.maximum(values, low), edges)
    title = "messages by latency above the fastest" if above else "messages by latency"
    chart = Chart(title, x=(edges[0], edges[-1]), y=(0, float(heights.max())), x_unit="ms", x_log=True)
    return chart.bars(edges, heights.astype(float)).svg()


def _rate(times: Floats, span_s: float, marks: Sequence[tuple[float, float]]) -> str:
    counts, edges = np.histogram(times, _RATE_BINS, range=(0, span_s or 1.0))
    rate = counts / (edges[1] - edges[0])
    title = "messages a second" + (f", {len(marks):,} gaps and silences marked" if marks else "")
    chart = Chart(title, x=(0, span_s), y=(0, float(rate.max())), x_unit="s", y_unit="/s")
    return chart.bars(edges, rate).spans(list(marks)).svg()


def _clock(fit: ClockFit, span_s: float) -> str:
    t, floor = np.array(fit.seconds), np.array(fit.floor_ms)
    line = fit.line_ms(np.array([0.0, span_s]))
    low, high = np.percentile(floor, (0, 95))
    pad = max(0.5, 0.15 * (high - low))
    chart = Chart(
        f"clock of {fit.venue}: fastest messages and fitted line",
        x=(0, span_s),
        y=(min(float(low), float(line.min())) - pad, max(float(high), float(line.max())) + pad),
        x_unit="s",
        y_unit="ms",
    )
    return chart.dots(t, floor).line(np.array([0.0, span_s]), line, MARK, dashed=True).svg()


# --- page ------------------------------------------------------------------------------------------------------------
def html_of(report: ValidationReport) -> str:
    """Return the report as HTML: a verdict, pictures, findings with place and remedy, facts."""
    counts = {severity: sum(one.severity == severity for one in report.findings) for severity in SEVERITIES}
    said = ", ".join(
        f"{count:,} {severity}{'s' if count > 1 and severity != 'info' else ''}" for severity, count in counts.items() if count
    )
    verdict = f"<b>{'fit for use' if report.ok else 'look at the findings'}</b>{': ' + said if said else ': no findings'}"
    source = f"{escape(report.source)} · " if report.source else ""
    pictures = "".join(report.pictures.svgs)
    facts = "".join(f"<tr>{_cell(name, head=True)}{_cell(value)}</tr>" for name, value in report.facts().items())
    return f"<div style='max-width:980px'><p>{source}{verdict}</p>{pictures}{_findings(report.findings)}<table>{facts}</table></div>"


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = "".join(
        f"<tr style='vertical-align:top'><td style='color:{_TONES.get(one.severity, 'inherit')}'><b>{one.severity}</b></td>"
        f"{_cell(one.where)}{_cell(one.found + (f'; wanted {one.wanted}' if one.wanted else ''))}{_cell(one.fix)}</tr>"
        for one in findings[:SHOWN]
    )
    more = f"<p>… and {len(findings) - SHOWN:,} more: report.frame() has all.</p>" if len(findings) > SHOWN else ""
    head = "".join(_cell(name, head=True) for name in ("", "where", "what was found", "what to do"))
    return f"<table><tr>{head}</tr>{rows}</table>{more}"


def _cell(text: str, *, head: bool = False) -> str:
    tag = "th" if head else "td"
    return f"<{tag} style='text-align:left;vertical-align:top;white-space:normal'>{escape(text)}</{tag}>"

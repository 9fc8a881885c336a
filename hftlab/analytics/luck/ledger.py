"""The lab counts its runs: every backtest leaves one line with the data set that it ran on, so that the best of many is known as that.

A *run* is one line. A *trial* is one rule (quoters, limits, strategy and their parameters): the same rule run again, or under another
latency, fee or queue, is no new trial, for nobody can choose those when trading. Runs count against each other where they saw the same
market at the same time: a slice counts for the whole, and what was run on the first half says nothing about the second.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.luck.runs_file import Place
from hftlab.analytics.returns.sharpe import moments, per_period

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

VERSION = 1
STEPS_S = (1, 10, 60, 600, 3600, 86_400)
STEPS_MIN = 50
"""A run is cut into at least so many steps where it is sampled often enough: fewer say nothing about a ratio."""


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of market that something is about: both ends included, in ns since 1970, receive clock; instruments by name."""

    start_ns: int
    end_ns: int
    instruments: tuple[str, ...]

    def meets(self, line: Mapping[str, Any]) -> bool:
        """Return whether a line of the file is about a part of the same market at the same time."""
        return (
            line.get("from_ns", math.inf) <= self.end_ns
            and line.get("to_ns", -math.inf) >= self.start_ns
            and not set(self.instruments).isdisjoint(line.get("instruments", ()))
        )


@dataclass(frozen=True)
class Counted:
    """What the lab wrote of one run: the line, where, what it was about, and in `trouble` what stood in the way (once; else empty)."""

    line: Mapping[str, Any]
    place: Place
    span: Span
    trouble: str = ""


def span_of(source: Any, ts_ns: Times) -> Span:
    """Return the span of a run on `source`: a tape's own, or of what is streamed the time of the run's samples."""
    names = tuple(one.name for one in source.instruments)
    if hasattr(source, "start_ns"):
        return Span(source.start_ns, source.end_ns, names)
    return Span(int(ts_ns[0]), int(ts_ns[-1]), names) if len(ts_ns) else Span(0, 0, names)


def steps(ts_ns: Times, pnl: Floats) -> tuple[float, Floats]:
    """Return a step in seconds and the change of the P&L in each whole step, f8 (n,): the ratio of a run is made of these.

    The longest of STEPS_S of which the run holds STEPS_MIN, or the shortest that is no shorter than the samples are apart.
    """
    if len(ts_ns) < 3:
        return float(STEPS_S[0]), np.zeros(0)
    span_s, apart_s = (int(ts_ns[-1]) - int(ts_ns[0])) / 1e9, float(np.median(np.diff(ts_ns))) / 1e9
    fitting = [step for step in STEPS_S if step >= apart_s * 0.999]
    enough = [step for step in fitting if span_s / step >= STEPS_MIN]
    step = enough[-1] if enough else fitting[0] if fitting else STEPS_S[-1]
    step_ns = step * 1_000_000_000
    edges = np.arange(-(-int(ts_ns[0]) // step_ns), int(ts_ns[-1]) // step_ns + 1, dtype=np.int64) * step_ns
    return float(step), np.diff(pnl[np.searchsorted(ts_ns, edges, side="right") - 1])


def line_of(
    span: Span,
    rule: str,
    assumed: str,
    ts_ns: Times,
    pnl: Floats,
    *,
    when_ns: int,
    data: str = "",
    code: str = "",
    said: str = "",
    fills: int = 0,
) -> dict[str, Any]:
    """Return the line of one run. `rule` and `assumed` are digests: of what was chosen, and of what was assumed of market and venue.

    `ts_ns` i8 (n,) and `pnl` f8 (n,) are the sampled P&L; `said` names the rule for people, `code` is the fingerprint of the program.
    """
    step_s, moves = steps(ts_ns, pnl)
    ratio, (skew, kurtosis) = per_period(moves), moments(moves)
    line = {
        "v": VERSION,
        "kind": "run",
        "when_ns": when_ns,
        "from_ns": span.start_ns,
        "to_ns": span.end_ns,
        "instruments": list(span.instruments),
        "data": data,
        "rule": rule,
        "assumed": assumed,
        "said": said,
        "code": code,
        "pnl_quote": float(pnl[-1]) if len(pnl) else 0.0,
        "fills": fills,
        "step_s": step_s,
        "n": len(moves),
        "sharpe": ratio if math.isfinite(ratio) else None,
        "skew": skew if math.isfinite(skew) else None,
        "kurtosis": kurtosis if math.isfinite(kurtosis) else None,
    }
    return line | {"id": digest(repr(sorted(line.items())))}


def count_run(
    source: Any, rule: str, ts_ns: Times, pnl: Floats, *, when_ns: int, assumed: str = "", code: str = "", said: str = "", fills: int = 0
) -> Counted:
    """Write down one run on `source` (a Tape, a Stream, or what has `instruments` and `files` or `data_digest`); see `line_of`.

    Never fails for a place that cannot be written: what stood in the way is in `trouble`.
    """
    span, place = span_of(source, ts_ns), Place.of(source)
    line = line_of(
        span, rule, assumed, ts_ns, pnl, when_ns=when_ns, data=getattr(source, "data_digest", ""), code=code, said=said, fills=fills
    )
    return Counted(line, place, span, place.write([line]))


def count_runs(source: Any, lines: Sequence[Mapping[str, Any]]) -> str:
    """Write the lines (`line_of`) of many runs at once; return what stood in the way, or nothing."""
    return Place.of(source).write(lines) if lines else ""


def runs(place: Place, span: Span) -> list[dict[str, Any]]:
    """Return the runs that saw a part of `span`, oldest first."""
    return [line for line in place.read() if line.get("kind") == "run" and span.meets(line)]


def trials(lines: Iterable[Mapping[str, Any]], assumed: str = "") -> list[Mapping[str, Any]]:
    """Return one line a rule: of the runs that `assumed` the same if there are any, the longest, the newest of equals.

    Rules that never had a ratio count too: they were tried.
    """
    chosen: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        known = chosen.get(line["rule"])
        if known is None or _likeness(line, assumed) >= _likeness(known, assumed):
            chosen[line["rule"]] = line
    return list(chosen.values())


def _likeness(line: Mapping[str, Any], assumed: str) -> tuple[bool, int]:
    return line["assumed"] == assumed, line["n"]


def digest(text: str) -> str:
    """Return a short digest of a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

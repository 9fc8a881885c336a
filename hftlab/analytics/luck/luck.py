"""What the count of runs says of one of them: how many there were, the best Sharpe ratio, and what is left of it after so many trials."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from hftlab.analytics.luck.ledger import Counted, trials
from hftlab.analytics.luck.overfit import deflated_sharpe, probabilistic_sharpe

HOUR_S = 3600.0


@dataclass(frozen=True)
class Luck:
    """A run among all those on the same data.

    `run` is its number, of `runs` so far; `trials` different rules were tried. Ratios are `per_hour` (steps scaled by the square root of
    time), not annualised: `sharpe` of this run, `best_sharpe` of the best trial. `best_raw` is the probability that the best one's true ratio is
    above 0 were it the only one, `best_deflated` after `trials` of them; `deflated` the same of this run. NaN: not known.
    `marks` says in sentences what was done with sealed parts of this data.
    """

    run: int
    runs: int
    trials: int
    sharpe: float
    deflated: float
    best_sharpe: float
    best_raw: float
    best_deflated: float
    best_said: str
    variance_per_s: float
    marks: tuple[str, ...] = ()
    trouble: str = ""

    def trials_of(self, every_ns: int) -> tuple[int, float | None]:
        """Return the number of trials and the variance of their ratios in periods of `every_ns`; None where it is not known."""
        known = self.trials > 1 and math.isfinite(self.variance_per_s)
        return max(self.trials, 1), self.variance_per_s * every_ns / 1e9 if known else None

    def warnings(self) -> list[str]:
        """Return in sentences what to know before believing the run: about sealed parts, and a count that could not be written."""
        return [*self.marks, *([self.trouble] if self.trouble else [])]

    def __str__(self) -> str:
        if not self.runs:
            return "This run was not counted: it comes from a session, or HFTLAB_COUNT_RUNS is off."
        rules = f"{self.trials:,} different rule{'s' * (self.trials != 1)}"
        if math.isnan(self.best_sharpe):
            return f"Run {self.run:,} of {self.runs:,} on this data, {rules}; none had a Sharpe ratio."
        return (
            f"Run {self.run:,} of {self.runs:,} on this data, {rules}. Best Sharpe {self.best_sharpe:.3g} an hour ({self.best_said}): "
            f"above 0 with probability {self.best_raw:.3g} taken alone, {self.best_deflated:.3g} as the best of {self.trials:,}. "
            f"This run: {self.sharpe:.3g}, {self.deflated:.3g}."
        )

    def _repr_html_(self) -> str:
        said = "".join(f"<div style='border-left:3px solid #e08a1e;padding-left:8px'>{escape(mark)}</div>" for mark in self.warnings())
        return f"<div>{escape(str(self))}{said}</div>"


NOTHING = Luck(0, 0, 0, math.nan, math.nan, math.nan, math.nan, math.nan, "", math.nan)


def luck(counted: Counted | None) -> Luck:
    """Return what the count says now of a counted run."""
    if counted is None:
        return NOTHING
    lines = counted.place.read()
    found = [line for line in lines if line.get("kind") == "run" and counted.span.meets(line)]
    number = next((i for i, line in enumerate(found, 1) if line.get("id") == counted.line["id"]), len(found))
    tried = trials(found, counted.line.get("assumed", ""))
    rated = [line for line in tried if line["sharpe"] is not None]
    per_s = np.array([line["sharpe"] / math.sqrt(line["step_s"]) for line in rated])
    variance = float(per_s.var(ddof=1)) if len(per_s) > 1 else math.nan
    best = rated[int(per_s.argmax())] if rated else None
    return Luck(
        run=number,
        runs=len(found),
        trials=len(tried),
        sharpe=_per_hour(counted.line),
        deflated=_deflated(counted.line, len(tried), variance),
        best_sharpe=_per_hour(best) if best is not None else math.nan,
        best_raw=_probability(best),
        best_deflated=_deflated(best, len(tried), variance),
        best_said=best["said"] if best is not None else "",
        variance_per_s=variance,
        marks=marks(lines, counted),
        trouble=counted.trouble,
    )


def marks(lines: list[dict[str, Any]], counted: Counted) -> tuple[str, ...]:
    """Return what a reader must know of the sealed parts (hl.holdout) that a run saw: a part opened once in the open says nothing."""
    before = [line for line in lines if line.get("when_ns", 0) <= counted.line["when_ns"] and counted.span.meets(line)]
    said = []
    for seal in (line for line in before if line.get("kind") == "sealed"):
        opened = [line for line in before if line.get("kind") == "opened" and line.get("seal") == seal["seal"]]
        since = f"sealed part of this data (from {_time(seal['from_ns'])}, sealed {_time(seal['when_ns'])})"
        if not opened:
            said.append(f"This run saw a {since} that was never opened with sealed.open(…).")
        elif len(opened) > 1:
            first = opened[0]
            said.append(f"The {since} was opened {len(opened)} times, first {_time(first['when_ns'])} by {first['who']}: {first['why']}")
    return tuple(dict.fromkeys(said))


def _per_hour(line: Mapping[str, Any]) -> float:
    return line["sharpe"] * math.sqrt(HOUR_S / line["step_s"]) if line["sharpe"] is not None else math.nan


def _shape(line: Mapping[str, Any]) -> tuple[float, float]:
    return (0.0, 3.0) if line["skew"] is None else (line["skew"], line["kurtosis"])


def _probability(line: Mapping[str, Any] | None) -> float:
    return math.nan if line is None or line["sharpe"] is None else probabilistic_sharpe(line["sharpe"], line["n"], *_shape(line))


def _deflated(line: Mapping[str, Any] | None, tried: int, variance_per_s: float) -> float:
    """Return the deflated probability of one line; the trials' variance, or without two of them that of rules without skill."""
    if line is None or line["sharpe"] is None:
        return math.nan
    variance = variance_per_s * line["step_s"] if math.isfinite(variance_per_s) else None
    return deflated_sharpe(line["sharpe"], line["n"], *_shape(line), trials=max(tried, 1), trials_variance=variance)


def _time(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

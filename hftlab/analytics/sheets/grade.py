"""The performance grade: how well a run did the job of quoting and how sure that is, in one number for reading at a glance.

Our own formula, for there is no standard; it grades what a run *shows*, so that luck earns nothing. Points 0 to 100 are the sum of

    25 x share of time that both sides were live within five ticks of the touch (quoting uptime)
    25 x sure(spread capture over 1 s)          did the quotes keep what they quoted
    25 x sure(P&L of a stretch of time)         did the desk make money after fees, each of 20 stretches one sample
    25 x behaved                                1 while the desk stayed ACTIVE, 0.5 when limits made it reduce, 0 when it was halted

sure(x) = 1 where the 95 % interval of x lies above zero, 0 where it lies below, and 0.5 where it does not tell or there is none.
A run that lost money after fees is capped at 59 (F): no amount of uptime makes up for it. One with fewer than 30 fills has no grade.
Letters as in `analytics.portfolio.grade`. It ranks nothing: two runs are compared by `report.compare`, and the best of many by `report.luck`.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.costs import quality as q
from hftlab.analytics.markouts.markouts import interval
from hftlab.analytics.portfolio.grade import LETTERS
from hftlab.types import DESK_STATE_NAMES

if TYPE_CHECKING:
    from hftlab.analytics.report.report import Report

FILLS_MIN, STRETCHES, LOSS_CAP, PART = 30, 20, 59, 25
SAID = (
    "25 points each for uptime within five ticks, spread captured after 1 s, P&L after fees (half where the 95 % interval does not tell "
    "it from zero), and limits that never had to act; at most 59 after a loss. Our own formula: it grades what the run shows."
)


@dataclass(frozen=True, slots=True)
class PerformanceGrade:
    """Points 0 to 100 and their letter; `parts` names what earned how many of 25."""

    points: int
    parts: dict[str, float]

    @property
    def letter(self) -> str:
        """Return A, B, C, D or F."""
        return next((letter for least, letter in LETTERS if self.points >= least), "F")

    def __str__(self) -> str:
        earned = ", ".join(f"{name} {points:.0f}" for name, points in self.parts.items())
        return f"{self.letter} ({self.points}/100: {earned}, of {PART} each)"


def performance_grade(report: "Report") -> PerformanceGrade | None:
    """Return the grade of a report, None with fewer than FILLS_MIN fills. Of several markets each part is their mean."""
    facts = report.facts
    if len(report.fills) < FILLS_MIN:
        return None
    markets = range(len(report.instruments))
    uptime = float(np.mean([q.uptime(facts, i, report.instruments[i]) for i in markets]))
    captured = [q.capture(facts, i, 1.0) for i in markets]
    parts = {
        "uptime": PART * uptime,
        "spread captured": PART * float(np.mean([sure(one["low"], one["high"]) for one in captured])),
        "P&L": PART * sure(*pnl_interval(report)),
        "limits": PART * _behaved(report),
    }
    points = round(sum(parts.values()))
    return PerformanceGrade(min(points, LOSS_CAP) if report.pnl_quote < 0 else points, parts)


def sure(low: float, high: float) -> float:
    """Return 1 for an interval above zero, 0 for one below, 0.5 where it holds zero or is not known."""
    return 1.0 if low > 0 else 0.0 if high < 0 else 0.5


def pnl_interval(report: "Report") -> tuple[float, float]:
    """Return the 95 % interval of the mean P&L of one of STRETCHES equal stretches of the run, (nan, nan) where there is none."""
    from hftlab.analytics.report.returns import pnl_curve

    ts_ns, pnl = pnl_curve(report)
    if len(ts_ns) < 2 * STRETCHES:
        return math.nan, math.nan
    edges = np.linspace(ts_ns[0], ts_ns[-1], STRETCHES + 1).astype(np.int64)
    level = np.concatenate([[0.0], pnl[np.searchsorted(ts_ns, edges[1:], side="right") - 1]])
    made = np.diff(level)
    return interval(edges[1:], made, np.ones(STRETCHES), 1)


def _behaved(report: "Report") -> float:
    desk = report.facts.states[report.facts.states["seq"] == 1]
    seen = {DESK_STATE_NAMES[int(state)] for state in np.unique(desk["qty_lots"])} | {str(report.desk.get("state", ""))}
    if "HALTED" in seen:
        return 0.0
    return 0.5 if seen & {"REDUCING", "WIDEN"} else 1.0

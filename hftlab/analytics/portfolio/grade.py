"""The risk grade: one number for how far a desk is from its limits, made for reading at a glance, never for deciding.

With u the share of each limit that is used (of every limit that is set and whose amount is known):

    points = 100 - max(mean over limits of 100 x clip((u - 50%) / 50%), worst over limits of 100 x clip((u - 80%) / 20%))

where clip keeps a number between 0 and 1. Up to half of a limit costs nothing, from there each limit pulls its part of the
mean; beyond 80 % one limit alone pulls the grade, and at a limit it is 0. A throttle (requests) counts in the mean only: a budget that
is used up delays, it loses nothing. A desk that acts on its limits is capped: WIDEN 79, REDUCING 59, HALTED and STOPPED 0.
Letters as at school: A from 90, B from 80, C from 70, D from 60, F below. Our own formula: there is no standard for this.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hftlab.data.frame import Gauge

FREE_SHARE, ALARM_SHARE = 0.5, 0.8
CAPS = {"WIDEN": 79, "REDUCING": 59, "HALTED": 0, "STOPPED": 0}
LETTERS = ((90, "A"), (80, "B"), (70, "C"), (60, "D"))
SAID = (
    "100 less the larger of: the mean over limits of how far each is beyond 50 % of use, and how far the fullest is beyond 80 %. "
    "At a limit 0. At most 79 while widening, 59 while reducing, 0 when halted."
)


@dataclass(frozen=True, slots=True)
class Grade:
    """Points 0 to 100 and their letter. `fullest` names the limit used most, `share` how much of it; `unknown` limits had no amount."""

    points: int
    fullest: str
    share: float
    unknown: int

    @property
    def letter(self) -> str:
        """Return A, B, C, D or F."""
        return next((letter for least, letter in LETTERS if self.points >= least), "F")

    def __str__(self) -> str:
        return f"{self.letter} ({self.points}/100)"


def throttle(gauge: Gauge) -> bool:
    """Return whether a limit only delays: its name speaks of requests."""
    return "request" in gauge.name


def limited(gauge: Gauge) -> bool:
    """Return whether a limit is set that can be used up."""
    return math.isfinite(gauge.limit) and gauge.limit > 0


def grade(gauges: Iterable[Gauge], state: str) -> Grade | None:
    """Return the grade of a desk in `state` (its name) with these gauges, None where no limit with a known amount is set."""
    all_set = [gauge for gauge in gauges if limited(gauge)]
    known = [gauge for gauge in all_set if math.isfinite(gauge.amount)]
    if not known:
        return None
    mean = sum(_beyond(gauge.share, FREE_SHARE) for gauge in known) / len(known)
    worst = max((_beyond(gauge.share, ALARM_SHARE) for gauge in known if not throttle(gauge)), default=0.0)
    fullest = max(known, key=lambda gauge: gauge.share)
    points = min(round(100 * (1 - max(mean, worst))), CAPS.get(state, 100))
    return Grade(points, fullest.name, fullest.share, len(all_set) - len(known))


def _beyond(share: float, start: float) -> float:
    return min(1.0, max(0.0, (share - start) / (1 - start)))

"""What would have been: a run up to a moment as it was, and from there with another quoter or other limits.

Where a modelled exchange filled the orders, our orders never were in the market rows: the rows that follow are the same whatever we do,
and the run goes on from the very state. Where a venue, or the simulated market's own matching engine, filled them, the rows that follow
show our orders and hold answers to them; see `graft`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.report.origin import Origin
from hftlab.analytics.report.report import Report
from hftlab.assumptions import Latency, Queue
from hftlab.backtesting.counting import rule_of, tried
from hftlab.backtesting.run import play
from hftlab.backtesting.strategist import Strategist
from hftlab.backtesting.travels.course import Course
from hftlab.data.state import State
from hftlab.engine.view_report import written_of
from hftlab.errors import InputError
from hftlab.kernels import core
from hftlab.params import Limits, Quoter
from hftlab.strategies.base import Strategy
from hftlab.strict import spread
from hftlab.types import SET_LIMITS, SET_PARAMS, SET_TARGET
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner


@dataclass(frozen=True)
class Change:
    """What is other from the moment on; None is as it was. `strategy_ms` is how long its answers take.

    `queue` and `latency` are of the modelled exchange that takes the place of a real one.
    """

    quoter: Quoter | Sequence[Quoter] | None = None
    limits: Limits | Sequence[Limits] | None = None
    strategy: Strategy | None = None
    strategy_ms: float = 0.0
    queue: Queue | str | Sequence[Queue | str] | None = None
    latency: Latency | Sequence[Latency] | None = None

    def put(self, state: State, run: Any) -> Any:
        """Write the change into a state; return what runs it from there."""
        m = len(state.instruments)
        if self.limits is not None:
            for i, one in enumerate(spread(self.limits, m, "limits")):
                state.markets["limits"][i : i + 1] = one.record(state.instruments[i])
            state.desk["limits"] = state.markets["limits"][:1]
        if self.strategy is not None:
            state.markets["has_target"] = 0  # the wish was the other strategy's
        if self.quoter is None:
            return run
        quoters = spread(self.quoter, m, "quoters")
        for i, one in enumerate(quoters):
            state.markets["params"][i : i + 1] = one.record(state.instruments[i])
        decide = decide_of(quoters)
        return core.run if decide is None else runner(decide)

    def kept(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows without the commands that would undo the change: settings of the quoter that is no longer there."""
        gone = np.zeros(len(rows), bool)
        for changed, kind in ((self.quoter, SET_PARAMS), (self.limits, SET_LIMITS), (self.strategy, SET_TARGET)):
            if changed is not None:
                gone |= rows["kind"] == kind
        return rows[~gone] if gone.any() else rows

    def chosen(self) -> dict[str, Any]:
        """Return what of a backtest's rule is other, by its name there."""
        return {
            name: one for name, one in (("quoter", self.quoter), ("limits", self.limits), ("strategy", self.strategy)) if one is not None
        }

    def text(self) -> str:
        """Return in words what is other."""
        return "; ".join(f"{name} {value!r}" for name, value in self.chosen().items()) or "nothing"


def past(course: Course, row: int) -> tuple[State, Collector]:
    """Return the state after `row` rows, and all that a report wants to know of the way there: the run again, from its start."""
    state = course.fresh()
    collector = Collector(state.instruments)
    for rows in blocks(course, 0, row):
        for written in written_of(state, course.run, rows):
            collector.add(written)
    return state, collector


def blocks(course: Course, start: int, end: int) -> Iterator[np.ndarray]:
    """Yield rows `start` to before `end` of a run in pieces."""
    for low in range(start, end, course.block):
        yield course.rows.read(low, min(low + course.block, end))


def happened(course: Course, end: int) -> Report:
    """Return the report of a run up to event `end`, as it was."""
    state, collector = past(course, end)
    return Report.of(state, collector, rows=end, assumptions={"part": f"the first {end:,} events of {course.name}"})


def run_on(course: Course, row: int, end: int, change: Change) -> Report:
    """Return the report of a run that is as it was up to event `row`, and goes on to event `end` with a change."""
    if end < row:
        raise InputError(f"the end was event {end:,}, before the moment, event {row:,}; wanted a later one.")
    state, collector = past(course, row)
    if not state.exchanges["active"].any():
        from hftlab.backtesting.travels.graft import graft

        rows, said = graft(course, state, row, end, collector, change)
    else:
        if change.queue is not None or change.latency is not None:
            raise InputError("queue, latency: the exchange of this run is a modelled one already. Run hl.backtest(…) again to change it.")
        rows, said = blocks(course, row, end), {}
    run = change.put(state, course.run)
    strategist = None if change.strategy is None else Strategist(state, change.strategy, int(change.strategy_ms * 1e6))
    # A session's own market is counted where it is made a tape: hl.replay(…).tape().
    tape = course.origin.tape if isinstance(course.origin, Origin) and change.chosen() else None
    rule = None if tape is None else rule_of({**course.origin.call, **change.chosen()})
    took_s = play(state, run, (change.kept(one) for one in rows), strategist, collector.add)
    words = {"changed": f"{change.text()}, from event {row:,} of {course.name} on; before it all is as it was", **said}
    report = Report.of(state, collector, rows=int(state.desk["rows"][0]), took_s=took_s, assumptions=words)
    trouble = "" if tape is None else tried(tape, [rule], report)
    return replace(report, assumptions={**words, "count": trouble}) if trouble else report

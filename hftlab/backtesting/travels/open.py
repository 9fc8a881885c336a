"""The course of a run, wherever it is kept: a session's journal, or a backtest that can be made again."""

import weakref
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hftlab.analytics.report.origin import Origin
from hftlab.analytics.report.report import Report
from hftlab.backtesting.replay import Replay
from hftlab.backtesting.run import play, prepare
from hftlab.backtesting.strategist import Strategist
from hftlab.backtesting.travels.course import Course
from hftlab.data.checkpoints import Checkpoints, cache_key
from hftlab.data.journal_rows import JournalRows
from hftlab.data.state import State
from hftlab.engine.process import attach
from hftlab.engine.spec import FILE, load_spec
from hftlab.engine.view import View
from hftlab.errors import InputError
from hftlab.strategies.base import strategy_from_dict

CACHE = "checkpoints"  # in the run directory
SESSIONS_MAX = 4  # courses of sessions that are kept open

_reports: dict[int, tuple[weakref.ref[Report], Course]] = {}
_sessions: OrderedDict[tuple[Any, ...], Course] = OrderedDict()


def course_of(run: str | Path | View | Replay | Report) -> Course:
    """Return the course of a run; the same one when it is asked for again. Raises InputError, DataError for what is no run."""
    if isinstance(run, Report):
        return _of_report(run)
    if isinstance(run, str | Path | View | Replay):
        return _of_session(run.directory if isinstance(run, View | Replay) else attach(run).directory)
    raise InputError(
        f"the run was a {type(run).__name__}; wanted a run directory or its name, hl.attach(…), hl.replay(…), or hl.backtest(…)'s report."
    )


def forget() -> None:
    """Forget the courses that are kept open, and what they hold in memory; the next call opens them anew."""
    _reports.clear()
    _sessions.clear()


# --- a session -------------------------------------------------------------------------------------------------------------------


def _of_session(directory: Path) -> Course:
    file, journal = (directory / FILE).stat() if (directory / FILE).is_file() else None, directory / "journal" / "000000.rows"
    first = journal.stat() if journal.is_file() else None
    key = (directory, file and (file.st_ino, file.st_mtime_ns), first and first.st_ino)
    if key in _sessions:
        _sessions.move_to_end(key)
        return _sessions[key]
    spec = load_spec(directory)
    store = Checkpoints(directory / CACHE, cache_key((directory / FILE).read_bytes()))
    rows = JournalRows(directory / "journal")
    course = Course(directory.name, spec.state, spec.run(), rows=rows, store=store, origin=spec, directory=directory)
    _sessions[key] = course
    while len(_sessions) > SESSIONS_MAX:
        _sessions.popitem(last=False)
    return course


# --- a backtest --------------------------------------------------------------------------------------------------------------------


def _of_report(report: Report) -> Course:
    known = _reports.get(id(report))
    if known is not None and known[0]() is report:
        return known[1]
    course = _again(report.origin_for("its moments (of a session: hl.at(session, …), or its directory)"), report.digest)
    number = id(report)
    _reports[number] = (weakref.ref(report, lambda _: _reports.pop(number, None)), course)
    return course


def _again(origin: Origin, digest: str) -> Course:
    call = dict(origin.call)
    ready = prepare(origin.tape, call)
    strategy = call.get("strategy")

    def feed(lead: State) -> Iterator[Any]:
        # A strategy that ran remembers; the same answers want one that does not.
        strategist = None if strategy is None else Strategist(lead, strategy_from_dict(strategy.to_dict()), ready.delay_ns)
        for rows in ready.chunks:
            play(lead, ready.run, [rows], strategist, lambda _: None)
            yield len(rows)
        if course.marks.digest != digest:
            course.said.append(_OTHER)

    course = Course("the backtest", lambda: prepare(origin.tape, call).state, ready.run, feed=feed, origin=origin)
    if strategy is not None:
        course.said.append(_MEMORY)
    return course


_OTHER = (
    "This is not the run of the report: made again, it sent other requests. Its strategy was charged the time that it really took, or "
    "remembers what to_dict() does not tell."
)
_MEMORY = (
    "The strategy's answers are rows here, so the market, our orders and the account are exact at every event. What the strategy itself "
    "remembered at that time is in no record: run(…) repeats its answers, and run(strategy=…) asks one that begins anew."
)

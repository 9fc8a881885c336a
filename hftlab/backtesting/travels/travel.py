"""`at`: the whole state of a run at any event of it, the rows around it, and the way on from there."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.report.report import Report
from hftlab.assumptions import Latency, Queue
from hftlab.backtesting.replay import Replay
from hftlab.backtesting.travels import tables
from hftlab.backtesting.travels.course import Course
from hftlab.backtesting.travels.marks import KINDS
from hftlab.backtesting.travels.open import course_of
from hftlab.backtesting.travels.run import Change, happened, run_on
from hftlab.data.frame import Frame
from hftlab.data.state import digest_of
from hftlab.engine.view import View
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.params import Limits, Quoter
from hftlab.show import mimebundle
from hftlab.strategies.base import Strategy
from hftlab.strict import keywords, number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Travel(Frame):
    """One moment of a run: all that a Frame shows, and the way to other moments.

    `exchanges`: EXCHANGE[m], the modelled venue (inert where a real one filled); `written`: EVENT, what the last row made the run write
    (requests, reports, fills); `number` is the event: how many rows have been consumed.
    """

    exchanges: Any = None
    written: Any = None
    course: Course = dataclasses.field(default=None, compare=False)  # type: ignore[assignment]

    # --- what it is ------------------------------------------------------------------------------------------------------------
    @property
    def event(self) -> int:
        """Return how many rows have been consumed."""
        return self.number

    @property
    def ts(self) -> "pd.Timestamp":
        """Return the desk's time, UTC."""
        import pandas as pd

        return pd.Timestamp(self.now_ns, tz="UTC")

    @property
    def digest(self) -> str:
        """Return the digest of desk, markets and exchanges, as `State.digest` and `Replay.digest` do."""
        return digest_of(self._desk1(), self.markets, self.exchanges)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return in sentences what is not as one might think here."""
        return tuple(self.course.said)

    @property
    def pnl_quote(self) -> float:
        """Return the desk's P&L after fees, positions marked to its own fair price."""
        return float(self.desk["pnl_quote"])

    def _desk1(self) -> np.ndarray:
        return np.asarray(self.desk).reshape(1)

    def orders_table(self, i: int = 0) -> "pd.DataFrame":
        """Return our orders in market `i` with their places: as we believe, and as the modelled exchange has them."""
        return tables.orders_table(self, self.exchanges[i], i)

    def quote(self, i: int = 0) -> dict[str, float]:
        """Return the quoter's last wish: bid, ask, bid_qty, ask_qty (0: none), levels, fair, reservation, half_spread; human units."""
        return tables.quote_of(self, i)

    def estimates(self, i: int = 0) -> dict[str, float]:
        """Return what the desk has estimated by then (volatility, arrivals, decay, toxicity, markout, latencies), units in the names."""
        return tables.estimates_of(self, i)

    def rows(self, before: int = 5, after: int = 5) -> "pd.DataFrame":
        """Return `before` rows and `after` rows around this moment by name, indexed by event.

        `offset` 0 is the last one consumed, 1 the next to come.
        """
        course = self.course
        with course.lock:
            course.seek(self.number)
            first, end = max(0, self.number - int(before)), course.reach(self.number + int(after))
            times = course.times(first, end, 0)
            return tables.rows_table(course.rows.read(first, end), first + 1, times, self.number, self.instruments)

    def did(self) -> "pd.DataFrame":
        """Return what the last row consumed made the run write: requests, reports, fills, changes of state."""
        return tables.written_table(self.written, self.instruments)

    # --- other moments ---------------------------------------------------------------------------------------------------------
    def step(self, events: int = 1) -> "Travel":
        """Return the moment `events` rows later, or earlier for a negative number. Raises DataError beyond the ends."""
        return moment(self.course, self.number + int(events))

    def next(self, kind: str = "message") -> "Travel":
        """Return the next moment of a kind.

        `kind`: fill, order (a request of ours), report (a venue's answer), risk (a change of state), halt, message (the market speaks), trade, gap, funding, timer, command. Raises UnknownName, InputError where none comes.
        """
        return self._find(kind, back=False)

    def prev(self, kind: str = "message") -> "Travel":
        """Return the last moment of a kind before this one; see `next`."""
        return self._find(kind, back=True)

    def _find(self, kind: str, *, back: bool) -> "Travel":
        if kind not in KINDS:
            raise UnknownName(f"no kind of moment is called {kind!r}.{did_you_mean(kind, KINDS)}")
        found = self.course.find(kind, self.number, back=back)
        if found is None:
            raise InputError(f"no {kind} {'before' if back else 'after'} event {self.number:,} of {self.course.name}.")
        return moment(self.course, found)

    def to(self, where: Any = None, *, ts_ns: int | None = None) -> "Travel":
        """Return another moment of the same run; arguments as of `at`."""
        return moment(self.course, _row(self.course, where, ts_ns))

    # --- what would have been ---------------------------------------------------------------------------------------------------
    @keywords
    def run(
        self,
        *,
        quoter: Quoter | Sequence[Quoter] | None = None,
        limits: Limits | Sequence[Limits] | None = None,
        strategy: Strategy | None = None,
        strategy_ms: float = 0.0,
        for_s: float | None = None,
        until: Any = None,
        queue: Queue | str | Sequence[Queue | str] | None = None,
        latency: Latency | Sequence[Latency] | None = None,
    ) -> Report:
        """Go on from here with another quoter, other limits or another strategy, and return the Report of the whole run so made.

        Up to this moment it is what happened, so `report.diff(…)` and `report.compare(…)` with `happened(…)`, or with the report of the
        whole run, show what the change did. It ends after `for_s` seconds, at the moment `until` (as `where` of `at`), or with the run.
        Commands of people go on as they came, but for settings of what was changed. A strategy begins without memories; without one the
        answers of the run's own are repeated.

        A session that was filled by a venue or by the simulated market goes on over its market data without our own orders, at a modelled
        exchange; `queue` and `latency` (as of hl.backtest) say how it fills. Raises InputError, DataError, TapeError, UserCodeError.
        """
        change = Change(quoter, limits, strategy, number(strategy_ms, "strategy_ms", 0), queue, latency)
        return run_on(self.course, self.number, self._end(for_s, until), change)

    @keywords
    def happened(self, *, for_s: float | None = None, until: Any = None) -> Report:
        """Return the Report of the run as it was, up to `for_s` seconds after this moment, to the moment `until`, or to its end."""
        return happened(self.course, self._end(for_s, until))

    def _end(self, for_s: float | None, until: Any) -> int:
        if for_s is not None and until is not None:
            raise InputError("for_s and until were both given; wanted one end, or none for that of the run.")
        if for_s is not None:
            return self.course.row_at(self.now_ns + int(number(for_s, "for_s", 0, 1e9) * 1e9))
        return self.course.count() if until is None else _row(self.course, until, None)

    # --- pages -----------------------------------------------------------------------------------------------------------------
    def __repr__(self) -> str:
        position = ", ".join(f"{self.position(i):g} {one.qty_unit}" for i, one in enumerate(self.instruments))
        orders = sum(len(self.orders(i)) for i in range(len(self.instruments)))
        money = self.instruments[0].settle
        return (
            f"<Travel {self.course.name}: event {self.number:,}, {self.ts:%Y-%m-%d %H:%M:%S.%f} UTC, {self.state}, {position}, "
            f"{orders} orders, P&L {self.pnl_quote:+.2f} {money}, {self.digest}>"
        )

    def _repr_html_(self) -> str:
        from hftlab.backtesting.travels.page import page

        return page(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return mimebundle("scrubber:Scrubber", self)


@keywords
def at(run: str | Path | View | Replay | Report, where: Any = None, *, ts_ns: int | None = None) -> Travel:
    """Return the whole state of a run at one event of it: book, orders and their places, risk, quote, estimators, position, P&L.

    `run`: a run directory or its name, a View or Session, a Replay, or the Report of a backtest. `where`: an event number (int: so many
    rows are consumed; a backtest's rows are those of its tape on both clocks, with the timers), a time (pandas Timestamp, datetime,
    numpy datetime64 or text; UTC where it does not say), or a float from 0 to 1, a share of the run's time; or `ts_ns`, nanoseconds
    since 1970 on our clock: the state after all rows up to then.

    A session is read while its engine runs. The first call for a backtest runs it again, as far as is needed.
    Raises InputError, DataError for what is no run or no moment of it, TapeError, KernelFault, UserCodeError.
    """
    course = course_of(run)
    return moment(course, _row(course, where, ts_ns))


def _row(course: Course, where: Any, ts_ns: int | None) -> int:
    """Return the event that is meant."""
    if (where is None) == (ts_ns is None):
        raise InputError("one moment is wanted: an event number, a time, a share of the run's time from 0 to 1, or ts_ns=….")
    if ts_ns is not None:
        if isinstance(ts_ns, bool) or not isinstance(ts_ns, int | np.integer):
            raise InputError(f"ts_ns was {ts_ns!r}; wanted whole nanoseconds since 1970, or where=pd.Timestamp(…).")
        return course.row_at(int(ts_ns))
    if isinstance(where, int | np.integer) and not isinstance(where, bool):
        return int(where)
    if isinstance(where, float | np.floating):
        if not 0 <= where <= 1:
            raise InputError(f"where was {where!r}; wanted a share of the run's time from 0 to 1, or an event number without a point.")
        start_ns, end_ns = course.span_ns()
        return course.count() if where == 1 else course.row_at(start_ns + int((end_ns - start_ns) * float(where)))
    return course.row_at(_time_ns(where))


def _time_ns(where: Any) -> int:
    import pandas as pd

    try:
        stamp = pd.Timestamp(where)
    except (TypeError, ValueError) as error:
        raise InputError(f"where was {where!r}; wanted an event number, a time, or a share of the run's time from 0 to 1.") from error
    if stamp is pd.NaT:
        raise InputError("where was no time (NaT); wanted a moment of the run.")
    return int((stamp if stamp.tz is not None else stamp.tz_localize("UTC")).as_unit("ns").value)


def moment(course: Course, row: int) -> Travel:
    """Return the moment after `row` rows."""
    with course.lock:
        course.seek(row)  # says so where it is beyond the ends
        course.seek(max(row - 1, 0))
        written = course.forward(row)
        state = course.here
        copies = [part.copy() for part in (state.desk, state.markets, state.exchanges)]
    for one in copies:
        one.flags.writeable = False
    desk, markets, exchanges = copies
    return Travel(desk[0], markets, state.instruments, number=row, exchanges=exchanges, written=written, course=course)

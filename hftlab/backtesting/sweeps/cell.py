"""One point of a sweep, run: the same rows through the same kernels as hl.backtest, and of what it wrote a small summary.

Everything that takes long is compiled and without the GIL, so that threads do not wait for each other. The summary has the names and,
to the last bit, the values of `Report.summary`; the report itself is made by running the point again.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hftlab.analytics.exact import value2
from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.facts.figures import ratio
from hftlab.analytics.facts.pnl import HALF, WHOLE, Ledger
from hftlab.analytics.report.frames import one_base
from hftlab.analytics.report.report import Report
from hftlab.analytics.returns.sharpe import per_period
from hftlab.assumptions import Fees, Latency, Queue
from hftlab.backtesting.sweeps.grid import PARTS, Point
from hftlab.backtesting.sweeps.shared import Shared, whole_steps
from hftlab.data.state import OUT_ROWS, State, build
from hftlab.errors import AccountingError
from hftlab.kernels.jit import records
from hftlab.kernels.tally import TALLY, close_moment, tally
from hftlab.strict import spread
from hftlab.types import DESK_STATE_NAMES, EVENT, NEVER_NS, NO_PRICE

DONE, FAILED, PRUNED = "done", "failed", "pruned"

FIGURES = (
    "pnl_quote",
    "gross_quote",
    "fees_quote",
    "funding_quote",
    "drawdown_quote_max",
    "fills",
    "maker_share",
    "traded_base",
    "position_base",
    "submits",
    "amends",
    "cancels",
    "order_to_trade",
    "quoting_share",
    "state",
    "digest",
)
"""Figures of a summary that every point has; any other is read from its whole report."""

Score = Callable[[Report], float]


class Stopped(Exception):  # no error: somebody pressed cancel
    """A point that was given up because the sweep was cancelled."""


class Pruned(Exception):  # no error either
    """A point that a search gave up early."""


@dataclass(slots=True, eq=False)
class Cell:
    """What one point came to: `figures` by name, and `equity_quote` (float64, shape (parts,)), its P&L at the end of each part of the tape.

    Among the figures `sharpe_block` is mean / standard deviation (n - 1) of its P&L in whole steps of the clock, not annualised.
    """

    number: int
    params: Mapping[str, Any]
    state: str = DONE
    figures: dict[str, Any] = field(default_factory=dict)
    equity_quote: np.ndarray = field(default_factory=lambda: np.zeros(0))
    error: str = ""
    took_s: float = 0.0


class Lane:
    """What one thread runs points with, one after the other."""

    def __init__(self, shared: Shared, run: Any, score: str | Score, stop: Callable[[], bool] = lambda: False) -> None:
        self._shared, self._run, self._score, self._stop = shared, run, score, stop
        self._whole = callable(score) or score not in {*FIGURES, "sharpe_block"}
        self._own = records(np.empty(OUT_ROWS, EVENT))
        self._desks = _Desks(shared)

    def cell(self, point: Point, arguments: Mapping[str, Any], told: Callable[[int, float], None] = lambda _part, _pnl: None) -> Cell:
        """Run a point. What goes wrong in it is written into its cell; Stopped is raised.

        `told` hears the pieces run and the desk's mark of the P&L after each, and may raise Pruned.
        """
        cell = Cell(point.number, point.params)
        began = time.perf_counter()
        try:
            self._fill(cell, arguments, told)
        except Stopped:
            raise
        except Pruned:
            cell.state = PRUNED
        except Exception as error:  # why: whatever one point raises is a row of the table; the others go on
            cell.state, cell.error = FAILED, f"{type(error).__name__}: {error.args[0] if error.args else error}"
        cell.took_s = time.perf_counter() - began
        return cell

    def _fill(self, cell: Cell, arguments: Mapping[str, Any], told: Callable[[int, float], None]) -> None:
        state, latencies = self._desks.fresh(arguments)
        pieces = self._shared.pieces(latencies, self._stop)
        sums = _Sums(state, self._shared, self._own)
        collector = Collector(state.instruments) if self._whole else None
        for number, rows in enumerate(pieces):
            if self._stop():
                raise Stopped
            for written in _written(state, self._run, rows):
                sums.add(written)
                if collector is not None:
                    collector.add(written.copy())
            if number + 1 < len(pieces):
                told(number, float(state.desk["pnl_quote"][0]))
        sums.close()
        if collector is None and sums.known:
            cell.figures = sums.figures()
        else:
            report = Report.of(state, collector or self._again(arguments), rows=self._shared.rows)
            summary = report.summary()
            cell.figures = {name: summary[name] for name in FIGURES}
            if self._whole:
                cell.figures["score"] = float(self._score(report) if callable(self._score) else summary[self._score])
        cell.equity_quote = sums.equity(cell.figures["pnl_quote"])
        cell.figures["sharpe_block"] = per_period(whole_steps(cell.equity_quote))

    def _again(self, arguments: Mapping[str, Any]) -> Collector:
        """Return all that a run writes, read as a report reads it: where the market never had two sides the marks are a matter of care."""
        state, latencies = state_of(self._shared, arguments)
        collector = Collector(state.instruments)
        for rows in self._shared.pieces(latencies):
            for written in _written(state, self._run, rows):
                collector.add(written.copy())
        return collector


def state_of(shared: Shared, arguments: Mapping[str, Any]) -> tuple[State, tuple[Latency, ...]]:
    """Return a fresh state for the arguments of a point, and its latencies. Raises InputError for values that cannot be used."""
    m = len(shared.instruments)
    queue, latency, fees = arguments["queue"], arguments["latency"], arguments["fees"]
    latencies = spread(latency or Latency(), m, "latencies")
    state = build(
        shared.instruments,
        spread(arguments["quoter"], m, "quoters"),
        spread(arguments["limits"], m, "limits"),
        fees=spread(fees or Fees(), m, "fees"),
        latency=latencies,
        queue=Queue.each(queue, m),
        sample_ms=shared.options["sample_ms"],
        bar_s=shared.options["bar_s"],
    )
    return state, latencies


class _Desks:
    """Fresh states, one after the other in the same memory: where only the quoters differ from the last, only they are made anew."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._made_of: tuple[Any, ...] = ()
        self._state: State | None = None
        self._latencies: tuple[Latency, ...] = ()
        self._pristine: tuple[np.ndarray, ...] = ()

    def fresh(self, arguments: Mapping[str, Any]) -> tuple[State, tuple[Latency, ...]]:
        """Return a state and its latencies, as `state_of` does; the one before is used up. Raises InputError."""
        made_of = tuple(arguments[name] for name in PARTS)
        same = self._state is not None and all(new is old for new, old in zip(made_of, self._made_of, strict=True))
        if self._state is None or not same:
            self._state, self._latencies = state_of(self._shared, arguments)
            self._pristine = tuple(_bytes(part).copy() for part in self._parts(self._state))
            self._made_of = made_of
            return self._state, self._latencies
        for part, pristine in zip(self._parts(self._state), self._pristine, strict=True):
            _bytes(part)[:] = pristine
        m = len(self._shared.instruments)
        for i, quoter in enumerate(spread(arguments["quoter"], m, "quoters")):
            self._state.markets["params"][i : i + 1] = quoter.record(self._shared.instruments[i])
        return self._state, self._latencies

    @staticmethod
    def _parts(state: State) -> tuple[np.ndarray, ...]:
        return state.desk, state.markets, state.exchanges


def _bytes(part: np.ndarray) -> np.ndarray:
    """Return the bytes of records: numpy moves them at once, and records field by field."""
    return np.asarray(part).view(np.uint8)


def _written(state: State, run: Any, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Run rows; yield what each call of the kernel wrote: a view, valid until the next. Raises KernelFault, UserCodeError."""
    done = 0
    while done < len(rows):
        done = state.advance(run, rows, done)
        yield state.wrote


class _Sums:
    """The running sums of one point, and the figures that they come to."""

    def __init__(self, state: State, shared: Shared, own: np.ndarray) -> None:
        m = len(state.instruments)
        self._state, self._edges_ns, self._own = state, shared.edges_ns, own
        self._totals = records(np.zeros(1, TALLY))
        self._mids2, self._lots = np.full(m, NO_PRICE, np.int64), np.zeros(m, np.int64)
        self._equity_quote = np.zeros(len(shared.edges_ns))
        self._digest = hashlib.blake2b(digest_size=8)

    def add(self, written: np.ndarray) -> None:
        """Read what one call wrote."""
        tally(written, self._totals, self._mids2, self._lots, self._edges_ns, self._equity_quote, self._own)
        self._digest.update(self._own[: int(self._totals["own"][0])].data)

    def close(self) -> None:
        """End the run."""
        close_moment(self._totals, NEVER_NS, self._edges_ns, self._equity_quote)

    @property
    def known(self) -> bool:
        """Return whether every market's exchange had a mid, so that the marks are beyond question."""
        return bool((self._mids2 != NO_PRICE).all())

    def equity(self, pnl_quote: float) -> np.ndarray:
        """Return the P&L at the end of each part; at the very end it is that of the report, at the exchange's mid."""
        self._equity_quote[-1] = pnl_quote
        return self._equity_quote

    def figures(self) -> dict[str, Any]:
        """Return the figures as `Report.summary` does. Raises AccountingError where fills and ledger do not agree."""
        desk, markets, total = self._state.desk[0], self._state.markets, self._totals[0]
        money = [_money(market, one, int(mid2)) for market, one, mid2 in zip(markets, self._state.instruments, self._mids2, strict=True)]
        wrong = np.flatnonzero(self._lots != markets["position_lots"])
        if len(wrong):
            name, i = self._state.instruments[int(wrong[0])].name, int(wrong[0])
            raise AccountingError(f"{name}: the fills come to {self._lots[i]:,} lots, the ledger says {markets['position_lots'][i]:,}.")
        fills = int(total["fills"])
        sent = {name: int(desk[name]) for name in ("submits", "amends", "cancels")}
        lasted_ns = max(int(desk["now_ns"]) - int(desk["start_ns"]), 1)
        return {
            **{name: float(sum(one[name] for one in money)) for name in ("pnl_quote", "gross_quote", "fees_quote", "funding_quote")},
            "drawdown_quote_max": float(total["drawdown_quote_max"]),
            "fills": fills,
            "maker_share": ratio(int(total["maker_fills"]), fills),
            "traded_base": sum(one["traded_base"] for one in money) if one_base(self._state.instruments) else math.nan,
            "position_base": money[0]["position_base"] if len(money) == 1 else math.nan,
            **sent,
            "order_to_trade": ratio(sum(sent.values()), fills),
            "quoting_share": sum(float(one) / lasted_ns for one in markets["quoted_ns"]) / len(markets),
            "state": DESK_STATE_NAMES[int(desk["state"])],
            "digest": self._digest.hexdigest(),
        }


def _money(market: Any, instrument: Any, mid2: int) -> dict[str, float]:
    """Return the account of one market: see `analytics.facts.pnl` and `analytics.facts.accounts`, whose order of operations it keeps."""
    ledger, unit = Ledger.of(market), instrument.ticklot_quote
    worth2 = ledger.position_lots * int(value2(instrument, mid2))
    account = (WHOLE * ledger.cash_ticklots + HALF * worth2 - ledger.fees - ledger.funding) * unit / WHOLE
    fees, funding = (-value * unit / WHOLE for value in (ledger.fees, ledger.funding))
    return {
        "pnl_quote": account,
        "fees_quote": -fees,
        "funding_quote": -funding,
        "gross_quote": account - (fees + funding),
        "position_base": float(instrument.qty(ledger.position_lots)),
        "traded_base": float(instrument.qty(int(market["bought_lots"]))) + float(instrument.qty(int(market["sold_lots"]))),
    }

"""The report of a session, live or long over: its journal run again, read piece by piece."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.report.report import Report
from hftlab.data import journal as jn
from hftlab.data.state import State
from hftlab.data.tape import books_before
from hftlab.engine.spec import load_spec
from hftlab.kernels.touch import walk_touch
from hftlab.types import ACCEPTED, BOOK, CLEAR, DEPTH, EVENT, FILL, GAP, PAYMENT, SET_TARGET

LATE_S = 7 * 86_400.0


def report_of(directory: Path) -> Report:
    """Return the report of the session in a run directory as far as its journal goes. Raises DataError, AccountingError."""
    spec = load_spec(directory)
    state, run = spec.state(), spec.run()
    # A fill at a venue outside may be told of long after its match, when the link stands again; its market is sampled, and small.
    modelled = bool(state.exchanges["active"].any())
    collector, looker = Collector(state.instruments, keep_s=60.0 if modelled else LATE_S), _Looker(state)
    for part in jn.parts(directory / "journal"):
        looker.look(part, collector)
        collector.add(np.concatenate([part[part["kind"] == SET_TARGET], *written_of(state, run, part)]))
    return Report.of(state, collector, rows=int(state.desk["rows"][0]), assumptions=assumptions(spec), run=directory)


def written_of(state: Any, run: Any, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Run rows of a journal; yield what a report reads: what the run writes, and where it was told the reports of a venue outside."""
    # A simulated exchange's reports are written by the run; so is every fill, with the fair price of its time.
    told = (rows["kind"] >= ACCEPTED) & (rows["kind"] <= PAYMENT) & (rows["kind"] != FILL)
    cuts = np.flatnonzero(told) if not state.exchanges["active"].any() else np.zeros(0, np.int64)
    for start, end in itertools.pairwise([0, *cuts.tolist(), len(rows)]):
        if start < len(rows) and told[start]:
            yield rows[start : start + 1]
        yield state.step(run, rows[start:end])


class _Looker:
    """Reads the best prices off the journaled book of each market whose exchange is outside: nobody wrote its touches down."""

    def __init__(self, state: State) -> None:
        self._outside = np.flatnonzero(state.exchanges["active"] == 0)
        self._books = np.zeros(len(state.markets), BOOK).view(np.recarray)
        self._ready = np.zeros((len(state.markets), 3), np.int64)
        self._before = np.zeros(0, EVENT)  # builds the books as the parts so far left them

    def look(self, part: np.ndarray, collector: Collector) -> None:
        """Hand the best prices of one part of a journal to the collector."""
        if not len(self._outside):
            return
        market = part[np.isin(part["kind"], (DEPTH, CLEAR, GAP))]
        rows = np.concatenate([self._before, market])
        if not len(market):
            return
        touch = np.empty((len(rows), 2), np.int64)
        walk_touch(rows.view(np.recarray), self._books, self._ready, touch)
        new = np.arange(len(rows)) >= len(self._before)
        for i in self._outside.tolist():
            mine = new & (rows["instrument"] == i)
            collector.prices[i].see(rows["ts_exch_ns"][mine], touch[mine, 0], touch[mine, 1])
        self._before = books_before(rows, int(rows["ts_recv_ns"][-1]))


def assumptions(spec: Any) -> dict[str, str]:
    """Return what a paper run assumes, for its report."""
    matched = spec.venue.matched(spec.feed)
    return {
        "fills": "matched in the simulated market's own queues" if matched else f"modelled, queue {spec.venue.queue}",
        "latency": spec.venue.latency.text(),
        "fees": spec.venue.fees.text(),
    }

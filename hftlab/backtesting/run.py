"""A backtest: the tape, merged on its two clocks and with timers in it, through the same `run` as a live engine."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.report.origin import Origin
from hftlab.analytics.report.report import Report
from hftlab.assumptions import Fees, Latency, Queue, latency_rows
from hftlab.backtesting.counting import counted, rule_of
from hftlab.backtesting.strategist import Strategist
from hftlab.backtesting.timers import with_timers
from hftlab.data.merging import merged_chunks
from hftlab.data.state import State, build
from hftlab.data.streaming import Stream
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UserCodeError
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.params import Limits, Quoter
from hftlab.strategies.base import Strategy
from hftlab.strict import choice, keywords, number, spread
from hftlab.types import EVENT
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner, say_when, warning

TIMER_STARTS = {"grid": 0, "first": 1}
TAPE_ROWS = 1_000_000
"""Rows of a tape in memory that are merged and run together."""


@keywords
def backtest(
    tape: Tape | Stream,
    instrument: Instrument | Sequence[Instrument] | None,
    quoter: Quoter | Sequence[Quoter],
    limits: Limits | Sequence[Limits],
    *,
    queue: Queue | str | Sequence[Queue | str] = "power",
    latency: Latency | Sequence[Latency] | None = None,
    fees: Fees | Sequence[Fees] | None = None,
    strategy: Strategy | None = None,
    strategy_ms: float | str = 0.0,
    timer_ms: float = 100.0,
    timer_start: str | int = "grid",
    sample_ms: float = 250.0,
    bar_s: float = 10.0,
    jit: bool = True,
) -> Report:
    """Run a quoter, or a strategy that sets targets, over a tape and return its Report.

    Timers come every `timer_ms`, at whole multiples of it ("grid"), counted from the first row received (`timer_start` "first"), or
    from a time in ns since 1970.
    A Stream (hl.stream) is read in chunks of its `rows_max`, in memory that does not grow with its length. The exchange sees a row at
    its exchange time, the desk at its receive time; requests and reports travel as `latency` says; resting orders fill by the queue
    model. `jit=False` runs a user's decide as plain Python, with the same results.
    Raises InputError, UnknownName, TapeError (see Tape.merge), KernelFault, and UserCodeError with the part that was run in
    its `report` where a decide or a strategy fails.
    """
    call = {name: value for name, value in locals().items() if name != "tape"}
    rule = rule_of(call)
    ready = prepare(tape, call)
    state = ready.state
    state.step(ready.run, np.zeros(0, EVENT))  # loads, or for user code compiles, the kernels: no part of the time of the run
    collector = Collector(state.instruments)
    strategist = None if strategy is None else Strategist(state, strategy, ready.delay_ns)
    assumptions = ready.assumptions
    try:
        took_s = play(state, ready.run, ready.chunks, strategist, collector.add)
    except UserCodeError as error:
        say_when(error, state.desk, tape.chunks())
        error.report = Report.of(state, collector, rows=(error.row or 0) + 1, assumptions=assumptions)
        raise
    _check_fifo(state, ready.models)
    if strategist is not None:
        assumptions["strategy"] = strategist.text()
    if words := warning(state):
        assumptions["warning"] = words
    origin = Origin(tape, call, backtest)
    return counted(Report.of(state, collector, rows=ready.source.rows, took_s=took_s, assumptions=assumptions, origin=origin), rule)


@dataclass(frozen=True)
class Prepared:
    """A backtest before its first row: its records, what runs them, and the rows of its tape on two clocks with the timers in them."""

    state: State
    run: Any
    source: "_Counted"
    chunks: Iterator[np.ndarray]
    models: tuple[Queue, ...]
    delay_ns: int | None
    assumptions: dict[str, str]


def prepare(tape: Tape | Stream, call: Mapping[str, Any]) -> Prepared:
    """Return what `backtest(tape, **call)` runs; `call` holds all its arguments. Raises as `backtest` does for what cannot be run."""
    instruments = instruments_of(tape, call["instrument"])
    m = len(instruments)
    latencies, schedules = spread(call["latency"] or Latency(), m, "latencies"), spread(call["fees"] or Fees(), m, "fees")
    models = Queue.each(call["queue"], m)
    quoters, bounds = spread(call["quoter"], m, "quoters"), spread(call["limits"], m, "limits")
    pace = {"sample_ms": call["sample_ms"], "bar_s": call["bar_s"]}
    state = build(instruments, quoters, bounds, fees=schedules, latency=latencies, queue=models, **pace)
    decide = decide_of(quoters)
    run = core.run if decide is None else runner(decide, jit=call["jit"])
    every_ns = _every_ns(call["timer_ms"], call["timer_start"])
    source = _Counted(tape)
    chunks = with_timers(merged_chunks(source, source.rows_max), every_ns, start=call["timer_start"], extra=latency_rows(latencies))
    return Prepared(state, run, source, chunks, models, _delay_ns(call["strategy_ms"]), _assumptions(models, latencies, schedules))


class _Counted:
    """A tape or a stream whose rows are counted as they are read; a stream in the chunks that it was opened with."""

    def __init__(self, source: Tape | Stream) -> None:
        self._source, self.rows = source, 0
        self.rows_max = source.rows_max if isinstance(source, Stream) else TAPE_ROWS

    def chunks(self, rows_max: int) -> Iterator[np.ndarray]:
        """Yield the chunks of the source."""
        for rows in self._source.chunks(rows_max):
            self.rows += len(rows)
            yield rows


def play(state: State, run: Any, chunks: Iterable[np.ndarray], strategist: Strategist | None, sink: Callable[[np.ndarray], None]) -> float:
    """Run chunks of rows with timers in them, and the strategy on its own; hand what is written to `sink`. Returns the seconds it took.

    Raises KernelFault, and UserCodeError after what was written until then has been handed on.
    """
    step = state.step if strategist is None else strategist.step
    took_s = 0.0
    for rows in chunks:
        began = time.perf_counter()
        try:
            written = step(run, rows)
        except UserCodeError as error:
            if error.written is not None:
                sink(error.written)
            raise
        took_s += time.perf_counter() - began
        sink(written)
    return took_s


def _assumptions(models: Sequence[Queue], latencies: Sequence[Latency], schedules: Sequence[Fees]) -> dict[str, str]:
    return {
        "queue": _each(one.text() for one in models),
        "partial fills": _each("yes" if one.partial_fills else "no" for one in models),
        "latency": _each(one.text() for one in latencies),
        "fees": _each(one.text() for one in schedules),
        "impact": "none: the recorded market does not react to our orders",
    }


def _every_ns(timer_ms: float, timer_start: str | int) -> int:
    """Return the time between timers. Raises InputError for a time, or a start of them, that cannot be."""
    if isinstance(timer_start, str):
        choice(timer_start, TIMER_STARTS, "timer_start")
    return int(number(timer_ms, "timer_ms", 0.001) * 1e6)


def _check_fifo(state: State, models: Sequence[Queue]) -> None:
    """Raise InputError where true places were asked for and the tape told of no single order: the result would be a guess."""
    for i, model in enumerate(models):
        if model.model == "fifo" and not int(state.exchanges["stamp"][i]):
            raise InputError(
                f"queue 'fifo' needs order-by-order data, and this tape has none for {state.instruments[i].name}: it only tells how long "
                "each queue is. Use 'power' or 'risk_averse', and report.bracket() for the bounds; Databento's MBO files hold single orders."
            )


def _delay_ns(strategy_ms: float | str) -> int | None:
    if isinstance(strategy_ms, str):
        choice(strategy_ms, {"measured": 0}, "strategy_ms")
        return None
    return int(number(strategy_ms, "strategy_ms", 0) * 1e6)


def _each(texts: Iterable[str]) -> str:
    """Return the text that all instruments share, or one for each."""
    texts = tuple(texts)
    return texts[0] if len(set(texts)) == 1 else " | ".join(texts)


def instruments_of(tape: Tape | Stream, instrument: Instrument | Sequence[Instrument] | None) -> tuple[Instrument, ...]:
    """Return the instruments of the tape, checked against what was asked for."""
    if instrument is None:
        return tape.instruments
    wanted = (instrument,) if isinstance(instrument, Instrument) else tuple(instrument)
    if len(wanted) != len(tape.instruments):
        raise InputError(f"{len(wanted)} instruments were given for a tape of {len(tape.instruments)}.")
    for one, own in zip(wanted, tape.instruments, strict=True):
        if (one.tick_size, one.lot_size) != (own.tick_size, own.lot_size):
            raise InputError(
                f"{one.name} has tick {one.tick_size} and lot {one.lot_size}, but the tape was read with those of {own.name} "
                f"({own.tick_size}, {own.lot_size}). Load it with hl.load(path, instrument), or pass tape.instruments[0]."
            )
    return wanted

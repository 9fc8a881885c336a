"""A backtest: the tape, merged on its two clocks and with timers in it, through the same `run` as a live engine."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hftlab.analytics.collector import Collector
from hftlab.analytics.origin import Origin
from hftlab.analytics.report import Report
from hftlab.assumptions import Fees, Latency, Queue, latency_rows
from hftlab.backtesting.clock import with_timers
from hftlab.backtesting.counting import counted, rule_of
from hftlab.backtesting.strategist import Strategist
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
    instruments = instruments_of(tape, instrument)
    m = len(instruments)
    latencies, schedules = spread(latency or Latency(), m, "latencies"), spread(fees or Fees(), m, "fees")
    models = tuple(Queue.of(one) for one in ((queue,) * m if isinstance(queue, str) else spread(queue, m, "queue models")))
    quoters = spread(quoter, m, "quoters")
    state = build(
        instruments, quoters, spread(limits, m, "limits"), fees=schedules, latency=latencies, queue=models, sample_ms=sample_ms, bar_s=bar_s
    )
    decide = decide_of(quoters)
    run = core.run if decide is None else runner(decide, jit=jit)
    every_ns = int(number(timer_ms, "timer_ms", 0.001) * 1e6)
    _check_start(timer_start)
    source = _Counted(tape)
    chunks = with_timers(merged_chunks(source, source.rows_max), every_ns, start=timer_start, extra=latency_rows(latencies))
    state.step(run, np.zeros(0, EVENT))  # loads, or for user code compiles, the kernels: no part of the time of the run
    collector = Collector(instruments)
    delay_ns = _delay_ns(strategy_ms)
    strategist = None if strategy is None else Strategist(state, strategy, delay_ns)
    assumptions = _assumptions(models, latencies, schedules)
    try:
        took_s = play(state, run, chunks, strategist, collector.add)
    except UserCodeError as error:
        say_when(error, state.desk, tape.chunks())
        error.report = Report.of(state, collector, rows=(error.row or 0) + 1, assumptions=assumptions)
        raise
    _check_fifo(state, models)
    if strategist is not None:
        assumptions["strategy"] = strategist.text()
    if words := warning(state):
        assumptions["warning"] = words
    origin = Origin(tape, call, backtest)
    return counted(Report.of(state, collector, rows=source.rows, took_s=took_s, assumptions=assumptions, origin=origin), rule)


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


def _check_start(timer_start: str | int) -> None:
    if isinstance(timer_start, str):
        choice(timer_start, TIMER_STARTS, "timer_start")


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

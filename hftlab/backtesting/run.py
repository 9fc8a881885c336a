"""A backtest: the tape, merged on its two clocks and with timers in it, through the same `run` as a live engine."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from hftlab.analytics.collector import Collector
from hftlab.analytics.origin import Origin
from hftlab.analytics.report import Report
from hftlab.assumptions import Fees, Latency, Queue, latency_rows
from hftlab.backtesting.clock import with_timers
from hftlab.data.merging import merged_chunks
from hftlab.data.state import State, build
from hftlab.data.streaming import Stream
from hftlab.data.tape import Tape
from hftlab.engine.commands import rows_of
from hftlab.errors import InputError, UserCodeError
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.params import Limits, Quoter
from hftlab.strategies.base import Strategy
from hftlab.strict import choice, keywords, number, spread
from hftlab.types import EVENT, TIMER
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import blame_method, runner, say_when, warning

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
    if isinstance(timer_start, str):
        choice(timer_start, TIMER_STARTS, "timer_start")
    source = _Counted(tape)
    chunks = with_timers(merged_chunks(source, source.rows_max), every_ns, start=timer_start, extra=latency_rows(latencies))
    state.step(run, np.zeros(0, EVENT))  # loads, or for user code compiles, the kernels: no part of the time of the run
    collector = Collector(instruments)
    assumptions = {
        "queue": _each(one.text() for one in models),
        "partial fills": _each("yes" if one.partial_fills else "no" for one in models),
        "latency": _each(one.text() for one in latencies),
        "fees": _each(one.text() for one in schedules),
        "impact": "none: the recorded market does not react to our orders",
    }
    try:
        took_s = play(state, run, chunks, strategy, collector.add)
    except UserCodeError as error:
        say_when(error, state.desk, tape.chunks())
        error.report = Report.of(state, collector, rows=(error.row or 0) + 1, assumptions=assumptions)
        raise
    if words := warning(state):
        assumptions["warning"] = words
    return Report.of(state, collector, rows=source.rows, took_s=took_s, assumptions=assumptions, origin=Origin(tape, call, backtest))


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


def play(state: State, run: Any, chunks: Iterable[np.ndarray], strategy: Strategy | None, sink: Callable[[np.ndarray], None]) -> float:
    """Run chunks of rows with timers in them, and the strategy on its own; hand what is written to `sink`. Returns the seconds it took.

    Raises KernelFault, and UserCodeError after what was written until then has been handed on.
    """
    step = state.step if strategy is None else partial(_with_strategy, state, strategy, [-1])
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


def _with_strategy(state: State, strategy: Strategy, last_slot: list[int], run: Any, rows: np.ndarray) -> np.ndarray:
    """Run up to each timer that the strategy listens to, ask it, and run its answer before the market goes on.

    `last_slot` holds the number of the interval that was asked about last; it goes on from chunk to chunk.
    """
    timers = np.flatnonzero(rows["kind"] == TIMER)
    every_ns = int(strategy.every_s * 1e9)
    slot = rows["ts_recv_ns"][timers] // every_ns
    called = timers[np.flatnonzero(np.diff(slot, prepend=last_slot[0]) > 0)]
    if len(slot):
        last_slot[0] = int(slot[-1])
    written, at = [], 0
    try:
        for index in called:
            written.append(state.step(run, rows[at : index + 1]))
            at = int(index) + 1
            for market, qty in _answer(strategy, state).items():
                now_ns = int(state.desk["now_ns"][0])
                written.append(state.step(run, rows_of("target", market, {"qty": qty}, state, now_ns)))
        written.append(state.step(run, rows[at:]))
    except UserCodeError as error:
        error.written = np.concatenate([*written, state.out[:0] if error.written is None else error.written])
        raise
    return np.concatenate(written)


def _answer(strategy: Strategy, state: State) -> Mapping[int, Any]:
    """Return what the strategy wishes now. Raises UserCodeError that names its line."""
    try:
        answer = strategy.on_timer(state.frame(copy=False))
    except Exception as error:  # why: a user's method may raise anything
        raise blame_method(error, strategy.on_timer) from None
    if answer is not None and not isinstance(answer, Mapping):
        raise UserCodeError(f"on_timer returned {answer!r}; wanted {{market number: position in base units}}, or None for no change.")
    return answer or {}

"""A backtest: the tape, merged on its two clocks and with timers in it, through the same `run` as a live engine."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hftlab.analytics.report import Report
from hftlab.data.state import State, build
from hftlab.data.tape import Tape
from hftlab.engine.commands import rows_of
from hftlab.errors import InputError, UserCodeError
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.params import Fees, Latency, Limits, Queue, Quoter
from hftlab.strategies.base import Strategy
from hftlab.strict import keywords, spread
from hftlab.types import AT_DESK, AT_EXCHANGE, EVENT, LAST, TIMER
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import blame_method, runner, say_when, warning


@keywords
def backtest(
    tape: Tape,
    instrument: Instrument | Sequence[Instrument] | None,
    quoter: Quoter | Sequence[Quoter],
    limits: Limits | Sequence[Limits],
    *,
    queue: Queue | str = "power",
    latency: Latency | None = None,
    fees: Fees | None = None,
    strategy: Strategy | None = None,
    timer_ms: float = 100.0,
    sample_ms: float = 250.0,
    bar_s: float = 10.0,
    jit: bool = True,
) -> Report:
    """Run a quoter, or a strategy that sets targets, over a tape and return its Report.

    The exchange sees a row at its exchange time, the desk at its receive time; requests and reports travel as `latency`
    says; resting orders fill by the queue model. `jit=False` runs a user's decide as plain Python, with the same results.
    Raises InputError, UnknownName, TapeError (see Tape.merge), KernelFault, and UserCodeError with the part that was run in
    its `report` where a decide or a strategy fails.
    """
    instruments = instruments_of(tape, instrument)
    latency, fees, model = latency or Latency(), fees or Fees(), Queue.of(queue)
    quoters = spread(quoter, len(instruments), "quoters")
    state = build(
        instruments,
        quoters,
        spread(limits, len(instruments), "limits"),
        fees=fees,
        latency=latency,
        queue=model,
        sample_ms=sample_ms,
        bar_s=bar_s,
    )
    decide = decide_of(quoters)
    run = core.run if decide is None else runner(decide, jit=jit)
    rows = with_timers(tape.merge().rows, int(timer_ms * 1e6))
    state.step(run, rows[:0])  # loads, or for user code compiles, the kernels: no part of the time of the run
    order_ns, report_ns = latency.ns()
    assumptions = {
        "queue": f"{model.model}" + (f" n={model.power:g}" if model.model == "power" else ""),
        "partial fills": "yes" if model.partial_fills else "no",
        "latency": f"order {order_ns / 1e6:g} ms, report {report_ns / 1e6:g} ms, feed as recorded",
        "fees": f"maker {fees.maker_bps:g} bps, taker {fees.taker_bps:g} bps",
        "impact": "none: the recorded market does not react to our orders",
    }
    began = time.perf_counter()
    try:
        written = play(state, run, rows, strategy)
    except UserCodeError as error:
        say_when(error, rows, state.desk)
        error.report = Report.of(state, error.written, rows=(error.row or 0) + 1, assumptions=assumptions)
        raise
    took_s = time.perf_counter() - began
    if words := warning(state):
        assumptions["warning"] = words
    return Report.of(state, written, rows=len(tape), took_s=took_s, assumptions=assumptions)


def play(state: State, run: Any, rows: np.ndarray, strategy: Strategy | None) -> np.ndarray:
    """Run rows with timers in them, and the strategy on its own; return the rows written. Raises KernelFault, UserCodeError."""
    return state.step(run, rows) if strategy is None else _with_strategy(state, run, rows, strategy)


def instruments_of(tape: Tape, instrument: Instrument | Sequence[Instrument] | None) -> tuple[Instrument, ...]:
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


def with_timers(rows: np.ndarray, timer_ns: int) -> np.ndarray:
    """Return merged rows with a TIMER row at every multiple of `timer_ns`, after the rows of the same time."""
    only_exchange = (rows["flags"] & (AT_DESK | AT_EXCHANGE)) == AT_EXCHANGE
    times = np.maximum.accumulate(np.where(only_exchange, rows["ts_exch_ns"], rows["ts_recv_ns"]))
    due = np.arange((times[0] // timer_ns + 1) * timer_ns, times[-1] + timer_ns, timer_ns, dtype=np.int64)
    timers = np.zeros(len(due), EVENT)
    timers["ts_exch_ns"] = timers["ts_recv_ns"] = due
    timers["kind"], timers["flags"] = TIMER, LAST
    at = np.searchsorted(times, due, side="right") + np.arange(len(due))
    out = np.empty(len(rows) + len(due), EVENT)
    is_timer = np.zeros(len(out), bool)
    is_timer[at] = True
    out[is_timer], out[~is_timer] = timers, rows
    return out


def _with_strategy(state: State, run: Any, rows: np.ndarray, strategy: Strategy) -> np.ndarray:
    """Run up to each timer that the strategy listens to, ask it, and run its answer before the market goes on."""
    timers = np.flatnonzero(rows["kind"] == TIMER)
    every_ns = int(strategy.every_s * 1e9)
    slot = rows["ts_recv_ns"][timers] // every_ns
    called = timers[np.flatnonzero(np.diff(slot, prepend=-1) > 0)]
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

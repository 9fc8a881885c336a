"""`risk_drill`: things go wrong, one after another, and it is shown which limit caught each of them, when, and how far it went.

The decision path is the real one, compiled, in a backtest; only the tape and what the venue says are made worse.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.report.report import Report
from hftlab.assumptions import Fees, Latency, Queue, latency_rows
from hftlab.backtesting.drills.result import DrillResult, Outcome
from hftlab.backtesting.drills.scenarios import SCENARIOS, Scenario, Scene, scenario_of
from hftlab.backtesting.drills.watch import Watch
from hftlab.backtesting.timers import row_times, with_timers
from hftlab.data.recordings import load
from hftlab.data.state import State, build
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.params import Limits, Quoter
from hftlab.strict import keywords, number, spread
from hftlab.types import AT_DESK, AT_EXCHANGE, LAST, LATENCY, SAMPLE
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner

if TYPE_CHECKING:
    from hftlab.data.rows import Rows
    from hftlab.engine.spec import RunSpec

# The shock comes when the position of the undisturbed run is largest, within this part of the tape: warmed up, and with time to go.
_PART = (0.3, 0.7)


@keywords
def risk_drill(
    source: Any,
    quoter: Quoter | Sequence[Quoter] | None = None,
    limits: Limits | Sequence[Limits] | None = None,
    *,
    scenarios: Sequence[Scenario | str] = tuple(SCENARIOS),
    seed: int = 0,
    seconds: float = 60.0,
    shock_s: float | None = None,
    queue: Queue | str | None = None,
    latency: Latency | None = None,
    fees: Fees | None = None,
    timer_ms: float = 100.0,
) -> DrillResult:
    """Let each scenario happen to a quoter within its limits, and return what caught it, when, and the worst there was.

    `source` is an Instrument (then `seconds` of a simulated market are made from `seed`), a Tape, or a Session, View or run directory,
    whose recording, quoter, limits and venue (queue, latency, fees) are taken where none are given; else the queue is "power". The shock comes `shock_s` after the first row; by default at the
    moment when the undisturbed run holds its largest position, and against it. `scenarios` are names or Scenario objects with other
    sizes: `scenarios.Gap(jump_frac=0.2)`. Raises InputError, UnknownName, TapeError.
    """
    chosen = [scenario_of(one) for one in scenarios]
    if isinstance(source, Instrument):
        tape = Tape(synth_rows(source, seconds, seed), (source,), f"{seconds:g} s of a simulated market, seed {seed}")
    elif isinstance(source, Tape):
        tape = source
    else:
        spec, tape = _recorded(source)
        quoter, limits = quoter or spec.quoters, limits or spec.limits
        queue, latency, fees = queue or spec.venue.queue, latency or spec.venue.latency, fees or spec.venue.fees
    if quoter is None or limits is None:
        raise InputError(
            "a drill of a market wants a quoter and limits: hl.risk_drill(tape, quoter, limits). Those of a session are its own."
        )
    drill = _Drill(tape, quoter, limits, queue or "power", latency or Latency(), fees, number(timer_ms, "timer_ms", 0.001))
    scene = drill.scene(shock_s, seed)
    calm, _ = drill.run(None, scene)
    outcomes = tuple(drill.outcome(one, scene, calm) for one in chosen)
    return DrillResult(tape.instruments, outcomes, (scene.shock_ns - tape.start_ns) / 1e9, scene.against, drill.queued)


def _recorded(source: Any) -> tuple["RunSpec", Tape]:
    """Return what a run is, and its market rows. Raises InputError for what is no run."""
    from hftlab.engine.spec import load_spec
    from hftlab.engine.view import View

    if not isinstance(source, View | str | Path):
        raise InputError(
            f"a drill was asked of a {type(source).__name__}; wanted an Instrument, a Tape, a Session or View, or a run directory."
        )
    view = source if isinstance(source, View) else View(source)
    return load_spec(view.directory), load(view.directory)


@dataclass
class _Drill:
    """One quoter within its limits on one tape, run again and again."""

    tape: Tape
    quoter: Any
    limits: Any
    queue: Queue | str
    latency: Latency
    fees: Fees | None
    timer_ms: float

    def __post_init__(self) -> None:
        m = len(self.tape.instruments)
        self.quoters, self.bounds = spread(self.quoter, m, "quoters"), spread(self.limits, m, "limits")
        decide = decide_of(self.quoters)
        self._run = core.run if decide is None else runner(decide)
        self.queued = Queue.of(self.queue).text()

    def state(self) -> State:
        """Return a fresh desk."""
        return build(self.tape.instruments, self.quoters, self.bounds, fees=self.fees, latency=self.latency, queue=self.queue)

    def events(self, rows: "Rows") -> np.ndarray:
        """Return the rows on both clocks with timers among them."""
        merged = Tape(rows, self.tape.instruments, self.tape.source).merge().rows
        extra = latency_rows((self.latency,) * len(self.tape.instruments))
        return np.concatenate(list(with_timers(iter((merged,)), int(self.timer_ms * 1e6), extra=extra)))

    def scene(self, shock_s: float | None, seed: int) -> Scene:
        """Return when the shock comes and which way it goes: against the net position of that moment, down where there is none."""
        state = self.state()
        written = state.step(self._run, self.events(self.tape.rows))
        samples = written[written["kind"] == SAMPLE]
        units = np.array([one.ticklot_quote for one in self.tape.instruments])[samples["instrument"]]
        fair = samples["price_ticks"].view(np.float64)
        worth = np.array([abs(self.tape.instruments[i].worth_of(price)) for i, price in zip(samples["instrument"], fair, strict=True)])
        times, which = np.unique(samples["ts_recv_ns"], return_inverse=True)
        net = np.bincount(which, weights=samples["qty_lots"] * worth * units, minlength=len(times))
        start, span = self.tape.start_ns, self.tape.end_ns - self.tape.start_ns
        if shock_s is not None:
            shock_ns = start + int(number(shock_s, "shock_s", 0, span / 1e9) * 1e9)
        else:
            usual = (times >= start + _PART[0] * span) & (times <= start + _PART[1] * span)
            if not usual.any():
                raise InputError(
                    f"the tape spans {span / 1e9:.3f} s and the desk never knew a price in the middle of it; wanted a longer one."
                )
            shock_ns = int(times[usual][np.argmax(np.abs(net[usual]))])
        at = int(np.searchsorted(times, shock_ns, side="right")) - 1
        held = float(net[at]) if at >= 0 else 0.0
        stop_frac = float(state.desk["limits"]["loss_quote_max"][0]) / abs(held) if held else math.inf
        return Scene(self.tape.rows, shock_ns, 1 if held < 0 else -1, seed, stop_frac)

    def run(self, scenario: Scenario | None, scene: Scene) -> tuple[Watch, Report]:
        """Run one scenario, None for none, message by message from the shock on; return what was seen, and the report."""
        events = self.events(scene.rows if scenario is None else scenario.rows(scene))
        told = sorted(scenario.told(scene) if scenario else (), key=lambda one: one[0])
        if scenario and any(low <= scene.shock_ns for low, _ in told):
            events = events[~((events["kind"] == LATENCY) & (events["ts_recv_ns"] >= scene.shock_ns))]
        state = self.state()
        times = row_times(events)
        first = int(np.searchsorted(times, scene.shock_ns))
        written = [state.step(self._run, events[:first]).copy()]
        watch = Watch(state, scene.shock_ns)
        # The desk learns and decides with its own copies of the rows only; what the exchange does meanwhile is in them.
        ours = (events["flags"] & (LAST | AT_EXCHANGE | AT_DESK)) != (LAST | AT_EXCHANGE)
        ends = np.flatnonzero(ours[first:] & ((events["flags"][first:] & LAST) != 0)) + first + 1
        low = first
        for high in np.unique(np.append(ends, len(events))).tolist():
            while told and told[0][0] <= times[low]:
                _, make = told.pop(0)
                written.append(state.step(self._run, make(state)))
                watch.look()
            rows = state.step(self._run, events[low:high])
            if len(rows):
                written.append(rows.copy())
            watch.look()
            low = high
        return watch, Report.of(state, np.concatenate(written), rows=len(events), assumptions={"queue": self.queued})

    def outcome(self, scenario: Scenario, scene: Scene, calm: Watch) -> Outcome:
        """Run a scenario and say what caught it: the first verdict meant for it that came, and came more often than without the shock."""
        watch, report = self.run(scenario, scene)
        usual, seen = calm.refusals(), watch.refusals()
        more = {name: ns for name, ns in watch.first_ns.items() if seen[name] > usual.get(name, 0)}
        caught = next((name for name in more if name in scenario.CATCHES), None)
        state, instruments = watch.state, self.tape.instruments
        lot = [float(one.lot_size) for one in instruments]
        limits = state.desk["limits"][0]
        peak = max(float(state.desk["peak_pnl_quote"][0]), 0.0)
        return Outcome(
            scenario=scenario.NAME,
            words=scenario.WORDS,
            currency=instruments[0].settle,
            harm=scenario.HARM,
            caught_by=caught,
            after_ns=None if caught is None else more[caught],
            seen=more,
            transitions=tuple(watch.transitions),
            position_worst=tuple(float(n) * size for n, size in zip(watch.position_lots, lot, strict=True)),
            reach_worst=tuple(float(n) * size for n, size in zip(watch.reach_lots, lot, strict=True)),
            position_max=tuple(float(n) * size for n, size in zip(state.markets["limits"]["position_lots_max"], lot, strict=True)),
            order_worst=tuple(float(n) * size for n, size in zip(watch.order_lots, lot, strict=True)),
            order_max=tuple(float(n) * size for n, size in zip(state.markets["limits"]["order_lots_max"], lot, strict=True)),
            exposure_worst_quote=watch.exposure_quote,
            loss_worst_quote=watch.loss_quote,
            loss_quote_max=float(limits["loss_quote_max"]),
            drawdown_worst_quote=watch.drawdown_quote,
            drawdown_quote_max=float(limits["drawdown_frac_max"]) * (float(limits["capital_quote"]) + peak),
            clear_ns=watch.clear_ns,
            state_end=state.frame(copy=False).state,
            resting_end=int(state.exchanges["resting_count"].sum()),
            report=report,
        )

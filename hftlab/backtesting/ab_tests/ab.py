"""Two parameter sets against each other, paired in time, on recorded markets; `live` does it in a running session.

Two designs. "both": each arm runs over the whole tape, and every stretch of it is a pair: the same market, the most power, and fills as
the model has them. "switched": one run in which the arms take turns as they would live, by the same command rows: what a live test of
that length would have been able to see.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.analytics.facts.collector import Collector
from hftlab.analytics.report.report import Report
from hftlab.analytics.signals.study_stats import BLOCKS_MIN
from hftlab.assumptions import Latency, latency_rows
from hftlab.backtesting.ab_tests.result import AB, measures
from hftlab.backtesting.counting import rule_of, tried
from hftlab.backtesting.replay import Replay, replay
from hftlab.backtesting.run import TAPE_ROWS, backtest, instruments_of, play
from hftlab.backtesting.timers import with_timers
from hftlab.data.merging import merged_chunks
from hftlab.data.state import build
from hftlab.engine.commands import rows_of
from hftlab.engine.view import View
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.kernels import core
from hftlab.params import Limits, Quoter
from hftlab.strict import choice, number, spread
from hftlab.tunable import TUNABLE
from hftlab.types import EVENT, STOP, TIMER
from hftlab.usercode.functions import decide_of
from hftlab.usercode.run import runner

DESIGNS = {"both": 0, "switched": 1}
Other = Quoter | Mapping[str, Any]


@dataclass(frozen=True)
class Schedule:
    """Whose turn it is: `pairs` of stretches of `block_s`, one of each arm in an order drawn for each pair from `seed`.

    The first `washout_s` of a stretch do not count: orders and inventory of the other arm are still there.
    """

    pairs: int = 20
    block_s: float = 60.0
    washout_s: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.pairs, bool) or not isinstance(self.pairs, int) or not BLOCKS_MIN <= self.pairs <= 100_000:
            raise InputError(f"pairs was {self.pairs!r}; wanted {BLOCKS_MIN} or more: with fewer no p-value can be small.")
        number(self.block_s, "block_s", 0.1, 1e6)
        if not 0 <= number(self.washout_s, "washout_s") <= self.block_s / 2:
            raise InputError(f"washout_s was {self.washout_s:g}; wanted zero up to half of block_s, {self.block_s / 2:g}.")

    def arms(self) -> np.ndarray:
        """Return the arm of each stretch, (2 pairs,): 0 is A, 1 is B; balanced in every pair."""
        first = np.random.default_rng(self.seed).integers(0, 2, self.pairs)
        return np.column_stack([first, 1 - first]).ravel()

    def stretches(self, start_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return when each stretch begins to count, and when it ends."""
        block_ns = round(self.block_s * 1e9)
        starts = start_ns + block_ns * np.arange(2 * self.pairs)
        return starts + round(self.washout_s * 1e9), starts + block_ns


def ab(
    source: Any,
    other: Other,
    *,
    quoter: Quoter | None = None,
    limits: Limits | None = None,
    schedule: Schedule | None = None,
    design: str = "both",
    blocks: int = 12,
    market: int = 0,
    level: float = 0.95,
    **options: Any,
) -> AB:
    """Compare quoter B (`other`: a quoter, or the parameters in which it differs) with A, paired in time. Returns an AB.

    `source`: the report of a backtest (A is its quoter), a tape or stream with `quoter` and `limits`, or a session (its view, or run
    name), whose market data without our orders both arms then run on, with the parameters that it started with: without its strategy and
    the commands that it got, as the result then says. `options` go to `hl.backtest`. `design`: "both" arms over everything, in `blocks`
    stretches; or "switched" by `schedule` in one run. Few and long stretches: an inventory that the arms have built differently makes
    neighbours alike, and the test takes stretches as apart from one another.
    Raises InputError, UnknownName, and what `hl.backtest` and `replay` raise.
    """
    choice(design, DESIGNS, "design")
    number(level, "level", 0.5, 0.999)
    report = source if isinstance(source, Report) else None
    tape, call, left_out = _of_report(source) if report is not None else _of_source(source, quoter, limits)
    call |= options
    first = spread(call["quoter"], len(tape.instruments), "quoters")
    second = tuple(_changed(one, other) if i == market else one for i, one in enumerate(first))
    if design == "switched":
        call.pop("quoter")
        found = switched(tape, first, second, schedule or Schedule(), market=market, level=level, **call)
        return dataclasses.replace(found, said=found.said + left_out)
    if isinstance(blocks, bool) or not isinstance(blocks, int) or blocks < BLOCKS_MIN:
        raise InputError(f"blocks was {blocks!r}; wanted {BLOCKS_MIN} or more: with fewer no p-value can be small.")
    one = report if report is not None and not options else backtest(tape=tape, **call)
    two = backtest(tape=tape, **(call | {"quoter": second}))
    edges = np.linspace(one.facts.start_ns, max(one.facts.end_ns, two.facts.end_ns), blocks + 1).astype(np.int64)
    a, b = (measures(made, market, edges[:-1], edges[1:]) for made in (one, two))
    return AB(a, b, blocks, level, f"both arms over the same market, {blocks} stretches of {(edges[1] - edges[0]) / 1e9:,.1f} s{left_out}")


def switched(
    tape: Any,
    first: tuple[Quoter, ...],
    second: tuple[Quoter, ...],
    schedule: Schedule,
    *,
    market: int = 0,
    level: float = 0.95,
    **call: Any,
) -> AB:
    """Run one backtest in which the arms take turns, by the command rows that a live session would journal. Raises InputError."""
    usual = {name: one.default for name, one in inspect.signature(backtest).parameters.items() if one.default is not one.empty}
    rules = [rule_of(usual | call | {"quoter": arm}) for arm in (first, second)]
    report, start_ns = _run_switched(tape, first, second[market], schedule, market, **call)
    trouble = tried(tape, rules, report)
    starts_ns, ends_ns = schedule.stretches(start_ns)
    if ends_ns[-1] > report.facts.end_ns:
        room = (report.facts.end_ns - start_ns) / 1e9
        raise InputError(
            f"{schedule.pairs} pairs of {schedule.block_s:g} s need {2 * schedule.pairs * schedule.block_s:,.0f} s; the tape has {room:,.0f} s."
        )
    return of_switched(
        report,
        schedule.arms(),
        starts_ns,
        ends_ns,
        market,
        schedule.pairs,
        level,
        f"arms took turns every {schedule.block_s:g} s{trouble and f'; {trouble}'}",
    )


def of_switched(
    report: Report,
    arms: np.ndarray,
    starts_ns: np.ndarray,
    ends_ns: np.ndarray,
    market: int,
    planned: int,
    level: float,
    said: str,
    *,
    over: bool = True,
) -> AB:
    """Return the AB of one run whose stretches 2p and 2p + 1 are a pair; `arms` (2 pairs,) says whose each was."""
    found = measures(report, market, starts_ns, ends_ns)
    pairs = found.reshape(-1, 2, found.shape[1])
    turned = arms.reshape(-1, 2)[:, 0] == 1
    a, b = (np.where((turned ^ bool(arm))[:, None], pairs[:, 1], pairs[:, 0]) for arm in (0, 1))
    return AB(a, b, planned, level, said, over)


def _run_switched(
    tape: Any,
    first: tuple[Quoter, ...],
    other: Quoter,
    schedule: Schedule,
    market: int,
    *,
    limits: Any,
    instrument: Any = None,
    queue: Any = "power",
    latency: Any = None,
    fees: Any = None,
    timer_ms: float = 100.0,
    sample_ms: float = 250.0,
    bar_s: float = 10.0,
    **unused: Any,
) -> tuple[Report, int]:
    odd = [name for name, value in unused.items() if name not in {"strategy", "strategy_ms", "timer_start", "jit"}]
    if odd or unused.get("strategy") is not None:
        raise InputError(
            f"{', '.join(odd) or 'a strategy'} cannot take turns; a switched run knows quoters, and the models of hl.backtest."
        )
    instruments = instruments_of(tape, instrument)
    m = len(instruments)
    latencies = spread(latency or Latency(), m, "latencies")
    state = build(
        instruments, first, spread(limits, m, "limits"), fees=fees, latency=latencies, queue=queue, sample_ms=sample_ms, bar_s=bar_s
    )
    start_ns = int(next(iter(tape.chunks(1)))["ts_recv_ns"][0])
    values = (_live_values(first[market], other), _live_values(other, first[market]))
    block_ns = round(schedule.block_s * 1e9)
    commands = [rows_of("set", market, values[arm], state, start_ns + n * block_ns) for n, arm in enumerate(schedule.arms().tolist())]
    extra = np.concatenate([latency_rows(latencies), *commands])
    extra = extra[np.argsort(extra["ts_recv_ns"], kind="stable")]
    decide = decide_of(first)
    run = core.run if decide is None else runner(decide)
    collector = Collector(instruments)
    state.step(run, np.zeros(0, EVENT))
    chunks = with_timers(merged_chunks(tape, TAPE_ROWS), round(timer_ms * 1e6), extra=extra)
    took_s = play(state, run, chunks, None, collector.add)
    return Report.of(state, collector, rows=int(state.desk["rows"][0]), took_s=took_s), start_ns


def _of_report(report: Report) -> tuple[Any, dict[str, Any], str]:
    origin = report.origin_for("a second arm (of a session: pass the session itself, or its run name)")
    return origin.tape, dict(origin.call), ""


def _of_source(source: Any, quoter: Quoter | None, limits: Limits | None) -> tuple[Any, dict[str, Any], str]:
    """Return the tape, the call of arm A, and in words what of a session its arms do not have: the commands that it got."""
    if isinstance(source, str | Path | View | Replay):
        again = source if isinstance(source, Replay) else replay(source)
        spec = again.spec
        venue = {"fees": spec.venue.fees, "latency": spec.venue.latency, "queue": spec.venue.queue}
        steps = {"timer_ms": spec.timer_ms, "sample_ms": spec.sample_ms, "bar_s": spec.bar_s}
        call = {"instrument": None, "quoter": quoter or spec.quoters, "limits": limits or spec.limits} | venue | steps
        told = int(np.count_nonzero(~np.isin(again.steering["kind"], (TIMER, STOP))))
        missing = [f"the {told} rows of commands that it got"] if told else []
        missing += ["its strategy (pass strategy=…)"] if spec.strategy is not None else []
        return again.tape(), call, f"; of the session without {' and '.join(missing)}" if missing else ""
    if not hasattr(source, "chunks"):
        raise InputError(f"the source was a {type(source).__name__}; wanted a report, a tape, a stream, or a session or its run name.")
    if quoter is None or limits is None:
        raise InputError("a tape says nothing of a quoter; wanted quoter=… (arm A) and limits=….")
    return source, {"instrument": None, "quoter": quoter, "limits": limits}, ""


def _changed(quoter: Quoter, other: Other) -> Quoter:
    """Return arm B: `other` itself, or `quoter` with the named parameters changed."""
    if isinstance(other, Quoter):
        return other
    known = [one.name for one in dataclasses.fields(quoter)]
    for name in other:
        if name not in known:
            raise UnknownName(f"{type(quoter).__name__} has no parameter {name!r}.{did_you_mean(name, known)}")
    return dataclasses.replace(quoter, **other)


def _live_values(quoter: Quoter, against: Quoter) -> dict[str, Any]:
    """Return the live parameters of `quoter` in which the two differ. Raises InputError where they differ in what no command can change."""
    if type(quoter) is not type(against):
        raise InputError(f"the arms are {type(quoter).__name__} and {type(against).__name__}; arms that take turns are of one kind.")
    differ = [f.name for f in dataclasses.fields(quoter) if getattr(quoter, f.name) != getattr(against, f.name)]
    fixed = [name for name in differ if name not in TUNABLE or getattr(quoter, name) is None]
    if fixed:
        raise InputError(f"{', '.join(fixed)} cannot change while a quoter runs; arms that take turns differ in live parameters only.")
    return {name: getattr(quoter, name) for name in differ}

"""Where the time goes between the market and our order there, stage by stage, and what can be done about it.

A stage is compared with what it could be on an idle machine near the venue, not with the other stages alone: the largest share is not
always the one that can be made smaller. The marks are those of this project's own measurements (docs/benchmarks.md) and the 50 ms a hop
that docs/operations.md explains; beyond a mark the advice looks at the machine for the likely reason.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.data.frame import Frame

NOTHING = "nothing to do"
HOP_MS = 50.0  # a hop that is slower than this says that we are far from the venue
LOOP_MS = 5.0  # an idle machine with real-time priority stays below it
DECIDE_MS = 0.1
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Machine:
    """What of a machine matters for latency. `load` is the mean number of processes that wanted a core in the last minute."""

    cores: int
    load: float
    real_time: bool | None = None  # whether the engine's loop runs at real-time priority; None where it cannot be said


@dataclass(frozen=True, slots=True)
class StageAdvice:
    """One stage. Times in ms, NaN where not measured; `share` of the whole way, 0 to 1, by the typical time or else by the worst."""

    stage: str
    p50_ms: float
    p99_ms: float
    share: float
    what_to_do: str


def this_machine(pid: int = 0) -> Machine:
    """Return this machine, and how the process `pid` (an engine's) is scheduled on it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    real_time = None
    if pid and hasattr(os, "sched_getscheduler"):
        try:
            real_time = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK in (os.SCHED_RR, os.SCHED_FIFO)
        except (ProcessLookupError, PermissionError):
            real_time = None
    return Machine(cores, load, real_time)


def advise(frame: Frame, machine: Machine) -> list[StageAdvice]:
    """Return the stages in the order of the way: market data in, loop, decision, order out, fill back."""
    rows = [*_stages(frame, machine)]
    typical = {name: p50 if math.isfinite(p50) else p99 for name, p50, p99, _ in rows}
    whole = sum(abs(ms) for ms in typical.values() if math.isfinite(ms))
    return [
        StageAdvice(name, p50, p99, abs(typical[name]) / whole if whole and math.isfinite(typical[name]) else 0.0, what)
        for name, p50, p99, what in rows
    ]


def _stages(frame: Frame, machine: Machine) -> Iterator[tuple[str, float, float, str]]:
    engine = frame.engine
    offset_ms = _number(engine, "clock_offset_ms")
    feed_ms = _number(engine, "feed_lag_ms")
    yield "exchange to us", feed_ms, NAN, _feed(feed_ms, offset_ms)
    gap_ms = _number(engine, "loop_gap_ms")
    yield "waiting for the loop", NAN, gap_ms, _loop(gap_ms, machine)
    tick = engine.get("tick_us") or {}
    p50_ms, p99_ms = _number(tick, "p50") / 1e3, _number(tick, "p99") / 1e3
    yield "rows to requests", p50_ms, p99_ms, _decision(p50_ms, p99_ms, machine)
    way_ms = [float(one["clock"]["within_ms"]) for one in engine.get("gateways", ()) if one.get("clock", {}).get("samples")]
    out_ms = max(way_ms, default=NAN)
    waiting = sum(int(one.get("waiting", 0)) for one in engine.get("gateways", ()))
    yield "order to the venue", out_ms, NAN, _order(out_ms, waiting)
    home = np.concatenate([frame.fills(i)["recv_ns"] - frame.fills(i)["ts_ns"] for i in range(len(frame.instruments))]) / 1e6
    back = np.quantile(home, (0.5, 0.99)) if len(home) else (NAN, NAN)
    yield "fill to us", float(back[0]), float(back[1]), _feed(float(back[0]), offset_ms)


def _feed(ms: float, offset_ms: float) -> str:
    if not math.isfinite(ms):
        return "not measured yet"
    if ms < 0 or (math.isfinite(offset_ms) and abs(offset_ms) > max(5.0, ms / 2)):
        off = f" by {offset_ms:+.0f} ms" if math.isfinite(offset_ms) else ""
        return f"set the clock first: it is off{off}, so this figure means little (chrony or systemd-timesyncd)"
    if ms > HOP_MS:
        return (
            f"more than {HOP_MS:g} ms a hop is distance or a busy venue: run in the venue's region; follow fewer symbols on one connection"
        )
    return NOTHING


def _loop(ms: float, machine: Machine) -> str:
    if not math.isfinite(ms):
        return "not measured yet"
    if ms <= LOOP_MS:
        return NOTHING
    if machine.load > machine.cores:
        return f"{machine.load:.1f} processes want {machine.cores} cores: move notebooks, viewers or the build to another machine"
    if machine.cores < 2:
        return "one core for everything: give the engine one of its own"
    if machine.real_time is False:
        return "the loop has no real-time priority: allow it to this user (`ulimit -r 1`, or the capability SYS_NICE)"
    return "a pause of the interpreter or of the disk: see the log at that time; set log.level to info and the runs on a local disk"


def _decision(p50_ms: float, p99_ms: float, machine: Machine) -> str:
    if not math.isfinite(p50_ms):
        return "not measured yet"
    if p50_ms > DECIDE_MS:
        return "the decision itself is slow: fewer levels, or a leaner `decide` (hl.try_decide times it)"
    if p99_ms > max(20 * p50_ms, 10 * DECIDE_MS):
        slow = machine.load > machine.cores
        return "one in a hundred is slow: " + (
            "the cores are overbooked" if slow else "bursts of messages; decide_on='timer' looks less often"
        )
    return NOTHING


def _order(ms: float, waiting: int) -> str:
    if waiting:
        return f"{waiting} requests wait for the venue's rate budget: raise life_ms_min or hysteresis_ticks, so that fewer leave"
    if not math.isfinite(ms):
        return "no orders are sent from here: the latency is the one that was assumed"
    if ms > HOP_MS:
        return f"more than {HOP_MS:g} ms one way is distance: run in the venue's region"
    return NOTHING


def _number(values: Any, name: str) -> float:
    value = values.get(name)
    return NAN if value is None else float(value)

"""The hog: a process plays the notebook's kernel, starts a session, and keeps its own interpreter busy for ten seconds.

The engine is another process, so nothing of that may reach it but the load on the machine. What counts is the largest gap between two
turns of its loop. The engine publishes the largest of the last five seconds, so two looks cover ten seconds. The same is measured
before with the kernel idle: the difference is what the hog costs, the rest is what the machine and the engine themselves cost.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import hftlab as hl

GOAL_MS = 20.0
REPEATS = 3
WINDOW_S = 5.0  # of the engine's figure `loop_gap_ms`
FLOATS = 8_000_000


def run() -> dict[str, object]:
    """Return the largest gaps in milliseconds, idle and hogged, with what the host took from this machine meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        took = [once(Path(folder) / f"run-{n}") for n in range(REPEATS)]
    hogged = [one["hogged_gap_ms"] for one in took]
    return {
        "runs": took,
        "idle_gap_median_ms": statistics.median(one["idle_gap_ms"] for one in took),
        "hogged_gap_median_ms": statistics.median(hogged),
        "hogged_gap_worst_ms": max(hogged),
        "goal_hogged_gap_ms": GOAL_MS,
    }


def once(directory: Path) -> dict[str, float]:
    """Start one kernel with one session; return the largest gap over ten idle seconds and over ten hogged ones."""
    command = [sys.executable, "-m", "benchmarks.bench_stall", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as kernel:
        assert kernel.stdin is not None
        assert kernel.stdout is not None
        kernel.stdout.readline()  # it quotes, and the floats are made
        view = hl.attach(directory)
        idle = _look(view, "idle")
        kernel.stdin.write("hog\n")
        kernel.stdout.readline()  # the hog has begun
        hogged = _look(view, "hogged")
        priority = _real_time(int(view.frame().engine["pid"]))
        kernel.stdin.close()
    return idle | hogged | {"real_time_priority": priority}


def _look(view: hl.View, name: str) -> dict[str, float]:
    """Return the largest gap of the next ten seconds, and the processor time that a host took from this (virtual) machine in them."""
    stolen = _stolen_s()
    found = []
    for _ in range(2):
        time.sleep(WINDOW_S)
        found.append(float(view.frame().engine["loop_gap_ms"]))
    return {f"{name}_gap_ms": round(max(found), 2), f"{name}_stolen_ms": round((_stolen_s() - stolen) * 1e3)}


def _stolen_s() -> float:
    return float(getattr(psutil.cpu_times(), "steal", 0.0))  # Linux alone knows it


def _real_time(pid: int) -> bool:
    return hasattr(os, "sched_getscheduler") and (os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK) == os.SCHED_RR


def kernel(directory: Path) -> None:
    """Start a session; when told so, sort floats in a loop, which keeps the interpreter's lock, for a little over ten seconds."""
    btc = hl.Instrument.bundled("sim:BTC/USDT")
    quoter = hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01")
    session = hl.start(hl.SynthFeed(btc, seed=7), hl.PaperVenue(btc), quoter, hl.Limits(position_qty_max="0.05"), run=directory)
    session.wait(lambda frame: len(frame.orders()) > 0)
    draw = random.Random(1)
    floats = [draw.random() for _ in range(FLOATS)]
    time.sleep(WINDOW_S)  # what the start cost leaves the window
    print("ready", flush=True)
    sys.stdin.readline()
    print("hogging", flush=True)
    end = time.monotonic() + 2 * WINDOW_S + 0.5
    while time.monotonic() < end:
        sorted(floats)
    session.stop()


if __name__ == "__main__":
    kernel(Path(sys.argv[1]))

"""The hog: a process plays the notebook's kernel, starts a session, and keeps its own interpreter busy for ten seconds.

The engine is another process, so nothing of that may reach it but the load on the machine. What counts is the largest gap between two
turns of its loop. The engine publishes the largest of the last five seconds, so two looks cover ten seconds. The same is measured
before with the kernel idle: the difference is what the hog costs, the rest is what the machine and the engine themselves cost.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hftlab as hl

GOAL_MS = 20.0
REPEATS = 3
WINDOW_S = 5.0  # of the engine's figure `loop_gap_ms`
FLOATS = 8_000_000


def run() -> dict[str, object]:
    """Return the largest gaps in milliseconds, idle and hogged, of each repeat."""
    with tempfile.TemporaryDirectory() as folder:
        took = [once(Path(folder) / f"run-{n}") for n in range(REPEATS)]
    idle, hogged = [one[0] for one in took], [one[1] for one in took]
    return {
        "idle_gaps_ms": idle,
        "hogged_gaps_ms": hogged,
        "idle_gap_median_ms": statistics.median(idle),
        "hogged_gap_median_ms": statistics.median(hogged),
        "hogged_gap_worst_ms": max(hogged),
        "goal_hogged_gap_ms": GOAL_MS,
    }


def once(directory: Path) -> tuple[float, float]:
    """Start one kernel with one session; return the largest gap over ten idle seconds and over ten hogged ones."""
    command = [sys.executable, "-m", "benchmarks.bench_stall", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as kernel:
        assert kernel.stdin is not None
        assert kernel.stdout is not None
        kernel.stdout.readline()  # it quotes, and the floats are made
        view = hl.attach(directory)
        idle = _largest(view)
        kernel.stdin.write("hog\n")
        kernel.stdout.readline()  # the hog has begun
        hogged = _largest(view)
        kernel.stdin.close()
    return idle, hogged


def _largest(view: hl.View) -> float:
    found = []
    for _ in range(2):
        time.sleep(WINDOW_S)
        found.append(float(view.frame().engine["loop_gap_ms"]))
    return round(max(found), 2)


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

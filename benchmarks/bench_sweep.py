"""A sweep of 1,000 points over a recording of a real exchange: threads, then workers of a Dask cluster on this machine.

`kernel` is the time that the compiled loop itself takes for the same points, one after the other: what is more is lost per task (also told
in processor time, which a busy machine changes less; the merge of the tape, once a sweep, is in it). Memory
is what the process grew by while it ran (the merged tape is two rows of 64 bytes for each row). `python -m benchmarks.bench_sweep` prints
a table; SWEEP_POINTS=100 in the environment makes it smaller.
"""

import os
import signal
import time
from statistics import median
from typing import Any

import numpy as np
import psutil

import hftlab as hl
from benchmarks.desk import LIMITS, quoter, tape
from hftlab.backtesting.sweeps.cell import state_of
from hftlab.backtesting.sweeps.shared import Shared

POINTS = int(os.environ.get("SWEEP_POINTS", "1000"))
WARM, ROUNDS = 8, 7
GOAL_SPEED_UP, GOAL_LOST_SHARE, GOAL_CANCEL_S = 1.8, 0.05, 1.0
OPTIONS = {"timer_ms": 100.0, "timer_start": "grid", "sample_ms": 250.0, "bar_s": 10.0}
CALL = {"limits": LIMITS, "queue": "power", "latency": hl.Latency(order_ms=5), "fees": None}


def points(count: int) -> Any:
    """Return a grid of `count` points of the benchmark's quoter: risk aversion, horizon, smallest half-spread."""
    grid = hl.grid(
        quoter(),
        risk_aversion=list(np.geomspace(0.01, 1.0, 20)),
        horizon_s=[10.0, 20.0, 30.0, 60.0, 120.0],
        half_spread_ticks_min=[0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0],
    )
    return grid if count >= len(grid) else grid.sample(count, seed=1)


def play(data: hl.Tape, grid: Any, **options: Any) -> tuple[Any, float]:
    """Return a sweep that has ended, and the seconds it took, the merge of the tape included."""
    began = time.perf_counter()
    found = hl.sweep(data, data.instruments[0], grid, **CALL, **options).wait()
    return found, time.perf_counter() - began


def kernel_s(data: hl.Tape, grid: Any) -> tuple[float, float]:
    """Return the seconds, and those of processor time, of the compiled loop alone for all points; their records are made before."""
    from hftlab.kernels import core

    shared = Shared.of(data, data.instruments, OPTIONS)
    pieces, took, cpu = shared.pieces((CALL["latency"],)), 0.0, 0.0
    for point in grid.points:
        state, _ = state_of(shared, grid.arguments(point, CALL))
        began, began_cpu = time.perf_counter(), time.thread_time()
        for rows in pieces:
            state.step(core.run, rows)
        took, cpu = took + time.perf_counter() - began, cpu + time.thread_time() - began_cpu
    return took, cpu


def threads(data: hl.Tape, grid: Any) -> dict[str, Any]:
    """Return wall times of one and of two threads, memory, and how soon a cancel is obeyed."""
    play(data, grid.sample(min(WARM, len(grid))))
    process = psutil.Process()
    before = process.memory_info().rss
    one, one_s = play(data, grid, workers=1)
    two, two_s = play(data, grid, workers=2)
    assert [c.figures["digest"] for c in one.cells] == [c.figures["digest"] for c in two.cells], "two threads, other results"
    running = hl.sweep(data, data.instruments[0], grid, **CALL, workers=2)
    while running.progress().done < 2:
        time.sleep(0.001)
    grown = process.memory_info().rss - before
    began = time.perf_counter()
    running.cancel()
    return {
        "one_thread_s": round(one_s, 3),
        "two_threads_s": round(two_s, 3),
        "two_threads_points_per_s": round(len(grid) / two_s, 1),
        "tape_mb": round(data.rows.nbytes / 1e6, 1),
        "memory_grown_mb": round(grown / 1e6, 1),
        "cancel_s": round(time.perf_counter() - began, 3),
        "goal_cancel_s": GOAL_CANCEL_S,
    }


def paired(data: hl.Tape, grid: Any) -> dict[str, Any]:
    """Return the speed-up and what a task loses as medians of rounds; each round plays the same part of the grid in all three ways.

    A machine whose own speed wanders by a quarter in a minute says nothing by two long runs one after the other.
    """
    speed_up, lost, lost_cpu, each_ms = [], [], [], []
    for k in range(ROUNDS):
        part = grid.sample(max(len(grid) // ROUNDS, 2), seed=k)
        cpu_s = time.process_time()
        _, one_s = play(data, part, workers=1)
        cpu_s = time.process_time() - cpu_s
        alone_s, alone_cpu_s = kernel_s(data, part)
        _, two_s = play(data, part, workers=2)
        speed_up.append(one_s / two_s)
        lost.append(1 - alone_s / one_s)
        lost_cpu.append(1 - alone_cpu_s / cpu_s)
        each_ms.append(alone_s / len(part) * 1e3)
    return {
        "rounds": ROUNDS,
        "speed_up_of_two": round(median(speed_up), 3),
        "speed_up_range": [round(min(speed_up), 3), round(max(speed_up), 3)],
        "goal_speed_up": GOAL_SPEED_UP,
        "kernel_ms_a_point": round(median(each_ms), 3),
        "lost_share_of_a_task": round(median(lost), 4),
        "lost_share_range": [round(min(lost), 4), round(max(lost), 4)],
        "lost_share_of_processor_time": round(median(lost_cpu), 4),
        "goal_lost_share": GOAL_LOST_SHARE,
    }


def cluster(data: hl.Tape, grid: Any) -> dict[str, Any]:
    """Return the same on two processes of a LocalCluster, with a cancel, and with a worker killed in the middle."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers:
        play(data, grid.sample(min(4 * WARM, len(grid))), cluster=workers)  # each process loads the kernels
        found, took_s = play(data, grid, cluster=workers)
        wanted = [cell.figures["digest"] for cell in found.cells]
        running = hl.sweep(data, data.instruments[0], grid, **CALL, cluster=workers)
        while running.progress().done < len(grid) // 4:
            time.sleep(0.001)
        os.kill(next(iter(workers.workers.values())).pid, signal.SIGKILL)
        killed_at = running.progress().done
        running.wait()
        again = [cell.figures["digest"] for cell in running.cells]
        cancelled = hl.sweep(data, data.instruments[0], grid, **CALL, cluster=workers)
        while cancelled.progress().done < 2:
            time.sleep(0.001)
        began = time.perf_counter()
        cancelled.cancel()
        return {
            "cluster_s": round(took_s, 3),
            "cluster_points_per_s": round(len(grid) / took_s, 1),
            "cluster_cancel_s": round(time.perf_counter() - began, 3),
            "worker_killed_at_point": killed_at,
            "points_after_the_kill": len(again),
            "points_lost_or_changed": sum(a != b for a, b in zip(wanted, again, strict=False)) + abs(len(wanted) - len(again)),
        }


def run() -> dict[str, Any]:
    """Return the figures of both."""
    data, said = tape()
    grid = points(POINTS)
    return said | {"rows": len(data), "points": len(grid)} | threads(data, grid) | paired(data, grid) | cluster(data, grid)


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:28} {value}")

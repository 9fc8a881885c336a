"""From a frame's bytes to the bytes of a request, on loopback, in processor time of the engine's thread, stage by stage.

The venue runs in a process of its own and is driven by a recording. The stages are told apart by clocks put round the engine's own
calls: frame → rows (parse and order), rows → journal, journal → decision (book, orders, ledger, quote, risk), decision → policy (order
table, id, limiter), policy → signed bytes, bytes → socket (the write; on loopback the kernel delivers within it, so that a part of the
receiver's work is charged to the sender). In the same run ccxt.pro's handler gets frames of the same recording.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bench_reader
from benchmarks.desk import RECORDING
from benchmarks.drills.desk import Desk, fresh_environment, spec_of
from hftlab.data.state import State
from hftlab.venues.server.serve import LoopbackVenue

GOAL_US = {"p50": 50.0, "p99": 300.0}
STAGES = ("rows", "journal", "decision", "policy", "signed", "socket")


class Clocks:
    """Thread time at each stage of the frame in hand."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.frames: list[tuple[int, ...]] = []  # of frames that led to a request
        self.quiet: list[int] = []  # of the others
        self.wall: list[int] = []

    def put_on(self, desk: Desk) -> None:
        """Wrap the engine's own calls."""
        clock, at = time.thread_time_ns, self.at
        driver = desk.driver
        line: Any = driver._lines[0]  # of an exchange that is dialled: its reader has lines, and hears
        append, step, heard = driver._journal.append, State.step, line.reader.heard
        signed, send = line.wire._encoder.signed, line.wire._link.send

        def timed_append(rows: Any, **options: Any) -> None:
            at.setdefault("rows", clock())
            append(rows, **options)
            at.setdefault("journal", clock())

        def timed_step(state: State, run: Any, rows: Any) -> Any:
            written = step(state, run, rows)
            at.setdefault("decision", clock())
            return written

        def timed_signed(request: Any, timestamp_ms: int) -> bytes:
            at.setdefault("policy", clock())
            text = signed(request, timestamp_ms)
            at.setdefault("signed", clock())
            return text

        def timed_send(text: bytes) -> bool:
            sent = send(text)
            at.setdefault("socket", clock())
            return sent

        def timed_heard(connection: int, payload: bytes) -> None:
            at.clear()
            wall, began = time.perf_counter_ns(), clock()
            heard(connection, payload)
            ended = clock()
            if "socket" in at:
                stamps = [began, *(at[name] for name in STAGES)]
                self.frames.append(tuple(np.diff(stamps).tolist()))
                self.wall.append(time.perf_counter_ns() - wall)
            else:
                self.quiet.append(ended - began)

        driver._journal.append, line.wire._link.send, State.step = timed_append, timed_send, timed_step
        line.wire._encoder.signed = timed_signed
        line.reader.heard = timed_heard
        for each in line.reader.lines:
            for socket in each.sockets.values():
                socket._frames_to = timed_heard

    def figures(self) -> dict[str, Any]:
        """Return microseconds: each stage, the whole, and frames without a request."""
        frames = np.array(self.frames) / 1e3
        whole = frames.sum(axis=1)
        found = {name: _quantiles(frames[:, i]) for i, name in enumerate(STAGES)}
        found |= {"bytes_in_to_request_out": _quantiles(whole), "wall": _quantiles(np.array(self.wall) / 1e3)}
        return {"us": found | {"frames_without_request": _quantiles(np.array(self.quiet) / 1e3)}, "frames_with_request": len(frames)}


def _quantiles(us: np.ndarray) -> dict[str, float]:
    return {name: round(float(np.quantile(us, q)), 1) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))}


def main(arguments: list[str]) -> int:
    """Run it and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills latency")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--speed", type=float, default=5.0)
    parser.add_argument(
        "--requests-per-s", type=float, default=15.0, help="the engine's own budget; the colder the way, the longer it takes"
    )
    options = parser.parse_args(arguments)
    fresh_environment()
    market = {"market": str(RECORDING), "speed": options.speed, "loop": True} if RECORDING.is_file() else {"market": "synth"}
    folder = Path(tempfile.mkdtemp(prefix="hftlab-latency-"))
    clocks = Clocks()
    with LoopbackVenue.launch(skins=("binanceusdm",), tls=False, **market) as venue:
        desk = Desk(folder / "run", spec_of("binanceusdm", venue.url, requests_per_s=options.requests_per_s), "binanceusdm").start()
        time.sleep(2.0)
        desk.on_loop(lambda: clocks.put_on(desk))
        time.sleep(options.seconds)
        figures = desk.on_loop(clocks.figures)
        desk.halt()
        desk.end()
    shutil.rmtree(folder, ignore_errors=True)
    ours = bench_reader.run()
    print(
        json.dumps({"market": {k: str(v) for k, v in market.items()}, "session": figures, "goal_us": GOAL_US, "handlers": ours}, indent=1)
    )
    return 0

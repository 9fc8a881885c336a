"""What a client that polls hard costs the engine: its longest gap between turns, without one, with one, and with streams.

python -m benchmarks.bench_door [seconds]
"""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
from websockets.sync.client import connect

import hftlab as hl

PATHS = ("/overview", "/metrics", "/orders", "/health", "/stats", "/positions")


def watch(view: hl.View, seconds: float) -> dict[str, float]:
    """Sample the engine's own gap (the longest of the last 5 s, each 0.2 s) and its processor time."""
    process = psutil.Process(int(view.frame().engine["pid"]))
    time.sleep(5.5)  # what was before has left the window
    before, began, gaps = sum(process.cpu_times()[:2]), time.monotonic(), []
    while time.monotonic() - began < seconds:
        gaps.append(float(view.frame().engine["loop_gap_ms"]))
        time.sleep(0.2)
    share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
    return {"gap_p50_ms": float(np.median(gaps)), "gap_max_ms": max(gaps), "engine_cpu_share": share}


def poll(control: dict[str, str], end: threading.Event, counts: dict[int, int]) -> None:
    """Ask as fast as answers come."""
    headers = {"authorization": f"Bearer {control['read_token']}"}
    with httpx.Client(base_url=control["url"], headers=headers, trust_env=False, timeout=60) as client:
        while not end.is_set():
            for path in PATHS:
                status = client.get(path).status_code
                counts[status] = counts.get(status, 0) + 1


def stream(control: dict[str, str], end: threading.Event, counts: dict[int, int]) -> None:
    """Take frames at the highest pace."""
    headers = {"authorization": f"Bearer {control['read_token']}"}
    with connect(control["url"].replace("http", "ws") + "/ws?hz=10", additional_headers=headers, proxy=None) as socket:
        while not end.is_set():
            socket.recv(timeout=30)
            counts[200] = counts.get(200, 0) + 1


def main(seconds: float = 15.0) -> None:
    """Print one line a case."""
    btc = hl.Instrument.bundled("sim:BTC/USDT")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        quoter, limits = hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01"), hl.Limits(position_qty_max="0.05")
        session = hl.start(hl.SynthFeed(btc, seed=7), hl.PaperVenue(btc), quoter, limits, run=run)
        control = json.loads((run / "control.json").read_text())
        for name, work, count in (
            ("nobody", poll, 0),
            ("one client polls", poll, 1),
            ("ten streams at 10 Hz", stream, 10),
            ("nobody", poll, 0),
        ):
            end, counts = threading.Event(), dict[int, int]()
            threads = [threading.Thread(target=work, args=(control, end, counts)) for _ in range(count)]
            for one in threads:
                one.start()
            print(f"{name:22s}", {key: round(value, 3) for key, value in watch(session, seconds).items()}, counts, flush=True)
            end.set()
            for one in threads:
                one.join()
        session.stop()


if __name__ == "__main__":
    main(*(float(one) for one in sys.argv[1:]))

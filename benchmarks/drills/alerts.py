"""`python -m benchmarks.drills.alerts`: what a channel that hangs costs the engine.

The same session on the simulated market, for `SECONDS` each: without alerts, with a channel that takes them, with one that takes a
connection and never answers. In each every second a halt and a resume make alerts. Prints the distribution of the loop's gaps (one figure
a frame: the longest of the last five seconds), and processor time and memory of the process of alerts.
"""

import json
import os
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil

import hftlab as hl

SECONDS = 20.0


class Hook(BaseHTTPRequestHandler):
    """Answers at once, or never."""

    hangs = False

    def do_POST(self):
        """Take one alert."""
        self.rfile.read(int(self.headers["content-length"]))
        if self.hangs:
            time.sleep(3600)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


def measure(name: str, folder: Path, seconds: float) -> dict[str, object]:
    """Run one session and return its figures."""
    btc = hl.Instrument.bundled("sim:BTC/USDT")
    session = hl.start(
        hl.SynthFeed(btc, seed=7),
        hl.PaperVenue(btc),
        hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5),
        hl.Limits(position_qty_max="0.05", loss_quote_max=1e6),
        run=folder / name,
    )
    pid = int(session.frame().engine["pid"])
    followers = [one for one in psutil.Process(pid).children() if "hftlab.engine.alerts" in " ".join(one.cmdline())]
    gaps, end, before = [], time.monotonic() + seconds, None
    while time.monotonic() < end:
        if before is None and time.monotonic() > end - seconds / 2:  # its imports are not what a session costs
            before = _cpu_s(followers)
        session.halt()
        time.sleep(0.5)
        session.resume()
        time.sleep(0.5)
        gaps.append(float(session.frame().engine["loop_gap_ms"]))
    used = _cpu_s(followers) - (before or 0.0)
    memory = sum(one.memory_info().rss for one in followers)
    began = time.monotonic()
    session.stop()
    return {
        "alerts": name,
        "gap_ms_p50": round(float(np.median(gaps)), 2),
        "gap_ms_max": round(float(session.frame().engine["loop_gap_ms_max"]), 2),
        "stop_s": round(time.monotonic() - began, 2),
        "follower_cpu_percent": round(100 * used / (seconds / 2), 2),
        "follower_mb": round(memory / 1e6, 1),
        "alerts_written": len(session.alerts(1000)),
    }


def _cpu_s(processes: list[psutil.Process]) -> float:
    return float(sum(sum(one.cpu_times()[:2]) for one in processes))


def main() -> int:
    """Measure the three and print them as JSON lines."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("off", "taken", "hanging"):
            os.environ["HFTLAB_ALERTS__ON"] = str(name != "off").lower()
            os.environ["HFTLAB_ALERTS__QUIET_S"] = "0"
            os.environ["HFTLAB_ALERT_URLS"] = f"json://127.0.0.1:{server.server_port}/"
            Hook.hangs = name == "hanging"
            print(json.dumps(measure(name, Path(folder), seconds)), flush=True)
    server.shutdown()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The first quote: a new process with a warm compile cache starts a session and waits for a live order in a frame."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_S = 3.0
REPEATS = 5


def run() -> dict[str, object]:
    """Return medians in seconds, counted from the start of the new process and from its call of `hl.start`."""
    with tempfile.TemporaryDirectory() as folder:
        once(Path(folder) / "warm")
        took = [once(Path(folder) / f"run-{n}") for n in range(REPEATS)]
    median = {name: round(statistics.median(one[name] for one in took), 3) for name in took[0]}
    return median | {"slowest_s": round(max(one["process_to_quote_s"] for one in took), 3), "goal_process_to_quote_s": GOAL_S}


def once(directory: Path) -> dict[str, float]:
    """Start one process, which starts one session in `directory`; return where the seconds went."""
    began = time.time()
    answer = subprocess.run([sys.executable, "-m", "benchmarks.bench_first_quote", str(directory)], check=True, stdout=subprocess.PIPE)
    at = json.loads(answer.stdout)
    return {
        "process_to_quote_s": at["quote"] - began,
        "start_to_quote_s": at["quote"] - at["start"],
        "start_returns_after_s": at["started"] - at["start"],
    }


def child(directory: Path) -> None:
    """Play the notebook: start, wait for a live order, stop; print when each happened."""
    import hftlab as hl

    btc = hl.Instrument.bundled("sim:BTC/USDT")
    quoter = hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01")
    start = time.time()
    session = hl.start(hl.SynthFeed(btc, seed=7), hl.PaperVenue(btc), quoter, hl.Limits(position_qty_max="0.05"), run=directory)
    started = time.time()
    session.wait(lambda frame: any(order.status == "live" for order in frame.orders()))
    quote = time.time()
    session.stop()
    print(json.dumps({"start": start, "started": started, "quote": quote}))


if __name__ == "__main__":
    child(Path(sys.argv[1]))

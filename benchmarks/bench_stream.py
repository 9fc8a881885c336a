"""A longer tape costs longer, not more memory: `hl.backtest` over `hl.stream` on a tape, and on one ten times as long.

Each run is a process of its own that has warmed up on the start of the tape. Memory is what the run adds to that process at its
highest: `private` is what nobody but it holds (RssAnon), `resident` counts pages of the mapped file too, which the system can take
back at any time, for they are still in the file. The parent looks at `private` every few milliseconds; `resident` is the kernel's
own peak. `report` is what the Report keeps of what the desk did and of its samples, 64 bytes a row: it grows with the orders, not
with the market, and beyond 64 MB lies in a file.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import hftlab as hl

SECONDS, SEED, TIMES, REPEATS = 2400, 5, 10, 3
ROWS_MAX = 250_000
PAUSE_NS = 1_000_000_000  # between two copies of the tape
LOOK_S = 0.002
QUOTER = hl.FixedSpread(order_qty="0.01", half_spread_ticks=2)
LIMITS = hl.Limits(position_qty_max="0.05", loss_quote_max=1e9, drawdown_frac_max=1e6, capital_quote=1e9)


def run() -> dict[str, object]:
    """Return rows, seconds and memory of both lengths, streamed and held as a whole, and what ten times the length costs."""
    if not Path("/proc/self/clear_refs").exists():
        return {"skipped": "memory is read from /proc, which this system does not have"}
    with tempfile.TemporaryDirectory() as folder:
        one, ten = Path(folder) / "one.rows", Path(folder) / "ten.rows"
        subprocess.run([sys.executable, "-m", "benchmarks.bench_stream", "write", str(one), str(ten)], check=True)
        found = {how: (_median(how, one), _median(how, ten)) for how in ("stream", "load")}
    return {how: {"one": short, "ten": long, "ten_over_one": _ratios(short, long)} for how, (short, long) in found.items()}


def _median(how: str, path: Path) -> dict[str, float]:
    runs = [_measured(how, path) for _ in range(REPEATS)]
    median = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
    return median | {"rows_per_s": round(median["rows"] / median["seconds"])}


def _ratios(short: dict[str, float], long: dict[str, float]) -> dict[str, float]:
    return {name: round(long[name] / short[name], 2) for name in ("rows", "seconds", "private_mb", "resident_mb")}


def _measured(how: str, path: Path) -> dict[str, float]:
    """Run once in a new process, and watch its memory from outside: the compiled run lets no other thread look."""
    command = [sys.executable, "-m", "benchmarks.bench_stream", how, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()  # warm
        before, highest = (_kb("RssAnon", child.pid),) * 2
        child.stdin.write("go\n")
        child.stdin.flush()
        while "RssAnon" in (now := _memory(child.pid)) and child.poll() is None:
            highest = max(highest, now["RssAnon"])
            time.sleep(LOOK_S)
        answer = json.loads(child.stdout.read())
    return answer | {"private_mb": round((highest - before) / 1024, 1)}


def _memory(pid: int | str = "self") -> dict[str, int]:
    """Return the kB of a process by kind; nothing of one that has ended."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines())
    return {name: int(value.split()[0]) for name, _, value in lines if value.endswith(" kB")}


def _kb(name: str, pid: int | str = "self") -> int:
    return _memory(pid)[name]


# --- the other processes -------------------------------------------------------------------------------------------------------
def write(one: Path, ten: Path) -> None:
    """Write a simulated market, and the same ten times on end: each copy begins with a book of its own."""
    from hftlab.data.synth import synth_rows

    btc = hl.Instrument.bundled("sim:BTC/USDT")
    rows = synth_rows(btc, SECONDS, SEED, latency_ns=1_500_000, jitter_ns=400_000)
    hl.Tape(rows, (btc,), "one").save(one, mapped=True)
    every_ns = int(rows["ts_recv_ns"][-1] - rows["ts_exch_ns"][0]) + PAUSE_NS
    copies = np.tile(rows, TIMES)
    for name in ("ts_exch_ns", "ts_recv_ns"):
        copies[name] += np.repeat(np.arange(TIMES) * every_ns, len(rows))
    hl.Tape(copies, (btc,), "ten").save(ten, mapped=True)


def measure(how: str, path: Path) -> None:
    """Warm up, say so, wait for the word, run, and print what it took."""
    hl.backtest(hl.load(path, end_s=60), None, QUOTER, LIMITS)
    print("warm", flush=True)
    sys.stdin.readline()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM counts from here
    before, began = _kb("VmRSS"), time.perf_counter()
    report: Any = hl.backtest(_opened(how, path), None, QUOTER, LIMITS)
    seconds = time.perf_counter() - began
    resident_mb = round((_kb("VmHWM") - before) / 1024, 1)
    facts = report.facts
    kept_mb = round((facts.own.nbytes + facts.samples.nbytes + facts.fills.nbytes) / 1024**2, 1)
    answer = {"rows": report.rows, "fills": len(report.fills), "own_rows": len(facts.own), "seconds": round(seconds, 3)}
    print(json.dumps(answer | {"resident_mb": resident_mb, "report_mb": kept_mb}))


def _opened(how: str, path: Path) -> Any:
    if how == "stream":
        return hl.stream(path, rows_max=ROWS_MAX)
    mapped = hl.load(path)
    return hl.Tape(np.array(mapped.rows), mapped.instruments, mapped.source)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        measure(sys.argv[1], Path(sys.argv[2]))

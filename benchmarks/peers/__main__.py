"""`python -m benchmarks.peers setup | compare | speed | metrics [--dir DIR]`: hftlab beside hftbacktest 2.4.4, one rule, one recording.

setup    make hftbacktest's own environment (it is installed from PyPI, into a folder of the user's cache)
compare  run the rule in both, and say of every order and fill whether they agree
speed    time both, turn by turn in one run, and from a fresh process to the first result; JSON
metrics  figures of returns beside those of empyrical-reloaded, quantstats and statsmodels, as the table of docs/returns.md
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.desk import RECORDING
from benchmarks.peers.compare import compare, read_theirs, table
from benchmarks.peers.environment import Peer, default_dir, setup

REPEATS = 9
GRIDS = {"1 level": {"levels": 1, "step": 1}, "20 levels": {"levels": 20, "step": 10}}


def both(folder: Path) -> str:
    """Run the rule in both and return the comparison as text."""
    from benchmarks.peers.ours import INSTRUMENT, Ours

    data, dump = folder / "data.npz", folder / "theirs.npz"
    with Peer(setup(folder), data) as peer:
        start_ns = peer.ask(do="convert", raw=str(RECORDING))["start_ns"]
        words = []
        for name, grid in GRIDS.items():
            answer = peer.ask(do="run", depth="roi", **grid, dump=str(dump))
            other = peer.ask(do="run", depth="hashmap", **grid)
            words.append(f"--- {name}: hftbacktest's two depths agree: {_counts(answer) == _counts(other)}")
            _, ours, _ = Ours(data, start_ns, **grid).run()
            words.append(table(compare(read_theirs(dump, answer, float(INSTRUMENT.lot_size)), ours)))
    return "\n".join(words)


def _counts(answer: Mapping[str, Any]) -> list[Any]:
    return [answer[name] for name in ("orders", "cancels", "fills", "position")]


def speed(folder: Path, repeats: int = REPEATS) -> dict[str, Any]:
    """Return medians of the run alone in rows of the converted file per second, and seconds from a new process to a result."""
    from benchmarks.peers.ours import Ours

    python, data = setup(folder), folder / "data.npz"
    seconds: dict[str, list[float]] = {}
    with Peer(python, data) as peer:
        facts = peer.ask(do="convert", raw=str(RECORDING))
        desks = {name: Ours(data, facts["start_ns"], **grid) for name, grid in GRIDS.items()}
        for turn in range(repeats + 1):  # the first compiles and does not count
            timed = {f"hftlab, {name}": desk.run()[0] for name, desk in desks.items()}
            for depth in ("roi", "hashmap"):
                for name, grid in GRIDS.items():
                    timed[f"hftbacktest {depth}, {name}"] = peer.ask(do="run", depth=depth, **grid)["seconds"]
            for name, value in timed.items():
                seconds.setdefault(name, []).extend([value] if turn else [])
    rows = facts["rows"]
    return {
        "rows": rows,
        "repeats": repeats,
        "median_s": {name: round(statistics.median(values), 5) for name, values in seconds.items()},
        "best_s": {name: round(min(values), 5) for name, values in seconds.items()},
        "rows_per_s": {name: round(rows / statistics.median(values)) for name, values in seconds.items()},
        "first_result_s": _first_results(python, data, facts["start_ns"]),
    }


def _first_results(python: Path, data: Path, start_ns: int, repeats: int = 3) -> dict[str, float]:
    """Return the median seconds from the start of a new process to the result of its first run, for both."""
    taken: dict[str, list[float]] = {"hftlab": [], "hftbacktest roi": []}
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmarks.peers", "first", "--data", str(data), "--start", str(start_ns)], check=True)
        taken["hftlab"].append(time.perf_counter() - began)
        began = time.perf_counter()
        with Peer(python, data) as peer:
            peer.ask(do="run", depth="roi", levels=1, step=1)
            taken["hftbacktest roi"].append(time.perf_counter() - began)
    return {name: round(statistics.median(values), 2) for name, values in taken.items()}


def first(data: Path, start_ns: int) -> None:
    """Load the data and run once: what a fresh process does."""
    from benchmarks.peers.ours import Ours

    Ours(data, start_ns).run()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("do", choices=("setup", "compare", "speed", "metrics", "first"))
    parser.add_argument(
        "--dir", type=Path, default=default_dir(), help="where the environment and converted data are (default: %(default)s)"
    )
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do == "first":
        first(options.data, options.start)
        return 0
    if options.do == "metrics":
        from benchmarks.peers.metrics import table as metrics

        print(metrics())
        return 0
    if options.do != "setup" and not RECORDING.is_file():
        print(f"../shared/data/{RECORDING.name} is not beside this clone: there is nothing to compare on.", file=sys.stderr)
        return 1
    if options.do == "setup":
        print(setup(options.dir))
    elif options.do == "compare":
        print(both(options.dir))
    else:
        print(json.dumps(speed(options.dir), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

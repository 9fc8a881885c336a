"""`make bench`, or `python -m benchmarks [NAME …] [--out FILE]`: run every bench_*.py beside this file, print JSON.

A module holds `run() -> dict`: what it measured, warm, as medians of repeated runs, with units in the names. A module that needs a
file which is not here returns {"skipped": why}. Goals stand beside the figures; nothing here fails, for speed depends on the machine.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).parent


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    import numba
    import numpy as np

    versions = {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
    return {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load_1min": os.getloadavg()[0]} | versions


def main() -> int:
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed, as JSON.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(known)} (default: all)")
    parser.add_argument("--out", type=Path, help="write the JSON to this file too")
    options = parser.parse_args()
    os.environ.setdefault("HFTLAB_COUNT_RUNS", "off")  # what is timed here is no trial of anything
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    results: dict[str, object] = {"machine": machine()}
    for name in options.names or known:
        print(f"{name} …", file=sys.stderr, flush=True)
        results[name] = importlib.import_module(f"benchmarks.bench_{name}").run()
    text = json.dumps(results, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`import hftlab` in a fresh process, and what the process costs without it."""

import subprocess
import sys

from benchmarks.timing import seconds

GOAL_S = 0.5


def run() -> dict[str, float]:
    def process(code: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    bare, with_import = process("pass"), process("import hftlab")
    return {"import_s": round(with_import - bare, 4), "process_s": round(bare, 4), "goal_import_s": GOAL_S}

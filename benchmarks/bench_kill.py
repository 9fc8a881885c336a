"""The kill drill of the tests, twenty times: an engine is killed at a random moment, and what is left is held against what it had shown.

Each kill checks that the replay of the journal equals the last published state byte for byte, that no acknowledged command is missing,
and that the run can be resumed and stopped. A kill that fails ends the benchmark with its error.
"""

import sys
import tempfile
from pathlib import Path

KILLS = 20
SEED = 1000


def run() -> dict[str, object]:
    """Return the sums over all kills and the row of each."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from drill import kill_once

    with tempfile.TemporaryDirectory() as folder:
        rows = [kill_once(Path(folder) / f"run-{n}", seed=SEED + n) for n in range(KILLS)]
    return {
        "kills_passed": len(rows),  # the drill raises at the first that does not
        "acknowledged_commands": sum(int(row["acknowledged"]) for row in rows),
        "journaled_commands": sum(int(row["journaled_commands"]) for row in rows),
        "each": rows,
    }

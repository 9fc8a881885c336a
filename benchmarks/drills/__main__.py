"""`python -m benchmarks.drills NAME …`: break the live path on purpose and hold what is left against the venue's truth."""

import importlib
import sys

DRILLS = (
    "browse",
    "browser",
    "conformance",
    "faults",
    "halts",
    "kills",
    "latency",
    "lost",
    "picture",
    "scrub",
    "secrets",
    "soak",
    "session",
    "viewers",
)

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in DRILLS:
        sys.exit(f"wanted one of {', '.join(DRILLS)}")
    sys.exit(importlib.import_module(f"benchmarks.drills.{sys.argv[1]}").main(sys.argv[2:]))

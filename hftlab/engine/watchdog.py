"""`python -m hftlab.engine.watchdog RUN_DIRECTORY`: a process that outlives the engine and takes its orders out of the market.

It waits for the engine's lock. The system frees that lock when the engine ends, however it ends (kill -9 too), so nothing is polled
and nothing is guessed. A clean stop says so beforehand. An engine that lives but has not published for a while is taken for dead:
its orders are withdrawn as well, and its own reconciliation will find that out.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hftlab.engine.clock import age_ms, wall_now_ns
from hftlab.engine.lines import sweep_run
from hftlab.engine.spec import CLEAN
from hftlab.engine.view import View
from hftlab.errors import DataError
from hftlab.secret import scrub

SILENT_S = 10.0  # an engine publishes twenty times a second
RETRY_S = 2.0
TRIES = 90


class Watch:
    """Watches one run. `report` lines go to watchdog.jsonl in its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._dead = threading.Event()
        self._began_ns = wall_now_ns()
        self._swept_silent = False

    def run(self) -> int:
        """Wait for the engine's end, then sweep unless it left in order. Returns 0 when nothing of ours is left."""
        threading.Thread(target=self._wait_for_lock, name="lock", daemon=True).start()
        while not self._dead.wait(1.0):
            silent = self._silent_s() > SILENT_S
            if silent and not self._swept_silent:
                self.report("the engine lives but publishes nothing: its orders are withdrawn")
                self._swept_silent = self.sweep()
            elif not silent:
                self._swept_silent = False
        if (self.directory / CLEAN).exists():
            return 0
        self.report("the engine ended without a clean stop: its orders are withdrawn")
        return 0 if self.sweep() else 1

    def _wait_for_lock(self) -> None:
        fd = os.open(self.directory / "lock", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_SH)  # shared: the next engine is kept waiting, viewers are not
        self._dead.set()

    def _silent_s(self) -> float:
        with contextlib.suppress(DataError, OSError):
            # The last frame may be of the engine before: this one is silent since we watch it, not since that one died.
            return age_ms(max(int(View(self.directory).frame().published_ns), self._began_ns)) / 1000
        return 0.0

    def sweep(self) -> bool:
        """Cancel every order of the run at its venues and verify. Says whether that was achieved."""
        for attempt in range(TRIES):
            try:
                found = asyncio.run(sweep_run(self.directory))
            except Exception as error:  # why: whatever it was, the orders may rest, and nobody else is left to try again
                self.report(f"not reached (try {attempt + 1}): {type(error).__name__}: {error}")
                time.sleep(RETRY_S)
                continue
            self.report("swept", cancelled=found)
            return True
        return False

    def report(self, text: str, **values: Any) -> None:
        """Add a line to watchdog.jsonl. Never raises: a disk that is full, which may be why the engine ended, must not keep it from its work."""
        line = json.dumps({"ts_ns": wall_now_ns(), "text": scrub(text), "pid": os.getpid(), **values})
        try:
            with (self.directory / "watchdog.jsonl").open("a") as file:
                file.write(line + "\n")
        except OSError as error:
            with contextlib.suppress(OSError):  # stderr is a file on the same disk
                print(f"{line} (not written down: {error})", file=sys.stderr, flush=True)


def main() -> int:
    """Watch the run named on the command line."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # whoever ends the engine's group must not take its watchdog along
    return Watch(Path(sys.argv[1]).resolve()).run()


if __name__ == "__main__":
    sys.exit(main())

"""The process in which a Python strategy runs beside a live engine: slow or dead, it cannot stall the engine.

It reads the snapshot like any viewer and commands through the door like any person. When it dies, the engine pauses the
desk: a strategy that nobody runs must not go on quoting its last wish.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hftlab.engine.inbox import Command
from hftlab.engine.session import Driver
from hftlab.engine.spec import RunSpec, load_spec
from hftlab.engine.view import Session
from hftlab.errors import CommandOvertaken, DataError, EngineDied, EngineUnreachable
from hftlab.strategies.base import strategy_from_dict

_POLL_S = 0.02


class Worker:
    """Owns the strategy's process and watches it from a thread of the engine."""

    def __init__(self, spec: RunSpec, directory: Path, driver: Driver) -> None:
        self._closing = threading.Event()
        self._driver = driver
        self._name = str((spec.strategy or {}).get("class"))
        with (directory / "stderr.txt").open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hftlab.engine.worker", str(directory)], stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr
            )
        threading.Thread(target=self._watch, name="strategy watch", daemon=True).start()

    def _watch(self) -> None:
        code = self._process.wait()
        if not self._closing.is_set():
            self._driver.inbox.put(Command("pause", 0, {}, f"strategy {self._name} (it died, exit code {code})"))
            self._driver.wake.set()

    def close(self) -> None:
        """End the strategy's process."""
        self._closing.set()
        self._process.terminate()
        try:
            self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _session(directory: Path) -> Session:
    """Wait for the engine's door, which opens just before this process is started or just after."""
    end = time.monotonic() + 10.0
    while True:
        try:
            return Session(directory)
        except (EngineUnreachable, EngineDied):
            if time.monotonic() > end:
                raise
            time.sleep(_POLL_S)


def _wish(session: Session, targets: Mapping[int, Any]) -> None:
    """Send what the strategy wishes. A wish that a person's halt overtook is void: after a resume the strategy is asked again, and must live."""
    for market, qty in targets.items():
        with contextlib.suppress(CommandOvertaken):
            session.target(qty, market)


def main() -> None:
    """Call the strategy of a run on its timers until the engine ends."""
    directory = Path(sys.argv[1])
    spec = load_spec(directory)
    assert spec.strategy is not None
    strategy = strategy_from_dict(spec.strategy)
    session = _session(directory)
    every_ns, last = int(strategy.every_s * 1e9), -1
    parent = os.getppid()
    while os.getppid() == parent:  # an engine that was killed leaves us to init: then end too
        try:
            frame = session.frame()
        except DataError:
            time.sleep(_POLL_S)
            continue
        slot = int(frame.desk["timer_ns"]) // every_ns
        if slot > last:
            last = slot
            _wish(session, strategy.on_timer(frame) or {})
        time.sleep(_POLL_S)


if __name__ == "__main__":
    main()

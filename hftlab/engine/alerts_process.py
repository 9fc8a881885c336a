"""The process of alerts, as the engine sees it: started with it, ended with it."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_END_S = 1.0


class AlertProcess:
    """Owns the process. It sees the engine's end by its standard input, which the system closes however the engine ends."""

    def __init__(self, directory: Path, say: Callable[[str, str], None]) -> None:
        self._closing = threading.Event()
        self._say = say
        with (directory / "stderr.txt").open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hftlab.engine.alerts", str(directory)],
                stdin=subprocess.PIPE,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,  # whoever ends the engine's group must not take along what tells of it
            )
        threading.Thread(target=self._watch, name="alerts watch", daemon=True).start()

    def _watch(self) -> None:
        code = self._process.wait()
        if not self._closing.is_set():
            self._say("warn", f"the process of alerts ended (exit code {code}): nothing is sent until the engine is started again")

    def close(self) -> None:
        """Let it finish. It is not waited for when a channel hangs: it ends by itself."""
        self._closing.set()
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._say("info", "alerts are still being sent; their process ends by itself")

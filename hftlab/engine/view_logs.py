"""What a View reads of the words of a run: its log and its alerts."""

from pathlib import Path
from typing import Any

from hftlab.engine.jsonl import last_objects


class LogsOfView:
    """Methods of View; `directory` is the run's."""

    directory: Path

    def log(self, n: int = 100) -> list[dict[str, Any]]:
        """Return the last `n` lines of the engine's log, oldest first: ts_ns (UTC), level, source, text; some with market, fields, traceback.

        `pandas.DataFrame(view.log())` is a table of them.
        """
        return last_objects(self.directory / "log.jsonl", n)

    def alerts(self, n: int = 100) -> list[dict[str, Any]]:
        """Return the last `n` alerts, oldest first: ts_ns (UTC), level, kind, key, text, market (or None), and resolved."""
        return last_objects(self.directory / "alerts.jsonl", n)

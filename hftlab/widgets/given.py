"""What panels read beside the records, one function each: the one place that knows who keeps it."""

import json
from pathlib import Path
from typing import Any

from hftlab.data.frame import Frame
from hftlab.types import NO_HALTED, VERDICT_NAMES

STATE_LEVELS = {"ACTIVE": "ok", "WIDEN": "warn", "PAUSED": "warn", "REDUCING": "warn", "HALTED": "bad", "STOPPED": "bad"}
TAIL_BYTES = 64 * 1024


def state_reason(frame: Frame) -> str:
    """Return why the desk is in its state, in words; empty when there is nothing to say."""
    # "halted" says that it was a command
    return "" if frame.halt_reason == VERDICT_NAMES[NO_HALTED] else frame.halt_reason


def active(frame: Frame, i: int) -> bool:
    """Return whether the strategy of market `i` is switched on."""
    return bool(frame.active(i)) if hasattr(frame, "active") else True


def toxicity(frame: Frame, i: int) -> float:
    """Return VPIN 0 to 1, NaN where it is not measured."""
    return float(frame.toxicity(i)) if hasattr(frame, "toxicity") else float("nan")


def alerts(source: Any, count: int) -> list[dict[str, Any]]:
    """Return the last alerts, oldest first."""
    return _tail(source, "alerts", count)


def log(source: Any, count: int) -> list[dict[str, Any]]:
    """Return the last lines of the engine's log, oldest first."""
    return _tail(source, "log", count)


def _tail(source: Any, name: str, count: int) -> list[dict[str, Any]]:
    if hasattr(source, name):
        return list(getattr(source, name)(count))
    return tail(Path(source.directory) / f"{name}.jsonl", count) if hasattr(source, "directory") else []


def tail(path: Path, count: int) -> list[dict[str, Any]]:
    """Return the last `count` JSON objects of a file of lines; it may be growing while it is read, and may not exist yet."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read().split(b"\n")
    # The first line may have been cut by us, the last is not finished until its newline is there.
    whole = lines[1 if size > TAIL_BYTES else 0 : -1][-count:]
    found = []
    for line in whole:
        try:
            one = json.loads(line)
        except ValueError:
            one = {"level": "error", "text": line[:200].decode("utf-8", "replace")}  # shown as it is: a log is read when things went wrong
        found.append(one if isinstance(one, dict) else {"text": str(one)})
    return found

"""Files of one JSON object a line, as a run directory has several: their last lines, whoever is writing."""

import json
from pathlib import Path
from typing import Any

_BLOCK = 65_536


def last_lines(path: Path, count: int) -> list[str]:
    """Return up to `count` last complete lines of a file, oldest first; none where there is no such file. Reads from its end."""
    if count <= 0:
        return []
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return []
    with file:
        at = file.seek(0, 2)
        data = b""
        while at > 0 and data.count(b"\n") <= count:
            step = min(_BLOCK, at)
            at -= step
            file.seek(at)
            data = file.read(step) + data
    lines = data.split(b"\n")[1 if at > 0 else 0 : -1]  # without what may have begun before, and what is still being written
    return [line.decode("utf-8", errors="replace") for line in lines[-count:]]


def last_objects(path: Path, count: int) -> list[dict[str, Any]]:
    """Return the last objects of a file and, where it is not enough, of the older ones beside it (path.1, path.2, …), oldest first.

    A line that is no object, torn by a crash, is left out.
    """
    found: list[dict[str, Any]] = []
    number = 0
    older = path
    while len(found) < count and older.exists():
        found = [one for line in last_lines(older, count - len(found)) if (one := _object(line)) is not None] + found
        number += 1
        older = path.with_name(f"{path.name}.{number}")
    return found


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None

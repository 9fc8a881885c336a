"""Where the counts of runs are kept: a file of lines beside the data, or where the user says, or this process's memory.

Beside `day.gz` stands `day.gz.runs.jsonl`, one JSON object a line, appended under a lock by however many processes. Data without a
file, or in a folder that cannot be written, are counted in the folder HFTLAB_STATE_DIR names (or $XDG_STATE_HOME/hftlab); without
either in memory, until the process ends: nothing is written to the user's home unasked. HFTLAB_COUNT_RUNS=off writes nothing anywhere.
"""

import fcntl
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

COUNT_RUNS, STATE_DIR = "HFTLAB_COUNT_RUNS", "HFTLAB_STATE_DIR"
SUFFIX = ".runs.jsonl"
_LOCK = threading.Lock()
_IN_MEMORY: dict[str, list[dict[str, Any]]] = {}
_READ: dict[Path, tuple[int, int, list[dict[str, Any]]]] = {}
_TOLD: set[Path] = set()


def counting() -> bool:
    """Return whether counts are written to files: unless HFTLAB_COUNT_RUNS is off (or 0, false, no)."""
    return os.environ.get(COUNT_RUNS, "").strip().lower() not in {"off", "0", "false", "no"}


@dataclass(frozen=True)
class Place:
    """Where one data set is counted: beside `files`; `key` names it in the state folder or in memory."""

    key: str
    files: tuple[Path, ...] = ()

    @classmethod
    def of(cls, source: Any) -> "Place":
        """Return the place of a Tape or Stream, or of anything with `files` or a `data_digest`."""
        files = tuple(path.absolute() for path in getattr(source, "files", ()))
        key = getattr(source, "data_digest", "") if not files else "-".join(path.name for path in files)[:100]
        return cls(key or "unnamed", files)

    def paths(self) -> tuple[Path, ...]:
        """Return the files of counts beside the data, one for each file of it."""
        return tuple(path.with_name(path.name + SUFFIX) for path in self.files)

    def write(self, lines: Sequence[Mapping[str, Any]]) -> str:
        """Append lines; return in a sentence what stood in the way, once for each file, or nothing. Never raises OSError."""
        if counting() and self.files:
            try:
                for path in self.paths():
                    _append(path, lines)
            except OSError as error:
                elsewhere = self._write_elsewhere(lines)
                return _once(path, f"{path} cannot be written ({error.strerror}): runs on this data are counted {elsewhere}.")
            return ""
        self._write_elsewhere(lines)
        return ""

    def _write_elsewhere(self, lines: Sequence[Mapping[str, Any]]) -> str:
        """Append to the state folder, or to memory; return where, in words."""
        folder = _state_dir()
        if counting() and folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _append(folder / f"{self.key}{SUFFIX}", lines)
            except OSError:
                pass
            else:
                return f"in {folder}"
        with _LOCK:
            _IN_MEMORY.setdefault(self._name(), []).extend(dict(line) for line in lines)
        return f"in this process only; set {STATE_DIR} to a folder to keep them"

    def read(self) -> list[dict[str, Any]]:
        """Return every line about this data set, in the order written, each once; a line that was cut is passed over."""
        folder = _state_dir()
        paths = [*self.paths(), *([folder / f"{self.key}{SUFFIX}"] if folder is not None else [])]
        with _LOCK:
            found = [line for path in paths for line in _lines(path)] + _IN_MEMORY.get(self._name(), [])
        # Data of several files have their runs written beside each of them.
        return list({line.get("id", id(line)): line for line in found}.values())

    def _name(self) -> str:
        return "\n".join(map(str, self.files)) or self.key


def forget() -> None:
    """Drop what is counted in memory and what was read: for tests, where many small labs live in one process."""
    with _LOCK:
        _IN_MEMORY.clear()
        _READ.clear()
        _TOLD.clear()


def _state_dir() -> Path | None:
    """Return the folder that the user named for what has no file to stand beside, None where none is named."""
    if named := os.environ.get(STATE_DIR):
        return Path(named)
    home = os.environ.get("XDG_STATE_HOME")
    return Path(home) / "hftlab" if home else None


def _append(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write lines at the end of a file, all at once and alone: the lock is the file's own, so it holds between processes and threads."""
    text = b"".join(orjson.dumps(dict(line)) + b"\n" for line in lines)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":  # whoever wrote last was killed in the middle
            text = b"\n" + text
        while text:
            text = text[os.write(fd, text) :]
    finally:
        os.close(fd)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file; what was read before is not read again."""
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            inode, done, known = _READ.get(path, (0, 0, []))
            if inode != about.st_ino or done > about.st_size:
                done, known = 0, []
            file.seek(done)
            text = file.read()
    except OSError:
        return []
    whole = text.rfind(b"\n") + 1
    if whole:
        known = known + [line for part in text[:whole].splitlines() if (line := _line(part)) is not None]
    _READ[path] = (about.st_ino, done + whole, known)
    return known


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _once(path: Path, text: str) -> str:
    with _LOCK:
        told = path in _TOLD
        _TOLD.add(path)
    return "" if told else text

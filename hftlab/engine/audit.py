"""The audit trail: who commanded what, why, and what came of it. One JSON line a call in `audit.jsonl`, on the disk before it is answered.

The journal holds what was done, exactly; this file says who did it. `row` joins the two: the number of a command's first row in
the journal. Whoever reads a run may read the trail; it holds no secret, because `scrub` takes out whatever is as long as a token.
"""

import json
import os
import queue
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hftlab.engine.jsonl import last_lines

FILE = "audit.jsonl"
FIELDS = (
    "ts_ns",
    "who",
    "why",
    "scope",
    "client",
    "call",
    "command",
    "market",
    "values",
    "status",
    "ok",
    "answer",
    "row",
    "count",
    "key",
    "replayed",
    "took_ms",
)
TEXT_CHARS = 600
_SECRET = re.compile(r"[A-Za-z0-9_\-+/=]{40,}")  # a token has 43 of these; no word and no number of ours has 40


def scrub(value: Any) -> Any:
    """Return `value` without what could be a secret: long runs of letters and digits become "[…]", long texts are cut."""
    if isinstance(value, str):
        return _SECRET.sub("[…]", value)[:TEXT_CHARS]
    if isinstance(value, Mapping):
        return {scrub(str(name)): scrub(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(one) for one in value]
    return value


class AuditLog:
    """Appends lines to the audit file of a run from a thread of its own: a slow disk delays the answer to a call, not the next call."""

    def __init__(self, directory: Path) -> None:
        self._fd = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        size = os.fstat(self._fd).st_size
        # The last line may be half there, by a power cut or a full disk: what came right behind it would be lost with it.
        self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        self._queue: queue.SimpleQueue[tuple[bytes, Callable[[], None] | None] | None] = queue.SimpleQueue()
        self.trouble = ""  # why the last line could not be written
        self.lines = 0
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    def add(self, line: Mapping[str, Any], done: Callable[[], None] | None = None) -> None:
        """Write one line with the fields of FIELDS (missing ones are null); `done` is called, on another thread, when it is on the disk.

        It is called as well when the disk refused: then `trouble` says why.
        """
        text = json.dumps({name: scrub(line.get(name)) for name in FIELDS}, ensure_ascii=False, allow_nan=False, default=str)
        self._queue.put((text.encode(errors="replace") + b"\n", done))

    def _write_all(self) -> None:
        while True:
            taken = [self._queue.get()]
            while not self._queue.empty():  # what waited is synced together
                taken.append(self._queue.get())
            lines = [one for one in taken if one is not None]
            if lines:
                self._write(b"".join(text for text, _ in lines))
                self.lines += len(lines)
                for _, done in lines:
                    if done is not None:
                        done()
            if len(lines) < len(taken):
                return

    def _write(self, text: bytes) -> None:
        whole = b"\n" + text if self._torn else text
        view = memoryview(whole)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
                self._torn = bool(view)
            os.fdatasync(self._fd)
        except OSError as error:
            self.trouble = f"{FILE} cannot be written: {error.strerror or error}"
        else:
            self.trouble = ""

    def close(self) -> None:
        """Write what waits and close the file."""
        self._queue.put(None)
        self._thread.join(timeout=5.0)
        os.close(self._fd)


def read_calls(directory: Path, count: int | None = None) -> list[dict[str, Any]]:
    """Return the last `count` lines of a run's audit file, or all, oldest first; a line torn by a power cut is left out."""
    path = directory / FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if count is None else last_lines(path, count)
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found

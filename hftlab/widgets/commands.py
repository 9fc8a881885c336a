"""Commands leave the page's callbacks at once and are carried out, in order, by a worker thread."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hftlab.errors import HftlabError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: `answer` is the engine's acknowledgement, `error` says what went wrong."""

    label: str
    answer: Any
    error: str
    at_s: float


class Worker:
    """One daemon thread and its queue. Started by the first command."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._queue: queue.SimpleQueue[tuple[str, Callable[[], Any], Callable[[Outcome], None]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, label: str, command: Callable[[], Any], tell: Callable[[Outcome], None]) -> None:
        """Queue `command`; `tell` gets its Outcome, in the worker's thread."""
        self._queue.put((label, command, tell))
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            label, command, tell = self._queue.get()
            tell(carry_out(label, command))


def carry_out(label: str, command: Callable[[], Any]) -> Outcome:
    """Run `command` and return what became of it."""
    try:
        answer = command()
    except HftlabError as error:
        return Outcome(label, None, str(error) or type(error).__name__, time.monotonic())
    except Exception as error:  # why: the worker must live on for the next command, and the person who pressed must read why
        return Outcome(label, None, f"{type(error).__name__}: {error}", time.monotonic())
    return Outcome(label, answer, "", time.monotonic())


ORDERLY = Worker("hftlab-commands")
# A stop waits until no order rests, and an unreachable engine until a time-out: a HALT must not queue behind either.
URGENT = Worker("hftlab-halt")

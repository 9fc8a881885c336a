"""What people send to an engine, on its way into the loop. A halt and a stop go first, whatever waits."""

import itertools
import queue
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

FIRST = ("halt", "stop")
WAITING_MAX = 256


class Answer(Protocol):
    """Where the engine puts its answer to a command."""

    def put(self, answer: dict[str, Any]) -> None:
        """Take the answer. Called once, on the engine's thread; it must not wait."""
        ...


@dataclass
class Command:
    """A command on its way through the loop; `answer` is set when it was journaled and run.

    `client` says where it came from: "engine" for what the process sends itself (a signal, the gateway, the strategy's watch).
    """

    name: str
    market: int
    values: Mapping[str, Any]
    who: str
    answer: Any = field(default_factory=lambda: queue.Queue(1))
    why: str = ""
    client: str = "engine"
    number: int = 0  # the order in which they came


class Inbox:
    """Commands by any thread, and by a signal in the middle of anything: nothing here holds a lock of its own."""

    def __init__(self) -> None:
        self._first: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._count = itertools.count(1)
        self._overtaker = 0

    def put(self, command: Command) -> None:
        """Add a command."""
        command.number = next(self._count)
        (self._first if command.name in FIRST else self._waiting).put(command)

    def empty(self) -> bool:
        """Say whether no command waits."""
        return self._first.empty() and self._waiting.empty()

    def full(self) -> bool:
        """Say whether a sender should come back later. A halt or a stop is always taken."""
        return self._waiting.qsize() >= WAITING_MAX

    def take(self, most: int) -> Iterator[tuple[Command, bool]]:
        """Yield up to `most` commands, and of each whether a halt or stop that came after it has overtaken it.

        What was overtaken must be refused: a "resume" that waited while somebody pressed HALT would undo the halt.
        """
        for _ in range(most):
            if not self._first.empty():
                command = self._first.get()
                self._overtaker = max(self._overtaker, command.number)
                yield command, False
            elif not self._waiting.empty():
                command = self._waiting.get()
                yield command, command.number < self._overtaker
            else:
                return

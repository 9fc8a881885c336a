"""Which of several connections counts for one market, and how a younger one takes over without a hole.

While a connection is being replaced, both deliver. The younger one is held back until one of its diffs is already in the book, or is
the very next one: from there on it misses nothing, so it takes over at an exact update id.
"""

from abc import ABC, abstractmethod
from collections import deque

_HELD = 65_536  # frames of a younger connection kept while the older one still delivers


class Takeover(ABC):
    """Base of a market. Connections are numbered in the order in which they were dialled."""

    def __init__(self) -> None:
        self.epoch = 0  # counts how often there was no connection left
        self.source = -1  # the connection that counts; -1: none
        self._barred = -1  # connections up to this number do not count any more
        self._held: dict[int, deque[bytes]] = {}

    def connected(self, connection: int) -> None:
        """Take note of a subscribed connection."""
        if self.source < 0:
            self.source = connection
            self._followed()
        elif connection > self._barred:
            self._held[connection] = deque(maxlen=_HELD)

    def lost(self, connection: int, recv_ns: int, why: str) -> None:
        """Take note of a connection that is gone: a younger one takes over, or there is none."""
        self._held.pop(connection, None)
        if connection != self.source:
            return
        self._barred = max(self._barred, connection)
        if self._held:
            self.promote(min(self._held), recv_ns)
        else:
            self.source = -1
            self.epoch += 1
            self._orphaned(recv_ns, why)

    def promote(self, connection: int, recv_ns: int) -> None:
        """Have a younger connection count from now on, and take what was held back of it."""
        held = self._held.pop(connection)
        self._barred = max(self._barred, self.source)
        self.source = connection
        self._followed()
        for payload in held:
            self._again(recv_ns, payload)

    def abandon(self, recv_ns: int, why: str) -> None:
        """Stop listening to the connection that counts."""
        self.lost(self.source, recv_ns, why)

    def waits_for(self, connection: int) -> bool:
        """Say whether a younger connection is still held back."""
        return connection in self._held

    # --- what a market does ------------------------------------------------------------------------------------------
    @abstractmethod
    def _followed(self) -> None:
        """Act on a connection that counts from now on."""

    @abstractmethod
    def _orphaned(self, recv_ns: int, why: str) -> None:
        """Act on there being no connection."""

    @abstractmethod
    def _again(self, recv_ns: int, payload: bytes) -> None:
        """Take a frame that was held back."""

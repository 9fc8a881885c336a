"""HTTP connections that must come to the point: a head that is sent in half does not keep one of the door's few places."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0


class PromptProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with an end to waiting: the whole head of a request within `HEAD_S` of the connection or the last answer.

    uvicorn bounds only the silence between two requests. Before the first one, and from the first byte of the next on, it waits for
    ever: as many half heads as the door has places, from whatever process of this machine, and nobody could halt.
    """

    head_s = HEAD_S
    _wait: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a connection and start to wait for its first head."""
        super().connection_made(transport)
        self._await_head()

    def on_response_complete(self) -> None:
        """End an answer and start to wait for the next head."""
        self._await_head()  # before uvicorn goes on with a request that is already there
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._wait = self.loop.call_later(self.head_s, self._end)

    def _stop_waiting(self) -> None:
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None

    def _end(self) -> None:
        """Close, unless a request is being answered (its end waits anew) or the connection has become a WebSocket."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering and self.transport.get_protocol() is self:
            self.transport.close()


def prompt(head_s: float) -> type[Any]:
    """Return the protocol with another patience, in seconds."""
    return type("PromptProtocol", (PromptProtocol,), {"head_s": head_s})

"""What faults may make of what passes through the transport; without faults, nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from hftlab.venues.server.connections import Out, Socket
from hftlab.venues.server.skin import Reply, Request, Skin


@dataclass(slots=True)
class Plan:
    """What faults make of one request. `instead` keeps it from the venue; `answer` is told in place of the venue's own reply."""

    before_s: float = 0.0
    after_s: float = 0.0
    reset_before: bool = False
    reset_after: bool = False
    silent: bool = False  # reset after the delay, without a word
    instead: Reply | None = None
    answer: Reply | None = None


class Nothing:
    """The faults of a venue that has none."""

    def dial(self, skin: Skin, path: str) -> bool:
        """Say whether a new WebSocket is refused."""
        return False

    def frame(self, connection: Socket, text: str | bytes, stream: str, kind: str) -> Sequence[Out]:
        """Return what is really sent of a frame."""
        return (Out(text),)

    def answers_ping(self, connection: Socket) -> bool:
        """Say whether a ping of the client is answered."""
        return True

    def request(self, skin: Skin, request: Request, kind: str) -> Plan:
        """Return what becomes of a request."""
        return Plan()

    def message(self, skin: Skin, connection: Socket, text: str) -> Plan | None:
        """Return what becomes of a client's message; None for what nothing becomes of."""
        return None

    def reply_delay_s(self, skin: Skin) -> float:
        """Return how much later the reply made just now goes out, and forget it."""
        return 0.0

    def forget(self, connection: Socket) -> None:
        """Forget a connection that is gone."""

    def tick(self, now_ns: int) -> None:
        """Do what is due."""

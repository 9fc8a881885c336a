"""Between sockets and protocols: what the transport hands to a skin, and where faults may step in.

The transport (HTTP, WebSocket, TLS, proxy) knows no protocol; a skin knows no socket; faults act on both through `Faults`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hftlab.venues.server.model import Core, DepthDiff, Order


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `query` and `body` are raw: signatures are over exactly these bytes. Header names are lower case."""

    method: str
    path: str  # as the real venue has it, e.g. /fapi/v1/order
    query: str
    headers: Mapping[str, str]
    body: bytes
    client: str  # address of the peer: rate limits count by it


@dataclass(slots=True)
class Reply:
    """One HTTP reply; `body` is what json.dumps takes."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Connection(Protocol):
    """One WebSocket. The transport makes it; faults sit inside `send`."""

    number: int  # counts the connections of this venue process
    path: str
    query: str
    client: str
    state: dict[str, Any]  # free for the skin

    def send(self, text: str | bytes, *, stream: str, kind: str) -> None:
        """Queue a text frame, in order. `stream` names what a fault can aim at (btcusdt@depth); `kind` is md, user or reply."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close after what is queued."""
        ...


class Skin(Protocol):
    """One venue's protocol over one core."""

    core: Core
    name: str  # binance, binanceusdm, hyperliquid: the first part of the path on the plain port
    hosts: tuple[str, ...]  # what a TLS client asks for, e.g. fapi.binance.com

    def kind(self, request: Request) -> str:
        """Return the class of a request, for latency and faults: order, amend, cancel, query, account, market or other."""
        ...

    def http(self, request: Request) -> Reply:
        """Answer one request, at once. Whatever is wrong with the request is a Reply; an exception is a defect."""
        ...

    def opened(self, connection: Connection) -> None:
        """Take note of a new WebSocket (its path and query may name streams)."""
        ...

    def message(self, connection: Connection, text: str) -> None:
        """Take one text frame of the client."""
        ...

    def closed(self, connection: Connection) -> None:
        """Forget a WebSocket."""
        ...

    def tick(self, now_ns: int) -> None:
        """Do what is due: batched depth frames, key expiry, countdowns. Called every few milliseconds, after the core advanced."""
        ...


class Faults(Protocol):
    """Where a fault may step in besides the transport's own places. Without a schedule every answer is "nothing happens"."""

    def clock_ns(self, now_ns: int) -> int:
        """Return exchange time as this venue's clock shows it: offset and drift."""
        ...

    def snapshot_back(self, symbol: str) -> int:
        """Return how many diffs old a book snapshot served now shall be."""
        ...

    def diffs(self, diff: DepthDiff) -> list[DepthDiff]:
        """Return what is sent for a diff to everybody: itself, or a corrupted one (crossed book, missing deletion)."""
        ...

    def hides(self, order: Order, now_ns: int) -> bool:
        """Say whether a query shall not see this order yet (or no longer)."""
        ...

    def before(self, kind: str, symbol: str, order: Order | None) -> None:
        """Called before the core acts on an order, amend or cancel: the market may move first (cancel/fill and post-only races)."""
        ...

    def user_key(self, key: str, age_ns: int) -> str:
        """Return "" or what becomes of a user stream's key now: "expire" (with its event) or "silent" (events stop without a word)."""
        ...

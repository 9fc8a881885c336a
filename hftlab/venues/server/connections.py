"""One WebSocket of the loopback exchange: an ordered queue, a writer that empties it, and an end that can be sudden."""

import asyncio
import heapq
import itertools
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

QUEUED_BYTES_MAX = 8 * 1024 * 1024  # a client that is behind by more is cut off, as the real venues do
CLOSE_WAIT_S = 1.0
LINGER_RESET = struct.pack("ii", 1, 0)  # close with RST instead of FIN: what a dead machine or a middlebox looks like


@dataclass(frozen=True, slots=True)
class Out:
    """A frame on its way out: `data` is text, or bytes for a binary frame. Frames of one kind keep their order unless `overtaken`."""

    data: str | bytes
    delay_s: float = 0.0
    overtaken: bool = False


class Censor(Protocol):
    """What stands between a skin and the socket: it may drop, repeat, corrupt or delay a frame."""

    def frame(self, connection: "Socket", text: str | bytes, stream: str, kind: str) -> Sequence[Out]:
        """Return what is really sent."""
        ...

    def answers_ping(self, connection: "Socket") -> bool:
        """Say whether a ping of the client is answered."""
        ...


@dataclass(frozen=True, slots=True)
class _Control:
    """A ping, pong or close frame in the queue."""

    kind: WSMsgType
    payload: bytes = b""
    code: int = 1000


def reset(transport: Any) -> None:
    """End a connection with a RST, sending nothing of what is still queued."""
    if transport is None:
        return
    if not transport.is_closing() and (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    transport.abort()  # also one that is closing: a TLS connection may wait half a minute for the other side's goodbye


class Socket:
    """A WebSocket as a skin sees it (`skin.Connection`), and as the transport drives it.

    `skin` is the skin's name; `opened_s`, `pinged_s`, `ponged_s` are times of the loop. Everything happens on the loop's thread.
    """

    def __init__(self, number: int, skin: str, path: str, query: str, client: str, censor: Censor) -> None:
        self.number, self.skin, self.path, self.query, self.client = number, skin, path, query, client
        self.state: dict[str, Any] = {}
        self.opened_s = self.pinged_s = self.ponged_s = asyncio.get_running_loop().time()
        self.sent = self.received = 0
        self.closing = False
        self.muted = False  # replies are lost: a request that the venue acts on without an answer
        self._censor = censor
        self._loop = asyncio.get_running_loop()
        self._queue: list[tuple[float, int, str | bytes | _Control]] = []
        self._queued_bytes = 0
        self._order = itertools.count()
        self._due_s: dict[str, float] = {}  # per kind: when the last delayed frame leaves
        self._wake = asyncio.Event()
        self._web: web.WebSocketResponse | None = None
        self._transport: asyncio.BaseTransport | None = None

    def __repr__(self) -> str:
        return f"<Socket {self.number} {self.skin}{self.path}>"

    # --- for the skin ---
    def send(self, text: str | bytes, *, stream: str, kind: str) -> None:
        """Queue a text frame; see `skin.Connection.send`."""
        if self.closing or (self.muted and kind == "reply"):
            return
        for out in self._censor.frame(self, text, stream, kind):
            self.push(out, kind)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close after what is queued."""
        if not self.closing:
            self.closing = True
            # Behind everything, also what is delayed; only a reset is faster than the queue.
            last = max((due for due, _, _ in self._queue), default=0.0)
            self._put(_Control(WSMsgType.CLOSE, reason.encode(), code), last)

    # --- for the transport and the faults ---
    def push(self, out: Out, kind: str) -> None:
        """Queue what the faults left of a frame."""
        due = self._loop.time() + out.delay_s if out.delay_s > 0 else 0.0
        last = self._due_s.get(kind, 0.0)
        if not out.overtaken and (due or last):
            due = max(due, last) if last > self._loop.time() else due
            self._due_s[kind] = due
        self._put(out.data, due)
        self._queued_bytes += len(out.data)
        if self._queued_bytes > QUEUED_BYTES_MAX:
            self.reset()

    def ping(self, payload: bytes) -> None:
        """Queue a ping."""
        self.pinged_s = self._loop.time()
        self._put(_Control(WSMsgType.PING, payload), 0.0)

    def reset(self) -> None:
        """End it now with a RST."""
        self.closing = True
        self._queue.clear()
        reset(self._transport)
        self._wake.set()

    async def serve(self, request: web.BaseRequest, on_text: Callable[["Socket", str], None], on_open: Callable[["Socket"], None]) -> Any:
        """Shake hands, then pass messages in and queued frames out until one side ends it."""
        self._web = web.WebSocketResponse(autoping=False, compress=False, timeout=CLOSE_WAIT_S)
        try:
            await self._web.prepare(request)
        except ConnectionResetError:
            return self._web  # the client was gone before its hands were shaken
        self._transport = request.transport
        writer = asyncio.create_task(self._write(self._web))
        try:
            on_open(self)
            async for message in self._web:
                self.received += 1
                if message.type is WSMsgType.TEXT:
                    on_text(self, message.data)
                elif message.type is WSMsgType.BINARY:
                    on_text(self, message.data.decode("utf-8", "replace"))
                elif message.type is WSMsgType.PING and self._censor.answers_ping(self):
                    self._put(_Control(WSMsgType.PONG, bytes(message.data)), 0.0)
                elif message.type is WSMsgType.PONG:
                    self.ponged_s = self._loop.time()
        finally:
            self.closing = True
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return self._web

    def _put(self, item: str | bytes | _Control, due_s: float) -> None:
        heapq.heappush(self._queue, (due_s, next(self._order), item))
        self._wake.set()

    async def _write(self, ws: web.WebSocketResponse) -> None:
        try:
            while True:
                item = await self._next()
                if isinstance(item, str):
                    self._queued_bytes -= len(item)
                    self.sent += 1
                    await ws.send_str(item)
                elif isinstance(item, bytes):
                    self._queued_bytes -= len(item)
                    self.sent += 1
                    await ws.send_bytes(item)
                elif item.kind is WSMsgType.CLOSE:
                    await ws.close(code=item.code, message=item.payload)
                    return
                else:
                    await ws.send_frame(item.payload, item.kind)
        except ConnectionError:
            self.closing = True  # the client is gone: the reading side ends by itself

    async def _next(self) -> str | bytes | _Control:
        """Return the next item that is due, in order of due time and then of queueing."""
        while True:
            self._wake.clear()
            if self._queue:
                due = self._queue[0][0]
                if due <= self._loop.time():
                    return heapq.heappop(self._queue)[2]
                timer = self._loop.call_at(due, self._wake.set)
                await self._wake.wait()
                timer.cancel()
            else:
                await self._wake.wait()

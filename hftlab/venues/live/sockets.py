"""The sockets of market data: from the socket's callback to the reader in one call, with no queue and no task in between."""

import asyncio
import ssl
from collections.abc import Callable, Sequence

import msgspec
from picows import WSFrame, WSMsgType, WSTransport, ws_connect

from hftlab.errors import VenueDown
from hftlab.venues.live.backoff import Budget, Dials
from hftlab.venues.live.link import Connection
from hftlab.venues.live.model import Endpoint

HANDSHAKE_S = 5.0
ACK_S = 5.0
IDLE_S = 10.0  # a socket that is silent for so long is pinged, and given up when it does not answer within as much again
_TEXT = WSMsgType.TEXT


class _Ack(msgspec.Struct):
    """The venue's answer to a SUBSCRIBE."""

    id: int | str | None = None
    error: msgspec.Raw = msgspec.Raw()
    code: int = 0


_ACK = msgspec.json.Decoder(_Ack)


class Socket(Connection):
    """One connection with market streams; `heard` gets (its number, payload) of each text frame."""

    def __init__(self, number: int, heard: Callable[[int, bytes], None], failed: Callable[[Exception], None]) -> None:
        super().__init__(self._pass_on, failed)
        self.number, self._frames_to = number, heard
        self._acks: dict[int, asyncio.Future[str]] = {}
        self.opened_s = asyncio.get_running_loop().time()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand a frame on: nearly every one is a whole text."""
        if frame.msg_type == _TEXT and frame.fin and not self._parts:
            try:
                self._frames_to(self.number, frame.get_payload_as_bytes())
            except Exception as error:  # why: picows would only log it; the reader's task raises it where it is supervised
                self._failed(error)
        else:
            super().on_ws_frame(transport, frame)

    def _pass_on(self, payload: bytes) -> None:
        self._frames_to(self.number, payload)

    def answered(self, payload: bytes) -> bool:
        """Take a frame that is no market data; say whether it was the answer to a SUBSCRIBE of ours."""
        try:
            ack = _ACK.decode(payload)
        except msgspec.DecodeError:
            return False
        waiting = self._acks.pop(ack.id, None) if isinstance(ack.id, int) else None
        if waiting is None:
            return False
        if not waiting.done():
            waiting.set_result(payload.decode("utf-8", "replace") if ack.code or bytes(ack.error) else "")
        return True

    async def subscribe(self, streams: Sequence[str], batch: int, pace: Budget) -> None:
        """Ask for streams, some at a time, no faster than the venue allows. Raises VenueDown when it does not agree in time."""
        for number, at in enumerate(range(0, len(streams), batch), 1):
            await pace.turn()
            waiting = self._acks[number] = asyncio.get_running_loop().create_future()
            asked = list(streams[at : at + batch])
            self.send(msgspec.json.encode({"method": "SUBSCRIBE", "params": asked, "id": number}))
            done, _ = await asyncio.wait({waiting, self.ended}, timeout=ACK_S, return_when=asyncio.FIRST_COMPLETED)
            refused = waiting.result() if waiting in done else (self.ended.result() if self.ended.done() else "no answer")
            if refused or self.ended.done():
                raise VenueDown(f"SUBSCRIBE {', '.join(asked[:3])}{' …' if len(asked) > 3 else ''}: {refused or self.ended.result()}")


def tls(endpoint: Endpoint, url: str) -> ssl.SSLContext | None:
    """Return how a TLS connection to an endpoint is checked; None for a plain one."""
    return ssl.create_default_context(cafile=endpoint.ca_file or None) if url.startswith(("wss:", "https:")) else None


async def dial(url: str, endpoint: Endpoint, make: Callable[[], Socket]) -> Socket:
    """Open one connection, within the budget of dials. Raises VenueDown for whatever may pass."""
    await Dials.shared().turn()
    socket = make()
    try:
        await ws_connect(
            lambda: socket,
            url,
            ssl_context=tls(endpoint, url),
            proxy=endpoint.proxy or None,
            websocket_handshake_timeout=HANDSHAKE_S,
            enable_auto_ping=True,
            auto_ping_idle_timeout=IDLE_S,
            auto_ping_reply_timeout=IDLE_S,
        )
    except BaseException as error:  # why: whatever it was, cancellation too, the socket must not stay open
        socket.drop("not connected")
        if isinstance(error, OSError) or type(error).__module__.startswith(("picows", "python_socks")):
            raise VenueDown(f"no connection to {url.partition('?')[0]}: {error!r}") from error
        raise
    if not socket.connected:  # picows returns as if all were well when the connection is lost in the middle of the handshake
        raise VenueDown(f"no connection to {url.partition('?')[0]}: it was closed during the handshake")
    return socket

"""One WebSocket that is kept up: dialled again with a growing, jittered delay, and replaced before the venue ends it."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from hftlab.errors import VenueDown
from hftlab.venues.live.backoff import Dials

DELAY_S_MIN, DELAY_S_MAX = 0.2, 15.0
LIFE_S = 23 * 3600.0  # Binance ends every connection after 24 hours
GONE_S = 1.0
LINGER_S = 5.0  # how long a replaced connection may still deliver answers


class Connection(WSListener):
    """One dialled socket. `ended` is done when it is gone, with why."""

    def __init__(self, heard: Callable[[bytes], None], failed: Callable[[Exception], None]) -> None:
        self._heard, self._failed = heard, failed
        self._parts: list[bytes] = []
        self._transport: WSTransport | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def shaken(self) -> bool:
        """Say whether the handshake was ever completed."""
        return self._transport is not None

    @property
    def connected(self) -> bool:
        """Say whether the handshake was completed and nothing has ended the connection since."""
        return self._transport is not None and not self.ended.done()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Remember the socket."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand on a whole text message."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._end(f"closed by the venue: {frame.get_close_code()} {frame.get_close_reason() or ''}".strip())
            transport.disconnect()
            return
        if kind not in {WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION}:
            return
        self._parts.append(frame.get_payload_as_bytes())
        if not frame.fin:
            return
        text = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        try:
            self._heard(text)
        except msgspec.DecodeError as error:  # garbage: whatever was in it is asked for once the connection stands again
            self.drop(f"a message that is not what the venue sends: {error}: {text[:60]!r}")
        except Exception as error:  # why: picows would only log it; the link's task raises it where it is supervised
            self.drop(f"a message could not be read: {error!r}")
            self._failed(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Say that it is gone."""
        self._end("the connection was lost")

    def send(self, text: bytes) -> bool:
        """Put a text message on the socket; False when it is known to be gone."""
        if self._transport is None or self.ended.done():
            return False
        self._transport.send(WSMsgType.TEXT, text)
        return True

    def drop(self, why: str) -> None:
        """End it from our side."""
        self._end(why)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def gone(self) -> None:
        """Wait until a dropped socket is closed."""
        if self._transport is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(GONE_S):
                    await self._transport.wait_disconnected()

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)


class Link:
    """Keeps one connection up for as long as `run` runs.

    `where` gives the address (it may ask the venue for it), `heard` takes each message, `up` greets a new connection (signs in; raises
    VenueDown to have it dialled again), `down` is told why a connection fell. While one is replaced for its age, both deliver.
    """

    def __init__(
        self,
        where: Callable[[], Awaitable[str]],
        heard: Callable[[bytes], None],
        up: Callable[[Connection], Awaitable[None]],
        down: Callable[[str], None],
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str = "",
        life_s: float = LIFE_S,
    ) -> None:
        self._where, self._heard, self._up, self._down = where, heard, up, down
        self._ssl, self._proxy, self._life_s = ssl_context, proxy, life_s
        self._jitter = random.Random()
        self.current: Connection | None = None
        self._failure: Exception | None = None
        self._open: set[Connection] = set()
        self.dials = 0

    @property
    def is_up(self) -> bool:
        """Say whether there is a greeted connection."""
        return self.current is not None and not self.current.ended.done()

    def send(self, text: bytes) -> bool:
        """Put a text message on the current connection; False when there is none."""
        return self.current is not None and self.current.send(text)

    async def run(self) -> None:
        """Dial, greet, wait for the end, dial again. Raises only what a defect raised."""
        try:
            while True:
                self.current = await self._dialled()
                why = await self._lived(self.current)
                self.current = None
                self._down(why)
                if self._failure is not None:
                    raise self._failure
        finally:
            self.current = None
            for connection in list(self._open):
                connection.drop("closed by us")
            for connection in list(self._open):
                await connection.gone()

    def _note_failure(self, error: Exception) -> None:
        """Take note of a message that could not be read, on any of our connections, and end the link: its task raises it."""
        self._failure = error
        if self.current is not None:
            self.current.drop(f"a message could not be read: {error!r}")

    async def _lived(self, connection: Connection) -> str:
        """Wait until the connection falls; replace it, without a word to anybody, when it has its age."""
        while True:
            done, _ = await asyncio.wait({connection.ended}, timeout=self._life_s)
            if done:
                return connection.ended.result()
            try:
                fresh = await self._dial()
            except (VenueDown, OSError):
                continue  # the old one still stands; it is tried again after another life
            if connection.ended.done():  # it fell while the younger one was dialled: what the venue said in between reached nobody
                fresh.drop("the one that it was to replace fell first")
                return connection.ended.result()
            old, connection = connection, fresh
            self.current = fresh
            asyncio.get_running_loop().call_later(LINGER_S, old.drop, "replaced by a younger one")

    async def _dialled(self) -> Connection:
        """Dial until it works, with delays that double up to a bound; each is drawn from its upper half."""
        delay_s = DELAY_S_MIN
        while True:
            try:
                return await self._dial()
            except (VenueDown, OSError) as error:
                wait_s = max(delay_s * (0.5 + 0.5 * self._jitter.random()), getattr(error, "retry_after_s", 0.0))
                await asyncio.sleep(wait_s)
                delay_s = min(2 * delay_s, DELAY_S_MAX)

    async def _dial(self) -> Connection:
        self.dials += 1
        connection = Connection(self._heard, self._note_failure)
        url = await self._where()
        try:
            await Dials.shared().turn()
            await self._connect(connection, url)
            if not connection.shaken:  # picows returns as if all were well when the connection is lost in the middle of the handshake
                raise VenueDown(f"no connection to {url.partition('?')[0]}: it was closed during the handshake")
            self._open.add(connection)
            connection.ended.add_done_callback(lambda _: self._open.discard(connection))
            await self._up(connection)
        except BaseException as error:  # why: whatever it was, also a cancel, the socket must not stay open; it is raised again
            connection.drop("not greeted")
            await connection.gone()
            if _is_of_the_network(error):
                raise VenueDown(f"no connection to {url.split('?')[0]}: {error!r}", getattr(error, "retry_after_s", 0.0)) from error
            raise
        return connection

    async def _connect(self, connection: Connection, url: str) -> None:
        connecting = asyncio.ensure_future(
            ws_connect(
                lambda: connection,
                url,
                ssl_context=self._ssl,
                proxy=self._proxy or None,
                enable_auto_ping=True,
                auto_ping_idle_timeout=10,
                auto_ping_reply_timeout=10,
            )
        )
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # picows forgets its socket when it is cancelled in the middle of a handshake: give it a moment to end that.
            await asyncio.wait({connecting}, timeout=GONE_S)
            connecting.cancel()
            raise


def _is_of_the_network(error: BaseException) -> bool:
    """Say whether an error of dialling or greeting is one that passes: sockets, TLS, proxies, handshakes, answers of the venue."""
    return isinstance(error, OSError | VenueDown) or type(error).__module__.startswith(("picows", "python_socks"))


def supervised(work: Coroutine[Any, Any, None], name: str, fell: Callable[[BaseException], None]) -> asyncio.Task[None]:
    """Start a background task; `fell` is told of an exception that ends it. Nothing that runs in the background fails unheard."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            fell(error)

    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(ended)
    return task

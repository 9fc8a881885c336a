"""One line of market streams: a socket that is dialled again when it falls, and replaced by a younger one before it must."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from hftlab.errors import VenueDown
from hftlab.venues.live.backoff import Backoff, Budget
from hftlab.venues.live.model import Endpoint
from hftlab.venues.live.sockets import Socket, dial

LIFE_S = 23 * 3600.0  # Binance ends every connection after 24 hours
OVERLAP_S = 20.0  # how long a younger connection may wait for an exact place to take over
BROKEN_S = 1.0  # the same where the older one is silent
STOOD_S = 30.0  # a connection that stood for so long was no failure: the next delay is the shortest again
STREAMS_MAX = 1024  # of one connection, by the venue
IN_URL, BATCH, PACE = 100, 100, (4, 1.1)  # streams named in the address, in one SUBSCRIBE; SUBSCRIBEs per seconds


class Listener(Protocol):
    """What hears of a line's connections."""

    def heard(self, connection: int, payload: bytes) -> None:
        """Take a frame."""
        ...

    def up(self, line: "Line", connection: int) -> None:
        """Take note of a connection whose streams are subscribed."""
        ...

    def down(self, line: "Line", connection: int, why: str) -> None:
        """Take note of the end of a connection that was up."""
        ...

    def waiting(self, line: "Line", connection: int) -> bool:
        """Say whether any market of the line still holds a younger connection back."""
        ...

    def promote(self, line: "Line", connection: int) -> None:
        """Have a younger connection count everywhere."""
        ...

    def failed(self, error: Exception) -> None:
        """Take an exception that must end the reader."""
        ...


class Line:
    """Keeps the streams of some markets coming. `base` is the address before "/stream"; `members` the markets' places in the reader."""

    def __init__(
        self,
        base: str,
        streams: Sequence[str],
        members: Sequence[int],
        endpoint: Endpoint,
        listener: Listener,
        numbers: Callable[[], int],
        *,
        seed: int,
        life_s: float = LIFE_S,
        overlap_s: float = OVERLAP_S,
        in_url: int = IN_URL,
    ) -> None:
        self.base, self.streams, self.members = base, tuple(streams), tuple(members)
        self._endpoint, self._listener, self._numbers = endpoint, listener, numbers
        self._backoff, self._pace = Backoff(seed), Budget(*PACE)
        self._life_s, self._overlap_s, self._in_url = life_s, overlap_s, in_url
        self._roll, self._wait_s = asyncio.Event(), overlap_s
        self.current: Socket | None = None
        self.sockets: dict[int, Socket] = {}  # by number: the current one, and a younger one
        self.dials = self.refused = self.rollovers = 0
        self.note = ""

    def roll(self, why: str, *, broken: bool = False) -> None:
        """Have the connection replaced by a younger one, without a hole where that can be; one that is `broken` is not waited for."""
        self.note = why
        self._wait_s = min(self._overlap_s, BROKEN_S) if broken else self._overlap_s
        self._roll.set()

    async def run(self) -> None:
        """Dial, follow, replace, dial again, until cancelled."""
        try:
            while True:
                socket: Socket | None = await self._dialled()
                while socket is not None:
                    socket = await self._lived(socket)
        finally:
            for socket in list(self.sockets.values()):
                socket.drop("closed by us")

    async def _dialled(self) -> Socket:
        while True:
            try:
                return await self._dial()
            except VenueDown as error:
                self.refused += 1
                self.note = str(error)
                await asyncio.sleep(self._backoff.delay_s())

    async def _dial(self) -> Socket:
        self.dials += 1
        named = "/".join(self.streams[: self._in_url])
        url = f"{self.base}/stream" + (f"?streams={named}" if named else "")
        number = self._numbers()
        socket = await dial(url, self._endpoint, lambda: Socket(number, self._listener.heard, self._listener.failed))
        self.sockets[number] = socket
        try:
            await socket.subscribe(self.streams[self._in_url :], BATCH, self._pace)
        except BaseException:  # why: whatever it was, cancellation too, the socket must not stay open
            del self.sockets[number]
            socket.drop("not subscribed")
            raise
        self._listener.up(self, number)
        return socket

    async def _lived(self, socket: Socket) -> Socket | None:
        """Wait for the end of a connection, None, or for a younger one that has taken over."""
        self.current = socket
        await self._until_due(socket)
        if not socket.ended.done():
            self._roll.clear()
            fresh = await self._replaced(socket)
            if fresh is not None:
                return fresh
            await asyncio.wait({socket.ended}, timeout=self._backoff.delay_s())
            self._roll.set()  # it is still wanted
        if not socket.ended.done():
            return socket
        self._fell(socket)
        return None

    async def _until_due(self, socket: Socket) -> None:
        """Wait until a connection has ended, or is to be replaced."""
        loop = asyncio.get_running_loop()
        rolling = loop.create_task(self._roll.wait())
        ends: set[asyncio.Future] = {socket.ended, rolling}
        try:
            await asyncio.wait(ends, timeout=socket.opened_s + self._life_s - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            rolling.cancel()

    async def _replaced(self, old: Socket) -> Socket | None:
        """Dial a younger connection, wait until it has taken over everywhere, and end the older one; None when that failed."""
        try:
            fresh = await self._dial()
        except VenueDown as error:
            self.refused += 1
            self.note = str(error)
            return None
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._wait_s
        self._wait_s = self._overlap_s
        while self._listener.waiting(self, fresh.number) and loop.time() < until_s and not (old.ended.done() or fresh.ended.done()):
            await asyncio.wait({old.ended, fresh.ended}, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
        if fresh.ended.done():
            self._fell(fresh)
            return None
        self._listener.promote(self, fresh.number)
        self.rollovers += 1
        old.drop("replaced by a younger one")
        self._fell(old)
        return fresh

    def _fell(self, socket: Socket) -> None:
        self.sockets.pop(socket.number, None)
        if asyncio.get_running_loop().time() - socket.opened_s >= STOOD_S:
            self._backoff.reset()
        if self.current is socket:
            self.current = None
        self._listener.down(self, socket.number, socket.ended.result())

"""A loopback CONNECT proxy: whoever asks for a real venue's host is led to the TLS port, everybody else is refused.

So an unmodified client keeps its real URLs (ccxt chooses its error classes by them) and can still reach nothing but the loopback venue.
"""

import asyncio
from collections.abc import Callable

from hftlab.venues.server.connections import reset

HEAD_WAIT_S = 10.0
CHUNK = 64 * 1024


class Proxy:
    """Serves CONNECT on a socket. `knows(host)` says whether a host is one of ours; `target` is the TLS port of 127.0.0.1."""

    def __init__(self, knows: Callable[[str], bool], target: int) -> None:
        self._knows, self._target = knows, target
        self._tunnels: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._tunnels.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # one side went away or spoke nonsense: the other is told by the end of its connection
        finally:
            self._tasks.discard(task)
            self._tunnels.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_WAIT_S)
        method, target, *_ = [*head.decode("latin-1").split(" ", 2), "", ""]
        if method != "CONNECT":
            await _refuse(writer, "405 Method Not Allowed", "this proxy speaks CONNECT only")
            return
        host = target.rsplit(":", 1)[0].lower()
        if not self._knows(host):
            await _refuse(writer, "403 Forbidden", f"{host} is not a host of this loopback venue")
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._tunnels.add(back)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as group:
                group.create_task(_pipe(reader, back))
                group.create_task(_pipe(there, writer))
        except* OSError:
            reset(writer.transport)  # a reset on one side is a reset on the other
            reset(back.transport)
        finally:
            self._tunnels.discard(back)
            back.close()

    def reset(self) -> None:
        """End every tunnel with a RST."""
        for writer in list(self._tunnels):
            reset(writer.transport)

    async def close(self) -> None:
        """End every tunnel and wait until they are gone: without its sockets each task ends by itself."""
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _refuse(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = text.encode()
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    )
    await writer.drain()

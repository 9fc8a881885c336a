"""The loopback exchange put together: cores, skins, faults and sockets, in a thread of this process.

The only place of the venue that reads a clock: everything else is told what time it is.
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from hftlab.venues.server.certificates import make_authority
from hftlab.venues.server.fate import Nothing
from hftlab.venues.server.skin import Skin
from hftlab.venues.server.transport import LOOPBACK, Transport

T = TypeVar("T")
START_WAIT_S = 30.0


class LoopbackVenue:
    """A venue in a thread of this process; use as a context manager."""

    def __init__(self, skins: Sequence[Skin], *, faults: Nothing | None = None, tls: bool = True, **ports: int) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="hftlab-venue-")
        self._ports = ports
        self._hosts = [host for skin in skins for host in skin.hosts]
        self._with_tls = tls
        self._loop = asyncio.new_event_loop()
        self._cores = list({id(skin.core): skin.core for skin in skins}.values())
        self.ca_file = Path(self._directory.name) / "ca.pem"
        self.transport = Transport(skins, time.time_ns, self._advance, faults)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="loopback venue", daemon=True)
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        """Return the base of the plain port, e.g. http://127.0.0.1:8080."""
        return f"http://{LOOPBACK}:{self.transport.ports['plain']}"

    @property
    def proxy_url(self) -> str:
        """Return what a client is given as its HTTP proxy."""
        return f"http://{LOOPBACK}:{self.transport.ports['proxy']}"

    def start(self) -> Self:
        """Open the ports and let time run."""
        self._thread.start()
        if not self._ready.wait(START_WAIT_S) or self._failure is not None:
            raise RuntimeError("the loopback venue did not start") from self._failure
        return self

    def stop(self) -> None:
        """End it. Raises what made it fail while it ran."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(START_WAIT_S)
        self._directory.cleanup()
        if self._failure is not None:
            raise self._failure

    def call(self, function: Callable[[], T]) -> T:
        """Run a function on the venue's own thread and return what it returns: cores, skins and faults are touched there only."""
        done: Any = asyncio.run_coroutine_threadsafe(_async(function), self._loop)
        result: T = done.result(START_WAIT_S)
        return result

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _advance(self, now_ns: int) -> None:
        for core in self._cores:
            core.advance(now_ns)  # type: ignore[attr-defined]

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        except BaseException as error:  # why: a thread has nobody to raise to; stop() raises it where somebody sees it
            self._failure = error
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self._stopping = asyncio.Event()
        tls = make_authority(self._hosts, Path(self._directory.name))[0] if self._with_tls else None
        await self.transport.open(self._ports, tls)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.transport.tick()), group.create_task(self.transport.pulse())]
                self._ready.set()
                await self._stopping.wait()
                for task in tasks:
                    task.cancel()
        finally:
            await self.transport.close()


async def _async(function: Callable[[], T]) -> T:
    return function()

"""The loopback exchange in a thread of this process: for tests, notebooks, and the process that `launch` starts.

The only place of the venue that reads a clock: everything else is told what time it is.
"""

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from hftlab.errors import EngineError
from hftlab.venues.server.build import Built, VenueClock
from hftlab.venues.server.certificates import make_authority
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.control import Control
from hftlab.venues.server.handle import VenueHandle
from hftlab.venues.server.injector import Injector
from hftlab.venues.server.launch import LaunchedVenue, launch
from hftlab.venues.server.memory import Memory, remember
from hftlab.venues.server.schedule import Schedule, load_faults
from hftlab.venues.server.skin import Skin
from hftlab.venues.server.transport import Pace, Transport

T = TypeVar("T")
WAIT_S = 60.0


class LoopbackVenue(VenueHandle):
    """A venue in a thread of this process: `with LoopbackVenue(VenueConfig(market="still")) as venue: …`.

    Instead of a config its fields: `LoopbackVenue(skins=("binance",), seed=3)`; or skins that are ready, to try one alone.
    `paces` are pings and lifetimes of WebSockets by skin. Leaving it raises what was wrong inside it, if anything was.
    """

    def __init__(self, config: VenueConfig | Sequence[Skin] | None = None, *, paces: dict[str, Pace] | None = None, **changes: Any) -> None:
        self._memory: Memory | None = None
        if config is None or isinstance(config, VenueConfig):
            self.config = config or VenueConfig.from_dict(changes)
            self._built, self._memory = remember(self.config, time.time_ns)
        else:
            self.config = VenueConfig.from_dict(changes)
            self._built = _ready(self.config, config)
        self._passing = not self.config.state  # a directory that nobody asked to keep
        self._directory = Path(self.config.state or tempfile.mkdtemp(prefix="hftlab-venue-"))
        self.ca_file = str(self._directory / "ca.pem")
        cores, built = {skin.core.venue: skin.core for skin in self._built.skins.values()}, self._built
        self.transport = Transport(list(built.skins.values()), built.clock, self._advance, built.injector, paces=paces, acted=self._acted)
        built.injector.attach(self.transport, {name: skin.core for name, skin in built.skins.items()})
        self._cores: list[Any] = list(cores.values())
        self._control = Control(built, self.transport, self._end)
        self._loop: asyncio.AbstractEventLoop
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loopback venue", daemon=True)

    @staticmethod
    def launch(config: VenueConfig | None = None, **changes: Any) -> LaunchedVenue:
        """Return a venue that will run in a process of its own, which can be killed: see `LaunchedVenue`."""
        return launch(config, **changes)

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports by name: plain, tls, proxy, control."""
        return self.transport.ports

    @property
    def cores(self) -> dict[str, Any]:
        """Return the core of each skin. Touch them through `call` only, while the venue runs."""
        return {name: skin.core for name, skin in self._built.skins.items()}

    @property
    def skins(self) -> dict[str, Skin]:
        """Return the skins by name; through `call`, as the cores."""
        return self._built.skins

    def start(self) -> Self:
        """Open the ports and let time run. Raises EngineError when it cannot."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        if not self._ready.wait(WAIT_S) or self._failure is not None:
            raise EngineError(f"the loopback venue did not start: {self._failure}") from self._failure
        return self

    def stop(self) -> None:
        """End it. Raises what made it fail while it ran, or an ExceptionGroup of the defects of its parts."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(WAIT_S)
        if self._memory is not None:
            self._memory.close()
        if self._passing:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._failure is not None:
            raise self._failure
        if self.transport.defects:
            raise ExceptionGroup("the loopback venue was wrong itself", self.transport.defects)

    @property
    def running(self) -> bool:
        """Return whether it has not ended."""
        return self._thread.is_alive()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function on the venue's own thread and return what it returns: cores, skins and faults are touched there only.

        Raises EngineError when the venue has failed.
        """
        if self._failure is not None:
            raise EngineError(f"the loopback venue has failed: {self._failure}") from self._failure
        done: Any = asyncio.run_coroutine_threadsafe(_async(function), self._loop)
        result: T = done.result(WAIT_S)
        return result

    def do(self, name: str, **values: Any) -> Any:
        """Do one thing by its name: the verbs of `control.Control`."""
        return self.call(lambda: self._control.do(name, **values))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _advance(self, now_ns: int) -> None:
        for core in self._cores:
            core.advance(now_ns)

    def _acted(self) -> None:
        """Write down what has happened, before anybody can be told."""
        if self._memory is not None:
            self._memory.keep()

    def _end(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        except BaseException as error:  # why: a thread has nobody to raise to; start() and stop() raise it where somebody sees it
            self._failure = error
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self._stopping = asyncio.Event()
        tls = make_authority(list(self.transport.hosts), Path(self.ca_file), keep=not self._passing) if self.config.tls else None
        await self.transport.open(self.config.ports, tls, self._control.http)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.transport.tick()), group.create_task(self.transport.pulse())]
                self._ready.set()
                await self._stopping.wait()
                for task in tasks:
                    task.cancel()
        finally:
            await self.transport.close()


def _ready(config: VenueConfig, skins: Sequence[Skin]) -> Built:
    """Return the parts round skins that somebody else made."""
    faults, seed = load_faults(list(config.faults))
    clock = VenueClock(time.time_ns)
    schedule = Schedule(faults, seed=config.fault_seed or seed, clock=clock)
    injector = Injector(schedule, [skin.name for skin in skins])
    cores: dict[str, Any] = {skin.name: skin.core for skin in skins}
    return Built(config, clock, schedule, injector, cores, {skin.name: skin for skin in skins})


async def _async(function: Callable[[], T]) -> T:
    return function()

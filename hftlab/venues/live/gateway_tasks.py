"""Background tasks under supervision: one that fails ends the session loudly."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """`say(level, text)` and `alarm(reason)` are told of the first failure and of every other; `failure` raises the first."""

    def __init__(self, whose: str, say: Callable[[str, str], None], alarm: Callable[[str], None]) -> None:
        self._whose, self._say, self._alarm = whose, say, alarm
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()
        self._failed = asyncio.Event()
        self._error: BaseException | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start a task."""
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Take an error that ends the session, of a task or of what a task stands on."""
        text = f"{self._whose} has failed: {type(error).__name__}: {error}"
        self._say("error", text)
        self._alarm(text)
        self._error = self._error or error
        self._failed.set()

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self._error is not None:
            raise self._error

    async def failure(self) -> None:
        """Wait for the first failure and raise it."""
        await self._failed.wait()
        self.check()

    async def stop(self) -> None:
        """Cancel all and wait until they have ended."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

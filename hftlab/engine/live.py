"""The driver of a session on a real venue's streams: one asyncio loop, in which a frame becomes rows, a decision, and requests at once.

A frame is journaled and run inside the callback of its socket, and what it leads to is on the wire before the callback returns. So
nothing queues between the market and us; what must wait (an answer that comes while rows are being run) waits in `_waiting`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.engine.clock import wall_now_ns
from hftlab.engine.figures import Figures
from hftlab.engine.inbox import Command
from hftlab.engine.lines import Line, lines_of
from hftlab.engine.session import IDLE_S, Clock, Driver
from hftlab.engine.spec import RunSpec
from hftlab.errors import EngineDied
from hftlab.types import ACCEPTED, AMENDED, EVENT, FILL, GAP, HALTED, LAST, LINK, PAYMENT, STOPPED
from hftlab.venues.base import Source
from hftlab.venues.live.spec import LiveVenue

CLOSE_S = 10.0


class LiveDriver(Driver):
    """Runs a spec whose feed is a LiveFeed. In paper and shadow mode the modelled exchange answers, in live mode the venue."""

    def __init__(self, spec: RunSpec, directory: Path, figures: Figures) -> None:
        assert isinstance(spec.venue, LiveVenue)
        self.mode = spec.venue.mode
        self._busy = False
        self._waiting: deque[tuple[np.ndarray, bool]] = deque()
        self._unsent: list[np.ndarray] = []  # requests made before the lines stand
        self._reports: list[np.ndarray] = []
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._halted = False
        self.verified = False  # a halt was confirmed by every venue
        self.aio: asyncio.AbstractEventLoop | None = None
        self._verifying: asyncio.Task[None] | None = None
        self._recent = np.zeros(0, EVENT)
        self._rows_since_turn = 0
        self._lines: list[Line] = []
        self._shadow = shadow_of(spec, directory) if self.mode == "shadow" else None
        super().__init__(spec, directory, figures)
        figures.more = self._more

    # --- start ---
    def replayed(self, rows: np.ndarray, written: np.ndarray) -> None:
        """Remember what the venue has told, and let the shadow's exchanges follow."""
        self._reports.append(rows[np.isin(rows["kind"], (FILL, PAYMENT, AMENDED))])
        if self._shadow is not None:
            self._shadow.step(rows)

    def _open_source(self, tape: Any, before: int, from_feed: int) -> tuple[Source, Clock]:
        return self, Clock(None, speed=1.0)

    def _opening(self, *, restarted: bool) -> np.ndarray:
        """Return what is true at any start: no book is known, and in live mode no line to the venue stands."""
        self._journal_end_ns = int(self.state.desk["now_ns"][0])
        now_ns = max(self._journal_end_ns, wall_now_ns())
        kinds = (GAP, LINK) if self.mode == "live" else (GAP,)
        count = len(self.instruments) if restarted or self.mode == "live" else 0
        rows = [(now_ns, now_ns, 0, 0, 0, 0, 0, kind, 0, LAST, i) for i in range(count) for kind in kinds]
        return np.array(rows, dtype=EVENT)

    # --- the driver is its own source: rows are pushed by the readers, so `advance` never has any ---
    @property
    def instruments(self) -> tuple[Any, ...]:
        """Return what the desk trades."""
        return self.spec.instruments

    def open(self) -> np.ndarray:
        """Return nothing: see `_opening`."""
        return np.zeros(0, EVENT)

    def advance(self, until_ns: int) -> np.ndarray:
        """Return nothing: rows come by `take`."""
        return self.state.out[1:1]

    def done(self) -> bool:
        """A venue never ends."""
        return False

    def submit(self, requests: np.ndarray) -> None:
        """Send requests to the venue of their instrument; in shadow mode keep what would have been sent."""
        if self._shadow is not None:
            self._shadow.keep(requests)
        elif self.mode == "live" and not self._lines:
            self._unsent.append(requests)
        else:
            for line in self._lines:
                line.submit(requests)

    # --- rows ---
    def take(self, rows: np.ndarray) -> None:
        """Journal rows and run them now, or after those in hand. Called on the loop's thread; an error ends the session, not the socket."""
        try:
            self._process(rows, sync=False)
        except BaseException as error:  # why: the caller is a socket library, which would drop it; it is raised again by the loop
            self._failure = self._failure or error
            self._failed.set()

    def _process(self, rows: np.ndarray, *, sync: bool) -> None:
        if self._busy:
            self._waiting.append((rows.copy(), sync))
            return
        self._busy = True
        try:
            self._run_rows(rows, sync=sync)
            while self._waiting:
                waiting, sync = self._waiting.popleft()
                self._run_rows(waiting, sync=sync)
        finally:
            self._busy = False

    def _run_rows(self, rows: np.ndarray, *, sync: bool) -> None:
        super()._process(rows, sync=sync)
        self._rows_since_turn += len(rows)
        self._recent = rows
        if self._shadow is not None:
            self._shadow.step(rows)
        if ACCEPTED <= int(rows["kind"][-1]) <= PAYMENT:
            self._journal.sync_soon()

    # --- the loop ---
    def loop(self) -> None:
        """Run until a stop command is done and the venue has confirmed that nothing of ours rests."""
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            runner.run(self._main())
        self.publish(wall_now_ns())
        self._journal.close()
        self._snapshot.close()
        self._answer_stops()

    async def _main(self) -> None:
        self.aio = asyncio.get_running_loop()
        lines = lines_of(self, self.directory)
        reports = np.concatenate([np.zeros(0, EVENT), *self._reports])
        self._reports.clear()
        since_ns, began_ns = self._journal_end_ns or None, int(self.state.desk["start_ns"][0])
        try:
            for line in lines:
                await self._beside_turns(line.start(self.state.markets, reports, since_ns, began_ns))
            del reports  # of days, perhaps; what the gateways need of it they have
            self._lines = lines
            for requests in self._unsent:
                self.submit(requests)
            self._unsent.clear()
            await self._follow()
        except BaseException:  # why: whatever it was, our orders are withdrawn first; it is raised again
            await self._leave(lines, clean=False)
            raise
        await self._leave(lines, clean=True)

    async def _follow(self) -> None:
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(one, name=name) for line in self._lines for name, one in line.tasks()]
        tasks += [asyncio.create_task(self._turns(), name="turns"), asyncio.create_task(self._failed.wait(), name="failure")]
        turns = tasks[-2]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        for task in done:
            if task is not turns:
                task.result()
                raise EngineDied(f"{task.get_name()} ended by itself; it should go on as long as the session.")
        turns.result()

    async def _turns(self) -> None:
        while not self._ended:
            self.turn()
            await asyncio.sleep(IDLE_S)

    async def _beside_turns(self, work: Coroutine[Any, Any, None]) -> None:
        """Do one step of the start while the door is open: commands are taken meanwhile. A failure ends it; a venue may answer never."""
        task = asyncio.create_task(work)
        try:
            while not task.done():
                self.turn()
                if self._failure is not None:
                    raise self._failure
                await asyncio.wait([task], timeout=IDLE_S * 10)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        task.result()

    def turn(self) -> None:
        """Do one turn: timers, commands, figures; and have a halt verified by the venue."""
        super().turn()
        if self._rows_since_turn:
            self.figures.lag(self._recent)
            self.figures.came(wall_now_ns(), self._rows_since_turn)
            self._rows_since_turn = 0
        self._look_after_halt()

    def _look_after_halt(self) -> None:
        """Have a halt confirmed by the venues; let orders leave again when it is over, or when the position is to be flattened."""
        desk = self.state.desk[0]
        halted = int(desk["state"]) in (HALTED, STOPPED) and int(desk["flattening"]) == 0
        if self._verifying is not None and self._verifying.done():
            self._verifying.result()
            self._verifying = None
        if halted and not self._halted:
            self.verified = False
        elif self._halted and not halted:
            if self._verifying is not None:  # it would cancel the new quotes too, and pass for the verification of the next halt
                self._verifying.cancel()
                self._verifying = None
            for line in self._lines:
                line.reopen()
        self._halted = halted
        if halted and not self.verified and self._verifying is None and self._lines:
            self._verifying = asyncio.create_task(self._verify())

    async def _verify(self) -> None:
        """Ask every venue until nothing of ours rests there, all at once: one that does not answer holds up no other."""
        await asyncio.gather(*(line.halt() for line in self._lines))
        self.verified = True

    def _nothing_rests(self) -> bool:
        return super()._nothing_rests() and self.verified

    def alarm(self, reason: str) -> None:
        """Halt for a reason that the gateway found: only a person's RESUME clears it."""
        self.say("error", reason)
        desk = self.state.desk[0]
        # A halted desk may be flattening, or about to resume: a halt ends the one and overtakes the other.
        if int(desk["state"]) != HALTED or int(desk["flattening"]) or not self.inbox.empty():
            self.inbox.put(Command("halt", 0, {}, f"gateway ({reason})"))

    async def _leave(self, lines: list[Line], *, clean: bool) -> None:
        """Cancel what is ours, whatever the reason for leaving, and close the lines. After a clean stop raises what kept one from closing."""
        failure: Exception | None = None
        if not clean:
            await asyncio.gather(*(self._withdraw(line) for line in lines))
        for line in lines:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await line.close(clean=clean)
            except Exception as error:  # why: leaving goes on to the next venue; what is raised here would hide why we leave
                self.say("error", f"{line.venue}: could not be closed in order: {type(error).__name__}: {error}")
                failure = failure or (None if isinstance(error, TimeoutError) else error)
        if self._shadow is not None:
            self._shadow.close()
        if clean and failure is not None:
            raise failure

    async def _withdraw(self, line: Line) -> None:
        """Cancel what is ours at one venue, for so long as leaving may take."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await line.halt()
        except Exception as error:  # why: leaving goes on; the watchdog and the venue's own switch remain
            self.say("error", f"{line.venue}: could not confirm that nothing rests: {type(error).__name__}: {error}")

    def publish(self, wall_ns: int) -> None:
        """Publish, and keep what a restart needs beside the journal."""
        super().publish(wall_ns)
        for line in self._lines:
            line.save_kept()

    def _more(self) -> dict[str, Any]:
        more: dict[str, Any] = {"streams": [status for line in self._lines for status in line.streams()]}
        if self.mode == "live":
            more["gateways"] = [line.status() for line in self._lines]
            clocks = [one["clock"] for one in more["gateways"] if one.get("clock", {}).get("samples")]
            more["clock_offset_ms"] = max((one["offset_ms"] for one in clocks), key=abs, default=None)
        if self._shadow is not None:
            more["divergence"] = self._shadow.figures()
        return more


def shadow_of(spec: RunSpec, directory: Path) -> Any:
    """Return the Shadow of a run; its parts are loaded only where there is one."""
    from hftlab.engine.shadow import Shadow

    return Shadow(spec, directory)


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a uvloop, where there is one: it halves the cost of a socket. None is asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory

"""The dead man's switch: the venue cancels everything when we have not been heard of for a while."""

import asyncio
from collections.abc import Callable
from typing import Any

from hftlab.errors import VenueDown, VenueRefused
from hftlab.venues.live.gateway_asks import Asks
from hftlab.venues.live.model import Wire


class DeadMan:
    """Arms the venue's switch for `seconds`, again and again, four times as often as it needs.

    A switch that the venue refuses (some give it to large accounts only) is said once and shown; the watchdog process is there too.
    """

    def __init__(self, wire: Wire, asks: Asks, seconds: float, say: Callable[[str, str], None]) -> None:
        self._wire, self._asks, self._seconds, self._say = wire, asks, seconds, say
        self._loop = asyncio.get_running_loop()
        self.armed_s = 0.0  # loop time of the last arming
        self.refused = "the venue has none" if not wire.dead_man else "" if seconds > 0 else "none was asked for"
        self._late = False
        self._disarmed = False
        self._asked = False  # to arm: from then on it may be armed, also where no answer came
        self._one = asyncio.Lock()  # a disarming must not overtake an arming that is on its way

    async def run(self) -> None:
        """Keep it armed until disarmed; returns at once where there is none."""
        while not self.refused and not self._disarmed:
            try:
                async with self._one:
                    if self._disarmed:
                        return
                    self._asked = True
                    await self._asks.once(lambda: self._wire.arm(self._seconds))
            except VenueRefused as error:
                self.refused = str(error)
                self._say("warn", f"{self._wire.venue} refuses the dead man's switch: {error}")
                return
            except VenueDown:
                if self.armed_s and self._loop.time() - self.armed_s > self._seconds / 2 and not self._late:
                    self._late = True
                    self._say("warn", f"the dead man's switch could not be renewed: the venue cancels all within {self._seconds / 2:g} s.")
                await asyncio.sleep(min(1.0, self._seconds / 16))
                continue
            self.armed_s, self._late = self._loop.time(), False
            await asyncio.sleep(self._seconds / 4)

    async def disarm(self) -> None:
        """Disarm: only after it was verified that nothing of ours rests, and that nothing will be sent."""
        self._disarmed = True
        async with self._one:
            if not self._asked or self.refused:
                return
            try:
                await self._asks.now(lambda: self._wire.arm(0))
            except VenueRefused as error:
                self._say("warn", f"{self._wire.venue} refuses to disarm the dead man's switch, and may cancel all once more: {error}")
            self.armed_s = 0.0

    def status(self) -> dict[str, Any]:
        """Return whether it is armed, for how many seconds more, and why not."""
        left_s = self.armed_s + self._seconds - self._loop.time() if self.armed_s else 0.0
        return {"armed": left_s > 0, "left_s": max(left_s, 0.0), "refused": self.refused}

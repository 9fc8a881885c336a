"""How far the venue's clock is from ours: the offset of the quickest of the last round trips, and how it drifts.

A round trip bounds the offset to within half its length (Cristian 1989), so the quickest is the best; all others only say less.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from hftlab.venues.live.gateway_asks import Asks
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.model import Wire

_DRIFT_NS = 60_000_000_000
_SAMPLES = 16
_POINTS = 64


class VenueClock:
    """Samples `server_time_ns`; `offset_ns` is venue minus ours."""

    def __init__(
        self,
        wire: Wire,
        asks: Asks,
        policy: Policy,
        clock_ns: Callable[[], int],
        say: Callable[[str, str], None],
        alarm: Callable[[str], None],
    ) -> None:
        self._wire, self._asks, self._policy, self._clock_ns, self._say, self._alarm = wire, asks, policy, clock_ns, say, alarm
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=_SAMPLES)  # (round trip, our time, offset)
        self._points: deque[tuple[int, int]] = deque(maxlen=_POINTS)  # (our time, best offset) over a longer time
        self._far = False

    @property
    def offset_ns(self) -> int:
        """Return the best estimate of venue minus ours; 0 before the first sample."""
        return min(self._samples)[2] if self._samples else 0

    @property
    def round_trip_ns(self) -> int:
        """Return the shortest of the last round trips; the offset is right to within half of it."""
        return min(self._samples)[0] if self._samples else 0

    @property
    def drift_ppm(self) -> float:
        """Return how fast the offset changes, in millionths; NaN before a minute has passed: the error of a trip would be all of it."""
        if len(self._points) < 2 or self._points[-1][0] - self._points[0][0] < _DRIFT_NS:
            return float("nan")
        (first_ns, first), (last_ns, last) = self._points[0], self._points[-1]
        return (last - first) / (last_ns - first_ns) * 1e6

    async def sample(self) -> None:
        """Measure once."""
        sent_ns, theirs_ns, got_ns = await self._asks.now(self._trip)
        trip_ns, middle_ns = got_ns - sent_ns, (got_ns + sent_ns) // 2
        self._samples.append((trip_ns, middle_ns, theirs_ns - middle_ns))
        best = min(self._samples)
        if not self._points or best[1] > self._points[-1][0]:
            self._points.append((best[1], best[2]))
        limit_ns = self._policy.clock_ms_max * 1e6
        far = abs(self.offset_ns) - self.round_trip_ns / 2 > limit_ns
        if far and not self._far:
            text = f"the clock of {self._wire.venue} is {self.offset_ns / 1e6:+.0f} ms from ours (limit {limit_ns / 1e6:g} ms): set the time of this machine."
            self._say("error", text)
            self._alarm(text)
        self._far = far

    async def _trip(self) -> tuple[int, int, int]:
        sent_ns = self._clock_ns()
        theirs_ns = await self._wire.server_time_ns()
        return sent_ns, theirs_ns, self._clock_ns()

    async def run(self) -> None:
        """Measure now and then; a few times in quick succession at first."""
        while True:
            await self.sample()
            await asyncio.sleep(self._policy.clock_s if len(self._samples) >= 4 else 0.25)

    def status(self) -> dict[str, Any]:
        """Return offset and round trip in milliseconds, drift in millionths."""
        return {
            "offset_ms": self.offset_ns / 1e6,
            "within_ms": self.round_trip_ns / 2e6,
            "drift_ppm": None if self.drift_ppm != self.drift_ppm else self.drift_ppm,
            "samples": len(self._samples),
            "far": self._far,
        }

"""How often a venue is dialled and asked: delays that grow, and budgets that are kept."""

import asyncio
import random
from collections import deque
from typing import Self

DIALS_MAX, DIALS_PER_S = 250, 300.0  # Binance bans an address for more than 300 dials in 5 minutes; user streams dial too
DELAY_S_MIN, DELAY_S_MAX = 0.2, 15.0


class Backoff:
    """Delays that double up to a bound, each drawn from the upper half of its range, so that many clients do not come back at once."""

    def __init__(self, seed: int, low_s: float = DELAY_S_MIN, high_s: float = DELAY_S_MAX) -> None:
        self._random, self._low_s, self._high_s = random.Random(seed), low_s, high_s
        self._next_s = low_s

    def delay_s(self) -> float:
        """Return the next delay, seconds."""
        delay_s, self._next_s = self._next_s, min(2 * self._next_s, self._high_s)
        return delay_s * (0.5 + 0.5 * self._random.random())

    def reset(self) -> None:
        """Begin again with the shortest."""
        self._next_s = self._low_s


class Budget:
    """At most `size` units within any `per_s` seconds. `turn` waits until there is room."""

    def __init__(self, size: float, per_s: float) -> None:
        self._size, self._per_s = size, per_s
        self._spent: deque[tuple[float, float]] = deque()  # (when, how much)
        self._not_before_s = 0.0

    async def turn(self, cost: float = 1.0) -> None:
        """Wait until `cost` more can be spent, and spend it."""
        clock = asyncio.get_running_loop().time
        while (wait_s := self._wait_s(clock(), cost)) > 0:  # noqa: ASYNC110  # it knows how long; others may have spent meanwhile
            await asyncio.sleep(wait_s)
        self._spent.append((clock(), cost))

    def hold(self, seconds: float) -> None:
        """Spend nothing for some seconds: the venue said so."""
        self._not_before_s = max(self._not_before_s, asyncio.get_running_loop().time() + seconds)

    def _wait_s(self, now_s: float, cost: float) -> float:
        while self._spent and self._spent[0][0] <= now_s - self._per_s:
            self._spent.popleft()
        held_s = self._not_before_s - now_s
        if not self._spent or sum(spent for _, spent in self._spent) + cost <= self._size:
            return held_s
        return max(held_s, self._spent[0][0] + self._per_s - now_s)


class Dials(Budget):
    """The budget of dials of this process: one for everybody, since the venue counts by address."""

    _shared: Self | None = None

    @classmethod
    def shared(cls) -> Self:
        """Return the one of this process."""
        if cls._shared is None:
            cls._shared = cls(DIALS_MAX, DIALS_PER_S)
        return cls._shared

    @classmethod
    def forget(cls) -> None:
        """Begin anew: for tests and drills, where many sessions share a process and their venues are not the same."""
        cls._shared = None

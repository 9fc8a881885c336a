"""The venue's request limits, kept from our side: nothing leaves that the venue would count against us.

What was used is counted over a sliding window as long as the venue's own: whatever the venue's windows begin at, none of
them can hold more than ours. A part of every budget is kept for cancels, and a venue that says "later" is not asked before.
"""

from collections import deque
from collections.abc import Callable, Mapping

Budgets = Mapping[str, tuple[float, float]]

_GRAINS = 1000  # parts of a window that are told apart


class _Window:
    """What was used of one budget in its last seconds."""

    __slots__ = ("taken", "used")

    def __init__(self) -> None:
        self.taken: deque[tuple[float, float]] = deque()
        self.used = 0.0

    def forget(self, before_s: float) -> None:
        taken = self.taken
        while taken and taken[0][0] <= before_s:
            self.used -= taken.popleft()[1]
        if not taken:
            self.used = 0.0  # the sum of floats does not come back to zero by itself

    def take(self, cost: float, now_s: float, grain_s: float) -> None:
        """Note what is used; what is used within a grain of time counts from its end, so that a day's window stays small."""
        taken = self.taken
        if taken and taken[-1][0] // grain_s == now_s // grain_s:
            cost_before = taken.pop()[1]
            taken.append((now_s, cost_before + cost))
        else:
            taken.append((now_s, cost))
        self.used += cost

    def wait_s(self, cost: float, size: float, seconds: float, now_s: float) -> float:
        """Return how long until `cost` fits into `size`; an empty window takes anything."""
        left = self.used
        for at_s, spent in self.taken:
            if left + cost <= size:
                break
            left -= spent
            wait = at_s + seconds - now_s
            if left + cost <= size or left <= 0:
                return max(wait, 0.0)
        return 0.0


class Limiter:
    """Says whether a request may leave now. `now_s` is a monotonic clock, `budgets` the wire's, `reserve` the part for cancels."""

    def __init__(self, now_s: Callable[[], float], budgets: Callable[[], Budgets], reserve: float) -> None:
        self._now_s = now_s
        self._budgets = budgets
        self._open = 1.0 - reserve
        self._windows: dict[str, _Window] = {}
        self.stopped_until_s = 0.0  # for everything but cancels
        self.banned_until_s = 0.0  # for everything

    def take(self, costs: Mapping[str, float], *, cancel: bool) -> float:
        """Take `costs` out of the budgets and return 0.0; or take nothing and return how many seconds to wait."""
        now_s = self._now_s()
        wait = (self.banned_until_s if cancel else max(self.stopped_until_s, self.banned_until_s)) - now_s
        if wait > 0:
            return wait
        budgets = self._budgets()
        wait = 0.0
        for name, cost in costs.items():
            if cost <= 0 or name not in budgets:
                continue
            size, seconds = budgets[name]
            window = self._window(name)
            window.forget(now_s - seconds)
            if window.used and window.used + cost > (size if cancel else size * self._open):
                wait = max(wait, window.wait_s(cost, size if cancel else size * self._open, seconds, now_s), 1e-3)
        if wait > 0:
            return wait
        self._take(costs, budgets, now_s)
        return 0.0

    def force(self, costs: Mapping[str, float]) -> None:
        """Count `costs` whether or not they fit: getting out is never refused, and what follows waits longer."""
        self._take(costs, self._budgets(), self._now_s())

    def _window(self, name: str) -> _Window:
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = _Window()
        return window

    def _take(self, costs: Mapping[str, float], budgets: Budgets, now_s: float) -> None:
        for name, cost in costs.items():
            if cost > 0 and name in budgets:
                self._window(name).take(cost, now_s, budgets[name][1] / _GRAINS)

    def stop(self, seconds: float, *, everything: bool = False) -> None:
        """Send nothing but cancels for so long, or nothing at all: the venue said so (429; 418 or a cancel that was refused too)."""
        until_s = self._now_s() + seconds
        self.stopped_until_s = max(self.stopped_until_s, until_s)
        if everything:
            self.banned_until_s = max(self.banned_until_s, until_s)

    def quiet_s(self) -> float:
        """Return how long no question may be asked."""
        return max(self.stopped_until_s, self.banned_until_s) - self._now_s()

    def status(self) -> dict[str, dict[str, float]]:
        """Return used, size and seconds of each budget."""
        now_s, result = self._now_s(), {}
        for name, (size, seconds) in self._budgets().items():
            window = self._windows.get(name)
            if window is not None:
                window.forget(now_s - seconds)
            result[name] = {"used": window.used if window else 0.0, "size": float(size), "seconds": float(seconds)}
        return result

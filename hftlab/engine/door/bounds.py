"""Bounds in number and time: buckets of tokens for a rate, and the answers already given to a key. Both hold a bounded number of entries."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Bucket:
    """Lets `per_s` calls a second through, and `burst` at once. `clock_s` is a stopwatch."""

    def __init__(self, per_s: float, burst: float, clock_s: Callable[[], float]) -> None:
        self._per_s, self._burst, self._clock_s = per_s, burst, clock_s
        self._left, self._at_s = burst, clock_s()

    def take(self) -> float:
        """Take one; return 0.0, or after how many seconds there will be one."""
        now_s = self._clock_s()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self._per_s


class Buckets:
    """One bucket a name, for the last `most` names that were seen."""

    def __init__(self, per_s: float, burst: float, clock_s: Callable[[], float], most: int = 256) -> None:
        self._per_s, self._burst, self._clock_s = per_s, burst, clock_s
        self._buckets: OrderedDict[Any, Bucket] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: Any) -> float:
        """Take one of a name's; return 0.0, or after how many seconds there will be one."""
        if name not in self._buckets:
            self._buckets[name] = Bucket(self._per_s, self._burst, self._clock_s)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return self._buckets[name].take()


class KeyReused(Exception):
    """An idempotency key came with another request than the first time."""


class KeysFull(Exception):
    """Every remembered key belongs to a call that is still under way."""


@dataclass
class _Kept:
    digest: bytes
    work: "asyncio.Future[Any]"
    at_s: float


class Keys:
    """What was answered to which idempotency key: the same key and the same request get the same answer, and nothing is done twice.

    Holds the last `most` keys for `life_s` seconds, in memory: an engine that was started anew has other tokens, so no old call
    can come again by itself.
    """

    def __init__(self, clock_s: Callable[[], float], most: int = 1024, life_s: float = 24 * 3600.0) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._clock_s, self._most, self._life_s = clock_s, most, life_s

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: str, request: bytes) -> "asyncio.Future[Any] | None":
        """Return the work begun for a key, done or not; None for a new key. Raises KeyReused for another request."""
        while self._kept and next(iter(self._kept.values())).at_s < self._clock_s() - self._life_s:
            self._kept.popitem(last=False)
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.digest != hashlib.sha256(request).digest():
            raise KeyReused
        return kept.work

    def keep(self, key: str, request: bytes, work: "asyncio.Future[Any]") -> None:
        """Remember the work of a new key. Raises KeysFull when there is no room but that of work under way."""
        if len(self._kept) >= self._most:
            done = next((name for name, one in self._kept.items() if one.work.done()), None)
            if done is None:
                raise KeysFull
            del self._kept[done]
        self._kept[key] = _Kept(hashlib.sha256(request).digest(), work, self._clock_s())

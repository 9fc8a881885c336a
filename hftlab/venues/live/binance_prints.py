"""The prints of one instrument: each once, by its number; the missing ones known, and handed out late where they can be had."""

import asyncio
from collections.abc import Callable

import numpy as np

from hftlab.types import BACKFILL
from hftlab.venues.live.binance_slow import Past, SlowReader


class Prints:
    """Numbers of prints count up by one, so a hole shows at once."""

    def __init__(self, market: int, name: str, slow: SlowReader) -> None:
        self._market, self._name, self._slow = market, name, slow
        self._last, self._last_ns = -1, 0
        self._ranges: list[tuple[int, int]] = []
        self.wanted = asyncio.Event()  # prints are missing, and may still be fetched
        self.missed = self.late = self.repeated = 0

    def new(self, number: int, exch_ns: int) -> bool:
        """Take the next print of the stream; False for one seen before."""
        last = self._last
        if number <= last:
            self.repeated += 1
            if exch_ns <= self._last_ns:
                return False
            last = -1  # newer than the newest by its time: the venue counts from a new beginning
        self._last, self._last_ns = number, exch_ns
        if last >= 0 and number != last + 1:
            self._miss(last + 1, number - 1)
        return True

    def behind(self, newest: int) -> bool:
        """Say whether there are prints up to `newest` that the stream did not bring, and take note of them."""
        if self._last < 0 or newest <= self._last:
            return False
        self._miss(self._last + 1, newest)
        self._last = newest
        return True

    def past(self, body: bytes) -> list[Past]:
        """Return prints as REST told them, by number. Raises msgspec.DecodeError."""
        return self._slow.past(body)

    def found(self, prints: list[Past], recv_ns: int) -> np.ndarray:
        """Return TRADE rows, marked BACKFILL, of the missed ones among past prints; none when they do not reach far enough yet.

        What is older than all of them stays missing. Raises InputError.
        """
        if not prints or not self._ranges or prints[-1].id < max(last for _, last in self._ranges):
            return self._slow.past_rows(self._market, [], recv_ns, BACKFILL)
        wanted = [one for one in prints if any(first <= one.id <= last for first, last in self._ranges)]
        rows = self._slow.past_rows(self._market, wanted, recv_ns, BACKFILL)
        self.late += len(wanted)
        oldest = prints[0].id
        self._ranges = [(first, min(last, oldest - 1)) for first, last in self._ranges if first < oldest]
        self.wanted.clear()
        return rows

    def give_up(self, say: Callable[[str, str], None]) -> None:
        """Say which prints stay missing, and forget them."""
        lost = sum(last - first + 1 for first, last in self._ranges)
        if lost:
            say("warn", f"{self._name}: {lost:,} prints were missed, the first {self._ranges[0][0]}, and could not be fetched.")
        self._ranges.clear()
        self.wanted.clear()

    def _miss(self, first: int, last: int) -> None:
        self.missed += last - first + 1
        self._ranges.append((first, last))
        self.wanted.set()

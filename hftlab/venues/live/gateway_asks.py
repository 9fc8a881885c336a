"""Questions to a venue: few at a time, none while it asks for quiet, and again when it gives no answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hftlab.errors import VenueDown
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.limiter import Limiter

T = TypeVar("T")


class Asks:
    """`now` asks until there is an answer. Only VenueDown is tried again; any other error is the caller's, loudly."""

    def __init__(self, limiter: Limiter, policy: Policy, say: Callable[[str, str], None]) -> None:
        self._limiter, self._policy, self._say = limiter, policy, say
        self._room = asyncio.Semaphore(policy.queries_max)
        self.down = ""  # why the last question had no answer; "" when it had one

    async def now(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a question, however long that takes. Raises what the wire raises, but never VenueDown."""
        delay_s = self._policy.retry_min_s
        while True:
            try:
                return await self.once(question)
            except VenueDown as error:
                await asyncio.sleep(max(delay_s, error.retry_after_s))
                delay_s = min(2 * delay_s, self._policy.retry_max_s)

    async def once(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask once. Raises VenueDown when there is no answer."""
        async with self._room:
            while (wait_s := self._limiter.quiet_s()) > 0:  # noqa: ASYNC110  # a time is waited for, which may be put off meanwhile
                await asyncio.sleep(wait_s)
            try:
                answer = await question()
            except VenueDown as error:
                if error.retry_after_s > 0:
                    self._limiter.stop(error.retry_after_s)
                if not self.down:
                    self._say("warn", f"the venue does not answer: {error}")
                self.down = str(error) or "no answer"
                raise
        if self.down:
            self._say("info", "the venue answers again")
            self.down = ""
        return answer

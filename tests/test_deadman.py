"""The dead man's switch: when the venue is asked to have it, and when it is left alone."""

import asyncio
from types import SimpleNamespace

import pytest

from hftlab.venues.live.deadman import DeadMan


class Asks:
    """Asks at once."""

    async def once(self, question):
        return await question()


@pytest.mark.parametrize(
    ("has_one", "seconds", "refused"), [(True, 0.0, "none was asked for"), (False, 60.0, "the venue has none"), (True, 60.0, "")]
)
def test_it_is_armed_only_where_there_is_one_and_it_was_asked_for(has_one, seconds, refused):
    armed = []

    async def arm(seconds):
        armed.append(seconds)

    async def story():
        switch = DeadMan(SimpleNamespace(venue="v", dead_man=has_one, arm=arm), Asks(), seconds, lambda *_: None)
        running = asyncio.create_task(switch.run())
        await asyncio.wait([running], timeout=0.05)
        status = switch.status()
        running.cancel()
        return status

    status = asyncio.run(story())
    assert status["refused"] == refused
    # Once: the next time is due after a quarter of its seconds.
    assert armed == ([] if refused else [seconds])
    assert status["armed"] is (not refused)

"""The dead man's switch: when the venue is asked to have it, and when it is left alone."""

import asyncio
from types import SimpleNamespace

import pytest

from hftlab.errors import VenueDown, VenueRefused
from hftlab.venues.live.deadman import DeadMan


class Asks:
    """Asks at once."""

    async def once(self, question):
        return await question()

    now = once


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


def disarmed(arm):
    """Run a switch whose arming is `arm(armed, seconds)` and disarm it; return what reached the venue, in order, and what was said."""
    reached, said = [], []

    async def story():
        switch = DeadMan(SimpleNamespace(venue="v", dead_man=True, arm=lambda s: arm(reached, s)), Asks(), 60.0, lambda *w: said.append(w))
        running = asyncio.create_task(switch.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await switch.disarm()
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not switch.status()["armed"]

    asyncio.run(story())
    return reached, said


def test_a_switch_that_was_armed_without_an_answer_is_disarmed():
    async def arm(reached, seconds):
        reached.append(seconds)
        if seconds:
            raise VenueDown("timed out")

    assert disarmed(arm)[0] == [60.0, 0]


def test_a_disarming_does_not_overtake_an_arming_on_its_way():
    async def arm(reached, seconds):
        await asyncio.sleep(0.02 if seconds else 0)
        reached.append(seconds)

    assert disarmed(arm)[0] == [60.0, 0]


def test_a_disarming_that_is_refused_is_said():
    async def arm(reached, seconds):
        reached.append(seconds)
        if not seconds:
            raise VenueRefused("not enough volume traded")

    reached, said = disarmed(arm)
    assert reached == [60.0, 0]
    assert [level for level, _ in said] == ["warn"]

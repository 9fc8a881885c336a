"""Getting out: after a halt nothing of ours rests, whatever the venue does meanwhile; others' orders are not touched."""

import asyncio
from types import SimpleNamespace

import pytest
from fake_wire import FakeWire, Faults, run, until
from gateway_desk import BTC, TAG, client_id, desk

from hftlab.errors import VenueDown, VenueRefused
from hftlab.types import ASK, BID, CANCEL, SUBMIT
from hftlab.venues.live.gateway_halt import clear, sweep
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.model import Broken, OrderState


def test_a_halt_cancels_what_is_ours_and_nothing_else():
    async def story():
        d = await desk()
        theirs = d.wire.place("somebody-else", 0, BID, 900, 5)
        another_run = d.wire.place(Ids(d.wire.venue, "zzzzzz").client_id(128), 0, BID, 901, 5)
        for number in range(1, 6):
            d.send(SUBMIT, number, price=1000 - number)
        await until(lambda: d.kinds == ["ACCEPTED"] * 5)
        cleared = await d.gateway.halt()
        assert d.wire.resting() == [theirs, another_run]
        assert cleared.looks >= 2
        await until(lambda: d.kinds.count("CANCELED") == 5)
        d.send(SUBMIT, 6)
        await asyncio.sleep(0.1)
        assert d.kinds[-1] == "REJECTED"  # nothing new leaves
        d.gateway.reopen()
        d.send(SUBMIT, 7)
        await until(lambda: d.kinds[-1] == "ACCEPTED")

    run(story)


def test_with_the_scope_of_the_account_a_halt_cancels_everybodys_orders():
    async def story():
        d = await desk(policy=Policy(scope="account"))
        d.wire.place("somebody-else", 0, BID, 900, 5)
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["ACCEPTED"])
        cleared = await d.gateway.halt()
        assert d.wire.resting() == []
        assert cleared.looks >= 2

    run(story)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(lost_before=0.5, timeout_s=0.5),
        Faults(lost_after=0.5, timeout_s=0.5),
        Faults(not_sent=0.5),
        Faults(limited=0.3),
        Faults(silent=0.5),
        Faults(down=0.5, late=0.3, visible_s=2.0),
    ],
    ids=["lost before", "lost after", "not sent", "limited", "silent", "all late"],
)
def test_a_halt_works_with_the_stream_down_the_budget_used_up_and_requests_lost(faults):
    async def story():
        d = await desk(faults=faults, seed=4)
        for number in range(1, 9):
            d.send(SUBMIT, number, price=1000 - number)
        await asyncio.sleep(0.003)
        d.wire.down()
        d.wire.sizes = {"orders_10s": (8.0, 10.0)}  # all used by the orders
        await d.gateway.halt()
        assert d.wire.resting() == []
        await asyncio.sleep(10)  # and nothing lands afterwards
        assert d.wire.resting() == []
        assert d.gateway.status()["working"] == 0
        assert d.wire.counts["duplicates sent"] == 0

    run(story)


def test_a_halt_outlasts_a_venue_that_does_not_answer_and_says_so():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.outage = True
        halting = asyncio.create_task(d.gateway.halt())
        await asyncio.sleep(30)
        assert not halting.done()
        assert any("orders may rest" in text for text in d.errors())
        d.wire.outage = False
        await halting
        assert d.wire.resting() == []

    run(story)


def test_an_error_that_is_no_outage_is_raised_from_a_halt():
    async def story():
        d = await desk()

        async def refuse():
            raise VenueRefused("keys refused")

        d.wire.open_orders = refuse
        with pytest.raises(VenueRefused, match="keys refused"):
            await d.gateway.halt()

    run(story)


def test_an_order_that_lands_after_the_halt_began_is_cancelled_too():
    async def story():
        d = await desk(faults=Faults(late=1.0, timeout_s=0.5, late_s=2.0))
        d.send(SUBMIT, 1)
        halting = asyncio.create_task(d.gateway.halt())
        await until(lambda: client_id(1) in d.wire.orders)
        d.wire.faults = Faults()
        await halting
        assert d.wire.resting() == []

    run(story)


def test_the_sweep_of_another_process_cancels_a_dead_engines_orders_and_what_still_lands():
    async def story():
        wire = FakeWire((BTC,))
        ids = Ids(wire.venue, TAG)
        theirs = wire.place("somebody-else", 0, ASK, 2000, 5)
        for number in range(1, 4):
            wire.place(ids.client_id(number), 0, BID, 1000, 5)
        asyncio.get_running_loop().call_later(3.0, wire.place, ids.client_id(9), 0, BID, 1000, 5)
        cleared = await sweep(wire, TAG)
        assert wire.resting() == [theirs]
        assert sorted(cleared.found) == sorted(ids.client_id(number) for number in (1, 2, 3, 9))
        assert {r.kind for r in wire.requests} == {CANCEL}
        assert not wire.stream  # it has disconnected

    run(story)


def test_a_sweep_whose_wire_breaks_ends_so_that_another_wire_can_try():
    async def story():
        wire = FakeWire((BTC,), faults=Faults(not_sent=1.0))
        wire.place(Ids(wire.venue, TAG).client_id(1), 0, BID, 1000, 5)
        asyncio.get_running_loop().call_later(2.0, lambda: wire.on_event(Broken(KeyError("interval"))))
        with pytest.raises(VenueDown, match="no cancel may leave: KeyError: 'interval'"):
            await asyncio.wait_for(sweep(wire, TAG), 60)
        assert not wire.stream  # it has disconnected

    run(story)


def test_in_the_scope_of_an_account_orders_without_a_client_id_are_cancelled_each_at_once():
    async def story():
        resting = [OrderState("", venue_id, 0, BID, 1000, 5, 0, "open", 1) for venue_id in ("v1", "v2", "v3")]
        looks = []

        async def open_orders():
            looks.append(len(resting))
            return list(resting)

        async def cancel_all(instrument):
            pass  # some venues have none, or it does not reach all

        wire = SimpleNamespace(venue="v", open_orders=open_orders, cancel_all=cancel_all)
        quiet = {"say": lambda *_: None, "settle_s": 0.25, "policy": Policy()}
        cleared = await clear(wire, lambda _: False, resting.remove, account=[0], **quiet)
        assert looks[:2] == [3, 0]
        assert cleared.found == ["v1", "v2", "v3"]

    run(story)


def test_a_sweep_waits_for_a_venue_that_does_not_answer():
    async def story():
        wire = FakeWire((BTC,), faults=Faults(down=0.7), seed=2)
        wire.place(Ids(wire.venue, TAG).client_id(1), 0, BID, 1000, 5)
        said = []
        await sweep(wire, TAG, lambda level, text: said.append(level))
        assert wire.resting() == []
        assert "error" in said

    run(story)


def test_the_dead_mans_switch_is_kept_armed_and_disarmed_only_after_a_verified_stop():
    async def story():
        d = await desk(policy=Policy(dead_man_s=40.0))
        running = asyncio.create_task(d.gateway.run())
        await until(lambda: d.wire.armed_s == 40.0)
        armed = d.wire.counts["arms"]
        await asyncio.sleep(45)
        assert d.wire.counts["arms"] - armed == 4  # every quarter of its time
        assert d.gateway.status()["dead_man"]["armed"]
        d.send(SUBMIT, 1)
        await asyncio.sleep(1)
        resting_when_disarmed = []
        arm = d.wire.arm

        async def watch(seconds):
            if seconds == 0:
                resting_when_disarmed.append(len(d.wire.resting()))
            await arm(seconds)

        d.wire.arm = watch
        await d.gateway.stop()
        assert resting_when_disarmed == [0]
        assert d.wire.armed_s == 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(story)


def test_a_switch_that_the_venue_refuses_is_said_once_and_the_session_goes_on():
    async def story():
        d = await desk()

        async def refuse(seconds):
            raise VenueRefused("not enough volume traded")

        d.wire.arm = refuse
        running = asyncio.create_task(d.gateway.run())
        await asyncio.sleep(200)
        assert [text for level, text in d.said if level == "warn" and "dead man" in text] == [
            "binanceusdm refuses the dead man's switch: not enough volume traded"
        ]
        assert d.gateway.status()["dead_man"]["refused"] == "not enough volume traded"
        assert d.alarms == []
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(story)


def test_a_switch_that_cannot_be_renewed_is_said():
    async def story():
        d = await desk(policy=Policy(dead_man_s=40.0))
        running = asyncio.create_task(d.gateway.run())
        await until(lambda: d.wire.armed_s == 40.0)
        d.wire.outage = True
        await asyncio.sleep(40)
        assert any("could not be renewed" in text for _, text in d.said)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(story)

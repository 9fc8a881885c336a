"""Orders of unknown fate: never sent again, never guessed."""

import asyncio

from fake_wire import Faults, run, until
from gateway_desk import client_id, desk, order_id

from hftlab.types import AMEND, BID, CANCEL, CANCELED, FILL, SUBMIT
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.model import Answer, Outcome, Reject


def test_a_lost_acknowledgement_of_an_order_that_rests_is_found_out_by_asking():
    async def story():
        d = await desk(faults=Faults(lost_after=1.0, dropped=1.0))
        d.send(SUBMIT, 1)
        await until(lambda: len(d.kinds) == 2)
        assert d.kinds == ["UNKNOWN", "ACCEPTED"]
        assert len(d.wire.requests) == 1
        assert d.gateway.status()["unknown"] == 0
        assert d.gateway.status()["counts"]["resolved"] == 1

    run(story)


def test_an_order_that_never_arrived_is_rejected_only_when_the_venue_has_said_so_for_long_enough():
    async def story():
        d = await desk(faults=Faults(lost_before=1.0))
        began_s = asyncio.get_running_loop().time()
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["UNKNOWN"])
        await until(lambda: len(d.kinds) == 2)
        assert d.kinds == ["UNKNOWN", "REJECTED"]
        assert asyncio.get_running_loop().time() - began_s >= d.gateway.policy.gone_s
        assert d.wire.counts["queries"] >= d.gateway.policy.gone_looks
        assert d.wire.counts["fills"] >= 1  # the executions were asked, too
        assert len(d.wire.requests) == 1

    run(story)


def test_an_order_that_becomes_visible_late_is_not_taken_for_one_that_never_was():
    # A venue that shows what it has done only after up to four seconds answers "no such order" at first.
    async def story():
        d = await desk(faults=Faults(lost_after=1.0, dropped=1.0, visible_s=4.0), seed=3)
        for number in range(1, 6):
            d.send(SUBMIT, number, price=1000 - number)
        await until(lambda: not any(order.doubtful for order in d.gateway.book.working.values()) and len(d.kinds) >= 10)
        assert sorted(d.kinds) == ["ACCEPTED"] * 5 + ["UNKNOWN"] * 5

    run(story)


def test_an_order_that_arrives_after_its_time_out_is_accepted_then():
    async def story():
        d = await desk(faults=Faults(late=1.0, dropped=1.0))
        d.send(SUBMIT, 1)
        await until(lambda: len(d.kinds) == 2)
        assert d.kinds == ["UNKNOWN", "ACCEPTED"]

    run(story)


def test_a_fill_proves_that_an_order_of_unknown_fate_rests():
    async def story():
        d = await desk(faults=Faults(lost_after=1.0, timeout_s=0.5, down=1.0))
        d.wire.faults.dropped = 1.0
        d.send(SUBMIT, 1, lots=10)
        await until(lambda: d.kinds == ["UNKNOWN"])
        d.wire.faults.dropped = 0.0
        d.wire.fill(client_id(1), 4)
        await until(lambda: "FILL" in d.kinds)
        assert d.kinds == ["UNKNOWN", "ACCEPTED", "FILL"]
        assert d.gateway.status()["unknown"] == 0

    run(story)


def test_silence_without_any_answer_is_a_fate_unknown_too():
    async def story():
        d = await desk(faults=Faults(silent=1.0, dropped=1.0))
        running = asyncio.create_task(d.gateway.run())
        await asyncio.sleep(1)  # the look that follows the stream's coming up
        d.send(SUBMIT, 1)
        await asyncio.sleep(d.gateway.policy.answer_s - 0.5)
        assert d.kinds == []
        await until(lambda: len(d.kinds) == 2)
        assert d.kinds == ["UNKNOWN", "ACCEPTED"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(story)


def test_our_own_id_in_use_means_that_the_order_was_accepted():
    async def story():
        d = await desk()
        d.wire.place(client_id(1), 0, BID, 1000, 10)
        d.wire.stream = False
        d.send(SUBMIT, 1)
        await until(lambda: len(d.kinds) == 2)
        assert d.kinds == ["UNKNOWN", "ACCEPTED"]

    run(story)


def test_no_such_order_is_not_taken_for_cancelled():
    # The order was filled before the cancel came, and the stream is down: only the venue's executions say so.
    async def story():
        d = await desk()
        d.send(SUBMIT, 1, lots=10)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.stream = False
        d.wire.fill(client_id(1), 10)
        d.send(CANCEL, 1)
        await until(lambda: d.gateway.status()["working"] == 0)
        assert d.kinds == ["ACCEPTED", "CANCEL_REJECTED", "FILL"]
        assert d.rows[d.rows["kind"] == FILL]["leaves_lots"].tolist() == [0]

    run(story)


def test_an_unanswered_cancel_of_an_order_that_still_rests_is_sent_again_and_the_engines_repeats_are_joined():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.faults = Faults(lost_before=1.0, timeout_s=0.5)
        d.send(CANCEL, 1)
        await until(lambda: d.kinds == ["ACCEPTED", "UNKNOWN"])
        d.wire.faults = Faults()
        for _ in range(3):
            d.send(CANCEL, 1)  # the kernel repeats it for an order of unknown fate
        await until(lambda: d.kinds[-1] == "CANCELED")
        assert d.kinds == ["ACCEPTED", "UNKNOWN", "CANCELED"]
        assert [r.kind for r in d.wire.requests] == [SUBMIT, CANCEL, CANCEL]
        assert d.gateway.status()["counts"]["cancels joined to a query"] == 3

    run(story)


def test_an_amend_without_an_answer_is_told_as_what_the_venue_shows():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1, price=1000, lots=10)
        d.send(SUBMIT, 2, price=990, lots=10)
        await until(lambda: len(d.kinds) == 2)
        d.wire.faults = Faults(lost_after=1.0, dropped=1.0)
        d.send(AMEND, 1, price=1001, lots=10)
        d.wire.faults = Faults(lost_before=1.0, dropped=1.0)
        d.send(AMEND, 2, price=991, lots=10)
        await until(lambda: d.gateway.settled and len(d.kinds) > 4)
        told = [(row["kind"], row["order_id"], row["price_ticks"]) for row in d.rows[2:]]
        happened = [kind for kind, order, _ in told if order == order_id(1)]
        did_not = [kind for kind, order, _ in told if order == order_id(2)]
        assert happened == [37, 34]  # UNKNOWN, AMENDED
        assert did_not == [37, 33, 32]  # UNKNOWN; then the amend is refused, and the order stands as it was
        assert told[-1][2] in {990, 1001}

    run(story)


def test_the_fills_that_an_ended_order_promises_are_fetched():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1, lots=10)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.stream = False
        d.wire.fill(client_id(1), 3)
        d.wire.stream = True
        d.send(CANCEL, 1)
        await until(lambda: d.gateway.status()["working"] == 0)
        assert d.kinds == ["ACCEPTED", "FILL", "CANCELED"]
        canceled = d.rows[d.rows["kind"] == CANCELED][0]
        assert canceled["leaves_lots"] == 7

    run(story)


def test_fills_that_name_no_client_are_ours_once_the_venues_id_is_known():
    async def story():
        d = await desk(fill_names=False)
        d.wire.faults.dropped = 1.0
        d.wire.faults.lost_after = 1.0
        d.send(SUBMIT, 1, lots=10)
        await until(lambda: client_id(1) in d.wire.orders)
        fill = d.wire.fill(client_id(1), 4)
        d.gateway.on_event(type(fill)(**{name: getattr(fill, name) for name in fill.__slots__} | {"client_id": ""}))
        assert d.kinds == []
        await until(lambda: "FILL" in d.kinds)
        assert d.gateway.status()["foreign_fills"] == 0

    run(story)


def test_what_cannot_be_resolved_is_said_once_and_asked_on():
    async def story():
        d = await desk(policy=Policy(worry_s=10.0))
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.faults = Faults(down=1.0)
        d.gateway.on_event(Answer(99, Outcome.DONE))  # of nothing: dropped
        d.wire.cancels_closed = True
        d.send(CANCEL, 1)
        await until(lambda: d.kinds == ["ACCEPTED", "CANCEL_REJECTED"])
        await asyncio.sleep(1)
        d.wire.faults = Faults()  # the venue answers, but cancels stay closed
        await asyncio.sleep(60)
        assert len(d.errors()) == 1
        assert client_id(1) in d.errors()[0]
        assert d.gateway.status()["unresolved"] == 1
        d.wire.cancels_closed = False
        await until(lambda: d.gateway.status()["working"] == 0)
        assert d.gateway.status()["unresolved"] == 0

    run(story)


def test_an_answer_after_its_own_deadline_still_counts():
    async def story():
        d = await desk(faults=Faults(down=1.0, silent=1.0, dropped=1.0))
        running = asyncio.create_task(d.gateway.run())
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["UNKNOWN"])
        d.gateway.on_event(Answer(d.wire.requests[0].number, Outcome.REJECTED, Reject.WOULD_TAKE))
        assert d.kinds == ["UNKNOWN", "REJECTED"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(story)

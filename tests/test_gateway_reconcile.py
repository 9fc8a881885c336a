"""What is learned by looking at the venue as a whole; money that moves outside of the ledger's schedule; supervision."""

import asyncio
from decimal import Decimal
from fractions import Fraction

import pytest
from fake_wire import Faults, now_ns, run, until
from gateway_desk import BTC, client_id, desk, order_id

from hftlab.assumptions import Fees
from hftlab.errors import VenueRefused
from hftlab.instrument import Instrument
from hftlab.types import ASK, BACKFILL, BID, CANCEL, FILL, PAYMENT, SUBMIT
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.model import Answer, Broken, Outcome, Payment, Reject, VenueFill

SPOT = Instrument.bundled("binance:BTC/USDT")


async def ending(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_orders_of_ours_that_the_engine_does_not_have_are_cancelled_and_others_are_left_alone():
    async def story():
        d = await desk()
        theirs = d.wire.place("somebody-else", 0, BID, 900, 5)
        d.wire.place(client_id(77), 0, BID, 950, 5)
        await d.gateway.reconciler.look()
        await until(lambda: d.wire.resting() == [theirs])
        assert d.gateway.status()["counts"]["orphans cancelled"] == 1

    run(story)


def test_a_fill_that_the_stream_lost_is_found_by_looking_and_marked_as_fetched():
    async def story():
        d = await desk()
        running = asyncio.create_task(d.gateway.run())
        d.send(SUBMIT, 1, lots=10)
        await until(lambda: d.kinds == ["ACCEPTED"])
        await asyncio.sleep(1)
        d.wire.faults.dropped = 1.0
        d.wire.fill(client_id(1), 10)
        await asyncio.sleep(d.gateway.policy.reconcile_s + 1)
        fill = d.rows[d.rows["kind"] == FILL]
        assert fill["qty_lots"].tolist() == [10]
        assert fill["flags"][0] & BACKFILL
        assert d.gateway.status()["working"] == 0
        await ending(running)

    run(story)


def test_what_happened_while_the_stream_was_down_is_known_soon_after_it_is_back():
    async def story():
        d = await desk()
        running = asyncio.create_task(d.gateway.run())
        d.send(SUBMIT, 1, lots=10)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.down()
        d.wire.fill(client_id(1), 4)
        await asyncio.sleep(0.1)
        d.wire.up()
        await asyncio.sleep(0.5)
        assert d.kinds == ["ACCEPTED", "FILL"]
        await ending(running)

    run(story)


def test_a_position_that_nothing_explains_is_an_alarm_but_not_before_it_has_stayed():
    async def story():
        d = await desk()
        running = asyncio.create_task(d.gateway.run())
        await asyncio.sleep(5)
        d.wire.position[0] += 7
        d.gateway.reconciler.soon()
        await asyncio.sleep(0.5)
        assert d.alarms == []
        assert d.gateway.status()["divergences"]
        await asyncio.sleep(d.gateway.policy.gone_s + 5)
        assert len(d.alarms) == 1
        assert "0.007 at the venue, 0.000 expected" in d.alarms[0]
        d.wire.position[0] -= 7
        await asyncio.sleep(3)
        assert d.gateway.status()["divergences"] == []
        assert len(d.alarms) == 1
        await ending(running)

    run(story)


def test_a_position_that_nothing_explains_is_an_alarm_on_a_desk_that_is_never_quiet_too():
    async def story():
        d = await desk()
        running = asyncio.create_task(d.gateway.run())

        async def trade(first: int, count: int) -> None:
            for number in range(first, first + count):  # a fill every second: far more often than `gone_s`
                d.send(SUBMIT, number, lots=1)
                await until(lambda: client_id(number) in d.wire.orders)  # noqa: B023  # awaited at once
                d.wire.fill(client_id(number), 1)
                await asyncio.sleep(1)

        await trade(1, 60)
        assert d.alarms == []
        d.wire.position[0] += 7
        d.gateway.reconciler.soon()
        await trade(61, 20)
        assert d.alarms == []
        await trade(81, 120)
        assert len(d.alarms) == 1
        await ending(running)

    run(story)


def test_what_somebody_else_trades_on_the_account_is_no_difference():
    async def story():
        d = await desk()
        running = asyncio.create_task(d.gateway.run())
        await asyncio.sleep(1)
        d.wire.place("a person", 0, ASK, 1000, 5)
        d.wire.fill("a person", 5)
        await asyncio.sleep(60)
        assert d.alarms == []
        assert d.kinds == []
        assert d.wire.position == [-5]
        assert d.gateway.status()["foreign_fills"] == 1
        await ending(running)

    run(story)


def test_a_fee_in_the_base_asset_lowers_what_is_expected_and_costs_no_settlement_money():
    # Spot without a discount asset: 1000 lots bought, 10 bps of them are kept by the venue.
    async def story():
        d = await desk(instrument=SPOT, venue="binance", fee_asset="BTC", fee_bps="0", fees=Fees(maker_bps=10))
        d.send(SUBMIT, 1, lots=1000)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.faults.dropped = 1.0
        fill = d.wire.fill(client_id(1), 1000)
        d.wire.position[0] -= 1
        kept = VenueFill(**{n: getattr(fill, n) for n in fill.__slots__} | {"fee": Decimal("0.00001"), "fee_asset": "BTC"})
        d.gateway.on_event(kept)
        await d.gateway.reconciler.look()
        assert d.gateway.status()["divergences"] == []
        assert d.gateway.status()["fees"] == {"BTC": "0.00001"}
        payment = d.rows[d.rows["kind"] == PAYMENT][0]
        # The ledger will charge 10 bps of 1000 lots x 1000 ticks = 1000 ticklots; the venue took none of that.
        assert (payment["qty_lots"], payment["leaves_lots"]) == (-1000, 0)

    run(story)


def test_funding_is_paid_once_by_its_key():
    async def story():
        d = await desk()
        payment = Payment("funding-8", 0, Decimal("1.23456789"), "USDT", now_ns())
        for _ in range(3):
            d.gateway.on_event(payment)
        d.gateway.on_event(Payment("funding-16", 0, Decimal("-0.5"), "USDT", now_ns()))
        rows = d.rows[d.rows["kind"] == PAYMENT]
        paid = sum(Fraction(int(r["qty_lots"])) + Fraction(int(r["leaves_lots"]), 10**8) for r in rows)
        assert len(rows) == 2
        assert paid * Fraction(BTC.money_unit) == Fraction("0.73456789")

    run(story)


def test_money_too_small_for_a_row_is_carried_on():
    async def story():
        d = await desk()
        for number in range(7):
            d.gateway.on_event(Payment(f"f{number}", 0, Decimal("1e-13") / 7 * 10, "USDT", now_ns()))
        rows = d.rows[d.rows["kind"] == PAYMENT]
        units = sum(int(r["qty_lots"]) * 10**8 + int(r["leaves_lots"]) for r in rows)
        exact = Fraction(Decimal("1e-13") / 7 * 10) * 7 / Fraction(BTC.money_unit) * 10**8
        assert 0 <= exact - units < 1

    run(story)


def test_what_waits_for_budget_leaves_by_urgency_and_what_was_withdrawn_never_leaves():
    async def story():
        d = await desk()
        d.wire.sizes = {"orders_10s": (5.0, 10.0)}
        for number in range(1, 8):
            d.send(SUBMIT, number, price=1000 - number)
        assert [r.client_id for r in d.wire.requests] == [client_id(n) for n in (1, 2, 3, 4)]  # a fifth is kept for cancels
        assert d.gateway.status()["waiting"] == 3
        d.send(CANCEL, 6)
        d.send(CANCEL, 1)
        await asyncio.sleep(0.1)
        assert d.wire.requests[-1].kind == CANCEL
        refused = d.rows[(d.rows["order_id"] == order_id(6))]
        assert [row["kind"] for row in refused] == [33]  # REJECTED: it never left
        await asyncio.sleep(2)
        assert d.kinds.count("REJECTED") == 3  # what has waited too long was decided on an older market
        assert len(d.wire.requests) == 5

    run(story)


def test_a_venue_that_says_later_is_not_sent_orders_before_but_cancels():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.gateway.on_event(Answer(1, Outcome.DONE))
        d.wire.faults = Faults(limited=1.0)
        d.send(SUBMIT, 2)
        await until(lambda: d.kinds[-1] == "REJECTED")
        d.wire.faults = Faults()
        d.send(SUBMIT, 3)
        d.send(CANCEL, 1)
        await asyncio.sleep(0.2)
        assert [r.client_id for r in d.wire.requests] == [client_id(1), client_id(2), client_id(1)]
        await until(lambda: d.wire.requests[-1].client_id == client_id(3))

    run(story)


def test_a_ban_stops_cancels_too_until_it_is_over():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1)
        d.send(SUBMIT, 2)
        await until(lambda: d.kinds == ["ACCEPTED"] * 2)
        d.wire.faults = Faults(silent=1.0)
        d.send(SUBMIT, 3)
        banned = "-1003: Way too many requests; IP banned until 1659146400000."
        d.gateway.on_event(Answer(d.wire.requests[-1].number, Outcome.NOT_SENT, Reject.RATE, banned, retry_after_s=20.0))
        d.wire.faults = Faults()
        d.send(CANCEL, 1)
        await asyncio.sleep(19)
        assert [r.kind for r in d.wire.requests] == [SUBMIT] * 3
        await until(lambda: d.kinds[-1] == "CANCELED")

    run(story)


def test_a_cancel_that_surely_did_not_reach_the_venue_is_sent_again():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1)
        await until(lambda: d.kinds == ["ACCEPTED"])
        d.wire.faults = Faults(not_sent=1.0)
        d.send(CANCEL, 1)
        await asyncio.sleep(0.1)
        d.wire.faults = Faults()
        await until(lambda: d.kinds == ["ACCEPTED", "CANCELED"])

    run(story)


def test_keys_that_are_refused_are_an_alarm():
    async def story():
        d = await desk(faults=Faults(silent=1.0))
        d.send(SUBMIT, 1)
        d.gateway.on_event(Answer(d.wire.requests[0].number, Outcome.REJECTED, Reject.KEYS, "-2015"))
        assert d.kinds == ["REJECTED"]
        assert "refuses the keys" in d.alarms[0]

    run(story)


def test_a_background_task_that_fails_ends_the_session_loudly():
    async def story():
        d = await desk()

        async def fail():
            raise VenueRefused("keys refused")

        running = asyncio.create_task(d.gateway.run())
        await asyncio.sleep(1)
        d.wire.open_orders = fail
        d.gateway.reconciler.soon()
        with pytest.raises(VenueRefused, match="keys refused"):
            await running
        assert any("has failed" in text for text in d.alarms)

    run(story)


def test_a_wire_that_is_broken_ends_the_session_loudly():
    # Cancels may not leave any more, and the dead man's switch would be kept armed for ever.
    async def story():
        d = await desk()
        running = asyncio.create_task(d.gateway.run())
        await asyncio.sleep(1)
        d.gateway.on_event(Broken(KeyError("interval")))
        with pytest.raises(KeyError, match="interval"):
            await asyncio.wait_for(running, 60)
        assert any("has failed" in text for text in d.alarms)
        arms = d.wire.counts["arms"]
        await asyncio.sleep(200)
        assert d.wire.counts["arms"] == arms

    run(story)


def test_the_venues_clock_is_measured_and_a_far_one_is_an_alarm():
    async def story():
        d = await desk(faults=Faults(latency_s=0.02), policy=Policy(clock_ms_max=200.0))
        d.wire.clock_offset_ns = 120_000_000
        running = asyncio.create_task(d.gateway.run())
        await asyncio.sleep(60)
        clock = d.gateway.status()["clock"]
        assert abs(clock["offset_ms"] - 120) <= clock["within_ms"] + 1e-6
        assert d.alarms == []
        d.wire.clock_offset_ns = 900_000_000
        await asyncio.sleep(600)
        assert len(d.alarms) == 1
        assert "set the time of this machine" in d.alarms[0]
        await ending(running)

    run(story)

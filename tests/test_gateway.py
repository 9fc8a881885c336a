"""Worked stories of the gateway's rows, one request or report at a time."""

import asyncio

import numpy as np
import pytest
from fake_wire import Faults, run, until
from gateway_desk import TAG, desk, order_id

from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    ASK,
    BID,
    CANCEL,
    CANCELED,
    FILL,
    LAST,
    MAKER,
    PAYMENT,
    REJECTED,
    SUBMIT,
)


def test_an_order_is_sent_at_once_accepted_filled_and_done():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1, price=1000, lots=10)
        assert [r.client_id for r in d.wire.requests] == [f"h{TAG}-{order_id(1)}"]
        assert d.told == []  # nothing is told from within submit
        await asyncio.sleep(0.1)
        d.wire.fill(f"h{TAG}-{order_id(1)}", 4)
        await asyncio.sleep(0.1)
        d.wire.fill(f"h{TAG}-{order_id(1)}", 6)
        await asyncio.sleep(0.1)
        assert d.kinds == ["ACCEPTED", "FILL", "FILL"]
        accepted = d.rows[0]
        assert (accepted["price_ticks"], accepted["qty_lots"], accepted["leaves_lots"]) == (1000, 10, 10)
        fills = d.rows[d.rows["kind"] == FILL]
        assert fills["qty_lots"].tolist() == [4, 6]
        assert fills["leaves_lots"].tolist() == [6, 0]
        assert fills["seq"].tolist() == [fill.trade_id for _, fill in d.wire.all_fills]
        assert np.all(fills["flags"] & MAKER)
        assert np.all(fills["order_id"] == order_id(1))
        assert [bool(part[-1]["flags"] & LAST) for part in d.told] == [True] * len(d.told)

    run(story)


def test_a_fill_that_comes_before_the_acknowledgement_is_told_first_and_only_once():
    # The venue's stream is faster than its answers: the fill proves that the order rests, so no ACCEPTED is told after it.
    async def story():
        d = await desk(faults=Faults(latency_s=0.01))
        d.send(SUBMIT, 1)
        await asyncio.sleep(0.012)
        client_id = d.wire.requests[0].client_id
        await until(lambda: client_id in d.wire.orders)
        fill = d.wire.fill(client_id, 10)
        d.gateway.on_event(fill)
        d.gateway.on_event(fill)
        await asyncio.sleep(0.1)
        assert d.kinds == ["FILL"]
        assert d.gateway.status()["counts"]["duplicates dropped"] >= 2
        assert d.gateway.status()["working"] == 0

    run(story)


def test_a_refused_order_is_told_as_rejected():
    async def story():
        d = await desk()
        d.wire.touch = [(900, 1000)]
        d.send(SUBMIT, 1, price=1000)  # post-only at the ask
        await asyncio.sleep(0.1)
        assert d.kinds == ["REJECTED"]

    run(story)


def test_amend_and_cancel_are_told_with_what_they_left():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1, price=1000, lots=10)
        await asyncio.sleep(0.1)
        d.wire.fill(f"h{TAG}-{order_id(1)}", 3)
        await asyncio.sleep(0.1)
        d.send(AMEND, 1, price=990, lots=13)  # a total: 3 are filled
        await asyncio.sleep(0.1)
        d.send(CANCEL, 1)
        await asyncio.sleep(0.1)
        rows = d.rows[d.rows["kind"] != PAYMENT]
        assert rows["kind"].tolist() == [ACCEPTED, FILL, AMENDED, CANCELED]
        amended, canceled = rows[2], rows[3]
        assert (amended["price_ticks"], amended["qty_lots"], amended["leaves_lots"]) == (990, 13, 10)
        assert canceled["leaves_lots"] == 10

    run(story)


def test_the_end_of_an_order_waits_for_the_fills_that_it_promises():
    async def story():
        d = await desk()
        d.send(SUBMIT, 1, lots=10)
        await asyncio.sleep(0.1)
        client_id = d.wire.requests[0].client_id
        d.wire.stream = False
        fill = d.wire.fill(client_id, 4)
        d.wire.stream = True
        d.send(CANCEL, 1)
        await asyncio.sleep(0.02)
        assert d.kinds == ["ACCEPTED"]  # the cancel's answer says that four were filled
        d.gateway.on_event(fill)
        await asyncio.sleep(0.1)
        assert d.kinds == ["ACCEPTED", "FILL", "CANCELED"]
        assert d.rows[d.rows["kind"] == FILL]["leaves_lots"].tolist() == [6]

    run(story)


@pytest.mark.parametrize("side", [BID, ASK])
def test_the_fee_that_the_ledger_will_not_charge_is_a_payment(side):
    # 10 lots at 1000 ticks are 10,000 ticklots; 2.5 bps of 1 USDT (0.1 x 0.001 x 10,000) are 0.00025 USDT = 2.5 ticklots.
    # The schedule of this desk charges nothing, so the payment is 2 ticklots and 50,000,000 e-8.
    async def story():
        d = await desk()
        d.send(SUBMIT, 1, price=1000, lots=10, side=side, flags=0)
        await asyncio.sleep(0.1)
        d.wire.fill(d.wire.requests[0].client_id, 10)
        await asyncio.sleep(0.1)
        payment = d.rows[d.rows["kind"] == PAYMENT]
        assert payment["qty_lots"].tolist() == [2]
        assert payment["leaves_lots"].tolist() == [50_000_000]

    run(story)


def test_a_refused_amend_leaves_the_order_as_it_was():
    async def story():
        d = await desk(amends="in_place")
        d.send(SUBMIT, 1, price=1000, lots=10)
        await asyncio.sleep(0.1)
        d.wire.faults = Faults(not_sent=1.0)
        d.send(AMEND, 1, price=990, lots=10)
        await asyncio.sleep(0.1)
        rejected = d.rows[-1]
        assert rejected["kind"] == REJECTED
        assert (rejected["price_ticks"], rejected["leaves_lots"]) == (1000, 10)

    run(story)

"""Every wire trades on the loopback exchange: what it tells of orders, fills, positions and refusals is the exchange's truth."""

import asyncio
import time
from decimal import Decimal

import pytest
from wire_rig import PATIENCE_S, SYMBOLS, Rig, is_fill, opened

from hftlab.errors import InputError, VenueRefused
from hftlab.types import AMEND, ASK, CANCEL, FOK, IOC, MARKET_ORDER, POST_ONLY
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import Answer, Broken, Outcome, Payment, Reject, StreamUp
from hftlab.venues.server.serve import LoopbackVenue

WIRES = {
    "spot": {"name": "binance"},
    "spot by proxy": {"name": "binance", "through": "proxy"},
    "spot by ccxt": {"name": "binance", "through_ccxt": True},
    "futures": {"name": "binanceusdm"},
    "futures by proxy": {"name": "binanceusdm", "through": "proxy"},
    "futures by ccxt": {"name": "binanceusdm", "through_ccxt": True},
    "hyperliquid": {"name": "hyperliquid"},
    "hyperliquid by proxy": {"name": "hyperliquid", "through": "proxy"},
}


@pytest.fixture(scope="module")
def venue():
    options = {"price": "100000", "levels": 30, "lots": 10**6}
    limits = {"hyperliquid": {"schedule_traded_quote_min": 0, "weight_per_min": 10**6}}
    with LoopbackVenue(market="still", market_options=options, limits=limits) as running:
        yield running


@pytest.fixture(params=WIRES)
def wire(request):
    return WIRES[request.param]


@pytest.fixture
def play(venue):
    """Return a function that plays a story on an open wire."""

    def played(story, wire):
        async def run():
            async with asyncio.timeout(PATIENCE_S), opened(venue, **wire) as rig:
                await story(rig)

        asyncio.run(run())

    return played


def test_a_maker_order_rests_is_found_and_goes(play, wire):
    async def story(rig):
        assert isinstance(rig.events[0], StreamUp)
        placed = await rig.does()
        client_id = placed.state.client_id
        assert (placed.outcome, placed.state.status, placed.state.qty_lots) == (Outcome.DONE, "open", rig.lots)
        await rig.order_is(client_id, "open")
        asked = await rig.wire.query(0, client_id)
        assert asked is not None
        assert (asked.venue_id, asked.price_ticks, asked.leaves_lots, asked.side) == (placed.state.venue_id, rig.mid - 5, rig.lots, 1)
        assert [state.client_id for state in await rig.wire.open_orders()] == [client_id]
        assert rig.leaves() == {client_id}
        assert (await rig.does(CANCEL, client_id=client_id)).outcome == Outcome.DONE
        await rig.order_is(client_id, "canceled")
        assert await rig.wire.open_orders() == []
        again = await rig.does(CANCEL, client_id=client_id)
        assert (again.outcome, again.reason) == (Outcome.REJECTED, Reject.UNKNOWN_ORDER)

    play(story, wire)


def test_an_order_that_the_venue_does_not_know_is_none(play, wire):
    async def story(rig):
        assert await rig.wire.query(0, rig.new_id()) is None

    play(story, wire)


def test_fills_are_told_once_each_by_stream_and_list_and_make_the_position(play, wire):
    async def story(rig):
        (before,), since_ns = await rig.wire.positions(), await rig.wire.server_time_ns() - 10**9
        known = {fill.trade_id for fill in await rig.wire.fills(0, since_ns)}
        taken = await rig.does(flags=IOC, price_ticks=rig.mid + 3)
        assert (taken.state.status, taken.state.filled_lots) == ("filled", rig.lots)
        sold = await rig.does(flags=MARKET_ORDER, price_ticks=0, side=ASK, qty_lots=rig.lots // 2)
        fills = [await rig.told(lambda e, v=answer.state.venue_id: is_fill(e) and e.venue_id == v) for answer in (taken, sold)]
        assert [(fill.side, fill.qty_lots, fill.price_ticks, fill.maker) for fill in fills] == [
            (1, rig.lots, rig.mid + 1, False),
            (-1, rig.lots // 2, rig.mid, False),
        ]
        assert all(fill.fee > 0 and fill.fee_asset for fill in fills)
        listed = [fill for fill in await rig.wire.fills(0, since_ns) if fill.trade_id not in known]
        assert [(f.trade_id, f.qty_lots, f.price_ticks, f.fee, f.side) for f in listed] == [
            (f.trade_id, f.qty_lots, f.price_ticks, f.fee, f.side) for f in fills
        ]
        (after,) = await rig.wire.positions()
        kept = rig.lots - rig.lots // 2
        if rig.name == "binance":  # the fee of a spot purchase is paid in the base: 10 basis points of 0.01 BTC are one lot here
            kept -= rig.instrument.lots(fills[0].fee, signed=True)
        assert after - before == kept

    play(story, wire)


def test_refusals_have_their_reasons_and_leave_nothing(play, wire):
    async def story(rig):
        post_only = await rig.does(price_ticks=rig.mid + 5)
        assert (post_only.outcome, post_only.reason) == (Outcome.REJECTED, Reject.WOULD_TAKE)
        small = await rig.does(qty_lots=1)
        assert (small.outcome, small.reason) == (Outcome.REJECTED, Reject.MIN_NOTIONAL)
        great = await rig.does(qty_lots=rig.instrument.lots(500), price_ticks=rig.mid - 9)
        assert (great.outcome, great.reason) == (Outcome.REJECTED, Reject.INSUFFICIENT)
        nothing = await rig.does(flags=IOC, price_ticks=rig.mid - 3)
        if rig.name == "hyperliquid":  # an IOC that finds nothing is an error there, elsewhere an order that expires
            assert (nothing.outcome, nothing.reason) == (Outcome.REJECTED, Reject.NO_MATCH)
        else:
            assert (nothing.outcome, nothing.state.status, nothing.state.filled_lots) == (Outcome.DONE, "canceled", 0)
        assert rig.leaves() == set()

    play(story, wire)


@pytest.mark.parametrize("name", ["spot", "spot by ccxt", "futures", "futures by ccxt"])
def test_a_client_order_id_is_good_for_one_order(play, name):
    async def story(rig):
        placed = await rig.does()
        again = await rig.does(client_id=placed.state.client_id)
        assert (again.outcome, again.reason) == (Outcome.REJECTED, Reject.DUPLICATE_ID)
        assert len(rig.leaves()) == 1
        killed = await rig.does(flags=FOK, price_ticks=rig.mid - 3)
        assert killed.state is None or killed.state.status == "canceled"

    play(story, WIRES[name])


def test_amends_as_each_venue_has_them(play, wire):
    async def story(rig):
        placed = await rig.does()
        old, new = placed.state.client_id, rig.new_id()
        to = {"price_ticks": rig.mid - 5 if wire["name"] == "binance" else rig.mid - 7, "qty_lots": rig.lots // 2}
        amended = await rig.does(AMEND, client_id=old, new_client_id=new, venue_id=placed.state.venue_id, **to)
        assert amended.outcome == Outcome.DONE
        now = old if rig.wire.amends == "in_place" else new
        assert (amended.state.client_id, amended.state.price_ticks, amended.state.leaves_lots) == (now, to["price_ticks"], to["qty_lots"])
        assert (amended.state.venue_id == placed.state.venue_id) == (rig.wire.amends == "in_place")
        assert rig.leaves() == {now}
        asked = await rig.wire.query(0, now)
        assert (asked.price_ticks, asked.leaves_lots) == (to["price_ticks"], to["qty_lots"])

    play(story, wire)


@pytest.mark.parametrize("name", ["futures", "futures by ccxt"])
def test_an_amend_goes_by_our_id_alone_and_may_end_the_order(play, name):
    async def story(rig):
        placed = await rig.does()
        client_id = placed.state.client_id
        same = await rig.does(AMEND, client_id=client_id)
        assert (same.outcome, same.reason) == (Outcome.REJECTED, Reject.NO_CHANGE)
        assert rig.leaves() == {client_id}
        crossed = await rig.does(AMEND, client_id=client_id, price_ticks=rig.mid + 5)  # GTX into the other side
        assert (crossed.outcome, crossed.reason) == (Outcome.REJECTED, Reject.ENDED_BY_AMEND)
        await rig.order_is(client_id, "canceled")
        assert rig.leaves() == set()

    play(story, WIRES[name])


def test_a_replacement_whose_new_half_is_refused_ended_the_order(play):
    async def story(rig):
        placed = await rig.does()
        crossed = await rig.does(AMEND, client_id=placed.state.client_id, new_client_id=rig.new_id(), price_ticks=rig.mid + 5)
        assert (crossed.outcome, crossed.reason) == (Outcome.REJECTED, Reject.ENDED_BY_AMEND)
        gone = await rig.does(AMEND, client_id=placed.state.client_id, new_client_id=rig.new_id())
        assert (gone.outcome, gone.reason) == (Outcome.REJECTED, Reject.UNKNOWN_ORDER)
        assert rig.leaves() == set()

    play(story, WIRES["spot by ccxt"])


def test_spot_amends_nothing_but_a_smaller_size(play):
    async def story(rig):
        placed = await rig.does()
        larger = await rig.does(AMEND, client_id=placed.state.client_id, qty_lots=2 * rig.lots)
        assert (larger.outcome, larger.reason) == (Outcome.REJECTED, Reject.NO_AMEND)
        assert rig.leaves() == {placed.state.client_id}

    play(story, WIRES["spot"])


def test_cancel_all_cancels_all_and_minds_not_that_there_is_none(play, wire):
    async def story(rig):
        placed = [await rig.does(price_ticks=rig.mid - n) for n in (5, 6, 7)]
        await rig.wire.cancel_all(0)
        for answer in placed:
            await rig.order_is(answer.state.client_id, "canceled")
        await rig.wire.cancel_all(0)
        assert rig.leaves() == set()

    play(story, wire)


@pytest.mark.parametrize("name", ["futures", "futures by ccxt", "hyperliquid"])
def test_the_dead_mans_switch_cancels_when_it_is_not_held(play, name):
    async def story(rig):
        placed = await rig.does()
        await rig.wire.arm(60)
        await rig.wire.arm(0)
        assert rig.leaves() == {placed.state.client_id}
        await rig.wire.arm(5.2 if rig.name == "hyperliquid" else 0.2)
        await rig.order_is(placed.state.client_id, "canceled")
        assert rig.leaves() == set()

    play(story, WIRES[name])


@pytest.mark.parametrize("name", ["spot", "spot by ccxt"])
def test_spot_has_no_dead_mans_switch_and_says_so(play, name):
    async def story(rig):
        assert not rig.wire.dead_man
        with pytest.raises(InputError, match="no dead man's switch"):
            await rig.wire.arm(10)

    play(story, WIRES[name])


def test_funding_is_told_in_money_of_the_settlement_with_a_name_of_its_own(play, venue):
    async def story(rig):
        await rig.does(flags=IOC, price_ticks=rig.mid + 3)
        (position,) = await rig.wire.positions()
        since = len(rig.events)
        venue.do("fund", skin="binanceusdm", symbol="BTCUSDT", rate="0.0001")
        paid = await rig.told(lambda event: type(event).__name__ == "Payment", since)
        worth = rig.instrument.price(rig.mid) * rig.instrument.qty(position)
        assert paid.asset == "USDT"
        assert paid.amount == pytest.approx(worth * Decimal("0.0001"), rel=Decimal("0.001"))  # the mark is half a tick away
        assert "BTCUSDT" in paid.key

    play(story, WIRES["futures"])


@pytest.mark.parametrize("name", ["futures", "futures by ccxt", "hyperliquid"])
def test_funding_paid_while_nobody_listened_is_told_to_who_asks_from_then_on(venue, name):
    skin = WIRES[name]["name"]

    async def run():
        async with asyncio.timeout(2 * PATIENCE_S):
            async with opened(venue, **WIRES[name]) as rig:
                await rig.does(flags=IOC, price_ticks=rig.mid + 3)
                (position,) = await rig.wire.positions()
            died_ns = time.time_ns()
            venue.do("fund", skin=skin, symbol=SYMBOLS[skin], rate="0.0001")
            async with opened(venue, **WIRES[name], payments_since_ns=died_ns - 1_000_000) as rig:
                paid = await rig.told(lambda event: isinstance(event, Payment) and event.ts_ns >= died_ns - 1_000_000)
                worth = rig.instrument.price(rig.mid) * rig.instrument.qty(position)
                assert paid.amount == pytest.approx(worth * Decimal("0.0001"), rel=Decimal("0.001"))

    asyncio.run(run())


def test_wrong_keys_are_refused_in_words_without_them(venue, wire):
    async def run():
        rig = Rig(venue, **wire)
        signed = {"wallet": "0x" + "1" * 40, "private_key": "0x" + "3" * 64}
        rig.wire = type(rig.wire)(
            rig.wire._endpoint, rig.wire.instruments, Keys.of("wrong-key", "wrong-secret", **signed), rig.wire._clock_ns
        )
        rig.wire.on_event = rig.events.append
        if rig.name == "hyperliquid":  # questions want no key there: the first order is refused
            await rig.wire.open()
            answer = await rig.does()
            assert (answer.outcome, answer.reason) == (Outcome.REJECTED, Reject.KEYS)
            await rig.wire.close()
            return answer.text
        with pytest.raises(VenueRefused) as caught:
            await rig.wire.open()
        assert caught.value.reason == "keys refused"
        return str(caught.value)

    assert "wrong-secret" not in asyncio.run(run())


def test_shadow_bytes_are_those_of_the_order_without_its_signature(venue, wire):
    rig = Rig(venue, **wire)
    text = rig.wire.encode(rig.request(flags=POST_ONLY)).decode()
    assert "signature" not in text
    assert rig.keys.key.get_secret_value() == "" or rig.keys.key.get_secret_value() not in text
    assert rig.instrument.price_text(rig.mid - 5) in text
    assert "post" in text.lower() or "GTX" in text or "LIMIT_MAKER" in text


def test_costs_are_counted_in_budgets_that_the_venue_has(play, wire):
    async def story(rig):
        for kind in (CANCEL, AMEND):
            assert set() < set(rig.wire.costs(rig.request(kind))) <= set(rig.wire.budgets())
        await rig.does()
        if hasattr(rig.wire, "used"):
            assert rig.wire.used["orders_10s"] >= 1
            assert rig.wire.used["weight_1m"] >= 1

    play(story, wire)


@pytest.mark.parametrize("name", ["binance", "binanceusdm"])
def test_what_cannot_leave_costs_nothing(venue, name):
    # A cancel is tried again all through an outage; counted each time, it would find no budget when the venue is back.
    rig = Rig(venue, name)
    assert rig.wire.costs(rig.request(CANCEL)) == {}


def test_a_defect_in_what_hears_the_answers_leaves_a_broken_wire_that_says_so(play, wire):
    async def story(rig):
        def hear(event):
            rig.events.append(event)
            if isinstance(event, Answer):
                raise KeyError("a defect")

        rig.wire.on_event = hear
        rig.wire.send(rig.request())
        broken = await rig.told(lambda event: isinstance(event, Broken))
        assert isinstance(broken.error, KeyError)

    play(story, wire)

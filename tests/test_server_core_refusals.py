"""Every reason for which the exchange refuses or ends an order, once, by hand; and each venue's amend rule."""

import pytest
from server_core_rig import MS, START, Rig

from hftlab.errors import UnknownName
from hftlab.types import ASK, BID, STP_CANCEL_BOTH, STP_CANCEL_MAKER, STP_CANCEL_TAKER, STP_DECREMENT, STP_NONE
from hftlab.venues.server.model import NewOrder, OrderEvent, Status, Why

PERPS = ("binanceusdm", "hyperliquid")


def why(rig, *args, **named):
    """Return why an order is refused, having made sure that nothing of it happened."""
    before = rig.ex.book(rig.symbol), rig.ex.orders("a", rig.symbol), len(rig.events)
    refused = rig.refused(rig.place, *args, **named)
    assert refused.order is None
    assert (rig.ex.book(rig.symbol), rig.ex.orders("a", rig.symbol), len(rig.events)) == before
    assert rig.ex.log.lines[-1]["what"] == "refused"
    return refused.why


# --- refused at the door -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("price", [0, -5])
def test_a_price_that_is_not_positive(price):
    assert why(Rig.ladder(), BID, 5, price) is Why.BAD_PRICE


def test_a_quantity_out_of_bounds():
    rig = Rig.ladder()
    assert why(rig, BID, 0, 99) is Why.BAD_QTY
    rig.ex.set_filters(rig.symbol, qty_lots_min=5, qty_lots_max=50)
    assert why(rig, BID, 4, 99) is Why.BAD_QTY
    assert why(rig, BID, 51, 99) is Why.BAD_QTY
    assert rig.place(BID, 5, 99).status is Status.NEW


def test_a_value_below_the_minimum():
    rig = Rig.ladder()
    rig.ex.set_filters(rig.symbol, notional_quote_min=rig.instrument.money_quote(500))
    assert why(rig, BID, 5, 99) is Why.MIN_NOTIONAL  # 495 of 500 ticklots
    assert rig.place(BID, 5, 100).status is Status.NEW
    assert why(rig, BID, 4) is Why.MIN_NOTIONAL  # a market order counts at the mark of 100.5: 402
    assert rig.place(BID, 5).status is Status.FILLED


def test_a_price_far_from_the_mark():
    rig = Rig.ladder()
    rig.ex.set_filters(rig.symbol, band_frac=0.1)
    assert why(rig, BID, 5, 90) is Why.PRICE_BAND  # the mark is 100.5
    assert why(rig, ASK, 5, 111) is Why.PRICE_BAND
    assert rig.place(BID, 5, 91).status is Status.NEW


def test_a_post_only_order_that_would_take():
    rig = Rig.ladder()
    assert why(rig, BID, 5, 101, post_only=True) is Why.WOULD_TAKE
    assert rig.place(BID, 5, 100, post_only=True).status is Status.NEW


def test_a_client_id_in_use_until_its_order_ends():
    rig = Rig.ladder()
    first = rig.place(BID, 5, 99, client_id="x")
    assert why(rig, BID, 5, 98, client_id="x") is Why.DUPLICATE_ID
    other = rig.place(BID, 5, 98, account="b", client_id="x")
    rig.cancel(first)
    again = rig.place(BID, 5, 97, client_id="x")
    assert len({first.order_id, other.order_id, again.order_id}) == 3
    assert rig.ex.order("a", rig.symbol, client_id="x") is again
    assert rig.ex.order("a", rig.symbol, order_id=first.order_id) is first
    assert rig.ex.order("b", rig.symbol, order_id=first.order_id) is None


def test_cancel_and_amend_of_what_is_not_open():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 5, 99, client_id="x")
    rig.cancel(order)
    for call in (lambda: rig.cancel(order), lambda: rig.amend(order, 98, 5), lambda: rig.ex.cancel("a", rig.symbol, client_id="x")):
        assert rig.refused(call).why is Why.UNKNOWN_ORDER
    mine = rig.place(BID, 5, 99)
    assert rig.refused(rig.ex.cancel, "b", rig.symbol, order_id=mine.order_id).why is Why.UNKNOWN_ORDER


def test_an_unknown_symbol():
    rig = Rig.ladder()
    assert rig.refused(rig.ex.place, "a", NewOrder("NONE", BID, 5, 99)).why is Why.UNKNOWN_SYMBOL
    assert rig.refused(rig.ex.cancel_all, "a", "NONE").why is Why.UNKNOWN_SYMBOL


def test_balances_too_small_at_a_spot_venue():
    one = Rig.ladder().instrument
    rig = Rig.ladder(money={"BTC": one.qty(10), "USDT": one.money_quote(1000)})
    assert why(rig, ASK, 11, 105) is Why.INSUFFICIENT
    assert why(rig, BID, 11, 100) is Why.INSUFFICIENT  # 1100 of 1000
    assert why(rig, BID, 10) is Why.INSUFFICIENT  # ten at 101 are 1010
    rig.place(BID, 5, 100)
    assert why(rig, BID, 6, 99) is Why.INSUFFICIENT  # 500 are locked
    rig.place(BID, 4)  # 404
    assert rig.ex.free("a", "USDT") == one.money_quote(96)
    rig.check()


def test_a_market_order_must_be_covered_also_where_its_own_orders_get_out_of_its_way():
    one = Rig.ladder().instrument
    rig = Rig.ladder(asks={110: 10}, money={"BTC": 1, "USDT": one.money_quote(1050)})
    rig.place(ASK, 10, 101)
    assert why(rig, BID, 10, stp=STP_CANCEL_MAKER) is Why.INSUFFICIENT  # at 101 it would cost 1010, at 110 it is 1100


@pytest.mark.parametrize("venue", PERPS)
def test_margin_too_small_at_a_venue_of_perpetuals(venue):
    one = Rig.ladder(venue).instrument
    rig = Rig.ladder(venue, bids={100: 10_000}, asks={101: 10_000}, money={one.settle: one.money_quote(1000)})
    rig.ex.perps.set_leverage("a", rig.symbol, 10)
    assert why(rig, BID, 101, 100) is Why.INSUFFICIENT  # 10100 / 10 of 1000
    rig.place(BID, 60, 100)
    assert why(rig, BID, 60, 90) is Why.INSUFFICIENT
    rig.place(ASK, 60, 110)  # the other side: the worse of the two counts, 660 of 1000
    assert rig.ex.free("a", one.settle) == one.money_quote(340)
    assert why(rig, ASK, 60, 110) is Why.INSUFFICIENT


@pytest.mark.parametrize("venue", PERPS)
def test_reduce_only_that_would_not_reduce(venue):
    rig = Rig.ladder(venue)
    assert why(rig, ASK, 5, 105, reduce_only=True) is Why.REDUCE_ONLY
    rig.place(BID, 5)
    assert why(rig, BID, 5, 95, reduce_only=True) is Why.REDUCE_ONLY
    assert rig.place(ASK, 9, 105, reduce_only=True).qty_lots == 5  # cut to the position
    assert why(rig, ASK, 1, 106, reduce_only=True) is Why.REDUCE_ONLY  # all of it is spoken for
    rig.check()


def test_reduce_only_means_nothing_at_a_spot_venue():
    assert why(Rig.ladder(), ASK, 5, 105, reduce_only=True) is Why.REDUCE_ONLY


def test_too_many_open_orders():
    rig = Rig.ladder()
    rig.ex.set_filters(rig.symbol, orders_max=2)
    first = rig.place(BID, 5, 99)
    rig.place(BID, 5, 98)
    assert why(rig, BID, 5, 97) is Why.TOO_MANY
    rig.place(BID, 5, 97, account="b")
    rig.cancel(first)
    assert rig.place(BID, 5, 97).status is Status.NEW


def test_a_halted_symbol_lets_orders_out_but_not_in():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 5, 99)
    rig.ex.set_filters(rig.symbol, trading=False)
    assert why(rig, BID, 5, 99) is Why.CLOSED
    assert rig.refused(rig.amend, order, 98, 5).why is Why.CLOSED
    assert rig.cancel(order).status is Status.CANCELED


def test_filters_have_names():
    rig = Rig.ladder()
    with pytest.raises(UnknownName, match="orders_max"):
        rig.ex.set_filters(rig.symbol, order_max=5)


# --- what cannot trade at once ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("venue", ["binance", "binanceusdm"])
@pytest.mark.parametrize(("price", "tif", "reason"), [(99, "IOC", Why.NO_MATCH), (101, "FOK", Why.CANNOT_FILL)])
def test_at_binance_it_is_an_order_that_expired(venue, price, tif, reason):
    rig = Rig.ladder(venue)
    order = rig.place(BID, 11, price, tif=tif)
    assert (order.status, order.why, order.filled_lots) == (Status.EXPIRED, reason, 0)
    assert rig.told(order) == ["NEW", "EXPIRED"]
    rig.check()


def test_at_hyperliquid_it_is_an_error():
    assert why(Rig.ladder("hyperliquid"), BID, 5, 99, tif="IOC") is Why.NO_MATCH
    assert why(Rig.ladder("hyperliquid", asks={}), BID, 5) is Why.NO_MATCH


def test_the_rest_of_an_immediate_order_expires():
    rig = Rig.ladder()
    order = rig.place(BID, 25, 101, tif="IOC")
    assert (order.status, order.filled_lots, order.why) == (Status.EXPIRED, 10, None)
    assert rig.told(order) == ["NEW", "TRADE", "EXPIRED"]
    rest = rig.place(BID, 100)  # a market order for more than there is: 20 and 30
    assert (rest.status, rest.filled_lots) == (Status.EXPIRED, 50)
    assert rig.place(BID, 5).why is Why.NO_MATCH
    rig.check()


def test_fill_or_kill_fills_when_it_can():
    rig = Rig.ladder()
    assert rig.place(BID, 30, 102, tif="FOK").status is Status.FILLED
    rig.check()


# --- self-trade prevention ---------------------------------------------------------------------------------------------
STORIES = [
    # mode, (status, why, filled, quantity) of the maker of 5, the same of the taker of 8
    (STP_NONE, (Status.FILLED, None, 5, 5), (Status.FILLED, None, 8, 8)),
    (STP_CANCEL_TAKER, (Status.NEW, None, 0, 5), (Status.EXPIRED, Why.SELF_TRADE, 0, 8)),
    (STP_CANCEL_MAKER, (Status.EXPIRED, Why.SELF_TRADE, 0, 5), (Status.FILLED, None, 8, 8)),
    (STP_CANCEL_BOTH, (Status.EXPIRED, Why.SELF_TRADE, 0, 5), (Status.EXPIRED, Why.SELF_TRADE, 0, 8)),
    (STP_DECREMENT, (Status.EXPIRED, Why.SELF_TRADE, 0, 5), (Status.FILLED, None, 3, 3)),
]


@pytest.mark.parametrize("tif", ["GTC", "IOC"])
@pytest.mark.parametrize(("mode", "maker_is", "taker_is"), STORIES)
def test_what_happens_when_a_taker_meets_its_own_order(mode, maker_is, taker_is, tif):
    rig = Rig.ladder(asks={102: 50})
    maker = rig.place(ASK, 5, 101)
    taker = rig.place(BID, 8, 102, stp=mode, tif=tif)
    for order, expected in ((maker, maker_is), (taker, taker_is)):
        assert (order.status, order.why, order.filled_lots, order.qty_lots) == expected
    rig.check()


def test_others_are_traded_with_before_the_own_order_is_met():
    rig = Rig.ladder(asks={101: 5, 102: 5})
    rig.place(ASK, 5, 101)
    taker = rig.place(BID, 20, 102, stp=STP_CANCEL_TAKER, tif="IOC")
    assert (taker.status, taker.why, taker.filled_lots) == (Status.EXPIRED, Why.SELF_TRADE, 5)
    assert rig.place(BID, 20, 102, stp=STP_CANCEL_MAKER, tif="IOC").why is None  # its rest found nothing more


def test_fill_or_kill_does_not_count_its_own_orders():
    rig = Rig.ladder(asks={102: 5})
    rig.place(ASK, 5, 101)
    assert rig.place(BID, 6, 102, tif="FOK", stp=STP_CANCEL_MAKER).why is Why.CANNOT_FILL
    assert rig.place(BID, 5, 102, tif="FOK", stp=STP_CANCEL_MAKER).status is Status.FILLED


# --- amends --------------------------------------------------------------------------------------------------------------
def test_spot_only_lets_a_quantity_fall_and_keeps_the_place():
    rig = Rig.ladder()
    order = rig.place(BID, 10, 100)
    rig.ex.quote(rig.symbol, BID, 100, 7)
    for price, qty in ((100, 11), (99, 8), (99, 10)):
        assert rig.refused(rig.amend, order, price, qty).why is Why.NO_AMEND
    assert rig.refused(rig.amend, order, 100, 10).why is Why.NO_CHANGE
    rig.amend(order, 100, 6)
    assert (order.qty_lots, order.leaves_lots, order.amends) == (6, 6, 1)
    assert rig.ex.queue_ahead(order) == 10  # the ladder's ten, not the seven that came later
    rig.ex.fill_order(order, 2)
    assert rig.refused(rig.amend, order, 100, 2).why is Why.NO_AMEND  # not below what is filled
    rig.amend(order, 100, 3)
    assert (order.status, order.leaves_lots) == (Status.PARTIALLY_FILLED, 1)
    assert rig.told(order) == ["NEW", "AMENDED", "TRADE", "AMENDED"]
    rig.check()


def test_usdm_amends_lose_their_place_even_when_smaller():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 10, 100)
    rig.ex.quote(rig.symbol, BID, 100, 7)
    assert rig.refused(rig.amend, order, 100, 10).why is Why.NO_CHANGE
    rig.amend(order, 100, 6)
    assert rig.ex.queue_ahead(order) == 17
    rig.amend(order, 99, 12)
    assert (order.price_ticks, order.qty_lots, rig.lots(BID, 99)) == (99, 12, 32)
    rig.check()


def test_usdm_amend_that_crosses_trades_unless_it_is_post_only():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 15, 100)
    rig.amend(order, 101, 15)
    assert (order.status, order.filled_lots, rig.lots(BID, 101)) == (Status.PARTIALLY_FILLED, 10, 5)
    assert rig.told(order) == ["NEW", "AMENDED", "TRADE"]
    maker = rig.place(BID, 5, 99, post_only=True)
    refused = rig.refused(rig.amend, maker, 102, 5)
    assert (refused.why, refused.order.status) == (Why.WOULD_TAKE, Status.EXPIRED)
    assert (maker.status, maker.why) == (Status.EXPIRED, Why.WOULD_TAKE)
    rig.check()


def test_usdm_amend_to_what_is_filled_cancels():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 15, 101)  # ten of it trade
    refused = rig.refused(rig.amend, order, 101, 10)
    assert (refused.why, refused.order.status, order.status) == (Why.BAD_QTY, Status.CANCELED, Status.CANCELED)
    rig.check()


def test_usdm_amend_that_fails_a_filter_leaves_the_order():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 15, 99)
    rig.ex.set_filters(rig.symbol, amends_max=1, band_frac=0.1, qty_lots_max=100)
    assert rig.refused(rig.amend, order, 80, 15).why is Why.PRICE_BAND
    assert rig.refused(rig.amend, order, 99, 101).why is Why.BAD_QTY
    rig.amend(order, 98, 15)
    assert rig.refused(rig.amend, order, 97, 15).why is Why.TOO_MANY
    assert (order.status, order.price_ticks, order.amends) == (Status.NEW, 98, 1)


def test_usdm_amend_needs_margin_for_what_it_adds():
    one = Rig.ladder("binanceusdm").instrument
    rig = Rig.ladder("binanceusdm", money={"USDT": one.money_quote(100)})  # at 20 times the leverage good for 2000
    order = rig.place(BID, 15, 100)
    assert rig.refused(rig.amend, order, 100, 21).why is Why.INSUFFICIENT
    assert rig.amend(order, 99, 20).qty_lots == 20


def test_usdm_amend_of_reduce_only_stays_within_the_position():
    rig = Rig.ladder("binanceusdm")
    rig.place(BID, 8)
    order = rig.place(ASK, 5, 105, reduce_only=True)
    assert rig.refused(rig.amend, order, 105, 9).why is Why.REDUCE_ONLY
    assert rig.amend(order, 105, 8).qty_lots == 8


def test_hyperliquid_has_no_amend_in_place():
    rig = Rig.ladder("hyperliquid")
    order = rig.place(BID, 15, 99)
    assert rig.refused(rig.amend, order, 98, 15).why is Why.NO_AMEND
    assert order.price_ticks == 99


def test_an_event_keeps_the_order_as_it_was():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 15, 99)
    rig.wait(5)
    rig.amend(order, 98, 12)
    rig.wait(5)
    rig.cancel(order)
    told = [e for e in rig.events if isinstance(e, OrderEvent)]
    seen = [(e.what, e.order.price_ticks, e.order.qty_lots, e.order.status, (e.order.updated_ns - START) // MS) for e in told]
    assert seen == [("NEW", 99, 15, Status.NEW, 0), ("AMENDED", 98, 12, Status.NEW, 5), ("CANCELED", 98, 12, Status.CANCELED, 10)]
    assert {e.order.created_ns for e in told} == {START}

"""Money worked out by hand: fees, locks, positions, margin, funding, deposits."""

import json
from decimal import Decimal

import pytest
from server_core_rig import Rig

from hftlab.errors import InputError
from hftlab.types import ASK, BID
from hftlab.venues.server.accounts import FeeRates
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.model import AccountEvent, OrderEvent, Status, Why

PERPS = ("binanceusdm", "hyperliquid")


def test_a_spot_buy_pays_its_fee_in_base_and_a_sale_in_quote():
    # BTC/USDT: ticks of 0.01, lots of 0.00001. 10 lots at 101 ticks are 0.0001 BTC for 0.000101 USDT.
    rig = Rig.ladder(maker_bps="-1", taker_bps="10", money={"BTC": 1, "USDT": 1})
    rig.place(BID, 10, 101)
    account = rig.ex.account("a")
    assert account.balances == {"BTC": Decimal("1.0001") - Decimal("0.0000001"), "USDT": 1 - Decimal("0.000101")}
    sale = rig.place(ASK, 10, 103)
    assert rig.ex.free("a", "BTC") == account.balances["BTC"] - Decimal("0.0001")
    rig.ex.fill_order(sale, 10)
    (_, sold) = rig.ex.fills("a")
    assert (sold.maker, sold.fee, sold.fee_asset) == (True, Decimal("-0.0000000103"), "USDT")  # a rebate of 1 bp on 0.000103
    assert account.balances["USDT"] == 1 - Decimal("0.000101") + Decimal("0.000103") + Decimal("0.0000000103")
    rig.check()


def test_a_buy_above_the_market_releases_what_it_did_not_pay():
    rig = Rig.ladder(taker_bps=0)
    rig.place(BID, 15, 101)  # ten at 101 trade, five rest
    one = rig.instrument
    total = rig.ex.account("a").balances["USDT"]
    assert rig.ex.free("a", "USDT") == total - one.money_quote(5 * 101)
    rig.ex.cancel_all("a")
    assert rig.ex.free("a", "USDT") == total


@pytest.mark.parametrize("venue", PERPS)
def test_a_position_is_opened_added_to_reduced_and_turned(venue):
    rig = Rig.ladder(venue, bids={100: 100}, asks={101: 100}, maker_bps=0, taker_bps=0)
    one, position = rig.instrument, lambda: rig.ex.position("a", rig.symbol)
    rig.place(BID, 10)  # 10 at 101
    assert (position().lots, position().entry_ticklots, position().realized) == (10, 1010, 0)
    rig.place(ASK, 4)  # 4 at 100: loses 4
    assert (position().lots, position().entry_ticklots) == (6, 606)
    assert position().realized == -one.money_quote(4)
    rig.place(ASK, 10)  # 6 close at a loss of 6, 4 are sold at 100
    assert (position().lots, position().entry_ticklots) == (-4, -400)
    assert [fill.realized for fill in rig.ex.fills("a")] == [0, -one.money_quote(4), -one.money_quote(6)]
    assert rig.ex.account("a").balances[one.settle] == rig.start[one.settle] - one.money_quote(10)
    assert rig.ex.perps.unrealized("a", rig.symbol) == -4 * one.money_quote(201) / 2 + one.money_quote(400)
    rig.check()


def test_an_average_entry_that_is_no_whole_number_loses_nothing():
    rig = Rig.ladder("binanceusdm", bids={90: 1000}, asks={101: 1, 102: 1, 103: 1}, taker_bps=0)
    rig.place(BID, 3)  # 306 for 3
    rig.ex.quote(rig.symbol, ASK, 107, 4)
    rig.place(BID, 4)  # 734 for 7
    for _ in range(7):
        rig.place(ASK, 1)
    position = rig.ex.position("a", rig.symbol)
    assert (position.lots, position.entry_ticklots) == (0, 0)
    assert position.realized == rig.instrument.money_quote(7 * 90 - 734)
    rig.check()


def test_a_perpetual_pays_its_fees_from_the_wallet():
    rig = Rig.ladder("binanceusdm", maker_bps="2", taker_bps="5")
    rig.place(BID, 10)
    fill = rig.ex.fills("a")[0]
    assert (fill.fee, fill.fee_asset) == (rig.instrument.money_quote(1010) * Decimal("0.0005"), "USDT")


@pytest.mark.parametrize("venue", PERPS)
def test_longs_pay_shorts_at_funding(venue):
    rig = Rig.ladder(venue, maker_bps=0, taker_bps=0)
    rig.place(ASK, 8, 101, account="b")
    rig.place(BID, 18, 101)  # ten of the ladder, then eight of b
    before = {key: rig.ex.account(key).balances[rig.instrument.settle] for key in "ab"}
    received = rig.ex.fund(rig.symbol, "0.0001")
    mark = rig.ex.mark_price(rig.symbol)  # of 100 and 102, once 101 is taken
    assert mark == rig.instrument.price(101)
    expected = {
        "a": -18 * rig.instrument.money_quote(101) * Decimal("0.0001"),
        "b": 8 * rig.instrument.money_quote(101) * Decimal("0.0001"),
    }
    assert received == expected
    assert {key: rig.ex.account(key).balances[rig.instrument.settle] - before[key] for key in "ab"} == expected
    told = [e for e in rig.events if isinstance(e, AccountEvent) and e.reason == "FUNDING"]
    assert [(e.account, e.symbols, e.assets) for e in told] == [(key, (rig.symbol,), (rig.instrument.settle,)) for key in "ab"]


def test_there_is_no_funding_at_a_spot_venue():
    with pytest.raises(InputError, match="spot venue"):
        Rig.ladder().ex.fund("BTCUSDT", "0.0001")


def test_money_comes_and_goes():
    rig = Rig.ladder(money={"BTC": 1, "USDT": 0})
    rig.ex.deposit("a", "USDT", "2.5")
    rig.place(BID, 10, 100)
    with pytest.raises(InputError, match=r"only 2\.4999000 are free"):
        rig.ex.deposit("a", "USDT", "-2.5")
    rig.ex.deposit("a", "USDT", "-2")
    assert rig.ex.account("a").balances["USDT"] == Decimal("0.5")
    assert [e.assets for e in rig.events if isinstance(e, AccountEvent) and e.reason == "DEPOSIT"] == [("USDT",), ("USDT",)]


def test_balances_and_rates_must_be_numbers():
    rig = Rig.ladder()
    with pytest.raises(InputError, match="zero or more"):
        rig.ex.add_account("c", balances={"USDT": -1})
    with pytest.raises(InputError, match="the balance of USDT"):
        rig.ex.add_account("c", balances={"USDT": "much"})
    assert rig.ex.account("c") is None
    with pytest.raises(InputError, match="maker_bps"):
        FeeRates.of_bps("free", 1)
    with pytest.raises(InputError, match="no account"):
        rig.ex.free("nobody", "USDT")
    with pytest.raises(InputError, match="leverage was 0"):
        Rig.ladder("binanceusdm").ex.perps.set_leverage("a", "BTCUSDT", 0)
    with pytest.raises(InputError, match="no markets"):
        Exchange("binance", {}, clock_ns=lambda: 0)


def test_an_account_is_opened_once():
    rig = Rig.ladder()
    assert rig.ex.add_account("a", balances={"USDT": 7}) is rig.ex.account("a")
    assert rig.ex.account("a").balances["USDT"] == rig.start["USDT"]


# --- reduce-only ---------------------------------------------------------------------------------------------------------
def test_reduce_only_orders_shrink_with_the_position():
    rig = Rig.ladder("binanceusdm", bids={100: 100}, asks={101: 100})
    rig.place(BID, 10)
    older = rig.place(ASK, 6, 105, reduce_only=True)
    younger = rig.place(ASK, 4, 104, reduce_only=True)
    rig.place(ASK, 3)  # the position is 7 now
    assert (older.leaves_lots, younger.leaves_lots) == (6, 1)
    assert rig.told(younger) == ["NEW", "AMENDED"]
    rig.place(ASK, 7)
    for order in (older, younger):
        assert (order.status, order.why) == (Status.EXPIRED, Why.REDUCE_ONLY)
    rig.check()


def test_a_reduce_only_order_needs_no_margin():
    one = Rig.ladder("binanceusdm").instrument
    rig = Rig.ladder("binanceusdm", bids={100: 100}, asks={101: 100}, money={"USDT": one.money_quote(60)}, taker_bps=0)
    rig.place(BID, 11)
    assert rig.refused(rig.place, BID, 11, 90).why is Why.INSUFFICIENT
    assert rig.place(ASK, 11, 105, reduce_only=True).status is Status.NEW


# --- what is told --------------------------------------------------------------------------------------------------------
def test_the_order_of_what_is_told():
    rig = Rig.ladder()
    rig.place(ASK, 4, 101, account="b")
    rig.events.clear()
    rig.place(BID, 14, 101)
    told = [(type(e).__name__, getattr(e, "what", "")) for e in rig.events]
    orders = [("OrderEvent", "NEW"), ("OrderEvent", "TRADE"), ("OrderEvent", "TRADE"), ("OrderEvent", "TRADE")]
    assert told == [*orders, *[("AccountEvent", "")] * 2, *[("Print", "")] * 2, ("DepthDiff", ""), ("Touch", "")]
    fills = [e.fill for e in rig.events if isinstance(e, OrderEvent) and e.fill]
    assert [(f.account, f.maker, f.trade_id) for f in fills] == [("a", False, 1), ("b", True, 2), ("a", False, 2)]
    assert [f.trade_id for f in rig.ex.fills_of(fills[0].order_id)] == [1, 2]


def test_the_truth_is_plain_and_whole():
    rig = Rig.ladder("binanceusdm")
    order = rig.place(BID, 15, 101, client_id="x")
    truth = json.loads(json.dumps(rig.ex.truth()))
    assert truth["orders"][0]["client_id"] == "x"
    assert truth["orders"][0]["filled_lots"] == 10
    assert truth["fills"][0]["order_id"] == order.order_id
    assert truth["accounts"]["a"]["open_orders"] == [order.order_id]
    assert truth["accounts"]["a"]["positions"][rig.symbol]["lots"] == 10
    book = rig.ex.book(rig.symbol)
    assert truth["books"][rig.symbol] == {"last_id": book.last_id, "hash": rig.ex.book_hash(rig.symbol, book.last_id), "last_trade_id": 1}
    lines = [json.loads(line) for line in rig.ex.log.json_lines()]
    assert [line["n"] for line in lines] == list(range(len(lines)))
    assert [line["what"] for line in lines][-3:] == ["place", "NEW", "TRADE"]
    assert list(rig.ex.log.json_lines(len(lines) - 1)) == [json.dumps(lines[-1], separators=(",", ":"))]


def test_no_secret_is_in_truth_or_log():
    rig = Rig.ladder()
    rig.ex.add_account("key", "topsecret", {"USDT": 1})
    assert "topsecret" not in json.dumps(rig.ex.truth()) + "".join(rig.ex.log.json_lines())

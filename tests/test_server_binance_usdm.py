"""Orders, positions and the dead man's switch of the USDⓈ-M skin."""

import json
from decimal import Decimal

import pytest
from binance_client import KEY, Desk, same_shape

from hftlab.types import ASK, BID

UNRECORDED = "The order will not be recorded in the order history."


@pytest.fixture
def desk():
    return Desk(spot=False)


def sample(shared, name):
    return json.loads((shared / "wire" / "binance_types" / f"{name}.json").read_text())


def amend(desk, order, price, qty, side="BUY"):
    return desk.ask("PUT", "order", symbol="BTCUSDT", orderId=order["orderId"], side=side, price=price, quantity=qty)


# --- placing ----------------------------------------------------------------------------------------------------------
def test_an_answer_as_soon_as_taken_in_or_with_what_became_of_it(desk, shared):
    market = {"type": "MARKET", "price": None, "timeInForce": None}
    ack = desk.place(**market, qty="1.5")
    assert (ack["status"], ack["executedQty"], ack["avgPrice"]) == ("NEW", "0.000", "0.00")
    told = desk.place(**market, qty="1.5", newOrderRespType="RESULT")
    # one BTC a level: half a BTC was left at 60000.2, then one at 60000.3. By hand.
    assert (told["status"], told["executedQty"], told["avgPrice"]) == ("FILLED", "1.500", "60000.26667")
    assert told["cumQuote"] == "90000.40000000"
    post_only = desk.place(timeInForce="GTX", newOrderRespType="RESULT")
    assert (post_only["timeInForce"], post_only["status"], post_only["price"]) == ("GTX", "NEW", "59000.00")
    row = desk.get("order", symbol="BTCUSDT", orderId=post_only["orderId"])
    same_shape(row, sample(shared, "http_futures_account_orders")[0], but=("activatePrice", "priceRate"))
    assert desk.get("openOrders") == desk.get("openOrders", symbol="BTCUSDT") == [row]
    assert desk.get("openOrder", symbol="BTCUSDT", orderId=post_only["orderId"]) == row


@pytest.mark.parametrize(
    ("wish", "code", "text"),
    [
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "LIMIT_MAKER"}, -1116, "Invalid orderType."),
        ({"type": "STOP_MARKET"}, -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."),
        ({"positionSide": "LONG"}, -4061, "Order's position side does not match user's setting."),
        ({"timeInForce": "GTD"}, -1115, "Invalid timeInForce."),
        ({"qty": "0.0101"}, -1111, "Precision is over the maximum defined for this asset."),
        ({"price": "59000.001"}, -1111, "Precision is over the maximum defined for this asset."),
        ({"price": "59000.05"}, -4014, "Price not increased by tick size."),
        ({"price": "0"}, -4001, "Price less than 0."),
        ({"price": "1000001"}, -4002, "Price greater than max price."),
        ({"qty": "0"}, -4003, "Quantity less than or equal to zero."),
        ({"qty": "10000000"}, -4005, "Quantity greater than max quantity."),
        ({"price": "91000"}, -4016, "Limit price can't be higher than 90000.00."),
        ({"price": "29000"}, -4024, "Limit price can't be lower than 30000.10."),
        ({"qty": "0.001"}, -4164, "Order's notional must be no smaller than 100 (unless you choose reduce only)."),
        ({"qty": "900"}, -2019, "Margin is insufficient."),
        ({"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
        ({"newOrderRespType": "FULL"}, -1136, "Invalid newOrderRespType"),
        ({"newClientOrderId": "x" * 37}, -4015, "Client order id length should be less than 36 chars"),
        (
            {"timeInForce": "GTX", "price": 60_000.1},
            -5022,
            f"Due to the order could not be executed as maker, the Post Only order will be rejected. {UNRECORDED}",
        ),
        (
            {"timeInForce": "FOK", "price": 60_000.1, "qty": "2"},
            -5021,
            f"Due to the order could not be filled immediately, the FOK order has been rejected. {UNRECORDED}",
        ),
    ],
)
def test_every_refusal_of_a_new_order(desk, wish, code, text):
    assert desk.denied(desk.place, **wish) == (400, code, text)
    assert desk.core.orders(KEY, "BTCUSDT") == []


def test_a_client_id_in_use_and_a_closed_market(desk):
    desk.place(newClientOrderId="mine")
    assert desk.denied(desk.place, newClientOrderId="mine")[1:] == (-4116, "ClientOrderId is duplicated.")
    desk.core.set_filters("BTCUSDT", orders_max=1)
    assert desk.denied(desk.place)[1:] == (-2025, "Reach max open order limit.")
    desk.core.set_filters("BTCUSDT", trading=False)
    assert desk.denied(desk.place)[1:] == (-4141, "Symbol is closed.")


def test_a_fill_or_kill_order_that_can(desk):
    told = desk.place(timeInForce="FOK", price=60_000.2, qty="2", newOrderRespType="RESULT")
    assert (told["status"], told["executedQty"]) == ("FILLED", "2.000")


# --- amending ---------------------------------------------------------------------------------------------------------
def test_an_amend_keeps_both_names_and_loses_the_place(desk):
    order = desk.place(price=60_000, qty="1", newClientOrderId="mine")
    desk.core.quote("BTCUSDT", BID, desk.instrument.ticks(60_000), desk.instrument.lots("5"))
    told = amend(desk, order, 60_000, "0.5")
    assert (told["orderId"], told["clientOrderId"], told["origQty"], told["status"]) == (order["orderId"], "mine", "0.500", "NEW")
    live = desk.core.order(KEY, "BTCUSDT", order_id=order["orderId"])
    assert desk.core.queue_ahead(live) == desk.instrument.lots("6")
    assert amend(desk, order, 59_000, "0.7")["price"] == "59000.00"


def test_amends_that_are_refused_leave_the_order(desk):
    order = desk.place(qty="1")
    assert desk.denied(amend, desk, order, 59_000, "1")[1:] == (-5027, "No need to modify the order.")
    assert desk.denied(amend, desk, order, 59_000.05, "1")[1] == -4014
    assert desk.denied(amend, desk, order, 59_000, "0.001")[1] == -4164
    assert desk.denied(amend, desk, order, 59_000, "900")[1] == -2019
    assert desk.denied(amend, desk, order, 59_000, "0.5", side="SELL")[1:] == (-2013, "Order does not exist.")
    assert desk.denied(amend, desk, {"orderId": 99}, 59_000, "0.5")[1:] == (-2013, "Order does not exist.")
    assert desk.denied(desk.ask, "PUT", "order", symbol="BTCUSDT", orderId=order["orderId"], side="BUY", quantity="1")[1] == -1102
    desk.core.set_filters("BTCUSDT", amends_max=0)
    assert desk.denied(amend, desk, order, 59_000, "0.5")[1:] == (-5026, "Exceed maximum modify order limit.")
    desk.core.set_filters("BTCUSDT", trading=False, amends_max=9)
    assert desk.denied(amend, desk, order, 59_000, "0.5")[1] == -5024
    assert desk.get("openOrders")[0]["origQty"] == "1.000"


def test_amends_that_end_the_order(desk):
    order = desk.place(timeInForce="GTX", qty="1")
    assert desk.denied(amend, desk, order, 60_000.1, "1")[1] == -5022
    assert desk.get("order", symbol="BTCUSDT", orderId=order["orderId"])["status"] == "EXPIRED"
    order = desk.place(price=60_000.1, qty="2")  # one BTC stands there: half of it is filled
    told = amend(desk, order, 60_000, "1")
    assert (told["status"], told["executedQty"]) == ("CANCELED", "1.000")
    assert desk.get("openOrders") == []


# --- many at once -----------------------------------------------------------------------------------------------------
def test_batches_stand_or_fall_one_by_one(desk):
    wish = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "59000"}
    batch = [wish, {**wish, "price": "59000.05"}, {**wish, "side": "SELL", "price": "61000"}]
    first, second, third = desk.ask("POST", "batchOrders", batchOrders=json.dumps(batch))
    assert (first["status"], second["code"], third["side"]) == ("NEW", -4014, "SELL")
    assert desk.headers["X-MBX-ORDER-COUNT-10S"] == "2"
    moved = [{"symbol": "BTCUSDT", "orderId": first["orderId"], "side": "BUY", "quantity": "0.02", "price": "59001"}]
    assert desk.ask("PUT", "batchOrders", batchOrders=json.dumps(moved))[0]["origQty"] == "0.020"
    ids = json.dumps([first["orderId"], 99])
    gone, unknown = desk.ask("DELETE", "batchOrders", symbol="BTCUSDT", orderIdList=ids)
    assert (gone["status"], unknown) == ("CANCELED", {"code": -2011, "msg": "Unknown order sent."})
    assert desk.denied(desk.ask, "POST", "batchOrders", batchOrders=json.dumps([wish] * 6))[1] == -4082
    assert desk.denied(desk.ask, "POST", "batchOrders", batchOrders="{}")[1] == -1102
    assert desk.denied(desk.ask, "POST", "batchOrders", batchOrders=json.dumps([None, wish]))[1] == -1102
    done = {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert desk.ask("DELETE", "allOpenOrders", symbol="BTCUSDT") == done
    assert desk.get("openOrders") == []
    assert desk.ask("DELETE", "allOpenOrders", symbol="BTCUSDT") == done  # none at all is fine here


def test_the_dead_mans_switch(desk):
    arm = lambda ms: desk.ask("POST", "countdownCancelAll", symbol="BTCUSDT", countdownTime=ms)  # noqa: E731
    order = desk.place()
    assert arm(1000) == {"symbol": "BTCUSDT", "countdownTime": "1000"}
    desk.wait(900)
    arm(1000)
    desk.wait(999)
    assert len(desk.get("openOrders")) == 1
    desk.wait(1)
    assert desk.get("order", symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
    desk.place()
    desk.wait(5000)
    assert len(desk.get("openOrders")) == 1  # it fires once
    arm(1000)
    arm(0)
    desk.wait(5000)
    assert len(desk.get("openOrders")) == 1


# --- wallet and positions ---------------------------------------------------------------------------------------------
def test_wallet_and_position_by_hand(desk, shared):
    desk.place(type="MARKET", price=None, timeInForce=None, qty="1")
    desk.place(side="SELL", type="MARKET", price=None, timeInForce=None, qty="0.5")
    desk.core.quote("BTCUSDT", ASK, desk.instrument.ticks(60_000.1), desk.instrument.lots("1"))  # what was taken is there again
    # bought 1 at 60000.1, sold 0.5 at 60000.0: lost 0.05; fees 5 bp of 60000.1 and of 30000 are 30.00005 and 15. Mark is 60000.05.
    (risk,) = desk.get("/fapi/v3/positionRisk")
    assert (risk["positionAmt"], risk["entryPrice"], risk["unRealizedProfit"]) == ("0.500", "60000.10000000", "-0.02500000")
    (old,) = desk.get("/fapi/v2/positionRisk")
    same_shape(old, sample(shared, "position_risk")[0])
    (wallet,) = desk.get("/fapi/v2/balance")
    same_shape(wallet, sample(shared, "balance")[0])
    assert Decimal(wallet["balance"]) == Decimal(1_000_000) - Decimal("0.05") - Decimal("45.00005")
    account = desk.get("/fapi/v2/account")
    wanted = sample(shared, "account_info_v2")
    same_shape(account, wanted)
    same_shape(account["assets"][0], wanted["assets"][0])
    same_shape(account["positions"][0], wanted["positions"][0], but=("maxNotional", "bidNotional", "askNotional"))
    lean = desk.get("/fapi/v3/account")
    assert lean["totalWalletBalance"] == wallet["balance"]
    assert lean["positions"][0]["unrealizedProfit"] == "-0.02500000"
    free = desk.core.free(KEY, "USDT")
    assert lean["availableBalance"] == wallet["availableBalance"] == f"{free:.8f}"
    asset = lean["assets"][0]
    assert Decimal(asset["marginBalance"]) - Decimal(asset["initialMargin"]) == free


def test_executions_and_what_moved_the_wallet(desk, shared):
    desk.place(type="MARKET", price=None, timeInForce=None, qty="1")
    desk.wait(10)
    desk.place(side="SELL", type="MARKET", price=None, timeInForce=None, qty="0.5")
    trades = desk.get("userTrades", symbol="BTCUSDT")
    same_shape(trades[0], sample(shared, "http_futures_account_trades")[0])
    assert [(one["side"], one["qty"], one["realizedPnl"], one["maker"]) for one in trades] == [
        ("BUY", "1.000", "0.00000000", False),
        ("SELL", "0.500", "-0.05000000", False),
    ]
    assert desk.get("userTrades", symbol="BTCUSDT", startTime=desk.now_ms) == trades[1:]
    desk.wait(10)
    received = desk.core.fund("BTCUSDT", "0.0001")[KEY]
    rows = desk.get("income")
    assert [row["incomeType"] for row in rows] == ["COMMISSION", "COMMISSION", "REALIZED_PNL", "FUNDING_FEE"]
    assert Decimal(rows[-1]["income"]) == received.quantize(Decimal("1e-8")) < 0
    assert len({(row["tranId"], row["incomeType"]) for row in rows}) == 4
    (funding,) = desk.get("income", incomeType="FUNDING_FEE", startTime=desk.now_ms)
    assert funding == rows[-1]
    moved = sum((Decimal(row["income"]) for row in rows), Decimal(0))
    assert abs(1_000_000 + moved - desk.account.balances["USDT"]) < Decimal("1e-7")


def test_questions_about_the_account(desk):
    assert desk.get("leverageBracket")[0]["symbol"] == "BTCUSDT"
    assert desk.get("commissionRate", symbol="BTCUSDT")["takerCommissionRate"] == "0.0005"
    assert desk.get("multiAssetsMargin") == {"multiAssetsMargin": False}
    assert desk.get("positionSide/dual") == {"dualSidePosition": False}
    assert desk.denied(desk.ask, "POST", "marginType", symbol="BTCUSDT", marginType="CROSSED")[1] == -4046
    assert desk.denied(desk.ask, "POST", "positionSide/dual", dualSidePosition="false")[1] == -4059
    assert desk.ask("POST", "leverage", symbol="BTCUSDT", leverage=10)["leverage"] == 10
    assert desk.denied(desk.ask, "POST", "leverage", symbol="BTCUSDT", leverage=126)[1] == -4028

"""Orders on the spot skin: answers, errors in the venue's order and words, cancel-replace and amends, filters."""

import hmac
import json
from decimal import Decimal
from hashlib import sha256

import pytest
from binance_client import KEY, SECRET, START, Desk, same_shape

from hftlab.types import BID
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.memory import remember
from hftlab.venues.server.model import NewOrder
from hftlab.venues.server.skin import Request


@pytest.fixture
def desk():
    return Desk()


def sample(shared, name):
    return json.loads((shared / "wire" / "binance_types" / f"{name}.json").read_text())


# --- signatures, keys, clock: in the order in which the venue looks ---------------------------------------------------
def test_who_signs_and_when(desk):
    account = lambda **how: desk.denied(desk.get, "account", **how)  # noqa: E731
    assert desk.raw("GET", "/api/v3/account", key="").body == {"code": -2014, "msg": "API-key format invalid."}
    assert account(key="unknown") == (401, -2015, "Invalid API-key, IP, or permissions for action.")
    assert account(signed=False)[1:] == (-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
    stamped = desk.raw("GET", "/api/v3/account", f"timestamp={desk.now_ms}")
    assert stamped.body["msg"] == "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."
    wrong = desk.raw("GET", "/api/v3/account", f"timestamp={desk.now_ms}&signature={'0' * 64}")
    assert (wrong.status, wrong.body) == (400, {"code": -1022, "msg": "Signature for this request is not valid."})
    assert account(timestamp=desk.now_ms - 5001) == (400, -1021, "Timestamp for this request is outside of the recvWindow.")
    assert account(timestamp=desk.now_ms + 1000)[2] == "Timestamp for this request was 1000ms ahead of the server's time."
    assert account(recvWindow=60_001)[1] == -1131
    assert desk.get("account", timestamp=desk.now_ms - 50_000, recvWindow=60_000)
    assert desk.get("account", timestamp=(desk.now_ms + 999) * 1000)  # microseconds


def test_the_clock_that_counts_is_the_one_the_venue_shows(desk):
    desk.faults.offset_ms = 7000
    assert desk.get("time", signed=False) == {"serverTime": desk.now_ms + 7000}
    assert desk.denied(desk.get, "account")[1] == -1021
    assert desk.get("account", timestamp=desk.now_ms + 7000)


def test_a_signature_is_over_the_bytes_sent_wherever_it_stands(desk):
    # the venue's documented mixed case: part in the query, part in the body, one string without "&" between them
    query, body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC", f"quantity=0.01&price=59000&timestamp={desk.now_ms}"
    signature = hmac.new(SECRET.encode(), (query + body).encode(), sha256).hexdigest()
    assert desk.raw("POST", "/api/v3/order", query, f"{body}&signature={signature}").status == 200
    # percent signs are signed as they are, not as what they mean
    query = f"symbol=BTCUSDT&origClientOrderId=a%2Db&timestamp={desk.now_ms}"
    signature = hmac.new(SECRET.encode(), query.encode(), sha256).hexdigest()
    assert desk.raw("GET", "/api/v3/order", f"{query}&signature={signature}").body["code"] == -2013


# --- placing ----------------------------------------------------------------------------------------------------------
def test_answers_in_three_lengths(desk, shared):
    ack = desk.place(newOrderRespType="ACK")
    assert set(ack) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    result = desk.place(newOrderRespType="RESULT")
    assert (result["status"], result["executedQty"], result["type"]) == ("NEW", "0.00000000", "LIMIT")
    full = desk.place(type="MARKET", price=None, timeInForce=None, qty="1.5")
    wanted = sample(shared, "new_order_full_response")
    same_shape(full, wanted)
    assert [set(fill) for fill in full["fills"]] == [set(wanted["fills"][0])] * 2
    assert [(fill["price"], fill["qty"]) for fill in full["fills"]] == [("60000.01000000", "1.00000000"), ("60000.02000000", "0.50000000")]
    assert (full["status"], full["executedQty"], full["cummulativeQuoteQty"]) == ("FILLED", "1.50000000", "90000.02000000")
    assert full["fills"][0]["commissionAsset"] == "BTC"
    assert set(desk.place(type="LIMIT_MAKER", timeInForce=None)) == set(ack)  # only LIMIT and MARKET are told in full by default
    assert desk.ask("POST", "order/test", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1") == {}
    assert len(desk.get("openOrders", symbol="BTCUSDT")) == 3


def test_what_takes_at_once_and_what_does_not(desk):
    taken = desk.place(price=60_000.02, qty="3", timeInForce="IOC")
    assert (taken["status"], taken["executedQty"]) == ("EXPIRED", "2.00000000")
    killed = desk.place(price=60_000.03, qty="3", timeInForce="FOK")
    assert (killed["status"], killed["executedQty"], killed["fills"]) == ("EXPIRED", "0.00000000", [])
    assert desk.denied(desk.place, price=60_000.03, type="LIMIT_MAKER", timeInForce=None) == (
        400,
        -2010,
        "Order would immediately match and take.",
    )
    spent = desk.place(type="MARKET", price=None, timeInForce=None, qty=None, quoteOrderQty="90000")
    assert spent["origQuoteOrderQty"] == "90000.00000000"
    assert Decimal("89999.3") < Decimal(spent["cummulativeQuoteQty"]) <= 90_000  # one lot is worth 0.6


@pytest.mark.parametrize(
    ("wish", "code", "text"),
    [
        ({"symbol": None}, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "SOMETHING"}, -1116, "Invalid orderType."),
        ({"type": "STOP_LOSS"}, -2010, "Stop loss orders are not supported for this symbol."),
        ({"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
        ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({"price": None}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"type": "MARKET", "timeInForce": None}, -1106, "Parameter 'price' sent when not required."),
        ({"type": "LIMIT_MAKER"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"icebergQty": "0.001"}, -2010, "Iceberg orders are not supported for this symbol."),
        ({"qty": "1e-2"}, -1100, r"Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'."),
        ({"qty": "0.0100000001"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"price": "59000.000000001"}, -1111, "Parameter 'price' has too much precision."),
        ({"price": "59000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "1000000.01"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"qty": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"qty": "0"}, -1013, "Filter failure: LOT_SIZE"),
        ({"qty": "0.00008"}, -1013, "Filter failure: NOTIONAL"),
        ({"price": "29000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"qty": "100"}, -2010, "Account has insufficient balance for requested action."),
        ({"side": "SELL", "price": 61_000, "qty": "11"}, -2010, "Account has insufficient balance for requested action."),
        (
            {"newClientOrderId": "a b"},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
        ({"selfTradePreventionMode": "SOME"}, -1130, "Data sent for parameter 'selfTradePreventionMode' is not valid."),
    ],
)
def test_every_refusal_of_a_new_order(desk, wish, code, text):
    assert desk.denied(desk.place, **wish) == (400, code, text)
    assert desk.core.orders(KEY, "BTCUSDT") == []


def test_a_client_id_is_free_again_when_its_order_has_ended(desk):
    desk.place(newClientOrderId="mine")
    assert desk.denied(desk.place, newClientOrderId="mine") == (400, -2010, "Duplicate order sent.")
    desk.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")
    second = desk.place(newClientOrderId="mine", price=58_000)
    assert desk.get("order", symbol="BTCUSDT", origClientOrderId="mine")["orderId"] == second["orderId"]


def test_rules_that_change_while_the_venue_runs(desk):
    desk.core.set_filters("BTCUSDT", price_step=10, qty_step=100, notional_quote_min=Decimal(1000), orders_max=1)
    filters = {one["filterType"]: one for one in desk.get("exchangeInfo", signed=False)["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00100000"
    assert filters["NOTIONAL"]["minNotional"] == "1000.00000000"
    assert desk.denied(desk.place, price="59000.05", qty="0.1")[2] == "Filter failure: PRICE_FILTER"
    assert desk.denied(desk.place, qty="0.1001")[2] == "Filter failure: LOT_SIZE"
    assert desk.denied(desk.place, qty="0.01")[2] == "Filter failure: NOTIONAL"
    desk.place(qty="0.1")
    assert desk.denied(desk.place, qty="0.1")[1:] == (-1013, "Filter failure: MAX_NUM_ORDERS")
    desk.core.set_filters("BTCUSDT", trading=False)
    assert desk.get("exchangeInfo", signed=False)["symbols"][0]["status"] == "BREAK"
    assert desk.denied(desk.place, qty="0.1")[1:] == (-1013, "Market is closed.")


# --- asking and ending ------------------------------------------------------------------------------------------------
def test_an_order_is_found_by_either_name(desk, shared):
    placed = desk.place(newClientOrderId="mine")
    row = desk.get("order", symbol="BTCUSDT", orderId=placed["orderId"])
    same_shape(row, sample(shared, "order_response"))
    assert row == desk.get("order", symbol="BTCUSDT", origClientOrderId="mine") == desk.get("openOrders")[0]
    missing = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "origClientOrderId": "other"}
    assert desk.denied(desk.get, "order", **missing)[1:] == (-2013, "Order does not exist.")
    assert desk.denied(desk.get, "order", symbol="BTCUSDT")[1] == -1102
    desk.faults.hidden = True
    assert desk.denied(desk.get, "order", symbol="BTCUSDT", orderId=placed["orderId"])[1] == -2013
    assert desk.get("openOrders") == desk.get("allOrders", symbol="BTCUSDT") == []


def test_cancels(desk, shared):
    placed = desk.place(newClientOrderId="mine")
    ended = desk.ask("DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"], newClientOrderId="bye")
    same_shape(ended, sample(shared, "cancel_order_response"))
    assert (ended["origClientOrderId"], ended["clientOrderId"], ended["status"]) == ("mine", "bye", "CANCELED")
    again = desk.denied(desk.ask, "DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"])
    assert again == (400, -2011, "Unknown order sent.")
    assert desk.denied(desk.ask, "DELETE", "openOrders", symbol="BTCUSDT") == (400, -2011, "Unknown order sent.")
    some = [desk.place(price=59_000 - n)["orderId"] for n in range(3)]
    assert [one["orderId"] for one in desk.ask("DELETE", "openOrders", symbol="BTCUSDT")] == some
    assert desk.faults.did[-3:] == [("cancel", "BTCUSDT", one) for one in some]


def test_a_cancel_under_conditions(desk):
    order = desk.place(price=60_000.01, qty="2")
    only = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    assert desk.denied(desk.ask, "DELETE", "order", cancelRestrictions="ONLY_NEW", **only)[1:] == (
        -2011,
        "Order was not canceled due to cancel restrictions.",
    )
    assert desk.ask("DELETE", "order", cancelRestrictions="ONLY_PARTIALLY_FILLED", **only)["executedQty"] == "1.00000000"


# --- cancel-replace ---------------------------------------------------------------------------------------------------
def replace(desk, mode, cancel, **wish):
    wish = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": 58_000, **wish}
    return desk.ask("POST", "order/cancelReplace", cancelReplaceMode=mode, cancelOrderId=cancel, **wish)


def failed(desk, *args, **wish):
    try:
        replace(desk, *args, **wish)
    except AssertionError as denied:
        return denied.status, denied.code, denied.data
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("mode", ["STOP_ON_FAILURE", "ALLOW_FAILURE"])
def test_a_cancel_replace_that_works(desk, mode):
    old = desk.place()["orderId"]
    both = replace(desk, mode, old, newClientOrderId="next")
    assert (both["cancelResult"], both["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert (both["cancelResponse"]["orderId"], both["cancelResponse"]["status"]) == (old, "CANCELED")
    assert [one["clientOrderId"] for one in desk.get("openOrders")] == ["next"]


def test_a_cancel_replace_whose_cancel_fails(desk):
    status, code, data = failed(desk, "STOP_ON_FAILURE", 99)
    assert (status, code) == (400, -2022)
    assert data == {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    assert desk.headers["X-MBX-ORDER-COUNT-10S"] == "1"  # what was not attempted is counted all the same
    assert desk.get("openOrders") == []
    status, code, data = failed(desk, "ALLOW_FAILURE", 99)
    assert (status, code, data["cancelResult"], data["newOrderResult"]) == (409, -2021, "FAILURE", "SUCCESS")
    assert len(desk.get("openOrders")) == 1


def test_a_cancel_replace_whose_new_order_fails(desk):
    old = desk.place()["orderId"]
    assert failed(desk, "STOP_ON_FAILURE", old, price=0.001)[1] == -1013  # filters come first, and the old order lives
    assert len(desk.get("openOrders")) == 1
    status, code, data = failed(desk, "STOP_ON_FAILURE", old, type="LIMIT_MAKER", price=60_001)
    assert (status, code) == (400, -1106)  # LIMIT_MAKER has no timeInForce
    status, code, data = failed(desk, "STOP_ON_FAILURE", old, quantity="500")
    assert (status, code, data["cancelResult"], data["newOrderResult"]) == (409, -2021, "SUCCESS", "FAILURE")
    assert data["newOrderResponse"] == {"code": -2010, "msg": "Account has insufficient balance for requested action."}
    assert desk.get("openOrders") == []
    assert failed(desk, "ALLOW_FAILURE", 99, quantity="500")[:2] == (400, -2022)


# --- amend ------------------------------------------------------------------------------------------------------------
def amend(desk, order, qty, **params):
    return desk.ask("PUT", "order/amend/keepPriority", symbol="BTCUSDT", orderId=order["orderId"], newQty=qty, **params)


def test_an_amend_keeps_the_place_and_the_number_but_not_the_name(desk):
    order = desk.place(price=60_000, qty="1", newClientOrderId="old")
    ahead = desk.core.queue_ahead(desk.core.order(KEY, "BTCUSDT", order_id=order["orderId"]))
    desk.core.quote("BTCUSDT", BID, desk.instrument.ticks(60_000), desk.instrument.lots("5"))
    told = amend(desk, order, "0.4")["amendedOrder"]
    assert (told["orderId"], told["qty"], told["origClientOrderId"], told["status"]) == (order["orderId"], "0.40000000", "old", "NEW")
    assert told["clientOrderId"] != "old"
    assert desk.denied(desk.get, "order", symbol="BTCUSDT", origClientOrderId="old")[1] == -2013
    assert desk.get("order", symbol="BTCUSDT", origClientOrderId=told["clientOrderId"])["origQty"] == "0.40000000"
    kept = amend(desk, order, "0.3", newClientOrderId=told["clientOrderId"])["amendedOrder"]
    assert kept["clientOrderId"] == told["clientOrderId"]
    assert desk.core.queue_ahead(desk.core.order(KEY, "BTCUSDT", order_id=order["orderId"])) == ahead
    desk.place(newClientOrderId="taken")
    assert desk.denied(amend, desk, order, "0.2", newClientOrderId="taken")[1:] == (-2010, "Duplicate order sent.")


def test_amends_that_are_refused_leave_the_order(desk):
    order = desk.place(qty="1")
    assert desk.denied(amend, desk, order, "2")[1:] == (-2038, "Order amend (quantity increase) is not supported.")
    assert desk.denied(amend, desk, order, "1")[1:] == (-2038, "The requested action would change no state; rejecting.")
    assert desk.denied(amend, desk, order, "0.000001")[1:] == (-1013, "Filter failure: LOT_SIZE")
    assert desk.denied(amend, desk, {"orderId": 99}, "0.1")[1:] == (-2013, "Order does not exist.")
    desk.core.set_filters("BTCUSDT", amends_max=1)
    amend(desk, order, "0.9")
    assert desk.denied(amend, desk, order, "0.8")[1:] == (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
    assert desk.get("openOrders")[0]["origQty"] == "0.90000000"
    assert desk.headers.get("X-MBX-ORDER-COUNT-10S") is None


# --- money ------------------------------------------------------------------------------------------------------------
def test_balances_and_executions(desk, shared):
    desk.place(price=60_000.01, qty="0.5")
    resting = desk.place(side="SELL", price=60_000.4, qty="2")
    account = desk.get("account")
    same_shape(account, sample(shared, "account_response"))
    # bought 0.5 at 60000.01, fee 0.1 % of what was received; 2 BTC are locked by the ask. By hand.
    assert account["balances"] == [
        {"asset": "BTC", "free": "8.49950000", "locked": "2.00000000"},
        {"asset": "USDT", "free": "969999.99500000", "locked": "0.00000000"},
    ]
    (trade,) = desk.get("myTrades", symbol="BTCUSDT")
    same_shape(trade, sample(shared, "account_trades_response")[0])
    assert (trade["qty"], trade["commission"], trade["commissionAsset"]) == ("0.50000000", "0.00050000", "BTC")
    desk.core.fill_order(desk.core.order(KEY, "BTCUSDT", order_id=resting["orderId"]), desk.instrument.lots("1"))
    both = desk.get("myTrades", symbol="BTCUSDT")
    assert both[0] == trade
    assert (both[-1]["isMaker"], both[-1]["isBuyer"]) == (True, False)
    assert desk.get("myTrades", symbol="BTCUSDT", fromId=both[-1]["id"]) == both[1:]
    assert desk.get("myTrades", symbol="BTCUSDT", limit=1) == both[1:]
    assert desk.get("myTrades", symbol="BTCUSDT", startTime=desk.now_ms + 1) == []
    assert desk.get("myTrades", symbol="BTCUSDT", orderId=trade["orderId"]) == both[:1]


def test_all_orders_by_page(desk):
    numbers = []
    for n in range(5):
        numbers.append(desk.place(price=59_000 - n)["orderId"])
        desk.wait(10)
    ids = lambda **how: [row["orderId"] for row in desk.get("allOrders", symbol="BTCUSDT", **how)]  # noqa: E731
    assert ids() == numbers
    assert ids(limit=2) == numbers[-2:]
    assert ids(orderId=numbers[1], limit=2) == numbers[1:3]
    assert ids(startTime=desk.now_ms - 40, limit=2) == numbers[1:3]
    assert ids(endTime=desk.now_ms - 40) == numbers[:2]


def test_self_trade_prevention_has_its_own_word(desk):
    maker = desk.place(side="SELL", price=60_000.01, qty="1")
    desk.core.nudge("BTCUSDT", BID, desk.instrument.lots("1"))  # what stood in front of it
    taker = desk.place(price=60_000.01, qty="1", selfTradePreventionMode="EXPIRE_TAKER")
    assert (taker["status"], taker["selfTradePreventionMode"]) == ("EXPIRED_IN_MATCH", "EXPIRE_TAKER")
    taker = desk.place(price=60_000.01, qty="1")  # the venue's own mode ends the maker
    assert taker["status"] == "NEW"
    assert desk.get("order", symbol="BTCUSDT", orderId=maker["orderId"])["status"] == "EXPIRED_IN_MATCH"


def test_kinds(desk):
    kind = lambda method, path: desk.skin.kind(Request(method, path, "", {}, b"", ""))  # noqa: E731
    assert kind("POST", "/api/v3/order") == "order"
    assert kind("PUT", "/api/v3/order/amend/keepPriority") == kind("POST", "/api/v3/order/cancelReplace") == "amend"
    assert kind("DELETE", "/api/v3/openOrders") == "cancel"
    assert kind("GET", "/api/v3/order") == "query"
    assert kind("GET", "/api/v3/account") == "account"
    assert kind("GET", "/api/v3/depth") == "market"
    assert kind("POST", "/api/v3/userDataStream") == kind("GET", "/nowhere") == "other"
    assert desk.raw("GET", "/nowhere").body == {"code": -5000, "msg": "Path /nowhere, Method GET is invalid"}


def test_a_renamed_order_is_remembered(tmp_path):
    config, now_ns = (
        VenueConfig(skins=("binance",), market="still", state=str(tmp_path / "memory")),
        iter(range(START, START + 10**9, 10**6)),
    )
    built, memory = remember(config, lambda: next(now_ns))
    key, core = config.account("binance"), built.cores["binance"]
    order = core.place(key, NewOrder("BTCUSDT", BID, 1000, core.touch("BTCUSDT").bid_ticks - 9, "old"))
    core.amend(key, "BTCUSDT", order.price_ticks, 600, order_id=order.order_id, new_client_id="new")
    memory.keep()
    memory.close()
    built, memory = remember(config, lambda: next(now_ns))
    memory.close()
    (again,) = built.cores["binance"].open_orders(key)
    assert (again.order_id, again.client_id, again.qty_lots) == (order.order_id, "new", 600)

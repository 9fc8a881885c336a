"""User streams of the Binance skins: what is told of orders and money, listen keys and their end, ws-api."""

import json
from decimal import Decimal

import pytest
from binance_client import KEY, Desk, same_shape

from hftlab.types import BID
from hftlab.venues.server.model import NewOrder

VENUES = pytest.mark.parametrize("spot", [True, False], ids=["spot", "usdm"])
HOUR_MS = 3_600_000


def sample(shared, name):
    return json.loads((shared / "wire" / "binance_types" / f"{name}.json").read_text())


def events(socket, kind):
    """Return the events of a kind that came, taken out of what a subscription puts round them."""
    return [event for event in (one.get("event", one) for one in socket.heard("user")) if event["e"] == kind]


def reports(socket, spot):
    return events(socket, "executionReport") if spot else [one["o"] for one in events(socket, "ORDER_TRADE_UPDATE")]


# --- orders -----------------------------------------------------------------------------------------------------------
@VENUES
def test_the_life_of_an_order(spot, shared):
    desk = Desk(spot)
    socket = desk.user_socket()
    placed = desk.place(price=60_000, qty="1", newClientOrderId="mine")
    order = desk.core.order(KEY, "BTCUSDT", order_id=placed["orderId"])
    desk.core.fill_order(order, desk.instrument.lots("0.4"))
    desk.ask("DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"])
    new, trade, canceled = reports(socket, spot)
    assert [(one["x"], one["X"]) for one in (new, trade, canceled)] == [
        ("NEW", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("CANCELED", "CANCELED"),
    ]
    assert (float(trade["l"]), float(trade["z"]), float(trade["L"]), trade["m"], trade["t"]) == (0.4, 0.4, 60_000, True, 2)
    assert {one["i"] for one in (new, trade, canceled)} == {placed["orderId"]}
    if spot:
        same_shape(new, sample(shared, "execution_report_wrapped")["event"])
        same_shape(trade, sample(shared, "ws_spot_execution_report_trade")["data"])
        assert (new["c"], new["C"], canceled["C"]) == ("mine", "", "mine")
        assert canceled["c"] != "mine"  # the cancel's own name
        assert (trade["n"], trade["N"], trade["Y"]) == ("0.00040000", "BTC", "24000.00000000")
        assert [one["w"] for one in (new, trade, canceled)] == [True, True, False]
    else:
        same_shape(new, sample(shared, "ws_futures_order_update_new_reduce_only_qty")["data"]["o"], but=("N", "n", "AP", "cr", "W"))
        same_shape(trade, sample(shared, "order_update_trade")["o"], but=("AP", "cr"))
        assert {one["c"] for one in (new, trade, canceled)} == {"mine"}
        assert (trade["n"], trade["N"], trade["rp"], trade["ap"]) == ("4.80000000", "USDT", "0.00000000", "60000.00000")


@VENUES
def test_what_takes_is_told_trade_by_trade(spot):
    desk = Desk(spot)
    socket = desk.user_socket()
    desk.place(price=60_001, qty="1.5")
    told = reports(socket, spot)
    assert [(one["x"], one["X"]) for one in told] == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")]
    assert [one["m"] for one in told] == [False] * 3
    desk.place(price=60_000.3 if not spot else 60_000.03, qty="9", timeInForce="IOC")
    told = reports(socket, spot)
    assert [(one["x"], one["X"]) for one in told][-1] == ("EXPIRED", "EXPIRED")


@VENUES
def test_an_amended_order(spot):
    desk = Desk(spot)
    socket = desk.user_socket()
    placed = desk.place(qty="1", newClientOrderId="mine")
    if spot:
        desk.ask("PUT", "order/amend/keepPriority", symbol="BTCUSDT", orderId=placed["orderId"], newQty="0.5", newClientOrderId="next")
    else:
        desk.ask("PUT", "order", symbol="BTCUSDT", orderId=placed["orderId"], side="BUY", price=59_000, quantity="0.5")
    told = reports(socket, spot)[-1]
    assert (told["x"], told["X"], float(told["q"])) == ("REPLACED" if spot else "AMENDMENT", "NEW", 0.5)
    assert (told["c"], told.get("C")) == (("next", "mine") if spot else ("mine", None))


def test_self_trade_prevention_is_told():
    desk = Desk()
    socket = desk.user_socket()
    desk.place(side="SELL", price=60_000.01, qty="1")
    desk.core.nudge("BTCUSDT", BID, desk.instrument.lots("1"))
    desk.place(price=60_000.01, qty="1")
    told = [(one["x"], one["X"], one["S"]) for one in reports(socket, spot=True)]
    assert ("EXPIRED", "EXPIRED_IN_MATCH", "SELL") in told


@VENUES
def test_nobody_hears_of_the_orders_of_others(spot):
    desk = Desk(spot)
    socket = desk.user_socket()
    desk.core.add_account("somebody", "else", {"USDT": 10**6, "BTC": 10})
    desk.core.place("somebody", NewOrder("BTCUSDT", BID, desk.instrument.lots("1"), desk.instrument.ticks(59_000)))
    assert socket.heard() == []


# --- money ------------------------------------------------------------------------------------------------------------
def test_spot_balances_that_changed(shared):
    desk = Desk()
    socket = desk.user_socket()
    desk.place(price=59_000, qty="1")
    told = events(socket, "outboundAccountPosition")[-1]
    same_shape(told, sample(shared, "account_position"))
    assert {"a": "USDT", "f": "941000.00000000", "l": "59000.00000000"} in told["B"]
    desk.core.deposit(KEY, "USDT", 1000)
    assert events(socket, "outboundAccountPosition")[-1]["B"] == [{"a": "USDT", "f": "942000.00000000", "l": "59000.00000000"}]


def test_futures_wallet_position_and_funding(shared):
    desk = Desk(spot=False)
    socket = desk.user_socket()
    desk.place(type="MARKET", price=None, timeInForce=None, qty="1")
    told = events(socket, "ACCOUNT_UPDATE")[-1]
    wanted = sample(shared, "account_update")
    same_shape(told["a"], wanted["a"])
    same_shape(told["a"]["P"][0], wanted["a"]["P"][0])
    # bought 1 at 60000.1 for 5 bp; the mark is still 60000.05, for the public hears of the trade after its owner
    assert told["a"]["B"] == [{"a": "USDT", "wb": "999969.99995000", "cw": "999969.99995000", "bc": "0"}]
    assert {name: told["a"]["P"][0][name] for name in ("s", "pa", "ep", "up", "ps")} == {
        "s": "BTCUSDT",
        "pa": "1.000",
        "ep": "60000.10000000",
        "up": "-0.05000000",
        "ps": "BOTH",
    }
    received = desk.core.fund("BTCUSDT", "0.0001")[KEY]
    told = events(socket, "ACCOUNT_UPDATE")[-1]["a"]
    assert (told["m"], told["P"], Decimal(told["B"][0]["bc"])) == ("FUNDING_FEE", [], received.quantize(Decimal("1e-8")))


# --- listen keys ------------------------------------------------------------------------------------------------------
def keyed(spot, **options):
    """Return a desk, the path of its keys and a key."""
    desk = Desk(spot, **options)
    path = "userDataStream" if spot else "listenKey"
    return desk, path, desk.ask("POST", path, signed=False)["listenKey"]


@VENUES
@pytest.mark.parametrize("form", ["ws", "stream", "query", "message"])
def test_every_way_to_a_user_stream(spot, form):
    desk, _, key = keyed(spot)
    base = "" if spot else "/private"
    if form == "message":
        socket = desk.open(f"{base}/ws")
        desk.say(socket, method="SUBSCRIBE", params=[key], id=1)
    elif form == "query" and spot:
        socket = desk.open("/stream/ws/" + key)  # as ccxt has it on the plain port
    else:
        ways = {"ws": (f"{base}/ws/{key}", ""), "stream": (f"{base}/stream", f"streams={key}"), "query": (f"{base}/ws", f"listenKey={key}")}
        socket = desk.open(*ways[form])
    desk.place()
    (first, *_) = socket.heard("user")
    if form == "stream":
        assert first["stream"] == key
        first = first["data"]
    assert first["e"] == ("executionReport" if spot else "ORDER_TRADE_UPDATE")


def test_a_futures_key_needs_its_route_and_may_ask_for_some_events():
    desk, _, key = keyed(spot=False)
    sockets = [
        desk.open(f"/ws/{key}"),
        desk.open(f"/public/ws/{key}"),
        desk.open("/private/stream", f"listenKey={key}&events=ACCOUNT_UPDATE"),
    ]
    desk.place(type="MARKET", price=None, timeInForce=None, qty="1")
    assert [len(socket.heard()) for socket in sockets[:2]] == [0, 0]
    assert {event["data"]["e"] for event in sockets[2].heard()} == {"ACCOUNT_UPDATE"}
    desk, _, key = keyed(spot=False, old_paths=True)
    socket = desk.open(f"/ws/{key}")
    desk.place()
    assert socket.heard()


@VENUES
def test_a_key_lives_an_hour_from_its_last_renewal(spot):
    desk, path, key = keyed(spot)
    socket = desk.open(f"/ws/{key}" if spot else f"/private/ws/{key}")
    desk.wait(HOUR_MS - 1)
    desk.ask("PUT", path, signed=False, **({"listenKey": key} if spot else {}))
    desk.wait(HOUR_MS)
    assert socket.heard() == []
    assert desk.ask("POST", path, signed=False) == {"listenKey": key}  # the same one, and renewed
    desk.wait(HOUR_MS)
    assert socket.heard() == []
    desk.wait(1)
    assert socket.heard() == [{"e": "listenKeyExpired", "E": desk.now_ms, "listenKey": key}]
    desk.place()
    assert socket.heard() == []
    assert socket.ended is None  # the connection stays open and silent
    gone = desk.denied(desk.ask, "PUT", path, signed=False, listenKey=key)
    assert gone == (400, -1125, "This listenKey does not exist.")
    assert desk.ask("POST", path, signed=False)["listenKey"] != key


@VENUES
def test_a_key_that_is_closed_or_never_was(spot):
    desk, path, key = keyed(spot, key_life_s=5)
    socket = desk.open(f"/ws/{key}" if spot else f"/private/ws/{key}")
    desk.ask("DELETE", path, signed=False, listenKey=key)
    desk.place()
    assert socket.heard() == []
    assert desk.denied(desk.ask, "DELETE", path, signed=False, listenKey=key)[1] == -1125
    stranger = desk.open("/ws/nobodys" if spot else "/private/ws/nobodys")
    desk.place()
    assert (stranger.heard(), stranger.ended) == ([], None)
    key = desk.ask("POST", path, signed=False)["listenKey"]
    desk.wait(5001)
    assert desk.denied(desk.ask, "PUT", path, signed=False, listenKey=key)[1] == -1125


@VENUES
def test_a_fault_ends_a_key_with_or_without_a_word(spot):
    desk = Desk(spot)
    socket = desk.user_socket()
    desk.faults.fate = "silent"
    desk.wait(1)
    desk.faults.fate = ""
    desk.place()
    desk.wait(1)
    assert socket.heard() == []
    desk = Desk(spot)
    socket = desk.user_socket()
    desk.faults.fate = "expire"
    desk.wait(1)
    desk.faults.fate = ""
    (told,) = [one.get("event", one) for one in socket.heard()]
    assert told["e"] == ("eventStreamTerminated" if spot else "listenKeyExpired")
    desk.place()
    assert socket.heard() == []
    assert desk.user_socket() is not None  # and one may begin anew


# --- ws-api -----------------------------------------------------------------------------------------------------------
WISH = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "59000"}


def test_spot_orders_over_ws_api():
    desk = Desk()
    socket = desk.open("/ws-api/v3")
    told = desk.call(socket, "order.place", newClientOrderId="mine", **WISH)
    assert (told["id"], told["status"], told["result"]["clientOrderId"], told["result"]["status"]) == ("7", 200, "mine", "NEW")
    limits = [(one["rateLimitType"], one["interval"], one["intervalNum"], one["count"]) for one in told["rateLimits"]]
    assert limits == [("ORDERS", "SECOND", 10, 1), ("ORDERS", "DAY", 1, 1), ("REQUEST_WEIGHT", "MINUTE", 1, 3)]  # 2 for the connection
    number = told["result"]["orderId"]
    assert desk.call(socket, "order.status", symbol="BTCUSDT", orderId=number)["result"]["origQty"] == "0.01000000"
    both = desk.call(socket, "order.cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=number, **{**WISH, "price": "58000"})
    assert both["result"]["newOrderResponse"]["price"] == "58000.00000000"
    failed = desk.call(socket, "order.cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=number, **WISH)
    assert (failed["status"], failed["error"]["code"], failed["error"]["data"]["newOrderResult"]) == (400, -2022, "NOT_ATTEMPTED")
    kept = desk.call(
        socket, "order.amend.keepPriority", symbol="BTCUSDT", orderId=both["result"]["newOrderResponse"]["orderId"], newQty="0.005"
    )
    assert kept["result"]["amendedOrder"]["qty"] == "0.00500000"
    assert len(desk.call(socket, "openOrders.status")["result"]) == 1
    assert len(desk.call(socket, "openOrders.cancelAll", symbol="BTCUSDT")["result"]) == 1
    told = desk.call(socket, "order.cancel", symbol="BTCUSDT", orderId=number)
    assert (told["status"], told["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})
    assert desk.call(socket, "account.status")["result"]["accountType"] == "SPOT"
    assert "rateLimits" not in desk.call(socket, "account.status", returnRateLimits=False)


def test_futures_orders_over_ws_api():
    desk = Desk(spot=False)
    socket = desk.open("/ws-fapi/v1")
    number = desk.call(socket, "order.place", **WISH)["result"]["orderId"]
    told = desk.call(socket, "order.modify", symbol="BTCUSDT", orderId=number, side="BUY", quantity="0.02", price="58000")
    assert (told["result"]["orderId"], told["result"]["origQty"]) == (number, "0.020")
    assert desk.call(socket, "order.status", symbol="BTCUSDT", orderId=number)["result"]["price"] == "58000.00"
    assert desk.call(socket, "order.cancel", symbol="BTCUSDT", orderId=number)["result"]["status"] == "CANCELED"
    assert desk.call(socket, "v2/account.balance")["result"][0]["asset"] == "USDT"
    assert desk.call(socket, "account.position")["result"][0]["symbol"] == "BTCUSDT"
    key = desk.say(socket, id="1", method="userDataStream.start", params={"apiKey": KEY})["result"]["listenKey"]
    assert desk.say(socket, id="1", method="userDataStream.ping", params={"apiKey": KEY})["result"] == {"listenKey": key}


@VENUES
def test_what_ws_api_refuses(spot):
    desk = Desk(spot)
    socket = desk.open("/ws-api/v3" if spot else "/ws-fapi/v1")
    assert desk.say(socket, id=1, method="time")["result"] == {"serverTime": desk.now_ms}
    assert desk.say(socket, id=1, method="ping")["result"] == {}
    wrong = desk.say(socket, id=1, method="order.place", params={**WISH, "apiKey": KEY, "timestamp": desk.now_ms, "signature": "0"})
    assert wrong["error"]["code"] == -1022
    assert desk.say(socket, id=1, method="order.place", params=WISH)["error"]["code"] == -2014
    assert desk.call(socket, "session.logon")["error"] == {"code": -4056, "msg": "HMAC_SHA256 API key is not supported."}
    assert desk.say(socket, id=1, method="v1/login")["error"] == {"code": -5000, "msg": "Method v1/login is invalid"}
    desk.skin.message(socket, "{")
    assert json.loads(socket.frames[-1][2])["error"]["code"] == -1135
    if not spot:
        assert desk.call(socket, "userDataStream.subscribe.signature")["error"]["code"] == -5000


def test_weights_are_one_budget_over_rest_and_ws_api():
    desk = Desk(weight_max=30)
    socket = desk.open("/ws-api/v3")
    desk.get("exchangeInfo", signed=False)
    told = desk.say(socket, id=1, method="exchangeInfo")
    assert (told["status"], told["error"]["code"]) == (429, -1003)
    assert told["error"]["data"] == {"serverTime": desk.now_ms, "retryAfter": desk.now_ms + 61_000}


def test_subscriptions_come_and_go():
    desk = Desk()
    socket = desk.open("/ws-api/v3")
    assert [desk.call(socket, "userDataStream.subscribe.signature")["result"]["subscriptionId"] for _ in range(2)] == [0, 1]
    desk.place()
    assert [event["subscriptionId"] for event in socket.heard() if event["event"]["e"] == "executionReport"] == [0, 1]
    desk.say(socket, id=1, method="userDataStream.unsubscribe", params={"subscriptionId": 0})
    desk.place()
    assert {event["subscriptionId"] for event in socket.heard()} == {1}
    desk.skin.closed(socket)
    desk.place(side="SELL", price=60_500)
    assert socket.heard() == []
    assert desk.skin.users.keys == {}

"""Whatever a client sends, the Binance skins answer: an exception would be a defect of the venue."""

import json

import pytest
from binance_client import KEY, Denied, Desk
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = (
    *("symbol", "side", "type", "timeInForce", "quantity", "price", "orderId", "origClientOrderId", "newClientOrderId", "limit", "fromId"),
    *("startTime", "endTime", "recvWindow", "interval", "newQty", "cancelReplaceMode", "cancelOrderId", "newOrderRespType", "batchOrders"),
    *("orderIdList", "countdownTime", "listenKey", "symbols", "leverage", "quoteOrderQty", "reduceOnly", "selfTradePreventionMode"),
)
WORDS = (
    *(
        "BTCUSDT",
        "NOPE",
        "BUY",
        "SELL",
        "LIMIT",
        "MARKET",
        "LIMIT_MAKER",
        "GTC",
        "IOC",
        "FOK",
        "GTX",
        "0",
        "1",
        "-1",
        "0.01",
        "59000",
        "60000.5",
    ),
    *(
        "1e9",
        "99999999999999999999",
        "true",
        "1m",
        "[]",
        "[1]",
        "[{}]",
        '[{"symbol":"BTCUSDT"}]',
        "STOP_ON_FAILURE",
        "ALLOW_FAILURE",
        "FULL",
        "",
    ),
)
VALUES = st.one_of(st.sampled_from(WORDS), st.text(max_size=8))
PARAMS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
SPOT = pytest.mark.parametrize("spot", [True, False], ids=["spot", "usdm"])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), VALUES), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@SPOT
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_endpoint_answers_nonsense(spot, data):
    desk = Desk(spot, weight_max=10**9)
    desk.place()
    refused = []
    for (method, path), route in desk.skin.routes.items():
        params = data.draw(PARAMS)
        try:
            desk.ask(method, path, signed=route.security != "none", **params)
        except Denied as denied:
            refused.append(denied)
    assert all(one.code < 0 and one.msg and one.status in {400, 401, 409, 429} for one in refused)
    desk.wait(100)


@SPOT
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_connection_answers_nonsense(spot, data):
    desk = Desk(spot, weight_max=10**9)
    streams, requests = desk.open("/ws"), desk.open("/ws-api/v3" if spot else "/ws-fapi/v1")
    for method in ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "GET_PROPERTY", "SET_PROPERTY"):
        desk.wait(1000)
        answer = desk.say(streams, method=method, params=data.draw(JSON), id=3)
        assert answer["id"] == 3
    for method in desk.skin.wsapi.methods:
        answer = desk.call(requests, method, **data.draw(PARAMS))
        assert (answer["status"] == 200) == ("result" in answer)
        assert json.loads(json.dumps(answer["id"])) == "7"
    for text in data.draw(st.lists(st.text(max_size=20), max_size=5)):
        desk.skin.message(requests, text)
        desk.wait(1000)
        desk.skin.message(streams, text)


@SPOT
@given(paths=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=5))
@settings(deadline=None)
def test_every_path_can_be_dialled(spot, paths):
    desk = Desk(spot)
    for path, query in paths:
        socket = desk.open("/" + path, query)
        desk.wait(100)
        desk.skin.closed(socket)
    assert desk.core.account(KEY) is not None

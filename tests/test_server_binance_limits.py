"""Budgets of the Binance skins: weights by address, orders by account, and what becomes of who goes on asking."""

import pytest
from binance_client import Desk
from hypothesis import given
from hypothesis import strategies as st

from hftlab.types import BID
from hftlab.venues.server.binance_common import Denied
from hftlab.venues.server.binance_limits import PATIENCE, SECOND, Limits, OrderLimit

MINUTE_MS = 60_000
LEGS = (OrderLimit("SECOND", 10, 100), OrderLimit("DAY", 1, 1000))


@pytest.mark.parametrize(
    ("spot", "path", "params", "weight"),
    [
        (True, "ping", {}, 1),
        (True, "exchangeInfo", {}, 20),
        (True, "depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
        (True, "depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
        (True, "depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
        (True, "ticker/24hr", {}, 80),
        (True, "ticker/24hr", {"symbol": "BTCUSDT"}, 2),
        (False, "depth", {"symbol": "BTCUSDT"}, 10),
        (False, "depth", {"symbol": "BTCUSDT", "limit": 1000}, 20),
        (False, "klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1500}, 10),
        (False, "premiumIndex", {}, 10),
    ],
)
def test_weights_as_published(spot, path, params, weight):
    desk = Desk(spot)
    desk.get(path, signed=False, **params)
    assert desk.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_signed_weights_and_separate_wallet_budget():
    desk = Desk()
    desk.get("openOrders")
    desk.get("openOrders", symbol="BTCUSDT")
    assert desk.headers["X-MBX-USED-WEIGHT-1M"] == "86"
    desk.ask("GET", "/sapi/v1/capital/config/getall")
    assert desk.headers == {"X-SAPI-USED-IP-WEIGHT-1M": "10"}


def test_too_much_then_far_too_much():
    desk = Desk(weight_max=100)
    desk.wait(50_000)
    for _ in range(5):
        desk.get("exchangeInfo", signed=False)
    text = "Too much request weight used; current limit is 100 request weight per 1 MINUTE. "
    text += "Please use WebSocket Streams for live updates to avoid polling the API."
    for _ in range(PATIENCE):
        assert desk.denied(desk.get, "ping", signed=False) == (429, -1003, text)
        assert desk.headers["Retry-After"] == "11"  # the minute is over in ten seconds
    status, code, text = desk.denied(desk.get, "ping", signed=False)
    assert (status, code, desk.headers["Retry-After"]) == (418, -1003, "121")
    assert text.startswith(f"Way too much request weight used; IP banned until {desk.now_ms + 120_000}.")
    assert desk.raw("GET", "/api/v3/ping", client="127.0.0.2").status == 200  # somebody else is not banned
    desk.wait(119_999)
    assert desk.denied(desk.get, "ping", signed=False)[0] == 418
    desk.wait(1)
    assert desk.get("ping", signed=False) == {}
    assert desk.headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_whoever_waits_is_heard_again():
    desk = Desk(weight_max=20)
    desk.get("exchangeInfo", signed=False)
    assert desk.denied(desk.get, "ping", signed=False)[0] == 429
    desk.wait(MINUTE_MS)
    assert desk.get("ping", signed=False) == {}


def test_orders_by_account():
    desk = Desk(orders=[("SECOND", 10, 2), ("DAY", 1, 3)])
    desk.wait(3000)
    desk.place()
    assert (desk.headers["X-MBX-ORDER-COUNT-10S"], desk.headers["X-MBX-ORDER-COUNT-1D"]) == ("1", "1")
    assert desk.denied(desk.place, price=0.001)[1] == -1013
    assert desk.headers["X-MBX-ORDER-COUNT-10S"] == "1"  # what was refused is not counted
    desk.place()
    assert desk.denied(desk.place) == (429, -1015, "Too many new orders; current limit is 2 orders per 10 SECOND.")
    assert desk.headers["Retry-After"] == "8"
    assert [one["count"] for one in desk.get("rateLimit/order")] == [2, 2]
    desk.wait(7000)
    desk.place()
    assert desk.denied(desk.place)[2] == "Too many new orders; current limit is 3 orders per 1 DAY."
    assert {one["rateLimitType"] for one in desk.get("exchangeInfo", signed=False)["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS"}


def test_the_published_stories_of_unfilled_orders():
    # "Spot Unfilled Order Count Rules", example 1 (taker): A rests, B takes, C rests, D takes: 1, 1, 2, 2
    desk, counts = Desk(), []
    for price, qty in ((59_000, "0.01"), (60_000.01, "0.01"), (59_000, "0.01"), (60_000.01, "0.01")):
        desk.place(price=price, qty=qty)
        counts.append(desk.skin.limits.count("k" * 64, desk.skin.limits.orders[0], desk.now_ns))
    assert counts == [1, 1, 2, 2]
    # example 2 (maker): five orders rest, the first fill of one gives back five; its second fill nothing
    desk = Desk()
    count = lambda: desk.skin.limits.count("k" * 64, desk.skin.limits.orders[0], desk.now_ns)  # noqa: E731
    first = desk.place(price=60_000, qty="1")
    for _ in range(4):
        desk.place(price=59_999)
    live = desk.core.order("k" * 64, "BTCUSDT", order_id=first["orderId"])
    desk.core.fill_order(live, desk.instrument.lots("0.5"))
    assert count() == 0
    desk.place(price=59_999)
    desk.core.fill_order(live, desk.instrument.lots("0.5"))
    assert (live.leaves_lots, count()) == (0, 1)


def test_futures_count_amends_and_give_nothing_back():
    desk = Desk(spot=False)
    order = desk.place(price=60_000, qty="1")
    desk.ask("PUT", "order", symbol="BTCUSDT", orderId=order["orderId"], side="BUY", price=60_000, quantity="0.5")
    assert (desk.headers["X-MBX-ORDER-COUNT-10S"], desk.headers["X-MBX-ORDER-COUNT-1M"]) == ("2", "2")
    assert desk.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    desk.core.nudge("BTCUSDT", -BID, desk.instrument.lots("2"))
    desk.place()
    assert desk.headers["X-MBX-ORDER-COUNT-10S"] == "3"


def test_whoever_dials_too_often_is_cut_off():
    desk = Desk(dials_max=3)
    assert [desk.open("/ws").ended for _ in range(4)] == [None, None, None, (1008, "Too many requests")]
    desk.wait(300_000)
    assert desk.open("/ws").ended is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-5, 1), st.integers(0, 3)), max_size=40))
def test_a_count_is_the_sum_of_its_window_and_never_below_zero(steps):
    limits, now_ns = Limits(10**9, LEGS), 0
    counts = dict.fromkeys(LEGS, (0, 0))
    for seconds, orders, _ in steps:
        now_ns += seconds * SECOND
        limits.add("a", now_ns, orders)
        for limit in LEGS:
            window, count = counts[limit]
            count = count if window == now_ns // limit.ns else 0
            counts[limit] = (now_ns // limit.ns, max(0, count + orders))
            assert limits.count("a", limit, now_ns) == counts[limit][1]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_within_a_minute_nothing_over_the_limit_is_let_through(weights):
    limits, let = Limits(500), 0
    for weight in weights:
        try:
            limits.spend("a", weight, 0)
        except Denied:
            continue
        let += weight
    assert let <= 500
    assert let == sum(weights) or sum(weights) > 500

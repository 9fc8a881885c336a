"""Faults of requests: what a client is told, and what the venue really did."""

import asyncio
import json

import aiohttp
import pytest
from tiny_client import session, socket_to, until
from tiny_venue import TinySkin

from hftlab.venues.server.refusals import message_kind, refusal
from hftlab.venues.server.serve import LoopbackVenue

LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)


@pytest.fixture
def skin():
    return TinySkin("binance")


@pytest.fixture
def venue(skin):
    with LoopbackVenue([skin], tls=False) as started:
        yield started


def ask(venue, path="/order", *, times=1, query="symbol=BTCUSDT"):
    """Return the answers to requests in a row: (status, body, headers), or None where there was none."""

    async def one(client):
        try:
            async with client.post(f"{venue.url}/binance{path}?{query}") as reply:
                return reply.status, await reply.text(), dict(reply.headers)
        except LOST:
            return None

    async def story():
        async with session() as client:
            return [await one(client) for _ in range(times)]

    return asyncio.run(story())


def lasting(venue, *fault, **options):
    """Arm a spell and wait until it is on."""
    number = venue.add_fault(*fault, **options)
    asyncio.run(until(lambda: any(one["on"] and one["number"] == number for one in venue.do("faults"))))
    return number


@pytest.mark.parametrize(
    ("fault", "options", "acted", "status"),
    [
        ("accept_then_timeout", {"s": 0.1}, True, None),
        ("accept_then_timeout", {"say": "unknown"}, True, 408),
        ("accept_then_timeout", {"say": "gateway"}, True, 504),
        ("reject_then_timeout", {"s": 0.1}, False, None),
        ("reject_then_timeout", {"say": "unknown"}, False, 408),
        ("reset_before", {}, False, None),
        ("reset_after", {}, True, None),
    ],
    ids=str,
)
def test_an_answer_is_lost_whether_or_not_the_venue_acted(venue, skin, fault, options, acted, status):
    venue.add_fault(fault, at_event=2, **options)
    first, second, third = ask(venue, times=3)
    assert first[0] == third[0] == 200
    assert (second[0] if second else None) == status
    assert len(skin.requests) == 2 + acted
    assert [one["name"] for one in venue.injected()] == [fault]


@pytest.mark.parametrize(
    ("fault", "options", "acted", "told"),
    [
        ("accept_then_timeout", {}, True, "nothing"),
        ("accept_then_timeout", {"say": "unknown"}, True, -1007),
        ("reject_then_timeout", {}, False, "nothing"),
        ("reject_then_timeout", {"say": "unknown"}, False, -1007),
        ("reset_before", {}, False, "the end"),
        ("reset_after", {}, True, "the end"),
    ],
    ids=str,
)
def test_the_same_over_a_websocket(venue, skin, fault, options, acted, told):
    venue.add_fault(fault, **options)

    async def story():
        async with socket_to(venue, "/binance/ws-api/v3") as ws:
            await ws.send_str(json.dumps({"id": 1, "method": "order.place", "params": {"symbol": "BTCUSDT"}}))
            await ws.send_str(json.dumps({"id": 2, "method": "time"}))
            message = await ws.receive()
            return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else "the end"

    answer = asyncio.run(story())
    if told == "the end":
        assert answer == told
    elif told == "nothing":
        assert answer["id"] == 2
    else:
        assert (answer["id"], answer["error"]["code"]) == (1, told)
    assert sum(one["method"] == "order.place" for one in skin.messages) == acted


def test_only_the_requests_that_are_meant_are_struck(venue, skin):
    venue.add_fault("reset_before", symbol="ETHUSDT")
    assert ask(venue)[0][0] == 200
    assert ask(venue, "/cancel", query="symbol=ETHUSDT")[0] is None
    venue.add_fault("reset_before", kind="*", path="/api/*/account", text="recvWindow=5000")
    assert ask(venue, "/api/v3/account", query="recvWindow=10000")[0][0] == 200
    assert ask(venue, "/api/v3/account", query="recvWindow=5000")[0] is None


def test_too_many_requests_then_a_ban_for_those_who_go_on(venue, skin):
    lasting(venue, "rate_limit", s=30.0, k=2, ban_s=60.0)
    answers = ask(venue, times=4)
    assert [one[0] for one in answers] == [429, 429, 418, 418]
    assert [json.loads(one[1])["code"] for one in answers] == [-1003] * 4
    assert 25 <= int(answers[0][2]["Retry-After"]) <= 30
    assert 55 <= int(answers[3][2]["Retry-After"]) <= 60
    assert not skin.requests
    venue.clear_faults()
    assert ask(venue)[0][0] == 200


def test_too_many_orders_leaves_cancels_alone(venue):
    lasting(venue, "order_limit", s=30.0)
    ((status, body, _),) = ask(venue, "/order")
    assert (status, json.loads(body)["code"]) == (429, -1015)
    assert ask(venue, "/cancel")[0][0] == 200


def test_maintenance_may_be_of_cancels_alone(venue):
    lasting(venue, "maintenance", s=30.0, kind="cancel")
    ((status, body, _),) = ask(venue, "/cancel")
    assert (status, json.loads(body)["code"]) == (503, -1016)
    assert ask(venue, "/order")[0][0] == 200
    lasting(venue, "maintenance", s=30.0)
    assert ask(venue, "/order")[0][0] == 503


def test_slow_orders_are_slow_before_the_venue_sees_them(venue, skin):
    lasting(venue, "latency", kind="order", ms=400, s=0.0)

    async def story():
        async with session() as client:
            order = asyncio.create_task(client.post(f"{venue.url}/binance/order"))
            await until(lambda: venue.do("stats")["served"] == 1)
            async with client.post(f"{venue.url}/binance/cancel") as cancel:
                await cancel.text()
            seen = [request.path for request in skin.requests]
            async with await order as reply:
                return seen, reply.status

    assert asyncio.run(story()) == (["/cancel"], 200)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"id": 1, "method": "order.place"}, "order"),
        ({"id": 1, "method": "order.modify"}, "amend"),
        ({"id": 1, "method": "order.cancel"}, "cancel"),
        ({"id": 1, "method": "SUBSCRIBE", "params": ["btcusdt@depth"]}, ""),
        ({"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}}, ""),
        ({"method": "post", "id": 1, "request": {"type": "action", "payload": {"action": {"type": "order"}}}}, "order"),
        ({"method": "post", "id": 1, "request": {"type": "action", "payload": {"action": {"type": "cancelByCloid"}}}}, "cancel"),
        ({"method": "post", "id": 1, "request": {"type": "info", "payload": {"type": "openOrders"}}}, "query"),
        ([1, 2], ""),
        ({"method": 3}, ""),
    ],
    ids=str,
)
def test_requests_are_told_from_other_messages(message, kind):
    assert message_kind(message) == kind


def test_each_venue_refuses_in_its_own_words():
    # Binance's error list: -1003 TOO_MANY_REQUESTS, -1007 TIMEOUT, -1015 TOO_MANY_ORDERS, -1016 SERVICE_SHUTTING_DOWN
    codes = {what: refusal("binanceusdm", what).body["code"] for what in ("rate", "ban", "orders", "maintenance", "unknown")}
    assert codes == {"rate": -1003, "ban": -1003, "orders": -1015, "maintenance": -1016, "unknown": -1007}
    assert "banned until 1700000000000" in refusal("binance", "ban", until_ms=1_700_000_000_000).body["msg"]
    assert refusal("hyperliquid", "rate").status == 429
    assert isinstance(refusal("binance", "gateway").body, bytes)

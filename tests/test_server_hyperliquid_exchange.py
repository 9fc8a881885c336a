"""Actions of the loopback Hyperliquid: who may, what becomes of it, and in which words."""

from decimal import Decimal

import ccxt
import pytest
from hyperliquid_client import BTC, MID, NoFaults, Wallet, World, cloid, wire
from hypothesis import given
from hypothesis import strategies as st

from hftlab.venues.server.hyperliquid_signing import action_hash
from hftlab.venues.server.hyperliquid_text import price_fits


def test_an_action_hashes_to_the_number_in_the_tests_of_the_official_sdk():
    # hyperliquid-python-sdk, tests/signing_test.py, test_phantom_agent_creation_matches_production
    order = {"a": 4, "b": True, "p": "1670.1", "s": "0.0147", "r": False, "t": {"limit": {"tif": "Ioc"}}}
    found = action_hash({"type": "order", "orders": [order], "grouping": "na"}, 1677777606040, None, None)
    assert found.hex() == "0fcbeda5ae3c4950a548021552a4fea2226858c4453571bf3f24ba017eac2908"


@pytest.mark.parametrize("source", ["a", "b"])
def test_clients_of_mainnet_and_of_testnet_are_both_recognised(source):
    world = World()
    body = world.act({"type": "order", "orders": [wire(True, MID - 100, "0.01")], "grouping": "na"}, source=source)
    assert body == {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 1}}]}}}


def test_what_ccxt_signs_is_recognised():
    world = World()
    client = ccxt.hyperliquid({"privateKey": "0x" + (7).to_bytes(32, "big").hex(), "walletAddress": world.wallet.address})
    action, nonce = {"type": "order", "orders": [wire(False, MID + 200, "0.02")], "grouping": "na"}, world.nonce()
    reply = world.post("/exchange", {"action": action, "nonce": nonce, "signature": client.sign_l1_action(action, nonce)})
    assert reply.body["response"]["data"]["statuses"] == [{"resting": {"oid": 1}}]


def test_a_stranger_is_told_the_address_that_signed():
    world, stranger = World(), Wallet(99)
    body = world.act({"type": "noop"}, wallet=stranger)
    assert body == {"status": "err", "response": f"User or API Wallet {stranger.address} does not exist."}


def test_a_changed_action_has_another_signer():
    world = World()
    request = world.wallet.request({"type": "order", "orders": [wire(True, MID - 1, "0.01")], "grouping": "na"}, world.nonce())
    request["action"]["orders"][0]["s"] = "0.02"
    assert "does not exist" in world.post("/exchange", request).body["response"]
    assert world.mine("openOrders") == []


def test_a_nonce_is_good_once_and_near_the_clock():
    world, action = World(), {"type": "noop"}
    nonce = world.nonce()
    assert world.post("/exchange", world.wallet.request(action, nonce)).body == {"status": "ok", "response": {"type": "default"}}
    again = world.post("/exchange", world.wallet.request(action, nonce)).body
    assert again == {"status": "err", "response": f"Invalid nonce: duplicate nonce {nonce}"}
    old = world.post("/exchange", world.wallet.request(action, nonce - 3 * 86_400_000)).body
    assert old["status"] == "err"
    assert old["response"].startswith("Invalid nonce")


def test_an_action_past_its_time_is_refused():
    world = World()
    now_ms = world.now_ns // 10**6
    assert world.act({"type": "noop"}, expires_ms=now_ms - 1) == {"status": "err", "response": "Action already expired"}
    assert world.act({"type": "noop"}, expires_ms=now_ms + 1000)["status"] == "ok"


def test_an_approved_agent_acts_for_its_master_until_it_is_removed():
    world, agent = World(), Wallet(8)
    order = {"type": "order", "orders": [wire(True, MID - 1, "0.01")], "grouping": "na"}

    def approve(address):
        nonce = world.nonce()
        action = {"type": "approveAgent", "hyperliquidChain": "Mainnet", "signatureChainId": "0x66eee", "agentAddress": address}
        return world.post("/exchange", world.wallet.user_request(action | {"agentName": "desk", "nonce": nonce}, nonce)).body

    assert world.act(order, wallet=agent)["status"] == "err"
    assert approve(agent.address) == {"status": "ok", "response": {"type": "default"}}
    assert world.act(order, wallet=agent)["status"] == "ok"
    assert [row["oid"] for row in world.mine("openOrders")] == [1]
    assert world.info("userRole", user=agent.address) == {"role": "agent", "data": {"user": world.wallet.address}}
    approve("0x" + "0" * 40)
    assert "does not exist" in world.act(order, wallet=agent)["response"]


def test_a_builder_without_leave_stops_the_whole_action():
    world, builder = World(), "0x" + "ab" * 20
    action = {"type": "order", "orders": [wire(True, MID - 1, "0.01")], "grouping": "na", "builder": {"b": builder, "f": 10}}
    assert world.act(action) == {"status": "err", "response": "Builder fee has not been approved."}
    nonce = world.nonce()
    leave = {"hyperliquidChain": "Mainnet", "signatureChainId": "0x66eee", "maxFeeRate": "0.01%", "builder": builder, "nonce": nonce}
    world.post("/exchange", world.wallet.user_request(leave | {"type": "approveBuilderFee"}, nonce))
    assert world.act(action)["status"] == "ok"
    assert world.mine("maxBuilderFee", builder=builder) == 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b'{"action": {"type": "order"}}',
        b'{"action": {"type": "fly"}, "nonce": 1, "signature": {"r": "0x1", "s": "0x1", "v": 27}}',
    ],
)
def test_what_cannot_be_read_is_answered_with_422(body):
    assert World().post("/exchange", body).status == 422
    assert World().post("/info", body).status == 422


@given(st.binary(max_size=200))
def test_no_body_is_an_exception(body):
    assert WORLD.post("/exchange", body).status == 422
    assert WORLD.post("/info", body).status == 422


WORLD = World(weight_per_min=10**9)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (wire(True, "100000.5", "0.01"), "Price must be divisible by tick size. asset=0"),  # 7 figures
        (wire(True, "9999.5", "0.01"), "Price must be divisible by tick size. asset=0"),  # 5 figures, but the grid is 1
        (wire(True, MID, "0.000001"), "Order has invalid size. asset=0"),
        (wire(True, MID, "0"), "Order has zero size. asset=0"),
        (wire(True, MID, "0.00009"), "Order must have minimum value of $10. asset=0"),
        (wire(True, MID, "50"), "Insufficient margin to place order. asset=0"),
        (wire(True, MID + 1, "0.01", "Alo"), "Post only order would have immediately matched, bbo was 105000@105001. asset=0"),
        (wire(True, MID, "0.01", "Ioc"), "Order could not immediately match against any resting orders. asset=0"),
        (wire(False, MID, "0.01", reduce_only=True), "Reduce only order would increase position. asset=0"),
    ],
)
def test_refusals_are_in_the_words_of_the_venue(order, words):
    world = World()
    assert world.order(order) == [{"error": words}]
    assert world.mine("openOrders") == []


def test_one_refused_order_of_a_batch_does_not_stop_the_others():
    statuses = World().order(wire(True, MID - 5, "0.01", cloid=cloid(1)), wire(True, MID, "0"), wire(False, MID + 9, "0.01", "Alo"))
    assert statuses == [{"resting": {"oid": 1, "cloid": cloid(1)}}, {"error": "Order has zero size. asset=0"}, {"resting": {"oid": 2}}]


def test_a_taking_order_tells_its_average_price():
    # the ladder holds 1 BTC a level: 1 at 105001 and 0.5 at 105002 are 1.5 at 105001.333333
    assert World().order(wire(True, MID + 10, "1.5", "Ioc")) == [{"filled": {"totalSz": "1.5", "avgPx": "105001.333333", "oid": 1}}]


@given(st.integers(1, 10**7), st.integers(-8, 8), st.integers(0, 6))
def test_a_price_fits_by_figures_and_decimals_or_by_being_whole(digits, exponent, size_decimals):
    price = Decimal(digits).scaleb(exponent)
    text = f"{price.normalize():f}"
    figures = text.replace(".", "").strip("0")
    decimals = len(text.partition(".")[2])
    instrument = BTC.__class__(**(BTC.to_dict() | {"lot_size": str(Decimal(1).scaleb(-size_decimals))}))
    assert price_fits(price, instrument) == (decimals == 0 or (len(figures) <= 5 and decimals <= 6 - size_decimals))


def test_cancel_by_oid_and_by_cloid():
    world = World()
    world.order(wire(True, MID - 5, "0.01"), wire(True, MID - 6, "0.01", cloid=cloid(2)))
    by_oid = world.act({"type": "cancel", "cancels": [{"a": 0, "o": 1}, {"a": 0, "o": 1}]})
    gone = {"error": "Order was never placed, already canceled, or filled. asset=0"}
    assert by_oid == {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success", gone]}}}
    by_cloid = world.act({"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid(2)}]})
    assert by_cloid["response"]["data"]["statuses"] == ["success"]
    assert world.mine("openOrders") == []


def test_a_modify_makes_a_new_order():
    world = World()
    world.order(wire(True, MID - 5, "0.01", cloid=cloid(1)))
    body = world.act({"type": "batchModify", "modifies": [{"oid": 1, "order": wire(True, MID - 4, "0.03", "Alo", cloid=cloid(1))}]})
    assert body["response"] == {"type": "order", "data": {"statuses": [{"resting": {"oid": 2, "cloid": cloid(1)}}]}}
    assert [(row["oid"], row["limitPx"], row["sz"]) for row in world.mine("openOrders")] == [(2, "104996.0", "0.03")]
    assert world.mine("orderStatus", oid=1)["order"]["status"] == "canceled"
    assert world.mine("orderStatus", oid=cloid(1))["order"]["order"]["oid"] == 2


def test_a_modify_that_is_wrong_by_itself_leaves_the_old_order_and_one_that_the_book_refuses_does_not():
    world = World()
    world.order(wire(True, MID - 5, "0.01"))
    wrong = {"oid": 1, "order": wire(True, "104995.5", "0.01")}
    assert world.act({"type": "batchModify", "modifies": [wrong]})["response"]["data"]["statuses"] == [
        {"error": "Price must be divisible by tick size. asset=0"}
    ]
    assert len(world.mine("openOrders")) == 1
    crossing = {"oid": 1, "order": wire(True, MID + 1, "0.01", "Alo")}
    words = "Error placing new order during modify: Post only order would have immediately matched, bbo was 105000@105001. asset=0"
    assert world.act({"type": "batchModify", "modifies": [crossing]})["response"]["data"]["statuses"] == [{"error": words}]
    assert world.mine("openOrders") == []
    assert world.act({"type": "modify", **crossing}) == {"status": "err", "response": "Cannot modify canceled or filled order"}


def test_an_order_that_fills_while_its_modify_is_on_the_way_is_not_placed_again():
    class Race(NoFaults):
        def before(self, kind, symbol, order):
            if kind == "amend":
                world.core.fill_order(order, order.leaves_lots)

    world = World(faults=Race())
    world.order(wire(True, MID, "0.01"))
    body = world.act({"type": "modify", "oid": 1, "order": wire(True, MID - 1, "0.01")})
    assert body == {"status": "err", "response": "Cannot modify canceled or filled order"}
    assert world.mine("openOrders") == []
    assert world.mine("orderStatus", oid=1)["order"]["status"] == "filled"


def test_the_dead_mans_switch_wants_volume_and_five_seconds():
    world = World()
    now_ms = world.now_ns // 10**6
    refused = world.act({"type": "scheduleCancel", "time": now_ms + 10_000})
    words = "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $0."
    assert refused == {"status": "err", "response": words}
    world = World(schedule_traded_quote_min=0)
    assert "too early" in world.act({"type": "scheduleCancel", "time": now_ms + 4_999})["response"]
    assert world.act({"type": "scheduleCancel", "time": now_ms + 5_000})["status"] == "ok"


def test_the_dead_mans_switch_cancels_when_it_is_due_unless_it_was_pushed_or_disarmed():
    world = World(schedule_traded_quote_min=0)
    world.order(wire(True, MID - 5, "0.01"), wire(False, MID + 5, "0.01"))
    now_ms = world.now_ns // 10**6
    world.act({"type": "scheduleCancel", "time": now_ms + 6_000})
    world.later(5.9)
    assert len(world.mine("openOrders")) == 2
    world.act({"type": "scheduleCancel", "time": now_ms + 12_000})
    world.later(1)
    assert len(world.mine("openOrders")) == 2
    world.act({"type": "scheduleCancel"})
    world.later(20)
    assert len(world.mine("openOrders")) == 2
    world.act({"type": "scheduleCancel", "time": world.now_ns // 10**6 + 5_000})
    world.later(5)
    assert world.mine("openOrders") == []
    assert world.mine("orderStatus", oid=1)["order"]["status"] == "scheduledCancel"


def test_the_tenth_trigger_of_a_day_is_the_last():
    world = World(schedule_traded_quote_min=0, schedule_triggers_per_day=2)
    for _ in range(2):
        world.act({"type": "scheduleCancel", "time": world.now_ns // 10**6 + 5_000})
        world.later(5)
    assert "Too many" in world.act({"type": "scheduleCancel", "time": world.now_ns // 10**6 + 5_000})["response"]
    world.later(86_400)
    assert world.act({"type": "scheduleCancel", "time": world.now_ns // 10**6 + 5_000}, wallet=world.wallet)["status"] == "ok"


def test_an_address_has_a_budget_and_earns_by_trading():
    world = World(requests_initial=3)
    noop = {"type": "noop"}
    assert all(world.act(noop)["status"] == "ok" for _ in range(3))
    assert world.act(noop)["status"] == "ok"  # one in ten seconds is let through
    words = "Too many cumulative requests sent (5 > 3) for cumulative volume traded $0. "
    assert world.act(noop)["response"] == words + "Place taker orders to free up 1 request per USDC traded."
    assert world.mine("userRateLimit") == {"cumVlm": "0.0", "nRequestsUsed": 4, "nRequestsCap": 3}
    assert world.act({"type": "cancel", "cancels": [{"a": 0, "o": 1}]})["status"] == "ok"  # cancels have more room
    world.later(10)
    world.order(wire(True, MID + 10, "0.01", "Ioc"))  # 1050.01 USDC
    assert world.mine("userRateLimit") == {"cumVlm": "1050.01", "nRequestsUsed": 6, "nRequestsCap": 1053}
    assert all(world.act(noop)["status"] == "ok" for _ in range(20))


def test_an_ip_has_a_weight_per_minute():
    world = World(weight_per_min=25)
    assert world.post("/info", {"type": "meta"}).status == 200  # 20
    assert world.post("/info", {"type": "allMids"}).status == 200  # 2
    assert world.post("/info", {"type": "meta"}).status == 429
    assert world.post("/info", {"type": "l2Book", "coin": "BTC"}).status == 200
    assert world.post("/info", {"type": "allMids"}).status == 429
    world.later(60)
    assert world.post("/info", {"type": "meta"}).status == 200


def test_a_batch_of_forty_weighs_two():
    world = World(weight_per_min=3)
    cancels = [{"a": 0, "o": n} for n in range(1, 41)]
    assert world.post("/exchange", world.wallet.request({"type": "cancel", "cancels": cancels}, world.nonce())).status == 200
    assert world.post("/exchange", world.wallet.request({"type": "cancel", "cancels": cancels}, world.nonce())).status == 429
    assert world.post("/exchange", world.wallet.request({"type": "noop"}, world.nonce())).status == 200


def test_leverage_sets_the_margin():
    world = World()
    world.order(wire(True, MID + 10, "1", "Ioc"))
    used = Decimal(world.mine("clearinghouseState")["marginSummary"]["totalMarginUsed"])
    assert world.act({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 10})["status"] == "ok"
    state = world.mine("clearinghouseState")
    assert Decimal(state["marginSummary"]["totalMarginUsed"]) == 2 * used  # 20 times before
    assert state["assetPositions"][0]["position"]["leverage"] == {"type": "cross", "value": 10}
    assert world.act({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 41})["status"] == "err"

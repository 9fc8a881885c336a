"""The WebSocket of the loopback Hyperliquid: what is sent when."""

from dataclasses import replace

from hyperliquid_client import MID, START_NS, NoFaults, Wallet, World, cloid, wire

START_MS = START_NS // 10**6


def of_coin(kind):
    return {"type": kind, "coin": "BTC"}


def test_a_subscription_is_confirmed_and_the_book_follows_at_once_and_every_half_second():
    world = World()
    socket = world.socket(of_coin("l2Book"))
    (confirmed,) = socket.of("subscriptionResponse")
    assert confirmed == {"method": "subscribe", "subscription": of_coin("l2Book")}
    assert len(socket.of("l2Book")) == 1
    world.later(0.1)  # the first block sends a book, the next ones wait for half a second
    for _ in range(20):
        world.later(0.1)
    times = [frame["time"] - START_MS for frame in socket.of("l2Book")]
    assert times == [0, 100, 600, 1100, 1600, 2100]
    assert all([len(side) for side in frame["levels"]] == [20, 20] for frame in socket.of("l2Book"))


def test_a_second_subscription_is_an_error_and_an_unsubscription_ends_the_frames():
    world = World()
    socket = world.socket(of_coin("l2Book"), of_coin("l2Book"))
    assert [data.split(":")[0] for data in socket.of("error")] == ["Already subscribed"]
    world.say(socket, {"method": "unsubscribe", "subscription": of_coin("l2Book")})
    assert socket.of("subscriptionResponse")[-1]["method"] == "unsubscribe"
    count = len(socket.of("l2Book"))
    world.later(5)
    assert len(socket.of("l2Book")) == count


def test_prints_leave_with_their_block_and_the_last_ones_greet_a_new_subscriber():
    world = World()
    socket = world.socket(of_coin("trades"))
    assert socket.of("trades") == []
    world.core.nudge("BTC", 1, 150_000)
    world.later(0.1)
    (prints,) = socket.of("trades")
    assert [(one["px"], one["sz"], one["side"], one["tid"], one["time"]) for one in prints] == [
        ("105001.0", "1.0", "B", 1, START_MS),
        ("105002.0", "0.5", "B", 2, START_MS),
    ]
    assert world.socket(of_coin("trades")).of("trades") == [prints]


def test_the_touch_is_sent_when_it_changed():
    world = World()
    socket = world.socket(of_coin("bbo"))
    world.later(1)
    assert len(socket.of("bbo")) == 1
    world.core.nudge("BTC", 1, 100_000)
    world.later(0.1)
    assert [level["px"] for level in socket.of("bbo")[-1]["bbo"]] == ["105000.0", "105002.0"]
    assert len(socket.of("bbo")) == 2


def test_an_accounts_story_is_told_to_its_streams():
    world = World()
    user = world.wallet.address
    socket = world.socket(
        *({"type": kind, "user": user.upper().replace("0X", "0x")} for kind in ("orderUpdates", "userFills", "userEvents"))
    )
    assert socket.of("userFills") == [{"isSnapshot": True, "user": user, "fills": []}]
    world.order(wire(True, MID, "0.5", cloid=cloid(9)))
    world.core.fill_order(world.core.open_orders(user)[0], 20_000)
    world.skin.tick(world.now_ns)
    world.act({"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid(9)}]})
    updates = [(one["status"], one["order"]["sz"], one["order"]["cloid"]) for frame in socket.of("orderUpdates") for one in frame]
    assert updates == [("open", "0.5", cloid(9)), ("open", "0.3", cloid(9)), ("canceled", "0.3", cloid(9))]
    fills = socket.of("userFills")[1:]
    assert [(frame.get("isSnapshot"), [one["sz"] for one in frame["fills"]]) for frame in fills] == [(None, ["0.2"])]
    assert socket.of("user") == [{"fills": fills[0]["fills"]}]
    again = world.socket({"type": "userFills", "user": user})
    assert again.of("userFills") == [{"isSnapshot": True, "user": user, "fills": fills[0]["fills"]}]


def test_updates_of_a_request_were_sent_when_it_is_answered():
    world = World()
    socket = world.socket({"type": "orderUpdates", "user": world.wallet.address})
    world.order(wire(True, MID + 1, "0.5", "Ioc"))
    assert [one["status"] for frame in socket.of("orderUpdates") for one in frame] == ["open", "filled"]


def test_a_strangers_stream_tells_nothing_of_us():
    world = World()
    socket = world.socket({"type": "orderUpdates", "user": "0x" + "11" * 20})
    world.order(wire(True, MID - 3, "0.5"))
    world.later(1)
    assert socket.of("orderUpdates") == []


def test_posts_answer_by_number_for_actions_and_questions():
    world = World()
    socket = world.socket()
    request = world.wallet.request({"type": "order", "orders": [wire(True, MID - 3, "0.5")], "grouping": "na"}, world.nonce())
    world.say(socket, {"method": "post", "id": 5, "request": {"type": "action", "payload": request}})
    world.say(socket, {"method": "post", "id": 6, "request": {"type": "info", "payload": {"type": "allMids"}}})
    world.say(socket, {"method": "post", "id": 7, "request": {"type": "action", "payload": {"type": "nothing"}}})
    first, second, third = socket.of("post")
    statuses = {"statuses": [{"resting": {"oid": 1}}]}
    assert first == {"id": 5, "response": {"type": "action", "payload": {"status": "ok", "response": {"type": "order", "data": statuses}}}}
    assert second == {"id": 6, "response": {"type": "info", "payload": {"type": "allMids", "data": {"BTC": "105000.5"}}}}
    assert (third["id"], third["response"]["type"]) == (7, "error")


def test_in_a_block_cancels_come_before_takers():
    # Our ask is the best one. A taker's order arrives first, our cancel second: with blocks the cancel wins, without them the taker.
    def story(**rules):
        world = World(**rules)
        socket = world.socket()
        world.order(wire(False, MID + 1, "0.5", "Alo"))
        taker = Wallet(21)
        world.core.add_account(taker.address, balances={"USDC": "1000000"})
        world.core.nudge("BTC", 1, 100_000)  # what stood in front of us
        order = {"type": "order", "orders": [wire(True, MID + 1, "0.5", "Ioc")], "grouping": "na"}
        cancel = {"type": "cancel", "cancels": [{"a": 0, "o": 1}]}
        for number, (wallet, action) in enumerate([(taker, order), (world.wallet, cancel)]):
            payload = wallet.request(action, world.nonce())
            world.say(socket, {"method": "post", "id": number, "request": {"type": "action", "payload": payload}})
        world.later(0.1)
        return world.mine("orderStatus", oid=1)["order"]["status"], [one["id"] for one in socket.of("post")]

    assert story() == ("filled", [0, 1])
    assert story(in_block_ordering=True) == ("canceled", [1, 0])


def test_ping_and_nonsense():
    world = World()
    socket = world.socket({"type": "l2Book", "coin": "DOGE"}, {"type": "weather"})
    world.say(socket, {"method": "ping"})
    world.skin.message(socket, "{")
    assert socket.frames[2][2] == {"channel": "pong"}
    assert [data.split(":")[0] for data in socket.of("error")] == [
        "Invalid subscription",
        "Invalid subscription",
        "Error parsing JSON into valid websocket request",
    ]


def test_too_many_messages_close_the_socket_and_a_closed_socket_is_forgotten():
    world = World(messages_per_min=2)
    socket = world.socket(of_coin("l2Book"), of_coin("bbo"), of_coin("trades"))
    assert socket.closed == (1008, "Too many messages")
    world.skin.closed(socket)
    count = len(socket.frames)
    world.later(3)
    assert len(socket.frames) == count


def test_a_corrupted_diff_shows_in_one_frame_and_heals_with_the_next():
    class Corrupt(NoFaults):
        def diffs(self, diff):  # the deletion of a level is left out, and a bid stands above the ask
            return [replace(diff, asks=(), bids=((MID + 7, 5),))] if self.armed else [diff]

    faults = Corrupt()
    faults.armed = True
    world = World(faults=faults)
    socket = world.socket(of_coin("l2Book"))
    world.later(1)
    world.core.nudge("BTC", 1, 100_000)
    faults.armed = False
    world.later(1)
    world.later(1)
    wrong, healed = socket.of("l2Book")[-2:]
    assert (wrong["levels"][0][0]["px"], wrong["levels"][1][0]["px"]) == ("105007.0", "105001.0")
    assert (healed["levels"][0][0]["px"], healed["levels"][1][0]["px"]) == ("105000.0", "105002.0")


def test_an_old_book_has_an_old_time():
    class Stale(NoFaults):
        back = 0

        def snapshot_back(self, symbol):
            return self.back

    faults = Stale()
    world = World(faults=faults)
    world.core.nudge("BTC", 1, 100_000)
    world.later(2)
    world.core.nudge("BTC", 1, 100_000)
    faults.back = 1
    old = world.info("l2Book", coin="BTC")
    assert (old["time"], old["levels"][1][0]["px"]) == (START_MS, "105002.0")


def test_account_and_market_contexts_are_streamed():
    world = World()
    user = world.wallet.address
    socket = world.socket(
        {"type": "clearinghouseState", "user": user}, of_coin("activeAssetCtx"), {"type": "allMids"}, {"type": "userFundings", "user": user}
    )
    assert socket.of("activeAssetCtx")[0]["ctx"]["midPx"] == "105000.5"
    assert socket.of("allMids")[0] == {"mids": {"BTC": "105000.5"}}
    world.order(wire(True, MID + 1, "1", "Ioc"))
    assert socket.of("clearinghouseState")[-1]["clearinghouseState"]["assetPositions"][0]["position"]["szi"] == "1.0"
    world.core.fund("BTC", "0.0001")
    world.skin.tick(world.now_ns)
    assert [row["coin"] for row in socket.of("userFundings")[-1]["fundings"]] == ["BTC"]


def test_a_second_listener_of_an_account_need_not_wait_for_a_change():
    world = World()
    socket = world.socket({"type": "clearinghouseState", "user": world.wallet.address})
    world.later(1.5)
    count = len(socket.of("clearinghouseState"))
    world.later(1.5)
    assert len(socket.of("clearinghouseState")) == count + 1


def test_a_candle_is_sent_with_the_block_of_each_of_its_trades():
    world = World()
    candle = {"type": "candle", "coin": "BTC", "interval": "1m"}
    socket = world.socket(candle)
    assert socket.of("subscriptionResponse") == [{"method": "subscribe", "subscription": candle}]
    world.later(0.2)
    assert socket.of("candle") == []  # there was no trade
    world.core.nudge("BTC", 1, 150_000)  # 1 @ 105001, 0.5 @ 105002
    world.later(0.1)
    begin = START_MS // 60_000 * 60_000
    first = {"t": begin, "T": begin + 59_999, "s": "BTC", "i": "1m"}
    first |= {"o": "105001.0", "c": "105002.0", "h": "105002.0", "l": "105001.0", "v": "1.5", "n": 2}
    assert socket.of("candle") == [first]
    assert world.socket(candle).of("candle") == [first]
    world.later(60)
    world.core.nudge("BTC", -1, 50_000)
    world.later(0.1)
    last = socket.of("candle")[-1]
    assert (last["t"], last["o"], last["c"], last["v"], last["n"]) == (begin + 60_000, "105000.0", "105000.0", "0.5", 1)
    assert world.info("candleSnapshot", req={"coin": "BTC", "interval": "1m", "startTime": 0}) == [first, last]
    (said,) = world.socket(candle | {"interval": "7m"}).of("error")
    assert said.startswith("Invalid subscription")

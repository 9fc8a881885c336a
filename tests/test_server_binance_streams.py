"""Public streams and public REST of the Binance skins: sequences, batches, routes, and the shapes of real frames."""

import gzip
import json
from dataclasses import replace

import pytest
from binance_client import KEY, START, Desk, same_shape
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab.types import ASK, BID
from hftlab.venues.server.hashing import hash_texts
from hftlab.venues.server.market import SynthMarket
from hftlab.venues.server.rules import bundled_instruments

VENUES = pytest.mark.parametrize("spot", [True, False], ids=["spot", "usdm"])


def stream(desk, *names):
    """Open a connection with these streams, whatever the venue."""
    route = "" if desk.venue == "binance" else "/public" if names[0].split("@")[1].startswith(("depth", "book", "trade")) else "/market"
    return desk.open(f"{route}/ws/{'/'.join(names)}")


def crowd(spot, seed=1):
    venue = "binance" if spot else "binanceusdm"
    return Desk(spot, SynthMarket(bundled_instruments(venue)["BTCUSDT"], seed=seed))


def real_frames(shared, spot):
    """Return the first real frame of each kind, from a recording."""
    found = {}
    path = shared / "data" / f"binance_{'spot' if spot else 'usdm'}_btcusdt_20240808.gz"
    with gzip.open(path, "rt") as lines:
        for line in lines:
            frame = json.loads(line.split(" ", 1)[1])
            found.setdefault(frame["stream"].split("@")[1] if "stream" in frame else "snapshot", frame.get("data", frame))
            if {"depth", "bookTicker", "trade", "snapshot"} <= set(found):
                return found
    raise AssertionError("a recording has all of them")


class Book:
    """A client's book, by the venue's documented rules: a gap is an error."""

    def __init__(self, desk, snapshot):
        self.desk, self.last = desk, snapshot["lastUpdateId"]
        self.sides = {side: dict(map(tuple, snapshot[side])) for side in ("bids", "asks")}
        self.synced = False

    def take(self, event):
        if event["u"] < self.last or (self.desk.venue == "binance" and event["u"] == self.last):
            return
        if not self.synced:
            assert event["U"] <= self.last + 1
        elif self.desk.venue == "binance":
            assert event["U"] == self.last + 1
        else:
            assert event["pu"] == self.last
        self.synced, self.last = True, event["u"]
        for side, levels in (("bids", event["b"]), ("asks", event["a"])):
            for price, qty in levels:
                if float(qty):
                    self.sides[side][price] = qty
                else:
                    self.sides[side].pop(price, None)

    def hash(self):
        return hash_texts(self.desk.instrument, self.sides["bids"].items(), self.sides["asks"].items())


# --- the book ---------------------------------------------------------------------------------------------------------
@VENUES
@given(seed=st.integers(0, 10**6), steps=st.lists(st.integers(1, 400), min_size=3, max_size=12), back=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_a_book_built_from_batched_frames_is_the_true_one(spot, seed, steps, back):
    desk = crowd(spot, seed)
    socket = stream(desk, "btcusdt@depth@100ms", "btcusdt@depth@500ms" if not spot else "btcusdt@depth")
    desk.wait(500)
    desk.faults.back = back  # an old snapshot is caught up with by the frames that came since
    book = Book(desk, desk.get("depth", signed=False, symbol="BTCUSDT", limit=1000))
    for ms in steps:
        desk.wait(ms)
        for name, kind, text in socket.frames:
            assert kind == "md"
            if name == "btcusdt@depth@100ms":
                event = json.loads(text)
                book.take(event)
                if event["u"] == book.last:
                    assert book.hash() == desk.core.book_hash("BTCUSDT", book.last)
        socket.frames.clear()
    desk.wait(100)
    for event in (one for one in socket.heard() if one["e"] == "depthUpdate" and one["U"] > book.last):
        book.take(event)
    assert book.last == desk.core.book("BTCUSDT").last_id


@VENUES
def test_a_batch_is_the_sum_of_its_changes(spot):
    desk = Desk(spot)
    socket = stream(desk, "btcusdt@depth@100ms")
    desk.wait(1)
    first = desk.core.book("BTCUSDT").last_id
    orders = [desk.place(price=59_000 - n) for n in range(3)]
    desk.ask("DELETE", "order", symbol="BTCUSDT", orderId=orders[1]["orderId"])
    assert socket.heard() == []
    desk.wait(99)
    (event,) = socket.heard()
    assert (event["U"], event["u"], event["E"]) == (first + 1, first + 4, desk.now_ms)
    decimals = (8, 8) if spot else (2, 3)
    told = [[f"{price:.{decimals[0]}f}", f"{qty:.{decimals[1]}f}"] for price, qty in ((59_000, 0.01), (58_999, 0), (58_998, 0.01))]
    assert (event["b"], event["a"]) == (told, [])
    if not spot:
        assert event["pu"] == first
    desk.wait(1000)
    assert socket.heard() == []  # nothing changed, nothing is said
    desk.place(price=58_000)
    desk.wait(100)
    (event,) = socket.heard()
    assert event["U"] == first + 5


@VENUES
def test_a_stream_goes_on_when_another_name_of_its_pace_ends(spot):
    desk, named = Desk(spot), "btcusdt@depth@1000ms" if spot else "btcusdt@depth@250ms"
    socket = stream(desk, "btcusdt@depth", named)
    desk.wait(1000)
    desk.say(socket, method="UNSUBSCRIBE", params=[named], id=1)
    desk.place(price=59_000)
    desk.wait(1000)
    assert [event["e"] for event in socket.heard()] == ["depthUpdate"]


@VENUES
def test_the_pace_of_each_depth_stream(spot):
    desk = Desk(spot)
    names = {"btcusdt@depth": 1000 if spot else 250, "btcusdt@depth@100ms": 100, **({} if spot else {"btcusdt@depth@500ms": 500})}
    socket = stream(desk, *names)
    desk.wait(1000)  # a full second of the clock
    came = {name: [] for name in names}
    for ms in range(1000):
        desk.place(price=59_000 - ms % 20, qty="0.01") if ms % 10 == 0 else None
        desk.wait(1)
        for name, _, _ in socket.frames:
            came[name].append(ms + 1)
        socket.frames.clear()
    assert came == {name: list(range(pace, 1001, pace)) for name, pace in names.items()}


@VENUES
def test_best_levels(spot, shared):
    desk = Desk(spot)
    socket = stream(desk, "btcusdt@depth5@100ms")
    desk.wait(100)
    (event,) = socket.heard()
    bids, asks = (event["bids"], event["asks"]) if spot else (event["b"], event["a"])
    assert (len(bids), len(asks)) == (5, 5)
    assert event["lastUpdateId" if spot else "u"] == desk.core.book("BTCUSDT").last_id
    desk.place(price=59_000)  # it is not among the best five
    desk.wait(100)
    assert (socket.heard()[0]["bids" if spot else "b"]) == bids
    desk.wait(500)
    assert socket.heard() == []


@VENUES
def test_a_corrupted_diff_is_what_everybody_sees(spot):
    desk = Desk(spot)
    some, other = stream(desk, "btcusdt@depth@100ms"), stream(desk, "btcusdt@depth@100ms")
    desk.faults.corrupt = lambda diff: [replace(diff, bids=((desk.instrument.ticks(60_005), 1), *diff.bids))]
    desk.place()
    desk.wait(100)
    ((told,), (same,)) = some.heard(), other.heard()
    assert told == same
    assert float(told["b"][0][0]) == 60_005


# --- touch, trades ----------------------------------------------------------------------------------------------------
@VENUES
def test_shapes_are_those_of_a_recording(spot, shared):
    real, desk = real_frames(shared, spot), Desk(spot)
    socket = stream(desk, "btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade")
    desk.place(price=60_000.1 if not spot else 60_000.01, qty="1.5")
    desk.wait(100)
    for name, _, text in socket.frames:
        kind = name.split("@")[1]
        frame = json.loads(text)
        assert list(frame) == list(real[kind]), kind  # the same members in the same order
        same_shape(frame, real[kind])
        assert text == json.dumps(frame, separators=(",", ":"))  # no spaces, as parsers by position expect
        for level in frame.get("b", []) if kind == "depth" else []:
            assert [len(part.split(".")[1]) for part in level] == [len(part.split(".")[1]) for part in real["depth"]["b"][0]]
    assert {name.split("@")[1] for name, _, _ in socket.frames} == {"depth", "bookTicker", "trade"}
    snapshot = desk.get("depth", signed=False, symbol="BTCUSDT")
    assert list(snapshot) == list(real["snapshot"])


@VENUES
def test_the_touch_carries_the_update_id_of_its_book(spot):
    desk = Desk(spot)
    socket = stream(desk, "btcusdt@bookTicker")
    desk.core.nudge("BTCUSDT", BID, desk.instrument.lots("0.25"))
    (event,) = socket.heard()
    touch = desk.core.touch("BTCUSDT")
    assert (event["u"], float(event["A"]), float(event["B"])) == (touch.last_id, 0.75, 1)
    desk.place(price=59_000)
    assert socket.heard() == []
    desk.core.nudge("BTCUSDT", BID, desk.instrument.lots("1000"))
    assert float(socket.heard()[0]["a"]) == 0  # nobody offers


@VENUES
def test_trades_and_their_aggregates(spot):
    desk = Desk(spot)
    one, many = stream(desk, "btcusdt@trade"), stream(desk, "btcusdt@aggTrade")
    price = 60_000.01 if spot else 60_000.1
    desk.core.quote("BTCUSDT", ASK, desk.instrument.ticks(price), desk.instrument.lots("0.5"))  # a second order at the best ask
    desk.core.nudge("BTCUSDT", BID, desk.instrument.lots("2"))
    trades = one.heard()
    assert [(float(event["q"]), event["m"]) for event in trades] == [(1, False), (0.5, False), (0.5, False)]
    assert [event["t"] for event in trades] == [1, 2, 3]
    if not spot:
        assert {event["X"] for event in trades} == {"MARKET"}
    desk.wait(1)
    assert [(float(event["q"]), event["a"], event["f"], event["l"]) for event in many.heard()] == [(1.5, 1, 1, 2), (0.5, 3, 3, 3)]
    rows = desk.get("aggTrades", signed=False, symbol="BTCUSDT")
    assert [(float(row["q"]), row["a"], row["l"]) for row in rows] == [(1.5, 1, 2), (0.5, 3, 3)]
    assert [row["id"] for row in desk.get("trades", signed=False, symbol="BTCUSDT", limit=2)] == [2, 3]
    assert [row["id"] for row in desk.get("historicalTrades", signed=False, symbol="BTCUSDT", fromId=2, limit=1)] == [2]


# --- by the clock -----------------------------------------------------------------------------------------------------
@VENUES
def test_candles_by_hand(spot, shared):
    desk = Desk(spot)
    socket = stream(desk, "btcusdt@kline_1m")
    for seconds, side, qty in ((10, BID, "1"), (20, BID, "1"), (30, ASK, "1"), (130, ASK, "2")):
        while desk.now_ms < START // 10**6 + seconds * 1000:
            desk.wait(500)
        desk.core.nudge("BTCUSDT", side, desk.instrument.lots(qty))
        desk.wait(500)
    tick = 0.01 if spot else 0.1
    best = [60_000 + tick, 60_000 + 2 * tick, 60_000, 60_000 - tick, 60_000 - 2 * tick]
    rows = desk.get("klines", signed=False, symbol="BTCUSDT", interval="1m")
    assert [[round(float(text), 2) for text in row[1:5]] for row in rows] == [
        [best[0], best[1], best[2], best[2]],
        [best[2]] * 4,  # a minute without a trade stands at the close before it
        [best[3], best[3], best[4], best[4]],
    ]
    assert [(row[0], row[6], float(row[5]), row[8]) for row in rows] == [
        (START // 10**6 + n * 60_000, START // 10**6 + n * 60_000 + 59_999, volume, trades)
        for n, volume, trades in ((0, 3, 3), (1, 0, 0), (2, 2, 2))
    ]
    assert float(rows[0][9]) == 2  # bought by takers
    (row,) = desk.get("klines", signed=False, symbol="BTCUSDT", interval="5m")
    assert [round(float(text), 2) for text in row[1:6]] == [best[0], best[1], best[4], best[4], 5]
    assert desk.denied(desk.get, "klines", signed=False, symbol="BTCUSDT", interval="7m")[1] == -1120
    events = socket.heard()
    same_shape(events[0]["k"], json.loads((shared / "wire" / "binance_types" / "kline_stream_open.json").read_text())["k"])
    last = {}
    for event in events:
        last[event["k"]["t"]] = event["k"]
    assert [(float(k["v"]), k["x"]) for k in last.values()] == [(3, True), (0, True), (2, False)]
    day = desk.get("ticker/24hr", signed=False, symbol="BTCUSDT")
    assert (day["count"], float(day["volume"]), day["firstId"], day["lastId"]) == (5, 5, 1, 5)
    assert float(day["priceChange"]) == pytest.approx(best[4] - best[0])


@VENUES
@pytest.mark.parametrize(("name", "sample"), [("ticker", "ticker_stream"), ("miniTicker", ""), ("markPrice@1s", "mark_price_stream")])
def test_what_is_told_every_second(spot, name, sample, shared):
    desk = Desk(spot)
    socket = stream(desk, f"btcusdt@{name}")
    desk.core.nudge("BTCUSDT", BID, 5)
    desk.wait(0)
    for _ in range(20):
        desk.wait(100)
    events = socket.heard()
    if spot and name == "markPrice@1s":
        assert events == []  # spot has no mark price
        return
    assert [event["E"] % 1000 for event in events] == [0] * 3
    if sample:
        same_shape(events[0], json.loads((shared / "wire" / "binance_types" / f"{sample}.json").read_text()), but=("st",))


@VENUES
def test_streams_over_all_symbols(spot):
    desk = Desk(spot)
    socket = desk.open("/ws/!ticker@arr/!bookTicker" if spot else "/market/ws/!ticker@arr/!markPrice@arr")
    touches = socket if spot else desk.open("/public/ws/!bookTicker")
    desk.wait(0)
    tickers = [one for one in socket.heard() if isinstance(one, list)]
    assert [event["s"] for event in tickers[0]] == ["BTCUSDT"]
    desk.core.nudge("BTCUSDT", BID, 5)
    assert touches.heard()[0]["s"] == "BTCUSDT"


# --- paths and subscriptions ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("spot", "path", "query", "combined"),
    [
        (True, "/ws/btcusdt@trade", "", False),
        (True, "/ws/btcusdt@bookTicker/btcusdt@trade", "", False),
        (True, "/stream", "streams=btcusdt@trade/btcusdt@depth", True),
        (True, "/stream/ws/btcusdt@trade", "", False),  # as ccxt has it on the plain port
        (True, "/stream/stream", "streams=btcusdt@trade", True),
        (False, "/public/ws/btcusdt@trade", "", False),
        (False, "/public/stream", "streams=btcusdt@trade", True),
        (False, "/ws/btcusdt@trade", "", False),  # without a route there is what /public has
        (False, "/stream", "streams=btcusdt@trade", True),
    ],
)
def test_where_streams_are_found(spot, path, query, combined):
    desk = Desk(spot)
    socket = desk.open(path, query)
    desk.core.nudge("BTCUSDT", BID, 1)
    (event,) = [one for one in socket.heard() if (one.get("data", one)).get("e") == "trade"]
    assert event["stream"] == "btcusdt@trade" if combined else event["e"] == "trade"


def test_a_route_carries_only_its_own_streams():
    desk = Desk(spot=False)
    sockets = {route: desk.open(f"{route}/ws/btcusdt@trade/btcusdt@aggTrade") for route in ("", "/public", "/market", "/private")}
    desk.core.nudge("BTCUSDT", BID, 1)
    desk.wait(1)
    heard = {route: [event["e"] for event in socket.heard()] for route, socket in sockets.items()}
    assert heard == {"": ["trade"], "/public": ["trade"], "/market": ["aggTrade"], "/private": []}
    desk = Desk(spot=False, old_paths=True)
    socket = desk.open("/ws/btcusdt@trade/btcusdt@aggTrade")
    desk.core.nudge("BTCUSDT", BID, 1)
    desk.wait(1)
    assert [event["e"] for event in socket.heard()] == ["trade", "aggTrade"]


@VENUES
def test_subscribing_by_message(spot):
    desk = Desk(spot)
    socket = desk.open("/ws/0" if spot else "/public/ws/0")  # ccxt numbers its connections
    assert desk.say(socket, method="SUBSCRIBE", params=["btcusdt@trade", "btcusdt@nothing"], id=1) == {"result": None, "id": 1}
    assert desk.say(socket, method="LIST_SUBSCRIPTIONS", id=2) == {"result": ["btcusdt@trade", "btcusdt@nothing"], "id": 2}
    desk.core.nudge("BTCUSDT", BID, 1)
    assert [event["e"] for event in socket.heard()] == ["trade"]
    assert desk.say(socket, method="UNSUBSCRIBE", params=["btcusdt@trade"], id=3) == {"result": None, "id": 3}
    desk.core.nudge("BTCUSDT", BID, 1)
    assert socket.heard() == []
    desk.wait(1000)
    assert desk.say(socket, method="SET_PROPERTY", params=["combined", True], id=4) == {"result": None, "id": 4}
    assert desk.say(socket, method="GET_PROPERTY", params=["combined"], id=5) == {"result": True, "id": 5}
    assert desk.say(socket, method="WISH", id=6)["error"]["code"] == 2
    desk.skin.message(socket, "{")
    assert socket.heard()[0]["error"]["code"] == 3


@VENUES
def test_a_client_that_says_too_much_is_cut_off(spot):
    desk = Desk(spot)
    socket, allowed = desk.open("/ws"), 5 if spot else 10
    for n in range(allowed):
        desk.say(socket, method="LIST_SUBSCRIPTIONS", id=n)
        desk.wait(1)
    desk.wait(1000 - allowed)
    desk.say(socket, method="LIST_SUBSCRIPTIONS", id=99)
    assert socket.ended is None
    for n in range(allowed):
        desk.say(socket, method="LIST_SUBSCRIPTIONS", id=n)
    assert socket.ended == (1008, "Too many requests")


@VENUES
def test_a_connection_that_is_gone_is_told_nothing(spot):
    desk = Desk(spot)
    socket = stream(desk, "btcusdt@depth@100ms", "btcusdt@trade")
    desk.skin.closed(socket)
    desk.core.nudge("BTCUSDT", BID, 1)
    desk.wait(100)
    assert socket.heard() == []


# --- public REST ------------------------------------------------------------------------------------------------------
@VENUES
def test_public_answers_have_the_shapes_of_samples(spot, shared):
    desk = Desk(spot)
    desk.core.nudge("BTCUSDT", BID, desk.instrument.lots("1.5"))
    wanted = lambda name: json.loads((shared / "wire" / "binance_types" / f"{name}.json").read_text())  # noqa: E731
    market = "spot" if spot else "futures"
    ask = lambda path, **params: desk.get(path, signed=False, **params)  # noqa: E731
    same_shape(ask("trades", symbol="BTCUSDT")[0], wanted("trades_response")[0], but=() if spot else ("isBestMatch",))
    same_shape(ask("ticker/24hr", symbol="BTCUSDT"), wanted("ticker_24hr_response" if spot else "http_futures_market_ticker_24hr"))
    same_shape(ask("ticker/bookTicker", symbol="BTCUSDT"), wanted(f"http_{market}_market_book_ticker"))
    same_shape(ask("ticker/price", symbol="BTCUSDT"), wanted("http_futures_market_ticker_price" if not spot else "ticker_price_response"))
    assert ask("ticker/price") == [ask("ticker/price", symbol="BTCUSDT")]
    if not spot:
        same_shape(ask("premiumIndex", symbol="BTCUSDT"), wanted("http_futures_market_premium_index"))
        assert desk.denied(desk.get, "depth", signed=False, symbol="BTCUSDT", limit=7)[1] == -4021
    info, real = ask("exchangeInfo"), wanted(f"http_{market}_market_exchange_info")
    same_shape(info, real)
    symbol, listed = info["symbols"][0], real["symbols"][0]
    same_shape(symbol, listed, but=("settlePlan",))
    kinds = {one["filterType"]: one for one in symbol["filters"]}
    gone = {"PERCENT_PRICE", "MIN_NOTIONAL"} if spot else set()  # spot has PERCENT_PRICE_BY_SIDE and NOTIONAL instead since 2022
    for old in listed["filters"]:
        if old["filterType"] not in gone:
            same_shape(kinds[old["filterType"]], old)
    if spot:
        assert {"PERCENT_PRICE_BY_SIDE", "NOTIONAL", "MAX_NUM_ORDER_AMENDS"} <= set(kinds)
    assert ask("exchangeInfo", symbol="BTCUSDT")["symbols"] == [symbol]
    assert desk.denied(desk.get, "depth", signed=False, symbol="NOPE")[1:] == (-1121, "Invalid symbol.")
    assert desk.core.account(KEY) is not None

"""The compiled reader of Binance's frames against the validating one: the same rows, or a frame that it leaves alone. Never a wrong row."""

import gzip
import json
import random
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import binance_wire as wire
from hftlab.types import ASK, BBO, BID, DEPTH, EVENT, LAST, TRADE
from hftlab.venues.live.binance_frames import GARBAGE, OTHER, Frames, state_of
from hftlab.venues.live.binance_slow import SlowReader

SPOT, USDM = Instrument.bundled("binance:BTC/USDT"), Instrument.bundled("binanceusdm:BTC/USDT:USDT")
QUARTERS = Instrument(venue="binanceusdm", symbol="ES/USD:USD", base="ES", quote="USD", tick_size="0.25", lot_size="5")
RECV_NS = 1_700_000_000_123_456_789
RECORDED = {
    "binance_usdm_btcusdt_20240808.gz": USDM,
    "binance_spot_btcusdt_20240808.gz": SPOT,
    "binance_coinm_btcusd_perp_20240808.gz": Instrument.bundled("binancecoinm:BTC/USD:BTC"),
    "binance_usdm_btcusdt_20230405.dat.gz": USDM,
}


class Both:
    """Reads a frame both ways."""

    def __init__(self, *instruments):
        numbers = tuple(7 + i for i in range(len(instruments)))
        self.state = state_of(instruments, numbers)
        self.rows = self.state[wire.rows_at(len(instruments)) :].view(EVENT)
        self.slow = SlowReader(instruments, numbers)
        self.markets = len(instruments)

    def newest(self):
        return int(self.state[wire.HEAD_WORDS + wire.NEWEST_NS])

    def fast(self, payload):
        """Return what the compiled reader says, None where it declines."""
        count = wire.parse(payload, RECV_NS, self.state)
        if count < 0:
            return None
        kind = int(self.state[wire.KIND])
        ids = {DEPTH: (wire.FIRST_ID, wire.LAST_ID, wire.PREVIOUS_ID), TRADE: (wire.TRADE_ID,), BBO: (wire.LAST_ID,)}[kind]
        found = tuple(int(self.state[word]) for word in ids)
        return kind, int(self.state[wire.MARKET]), found, int(self.state[wire.EXCH_NS]), self.rows[:count].tobytes()

    def slowly(self, payload):
        """Return what the validating reader says, None for what is no message of ours or unreadable."""
        try:
            told = self.slow.read(payload, RECV_NS, self.newest())
        except (msgspec.DecodeError, InputError, UnicodeDecodeError):
            return None
        if told is None:
            return None
        ids = (told.first_id, told.last_id, told.previous_id) if told.kind == DEPTH else (told.last_id,)
        return told.kind, told.market, ids, told.exch_ns, told.rows.tobytes()


def packed(message):
    return json.dumps(message, separators=(",", ":")).encode()


def a_diff(**changed):
    told = {"e": "depthUpdate", "E": 1_700_000_000_001, "T": 1_700_000_000_000, "s": "BTCUSDT", "U": 5, "u": 9, "pu": 4}
    return told | {"b": [["60000.10", "0.500"], ["59999.9", "0"]], "a": [["60000.2", "1.5"]]} | changed


def a_print(**changed):
    told = {"e": "trade", "E": 1_700_000_000_001, "T": 1_700_000_000_000, "s": "BTCUSDT", "t": 12, "p": "60000.1", "q": "0.005"}
    return told | {"X": "MARKET", "m": True} | changed


def a_ticker(**changed):
    return {
        "e": "bookTicker",
        "u": 77,
        "s": "BTCUSDT",
        "b": "60000.1",
        "B": "1.5",
        "a": "60000.2",
        "A": "0.001",
        "T": 1_700_000_000_000,
    } | changed


def wrapped(message, stream):
    return {"stream": f"btcusdt@{stream}", "data": message}


def test_a_diff_by_hand():
    both = Both(USDM)
    assert wire.parse(packed(a_diff()), RECV_NS, both.state) == 3
    rows = both.rows[:3]
    assert rows["price_ticks"].tolist() == [600_001, 599_999, 600_002]
    assert rows["qty_lots"].tolist() == [500, 0, 1_500]
    assert rows["side"].tolist() == [BID, BID, ASK]
    assert rows["flags"].tolist() == [0, 0, LAST]
    assert set(rows["seq"].tolist()) == {9}
    assert set(rows["ts_exch_ns"].tolist()) == {1_700_000_000_000 * 10**6}
    assert set(rows["ts_recv_ns"].tolist()) == {RECV_NS}
    assert set(rows["instrument"].tolist()) == {7}
    assert [both.state[word] for word in (wire.KIND, wire.MARKET, wire.FIRST_ID, wire.LAST_ID, wire.PREVIOUS_ID)] == [DEPTH, 0, 5, 9, 4]


@pytest.mark.shared
@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_frame_gives_the_same_rows_both_ways(shared, name):
    both, declined, read = Both(RECORDED[name]), 0, 0
    with gzip.open(shared / "data" / name) as lines:
        for line in lines:
            payload = line.partition(b" ")[2].rstrip(b"\n")
            fast = both.fast(payload)
            if fast is None:
                declined += b'"lastUpdateId"' not in payload and b"@markPrice" not in payload
                continue
            read += 1
            assert fast == both.slowly(payload), payload
    assert read > 30_000
    assert declined < 20  # sizes between two lots, which some old levels of spot have


KEYS = {DEPTH: (a_diff, "depth@100ms"), TRADE: (a_print, "trade"), BBO: (a_ticker, "bookTicker")}
DIGITS = st.text("0123456789", min_size=0, max_size=12)
NUMBERS = st.one_of(
    st.builds(lambda whole, rest, dot: whole + ("." if dot else "") + rest, DIGITS, DIGITS, st.booleans()),
    st.sampled_from(
        [
            "0",
            "0.0",
            "-1.0",
            "1e5",
            "1E-2",
            " 1.0",
            "1.0 ",
            "+1",
            "0x1",
            "1_000",
            "NaN",
            "Infinity",
            "007.10",
            ".5",
            "5.",
            "1.10000000000000000000",
        ]
    ),
    st.decimals(min_value=0, max_value=10**6, places=3, allow_nan=False).map(str),
)
VALUES = st.one_of(
    st.integers(-5, 10**20), NUMBERS, st.booleans(), st.none(), st.just([]), st.just({}), st.floats(allow_nan=False),
    st.lists(st.lists(NUMBERS, min_size=1, max_size=3), max_size=4), st.sampled_from(["MARKET", "INSURANCE_FUND", "", "ADA", "depthUpdate", "trade", "BTCUSDT", "ETHUSDT", "é", 'a"b', "\\"]),
)  # fmt: skip
WORDS = st.sampled_from(
    ["e", "E", "T", "s", "U", "u", "pu", "b", "B", "a", "A", "t", "p", "q", "m", "X", "M", "st", "ps", "stream", "data", "z", "é"]
)


@given(
    kind=st.sampled_from(list(KEYS)),
    changes=st.lists(st.tuples(WORDS, VALUES), max_size=2),
    gone=st.lists(WORDS, max_size=1),
    wrap=st.booleans(),
    shuffle=st.randoms(use_true_random=False),
    instrument=st.sampled_from([USDM, SPOT, QUARTERS]),
    spaced=st.sampled_from([False] * 7 + [True]),
)
def test_any_message_gives_the_same_rows_both_ways_or_is_left_alone(kind, changes, gone, wrap, shuffle, instrument, spaced):
    make, stream = KEYS[kind]
    message = make(s="ESUSD" if instrument is QUARTERS else "BTCUSDT") | dict(changes)
    message = {key: value for key, value in message.items() if key not in gone}
    items = list(message.items())
    if shuffle.random() < 0.3:
        shuffle.shuffle(items)
    message = wrapped(dict(items), stream) if wrap else dict(items)
    payload = json.dumps(message).encode() if spaced else packed(message)
    both = Both(instrument)
    fast = both.fast(payload)
    assert fast is None or fast == both.slowly(payload)


@given(kind=st.sampled_from(list(KEYS)), wrap=st.booleans(), data=st.data())
def test_broken_bytes_never_give_a_wrong_row(kind, wrap, data):
    make, stream = KEYS[kind]
    payload = bytearray(packed(wrapped(make(), stream) if wrap else make()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        how = data.draw(st.sampled_from(["cut", "flip", "double", "drop", "end"]))
        if how == "cut":
            del payload[at:]
        elif how == "flip":
            payload[at] = data.draw(st.integers(0, 255))
        elif how == "double":
            payload[at:at] = payload[at : at + data.draw(st.integers(1, 30))]
        elif how == "drop":
            del payload[at]
        else:
            payload += b"}"
        if not payload:
            break
    both = Both(USDM)
    fast = both.fast(bytes(payload))
    assert fast is None or fast == both.slowly(bytes(payload))


@given(
    decimals=st.integers(0, 8),
    step=st.sampled_from([1, 5, 25]),
    ticks=st.integers(1, 10**9),
    lot_decimals=st.integers(0, 8),
    lots=st.integers(0, 10**9),
    zeros=st.integers(0, 6),
)
def test_decimals_of_any_grid_become_exact_ticks_and_lots(decimals, step, ticks, lot_decimals, lots, zeros):
    tick_size = Decimal(step).scaleb(-decimals)
    one = Instrument(venue="binance", symbol="A/B", base="A", quote="B", tick_size=tick_size, lot_size=Decimal(1).scaleb(-lot_decimals))
    price, qty = f"{one.price(ticks):f}", f"{one.qty(lots):f}"
    price, qty = (text + ("0" * zeros if "." in text else "") for text in (price, qty))
    both = Both(one)
    payload = packed(a_diff(s="AB", b=[[price, qty]], a=[]))
    if wire.parse(payload, RECV_NS, both.state) == 1:
        assert both.rows[0]["price_ticks"] == ticks
        assert both.rows[0]["qty_lots"] == lots
    else:
        assert len(price) + decimals > 17 or len(qty) + lot_decimals > 17  # more digits than an int64 may have
    off = packed(a_diff(s="AB", b=[[f"{one.price(ticks) + tick_size / 2:f}", qty]], a=[]))
    assert wire.parse(off, RECV_NS, both.state) in {wire.OFF_GRID, wire.UNKNOWN_FORM}


def test_a_message_with_more_levels_than_there_is_room_for_is_declined():
    state = state_of((USDM,), (0,), rows_max=16)
    levels = [[f"{100 + i}.0", "1"] for i in range(17)]
    assert wire.parse(packed(a_diff(b=levels[:16], a=[])), RECV_NS, state) == 16
    assert wire.parse(packed(a_diff(b=levels, a=[])), RECV_NS, state) == wire.NO_ROOM


def test_prints_that_are_none_give_no_row():
    both = Both(USDM)
    for changed in ({"X": "INSURANCE_FUND"}, {"X": "ADL"}, {"q": "0"}, {"p": "0.0"}):
        assert wire.parse(packed(a_print(**changed)), RECV_NS, both.state) == 0
        assert both.fast(packed(a_print(**changed))) == both.slowly(packed(a_print(**changed)))
    assert wire.parse(packed(a_print()), RECV_NS, both.state) == 1
    assert both.rows[0]["side"] == ASK  # the buyer was the maker


@pytest.mark.shared
def test_documented_examples_are_read(shared):
    for name in ("ws_futures_depth_diff_update", "ws_futures_book_ticker", "book_ticker_stream", "depth_update_stream", "trade_stream"):
        message = json.loads((shared / "wire" / "binance_types" / f"{name}.json").read_text())
        message = message.get("data", message)
        base = message["s"].removesuffix("USDT").removesuffix("BTC")
        venue = "binance" if "stream" in name else "binanceusdm"
        one = Instrument(venue=venue, symbol=message["s"], base=base, quote="USDT", tick_size="0.00000001", lot_size="0.00000001")
        both = Both(one)
        fast = both.fast(packed(message))
        assert fast is not None, name
        assert fast == both.slowly(packed(message))


def test_frames_read_what_the_compiled_one_declines_the_slow_way():
    said = []
    frames = Frames((SPOT,), (0,), lambda *what: said.append(what), 1, 0)
    odd = packed(a_diff(b=[["60000.10", "0.0000051"]], a=[]))  # half a lot and a bit: an old level of spot
    assert frames.read(odd, RECV_NS) == 1
    assert frames.rows[0]["qty_lots"] == 1
    assert frames.slow_frames == 1
    assert frames.read(json.dumps(a_diff(), indent=1).encode(), RECV_NS) == 3
    assert frames.read(b'{"result":null,"id":1}', RECV_NS) == OTHER
    assert frames.read(packed(a_diff(s="ETHUSDT")), RECV_NS) == OTHER
    assert frames.read(packed(a_diff())[:-5], RECV_NS) == GARBAGE
    assert frames.culprit == 0
    assert said == []


def test_a_difference_is_said_aloud_and_that_stream_read_the_slow_way(monkeypatch):
    said = []
    frames = Frames((USDM,), (0,), lambda *what: said.append(what), 1, 1)
    assert frames.read(packed(a_diff()), RECV_NS) == 3
    good = wire.parse

    def wrong(payload, recv_ns, state):
        count = good(payload, recv_ns, state)
        frames.rows["price_ticks"][0] += 1
        return count

    monkeypatch.setattr(wire, "parse", wrong)
    for _ in range(50):
        frames.read(packed(a_diff()), RECV_NS)
        if frames.differences:
            break
    assert frames.differences == 1
    assert frames.rows["price_ticks"][0] == 600_001
    for _ in range(20):
        frames.read(packed(a_diff()), RECV_NS)
        assert frames.rows["price_ticks"][0] == 600_001
    assert [level for level, _ in said] == ["error"]


def test_the_sample_is_the_same_for_the_same_seed():
    def sampled(seed):
        frames, at = Frames((USDM,), (0,), lambda *_: None, seed, 10), []
        for i in range(200):
            before = frames.checked
            frames.read(packed(a_diff()), RECV_NS)
            at += [i] * (frames.checked - before)
        return at

    assert sampled(3) == sampled(3) != sampled(4)
    assert 10 < len(sampled(3)) < 40


def test_random_books_of_many_sizes_agree():
    rnd, both = random.Random(11), Both(USDM)
    for _ in range(300):
        levels = [
            [[f"{rnd.randint(1, 10**6) / 10:.2f}", f"{rnd.randint(0, 10**7) / 1000:.3f}"] for _ in range(rnd.randint(0, 60))]
            for _ in range(2)
        ]
        payload = packed(wrapped(a_diff(b=levels[0], a=levels[1], u=rnd.randint(1, 10**15)), "depth@100ms"))
        fast = both.fast(payload)
        assert fast == both.slowly(payload)
        assert len(np.frombuffer(fast[4], EVENT)) == len(levels[0]) + len(levels[1])

"""The soak plays a recording round after round: its own bytes, ids that go on without a hole, and a book that comes back to its beginning."""

import gzip
import itertools
import json
import re

import pytest

from benchmarks.drills.wire import Follower, Recording
from hftlab.errors import FormatError
from hftlab.types import BBO, DEPTH, TRADE

STAMPS = re.compile(rb'"(E|T)":\d+')


def wrapped(stream, **data):
    return json.dumps({"stream": f"btcusdt@{stream}", "data": data}, separators=(",", ":")).encode()


def diff(first, last, previous, bids, asks):
    return wrapped("depth@0ms", e="depthUpdate", E=9, T=8, s="BTCUSDT", U=first, u=last, pu=previous, b=bids, a=asks)


def ticker(update):
    return wrapped("bookTicker", e="bookTicker", u=update, s="BTCUSDT", b="10.0", B="1", a="10.2", A="2", T=8, E=9)


def trade(number):
    return wrapped("trade", e="trade", E=9, T=8, s="BTCUSDT", t=number, p="10.0", q="1", X="MARKET", m=False)


SNAPSHOT = json.dumps({"lastUpdateId": 105, "E": 9, "T": 8, "bids": [["10.0", "1"]], "asks": [["10.2", "2"], ["10.3", "5"]]}).encode()
FRAMES = [
    diff(90, 99, 80, [["1.0", "1"]], []),
    SNAPSHOT,
    diff(101, 110, 99, [["9.9", "4"]], []),
    ticker(111),
    trade(7),
    diff(112, 120, 110, [["10.0", "0"]], [["10.3", "0"], ["10.4", "1"]]),
    ticker(125),
    trade(8),
    diff(121, 130, 120, [], []),
]


def recording(folder, frames=FRAMES):
    path = folder / "recorded.gz"
    with gzip.open(path, "wb") as file:
        for number, frame in enumerate(frames):
            file.write(b"%d %s\n" % (1_000_000 * number, frame))
    return Recording(path)


def test_the_first_round_is_what_was_recorded_but_for_the_time(tmp_path):
    sent = [frame.bytes_at(5, 0) for frame in recording(tmp_path).round(0)]
    assert sent == [STAMPS.sub(rb'"\1":5', frame) for frame in FRAMES[3:]]


def test_ids_go_on_from_round_to_round_without_a_hole(tmp_path):
    played = recording(tmp_path)
    data = [
        json.loads(frame.bytes_at(5, number * played.spans[frame.kind]))["data"] for number in range(4) for frame in played.round(number)
    ]
    diffs = [one for one in data if one["e"] == "depthUpdate"]
    assert all(later["pu"] == earlier["u"] for earlier, later in itertools.pairwise(diffs))
    assert all(one["pu"] < one["U"] <= one["u"] for one in diffs)
    prints = [one["t"] for one in data if one["e"] == "trade"]
    assert prints == list(range(7, 7 + len(prints)))
    tickers = [one["u"] for one in data if one["e"] == "bookTicker"]
    assert tickers == sorted(set(tickers))
    for kind, ids in ((DEPTH, [one["u"] for one in diffs]), (TRADE, prints), (BBO, tickers)):
        assert played.sent(kind, len(ids))[0].tolist() == ids
    assert played.sent(DEPTH, 4)[1].tolist() == [3, 0, 3, 3]


def test_the_book_is_the_recorded_one_and_comes_back_to_its_beginning(tmp_path):
    played = recording(tmp_path)
    follower, span = Follower(played), played.spans[DEPTH]
    begin = ({"10.0": "1", "9.9": "4"}, {"10.2": "2", "10.3": "5"})
    for number in range(3):
        for update_id, bids, asks in ((110, *begin), (120, {"9.9": "4"}, {"10.2": "2", "10.4": "1"})):
            book = follower.at(update_id + number * span)
            assert (book.bids, book.asks) == (bids, asks)
    book = follower.at(130).copy()
    book.take(played.seam.changes())
    assert (book.bids, book.asks) == begin
    with pytest.raises(FormatError, match="115"):
        follower.at(115)


def test_a_recording_without_a_snapshot_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no snapshot"):
        recording(tmp_path, [one for one in FRAMES if one is not SNAPSHOT])

"""The live reader of Hyperliquid: rows as the recordings' reader makes them, and what becomes of falls, repeats and lies."""

import asyncio
import gzip
import json
import time

import msgspec
import numpy as np
import pytest
from hyperliquid_client import BTC, NoFaults

from hftlab.data.markets import Markets
from hftlab.data.notes import Notes
from hftlab.data.recordings_hyperliquid import HyperliquidReader
from hftlab.data.rows import RowBuilder
from hftlab.errors import InputError
from hftlab.types import ASK, BACKFILL, BBO, BID, CLEAR, DEPTH, EVENT, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.live.hyperliquid_reader import HyperliquidLiveReader
from hftlab.venues.live.hyperliquid_rows import DIFFERING_MAX, OLDER_MAX, LiveRows
from hftlab.venues.server.core import Exchange
from hftlab.venues.server.hyperliquid_limits import HyperliquidRules
from hftlab.venues.server.hyperliquid_skin import HyperliquidSkin
from hftlab.venues.server.market import StillMarket, SynthMarket
from hftlab.venues.server.serve import LoopbackVenue

S = 10**9
PATIENCE_S = 60


class Desk:
    """LiveRows with a clock moved by hand; keeps the rows and the words."""

    def __init__(self):
        self.now_ns = 100 * S
        self.live = LiveRows((BTC,), lambda: self.now_ns)
        self.parts, self.said = [], []
        self.live.emit = lambda rows: self.parts.append(rows.copy())
        self.live.say = lambda level, text: self.said.append((level, text))
        self.live.connected()

    def take(self, channel, data):
        """Hand in one message and return its rows as (kind, side, price, lots, flags)."""
        count = len(self.parts)
        self.live.take(self.now_ns, json.dumps({"channel": channel, "data": data}).encode())
        return [tuple(row) for part in self.parts[count:] for row in part[["kind", "side", "price_ticks", "qty_lots", "flags"]].tolist()]

    def book(self, at_ms, bid=100, ask=101):
        levels = [[{"px": f"{px}.0", "sz": "1.0", "n": 1}] if px else [] for px in (bid, ask)]
        return self.take("l2Book", {"coin": "BTC", "time": at_ms, "levels": levels})

    def bbo(self, at_ms, bid=100, ask=101):
        sides = [{"px": f"{px}.0", "sz": "1.0", "n": 1} for px in (bid, ask)]
        return self.take("bbo", {"coin": "BTC", "time": at_ms, "bbo": sides})

    def trades(self, *prints):
        rows = [{"coin": "BTC", "side": "B", "px": "101.0", "sz": "0.5", "time": at, "tid": tid, "hash": ""} for at, tid in prints]
        return [flags for _, _, _, _, flags in self.take("trades", rows)]


ONE = 100_000  # lots of one BTC
WHOLE = [(CLEAR, 0, 0, 0, SNAPSHOT), (DEPTH, BID, 100, ONE, SNAPSHOT), (DEPTH, ASK, 101, ONE, SNAPSHOT | LAST)]


def test_a_recording_gives_the_same_rows_live(shared):
    out = RowBuilder()
    recorded = HyperliquidReader(Markets((BTC,)), out, Notes(), bbo=True)
    live = LiveRows((BTC,), lambda: 0)
    parts = []
    live.emit = parts.append
    live.connected()
    with gzip.open(shared / "data" / "hyperliquid_btcusd_20250126.gz") as lines:
        for line in lines:
            stamp, _, payload = line.strip().partition(b" ")
            recorded.read(int(stamp), payload)
            live.take(int(stamp), payload)
    assert len(out.rows()) > 1000
    assert np.array_equal(np.concatenate(parts), out.rows())
    assert not live.counts


def test_a_fall_is_told_at_once_and_the_next_book_heals_it():
    desk = Desk()
    assert desk.book(1000) == WHOLE
    desk.live.lost("the connection was lost")
    (gap,) = desk.parts.pop()
    assert (gap["kind"], gap["flags"], gap["ts_exch_ns"], gap["ts_recv_ns"]) == (GAP, LAST, S, desk.now_ns)
    desk.live.lost("again")
    assert len(desk.parts) == 1  # there is nothing left to distrust
    desk.live.connected()
    assert desk.book(1500) == WHOLE
    book = desk.live.streams[0]
    assert (book.gaps, book.resyncs, book.up, book.reconnects) == (1, 2, True, 2)


def test_prints_of_before_the_first_book_are_history_and_repeats_are_left_out():
    desk = Desk()
    assert desk.trades((900, 1)) == []
    desk.book(1000)
    assert desk.trades((900, 2), (1001, 3)) == [LAST]
    assert desk.trades((1001, 3), (1002, 4)) == [LAST]
    assert desk.live.counts["repeated prints"] == 1


def test_what_was_traded_while_the_socket_was_down_is_marked():
    desk = Desk()
    desk.book(1000)
    desk.trades((1100, 1))
    desk.live.lost("gone")
    desk.live.connected()
    desk.book(5000)
    assert desk.trades((1100, 1), (3000, 2), (5000, 3)) == [LAST | BACKFILL, LAST]


def test_an_old_book_is_left_out_but_a_clock_that_went_back_is_followed():
    desk = Desk()
    desk.book(10_000)
    assert desk.book(9_000) == []
    assert desk.book(10_100) == WHOLE
    for _ in range(OLDER_MAX - 1):
        assert desk.book(2_000) == []
    followed = desk.book(2_100)
    assert followed == [(GAP, 0, 0, 0, LAST), *WHOLE]
    assert desk.parts[-1]["ts_exch_ns"].tolist() == [10_100 * 10**6] * 4  # exchange time does not go back
    assert desk.book(2_200) == WHOLE


def test_a_crossed_book_is_not_shown():
    desk = Desk()
    desk.book(1000)
    assert desk.book(1500, bid=102) == [(GAP, 0, 0, 0, LAST)]
    assert desk.book(2000, bid=103) == []
    assert desk.book(2500) == WHOLE
    assert (desk.live.counts["crossed"], desk.live.streams[0].gaps) == (2, 1)


def test_a_book_with_other_best_prices_than_the_bbo_waits_for_the_bbo_of_its_block():
    desk = Desk()
    touched = [(BBO, BID, 99, ONE, 0), (BBO, ASK, 101, ONE, LAST)]
    desk.bbo(1000)
    assert desk.book(1000) == WHOLE
    assert desk.book(1500, bid=99) == []
    assert desk.bbo(1500, bid=99) == [WHOLE[0], (DEPTH, BID, 99, ONE, SNAPSHOT), WHOLE[2], *touched]
    assert desk.book(2000) == []  # the bid is back, but no bbo says so
    desk.live.overdue()
    assert desk.parts[-1]["kind"].tolist() != [GAP]
    desk.now_ns += S // 10
    desk.live.overdue()
    assert desk.parts[-1]["kind"].tolist() == [GAP]
    assert desk.book(2500, bid=99)[0] == WHOLE[0]
    assert desk.book(3000) == []
    assert desk.bbo(3500, bid=99) == [(GAP, 0, 0, 0, LAST), *touched]  # of a later block: there was none of that book's
    assert desk.live.counts["differing"] == 2


def test_a_bbo_that_keeps_differing_is_what_is_doubted():
    desk = Desk()
    desk.bbo(1000, bid=99)
    shown = [desk.book(1000 + 500 * n) for n in range(5)]
    assert shown == [[], [], [], WHOLE, WHOLE]
    assert desk.live.counts["differing"] == DIFFERING_MAX
    desk.now_ns += 4 * S
    desk.book(5000)
    assert desk.live.silent(5, 60) == ""
    desk.now_ns += 2 * S
    assert "bbo" in desk.live.silent(5, 60)


def test_one_side_may_be_empty():
    desk = Desk()
    assert desk.book(1000, bid=0) == [WHOLE[0], (DEPTH, ASK, 101, ONE, SNAPSHOT | LAST)]
    assert desk.book(1500, bid=0, ask=0) == [(CLEAR, 0, 0, 0, SNAPSHOT | LAST)]


def test_silence_of_each_stream_is_noticed():
    desk = Desk()
    desk.book(1000)
    desk.bbo(1000)
    desk.now_ns += 4 * S
    desk.book(5000)
    desk.bbo(5000)
    assert desk.live.silent(5, 60) == ""
    desk.now_ns += 4 * S
    desk.book(9000)
    desk.now_ns += 3 * S
    desk.bbo(9000)
    assert desk.live.silent(5, 60) == ""
    assert desk.live.silent(5, 10) == "BTC trades: nothing for 10 s"
    desk.book(9000)  # the same time again is nothing new
    desk.now_ns += 3 * S
    assert desk.live.silent(5, 60) == "BTC l2Book: nothing new for 5 s"
    desk.book(14_000)
    assert desk.live.silent(5, 60) == ""


def test_what_cannot_be_read_is_an_error_and_a_refusal_is_said():
    desk = Desk()
    with pytest.raises(msgspec.DecodeError):
        desk.live.take(0, b'{"channel":"l2Book","data":')
    with pytest.raises(InputError):
        desk.take("l2Book", {"coin": "BTC", "time": 1, "levels": [[{"px": "100.5", "sz": "1", "n": 1}], []]})
    desk.take("error", "Invalid subscription")
    assert desk.said[-1][0] == "error"


def test_only_instruments_of_the_venue():
    with pytest.raises(InputError, match="all of hyperliquid"):
        HyperliquidLiveReader((), endpoint("hyperliquid"), time.time_ns, 1)


# --- over real sockets -------------------------------------------------------------------------------------------------


@pytest.fixture
def venue():
    market = SynthMarket(BTC, seed=3, price="105000")
    core = Exchange("hyperliquid", {"BTC": market}, clock_ns=time.time_ns)
    skin = HyperliquidSkin(core, NoFaults(), HyperliquidRules(book_interval_s=0.05, block_s=0.01))
    with LoopbackVenue([skin], tls=False) as running:
        running.core, running.skin = core, skin
        yield running


def follow(venue, story, **options):
    """Run a reader against a venue while `story(reader, rows)` runs; returns the rows."""
    parts, said = [], []

    async def told():
        reader = HyperliquidLiveReader((BTC,), endpoint("hyperliquid", venue.url), time.time_ns, seed=1, **options)
        task = asyncio.create_task(reader.run(lambda rows: parts.append(rows.copy()), lambda level, text: said.append(text)))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await story(reader, parts)
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return reader

    reader = asyncio.run(told())
    return reader, np.concatenate(parts), said


async def until(holds):
    while not holds():  # noqa: ASYNC110  # what is waited for happens in the venue's thread
        await asyncio.sleep(0.01)


def last_book(rows):
    """Return the levels of the newest whole book."""
    clears = np.flatnonzero(rows["kind"] == CLEAR)
    book = rows[clears[-1] :]
    book = book[book["kind"] == DEPTH]
    return {(row["side"], row["price_ticks"], row["qty_lots"]) for row in book}


def test_books_and_prints_come_through_and_equal_the_truth(venue):
    async def story(reader, parts):
        await until(lambda: any((part["kind"] == TRADE).any() for part in parts) and len(parts) > 20)

    reader, rows, _ = follow(venue, story)
    truth = {one.trade_id: (one.price_ticks, one.qty_lots, one.side) for one in venue.call(lambda: venue.core.prints("BTC", 10**6))}
    prints = rows[rows["kind"] == TRADE]
    assert {int(row["seq"]): (row["price_ticks"], row["qty_lots"], row["side"]) for row in prints} == {
        int(tid): truth[int(tid)] for tid in prints["seq"]
    }
    newest = int(prints["seq"].max())
    assert prints["seq"].tolist() == list(range(newest - len(prints) + 1, newest + 1))
    assert rows.dtype == EVENT
    assert not reader.rows.counts


def test_a_dropped_socket_is_dialled_again_and_nothing_is_missed_or_doubled(venue):
    async def story(reader, parts):
        await until(lambda: any((part["kind"] == TRADE).any() for part in parts))
        for dials in (2, 3):
            venue.call(lambda: [one.close(1006, "") for one in list(sockets(venue))])
            await until(lambda dials=dials: reader.dials == dials and reader.rows.coins[0].trusted)
            count = len(parts)
            await until(lambda count=count: any((part["kind"] == TRADE).any() for part in parts[count:]))

    reader, rows, said = follow(venue, story)
    assert (rows["kind"] == GAP).sum() == 2
    after = rows[np.flatnonzero(rows["kind"] == GAP)[-1] :]
    assert after["kind"][after["kind"] != TRADE][1] == CLEAR
    ids = rows["seq"][rows["kind"] == TRADE]
    assert len(set(ids.tolist())) == len(ids)
    assert any("connecting again" in text for text in said)
    assert reader.streams[0].reconnects == 2


def sockets(venue):
    """Return the venue's side of every subscribed socket."""
    listeners = venue.skin._streams._listeners.values()
    return {id(one): one for known in listeners for one in known.values()}.values()


def test_a_stalled_book_on_a_living_socket_is_dialled_again(venue):
    async def story(reader, parts):
        await until(lambda: len(parts) > 5)
        venue.call(lambda: venue.skin._streams._listeners[("l2Book", "BTC")].clear())
        await until(lambda: reader.dials == 2 and reader.rows.coins[0].trusted)

    _, rows, said = follow(venue, story, book_silent_s=0.5)
    assert (rows["kind"] == GAP).sum() == 1
    assert any("l2Book: nothing new" in text for text in said)


def test_a_venue_that_is_not_there_is_dialled_until_it_is():
    said = []

    async def told():
        reader = HyperliquidLiveReader((BTC,), endpoint("hyperliquid", "http://127.0.0.1:1"), time.time_ns, seed=1)
        task = asyncio.create_task(reader.run(lambda rows: None, lambda level, text: said.append(text)))
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: reader.dials > 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(told())
    assert "no connection to ws://127.0.0.1:1/hyperliquid/ws" in said[0]


def test_a_wrong_grid_ends_the_reader_with_the_cause():
    fine = BTC.__class__(**(BTC.to_dict() | {"tick_size": "0.1", "lot_size": "0.0001"}))
    ladder = {"bids": {1_000_005: 100}, "asks": {1_000_006: 100}}
    core = Exchange("hyperliquid", {"BTC": StillMarket(fine, **ladder)}, clock_ns=time.time_ns)
    with LoopbackVenue([HyperliquidSkin(core, NoFaults())], tls=False) as running:
        reader = HyperliquidLiveReader((BTC,), endpoint("hyperliquid", running.url), time.time_ns, seed=1)
        with pytest.raises(InputError, match="not on the grid"):
            asyncio.run(asyncio.wait_for(reader.run(lambda rows: None, lambda level, text: None), PATIENCE_S))


FAULTS = {
    "gap": ("gap", {"k": 3}),
    "lost prints": ("gap", {"k": 2, "stream": "btc@trades"}),
    "duplicate": ("duplicate", {"every": 5, "times": 0, "stream": "*"}),
    "reorder": ("reorder", {"every": 7, "times": 5}),
    "cut off": ("garbage", {"every": 60, "times": 2}),
    "noise": ("garbage", {"how": "noise"}),
    "bytes": ("garbage", {"how": "binary"}),
    "crossed": ("crossed_book", {"every": 40, "times": 3}),
    "undeleted": ("missing_deletion", {"every": 25, "times": 5}),
    "stale": ("stale_snapshot", {"every": 6, "times": 5, "k": 10}),
    "stall": ("stall", {"s": 3.0}),
    "stalled book": ("stall", {"s": 3.0, "stream": "btc@l2Book"}),
    "reset": ("mass_disconnect", {}),
    "close": ("mass_disconnect", {"code": 1001}),
    "no dials": ("refuse_dials", {"s": 1.0}),
    "clock ahead": ("clock_step", {"ms": 1500}),
    "clock back": ("clock_step", {"ms": -1500}),
}
# Of the others nothing shows, or is wrong for longer than one book.
MUST_GAP = ("cut off", "stall", "stalled book", "reset", "close", "no dials", "clock back", "crossed")


@pytest.fixture(scope="module")
def busy():
    limits = {"hyperliquid": {"book_interval_s": 0.05, "block_s": 0.01, "weight_per_min": 10**6}}
    with LoopbackVenue(skins=("hyperliquid",), limits=limits, tls=False) as running:
        yield running


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_the_book_is_the_venues_and_no_print_came_twice(busy, name):
    core = busy.cores["hyperliquid"]

    async def story(reader, parts):
        await until(lambda: len(parts) > 50)
        fault, options = FAULTS[name]
        injected = len(busy.injected())
        busy.add_fault(fault, skin="hyperliquid", **options)
        await until(lambda: len(busy.injected()) > injected + min(4, options.get("times", 1) - 1))
        await until(lambda: name not in MUST_GAP or reader.rows.counts["gaps"])
        busy.clear_faults()
        begun = len(parts)
        await until(lambda: reader.rows.coins[0].trusted and len(parts) > begun + 30)
        told = []
        reader.rows.emit = lambda rows: (parts.append(rows.copy()), told.append(rows.copy()))
        await until(lambda: any((rows["kind"] == CLEAR).any() for rows in told))
        books = busy.call(lambda: [core.book("BTC", 20, back) for back in range(200)])
        assert reader.rows.coins[0].trusted
        truth = [{(side, *level) for side, levels in ((BID, book.bids), (ASK, book.asks)) for level in levels} for book in books]
        assert last_book(np.concatenate(told)) in truth

    reader, rows, _ = follow(busy, story, book_silent_s=1.0)
    prints = rows[rows["kind"] == TRADE]
    assert len(set(prints["seq"].tolist())) == len(prints)
    assert (np.diff(rows["ts_recv_ns"]) >= 0).all()
    book = rows[np.isin(rows["kind"], (CLEAR, DEPTH, GAP))]
    assert (np.diff(book["ts_exch_ns"]) >= 0).all()
    assert int((rows["kind"] == GAP).sum()) == reader.rows.counts["gaps"]
    assert (reader.rows.counts["unreadable frames"] > 0) == (FAULTS[name][0] == "garbage")


def test_through_the_proxy_at_the_venues_real_address_and_when_the_proxy_is_gone():
    said = []

    async def told(place, wanted):
        reader = HyperliquidLiveReader((BTC,), place, time.time_ns, seed=1)
        parts = []
        task = asyncio.create_task(reader.run(lambda rows: parts.append(rows.copy()), lambda level, text: said.append(text)))
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: wanted(reader, parts) or task.done())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with LoopbackVenue(skins=("hyperliquid",), market="still") as running:
        place = endpoint("hyperliquid", proxy=running.proxy_url, ca_file=running.ca_file)
        assert place.urls["ws"] == "wss://api.hyperliquid.xyz/ws"
        asyncio.run(told(place, lambda reader, parts: any((part["kind"] == CLEAR).any() for part in parts)))
        assert said == []
        ca_file = running.ca_file
        gone = endpoint("hyperliquid", proxy="http://127.0.0.1:1", ca_file=ca_file)
        asyncio.run(told(gone, lambda reader, parts: reader.dials > 1))
    assert "no connection" in said[0]

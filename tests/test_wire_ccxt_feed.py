"""Any venue's market data and instruments through ccxt: looks at a book as rows, over a feed that falls and stands up again."""

import asyncio
import time
from decimal import Decimal

import numpy as np
import pytest
from ccxt.base.decimal_to_precision import DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE
from hypothesis import given
from hypothesis import strategies as st

from hftlab.errors import InputError, OffGridPrice, UnknownInstrument, VenueDown, VenueRefused
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, GAP, LAST, SNAPSHOT, TRADE
from hftlab.venues.live.ccxt_feed import BookRows, CcxtReader
from hftlab.venues.live.ccxt_markets import fetch_instrument, instrument_of
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.server.serve import LoopbackVenue

PERP = Instrument.bundled("binanceusdm:BTC/USDT:USDT")
PATIENCE_S = 60
STAMPS = (1, 2, 3)


def applied(books, rows):
    """Apply rows to {side: {ticks: lots}} as the desk's book does."""
    for row in rows:
        if row["kind"] == CLEAR:
            books[BID], books[ASK] = {}, {}
        elif row["kind"] == DEPTH:
            side = books[int(row["side"])]
            side[int(row["price_ticks"])] = int(row["qty_lots"])
            if row["qty_lots"] == 0:
                del side[int(row["price_ticks"])]
    return books


sides = st.dictionaries(st.integers(1, 60), st.integers(1, 9), max_size=40)


@given(looks=st.lists(st.tuples(sides, sides), min_size=1, max_size=6), depth=st.sampled_from([5, 50]))
def test_rows_make_the_book_that_was_looked_at(looks, depth):
    maker, books = BookRows(PERP, 0, depth), {BID: {}, ASK: {}}
    for bids, asks in looks:
        best_bids, best_asks = sorted(bids, reverse=True)[:depth], sorted(asks)[:depth]
        seen = [
            [[ticks / 10, lots[ticks] / 1000] for ticks in order]
            for order, lots in ((sorted(bids, reverse=True), bids), (sorted(asks), asks))
        ]
        rows = maker.rows(*seen, STAMPS)
        applied(books, rows)
        assert books[BID] == {ticks: bids[ticks] for ticks in best_bids}
        assert books[ASK] == {ticks: asks[ticks] for ticks in best_asks}
        assert np.count_nonzero(rows["flags"] & LAST) == (len(rows) > 0)


def test_the_first_look_is_a_snapshot_and_so_is_the_one_after_a_loss():
    maker = BookRows(PERP, 3)
    first = maker.rows([[100.0, 1.0]], [[100.1, 2.0]], STAMPS)
    assert first["kind"].tolist() == [CLEAR, DEPTH, DEPTH]
    assert (first["flags"] & SNAPSHOT).all()
    assert set(first["instrument"].tolist()) == {3}
    assert len(maker.rows([[100.0, 1.0]], [[100.1, 2.0]], STAMPS)) == 0
    assert maker.rows([[100.0, 4.0]], [[100.1, 2.0]], STAMPS)["flags"].tolist() == [LAST]
    maker.forget()
    assert maker.rows([[100.0, 4.0]], [[100.1, 2.0]], STAMPS)["kind"][0] == CLEAR


def test_a_price_off_the_grid_is_not_rounded_away():
    with pytest.raises(OffGridPrice):
        BookRows(PERP, 0).rows([[100.05, 1.0]], [], STAMPS)


# --- the loopback exchange ---
@pytest.fixture(scope="module")
def venue():
    with LoopbackVenue(market="still", market_options={"price": "100000", "levels": 20, "lots": 1000}) as running:
        yield running


class Heard:
    """What a reader emitted and said, and the book that its rows make."""

    def __init__(self):
        self.rows, self.said, self.books = [], [], {BID: {}, ASK: {}}

    def emit(self, rows):
        self.rows += list(rows)
        applied(self.books, rows)

    def say(self, level, text):
        self.said.append((level, text))

    def kinds(self):
        return [int(row["kind"]) for row in self.rows]

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 # what is waited for has no event
                await asyncio.sleep(0.01)


def read(venue, story, **options):
    async def run():
        heard = Heard()
        reader = CcxtReader(endpoint("binanceusdm", venue.url), (PERP,), time.time_ns, **options)
        task = asyncio.create_task(reader.run(heard.emit, heard.say))
        try:
            await story(reader, heard)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def true_book(venue):
    book = venue.book("binanceusdm", "BTCUSDT", 50)
    return {BID: dict(map(tuple, book["bids"])), ASK: dict(map(tuple, book["asks"]))}


def test_the_book_is_the_true_one_and_trades_are_told(venue):
    async def story(reader, heard):
        await heard.until(lambda: heard.books == true_book(venue))
        venue.do("nudge", skin="binanceusdm", symbol="BTCUSDT", side=1, lots=1500)  # one level and half of the next
        await heard.until(lambda: TRADE in heard.kinds() and heard.books == true_book(venue))
        trades = [row for row in heard.rows if row["kind"] == TRADE]
        assert sum(int(row["qty_lots"]) for row in trades) == 1500
        assert {int(row["side"]) for row in trades} == {BID}
        assert all(status.up for status in reader.streams)
        assert ("info", heard.said[0][1]) == heard.said[0]
        assert "merged" in heard.said[0][1]

    read(venue, story)


def test_a_lost_connection_is_a_gap_and_then_a_whole_book(venue):
    async def story(reader, heard):
        await heard.until(lambda: heard.books == true_book(venue))
        venue.add_fault("mass_disconnect")
        await heard.until(lambda: GAP in heard.kinds())
        after = heard.kinds().index(GAP)
        await heard.until(lambda: CLEAR in heard.kinds()[after:] and heard.books == true_book(venue))
        assert reader.streams[0].gaps == 1
        assert any(level == "warn" for level, _ in heard.said)

    read(venue, story)


def test_a_book_that_stands_still_for_too_long_is_dialled_anew(venue):
    async def story(reader, heard):
        await heard.until(lambda: heard.kinds().count(CLEAR) >= 2)  # nothing moves in a still market
        assert "no update for 0.5 s" in " ".join(text for _, text in heard.said)
        assert GAP in heard.kinds()

    read(venue, story, stale_s=0.5)


def test_a_symbol_that_the_venue_does_not_have_is_refused(venue):
    async def run():
        wrong = Instrument("binanceusdm", "NO/USDT:USDT", "NO", "USDT", Decimal(1), Decimal(1))
        reader = CcxtReader(endpoint("binanceusdm", venue.url), (wrong,), time.time_ns)
        async with asyncio.timeout(PATIENCE_S):
            await reader.run(lambda rows: None, lambda level, text: None)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(run())
    assert caught.group_contains(VenueRefused, match="does not have market symbol")


@pytest.mark.parametrize("name", ["binance:BTC/USDT", "binanceusdm:BTC/USDT:USDT", "hyperliquid:BTC/USDC:USDC"])
@pytest.mark.parametrize("through", ["url", "proxy"])
def test_the_venues_own_list_gives_the_bundled_instrument(venue, name, through):
    place = {"server": venue.url} if through == "url" else {"proxy": venue.proxy_url, "ca_file": venue.ca_file}
    assert fetch_instrument(name, **place) == Instrument.bundled(name)


def test_instruments_are_asked_for_inside_a_running_loop_too(venue):
    async def cell():
        return fetch_instrument("binance:BTC/USDT", venue.url)

    assert asyncio.run(cell()) == Instrument.bundled("binance:BTC/USDT")


def test_unknown_symbols_and_dead_venues_are_told_apart(venue):
    with pytest.raises(UnknownInstrument, match="Did you mean 'BTC/USDT'"):
        fetch_instrument("binance:BTC/USDD", venue.url)
    with pytest.raises(InputError, match="wanted 'venue:SYMBOL'"):
        fetch_instrument("BTC/USDT")
    with pytest.raises(VenueDown):
        fetch_instrument("binance:BTC/USDT", "http://127.0.0.1:9")


# --- ccxt's market structures ---
SWAP = {
    "symbol": "BTC/USD:BTC", "base": "BTC", "quote": "USD", "settle": "BTC", "type": "swap", "inverse": True, "contractSize": 100.0,
    "precision": {"price": 0.1, "amount": 1.0}, "limits": {"cost": {"min": None}}, "active": True,
}  # fmt: skip


def test_an_inverse_contract_and_a_venue_that_counts_decimals():
    assert instrument_of("binancecoinm", SWAP, TICK_SIZE) == Instrument.bundled("binancecoinm:BTC/USD:BTC")
    counted = instrument_of("okx", {**SWAP, "precision": {"price": 2, "amount": 0}}, DECIMAL_PLACES)
    assert (counted.tick_size, counted.lot_size, counted.amend) == (Decimal("0.01"), Decimal(1), "never")


@pytest.mark.parametrize(
    ("change", "mode", "words"),
    [
        ({"type": "option"}, TICK_SIZE, "of type 'option'"),
        ({"settle": "USDT"}, TICK_SIZE, "no quanto contracts"),
        ({"inverse": False}, TICK_SIZE, "no quanto contracts"),
        ({"active": False}, TICK_SIZE, "not traded at present"),
        ({"precision": {"price": None, "amount": 1}}, TICK_SIZE, "does not say how fine its prices are"),
        ({}, SIGNIFICANT_DIGITS, "significant digits"),
    ],
)
def test_what_an_instrument_cannot_describe_is_refused(change, mode, words):
    with pytest.raises(InputError, match=words):
        instrument_of("somewhere", {**SWAP, **change}, mode)

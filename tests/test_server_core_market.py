"""What drives the exchange's market: a still ladder, the simulated crowd, a recording; and orders far from all of it."""

from decimal import Decimal

import numpy as np
import pytest
from server_core_rig import MS, START, Rig

from hftlab.data.recordings import load
from hftlab.data.tape import Tape
from hftlab.errors import InputError, TapeError, UnknownName
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, L3_ORDER, LAST, NO_PRICE, TRADE
from hftlab.venues.server.core import open_exchange
from hftlab.venues.server.depth import PublicBook
from hftlab.venues.server.hashing import HashRing, hash_levels, hash_texts
from hftlab.venues.server.market import StillMarket, SynthMarket
from hftlab.venues.server.market_tape import LOOP_GAP_NS, TapeMarket
from hftlab.venues.server.model import DepthDiff, OrderEvent, Print, Status, Why

SPOT = Instrument.bundled("binance:BTC/USDT")


# --- hashes ------------------------------------------------------------------------------------------------------------
def test_a_book_hashes_the_same_in_any_order_and_from_texts():
    bids, asks = [(6_000_000, 12), (5_999_999, 3)], [(6_000_001, 1)]
    assert hash_levels(bids, asks) == hash_levels(bids[::-1], asks)
    texts = [("60000.00", "0.00012"), ("59999.99", "0.00003")], [("60000.01", "0.00001")]
    assert hash_texts(SPOT, *texts) == hash_levels(bids, asks)
    assert len({hash_levels(bids, asks), hash_levels(bids, []), hash_levels(asks, bids), hash_levels(bids, [(6_000_001, 2)])}) == 4
    # a book is told apart from one with an empty level only by what is in it
    assert hash_levels([*bids, (1, 0)], asks) == hash_levels(bids, asks)


def test_a_hash_is_kept_by_update_id_and_the_oldest_are_dropped():
    ring = HashRing(10, 5, kept=3)
    for n in range(1, 8):
        ring.move(10 + 2 * n, 1)
    assert ring.at(24) == f"{12:016x}"
    assert ring.at(20) == f"{10:016x}"
    for last_id in (23, 26, 10):
        with pytest.raises(InputError, match="no diff ended at update id"):
            ring.at(last_id)


def test_levels_are_counted_once_however_often_they_change_at_once():
    book = PublicBook("X", 0, [(BID, 100, 5), (ASK, 101, 5)])
    first = book.last_id
    diff = book.change(1, [(BID, 100, 0), (BID, 99, 3), (BID, 100, 6), (ASK, 101, 5)])
    assert (diff.first_id, diff.last_id, diff.bids, diff.asks) == (first + 1, first + 2, ((100, 6), (99, 3)), ())
    assert book.change(2, [(BID, 100, 6), (ASK, 150, 0)]) is None
    assert book.last_id == first + 2
    with pytest.raises(InputError, match="no diff ended"):
        book.hash(first + 1, levels=5)
    with pytest.raises(InputError, match="at least one level"):
        book.copy(0)


# --- the still ladder and the crowd on command -----------------------------------------------------------------------------
def test_a_still_market_is_what_it_was_told():
    rig = Rig.ladder()
    assert rig.ex.book(rig.symbol).bids == ((100, 10), (99, 20), (98, 30))
    assert rig.ex.book(rig.symbol, 2).asks == ((101, 10), (102, 20))
    rig.wait(3_600_000)
    assert rig.events == []
    rig.ex.nudge(rig.symbol, BID, 15)
    assert [(e.price_ticks, e.qty_lots, e.side) for e in rig.ex.prints(rig.symbol)] == [(101, 10, BID), (102, 5, BID)]
    assert rig.ex.touch(rig.symbol).ask_ticks == 102
    assert rig.ex.prints(rig.symbol, limit=1)[0].trade_id == 2
    rig.ex.quote(rig.symbol, ASK, 99, 25)  # takes ten at 100 and fifteen at 99
    assert rig.ex.book(rig.symbol, 1).bids == ((99, 5),)
    rig.check()


def test_what_cannot_be_told_to_a_market():
    rig = Rig.ladder()
    for call in (
        lambda: rig.ex.nudge(rig.symbol, 0, 5),
        lambda: rig.ex.nudge(rig.symbol, BID, 0),
        lambda: rig.ex.quote(rig.symbol, BID, 10**6, 5),
        lambda: StillMarket(SPOT, bids={100: 1}, asks={100: 1}),
        lambda: rig.ex.fill_order(rig.place(BID, 5, 99), 6),
    ):
        with pytest.raises(InputError, match=r"wanted|cannot be filled"):
            call()
    with pytest.raises(UnknownName):
        SynthMarket(SPOT, seed=1, nonsense=3).open(START, np.zeros(1 << 17, EVENT))


def test_an_order_is_filled_on_command_behind_all_that_stands_before_it():
    rig = Rig.ladder()
    order = rig.place(BID, 5, 99)
    rig.ex.fill_order(order, 2)
    assert (order.filled_lots, order.status) == (2, Status.PARTIALLY_FILLED)
    assert rig.ex.book(rig.symbol, 1).bids == ((99, 3),)
    assert sum(p.qty_lots for p in rig.ex.prints(rig.symbol)) == 10 + 20 + 2
    rig.ex.fill_order(order, 3)
    assert order.status is Status.FILLED
    with pytest.raises(InputError, match="FILLED"):
        rig.ex.fill_order(order, 1)
    rig.check()


def test_two_orders_filled_by_one_sweep_have_trades_of_their_own():
    rig = Rig.ladder()
    first, second = rig.place(BID, 10, 100), rig.place(BID, 10, 100, account="b")
    rig.ex.nudge(rig.symbol, ASK, 30)
    assert [rig.ex.fills_of(order.order_id)[0].qty_lots for order in (first, second)] == [10, 10]
    rig.check()


def test_an_empty_side_has_no_touch_and_the_mark_stays():
    rig = Rig.ladder()
    rig.ex.nudge(rig.symbol, BID, 1000)
    touch = rig.ex.touch(rig.symbol)
    assert (touch.ask_ticks, touch.ask_lots, touch.bid_ticks) == (NO_PRICE, 0, 100)
    assert rig.ex.mark_price(rig.symbol) == rig.instrument.price(100)
    rig.ex.nudge(rig.symbol, ASK, 1000)
    assert rig.ex.mark_price(rig.symbol) == rig.instrument.price(98)  # the last print
    rig.check()


# --- the simulated crowd ---------------------------------------------------------------------------------------------------
def test_the_crowd_fills_an_order_that_waits_in_its_queue():
    rig = Rig.crowd("binanceusdm")
    order = rig.place(BID, 5, rig.ex.touch(rig.symbol).bid_ticks)
    ahead = rig.ex.queue_ahead(order)
    assert ahead > 0
    for _ in range(600):
        rig.wait(1000)
        if order.status is Status.FILLED:
            break
        assert rig.ex.queue_ahead(order) <= ahead
    assert order.status is Status.FILLED
    assert all(fill.maker for fill in rig.ex.fills("a"))
    rig.check()


def test_exchange_time_never_goes_back():
    rig = Rig.crowd()
    rig.wait(10)
    rig.now_ns -= 5 * MS
    order = rig.place(BID, 5, 5_999_000)
    assert order.created_ns == START + 10 * MS == rig.ex.now_ns()


# --- far from the touch ------------------------------------------------------------------------------------------------------
def test_an_order_far_from_the_touch_is_shown_and_waits():
    rig = Rig()  # a ladder of 50 round 6,000,000 ticks; the matching engine reaches 32768 ticks
    order = rig.place(BID, 5, 3_500_000, client_id="far")
    assert rig.told(order) == ["NEW"]
    assert rig.lots(BID, 3_500_000) == 5
    assert rig.ex.open_orders("a") == [order]
    with pytest.raises(InputError, match="cannot be filled"):
        rig.ex.fill_order(order, 1)
    rig.check()
    rig.cancel(order)
    assert rig.lots(BID, 3_500_000) == 0
    assert (order.status, rig.told(order)) == (Status.CANCELED, ["NEW", "CANCELED"])
    rig.check()


def test_an_order_comes_in_when_the_market_comes_near_and_goes_out_again():
    rig = Rig(market=StillMarket(SPOT, bids={6_000_000: 10}, asks={6_000_001: 10}))
    order = rig.place(BID, 5, 5_955_000)
    rig.ex.quote(rig.symbol, BID, 5_980_000, 10)
    assert rig.ex.queue_ahead(order) == -1
    rig.ex.nudge(rig.symbol, ASK, 10)
    assert (rig.ex.queue_ahead(order), rig.told(order)) == (0, ["NEW"])
    rig.check()
    rig.ex.fill_order(order, 2)
    for side, price in ((BID, 5_980_000), (BID, 6_000_000), (ASK, 6_030_000)):  # the window moves up to hold the last one
        rig.ex.quote(rig.symbol, side, price, 1)
    assert rig.ex.queue_ahead(order) == -1
    assert (order.status, order.leaves_lots, rig.lots(BID, 5_955_000)) == (Status.PARTIALLY_FILLED, 3, 3)
    rig.amend(order, 5_955_000, 4)
    assert (order.leaves_lots, rig.lots(BID, 5_955_000)) == (2, 2)
    rig.ex.nudge(rig.symbol, ASK, 1)
    assert rig.ex.queue_ahead(order) == 0
    rig.amend(order, 5_955_000, 3)  # counted from its first lot, though it came in for two
    assert (order.leaves_lots, rig.lots(BID, 5_955_000)) == (1, 1)
    rig.ex.nudge(rig.symbol, ASK, 2)
    assert (order.status, order.filled_lots) == (Status.FILLED, 3)
    assert rig.told(order) == ["NEW", "TRADE", "AMENDED", "AMENDED", "TRADE"]
    rig.check()


def test_a_taker_with_a_far_limit_trades_and_its_rest_ends():
    rig = Rig(market=StillMarket(SPOT, bids={6_000_000: 10}, asks={6_000_001: 10}))
    order = rig.place(BID, 15, 6_100_000)
    assert (order.filled_lots, order.status, order.why) == (10, Status.EXPIRED, Why.PRICE_BAND)
    assert rig.told(order) == ["NEW", "TRADE", "EXPIRED"]
    assert rig.refused(rig.place, BID, 5, 6_100_000).why is Why.PRICE_BAND  # nobody is left to trade with
    assert rig.ex.touch(rig.symbol).bid_ticks == 6_000_000
    rig.check()


def test_usdm_orders_are_amended_into_and_out_of_the_window():
    rig = Rig("binanceusdm")
    order = rig.place(BID, 5, 590_000)
    for price in (500_000, 480_000, 599_900):
        rig.amend(order, price, 6)
        assert (order.price_ticks, rig.lots(BID, price)) == (price, 6)
        rig.check()
    rig.amend(order, 700_000, 6)
    assert order.status is Status.FILLED
    maker = rig.place(BID, 5, 500_000, post_only=True)
    refused = rig.refused(rig.amend, maker, 700_000, 5)
    assert (refused.why, maker.status, rig.lots(BID, 500_000)) == (Why.WOULD_TAKE, Status.EXPIRED, 0)
    rig.check()


# --- a recording -------------------------------------------------------------------------------------------------------------
def tape(*messages, instrument=SPOT):
    """Return a tape; a message is (ms, [(kind, side, price, lots), ...])."""
    parts = []
    for ms, rows in messages:
        part = np.zeros(len(rows), EVENT)
        part["ts_recv_ns"] = part["ts_exch_ns"] = 1_700_000_000_000_000_000 + int(ms * MS)
        for i, row in enumerate(rows):
            for name, value in zip(("kind", "side", "price_ticks", "qty_lots"), row, strict=True):
                part[name][i] = value
        part["flags"][-1] = LAST
        parts.append(part)
    rows = np.concatenate(parts)
    rows["seq"] = np.arange(1, len(rows) + 1)
    return Tape(rows, (instrument,), "made by hand")


BOOK = [(CLEAR, 0, NO_PRICE, 0), (DEPTH, BID, 100, 10), (DEPTH, BID, 99, 20), (DEPTH, ASK, 101, 10), (DEPTH, ASK, 102, 20)]


def played(*messages, **options):
    rig = Rig(market=TapeMarket(tape(*messages), **options), maker_bps=0, taker_bps=0)
    rig.ex.set_filters(rig.symbol, band_frac=1e9)
    return rig


def test_levels_of_a_recording_come_at_its_pace():
    rig = played((0, BOOK), (10, [(DEPTH, BID, 100, 4), (DEPTH, ASK, 103, 7)]), (20, [(DEPTH, BID, 100, 0)]), speed=2, loop=False)
    assert rig.ex.book(rig.symbol).bids == ((100, 10), (99, 20))
    rig.wait(4.9)
    assert rig.events == []
    rig.wait(0.1)
    diff = next(e for e in rig.events if isinstance(e, DepthDiff))
    assert (diff.ts_ns, diff.bids, diff.asks) == (START + 5 * MS, ((100, 4),), ((103, 7),))
    rig.wait(5)
    assert rig.ex.touch(rig.symbol).bid_ticks == 99
    rig.wait(10_000)
    assert len([e for e in rig.events if isinstance(e, DepthDiff)]) == 2
    rig.check()


def test_our_order_queues_behind_what_was_there_and_before_what_comes():
    rig = played(
        (0, BOOK),
        (10, [(DEPTH, BID, 100, 25)]),  # 15 join behind us
        (20, [(DEPTH, BID, 100, 18)]),  # 7 leave, the youngest first
        (30, [(TRADE, ASK, 100, 12)]),  # takes the 10 before us and 2 of ours
        (40, [(DEPTH, BID, 100, 6)]),
    )
    order = rig.place(BID, 5, 100)
    assert (rig.ex.queue_ahead(order), rig.lots(BID, 100)) == (10, 15)
    rig.wait(10)
    assert (rig.ex.queue_ahead(order), rig.lots(BID, 100)) == (10, 30)
    rig.wait(10)
    assert (rig.ex.queue_ahead(order), rig.lots(BID, 100)) == (10, 23)
    rig.wait(10)
    assert (rig.ex.queue_ahead(order), order.filled_lots, rig.lots(BID, 100)) == (0, 2, 8 + 3)
    rig.wait(10)
    assert rig.lots(BID, 100) == 6 + 3
    rig.check()


def test_the_recorded_market_moves_through_our_order():
    rig = played((0, BOOK), (10, [(DEPTH, ASK, 101, 0), (DEPTH, ASK, 102, 0), (DEPTH, ASK, 100, 8), (DEPTH, BID, 100, 0)]))
    order = rig.place(BID, 5, 100)
    rig.wait(10)
    assert order.status is Status.FILLED
    assert rig.ex.book(rig.symbol).asks == ((100, 3),)
    rig.check()


def test_a_snapshot_is_a_diff_and_leaves_our_order_alone():
    again = [(CLEAR, 0, NO_PRICE, 0), (DEPTH, BID, 100, 3), (DEPTH, BID, 97, 5), (DEPTH, ASK, 102, 1)]
    rig = played((0, BOOK), (10, again))
    order, behind = rig.place(BID, 5, 99), rig.place(BID, 2, 100)
    rig.wait(10)
    assert rig.ex.book(rig.symbol).bids == ((100, 5), (99, 5), (97, 5))
    assert rig.ex.queue_ahead(behind) == 3  # who stays in the snapshot keeps the place
    assert rig.ex.book(rig.symbol).asks == ((102, 1),)
    assert rig.ex.queue_ahead(order) == 0
    rig.check()


def test_a_recording_starts_again_without_a_hole():
    rig = played((0, BOOK), (10, [(DEPTH, BID, 100, 0), (DEPTH, ASK, 103, 1)]), (20, [(TRADE, BID, 101, 10)]))
    market = rig.ex.listing(rig.symbol).market
    rig.wait(20 + LOOP_GAP_NS / MS)
    assert market.loops == 1
    assert (rig.ex.book(rig.symbol).bids, rig.ex.book(rig.symbol).asks) == (((100, 10), (99, 20)), ((101, 10), (102, 20)))
    rig.wait(1000)
    assert market.loops > 40
    assert len([e for e in rig.events if isinstance(e, Print)]) in (market.loops, market.loops + 1)
    rig.check()


def test_levels_out_of_reach_are_not_shown():
    rig = played((0, [*BOOK, (DEPTH, ASK, 90_000, 5)]), (10, [(DEPTH, ASK, 80_000, 5), (DEPTH, ASK, 120, 5)]))
    rig.wait(10)
    assert [price for price, _ in rig.ex.book(rig.symbol).asks] == [101, 102, 120]
    rig.check()


def test_what_is_no_recorded_market():
    with pytest.raises(InputError, match="speed was 0"):
        TapeMarket(tape((0, BOOK)), speed=0)
    with pytest.raises(InputError, match="instrument 1"):
        TapeMarket(tape((0, BOOK)), index=1)
    with pytest.raises(TapeError, match="no depth"):
        TapeMarket(tape((0, [(TRADE, BID, 101, 10)])))
    with pytest.raises(TapeError, match="order by order"):
        TapeMarket(tape((0, [(L3_ORDER, BID, 101, 10)])))
    with pytest.raises(TapeError, match="both a bid and an ask"):
        played((0, [(DEPTH, BID, 100, 10)]))


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore::hftlab.errors.DataWarning")
@pytest.mark.parametrize(
    ("venue", "name"), [("binanceusdm", "binance_usdm_btcusdt_20240808.gz"), ("hyperliquid", "hyperliquid_btcusd_20250126.gz")]
)
def test_clients_trade_on_a_real_recording(shared, venue, name):
    rig = Rig(venue, TapeMarket(load(shared / "data" / name), speed=20))
    orders = []
    for _ in range(40):
        touch = rig.ex.touch(rig.symbol)
        orders += [rig.place(BID, 3, touch.bid_ticks), rig.place(ASK, 3, touch.ask_ticks, account="b")]
        rig.wait(50)
        rig.ex.cancel_all("a")
    assert any(order.status is Status.FILLED for order in orders)
    assert any(isinstance(event, OrderEvent) and event.fill and event.fill.maker for event in rig.events)
    rig.check()


# --- opening one ---------------------------------------------------------------------------------------------------------------
def test_an_exchange_is_opened_by_name():
    exchange = open_exchange("binance", clock_ns=lambda: START, seed=4, activity=2.0)
    assert list(exchange.instruments) == ["BTCUSDT", "ETHUSDT"]
    assert exchange.filters("BTCUSDT").notional_quote_min == Decimal(5)
    assert exchange.touch("BTCUSDT").bid_ticks != exchange.touch("ETHUSDT").bid_ticks
    still = open_exchange("hyperliquid", clock_ns=lambda: START, seed=None)
    assert list(still.instruments) == ["BTC"]
    recorded = open_exchange("binance", clock_ns=lambda: START, symbols=["BTCUSDT"], tapes={"BTCUSDT": tape((0, BOOK))})
    assert recorded.touch("BTCUSDT").bid_ticks == 100
    for venue, symbols in (("binnance", None), ("binance", ["BTCUSD"])):
        with pytest.raises(UnknownName, match="Did you mean"):
            open_exchange(venue, clock_ns=lambda: START, symbols=symbols)

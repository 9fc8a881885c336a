"""A session's market data without our own orders: what others did stays, to the lot, whichever stream was the faster one."""

import numpy as np
import pytest
from captures import book_of
from hypothesis import given
from hypothesis import strategies as st
from sessions import BTC, START, quoter, run_session

import hftlab as hl
from hftlab.analytics.divergence.tape import own_rows, strip_own
from hftlab.backtesting.replay import replay
from hftlab.data.synth import synth_rows
from hftlab.errors import DataError
from hftlab.types import (
    ACCEPTED,
    AMENDED,
    ASK,
    BBO,
    BID,
    CANCELED,
    CLEAR,
    DEPTH,
    EVENT,
    FILL,
    L3_ORDER,
    LAST,
    MAKER,
    SNAPSHOT,
    SUBMIT,
    TIMER,
    TRADE,
)
from hftlab.venues.simulated import OWNER

MS = 1_000_000


def crowds_own(driver):
    """The book that the crowd alone has in the matching engine: (bids, asks), price -> lots."""
    lob = driver._source._market._world["lob"][0]
    sides = ({}, {})
    for order in lob["orders"][: int(lob["high_water"])]:
        if order["side"] and order["owner"] != OWNER:
            levels = sides[0 if order["side"] == BID else 1]
            levels[int(order["price_ticks"])] = levels.get(int(order["price_ticks"]), 0) + int(order["leaves_lots"])
    return sides


COMMANDS = [(second, name, {}) for at in (6, 12, 18) for second, name in ((at, "flatten"), (at + 2, "resume"))]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_stripped_book_is_the_crowds_own(tmp_path, monkeypatch, seed):
    driver, _ = run_session(tmp_path / "run", monkeypatch, seed=seed, seconds=24, commands=COMMANDS, by=quoter(levels=3), trade_per_s=10.0)
    again = replay(tmp_path / "run")
    tape, market = again.tape(hold_s=0.001), again.market()
    assert book_of(tape.rows) == crowds_own(driver)
    assert (tape.rows["qty_lots"] >= 0).all()
    assert not [finding for finding in tape.report.findings if finding.severity != "info"]
    tape.merge()
    # Before our first order came, nothing was touched: the same market to the byte.
    first_ns = int(again.own["ts_exch_ns"][again.own["kind"] == ACCEPTED].min())
    before = market["ts_exch_ns"] < first_ns
    assert tape.rows[: before.sum()].tobytes() == market[before].tobytes()
    # Of the prints our takes are gone, and nothing else.
    fills = again.own[again.own["kind"] == FILL]
    taken = int(fills["qty_lots"][(fills["flags"] & MAKER) == 0].sum())
    assert taken > 0
    assert (fills["flags"] & MAKER != 0).any()
    lots = [int(rows["qty_lots"][rows["kind"] == TRADE].sum()) for rows in (market, tape.rows)]
    assert lots[0] - lots[1] == taken


def test_orders_beside_the_book_leave_it_as_it_was(tmp_path, monkeypatch):
    run_session(tmp_path / "run", monkeypatch, venue=hl.PaperVenue(BTC, fills="modelled"), seconds=3, step_ms=5)
    again = replay(tmp_path / "run")
    rows, market = again.tape().rows, again.market()
    # On a live feed a modelled exchange sees a row when we do: that is when it happened on this tape.
    assert again.one_clock
    assert (rows["ts_exch_ns"] == rows["ts_recv_ns"]).all()
    market["ts_exch_ns"] = market["ts_recv_ns"]
    assert rows.tobytes() == market.tobytes()


# --- our orders put into a market that never had them, and taken out again ---------------------------------------------------
ORDER = st.tuples(
    st.integers(0, 1900),  # ms when it comes
    st.integers(1, 900),  # ms that it rests
    st.sampled_from([BID, ASK]),
    st.integers(0, 6),  # ticks behind the touch at the start
    st.integers(1, 50),  # lots
    st.integers(0, 300),  # ms by which its reports come after the market's rows
)


@given(orders=st.lists(ORDER, max_size=8), seed=st.integers(0, 5))
def test_what_is_put_in_comes_out_again(orders, seed):
    clean = synth_rows(BTC, 2.0, seed, latency_ns=MS)
    dirty, own = clean.copy(), []
    best = {side: clean["price_ticks"][(clean["side"] == side) & (clean["kind"] == DEPTH)][0] for side in (BID, ASK)}
    for number, (came, rested, side, behind, lots, late) in enumerate(orders, 1):
        begin, end = int(clean["ts_exch_ns"][0]) + came * MS + number, int(clean["ts_exch_ns"][0]) + (came + rested) * MS + number
        ticks = int(best[side]) - side * behind
        there = (dirty["kind"] == DEPTH) & (dirty["side"] == side) & (dirty["price_ticks"] == ticks)
        dirty["qty_lots"][there & (dirty["ts_exch_ns"] >= begin) & (dirty["ts_exch_ns"] < end)] += lots
        own += [
            (begin, begin + (1 + late) * MS, ticks, lots, lots, number, 0, ACCEPTED, side, 0, 0),
            (end, end + (1 + late) * MS, ticks, lots, lots, number, 0, CANCELED, side, 0, 0),
        ]
    reports = np.array(own, EVENT)
    tape = strip_own(dirty, reports[np.argsort(reports["ts_recv_ns"], kind="stable")], (BTC,))
    assert tape.rows.tobytes() == clean.tobytes()


# --- by hand -------------------------------------------------------------------------------------------------------------------
def row(ms, kind, side, ticks, lots, leaves=0, order_id=0, flags=LAST, recv=1):
    return (START + ms * MS, START + (ms + recv) * MS, ticks, lots, leaves, order_id, 0, kind, side, flags, 0)


def stripped(market, own, **options):
    return strip_own(np.array(market, EVENT), np.array(own, EVENT), (BTC,), **options).rows


def shown(rows, kind=DEPTH):
    return [
        (int(r["ts_exch_ns"] - START) // MS, int(r["side"]), int(r["price_ticks"]), int(r["qty_lots"])) for r in rows if r["kind"] == kind
    ]


BOOK = [
    row(0, CLEAR, 0, 0, 0, flags=SNAPSHOT),
    row(0, DEPTH, BID, 100, 5, flags=SNAPSHOT),
    row(0, DEPTH, ASK, 101, 8, flags=SNAPSHOT | LAST),
]


def test_a_print_that_hit_us_would_have_hit_the_next():
    # Others hold 5 at 100 and we 3 behind them; somebody sells 6, which takes 5 of theirs and 1 of ours. The print stays whole.
    own = [row(10, ACCEPTED, BID, 100, 3, 3, 9), row(20, FILL, BID, 100, 1, 2, 9, flags=MAKER | LAST)]
    market = [*BOOK, row(10, DEPTH, BID, 100, 8), row(20, TRADE, ASK, 100, 6, flags=0), row(20, DEPTH, BID, 100, 2)]
    rows = stripped(market, own)
    assert shown(rows)[2:] == [(10, BID, 100, 5), (20, BID, 100, 0)]
    assert shown(rows, TRADE) == [(20, ASK, 100, 6)]


def test_an_amended_order_leaves_one_level_for_another():
    own = [
        row(10, ACCEPTED, BID, 100, 3, 3, 9),
        row(20, AMENDED, BID, 99, 4, 4, 9),
        row(30, CANCELED, BID, 99, 4, 4, 9),
    ]
    market = [*BOOK, row(10, DEPTH, BID, 100, 8), row(20, DEPTH, BID, 100, 5), row(20, DEPTH, BID, 99, 6), row(30, DEPTH, BID, 99, 2)]
    assert shown(stripped(market, own))[2:] == [(10, BID, 100, 5), (20, BID, 100, 5), (20, BID, 99, 2), (30, BID, 99, 2)]


def test_a_fill_without_an_acceptance_still_leaves_what_is_left():
    # The acceptance was lost: the request says where the order rests, the fill how much of it.
    own = [row(0, SUBMIT, BID, 100, 3, 0, 9), row(20, FILL, BID, 100, 1, 2, 9, flags=MAKER | LAST)]
    market = [*BOOK, row(21, DEPTH, BID, 100, 6)]
    assert shown(stripped(market, own))[2:] == [(21, BID, 100, 4)]


def test_what_we_took_is_there_until_the_market_speaks_of_it():
    # We buy 3 of the 8 at 101: the print is ours alone; the level shows 8 until its next word.
    own = [row(10, FILL, BID, 101, 3, 0, 9)]
    market = [*BOOK, row(10, TRADE, BID, 101, 3, flags=0), row(10, DEPTH, ASK, 101, 5), row(400, DEPTH, ASK, 101, 6)]
    rows = stripped(market, own)
    assert shown(rows)[2:] == [(10, ASK, 101, 8), (400, ASK, 101, 6)]
    assert shown(rows, TRADE) == []


def test_what_we_took_goes_when_the_other_side_comes_to_it_or_time_is_over():
    # We buy all 8 at 101. The bid comes to 101 at 50 ms: the level must be gone by then, or the book would be crossed.
    own = [row(10, FILL, BID, 101, 8, 0, 9)]
    market = [
        *BOOK,
        row(10, TRADE, BID, 101, 8, flags=0),
        row(10, DEPTH, ASK, 101, 0),
        row(50, DEPTH, BID, 101, 4),
        row(90, DEPTH, BID, 99, 1),
    ]
    rows = stripped(market, own)
    assert shown(rows)[2:] == [(10, ASK, 101, 8), (50, ASK, 101, 0), (50, BID, 101, 4), (90, BID, 99, 1)]
    assert rows["flags"][-3] & LAST == 0  # what ends it is a part of the message that does
    # Without that bid it goes when its time is over, here 60 ms after.
    rows = stripped([*market[:5], market[6]], own, hold_s=0.06)
    assert shown(rows)[2:] == [(10, ASK, 101, 8), (90, ASK, 101, 0), (90, BID, 99, 1)]


def test_a_feed_that_tells_of_a_take_later_is_still_set_right():
    # Depth in batches: the level falls in the message after our take.
    own = [row(10, FILL, BID, 101, 3, 0, 9)]
    market = [*BOOK, row(10, TRADE, BID, 101, 3), row(80, DEPTH, ASK, 101, 5), row(180, DEPTH, ASK, 101, 4)]
    assert shown(stripped(market, own))[2:] == [(80, ASK, 101, 8), (180, ASK, 101, 4)]


def test_a_best_price_that_was_ours_alone_is_no_best_price():
    own = [row(10, ACCEPTED, BID, 100, 3, 3, 9), row(15, ACCEPTED, ASK, 102, 2, 2, 8)]
    market = [*BOOK, row(12, BBO, BID, 100, 8), row(20, BBO, ASK, 102, 2)]
    assert shown(stripped(market, own), BBO) == [(12, BID, 100, 5)]


def test_a_level_that_showed_less_than_ours_is_empty_and_said_so():
    tape = strip_own(np.array([*BOOK, row(12, DEPTH, BID, 100, 2)], EVENT), np.array([row(10, ACCEPTED, BID, 100, 3, 3, 9)], EVENT), (BTC,))
    assert shown(tape.rows)[2:] == [(12, BID, 100, 0)]
    assert any(severity == "warning" and "less than we had" in text for severity, text in tape.notes.sentences)


def test_a_clock_behind_the_exchange_is_moved_as_a_whole():
    tape = strip_own(np.array([row(0, DEPTH, BID, 100, 5, recv=-3), row(4, DEPTH, BID, 100, 5, recv=2)], EVENT), np.zeros(0, EVENT), (BTC,))
    assert tape.notes.clock_shift_ns == 3 * MS
    assert (tape.rows["ts_recv_ns"] - tape.rows["ts_exch_ns"]).tolist() == [0, 5 * MS]
    tape.merge()


def test_order_by_order_data_is_refused():
    with pytest.raises(DataError, match="order-by-order"):
        stripped([row(0, L3_ORDER, BID, 100, 5)], [row(10, ACCEPTED, BID, 100, 3, 3, 9)])


def test_only_instruments_whose_feed_shows_our_orders_are_stripped():
    market = np.array([*BOOK, row(12, DEPTH, BID, 100, 8)], EVENT)
    own = np.array([row(10, ACCEPTED, BID, 100, 3, 3, 9)], EVENT)
    assert strip_own(market, own, (BTC,), shown=(False,)).rows.tobytes() == market.tobytes()


def test_reports_come_before_the_requests_that_answer_them():
    reports = np.array([row(10, ACCEPTED, BID, 100, 3, 3, 9)], EVENT)
    requests = np.array([row(0, SUBMIT, BID, 100, 3, 0, 9, recv=11), row(0, SUBMIT, BID, 99, 3, 0, 10, recv=5)], EVENT)
    rows = own_rows(reports, reports["ts_recv_ns"], requests)
    assert rows["kind"].tolist() == [SUBMIT, ACCEPTED, SUBMIT]
    assert (rows["kind"] != TIMER).all()

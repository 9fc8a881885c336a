"""SimulatedMarket: our orders in a living queue, with latencies, and the truth about our place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab.errors import InputError, OffGridPrice, UnknownName
from hftlab.instrument import Instrument
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    ASK,
    BID,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    CLEAR,
    DEPTH,
    EVENT,
    FILL,
    IOC,
    LAST,
    MAKER,
    MARKET_ORDER,
    POST_ONLY,
    REJECTED,
    SNAPSHOT,
    SUBMIT,
    TIMER,
    TRADE,
)
from hftlab.venues.simulated import SimulatedMarket

BTC = Instrument.bundled("sim:BTC/USDT")
START = 1_767_571_200_000_000_000
MS = 1_000_000
SECOND = 1_000_000_000


def market(seed=1, **options):
    """Return a fresh market at START with 2 ms there and 3 ms back."""
    return SimulatedMarket(BTC, seed=seed, start_ns=START, entry_ns=2 * MS, response_ns=3 * MS, **options)


def request(kind, order_id, sent_ns, side=0, price_ticks=0, qty_lots=0, flags=0):
    """Return one request row."""
    row = np.zeros(1, EVENT)
    for name, value in {
        "kind": kind,
        "order_id": order_id,
        "ts_recv_ns": sent_ns,
        "side": side,
        "price_ticks": price_ticks,
        "qty_lots": qty_lots,
        "flags": flags,
    }.items():
        row[name] = value
    return row


def best(rows, side):
    """Return the best price of a snapshot's side."""
    prices = rows["price_ticks"][(rows["kind"] == DEPTH) & (rows["side"] == side)]
    return int(prices.max() if side == BID else prices.min())


def reports(rows):
    """Return our report rows."""
    return rows[rows["kind"] >= ACCEPTED]


def book_of(rows):
    """Play DEPTH and CLEAR rows into {(side, price): lots}."""
    levels = {}
    for row in rows:
        if row["kind"] == CLEAR:
            levels.clear()
        elif row["kind"] == DEPTH:
            levels[int(row["side"]), int(row["price_ticks"])] = int(row["qty_lots"])
    return {key: lots for key, lots in levels.items() if lots}


def test_the_snapshot_and_the_rows_after_it_equal_the_later_snapshot():
    sim = market()
    first = sim.snapshot()
    assert first[0]["kind"] == CLEAR
    assert first[0]["side"] == 0
    assert np.all(first["flags"] & SNAPSHOT)
    assert np.flatnonzero(first["flags"] & LAST).tolist() == [len(first) - 1]
    rows = sim.advance(START + 20 * SECOND)
    last = sim.snapshot()
    assert book_of(np.concatenate((first, rows))) == book_of(last)
    assert rows["seq"][0] == first["seq"][0] + 1
    assert last["seq"][0] == rows["seq"][-1]


def test_a_request_and_its_answer_take_their_time():
    sim = market()
    bid = best(sim.snapshot(), BID)
    sim.submit(request(SUBMIT, 7, START + SECOND, BID, bid - 3, 5, POST_ONLY))
    rows = sim.advance(START + SECOND + 5 * MS - 1)
    assert len(reports(rows)) == 0
    ours = reports(sim.advance(START + SECOND + 5 * MS))
    assert ours["kind"].tolist() == [ACCEPTED]
    assert ours["ts_exch_ns"][0] == START + SECOND + 2 * MS
    assert ours["ts_recv_ns"][0] == START + SECOND + 5 * MS


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 4 * SECOND), max_size=8), seed=st.integers(0, 1000))
def test_how_often_we_look_changes_nothing(cuts, seed):
    straight, stepped = market(seed), market(seed)
    bid = best(straight.snapshot(), BID)
    sent = [
        request(SUBMIT, 1, START + SECOND, BID, bid, 30, 0),
        request(SUBMIT, 2, START + SECOND, ASK, bid - 2, 40, IOC),
        request(AMEND, 1, START + 2 * SECOND, price_ticks=bid - 1, qty_lots=50),
        request(CANCEL, 1, START + 3 * SECOND),
    ]
    for sim in (straight, stepped):
        sim.submit(np.concatenate(sent))
    end = START + 4 * SECOND
    rows = straight.advance(end)
    parts = [stepped.advance(START + cut) for cut in sorted(cuts)] + [stepped.advance(end)]
    assert np.concatenate(parts).tobytes() == rows.tobytes()
    assert len(reports(rows)) >= 4


def test_we_queue_behind_those_who_came_first_and_are_filled_as_makers():
    sim = market(seed=3)
    snapshot = sim.snapshot()
    bid = best(snapshot, BID)
    there = int(snapshot["qty_lots"][(snapshot["side"] == BID) & (snapshot["price_ticks"] == bid)][0])
    sim.submit(request(SUBMIT, 1, START - 2 * MS, BID, bid, 10, POST_ONLY))
    sim.advance(START + 3 * MS)
    assert abs(sim.queue_ahead(1) - there) <= 0.2 * there  # what moved in the 3 ms before we came
    ahead, fills = [sim.queue_ahead(1)], []
    for second in range(1, 600):
        rows = reports(sim.advance(START + second * SECOND))
        fills += [row for row in rows if row["kind"] == FILL]
        if sim.queue_ahead(1) < 0:
            break
        ahead.append(sim.queue_ahead(1))
    assert ahead == sorted(ahead, reverse=True)
    assert sum(int(row["qty_lots"]) for row in fills) == 10
    assert all(row["flags"] & MAKER and row["side"] == BID and row["price_ticks"] == bid for row in fills)
    assert fills[-1]["leaves_lots"] == 0


def test_a_large_buy_moves_the_market_up():
    moves = []
    for seed in range(5):
        with_us, without = market(seed), market(seed)
        with_us.submit(request(SUBMIT, 1, START, BID, 0, 2000, MARKET_ORDER))
        for sim in (with_us, without):
            sim.advance(START + 2 * SECOND)
        moves.append(with_us.efficient_ticks - without.efficient_ticks)
        assert best(with_us.snapshot(), ASK) > best(without.snapshot(), BID)
    assert np.mean(moves) > 0


def test_the_crowd_never_touches_our_orders_and_sees_our_size():
    sim = market(seed=2)
    bid = best(sim.snapshot(), BID)
    sim.submit(request(SUBMIT, 1, START, BID, bid - 40, 123_456, 0))
    rows = sim.advance(START + 30 * SECOND)
    assert reports(rows)["kind"].tolist() == [ACCEPTED]
    shown = rows["qty_lots"][(rows["kind"] == DEPTH) & (rows["price_ticks"] == bid - 40)]
    assert shown[-1] >= 123_456


def test_refusals_come_back_as_rows():
    sim = market()
    ask = best(sim.snapshot(), ASK)
    sent = [
        request(SUBMIT, 1, START, BID, ask + 5, 3, POST_ONLY),
        request(SUBMIT, 2, START, BID, ask - 20, 3),
        request(SUBMIT, 2, START, BID, ask - 20, 3),
        request(SUBMIT, 3, START, BID, ask - 20, 0),
        request(SUBMIT, 4, START, BID, ask - 40_000, 3),
        request(CANCEL, 99, START),
        request(AMEND, 98, START, price_ticks=ask, qty_lots=3),
    ]
    sim.submit(np.concatenate(sent))
    ours = reports(sim.advance(START + SECOND))
    assert [(int(r["kind"]), int(r["order_id"])) for r in ours] == [
        (REJECTED, 1),
        (ACCEPTED, 2),
        (REJECTED, 2),
        (REJECTED, 3),
        (REJECTED, 4),
        (CANCEL_REJECTED, 99),
        (CANCEL_REJECTED, 98),
    ]


def test_amend_gives_a_new_total_and_cancel_says_what_it_took():
    sim = market()
    bid = best(sim.snapshot(), BID)
    sent = [
        request(SUBMIT, 1, START, BID, bid - 30, 10),
        request(AMEND, 1, START, price_ticks=bid - 30, qty_lots=6),
        request(CANCEL, 1, START),
    ]
    sim.submit(np.concatenate(sent))
    ours = reports(sim.advance(START + SECOND))
    assert [(int(r["kind"]), int(r["leaves_lots"])) for r in ours] == [(ACCEPTED, 10), (AMENDED, 6), (CANCELED, 6)]


def test_a_fine_grid_gives_a_market_as_sane_as_a_coarse_one():
    fine = SimulatedMarket(Instrument.bundled("binance:BTC/USDT"), seed=1, start_ns=START, price="60000")
    rows = fine.advance(START + 60 * SECOND)
    snapshot = fine.snapshot()
    assert 0 < best(snapshot, ASK) - best(snapshot, BID) < 20
    assert abs(best(snapshot, BID) - 6_000_000) < 2000
    assert np.median(rows["qty_lots"][rows["kind"] == TRADE]) >= 100


def test_bad_input_is_refused_before_anything_is_sent():
    sim = market()
    with pytest.raises(InputError, match="kind TIMER"):
        sim.submit(np.concatenate((request(CANCEL, 1, START), request(TIMER, 0, START))))
    with pytest.raises(InputError, match="dtype"):
        sim.submit(np.zeros(1))
    assert len(reports(sim.advance(START + SECOND))) == 0
    with pytest.raises(OffGridPrice):
        SimulatedMarket(BTC, seed=1, start_ns=START, price="60000.3")
    with pytest.raises(UnknownName, match="informed"):
        SimulatedMarket(BTC, seed=1, start_ns=START, inform=1.0)
    with pytest.raises(InputError, match="entry_ns=-1"):
        SimulatedMarket(BTC, seed=1, start_ns=START, entry_ns=-1)

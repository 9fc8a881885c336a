"""The journal of a run as a tape: the market as it was, without what was ours."""

import random

import numpy as np
import pytest
import yaml
from captures import book_of

import hftlab as hl
from hftlab.data.journal import Journal
from hftlab.data.recordings import load
from hftlab.data.run_files import read_values, shows_our_orders
from hftlab.data.streaming import stream
from hftlab.engine.spec import RunSpec
from hftlab.errors import DataError, FormatError, InputError
from hftlab.types import (
    ACCEPTED,
    AMEND,
    ASK,
    BBO,
    BID,
    CANCEL,
    CANCELED,
    DEPTH,
    EVENT,
    FILL,
    IOC,
    LAST,
    MAKER,
    POST_ONLY,
    SUBMIT,
    TIMER,
    TRADE,
)
from hftlab.venues.simulated import OWNER, SimulatedMarket

BTC = hl.Instrument.bundled("sim:BTC/USDT")
START = 1_767_571_200_000_000_000
MS = 1_000_000


def spec_of(feed, venue, instrument=BTC):
    return RunSpec(feed, venue, (instrument,), (hl.FixedSpread(order_qty="0.01", half_spread_ticks=1),), (hl.Limits(position_qty_max="1"),))


def written(directory, spec, rows, *, segment_rows=1 << 20):
    """Write a run directory with these journaled rows."""
    directory.mkdir()
    spec.save(directory)
    journal = Journal(directory / "journal", segment_rows)
    for part in np.array_split(rows, 7):
        journal.append(part)
    journal.close()
    return directory


def request(kind, order_id, now_ns, side=0, price_ticks=0, qty_lots=0, flags=0):
    return np.array([(0, now_ns, price_ticks, qty_lots, 0, order_id, 0, kind, side, flags, 0)], EVENT)


def a_session_among_others(seed, seconds=8):
    """Trade in a simulated market. Returns the rows that a driver would journal, and the crowd's own book at the end."""
    rng = random.Random(seed)
    market = SimulatedMarket(BTC, seed=seed, start_ns=START, entry_ns=MS, response_ns=MS)
    parts, now_ns, number = [market.snapshot()], START, 0
    bids, asks = book_of(parts[0])
    for _ in range(seconds * 10):
        now_ns += 100 * MS
        kind = rng.choice(["make", "make", "take", "amend", "cancel"])
        side = rng.choice([BID, ASK])
        touch = max(bids) if side == BID else min(asks)
        if kind == "make":
            number += 1
            sent = request(SUBMIT, number, now_ns, side, touch - side * rng.randint(0, 2), rng.randint(1, 40), POST_ONLY)
        elif kind == "take":
            number += 1
            sent = request(SUBMIT, number, now_ns, side, touch + side * 30, rng.randint(1, 20), IOC)
        elif kind == "amend":
            sent = request(AMEND, rng.randint(1, number + 1), now_ns, side, touch - side * rng.randint(0, 2), rng.randint(1, 40))
        else:
            sent = request(CANCEL, rng.randint(1, number + 1), now_ns)
        market.submit(sent)
        timer = np.zeros(1, EVENT)
        timer["kind"], timer["ts_recv_ns"] = TIMER, now_ns
        parts += [market.advance(now_ns), timer]
        bids, asks = book_of(market.snapshot())
    parts.append(market.advance(now_ns + 10 * MS))
    lob = market._world["lob"][0]
    crowd = ({}, {})
    for order in lob["orders"][: int(lob["high_water"])]:
        if order["side"] and order["owner"] != OWNER:
            levels = crowd[0 if order["side"] == BID else 1]
            levels[int(order["price_ticks"])] = levels.get(int(order["price_ticks"]), 0) + int(order["leaves_lots"])
    return np.concatenate(parts), crowd


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_book_without_our_orders_is_the_crowds_own(tmp_path, seed):
    rows, crowd = a_session_among_others(seed)
    run = written(tmp_path / "run", spec_of(hl.SynthFeed(BTC), hl.PaperVenue(BTC)), rows, segment_rows=1000)
    tape = load(run)
    fills = rows[rows["kind"] == FILL]
    ours = rows[rows["kind"] == ACCEPTED]
    assert len(ours) > 10
    assert len(fills) > 2
    assert book_of(tape.rows) == crowd
    assert book_of(rows) != crowd  # as recorded, the book shows what we still have in it
    assert np.all(tape.rows["kind"] < TIMER)
    assert tape.instruments == (BTC,)
    # Every lot that we took is gone from the prints, and nothing else.
    taken = int(fills["qty_lots"][(fills["flags"] & MAKER) == 0].sum())
    assert taken > 0
    assert tape.rows["qty_lots"][tape.rows["kind"] == TRADE].sum() == rows["qty_lots"][rows["kind"] == TRADE].sum() - taken
    assert any("the feed showed our own orders" in finding.text for finding in tape.report.findings)
    tape.merge()
    for message in np.split(tape.rows, np.flatnonzero(tape.rows["flags"] & LAST)[:-1] + 1):
        assert len(set(message["ts_recv_ns"].tolist())) == 1


def test_orders_that_rested_beside_the_book_leave_it_as_it_was(tmp_path):
    rows, _ = a_session_among_others(3, seconds=2)
    market = rows[rows["kind"] < TIMER]
    run = written(tmp_path / "run", spec_of(hl.SynthFeed(BTC), hl.PaperVenue(BTC, fills="modelled")), rows)
    assert load(run).rows.tobytes() == market.tobytes()
    assert load(run / "journal").rows.tobytes() == market.tobytes()
    assert np.concatenate(list(stream(run).chunks(10))).tobytes() == market.tobytes()


PERP = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")
KINDS = {
    "matched": (hl.SynthFeed(BTC), hl.PaperVenue(BTC), BTC),
    "modelled": (hl.SynthFeed(BTC), hl.PaperVenue(BTC, fills="modelled"), BTC),
    "replayed": (hl.ReplayFeed(__file__), hl.PaperVenue(), BTC),
    **{mode: (hl.LiveFeed(PERP, server="http://127.0.0.1:1"), hl.LiveVenue(mode), PERP) for mode in ("paper", "shadow", "live")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_of_a_run_and_its_records_agree_on_whose_orders_the_feed_shows(tmp_path, kind):
    spec = spec_of(*KINDS[kind])
    spec.save(tmp_path)
    shows = shows_our_orders(read_values(tmp_path))
    assert shows is bool(spec.state().markets["spec"]["own_in_book"][0])
    assert shows is (kind in ("matched", "live"))


def test_at_a_venue_our_lots_are_taken_out_of_the_best_prices_too(tmp_path):
    # By hand: others bid 5 at 100; we bid 3 at 101, alone, and leave. The venue's best price of ours alone is no best price of theirs.
    rows = np.array(
        [
            (START + n, START + n, ticks, lots, leaves, order_id, n, kind, BID, flags, 0)
            for n, kind, ticks, lots, leaves, order_id, flags in (
                (1, DEPTH, 100, 5, 0, 0, LAST),
                (2, BBO, 100, 5, 0, 0, LAST),
                (3, ACCEPTED, 101, 3, 3, 9, 0),
                (3, BBO, 101, 3, 0, 0, LAST),
                (4, DEPTH, 101, 3, 0, 0, LAST),
                (5, BBO, 101, 4, 0, 0, LAST),
                (6, CANCELED, 101, 0, 0, 9, 0),
                (6, DEPTH, 101, 1, 0, 0, LAST),
            )
        ],
        EVENT,
    )
    run = written(tmp_path / "run", spec_of(*KINDS["live"]), rows)
    left = [(DEPTH, 100, 5), (BBO, 100, 5), (DEPTH, 101, 0), (BBO, 101, 1), (DEPTH, 101, 1)]
    for market in (load(run).rows, np.concatenate(list(hl.attach(run).chunks()))):
        assert [(int(one["kind"]), int(one["price_ticks"]), int(one["qty_lots"])) for one in market] == left


def test_a_replayed_tape_comes_back_as_it_was(tmp_path):
    tape = hl.sample().slice(0.0, 5.0)
    path = tape.save(tmp_path / "tape.npz")
    run = written(tmp_path / "run", spec_of(hl.ReplayFeed(path), hl.PaperVenue()), tape.merge().rows)  # both copies are journaled
    assert load(run).rows.tobytes() == tape.rows.tobytes()


def test_a_run_is_read_by_its_own_grid(tmp_path):
    rows, _ = a_session_among_others(3, seconds=1)
    run = written(tmp_path / "run", spec_of(hl.SynthFeed(BTC), hl.PaperVenue(BTC)), rows)
    assert load(run, BTC).instruments == (BTC,)
    with pytest.raises(InputError, match=r"run records sim:BTC/USDT; the instrument given was binance:BTC/USDT"):
        load(run, "binance:BTC/USDT")


def test_a_directory_that_is_no_run(tmp_path):
    with pytest.raises(FormatError, match=r"is a directory, but no run of hl\.start"):
        load(tmp_path)
    rows, _ = a_session_among_others(3, seconds=1)
    run = written(tmp_path / "run", spec_of(hl.SynthFeed(BTC), hl.PaperVenue(BTC)), rows)
    (run / "spec.yaml").write_text(yaml.safe_dump(["nothing"]))
    with pytest.raises(DataError, match="is not the spec of a run"):
        load(run)


def test_a_depth_row_of_ours_alone_becomes_an_empty_level(tmp_path):
    # By hand: others hold 5 lots at 100, we join with 3, somebody takes 6: 5 of theirs and 1 of ours.
    def row(n, kind, side, ticks, lots, leaves=0, order_id=0, flags=0):
        return (START + n, START + n, ticks, lots, leaves, order_id, n, kind, side, flags, 0)

    rows = np.array(
        [
            row(1, DEPTH, BID, 100, 5, flags=LAST),
            row(2, ACCEPTED, BID, 100, 3, leaves=3, order_id=9),
            row(2, DEPTH, BID, 100, 8, flags=LAST),
            row(3, FILL, BID, 100, 1, leaves=2, order_id=9, flags=MAKER),
            row(3, TRADE, ASK, 100, 5),
            row(3, TRADE, ASK, 100, 1),
            row(3, DEPTH, BID, 100, 2, flags=LAST),
        ],
        EVENT,
    )
    tape = load(written(tmp_path / "run", spec_of(hl.SynthFeed(BTC), hl.PaperVenue(BTC)), rows))
    assert [(int(one["kind"]), int(one["qty_lots"])) for one in tape.rows] == [(DEPTH, 5), (DEPTH, 5), (TRADE, 5), (TRADE, 1), (DEPTH, 0)]

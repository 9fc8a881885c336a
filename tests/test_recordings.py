"""What the readers make of sound captures, line by line, and of the recordings beside the repository."""

from itertools import pairwise

import numpy as np
import pytest
from captures import (
    LATENCY_MS,
    SPOT,
    USDM,
    a_session,
    book_of,
    futures_diff,
    futures_snapshot,
    futures_ticker,
    futures_trade,
    line,
    ms,
    spot_diff,
    spot_snapshot,
    spot_ticker,
    spot_trade,
    stream,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab.data.recordings import load
from hftlab.data.validate import compare_bbo
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, GAP, LAST, SNAPSHOT, TRADE

FIELDS = ["kind", "side", "price_ticks", "qty_lots", "seq"]


def listed(rows):
    return [tuple(int(value) for value in row) for row in rows[FIELDS].tolist()]


def test_a_capture_becomes_rows_in_ticks_and_lots(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_session()))
    assert tape.instruments == (USDM,)
    assert listed(tape.rows) == [
        (CLEAR, 0, 0, 0, 100),
        (DEPTH, BID, 600000, 1000, 100),
        (DEPTH, BID, 599999, 2000, 100),
        (DEPTH, ASK, 600002, 1500, 100),
        (DEPTH, BID, 600000, 500, 105),
        (DEPTH, ASK, 600003, 700, 105),
        (TRADE, ASK, 600000, 250, 1),  # the buyer was the maker, so a seller took
        (DEPTH, BID, 600000, 0, 110),
        (DEPTH, BID, 600001, 300, 110),
        (TRADE, BID, 600002, 125, 2),
        (DEPTH, ASK, 600002, 0, 112),
    ]
    assert [i for i, flag in enumerate(tape.rows["flags"] & LAST) if flag] == [3, 5, 6, 8, 9, 10]
    assert [i for i, flag in enumerate(tape.rows["flags"] & SNAPSHOT) if flag] == [0, 1, 2, 3]
    assert tape.rows["ts_exch_ns"][-1] == ms(5) * 1_000_000
    assert set(tape.rows["ts_recv_ns"] - tape.rows["ts_exch_ns"]) == {LATENCY_MS * 1_000_000}
    assert tape.report.ok


@pytest.mark.parametrize("unit", [1_000_000, 1_000, 1])
def test_the_local_time_may_be_in_ns_us_or_ms(tmp_path, unit):
    lines = [futures_diff(n, n, n, n - 1, [["60000.0", "1.000"]], unit=unit) for n in range(1, 4)]
    tape = load(write(tmp_path / "a.gz", lines))
    assert tape.rows["ts_recv_ns"][-1] == (ms(3) + LATENCY_MS) * 1_000_000


def test_a_capture_need_not_be_compressed(tmp_path):
    packed = load(write(tmp_path / "a.gz", a_session()))
    assert np.array_equal(load(write(tmp_path / "a.txt", a_session(), packed=False)).rows, packed.rows)


@pytest.mark.parametrize(
    ("first", "last", "kept", "gaps"),
    [(90, 99, False, 0), (95, 100, True, 0), (100, 104, True, 0), (101, 104, True, 1)],
)
def test_the_first_futures_diff_spans_the_last_id_of_the_snapshot(tmp_path, first, last, kept, gaps):
    # Futures: u < L is inside the snapshot; the first has U <= L <= u.
    lines = [futures_snapshot(0, 100, [["60000.0", "1.000"]]), futures_diff(1, first, last, first - 1, [["60000.0", "2.000"]])]
    tape = load(write(tmp_path / "a.gz", lines))
    assert (book_of(tape.rows)[0][600000] == 2000) == kept
    assert tape.report.gaps == gaps


@pytest.mark.parametrize(
    ("first", "last", "kept", "gaps"),
    [(90, 100, False, 0), (95, 101, True, 0), (101, 104, True, 0), (102, 104, True, 1)],
)
def test_the_first_spot_diff_spans_the_id_after_the_snapshot(tmp_path, first, last, kept, gaps):
    # Spot: u <= L is inside the snapshot; the first has U <= L + 1 <= u.
    lines = [spot_snapshot(0, 100, [["60000.00", "1.00000"]]), spot_diff(1, first, last, [["60000.00", "2.00000"]])]
    lines.append(spot_trade(2, 1, "60000.00", "1.00000"))
    tape = load(write(tmp_path / "a.gz", lines))
    assert (book_of(tape.rows)[0][6000000] == 200000) == kept
    assert tape.report.gaps == gaps


def test_a_diff_newer_than_the_snapshot_but_received_before_it_is_replayed_after_it(tmp_path):
    lines = [
        futures_diff(1, 90, 99, 89, [["60000.0", "9.000"]]),
        futures_diff(2, 100, 103, 99, [["60000.0", "3.000"]]),
        futures_diff(3, 104, 106, 103, [["59999.0", "4.000"]]),
        futures_snapshot(4, 101, [["60000.0", "1.000"], ["59998.0", "5.000"]], taken=2),
        futures_diff(5, 107, 109, 106, [["59998.0", "0.000"]]),
    ]
    tape = load(write(tmp_path / "a.gz", lines))
    assert listed(tape.rows) == [
        (CLEAR, 0, 0, 0, 101),
        (DEPTH, BID, 600000, 1000, 101),
        (DEPTH, BID, 599980, 5000, 101),
        (DEPTH, BID, 600000, 3000, 103),
        (DEPTH, BID, 599990, 4000, 106),
        (DEPTH, BID, 599980, 0, 109),
    ]
    # Nobody could use them before the snapshot came.
    assert set(tape.rows["ts_recv_ns"][:5]) == {(ms(4) + LATENCY_MS) * 1_000_000}
    assert np.all(np.diff(tape.rows["ts_exch_ns"]) >= 0)
    assert tape.report.gaps == 0


@pytest.mark.parametrize("spot", [False, True])
def test_a_break_in_the_chain_is_a_gap_row_and_is_reported(tmp_path, spot):
    if spot:
        lines = [spot_diff(1, 1, 5, [["60000.00", "1.00000"]]), spot_diff(2, 7, 9, [["60000.00", "2.00000"]])]
    else:
        lines = [futures_diff(1, 1, 5, 0, [["60000.0", "1.000"]]), futures_diff(2, 8, 9, 7, [["60000.0", "2.000"]])]
    tape = load(write(tmp_path / "a.gz", lines))
    assert tape.rows["kind"].tolist() == [CLEAR, DEPTH, GAP, DEPTH]
    assert tape.rows["flags"][2] & LAST
    assert tape.report.gaps == 1
    assert any("updates were lost" in finding.text for finding in tape.report.findings)


def test_without_a_snapshot_the_book_begins_empty_and_the_report_says_so(tmp_path):
    tape = load(write(tmp_path / "a.gz", [futures_diff(1, 1, 5, 0, [["60000.0", "1.000"]])]))
    assert tape.rows["kind"].tolist() == [CLEAR, DEPTH]
    assert any("no snapshot" in finding.text for finding in tape.report.findings)


def test_a_second_file_goes_on_with_the_chain_of_the_first(tmp_path):
    lines = a_session()
    whole = load(write(tmp_path / "whole.gz", lines))
    parts = [write(tmp_path / "1.gz", lines[:3]), write(tmp_path / "2.gz", lines[3:])]
    assert np.array_equal(load(parts).rows, whole.rows)


def test_prints_that_are_no_market_trades_are_left_out_and_counted(tmp_path):
    lines = [
        *a_session(),
        futures_trade(6, 3, "60000.2", "0.100", kind="INSURANCE_FUND"),
        futures_trade(7, 4, "0", "0", kind="MARKET"),
        futures_trade(8, 5, "60000.2", "0.000"),
    ]
    tape = load(write(tmp_path / "a.gz", lines))
    assert np.count_nonzero(tape.rows["kind"] == TRADE) == 2
    assert tape.report.dropped["trade that is no market print (INSURANCE_FUND)"] == 1
    assert tape.report.dropped["trade of zero price or size"] == 2


def test_other_streams_are_ignored_by_name(tmp_path):
    mark = {"e": "markPriceUpdate", "E": ms(9), "s": "BTCUSDT", "p": "60000.1"}
    everybody = stream("!markPrice@arr@1s", [mark])  # an array: it is not read as the mark price of one
    lines = [*a_session(), line(9, stream("btcusdt@markPrice@1s", mark)), line(9, {"result": None, "id": 1}), line(9, everybody)]
    report = load(write(tmp_path / "a.gz", lines)).report
    assert report.ignored == {"markPrice": 1, "(no stream name)": 1, "!markPrice": 1}


def test_best_prices_are_kept_on_request_and_checked_against_the_book(tmp_path):
    lines = [
        *a_session()[:2],
        futures_ticker(1, 105, ("60000.0", "0.500"), ("60000.2", "1.500")),
        futures_ticker(2, 110, ("60000.1", "0.999"), ("60000.2", "1.500")),  # before its diff, and the quantity is wrong
        *a_session()[3:],
    ]
    path = write(tmp_path / "a.gz", lines)
    assert load(path).report.ignored == {"bookTicker": 2}
    tape = load(path, bbo=True)
    assert listed(tape.rows[tape.rows["kind"] == BBO])[:2] == [(BBO, BID, 600000, 500, 105), (BBO, ASK, 600002, 1500, 105)]
    assert compare_bbo(tape) == (2, 1) == (tape.report.bbo_compared, tape.report.bbo_different)
    assert not tape.report.ok


def test_a_spot_ticker_takes_the_newest_exchange_time_before_it(tmp_path):
    lines = [
        spot_ticker(0, 1, ("60000.00", "1.00000"), ("60000.01", "1.00000")),
        spot_snapshot(0, 1, [["60000.00", "1.00000"]], [["60000.01", "1.00000"]]),
        spot_diff(1, 2, 3, [["60000.00", "2.00000"]]),
        spot_trade(2, 7, "60000.00", "0.50000", buyer_made=True),
        spot_ticker(4, 3, ("60000.00", "2.00000"), ("60000.01", "1.00000")),
    ]
    tape = load(write(tmp_path / "a.gz", lines), bbo=True)
    assert tape.instruments == (SPOT,)
    assert tape.rows["ts_exch_ns"][-1] == ms(2) * 1_000_000
    # What came before any exchange time is put as late as the fastest message allows: here all take 5 ms.
    assert tape.rows["ts_exch_ns"][0] == ms(0) * 1_000_000
    assert np.all(tape.rows["ts_exch_ns"] <= tape.rows["ts_recv_ns"])
    assert compare_bbo(tape) == (2, 0)  # at the snapshot and at the diff


def test_coin_m_is_told_by_its_symbols(tmp_path):
    data = {"e": "depthUpdate", "E": ms(1), "T": ms(1), "s": "BTCUSD_PERP", "ps": "BTCUSD", "U": 1, "u": 2, "pu": 0}
    lines = [line(1, stream("btcusd_perp@depth@0ms", {**data, "b": [["60000.1", "12"]], "a": []}))]
    tape = load(write(tmp_path / "a.gz", lines))
    assert tape.instruments == (Instrument.bundled("binancecoinm:BTC/USD:BTC"),)
    assert listed(tape.rows)[1] == (DEPTH, BID, 600001, 12, 2)


def test_hyperliquid_books_are_whole_and_old_prints_are_history(tmp_path):
    levels = [[{"px": "60001.0", "sz": "1.5", "n": 2}], [{"px": "60002.0", "sz": "0.00001", "n": 1}]]
    fresh = {"coin": "BTC", "side": "B", "px": "60002.0", "sz": "0.5", "time": ms(2), "tid": 7, "hash": "", "users": []}
    touch = {"coin": "BTC", "time": ms(3), "bbo": [levels[0][0], None]}
    lines = [
        line(1, {"channel": "subscriptionResponse", "data": {}}),
        line(1, {"channel": "l2Book", "data": {"coin": "BTC", "time": ms(1), "levels": levels}}),
        line(2, {"channel": "trades", "data": [{**fresh, "time": ms(-100)}, fresh, {**fresh, "side": "A", "tid": 8}]}),
        line(3, {"channel": "bbo", "data": touch}),
    ]
    tape = load(write(tmp_path / "a.gz", lines), bbo=True)
    assert tape.instruments[0].name == "hyperliquid:BTC/USDC:USDC"
    assert listed(tape.rows) == [
        (CLEAR, 0, 0, 0, 0),
        (DEPTH, BID, 60001, 150000, 0),
        (DEPTH, ASK, 60002, 1, 0),
        (TRADE, BID, 60002, 50000, 7),
        (TRADE, ASK, 60002, 50000, 8),
        (BBO, BID, 60001, 150000, 0),
    ]
    assert tape.report.dropped == {"trade from before the capture (sent on subscription)": 1}


def test_several_symbols_are_several_instruments(tmp_path):
    ether = futures_diff(2, 7, 8, 6, [["3000.00", "1.000"]]).replace("BTCUSDT", "ETHUSDT").replace("btcusdt", "ethusdt")
    bitcoin = [futures_diff(1, 1, 2, 0, [["60000.0", "1.000"]]), futures_diff(3, 3, 4, 2, [["60000.0", "2.000"]])]
    tape = load(write(tmp_path / "a.gz", [bitcoin[0], ether, bitcoin[1]]))
    assert [one.name for one in tape.instruments] == ["binanceusdm:BTC/USDT:USDT", "binanceusdm:ETH/USDT:USDT"]
    assert tape.rows["instrument"].tolist() == [0, 0, 1, 1, 0]
    assert tape.report.gaps == 0


def test_reading_a_part_is_the_slice_of_the_whole(tmp_path):
    path = write(tmp_path / "a.gz", a_session())
    assert np.array_equal(load(path, end_s=0.03).rows, load(path).slice(end_s=0.03).rows)
    assert np.array_equal(load(path, start_s=0.015, end_s=0.035).rows, load(path).slice(0.015, 0.035).rows)


@settings(max_examples=40)
@given(data=st.data(), futures=st.booleans())
def test_wherever_the_snapshot_stands_the_book_ends_as_it_should(tmp_path_factory, data, futures):
    # A venue that changes one level an id, diffs of several ids, a snapshot of any id that arrives anywhere after it.
    count = data.draw(st.integers(2, 30))
    changes = [(data.draw(st.integers(0, 5)), data.draw(st.integers(0, 3))) for _ in range(count)]
    cuts = sorted(data.draw(st.sets(st.integers(1, count - 1), max_size=6)) | {0, count})
    spans = list(pairwise(cuts))  # diff k holds the ids first+1 … last
    known = data.draw(st.integers(1, count))
    true: dict[int, int] = {}
    book_at_known: dict[int, int] = {}
    for number, (level, lots) in enumerate(changes, 1):
        true[level] = lots
        if number == known:
            book_at_known = dict(true)
    held = next(k for k, (first, last) in enumerate(spans) if first < known <= last)
    place = data.draw(st.integers(0, held + 1)) if data.draw(st.booleans()) else data.draw(st.integers(held, len(spans)))
    texts = []
    for k, (first, last) in enumerate(spans):
        levels = dict(changes[first:last])
        bids = [[f"{60000 + level}.00", f"{lots}.00000"] for level, lots in levels.items()]
        make = (lambda n, u0, u1, b: futures_diff(n, u0, u1, u0 - 1, b)) if futures else spot_diff
        texts.append(make(k + 1, first + 1, last, bids))
    bids = [[f"{60000 + level}.00", f"{lots}.00000"] for level, lots in book_at_known.items() if lots]
    texts.insert(place, (futures_snapshot if futures else spot_snapshot)(place, known, bids))
    tape = load(write(tmp_path_factory.mktemp("law") / "a.gz", texts))
    per_unit, per_tick = (1000, 10) if futures else (100_000, 100)
    wanted = {(60000 + level) * per_tick: lots * per_unit for level, lots in true.items() if lots}
    assert book_of(tape.rows)[0] == wanted
    assert tape.report.gaps == 0

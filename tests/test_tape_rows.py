"""Rows that are no tape, tapes of several venues, and the money of a perpetual."""

import numpy as np
import pytest
from captures import SPOT, USDM, a_session, futures_diff, futures_trade, line, ms, spot_diff, spot_trade, stream, write
from hypothesis import given
from hypothesis import strategies as st

from hftlab.codes import L3_ORDER
from hftlab.data.recordings import load
from hftlab.data.tape import Tape
from hftlab.errors import InputError, TapeError
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, EVENT, FUNDING, GAP, LAST, TRADE

ETH = Instrument.bundled("binance:ETH/USDT")


def prints(*recv_ns, instrument=0):
    rows = np.zeros(len(recv_ns), EVENT)
    rows["ts_recv_ns"], rows["kind"], rows["side"], rows["qty_lots"], rows["flags"] = recv_ns, TRADE, BID, 1, LAST
    rows["ts_exch_ns"], rows["seq"], rows["instrument"] = rows["ts_recv_ns"] - 1, np.arange(len(rows)) + 1, instrument
    return rows


# --- what is no tape ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "value", "kind", "match"),
    [
        ("kind", 0, None, r"row 2 \(\?\): column 'kind' was 0, which is no event kind that hftlab knows"),
        ("kind", 200, None, r"row 2 \(\?\): column 'kind' was 200"),
        ("qty_lots", -4, TRADE, r"row 2 \(TRADE\): column 'qty_lots' was -4, which is negative"),
        ("qty_lots", -4, DEPTH, r"row 2 \(DEPTH\): column 'qty_lots' was -4"),
        ("qty_lots", -4, L3_ORDER, r"row 2 \(L3_ORDER\): column 'qty_lots' was -4"),
        ("side", 0, DEPTH, r"row 2 \(DEPTH\): column 'side' was 0, which is no side"),
        ("side", 3, BBO, r"row 2 \(BBO\): column 'side' was 3"),
        ("instrument", 1, None, "a row names instrument 1, but the tape has 1"),
        ("ts_recv_ns", 5, None, r"row 2 was received before the row above it.*sort=True"),
    ],
)
@pytest.mark.parametrize("part", [1, 3, 1 << 20])
def test_a_row_that_cannot_be_is_named(monkeypatch, column, value, kind, match, part):
    monkeypatch.setattr("hftlab.data.tape.ROWS", part)
    rows = prints(10, 20, 30, 40)
    if kind is not None:
        rows["kind"][2] = kind
    rows[column][2] = value
    with pytest.raises(TapeError, match=match):
        Tape(rows, (USDM,), "it")


def test_a_funding_rate_may_be_negative_and_needs_no_side():
    rows = prints(10, 20)
    rows["kind"], rows["side"], rows["qty_lots"] = (FUNDING, CLEAR), 0, -5
    assert len(Tape(rows, (USDM,))) == 2


# --- several venues ----------------------------------------------------------------------------------------------------
@given(times=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=20).map(sorted), min_size=1, max_size=4))
def test_tapes_are_joined_by_receive_time_and_the_first_comes_first_on_ties(times):
    everywhere = [Tape(prints(1, *some, 31), (one,)) for some, one in zip(times, (USDM, SPOT, ETH, USDM), strict=False)]
    joined = Tape.join(everywhere)
    assert joined.instruments == tuple(dict.fromkeys(one.instruments[0] for one in everywhere))
    keys = [(int(row["ts_recv_ns"]), n, int(row["seq"])) for n, tape in enumerate(everywhere) for row in tape.rows]
    names = [joined.instruments[row["instrument"]] for row in joined.rows]
    expected = sorted(keys)
    assert joined.rows["ts_recv_ns"].tolist() == [recv_ns for recv_ns, _, _ in expected]
    assert joined.rows["seq"].tolist() == [seq for _, _, seq in expected]
    assert names == [everywhere[n].instruments[0] for _, n, _ in expected]


def test_messages_of_two_venues_never_interleave(tmp_path):
    futures = load(write(tmp_path / "f.gz", a_session()))
    # Received at the very times of the futures' messages, so that a plain sort of rows could mix them.
    spot = load(write(tmp_path / "s.gz", [spot_diff(n, n, n, [["60000.00", "1.0"], ["59999.00", "1.0"]]) for n in range(1, 6)]))
    joined = Tape.join([futures, spot])
    assert joined.instruments == (USDM, SPOT)
    assert joined.source == "f.gz + s.gz"
    inside = (joined.rows["flags"][:-1] & LAST) == 0
    assert np.all(joined.rows["instrument"][1:][inside] == joined.rows["instrument"][:-1][inside])
    for i, alone in enumerate((futures, spot)):
        mine = joined.rows[joined.rows["instrument"] == i].copy()
        mine["instrument"] = 0
        assert mine.tobytes() == alone.rows.tobytes()
    assert joined.report.dropped == {**spot.report.dropped, **futures.report.dropped}
    assert Tape.join([futures]).rows.tobytes() == futures.rows.tobytes()
    joined.merge()


def test_the_same_instrument_of_two_tapes_is_one(tmp_path):
    book = load(write(tmp_path / "b.gz", [one for one in a_session() if "@trade" not in one]))
    trades = load(write(tmp_path / "t.gz", [one for one in a_session() if "@trade" in one]))
    joined = Tape.join([book, trades])
    assert joined.instruments == (USDM,)
    assert joined.rows.tobytes() == load(write(tmp_path / "a.gz", a_session())).rows.tobytes()


def test_tapes_with_no_time_in_common_are_refused(tmp_path):
    early = Tape(prints(10, 20), (USDM,), "monday")
    late = Tape(prints(2_000_000_020, 2_000_000_030), (SPOT,), "tuesday")
    with pytest.raises(TapeError, match=r"monday ends 2\.000 s before tuesday begins: they have no time in common"):
        Tape.join([late, early])
    with pytest.raises(InputError, match="no tapes were given"):
        Tape.join([])


# --- funding -----------------------------------------------------------------------------------------------------------
def mark(n, price, rate, due, *, event=None):
    data = {"e": "markPriceUpdate", "E": event or ms(n), "s": "BTCUSDT", "p": price, "i": price, "P": price, "r": rate, "T": due}
    return line(n, stream("btcusdt@markPrice@1s", data))


def test_funding_is_one_row_when_its_time_has_passed(tmp_path):
    due, later = ms(4) - 3, ms(4) + 28_800_000
    lines = [
        futures_diff(1, 1, 1, 0, [["60000.0", "1.000"]]),
        mark(2, "60000.12000000", "0.00010000", due),
        mark(3, "60000.16000000", "-0.00012345", due),
        mark(4, "60000.30000000", "-0.00099999", due),  # sent after the time, with the rate and mark price that are paid
        mark(5, "60000.40000000", "0.00030000", later),
        mark(6, "60000.40000000", "0.00030000", later - 1_000),  # put forward and back again: nothing is paid
        mark(7, "60000.40000000", "0.00030000", later),
        futures_trade(8, 1, "60000.0", "0.250"),
    ]
    tape = load(write(tmp_path / "a.gz", lines))
    (row,) = tape.rows[tape.rows["kind"] == FUNDING]
    assert (int(row["qty_lots"]), int(row["price_ticks"]), int(row["side"])) == (-99999, 600003, 0)
    assert (int(row["ts_exch_ns"]), int(row["ts_recv_ns"])) == (due * 1_000_000, (ms(5) + 5) * 1_000_000)
    assert row["flags"] & LAST
    assert "markPrice" not in tape.report.ignored
    frame = tape.frame()
    assert frame.loc[frame["kind"] == "FUNDING", ["price", "qty"]].to_numpy().tolist() == [[60000.3, -0.00099999]]
    tape.merge()


def test_the_recorded_funding_of_april_2023(shared):
    tape = load(shared / "data" / "binance_usdm_btcusdt_20230405.dat.gz", clock="correct")
    (row,) = tape.rows[tape.rows["kind"] == FUNDING]
    # The recording begins at midnight, when the rate 0.00002760 was paid at the mark price 28155.1.
    assert (int(row["qty_lots"]), int(row["price_ticks"])) == (2760, 281551)
    assert str(np.datetime64(int(row["ts_exch_ns"]), "ns")) == "2023-04-05T00:00:00.000000000"


def test_spot_rows_are_as_they_were(tmp_path):
    tape = load(write(tmp_path / "s.gz", [spot_diff(1, 1, 1, [["60000.00", "1.0"]]), spot_trade(2, 1, "60000.00", "0.5")]))
    assert not np.any(np.isin(tape.rows["kind"], (FUNDING, GAP)))
    assert tape.rows["side"].tolist() == [0, BID, BID]
    assert ASK not in tape.rows["side"]

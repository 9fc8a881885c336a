"""npz files of hftbacktest, in and out."""

import numpy as np
import pytest
from captures import USDM, a_session, book_of, futures_diff, futures_trade, ms, write
from hypothesis import given
from hypothesis import strategies as st

from hftlab.data.npz import EXCH_EVENT, HFTBACKTEST, LOCAL_EVENT, write_hftbacktest
from hftlab.data.recordings import load
from hftlab.errors import DataWarning, FormatError, InputError, OffGridPrice, OffGridQuantity, TapeError
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, EVENT, GAP, LAST, SNAPSHOT, TRADE

BOTH = 1 << 31 | 1 << 30
BUY, SELL = 1 << 29, 1 << 28


def events(*rows):
    """Return hftbacktest events from (ev, exch_ts, local_ts, px, qty)."""
    data = np.zeros(len(rows), HFTBACKTEST)
    for i, row in enumerate(rows):
        data[i] = (*row, 0, 0, 0.0)
    return data


def save(path, data, **more):
    with path.open("wb") as file:
        np.savez_compressed(file, data=data, **more)
    return path


NOW = ms(0) * 1_000_000
SOUND = events(
    (BOTH | BUY | 3, NOW, NOW + 5, 59999.0, 0),
    (BOTH | BUY | 4, NOW, NOW + 5, 60000.1, 1.234),
    (BOTH | SELL | 3, NOW, NOW + 5, 60009.0, 0),
    (BOTH | SELL | 4, NOW, NOW + 5, 60000.3, 0.3),
    (BOTH | BUY | 1, NOW + 10, NOW + 15, 60000.1, 0),
    (BOTH | SELL | 2, NOW + 11, NOW + 16, 60000.1, 0.7),
    (BOTH | BUY | 5, NOW + 12, NOW + 17, 60000.0, 0.5),
)


def test_events_become_rows(tmp_path):
    tape = load(save(tmp_path / "a.npz", SOUND), USDM)
    fields = ["kind", "side", "price_ticks", "qty_lots", "flags"]
    assert [tuple(int(value) for value in row) for row in tape.rows[fields].tolist()] == [
        (CLEAR, BID, 0, 0, SNAPSHOT),
        (DEPTH, BID, 600001, 1234, SNAPSHOT),
        (CLEAR, ASK, 0, 0, SNAPSHOT),
        (DEPTH, ASK, 600003, 300, SNAPSHOT | LAST),
        (DEPTH, BID, 600001, 0, LAST),
        (TRADE, ASK, 600001, 700, LAST),
        (BBO, BID, 600000, 500, LAST),
    ]
    assert tape.rows["ts_recv_ns"][-1] - tape.rows["ts_exch_ns"][-1] == 5


def test_the_exchanges_own_copies_are_not_read_twice(tmp_path):
    late = events(
        (1 << 31 | BUY | 2, NOW, NOW + 9, 60000.0, 0.1),
        (BOTH | BUY | 1, NOW + 3, NOW + 4, 60000.0, 0.2),
        (1 << 30 | BUY | 2, NOW, NOW + 9, 60000.0, 0.1),
        (1 << 31 | BUY | 2, NOW + 99, 0, 60000.0, 0.1),
    )
    tape = load(save(tmp_path / "a.npz", late), USDM)
    assert tape.rows["kind"].tolist() == [CLEAR, DEPTH, TRADE]
    assert tape.report.dropped == {"event that the exchange alone saw": 1}
    assert any("no snapshot" in finding.text for finding in tape.report.findings)


def test_a_tape_written_for_hftbacktest_comes_back(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_session()))
    again = load(write_hftbacktest(tmp_path / "a.npz", tape.rows, USDM), USDM)
    assert np.array_equal(again.rows, tape.rows)


@st.composite
def streams(draw):
    rows, now = np.zeros(draw(st.integers(1, 30)), EVENT), NOW
    for i in range(len(rows)):
        now += draw(st.integers(0, 3))
        rows[i]["ts_recv_ns"], rows[i]["ts_exch_ns"] = now, now - draw(st.integers(0, 9))
        rows[i]["kind"] = draw(st.sampled_from([DEPTH, TRADE])) if i else CLEAR
        if i:
            rows[i]["side"] = draw(st.sampled_from([BID, ASK]))
            rows[i]["price_ticks"], rows[i]["qty_lots"] = draw(st.integers(1, 10**9)), draw(st.integers(1, 10**9))
        rows[i]["seq"], rows[i]["flags"] = i, LAST
    return rows


@given(rows=streams())
def test_both_sides_of_a_written_file_are_in_order_and_whole(tmp_path_factory, rows):
    path = write_hftbacktest(tmp_path_factory.mktemp("npz") / "a.npz", rows, USDM)
    with np.load(path) as file:
        data = file["data"]
    assert data.dtype.names == HFTBACKTEST.names
    for flag, clock in ((EXCH_EVENT, "exch_ts"), (LOCAL_EVENT, "local_ts")):
        side = data[(data["ev"] & flag) != 0]
        assert len(side) == len(rows)
        assert np.all(np.diff(side[clock]) >= 0)
        assert sorted(side["ival"].tolist()) == rows["seq"].tolist()
    assert np.array_equal(load(path, USDM).rows, rows)


def test_what_the_other_format_cannot_hold_is_said(tmp_path):
    lines = [*a_session(), futures_diff(6, 200, 201, 199, [["60000.0", "1.000"]])]
    tape = load(write(tmp_path / "a.gz", lines))
    with pytest.warns(DataWarning, match="1 rows left out: .*GAP"):
        path = write_hftbacktest(tmp_path / "a.npz", tape.rows, USDM)
    again = load(path, USDM)
    assert GAP not in again.rows["kind"]
    assert book_of(again.rows) == book_of(tape.rows)


def test_a_wrong_clock_is_not_written(tmp_path):
    with pytest.warns(DataWarning, match="clock"):
        tape = load(write(tmp_path / "a.gz", [futures_trade(1, 1, "60000.0", "1.000", late_ms=-9)]))
    with pytest.raises(TapeError, match="clock='correct'"):
        write_hftbacktest(tmp_path / "a.npz", tape.rows, USDM)


def test_the_instrument_has_to_be_given(tmp_path):
    with pytest.raises(InputError, match="pass one instrument="):
        load(save(tmp_path / "a.npz", SOUND))


def changed(field, value):
    data = SOUND.copy()
    data[field][4] = value
    return data


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (changed("px", 60000.15), OffGridPrice, r"price 60000\.15 in row 4 .*wrong instrument"),
        (changed("px", np.nan), FormatError, "price nan in row 4"),
        (changed("qty", np.inf), FormatError, "quantity inf in row 4"),
        (changed("qty", -1.0), OffGridQuantity, "negative quantity in row 4"),
        (changed("ev", BOTH | 1), FormatError, "neither BUY_EVENT nor SELL_EVENT in row 4"),
        (changed("local_ts", NOW), TapeError, r"row 4 was received before .*sort=True"),
        (np.zeros((5, 6)), FormatError, r"'data' is float64 \(5, 6\).* 1\.x"),
        (events((BOTH | BUY | 10, NOW, NOW + 1, 1.0, 1.0)), FormatError, "no depth or trade events in 1 rows"),
    ],
)
def test_events_that_cannot_be_used(tmp_path, data, error, match):
    with pytest.raises(error, match=match):
        load(save(tmp_path / "a.npz", data), USDM)


def test_sizes_of_another_lot_are_a_wrong_instrument(tmp_path):
    coarse = Instrument(venue="test", symbol="X/USD", base="X", quote="USD", tick_size="0.1", lot_size="1")
    with pytest.raises(OffGridQuantity, match=r"the first 1\.234 in row 1, lie between two lots"):
        load(save(tmp_path / "a.npz", SOUND), coarse)


def test_rows_out_of_order_are_sorted_on_request(tmp_path):
    tape = load(save(tmp_path / "a.npz", SOUND[[0, 1, 2, 3, 5, 4, 6]]), USDM, sort=True)
    assert np.array_equal(tape.rows, load(save(tmp_path / "b.npz", SOUND), USDM).rows)


def test_files_that_are_no_tapes(tmp_path):
    path = tmp_path / "a.npz"
    with path.open("wb") as file:
        np.savez(file, other=np.zeros(3))
    with pytest.raises(FormatError, match="holds other; wanted hftbacktest's array 'data'"):
        load(path)
    path.write_bytes(save(tmp_path / "b.npz", SOUND).read_bytes()[:200])
    with pytest.raises(FormatError, match="no npz of a tape"):
        load(path)
    whole = bytearray(save(tmp_path / "b.npz", np.tile(SOUND, 50)).read_bytes())
    begin = whole.index(b"data.npy") + len("data.npy") + int.from_bytes(whole[28:30], "little")
    whole[begin : begin + 4] = b"\xff\xff\xff\xff"  # no beginning of a deflated stream
    path.write_bytes(whole)
    with pytest.raises(FormatError, match="no npz of a tape"):
        load(path, USDM)
    with pytest.raises(FormatError, match="given together"):
        load([tmp_path / "b.npz", write(tmp_path / "c.gz", a_session())])


def test_two_files_are_one_tape(tmp_path):
    first, second = save(tmp_path / "1.npz", SOUND[:5]), save(tmp_path / "2.npz", SOUND)
    with pytest.raises(TapeError, match="received before"):
        load([second, first], USDM)
    own = [load(first, USDM).save(tmp_path / "1"), load(second, USDM).slice(start_s=1e-8).save(tmp_path / "2")]
    assert load(own).instruments == (USDM,)
    other = Instrument.bundled("binance:BTC/USDT")
    with pytest.raises(InputError, match="holds binanceusdm:BTC/USDT:USDT; wanted binance:BTC/USDT"):
        load(own, other)

"""One thing wrong in an otherwise sound recording: each is named with its row, its column, and what to do."""

import gzip

import numpy as np
import pytest
from captures import USDM, a_session, futures_diff, futures_ticker, ms, spot_diff, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hftlab.data.notes import Notes
from hftlab.data.npz import BUY_EVENT, HFTBACKTEST, write_hftbacktest, write_tape
from hftlab.data.synth import synth_rows
from hftlab.data.validate import validate
from hftlab.errors import HftlabError, InputError, UnknownInstrument, UnknownName
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, CLEAR, DEPTH, EVENT, LAST, SNAPSHOT, TRADE

SIM = Instrument.bundled("sim:BTC/USDT")


@pytest.fixture(scope="module")
def sound():
    """Return the rows of a small simulated recording; a copy, to be corrupted."""
    rows = synth_rows(SIM, 3.0, 11, latency_ns=1_500_000, jitter_ns=300_000)
    return lambda: rows.copy()


def own(path, rows, instruments=(SIM,)):
    return write_tape(path, rows, instruments, "made", Notes())


def events(path, rows, spoil):
    """Write rows as an hftbacktest npz, `spoil`ed in between. Returns the path."""
    with np.load(write_hftbacktest(path, rows, SIM)) as file:
        data = file["data"]
    spoil(data)
    np.savez_compressed(path, data=data)
    return path


def kind_row(rows, kind, after=0.5):
    """Return a row of a kind from the middle of a recording."""
    return int(next(k for k in np.flatnonzero(rows["kind"] == kind) if k >= after * len(rows)))


def named(report, *words, severity=("error", "warning")):
    """Return the finding that says all of `words`; it must say what to do too."""
    found = [one for one in report.findings if one.severity in severity and all(word in one.text for word in words)]
    assert found, f"{words} not in:\n{report}"
    assert found[0].fix, found[0]
    assert not report.ok
    return found[0]


def test_the_sound_recordings_have_no_findings(sound, tmp_path):
    rows = sound()
    reports = [
        validate(own(tmp_path / "own.npz", rows)),
        validate(write_hftbacktest(tmp_path / "events.npz", rows, SIM), SIM),
        validate(write(tmp_path / "lines.gz", a_session())),
        validate(rows, SIM),
    ]
    assert [str(one) for report in reports for one in report.findings if one.severity != "info"] == []
    assert [report.rows for report in reports[:2]] == [len(rows), len(rows)]


# --- values ----------------------------------------------------------------------------------------------------------
def test_a_negative_price(sound, tmp_path):
    rows = sound()
    k = kind_row(rows, TRADE)
    rows["price_ticks"][k] *= -1
    finding = named(validate(own(tmp_path / "a.npz", rows)), f"row {k:,}", "price_ticks", "more than zero", "sign")
    assert (finding.row, finding.column, finding.count) == (k, "price_ticks", 1)


def test_a_negative_quantity(sound, tmp_path):
    rows = sound()
    k = kind_row(rows, DEPTH)
    rows["qty_lots"][k] = -3
    named(validate(own(tmp_path / "a.npz", rows)), f"row {k:,}", "qty_lots", "-3 lots", "zero or more")


def test_a_negative_quantity_of_an_event(sound, tmp_path):
    def spoil(data):
        data["qty"][100] = -0.5

    named(validate(events(tmp_path / "a.npz", sound(), spoil), SIM), "a.npz, row 100, qty", "-0.5", "zero or more", "Drop the row")


def test_a_nan(sound, tmp_path):
    def spoil(data):
        data["px"][200] = np.nan

    named(validate(events(tmp_path / "a.npz", sound(), spoil), SIM), "a.npz, row 200, px", "nan", "a number", "Drop the row")


def test_an_off_grid_price(sound, tmp_path):
    def spoil(data):
        data["px"][300] += 0.3 * float(SIM.tick_size)

    report = validate(events(tmp_path / "a.npz", sound(), spoil), SIM)
    named(report, "a.npz, row 300, px", "no multiple of the tick size", "wrong instrument")


def test_an_off_grid_price_in_a_capture(tmp_path):
    lines = [*a_session(), futures_diff(6, 113, 114, 112, [["60000.05", "1.000"]])]
    named(validate(write(tmp_path / "a.gz", lines)), "a.gz, line 7, price", "60000.05", "wrong instrument")


@pytest.mark.parametrize("column", ["ts_exch_ns", "ts_recv_ns"])
def test_ms_for_ns(sound, tmp_path, column):
    rows = sound()
    rows[column] //= 1_000_000
    report = validate(own(tmp_path / "a.npz", rows))
    finding = named(report, "row 0", column, "it looks like ms", "ns since 1970", "Multiply")
    assert finding.count == len(rows)
    assert report.clock == ()


def test_ms_for_ns_in_one_event(sound, tmp_path):
    def spoil(data):
        data["exch_ts"][50] //= 1_000_000

    named(validate(events(tmp_path / "a.npz", sound(), spoil), SIM), "row 50", "ts_exch_ns", "it looks like ms")


def test_an_unknown_event_kind(sound, tmp_path):
    rows = sound()
    rows["kind"][500] = 200
    named(validate(own(tmp_path / "a.npz", rows)), "row 500", "kind 200", "DEPTH 1", "Take the rows out")

    def spoil(data):
        data["ev"][40] = (data["ev"][40] & ~np.uint64(0xFF)) | np.uint64(99)

    named(validate(events(tmp_path / "b.npz", sound(), spoil), SIM), "b.npz, row 40, ev", "kind 99", "Drop the row")


def test_a_side_that_is_none(sound, tmp_path):
    rows = sound()
    k = kind_row(rows, DEPTH)
    rows["side"][k] = 0
    named(validate(own(tmp_path / "a.npz", rows)), f"row {k:,}", "side", "1 (bid, buy) or -1")

    def spoil(data):
        data["ev"][60] &= ~np.uint64(3 << 28)

    named(validate(events(tmp_path / "b.npz", sound(), spoil), SIM), "b.npz, row 60, ev", "neither BUY_EVENT nor SELL_EVENT")


def test_an_instrument_that_is_not_there(sound, tmp_path):
    rows = sound()
    rows["instrument"][700:702] = 4_000_000_000
    finding = named(validate(own(tmp_path / "a.npz", rows)), "row 700", "instrument 4000000000", "a number below 1")
    assert finding.count == 2


def test_an_unknown_symbol_in_a_capture(tmp_path):
    lines = [*a_session(), futures_diff(6, 113, 114, 112, [["1.0", "1"]]).replace("BTCUSDT", "NONEUSDT").replace("btcusdt", "noneusdt")]
    named(validate(write(tmp_path / "a.gz", lines)), "a.gz, line 7, symbol", "NONEUSDT", "Pass instrument=")


def test_the_wrong_instrument_for_a_capture(tmp_path):
    report = validate(write(tmp_path / "a.gz", a_session()), "binance:ETH/USDT")
    named(report, "symbol", "binanceusdm:BTCUSDT", "the instrument given was binance:ETH/USDT", "Give the recorded one")


def test_a_tick_size_that_is_ten_times_too_small(sound, tmp_path):
    rows = sound()
    rows["price_ticks"] *= 10
    named(validate(own(tmp_path / "a.npz", rows)), "price_ticks", "multiples of 10 ticks", "a tick size 10 times as large")


def test_one_price_off_the_grid_of_all_others(tmp_path):
    rows = synth_rows(SIM, 20.0, 11)
    rows["price_ticks"] *= 10
    k = kind_row(rows, TRADE)
    rows["price_ticks"][k] += 3
    named(validate(own(tmp_path / "a.npz", rows)), f"row {k:,}", "price_ticks", "off the grid of 10 ticks")


# --- order, twice, never ---------------------------------------------------------------------------------------------
def test_reversed_time(sound, tmp_path):
    rows = sound()
    rows["ts_recv_ns"][800] -= 50_000_000
    report = validate(own(tmp_path / "a.npz", rows))
    finding = named(report, "row 800", "ts_recv_ns", "goes back 1 time", "sort=True")
    assert finding.row == 800
    assert report.recv_regressions == 1


def test_reversed_time_in_a_capture(tmp_path):
    lines = a_session()
    lines[2], lines[3] = lines[3], lines[2]
    named(validate(write(tmp_path / "a.gz", lines)), "a.gz, line 4, local_ts", "before the line above", "sort=True")


def test_reversed_time_of_events(sound, tmp_path):
    def spoil(data):
        data["local_ts"][900] = data["local_ts"][890] - 1

    named(validate(events(tmp_path / "a.npz", sound(), spoil), SIM), "a.npz, row 900", "ts_recv_ns", "goes back", "sort=True")


def test_exchange_time_that_goes_back_within_a_book(sound, tmp_path):
    rows = sound()
    k = kind_row(rows, DEPTH)
    rows["ts_exch_ns"][k] -= 1_000_000_000
    named(validate(own(tmp_path / "a.npz", rows)), f"row {k:,}", "ts_exch_ns", "goes back")


def test_duplicate_rows(sound, tmp_path):
    rows = sound()
    spoilt = np.insert(rows, 1200, rows[1190:1200])
    finding = named(validate(own(tmp_path / "a.npz", spoilt)), "row 1,200", "all columns", "equals an earlier one", "Drop the repeats")
    assert 1 <= finding.count <= 10


def test_a_duplicate_line(tmp_path):
    lines = a_session()
    lines.insert(4, lines[3].replace(lines[3][:19], f"{(ms(3) + 6) * 1_000_000}"))
    named(validate(write(tmp_path / "a.gz", lines)), "a.gz, line 5, payload", "that of line 4 again", "drop the repeats")


def test_a_trade_id_that_comes_twice(tmp_path):
    rows = synth_rows(SIM, 20.0, 11)
    first, second = np.flatnonzero((rows["kind"] == TRADE) & (rows["seq"] != 0))[[3, 5]]
    rows["seq"][second] = rows["seq"][first]
    named(validate(own(tmp_path / "a.npz", rows)), f"row {second:,}", "seq", f"trade id {rows['seq'][first]}", "Drop the repeats")


def test_a_sequence_gap(tmp_path):
    lines = a_session()
    del lines[3]
    named(validate(write(tmp_path / "a.gz", lines)), "a.gz, line 5", "seq", "updates were lost, here before update 112", "record again")


def test_missing_trade_ids_where_ids_are_dense(tmp_path):
    rows = synth_rows(SIM, 20.0, 11)
    trades = np.flatnonzero(rows["kind"] == TRADE)
    rows["seq"][trades] = np.arange(1, len(trades) + 1)
    rows["seq"][trades[30:]] += 7
    assert len(trades) > 40
    named(validate(own(tmp_path / "a.npz", rows)), f"row {trades[30]:,}", "seq", "leave out 7", "Prints are missing")


def test_a_silence_and_a_book_that_stands_still(tmp_path):
    rows = synth_rows(SIM, 10.0, 11)
    k = int(np.flatnonzero(rows["flags"] & LAST)[2000]) + 1
    late = rows.copy()
    for column in ("ts_exch_ns", "ts_recv_ns"):
        late[column][k:] += 4_000_000_000
    named(validate(own(tmp_path / "a.npz", late)), f"row {k:,}", "ts_recv_ns", "nothing was received for 4.0", "Backtest around it")
    now = rows["ts_recv_ns"] - rows["ts_recv_ns"][0]
    cut = rows[(now < 3_000_000_000) | (now > 8_000_000_000) | (rows["kind"] == TRADE)]
    last = int(np.flatnonzero((cut["kind"] != TRADE) & (cut["ts_recv_ns"] - rows["ts_recv_ns"][0] < 3_000_000_000))[-1])
    named(validate(own(tmp_path / "b.npz", cut)), f"row {last:,}", "ts_recv_ns", "stood still for 5.", "other rows came", "do not quote")


# --- books -----------------------------------------------------------------------------------------------------------
def test_a_crossed_book(sound, tmp_path):
    rows = sound()
    k = int(next(k for k in np.flatnonzero((rows["kind"] == DEPTH) & (rows["side"] == BID) & (rows["flags"] & LAST != 0)) if k > 1000))
    rows["price_ticks"][k] += 500
    rows["qty_lots"][k] = 7
    finding = named(validate(own(tmp_path / "a.npz", rows)), f"row {k:,}", "price_ticks", "the book is crossed", "in 1 stretches")
    assert finding.row == k


def test_a_print_far_from_the_market(sound, tmp_path):
    rows = sound()
    k = kind_row(rows, TRADE)
    rows["price_ticks"][k] *= 2
    named(
        validate(own(tmp_path / "a.npz", rows)), f"row {k:,}", "price_ticks", "a print at", "within 100 bps of the touch", "Drop the print"
    )


def test_a_print_far_from_those_around_it_where_there_is_no_book():
    prints = synth_rows(SIM, 20.0, 11)
    prints = prints[prints["kind"] == TRADE]
    prints["price_ticks"][9] *= 3
    report = validate(prints, SIM)
    named(report, "row 9", "price_ticks", "in the prints around it")
    named(report, "no book", "Record the depth stream")


def test_no_snapshot_at_the_start(sound, tmp_path):
    rows = sound()[300:]
    first = int(np.flatnonzero(rows["kind"] == DEPTH)[0])
    named(validate(own(tmp_path / "a.npz", rows)), f"row {first}", "flags", "no snapshot", "record from a snapshot on")


def test_a_recording_that_ends_within_a_message(sound, tmp_path):
    rows = sound()
    rows["flags"][-1] &= ~np.uint16(LAST)
    named(validate(own(tmp_path / "a.npz", rows)), f"row {len(rows) - 1:,}", "flags", "ends within a message", "fetch the file again")


# --- files -----------------------------------------------------------------------------------------------------------
def test_an_empty_file(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b"")
    report = validate(path)
    assert [finding.text for finding in report.findings if "is empty (0 bytes); wanted a recording" in finding.text]
    assert (report.rows, report.ok) == (0, False)
    assert "is empty" in report._repr_html_()


@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_file_is_said_and_read_to_its_end(tmp_path, packed):
    path = write(tmp_path / "a.gz", a_session(), packed=packed)
    path.write_bytes(path.read_bytes()[:-30])
    report = validate(path)
    named(report, "a.gz, after line 5", "ends in the middle", "good lines", "partial=True")
    assert sum("ends in the middle" in finding.text for finding in report.findings) == 1
    assert report.rows > 5


def test_a_truncated_npz(sound, tmp_path):
    path = own(tmp_path / "a.npz", sound())
    path.write_bytes(path.read_bytes()[:-5000])
    assert "a.npz is no npz of a tape" in validate(path).findings[0].text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x28\xb5\x2f\xfd....", ("a.dat is a zstd file", "damaged")),
        (b"timestamp,price,amount\n1,2,3\n", ("a.dat is not a recording", "wanted lines of")),
        (b'1700000000000000000 {"channel":"pong"}\n1700000000000000000 oops\n', ("a.dat, line 2, payload", "JSON")),
        (b'1700000000000000000 {"hello":1}\n', ("no line of the first 1 is a message of a known stream",)),
    ],
)
def test_another_format(tmp_path, content, words):
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    named(validate(path), *words, severity=("error",))


def test_a_wrong_header_of_an_npz(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.zeros(3, [("time", "i8"), ("price", "f8")]))
    report = validate(tmp_path / "a.npz", SIM)
    assert "wanted the fields ('ev', 'exch_ts'" in report.findings[0].text
    assert "migrated" in report.findings[0].text


def test_a_message_without_a_field_names_it(tmp_path):
    lines = [*a_session(), futures_diff(6, 113, 114, 112, [["60000.0", "1"]]).replace('"u":114,', "")]
    finding = named(validate(write(tmp_path / "a.gz", lines)), "a.gz, line 7, u", "missing required field", "Take the line out")
    assert finding.column == "u"


def test_a_number_that_is_none_names_its_line_and_column(tmp_path):
    lines = [spot_diff(1, 1, 2, [["60000.00", "1.0"]]), spot_diff(2, 3, 4, [["NaN", "1.0"]])]
    named(validate(write(tmp_path / "a.gz", lines)), "a.gz, line 2, price", "'NaN'", "wanted a")


def test_levels_that_find_no_room():
    # A book keeps 4,096 ticks around the touch and 12,288 levels beyond: of 20,000 asks some have no room.
    rows = np.zeros(20_001, EVENT)
    rows["ts_exch_ns"] = rows["ts_recv_ns"] = ms(1) * 1_000_000
    rows["kind"], rows["side"], rows["flags"], rows["qty_lots"] = DEPTH, ASK, SNAPSHOT, 1
    rows["price_ticks"] = 10_000 + np.arange(20_001) * 3
    rows["kind"][0], rows["side"][0], rows["flags"][-1] = CLEAR, 0, SNAPSHOT | LAST
    found = named(validate(rows, SIM), "levels far from the touch found no room", "deep end is incomplete")
    assert "Record fewer levels" in found.fix


def test_a_book_that_is_not_the_venues_own(tmp_path):
    # After update 110 the bids are 60000.1 (0.300): the venue says 0.400.
    lines = [*a_session(), futures_ticker(6, 110, ("60000.1", "0.400"), ("60000.2", "1.500"))]
    finding = named(
        validate(write(tmp_path / "a.gz", lines)), "a.gz, line 4", "price_ticks, qty_lots", "differs from the venue's best prices"
    )
    assert "at 1 of 1 update ids, first after update 110" in finding.found


# --- laws and misuse -------------------------------------------------------------------------------------------------
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_of_a_file_raises(tmp_path, data):
    lines = "".join(f"{one}\n" for one in a_session()).encode()
    tape = np.array(
        [(BUY_EVENT | np.uint64(3 << 30) | np.uint64(1), ms(k) * 10**6, ms(k) * 10**6 + 5, 60000.0 + k, 1.0, 0, k, 0.0) for k in range(9)],
        HFTBACKTEST,
    )
    form = data.draw(st.sampled_from(["plain", "gzip", "events", "own"]))
    path = tmp_path / f"{form}.dat"
    if form == "events":
        with path.open("wb") as file:
            np.savez(file, data=tape)
    elif form == "own":
        own(path, synth_rows(SIM, 0.01, 11)[-12:])
    else:
        path.write_bytes(lines if form == "plain" else gzip.compress(lines, mtime=0))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    report = validate(path, USDM) if form == "events" else validate(path)
    assert report._repr_html_()
    assert len(report.frame()) == len(report.findings)


@given(data=st.data())
def test_no_rows_raise(data):
    # Any bytes are EVENT rows; what they say is another matter.
    rows = np.frombuffer(data.draw(st.binary(min_size=0, max_size=640)).ljust(640, b"\1"), "u1").reshape(10, 64).copy().view(EVENT).ravel()
    report = validate(rows, SIM)
    assert report.rows == 10
    assert not report.ok
    assert str(report)


def test_misuse_is_refused_with_words(sound, tmp_path):
    with pytest.raises(InputError, match="is no file; wanted the path"):
        validate(tmp_path / "none.gz")
    with pytest.raises(InputError, match="pass instrument="):
        validate(write_hftbacktest(tmp_path / "a.npz", sound(), SIM))
    with pytest.raises(UnknownInstrument, match="Did you mean"):
        validate(sound(), "sim:BTC/USD")
    with pytest.raises(InputError, match=r"int was given; wanted a tape"):
        validate(3)
    with pytest.raises(InputError, match=r"wanted rows of hftlab\.types\.EVENT"):
        validate(np.zeros(3))
    with pytest.raises(UnknownName, match="quiet_s"):
        validate(sound(), SIM, quiet=3)
    with pytest.raises(InputError, match="quiet_s was 'x'"):
        validate(sound(), SIM, quiet_s="x")
    assert issubclass(InputError, HftlabError)


def test_the_shown_side_of_a_crossed_ask_too(sound):
    rows = sound()
    k = int(next(k for k in np.flatnonzero((rows["kind"] == DEPTH) & (rows["side"] == ASK) & (rows["flags"] & LAST != 0)) if k > 1000))
    rows["price_ticks"][k] -= 500
    rows["qty_lots"][k] = 7
    assert validate(rows, SIM).crossed_first_row == k

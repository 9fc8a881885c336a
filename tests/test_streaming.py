"""Recordings in parts: the same rows as `hl.load`, in bounded chunks; and what is refused."""

import gzip
import tracemalloc

import numpy as np
import pytest
from captures import USDM, a_session, futures_diff, futures_snapshot, futures_trade, ms, write
from hypothesis import given
from hypothesis import strategies as st

from hftlab.data import streaming
from hftlab.data.channels import channels_of, read_all
from hftlab.data.chunking import boundaries, by_receive_time, whole_messages
from hftlab.data.files import Progress
from hftlab.data.markets import Markets
from hftlab.data.merging import merged_chunks
from hftlab.data.reading import Reading
from hftlab.data.recordings import load
from hftlab.data.streaming import stream
from hftlab.data.tape import Tape
from hftlab.errors import FormatError, InputError, TapeError, TruncatedFile, UnknownName
from hftlab.types import BID, EVENT, LAST, TRADE


def a_long_session(count=40, first=0):
    """Return lines of a capture: a snapshot, then diffs and prints by turns."""
    lines = [futures_snapshot(first, first, [["60000.0", "1.000"]], [["60000.2", "1.000"]])]
    for n in range(first + 1, first + count):
        lines.append(futures_diff(n, n, n, n - 1, [["60000.0", f"{n}.000"], ["59999.9", "1.000"]], [["60000.3", f"{n}.500"]]))
        if n % 3 == 0:
            lines.append(futures_trade(n, n, "60000.0", "0.250"))
    return lines


@st.composite
def rows_in_messages(draw):
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=30))
    rows = np.zeros(sum(lengths), EVENT)
    rows["seq"] = np.arange(len(rows))
    rows["ts_recv_ns"] = np.repeat(np.cumsum(draw(st.lists(st.integers(0, 2), min_size=len(lengths), max_size=len(lengths)))), lengths)
    ends = np.cumsum(lengths) - 1
    rows["flags"][ends[np.array(draw(st.lists(st.booleans(), min_size=len(ends), max_size=len(ends))))]] = LAST
    return rows


@given(rows=rows_in_messages(), cuts=st.lists(st.integers(0, 150), max_size=8), rows_max=st.integers(1, 40))
def test_chunks_of_any_cut_come_out_whole_and_in_order(rows, cuts, rows_max):
    parts = list(whole_messages(np.split(rows, sorted(cut for cut in cuts if cut <= len(rows))), rows_max))
    assert np.concatenate(parts).tobytes() == rows.tobytes()
    begins = set(boundaries(rows).tolist())
    assert {int(part["seq"][0]) for part in parts} <= begins
    longest = max(np.diff([*sorted(begins), len(rows)]))
    assert max(map(len, parts)) <= max(rows_max, longest)
    assert all(len(part) <= rows_max or len(boundaries(part)) == 1 for part in parts)


@given(sources=st.lists(rows_in_messages(), min_size=1, max_size=4), cut=st.integers(1, 20))
def test_sources_are_merged_by_receive_time_and_the_earlier_comes_first_on_ties(sources, cut):
    for number, rows in enumerate(sources):
        rows["instrument"] = number
    chunked = [iter(np.split(rows, range(cut, len(rows), cut))) for rows in sources]
    merged = np.concatenate(list(by_receive_time(chunked)))
    expected = np.concatenate(sources)
    assert merged.tobytes() == expected[np.argsort(expected["ts_recv_ns"], kind="stable")].tobytes()


@pytest.mark.parametrize("rows_each", [1, 7, 1 << 20])
@pytest.mark.parametrize("rows_max", [1, 4, 1000])
def test_a_stream_holds_the_rows_of_the_tape(tmp_path, monkeypatch, rows_each, rows_max):
    monkeypatch.setattr(streaming, "ROWS", rows_each)
    path = write(tmp_path / "a.gz", a_long_session())
    tape, opened = load(path), stream(path, rows_max=rows_max)
    assert (opened.instruments, opened.source) == (tape.instruments, tape.source)
    for _ in range(2):  # it can be read again
        parts = list(opened.chunks())
        assert np.concatenate(parts).tobytes() == tape.rows.tobytes()
        assert all(part["flags"][-1] & LAST for part in parts)
    assert opened.notes.lines == tape.notes.lines
    assert np.concatenate(list(merged_chunks(opened, 50))).tobytes() == tape.merge().rows.tobytes()


def test_files_that_follow_each_other_are_one_stream(tmp_path):
    lines = a_long_session()
    paths = [write(tmp_path / "a.gz", lines[:20]), write(tmp_path / "b.gz", lines[20:])]
    assert np.concatenate(list(stream(paths).chunks(5))).tobytes() == load(write(tmp_path / "c.gz", lines)).rows.tobytes()
    with pytest.raises(TapeError, match=r"a\.gz, line 1: received 0\.\d+ s before b\.gz ends"):
        list(stream(paths[::-1]).chunks())


def test_a_clock_is_corrected_as_load_does(tmp_path):
    path = write(tmp_path / "a.gz", [futures_diff(n, n, n, n - 1, [["60000.0", f"{n}.000"]], late_ms=-1272 + 3 * n) for n in range(1, 5)])
    opened = stream(path, clock="correct")
    assert np.concatenate(list(opened.chunks())).tobytes() == load(path, clock="correct").rows.tobytes()
    assert opened.notes.clock_shift_ns == 1_270_000_000


def test_an_instrument_that_appears_late_has_to_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "ROWS", 4)
    other = futures_diff(50, 1, 2, 0, [["3000.00", "1.000"]]).replace("BTCUSDT", "ETHUSDT").replace("btcusdt", "ethusdt")
    path = write(tmp_path / "a.gz", [*a_long_session(10), other])
    with pytest.raises(TapeError, match=r"ETH/USDT:USDT appears after the first .*instrument="):
        list(stream(path).chunks())
    assert len(np.concatenate(list(stream(path, [USDM, "binanceusdm:ETH/USDT:USDT"]).chunks()))) == len(load(path))


def test_a_cut_file_is_refused_where_it_ends(tmp_path):
    packed = write(tmp_path / "a.gz", a_long_session()).read_bytes()
    (tmp_path / "b.gz").write_bytes(packed[:-40])
    with pytest.raises(TruncatedFile, match="partial=True"):
        list(stream(tmp_path / "b.gz").chunks())
    assert len(np.concatenate(list(stream(tmp_path / "b.gz", partial=True).chunks()))) > 20


def test_a_misspelt_option(tmp_path):
    with pytest.raises(UnknownName, match=r"stream has no option 'row_max'. Did you mean 'rows_max'"):
        stream(tmp_path, row_max=5)
    with pytest.raises(UnknownName, match="clock was 'corect'"):
        stream(tmp_path, clock="corect")
    with pytest.raises(InputError, match="rows_max was 0"):
        stream(tmp_path, rows_max=0)


# --- memory ----------------------------------------------------------------------------------------------------------
def test_more_than_the_memory_says_what_it_needs_and_what_to_do(tmp_path):
    path = write(tmp_path / "a.gz", a_long_session())
    rows = len(load(path))
    # 128 bytes a row: the parts, and the array made of them.
    with pytest.raises(
        InputError, match=rf"a\.gz holds about {rows} rows and needs 0\.0 GB of memory; the limit is 0\.0 GB\. Use hl\.stream"
    ):
        load(path, memory_max_gb=1e-6)
    assert len(load(path, memory_max_gb=128 * rows / 1e9)) == rows
    with pytest.raises(InputError, match="memory_max_gb was 0; wanted more than zero"):
        load(path, memory_max_gb=0)


def test_an_npz_is_measured_before_it_is_read(tmp_path):
    saved = load(write(tmp_path / "a.gz", a_long_session())).save(tmp_path / "tape.npz")
    with pytest.raises(InputError, match=r"tape\.npz holds about"):
        load(saved, memory_max_gb=1e-6)


def test_what_a_large_file_will_need_is_told_from_its_beginning(tmp_path):
    # 3 MB of text that does not pack: after the first part the rest is foreseen, long before it is read.
    random = np.random.default_rng(1)
    lines = [futures_snapshot(0, 0, [["60000.0", "1.000"]])]
    for n in range(1, 3000):
        levels = [[f"{60000 + int(k) / 10:.1f}", f"{int(q) / 1000:.3f}"] for k, q in random.integers(1, 10**6, (100, 2))]
        lines.append(futures_diff(n, n, n, n - 1, levels))
    path = tmp_path / "big.gz"
    path.write_bytes(gzip.compress("".join(one + "\n" for one in lines).encode(), 1))
    with pytest.raises(InputError, match=r"holds about 2[5-9][0-9],|holds about 3[0-4][0-9],") as caught:
        load(path, memory_max_gb=0.03)
    assert "line 2,9" not in str(caught.value)
    assert len(load(path, memory_max_gb=0.03, end_s=1.0)) < 30_000  # what is not asked for needs nothing


def test_saved_tapes_are_streamed_file_by_file(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_long_session()))
    cut = int(boundaries(tape.rows)[20])
    files = [
        Tape(rows.copy(), tape.instruments, name).save(tmp_path / f"{name}.npz")
        for name, rows in (("one", tape.rows[:cut]), ("two", tape.rows[cut:]))
    ]
    assert np.concatenate(list(stream(files).chunks(9))).tobytes() == load(files).rows.tobytes() == tape.rows.tobytes()
    with pytest.raises(TapeError, match=r"one\.npz begins 0\.\d+ s before two\.npz ends"):
        list(stream(files[::-1]).chunks())


def test_a_tape_ten_times_as_long_is_merged_in_the_same_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("hftlab.data.channels.ROWS_MAPPED", 2000)
    peaks = []
    for count in (5_000, 50_000):
        rows = np.zeros(count, EVENT)
        rows["ts_recv_ns"], rows["kind"], rows["side"], rows["flags"] = np.arange(count) * 10, TRADE, BID, LAST
        rows["ts_exch_ns"] = rows["ts_recv_ns"] - 25
        opened = stream(Tape(rows, (USDM,)).save(tmp_path / "tape.rows", mapped=True))
        list(merged_chunks(opened, 1000))  # loads what is loaded once
        tracemalloc.start()
        assert sum(map(len, merged_chunks(opened, 1000))) == 2 * count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 64 * 50_000


# --- mapped tapes ----------------------------------------------------------------------------------------------------
def test_a_mapped_tape_is_the_tape(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_long_session()))
    path = tape.save(tmp_path / "tape.rows", mapped=True)
    again = load(path)
    assert isinstance(again.rows.base, np.memmap)
    assert type(again.rows) is np.ndarray  # the kernels are compiled for plain arrays that can be written
    assert again.rows.flags.writeable
    assert again.rows.tobytes() == tape.rows.tobytes()
    assert (again.instruments, again.report) == (tape.instruments, tape.report)
    assert again.merge().rows.tobytes() == tape.merge().rows.tobytes()
    assert again.slice(0.1, 0.2).rows.tobytes() == tape.slice(0.1, 0.2).rows.tobytes()
    assert np.concatenate(list(stream(path).chunks(7))).tobytes() == tape.rows.tobytes()
    assert load(path, memory_max_gb=1e-9).rows.tobytes() == tape.rows.tobytes()  # needs none


def test_a_mapped_file_is_never_changed(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_long_session()))
    path = tape.save(tmp_path / "tape.rows", mapped=True)
    before = path.read_bytes()
    load(path).rows["qty_lots"] = 7
    assert path.read_bytes() == before


def test_how_far_reading_has_come_counts_mapped_files_too(tmp_path):
    """Else the memory for a tape beside a small capture is foreseen as many times what it is."""
    tape = load(write(tmp_path / "a.gz", a_long_session()))
    path = tape.save(tmp_path / "tape.rows", mapped=True)
    reading = Reading(Markets(None), progress=Progress([path]))
    assert sum(map(len, read_all(channels_of([path]), reading))) == len(tape)
    assert reading.progress.read == tape.rows.nbytes > 0.5 * path.stat().st_size


def test_mapped_files_that_follow_each_other(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_long_session()))
    cut = int(boundaries(tape.rows)[20])
    one = Tape(tape.rows[:cut].copy(), tape.instruments, "one").save(tmp_path / "one.rows", mapped=True)
    two = Tape(tape.rows[cut:].copy(), tape.instruments, "two").save(tmp_path / "two.rows", mapped=True)
    assert load([one, two]).rows.tobytes() == tape.rows.tobytes()
    with pytest.raises(TapeError, match=r"one\.rows begins 0\.\d+ s before two\.rows ends\. Files of one kind must follow each other"):
        list(stream([two, one]).chunks())
    with pytest.raises(InputError, match=r"one\.rows holds binanceusdm:BTC/USDT:USDT; wanted binance:BTC/USDT"):
        load(one, "binance:BTC/USDT")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda data: data[:-1], TruncatedFile, r"whole rows of \d+: it was cut"),
        (lambda data: data + bytes(64), FormatError, r"1\.0 rows longer"),
        (lambda data: data[:16] + b"?" + data[17:], FormatError, "description is damaged"),
        (lambda data: data.replace(b'"hftlab_rows": 1', b'"hftlab_rows": 2'), FormatError, "another format"),
    ],
)
def test_a_mapped_file_that_is_damaged(tmp_path, change, error, match):
    path = load(write(tmp_path / "a.gz", a_session())).save(tmp_path / "tape.rows", mapped=True)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(error, match=match):
        load(path)


def test_a_stream_of_a_mapped_tape_checks_every_row(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_session()))
    path = tape.save(tmp_path / "tape.rows", mapped=True)
    data = bytearray(path.read_bytes())
    data[-64 * 3 + 56] = 9  # the kind of the third row from the end
    path.write_bytes(bytes(data))
    row = len(tape) - 3
    for read in (load, lambda path: list(stream(path).chunks())):
        with pytest.raises(TapeError, match=rf"row {row} \(\?\): column 'kind' was 9, which is no event kind that hftlab knows"):
            read(path)


def test_times_of_captures_are_those_of_the_tape(tmp_path):
    opened = stream(write(tmp_path / "a.gz", a_long_session()))
    assert next(opened.chunks(1))["ts_exch_ns"][0] == ms(0) * 1_000_000
    assert repr(opened) == f"<Stream {USDM.name}: a.gz>"

"""A tape: its summary, its slices, its file, and the two clocks."""

import dataclasses

import numpy as np
import pytest
from captures import USDM, a_session, book_of, futures_diff, write
from hypothesis import given
from hypothesis import strategies as st

from hftlab.data.mapped import write_mapped
from hftlab.data.npz import write_tape
from hftlab.data.recordings import load
from hftlab.data.tape import Tape
from hftlab.errors import InputError, TapeError
from hftlab.types import ASK, AT_DESK, AT_EXCHANGE, BID, CLEAR, DEPTH, EVENT, GAP, LAST, SNAPSHOT, TRADE

COLUMNS = [name for name in EVENT.names if name != "flags"]


@st.composite
def tapes(draw):
    """Messages of one to three rows with any latencies, also none; equal times are common."""
    rows, now = [], 1000
    for number in range(draw(st.integers(1, 25))):
        now += draw(st.integers(0, 3))
        happened = now - draw(st.integers(0, 6))
        size = draw(st.integers(1, 3))
        for k in range(size):
            row = np.zeros(1, EVENT)
            row["ts_exch_ns"], row["ts_recv_ns"], row["seq"], row["qty_lots"] = happened, now, number, k
            row["kind"] = TRADE if size == 1 else DEPTH
            row["side"], row["flags"] = BID, LAST if k == size - 1 else 0
            rows.append(row)
    return Tape(np.concatenate(rows), (USDM,))


def identity(rows):
    return [(int(row["seq"]), int(row["qty_lots"])) for row in rows]


@given(tape=tapes())
def test_each_side_of_the_merge_keeps_its_own_order(tape):
    rows = tape.merge().rows
    ours = rows[(rows["flags"] & AT_DESK) != 0]
    theirs = rows[(rows["flags"] & AT_EXCHANGE) != 0]
    assert np.array_equal(ours[COLUMNS], tape.rows[COLUMNS])
    in_exchange_order = tape.rows[np.argsort(tape.rows["ts_exch_ns"], kind="stable")]
    # A stable sort of rows is one of messages here: all rows of a message share their time.
    assert np.array_equal(theirs[COLUMNS], in_exchange_order[COLUMNS])
    assert np.array_equal(ours["flags"] & ~np.uint16(AT_DESK | AT_EXCHANGE), tape.rows["flags"])


@given(tape=tapes())
def test_the_merge_goes_by_time_and_the_exchange_comes_first_on_ties(tape):
    rows = tape.merge().rows
    at_exchange = (rows["flags"] & AT_EXCHANGE) != 0
    keys = [(int(row["ts_exch_ns"]), 0) if first else (int(row["ts_recv_ns"]), 1) for row, first in zip(rows, at_exchange, strict=True)]
    assert keys == sorted(keys)
    assert np.all(at_exchange | ((rows["flags"] & AT_DESK) != 0))


@given(tape=tapes())
def test_a_message_is_never_split(tape):
    rows = tape.merge().rows
    for flag in (AT_EXCHANGE, AT_DESK):
        side = np.flatnonzero((rows["flags"] & flag) != 0)
        inside = (rows["flags"][side] & LAST) == 0
        assert np.all(np.diff(side)[inside[:-1]] == 1)


@given(tape=tapes())
def test_a_row_carries_both_flags_only_where_nothing_lies_between_its_copies(tape):
    rows = tape.merge().rows
    both = np.flatnonzero((rows["flags"] & (AT_EXCHANGE | AT_DESK)) == (AT_EXCHANGE | AT_DESK))
    for i in both:
        assert rows[i]["flags"] & LAST
        if i + 1 < len(rows):
            after = rows[i + 1]
            assert after["ts_exch_ns" if after["flags"] & AT_EXCHANGE else "ts_recv_ns"] >= rows[i]["ts_recv_ns"]
    apart = identity(rows[(rows["flags"] & AT_EXCHANGE) != 0])
    assert len(rows) == 2 * len(apart) - len(both)


def test_a_merge_by_hand():
    # Two prints on the way at once, then one alone: happens 10, 20, 50; received 30, 40, 60.
    rows = np.zeros(3, EVENT)
    rows["ts_exch_ns"], rows["ts_recv_ns"] = (10, 20, 50), (30, 40, 60)
    rows["kind"], rows["side"], rows["flags"], rows["seq"] = TRADE, BID, LAST, (1, 2, 3)
    merged = Tape(rows, (USDM,)).merge()
    assert [(int(row["seq"]), int(row["flags"]) & ~LAST) for row in merged.rows] == [
        (1, AT_EXCHANGE),
        (2, AT_EXCHANGE),
        (1, AT_DESK),
        (2, AT_DESK),
        (3, AT_EXCHANGE | AT_DESK),
    ]
    assert len(merged) == 5


def test_clocks_that_disagree_cannot_be_merged(tmp_path):
    path = write(tmp_path / "a.gz", [futures_diff(n, n, n, n - 1, [["60000.0", "1.000"]], late_ms=-3) for n in range(1, 4)])
    with pytest.warns(UserWarning, match="clock"):
        tape = load(path)
    with pytest.raises(TapeError, match=r"row 0 was received 3\.000 ms before it happened .*clock='correct'"):
        tape.merge()
    assert len(load(path, clock="correct").merge()) >= len(tape)


def test_rows_that_are_no_tape_are_refused(tmp_path):
    rows = load(write(tmp_path / "a.gz", a_session())).rows
    with pytest.raises(TapeError, match=r"row 1 was received before .*sort=True"):
        Tape(np.ascontiguousarray(rows[::-1][-8:]), (USDM,))
    with pytest.raises(TapeError, match="names instrument 0, but the tape has 0"):
        Tape(rows, ())
    with pytest.raises(TapeError, match="no rows"):
        Tape(rows[:0], (USDM,))
    with pytest.raises(TapeError, match="C-contiguous"):
        Tape(rows[::2], (USDM,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Tape(rows, (USDM,)).rows = rows


def test_a_later_slice_begins_with_the_book_as_it_stood(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_session()))
    for cut in range(1, len(tape)):
        start_s = (int(tape.rows["ts_recv_ns"][cut]) - tape.start_ns) / 1e9
        part = tape.slice(start_s)
        assert book_of(part.rows) == book_of(tape.rows)
        if start_s > 0:
            head = part.rows[: len(part) - np.count_nonzero(tape.rows["ts_recv_ns"] >= part.start_ns)]
            assert book_of(head) == book_of(tape.rows[tape.rows["ts_recv_ns"] < part.start_ns])
            assert head["kind"][0] == CLEAR
            assert np.all(head["flags"] & SNAPSHOT)
            assert head["flags"][-1] & LAST
        part.merge()


def test_a_slice_after_a_gap_is_still_not_to_be_trusted(tmp_path):
    lines = [*a_session(), futures_diff(6, 200, 201, 199, [["60000.0", "1.000"]]), futures_diff(8, 202, 203, 201, [["60000.0", "2.000"]])]
    part = load(write(tmp_path / "a.gz", lines)).slice(0.07)
    gaps = np.flatnonzero(part.rows["kind"] == GAP)
    assert len(gaps) == 1
    assert part.rows["kind"][gaps[0] + 1 :].tolist() == [DEPTH]


def test_a_slice_that_holds_nothing_is_refused(tmp_path):
    tape = load(write(tmp_path / "a.gz", a_session()))
    with pytest.raises(InputError, match=r"the tape spans 0\.050 s"):
        tape.slice(1.0)
    with pytest.raises(InputError, match="end_s was inf"):
        tape.slice(end_s=float("inf"))


def test_a_saved_tape_is_loaded_whole(tmp_path):
    tape = load(write(tmp_path / "a.gz", [*a_session(), futures_diff(6, 200, 201, 199, [["60000.0", "1.000"]])]))
    again = load(tape.save(tmp_path / "tape"))  # no suffix: the format is told by content
    assert np.array_equal(again.rows, tape.rows)
    assert again.instruments == tape.instruments
    assert again.report == tape.report


@pytest.mark.parametrize("mapped", [True, False])
def test_a_mapped_tape_is_saved_over_its_own_file(tmp_path, mapped):
    tape = load(write(tmp_path / "a.gz", a_session()))
    path = tape.save(tmp_path / "tape", mapped=True)
    load(path).save(path, mapped=mapped)  # its rows are read from the file that is being replaced
    assert np.array_equal(load(path).rows, tape.rows)


@pytest.mark.parametrize("mapped", [True, False])
def test_a_disk_that_fills_up_does_not_cost_the_tape_that_stands_there(tmp_path, monkeypatch, mapped):
    tape = load(write(tmp_path / "a.gz", a_session()))
    path = tape.save(tmp_path / "tape", mapped=mapped)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    class Unwritten(np.ndarray):
        tobytes = full

    monkeypatch.setattr(np, "savez_compressed", full)
    write_rows = write_mapped if mapped else write_tape
    with pytest.raises(OSError, match="No space"):
        write_rows(path, tape.rows.view(Unwritten), tape.instruments, "", tape.notes)
    assert [one.name for one in sorted(tmp_path.iterdir())] == ["a.gz", "tape"]
    assert np.array_equal(load(path).rows, tape.rows)


def test_the_frame_is_in_human_units(tmp_path):
    frame = load(write(tmp_path / "a.gz", a_session())).frame()
    assert frame["kind"].tolist()[:3] == ["CLEAR", "DEPTH", "DEPTH"]
    assert frame.loc[6, ["kind", "side", "price", "qty", "seq"]].tolist() == ["TRADE", ASK, 60000.0, 0.25, 1]
    assert frame["price"].isna().tolist() == [True] + [False] * 10
    assert str(frame["received"].iloc[0]) == "2023-11-14 22:13:20.005000+00:00"
    assert set(frame["instrument"]) == {USDM.name}


def test_a_tape_shows_itself(tmp_path):
    tape = load(write(tmp_path / "a<b>.gz", [*a_session(), futures_diff(6, 200, 201, 199, [["60000.0", "1.000"]])]))
    assert repr(tape) == "<Tape binanceusdm:BTC/USDT:USDT: 13 rows, 0.1 s, 1 findings>"
    html = tape._repr_html_()
    assert "a&lt;b&gt;.gz" in html
    assert "updates were lost" in html
    assert "updates were lost" in tape.report._repr_html_()
    assert "gaps: 1" in str(tape.report)

"""Saved states: what is read back is what was saved, a cache may lose anything, and it stays within its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import STEP, A, B, build_tape

import hftlab as hl
from hftlab.data.checkpoints import Checkpoints, pack, unpack
from hftlab.data.journal import Journal
from hftlab.data.journal_rows import JournalRows
from hftlab.data.state import build
from hftlab.kernels import core
from hftlab.types import EVENT

NONE = bytes(16)


def fresh():
    quoter = hl.FixedSpread(order_qty="0.2", half_spread_ticks=1, life_ms_min=0, levels=2)
    other = hl.FixedSpread(order_qty="20", half_spread_ticks=1, life_ms_min=0)
    return build((A, B), (quoter, other), (hl.Limits(position_qty_max="1"), hl.Limits(position_qty_max="100")))


@pytest.fixture(scope="module")
def state():
    made = fresh()
    steps = [
        (k % 2, what, n, 7, 90) for k, (what, n) in enumerate([("move", 1), ("trade", 1), ("level", -1), ("sweep", 2), ("timer", 0)] * 9)
    ]
    made.step(core.run, build_tape(steps))
    assert made.markets["fills_count"].sum() > 0
    return made


@settings(max_examples=12)
@given(steps=st.lists(STEP, max_size=40))
def test_what_is_unpacked_is_what_was_packed(steps):
    made, other = fresh(), fresh()
    made.step(core.run, build_tape(steps))
    assert unpack(other, pack(made))
    assert other.digest() == made.digest()


def test_a_state_is_packed_to_a_small_part_of_itself(state):
    assert len(pack(state)) < 0.05 * (state.desk.nbytes + state.markets.nbytes + state.exchanges.nbytes)


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-3], lambda b: b"", lambda b: b[:40] + bytes(8) + b[48:], lambda b: pack(build((A,), *one()))]
)
def test_what_is_no_state_is_not_taken_for_one(state, spoil):
    other = fresh()
    before = other.digest()
    assert not unpack(other, spoil(pack(state)))
    assert other.digest() == before


def one():
    return (hl.FixedSpread(order_qty="0.2", half_spread_ticks=1),), (hl.Limits(position_qty_max="1"),)


@pytest.mark.parametrize("on_disk", [True, False])
def test_states_are_found_by_their_rows_and_believed_by_their_stamp(state, tmp_path, on_disk):
    store = Checkpoints(tmp_path / "kept" if on_disk else None, "k", spacing_rows=10)
    assert [row for row in range(41) if store.wants(row)] == [10, 20, 30, 40]
    store.save(fresh(), 10, NONE)
    store.save(state, 30, NONE)
    assert (store.before(9), store.before(10), store.before(29), store.before(99)) == (0, 10, 10, 30)
    assert store.now_ns(30) == int(state.desk["now_ns"][0])
    other = fresh()
    assert store.load(other, 30, NONE)
    assert other.digest() == state.digest()
    assert not store.load(other, 30, b"x" * 16)  # the rows before are other ones now
    assert store.rows() == [10]


def test_a_folder_is_opened_again_with_what_it_holds_and_without_what_other_kernels_left(state, tmp_path):
    Checkpoints(tmp_path, "old", spacing_rows=10).save(state, 10, NONE)
    Checkpoints(tmp_path, "new", spacing_rows=10).save(state, 20, NONE)
    again = Checkpoints(tmp_path, "new", spacing_rows=10)
    assert again.rows() == [20]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_files_that_are_gone_or_spoilt_are_missing_and_nothing_else(state, tmp_path):
    store = Checkpoints(tmp_path, "k", spacing_rows=10)
    for row in (10, 20, 30):
        store.save(state, row, NONE)
    files = sorted((tmp_path / "k").iterdir())
    files[1].unlink()
    files[2].write_bytes(files[2].read_bytes()[:-9])
    other = fresh()
    assert [store.load(other, row, NONE) for row in (10, 20, 30)] == [True, False, False]
    assert store.rows() == [10]
    for path in (tmp_path / "k").iterdir():
        path.unlink()
    (tmp_path / "k").rmdir()
    store.save(state, 40, NONE)  # somebody has deleted the folder: it is made again
    assert store.load(other, 40, NONE)


def test_a_directory_that_may_only_be_read_keeps_its_states_in_memory(state, tmp_path, monkeypatch):
    monkeypatch.setattr("hftlab.data.checkpoints.os.access", lambda *_: False)  # a test may run as root, who may write anywhere
    store = Checkpoints(tmp_path / "kept", "k", spacing_rows=10)
    store.save(state, 10, NONE)
    assert store.load(fresh(), 10, NONE)
    assert not (tmp_path / "kept").exists()


def test_all_together_stay_below_the_bound_and_the_distance_doubles(state):
    size = len(pack(state)) + 32
    store = Checkpoints(spacing_rows=10, bytes_max=5 * size)
    for row in range(10, 410, 10):
        if store.wants(row):
            store.save(state, row, NONE)
        assert store.size_bytes <= 5 * size
    assert store.spacing_rows == 80
    assert store.rows() == [80, 160, 240, 320, 400]


def rows(start, count):
    made = np.zeros(count, EVENT)
    made["seq"] = np.arange(start, start + count)
    return made


@settings(max_examples=30)
@given(segment=st.integers(1, 9), low=st.integers(0, 30), size=st.integers(0, 30))
def test_rows_of_a_journal_are_read_by_their_numbers_over_its_segments(tmp_path_factory, segment, low, size):
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, segment_rows=segment)
    for k in range(8):
        journal.append(rows(3 * k, 3))
    journal.close()
    found = JournalRows(folder)
    assert len(found) == 24
    assert found.read(low, low + size)["seq"].tolist() == list(range(24))[low : low + size]


def test_a_stamp_is_of_the_rows_before_it_whatever_was_asked_first(tmp_path):
    journal = Journal(tmp_path, segment_rows=8)
    journal.append(rows(0, 8))
    journal.append(rows(8, 5))
    one, other = JournalRows(tmp_path), JournalRows(tmp_path)
    stamps = {row: one.stamp(row) for row in range(14)}
    assert len(set(stamps.values())) == 14
    assert {row: other.stamp(row) for row in reversed(range(14))} == stamps
    journal.append(rows(13, 2))
    assert {row: one.stamp(row) for row in range(14)} == stamps  # a journal grows, what was written stays
    assert len(one) == 15
    journal.close()
    path = tmp_path / "000001.rows"
    path.write_bytes(path.read_bytes()[:64] + b"\1" * 8 + path.read_bytes()[72:])
    assert JournalRows(tmp_path).stamp(9) == stamps[9]
    assert JournalRows(tmp_path).stamp(10) != stamps[10]

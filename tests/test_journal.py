"""The journal: what was appended is what is read, over segments, torn ends and holes."""

import errno
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.data import journal as jn
from hftlab.errors import DataError
from hftlab.types import EVENT


def rows(start, count):
    made = np.zeros(count, EVENT)
    made["seq"] = np.arange(start, start + count)
    return made


@given(sizes=st.lists(st.integers(0, 9), max_size=12), segment=st.integers(1, 8), sync=st.booleans())
def test_what_is_appended_is_read_back_whatever_the_segments(tmp_path_factory, sizes, segment, sync):
    directory = tmp_path_factory.mktemp("journal")
    journal, written = jn.Journal(directory, segment_rows=segment), 0
    for size in sizes:
        journal.append(rows(written, size), sync=sync)
        written += size
    journal.close()
    assert jn.read(directory)["seq"].tolist() == list(range(written))


@pytest.mark.parametrize("torn", [1, 63])
def test_a_torn_last_row_was_never_run_and_is_cut_off(tmp_path, torn):
    journal = jn.Journal(tmp_path)
    journal.append(rows(0, 3))
    journal.close()
    path = jn.segments(tmp_path)[-1]
    with path.open("ab") as file:
        file.write(b"\x01" * torn)
    assert len(jn.read(tmp_path)) == 3
    again = jn.Journal(tmp_path)
    again.append(rows(3, 2))
    again.close()
    assert jn.read(tmp_path)["seq"].tolist() == [0, 1, 2, 3, 4]


def three_segments(directory):
    journal = jn.Journal(directory, segment_rows=2)
    for start in (0, 2, 4):
        journal.append(rows(start, 2))
    journal.append(rows(6, 1))
    journal.close()
    return jn.segments(directory)


def test_a_missing_segment_is_named_and_nothing_is_replayed_over_the_hole(tmp_path):
    files = three_segments(tmp_path)
    assert len(files) == 4
    files[1].unlink()
    with pytest.raises(DataError, match=r"000001\.rows is missing.*cannot be replayed"):
        jn.read(tmp_path)
    files[0].unlink()
    with pytest.raises(DataError, match=r"000000\.rows is missing"):
        jn.read(tmp_path)


def test_a_segment_torn_inside_is_refused(tmp_path):
    files = three_segments(tmp_path)
    with files[1].open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="only the last segment may end in a torn row"):
        jn.read(tmp_path)


def test_reopening_goes_on_in_the_last_segment(tmp_path):
    three_segments(tmp_path)
    journal = jn.Journal(tmp_path, segment_rows=2)
    journal.append(rows(7, 3))
    journal.close()
    assert jn.read(tmp_path)["seq"].tolist() == list(range(10))


def test_no_journal_is_no_rows(tmp_path):
    assert jn.read(tmp_path / "nothing").dtype == EVENT
    assert len(jn.read(tmp_path / "nothing")) == 0


def test_the_name_of_a_segment_is_on_the_disk_before_rows_are_in_it(tmp_path, monkeypatch):
    """What was synced into a file whose name a power cut takes is lost too, and a missing segment stops every replay."""
    synced, fsync = [], os.fsync

    def seen(fd):
        fsync(fd)
        synced.append((Path(f"/proc/self/fd/{fd}").readlink(), sorted(path.stem for path in jn.segments(tmp_path))))

    monkeypatch.setattr(os, "fsync", seen)
    journal = jn.Journal(tmp_path, segment_rows=2)
    journal.append(rows(0, 2), sync=True)
    journal.close()
    assert synced == [(tmp_path, ["000000"]), (tmp_path, ["000000", "000001"])]
    jn.Journal(tmp_path, segment_rows=2).close()
    assert len(synced) == 2  # it has been there


def test_a_segment_that_ends_while_the_disk_is_asked_for_stops_nobody(tmp_path, monkeypatch):
    # The thread that syncs copies the descriptor. Between the end of one segment and the next its number is nobody's, or a socket's.
    made, close = jn.Journal(tmp_path, segment_rows=1), os.close

    def close_slowly(fd):
        close(fd)
        if threading.current_thread() is threading.main_thread() and made._syncer is not None:
            made.sync_soon()
            end = time.monotonic() + 0.2
            while made._syncer.is_alive() and time.monotonic() < end:
                time.sleep(0.001)

    made.sync_soon()
    monkeypatch.setattr(jn.os, "close", close_slowly)
    made.append(np.zeros(1, EVENT))
    monkeypatch.undo()
    made.append(np.zeros(1, EVENT))
    made.sync_soon()
    end = time.monotonic() + 30
    while made.synced_rows < made.rows:
        assert made._syncer.is_alive()
        assert time.monotonic() < end
        time.sleep(0.001)
    made.close()
    assert len(jn.read(tmp_path)) == 2


def test_a_disk_that_lost_rows_behind_our_back_is_said_at_the_next_row(tmp_path, monkeypatch):
    def broken(_fd):
        raise OSError(errno.EIO, "Input/output error")

    journal = jn.Journal(tmp_path)
    journal.append(rows(0, 2))
    monkeypatch.setattr(jn.os, "fdatasync", broken)
    journal.sync_soon()
    journal._syncer.join(30)
    monkeypatch.undo()  # asked again, a disk says that all is well
    for _ in range(2):
        with pytest.raises(OSError, match="could not be brought to the disk: Input/output error"):
            journal.append(rows(2, 1))
    journal.close()
    assert len(jn.read(tmp_path)) == 2

"""The snapshot file: a reader in another process never sees half a frame."""

import multiprocessing
import struct

import numpy as np
import pytest
from tapes import A, B

from hftlab.data.snapshot import SnapshotReader, SnapshotWriter
from hftlab.errors import DataError
from hftlab.types import DESK, MARKET

FRAMES = 400


def publish(writer, n):
    """Every byte of a frame that a test looks at carries its number."""
    desk, markets = np.zeros(1, DESK), np.zeros(2, MARKET)
    desk["rows"] = desk["verdicts"] = n
    markets["position_lots"] = n
    markets["book"]["far"]["ticks"] = n
    markets["samples"]["ts_ns"] = n
    writer.publish(desk, markets, {"n": n, "pad": "x" * (n % 4000)}, n)


def one_number(frame):
    found = {int(frame.desk["rows"]), int(frame.published_ns), int(frame.engine["n"]), *np.unique(frame.desk["verdicts"]).tolist()}
    found |= set(np.unique(frame.markets["book"]["far"]["ticks"]).tolist())
    found |= set(np.unique(frame.markets["samples"]["ts_ns"]).tolist()) | set(frame.markets["position_lots"].tolist())
    return found


def write_many(path, started):
    writer = SnapshotWriter(path, 2)
    started.set()
    for n in range(2, FRAMES + 1):
        publish(writer, n)


def test_every_frame_read_beside_a_busy_writer_is_whole(tmp_path):
    path = tmp_path / "snapshot.bin"
    publish(SnapshotWriter(path, 2), 1)
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=write_many, args=(path, started))
    process.start()
    started.wait(60)
    reader, seen = SnapshotReader(path, (A, B)), []
    while process.is_alive() or not seen:
        frame = reader.frame()
        assert len(one_number(frame)) == 1
        seen.append(frame.number)
    process.join()
    assert process.exitcode == 0
    assert seen == sorted(seen)
    assert one_number(reader.frame()) == {FRAMES}


def test_a_slot_that_does_not_match_its_checksum_is_not_shown(tmp_path):
    path = tmp_path / "snapshot.bin"
    writer = SnapshotWriter(path, 2)
    publish(writer, 1)
    reader = SnapshotReader(path, (A, B))
    data = bytearray(path.read_bytes())
    slot = (len(data) - 32) // 2
    data[32 + slot + 24 + (1 << 16) + 5] ^= 1  # one bit of the desk in slot 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="no consistent frame"):
        SnapshotReader(path, (A, B)).frame()
    del reader


def test_a_writer_that_died_between_the_slots_leaves_the_frame_before(tmp_path):
    path = tmp_path / "snapshot.bin"
    writer = SnapshotWriter(path, 2)
    publish(writer, 1)
    publish(writer, 2)
    data = bytearray(path.read_bytes())
    slot = (len(data) - 32) // 2
    data[32 + slot : 32 + slot + 1000] = b"\xff" * 1000  # frame 3 was half written over frame 1
    path.write_bytes(bytes(data))
    assert one_number(SnapshotReader(path, (A, B)).frame()) == {2}


def test_a_restarted_writer_goes_on_counting(tmp_path):
    path = tmp_path / "snapshot.bin"
    publish(SnapshotWriter(path, 2), 1)
    reader = SnapshotReader(path, (A, B))
    assert reader.frame().number == 1
    assert reader.frame() is reader.frame()
    publish(SnapshotWriter(path, 2), 2)
    assert (reader.frame().number, one_number(reader.frame())) == (2, {2})


def test_another_layout_a_missing_file_and_an_empty_one_are_said_so(tmp_path):
    path = tmp_path / "snapshot.bin"
    with pytest.raises(DataError, match="does not exist"):
        SnapshotReader(path, (A,))
    publish(SnapshotWriter(path, 2), 1)
    with pytest.raises(DataError, match="another version"):
        SnapshotReader(path, (A,))
    data = bytearray(path.read_bytes())
    struct.pack_into("<8s", data, 0, b"hftlab99")
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="another version"):
        SnapshotReader(path, (A, B))
    fresh = tmp_path / "fresh.bin"
    SnapshotWriter(fresh, 1)
    with pytest.raises(DataError, match="nothing has been published"):
        SnapshotReader(fresh, (A,)).frame()
    (tmp_path / "short.bin").write_bytes(b"hftlab01")
    with pytest.raises(DataError):
        SnapshotReader(tmp_path / "short.bin", (A,))
    (tmp_path / "cut.bin").write_bytes(fresh.read_bytes()[:-1])
    with pytest.raises(DataError, match="no snapshot"):
        SnapshotReader(tmp_path / "cut.bin", (A,))
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(DataError):
        SnapshotReader(tmp_path / "empty.bin", (A,))


def test_a_number_that_is_none_never_reaches_the_json(tmp_path):
    writer = SnapshotWriter(tmp_path / "snapshot.bin", 1)
    with pytest.raises(ValueError, match="JSON"):
        writer.publish(np.zeros(1, DESK), np.zeros(1, MARKET), {"lag": float("nan")}, 1)

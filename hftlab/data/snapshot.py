"""The snapshot file: the last published moment, for any number of readers, without a lock and without a torn read.

Two slots; the writer fills the one that is not current and then moves the counter. A reader copies the current slot and
looks at the counter again: unchanged means that the writer was never in that slot. A checksum covers what memory order
between two processes might still do. A frame never waits for a reader, and a reader never sees half a frame.
"""

import json
import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.data.frame import Frame
from hftlab.errors import DataError
from hftlab.instrument import Instrument
from hftlab.types import DESK, MARKET

_MAGIC = b"hftlab02"
_HEADER = struct.Struct("<8sqqq")  # magic, counter, slot bytes, markets
_SLOT = struct.Struct("<qqII")  # number, published_ns, length of engine JSON, checksum
_ENGINE_BYTES = 1 << 16
_TRIES = 200


def _counter_of(file: mmap.mmap) -> np.ndarray:
    """Return the counter as an array of one: a store is one aligned machine word, where `struct` clears and writes bytes."""
    return np.frombuffer(file, np.int64, 1, offset=8)


def _slot_bytes(markets: int) -> int:
    return _SLOT.size + _ENGINE_BYTES + DESK.itemsize + markets * MARKET.itemsize


class SnapshotWriter:
    """Publish frames of `markets` markets to `path`."""

    def __init__(self, path: Path, markets: int) -> None:
        self._slot_bytes = _slot_bytes(markets)
        size = _HEADER.size + 2 * self._slot_bytes
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(fd, size)
            self._map = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        magic, counter, slot_bytes, count = _HEADER.unpack_from(self._map)
        fits = magic == _MAGIC and (slot_bytes, count) == (self._slot_bytes, markets)
        self.number = counter if fits else 0
        if not fits:
            _HEADER.pack_into(self._map, 0, _MAGIC, 0, self._slot_bytes, markets)
        self._counter = _counter_of(self._map)

    def publish(self, desk: np.ndarray, markets: np.ndarray, engine: dict[str, Any], now_ns: int) -> None:
        """Write one frame and make it current."""
        number = self.number + 1
        text = json.dumps(engine, allow_nan=False).encode()
        if len(text) > _ENGINE_BYTES:
            raise DataError(f"engine figures were {len(text)} bytes; wanted at most {_ENGINE_BYTES}.")
        state = desk.tobytes() + markets.tobytes()
        at = _HEADER.size + (number % 2) * self._slot_bytes
        crc = zlib.crc32(state, zlib.crc32(text))
        _SLOT.pack_into(self._map, at, number, now_ns, len(text), crc)
        self._map[at + _SLOT.size : at + _SLOT.size + len(text)] = text
        start = at + _SLOT.size + _ENGINE_BYTES
        self._map[start : start + len(state)] = state
        self._counter[0] = number
        self.number = number

    def close(self) -> None:
        """Unmap the file; it stays readable."""
        del self._counter  # a map cannot be closed while an array looks into it
        self._map.close()


class SnapshotReader:
    """Read frames from `path`, opened read-only. Raises DataError when the file is missing or of another layout."""

    def __init__(self, path: Path, instruments: Sequence[Instrument]) -> None:
        self._path = path
        self._instruments = tuple(instruments)
        if not path.exists():
            raise DataError(f"{path} does not exist: the engine has not published yet, or this is no run directory.")
        if path.stat().st_size < _HEADER.size:
            raise DataError(f"{path} is shorter than its own header: the engine has not published yet, or this is no snapshot.")
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, _, slot_bytes, markets = _HEADER.unpack_from(self._map)
        fits = markets == len(self._instruments) and slot_bytes == _slot_bytes(markets)
        if magic != _MAGIC or not fits or len(self._map) != _HEADER.size + 2 * slot_bytes:
            raise DataError(
                f"{path} was written by another version of hftlab, or is no snapshot. Read the run with the version that wrote it."
            )
        self._counter = _counter_of(self._map)
        self._slot_bytes = slot_bytes
        self._last: Frame | None = None

    def frame(self) -> Frame:
        """Return the current frame; the same object again while nothing new was published."""
        for _ in range(_TRIES):
            counter = int(self._counter[0])
            if counter == 0:
                raise DataError(f"{self._path}: nothing has been published yet.")
            if self._last is not None and self._last.number == counter:
                return self._last
            frame = self._read(counter)
            if frame is not None and int(self._counter[0]) == counter:
                self._last = frame
                return frame
        raise DataError(f"{self._path}: no consistent frame in {_TRIES} tries; the writer was stopped in the middle of one.")

    def _read(self, counter: int) -> Frame | None:
        at = _HEADER.size + (counter % 2) * self._slot_bytes
        number, published_ns, length, crc = _SLOT.unpack_from(self._map, at)
        if number != counter or length > _ENGINE_BYTES:
            return None
        text = self._map[at + _SLOT.size : at + _SLOT.size + length]
        start = at + _SLOT.size + _ENGINE_BYTES
        state = self._map[start : at + self._slot_bytes]
        if zlib.crc32(state, zlib.crc32(text)) != crc:
            return None
        desk = np.frombuffer(state, DESK, 1)[0]
        markets = np.frombuffer(state, MARKET, offset=DESK.itemsize)
        return Frame(desk, markets, self._instruments, published_ns, number, json.loads(text))

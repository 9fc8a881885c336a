"""States of a run, saved every so many rows, so that any moment of it is near one.

Only a cache: it may be deleted at any time, a file of it that cannot be read is as good as none, and what it holds can always be made
again from the rows. Nearly all words of a state are zeros (the ladder of a book has 16,384 prices): the others, with a bit for each
word, compress to a fortieth in a millisecond.
"""

import contextlib
import hashlib
import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.data.state import State
from hftlab.kernels.jit import cache_dir

SPACING_ROWS = 1 << 16
BYTES_MAX = 256 << 20
_HEAD = struct.Struct("<8sq16s")  # magic, the desk's time, the stamp of the rows before
_MAGIC = b"hftpast1"
_SUFFIX = ".state"


def cache_key(*parts: bytes) -> str:
    """Return a name for exactly these kernels and this run: `parts` say what the run is."""
    digest = hashlib.blake2b(cache_dir().name.encode(), digest_size=8)
    for part in parts:
        digest.update(hashlib.blake2b(part).digest())
    return digest.hexdigest()


class Checkpoints:
    """The saved states of one run, by row number: in `folder`, or in memory without one.

    All together take at most `bytes_max`: beyond that every second one goes and the distance doubles. `spacing_rows` is that distance.
    """

    def __init__(self, folder: Path | None = None, key: str = "", *, spacing_rows: int | None = None, bytes_max: int = BYTES_MAX) -> None:
        self.spacing_rows, self._bytes_max = spacing_rows or SPACING_ROWS, bytes_max
        self._kept: dict[int, tuple[int, bytes]] = {}  # row -> bytes of it, and the state itself where there is no folder
        self.folder = self._open(folder, key)
        while self.size_bytes > self._bytes_max and len(self._kept) > 1:
            self._thin()

    def _open(self, folder: Path | None, key: str) -> Path | None:
        """Return the folder of this key, with what it holds; those of other keys are of other kernels, or of another run here."""
        if folder is None:
            return None
        mine = folder / key
        near = next(one for one in (mine, *mine.parents) if one.exists())
        if not os.access(near, os.W_OK):
            return None  # a run directory that may only be read: the states are kept in memory
        for other in folder.iterdir() if folder.is_dir() else ():
            if other != mine and other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
        self._kept = {int(path.stem): (path.stat().st_size, b"") for path in mine.glob(f"*{_SUFFIX}") if path.stem.isdigit()}
        return mine

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """Return how much all states take."""
        return sum(size for size, _ in self._kept.values())

    def wants(self, row: int) -> bool:
        """Return whether a state of this row is to be saved: a multiple of the distance that is not there yet."""
        return row > 0 and row % self.spacing_rows == 0 and row not in self._kept

    def save(self, state: State, row: int, stamp: bytes) -> None:
        """Save the state after `row` rows. `stamp` tells whether these rows are still the same when it is read."""
        body = _HEAD.pack(_MAGIC, int(state.desk["now_ns"][0]), stamp) + pack(state)
        if self.folder is not None:
            path = self.folder / f"{row:012d}{_SUFFIX}"
            part = path.with_suffix(f".{os.getpid()}")
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                part.write_bytes(body)
                part.replace(path)
            except OSError:
                return  # a full disk, or somebody deleted the folder: a cache may miss anything
        self._kept[row] = (len(body), b"" if self.folder is not None else body)
        if self.size_bytes > self._bytes_max and len(self._kept) > 1:
            self._thin()

    def before(self, row: int) -> int:
        """Return the last row up to `row` whose state is saved, 0 for none."""
        return max((one for one in self._kept if one <= row), default=0)

    def rows(self) -> list[int]:
        """Return the rows whose states are saved, rising."""
        return sorted(self._kept)

    def now_ns(self, row: int) -> int | None:
        """Return the desk's time at a saved row; None when it is gone."""
        found = self._read(row)
        return None if found is None else int(_HEAD.unpack_from(found)[1])

    def load(self, state: State, row: int, stamp: bytes) -> bool:
        """Fill `state` with what was saved of `row`. Returns whether it could be: otherwise `state` is as it was, and the file is gone."""
        found = self._read(row)
        if found is not None and _HEAD.unpack_from(found)[2] == stamp and unpack(state, found[_HEAD.size :]):
            return True
        self._drop(row)
        return False

    def _read(self, row: int) -> bytes | None:
        if row not in self._kept:
            return None
        try:
            found = self._kept[row][1] if self.folder is None else (self.folder / f"{row:012d}{_SUFFIX}").read_bytes()
        except OSError:
            found = b""
        if len(found) > _HEAD.size and found.startswith(_MAGIC):
            return found
        self._drop(row)
        return None

    def _drop(self, row: int) -> None:
        self._kept.pop(row, None)
        if self.folder is not None:
            with contextlib.suppress(OSError):
                (self.folder / f"{row:012d}{_SUFFIX}").unlink()

    def _thin(self) -> None:
        self.spacing_rows *= 2
        for row in [one for one in self._kept if one % self.spacing_rows]:
            self._drop(row)


def pack(state: State) -> bytes:
    """Return desk, markets and exchanges as few bytes."""
    words = np.concatenate([part.view(np.uint8).reshape(-1) for part in _parts(state)]).view(np.uint64)
    used = words != 0
    return zlib.compress(np.packbits(used).tobytes() + words[used].tobytes(), 1)


def unpack(state: State, packed: bytes) -> bool:
    """Write what `pack` made into a state of the same markets. Returns False for what is no such thing."""
    parts = [part.view(np.uint8).reshape(-1) for part in _parts(state)]
    count = sum(part.nbytes for part in parts) // 8
    try:
        raw = zlib.decompress(packed)
    except zlib.error:
        return False
    bits = -(-count // 8)
    used = np.unpackbits(np.frombuffer(raw, np.uint8, min(bits, len(raw))), count=count).view(bool)
    if len(raw) != bits + 8 * int(np.count_nonzero(used)):
        return False
    words = np.zeros(count, np.uint64)
    words[used] = np.frombuffer(raw, np.uint64, offset=bits)
    every, at = words.view(np.uint8), 0
    for part in parts:
        part[:] = every[at : at + part.nbytes]
        at += part.nbytes
    return True


def _parts(state: State) -> tuple[Any, Any, Any]:
    return np.asarray(state.desk), np.asarray(state.markets), np.asarray(state.exchanges)

"""The journal: every row, written before it is run. Replaying it rebuilds the state byte for byte.

Raw 64-byte rows in numbered segments, so that an append is one system call and a kill -9 can tear at most the last row,
which then was never run. Rows that a person or a venue was told about are synced to the disk before they are answered.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hftlab.errors import DataError
from hftlab.types import EVENT

SEGMENT_ROWS = 1 << 20


class Journal:
    """Append rows to `directory`. Opening truncates a torn last row."""

    def __init__(self, directory: Path, segment_rows: int = SEGMENT_ROWS) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._segment_bytes = segment_rows * EVENT.itemsize
        found = segments(directory)
        self._number = int(found[-1].stem) if found else 0
        self._syncer: threading.Thread | None = None
        self._due = threading.Event()
        self._swap = threading.Lock()  # a descriptor that is being closed must not be copied: its number may be a socket's by then
        self._closed = False
        self._lost: OSError | None = None  # what the disk answered the other thread
        self.rows = self.synced_rows = self.due_rows = 0  # appended by this process; of them on the disk; of them asked to be
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size
        torn = self._size % EVENT.itemsize
        if torn:
            os.ftruncate(self._fd, self._size - torn)
            self._size -= torn

    def _open(self) -> int:
        path = self._directory / f"{self._number:06d}.rows"
        new = not path.exists()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if new:
            _sync_names(self._directory)  # rows on the disk are lost all the same when the name of their file is not
        return fd

    def append(self, rows: np.ndarray, *, sync: bool = False) -> None:
        """Write rows; with `sync` return only when they are on the disk. Raises OSError when the disk refuses, or refused since the last call.

        After a failed sync nobody knows which rows are on the disk, and asking again answers that all is well (fsync(2)): there is no going on.
        """
        if self._lost is not None:
            raise OSError(self._lost.errno, f"the journal could not be brought to the disk: {self._lost.strerror}") from self._lost
        view = memoryview(rows.tobytes())
        while view:
            view = view[os.write(self._fd, view) :]
        self._size += rows.nbytes
        self.rows += len(rows)
        if sync:
            os.fdatasync(self._fd)
            self.synced_rows = self.rows
        if self._size >= self._segment_bytes:
            os.fdatasync(self._fd)
            self.synced_rows = self.rows
            with self._swap:
                os.close(self._fd)
                self._number += 1
                self._fd = self._open()
            self._size = 0

    def sync_soon(self) -> None:
        """Have the rows written so far brought to the disk by another thread, without waiting: for what a venue reports.

        A crash of the process loses nothing either way; this is for the power cut, and a disk may take milliseconds.
        """
        if self._syncer is None:
            self._syncer = threading.Thread(target=self._sync_loop, name="journal sync", daemon=True)
            self._syncer.start()
        self.due_rows = self.rows
        self._due.set()

    def _sync_loop(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._closed:
                return
            # A copy of the descriptor: a segment may be closed meanwhile, and then all before it is on the disk.
            with self._swap:
                rows, fd = self.due_rows, os.dup(self._fd)
            try:
                os.fdatasync(fd)
            except OSError as error:
                self._lost = error
                return
            finally:
                os.close(fd)
            self.synced_rows = max(self.synced_rows, rows)

    def close(self) -> None:
        """Sync and close."""
        self._closed = True
        self._due.set()
        if self._syncer is not None:
            self._syncer.join()
        os.fdatasync(self._fd)
        os.close(self._fd)


def _sync_names(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def segments(directory: Path) -> list[Path]:
    """Return the segment files in order."""
    return sorted(directory.glob("*.rows"))


def files_of(directory: Path) -> list[Path]:
    """Return the segment files in order. Raises DataError when one is missing, or torn inside."""
    files = segments(directory)
    for number, path in enumerate(files):
        if int(path.stem) != number:
            raise DataError(f"{directory}: segment {number:06d}.rows is missing (found {path.name}). Restore it; a gap cannot be replayed.")
        size = path.stat().st_size
        if size % EVENT.itemsize and path != files[-1]:
            raise DataError(f"{path}: {size} bytes is no multiple of {EVENT.itemsize}; only the last segment may end in a torn row.")
    return files


def parts(directory: Path) -> Iterator[np.ndarray]:
    """Yield the whole rows of a journal, segment by segment: a day of rows need not fit into memory.

    Raises DataError when a segment is missing or torn inside.
    """
    for path in files_of(directory):
        data = path.read_bytes()
        # A copy, because the kernels are compiled for arrays that can be written, and bytes cannot.
        yield np.frombuffer(data[: len(data) - len(data) % EVENT.itemsize], dtype=EVENT).copy()


def read(directory: Path) -> np.ndarray:
    """Return all whole rows of a journal as one EVENT array. Raises DataError as `parts` does."""
    return np.concatenate([np.zeros(0, EVENT), *parts(directory)])

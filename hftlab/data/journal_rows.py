"""Any rows of a journal by their numbers, while an engine may go on writing it."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.data.journal import files_of
from hftlab.types import EVENT


class JournalRows:
    """The rows of the journal in `directory`, numbered from 0 over all its segments. Raises DataError as `journal.parts` does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._hashes: dict[int, Any] = {}  # of the rows that were asked for, each of its segment up to there: the next goes on from one
        self._known: list[tuple[Path, int, int]] = []

    def __len__(self) -> int:
        return self._ends()[-1]

    def read(self, start: int, end: int) -> np.ndarray:
        """Return rows `start` to before `end` (EVENT, a copy)."""
        ends = self._ends()
        found = [np.zeros(0, EVENT)]
        for (path, _, _), first, last in zip(self._known, [0, *ends], ends, strict=False):
            low, high = max(start, first), min(end, last)
            if low < high:
                offset = (low - first) * EVENT.itemsize
                found.append(np.fromfile(path, EVENT, high - low, offset=offset))
        return np.concatenate(found) if len(found) > 2 else found[-1]

    def stamp(self, row: int) -> bytes:
        """Return 16 bytes that change with the rows before `row`: whole segments before by size and time, that of the row by content."""
        ends = self._ends()
        which = next((k for k, end in enumerate(ends) if row <= end), len(ends) - 1)
        first = ends[which - 1] if which else 0
        at = max((one for one in self._hashes if first < one <= row), default=first)
        if at in self._hashes and at > first:
            digest = self._hashes[at].copy()
        else:
            digest = hashlib.blake2b(repr([(path.name, size, ns) for path, size, ns in self._known[:which]]).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.read(at, row)).view(np.uint8).data)
        self._hashes[row] = digest
        return bytes(digest.digest())

    def _ends(self) -> list[int]:
        """Return the number of rows up to the end of each segment, looked up again: a journal grows."""
        found = [(path, stat.st_size, stat.st_mtime_ns) for path in files_of(self._directory) for stat in [path.stat()]]
        if self._known and (self._known[:-1] != found[: len(self._known) - 1] or _rewritten(self._known[-1], found[len(self._known) - 1])):
            self._hashes.clear()
        self._known = found
        ends = np.cumsum([size // EVENT.itemsize for _, size, _ in found]).tolist()
        return ends or [0]


def _rewritten(before: tuple[Path, int, int], now: tuple[Path, int, int]) -> bool:
    """Return whether a segment changed otherwise than by growing."""
    return now[1] < before[1] or (now[1] == before[1] and now[2] != before[2])

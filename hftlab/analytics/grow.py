"""An array that grows while a run writes, and moves to a temporary file when it becomes large."""

import tempfile
import weakref
from typing import Any

import numpy as np

SPILL_BYTES = 64 << 20


class Grow:
    """Rows of one dtype, appended. Beyond `spill_bytes` they live in a file without a name: a long run costs disk, not memory."""

    def __init__(self, dtype: np.dtype, spill_bytes: int = SPILL_BYTES) -> None:
        self._dtype, self._spill_bytes = dtype, spill_bytes
        self._rows: np.ndarray = np.empty(256, dtype)
        self._count = 0
        self._file: Any = None

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> np.ndarray:
        """Return what was appended: a view, valid until the next append."""
        return self._rows[: self._count]

    def append(self, rows: np.ndarray) -> None:
        """Add `rows` (shape (n,), of the dtype)."""
        if not len(rows):
            return
        wanted = self._count + len(rows)
        if wanted > len(self._rows):
            self._enlarge(max(wanted, 2 * len(self._rows)))
        self._rows[self._count : wanted] = rows
        self._count = wanted

    def keep(self, mask: np.ndarray) -> None:
        """Keep only the rows where `mask` (bool, one a row) is true."""
        kept = self.rows[mask]
        self._count = len(kept)
        self._rows[: self._count] = kept

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process is made of: the rows, not the file."""
        return self.__dict__ | {"_rows": np.array(self.rows), "_file": None}

    def _enlarge(self, capacity: int) -> None:
        if capacity * self._dtype.itemsize <= self._spill_bytes:
            rows: np.ndarray = np.empty(capacity, self._dtype)
            rows[: self._count] = self.rows
        else:
            first = self._file is None
            if first:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this object; the mapped rows outlive it
                weakref.finalize(self, self._file.close)
            rows = np.memmap(self._file, self._dtype, mode="r+" if not first else "w+", shape=(capacity,))
            if first:
                rows[: self._count] = self.rows
        self._rows = rows

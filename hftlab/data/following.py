"""The market rows of a run that is still being written, read once each as they come."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hftlab.data.recordings_journal import Ours, market_rows_of
from hftlab.data.rows import Rows
from hftlab.data.run_files import read_values, shows_our_orders
from hftlab.errors import DataError
from hftlab.types import EVENT

PIECE_ROWS = 1 << 18  # 16 MB of journal read together


class Follower:
    """Reads the journal of a run directory from its first row on; each `chunks()` goes on where the last one ended.

    What our own orders put into the book is taken out, as `hl.load(run)` does; see `recordings_journal` for how exact that is.
    Raises DataError for what is no run directory.
    """

    def __init__(self, run: Path) -> None:
        self._journal = run / "journal"
        self._ours = Ours() if shows_our_orders(read_values(run)) else None
        self._segment = 0
        self._offset = 0
        self.journal_rows = 0

    def chunks(self) -> Iterator[Rows]:
        """Yield the market rows (EVENT) journaled since; a piece may end within a message, and the next goes on there.

        Raises DataError when a segment is missing or shorter than what was read of it.
        """
        while True:
            path = self._journal / f"{self._segment:06d}.rows"
            later = (self._journal / f"{self._segment + 1:06d}.rows").exists()  # asked before the read: a closed segment is whole
            rows = self._read(path)
            if len(rows):
                self.journal_rows += len(rows)
                market = market_rows_of(rows, self._ours)
                if len(market):
                    yield market
            elif later:
                self._segment, self._offset = self._segment + 1, 0
            else:
                return

    def _read(self, path: Path) -> Rows:
        if not path.exists():
            if self._segment or self._offset:
                raise DataError(f"{path} is missing; it was there before. A journal with a gap cannot be followed.")
            return np.zeros(0, EVENT)
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < self._offset:
                raise DataError(f"{path} holds {size} bytes, less than was read of it: the run was begun anew. Attach to it again.")
            file.seek(self._offset)
            data = file.read(min(size - self._offset, PIECE_ROWS * EVENT.itemsize))
        # A row that is being written, or was torn by a power cut, is read when it is whole.
        data = data[: len(data) // EVENT.itemsize * EVENT.itemsize]
        self._offset += len(data)
        return np.frombuffer(data, EVENT).copy()

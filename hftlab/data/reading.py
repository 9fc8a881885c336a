"""What every reader of a recording is given, and how files of one kind follow each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hftlab.data.files import Progress
from hftlab.data.markets import Markets
from hftlab.data.notes import Notes
from hftlab.data.rows import Rows
from hftlab.errors import InputError, TapeError
from hftlab.types import EVENT

BYTES_PER_ROW = 2 * EVENT.itemsize
"""What `load` needs for a row: the parts as they were read, and the one array made of them."""


@dataclass
class Reading:
    """One reading of some files: where the rows go, what was met, and what was asked for."""

    markets: Markets
    notes: Notes = field(default_factory=Notes)
    progress: Progress | None = None
    bbo: bool = False
    partial: bool = False
    sort: bool = False
    end_s: float | None = None
    rows_each: int | None = None  # a reader of lines gives its rows when it has so many; None: all at once
    watch: Callable[[int], None] | None = None  # told the rows of a reader of lines now and then


class Budget:
    """Refuses to read more into memory than there is. `gb_max` None takes four fifths of what is free.

    With `whole`, what the rest of the files will need is foreseen; else reading may stop before.
    """

    def __init__(self, source: str, progress: Progress, gb_max: float | None, *, whole: bool = True) -> None:
        import psutil

        if gb_max is not None and not gb_max > 0:
            raise InputError(f"memory_max_gb was {gb_max}; wanted more than zero, or nothing for four fifths of the free memory.")
        self._source = source
        self._whole = whole
        self.progress = progress
        self._bytes_max = 0.8 * psutil.virtual_memory().available if gb_max is None else gb_max * 1e9

    def check(self, rows: int) -> None:
        """Take the rows that were read so far. Raises InputError when those, or all that are to be expected, are too many."""
        fraction = self.progress.fraction()
        # A small beginning says little about the whole.
        foreseen = self._whole and fraction > 0 and (fraction > 0.02 or rows >= 1 << 16)
        self.need(rows / fraction if foreseen else rows)

    def need(self, rows: float) -> None:
        """Take the rows that are going to be read. Raises InputError when they are too many."""
        need = rows * BYTES_PER_ROW
        if need > self._bytes_max:
            raise InputError(
                f"{self._source} holds about {rows:,.0f} rows and needs {need / 1e9:,.1f} GB of memory; the limit is "
                f"{self._bytes_max / 1e9:,.1f} GB. Use hl.stream(…), which reads it in parts; or pass end_s=, or a larger memory_max_gb=."
            )


ReadOne = Callable[[Path, Reading], Iterator[Rows]]


def one_after_another(paths: Sequence[Path], read: ReadOne, reading: Reading) -> Iterator[Rows]:
    """Yield the chunks of files of one kind. Raises TapeError where time goes back within a file or from one to the next."""
    last_ns, last_path = np.iinfo(np.int64).min, None
    for path in paths:
        for rows in read(path, reading):
            if not len(rows):
                continue
            if not reading.sort:
                _refuse_back(rows, last_ns, path, last_path)
            last_ns, last_path = int(rows["ts_recv_ns"][-1]), path
            yield rows


def _refuse_back(rows: Rows, last_ns: int, path: Path, last_path: Path | None) -> None:
    recv_ns = rows["ts_recv_ns"]
    if last_path is not None and int(recv_ns[0]) < last_ns:
        by_s = (last_ns - int(recv_ns[0])) / 1e9
        if path != last_path:
            raise TapeError(
                f"{path.name} begins {by_s:.6f} s before {last_path.name} ends. Files of one kind must follow each other in time: "
                "give them in the order of recording."
            )
        raise TapeError(f"{path.name}: the receive time goes back by {by_s:.6f} s. Load with sort=True to put the rows in order.")
    back = np.flatnonzero(np.diff(recv_ns) < 0)
    if len(back):
        at = int(back[0])
        raise TapeError(
            f"{path.name}: the receive time goes back by {int(recv_ns[at] - recv_ns[at + 1]) / 1e9:.6f} s after "
            f"{np.datetime64(int(recv_ns[at]), 'ns')} ({len(back):,} times). Load with sort=True to put the rows in order."
        )

"""A tape as raw rows in a file that is mapped into memory: opened at once, read where it is used, never held as a whole.

Layout: the magic word, the size of the JSON that follows as 8 bytes (little endian), that JSON (instruments, source, notes, number
of rows), zeros up to a whole memory page, then the EVENT rows to the end of the file.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.data.chunking import ROWS
from hftlab.data.files import TAPE_MAGIC, written_aside
from hftlab.data.notes import Notes
from hftlab.data.rows import Rows
from hftlab.errors import FormatError, TruncatedFile
from hftlab.instrument import Instrument
from hftlab.types import EVENT

_PAGE = 4096
_HEAD = len(TAPE_MAGIC) + 8
_FORMAT = 1


def write_mapped(path: Path, rows: Rows, instruments: Sequence[Instrument], source: str, notes: Notes) -> Path:
    """Write a tape as raw rows. Returns the path."""
    meta = {
        "hftlab_rows": _FORMAT,
        "source": source,
        "instruments": [one.to_dict() for one in instruments],
        "notes": notes.to_dict(),
        "rows": len(rows),
    }
    text = json.dumps(meta).encode()
    with written_aside(path) as file:
        file.write(TAPE_MAGIC + len(text).to_bytes(8, "little") + text)
        file.write(b"\0" * (-(_HEAD + len(text)) % _PAGE))
        for low in range(0, len(rows), ROWS):
            file.write(rows[low : low + ROWS].tobytes())
    return path


@dataclass(frozen=True)
class Mapped:
    """A file of `count` raw rows, of which nothing is mapped until it is asked for."""

    path: Path
    count: int
    instruments: tuple[Instrument, ...]
    source: str
    notes: Notes
    offset: int

    def rows(self, low: int = 0, high: int | None = None) -> Rows:
        """Return rows `low` to before `high`, mapped on their own: the pages go when nobody uses these rows any more."""
        count = (self.count if high is None else min(high, self.count)) - low
        if not count:
            return np.zeros(0, EVENT)
        # Private pages, because the kernels are compiled for arrays that can be written; the file itself is never changed.
        return np.asarray(np.memmap(self.path, EVENT, mode="c", offset=self.offset + low * EVENT.itemsize, shape=(count,)))


def open_mapped(path: Path) -> Mapped:
    """Return what a file of raw rows holds. Raises FormatError, TruncatedFile."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = int.from_bytes(head[len(TAPE_MAGIC) :], "little")
        meta = _meta(path, file.read(min(size, path.stat().st_size)))
    offset = -(-(_HEAD + size) // _PAGE) * _PAGE
    found = (path.stat().st_size - offset) / EVENT.itemsize
    if found < meta["rows"]:
        raise TruncatedFile(
            f"{path.name} holds {max(int(found), 0):,} whole rows of {meta['rows']:,}: it was cut. Write it again with Tape.save."
        )
    if found > meta["rows"]:
        raise FormatError(f"{path.name} is {found - meta['rows']:,.1f} rows longer than it says. Write it again with Tape.save.")
    instruments = tuple(Instrument(**one) for one in meta["instruments"])
    return Mapped(path, meta["rows"], instruments, meta["source"], Notes.from_dict(meta["notes"]), offset)


def _meta(path: Path, text: bytes) -> dict[str, Any]:
    try:
        meta = json.loads(text)
    except ValueError as error:
        raise FormatError(f"{path.name} is a tape whose description is damaged ({error}). Write it again with Tape.save.") from error
    if not isinstance(meta, dict) or meta.get("hftlab_rows") != _FORMAT:
        raise FormatError(f"{path.name} is a tape of another format; this hftlab reads {_FORMAT}. Write it again with Tape.save.")
    return meta

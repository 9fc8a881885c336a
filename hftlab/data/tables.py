"""Text tables (CSV): whole lines in blocks, parsed column by column, with file, line and column of whatever is wrong."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hftlab.data.capture_lines import SHOWN
from hftlab.data.files import Progress, pieces
from hftlab.data.notes import Notes
from hftlab.errors import FormatError, TruncatedFile

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 1 << 23  # bytes of text parsed at once: some 100,000 lines
WHOLE, NUMBER, NAME, TEXT = "i8", "f8", "category", "object"


@dataclass(frozen=True)
class Table:
    """A kind of text table: all columns in order, and the type of those that are read. `header` is its first line."""

    columns: tuple[str, ...]
    types: dict[str, str]
    header: bool = True
    gaps: frozenset[str] = frozenset()  # columns that may be empty


class Blocks:
    """Iterates over (number of the first line, bytes of whole lines) of one text file.

    With `partial`, a file that ends in the middle ends the iteration, and `cut` says so; without it TruncatedFile is raised
    after the last whole line. `lines` counts what was given.
    """

    def __init__(self, path: Path, *, partial: bool = False, progress: Progress | None = None) -> None:
        self.path = path
        self.lines = 0
        self.cut = False
        self._partial = partial
        self._progress = progress

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield blocks. Raises TruncatedFile, FormatError."""
        held: list[bytes] = []
        size = 0
        try:
            for piece in pieces(self.path, self._progress):
                held.append(piece)
                size += len(piece)
                if size < BLOCK:
                    continue
                block, line_end, rest = b"".join(held).rpartition(b"\n")
                held, size = [rest], len(rest)
                if line_end:
                    yield self._numbered(block + line_end)
        except EOFError:
            self.cut = True
        block, line_end, rest = b"".join(held).rpartition(b"\n")
        if line_end:
            yield self._numbered(block + line_end)
        if self.cut and not self._partial:
            raise TruncatedFile(
                f"{self.path.name} ends in the middle (the packed stream ends early) after {self.lines:,} good lines. "
                "Fetch it again, or pass partial=True to use those lines."
            )
        if rest.strip() and not self.cut:
            yield self._numbered(rest)

    def _numbered(self, block: bytes) -> tuple[int, bytes]:
        first = self.lines + 1
        self.lines += block.count(b"\n") + (not block.endswith(b"\n"))
        return first, block


def read_table(path: Path, table: Table, notes: Notes, *, partial: bool, progress: Progress | None) -> Iterator[tuple[int, "pd.DataFrame"]]:
    """Yield (number of the first line, columns that are read) block by block. Raises FormatError, TruncatedFile."""
    blocks = Blocks(path, partial=partial, progress=progress)
    for number, block in blocks:
        first, text = number, block.replace(b"\r\n", b"\n")
        if first == 1 and table.header:
            _, _, text = text.partition(b"\n")
            first = 2
        if not text.strip():
            continue
        if not text.endswith(b"\n"):
            text, lost = _without_half_line(text, table, path, blocks.lines, partial=partial)
            if lost:
                blocks.cut, blocks.lines = True, blocks.lines - 1
            else:
                notes.say("warning", f"{path.name}: the last line has no line end; if the file was cut there, its last number is too.")
            if not text:
                continue
        _check_width(text, table, path, first)
        yield first, _parse(text, table, path, first)
    notes.lines += blocks.lines
    if blocks.cut:
        notes.say("warning", f"{path.name} ends in the middle; its first {blocks.lines:,} lines were read.")


def _without_half_line(text: bytes, table: Table, path: Path, number: int, *, partial: bool) -> tuple[bytes, bool]:
    """Return the text without a last line that lacks columns, and whether there was one. Raises TruncatedFile."""
    last = text.rpartition(b"\n")[2]
    if last.count(b",") >= len(table.columns) - 1:
        return text + b"\n", False
    if not partial:
        raise TruncatedFile(
            f"{path.name} ends in the middle (the last line is incomplete) after {number - 1:,} good lines. "
            "Fetch it again, or pass partial=True to use those lines."
        )
    return text[: len(text) - len(last)], True


def _check_width(text: bytes, table: Table, path: Path, first: int) -> None:
    commas = len(table.columns) - 1
    if text.count(b",") == commas * text.count(b"\n"):
        return
    for number, line in enumerate(text.splitlines(), first):
        if line.count(b",") != commas:
            shown = line[:SHOWN].decode("utf-8", "replace")
            raise FormatError(
                f"{path.name}, line {number:,}: {shown!r} has {line.count(b',') + 1} columns; wanted {len(table.columns)}: "
                f"{', '.join(table.columns[:8])}{'…' if len(table.columns) > 8 else ''}."
            )


def _parse(text: bytes, table: Table, path: Path, first: int) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_csv(
            io.BytesIO(text),
            header=None,
            names=list(table.columns),
            usecols=list(table.types),
            dtype=dict(table.types),
            keep_default_na=False,
            na_values=[""],
        )
    except (ValueError, OverflowError) as error:
        raise _bad_cell(text, table, path, first) or FormatError(f"{path.name}, from line {first:,} on: {error}.") from error
    for name in table.types:
        if name not in table.gaps and frame[name].isna().to_numpy().any():
            raise _bad_cell(text, table, path, first) or FormatError(f"{path.name}, from line {first:,} on: column {name!r} is empty.")
    return frame


def _bad_cell(text: bytes, table: Table, path: Path, first: int) -> FormatError | None:
    """Return the error for the first cell that is not of its column's type."""
    checks: dict[str, tuple[type, str]] = {WHOLE: (int, "a whole number"), NUMBER: (float, "a number")}
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), first):
        for name, cell in zip(table.columns, line.split(","), strict=False):
            kind = table.types.get(name)
            if kind is None or (not cell and name in table.gaps):
                continue
            convert, wanted = checks.get(kind, (str, "a name"))
            try:
                good = convert(cell) == convert(cell) and cell.strip() != ""  # NaN is no number: it differs from itself
            except ValueError:
                good = False
            if not good:
                return FormatError(f"{path.name}, line {number:,}: column {name!r} was {cell!r}; wanted {wanted}.")
    return None


def header_of(start: bytes) -> tuple[str, ...]:
    """Return the cells of the first line of a text."""
    line = start.partition(b"\n")[0].strip()
    return tuple(cell.strip() for cell in line.decode("utf-8", "replace").split(","))


def second_line(start: bytes) -> Sequence[str]:
    """Return the cells of the line after the first; none where there is none."""
    lines = start.split(b"\n", 2)
    return lines[1].decode("utf-8", "replace").strip().split(",") if len(lines) > 1 and lines[1].strip() else ()

"""Lines of a capture: what kind of file it is, one `local_ts payload` pair a line, and what is wrong with a line.

A day of one busy symbol is some 10 GB of text, so the file is read in pieces and never held as a whole.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hftlab.errors import FormatError, TruncatedFile

CHUNK = 1 << 20
SHOWN = 60  # characters of a bad line that a message shows

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x89HDF": "HDF5",
    b"PAR1": "Parquet",
    b"\x93NUMPY": "npy",
    b"DBN": "DBN",
}
_UNITS = ((10**17, 10**20, 1), (10**14, 10**17, 1_000), (10**11, 10**14, 1_000_000))


def file_kind(path: Path) -> str:
    """Return "gzip", "zip" or "text", by content. Raises FormatError for a missing, empty or other file."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}. Give the path of a recording.") from error
    if not start:
        raise FormatError(f"{path} is empty (0 bytes); wanted a recording.")
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "text")
    if kind in ("gzip", "zip"):
        return kind
    if kind != "text" or not start[:1].isdigit():
        shown = f"a {kind} file" if kind != "text" else f"not a recording (it begins with {start!r})"
        raise FormatError(
            f"{path.name} is {shown}; wanted lines of `local_ts {{json}}`, plain or gzip, or an npz of hftbacktest or hftlab."
        )
    return kind


def ns_per_unit(stamp: int) -> int:
    """Return the nanoseconds of one unit of an epoch stamp, told by its size: ns, us or ms between 1973 and 5138; else 0."""
    return next((scale for low, high, scale in _UNITS if low <= stamp < high), 0)


def chunks(path: Path) -> Iterator[bytes]:
    """Yield the text of a plain or gzip file in pieces. Raises EOFError where a gzip stream ends early."""
    with path.open("rb") as file:
        if file_kind(path) != "gzip":
            while piece := file.read(CHUNK):
                yield piece
            return
        inflate = zlib.decompressobj(31)
        while piece := file.read(CHUNK):
            while piece:
                yield inflate.decompress(piece)
                piece = inflate.unused_data
                if inflate.eof and piece:  # gzip files may be laid end to end
                    inflate = zlib.decompressobj(31)
        if not inflate.eof:
            raise EOFError


class Lines:
    """Iterates over (local time in ns, payload bytes) of one file.

    `number` is the line being read, from 1. With `partial`, a file that ends in the middle ends the iteration, and `cut`
    says so; without it TruncatedFile is raised after its last good line.
    """

    def __init__(self, path: Path, *, partial: bool = False) -> None:
        self.path = path
        self.number = 0
        self.cut = False
        self._partial = partial

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield (local time in ns, payload). Raises FormatError for a line without a time, TruncatedFile."""
        scale = 0
        rest = b""
        try:
            for piece in chunks(self.path):
                block = (rest + piece).split(b"\n")
                rest = block.pop()
                for line in block:
                    self.number += 1
                    stamp, _, payload = line.partition(b" ")
                    if not stamp.isdigit():
                        if not line.strip():
                            continue
                        raise self.bad_line(line, "wanted `local_ts {json}`")
                    scale = scale or self._scale(stamp, line)
                    yield int(stamp) * scale, payload
        except EOFError:
            self._truncated("the gzip stream ends early")
            return
        except zlib.error as error:
            raise FormatError(f"{self.path.name} is damaged after line {self.number:,} ({error}). Fetch the file again.") from error
        if rest.strip():
            yield from self._last(rest, scale)

    def _last(self, line: bytes, scale: int) -> Iterator[tuple[int, bytes]]:
        """Yield the last line, which has no line end: a recorder that was killed leaves half of one."""
        stamp, _, payload = line.partition(b" ")
        try:
            msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._truncated("the last line is incomplete")
            return
        self.number += 1
        if not stamp.isdigit():
            raise self.bad_line(line, "wanted `local_ts {json}`")
        yield int(stamp) * (scale or self._scale(stamp, line)), payload

    def _scale(self, stamp: bytes, line: bytes) -> int:
        scale = ns_per_unit(int(stamp))
        if not scale:
            raise self.bad_line(line, "wanted a local time since 1970 in ns, us or ms")
        return scale

    def _truncated(self, how: str) -> None:
        if not self._partial:
            raise TruncatedFile(
                f"{self.path.name} ends in the middle ({how}) after {self.number:,} good lines. "
                "Fetch it again, or pass partial=True to use those lines."
            )
        self.cut = True

    def bad_line(self, line: bytes, wanted: str) -> FormatError:
        """Return the error for the current line, showing how it begins."""
        shown = line[:SHOWN].decode("utf-8", "replace")
        return FormatError(f"{self.path.name}, line {self.number:,}: {shown!r}; {wanted}.")

"""Lines of a capture: one `local_ts payload` pair a line, and what is wrong with a line.

A day of one busy symbol is some 10 GB of text, so the file is read in pieces and never held as a whole.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from hftlab.data.files import Progress, pieces
from hftlab.errors import FormatError, TruncatedFile

SHOWN = 60  # characters of a bad line that a message shows

_UNITS = ((10**17, 10**20, 1), (10**14, 10**17, 1_000), (10**11, 10**14, 1_000_000))


def ns_per_unit(stamp: int) -> int:
    """Return the nanoseconds of one unit of an epoch stamp, told by its size: ns, us or ms between 1973 and 5138; else 0."""
    return next((scale for low, high, scale in _UNITS if low <= stamp < high), 0)


class Lines:
    """Iterates over (local time in ns, payload bytes) of one file.

    `number` is the line being read, from 1. With `partial`, a file that ends in the middle ends the iteration, and `cut`
    says so; without it TruncatedFile is raised after its last good line.
    """

    def __init__(self, path: Path, *, partial: bool = False, progress: Progress | None = None) -> None:
        self.path = path
        self._progress = progress
        self.number = 0
        self.cut = False
        self._partial = partial

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield (local time in ns, payload). Raises FormatError for a line without a time, TruncatedFile."""
        scale = 0
        rest = b""
        try:
            for piece in pieces(self.path, self._progress):
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
            self._truncated("the packed stream ends early")
            return
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

"""The bytes of a file, whatever it is packed in: read in pieces and never held as a whole, written beside what they replace."""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hftlab.errors import FormatError, InputError

CHUNK = 1 << 20
TAPE_MAGIC = b"HFTTAPE1"
"""How a mapped tape begins (`hftlab.data.mapped`)."""

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
    TAPE_MAGIC: "tape",
}
_READABLE = ("gzip", "zip", "zstd", "DBN", "tape", "text")
_LOCAL_HEADER = 30  # bytes of a zip member's header before its name


def file_kind(path: Path) -> str:
    """Return "npz", "gzip", "zip", "zstd", "DBN", "tape" or "text", by content. Raises FormatError for any other file."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}. Give the path of a recording.") from error
    if not start:
        raise FormatError(f"{path} is empty (0 bytes); wanted a recording.")
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "text")
    if kind not in _READABLE:
        raise FormatError(f"{path.name} is a {kind} file; wanted a recording (hl.load says in its help which formats it knows).")
    return "npz" if kind == "zip" and _is_npz(path) else kind


def _is_npz(path: Path) -> bool:
    """Tell an npz from a packed text. A cut zip has lost its table of contents: its first member's name decides."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        with path.open("rb") as file:
            names = [_first_member(file)[0]]
    return all(name.endswith(".npy") for name in names)


def pieces(path: Path, progress: "Progress | None" = None) -> Iterator[bytes]:
    """Yield the unpacked content in pieces. Raises EOFError where a packed stream ends early, FormatError where it is damaged."""
    kind = file_kind(path)
    with path.open("rb") as file:
        packed = _packed(file, progress)
        try:
            if kind == "gzip":
                yield from _unpacked(packed, lambda: zlib.decompressobj(31))
            elif kind == "zstd":
                yield from _unzstd(path, packed)
            elif kind == "zip":
                yield from _member(path, progress)
            else:
                yield from packed
        except (zlib.error, zipfile.BadZipFile) as error:
            raise _damaged(path, kind, error) from error


def _damaged(path: Path, kind: str, error: Exception) -> FormatError:
    return FormatError(f"{path.name} is a {kind} file, and damaged ({error}). Fetch the file again.")


def beginning(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first unpacked bytes, as many as there are up to `size`."""
    found = b""
    try:
        for piece in pieces(path):
            found += piece
            if len(found) >= size:
                break
    except EOFError:  # a cut file is refused by whoever reads it
        pass
    return found[:size]


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` for writing; it takes that place when it is whole, and is gone when writing failed.

    What stands there may be the very tape that is being written, mapped from its file; and a full disk must not cost the old one.
    """
    path = path.resolve()  # through a link, not in place of it
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except BaseException:  # why: whatever stopped the writing, half a file must not stay; it is raised again
        part.unlink(missing_ok=True)
        raise


class Progress:
    """How far a reader has come in its files, by packed size."""

    def __init__(self, paths: list[Path]) -> None:
        self.total = sum(path.stat().st_size for path in paths if path.is_file())
        self.read = 0

    def fraction(self) -> float:
        """Return the part that was read, 0 to 1."""
        return min(self.read / self.total, 1.0) if self.total else 1.0


def _packed(file: BinaryIO, progress: Progress | None) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        if progress is not None:
            progress.read += len(piece)
        yield piece


def _unpacked(packed: Iterator[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """Inflate streams that may be laid end to end. Raises EOFError when the last one has no end."""
    stream = make()
    for piece in packed:
        rest = piece
        while rest:
            if stream.eof:
                stream = make()
            yield stream.decompress(rest)
            rest = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise EOFError


def _unzstd(path: Path, packed: Iterator[bytes]) -> Iterator[bytes]:
    zstandard = zstandard_of(path)
    try:
        yield from _unpacked(packed, lambda: zstandard.ZstdDecompressor().decompressobj())
    except zstandard.ZstdError as error:
        raise _damaged(path, "zstd", error) from error


def zstandard_of(path: Path) -> Any:
    """Return the module that unpacks zstd. Raises InputError when it is not installed."""
    try:
        import zstandard
    except ImportError as error:
        raise InputError(
            f"{path.name} is packed with zstd, and the package 'zstandard' is not installed. Install the optional extra: "
            "pip install 'hftlab[databento]', or unpack the file first."
        ) from error
    return zstandard


# --- zip -------------------------------------------------------------------------------------------------------------
def _member(path: Path, progress: Progress | None) -> Iterator[bytes]:
    """Yield the one file of a zip archive; of a cut archive, what is left of it and then EOFError."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        yield from _cut_member(path, progress)
        return
    with archive:
        members = [one for one in archive.infolist() if not one.is_dir()]
        if len(members) != 1:
            names = ", ".join(one.filename for one in members[:5]) or "nothing"
            raise FormatError(f"{path.name} packs {len(members)} files ({names}); wanted one. Unpack it and give the files.")
        size = path.stat().st_size
        with archive.open(members[0]) as file:
            done = 0
            while piece := file.read(CHUNK):
                done += len(piece)
                if progress is not None:
                    progress.read += round(len(piece) / max(members[0].file_size, 1) * size)
                yield piece


def _cut_member(path: Path, progress: Progress | None) -> Iterator[bytes]:
    with path.open("rb") as file:
        name, method = _first_member(file)
        if method != zipfile.ZIP_DEFLATED:
            raise FormatError(f"{path.name} is a zip without its end, and {name or 'its content'} is not deflated. Fetch the file again.")
        stream = zlib.decompressobj(-15)
        for piece in _packed(file, progress):
            yield stream.decompress(piece)
    raise EOFError


def _first_member(file: BinaryIO) -> tuple[str, int]:
    """Return name and method of a zip's first member, and leave the file where its data begins."""
    head = file.read(_LOCAL_HEADER)
    if len(head) < _LOCAL_HEADER or not head.startswith(b"PK\x03\x04"):
        return "", -1
    name_size, extra_size = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
    name = file.read(name_size).decode("utf-8", "replace")
    file.read(extra_size)
    return name, int.from_bytes(head[8:10], "little")

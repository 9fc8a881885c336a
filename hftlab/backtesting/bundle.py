"""A backtest in one file: what was run, on what tape, and every order and fill that must come out again elsewhere.

A bundle is a zip that ends in the SHA-256 of all bytes before, written where a zip keeps its comment: any changed byte is
noticed before anything in the file is believed. The seal tells of damage and of careless edits; it is no signature, and
checking a bundle runs the code in it, so take bundles from people you trust.
"""

import hashlib
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.analytics.report.compare import acts, diverge
from hftlab.analytics.report.origin import pieces
from hftlab.analytics.report.report import Report
from hftlab.backtesting.codec import decode, encode
from hftlab.backtesting.run import backtest
from hftlab.data.notes import Notes
from hftlab.data.npz import read_npz, write_tape
from hftlab.data.tape import Tape
from hftlab.errors import BundleError, InputError
from hftlab.kernels.jit import cache_dir
from hftlab.strict import keywords
from hftlab.types import EVENT

FORMAT = 1
_SEAL = 64
_CHUNK = 1 << 20


def tape_digest(tape: Any) -> tuple[str, int]:
    """Return a digest of the rows and instruments of a tape (or of what `hl.stream` opened), and how many rows there are."""
    digest = hashlib.blake2b(json.dumps([one.to_dict() for one in tape.instruments], sort_keys=True).encode(), digest_size=16)
    count = 0
    for rows in pieces(tape):
        digest.update(np.ascontiguousarray(rows).view(np.uint8).data)
        count += len(rows)
    return digest.hexdigest(), count


def kernel_digest() -> str:
    """Return a name for exactly these kernels, numba and numpy."""
    return cache_dir().name


@keywords
def bundle(report: Report, path: str | Path, *, with_tape: bool = False) -> Path:
    """Write what reproduces a backtest to `path`: arguments, code, versions, tape digest (or the tape), expected orders and fills.

    Returns the path. Raises InputError for a report that cannot run again, or for arguments that cannot travel.
    """
    if report.origin is None:
        raise InputError("this report cannot run again: it comes from a session. A bundle wants the report of hl.backtest(…).")
    path, tape = Path(path), report.origin.tape
    if with_tape and not isinstance(tape, Tape):
        raise InputError("with_tape wants a Tape in memory; a streamed one stays in its files. Bundle without it, and pass tape= to check.")
    digest, rows = tape_digest(tape)
    call = {name: encode(value, name) for name, value in report.origin.call.items()}
    about = {
        "hftlab_bundle": FORMAT,
        "hftlab": sys.modules["hftlab"].__version__,  # of the code that runs, installed or not
        "kernels": kernel_digest(),
        "tape": {"digest": digest, "rows": rows, "source": tape.source, "included": with_tape},
        "report": {"digest": report.digest, "acts": len(acts(report.facts.own)), "pnl_quote": report.pnl_quote},
        "assumptions": dict(report.assumptions),
    }
    members = {"about.json": _json(about), "call.json": _json(call), "expected.npy": _npy(report.facts.own)}
    unsealed = path.with_name(path.name + ".part")
    with zipfile.ZipFile(unsealed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        if with_tape:
            with tempfile.TemporaryDirectory() as folder:
                packed = write_tape(Path(folder) / "tape.npz", tape.rows, tape.instruments, tape.source, tape.notes)
                file.writestr(zipfile.ZipInfo("tape.npz"), packed.read_bytes())
        file.comment = b"0" * _SEAL
    with unsealed.open("r+b") as raw:
        seal = _digest_before_seal(raw)
        raw.seek(-_SEAL, io.SEEK_END)
        raw.write(seal)
    unsealed.replace(path)
    return path


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, allow_nan=False).encode()


def _npy(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(rows), allow_pickle=False)
    return file.getvalue()


def _digest_before_seal(raw: Any) -> bytes:
    left = raw.seek(0, io.SEEK_END) - _SEAL
    raw.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        part = raw.read(min(_CHUNK, left))
        digest.update(part)
        left -= len(part)
    return digest.hexdigest().encode()


@dataclass(frozen=True, repr=False)
class Reproduced:
    """A bundle that came out the same: the report of the new run, and how many requests and fills were compared."""

    report: Report
    acts: int
    note: str = ""

    def __repr__(self) -> str:
        return f"<Reproduced: all {self.acts:,} requests and fills came out the same, digest {self.report.digest}.{self.note}>"


@dataclass(frozen=True, repr=False)
class Bundle:
    """A loaded bundle: `about` (versions, digests, assumptions), `call` (encoded arguments), `expected` (EVENT rows)."""

    path: Path
    about: Mapping[str, Any]
    call: Mapping[str, Any]
    expected: np.ndarray

    @classmethod
    def load(cls, path: str | Path) -> "Bundle":
        """Read a bundle. Raises BundleError for a file that was changed in any byte, is cut short, or is no bundle."""
        path = Path(path)
        if not path.is_file():
            raise BundleError(f"{path} is no file; wanted a bundle written by hl.bundle(report, path).")
        with path.open("rb") as raw:
            if raw.seek(0, io.SEEK_END) <= _SEAL or raw.seek(0) or raw.read(4) != b"PK\x03\x04":
                raise BundleError(
                    f"{path.name} is no bundle, or its beginning was changed; wanted a file written by hl.bundle(report, path)."
                )
            seal = _digest_before_seal(raw)
            if raw.read(_SEAL) != seal:
                raise BundleError(
                    f"{path.name} was changed after it was written, or is cut short: its bytes do not match the seal at its end. "
                    "Nothing in it is run; get the file again, or write it anew with hl.bundle(report, path)."
                )
        with zipfile.ZipFile(path) as file:
            about = json.loads(file.read("about.json"))
            if about.get("hftlab_bundle") != FORMAT:
                raise BundleError(f"{path.name} is a bundle of format {about.get('hftlab_bundle')}; this hftlab reads {FORMAT}.")
            expected = np.load(io.BytesIO(file.read("expected.npy")), allow_pickle=False)
            call = json.loads(file.read("call.json"))
        if expected.dtype != EVENT:
            raise BundleError(
                f"{path.name} was made by hftlab {about['hftlab']}, whose rows have another layout; check it with that version."
            )
        return cls(path, about, call, expected)

    def tape(self) -> Tape:
        """Return the tape inside. Raises BundleError for a bundle without one."""
        if not self.about["tape"]["included"]:
            raise BundleError(
                f"{self.path.name} holds no tape, only its digest. Pass tape=hl.load(…) of {self.about['tape']['source'] or 'the same data'}."
            )
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(self.path) as file:
            packed, notes = Path(file.extract("tape.npz", folder)), Notes()
            rows, instruments = read_npz([packed], None, notes, sort=False)
        return Tape(rows, instruments, self.about["tape"]["source"], notes)

    def check(self, tape: Any = None) -> Reproduced:
        """Run again and compare every request, report, fill and fee. Raises BundleError with the first difference."""
        tape = self.tape() if tape is None else tape
        digest, rows = tape_digest(tape)
        if digest != self.about["tape"]["digest"]:
            raise BundleError(
                f"this tape ({rows:,} rows) is not the one of {self.path.name} ({self.about['tape']['rows']:,} rows, "
                f"{self.about['tape']['source'] or 'made in memory'}): their digests differ. Load the same file with the same arguments."
            )
        report: Report = backtest(tape=tape, **{name: decode(value) for name, value in self.call.items()})
        here = kernel_digest()
        other = f" Made with {self.about['kernels']}, run with {here}." if here != self.about["kernels"] else ""
        if report.facts.own.tobytes() != self.expected.tobytes():
            books = report.origin.book_at if report.origin is not None else None
            where = diverge(report.facts.own, self.expected, report.instruments, (books, books)).text()
            raise BundleError(
                f"{self.path.name} does not come out the same: {where} (This run is the new one, the other the bundle's.){other}"
            )
        return Reproduced(report, len(acts(self.expected)), other)

    def __repr__(self) -> str:
        made = self.about["report"]
        return (
            f"<Bundle {self.path.name}: {made['acts']:,} requests and fills, P&L {made['pnl_quote']:+,.2f}, hftlab {self.about['hftlab']}>"
        )


def check_bundle(path: str | Path, tape: Any = None) -> Reproduced:
    """Load a bundle, run it again and compare every order. Raises BundleError where anything is not the same."""
    return Bundle.load(path).check(tape)

"""Files under validation: read as far as they can be, every error of a reader turned into a finding with line and column."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.capture_lines import Lines
from hftlab.data.files import file_kind
from hftlab.data.markets import Wanted
from hftlab.data.notes import Notes
from hftlab.data.npz import EXCH_EVENT, HFTBACKTEST, LOCAL_EVENT, read_npz
from hftlab.data.rows import Rows
from hftlab.data.validate_events import scan_events
from hftlab.data.validate_report import ERROR, WARNING, Finding
from hftlab.errors import DataWarning, HftlabError, InputError, TapeError, TruncatedFile
from hftlab.instrument import Instrument
from hftlab.types import EVENT

_AT_LINE = re.compile(r"^(?P<file>.+?), line (?P<line>[\d,]+): (?P<rest>.*)$", re.DOTALL)
_CUT = re.compile(r"^(?P<file>.+?) ends in the middle .* after (?P<line>[\d,]+) good lines")
_ADVICE = re.compile(r"(?<=[.;]) (?=(?:The likely cause|Pass|Fetch|Give|Load|pass|A file of)\b)")
_COLUMNS = (
    (re.compile(r"at `\$\.?(?P<name>[\w.\[\]]+)`"), ""),
    (re.compile(r"field `(?P<name>\w+)`"), ""),
    (re.compile(r"\bprice\b"), "price"),
    (re.compile(r"\bquantit(y|ies)\b"), "quantity"),
    (re.compile(r"not in the bundled catalogue|instrument given was"), "symbol"),
    (re.compile(r"\breceived\b|local_ts|local time"), "local_ts"),
    (re.compile(r"JSON|malformed"), "payload"),
)
_LINES_KNOWN_MAX = 20_000_000


@dataclass
class Recording:
    """What could be read: EVENT rows (none where nothing could), their instruments, and what stood in the way."""

    source: str
    rows: Rows = field(default_factory=lambda: np.zeros(0, EVENT))
    instruments: tuple[Instrument, ...] = ()
    notes: Notes = field(default_factory=Notes)
    findings: list[Finding] = field(default_factory=list)


def read_files(files: Sequence[Path], instrument: Wanted) -> Recording:
    """Read files as `hl.load` does and go on where it stops. Raises InputError for a missing file, or a missing `instrument`."""
    recording = Recording(", ".join(path.name for path in files))
    for path in files:
        if not path.is_file():
            raise InputError(f"{path} is no file; wanted the path of a recording, or a tape.")
    events = [(path, data) for path in files if (data := _events_of(path)) is not None]
    if events and instrument is None:
        raise InputError(f"{events[0][0].name} is an npz of hftbacktest, which does not say what was traded; pass instrument=.")
    for path, data in events:
        recording.findings += scan_events(data, path.name, instrument)
    _read(recording, files, instrument)
    recording.findings += repeated_lines(files)
    return recording


def _read(recording: Recording, files: Sequence[Path], instrument: Wanted) -> None:
    """Fill in rows; what can be forgiven (a cut end, lines out of order) is reported and then forgiven."""
    from hftlab.data.recordings import load  # recordings imports tape, and a tape imports its validation

    forgiven: dict[str, Any] = {}
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # each is a finding of the report too
                tape = load(list(files), instrument, bbo=True, **forgiven)
        except HftlabError as error:
            pardon = "partial" if isinstance(error, TruncatedFile) else "sort" if isinstance(error, TapeError) else ""
            if pardon == "sort" and _bare(recording, files, instrument):
                return
            if not any(finding.severity == ERROR and finding.check != "reader" for finding in recording.findings):
                recording.findings.append(finding_of(error))
            if not pardon or pardon in forgiven:
                return
            forgiven[pardon] = True
        except Exception as error:  # why: whatever a damaged file does to a reader is a finding, never a traceback
            text = f"the reader failed: {type(error).__name__}: {error}"
            fix = "Fetch the file again; if it is sound, this is a fault of the reader and worth reporting."
            recording.findings.append(Finding(ERROR, text, "a readable file", fix, "reader", place=recording.source))
            return
        else:
            recording.rows, recording.instruments, recording.notes = tape.rows, tape.instruments, tape.notes
            return


def _bare(recording: Recording, files: Sequence[Path], instrument: Wanted) -> bool:
    """Take the rows of npz files that make no tape, so that every fault in them can be named. Returns whether there were any."""
    if any(file_kind(path) != "npz" for path in files):
        return False
    try:
        recording.rows, recording.instruments = read_npz(files, instrument, recording.notes, sort=False)
    except HftlabError:
        return False  # it was the reader that refused, not the tape
    return len(recording.rows) > 0


def _events_of(path: Path) -> npt.NDArray[Any] | None:
    """Return hftbacktest's array of an npz file, None for anything else; what cannot be opened is the reader's to say."""
    try:
        if file_kind(path) != "npz":
            return None
        with path.open("rb") as raw, np.load(raw) as file:
            if "data" not in file or "meta" in file:
                return None
            data = file["data"]
    except Exception:  # why: whatever is wrong with the file, the reader meets it next and says it better
        return None
    return data if set(HFTBACKTEST.names or ()) <= set(data.dtype.names or ()) else None


def finding_of(error: HftlabError) -> Finding:
    """Return a reader's error as a finding: its line as the place, the column that it speaks of, and its advice."""
    text, place = str(error), ""
    if match := _AT_LINE.match(text):
        text, place = match["rest"], f"{match['file']}, line {match['line']}"
    elif match := _CUT.match(text):
        place = f"{match['file']}, after line {match['line']}"
    found, *advice = _ADVICE.split(text, maxsplit=1)
    column = ""
    for pattern, name in _COLUMNS:
        if hit := pattern.search(found):
            column = name or hit["name"]
            break
    fix = advice[0] if advice else f"Take {'the line' if place else 'it'} out, or fetch the file again."
    return Finding(ERROR, found, fix=fix, check="reader", column=column, place=place)


# --- where rows stand in their files ---------------------------------------------------------------------------------
def repeated_lines(files: Sequence[Path]) -> list[Finding]:
    """Find lines of captures whose message is, letter by letter, that of an earlier line."""
    found: list[Finding] = []
    for path in files:
        seen: dict[int, int] = {}
        repeats: list[tuple[int, int]] = []
        for number, _, payload in _lines(path):
            first = seen.setdefault(hash(payload), number)
            if first != number:
                repeats.append((number, first))
        if repeats:
            number, first = repeats[0]
            more = f" (and {len(repeats) - 1:,} more lines like it)" if len(repeats) > 1 else ""
            text = f"the message is that of line {first:,} again{more}"
            fix = "Harmless if the venue sent a snapshot again; else drop the repeats: two connections were recorded into one file."
            place = f"{path.name}, line {number:,}"
            found.append(Finding(WARNING, text, "each message once", fix, "duplicates", column="payload", count=len(repeats), place=place))
    return found


def placed(findings: Sequence[Finding], rows: Rows, files: Sequence[Path]) -> list[Finding]:
    """Return the findings with the line, or row, of the file where a row was received."""
    if not any(finding.row >= 0 for finding in findings):
        return list(findings)
    stamps = [(path, *_stamps(path)) for path in files]
    out: list[Finding] = []
    for finding in findings:
        place = "" if finding.row < 0 else _place(stamps, int(rows["ts_recv_ns"][finding.row]))
        out.append(replace(finding, place=place) if place and not finding.place else finding)
    return out


def _place(stamps: Sequence[tuple[Path, str, npt.NDArray[np.int64]]], recv_ns: int) -> str:
    for path, unit, times in stamps:
        where = np.flatnonzero(times == recv_ns)
        if len(where):
            first, last = int(where[0]), int(where[-1])
            numbers = f"{unit} {first:,}" if first == last else f"{unit}s {first:,} to {last:,}"
            return f"{path.name}, {numbers}"
    return ""


def _stamps(path: Path) -> tuple[str, npt.NDArray[np.int64]]:
    """Return how a file counts ("line" from 1, "row" from 0), and by that number its receive times in ns; empty where unknown."""
    data = _events_of(path)
    if data is not None:
        return "row", np.where((data["ev"] & LOCAL_EVENT) != 0, data["local_ts"], np.where(data["ev"] & EXCH_EVENT, -1, 0))
    known = [(number, recv_ns) for number, recv_ns, _ in _lines(path)]
    times = np.full(known[-1][0] + 1 if known else 0, -1, np.int64)
    for number, recv_ns in known:
        times[number] = recv_ns
    return "line", times


def _lines(path: Path) -> Any:
    """Yield (number, receive time in ns, payload) of a capture as far as it can be read; nothing of other files."""
    try:
        if file_kind(path) == "npz":
            return
        lines = Lines(path, partial=True)
        for recv_ns, payload in lines:
            if lines.number > _LINES_KNOWN_MAX:
                return
            yield lines.number, recv_ns, payload
    except HftlabError:
        return  # the reader has met the same and said so

"""npz files: the tape's own compressed form, and hftbacktest's event arrays in and out.

An hftbacktest file holds one structured array "data" (its documentation, "Data"): ev u8, exch_ts i8, local_ts i8, px f8,
qty f8, order_id u8, ival i8, fval f8. The low byte of `ev` is the kind, the high bits say whose copy a row is and the side.
"""

import json
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.data.files import written_aside
from hftlab.data.grids import Columns
from hftlab.data.markets import Wanted, as_instruments
from hftlab.data.notes import Notes
from hftlab.data.rows import Rows
from hftlab.errors import DataWarning, FormatError, InputError, TapeError
from hftlab.instrument import Instrument
from hftlab.types import ASK, BBO, BID, CLEAR, DEPTH, EVENT, KIND_NAMES, LAST, SNAPSHOT, TRADE

HFTBACKTEST = np.dtype(
    [("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8"), ("order_id", "u8"), ("ival", "i8"), ("fval", "f8")]
)
EXCH_EVENT, LOCAL_EVENT, BUY_EVENT, SELL_EVENT = (np.uint64(1 << bit) for bit in (31, 30, 29, 28))
_KIND_MASK = np.uint64(0xFF)
_SNAPSHOT_KIND = 4
_KIND_OF = {1: DEPTH, 2: TRADE, 3: CLEAR, _SNAPSHOT_KIND: DEPTH, 5: BBO}
_EV_OF = {DEPTH: 1, TRADE: 2, CLEAR: 3, BBO: 5}

_DELTAS = ("ts_recv_ns", "seq", "price_ticks")  # stored as differences: they compress to a third
_FORMAT = 1


# --- our own form ----------------------------------------------------------------------------------------------------
def write_tape(path: Path, rows: Rows, instruments: Sequence[Instrument], source: str, notes: Notes) -> Path:
    """Write a tape, one compressed member a column. Returns the path."""
    meta = {
        "hftlab_tape": _FORMAT,
        "source": source,
        "instruments": [one.to_dict() for one in instruments],
        "notes": notes.to_dict(),
    }
    columns: dict[str, Any] = {
        name: np.diff(rows[name], prepend=np.zeros(1, np.int64)) if name in _DELTAS else rows[name] for name in EVENT.names or ()
    }
    columns["ts_exch_ns"] = rows["ts_recv_ns"] - rows["ts_exch_ns"]
    with written_aside(path) as file:
        np.savez_compressed(file, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **columns)
    return path


def _read_own(file: Any, path: Path, notes: Notes) -> tuple[Rows, tuple[Instrument, ...]]:
    meta = json.loads(file["meta"].tobytes())
    if meta.get("hftlab_tape") != _FORMAT:
        raise FormatError(f"{path.name} is a tape of format {meta.get('hftlab_tape')!r}; this hftlab reads {_FORMAT}.")
    rows = np.zeros(len(file["kind"]), EVENT)
    for name in EVENT.names or ():
        rows[name] = np.cumsum(file[name]) if name in _DELTAS else file[name]
    rows["ts_exch_ns"] = rows["ts_recv_ns"] - rows["ts_exch_ns"]
    notes.add(Notes.from_dict(meta["notes"]))
    return rows, tuple(Instrument(**one) for one in meta["instruments"])


# --- reading ---------------------------------------------------------------------------------------------------------
def read_npz(files: Sequence[Path], instrument: Wanted, notes: Notes, *, sort: bool) -> tuple[Rows, tuple[Instrument, ...]]:
    """Read npz files that follow each other. Raises FormatError, InputError, TapeError."""
    wanted = as_instruments(instrument)
    parts, instruments = [], wanted
    for path in files:
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                part, found = _read_one(file, path, wanted, notes)
        except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, OSError, EOFError) as error:
            if isinstance(error, InputError):
                raise
            raise FormatError(f"{path.name} is no npz of a tape: {error}. Wanted one of hftbacktest or of Tape.save.") from error
        if instruments is not None and found != instruments:
            names = ", ".join(one.name for one in found)
            raise InputError(
                f"{path.name} holds {names}; wanted {', '.join(one.name for one in instruments)} as given or as in the first file."
            )
        instruments = found
        parts.append(part)
    rows = np.concatenate(parts)
    back = int(np.count_nonzero(np.diff(rows["ts_recv_ns"]) < 0))
    if back and sort:
        rows = rows[np.argsort(rows["ts_recv_ns"], kind="stable")]
        notes.say("warning", f"the receive time went back {back:,} times; the rows were put in order (sort=True).")
    return np.ascontiguousarray(rows), instruments or ()


def count_rows(path: Path) -> int:
    """Return how many rows an npz holds, by its headers alone; 0 for one that `read_npz` will refuse."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((one for one in ("kind.npy", "data.npy") if one in archive.namelist()), None)
            if name is None:
                return 0
            with archive.open(name) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, _ = read(file)
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError):
        return 0
    return int(shape[0]) if shape else 0


def _read_one(file: Any, path: Path, wanted: tuple[Instrument, ...] | None, notes: Notes) -> tuple[Rows, tuple[Instrument, ...]]:
    if "meta" in file and "kind" in file:
        return _read_own(file, path, notes)
    if "data" not in file:
        raise FormatError(f"{path.name} holds {', '.join(file.files) or 'nothing'}; wanted hftbacktest's array 'data'.")
    data = file["data"]
    if set(HFTBACKTEST.names or ()) - set(data.dtype.names or ()):
        shape = data.dtype.names or f"{data.dtype} {data.shape}"
        raise FormatError(
            f"{path.name}: 'data' is {shape}; wanted the fields {HFTBACKTEST.names}. A file of hftbacktest 1.x has to be migrated with its own tool."
        )
    if wanted is None or len(wanted) != 1:
        raise InputError(f"{path.name} is an npz of hftbacktest, which does not say what was traded; pass one instrument=.")
    return _from_hftbacktest(data, path.name, wanted[0], notes), wanted


def _from_hftbacktest(data: np.ndarray[Any, Any], name: str, instrument: Instrument, notes: Notes) -> Rows:
    """Return the rows of the local copies; the exchange's copies are made again by `Tape.merge`."""
    local = (data["ev"] & LOCAL_EVENT) != 0
    notes.lines += len(data)
    alone = np.count_nonzero(~local) - np.count_nonzero((data["ev"][local] & EXCH_EVENT) == 0)
    if alone > 0:
        notes.dropped["event that the exchange alone saw"] += int(alone)
    where = np.flatnonzero(local)
    ev = (data["ev"][where] & _KIND_MASK).astype(np.int64)
    known = np.isin(ev, list(_KIND_OF))
    for other in np.unique(ev[~known]):
        notes.ignored[f"hftbacktest event {other}"] += int(np.count_nonzero(ev == other))
    where, ev = where[known], ev[known]
    kept = data[where]
    if not len(kept):
        raise FormatError(f"{name} holds no depth or trade events in {len(data):,} rows.")
    rows = np.zeros(len(kept), EVENT)
    rows["ts_exch_ns"], rows["ts_recv_ns"], rows["seq"] = kept["exch_ts"], kept["local_ts"], kept["ival"]
    rows["kind"] = np.array([_KIND_OF.get(i, 0) for i in range(6)], np.uint8)[ev]
    rows["side"] = np.where(kept["ev"] & BUY_EVENT, BID, np.where(kept["ev"] & SELL_EVENT, ASK, 0))
    rows["flags"] = np.where(ev == _SNAPSHOT_KIND, SNAPSHOT, 0)
    priced = rows["kind"] != CLEAR
    columns = Columns(instrument, name, place="row")
    rows["price_ticks"][priced] = columns.ticks(kept["px"][priced], where[priced])
    rows["qty_lots"][priced] = columns.lots(kept["qty"][priced], where[priced])
    columns.say(notes)
    _refuse((rows["kind"] != CLEAR) & (rows["side"] == 0), where, f"{name}: neither BUY_EVENT nor SELL_EVENT", FormatError)
    empty = (rows["kind"] == TRADE) & (rows["qty_lots"] == 0)
    if empty.any():
        notes.dropped["trade of zero price or size"] += int(np.count_nonzero(empty))
        rows = rows[~empty]
    return _with_messages(_with_first_clear(rows, name, notes))


def _refuse(bad: np.ndarray[Any, Any], where: np.ndarray[Any, Any], what: str, error: type[Exception]) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise error(f"{what} in row {where[rows[0]]:,}.")


def _with_first_clear(rows: Rows, name: str, notes: Notes) -> Rows:
    """Say what is special about the first and the later books, and begin with CLEAR: before it no book is to be trusted."""
    clears, depths = np.flatnonzero(rows["kind"] == CLEAR), np.flatnonzero(rows["kind"] == DEPTH)
    if len(clears) and len(depths) and np.any((rows["side"][clears] != 0) & (clears > depths[0] + len(depths) // 2)):
        notes.say("info", f"{name}: clears up to a price are read as clears of a whole side; levels beyond a later snapshot are forgotten.")
    if not len(depths) or (len(clears) and clears[0] < depths[0]):
        return rows
    if not rows["flags"][depths[0]] & SNAPSHOT:
        notes.say("warning", f"{name}: no snapshot. The book begins empty; levels that no update touched are missing.")
    clear = rows[depths[0] : depths[0] + 1].copy()
    clear["kind"], clear["side"], clear["price_ticks"], clear["qty_lots"] = CLEAR, 0, 0, 0
    return np.insert(rows, depths[0], clear[0])


def _with_messages(rows: Rows) -> Rows:
    """Set LAST: the format knows no messages, so rows of the same kind and stamps are taken as one; each print is its own."""
    last = np.ones(len(rows), bool)
    same = np.ones(len(rows) - 1, bool)
    for column in ("ts_exch_ns", "ts_recv_ns", "seq"):
        same &= rows[column][1:] == rows[column][:-1]
    book = np.isin(rows["kind"], (DEPTH, CLEAR))
    both = (book[1:] & book[:-1]) | ((rows["kind"][1:] == BBO) & (rows["kind"][:-1] == BBO))
    last[:-1] = ~(same & both)
    rows["flags"] |= np.where(last, LAST, 0).astype(np.uint16)
    begins = np.flatnonzero((rows["kind"][:-1] == CLEAR) & ~last[:-1] & ((rows["flags"][1:] & SNAPSHOT) != 0))
    rows["flags"][begins] |= SNAPSHOT
    return rows


# --- writing ---------------------------------------------------------------------------------------------------------
def write_hftbacktest(path: str | Path, rows: Rows, instrument: Instrument) -> Path:
    """Write the rows of one instrument as an hftbacktest npz; `ival` keeps the sequence number. Returns the path.

    A row that is late on the exchange's clock is written twice, once for each side, so that each side alone is in order.
    Gaps and funding have no place in that format: they are left out with a DataWarning. Raises TapeError for rows that
    were received before they happened.
    """
    if np.any(rows["ts_exch_ns"] > rows["ts_recv_ns"]):
        raise TapeError("rows were received before they happened; load the recording with clock='correct' first.")
    written = np.isin(rows["kind"], list(_EV_OF))
    if not written.all():
        names = ", ".join(KIND_NAMES.get(int(kind), str(kind)) for kind in np.unique(rows["kind"][~written]))
        warnings.warn(f"{np.count_nonzero(~written):,} rows left out: hftbacktest's format has no {names}.", DataWarning, stacklevel=2)
        rows = rows[written]
    data = np.zeros(len(rows), HFTBACKTEST)
    ev = np.array([_EV_OF.get(kind, 0) for kind in range(max(_EV_OF) + 1)], np.uint64)[rows["kind"]]
    ev[(rows["kind"] == DEPTH) & ((rows["flags"] & SNAPSHOT) != 0)] = _SNAPSHOT_KIND
    data["ev"] = ev | np.where(rows["side"] == BID, BUY_EVENT, np.where(rows["side"] == ASK, SELL_EVENT, np.uint64(0)))
    data["exch_ts"], data["local_ts"], data["ival"] = rows["ts_exch_ns"], rows["ts_recv_ns"], rows["seq"]
    data["px"] = np.round(rows["price_ticks"] * float(instrument.tick_size), instrument.price_decimals)
    data["qty"] = np.round(rows["qty_lots"] * float(instrument.lot_size), instrument.qty_decimals)
    _clear_whole_sides(data, rows)
    with written_aside(Path(path)) as file:
        np.savez_compressed(file, data=_on_two_clocks(data))
    return Path(path)


def _clear_whole_sides(data: np.ndarray[Any, Any], rows: Rows) -> None:
    """Give one-sided clears the price up to which they clear: the farthest the tape ever holds."""
    data["px"][rows["kind"] == CLEAR] = 0.0
    for side, farthest in ((BID, np.min), (ASK, np.max)):
        levels = (rows["kind"] == DEPTH) & (rows["side"] == side)
        if levels.any():
            data["px"][(rows["kind"] == CLEAR) & (rows["side"] == side)] = farthest(data["px"][levels])


def _on_two_clocks(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return rows of both sides: in receive order, the late ones split into a local copy and an earlier exchange copy."""
    newest = np.maximum.accumulate(data["exch_ts"])
    late = data["exch_ts"] < newest
    both = data.copy()
    both["ev"] |= LOCAL_EVENT
    both["ev"][~late] |= EXCH_EVENT
    moved = data[late][np.argsort(data["exch_ts"][late], kind="stable")]
    moved["ev"] |= EXCH_EVENT
    return np.insert(both, np.searchsorted(newest, moved["exch_ts"], side="right"), moved)

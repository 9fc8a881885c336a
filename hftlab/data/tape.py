"""A tape: recorded or made market data, checked, in the order in which it was received."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hftlab.data.chunking import ROWS, RowCheck, ordered, rows_count, whole_messages
from hftlab.data.mapped import write_mapped
from hftlab.data.merging import merge_rows
from hftlab.data.notes import Notes
from hftlab.data.npz import write_tape
from hftlab.data.rows import Rows
from hftlab.data.validate_quick import quick_report
from hftlab.data.validate_report import ValidationReport
from hftlab.errors import InputError, TapeError
from hftlab.instrument import Instrument
from hftlab.types import CLEAR, DEPTH, EVENT, FUNDING, GAP, KIND_NAMES, L3_ORDER, LAST, NO_PRICE, SNAPSHOT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Merged:
    """A tape on two clocks, for the backtester: each row as the exchange's copy (AT_EXCHANGE) and as ours (AT_DESK).

    `rows` is one EVENT array by time: the exchange's copy happens at ts_exch_ns, ours at ts_recv_ns, the exchange's first
    on ties. Each side alone does not go back in its own clock. A row whose copies meet carries both flags.
    """

    rows: Rows
    instruments: tuple[Instrument, ...]
    source: str = ""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, repr=False)
class Tape:
    """Market data of one or more instruments.

    `rows`: EVENT, C-contiguous, in receive order; its column `instrument` indexes `instruments`. `report` says what is in
    it and how far it can be trusted; `notes` is what the reader left out. `files` is what it was read from, `part_of` the
    `data_digest` of the tape that it is a slice of. Raises TapeError for rows that are no tape.
    """

    rows: Rows
    instruments: tuple[Instrument, ...]
    source: str = ""
    notes: Notes = field(default_factory=Notes)
    files: tuple[Path, ...] = ()
    part_of: str = ""

    def __post_init__(self) -> None:
        rows = self.rows
        if not isinstance(rows, np.ndarray) or rows.dtype != EVENT or rows.ndim != 1 or not rows.flags.c_contiguous:
            raise TapeError("rows were not a C-contiguous one-dimensional array of hftlab.types.EVENT.")
        if not len(rows):
            raise TapeError(f"{self.source or 'the tape'} holds no rows; wanted at least one.")
        check = RowCheck(self.source or "the tape", len(self.instruments))
        for low in range(0, len(rows), ROWS):
            check.take(rows[low : low + ROWS])

    @cached_property
    def report(self) -> ValidationReport:
        """Return the quick validation of this tape, made once; `hl.validate` makes the full one."""
        return quick_report(self.rows, self.instruments, self.notes, self.source)

    @cached_property
    def data_digest(self) -> str:
        """Return what the data set is known by, a slice by that of the whole: size, times, and 4096 rows spread evenly over it.

        It tells data sets apart; it is no seal, for a row between those may change (`hl.bundle` reads every row).
        """
        if self.part_of:
            return self.part_of
        some = self.rows[:: max(1, len(self.rows) // 4096)]
        head = f"{len(self.rows)} {self.start_ns} {self.end_ns} {[one.name for one in self.instruments]}".encode()
        return hashlib.blake2b(head + np.ascontiguousarray(some).tobytes(), digest_size=8).hexdigest()

    @property
    def start_ns(self) -> int:
        """Return the receive time of the first row."""
        return int(self.rows["ts_recv_ns"][0])

    @property
    def end_ns(self) -> int:
        """Return the receive time of the last row."""
        return int(self.rows["ts_recv_ns"][-1])

    @property
    def span_s(self) -> float:
        """Return the seconds between the first and the last row received."""
        return (self.end_ns - self.start_ns) / 1e9

    def __len__(self) -> int:
        return len(self.rows)

    # --- views -------------------------------------------------------------------------------------------------------
    def facts(self) -> dict[str, str]:
        """Return the short summary as text."""
        rate = len(self) / self.span_s if self.span_s else 0.0
        return {
            "tape": self.source or "made in memory",
            "instruments": ", ".join(one.name for one in self.instruments),
            "from": str(np.datetime64(self.start_ns, "ns").astype("datetime64[ms]")) + " UTC",
            "rate": f"{rate:,.0f} rows/s",
            **self.report.facts(),
        }

    def __repr__(self) -> str:
        names = ", ".join(one.name for one in self.instruments)
        worst = sum(finding.severity != "info" for finding in self.report.findings)
        return f"<Tape {names}: {len(self):,} rows, {self.span_s:,.1f} s, {worst} findings>"

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th style='text-align:left'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self.facts().items())
        items = "".join(f"<li><b>{one.severity}</b> {escape(one.text)}</li>" for one in self.report.findings)
        return f"<table>{cells}</table><ul>{items}</ul>"

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a pandas DataFrame in human units: UTC times, price in quote currency, quantity in base units.

        Of a single order, `qty` is what it holds now; of a funding payment, the rate.
        """
        import pandas as pd

        rows = self.rows
        price, qty = np.empty(len(rows)), np.empty(len(rows))
        for i, one in enumerate(self.instruments):
            mine = rows["instrument"] == i
            price[mine] = np.round(rows["price_ticks"][mine] * float(one.tick_size), one.price_decimals)
            qty[mine] = np.round(rows["qty_lots"][mine] * float(one.lot_size), one.qty_decimals)
            orders = mine & (rows["kind"] == L3_ORDER)
            qty[orders] = np.round(rows["leaves_lots"][orders] * float(one.lot_size), one.qty_decimals)
        funding = rows["kind"] == FUNDING
        qty[funding] = rows["qty_lots"][funding] / 1e8
        priceless = np.isin(rows["kind"], (CLEAR, GAP))
        price[priceless | (rows["price_ticks"] == NO_PRICE)] = np.nan
        qty[priceless] = np.nan
        kinds = pd.Categorical(pd.Series(rows["kind"]).map(KIND_NAMES))
        names = pd.Categorical.from_codes(rows["instrument"].astype(np.int64), [one.name for one in self.instruments])
        return pd.DataFrame(
            {
                "received": pd.to_datetime(rows["ts_recv_ns"], utc=True),
                "happened": pd.to_datetime(rows["ts_exch_ns"], utc=True),
                "instrument": names,
                "kind": kinds,
                "side": rows["side"],
                "price": price,
                "qty": qty,
                "seq": rows["seq"],
                "last": (rows["flags"] & LAST) != 0,
                "snapshot": (rows["flags"] & SNAPSHOT) != 0,
            }
        )

    # --- other tapes -------------------------------------------------------------------------------------------------
    def slice(self, start_s: float | None = None, end_s: float | None = None) -> "Tape":
        """Return the tape from `start_s` to before `end_s`, in seconds after its first row.

        A later start begins with the books as they stood: CLEAR and a snapshot for each instrument. Raises InputError where no rows are left.
        """
        low, high = (self._row_at(value, name) for value, name in ((start_s, "start_s"), (end_s, "end_s")))
        low, high = low or 0, len(self) if high is None else high
        if high <= low:
            raise InputError(f"no rows between start_s={start_s} and end_s={end_s}; the tape spans {self.span_s:.3f} s.")
        parts = [self.rows[low:high]]
        if low:
            parts.insert(0, books_before(self.rows[:low], int(self.rows["ts_recv_ns"][low])))
        return Tape(np.concatenate(parts), self.instruments, self.source, self.notes, self.files, self.data_digest)

    def _row_at(self, seconds: float | None, name: str) -> int | None:
        if seconds is None:
            return None
        if not np.isfinite(seconds) or seconds < 0:
            raise InputError(f"{name} was {seconds}; wanted seconds after the first row, zero or more.")
        return int(np.searchsorted(self.rows["ts_recv_ns"], self.start_ns + round(seconds * 1e9)))

    def save(self, path: str | Path, *, mapped: bool = False) -> Path:
        """Write a file that `hl.load` reads back. Returns its path.

        Compressed (some ten bytes a row), or with `mapped` as raw rows of 64 bytes that are opened at once and read where used.
        """
        write = write_mapped if mapped else write_tape
        return write(Path(path), self.rows, self.instruments, self.source, self.notes)

    def chunks(self, rows_max: int = 1_000_000) -> Iterator[Rows]:
        """Yield views (EVENT, shape (n,)) of at most `rows_max` rows that end where a message ends; a longer message stays whole."""
        rows_max = rows_count(rows_max)
        step = max(rows_max, ROWS)
        return whole_messages((self.rows[low : low + step] for low in range(0, len(self), step)), rows_max)

    def merge(self) -> Merged:
        """Return the tape on two clocks. Raises TapeError where a row is received before it happened."""
        return Merged(merge_rows(self.rows), self.instruments, self.source)

    @staticmethod
    def join(tapes: Sequence["Tape"]) -> "Tape":
        """Return several tapes as one, by receive time; on ties the earlier tape comes first, and messages stay whole.

        The instruments are those of the first tape, then what each further tape adds. Raises InputError without tapes, TapeError
        where two tapes have no time in common.
        """
        tapes = tuple(tapes)
        if not tapes:
            raise InputError("no tapes were given; wanted at least one.")
        _refuse_apart(tapes)
        instruments: list[Instrument] = []
        parts, notes = [], Notes()
        for tape in tapes:
            instruments += [one for one in tape.instruments if one not in instruments]
            places = np.array([instruments.index(one) for one in tape.instruments], np.uint32)
            rows = tape.rows.copy()
            rows["instrument"] = places[rows["instrument"]]
            parts.append(rows)
            notes.add(tape.notes)
        notes.clock_shift_ns = tapes[0].notes.clock_shift_ns if len({tape.notes.clock_shift_ns for tape in tapes}) == 1 else 0
        source = " + ".join(dict.fromkeys(tape.source for tape in tapes if tape.source))
        files = tuple(dict.fromkeys(path for tape in tapes for path in tape.files))
        return Tape(ordered(parts), tuple(instruments), source, notes, files)


def _refuse_apart(tapes: Sequence[Tape]) -> None:
    late = max(tapes, key=lambda tape: tape.start_ns)
    early = min(tapes, key=lambda tape: tape.end_ns)
    if late.start_ns > early.end_ns:
        by_s = (late.start_ns - early.end_ns) / 1e9
        raise TapeError(
            f"{early.source or 'a tape'} ends {by_s:,.3f} s before {late.source or 'another tape'} begins: they have no time in common. "
            "Join recordings of the same hours; files that follow each other are one tape of hl.load."
        )


def books_before(rows: Rows, recv_ns: int) -> Rows:
    """Return rows that build the books as `rows` leave them, received at `recv_ns`."""
    parts: list[Rows] = []
    for i in np.unique(rows["instrument"]):
        mine = rows[(rows["instrument"] == i) & np.isin(rows["kind"], (DEPTH, CLEAR, GAP, L3_ORDER))]
        if not len(mine):
            continue
        stamp = np.zeros(1, EVENT)
        for name in ("ts_exch_ns", "seq", "instrument"):
            stamp[name] = mine[name][-1]
        stamp["ts_recv_ns"] = recv_ns
        clear = stamp.copy()
        clear["kind"], clear["flags"] = CLEAR, SNAPSHOT
        levels = [clear, _resting(mine, stamp), *(_levels(mine, side, stamp) for side in (1, -1))]
        book = np.concatenate(levels)
        book["flags"][-1] |= LAST
        parts.append(book)
        gaps = np.flatnonzero(mine["kind"] == GAP)
        clears = np.flatnonzero(mine["kind"] == CLEAR)
        if len(gaps) and (not len(clears) or gaps[-1] > clears[-1]):
            gap = stamp.copy()
            gap["kind"], gap["flags"] = GAP, LAST
            parts.append(gap)
    return np.concatenate(parts) if parts else np.zeros(0, EVENT)


def _resting(rows: Rows, stamp: Rows) -> Rows:
    """Return one L3_ORDER row for each order that still rests, in the order of their places in the queues."""
    cleared = np.flatnonzero((rows["kind"] == CLEAR) & (rows["side"] == 0))
    after = rows[cleared[-1] + 1 :] if len(cleared) else rows
    newest_first = after[after["kind"] == L3_ORDER][::-1]
    _, where = np.unique(newest_first["order_id"], return_index=True)
    orders = newest_first[where]
    orders = orders[orders["leaves_lots"] > 0]
    orders = orders[np.argsort(orders["seq"], kind="stable")]
    out = np.repeat(stamp, len(orders))
    for name in ("price_ticks", "leaves_lots", "order_id", "seq", "kind", "side"):
        out[name] = orders[name]
    out["flags"] = SNAPSHOT
    return out


def _levels(rows: Rows, side: int, stamp: Rows) -> Rows:
    """Return one DEPTH row for each level of a side that still holds something: the newest word on each price."""
    cleared = np.flatnonzero((rows["kind"] == CLEAR) & np.isin(rows["side"], (0, side)))
    after = rows[cleared[-1] + 1 :] if len(cleared) else rows
    newest_first = after[(after["kind"] == DEPTH) & (after["side"] == side)][::-1]
    prices, where = np.unique(newest_first["price_ticks"], return_index=True)
    lots = newest_first["qty_lots"][where]
    prices, lots = prices[lots > 0], lots[lots > 0]
    out = np.repeat(stamp, len(prices))
    out["kind"], out["side"], out["flags"] = DEPTH, side, SNAPSHOT
    out["price_ticks"], out["qty_lots"] = prices, lots
    return out

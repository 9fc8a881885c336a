"""`stream`: recordings larger than memory, as chunks of rows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hftlab.data.channels import channels_of, read_all
from hftlab.data.chunking import ROWS, RowCheck, rows_count, whole_messages
from hftlab.data.markets import Markets, Wanted
from hftlab.data.notes import Notes
from hftlab.data.reading import Reading
from hftlab.data.recordings import CLOCKS, LATENCY_FLOOR_NS, Paths, files_of
from hftlab.data.rows import Rows
from hftlab.data.validate_clock import clock_is_possible, smallest_latency_ns
from hftlab.errors import TapeError, UnknownName, did_you_mean
from hftlab.instrument import Instrument

OPTIONS = ("instrument", "rows_max", "clock", "bbo", "partial")


class Stream:
    """Market data that is read again, in chunks, each time it is asked for.

    `instruments`, `source` and `files` are as of a Tape. `notes` tells what the last complete reading met.
    """

    def __init__(self, files: Paths, reading: Reading, wanted: Wanted, rows_max: int, *, correct: bool) -> None:
        self.files = tuple(files_of(files))
        self._channels = channels_of(list(self.files))
        self._reading = reading
        self._wanted = wanted
        self.rows_max = rows_max
        self.source = ", ".join(path.name for path in self.files)
        self.notes = Notes()
        self.instruments: tuple[Instrument, ...] = self._first_instruments()
        self._shift_ns = self._clock_shift_ns() if correct else 0

    def chunks(self, rows_max: int | None = None) -> Iterator[Rows]:
        """Yield EVENT arrays of at most `rows_max` rows in receive order, each ending where a message ends.

        Raises what `hl.load` raises, where reading comes to it.
        """
        limit = self.rows_max if rows_max is None else rows_count(rows_max)
        check = RowCheck(self.source, len(self.instruments))
        for rows in whole_messages(self._read(), limit):
            yield check.take(rows)

    def __repr__(self) -> str:
        return f"<Stream {', '.join(one.name for one in self.instruments)}: {self.source}>"

    def _read(self) -> Iterator[Rows]:
        reading = replace(self._reading, markets=Markets(self._wanted), notes=Notes())
        for rows in read_all(self._channels, reading):
            if len(reading.markets.instruments) > len(self.instruments):
                new = reading.markets.instruments[len(self.instruments)].name
                raise TapeError(
                    f"{self.source}: {new} appears after the first {self._reading.rows_each:,} rows. Name every instrument that is wanted: "
                    "pass instrument=[…]."
                )
            yield self._shifted(rows)
        if self._shift_ns:
            reading.notes.clock_shift_ns += self._shift_ns
            reading.notes.say(
                "info", f"the receive clock was moved by {self._shift_ns / 1e9:+.6f} s, as hl.load does with clock='correct'."
            )
        self.notes = reading.notes

    def _shifted(self, rows: Rows) -> Rows:
        if not self._shift_ns:
            return rows
        rows = rows.copy()
        rows["ts_recv_ns"] += self._shift_ns
        return rows

    def _first_instruments(self) -> tuple[Instrument, ...]:
        """Return what is asked for, or what the first chunk holds."""
        reading = replace(self._reading, markets=Markets(self._wanted), notes=Notes())
        chunks = read_all(self._channels, reading)
        next((rows for rows in chunks if len(rows)), None)
        return tuple(reading.markets.instruments)

    def _clock_shift_ns(self) -> int:
        self._shift_ns = 0
        lowest_ns = min(smallest_latency_ns(rows) for rows in self._read() if len(rows))
        return 0 if clock_is_possible(lowest_ns) else LATENCY_FLOOR_NS - lowest_ns


def stream(
    paths: Paths,
    instrument: Wanted = None,
    *,
    rows_max: int = 1_000_000,
    clock: str = "as recorded",
    bbo: bool = False,
    partial: bool = False,
    **unknown: Any,
) -> Stream:
    """Open recordings larger than memory. Arguments are those of `hl.load`; `rows_max` rows, of 64 bytes, are a chunk.

    Files of one kind must follow each other in time. `clock="correct"` reads everything once more, to find the smallest latency.
    The first chunk is read at once, and tells the instruments unless they are given.

    Raises FormatError, TruncatedFile, TapeError, OffGridPrice, OffGridQuantity, UnknownInstrument, InputError, UnknownName.
    """
    for name in unknown:
        raise UnknownName(f"stream has no option {name!r}.{did_you_mean(name, OPTIONS)}")
    if clock not in CLOCKS:
        raise UnknownName(f"clock was {clock!r}.{did_you_mean(clock, CLOCKS)}")
    reading = Reading(Markets(instrument), bbo=bbo, partial=partial, rows_each=ROWS)
    return Stream(paths, reading, instrument, rows_count(rows_max), correct=clock == "correct")

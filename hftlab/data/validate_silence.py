"""Stretches in which nothing came: of the whole recording, and of one book while the rest went on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hftlab.data.rows import Rows
from hftlab.data.validate_report import WARNING, Finding
from hftlab.data.validate_rows import moment, name_of, of_instruments
from hftlab.instrument import Instrument
from hftlab.types import CLEAR, DEPTH, FUNDING, LAST

Ints = npt.NDArray[np.int64]

_QUIET_MIN_S = 1.0
_TIMES_MEDIAN, _TIMES_P99 = 50, 5


def quiet_after_s(times_ns: Ints) -> float:
    """Return which silence is long for this stream, in s: 50 times its median wait, 5 times its longest of 100, at least a second."""
    waits = np.diff(times_ns)
    waits = waits[waits > 0] / 1e9
    if not len(waits):
        return _QUIET_MIN_S
    median, p99 = np.percentile(waits, (50, 99))
    return float(max(_QUIET_MIN_S, _TIMES_MEDIAN * median, _TIMES_P99 * p99))


def check_silence(rows: Rows, quiet_s: float | None) -> tuple[list[Finding], list[tuple[float, float]]]:
    """Return the finding of time gaps, and each as (begin, end) in seconds after the first row."""
    ends = np.flatnonzero(rows["flags"] & LAST)
    times = rows["ts_recv_ns"][ends]
    long_s = quiet_after_s(times) if quiet_s is None else quiet_s
    waits = np.diff(times) / 1e9
    gaps = np.flatnonzero(waits > long_s)
    if not len(gaps):
        return [], []
    spans = [((int(times[k]) - int(rows["ts_recv_ns"][0])) / 1e9, (int(times[k + 1]) - int(rows["ts_recv_ns"][0])) / 1e9) for k in gaps]
    row = int(ends[gaps[0]]) + 1
    text = (
        f"nothing was received for {waits[gaps[0]]:,.3f} s before this row ({moment(rows, row)}); {len(gaps):,} such silences, "
        f"{waits[gaps].sum():,.1f} s together, the longest {waits[gaps].max():,.3f} s"
    )
    fix = "The connection or the recorder stood still: what was sent meanwhile came late or never. Backtest around it (Tape.slice)."
    return [Finding(WARNING, text, f"a message at least every {long_s:,.3g} s", fix, "silence", row, "ts_recv_ns", len(gaps))], spans


def check_stale(rows: Rows, instruments: Sequence[Instrument], quiet_s: float | None) -> list[Finding]:
    """Find books that stood still while other rows came, the end of the tape included."""
    found: list[Finding] = []
    every = np.sort(rows["ts_recv_ns"][rows["kind"] != FUNDING])  # one row in hours is no stream that went on without the book
    for index, mine in of_instruments(rows, np.isin(rows["kind"], (DEPTH, CLEAR))):
        times = np.unique(rows["ts_recv_ns"][mine])
        ends = np.append(times[1:], every[-1])
        waits = (ends - times) / 1e9
        others = np.searchsorted(every, ends, side="left") - np.searchsorted(every, times, side="right")
        long_s = quiet_after_s(times) if quiet_s is None else quiet_s
        stale = np.flatnonzero((waits > long_s) & (others > 0))
        if not len(stale):
            continue
        row = int(mine[np.flatnonzero(rows["ts_recv_ns"][mine] == times[stale[0]])[-1]])
        text = (
            f"the book of {name_of(instruments, index)} stood still for {waits[stale[0]]:,.3f} s after this row ({moment(rows, row)}) while "
            f"{others[stale[0]]:,} other rows came; {len(stale):,} such stretches, {waits[stale].sum():,.1f} s together"
        )
        fix = "A quiet market, or a stream that was cut alone: compare with prints of that time, and do not quote on it."
        wanted = f"an update at least every {long_s:,.3g} s"
        found.append(Finding(WARNING, text, wanted, fix, "stale", row, "ts_recv_ns", len(stale)))
    return found

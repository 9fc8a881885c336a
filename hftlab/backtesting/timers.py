"""Rows that a backtest adds to its tape: timers, and recorded latencies as they come into force."""

from collections.abc import Iterator

import numpy as np

from hftlab.types import AT_DESK, AT_EXCHANGE, EVENT, LAST, TIMER

_WORDS = np.dtype(f"V{EVENT.itemsize}")


def row_times(rows: np.ndarray) -> np.ndarray:
    """Return when each merged row happens to whoever it happens to; never falling."""
    only_exchange = (rows["flags"] & (AT_DESK | AT_EXCHANGE)) == AT_EXCHANGE
    return np.maximum.accumulate(np.where(only_exchange, rows["ts_exch_ns"], rows["ts_recv_ns"]))


def row_starts(rows: np.ndarray) -> np.ndarray:
    """Return when each merged row begins to happen: one that is written once for both clocks happens at the exchange first."""
    at_exchange = (rows["flags"] & AT_EXCHANGE) != 0
    return np.maximum.accumulate(np.where(at_exchange, rows["ts_exch_ns"], rows["ts_recv_ns"]))


def _split(rows: np.ndarray, between_ns: np.ndarray) -> np.ndarray:
    """Write the rows for both clocks twice where something comes between their two times."""
    both = np.flatnonzero((rows["flags"] & (AT_DESK | AT_EXCHANGE)) == (AT_DESK | AT_EXCHANGE))
    if not len(both) or not len(between_ns):
        return rows
    first, last = (np.searchsorted(between_ns, rows[name][both], side="left") for name in ("ts_exch_ns", "ts_recv_ns"))
    torn = both[last > first]
    if not len(torn):
        return rows
    out = np.insert(rows, torn, rows[torn])
    at = torn + np.arange(len(torn))
    out["flags"][at] &= ~np.uint16(AT_DESK)
    out["flags"][at + 1] &= ~np.uint16(AT_EXCHANGE)
    return out


def with_timers(
    chunks: Iterator[np.ndarray], timer_ns: int, *, start: str | int = "grid", extra: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield the chunks with a TIMER after all rows of its time, and each row of `extra` (by ts_recv_ns) before the rows of its time.

    Timers stand at the multiples of `timer_ns` ("grid"), or at those of it after the first row received ("first") or after a time in
    ns; one comes after the last row. Whatever the cuts between the chunks, the rows are the same.
    """
    extra = np.zeros(0, EVENT) if extra is None else extra
    next_ns = None
    chunk = next(chunks, None)
    while chunk is not None and len(chunk):
        following = next(chunks, None)
        times = row_times(chunk)
        if next_ns is None:
            named = {"grid": 0, "first": int(chunk["ts_recv_ns"].min())}
            origin_ns = named[start] if isinstance(start, str) else start
            next_ns = origin_ns + max((int(times[0]) - origin_ns) // timer_ns + 1, 1) * timer_ns
        # A timer of the chunk's last moment waits: the next chunk may hold more rows of that moment.
        end_ns = int(times[-1]) if following is not None else int(times[-1]) + timer_ns
        due = np.arange(next_ns, end_ns, timer_ns, dtype=np.int64)
        next_ns += timer_ns * len(due)
        timers = np.zeros(len(due), EVENT)
        timers["ts_exch_ns"] = timers["ts_recv_ns"] = due
        timers["kind"], timers["flags"] = TIMER, LAST
        ready = int(np.searchsorted(extra["ts_recv_ns"], times[-1], side="right"))
        whole = _split(chunk, np.sort(np.append(due, extra["ts_recv_ns"][:ready])))
        yield _inserted(whole, times if whole is chunk else row_times(whole), timers, extra[:ready])
        extra = extra[ready:]
        chunk = following


def with_rows(rows: np.ndarray, after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return merged rows with those of `after` behind, and those of `before` in front of, all rows of their time (ts_recv_ns, rising)."""
    whole = _split(rows, np.sort(np.append(after["ts_recv_ns"], before["ts_recv_ns"])))
    return _inserted(whole, row_times(whole), after, before)


def _inserted(rows: np.ndarray, times: np.ndarray, timers: np.ndarray, extra: np.ndarray) -> np.ndarray:
    after = np.searchsorted(times, timers["ts_recv_ns"], side="right")
    before = np.searchsorted(times, extra["ts_recv_ns"], side="left")
    if not len(extra):
        return _spliced(rows, timers, after)
    # A timer after row k stays after whatever comes in before row k.
    with_extra = _spliced(rows, extra, before)
    return _spliced(with_extra, timers, after + np.searchsorted(extra["ts_recv_ns"], timers["ts_recv_ns"], side="right"))


def _spliced(rows: np.ndarray, more: np.ndarray, at: np.ndarray) -> np.ndarray:
    out = np.empty(len(rows) + len(more), EVENT)
    places = at + np.arange(len(more))
    kept = np.ones(len(out), bool)
    kept[places] = False
    out[places] = more
    out.view(_WORDS)[kept] = rows.view(_WORDS)  # numpy moves whole words faster than the fields of a record
    return out

"""Two clocks: how long messages took, and how far the local clock is from the exchange's, at rest and in motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.rows import Rows
from hftlab.instrument import Instrument
from hftlab.types import BACKFILL, DEPTH, KIND_NAMES, LAST, SNAPSHOT, TRADE

CLOCK_AHEAD_NS = 2_000_000_000
"""A smallest latency above this is no network: the local clock is ahead, or the venue's stamps are old."""

PERCENTILES = (1, 50, 95, 99, 100)

BINS_MAX = 120
_IN_BIN = 20  # messages that a bin should hold: the fastest of fewer is not yet the floor
_SLOPE_BINS_MIN = 6
_WANDER_BINS, _WANDER_OVER = 10, 5  # bins before a wandering clock is told from chance, and those its running median takes
_WANDER_MS = 5.0
_ENVELOPE = 0.1  # the line passes above this part of the bins' fastest messages

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClockFit:
    """A straight line under the latencies of one venue's messages: the fastest way there is, and where it drifts to.

    `offset_ms` is the line in the middle of the recording: clock offset and fastest network path together, which no
    recording can tell apart; below zero it is surely the clock. `drift_ppm` is its slope (1 ppm = 1 µs a second) and
    `drift_ppm_error` two standard errors of it, both NaN on recordings too short to say. `wander_ms` is how far the fastest
    messages move around the line (highest less lowest running median of bins): a clock that is being steered. `seconds` and `floor_ms` are the
    middle and the fastest message of each time bin, shape (bins,), seconds after the first row of the tape.
    """

    venue: str
    messages: int
    offset_ms: float
    drift_ppm: float
    drift_ppm_error: float
    wander_ms: float
    middle_s: float
    span_s: float
    seconds: tuple[float, ...]
    floor_ms: tuple[float, ...]

    def line_ms(self, seconds: Floats) -> Floats:
        """Return the fitted line in ms at `seconds` after the first row; flat where no drift could be told."""
        slope = 0.0 if np.isnan(self.drift_ppm) else self.drift_ppm
        return self.offset_ms + slope * 1e-3 * (seconds - self.middle_s)

    @property
    def drifts(self) -> bool:
        """Return whether the drift stands clear of its error and moves the clock by a millisecond or more."""
        moved_ms = abs(self.drift_ppm) * 1e-3 * self.span_s
        return bool(abs(self.drift_ppm) > 2 * self.drift_ppm_error and moved_ms >= 1.0)

    @property
    def wanders(self) -> bool:
        """Return whether no straight line describes this clock."""
        return self.wander_ms > _WANDER_MS

    def __str__(self) -> str:
        drift = "drift not to be told" if np.isnan(self.drift_ppm) else f"drift {self.drift_ppm:+,.1f} ± {self.drift_ppm_error:,.1f} ppm"
        return f"offset {self.offset_ms:+,.3f} ms (network included), {drift}{f', wanders by {self.wander_ms:,.1f} ms' if self.wanders else ''}"


def streamed(rows: Rows) -> npt.NDArray[np.int64]:
    """Return which rows end a streamed message; of snapshots too on venues that stream nothing else."""
    ends = ((rows["flags"] & LAST) != 0) & ((rows["flags"] & BACKFILL) == 0) & np.isin(rows["kind"], (DEPTH, TRADE))
    live = ends & ((rows["flags"] & SNAPSHOT) == 0)
    return np.flatnonzero(live if np.any(rows["kind"][live] == DEPTH) else ends)


def smallest_latency_ns(rows: Rows) -> int:
    """Return the smallest receive minus exchange time, 0 without rows. Below zero no pair of true clocks can have it."""
    return int((rows["ts_recv_ns"] - rows["ts_exch_ns"]).min()) if len(rows) else 0


def clock_is_possible(latency_min_ns: int) -> bool:
    """Return whether the smallest latency can be one."""
    return 0 <= latency_min_ns <= CLOCK_AHEAD_NS


def latency_by_kind(rows: Rows, where: npt.NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Return count and quantiles in ms of the rows at `where`, all together and by kind."""
    latency = (rows["ts_recv_ns"][where] - rows["ts_exch_ns"][where]) / 1e6
    kinds = rows["kind"][where]
    groups = {"all": latency} | {KIND_NAMES[kind]: latency[kinds == kind] for kind in (DEPTH, TRADE)}
    return {name: _quantiles(values) for name, values in groups.items() if len(values)}


def _quantiles(values: Floats) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return {
        "messages": len(values),
        "min": float(values.min()),
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "max": float(values.max()),
    }


def fit_clocks(rows: Rows, instruments: Sequence[Instrument]) -> tuple[ClockFit, ...]:
    """Return one fit a venue: each has a clock of its own."""
    where = streamed(rows)
    start_ns = int(rows["ts_recv_ns"].min()) if len(rows) else 0
    index = rows["instrument"][where]
    venues: dict[str, list[int]] = {}
    for i in np.unique(index).tolist():
        venues.setdefault(instruments[i].venue if i < len(instruments) else f"instrument {i}", []).append(i)
    return tuple(fit_clock(rows[where[np.isin(index, mine)]], venue, start_ns) for venue, mine in venues.items())


def fit_clock(messages: Rows, venue: str, start_ns: int) -> ClockFit:
    """Return the line under the latencies of `messages` (at least one row).

    The fastest message of each time bin is network floor plus clock; the slope is the median of the slopes between all
    pairs of bins (Theil-Sen), which a third of bad bins does not move; the line lies under nine tenths of the bins.
    """
    order = np.argsort(messages["ts_recv_ns"], kind="stable")
    seconds = (messages["ts_recv_ns"][order] - start_ns) / 1e9
    latency = (messages["ts_recv_ns"] - messages["ts_exch_ns"])[order] / 1e6
    t, floor = _fastest(seconds, latency)
    middle = float((seconds[0] + seconds[-1]) / 2)
    slope, error = _slope(t, floor)
    rest = floor - (0.0 if np.isnan(slope) else slope) * (t - middle)
    return ClockFit(
        venue=venue,
        messages=len(messages),
        offset_ms=float(np.quantile(rest, _ENVELOPE)),
        drift_ppm=slope * 1e3,
        drift_ppm_error=error * 1e3,
        wander_ms=_wander(rest),
        middle_s=middle,
        span_s=float(seconds[-1] - seconds[0]),
        seconds=tuple(t.tolist()),
        floor_ms=tuple(floor.tolist()),
    )


def _fastest(seconds: Floats, latency: Floats) -> tuple[Floats, Floats]:
    """Return time and latency in ms of the fastest message in each bin of time; bins without messages are left out."""
    bins = int(np.clip(len(seconds) // _IN_BIN, 1, BINS_MAX))
    starts = np.unique(np.searchsorted(seconds, np.linspace(seconds[0], seconds[-1], bins + 1)[:-1]))
    ends = [*starts[1:], len(seconds)]
    best = np.array([low + int(np.argmin(latency[low:high])) for low, high in zip(starts, ends, strict=True)])
    return seconds[best], latency[best]


def _slope(t: Floats, floor: Floats) -> tuple[float, float]:
    """Return the median slope between pairs of bins in ms a second, and two standard errors; NaN with too few bins."""
    if len(t) < _SLOPE_BINS_MIN or t[-1] <= t[0]:
        return float("nan"), float("nan")
    i, j = np.triu_indices(len(t), 1)
    apart = t[j] - t[i]
    pairs = apart > 0
    slope = float(np.median((floor[j] - floor[i])[pairs] / apart[pairs]))
    rest = floor - slope * t
    # The spread of the middle half, as the standard deviation of a normal law that has it; one far bin does not count.
    scatter = float(np.subtract(*np.percentile(rest, (75, 25)))) / 1.349
    return slope, 2 * scatter / (np.sqrt(len(t)) * float(np.std(t)))


def _wander(rest: Floats) -> float:
    """Return how far the running median of what the line leaves over moves, 0 with too few bins."""
    if len(rest) < _WANDER_BINS:
        return 0.0
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(rest, _WANDER_OVER), axis=1)
    return float(np.ptp(smooth))


def over_time(seconds: Floats, values: Floats, span_s: float, bins: int = BINS_MAX) -> tuple[Floats, dict[str, Any]]:
    """Return the middles of at most `bins` equal bins of [0, span_s] that hold a value, and {"low": p5, "middle": p50, "high": p95}."""
    cell = np.minimum((seconds / (span_s or 1.0) * bins).astype(int), bins - 1)
    order = np.argsort(cell, kind="stable")
    cells, starts = np.unique(cell[order], return_index=True)
    groups = np.split(values[order], starts[1:])
    quantiles = np.array([np.percentile(group, (5, 50, 95)) for group in groups])
    middles = (cells + 0.5) * (span_s or 1.0) / bins
    return middles, dict(zip(("low", "middle", "high"), quantiles.T, strict=True))

"""What the panels remember beyond the recent history in the state: a sample a second of every market, while this dashboard is open."""

import numpy as np
import numpy.typing as npt

from hftlab.analytics.returns.equity import at_steps
from hftlab.data.frame import Frame
from hftlab.types_rows import SAMPLE_ROW

SPACING_NS = 1_000_000_000
ROWS = 32_768  # of a market: nine hours; the oldest quarter gives way
TAKE_S = 0.5
FOREVER_NS = 2**62

Rows = npt.NDArray[np.void]
Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class History:
    """Grows from frames. A hole stays where nobody looked for longer than the state remembers."""

    def __init__(self) -> None:
        self._rows: list[Rows] = []
        self._used: list[int] = []
        self._taken: list[int] = []  # samples of the run seen so far
        self._due_s = 0.0
        self._pnl: tuple[tuple[int, ...], Times, Floats] | None = None  # the last answer of `pnl` and what it was made of

    def take(self, frame: Frame, now_s: float) -> None:
        """Take the samples of `frame` that are new, twice a second at most. A run that was started anew begins a new history."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + TAKE_S
        counts = [int(count) for count in frame.markets["samples_count"]]
        if len(counts) != len(self._taken) or any(count < taken for count, taken in zip(counts, self._taken, strict=True)):
            self._rows = [np.zeros(ROWS, SAMPLE_ROW) for _ in counts]
            self._used, self._taken = [0] * len(counts), [0] * len(counts)
        for i, count in enumerate(counts):
            if count > self._taken[i]:
                rows = frame.samples(i)
                self._append(i, rows[-min(len(rows), count - self._taken[i]) :])
                self._taken[i] = count

    def rows(self, i: int) -> Rows:
        """Return SAMPLE_ROW records of market `i`, oldest first, the first of each second; a view, not to be changed."""
        return self._rows[i][: self._used[i]] if i < len(self._rows) else np.zeros(0, SAMPLE_ROW)

    def pnl(self, step_ns: int) -> tuple[Times, Floats]:
        """Return times on multiples of `step_ns` and the P&L of all markets together; each market's last known one holds on."""
        key = (step_ns, *self._taken)
        if self._pnl is None or self._pnl[0] != key:
            self._pnl = (key, *self._sum(step_ns))
        return self._pnl[1:]

    def _sum(self, step_ns: int) -> tuple[Times, Floats]:
        curves = []
        for i in range(len(self._rows)):
            rows = self.rows(i)
            known = rows[np.isfinite(rows["pnl_quote"])]
            if len(known):
                curves.append(at_steps(known["ts_ns"], known["pnl_quote"], step_ns, FOREVER_NS))
        if not curves:
            return np.zeros(0, np.int64), np.zeros(0)
        first, last = min(int(times[0]) for times, _ in curves), max(int(times[-1]) for times, _ in curves)
        grid = np.arange(first, last + 1, step_ns, dtype=np.int64)
        total = np.zeros(len(grid))
        for times, values in curves:
            index = np.searchsorted(times, grid, side="right") - 1
            total += np.where(index >= 0, values[np.maximum(index, 0)], 0.0)  # a market that has not begun has earned nothing
        return grid, total

    def _append(self, i: int, rows: Rows) -> None:
        used = self._used[i]
        last = int(self._rows[i]["ts_ns"][used - 1]) // SPACING_NS if used else -1
        seconds = rows["ts_ns"] // SPACING_NS
        new = rows[seconds > np.concatenate([[last], seconds[:-1]])][-ROWS:]
        if used + len(new) > ROWS:
            keep = min(used, ROWS - max(len(new), ROWS // 4))
            self._rows[i][:keep] = self._rows[i][used - keep : used].copy()
            used = keep
        self._rows[i][used : used + len(new)] = new
        self._used[i] = used + len(new)

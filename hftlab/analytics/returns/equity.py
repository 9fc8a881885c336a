"""What a P&L curve says: its drawdown, and a rolling Sharpe ratio."""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

YEAR_S = 365 * 86_400.0  # a market that never closes
MOVES_MIN = 30  # fewer steps say nothing about a ratio of mean and spread


def drawdown(pnl: Floats, peak: float = 0.0) -> Floats:
    """Return how far a P&L curve, shape (n,), stands below its highest point so far, in its own unit; `peak` is what stood before it.

    The start of a run, zero, is a peak: who only ever lost has drawn down.
    """
    return np.asarray(np.maximum.accumulate(np.append(peak, pnl))[1:] - pnl)


def at_steps(ts_ns: npt.NDArray[np.int64], values: Floats, step_ns: int, hole_ns: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return times that are multiples of `step_ns` and the last value at or before each; NaN where that is older than `hole_ns`.

    `ts_ns` ascends, shape (n,), as `values`. The first time is at or after the first sample, the last at or before the last.
    """
    if not len(ts_ns):
        return np.zeros(0, np.int64), np.zeros(0)
    first, last = -(-int(ts_ns[0]) // step_ns), int(ts_ns[-1]) // step_ns
    times = np.arange(first, last + 1, dtype=np.int64) * step_ns
    index = np.searchsorted(ts_ns, times, side="right") - 1
    out = values[index].astype(np.float64)
    out[times - ts_ns[index] > hole_ns] = np.nan
    return times, out


def rolling_sharpe(pnl: Floats, step_s: float, window: int) -> Floats:
    """Return the annualised Sharpe ratio of the last `window` steps at each point of an even P&L curve, shape (n,).

    mean / standard deviation (n - 1) of the changes, times the square root of steps in a year of 365 days (Sharpe 1994; the money made
    needs no capital: the ratio does not change with the scale). NaN with fewer than MOVES_MIN known changes in the window
    and where they do not vary.
    """
    ratio, _ = rolling_ratio(np.diff(pnl), window)
    return np.concatenate([np.full(min(len(pnl), 1), np.nan), ratio * math.sqrt(YEAR_S / step_s)])


def rolling_ratio(moves: Floats, window: int) -> tuple[Floats, Floats]:
    """Return mean / standard deviation (n - 1) of the last `window` of `moves`, shape (n,), at each of them, and how many were known.

    NaN with fewer than MOVES_MIN known ones in the window and where they do not vary.
    """
    known = np.isfinite(moves)
    if len(moves) < MOVES_MIN or not known.any():
        return np.full(len(moves), np.nan), np.zeros(len(moves))
    # Sums over the window as differences of running sums; centred first, or the square of a drift would drown the variance.
    centre = float(moves[known].mean())
    x = np.where(known, moves - centre, 0.0)
    count, first, second = (_window_sums(part, window) for part in (known.astype(float), x, x * x))
    enough = count >= max(MOVES_MIN, 2)
    n = np.where(enough, count, np.nan)
    mean = first / n
    variance = (second - first * mean) / (n - 1)
    # What is left of rounding is not variation.
    floor = 1e-12 * max(float((x * x).max()), centre * centre)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > floor, (mean + centre) / np.sqrt(variance), np.nan), count


def sharpe_error(sharpe: float, step_s: float, moves: int) -> float:
    """Return the standard error of an annualised Sharpe ratio over `moves` steps without autocorrelation (Lo 2002, equation 9)."""
    if moves < MOVES_MIN or not math.isfinite(sharpe):
        return math.nan
    a_year = YEAR_S / step_s
    return float(ratio_error(sharpe / math.sqrt(a_year), moves)) * math.sqrt(a_year)


def ratio_error(ratio: float | Floats, moves: float | Floats) -> Floats:
    """Return the standard error of a ratio a step over `moves` normal steps without autocorrelation: sqrt((1 + ratio^2 / 2) / moves)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((1 + np.square(ratio) / 2) / moves))


def _window_sums(values: Floats, window: int) -> Floats:
    total = np.cumsum(values)
    total[window:] -= total[:-window].copy()
    return total

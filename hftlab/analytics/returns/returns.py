"""Returns of a P&L curve, and the figures that are made of them, by one set of conventions.

Simple returns of the equity (capital + P&L so far). Sub-daily P&L is first brought to whole calendar days (UTC). A drawdown is compounded,
has the starting capital as a first peak, and is a negative number. Downside deviation is taken over all n returns. 365 or 252 days in a
year is for the caller to say. docs/returns.md has the table of where known libraries do otherwise.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.returns.equity import drawdown
from hftlab.analytics.returns.sharpe import known
from hftlab.errors import InputError

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

DAY_NS = 86_400_000_000_000
UNITS_NS = {"ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000, "h": 3_600_000_000_000, "D": DAY_NS}
WHOLE = 0.999
"""The share of a period that a run must cover for its return to count: a session starts some milliseconds after midnight."""
PERIODS_MAX = 1 << 20


@dataclass(frozen=True, repr=False)
class Returns:
    """The returns of one P&L curve by period. `values` f8 (n,), simple; `start_ns` i8 (n,), when each period begins (UTC).

    `covered` f8 (n,) is the share of each period that the run saw: the first and the last are cut as a rule. `pnl_quote` f8 (n,) is what
    each made. `equity_quote` f8 (n + 1,) begins with the capital.
    """

    values: Floats
    start_ns: Times
    covered: Floats
    pnl_quote: Floats
    equity_quote: Floats
    every_ns: int

    @property
    def whole(self) -> Floats:
        """Return the returns of the periods that were seen whole: what a Sharpe ratio may be made of."""
        return self.values[self.covered >= WHOLE]

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<Returns {len(self):,} periods of {self.every_ns / 1e9:g} s, {len(self.whole):,} of them whole>"


def period_ns(every: str) -> int:
    """Return a period like "1D", "4h", "15min", "30s" in ns. Raises InputError."""
    number = every.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = every[len(number) :]
    count = int(number) if number.isdigit() else 1 if not number else 0
    if unit not in UNITS_NS or count < 1:
        raise InputError(f'every was {every!r}; wanted a number and one of {", ".join(UNITS_NS)}, as "1D", "4h", "15min".')
    return count * UNITS_NS[unit]


def returns_of(ts_ns: Times, pnl: Floats, capital_quote: float, every_ns: int = DAY_NS) -> Returns:
    """Return the returns of a P&L curve: `pnl` f8 (n,) in money, earned since the start, at ascending `ts_ns` i8 (n,).

    Periods begin at whole multiples of `every_ns` since 1970 (UTC), so days are calendar days. A period without a sample returns 0.
    Raises InputError, also for an equity that falls to zero or below: returns of nothing have no meaning.
    """
    if not math.isfinite(capital_quote) or capital_quote <= 0:
        raise InputError(f"capital_quote was {capital_quote}; wanted the money behind the run, above zero: a return is a share of it.")
    if not len(ts_ns):
        return Returns(np.zeros(0), np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.array([float(capital_quote)]), every_ns)
    first, last = int(ts_ns[0]) // every_ns, int(ts_ns[-1]) // every_ns
    if last - first >= PERIODS_MAX:
        raise InputError(f"{last - first + 1:,} periods of {every_ns / 1e9:g} s; wanted at most {PERIODS_MAX:,}. Pass a longer `every`.")
    start_ns = np.arange(first, last + 1, dtype=np.int64) * every_ns
    at_end = np.searchsorted(ts_ns, start_ns + every_ns, side="left") - 1  # a period ends before the next begins
    equity = np.concatenate([[0.0], np.asarray(pnl, np.float64)[at_end]]) + capital_quote
    if not (equity > 0).all():
        low = int(np.argmax(equity <= 0))
        raise InputError(
            f"the equity was {equity[low]:,.2f} after {low} periods with capital_quote={capital_quote:,.2f}; wanted more capital than was lost."
        )
    seen = np.minimum(start_ns + every_ns, ts_ns[-1]) - np.maximum(start_ns, ts_ns[0])
    return Returns(equity[1:] / equity[:-1] - 1, start_ns, seen / every_ns, np.diff(equity), equity, every_ns)


# --- figures of returns ----------------------------------------------------------------------------------------------------
def total_return(returns: Any) -> float:
    """Return the compounded return of all, as a share of the capital."""
    return float(np.prod(1 + known(returns))) - 1


def cagr(returns: Any, periods_per_year: float) -> float:
    """Return the compound annual growth: (1 + total return) ** (periods in a year / n) - 1. NaN without returns."""
    values = known(returns)
    return (1 + total_return(values)) ** (periods_per_year / len(values)) - 1 if len(values) else math.nan


def volatility(returns: Any, periods_per_year: float) -> float:
    """Return the annualised standard deviation (n - 1). NaN with fewer than two returns."""
    values = known(returns)
    return float(values.std(ddof=1)) * math.sqrt(periods_per_year) if len(values) >= 2 else math.nan


def downside(returns: Any, target: float = 0.0) -> float:
    """Return the downside deviation a period: the root mean square over ALL n of what each return lacks of `target`."""
    values = known(returns)
    return math.sqrt(float((np.minimum(values - target, 0.0) ** 2).mean())) if len(values) else math.nan


def sortino(returns: Any, periods_per_year: float | None, *, target: float = 0.0) -> float:
    """Return mean(return - target) / downside deviation, annualised where `periods_per_year` is given (Sortino & Price 1994).

    NaN with fewer than two returns, and where none is below the target: nothing is known of its downside then.
    """
    values = known(returns)
    deviation = downside(values, target)
    if len(values) < 2 or not deviation > 0:
        return math.nan
    return float((values - target).mean()) / deviation * math.sqrt(periods_per_year or 1.0)


def calmar(returns: Any, periods_per_year: float) -> float:
    """Return CAGR / |max drawdown| over the full sample (Young 1991 looked at 36 months). NaN without a drawdown."""
    deepest = abs(deepest_drawdown(returns).depth)
    return cagr(returns, periods_per_year) / deepest if deepest > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a peak: `depth` as a share of it, zero or negative, in returns counted from 0 (the start).

    `peak`, `trough` and `recovered` are how many returns had come by then; `recovered` is None where the peak was not reached again.
    `under_water_max` is the longest stretch below a peak, not always the same one.
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None
    under_water_max: int

    @property
    def length(self) -> int | None:
        """Return the periods from the peak until it was reached again, None where that has not come."""
        return None if self.recovered is None else self.recovered - self.peak


def deepest_drawdown(returns: Any) -> Drawdown:
    """Return the deepest drawdown of compounded returns; the starting capital is a peak, so who only lost has drawn down."""
    values = known(returns)
    wealth = np.cumprod(np.concatenate([[1.0], 1 + values]))
    peaks = np.maximum.accumulate(wealth)
    # The one formula of a fall (equity.drawdown), as a share of the peak it fell from.
    depth = -drawdown(wealth, wealth[0]) / peaks
    trough = int(depth.argmin())
    peak = trough - int(wealth[trough::-1].argmax())  # the last time it stood there
    after = np.flatnonzero(wealth[trough:] >= wealth[peak])
    under = depth < 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], under, [False]]).astype(np.int8)))
    longest = int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
    recovered = int(trough + after[0]) if len(after) else None
    return Drawdown(float(depth[trough]), peak, trough, recovered, longest)

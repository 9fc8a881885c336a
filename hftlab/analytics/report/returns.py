"""What a report says of its returns: by period, as a table of performance, and as a rolling Sharpe ratio."""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.returns import equity
from hftlab.analytics.returns import performance as pf
from hftlab.analytics.returns import returns as rt
from hftlab.analytics.returns.trades import Figure, trade_figures, trades
from hftlab.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report

HOLD = "hold"
UNITS = {"1D": "day", "1h": "hour", "1min": "minute", "1s": "second"}


class ReportReturns:
    """The returns of a report, on a capital that the caller names: a desk's limits say what it may lose, not what stands behind it."""

    def returns(self: Any, *, capital_quote: float, every: str = "1D") -> rt.Returns:
        """Return simple returns of capital + P&L (the desk's mark, all markets) by period: "1D" (calendar days, UTC), "1h", "15min".

        The first and last period are cut as a rule: `.whole` leaves them out. Raises InputError.
        """
        ts_ns, pnl = pnl_curve(self)
        return rt.returns_of(ts_ns, pnl, capital_quote, rt.period_ns(every))

    def performance(
        self: Any, *, capital_quote: float, every: str = "1D", days_per_year: float | None = None, benchmark: Any = None
    ) -> pf.Performance:
        """Return the table of returns, risk, trades and turnover, each with its interval.

        `days_per_year`: 365 for a market that never closes, 252 for shares; without it nothing is annualised, and sub-daily figures never
        are. `benchmark`: "hold" (the capital held in the first instrument), or returns, one a period of `report.returns(…)` or one
        a whole period. The deflated Sharpe ratio takes the number of different rules that the lab has counted on this data. Raises InputError.
        """
        made = self.returns(capital_quote=capital_quote, every=every)
        daily = made.every_ns == rt.DAY_NS
        unit = UNITS.get(every, f"period of {every}")
        year = days_per_year if daily else None
        trials, variance = self.luck().trials_of(made.every_ns)
        other = hold(self, made) if isinstance(benchmark, str) and benchmark == HOLD else benchmark
        if isinstance(other, str):
            raise InputError(f"benchmark was {other!r}; wanted {HOLD!r} or returns, one for each of {len(made)} periods.")
        ratio, beside = pf.measure(made, year, other, trials=trials, trials_variance=variance)
        ts_ns, pnl = pnl_curve(self)
        curve = np.concatenate([[capital_quote], capital_quote + pnl])
        fall = rt.deepest_drawdown(np.diff(curve) / curve[:-1])
        span_s = (ts_ns - ts_ns[0]) / 1e9 if len(ts_ns) else np.zeros(0)
        figures = _totals(self, capital_quote, pnl, fall, np.concatenate([[0.0], span_s]))
        figures |= pf.figures_of_returns(made, ratio, unit)
        figures |= trade_figures(trades(self.fills, self.instruments))
        if beside is not None:
            figures |= pf.figures_of_benchmark(beside, unit)
        said = _said(made, unit, daily=daily, days_per_year=days_per_year)
        return pf.Performance(figures, ratio, fall, beside, made, said, unit, self.instruments[0].settle, span_s, curve[1:])

    def rolling_sharpe(
        self: Any, *, capital_quote: float, window: int = 30, every: str = "1D", days_per_year: float | None = None, level: float = 0.95
    ) -> "pd.DataFrame":
        """Return the Sharpe ratio of the last `window` whole periods with its interval (Lo 2002, normal returns): sharpe, low, high, n.

        The index is when each period ended (UTC). Not annualised without `days_per_year`, and never for periods below a day. Raises InputError.
        """
        import pandas as pd

        if window < equity.MOVES_MIN:
            raise InputError(f"window was {window}; wanted {equity.MOVES_MIN} periods or more: fewer say nothing about a ratio.")
        made = self.returns(capital_quote=capital_quote, every=every)
        values = np.where(made.covered >= rt.WHOLE, made.values, np.nan)
        ratio, count = equity.rolling_ratio(values, window)
        error = equity.ratio_error(ratio, count) * NormalDist().inv_cdf((1 + level) / 2)
        scale = math.sqrt(days_per_year) if days_per_year is not None and made.every_ns == rt.DAY_NS else 1.0
        table = {"sharpe": ratio * scale, "low": (ratio - error) * scale, "high": (ratio + error) * scale, "n": count.astype(np.int64)}
        return pd.DataFrame(table, index=pd.to_datetime(made.start_ns + made.every_ns, utc=True).rename("ts"))


def pnl_curve(report: "Report") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return times i8 (n,) and the P&L of all markets f8 (n,) at the desk's own mark, as the run sampled them."""
    rows = report.samples
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0)
    ts_ns = rows["ts_recv_ns"]
    first = np.flatnonzero(np.diff(ts_ns, prepend=ts_ns[0] - 1))
    return ts_ns[first], np.add.reduceat(rows["leaves_lots"].view(np.float64), first)


def hold(report: "Report", made: rt.Returns) -> npt.NDArray[np.float64]:
    """Return what the first instrument itself returned in each period of `made`, f8 (n,): the capital held in it, at the desk's fair price."""
    rows = report.samples[report.samples["instrument"] == 0]
    price = rows["price_ticks"].view(np.float64)
    known = np.isfinite(price) & (price > 0)
    ts_ns, price = rows["ts_recv_ns"][known], price[known]
    if not len(price):
        return np.full(len(made), np.nan)
    at_end = np.searchsorted(ts_ns, made.start_ns + made.every_ns, side="left") - 1
    level = np.concatenate([price[:1], price[np.maximum(at_end, 0)]])
    return np.asarray(level[1:] / level[:-1] - 1)


def _totals(
    report: "Report", capital: float, pnl: npt.NDArray[np.float64], fall: rt.Drawdown, at_s: npt.NDArray[np.float64]
) -> dict[str, Figure]:
    """Return what is simply counted: it has no interval, for it is not an estimate of anything."""
    fills, nan = report.fills, math.nan
    traded = sum(
        float((part["qty_lots"] * np.abs(one.worth_of(part["price_ticks"].astype(np.float64)))).sum()) * one.ticklot_quote
        for i, one in enumerate(report.instruments)
        for part in (fills[fills["instrument"] == i],)
    )
    days = max((report.facts.end_ns - report.facts.start_ns) / rt.DAY_NS, 1e-12)
    recovered = at_s[fall.recovered] if fall.recovered is not None else nan

    def counted(value: float, n: int, how: str) -> Figure:
        return Figure(value, nan, nan, n, how)

    return {
        "pnl_quote": counted(float(pnl[-1]) if len(pnl) else 0.0, len(pnl), "at the desk's mark, after fees and funding"),
        "total_return": counted(float(pnl[-1]) / capital if len(pnl) else 0.0, len(pnl), f"of {capital:,.2f} of capital"),
        "max_drawdown_sampled": counted(fall.depth, len(pnl), "deepest fall between samples, as a share of the peak"),
        "drawdown_s": counted(float(recovered - at_s[fall.peak]), len(pnl), "from that peak until it was reached again (–: it was not)"),
        "traded_quote": counted(traded, len(fills), "bought and sold"),
        "turnover_per_day": counted(traded / capital / days, len(fills), "traded / capital / days of 24 h"),
    }


def _said(made: rt.Returns, unit: str, *, daily: bool, days_per_year: float | None) -> tuple[str, ...]:
    n, said = len(made.whole), []
    if daily and n < 2:
        said.append(
            f"The run covers {n} whole calendar day{'s' * (n != 1)} (UTC): there is no daily Sharpe ratio below two. "
            'report.performance(capital_quote=…, every="1h"), or "1min", gives figures by hour or minute, named as such and not annualised.'
        )
    elif n < equity.MOVES_MIN:
        said.append(f"{n} whole periods are few: look at the intervals, not at the values.")
    if daily and n >= 2 and days_per_year is None:
        said.append("Not annualised: pass days_per_year=365 for a market that never closes, 252 for one that does.")
    if not daily:
        said.append(f"Sharpe, Sortino and volatility are per {unit} and not annualised; for a yearly figure use whole days.")
    return tuple(said)

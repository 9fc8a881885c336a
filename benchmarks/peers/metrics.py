"""The figures of returns beside those of empyrical-reloaded, quantstats and statsmodels: equal where the convention is the same.

Where a library has another convention the two differ on purpose; the table says how. `python -m benchmarks.peers metrics` prints it as in
docs/returns.md; tests/test_returns.py holds the shared ones equal to 1e-12, and the others apart, so that this page cannot go stale.
"""

import importlib.util
import math
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hftlab.analytics.luck.overfit import probabilistic_sharpe
from hftlab.analytics.portfolio.formulas import cvar_historical, var_historical
from hftlab.analytics.returns import returns as rt
from hftlab.analytics.returns.benchmark import against
from hftlab.analytics.returns.equity import rolling_ratio
from hftlab.analytics.returns.sharpe import moments, per_period, sharpe

YEAR = 365


class Row(NamedTuple):
    """One figure of ours and of a library; `why` is empty where the convention is shared."""

    figure: str
    library: str
    ours: float
    theirs: float
    why: str = ""

    @property
    def apart(self) -> float:
        """Return the difference, relative to the larger of the two."""
        size = max(abs(self.ours), abs(self.theirs))
        return abs(self.ours - self.theirs) / size if size else 0.0


def series(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Return made-up daily returns and those of a benchmark: heavy tails, some exact zeros, a loss on the first day."""
    rng = np.random.default_rng(seed)
    market = 0.02 * rng.standard_t(5, n)
    mine = 0.3 * market + 0.01 * rng.standard_t(4, n) + 0.0005
    mine[rng.integers(1, n, n // 20)] = 0.0
    mine[0] = -0.01
    return mine, market


def compared(seed: int) -> Iterator[Row]:
    """Yield every figure beside every library that is installed and has it."""
    made, other = series(seed)
    for name, rows in (("empyrical", _empyrical), ("statsmodels", _statsmodels), ("quantstats", _quantstats)):
        if importlib.util.find_spec(name) is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of their own imports
                yield from rows(made, other)


def _empyrical(r: np.ndarray, b: np.ndarray) -> Iterator[Row]:
    import empyrical as e

    lib = "empyrical-reloaded"
    beside, ratio = against(r, b, YEAR), sharpe(r, YEAR).value
    yield Row("Sharpe", lib, ratio, e.sharpe_ratio(r, annualization=YEAR))
    yield Row("Sharpe over a rate", lib, sharpe(r, YEAR, risk_free=1e-4).value, e.sharpe_ratio(r, risk_free=1e-4, annualization=YEAR))
    yield Row("Sharpe, its default", lib, ratio, e.sharpe_ratio(r), "252 periods unless told otherwise; here the caller says")
    yield Row("volatility", lib, rt.volatility(r, YEAR), e.annual_volatility(r, annualization=YEAR))
    yield Row("downside deviation", lib, rt.downside(r) * math.sqrt(YEAR), e.downside_risk(r, annualization=YEAR))
    yield Row("Sortino", lib, rt.sortino(r, YEAR), e.sortino_ratio(r, annualization=YEAR))
    yield Row("Sortino over a target", lib, rt.sortino(r, YEAR, target=1e-3), e.sortino_ratio(r, required_return=1e-3, annualization=YEAR))
    yield Row("total return", lib, rt.total_return(r), e.cum_returns_final(r))
    yield Row("CAGR", lib, rt.cagr(r, YEAR), e.annual_return(r, annualization=YEAR))
    yield Row("max drawdown", lib, rt.deepest_drawdown(r).depth, e.max_drawdown(r))
    yield Row("Calmar", lib, rt.calmar(r, YEAR), e.calmar_ratio(r, annualization=YEAR))
    yield Row("VaR 5 %", lib, var_historical(r), -e.value_at_risk(r), "")
    yield Row("CVaR 5 %", lib, cvar_historical(r), -e.conditional_value_at_risk(r))
    yield Row("beta", lib, beside.beta, e.beta(r, b))
    yield Row("alpha, a year", lib, beside.alpha_year, e.alpha(r, b, annualization=YEAR), "compounds alpha; ours adds it up, as the mean")
    yield Row("information ratio", lib, beside.information.per_period, e.excess_sharpe(r, b))


def _statsmodels(r: np.ndarray, b: np.ndarray) -> Iterator[Row]:
    import statsmodels.api as sm

    lib, n = "statsmodels", len(r)
    beside = against(r, b, None)
    lags = int(4 * (n / 100) ** (2 / 9))
    fit = sm.OLS(r, sm.add_constant(b)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    yield Row("alpha", lib, beside.alpha, fit.params[0])
    yield Row("beta", lib, beside.beta, fit.params[1])
    yield Row("error of alpha", lib, beside.alpha_error, fit.bse[0])
    yield Row("error of beta", lib, beside.beta_error, fit.bse[1])
    corrected = sm.OLS(r, sm.add_constant(b)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    yield Row(
        "error of beta, corrected", lib, beside.beta_error, corrected.bse[1], "times sqrt(n / (n - 2)) when asked; ours has no such factor"
    )
    mean = sm.OLS(r, np.ones(n)).fit()
    yield Row("Sharpe a period", lib, per_period(r), mean.tvalues[0] / math.sqrt(n))


def _quantstats(r: np.ndarray, b: np.ndarray) -> Iterator[Row]:
    import pandas as pd
    import quantstats.stats as qs

    lib, days = "quantstats", pd.date_range("2026-01-01", periods=len(r))
    s, m = pd.Series(r, days), pd.Series(b, days)
    beside, ratio = against(r, b, YEAR), per_period(r)
    yield Row("Sharpe", lib, sharpe(r, YEAR).value, qs.sharpe(s, periods=YEAR))
    yield Row("Sharpe, its default", lib, sharpe(r, YEAR).value, qs.sharpe(s), "252 periods unless told otherwise")
    rolled, _ = rolling_ratio(r, 60)
    yield Row("rolling Sharpe, 60 days", lib, rolled[-1], float(qs.rolling_sharpe(s, rolling_period=60, annualize=False).iloc[-1]))
    yield Row("volatility", lib, rt.volatility(r, YEAR), qs.volatility(s, periods=YEAR))
    yield Row("Sortino", lib, rt.sortino(r, YEAR), qs.sortino(s, periods=YEAR))
    yield Row("CAGR", lib, rt.cagr(r, YEAR), qs.cagr(s, periods=YEAR))
    yield Row("max drawdown", lib, rt.deepest_drawdown(r).depth, qs.max_drawdown(s))
    yield Row("Calmar", lib, rt.calmar(r, YEAR), qs.calmar(s, periods=YEAR))
    yield Row("VaR 5 %", lib, var_historical(r), -qs.value_at_risk(s), "Gaussian; ours is historical, and says so")
    yield Row("CVaR 5 %, its default", lib, cvar_historical(r), -qs.conditional_value_at_risk(s), "Gaussian")
    yield Row("CVaR 5 %, historical", lib, cvar_historical(r), -qs.conditional_value_at_risk(s, method="historical"))
    yield Row("beta", lib, beside.beta, qs.greeks(s, m, periods=YEAR)["beta"])
    yield Row("alpha, a year", lib, beside.alpha_year, qs.greeks(s, m, periods=YEAR)["alpha"])
    yield Row("information ratio", lib, beside.information.per_period, qs.information_ratio(s, m))
    skill = probabilistic_sharpe(ratio, len(r), *moments(r))
    why = "small-sample corrected skew and kurtosis; ours takes the plain moments, as published"
    yield Row("probabilistic Sharpe", lib, skill, qs.probabilistic_sharpe_ratio(s), why)
    wins = float((r > 0).mean())
    yield Row("win rate of days", lib, wins, qs.win_rate(s), "leaves out days of exactly zero; here zero is no win, and counts")


def table(seed: int = 0) -> str:
    """Return the comparison as a Markdown table."""
    lines = ["| figure | library | ours | theirs | apart | why |", "|---|---|---|---|---|---|"]
    for row in compared(seed):
        apart = "equal" if row.apart <= 1e-12 else f"{row.apart:.1e}"
        lines.append(f"| {row.figure} | {row.library} | {row.ours:.8g} | {row.theirs:.8g} | {apart} | {row.why} |")
    return "\n".join(lines)

"""The table of a run's returns: each figure with its interval, how many observations it is of, and how it was made."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hftlab.analytics.drawing.pictures import amount
from hftlab.analytics.returns import returns as rt
from hftlab.analytics.returns.benchmark import Against, against
from hftlab.analytics.returns.sharpe import METHODS, Sharpe, sharpe
from hftlab.analytics.returns.trades import Figure
from hftlab.analytics.stats.bands import NOTHING, mostly_known_band
from hftlab.analytics.stats.risk import cvar_historical, var_historical
from hftlab.analytics.stats.stationary import block_length, draws
from hftlab.svg import MARK, Chart

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

BOOTSTRAP_MIN = 10
"""Below so many returns an interval by bootstrap says more of the method than of the run."""
REPLICATES = 400
_TIMES = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))
_LABELS = {"pnl": "P&L", "sharpe": "Sharpe", "sortino": "Sortino", "calmar": "Calmar", "var": "VaR", "cvar": "CVaR", "cagr": "CAGR"}
_LABELS |= {"max_drawdown_sampled": "max drawdown, sampled", "drawdown": "time of that drawdown", "deflated": "deflated probability"}


@dataclass(frozen=True, repr=False)
class Performance:
    """What a run returned on its capital. `figures` by name; `said` is what to know before believing them, in sentences.

    `unit` names the period: "day", or for sub-daily returns the period itself, and those are not annualised. `seconds` f8 (n,) since the
    start and `equity` f8 (n,) are the sampled curve.
    """

    figures: Mapping[str, Figure]
    sharpe: Sharpe
    drawdown: rt.Drawdown
    against: Against | None
    returns: rt.Returns
    said: tuple[str, ...]
    unit: str
    currency: str
    seconds: Floats
    equity: Floats

    def frame(self) -> "pd.DataFrame":
        """Return one row a figure: value, low and high of its 95 % interval (NaN: none is honest), n, and how it was made."""
        import pandas as pd

        rows = {name: (one.value, one.low, one.high, one.n, one.how) for name, one in self.figures.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high", "n", "how"]).rename_axis("figure")

    def __repr__(self) -> str:
        total = self.figures["total_return"].value
        return f"<Performance {total:+.4%} in {self.seconds[-1] if len(self.seconds) else 0:,.0f} s; {self.sharpe}>"

    def _repr_html_(self) -> str:
        said = "".join(
            f"<div style='border-left:3px solid #e08a1e;padding-left:8px;margin:4px 0'>{escape(text)}</div>" for text in self.said
        )
        cell = "style='text-align:{};padding:1px 12px 1px 0;background:none;border:0'"
        left, right = cell.format("left"), cell.format("right")
        head = "".join(
            f"<th {right if i in {1, 2, 3} else left}>{name}</th>"
            for i, name in enumerate(("figure", "value", "95 % interval", "n", "how"))
        )
        body = "".join(
            f"<tr style='background:none'><th {left}>{escape(self._label(name))}</th><td {right}>{_text(name, one.value)}</td>"
            f"<td {right}>{_band(name, one)}</td><td {right}>{one.n:,}</td><td {left}>{escape(one.how)}</td></tr>"
            for name, one in self.figures.items()
        )
        table = f"<table style='border-collapse:collapse;font-size:12px'><tr style='background:none'>{head}</tr>{body}</table>"
        return f"<div style='font:13px/1.45 system-ui,sans-serif'>{said}<div>{self.picture()}</div>{table}</div>"

    def _label(self, name: str) -> str:
        """Return a figure's name as people write it, its unit behind it."""
        stem = name.removesuffix("_quote").removesuffix("_s")
        words = _LABELS.get(stem, stem.replace("_", " "))
        return f"{words} ({self.currency})" if name.endswith("_quote") else words

    def picture(self) -> str:
        """Return SVG of the equity and of how far it stood below its peak, over time."""
        if len(self.equity) < 2:
            return ""
        keep = np.unique(np.linspace(0, len(self.equity) - 1, 700).astype(int))
        scale, unit = next((one for one in _TIMES if self.seconds[-1] >= 3 * one[0]), _TIMES[-1])
        x, y = self.seconds[keep] / scale, self.equity[keep]
        under = 1e4 * (self.equity / np.maximum.accumulate(self.equity) - 1)[keep]
        ends, flat = (float(x[0]), float(x[-1])), np.zeros(len(x))
        first = Chart(
            "Equity", x=ends, y=(float(y.min()), float(y.max())), x_unit=unit, y_unit=self.currency, x_label="since the start"
        ).line(x, y)
        second = Chart(
            "Below its peak", x=ends, y=(min(float(under.min()), -1e-9), 0.0), x_unit=unit, y_unit="bps", x_label="since the start"
        ).band(x, under, flat, MARK)
        return first.svg() + second.svg()


def figures_of_returns(made: rt.Returns, ratio: Sharpe, unit: str, level: float = 0.95) -> dict[str, Figure]:
    """Return the figures of the whole periods of `made`, annualised where the Sharpe ratio is; intervals by stationary bootstrap."""
    values, year = made.whole, ratio.periods_per_year
    n = len(values)
    per = "a year" if year is not None else f"a {unit}, not annualised"
    boot = _Bootstrap(values, level)
    moments = f"{per}; n - 1; interval: {METHODS[ratio.method]}"
    skill = "probability that the true Sharpe ratio is above 0 (Bailey & López de Prado 2012)"
    left = (
        f"the same as the best of {ratio.trials:,} different rules that ran on this data (2014)"
        if ratio.trials > 1
        else "the same: one rule"
    )
    out = {
        "sharpe": Figure(ratio.value, ratio.low, ratio.high, n, moments),
        "probability_of_skill": Figure(ratio.probability, math.nan, math.nan, n, skill),
        "deflated": Figure(ratio.deflated, math.nan, math.nan, n, left),
        "sortino": boot(lambda r: rt.sortino(r, year), f"{per}; downside over all n, target 0"),
        "volatility": boot(lambda r: rt.volatility(r, year or 1.0), f"{per}; standard deviation, n - 1"),
        "var": boot(lambda r: var_historical(r, level), f"loss that 5 % of the returns of a {unit} exceed: historical, linear percentile"),
        "cvar": boot(lambda r: cvar_historical(r, level), "mean loss of those"),
        "max_drawdown": boot(
            lambda r: rt.deepest_drawdown(r).depth if len(r) else math.nan, f"of the returns a {unit}, compounded, the start is a peak"
        ),
    }
    if year is not None:
        out["cagr"] = boot(lambda r: rt.cagr(r, year), "compound growth a year")
        out["calmar"] = boot(lambda r: rt.calmar(r, year), "CAGR / |max drawdown|, full sample")
    return out


class _Bootstrap:
    """Makes figures of one series with percentile intervals by the stationary bootstrap."""

    def __init__(self, values: Floats, level: float) -> None:
        self._values, self._level = values, level
        n = len(values)
        self._drawn = (
            np.concatenate(list(draws(n, block_length(values), REPLICATES, 0))) if n >= BOOTSTRAP_MIN else np.zeros((0, n), np.int64)
        )

    def __call__(self, figure: Callable[[Floats], float], how: str) -> Figure:
        value = figure(self._values)
        found = np.array([figure(self._values[index]) for index in self._drawn])
        low, high = mostly_known_band(found, self._level) if math.isfinite(value) else NOTHING
        return Figure(value, low, high, len(self._values), how)


def figures_of_benchmark(found: Against, unit: str) -> dict[str, Figure]:
    """Return alpha, beta, information ratio, tracking error and correlation."""
    year = found.periods_per_year
    scale, per = (1.0, f"a {unit}") if year is None else (year, "a year")
    alpha = [scale * x for x in (found.alpha, *found.alpha_interval)]
    ratio, nan = found.information, math.nan
    return {
        "alpha": Figure(alpha[0], alpha[1], alpha[2], found.n, f"{per}; intercept of a line through the returns; Newey-West"),
        "beta": Figure(found.beta, *found.beta_interval, found.n, "slope of it; Newey-West"),
        "information_ratio": Figure(
            ratio.value, ratio.low, ratio.high, found.n, f"{per}; mean / standard deviation (n - 1) of what is above the benchmark"
        ),
        "tracking_error": Figure(found.tracking_error * math.sqrt(scale), nan, nan, found.n, f"{per}; standard deviation of the same"),
        "correlation": Figure(found.correlation, nan, nan, found.n, "with the benchmark"),
    }


def measure(
    made: rt.Returns, periods_per_year: float | None, benchmark: Any = None, *, trials: int = 1, trials_variance: float | None = None
) -> tuple[Sharpe, Against | None]:
    """Return the Sharpe ratio of the whole periods, and how they went against `benchmark` (n,), one return a period of `made`."""
    ratio = sharpe(made.whole, periods_per_year, trials=trials, trials_variance=trials_variance)
    if benchmark is None:
        return ratio, None
    other = np.asarray(benchmark, np.float64)
    whole = made.covered >= rt.WHOLE
    other = other[whole] if other.shape == whole.shape else other
    return ratio, against(made.whole, other, periods_per_year)


def _text(name: str, value: float) -> str:
    if not math.isfinite(value):
        return "∞" if value == math.inf else "–"
    if name in {
        "total_return",
        "volatility",
        "var",
        "cvar",
        "max_drawdown",
        "max_drawdown_sampled",
        "cagr",
        "win_rate",
        "alpha",
        "tracking_error",
    }:
        return f"{value:.4%}" if abs(value) < 0.1 else f"{value:.1%}"
    if name.endswith("_s"):
        size, unit = next((one for one in _TIMES if value >= 2 * one[0]), _TIMES[-1])
        return f"{value / size:,.1f} {unit}"
    return amount(value) if name.endswith("quote") else f"{value:,.4g}"


def _band(name: str, one: Figure) -> str:
    return f"[{_text(name, one.low)}, {_text(name, one.high)}]" if math.isfinite(one.low) and math.isfinite(one.high) else "–"

"""The bench on which fills are looked at: each a point, what a chosen part of them made, and the moments at which they came.

What is drawn is what is chosen from: whole numbers (ticks, lots) are spread a little so that points do not hide each other, and a
box over the picture takes the points that are seen in it. Every figure is of the fills' own numbers, never of the drawn ones.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.path import HORIZONS_S, HOUR_NS
from hftlab.analytics.facts.pnl import Parts
from hftlab.analytics.markouts import buckets as mb
from hftlab.analytics.markouts import markouts as mo
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.show import mimebundle

if TYPE_CHECKING:
    from hftlab.analytics.report.report import Report

DRAWN_MAX = 20_000
SEED = 7
SPREAD_OUT = 0.35  # of the step between two values, to both sides


@dataclass(frozen=True, slots=True)
class Axis:
    """What a point's place stands for. `kind`: "time" (s since the first fill), "log" (drawn by log10(1 + x)), "plain".

    `step`: distance of neighbouring values, 0 where any value can be.
    """

    label: str
    of: Callable[[Facts], np.ndarray]
    kind: str = "plain"
    step: float = 0.0


def _known(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0, np.nan, values).astype(float)


def _time(facts: Facts) -> np.ndarray:
    return np.asarray((facts.fills["ts_ns"] - start_ns(facts)) / 1e9)


def start_ns(facts: Facts) -> int:
    """Return when the first fill was matched."""
    return int(facts.fills["ts_ns"].min()) if len(facts.fills) else 0


AXES: dict[str, Axis] = {
    "time": Axis("time of the match, UTC", _time, "time"),
    "queue": Axis("lots ahead at placement", lambda facts: _known(mb.ahead_lots(facts)), "log", 1.0),
    "queue_at_fill": Axis("lots shown at our price at the match", lambda facts: _known(mb.at_price_lots(facts)), "log", 1.0),
    "rested": Axis("time at rest, ms", mb.rested_ms, "log"),
    "spread": Axis("spread at the match, ticks", mb.spread_ticks, "plain", 1.0),
    "imbalance": Axis("imbalance at the match, signed to our side", mb.signed_imbalance),
    "size": Axis("lots filled", lambda facts: facts.fills["qty_lots"].astype(float), "log", 1.0),
    "hour": Axis("hour of the day, UTC", lambda facts: facts.fills["ts_ns"] % (24 * HOUR_NS) / HOUR_NS),
    "volatility": Axis("volatility of the minute before, ticks/\u221as", mb.volatility_ticks),
}


@dataclass(frozen=True)
class Points:
    """What is drawn: f8 `x` and `y` (n,) of every fill as drawn, NaN where it has no place; `shown` i8, which of them a page gets."""

    x: np.ndarray
    y: np.ndarray
    shown: np.ndarray
    axis: Axis

    @property
    def placed(self) -> np.ndarray:
        """Return which fills have a place."""
        return np.isfinite(self.x) & np.isfinite(self.y)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return low and high of x and of y; y without the outermost thousandth, which is drawn at the edge."""
        x, y = self.x[self.placed], self.y[self.placed]
        if not len(x):
            return 0.0, 1.0, -1.0, 1.0
        low, high = (float(one) for one in np.quantile(y, (0.001, 0.999)))
        low, high = min(low, 0.0), max(high, 0.0)
        pad = 0.04 * (high - low) or 1.0
        edge = 0.02 * float(x.max() - x.min()) or 0.5
        return float(x.min()) - edge, float(x.max()) + edge, low - pad, high + pad

    def box(self, x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
        """Return which fills are drawn in a box (bool); an end may be infinite."""
        return (self.x >= x[0]) & (self.x <= x[1]) & (self.y >= y[0]) & (self.y <= y[1])


@dataclass(frozen=True)
class Cluster:
    """Chosen fills: `which` i8, in order of time; `figures` as `markouts.mean` gives them; `parts` of their P&L in money to the end.

    `whole_quote`: the P&L of all fills, before funding. `by_outcome`: they were chosen by their own markout, so its mean says how
    bad or good these were, and nothing of what such fills make: there is no interval.
    """

    which: np.ndarray
    horizon_s: float
    figures: dict[str, Any]
    parts: dict[str, float]
    whole_quote: float
    by_outcome: bool
    made_ticks: np.ndarray = field(repr=False)

    @property
    def share(self) -> float:
        """Return the P&L of these fills as a share of that of all, NaN where all together made nothing."""
        return self.parts["account"] / self.whole_quote if self.whole_quote else math.nan

    def worst_first(self) -> np.ndarray:
        """Return `which`, the lowest markout first; those without one last."""
        return self.which[np.argsort(self.made_ticks, kind="stable")]


class Workbench:
    """The fills of a report as points. `horizon_s` is the markout's horizon; every method takes another."""

    def __init__(self, report: "Report", horizon_s: float = 1.0) -> None:
        self.report = report
        (self.horizon_s,) = mo.horizons(horizon_s)
        self.values = lru_cache(maxsize=8)(self._values)
        self.points = lru_cache(maxsize=8)(self._points)

    @property
    def run(self) -> Any:
        """Return what `hl.at` opens: the report of a backtest, or the session's directory. Raises InputError where there is neither."""
        if self.report.origin is not None:
            return self.report
        if self.report.run is None:
            raise InputError("nobody kept what this report was made of, so there is no replay of it: it came from rows alone.")
        return self.report.run

    @property
    def horizons_s(self) -> tuple[float, ...]:
        """Return the horizons to choose from."""
        return tuple(sorted({*HORIZONS_S, self.horizon_s}))

    def _values(self, horizon_s: float) -> np.ndarray:
        return mo.values(self.report.facts, horizon_s)

    def _points(self, x: str, horizon_s: float) -> Points:
        """Return where each fill is drawn. Raises UnknownName."""
        if x not in AXES:
            raise UnknownName(f"x was {x!r}.{did_you_mean(x, AXES)}")
        axis, rng = AXES[x], np.random.default_rng(SEED)
        across = axis.of(self.report.facts).astype(float)
        aside, above = rng.uniform(-SPREAD_OUT, SPREAD_OUT, (2, len(across)))
        across = across + axis.step * aside
        if axis.kind == "log":
            across = np.log10(np.maximum(1 + across, 0.5))
        up = self.values(horizon_s)[:, 0] + 0.5 * above  # mids move by half ticks
        placed = np.flatnonzero(np.isfinite(across) & np.isfinite(up))
        if len(placed) > DRAWN_MAX:
            placed = np.sort(rng.choice(placed, DRAWN_MAX, replace=False))
        return Points(across, up, placed, axis)

    @cached_property
    def _whole_quote(self) -> float:
        return self._parts(np.ones(len(self.report.fills), bool))["account"]

    def _parts(self, mine: np.ndarray) -> dict[str, float]:
        found = dict.fromkeys(Parts().quote(1.0), 0.0)
        for i, one in enumerate(self.report.pnl):
            chosen = mine[self.report.fills["instrument"] == i]
            for name, money in one.fills.parts(chosen).quote(one.instrument.ticklot_quote).items():
                found[name] += money
        return found

    def cluster(self, mine: np.ndarray, horizon_s: float | None = None, *, by_outcome: bool = False) -> Cluster:
        """Return what the fills `mine` (bool, one a fill) made; `by_outcome`: see Cluster. Raises InputError."""
        fills, seconds = self.report.fills, self.horizon_s if horizon_s is None else horizon_s
        if mine.dtype != bool or mine.shape != fills.shape:
            raise InputError(f"the choice was {mine.dtype} of shape {mine.shape}; wanted one bool a fill, {len(fills):,} of them.")
        made = self.values(seconds)
        which = np.flatnonzero(mine)
        which = which[np.argsort(fills["ts_ns"][which], kind="stable")]
        figures = mo.mean(self.report.facts, made, mine, seconds)
        return Cluster(which, seconds, figures, self._parts(mine), self._whole_quote, by_outcome, made[which, 0])

    def __repr__(self) -> str:
        return f"<Workbench of {len(self.report.fills):,} fills, markouts at {self.horizon_s:g} s>"

    def _repr_html_(self) -> str:
        from hftlab.analytics.markouts.workbench_pictures import page

        return page(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return mimebundle("workbench:Bench", self)

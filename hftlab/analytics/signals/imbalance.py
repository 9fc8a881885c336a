"""Order flow imbalance and queue imbalance, and the line from each to the moves of the mid: streaming, with bands."""

import math
from dataclasses import replace

import numpy as np

from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.grow import Grow
from hftlab.analytics.signals.player import Player, imbalance, mid_ticks
from hftlab.analytics.stats.regression import Floats, Line, line
from hftlab.errors import InputError
from hftlab.kernels.flow_est_types import FEATURE
from hftlab.strict import keywords, number


class Steps:
    """What a market did in steps of `interval_s`, on our clock: samples (FEATURE) at the edges of the steps.

    The base of the estimators that draw a line through steps. Any cut of the rows into `update` calls gives the same.
    """

    name, unit, said = "", "", ""
    origin = False
    """Whether the line goes through zero."""

    @keywords
    def __init__(self, market: int = 0, *, interval_s: float = 1.0, level: float = 0.90) -> None:
        self.level, self.interval_s = number(level, "level", 0.5, 0.999), number(interval_s, "interval_s", 1e-3, 1e5)
        self._player = Player(market, every_s=interval_s)
        self._samples = Grow(FEATURE)

    def update(self, rows: np.ndarray) -> None:
        """Read market rows (EVENT, in receive order)."""
        self._samples.append(self._player.play(rows)[0])

    @property
    def samples(self) -> np.ndarray:
        """Return the samples so far, FEATURE."""
        return self._samples.rows

    def steps(self) -> tuple[Floats, Floats]:
        """Return y and x of each step (n,), float64, NaN where the book was not to be trusted."""
        raise InputError(f"{type(self).__name__} draws no line; use OrderFlow, QueueImbalance or KyleLambda.")

    def line(self) -> Line:
        """Return the line with its R2 and error."""
        y, x = self.steps()
        return line(y, x, origin=self.origin, level=self.level)

    def estimate(self) -> Estimate:
        """Return the slope with its band (Newey–West)."""
        found = self.line()
        words = f"{self.said}; steps of {self.interval_s:g} s, R2 {found.r2:.2f}, Newey–West band of {found.lags} lags"
        return Estimate(self.name, found.slope, found.low, found.high, self.unit, found.samples, found.fit_p, self.level, words)


class OrderFlow(Steps):
    """Order flow imbalance at the touch (Cont, Kukanov & Stoikov 2014, J. Financial Econometrics 12(1)) and how the mid answers it.

    Move of the mid over a step = alpha + beta x OFI of the same step (their equation 6, with the mid in ticks and OFI in lots): beta is
    about 1 / (2 depth). It says how far the two go together, not what comes next. `fit_p` tests that the answer is a straight line.
    """

    name, unit = "OFI beta", "ticks/lot"
    said = "mid move on order flow imbalance of the same step"

    @keywords
    def __init__(self, market: int = 0, *, interval_s: float = 10.0, level: float = 0.90) -> None:
        super().__init__(market, interval_s=interval_s, level=level)

    def steps(self) -> tuple[Floats, Floats]:
        """Return the moves of the mid in ticks and the OFI in lots."""
        rows = self.samples
        return np.diff(mid_ticks(rows)), np.diff(rows["ofi_lots"]).astype(np.float64)


class QueueImbalance(Steps):
    """How the mid moves over the *next* step, by the imbalance (bid - ask) / (bid + ask) of the queues at its start.

    `deep=False`: at the touch; True: over the best five levels. The slope is in ticks from balance to one side alone.
    """

    name, unit = "imbalance slope", "ticks"
    said = "next mid move on queue imbalance"

    @keywords
    def __init__(self, market: int = 0, *, deep: bool = False, interval_s: float = 1.0, level: float = 0.90) -> None:
        super().__init__(market, interval_s=interval_s, level=level)
        self.deep = deep

    def steps(self) -> tuple[Floats, Floats]:
        """Return the moves of the mid in ticks and the imbalance at the start of each."""
        rows = self.samples
        bid, ask = ("bid_deep_lots", "ask_deep_lots") if self.deep else ("bid_lots", "ask_lots")
        return np.diff(mid_ticks(rows)), imbalance(rows[bid], rows[ask])[:-1]

    def now(self) -> float:
        """Return the imbalance at the last sample, NaN where there is none."""
        rows = self.samples[-1:]
        bid, ask = ("bid_deep_lots", "ask_deep_lots") if self.deep else ("bid_lots", "ask_lots")
        return float(imbalance(rows[bid], rows[ask])[0]) if len(rows) else math.nan

    def estimate(self) -> Estimate:
        """Return the slope with its band (Newey–West)."""
        return replace(super().estimate(), name=f"{self.name} {'L5' if self.deep else 'L1'}")

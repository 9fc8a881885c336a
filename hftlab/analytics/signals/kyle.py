"""Kyle's lambda of a market, streaming: how the mid goes with what takers buy less what they sell."""

import numpy as np

from hftlab.analytics.signals.imbalance import Steps
from hftlab.analytics.signals.player import mid_ticks
from hftlab.analytics.stats.regression import Floats


class KyleLambda(Steps):
    """Move of the mid over a step = lambda x signed volume of the same step (Kyle 1985, equation 2.5 read as a regression).

    In ticks per lot, through the origin: without flow prices have no drift that could be told in steps so short. Newey–West band;
    `fit_p` tests that the answer is a line: under a concave law (the square root) it is small.
    """

    name, unit = "Kyle lambda", "ticks/lot"
    said = "mid move on signed volume of the same step, through the origin"
    origin = True

    def steps(self) -> tuple[Floats, Floats]:
        """Return the moves of the mid in ticks, and bought less sold in lots."""
        rows = self.samples
        return np.diff(mid_ticks(rows)), np.diff(rows["bought_lots"] - rows["sold_lots"]).astype(np.float64)

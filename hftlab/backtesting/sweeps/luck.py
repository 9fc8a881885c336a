"""How much of the best point of a sweep is luck: what is left of it when one remembers how many were tried."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.luck.overfit import Overfitting, probability_of_overfitting
from hftlab.analytics.luck.reality_check import RealityCheck, reality_check
from hftlab.analytics.returns.sharpe import Sharpe, sharpe
from hftlab.backtesting.sweeps.cell import DONE, FAILED, Cell
from hftlab.backtesting.sweeps.shared import whole_steps

STEPS_MIN = 8  # of a reality check
BLOCKS = 12
"""Blocks of the tape whose halves are held against each other: 924 ways, a second for a thousand points."""


@dataclass(frozen=True)
class Luck:
    """Of the best point: `sharpe` (a step of `step_s`, not annualised, with its interval and its deflated value after `trials`).

    `trials` are the points of the sweep, or where the lab has counted more of them on this data, those. `overfitting`: how often the best of
    one half of the tape was no better than the median in the other; `check`: the chance that points without any edge show so large a
    best mean. Both None for fewer than two points that were run to their end, or too short a tape.
    """

    trials: int
    points: int
    best: int
    step_s: float
    sharpe: Sharpe
    overfitting: Overfitting | None
    check: RealityCheck | None

    def text(self) -> str:
        """Return it in words."""
        one = self.sharpe
        if math.isnan(one.per_period):
            return f"The best of {self.points:,} points, number {self.best}, has no Sharpe ratio: its P&L never moved."
        before = f" (with those counted on this data before: {self.trials:,})" if self.trials > self.points else ""
        words = (
            f"The best of {self.points:,} points{before}, number {self.best}: Sharpe {one.per_period:.3g} [{one.low:.3g}, {one.high:.3g}] a step "
            f"of {self.step_s:g} s (n={one.n:,}), above zero with probability {one.probability:.3g}; after {self.trials:,} trials "
            f"{one.deflated:.3g} (deflated)."
        )
        if self.overfitting is not None:
            words += (
                f" Chosen in one half of the tape it was at or below the median in the other {self.overfitting.probability:.0%} of the time "
                "(probability of overfitting)."
            )
        if self.check is not None:
            words += f" Points without any edge show so good a best with p = {self.check.white:.3g} (White), {self.check.spa:.3g} (Hansen)."
        return words


def luck_of(cells: Sequence[Cell], best: Cell, step_s: float, known: int = 0) -> Luck:
    """Return how lucky the best of these cells may have been. A point that failed to run is no trial; one given up early is.

    `known` is how many rules were ever tried on this data, as the lab has counted them.
    """
    whole = [cell for cell in cells if cell.state == DONE]
    points = sum(cell.state != FAILED for cell in cells)
    trials = max(points, known)
    returns = np.stack([whole_steps(cell.equity_quote) for cell in whole], axis=1)
    ratios = np.array([cell.figures["sharpe_block"] for cell in whole])
    ratios = np.where(np.isnan(ratios), 0.0, ratios)  # who never traded made nothing
    variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else None
    mine = sharpe(returns[:, whole.index(best)], None, trials=trials, trials_variance=variance)
    several, n = len(whole) > 1, len(returns)
    return Luck(
        trials,
        points,
        best.number,
        step_s,
        mine,
        probability_of_overfitting(returns, blocks=BLOCKS) if several and n >= 2 * BLOCKS else None,
        reality_check(returns, replicates=500) if several and n >= STEPS_MIN else None,
    )

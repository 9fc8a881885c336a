"""The part of a Report that asks what a fill cost a moment later."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hftlab.analytics import markouts as mo
from hftlab.analytics.collector import Facts
from hftlab.analytics.path import HORIZONS_S

if TYPE_CHECKING:
    import pandas as pd


class MarkoutsOfReport:
    """Markouts, in tables and pictures."""

    if TYPE_CHECKING:
        facts: Facts

        def frame(self) -> "pd.DataFrame": ...

    def markouts(self, by: str = "all", across: str | None = None, horizons_s: Sequence[float] | float = HORIZONS_S) -> "pd.DataFrame":
        """Return mean markouts with 95 % intervals: in ticks and bps, weighted by lots, and the money of all the fills together.

        `by`, and `across` for a table of two ways: "all", "side", "liquidity", "instrument", "queue" (lots ahead at placement),
        "queue_at_fill" (lots that the market showed at our price at the match), "rested" (ms since the place was taken), "imbalance"
        (signed to our side), "spread", "size", "hour", "volatility" (of the minute before). `horizons_s`: any, from 0.
        Raises InputError.
        """
        return mo.table(self.facts, by, across, horizons_s)

    def bucket(self, by: str, name: str) -> "pd.DataFrame":
        """Return the fills (as `frame` does) of one bucket of `markouts(by)`. Raises InputError, UnknownName."""
        return self.frame()[mo.in_bucket(self.facts, by, name)]

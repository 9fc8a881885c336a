"""The part of a Report that asks what a fill cost a moment later."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.path import HORIZONS_S
from hftlab.analytics.markouts import markouts as mo
from hftlab.analytics.markouts.pictures import CURVE_S, MarkoutCurve, MarkoutGrid
from hftlab.analytics.report import frames as fr
from hftlab.analytics.report.origin import Origin, pieces
from hftlab.data import journal
from hftlab.instrument import Instrument

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.markouts.toxicity import Toxicity
    from hftlab.analytics.markouts.workbench import Workbench


class MarkoutsOfReport:
    """Markouts, in tables and pictures; which part of the flow costs; and the bench on which single fills are looked at."""

    facts: Facts
    instruments: tuple[Instrument, ...]
    origin: Origin | None
    run: Path | None

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
        return fr.fills(self.facts.fills[mo.in_bucket(self.facts, by, name)], self.instruments)

    def markout_curve(self, by: str = "all", horizons_s: Sequence[float] = CURVE_S) -> MarkoutCurve:
        """Return markouts over many horizons, from 10 ms to a minute if none are given; displayed as a picture. Raises InputError."""
        return MarkoutCurve(mo.table(self.facts, by, None, horizons_s), by)

    def markout_grid(self, by: str, across: str, horizon_s: float = 1.0) -> MarkoutGrid:
        """Return markouts of two ways to sort at one horizon; displayed as a picture. Raises InputError."""
        return MarkoutGrid(mo.table(self.facts, by, across, horizon_s), by, across)

    def toxicity(self, horizon_s: float = 5.0, source: Any = None, vpin_bucket_lots: float | None = None) -> "Toxicity":
        """Return which part of the flow costs: the fills by VPIN, by sweeps, by the flow and by the move before them, with intervals.

        `source` has the public prints (a tape, a stream); without it they are those of the backtest, or in the session's journal.
        `vpin_bucket_lots`: see `prints.Prints.vpin`. Raises InputError.
        """
        from hftlab.analytics.markouts.toxicity import toxicity

        chunks: Iterable[np.ndarray] | None
        if source is not None:
            chunks = pieces(source)
        elif self.origin is not None:
            chunks = self.origin.chunks()
        else:
            chunks = journal.parts(self.run / "journal") if self.run is not None else None
        return toxicity(self.facts, chunks, horizon_s, vpin_bucket_lots)

    def workbench(self, horizon_s: float = 1.0) -> "Workbench":
        """Return the bench: every fill a point, which can be brushed, summed up, and stepped through moment by moment.

        Displayed as a widget in a notebook, as a picture elsewhere. Raises InputError.
        """
        from hftlab.analytics.markouts.workbench import Workbench

        return Workbench(self, horizon_s)  # type: ignore[arg-type]  # the whole Report, which has this part

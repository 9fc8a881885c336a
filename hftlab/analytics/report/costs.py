"""What a report says of costs and of the quality of its quotes, whose P&L it was, and its pages for people: a mixin of Report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hftlab.analytics.costs import shortfall as sf
from hftlab.analytics.costs import tca
from hftlab.analytics.costs.attribution import SLICE_S, attribute_pnl
from hftlab.analytics.costs.quality import WITHIN_TICKS, market_quality

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report
    from hftlab.analytics.sheets.tear_sheet import TearSheet


class ReportCosts:
    """Transaction costs, quote quality, attribution, tear sheet and session summary of a Report."""

    # --- what trading cost -----------------------------------------------------------------------------------------------------
    def shortfall(self, of: str = "orders") -> "pd.DataFrame":
        """Return the implementation shortfall of each parent in commission, execution, delay and missed, which add up exactly.

        `of`: "orders", or "targets": what a strategy or a person wished for. Raises InputError, AccountingError.
        """
        report = cast("Report", self)
        return sf.frame(sf.parents(report.facts, report.instruments, of), report.instruments)

    def tca(self, by: str = "all") -> "pd.DataFrame":
        """Return effective and realised spread and price impact with intervals, one row a liquidity, bucket and horizon.

        `by`: "all", "side", "hour", "size", "instrument". Effective = realised + impact. Raises InputError.
        """
        report = cast("Report", self)
        return tca.spread_table(report.facts, report.instruments, by)

    def costs(self, by: str = "all") -> "pd.DataFrame":
        """Return slippage, effective spread and fees with intervals, one row a liquidity and bucket; `by` as in `tca`. Raises InputError."""
        report = cast("Report", self)
        return tca.cost_table(report.facts, report.instruments, by)

    # --- how good the quotes were ----------------------------------------------------------------------------------------------
    def quality(self, *, within_ticks: int | None = WITHIN_TICKS, qty_min: Any = None) -> "pd.DataFrame":
        """Return one column a market: spread capture, uptime, hit rate, life and place of quotes, requests a fill, turnover, throughput.

        Up means both sides live within `within_ticks` of the touch (None: anywhere) with at least `qty_min` base units (None: any
        size). Definitions: `hftlab.analytics.costs.quality`. Raises InputError for a quantity off the grid.
        """
        import pandas as pd

        report = cast("Report", self)
        columns = {
            instrument.symbol: market_quality(report.facts, i, instrument, within_ticks=within_ticks, qty_min=qty_min)
            for i, instrument in enumerate(report.instruments)
        }
        return pd.DataFrame(columns)

    def attribution(self, by: str = "quoter", *, slice_s: float = SLICE_S) -> "pd.DataFrame":
        """Return the P&L by "quoter", "instrument", "side", "hour", "volatility" (terciles) or "spread"; each closes to the account's.

        The last two cut the run into slices of `slice_s` seconds. Raises InputError, AccountingError.
        """
        return attribute_pnl(cast("Report", self), by, slice_s=slice_s)

    # --- pages for people ------------------------------------------------------------------------------------------------------
    def tear_sheet(self, path: str | Path | None = None) -> "TearSheet":
        """Return the tear sheet, which a notebook shows; with `path` it is also written there as one file that needs nothing else."""
        from hftlab.analytics.sheets.tear_sheet import TearSheet

        sheet = TearSheet(cast("Report", self))
        if path is not None:
            sheet.save(path)
        return sheet

    def session_summary(self) -> str:
        """Return a page of plain text: money, trading, quotes, latency, grade; warnings first, losses included."""
        from hftlab.analytics.sheets.summary import session_summary

        return session_summary(cast("Report", self))

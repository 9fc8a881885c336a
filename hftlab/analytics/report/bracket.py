"""A result as a bracket: the same run under the harshest, the chosen and the kindest assumption about the queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from hftlab.analytics.drawing.pictures import amount, bars

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report

PESSIMISTIC, OPTIMISTIC = "risk_averse", "touch"

WORDS = (
    "This is a bracket of assumptions about the queue, not a confidence interval: pessimistic lets only prints move our orders "
    "forward, optimistic puts them first in every queue. The truth about the queue lies between; its P&L need not, for a losing "
    "quoter that is filled less loses less. Nothing is said about other days, about latency, or about the market's answer to our orders."
)

_ROWS = ("pnl_quote", "half_spread_quote", "adverse_selection_quote", "inventory_carry_quote", "fees_quote", "funding_quote")
_MORE = ("fills", "traded_base", "maker_share", "order_to_trade", "drawdown_quote_max")


@dataclass(frozen=True, repr=False)
class Bracket:
    """Three reports by name: "pessimistic", "modelled", "optimistic"."""

    reports: Mapping[str, "Report"]

    @property
    def pnl_quote(self) -> tuple[float, float, float]:
        """Return the three P&Ls in the order of the names."""
        pessimistic, modelled, optimistic = (report.pnl_quote for report in self.reports.values())
        return pessimistic, modelled, optimistic

    def frame(self) -> "pd.DataFrame":
        """Return one column a run: its queue, P&L and parts, fills and order-to-trade."""
        import pandas as pd

        columns: dict[str, dict[str, Any]] = {}
        for name, report in self.reports.items():
            summary = report.summary()
            columns[name] = {"queue": report.assumptions.get("queue", "–")} | {key: summary[key] for key in (*_ROWS, *_MORE)}
        return pd.DataFrame(columns)

    def text(self) -> str:
        """Return the bracket in words: whether the sign of the P&L hangs on the queue."""
        low, high = min(self.pnl_quote), max(self.pnl_quote)
        unit = next(iter(self.reports.values())).instruments[0].settle
        verdict = "The sign of the P&L hangs on the queue model. " if low < 0 < high else ""
        return f"P&L from {amount(low)} to {amount(high)} {unit}, modelled {amount(self.pnl_quote[1])}. {verdict}"

    def __repr__(self) -> str:
        return f"<Bracket {self.text().strip()}>"

    def _repr_html_(self) -> str:
        picture = bars([(f"{name} ({report.assumptions.get('queue', '–')})", report.pnl_quote) for name, report in self.reports.items()])
        return f"<div><b>{escape(self.text())}</b></div>{picture}{self.frame().to_html(border=0, float_format='{:,.4f}'.format)}<div>{escape(WORDS)}</div>"

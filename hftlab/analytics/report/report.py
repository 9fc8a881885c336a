"""The report of a run, backtest or session: what it made and why, its orders, and what was assumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.drawing.pictures import amount
from hftlab.analytics.facts import accounts as ac
from hftlab.analytics.facts import figures as fg
from hftlab.analytics.facts import journeys as jn
from hftlab.analytics.facts.collector import Collector, Facts
from hftlab.analytics.facts.pnl import Identity, Ledger, identity
from hftlab.analytics.report import bracket as br
from hftlab.analytics.report import frames as fr
from hftlab.analytics.report.compare import Divergence, differences, diverge
from hftlab.analytics.report.costs import ReportCosts
from hftlab.analytics.report.luck import ReportLuck
from hftlab.analytics.report.markouts import MarkoutsOfReport
from hftlab.analytics.report.origin import Origin
from hftlab.analytics.report.returns import ReportReturns
from hftlab.analytics.report.sensitivity import Sensitivity, sensitivity
from hftlab.data.state import State
from hftlab.errors import InputError
from hftlab.instrument import Instrument

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.portfolio.portfolio import RiskMetrics


@dataclass(frozen=True, repr=False)
class Report(ReportReturns, ReportLuck, MarkoutsOfReport, ReportCosts):
    """What a run did. `facts` are the rows it wrote, read; `accounts` one dict a market; `pnl` the closed P&L identity of each.

    `origin` is what the run can be made again from; without it there is no bracket, no bundle and no book beside a difference.
    `run` is the directory of the session that it is the report of, None for a backtest.
    """

    instruments: tuple[Instrument, ...]
    facts: Facts
    accounts: tuple[dict[str, Any], ...]
    desk: Mapping[str, Any]
    ledgers: tuple[Ledger, ...]
    rows: int
    took_s: float | None = None
    assumptions: Mapping[str, str] = field(default_factory=dict)
    origin: Origin | None = None
    run: Path | None = None

    @classmethod
    def of(
        cls,
        state: State,
        written: "Collector | np.ndarray",
        *,
        rows: int,
        took_s: float | None = None,
        assumptions: Mapping[str, str] | None = None,
        origin: Origin | None = None,
        run: Path | None = None,
    ) -> "Report":
        """Return the report of a state and of all that its run wrote: a Collector that was fed it, or the rows at once.

        Raises AccountingError when the rows and the ledger do not agree to the last unit.
        """
        if not isinstance(written, Collector):
            rows_written, written = written, Collector(state.instruments)
            written.add(rows_written)
        marks = [int(np.rint(2 * mark)) if np.isfinite(mark) else None for mark in state.markets["mark_ticks"]]
        facts = written.finish(end_ns=int(state.desk["now_ns"][0]), marks_mid2=marks)
        ledgers = tuple(Ledger.of(market) for market in state.markets)
        closed = identity(facts, state.instruments, ledgers)
        return cls(
            instruments=state.instruments,
            facts=facts,
            accounts=tuple(ac.account(state, i, one) for i, one in enumerate(closed)),
            desk=ac.desk(state),
            ledgers=ledgers,
            rows=rows,
            took_s=took_s,
            assumptions=dict(assumptions or {}),
            origin=origin,
            run=run,
        )

    # --- the rows ----------------------------------------------------------------------------------------------------------
    @property
    def fills(self) -> np.ndarray:
        """Return FILL_FACT, one a fill, in the order in which we learned of them."""
        return self.facts.fills

    @property
    def samples(self) -> np.ndarray:
        """Return the SAMPLE rows (EVENT)."""
        return self.facts.samples

    @property
    def digest(self) -> str:
        """Return a digest of every request, report, fill and fee: equal runs, equal digest."""
        return self.facts.digest

    def frame(self) -> "pd.DataFrame":
        """Return one row a fill: when matched (UTC), instrument, side, price, qty, fee, the market around it, later mids."""
        return fr.fills(self.fills, self.instruments)

    def curves(self) -> "pd.DataFrame":
        """Return one row a sample and instrument, by time (UTC): fair, our bid and ask, position, and the P&L at the desk's own mark."""
        return fr.curves(self.samples, self.instruments)

    # --- money -------------------------------------------------------------------------------------------------------------
    @property
    def pnl_quote(self) -> float:
        """Return the P&L after fees and funding in the settlement currency, positions marked to the exchange's last mid."""
        return float(sum(account["pnl_quote"] for account in self.accounts))

    @cached_property
    def pnl(self) -> tuple[Identity, ...]:
        """Return the P&L identity of each market with adverse selection over 5 s."""
        return self.identity()

    def identity(self, horizon_s: float = 5.0) -> tuple[Identity, ...]:
        """Return the P&L identity of each market, closed again for another horizon. Raises AccountingError, InputError."""
        return identity(self.facts, self.instruments, self.ledgers, horizon_s)

    def pnl_table(self, horizon_s: float = 5.0) -> "pd.DataFrame":
        """Return the parts of the P&L in the settlement currency: of all, by instrument, by side and by hour; with the residual."""
        return fr.pnl_table(self.identity(horizon_s))

    # --- figures -------------------------------------------------------------------------------------------------------------
    def summary(self) -> dict[str, Any]:
        """Return the figures of the run by name, units in the names."""
        return fr.summary(self)

    def figures(self) -> "pd.DataFrame":
        """Return one column a market: fill ratios, uptime, requests per fill, inventory (see analytics.facts.figures.market_figures)."""
        return fr.figures(self)

    def latency(self) -> "pd.DataFrame":
        """Return how long entry, cancel, response and fills took, by count and quantiles (ms)."""
        return fg.latencies(self.facts)

    def inventory(self, market: int = 0) -> "pd.DataFrame":
        """Return the position over time: last, lowest and highest of each step."""
        mine = self.fills[self.fills["instrument"] == market]
        return fg.inventory_curve(mine, self.instruments[market], self.facts.start_ns, self.facts.end_ns)

    def warnings(self) -> list[str]:
        """Return in sentences what to know before believing the result."""
        return [*ac.warnings(self.accounts, dict(self.desk), self.fills), *self.luck().warnings()]

    # --- orders --------------------------------------------------------------------------------------------------------------
    def journeys(self) -> "pd.DataFrame":
        """Return one row an order: decision, acceptance, place in the queue, amends, fills, cancel, end, why, and durations."""
        return jn.frame(jn.journeys(self.facts.own), self.instruments)

    def journey(self, order_id: int) -> "pd.DataFrame":
        """Return all that happened to one order, in order of time. Raises UnknownName."""
        return jn.events(self.facts.own, order_id, self.instruments)

    def round_trips(self, market: int = 0) -> np.ndarray:
        """Return the accepted orders' times as int64 rows (sent_ns, matched_ns, learned_ns): what `hl.Latency(recorded=…)` takes.

        Rising in sent_ns, one row a moment of sending.
        """
        made = jn.journeys(self.facts.own)
        mine = made[(made["instrument"] == market) & (made["accepted_ns"] != jn.NONE_NS) & (made["accepted_learned_ns"] != jn.NONE_NS)]
        table = np.stack([mine[name] for name in ("decided_ns", "accepted_ns", "accepted_learned_ns")], axis=1)
        _, first = np.unique(table[:, 0], return_index=True)
        return table[first]

    # --- risk ----------------------------------------------------------------------------------------------------------------
    def risk(self, **options: Any) -> "RiskMetrics":
        """Return the risk of what is held at the end: see `hftlab.analytics.portfolio.portfolio.risk_metrics`, which takes the options."""
        from hftlab.analytics.portfolio.portfolio import risk_metrics

        return risk_metrics(self, **options)

    # --- other runs ----------------------------------------------------------------------------------------------------------
    def compare(self, other: "Report") -> "pd.DataFrame":
        """Return what differs between two runs: assumptions, figures and parts of the P&L."""
        return differences(fr.comparable(self), fr.comparable(other))

    def diff(self, other: "Report", depth: int = 5) -> Divergence:
        """Return the first request or fill in which two runs part, with its time and both books at that time."""
        books = tuple(report.origin.book_at if report.origin is not None else None for report in (self, other))
        return diverge(self.facts.own, other.facts.own, self.instruments, (books[0], books[1]), depth)

    def bracket(self) -> br.Bracket:
        """Run again with the harshest and the kindest queue and return the three. Raises InputError for a run without an origin."""
        if self.origin is None:
            raise InputError("this report cannot run again: it comes from a session. A bracket wants the report of hl.backtest(…).")
        harsh, kind = (self.origin.again(queue=queue) for queue in (br.PESSIMISTIC, br.OPTIMISTIC))
        return br.Bracket({"pessimistic": harsh, "modelled": self, "optimistic": kind})

    def sensitivity(
        self, cases: Mapping[Any, Mapping[str, Any]], tapes: Sequence[Any] | None = None, *, blocks: int = 10, name: str = "case"
    ) -> Sensitivity:
        """Run again with other assumptions on several tapes, or on `blocks` pieces of its own, and return P&L with 95 % intervals.

        `cases` names each and gives the arguments of hl.backtest that differ: `{1: {"latency": hl.Latency(order_ms=1)}, 20: …}`;
        the first is what the others are compared with, numbers become a curve. `name` says what they are. Raises InputError, UnknownName.
        """
        if self.origin is None:
            raise InputError("this report cannot run again: it comes from a session. Sensitivity wants the report of hl.backtest(…).")
        return sensitivity(self.origin, cases, tapes, blocks, name)

    # --- pages ---------------------------------------------------------------------------------------------------------------
    def save_html(self, path: str | Path) -> Path:
        """Write the report as one page that needs nothing else. Returns its path."""
        from hftlab.analytics.report.page import document

        Path(path).write_text(document(self), encoding="utf-8")
        return Path(path)

    def __repr__(self) -> str:
        s = self.summary()
        money = self.instruments[0].settle
        pnl, fees = amount(s["pnl_quote"]), amount(s["fees_quote"]).removeprefix("+")  # a cost, unless its sign says rebate
        return f"<Report {s['fills']:,} fills, P&L {pnl} {money} after {fees} fees, {self.rows:,} rows, {s['digest']}>"

    def _repr_html_(self) -> str:
        from hftlab.analytics.report.page import section

        return section(self)

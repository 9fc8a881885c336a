"""Where a session and its backtest part, order by order and in money, each difference with its cause."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.divergence.causes import CAUSES, CHAIN, DIFFERENCE, ELSEWHEN, KINDS, UNEXPLAINED
from hftlab.analytics.divergence.twins import MILLION, NONE, Sides
from hftlab.analytics.drawing.pictures import amount, bars
from hftlab.instrument import Instrument

if TYPE_CHECKING:
    import pandas as pd

FUNDING = "payments (funding on another position, fees beyond the schedule)"
_E8 = 100_000_000


@dataclass(frozen=True, repr=False)
class MarketAttribution:
    """One instrument: both runs lot by lot, DIFFERENCE by time, and the first of them with both books.

    `live_half_u`, `other_half_u`: P&L of the fills after fees, marked at the same last mid: millionths of half a ticklot; `funding_e8`:
    funding paid live less in the backtest, 1e-8 ticklots; `books`: the live book as received and the stripped one at the first difference.
    """

    instrument: Instrument
    both: Sides
    found: np.ndarray
    live_half_u: int
    other_half_u: int
    funding_e8: int
    books: tuple[Any, Any] = (None, None)

    @property
    def money(self) -> float:
        """Return live less backtest in the settlement currency, funding with it."""
        return self._quote(self.live_half_u - self.other_half_u) - self.funding_e8 / _E8 * float(self.instrument.ticklot_quote)

    def _quote(self, half_u: int) -> float:
        return half_u / (2 * MILLION) * float(self.instrument.ticklot_quote)

    def table(self, by: str = "cause") -> "pd.DataFrame":
        """Return one row a cause: differences, lots, and money (live less backtest). The money of all rows is the difference of the P&L.

        `by` "root" puts a chain to what it began with.
        """
        import pandas as pd

        rows = {}
        for number, name in enumerate(CAUSES):
            mine = self.found[self.found[by] == number]
            money = sum(mine["half_u"].tolist())
            rows[name] = {
                "differences": len(mine),
                "lots": int(mine["lots"].sum()),
                "of them at another time only": int(mine["lots"][mine["kind"] == ELSEWHEN].sum()),
                "money": self._quote(money),
            }
        paid = -self.funding_e8 / _E8 * float(self.instrument.ticklot_quote)
        rows[FUNDING] = {"differences": int(self.funding_e8 != 0), "lots": 0, "of them at another time only": 0, "money": paid}
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index.name = by
        return table

    def differences(self) -> "pd.DataFrame":
        """Return one row a difference, by time: what, where, cause, root, money (live less backtest), and the orders of both runs."""
        import pandas as pd

        found, one = self.found, self.instrument
        return pd.DataFrame(
            {
                "ts": pd.to_datetime(found["ts_ns"], utc=True),
                "what": np.array(KINDS)[found["kind"]],
                "cause": np.array(CAUSES)[found["cause"]],
                "root": np.array(CAUSES)[found["root"]],
                "side": np.where(found["side"] > 0, "buy", "sell"),
                "taker": found["taker"] != 0,
                "price": found["price_ticks"] * float(one.tick_size),
                "qty": found["lots"] * float(one.lot_size),
                "late_ms": found["late_ns"] / 1e6,
                "money": [self._quote(value) for value in found["half_u"].tolist()],
                "live_order": [self._order(k, taker, self.both.live) for k, taker in zip(found["live"], found["taker"], strict=True)],
                "backtest_order": [self._order(k, taker, self.both.other) for k, taker in zip(found["other"], found["taker"], strict=True)],
            }
        )

    @staticmethod
    def _order(k: int, taker: int, run: Any) -> int:
        return NONE if k == NONE else int((run.takers if taker else run.found)["order_id"][k])

    def counts(self) -> dict[str, int]:
        """Return how many orders at a price and lots each run had, how many of them are twins, and lots that are the same in both."""
        both = self.both
        lots = [int(run.fills["lots"].sum()) for run in (both.live, both.other)]
        same = sum(int(pair["lots"]) for pair in both.pairs if pair["live"] != NONE and pair["other"] != NONE)
        return {
            "orders_live": len(both.live.found) + len(both.live.takers),
            "orders_backtest": len(both.other.found) + len(both.other.takers),
            "twins": int(np.count_nonzero(both.twin != NONE) + np.count_nonzero(both.taker_twin != NONE)),
            "lots_live": lots[0],
            "lots_backtest": lots[1],
            "lots_in_both": same,
        }

    @property
    def first(self) -> np.void | None:
        """Return the first DIFFERENCE, None where the two are the same."""
        return self.found[0] if len(self.found) else None

    def first_text(self) -> str:
        """Return the first difference in words."""
        if self.first is None:
            return "no difference: every lot was filled in both."
        row = self.differences().iloc[0]
        return (
            f"first at {np.datetime64(int(self.first['ts_ns']), 'ns').astype('datetime64[us]')} UTC: {row['side']} {row['qty']:g} at "
            f"{row['price']:,.10g} {row['what']} ({row['cause']})."
        )


@dataclass(frozen=True, repr=False)
class Attribution:
    """What `attribute` found: one MarketAttribution an instrument."""

    markets: tuple[MarketAttribution, ...]
    assumptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def money(self) -> float:
        """Return the P&L of the session less that of its backtest, in the settlement currency, marked at the same prices."""
        return float(sum(one.money for one in self.markets))

    @property
    def unexplained(self) -> int:
        """Return how many differences have no cause."""
        return int(sum(np.count_nonzero(one.found["cause"] == UNEXPLAINED) for one in self.markets))

    def table(self, by: str = "cause") -> "pd.DataFrame":
        """Return differences, lots and money by cause, or by root, over all instruments."""
        tables = [one.table(by) for one in self.markets]
        return sum(tables[1:], tables[0])

    def differences(self) -> "pd.DataFrame":
        """Return one row a difference of all instruments, by time."""
        import pandas as pd

        parts = [one.differences().assign(instrument=one.instrument.symbol) for one in self.markets]
        return pd.concat(parts, ignore_index=True).sort_values("ts", kind="stable", ignore_index=True)

    def summary(self) -> dict[str, Any]:
        """Return the figures by name: orders and lots of both, differences, money, and what is unexplained."""
        counts = [one.counts() for one in self.markets]
        found = np.concatenate([np.zeros(0, DIFFERENCE), *(one.found for one in self.markets)])
        return {name: sum(one[name] for one in counts) for name in counts[0]} | {
            "differences": len(found),
            "chained": int(np.count_nonzero(found["cause"] == CHAIN)),
            "unexplained": self.unexplained,
            "money": self.money,
        }

    def __repr__(self) -> str:
        s = self.summary()
        unit = self.markets[0].instrument.settle
        return (
            f"<Attribution {s['lots_live']:,} lots live, {s['lots_backtest']:,} in the backtest, {s['lots_in_both']:,} in both; "
            f"{s['differences']:,} differences make {amount(s['money'])} {unit}, {s['unexplained']:,} unexplained>"
        )

    def _repr_html_(self) -> str:
        unit = self.markets[0].instrument.settle
        causes, roots = self.table(), self.table("root")
        shown = [(name, float(money)) for name, money in roots["money"].items()]
        firsts = "".join(
            f"<div><b>{escape(one.instrument.symbol)}</b> {escape(one.first_text())}</div>{_books(one)}" for one in self.markets
        )
        notes = "".join(f"<li>{escape(name)}: {escape(text)}</li>" for name, text in self.assumptions.items())
        tables = "".join(
            f"<div><b>{title}</b>{table.to_html(border=0, float_format='{:,.6g}'.format)}</div>"
            for title, table in (("By cause", causes), ("By root: a chain counts as what it began with", roots))
        )
        return (
            f"<div>{escape(repr(self)[1:-1])}</div><div>Session less backtest, {escape(unit)}, by root</div>{bars(shown)}"
            f"<div style='display:flex;flex-wrap:wrap;gap:32px'>{tables}</div>{firsts}<ul style='opacity:.75'>{notes}</ul>"
        )


def _books(one: MarketAttribution) -> str:
    titles = ("the live book, as received", "the book without us, as the exchange had it")
    parts = [
        f"<div>{title}{book.to_html(index=False, border=0)}</div>"
        for title, book in zip(titles, one.books, strict=True)
        if book is not None
    ]
    return f"<div style='display:flex;gap:32px'>{''.join(parts)}</div>"

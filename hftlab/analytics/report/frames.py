"""The tables of a report, in human units."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.drawing.words import utc_hour
from hftlab.analytics.facts.figures import market_figures, ratio
from hftlab.analytics.facts.path import HORIZONS_S
from hftlab.analytics.facts.pnl import Identity, Parts
from hftlab.analytics.stats.equity import drawdown
from hftlab.instrument import Instrument
from hftlab.types import NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report


def grid(instruments: Sequence[Instrument], index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tick and lot size of the instrument of each row."""
    tick = np.array([float(i.tick_size) for i in instruments])
    lot = np.array([float(i.lot_size) for i in instruments])
    return tick[index], lot[index]


def fills(rows: np.ndarray, instruments: Sequence[Instrument]) -> "pd.DataFrame":
    """Return FILL_FACT as a table: one row a fill."""
    import pandas as pd

    index = rows["instrument"]
    tick, lot = grid(instruments, index)
    unit = np.array([i.ticklot_quote for i in instruments])[index]
    table = {
        "ts": pd.to_datetime(rows["ts_ns"], utc=True),
        "instrument": np.array([i.symbol for i in instruments])[index],
        "side": np.where(rows["side"] > 0, "buy", "sell"),
        "price": rows["price_ticks"] * tick,
        "qty": rows["qty_lots"] * lot,
        "fee_quote": (rows["fee_ticklots"] + rows["fee_uticklots"] * 1e-6) * unit,
        "fair": rows["fair_ticks"] * tick,
        "maker": rows["maker"] != 0,
        "order_id": rows["order_id"],
        "position_base": rows["position_lots"] * lot,
        "bid": np.where(rows["bid_ticks"] == NO_PRICE, np.nan, rows["bid_ticks"] * tick),
        "ask": np.where(rows["ask_ticks"] == NO_PRICE, np.nan, rows["ask_ticks"] * tick),
        "mid": rows["mid2"] / 2 * tick,
    }
    for k, seconds in enumerate(HORIZONS_S):
        later = rows["later_mid2"][:, k] / 2 * tick
        table[f"mid_{seconds:g}s"] = np.where(rows["past_end"][:, k] != 0, np.nan, later)
    return pd.DataFrame(table)


def curves(rows: np.ndarray, instruments: Sequence[Instrument]) -> "pd.DataFrame":
    """Return SAMPLE rows as a table by time (UTC)."""
    import pandas as pd

    index = rows["instrument"]
    tick, lot = grid(instruments, index)
    return pd.DataFrame(
        {
            "instrument": np.array([i.symbol for i in instruments])[index],
            "fair": rows["price_ticks"].view(np.float64) * tick,
            "bid": np.where(rows["order_id"] == NO_PRICE, np.nan, rows["order_id"] * tick),
            "ask": np.where(rows["seq"] == NO_PRICE, np.nan, rows["seq"] * tick),
            "position_base": rows["qty_lots"] * lot,
            "pnl_quote": rows["leaves_lots"].view(np.float64),
        },
        index=pd.to_datetime(rows["ts_recv_ns"], utc=True).rename("ts"),
    )


def pnl_table(closed: Sequence[Identity]) -> "pd.DataFrame":
    """Return the parts of the P&L as money, one row each: all, instruments, their sides, their hours (UTC, exchange clock)."""
    import pandas as pd

    rows = []
    for one in closed:
        unit, name = one.instrument.ticklot_quote, one.instrument.symbol
        rows.append(_money(name, "all", one.total, unit))
        rows += [_money(name, "buys" if side > 0 else "sells", parts, unit) for side, parts in one.sides.items()]
        rows += [_money(name, utc_hour(hour), parts, unit) for hour, parts in one.hours.items()]
    return pd.DataFrame(rows).set_index(["instrument", "of"])


def _money(instrument: str, of: str, parts: Parts, unit: float) -> dict[str, Any]:
    return {"instrument": instrument, "of": of, "fills": parts.fills} | parts.quote(unit) | {"residual": parts.residual}


def drawdown_quote_max(report: "Report") -> float:
    """Return the largest fall of the P&L curve (desk's mark, sampled) from its peak; the start at zero is a peak."""
    if not len(report.samples):
        return 0.0
    pnl = report.curves()["pnl_quote"].groupby(level="ts").sum().to_numpy()
    return float(drawdown(pnl).max())


def summary(report: "Report") -> dict[str, Any]:
    """Return the figures of a run by name, units in the names: all markets together.

    `quoting_share` is the mean over the markets; `traded_base` is NaN where they are of several base currencies, and `position_base`
    where there are several markets.
    """
    accounts, desk, made = report.accounts, report.desk, report.fills
    sent = desk["submits"] + desk["amends"] + desk["cancels"]

    def over(name: str) -> float:
        return sum(a[name] for a in accounts)

    return {
        "rows": report.rows,
        "span_s": desk["span_s"],
        "pnl_quote": report.pnl_quote,
        "gross_quote": over("gross_quote"),
        **{f"{name}_quote": over(f"{name}_quote") for name in ("half_spread", "adverse_selection", "inventory_carry", "fees", "funding")},
        "open_quote": over("open_quote"),
        "drawdown_quote_max": drawdown_quote_max(report),
        "fills": len(made),
        "maker_share": ratio(int((made["maker"] != 0).sum()), len(made)),
        "traded_base": sum(a["bought_base"] + a["sold_base"] for a in accounts) if one_base(report.instruments) else float("nan"),
        "position_base": accounts[0]["position_base"] if len(accounts) == 1 else float("nan"),
        "submits": desk["submits"],
        "amends": desk["amends"],
        "cancels": desk["cancels"],
        "order_to_trade": ratio(sent, len(made)),
        "quoting_share": over("quoting_share") / len(accounts),
        "state": desk["state"],
        "digest": report.digest,
    }


def one_base(instruments: Sequence[Instrument]) -> bool:
    """Return whether quantities of these markets can be added up: they are of one base currency, or contracts worth the same of it."""
    return len({(one.base, one.qty_unit, one.multiplier) for one in instruments}) == 1


def figures(report: "Report") -> "pd.DataFrame":
    """Return the figures of each market as a column."""
    import pandas as pd

    columns = {}
    for i, instrument in enumerate(report.instruments):
        chunks = report.origin.chunks() if report.origin is not None else None
        columns[instrument.symbol] = market_figures(report.facts, i, instrument, chunks)
    return pd.DataFrame(columns)


def comparable(report: "Report") -> dict[str, Any]:
    """Return all that two runs are compared by, by name."""
    refused = {f"refused: {name}": count for name, count in report.desk["refusals"].items()}
    several = len(report.instruments) > 1
    values: dict[str, Any] = {f"assumed: {name}": text for name, text in report.assumptions.items()}
    for symbol, column in figures(report).items():
        values |= {f"{symbol} {name}" if several else str(name): float(value) for name, value in column.items()}
    values |= report.summary() | refused
    for account in report.accounts if several else ():
        values |= {f"{account['instrument']} {name}": value for name, value in account.items() if name != "instrument"}
    return values

"""The report of a run, backtest or session: fills, curves, accounts, and what was assumed."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.data.state import State
from hftlab.instrument import Instrument
from hftlab.svg import curve
from hftlab.types import DESK_STATE_NAMES, FILL, MAKER, NO_PRICE, SAMPLE, VERDICT_NAMES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Report:
    """What a run did. `fills` and `samples` are the EVENT rows that the core wrote; `accounts` one dict a market."""

    instruments: tuple[Instrument, ...]
    fills: np.ndarray
    samples: np.ndarray
    accounts: tuple[dict[str, Any], ...]
    desk: Mapping[str, Any]
    rows: int
    took_s: float | None = None
    assumptions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, state: State, written: np.ndarray, *, rows: int, took_s: float | None = None, assumptions: Mapping[str, str] | None = None
    ) -> "Report":
        """Return the report of a state and of all rows that its run wrote."""
        return cls(
            instruments=state.instruments,
            fills=written[written["kind"] == FILL],
            samples=written[written["kind"] == SAMPLE],
            accounts=tuple(_account(state, i) for i in range(len(state.instruments))),
            desk=_desk(state),
            rows=rows,
            took_s=took_s,
            assumptions=dict(assumptions or {}),
        )

    @property
    def digest(self) -> str:
        """Return a digest of every fill and sample: equal runs, equal digest."""
        digest = hashlib.blake2b(self.fills.tobytes(), digest_size=8)
        digest.update(self.samples.tobytes())
        return digest.hexdigest()

    @property
    def pnl_quote(self) -> float:
        """Return the P&L after fees, open positions marked to fair, in quote currency."""
        return float(self.desk["pnl_quote"])

    def summary(self) -> dict[str, Any]:
        """Return the figures of the run by name, units in the names."""
        pnl = self.curves()["pnl_quote"].groupby(level="ts").sum() if len(self.samples) else None
        peak = np.maximum.accumulate(np.append(0.0, pnl)) if pnl is not None else np.zeros(1)
        drawdown = float((peak[1:] - pnl).max()) if pnl is not None and len(pnl) else 0.0
        fills = sum(a["fills"] for a in self.accounts)
        sent = self.desk["submits"] + self.desk["amends"] + self.desk["cancels"]
        return {
            "rows": self.rows,
            "span_s": self.desk["span_s"],
            "pnl_quote": self.pnl_quote,
            "gross_quote": sum(a["gross_quote"] for a in self.accounts),
            "fees_quote": sum(a["fees_quote"] for a in self.accounts),
            "drawdown_quote_max": drawdown,
            "fills": fills,
            "maker_share": float(np.mean((self.fills["flags"] & MAKER) != 0)) if fills else float("nan"),
            "traded_base": sum(a["bought_base"] + a["sold_base"] for a in self.accounts),
            "position_base": self.accounts[0]["position_base"] if len(self.accounts) == 1 else float("nan"),
            "submits": self.desk["submits"],
            "amends": self.desk["amends"],
            "cancels": self.desk["cancels"],
            "order_to_trade": sent / fills if fills else float("nan"),
            "quoting_share": self.accounts[0]["quoting_share"],
            "state": self.desk["state"],
            "digest": self.digest,
        }

    def frame(self) -> "pd.DataFrame":
        """Return one row a fill: when matched (UTC), instrument, side, price, qty, fee, fair price then, maker."""
        import pandas as pd

        rows, one = self.fills, self.instruments
        index = rows["instrument"]
        tick, lot = _grid(one, index)
        maker = (rows["flags"] & MAKER) != 0
        rate = np.where(maker, *([np.array([a[name] for a in self.accounts])[index] for name in ("maker_bps", "taker_bps")]))
        value = np.array([float(i.multiplier) for i in one])[index] * rows["price_ticks"] * tick * rows["qty_lots"] * lot
        return pd.DataFrame(
            {
                "ts": pd.to_datetime(rows["ts_exch_ns"], utc=True),
                "instrument": np.array([i.symbol for i in one])[index],
                "side": np.where(rows["side"] > 0, "buy", "sell"),
                "price": rows["price_ticks"] * tick,
                "qty": rows["qty_lots"] * lot,
                "fee_quote": np.abs(value) * rate * 1e-4,
                "fair": rows["seq"].view(np.float64) * tick,
                "maker": maker,
                "order_id": rows["order_id"],
            }
        )

    def curves(self) -> "pd.DataFrame":
        """Return one row a sample and instrument, by time (UTC): fair, our bid and ask, position, P&L in quote currency."""
        import pandas as pd

        rows = self.samples
        index = rows["instrument"]
        tick, lot = _grid(self.instruments, index)
        return pd.DataFrame(
            {
                "instrument": np.array([i.symbol for i in self.instruments])[index],
                "fair": rows["price_ticks"].view(np.float64) * tick,
                "bid": np.where(rows["order_id"] == NO_PRICE, np.nan, rows["order_id"] * tick),
                "ask": np.where(rows["seq"] == NO_PRICE, np.nan, rows["seq"] * tick),
                "position_base": rows["qty_lots"] * lot,
                "pnl_quote": rows["leaves_lots"].view(np.float64),
            },
            index=pd.to_datetime(rows["ts_recv_ns"], utc=True).rename("ts"),
        )

    def __repr__(self) -> str:
        s = self.summary()
        money = self.instruments[0].settle
        return f"<Report {s['fills']:,} fills, P&L {s['pnl_quote']:+.2f} {money} after {s['fees_quote']:.2f} fees, {self.rows:,} rows, {s['digest']}>"

    def _repr_html_(self) -> str:
        return _html(self)


def _account(state: State, i: int) -> dict[str, Any]:
    market, instrument = state.markets[i], state.instruments[i]
    unit = instrument.ticklot_quote
    fees = (float(market["fees_ticklots"]) + float(market["fees_uticklots"]) * 1e-6) * unit
    lasted_ns = max(int(state.desk["now_ns"][0]) - _first_ns(state), 1)
    return {
        "instrument": instrument.name,
        "fills": int(market["fills_count"]),
        "bought_base": float(instrument.qty(int(market["bought_lots"]))),
        "sold_base": float(instrument.qty(int(market["sold_lots"]))),
        "position_base": float(instrument.qty(int(market["position_lots"]))),
        "cash_quote": float(market["cash_ticklots"]) * unit,
        "fees_quote": fees,
        "gross_quote": float(market["pnl_quote"]) + fees,
        "pnl_quote": float(market["pnl_quote"]),
        "quoting_share": float(market["quoted_ns"]) / lasted_ns,
        "maker_bps": float(market["spec"]["maker_centibps"]) / 100,
        "taker_bps": float(market["spec"]["taker_centibps"]) / 100,
    }


def _first_ns(state: State) -> int:
    return int(state.desk["start_ns"][0])


def _desk(state: State) -> dict[str, Any]:
    desk = state.desk[0]
    return {
        "pnl_quote": float(desk["pnl_quote"]),
        "submits": int(desk["submits"]),
        "amends": int(desk["amends"]),
        "cancels": int(desk["cancels"]),
        "rejects": int(desk["rejects"]),
        "span_s": (int(desk["now_ns"]) - _first_ns(state)) / 1e9,
        "state": DESK_STATE_NAMES[int(desk["state"])],
        "refusals": {name: int(n) for name, n in zip(VERDICT_NAMES, desk["verdicts"], strict=False) if n and name != "ok"},
    }


def _grid(instruments: tuple[Instrument, ...], index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tick = np.array([float(i.tick_size) for i in instruments])
    lot = np.array([float(i.lot_size) for i in instruments])
    return tick[index], lot[index]


_LABELS = {
    "pnl_quote": "P&L after fees",
    "gross_quote": "before fees",
    "fees_quote": "fees",
    "drawdown_quote_max": "largest drawdown",
    "fills": "fills",
    "maker_share": "maker share",
    "traded_base": "traded",
    "position_base": "position at the end",
    "order_to_trade": "requests per fill",
    "quoting_share": "time with both sides live",
    "rows": "rows",
    "span_s": "span",
    "digest": "digest",
}


def _html(report: Report) -> str:
    import html

    summary, first = report.summary(), report.instruments[0]
    cells = "".join(
        f"<tr><td style='text-align:left'>{_LABELS[name]}</td><td style='text-align:right;font-variant-numeric:tabular-nums'>"
        f"{html.escape(_text(name, summary[name], first))}</td></tr>"
        for name in _LABELS
    )
    notes = "; ".join(f"{k}: {v}" for k, v in report.assumptions.items()) or "none stated"
    refused = ", ".join(f"{k} {v}" for k, v in report.desk["refusals"].items()) or "none"
    curves = report.curves()
    pictures = ""
    if len(curves):
        one = curves[curves["instrument"] == first.symbol]
        total = curves["pnl_quote"].groupby(level="ts").sum()
        seconds = (one.index - one.index[0]).total_seconds().to_numpy()
        pictures = curve((total.index - total.index[0]).total_seconds().to_numpy(), total.to_numpy(), f"P&L ({first.settle})")
        pictures += curve(seconds, one["position_base"].to_numpy(), f"Position ({first.base})", steps=True)
    return (
        f"<div style='display:flex;gap:24px;align-items:flex-start'><table>{cells}</table><div>{pictures}</div></div>"
        f"<div style='opacity:.75'>Assumed: {html.escape(notes)}. Refused by risk: {html.escape(refused)}.</div>"
    )


def _text(name: str, value: Any, instrument: Instrument) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "–"
    if name.endswith(("_quote", "_quote_max")):
        sign = "+" if name in {"pnl_quote", "gross_quote"} else ""  # fees and drawdowns are amounts, a P&L has a direction
        return f"{value:{sign},.{2 if abs(value) >= 1 else 4}f} {instrument.settle}"
    if name.endswith("_base"):
        return f"{value:,.{instrument.qty_decimals}f} {instrument.base}"
    if name.endswith("_share"):
        return f"{value:.1%}"
    if name == "span_s":
        return f"{value:,.1f} s"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)

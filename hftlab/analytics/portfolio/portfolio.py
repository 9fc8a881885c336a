"""Portfolio risk now: exposure, correlation, value at risk, expected shortfall, drawdown, stress. Cheap enough for every second.

Positions are those of this moment, moves are those of the past: nothing here says what a quoter would have done meanwhile.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.drawing.pictures import amount
from hftlab.analytics.portfolio import formulas as pm
from hftlab.analytics.portfolio import stress as ss
from hftlab.analytics.portfolio.book import Desk, Holding, desk_of, moves, rate_of, summed
from hftlab.strict import keywords, number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class RiskMetrics:
    """Risk at one moment, money in `currency`, losses as positive amounts, each over one step of `horizon_s` seconds.

    `var_95_quote`: the loss that one past move in twenty would exceed with the current position (historical, linear percentile);
    `var_95_normal_quote`: the same of normal moves with the EWMA covariance; `cvar_95_quote`: mean of the worst of those past moves;
    `drawdown_quote` now and `drawdown_quote_max` of the P&L at hand. `samples` past moves were used, `samples_wanted` are needed:
    with fewer these numbers are NaN. `exposure`: one row a market; `volatility_bps`: EWMA, of one step; `correlation` (m, m);
    `stress`: one row a scenario, `pnl_quote` and its meaning.
    """

    currency: str
    ts_ns: int
    horizon_s: float
    samples: int
    samples_wanted: int
    decay: float
    exposure: "pd.DataFrame"
    gross_quote: float
    net_quote: float
    var_95_quote: float
    var_95_normal_quote: float
    cvar_95_quote: float
    drawdown_quote: float
    drawdown_quote_max: float
    volatility_bps: "pd.Series"
    correlation: "pd.DataFrame"
    stress: "pd.DataFrame"
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: tables as lists of rows, None for what is not known."""
        values: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        values["exposure"] = self.exposure.reset_index().to_dict("records")
        values["stress"] = self.stress.reset_index().to_dict("records")
        values["volatility_bps"] = self.volatility_bps.to_dict()
        values["correlation"] = {name: row.to_dict() for name, row in self.correlation.iterrows()}
        plain: dict[str, Any] = _plain(values)
        return plain

    def figures(self) -> dict[str, tuple[float, str]]:
        """Return the headline numbers by name, each with what it means, horizon and unit included."""
        step = f"over {self.horizon_s:g} s"
        return {
            "gross exposure": (self.gross_quote, f"{self.currency}, all positions without their signs"),
            "net exposure": (self.net_quote, f"{self.currency}, with them"),
            "VaR 95": (self.var_95_quote, f"{self.currency} {step}, historical: one move in twenty lost more"),
            "VaR 95, normal": (self.var_95_normal_quote, f"{self.currency} {step}, EWMA with lambda {self.decay:g} a step"),
            "CVaR 95": (self.cvar_95_quote, f"{self.currency} {step}, mean of those worst moves"),
            "drawdown": (self.drawdown_quote, f"{self.currency} below the peak of the P&L, now"),
            "largest drawdown": (self.drawdown_quote_max, f"{self.currency}, of the P&L at hand"),
        }

    def __repr__(self) -> str:
        known = f"VaR 95 {_money(self.var_95_quote)}, CVaR 95 {_money(self.cvar_95_quote)} {self.currency} over {self.horizon_s:g} s"
        return f"<RiskMetrics net {self.net_quote:,.2f} {self.currency}, {known}, {self.samples} of {self.samples_wanted} moves>"

    def _repr_html_(self) -> str:
        left, right = "style='text-align:left'", "style='text-align:right'"
        rows = "".join(
            f"<tr><th {left}>{escape(name)}</th><td {right}>{_money(value)}</td><td {left}>{escape(words)}</td></tr>"
            for name, (value, words) in self.figures().items()
        )
        shocks = "".join(
            f"<tr><th {left}>{escape(str(name))}</th><td {right}>{amount(row.pnl_quote)}</td><td {left}>{escape(row.meaning)}</td></tr>"
            for name, row in self.stress.iterrows()
        )
        tables = f"{self.exposure.to_html(border=0, na_rep='–', float_format='{:,.8g}'.format)}"
        if len(self.correlation) > 1:
            tables += f"<div><b>Correlation</b></div>{self.correlation.to_html(border=0, float_format='{:.2f}'.format)}"
        said = "".join(f"<div style='opacity:.75'>{escape(note)}</div>" for note in self.notes)
        return (
            f"<div><b>Risk now</b></div><table>{rows}</table>{said}{tables}"
            f"<div><b>Stress: P&amp;L in {escape(self.currency)}</b></div><table>{shocks}</table>"
        )


@keywords
def risk_metrics(
    source: Any,
    *,
    horizon_s: float = 10.0,
    decay: float = pm.DECAY,
    currency: str | None = None,
    rates: Mapping[str, float] | None = None,
    price_shocks_frac: Sequence[float] = ss.PRICE_SHOCKS_FRAC,
    volatility_factors: Sequence[float] = ss.VOLATILITY_FACTORS,
    spread_factors: Sequence[float] = ss.SPREAD_FACTORS,
    depth_factor: float = ss.DEPTH_FACTOR,
) -> RiskMetrics:
    """Return the RiskMetrics of a Report, a Frame, a View or Session, or of a list of these taken together.

    Past fair prices come from the sample and bar rings of a frame (some 40 minutes at the usual pace), or from a report's samples;
    moves are taken over steps of `horizon_s`. `decay` is lambda of the EWMA (RiskMetrics 1996) per step. Desks of several currencies
    need `rates`: the worth of one unit of each in `currency` (default: that of the first desk). The last four are the sizes of the
    stress scenarios: relative jumps of price, multiples of volatility and spread, and the share of the visible depth in a thin book.
    Raises InputError, UnknownName.
    """
    horizon_s, decay = number(horizon_s, "horizon_s", 0.001, 1e7), number(decay, "decay", 0.0, 0.9999)
    several = isinstance(source, Sequence) and not isinstance(source, str | bytes)
    desks = [desk_of(one) for one in (source if several else (source,))]
    into = currency or desks[0].currency
    holdings = [one for desk in desks for one in desk.holdings]
    rate = np.array([rate_of(one.instrument.settle, into, rates or {}) for one in holdings])
    table, span_ns = moves(holdings, horizon_s)
    enough = len(table) >= pm.MOVES_MIN
    pnl = _outcomes(holdings, rate, table)
    covariance = pm.ewma_covariance(table, decay) if enough else np.full((len(holdings),) * 2, np.nan)
    exposures = np.array([one.exposure_quote for one in holdings]) * rate
    now, largest = _drawdown(desks, into, rates or {})
    return RiskMetrics(
        currency=into,
        ts_ns=max([span_ns[1], *(int(desk.pnl_ns[-1]) for desk in desks if len(desk.pnl_ns))]),
        horizon_s=horizon_s,
        samples=len(table),
        samples_wanted=pm.MOVES_MIN,
        decay=decay,
        exposure=_exposure(holdings, exposures, into),
        gross_quote=float(np.abs(exposures).sum()),
        net_quote=float(exposures.sum()),
        var_95_quote=pm.var_historical(pnl) if enough else math.nan,
        var_95_normal_quote=pm.var_normal(exposures, covariance) if enough else math.nan,
        cvar_95_quote=pm.cvar_historical(pnl) if enough else math.nan,
        drawdown_quote=now,
        drawdown_quote_max=largest,
        volatility_bps=_named(holdings, np.sqrt(np.diag(covariance)) * 1e4),
        correlation=_square(holdings, pm.correlation_of(covariance)),
        stress=ss.stress(
            holdings,
            rate,
            covariance,
            price_shocks_frac=price_shocks_frac,
            volatility_factors=volatility_factors,
            spread_factors=spread_factors,
            depth_factor=depth_factor,
        ),
        notes=_notes(desks, len(table), horizon_s),
    )


def _outcomes(holdings: Sequence[Holding], rates: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the P&L (n,) that the current positions would have made in each past move."""
    pnl = np.zeros(len(table))
    for k, one in enumerate(holdings):
        if one.position_lots:
            pnl += rates[k] * one.moved_quote(one.mark_ticks * (1.0 + table[:, k]))
    return pnl


def _drawdown(desks: Sequence[Desk], into: str, rates: Mapping[str, float]) -> tuple[float, float]:
    worth = [rate_of(desk.currency, into, rates) for desk in desks]
    _, pnl = summed([(desk.pnl_ns, desk.pnl_quote * rate) for desk, rate in zip(desks, worth, strict=True)])
    # Peaks of several desks were not at one time: their sum would be a peak that never was.
    peak = desks[0].peak_quote * worth[0] if len(desks) == 1 else 0.0
    return pm.drawdown(pnl, peak)


def _names(holdings: Sequence[Holding]) -> list[str]:
    symbols = [one.instrument.symbol for one in holdings]
    return symbols if len(set(symbols)) == len(symbols) else [one.instrument.name for one in holdings]


def _named(holdings: Sequence[Holding], values: np.ndarray) -> "pd.Series":
    import pandas as pd

    return pd.Series(values, index=_names(holdings))


def _square(holdings: Sequence[Holding], values: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    names = _names(holdings)
    return pd.DataFrame(values, index=names, columns=names)


def _exposure(holdings: Sequence[Holding], exposures: np.ndarray, into: str) -> "pd.DataFrame":
    import pandas as pd

    gross = float(np.abs(exposures).sum())
    return pd.DataFrame(
        {
            "position": [float(one.instrument.qty(one.position_lots)) for one in holdings],
            "of": [one.instrument.base for one in holdings],
            "price": [one.price for one in holdings],
            "exposure_quote": exposures,
            "gross_share": np.abs(exposures) / gross if gross > 0 else np.zeros(len(exposures)),
            "currency": into,
        },
        index=pd.Index(_names(holdings), name="market"),
    )


def _notes(desks: Sequence[Desk], count: int, horizon_s: float) -> tuple[str, ...]:
    notes = [note for desk in desks for note in desk.notes]
    if count < pm.MOVES_MIN:
        wait_s = pm.MOVES_MIN * horizon_s
        notes.append(
            f"VaR, CVaR and correlation want {pm.MOVES_MIN} moves of {horizon_s:g} s ({wait_s:g} s of prices), and there are {count}: "
            "wait, or ask for a shorter horizon_s."
        )
    return tuple(notes)


def _money(value: float) -> str:
    return f"{value:,.2f}" if math.isfinite(value) else "–"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value

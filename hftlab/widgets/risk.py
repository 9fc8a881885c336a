"""Limits: how much of each is used, and what the gate refused. The P&L, split into where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.portfolio.grade import SAID, Grade, grade
from hftlab.data.frame import Frame, Gauge
from hftlab.instrument import Instrument
from hftlab.types import FILLS
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.text import STATE_LEVELS, esc, number, places

AMBER, RED = 0.7, 0.9


def level(share: float) -> str:
    """Return ok, warn or bad for a share of a limit."""
    return "bad" if share > RED else "warn" if share > AMBER else "ok"


UNIT_CHARS = 6  # a longer unit is an explanation, and is read by pointing at the figure


def decimals(gauge: Gauge, instrument: Instrument) -> int:
    """Return the decimals of a gauge: fixed by its limit, so that nothing jumps as it changes and neither of them is rounded away."""
    if gauge.unit == instrument.qty_unit:
        return instrument.qty_decimals
    if gauge.unit == instrument.settle:
        limited = np.isfinite(gauge.limit)
        return 0 if limited and gauge.limit >= 5000 else places(gauge.limit if limited else gauge.amount)
    if gauge.unit in {"", "prices"}:
        return 0
    return 1 if gauge.limit >= 10 else places(gauge.limit)


def gauge_html(gauge: Gauge, places: int) -> str:
    """Return one gauge: name, amount beside limit, and a bar that is the share of the limit."""
    limited = np.isfinite(gauge.limit) and gauge.limit > 0
    limit = number(gauge.limit, 0 if gauge.limit == int(gauge.limit) else places) if limited else "no limit"
    unit = f' <span class="hft-dim">{esc(gauge.unit)}</span>' if 0 < len(gauge.unit) <= UNIT_CHARS else ""
    share = min(1.0, gauge.share)
    used = f' <span class="hft-pct">{number(100 * gauge.share, 0)}%</span>' if limited and np.isfinite(gauge.amount) else ""
    css = level(gauge.share)
    colour = f"hft-level-{css}" if css != "ok" else ""
    return (
        f'<div class="hft-row" title="{esc(gauge.unit)}"><span>{esc(gauge.name)}</span>'
        f'<span class="hft-n {colour}">{number(gauge.amount, places)} / {limit}{unit}{used}</span></div>'
        f'<div class="hft-gauge"><i style="width:{100 * share:.1f}%;background:var(--hft-{css})"></i></div>'
    )


class Risk(HtmlPanel):
    """The state and its reason, a grade, gauges, and refusals by reason."""

    hz = 3.0
    title = "Risk"

    def render(self, frame: Frame) -> str:
        """Return gauges, then refusals."""
        instrument, gauges = frame.instruments[self.market], frame.gauges(self.market)
        self.heading(grade_html(grade(gauges, frame.state)))
        rows = "".join(gauge_html(gauge, decimals(gauge, instrument)) for gauge in gauges)
        return state_html(frame) + rows + refusals_html(frame.refusals(), 5)


def grade_html(found: Grade | None) -> str:
    """Return the grade in its colour; pointing at it says how it is made."""
    if found is None:
        return '<span title="no limit is set">no grade</span>'
    css = "ok" if found.points >= 80 else "warn" if found.points >= 60 else "bad"
    said = f"{SAID} Fullest: {found.fullest}, {100 * found.share:.0f} %." + (f" Unknown: {found.unknown}." if found.unknown else "")
    return f'<span class="hft-level-{css}" title="{esc(said)}">grade {esc(found)}</span>'


def state_html(frame: Frame) -> str:
    """Return the state of the desk and why."""
    reason = frame.state_reason
    why = f' <span class="hft-dim">{esc(reason)}</span>' if reason else ""
    return f'<div class="hft-why"><b class="hft-level-{STATE_LEVELS[frame.state]}">● {esc(frame.state)}</b>{why}</div>'


def refusals_html(refused: Mapping[str, int], most: int) -> str:
    """Return how often the gate refused, by reason, the most frequent first."""
    if not refused:
        return '<div class="hft-dim">nothing refused</div>'
    ordered = sorted(refused.items(), key=lambda item: -item[1])
    rows = "".join(
        f'<div class="hft-row"><span>{esc(name)}</span><span class="hft-n">{count}</span></div>' for name, count in ordered[:most]
    )
    more = f'<div class="hft-dim">and {len(ordered) - most} more reasons</div>' if len(ordered) > most else ""
    return (
        f'<div class="hft-dim hft-row"><span>refused because of</span><span class="hft-n">{sum(refused.values())}</span></div>{rows}{more}'
    )


@dataclass(frozen=True)
class Identity:
    """P&L of the remembered fills, in settlement currency: `spread` + `carry` - `fees` is what the account should show."""

    spread: float
    carry: float
    fees: float
    account: float
    complete: bool  # every fill since the start is remembered, so `account` must agree

    @property
    def residual(self) -> float:
        """Return what the parts do not explain."""
        return self.account - (self.spread + self.carry - self.fees)


def identity(frame: Frame, i: int) -> Identity | None:
    """Return the split of the P&L of market `i`, or None before the first fill.

    With fills j at price p, fair price f, side s and quantity q, and positions Q between them, the change of the marked
    P&L is exactly sum s q (f - p) [earned against fair] + sum Q (f' - f) [price moved while we held] - fees.
    """
    market, fills = frame.markets[i], frame.fills(i)
    fair = float(market["fair_ticks"])
    if not len(fills) or not np.isfinite(fair):
        return None
    money, worth = float(market["spec"]["ticklot_quote"]), frame.instruments[i].worth_of
    edge = worth(fills["fair_ticks"]) - worth(fills["price_ticks"].astype(float))
    spread = float(np.sum(fills["side"] * fills["qty_lots"] * edge)) * money
    moves = np.diff(worth(np.append(fills["fair_ticks"], fair)))
    carry = float(np.sum(fills["position_lots"] * moves)) * money
    fees = float(np.sum(fills["fee_ticklots"]) + np.sum(fills["fee_uticklots"]) * 1e-6) * money
    complete = int(market["fills_count"]) <= FILLS
    account = float(market["pnl_quote"]) if complete else spread + carry - fees
    return Identity(spread, carry, fees, account, complete)


class PnlIdentity(HtmlPanel):
    """Are we making money, and why."""

    hz = 2.0
    title = "P&L identity"

    def render(self, frame: Frame) -> str:
        """Return the parts, each with a bar from where the one before ended, and the sum."""
        quote = frame.instruments[self.market].settle
        parts = identity(frame, self.market)
        if parts is None:
            self.heading(esc(quote))
            return '<div class="hft-none">no fills yet</div>'
        self.heading(f"{esc(quote)} · {'since start' if parts.complete else f'last {FILLS} fills'}")
        lines = [("earned vs fair", parts.spread), ("moves while held", parts.carry), ("fees and rebates", -parts.fees)]
        edges = np.concatenate([[0.0], np.cumsum([value for _, value in lines])])
        digits = places(parts.account, *(value for _, value in lines))
        low, span = float(edges.min()), float(np.ptp(edges)) or 1.0
        rows = ""
        for (name, value), start in zip(lines, edges, strict=False):
            left, wide = 100 * (min(start, start + value) - low) / span, 100 * abs(value) / span
            bar = f'<i style="display:block;height:7px;margin-left:{left:.1f}%;width:{wide:.1f}%;background:var(--hft-{"ok" if value >= 0 else "bad"})"></i>'
            rows += f'<tr><td class="l">{name}</td><td class="hft-n">{number(value, digits, sign=True)}</td><td style="width:26%">{bar}</td></tr>'
        none = abs(parts.residual) < 0.5 * 10.0**-digits  # not one digit of what is shown
        residual = f"resid. {'0' if none else number(parts.residual, digits)}" if parts.complete else ""
        rows += (
            f'<tr class="sum"><td class="l">account P&amp;L</td><td class="hft-n">{number(parts.account, digits, sign=True)}</td>'
            f'<td class="hft-dim" style="font-weight:400">{residual}</td></tr>'
        )
        return f"<table>{rows}</table>"

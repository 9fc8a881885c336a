"""A session on one page of plain text: what it made, what that was made of, and what to know before believing it."""

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.costs import shortfall as sf
from hftlab.analytics.costs.latency import advise_report
from hftlab.analytics.drawing.pictures import amount
from hftlab.analytics.facts.figures import ratio
from hftlab.analytics.sheets.grade import performance_grade

if TYPE_CHECKING:
    from hftlab.analytics.report.report import Report

WIDTH = 78


def session_summary(report: "Report") -> str:
    """Return the summary: losses, warnings and what is not known included. At most about sixty lines of WIDTH characters."""
    facts, unit = report.facts, report.instruments[0].settle
    start, end = (str(np.datetime64(ns, "ns").astype("datetime64[s]")).replace("T", " ") for ns in (facts.start_ns, facts.end_ns))
    lines = [
        ", ".join(one.name for one in report.instruments),
        f"{start} to {end} UTC, {report.rows:,} rows, digest {report.digest}",
        "=" * WIDTH,
        *_warnings(report),
        "",
        *_money(report, unit),
        "",
        *_trading(report),
        "",
        *_quality(report),
        "",
        *_latency(report),
        "",
        *_closing(report),
    ]
    return "\n".join(lines)


def _line(name: str, value: str, note: str = "") -> str:
    return f"  {name:<34}{value:>16}  {note}".rstrip()


def _wrapped(text: str, first: str = "  ") -> list[str]:
    return wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def _warnings(report: "Report") -> list[str]:
    found = report.warnings()
    return [line for text in found for line in _wrapped(text, "! ")] if found else ["No warnings."]


def _money(report: "Report", unit: str) -> list[str]:
    summary = report.summary()
    rows = {
        "half-spread at the match": summary["half_spread_quote"],
        "adverse selection, 5 s": summary["adverse_selection_quote"],
        "inventory carry": summary["inventory_carry_quote"],
        "fees (a rebate is positive)": 0.0 - summary["fees_quote"],
        "funding": 0.0 - summary["funding_quote"],
    }
    lines = [f"P&L after fees and funding: {amount(summary['pnl_quote'])} {unit}"]
    lines += [_line(name, amount(value)) for name, value in rows.items()]
    lines.append(_line("largest drawdown", f"{summary['drawdown_quote_max']:,.4g}"))
    lines.append(_line("of the P&L in the open position", amount(summary["open_quote"])))
    states = report.attribution("volatility")
    if len(states):
        split = ", ".join(f"{name} {amount(float(value))}" for name, value in states["pnl_quote"].items())
        lines += _wrapped(f"by the market's volatility (thirds of the time): {split}")
    return lines


def _trading(report: "Report") -> list[str]:
    summary, fills = report.summary(), report.fills
    orders = sf.totals(sf.parents(report.facts, report.instruments, "orders"), report.instruments)
    lines = [f"Trading: {len(fills):,} fills, {summary['submits']:,} orders, {summary['amends']:,} amends, {summary['cancels']:,} cancels"]
    lines.append(_line("maker share", _share(summary["maker_share"])))
    lines.append(_line("requests a fill", _number(summary["order_to_trade"])))
    notional = sum(
        float(np.abs(one.value_of(mine["price_ticks"]) * mine["qty_lots"]).sum()) * one.ticklot_quote
        for i, one in enumerate(report.instruments)
        for mine in (fills[fills["instrument"] == i],)
    )
    lines.append(_line("traded", f"{notional:,.2f}", report.instruments[0].settle))
    parts = ", ".join(f"{name} {amount(orders[f'{name}_quote'])}" for name in sf.SHORTFALL)
    lines += _wrapped(f"implementation shortfall of all orders {amount(orders['shortfall_quote'])} (a cost is positive): {parts}")
    if len(report.facts.targets):
        targets = sf.totals(sf.parents(report.facts, report.instruments, "targets"), report.instruments)
        lines += _wrapped(f"of {targets['parents']:,.0f} targets {amount(targets['shortfall_quote'])}")
    return lines


def _quality(report: "Report") -> list[str]:
    lines = ["Quotes"]
    for symbol, found in report.quality().items():
        lines.append(f"  {symbol}")
        for name, key in (("spread captured after 1 s", "spread_capture_1s"), ("spread captured after 10 s", "spread_capture_10s")):
            lines.append(_line(name, _share(found[key]), _between(found[f"{key}_low"], found[f"{key}_high"])))
        lines.append(_line("both sides live within 5 ticks", _share(found["uptime_share"])))
        lines.append(
            _line("quotes hit", _share(found["quote_hit_rate"]), _between(found["quote_hit_rate_low"], found["quote_hit_rate_high"]))
        )
        lines.append(_line("life of a quote, median", _number(found["quote_life_ms_p50"]), "ms"))
        lines.append(_line("inventory turned over", _number(found["inventory_turnover_per_h"]), "times an hour"))
    return lines


def _latency(report: "Report") -> list[str]:
    lines = ["Latency"]
    for stage in advise_report(report):
        times = f"{stage.p50_ms:,.1f} ms (p99 {stage.p99_ms:,.1f}): " if math.isfinite(stage.p50_ms) else ""
        lines += _wrapped(f"{stage.stage}: {times}{stage.what_to_do}")
    return lines


def _closing(report: "Report") -> list[str]:
    desk = report.desk
    refused = ", ".join(f"{name} {count:,}" for name, count in desk["refusals"].items()) or "nothing"
    earned = performance_grade(report)
    grade = str(earned) if earned is not None else "none: fewer than 30 fills show nothing"
    lines = [f"The desk ended {desk['state']}; its risk gate refused: {refused}."]
    lines += _wrapped(f"Performance grade: {grade}.", "")
    lines += _wrapped(
        f"Against standing still, which makes 0: {amount(report.pnl_quote)} {report.instruments[0].settle}; {_held(report)}", ""
    )
    luck = report.luck()
    lines += _wrapped(str(luck), "") if luck.runs else []
    return lines


def _held(report: "Report") -> str:
    """Return what holding the mean position from the first to the last price would have made."""
    parts = []
    for i, one in enumerate(report.instruments):
        path, held = report.facts.paths[i], _mean_position(report, i)
        move = (path.last_mid2 - path.first_mid2) / 2 * float(one.tick_size)
        if not one.inverse and math.isfinite(held):
            parts.append(f"{one.symbol} {amount(held * move * float(one.multiplier))}")
    return f"against holding the mean position throughout: {', '.join(parts)}." if parts else "an inverse contract has no such rest."


def _mean_position(report: "Report", i: int) -> float:
    from hftlab.analytics.facts.figures import inventory

    mine = report.fills[report.fills["instrument"] == i]
    return float(inventory(mine, report.instruments[i], report.facts.start_ns, report.facts.end_ns)["position_base_mean"])


def _share(value: Any) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "–"


def _number(value: Any) -> str:
    return f"{value:,.1f}" if math.isfinite(value) else "–"


def _between(low: float, high: float) -> str:
    return f"[{_share(low)}, {_share(high)}]" if math.isfinite(ratio(low, 1)) else "too little for an interval"

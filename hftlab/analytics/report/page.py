"""A report as a page: headline, where the P&L came from, markouts, curves, orders, assumptions, and what to be careful about."""

import math
from html import escape
from typing import TYPE_CHECKING, Any

from hftlab.analytics.drawing.pictures import amount, bars, markouts
from hftlab.analytics.facts.journeys import STATUSES, journeys
from hftlab.analytics.facts.pnl import PARTS
from hftlab.instrument import Instrument
from hftlab.svg import curve

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report

_HEADLINE = {
    "pnl_quote": "P&L after fees",
    "gross_quote": "before fees and funding",
    "fees_quote": "fees paid (a rebate is negative)",
    "open_quote": "of it in the open position",
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
_SIGNED = {"pnl_quote", "gross_quote", "open_quote"}  # fees and drawdowns are amounts, a P&L has a direction

_NAMES = {
    "half_spread": "half-spread earned",
    "adverse_selection": "adverse selection, 5 s",
    "inventory_carry": "inventory carry",
    "fees": "fees and rebates",
    "funding": "funding",
    "account": "account P&L",
}

_STYLE = """<style>
.hl-report{font:13px/1.45 system-ui,sans-serif;max-width:1080px}
.hl-report table{border-collapse:collapse;margin:4px 0;font-size:12px;background:none}
.hl-report th{text-align:left;font-weight:600;padding:1px 10px 1px 0;background:none;border:0}
.hl-report td{text-align:right;padding:1px 10px 1px 0;font-variant-numeric:tabular-nums;background:none;border:0}
.hl-report td.w{text-align:left}
.hl-report tr{background:none!important}
.hl-report details{border-top:1px solid rgba(128,128,128,.35);padding:4px 0}
.hl-report details details{margin-left:14px}
.hl-report summary{cursor:pointer;font-weight:600}
.hl-report .row{display:flex;flex-wrap:wrap;gap:8px 28px;align-items:flex-start}
.hl-report .warn{border-left:3px solid #e08a1e;padding-left:8px;margin:6px 0}
.hl-report .note{opacity:.75}
</style>"""


def document(report: "Report") -> str:
    """Return a whole page that follows the reader's choice of light or dark."""
    title = f"{', '.join(i.name for i in report.instruments)}: {report.digest}"
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        "<style>:root{color-scheme:light dark}body{background:Canvas;color:CanvasText;margin:24px}</style></head>"
        f"<body><h1 style='font:600 18px system-ui,sans-serif'>{escape(title)}</h1>{section(report)}</body></html>"
    )


def section(report: "Report") -> str:
    """Return the report as HTML that stands in a notebook: no script, closed sections open on a click."""
    parts = [
        _STYLE,
        "<div class='hl-report'>",
        _warnings(report),
        _luck(report),
        f"<div class='row'><div>{_headline(report)}</div><div style='flex:1 1 480px'>{identity_html(report)}</div></div>",
        _open("Markouts", markouts_html(report), shown=True),
        _open("Curves", _curves(report), shown=True),
        _open("P&L by side and hour", _parts_table(report)),
        _open("Orders and fills", orders_html(report)),
        _open("Latency used", html_table(report.latency().reset_index())),
        _open("Assumed", assumed_html(report)),
        "</div>",
    ]
    return "".join(parts)


def _open(title: str, body: str, *, shown: bool = False) -> str:
    return f"<details{' open' if shown else ''}><summary>{escape(title)}</summary>{body}</details>"


def _warnings(report: "Report") -> str:
    said = "".join(f"<div>{escape(text)}</div>" for text in report.warnings())
    return f"<div class='warn'>{said}</div>" if said else ""


def _luck(report: "Report") -> str:
    found = report.luck()
    return f"<div class='note'>{escape(str(found))}</div>" if found.runs else ""


def _headline(report: "Report") -> str:
    summary, first = report.summary(), report.instruments[0]
    cells = "".join(
        f"<tr><th>{escape(label)}</th><td>{escape(text(name, summary[name], first))}</td></tr>" for name, label in _HEADLINE.items()
    )
    return f"<table>{cells}</table>"


def identity_html(report: "Report") -> str:
    """Return the parts of the P&L as bars, and their residual."""
    summary, unit = report.summary(), report.instruments[0].settle
    values = {name: 0.0 - summary[f"{name}_quote"] if name in {"fees", "funding"} else summary[f"{name}_quote"] for name in PARTS}
    residual = sum(one.total.residual for one in report.pnl)
    picture = bars([(_NAMES[name], value) for name, value in (values | {"account": report.pnl_quote}).items()], unit)
    return (
        f"<div><b>Where the P&amp;L came from</b></div>{picture}"
        f"<div class='note'>In integers, against the ledger: residual {residual:,}. Marked to the exchange's last mid; "
        f"the desk's own mark gives {amount(float(report.desk['pnl_quote']))} {escape(unit)}.</div>"
    )


def markouts_html(report: "Report") -> str:
    """Return the markouts as pictures, and by their buckets as tables."""
    if not len(report.fills):
        return "<div class='note'>No fills, so no markouts.</div>"
    pictures = []
    for by, title in (("side", "by side"), ("liquidity", "maker and taker")):
        table = report.markouts(by)
        series = {
            str(name): [(float(r.horizon_s), float(r.markout_ticks), float(r.low_ticks), float(r.high_ticks)) for r in rows.itertuples()]
            for name, rows in table.groupby("bucket", sort=False)
        }
        pictures.append(markouts(series, f"Markout in ticks, {title}"))
    more = "".join(
        _open(f"by {name}", html_table(report.markouts(by)))
        for by, name in (
            ("side", "side"),
            ("queue", "place in the queue"),
            ("imbalance", "imbalance, signed to our side"),
            ("spread", "spread"),
        )
    )
    note = (
        "Side × (mid later − price), weighted by lots. Whiskers: 95 % block bootstrap; a hollow point has too few independent blocks of "
        "time for one. Fills whose horizon lies past the end are left out and counted."
    )
    return f"<div class='row'>{''.join(f'<div>{p}</div>' for p in pictures)}</div><div class='note'>{note}</div>{more}"


def _curves(report: "Report") -> str:
    table = report.curves()
    if not len(table):
        return "<div class='note'>The run wrote no samples.</div>"
    total = table["pnl_quote"].groupby(level="ts").sum()
    seconds = (total.index - total.index[0]).total_seconds().to_numpy()
    pictures = [curve(seconds, total.to_numpy(), f"P&L at the desk's mark ({report.instruments[0].settle})")]
    for instrument in report.instruments:
        one = table[table["instrument"] == instrument.symbol]
        if len(one):
            since = (one.index - total.index[0]).total_seconds().to_numpy()
            pictures.append(
                curve(since, one["position_base"].to_numpy(), f"Position, {instrument.symbol} ({instrument.qty_unit})", steps=True)
            )
    return f"<div class='row'>{''.join(f'<div>{p}</div>' for p in pictures)}</div>"


def _parts_table(report: "Report") -> str:
    return html_table(report.pnl_table().rename(columns=_NAMES).reset_index())


def orders_html(report: "Report") -> str:
    """Return what became of the orders, and the figures of quoting."""
    found = journeys(report.facts.own)
    ended = ", ".join(f"{name} {int((found['status'] == n).sum()):,}" for n, name in enumerate(STATUSES) if (found["status"] == n).any())
    desk = report.desk
    sent = (
        f"{desk['submits']:,} submits, {desk['amends']:,} amends, {desk['cancels']:,} cancels, {desk['rejects']:,} refused by the exchange"
    )
    refused = ", ".join(f"{name} {count:,}" for name, count in report.desk["refusals"].items()) or "nothing"
    figures = report.figures()
    return (
        f"<div>{len(found):,} orders: {escape(ended or 'none')}. Sent: {escape(sent)}. Refused by our own risk gate: {escape(refused)}.</div>"
        f"{html_table(figures.rename(index=lambda name: name.replace('_', ' ')).reset_index(names='figure'))}"
    )


def assumed_html(report: "Report") -> str:
    """Return the assumptions as a table."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td class='w'>{escape(value)}</td></tr>" for name, value in report.assumptions.items())
    hint = "One number is one assumption about the queue: report.bracket() runs the harshest and the kindest beside it."
    table = f"<table>{rows}</table>" if rows else "<div class='note'>None stated.</div>"
    return table + (f"<div class='note'>{hint}</div>" if report.origin is not None else "")


def html_table(table: "pd.DataFrame") -> str:
    """Return a table of words and numbers as HTML, without its index."""
    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td{' class=w' if isinstance(value, str) else ''}>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    return f"<div style='overflow-x:auto'><table><tr>{head}</tr>{body}</table></div>"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "–"
    if float(value) == int(value):
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def text(name: str, value: Any, instrument: Instrument) -> str:
    """Return a figure of `Report.summary` with its unit."""
    if isinstance(value, float) and math.isnan(value):
        return "–"
    if name.endswith(("_quote", "_quote_max")):
        sign = "+" if name in _SIGNED else ""
        return f"{value:{sign},.{2 if abs(value) >= 1 else 4}f} {instrument.settle}"
    if name.endswith("_base"):
        return f"{value:,.{instrument.qty_decimals}f} {instrument.qty_unit}"
    if name.endswith("_share"):
        return f"{value:.1%}"
    if name == "span_s":
        return f"{value:,.1f} s"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)

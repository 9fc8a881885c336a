"""The sections of the tear sheet, each as HTML that needs nothing outside itself: no script, no file, no font."""

import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from hftlab.analytics.costs import quality as q
from hftlab.analytics.costs import shortfall as sf
from hftlab.analytics.costs.attribution import BY
from hftlab.analytics.costs.latency import advise_report
from hftlab.analytics.drawing.pictures import amount, bars
from hftlab.analytics.report.page import assumed_html, html_table, identity_html, markouts_html, orders_html
from hftlab.analytics.sheets import pictures as pic
from hftlab.analytics.sheets.grade import SAID, performance_grade
from hftlab.analytics.sheets.tables import cost_table, quality_table

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report

UPTIME_TICKS = (0, 1, 2, 5, 10)


def more(title: str, body: str) -> str:
    """Return what is folded away under a title."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def side_by_side(parts: list[str]) -> str:
    """Return pictures in a row that breaks on a narrow page."""
    return f"<div class='row'>{''.join(f'<div>{part}</div>' for part in parts if part)}</div>"


def note(text: str) -> str:
    """Return a line of small print."""
    return f"<div class='note'>{escape(text)}</div>"


def first(report: "Report") -> str:
    """Return the warnings, the grade and the headline figures: what to know before anything else."""
    said = [*report.warnings(), *quality_warnings(report)]
    lines = "".join(f"<div class='warn'>{escape(text)}</div>" for text in said) or note("No warnings.")
    summary, unit = report.summary(), report.instruments[0].settle
    captured = q.capture(report.facts, 0, 1.0)
    earned = performance_grade(report)
    cards = [
        ("P&L after fees", f"{amount(report.pnl_quote)} {unit}", f"{amount(summary['gross_quote'])} before"),
        ("largest drawdown", f"{summary['drawdown_quote_max']:,.4g} {unit}", "at the desk's mark"),
        ("fills", f"{summary['fills']:,}", f"{summary['order_to_trade']:,.1f} requests each" if summary["fills"] else "none"),
        ("spread captured, 1 s", _share(captured["value"]), _between(captured["low"], captured["high"])),
        ("both sides live", _share(q.uptime(report.facts, 0, report.instruments[0])), f"within {q.WITHIN_TICKS} ticks of the touch"),
        ("grade", f"{earned.letter} {earned.points}" if earned else "–", "of 100" if earned else "fewer than 30 fills"),
    ]
    boxes = "".join(f"<div class='card'><small>{escape(a)}</small><b>{escape(b)}</b><small>{escape(c)}</small></div>" for a, b, c in cards)
    parts = ", ".join(f"{name} {points:.0f}" for name, points in earned.parts.items()) if earned else ""
    return f"{lines}<div class='cards'>{boxes}</div>{note(f'Grade: {parts}. {SAID}' if earned else SAID)}"


def quality_warnings(report: "Report") -> list[str]:
    """Return in sentences what the quality of the quotes says against believing the P&L."""
    said = []
    for i, one in enumerate(report.instruments):
        captured = q.capture(report.facts, i, 1.0)
        if captured["high"] < 0:
            said.append(
                f"{one.name}: a second after the fills less than nothing was left of the quoted spread ({captured['value']:.0%}, 95 % interval "
                f"below zero): the market knew more than the quotes."
            )
        if len(report.facts.fills) and not math.isfinite(captured["low"]) and captured["fills"]:
            said.append(f"{one.name}: too few independent stretches of time with fills for intervals; nothing here says more than one run.")
    return said


def assumed(report: "Report") -> str:
    """Return what the run assumed, and where it stands among all runs on its data."""
    luck = report.luck()
    return assumed_html(report) + (note(str(luck)) if luck.runs else "")


def money(report: "Report") -> str:
    """Return the P&L identity, and its parts by side and hour."""
    return identity_html(report) + more("By side and hour", html_table(report.pnl_table().reset_index()))


def curves(report: "Report") -> str:
    """Return equity, drawdown and rolling Sharpe."""
    pictures = pic.equity_and_drawdown(report)
    if not pictures:
        return note("The run wrote no samples.")
    sharpe, said = pic.rolling_sharpe(report)
    return side_by_side([*pictures, sharpe]) + note(said)


def costs(report: "Report") -> str:
    """Return spreads by horizon, slippage and fees, and the implementation shortfall."""
    if not len(report.fills):
        return note("No fills, so no costs.")
    parts = [side_by_side(pic.spreads(report))]
    parts.append(
        note(
            "In the aggressor's direction: as maker we are paid the effective spread and keep the realised one; the impact is what the mid moved "
            "after the trade. Effective = realised + impact. Whiskers: 95 % block bootstrap; hollow points have none."
        )
    )
    parts.append(cost_table(report.costs()))
    parts += [more(f"By {by}", cost_table(report.costs(by))) for by in ("side", "size", "hour")]
    for of in ("targets", "orders") if len(report.facts.targets) else ("orders",):
        found = sf.totals(sf.parents(report.facts, report.instruments, of), report.instruments)
        values = [(name, found[f"{name}_quote"]) for name in (*sf.SHORTFALL, "shortfall")]
        title = f"Implementation shortfall of {found['parents']:,.0f} {of}: what they lost against filling all at the mid of the decision"
        parts.append(f"<h3>{escape(title)}</h3>{bars([(name, -value) for name, value in values], report.instruments[0].settle)}")
    parts.append(note("Left is a cost. Missed: what was decided and never filled, against where the market went until the order ended."))
    return "".join(parts)


def quality(report: "Report") -> str:
    """Return the measures of the quotes, their lives, and uptime by distance."""
    parts = []
    for i, one in enumerate(report.instruments):
        shares = {
            f"within {n} tick{'s' * (n != 1)}" if n else "at the touch": q.uptime(report.facts, i, one, within_ticks=n)
            for n in UPTIME_TICKS
        }
        shares["anywhere"] = q.uptime(report.facts, i, one, within_ticks=None)
        parts.append(side_by_side([pic.shares(_series(shares), f"Both sides live, {one.symbol} (share of time)"), pic.lives(report, i)]))
    measured = report.quality()
    parts += [quality_table(measured[one.symbol], one) for one in report.instruments]
    said = (
        "Spread capture: kept after 1 s and 10 s over quoted half-spread, maker fills; below 0 the market took more than was quoted. "
        "Half-spread that would break even: how far the mid went against a fill until 10 s after it, plus the fee; wider quotes are filled by "
        "others, so it is a floor for the next try. Intervals: block bootstrap."
    )
    return "".join(parts) + note(said) + more("Orders and fills", orders_html(report))


def attribution(report: "Report") -> str:
    """Return the P&L by quoter, instrument, side, hour and the market's state."""
    parts, folded = [], []
    unit = report.instruments[0].settle
    for by in BY:
        table = report.attribution(by)
        if by in {"side", "volatility", "spread"} or len(table) > 1:
            picture = bars([(str(name), float(value)) for name, value in table["pnl_quote"].items()], unit) if len(table) <= 12 else ""
            parts.append(f"<h3>By {escape(by)}</h3>{picture}")
        folded.append(more(f"By {by}", html_table(table.reset_index())))
    said = (
        "Each adds up to the account's P&L in integers. Volatility: thirds of the time by how much the mid moved in slices of ten seconds; "
        "spread: its mean in the slice. They say when it was made, not what will be."
    )
    return side_by_side(parts) + note(said) + "".join(folded)


def latency(report: "Report") -> str:
    """Return where the time goes and what to do about it."""
    rows = "".join(
        f"<tr><th>{escape(one.stage)}</th><td>{_ms(one.p50_ms)}</td><td>{_ms(one.p99_ms)}</td><td class='w said'>{escape(one.what_to_do)}</td></tr>"
        for one in advise_report(report)
    )
    head = "<tr><th>stage</th><th>p50 ms</th><th>p99 ms</th><th>what to do</th></tr>"
    return f"<div class='wide'><table>{head}{rows}</table></div>" + more("All quantiles", html_table(report.latency().reset_index()))


def inventory(report: "Report") -> str:
    """Return what was held over time."""
    pictures = [pic.inventory(report, i) for i in range(len(report.instruments))]
    names = [name for name in report.figures().index if name.startswith(("position", "long", "short", "turnover"))]
    table = report.figures().loc[names].rename(index=lambda name: name.replace("_", " ")).reset_index(names="figure")
    return (side_by_side(pictures) if any(pictures) else note("Nothing was held.")) + html_table(table)


def risk(report: "Report") -> str:
    """Return what the gate refused, the states of the desk, and the risk of what is held in the end."""
    refused = ", ".join(f"{name} {count:,}" for name, count in report.desk["refusals"].items()) or "nothing"
    why = f" ({report.desk['halted_by']})" if report.desk["state"] == "HALTED" else ""
    said = f"The desk ended {report.desk['state']}{why}. Refused by its gate: {refused}."
    return f"<div>{escape(said)}</div><div class='wide'>{report.risk()._repr_html_()}</div>"


def markouts(report: "Report") -> str:
    """Return the markouts as the report shows them."""
    return markouts_html(report)


SECTIONS: tuple[tuple[str, Callable[["Report"], str]], ...] = (
    ("What to know first", first),
    ("Assumed", assumed),
    ("Where the P&L came from", money),
    ("Equity", curves),
    ("Markouts", markouts),
    ("Costs", costs),
    ("Quality of the quotes", quality),
    ("Whose P&L it was", attribution),
    ("Latency", latency),
    ("Inventory", inventory),
    ("Risk", risk),
)


def _series(values: dict[str, float]) -> "pd.Series":
    import pandas as pd

    return pd.Series(values)


def _share(value: Any) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "–"


def _between(low: float, high: float) -> str:
    return f"[{_share(low)}, {_share(high)}]" if math.isfinite(low) else "too little for an interval"


def _ms(value: float) -> str:
    return f"{value:,.2f}" if math.isfinite(value) else "–"

"""Numbers and small HTML for the panels. Everything that comes from outside goes through `esc`."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

DASH = "–"
DECIMALS_MAX = 8  # of an amount of money: a contract that is settled in bitcoin counts in such parts of it
MESSAGE_LEVELS = {"warn": "warn", "warning": "warn", "error": "bad", "critical": "bad", "alarm": "bad"}
STATE_LEVELS = {"ACTIVE": "ok", "WIDEN": "warn", "PAUSED": "warn", "REDUCING": "warn", "HALTED": "bad", "STOPPED": "bad"}


def esc(value: object) -> str:
    """Return `value` as text that is safe inside HTML."""
    return escape(str(value), quote=True)


def number(value: float | None, decimals: int = 2, *, sign: bool = False, unit: str = "") -> str:
    """Return `value` with fixed decimals, a real minus sign and its unit; a dash for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    if float(text) == 0.0:
        text = text.replace("-", "+" if sign else "")
    return text.replace("-", "\u2212") + (f" {unit}" if unit else "")


def amount(value: float, unit: str = "") -> str:
    """Return an amount of unknown size with about four significant digits; of one below a hundredth three, and no more than eight decimals."""
    if not math.isfinite(value):
        return DASH
    size = abs(value)
    if size >= 1 or value == 0:
        decimals = 0 if size >= 1000 or value == int(value) else 1 if size >= 100 else 2
    else:
        decimals = min(max(2 - math.floor(math.log10(size)), 4), DECIMALS_MAX)
    return number(value, decimals, unit=unit)


def places(*amounts: float) -> int:
    """Return with how many decimals amounts of money are shown together: the largest has three digits, 2 to 8 behind the point.

    A P&L of 0.0014 shown as +0.00 says nothing, and on a market of small ticks every P&L is of that size.
    """
    largest = max((abs(value) for value in amounts if math.isfinite(value)), default=0.0)
    return min(max(2 - math.floor(math.log10(largest)), 2), DECIMALS_MAX) if largest > 0 else 2


def money(value: float, unit: str = "") -> str:
    """Return an amount of money with its sign, and no fewer than three digits that say something (`places`)."""
    return number(value, places(value), sign=True, unit=unit)


def clock(ts_ns: int, decimals: int = 0) -> str:
    """Return HH:MM:SS UTC, with milliseconds when `decimals` is 3."""
    seconds, rest = divmod(int(ts_ns), 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")
    return f"{text}.{rest // 1_000_000:03d}" if decimals else text


def duration(seconds: float) -> str:
    """Return HH:MM:SS, with days in front when there are any."""
    total = max(0, int(seconds))
    days, rest = divmod(total, 86_400)
    text = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days} d {text}" if days else text


def head(title: str, right: str = "") -> str:
    """Return a panel's heading; `right` may carry HTML."""
    return f'<div class="hft-head"><span>{esc(title)}</span><span class="hft-n">{right}</span></div>'


def table(headings: Sequence[tuple[str, str]], rows: Sequence[Sequence[tuple[str, ...]]]) -> str:
    """Return a table. A heading is (text, class); a cell too, or (text, class, what pointing at it says), its text escaped here.

    A row of one cell goes over all columns.
    """
    top = "".join(f'<th class="{css}">{esc(text)}</th>' for text, css in headings)
    body = ""
    for row in rows:
        over = f' colspan="{len(headings)}"' if len(row) == 1 and len(headings) > 1 else ""
        body += "<tr>" + "".join(f'<td class="{css}"{over}{_said(*said)}>{esc(text)}</td>' for text, css, *said in row) + "</tr>"
    return f"<table>{'<tr>' + top + '</tr>' if top else ''}{body}</table>"


def _said(text: str = "") -> str:
    return f' title="{esc(text)}"' if text else ""

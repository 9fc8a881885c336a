"""One moment as a page without scripts: where widgets are not."""

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.svg import GAIN, LOSS, Chart
from hftlab.types import ASK, BID

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.backtesting.travels.travel import Travel

_HEADS = {"order_id": "order", "ahead_qty": "ahead, we believe", "exchange_ahead_qty": "ahead, modelled", "ts": "UTC"}
SECONDS = 60.0  # of price before the moment
_STYLE = """<style>.hl-travel{font:13px/1.45 system-ui,sans-serif}.hl-travel table{border-collapse:collapse;font-size:12px;margin:4px 0}
.hl-travel th,.hl-travel td{text-align:right;padding:1px 8px 1px 0;border:0;background:none;font-variant-numeric:tabular-nums}
.hl-travel .row{display:flex;flex-wrap:wrap;gap:8px 28px;align-items:flex-start}.hl-travel tr.now{font-weight:700}</style>"""


def page(moment: "Travel") -> str:
    """Return the moment as HTML: facts, price before it, our orders, the rows around it and what the last one led to."""
    parts = [f"<div class='hl-travel'>{_STYLE}<b>{escape(moment.course.name)}, event {moment.event:,}</b>"]
    parts += [f"<div>{escape(note)}</div>" for note in moment.notes]
    for i, one in enumerate(moment.instruments):
        parts.append(
            f"<div class='row'><div><b>{escape(one.name)}</b>{facts_html(facts(moment, i))}</div><div>{_price(moment, i)}</div></div>"
        )
        parts.append(frame_html(moment.orders_table(i).reset_index(), one.price_decimals, one.qty_decimals))
    one = moment.instruments[0]
    parts.append(rows_html(moment))
    if len(did := moment.did()):
        parts.append("<b>it led to</b>" + frame_html(did, one.price_decimals, one.qty_decimals))
    return "".join(parts) + "</div>"


def facts(moment: "Travel", i: int) -> dict[str, str]:
    """Return what a reader wants to know of market `i` at this moment, as text."""
    one, quote = moment.instruments[i], moment.quote(i)
    digits = one.price_decimals
    bid, ask = moment.touch(i)
    known = {
        "time": f"{moment.ts:%Y-%m-%d %H:%M:%S.%f} UTC",
        "state": " · ".join(text for text in (moment.state, moment.state_reason, moment.unquoted_because(i)) if text),
        "book": f"{_number(bid, digits)} / {_number(ask, digits)}, {moment.validity(i)}",
        "fair": _number(moment.fair(i), digits + 1),
        "wished": f"{_number(quote['bid'], digits)} / {_number(quote['ask'], digits)} round {_number(quote['reservation'], digits + 1)}",
        "position": f"{moment.position(i):g} {one.qty_unit}",
        "P&L of the desk": f"{moment.pnl_quote:+,.2f} {one.settle}",
    }
    estimates = {name.replace("_", " "): f"{value:.4g}" for name, value in moment.estimates(i).items() if np.isfinite(value)}
    used = {f"{gauge.name}, of its limit": f"{gauge.share:.0%}" for gauge in moment.gauges(i) if gauge.share > 0}
    return known | estimates | used | {"digest": f"{moment.digest[:16]}…"}


def facts_html(values: dict[str, str]) -> str:
    """Return names and texts as a table of two columns."""
    cells = "".join(f"<tr><td style='text-align:left'>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in values.items())
    return f"<table>{cells}</table>"


def rows_html(moment: "Travel", before: int = 6, after: int = 6) -> str:
    """Return the rows around the moment as a table, the one consumed last in bold."""
    one, rows = moment.instruments[0], moment.rows(before, after)
    now = np.flatnonzero(rows["offset"].to_numpy() == 0)
    return frame_html(rows.reset_index().drop(columns="offset"), one.price_decimals, one.qty_decimals, int(now[0]) if len(now) else -1)


def frame_html(table: "pd.DataFrame", price_decimals: int, qty_decimals: int, bold: int = -1) -> str:
    """Return a table of this package as HTML: times to the microsecond, numbers to the grid, row number `bold` in bold."""
    if not len(table):
        return ""
    if "instrument" in table and (table["instrument"] == table["instrument"].iloc[0]).all():
        table = table.drop(columns="instrument")  # a column that says the same in every row says nothing
    heads = "".join(f"<th>{escape(_HEADS.get(str(name), str(name).replace('_', ' ')))}</th>" for name in table.columns)
    body = ""
    for k, row in enumerate(table.itertuples(index=False)):
        cells = (_cell(str(name), value, price_decimals, qty_decimals) for name, value in zip(table.columns, row, strict=True))
        body += f"<tr{' class=now' if k == bold else ''}>" + "".join(f"<td>{escape(text)}</td>" for text in cells) + "</tr>"
    return f"<table><tr>{heads}</tr>{body}</table>"


def _cell(name: str, value: Any, price_decimals: int, qty_decimals: int) -> str:
    if name == "ts":
        return f"{value:%H:%M:%S.%f}"
    if isinstance(value, float | np.floating):
        return _number(float(value), price_decimals if "price" in name else qty_decimals)
    return f"{value:,}" if name == "event" else str(value)


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if np.isfinite(value) else "–"


def _price(moment: "Travel", i: int) -> str:
    rows = moment.samples(i)
    rows = rows[rows["ts_ns"] > moment.now_ns - SECONDS * 1e9]
    if len(rows) < 2:
        return ""
    one, seconds = moment.instruments[i], (rows["ts_ns"] - moment.now_ns) / 1e9
    fair = rows["fair_ticks"] * float(one.tick_size)
    chart = Chart(
        f"fair ({one.quote}), fills marked: bought blue, sold orange",
        x=(-SECONDS, 0.0),
        y=(float(fair.min()), float(fair.max())),
        x_unit="s",
        x_label="before the moment",
        y_unit=one.quote,
    )
    chart.line(seconds, fair)
    fills = moment.fills(i)
    fills = fills[fills["ts_ns"] > moment.now_ns - SECONDS * 1e9]
    for side, colour in ((BID, GAIN), (ASK, LOSS)):
        mine = fills[fills["side"] == side]
        if len(mine):
            chart.dots((mine["ts_ns"] - moment.now_ns) / 1e9, mine["price_ticks"] * float(one.tick_size), colour)
    return chart.svg()

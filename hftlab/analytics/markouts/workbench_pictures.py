"""The pictures of the workbench: the points, a part of them counted up, and the moment of one fill."""

import math
from html import escape

import numpy as np

from hftlab.analytics.drawing.pictures import amount
from hftlab.analytics.drawing.words import utc
from hftlab.analytics.markouts.workbench import Cluster, Workbench, start_ns
from hftlab.svg import DATA, GAIN, LOSS, MARK, Chart

BUY, SELL, OTHERS = GAIN, LOSS, "#8a8f98"
STATIC_MAX = 3000
BEFORE_S, AFTER_S_MIN = 5.0, 5.0
STEPS_MAX = 1500
_NAMES = {
    "half_spread": "half-spread earned",
    "adverse_selection": "adverse selection, 5 s",
    "inventory_carry": "carry after that",
    "fees": "fees and rebates",
    "account": "P&L to the end",
}


def page(bench: Workbench, x: str = "time") -> str:
    """Return the bench where there are no widgets: the points, and the figures of all fills."""
    everything = bench.cluster(np.ones(len(bench.report.fills), bool))
    return (
        f"<div style='font:13px/1.45 system-ui,sans-serif;max-width:1000px'>{scatter(bench, x)}"
        f"<div style='display:flex;flex-wrap:wrap;gap:8px 28px'><div>{figures(bench, everything)}</div><div>{histogram(bench, everything)}</div></div>"
        "<div style='opacity:.75'>Without its widget this picture cannot be brushed; report.markouts(by) sorts the fills in tables.</div></div>"
    )


def scatter(bench: Workbench, x: str = "time") -> str:
    """Return SVG of the points, buys blue and sells orange, at most STATIC_MAX of them."""
    points, horizon_s = bench.points(x, bench.horizon_s), bench.horizon_s
    shown = points.shown
    if not len(shown):
        return "<div>No fill has a markout at this horizon.</div>"
    if len(shown) > STATIC_MAX:
        shown = np.sort(np.random.default_rng(1).choice(shown, STATIC_MAX, replace=False))
    low, high, bottom, top = points.bounds()
    label = points.axis.label + (
        ", log10(1 + x)" if points.axis.kind == "log" else ", s since the first fill" if points.axis.kind == "time" else ""
    )
    title = f"Markout after {horizon_s:g} s, ticks, by {label}: {drawn(bench, len(shown), int(points.placed.sum()))}"
    chart = Chart(title, x=(low, high), y=(bottom, top), y_unit="ticks", x_label=label, y_label="markout", width=900, height=272)
    side = bench.report.fills["side"][shown]
    for which, colour in ((side > 0, BUY), (side < 0, SELL)):
        chart.dots(points.x[shown][which], points.y[shown][which], colour)
    chart.line(np.array([low, high]), np.zeros(2), "currentColor", dashed=True)
    key = f"<span style='color:{BUY}'>●</span> bought &nbsp; <span style='color:{SELL}'>●</span> sold"
    return f"{chart.svg()}<div>{key}</div>"


def drawn(bench: Workbench, shown: int, placed: int) -> str:
    """Return in words how many fills are drawn, and why not all."""
    fills = len(bench.report.fills)
    words = f"{shown:,} fills" if shown == placed else f"{shown:,} of {placed:,} fills drawn, chosen at random; figures are of all"
    return words + (f", {fills - placed:,} have no place here" if placed < fills else "")


def figures(bench: Workbench, chosen: Cluster) -> str:
    """Return a table of what the chosen fills made."""
    f, unit = chosen.figures, bench.report.instruments[0].settle
    few = "too few fills, or too few independent stretches of time, for an interval"
    sure = math.isfinite(f["low_ticks"]) and not chosen.by_outcome
    few = "chosen by their own markout: no interval" if chosen.by_outcome else few

    def band(name: str) -> str:
        ends = f"{amount(f['low_' + name])} to {amount(f['high_' + name])}" if sure else few if name == "ticks" else ""
        return f"{amount(f['markout_' + name])}</td><td style='opacity:.75;text-align:left'>{ends}"

    after = f"after {chosen.horizon_s:g} s"
    rows = [
        (
            "fills",
            f"{len(chosen.which):,}</td><td style='opacity:.75;text-align:left'>{f['excluded']:,} left out: no markout"
            if f["excluded"]
            else f"{len(chosen.which):,}</td><td>",
        ),
        (f"markout {after}, ticks", band("ticks")),
        ("in bps", band("bps")),
        (f"all of it, {unit}", band("quote")),
        *(
            (_NAMES[name], f"{amount(chosen.parts[name])}</td><td>")
            for name in ("half_spread", "adverse_selection", "inventory_carry", "fees")
        ),
    ]
    share = f"of {amount(chosen.whole_quote)}" + (f" ({chosen.share:.0%})" if chosen.share > 0 else "")
    rows.append(
        (f"{_NAMES['account']}, {unit}", f"<b>{amount(chosen.parts['account'])}</b></td><td style='opacity:.75;text-align:left'>{share}")
    )
    body = "".join(
        f"<tr><th style='text-align:left;font-weight:400;padding:1px 12px 1px 0'>{escape(name)}</th>"
        f"<td style='text-align:right;padding:1px 10px 1px 0;font-variant-numeric:tabular-nums'>{cell}</td></tr>"
        for name, cell in rows
    )
    return f"<table style='border-collapse:collapse;font-size:12px;background:none'>{body}</table>"


def histogram(bench: Workbench, chosen: Cluster) -> str:
    """Return SVG of how the chosen fills' markouts are spread, above those of all fills (grey), as shares."""
    every = bench.values(chosen.horizon_s)[:, 0]
    every, mine = every[np.isfinite(every)], chosen.made_ticks[np.isfinite(chosen.made_ticks)]
    if not len(mine):
        return ""
    low, high = (float(one) for one in np.quantile(every, (0.001, 0.999)))
    step = max(0.5, math.ceil((high - low) / 40 * 2) / 2)  # bins of whole half ticks, each value in the middle of its own
    edges = np.arange(math.floor(low / step) - 0.5, math.ceil(high / step) + 1.5) * step
    edges = np.append(edges, edges[-1] + step) if len(edges) < 2 else edges
    shares = [np.histogram(np.clip(part, edges[0], edges[-1]), edges)[0] / len(part) * 100 for part in (every, mine)]
    top = max(float(share.max()) for share in shares)
    chart = Chart(
        f"Markouts after {chosen.horizon_s:g} s, share of fills: chosen (blue), all (grey)",
        x=(float(edges[0]), float(edges[-1])),
        y=(0.0, top),
        x_unit="ticks",
        y_unit="%",
        x_label="markout",
        width=430,
        height=170,
    )
    chart.bars(edges, shares[0], OTHERS).bars(edges, shares[1], DATA)
    return chart.line(np.zeros(2), np.array([0.0, top]), "currentColor", dashed=True).svg()


def moment(bench: Workbench, fill: int, horizon_s: float) -> str:
    """Return SVG of the mid around one fill (its number), with the price of the fill and where its markout is taken."""
    one = bench.report.fills[fill]
    path = bench.report.facts.paths[int(one["instrument"])]
    if not len(path.prices.told):
        return ""
    ts_ns, price = int(one["ts_ns"]), int(one["price_ticks"])
    end_ns = min(ts_ns + int(max(1.5 * horizon_s, AFTER_S_MIN) * 1e9), bench.report.facts.end_ns)
    times, mid2 = path.prices.mids2_between(ts_ns - int(BEFORE_S * 1e9), max(end_ns, ts_ns + 1))
    keep = np.unique(np.linspace(0, len(times) - 1, min(STEPS_MAX, len(times))).astype(int))
    x, y = (times[keep] - ts_ns) / 1e9, mid2[keep] / 2 - price
    ends, colour = np.array([x[0], x[-1]]), BUY if one["side"] > 0 else SELL
    title = f"Mid less our price, ticks; the line: {horizon_s:g} s after the fill"
    bounds = (min(0.0, float(y.min())) - 1, max(0.0, float(y.max())) + 1)
    chart = Chart(
        title, x=(float(x[0]), float(x[-1])), y=bounds, x_unit="s", y_unit="ticks", x_label="since the fill", width=430, height=200
    )
    chart.line(np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1], OTHERS).line(ends, np.zeros(2), colour, dashed=True)
    chart.dots(np.zeros(1), np.zeros(1), colour)
    return chart.spans([(horizon_s, horizon_s)] if horizon_s <= x[-1] else [], MARK).svg()


def said(bench: Workbench, fill: int, horizon_s: float) -> str:
    """Return one fill in words."""
    one = bench.report.fills[fill]
    instrument = bench.report.instruments[int(one["instrument"])]
    made = float(bench.values(horizon_s)[fill, 0])
    after = f"{amount(made)} ticks after {horizon_s:g} s" if math.isfinite(made) else f"the data end before {horizon_s:g} s are over"
    when = utc(one["ts_ns"], "ms")
    what = "bought" if one["side"] > 0 else "sold"
    qty, price = int(one["qty_lots"]) * float(instrument.lot_size), int(one["price_ticks"]) * float(instrument.tick_size)
    return (
        f"{when} UTC: {what} {qty:,.{instrument.qty_decimals}f} {instrument.qty_unit} at {price:,.{instrument.price_decimals}f} as "
        f"{'maker' if one['maker'] else 'taker'}, order {int(one['order_id'])}: {after}"
    )


def since(bench: Workbench) -> float:
    """Return the first fill's time in ms since 1970: where the time axis begins."""
    return start_ns(bench.report.facts) / 1e6

"""The fit of a session's fills as a page: parameters, pictures, how wrong it is, and what to know before believing it."""

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.fit_fills.races import MARKOUT_S
from hftlab.svg import MARK, Chart

if TYPE_CHECKING:
    from hftlab.analytics.fit_fills.result import FillFit, MarketFit

_WORDS = {
    "false_fills": "filled in the model, not live (share of orders unfilled live)",
    "missed_fills": "filled live, not in the model (share of orders filled live)",
    "wrong": "either (share of all orders)",
    "false_lots": "lots filled in the model only, per lot filled live",
    "missed_lots": "lots filled live only, per lot filled live",
    "late_s": "seconds by which the model fills later, where both fill",
}


def section(fit: "FillFit") -> str:
    """Return the whole fit as HTML."""
    notes = "".join(f"<li>{escape(name)}: {escape(text)}</li>" for name, text in fit.assumptions.items())
    return "".join(_market(one) for one in fit.markets) + f"<ul style='opacity:.75'>{notes}</ul>"


def _market(one: "MarketFit") -> str:
    queue, latency = one.queue, one.latency
    exponent = "" if np.isnan(queue.low) else f" (exponent 95 % interval {queue.low:.3g} to {queue.high:.3g})"
    head = (
        f"<h4>{escape(one.instrument.name)}</h4><div><b>queue</b> {escape(queue.model.text())}{exponent}; "
        f"<b>latency</b> {escape(latency.model.text())}</div>"
    )
    parameters = latency.frame().to_html(border=0, float_format="{:,.4g}".format)
    judged = one.judged().rename(index=_WORDS).to_html(border=0, float_format="{:,.4f}".format)
    said = "".join(f"<li>{escape(text)}</li>" for text in [*one.caveats(), *_races(one)])
    return (
        f"{head}<div style='display:flex;flex-wrap:wrap;gap:24px'><div>{_latencies(one)}</div><div>{_exponents(one)}</div></div>"
        f"<div><b>Latency</b>, ms, 95 % intervals from blocks of the session</div>{parameters}"
        f"<div style='overflow-x:auto'>{latency.table().to_html(border=0, float_format='{:,.3f}'.format)}</div>"
        f"<div><b>Out of sample</b>: {escape(queue.trained.text())}, fitted to the first orders, on the {queue.stays_judged:,} of "
        f"{queue.stays:,} orders at a price that it has not seen</div>{judged}"
        f"<div><b>Queue models</b> on all orders, each at its best exponent</div>"
        f"<div style='overflow-x:auto'>{queue.table().to_html(border=0, float_format='{:,.4f}'.format)}</div><ul>{said}</ul>"
    )


def _races(one: "MarketFit") -> list[str]:
    live, model, takers = one.races, one.races_modelled, one.takers
    said = []
    if live.asked:
        money = live.cost_ticklots * float(one.instrument.ticklot_quote)
        said.append(
            f"{live.lost:,} of {live.asked:,} orders that we asked away were filled before that came ({model.lost:,} with the fitted "
            f"latency); these fills made {money:+,.4g} {one.instrument.settle} by {MARKOUT_S:g} s later."
        )
    if takers.orders:
        more = (
            "" if np.isnan(takers.more_ticks) else f", {takers.more_ticks:+.3g} ticks a lot dearer ({takers.low:.3g} to {takers.high:.3g})"
        )
        said.append(
            f"{takers.orders:,} orders took {takers.live_lots:,} lots; in the book without us they take {takers.model_lots:,}{more}."
        )
    return said


def _latencies(one: "MarketFit") -> str:
    """Return the distribution of entry and report as two lines: share of requests that took at most so long."""
    found = {name: np.sort(one.latency.found[name].took_ns) / 1e6 for name in ("entry", "report") if len(one.latency.found[name].took_ns)}
    top = max(float(np.quantile(values, 0.99)) for values in found.values())
    low = min(0.0, *(float(values[0]) for values in found.values()))
    chart = Chart("Share of entries (blue) and reports (red) within x ms", x=(low, max(top, low + 1e-3) * 1.05), y=(0.0, 1.0), x_unit="ms")
    for (_, values), colour in zip(found.items(), (None, MARK), strict=False):
        x, y = _steps(values)
        chart = chart.line(x, y) if colour is None else chart.line(x, y, colour)
    return chart.svg()


def _steps(values: Any) -> tuple[Any, Any]:
    share = np.linspace(0.0, 1.0, 201)
    return np.quantile(values, share), share


def _exponents(one: "MarketFit") -> str:
    powers, loss = one.queue.curve()
    if not len(powers):
        return ""
    chart = Chart(
        f"Lots filled wrongly per lot filled live, by exponent of {one.queue.model.model}",
        x=(0.0, float(powers.max())),
        y=(0.0, float(loss.max())),
    )
    if not np.isnan(one.queue.low):
        chart = chart.spans([(one.queue.low, one.queue.high)])
    return chart.line(powers, loss).svg()

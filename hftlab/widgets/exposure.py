"""Risk over all markets: how close each is to its limits, and what the portfolio stands to lose."""

import numpy as np

from hftlab.analytics.grade import grade
from hftlab.data.frame import Frame, Gauge
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.risk import decimals, gauge_html, grade_html, refusals_html, state_html
from hftlab.widgets.text import esc


def split(frame: Frame) -> tuple[list[Gauge], list[list[Gauge]]]:
    """Return the gauges of the desk, which every market's list repeats, and those of each market by itself."""
    lists = [frame.gauges(i) for i in range(len(frame.instruments))]
    if len(lists) == 1:
        return lists[0], [[]]
    shared = [gauge for gauge in lists[0] if all(_has(one, gauge) for one in lists[1:]) and not _is_own(frame, gauge)]
    return shared, [[gauge for gauge in one if not _has(shared, gauge)] for one in lists]


def _is_own(frame: Frame, gauge: Gauge) -> bool:
    return gauge.name in OWN or gauge.unit in {one.base for one in frame.instruments}


OWN = ("position", "notional", "open orders")  # of each market, also where two happen to be alike


def _has(gauges: list[Gauge], gauge: Gauge) -> bool:
    return any(one.name == gauge.name and one.unit == gauge.unit and np.array_equal([one.amount, one.limit], [gauge.amount, gauge.limit], equal_nan=True) for one in gauges)


class DeskRisk(HtmlPanel):
    """The desk as a whole: grade, state with its reason, portfolio limits, refusals."""

    hz = 3.0
    title = "Risk of the desk"

    def render(self, frame: Frame) -> str:
        """Return grade over every limit of every market, gauges of the desk, refusals."""
        shared, own = split(frame)
        every = [*shared, *(gauge for one in own for gauge in one)]
        self.heading(grade_html(grade(every, frame.state)))
        rows = "".join(gauge_html(gauge, decimals(gauge, frame.instruments[0])) for gauge in shared)
        return state_html(frame) + rows + refusals_html(frame.refusals(), 12)


class MarketRisk(HtmlPanel):
    """The limits of each market. Hidden with one market: the desk's panel shows them then."""

    hz = 3.0
    title = "Risk by market"

    def draw(self, frame: Frame) -> None:
        """Show itself where there are several markets."""
        self.widget.layout.display = None if len(frame.instruments) > 1 else "none"
        super().draw(frame)

    def render(self, frame: Frame) -> str:
        """Return the gauges of each market under its name and grade."""
        _, own = split(frame)
        parts = []
        for instrument, gauges in zip(frame.instruments, own, strict=True):
            rows = "".join(gauge_html(gauge, decimals(gauge, instrument)) for gauge in gauges)
            mark = grade_html(grade(gauges, frame.state))
            parts.append(f'<div class="hft-card"><div class="hft-head"><span>{esc(instrument.name)}</span><span class="hft-n">{mark}</span></div>{rows}</div>')
        return f'<div class="hft-cards">{"".join(parts)}</div>'

"""Risk over all markets: how close each is to its limits, and what the portfolio stands to lose."""

from hftlab.analytics.portfolio.grade import grade
from hftlab.analytics.portfolio.portfolio import risk_metrics
from hftlab.data.frame import Frame, Gauge
from hftlab.widgets.panel import HtmlPanel
from hftlab.widgets.risk import decimals, gauge_html, grade_html, refusals_html, state_html
from hftlab.widgets.text import DASH, amount, esc, number, table

# Limits that are held against all markets together; every market's list repeats them.
DESK = ("daily loss", "drawdown", "daily loss of equity", "exposure", "leverage", "margin")


def split(frame: Frame) -> tuple[list[Gauge], list[list[Gauge]]]:
    """Return the gauges of the desk and those of each market by itself; of one market all are the desk's."""
    lists = [frame.gauges(i) for i in range(len(frame.instruments))]
    if len(lists) == 1:
        return lists[0], [[]]
    return [gauge for gauge in lists[0] if gauge.name in DESK], [[gauge for gauge in one if gauge.name not in DESK] for one in lists]


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
            parts.append(
                f'<div class="hft-card"><div class="hft-head"><span>{esc(instrument.name)}</span><span class="hft-n">{mark}</span></div>{rows}</div>'
            )
        return f'<div class="hft-cards">{"".join(parts)}</div>'


class Portfolio(HtmlPanel):
    """What the present positions stand to lose: exposure, value at risk, shortfall, stress. Measured on the recent moves of the markets."""

    hz = 0.5
    title = "Portfolio"

    def render(self, frame: Frame) -> str:
        """Return headline numbers, exposures, correlations of several markets, and stress."""
        found = risk_metrics(frame)
        money = found.currency
        self.heading(f"{esc(money)} · one step of {found.horizon_s:g} s · {found.samples} of {found.samples_wanted} moves")
        rows = "".join(
            f'<div class="hft-row" title="{esc(said)}"><span>{esc(name)}</span><span class="hft-n">{money_text(value)} <span class="hft-dim">{esc(money)}</span></span></div>'
            for name, (value, said) in found.figures().items()
        )
        notes = "".join(f'<div class="hft-dim">{esc(note)}</div>' for note in found.notes)
        shocks = [
            [(str(name), "l"), (f"{money_text(float(row['pnl_quote']), sign=True)} {money}", "hft-n")]
            for name, row in found.stress.iterrows()
        ]
        parts = [f'<div class="hft-figures">{rows}</div>', notes]
        if len(found.correlation) > 1:
            names = [str(name) for name in found.correlation.columns]
            cells = [
                [(name, "l"), *((number(float(v), 2, sign=True), "hft-n") for v in row)]
                for name, row in zip(names, found.correlation.to_numpy(), strict=True)
            ]
            parts.append(
                '<div class="hft-dim hft-sub">correlation of moves, EWMA</div>' + table([("", "l"), *((name, "") for name in names)], cells)
            )
        parts.append('<div class="hft-dim hft-sub">P&amp;L if</div>' + table([("", "l"), ("", "")], shocks))
        return "".join(parts)


def money_text(value: float, *, sign: bool = False) -> str:
    """Return an amount of money with fitting decimals."""
    text = amount(value)
    return f"+{text}" if sign and text != DASH and value > 0 else text

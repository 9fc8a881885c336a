"""`dashboard` composes the panels of a desk into one widget."""

from typing import Any

import ipywidgets as w

from hftlab.widgets.blotter import Fills, Orders
from hftlab.widgets.controls import Controls
from hftlab.widgets.curves import PnlCurve, PositionCurve
from hftlab.widgets.health import Events, Health, Latency
from hftlab.widgets.ladder import Ladder
from hftlab.widgets.page import PageWidget
from hftlab.widgets.panel import Panel
from hftlab.widgets.pump import PUMP, Board
from hftlab.widgets.risk import PnlIdentity, Risk
from hftlab.widgets.strip import Strip
from hftlab.widgets.venue import Venue

HEIGHT_PX = 580  # of the middle row
CURVE_PX = 84
HEADS_PX = 100  # headings and paddings of the three charts


class Dashboard(w.VBox):
    """A desk on one screen. `close()` ends it; closing or leaving the page does nothing to the run."""

    board: Board | None = None
    panels: list[Panel]
    boxes: tuple[w.Widget, ...] = ()

    def __init__(self, source: Any, *, market: int = 0, height: int | None = None) -> None:
        height = HEIGHT_PX if height is None else max(480, int(height))
        # why hasattr: a View has no commands at all, and what has none must not get a control that pretends otherwise
        self.controls = Controls(source, market=market) if hasattr(source, "halt") else None
        self.health = Health(source, market=market, on_halt=self.controls.halt if self.controls else None)
        if self.controls is not None:
            self.controls.health = self.health
        self.ladder = Ladder(market=market, height_px=height - 30)
        self.strip = Strip(market=market, height_px=height - 2 * CURVE_PX - HEADS_PX)
        charts = [self.strip, PositionCurve(market=market, height_px=CURVE_PX), PnlCurve(market=market, height_px=CURVE_PX)]
        answers: list[Panel] = [PnlIdentity(market=market), Risk(market=market)]
        if self.controls is not None:
            answers.append(self.controls)
        venue, orders, fills, latency, events = (make(market=market) for make in (Venue, Orders, Fills, Latency, Events))
        self.panels = [self.health, self.ladder, *charts, *answers, venue, orders, fills, latency, events]
        cells = [
            _column(self.ladder),
            _column(*charts),
            _column(*answers, css="hft-wide"),
            _column(orders, latency),
            _column(fills, venue),
            _column(events, css="hft-wide"),
        ]
        grid = w.GridBox(cells)
        grid.add_class("hft-grid")
        super().__init__([self.health.widget, grid])
        self.add_class("hft-desk")
        self.boxes = (*cells, grid)
        pages = [p.body for p in self.panels if isinstance(p.body, PageWidget)]
        self.board = Board(source, self.panels, pages, self.health, self.controls)
        PUMP.add(self.board)

    def close(self) -> None:
        """Stop feeding this dashboard and close its widgets."""
        # ipywidgets also calls this when a widget is collected, and a dashboard that failed half-way has no board.
        if self.board is not None:
            PUMP.remove(self.board)
            for panel in self.panels:
                panel.close()
        for box in self.boxes:
            box.close()
        super().close()


def _column(*panels: Panel, css: str = "") -> w.VBox:
    box = w.VBox([panel.widget for panel in panels])
    for name in ("hft-column", *css.split()):
        box.add_class(name)
    return box


def dashboard(source: Any, *, market: int = 0, height: int | None = None) -> Dashboard:
    """Return the dashboard of a View or Session, live.

    Args:
        source: what to watch. Controls appear if and only if it has commands (a Session).
        market: index of the instrument that the ladder and the charts show.
        height: pixels of the middle row (at least 480; 580 when None).
    """
    return Dashboard(source, market=market, height=height)

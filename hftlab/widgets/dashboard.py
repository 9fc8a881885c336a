"""`dashboard` composes the panels of a desk into sections of one widget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as w

from hftlab.errors import UnknownName, did_you_mean
from hftlab.widgets.blotter import Fills, Orders
from hftlab.widgets.controls import Controls
from hftlab.widgets.curves import PnlCurve, PositionCurve
from hftlab.widgets.exposure import DeskRisk, MarketRisk, Portfolio
from hftlab.widgets.health import Events, Health, Latency
from hftlab.widgets.history import History
from hftlab.widgets.ladder import Ladder
from hftlab.widgets.market import HeatMap, MarketState
from hftlab.widgets.operations import Alerts, LatencyStages, Log, System
from hftlab.widgets.page import PageWidget
from hftlab.widgets.panel import Panel
from hftlab.widgets.performance import Drawdown, Equity, Execution, Sharpe, Times
from hftlab.widgets.pump import PUMP, Board
from hftlab.widgets.risk import PnlIdentity, Risk
from hftlab.widgets.strategies import Strategies
from hftlab.widgets.strip import Strip
from hftlab.widgets.venue import Venue

HEIGHT_PX = 580  # of the middle row
CURVE_PX = 84
HEADS_PX = 100  # headings and paddings of the three charts


@dataclass(frozen=True)
class Parts:
    """What sections are made from."""

    source: Any
    market: int
    height: int
    history: History
    controls: Controls | None


# A section: columns of panels and the classes of each.
Columns = list[tuple[list[Panel], str]]


def _desk(parts: Parts) -> Columns:
    market, height = parts.market, parts.height
    charts: list[Panel] = [
        Strip(market=market, height_px=height - 2 * CURVE_PX - HEADS_PX),
        PositionCurve(market=market, height_px=CURVE_PX),
        PnlCurve(market=market, height_px=CURVE_PX),
    ]
    answers: list[Panel] = [PnlIdentity(market=market), Risk(market=market)]
    if parts.controls is not None:
        answers.append(parts.controls)
    return [
        ([Ladder(market=market, height_px=height - 30)], ""),
        (charts, ""),
        (answers, "hft-wide"),
        ([Orders(market=market), Latency(market=market)], ""),
        ([Fills(market=market), Venue(market=market)], ""),
        ([Events(market=market)], "hft-wide"),
    ]


def _market(parts: Parts) -> Columns:
    return [([MarketState(market=parts.market)], ""), ([HeatMap(parts.history, market=parts.market)], "hft-double")]


def _risk(parts: Parts) -> Columns:
    return [([DeskRisk(market=parts.market)], ""), ([Portfolio(market=parts.market)], ""), ([MarketRisk(market=parts.market)], "")]


def _pnl(parts: Parts) -> Columns:
    curves: list[Panel] = [make(parts.history, market=parts.market) for make in (Equity, Drawdown, Sharpe, Times)]
    return [(curves, "hft-double"), ([Execution(market=parts.market)], "")]


def _strategies(parts: Parts) -> Columns:
    session = parts.source if parts.controls is not None else None
    return [([Strategies(session, market=parts.market)], "hft-whole")]


def _operations(parts: Parts) -> Columns:
    return [
        ([LatencyStages(market=parts.market), System(market=parts.market)], ""),
        ([Alerts(parts.source, market=parts.market)], ""),
        ([Log(parts.source, market=parts.market)], ""),
    ]


SECTIONS: dict[str, tuple[str, Callable[[Parts], Columns]]] = {
    "desk": ("Desk", _desk),
    "market": ("Market", _market),
    "risk": ("Risk", _risk),
    "pnl": ("P&L", _pnl),
    "strategies": ("Strategies", _strategies),
    "operations": ("Operations", _operations),
}


class Dashboard(w.VBox):
    """A desk on one screen. `close()` ends it; closing or leaving the page does nothing to the run."""

    board: Board | None = None
    panels: list[Panel]
    boxes: tuple[w.Widget, ...] = ()

    def __init__(self, source: Any, *, market: int = 0, height: int | None = None, sections: Sequence[str] | None = None) -> None:
        keys = check_sections(sections)
        # why hasattr: a View has no commands at all, and what has none must not get a control that pretends otherwise
        self.controls = Controls(source, market=market) if hasattr(source, "halt") else None
        self.history = History()
        titles = [(key, SECTIONS[key][0]) for key in keys]
        self.health = Health(source, market=market, on_halt=self.controls.halt if self.controls else None, sections=titles)
        if self.controls is not None:
            self.controls.health = self.health
        parts = Parts(source, market, HEIGHT_PX if height is None else max(480, int(height)), self.history, self.controls)
        self.panels, grids, cells = [self.health], [], []
        for key in keys:
            columns = SECTIONS[key][1](parts)
            made = [_column(panels, css) for panels, css in columns]
            for panel in (panel for panels, _ in columns for panel in panels):
                panel.section = key
                self.panels.append(panel)
            grid = w.GridBox(made)
            for name in ("hft-grid" if key == "desk" else "hft-flow", "hft-section", f"hft-section-{key}"):
                grid.add_class(name)
            grids.append(grid)
            cells += made
        super().__init__([self.health.widget, *grids])
        self.add_class("hft-desk")
        self.boxes = (*cells, *grids)
        pages = [p.body for p in self.panels if isinstance(p.body, PageWidget)]
        self.board = Board(source, self.panels, pages, self.health, self.controls, self.history.take)
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


def check_sections(sections: Sequence[str] | None) -> tuple[str, ...]:
    """Return the keys of the sections to show, each once, all of them for None. Raises UnknownName."""
    keys = tuple(SECTIONS) if sections is None else tuple(dict.fromkeys((sections,) if isinstance(sections, str) else sections))
    for key in keys:
        if key not in SECTIONS:
            raise UnknownName(f"no section {key!r}; there are {', '.join(SECTIONS)}.{did_you_mean(key, SECTIONS)}")
    if not keys:
        raise UnknownName(f"sections was empty; wanted some of {', '.join(SECTIONS)}.")
    return keys


def _column(panels: Sequence[Panel], css: str = "") -> w.VBox:
    box = w.VBox([panel.widget for panel in panels])
    for name in ("hft-column", *css.split()):
        box.add_class(name)
    return box


def dashboard(source: Any, *, market: int = 0, height: int | None = None, sections: Sequence[str] | None = None) -> Dashboard:
    """Return the dashboard of a View or Session, live. It has controls if and only if `source` has commands (a Session).

    `market` is the index of the instrument that the ladder and the charts show, `height` the pixels of the middle row (at least 480; 580 when
    None). `sections`: which of "desk", "market", "risk", "pnl", "strategies", "operations" it has, in this order; all of them when None.
    Only the one in sight is fed; HALT and the health line stand above all of them. Raises UnknownName for a section that does not exist.
    """
    return Dashboard(source, market=market, height=height, sections=sections)

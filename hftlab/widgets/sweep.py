"""A sweep on the screen: a bar with the time left, a button that ends it, its best points and a map; a click opens a report."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import traitlets as t

from hftlab.backtesting.sweeps import page
from hftlab.widgets.page import STYLE, PageWidget, script
from hftlab.widgets.text import esc

if TYPE_CHECKING:
    from hftlab.backtesting.sweeps.sweep import Sweep
    from hftlab.backtesting.sweeps.walk_forward import WalkForward

TICK_S = 0.25
_COLOURS = {"finished": "success", "cancelled": "warning", "broken": "danger"}
STYLES = """.hft-picks { overflow-x: auto; } .hft-picks [data-point] { cursor: pointer; }
.hft-picks g[data-point]:hover rect { stroke: currentColor; stroke-width: 1.5; }
.hft-picks tr[data-point]:hover td { background: var(--hft-grid); }
.hft-picks td, .hft-picks th { border: 0; text-align: right; padding: 1px 8px; white-space: nowrap; font-variant-numeric: tabular-nums; }
.hft-sweep .widget-html-content, .hft-sweep .jupyter-widgets { max-width: 100%; }
.hft-sweep .widget-html, .hft-sweep .widget-html-content { height: auto; line-height: 1.4; width: 100%; }"""


class Picks(PageWidget):
    """HTML whose parts can be clicked; `on_pick` hears the number of the point, in whatever thread the kernel chooses."""

    _esm = script("picks.js")
    _css = STYLE + STYLES
    html = t.Unicode("").tag(sync=True)

    def __init__(self, on_pick: Callable[[int], None]) -> None:
        self._on_pick = on_pick
        super().__init__()

    def on_page(self, message: dict[str, Any]) -> None:
        """Hand on the point that was clicked."""
        point = message.get("point")
        if message.get("k") == "pick" and isinstance(point, int) and not isinstance(point, bool):
            self._on_pick(point)


class Opened:
    """Where the report of a clicked point appears. It is made in a thread of its own: a page is never kept waiting."""

    def __init__(self, sweep: "Sweep") -> None:
        self._sweep = sweep
        self.report: Any = None
        self.widget = w.HTML()
        self._lock = threading.Lock()

    def open(self, point: int) -> None:
        """Show the report of a point."""
        threading.Thread(target=self._open, args=(point,), name="hftlab-sweep-report", daemon=True).start()

    def _open(self, point: int) -> None:
        with self._lock:
            self.widget.value = f"<i>running point {point} again …</i>"
            try:
                self.report = self._sweep.report(point)
                text = self.report._repr_html_()
            except Exception as error:  # why: whatever goes wrong is read where the report would stand
                text = f'<div class="hft-error">{esc(type(error).__name__)}: {esc(error)}</div>'
            self.widget.value = f"<h4>point {point}</h4>{text}"


class SweepWidget(w.VBox):
    """The whole of it. A thread brings it up to date a few times a second, until the sweep has ended."""

    def __init__(self, sweep: "Sweep") -> None:
        self.sweep = sweep
        self.opened = Opened(sweep)
        self._bar = w.FloatProgress(min=0.0, max=1.0, layout=w.Layout(width="320px"))
        self._said = w.HTML()
        self.cancel = w.Button(
            description="cancel", icon="stop", tooltip="end the sweep; what was found stays", layout=w.Layout(width="110px")
        )
        self.cancel.on_click(self._pressed)
        self._best, self._map = Picks(self.opened.open), Picks(self.opened.open)
        axes = list(sweep.grid.axes)
        two = page.default_axes(sweep)
        self.x, self.y = (
            w.Dropdown(options=axes, value=name, description=text) for name, text in zip(two or (None, None), ("across", "up"), strict=True)
        )
        self.value = w.Dropdown(options=_figures(sweep), value=sweep.by, description="figure")
        for box in (self.x, self.y, self.value):
            box.layout.width, box.style.description_width = "auto", "initial"
            box.observe(self._redraw, names="value")
        self._foot = w.HTML()
        head = w.HBox([self._bar, self.cancel, self._said], layout=w.Layout(align_items="center"))
        pictures = [w.HBox([self.x, self.y, self.value], layout=w.Layout(flex_flow="row wrap")), self._map] if two else []
        super().__init__([head, self._best, *pictures, self._foot, self.opened.widget])
        self.add_class("hft-sweep")
        self._seen = -1
        self.update()
        if sweep.running:
            threading.Thread(target=self._follow, name="hftlab-sweep-screen", daemon=True).start()

    def update(self) -> None:
        """Bring everything up to date."""
        progress = self.sweep.progress()
        self._bar.value = progress.done / max(1, progress.total)
        self._bar.bar_style = _COLOURS.get(progress.state, "")
        self._said.value = f"{esc(progress)}"
        self.cancel.disabled = not self.sweep.running
        if progress.done != self._seen or not self.sweep.running:
            self._seen = progress.done
            self._redraw()

    def _redraw(self, _change: Any = None) -> None:
        cells = self.sweep.cells
        if not cells:
            return
        self._best.html = page.best_rows(cells, list(self.sweep.grid.axes), str(self.value.value))
        if self.x.value is not None and self.x.value != self.y.value:
            self._map.html = page.drawn(cells, page.Heatmap(self.sweep, self.x.value, self.y.value, str(self.value.value)))
        self._foot.value = page.failures(cells) + page.end(self.sweep)

    def _pressed(self, _button: Any) -> None:
        self.cancel.disabled = True
        self.sweep.stop()

    def _follow(self) -> None:
        while self.sweep.running:
            began_s = time.monotonic()
            self.update()
            # A picture of many squares takes long to make: at most a tenth of the time goes into it.
            time.sleep(max(TICK_S, 9 * (time.monotonic() - began_s)))
        self.update()


def _figures(sweep: "Sweep") -> list[str]:
    return list(dict.fromkeys([sweep.by, *page.SHOWN, "traded_base", "quoting_share", "maker_share", "fees_quote"]))


def sweep_widget(sweep: "Sweep") -> SweepWidget:
    """Return the widget of a sweep."""
    return SweepWidget(sweep)


def heatmap_widget(heatmap: page.Heatmap) -> w.VBox:
    """Return the map with a place under it, where the report of a clicked square appears."""
    opened = Opened(heatmap.sweep)
    picture = Picks(opened.open)
    picture.html = heatmap.svg()
    return w.VBox([picture, opened.widget])


class WalkWidget(w.VBox):
    """A walk forward: how far it is, a button that ends it, and the folds that have been traded."""

    def __init__(self, walk: "WalkForward") -> None:
        self.walk = walk
        self._bar = w.FloatProgress(min=0.0, max=1.0, layout=w.Layout(width="320px"))
        self.cancel = w.Button(
            description="cancel", icon="stop", tooltip="end it; the folds that were done stay", layout=w.Layout(width="110px")
        )
        self.cancel.on_click(self._pressed)
        self._html = w.HTML()
        super().__init__([w.HBox([self._bar, self.cancel]), self._html])
        self.add_class("hft-sweep")
        self.update()
        if walk.running:
            threading.Thread(target=self._follow, name="hftlab-walk-screen", daemon=True).start()

    def update(self) -> None:
        """Bring everything up to date."""
        progress = self.walk.progress()
        self._bar.value = progress.done / max(1, progress.total)
        self._bar.bar_style = _COLOURS.get(progress.state, "")
        self.cancel.disabled = not self.walk.running
        self._html.value = self.walk._repr_html_()

    def _pressed(self, _button: Any) -> None:
        self.cancel.disabled = True
        self.walk.stop()

    def _follow(self) -> None:
        while self.walk.running:
            began_s = time.monotonic()
            self.update()
            time.sleep(max(TICK_S, 9 * (time.monotonic() - began_s)))
        self.update()


def walk_widget(walk: "WalkForward") -> WalkWidget:
    """Return the widget of a walk forward."""
    return WalkWidget(walk)

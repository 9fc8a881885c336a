"""The workbench: fills as points, a box over them, what the fills in it made, and the moments at which they came, one by one."""

import math
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import numpy as np
import traitlets as t

from hftlab.analytics.markouts import workbench_pictures as pictures
from hftlab.analytics.markouts.workbench import AXES, Cluster, Workbench
from hftlab.errors import HftlabError
from hftlab.widgets.page import STYLE, PageWidget, script
from hftlab.widgets.text import esc

if TYPE_CHECKING:
    from hftlab.backtesting.travels.travel import Travel

ORDERS = ("in order of time", "worst first")
HEIGHT_PX = 330
STYLES = """<style>.hft-bench{max-width:1080px}.hft-bench .widget-html,.hft-bench .widget-html-content{height:auto;line-height:1.4;font-size:12.5px}
.hft-bench svg{max-width:100%;height:auto}.hft-scatter canvas{cursor:crosshair;touch-action:none}.hft-bench td,.hft-bench th{border:0;background:none}
.hft-bench .widget-dropdown{width:auto}.hft-bench tr{background:none!important}</style>"""


class Scatter(PageWidget):
    """The points. `bench` hears the box, a click near a point, and the arrow keys."""

    _esm = script("scatter.js")
    height_px = t.Int(HEIGHT_PX).tag(sync=True)

    def __init__(self, bench: "Bench", **traits: Any) -> None:
        self.bench = bench
        self.sent = 0
        super().__init__(**traits)

    def on_beat(self, message: dict[str, Any]) -> None:
        """Give everything to a page that says hello."""
        if message["k"] == "hello":
            self.bench.show_points()

    def on_page(self, message: dict[str, Any]) -> None:
        """Do what the page asks; what makes no sense is left alone, for a page is not to be trusted."""
        kind = message.get("k")
        if kind == "box":
            self.bench.choose(_box(message.get("box")))
            self.send({"k": "counted"})
        elif kind == "near":
            at, reach = (_numbers(message.get(name), 2) for name in ("at", "reach"))
            if at is not None and reach is not None:
                self.bench.go_near(at, reach)
        elif kind == "step" and message.get("by") in (1, -1):
            self.bench.step(int(message["by"]))

    def push(self, head: dict[str, Any], data: np.ndarray, box: "tuple[float, ...] | None") -> None:
        """Send the points, f8 (3, n): x, y, side."""
        self.sent += 1
        self.send({"k": "points", "n": self.sent, "head": head, "box": box}, buffers=[np.ascontiguousarray(data).data])


def _numbers(given: Any, count: int) -> tuple[float, ...] | None:
    """Return what a page sent as numbers, None where it is not so many finite ones."""
    if not isinstance(given, list) or len(given) != count:
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in given):
        return None
    return tuple(float(one) for one in given)


def _box(given: Any) -> tuple[float, ...] | None:
    """Return low and high of x and of y, open sides as infinities; None for no box."""
    if not isinstance(given, list) or len(given) != 4:
        return None
    ends = [(-math.inf, math.inf)[n % 2] if one is None else one for n, one in enumerate(given)]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and not math.isnan(one) for one in ends):
        return None
    return tuple(float(one) for one in ends)


class Bench(w.VBox):
    """The widget of a Workbench. `scrubber` is the replay that follows the steps, None until it is asked for."""

    def __init__(self, work: Workbench) -> None:
        self.work = work
        self.box: tuple[float, ...] | None = None
        self.scrubber: Any = None
        self.x = w.Dropdown(options=[(axis.label, name) for name, axis in AXES.items()], description="across")
        self.horizon = w.Dropdown(
            options=[(f"{one:g} s", one) for one in work.horizons_s], value=work.horizon_s, description="markout after"
        )
        self.order = w.Dropdown(options=ORDERS, description="step")
        self.scatter = Scatter(self)
        self.back, self.forth = w.Button(description="◀ previous fill"), w.Button(description="next fill ▶")
        self.clear, self.replay = w.Button(description="all fills"), w.Button(description="follow in the replay")
        self.table, self.spread, self.words, self.moment = (w.HTML() for _ in range(4))
        self.slot = w.VBox([])
        self.cluster: Cluster | None = None
        self.at = -1  # which of the cluster's fills, in the order of stepping
        for one in (self.x, self.horizon, self.order):
            one.style.description_width = "initial"
        row = {"flex_flow": "row wrap", "align_items": "center"}
        parts = [
            w.HTML(f"<style>{STYLE}</style>{STYLES}"),
            w.Box([self.x, self.horizon], layout=w.Layout(**row)),
            self.scatter,
            w.Box([self.table, self.spread], layout=w.Layout(**row)),
            w.Box([self.back, self.forth, self.order, self.clear, self.replay], layout=w.Layout(**row)),
            self.words,
            self.moment,
            self.slot,
        ]
        super().__init__(parts)
        self.add_class("hft")
        self.add_class("hft-bench")
        self.x.observe(self._redraw, names="value")
        self.horizon.observe(self._redraw, names="value")
        self.order.observe(self._restart, names="value")
        self.back.on_click(lambda _: self.step(-1))
        self.forth.on_click(lambda _: self.step(1))
        self.clear.on_click(lambda _: self._all())
        self.replay.on_click(lambda _: self.follow())
        self.choose(None)

    # --- the points --------------------------------------------------------------------------------------------------------------
    @property
    def _points(self) -> Any:
        return self.work.points(str(self.x.value), float(self.horizon.value))

    def show_points(self) -> None:
        """Send the points, the box and the fill that is looked at."""
        points, shown = self._points, self._points.shown
        left, right, bottom, top = points.bounds()
        axis = points.axis
        head = {
            "x": {"label": axis.label, "kind": axis.kind, "range": [left, right], "since": pictures.since(self.work)},
            "y": {"label": f"markout after {float(self.horizon.value):g} s, ticks", "kind": "plain", "range": [bottom, top]},
            "said": pictures.drawn(self.work, len(shown), int(points.placed.sum())),
            "mark": self._mark(),
        }
        side = self.work.report.fills["side"][shown].astype(float)
        corners = None if self.box is None else tuple(np.clip(self.box, (left, left, bottom, bottom), (right, right, top, top)))
        self.scatter.push(head, np.stack([points.x[shown], points.y[shown], side]), corners)

    def _mark(self) -> list[float] | None:
        fill = self.fill
        if fill is None or not self._points.placed[fill]:
            return None
        return [float(self._points.x[fill]), float(self._points.y[fill])]

    def _redraw(self, _change: Any) -> None:
        self.box = None  # it was drawn over another picture
        self.choose(None)
        self.show_points()

    # --- what is chosen ----------------------------------------------------------------------------------------------------------
    def choose(self, box: tuple[float, ...] | None) -> None:
        """Choose the fills in a box (low and high of x and of y, as drawn), None for all, and count them up."""
        self.box = box
        fills = self.work.report.fills
        mine = np.ones(len(fills), bool) if box is None else self._points.box((box[0], box[1]), (box[2], box[3]))
        by_outcome = box is not None and bool(np.isfinite(box[2:]).any())
        self.cluster = self.work.cluster(mine, float(self.horizon.value), by_outcome=by_outcome)
        what = "All fills" if box is None else f"Chosen: {len(self.cluster.which):,} of {len(fills):,} fills"
        hint = "drag over the points to choose some; with Shift over the whole height" if box is None else "Esc or “all fills” lets them go"
        self.table.value = f"<div><b>{what}</b> <span class='hft-dim'>({hint})</span></div>{pictures.figures(self.work, self.cluster)}"
        self.spread.value = pictures.histogram(self.work, self.cluster)
        self._restart(None)

    def _all(self) -> None:
        self.choose(None)
        self.scatter.send({"k": "clear"})

    def _restart(self, _change: Any) -> None:
        self.at = -1
        self._look()

    # --- one by one --------------------------------------------------------------------------------------------------------------
    @property
    def stepped(self) -> np.ndarray:
        """Return the chosen fills in the order of stepping."""
        assert self.cluster is not None  # choose() ran when this was made
        return self.cluster.which if self.order.value == ORDERS[0] else self.cluster.worst_first()

    @property
    def fill(self) -> int | None:
        """Return the number of the fill that is looked at, None where none is."""
        return int(self.stepped[self.at]) if 0 <= self.at < len(self.stepped) else None

    def step(self, by: int) -> None:
        """Look at the next (1) or the previous (-1) of the chosen fills; the replay follows."""
        count = len(self.stepped)
        if count:
            self.at = min(max(self.at + by, 0), count - 1)
            self._look()

    def go_near(self, at: tuple[float, ...], reach: tuple[float, ...]) -> None:
        """Look at the chosen fill that is drawn nearest to a place, if one is within reach."""
        points, which = self._points, self.stepped
        if not len(which):
            return
        away = np.hypot((points.x[which] - at[0]) / (reach[0] or 1), (points.y[which] - at[1]) / (reach[1] or 1))
        away = np.where(np.isfinite(away), away, np.inf)
        nearest = int(np.argmin(away))
        if away[nearest] <= 1:
            self.at = nearest
            self._look()

    def _look(self) -> None:
        fill, count = self.fill, len(self.stepped)
        self.back.disabled, self.forth.disabled = self.at <= 0, self.at >= count - 1
        self.scatter.send({"k": "mark", "mark": self._mark()})
        if fill is None:
            self.words.value = (
                f"<span class='hft-dim'>{count:,} fills to step through: next fill, a click on a point, or the arrow keys</span>"
            )
            self.moment.value = ""
            return
        horizon_s = float(self.horizon.value)
        self.words.value = f"<b>{self.at + 1:,} of {count:,}</b> &nbsp; {esc(pictures.said(self.work, fill, horizon_s))}"
        self.moment.value = pictures.moment(self.work, fill, horizon_s)
        if self.scrubber is not None:
            self.scrubber.jump(event=self.replayed(fill).number)

    def replayed(self, fill: int) -> "Travel":
        """Return the moment to which the replay goes for a fill: the event with which the desk learned of it.

        Reports on their way are told with the first row that comes when they are due, so that is not a time but the next fill from it.
        Raises InputError for a run that cannot be replayed.
        """
        from hftlab.backtesting.travels.travel import at

        learned_ns = int(self.work.report.fills["learned_ns"][fill])
        return at(self.work.run, ts_ns=learned_ns - 1).next("fill")

    def follow(self) -> None:
        """Open the replay of this run at the fill that is looked at; from then on it follows every step."""
        if self.scrubber is not None:
            return
        fill = self.fill if self.fill is not None else (int(self.stepped[0]) if len(self.stepped) else None)
        if fill is None:
            return
        from hftlab.widgets.scrubber import Scrubber

        self.replay.disabled = True
        self.replay.description = "running it again…"
        try:
            self.scrubber = Scrubber(self.replayed(fill))
        except Exception as error:  # why: what a callback raises nobody reads; the button would say for ever that it runs
            self.replay.disabled = False
            self.replay.description = "follow in the replay"
            name = "" if isinstance(error, HftlabError) else f"{type(error).__name__}: "
            self.slot.children = [w.HTML(f"<div class='hft-error'>{esc(name)}{esc(error)}</div>")]
            return
        self.replay.description = "the replay follows"
        self.slot.children = [self.scrubber]

"""The screen of a sweep: it follows the sweep to its end, its button ends it, and a click opens the report of a point."""

import time

import numpy as np
import pytest

import hftlab as hl
from hftlab.widgets.sweep import SweepWidget, WalkWidget, heatmap_widget

LIMITS = hl.Limits(position_qty_max="0.1")
QUOTER = hl.FixedSpread(order_qty="0.01")
LONG_S = 60.0


@pytest.fixture(scope="module")
def runs():
    grid = hl.grid(QUOTER, half_spread_ticks=[0.5, 1.0, 2.0], skew_ticks_per_order=[0.0, 1.0], order_qty=["0.01", "0.0005"])
    return hl.sweep(hl.sample().slice(0, 20), None, grid, LIMITS).wait(LONG_S)


def until(condition):
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_it_shows_the_best_points_the_map_the_failures_and_the_luck(runs):
    widget = SweepWidget(runs)
    assert widget._bar.value == 1.0
    assert widget._best.html.count("<tr data-point") == 6
    assert widget._map.html.count("<g data-point") == 6
    assert "0.0005" in widget._foot.value
    assert "deflated" in widget._foot.value
    assert widget.cancel.disabled
    widget.value.value = "fills"
    assert "by largest fills" in widget._best.html
    assert "<title>fills" in widget._map.html


def test_a_click_opens_the_report_of_its_point(runs):
    widget = SweepWidget(runs)
    widget._map._hear(None, {"k": "pick", "point": 4}, [])
    until(lambda: widget.opened.report is not None and "point 4" in widget.opened.widget.value)
    assert widget.opened.report.digest == runs.cells[4].figures["digest"]
    for nonsense in ({"k": "pick"}, {"k": "pick", "point": "4"}, {"k": "pick", "point": True}, "pick", None):
        widget._map._hear(None, nonsense, [])
    widget._map._hear(None, {"k": "pick", "point": 1}, [])  # it failed
    until(lambda: "not run to its end" in widget.opened.widget.value)


def test_the_button_ends_the_sweep_and_the_screen_follows():
    runs = hl.sweep(hl.sample(), None, hl.grid(QUOTER, half_spread_ticks=np.linspace(0.5, 5, 3000)), LIMITS)
    widget = SweepWidget(runs)
    until(lambda: runs.progress().done)
    widget.cancel.click()
    until(lambda: "cancelled" in widget._said.value)
    assert not runs.running


def test_results_show_their_widget(runs):
    assert "application/vnd.jupyter.widget-view+json" in runs._repr_mimebundle_()
    heatmap = runs.heatmap("half_spread_ticks", "skew_ticks_per_order")
    assert heatmap_widget(heatmap).children[0].html == heatmap._repr_html_()


def test_a_walk_forward_shows_its_folds():
    grid = hl.grid(QUOTER, half_spread_ticks=[0.5, 1.0])
    walk = hl.walk_forward(hl.sample().slice(0, 60), None, grid, LIMITS, folds=2).wait(LONG_S)
    widget = WalkWidget(walk)
    assert "Out of sample, 2 folds" in widget._html.value
    assert widget._bar.value == 1.0
    assert "application/vnd.jupyter.widget-view+json" in walk._repr_mimebundle_()

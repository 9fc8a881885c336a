"""The workbench: choosing, counting up and stepping through fills, in Python and with a mouse in a browser."""

import json
import math

import numpy as np
import pytest
from sessions import BTC, run_session

import hftlab as hl
from benchmarks import informed_flow as flow
from hftlab.analytics.markouts import workbench as wb
from hftlab.analytics.markouts import workbench_pictures as pictures
from hftlab.errors import InputError, UnknownName
from hftlab.types import FILL
from hftlab.widgets.page import STYLE, script
from hftlab.widgets.workbench import ORDERS, Bench


@pytest.fixture(scope="module")
def report():
    return flow.report(flow.market(3, share=0.5, seconds=150))


@pytest.fixture
def bench(report):
    made = Bench(report.workbench(1.0))
    yield made
    made.close()


class FakeScrubber:
    def __init__(self):
        self.jumps = []

    def jump(self, *, event):
        self.jumps.append(event)


def messages(bench):
    sent = []
    bench.scatter.send = lambda message, buffers=None: sent.append((message, buffers))
    return sent


def test_parts_of_clusters_add_up_to_the_account(report):
    work = report.workbench()
    rng = np.random.default_rng(1)
    for _ in range(5):
        chosen = rng.random(len(report.fills)) < rng.random()
        ours, rest = work.cluster(chosen), work.cluster(~chosen)
        for name, money in ours.parts.items():
            whole = sum(one.total.quote(one.instrument.ticklot_quote)[name] for one in report.pnl)
            assert money + rest.parts[name] == pytest.approx(whole, abs=1e-9)
        assert ours.share + rest.share == pytest.approx(1)
        assert ours.figures["fills"] + rest.figures["fills"] == len(report.fills) - ours.figures["excluded"] - rest.figures["excluded"]
    with pytest.raises(InputError, match="one bool a fill"):
        work.cluster(np.array([1, 2]))
    with pytest.raises(UnknownName, match="Did you mean 'queue'"):
        work.points("queu", 1.0)


def test_points_are_drawn_where_their_values_are(report):
    work = report.workbench()
    made = work.values(1.0)[:, 0]
    for name, axis in wb.AXES.items():
        points, values = work.points(name, 1.0), axis.of(report.facts)
        back = 10**points.x - 1 if axis.kind == "log" else points.x
        near = np.isfinite(values) & np.isfinite(points.x)
        assert (np.isfinite(points.x) == np.isfinite(values)).all()
        assert (np.abs(back[near] - values[near]) <= max(wb.SPREAD_OUT * axis.step, 1e-6) + 1e-9).all()
        known = np.isfinite(made)
        assert (np.rint(2 * points.y[known]) == 2 * made[known]).all()  # less than half of a half tick aside
        assert set(points.shown) == set(np.flatnonzero(points.placed))


def test_too_many_points_are_thinned_at_random_and_said(report, monkeypatch):
    monkeypatch.setattr(wb, "DRAWN_MAX", 50)
    work = report.workbench()
    points = work.points("time", 1.0)
    assert len(points.shown) == 50
    assert (np.diff(points.shown) > 0).all()
    said = pictures.drawn(work, len(points.shown), int(points.placed.sum()))
    assert said.startswith(f"50 of {points.placed.sum():,} fills drawn, chosen at random; figures are of all")
    everywhere = points.box((-math.inf, math.inf), (-math.inf, math.inf))
    assert everywhere.sum() == points.placed.sum()


def test_a_box_of_the_page_chooses_counts_and_steps(bench, report):
    sent = messages(bench)
    minute = 60.0
    bench.scatter._hear(None, {"k": "box", "box": [None, minute, None, None]}, [])
    first = report.fills["ts_ns"].min()
    assert list(bench.cluster.which) == list(np.flatnonzero(report.fills["ts_ns"] <= first + minute * 1e9))
    assert sent[-1][0] == {"k": "counted"}
    assert math.isfinite(bench.cluster.figures["low_ticks"])
    assert f"Chosen: {len(bench.cluster.which):,} of {len(report.fills):,} fills" in bench.table.value
    # A box that cuts off markouts chooses by outcome: no interval then.
    bench.scatter._hear(None, {"k": "box", "box": [None, minute, None, 0.0]}, [])
    assert bench.cluster.by_outcome
    assert "no interval" in bench.table.value
    assert (bench.cluster.made_ticks < 0.5).all()
    bench.order.value = ORDERS[1]
    bench.scatter._hear(None, {"k": "step", "by": 1}, [])
    worst = bench.fill
    assert bench.work.values(1.0)[worst, 0] == bench.cluster.made_ticks.min()
    assert bench.words.value.startswith("<b>1 of ")
    assert "svg" in bench.moment.value
    bench.scatter._hear(None, {"k": "box", "box": None}, [])
    assert len(bench.cluster.which) == len(report.fills)


def test_nonsense_of_a_page_changes_nothing(bench):
    messages(bench)
    before = bench.table.value
    for message in (
        "text",
        {"k": "near", "at": [1], "reach": None},
        {"k": "near", "at": [math.nan, 1], "reach": [1, 1]},
        {"k": "step", "by": 10**9},
        {"k": "box", "box": ["<b>", 1, 2, 3]},
        {"k": "box", "box": [True, 1, 2, 3]},
        {"k": 7},
    ):
        bench.scatter._hear(None, message, [])
    assert bench.table.value == before
    assert bench.fill is None


def test_steps_move_the_replay_to_the_event_with_which_we_learned_of_each_fill(bench, report):
    messages(bench)
    bench.scrubber = FakeScrubber()
    bench.scatter._hear(None, {"k": "box", "box": [30.0, 60.0, None, None]}, [])
    for _ in range(3):
        bench.forth.click()
    bench.back.click()
    seen = [hl.at(report, event) for event in bench.scrubber.jumps]
    told = [set(moment.written["order_id"][moment.written["kind"] == FILL].tolist()) for moment in seen]
    first, second, third = (int(report.fills["order_id"][fill]) for fill in bench.cluster.which[:3])
    assert [ids & {first, second, third} for ids in told] == [{first}, {second}, {third}, {second}]
    assert seen[1].number == seen[3].number > seen[0].number
    # A click on a point looks at that fill, whatever the order.
    points, which = bench.work.points("time", 1.0), bench.cluster.which[5]
    bench.scatter._hear(None, {"k": "near", "at": [points.x[which], points.y[which]], "reach": [0.5, 0.1]}, [])
    assert bench.fill == which
    lot = float(report.instruments[0].lot_size)
    assert hl.at(report, bench.scrubber.jumps[-1]).position(0) == pytest.approx(report.fills["position_lots"][which] * lot)


def test_following_opens_the_replay_at_the_fill(report):
    bench = Bench(report.workbench(1.0))
    bench.step(1)
    bench.follow()
    first = bench.scrubber.travel
    lot = float(report.instruments[0].lot_size)
    assert first.position(0) == pytest.approx(report.fills["position_lots"][bench.fill] * lot)
    bench.step(1)
    assert bench.scrubber.travel.number > first.number
    bench.scrubber.close()
    bench.close()


def test_a_page_that_says_hello_gets_everything(bench, report):
    sent = messages(bench)
    bench.scatter._hear(None, {"k": "hello", "n": 0}, [])
    (head, (buffer,)) = next((message, buffers) for message, buffers in sent if message["k"] == "points")
    data = np.frombuffer(buffer).reshape(3, -1)
    assert data.shape[1] == np.isfinite(bench.work.values(1.0)[:, 0]).sum()
    assert set(data[2]) == {-1.0, 1.0}
    low, high = head["head"]["x"]["range"]
    assert low < data[0].min() < data[0].max() < high
    bench.x.value = "imbalance"
    assert sent[-1][0]["head"]["x"]["label"].startswith("imbalance")


def test_a_replay_that_fails_in_any_way_says_so_and_can_be_asked_for_again(report, monkeypatch):
    bench = Bench(report.workbench())

    def fails(fill):
        raise OSError("the journal is gone")

    monkeypatch.setattr(bench, "replayed", fails)
    bench.follow()
    assert "OSError: the journal is gone" in bench.slot.children[0].value
    assert not bench.replay.disabled
    bench.close()


def test_a_report_of_rows_alone_has_a_bench_and_no_replay(report):
    from dataclasses import replace

    bench = Bench(replace(report, origin=None).workbench())
    bench.follow()
    assert "no replay" in bench.slot.children[0].value
    bench.close()
    empty = hl.backtest(flow.market(1, share=0, seconds=1, takers_per_s=0), flow.COIN, flow.QUOTER, flow.LIMITS).workbench()
    assert "No fill has a markout" in empty._repr_html_()
    none = Bench(empty)
    none.step(1)
    assert none.fill is None
    none.close()


def test_pictures_name_their_units_and_figures(report):
    page = report.workbench(5)._repr_html_()
    for words in ("Markout after 5 s, ticks", "fills", "P&amp;L to the end, USD", "share of fills"):
        assert words in page
    curve = report.markout_curve("side")._repr_html_()
    assert "buy" in curve
    assert "60" in curve
    grid = report.markout_grid("side", "size")
    assert "too few" in grid._repr_html_() or "to" in grid._repr_html_()


def test_a_session_has_it_too(tmp_path, monkeypatch):
    run_session(tmp_path / "marks", monkeypatch, seconds=8, activity=5.0)
    report = hl.attach(tmp_path / "marks").report()
    assert len(report.fills) > 5
    assert report.run == tmp_path / "marks"
    found = report.toxicity(1.0)
    assert found.prints
    assert set(found.table["regime"]) >= {"sweep", "flow before", "move before"}
    bench = Bench(report.workbench(0.1))
    bench.step(1)
    bench.follow()
    assert bench.scrubber.travel.position(0) == pytest.approx(report.fills["position_lots"][bench.fill] * float(BTC.lot_size))
    bench.scrubber.close()
    bench.close()


# --- in a browser ------------------------------------------------------------------------------------------------------------------
PAGE = """<!doctype html><style>%s body{margin:0} .hft-canvas canvas{width:800px}</style><div id=box style="width:800px"></div><script type=module>
%s
window.sent = [];
const handlers = [];
const model = { get: () => 330, send: (m) => window.sent.push(m), on: (_, f) => handlers.push(f), off: () => {} };
const data = new Float64Array(%s);
const head = { x: { label: "time", kind: "time", range: [0, 100], since: 0 }, y: { label: "ticks", kind: "plain", range: [-10, 10] }, said: "20,000 fills", mark: null };
widget.render({ model, el: document.getElementById("box") });
window.tell = (m) => handlers.forEach((f) => f(m, [data]));
window.tell({ k: "points", n: 1, head, box: null });
window.ready = true;
</script>"""


@pytest.mark.browser
def test_a_mouse_draws_the_box_over_twenty_thousand_points(browser):
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.uniform(0, 100, 20_000), rng.normal(0, 4, 20_000), rng.choice((-1.0, 1.0), 20_000)])
    code = script("scatter.js").replace("export default", "const widget =")
    page = browser.new_page(viewport={"width": 900, "height": 400})
    failures = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.set_content(PAGE % (STYLE, code, json.dumps([round(float(p), 4) for p in points])))
    page.wait_for_function("window.ready && document.querySelector('canvas').width > 100", timeout=60_000)
    blank = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.mouse.move(250, 100)
    page.mouse.down()
    page.mouse.move(400, 200, steps=6)
    page.wait_for_function("window.sent.some((m) => m.k === 'box')", timeout=60_000)
    page.evaluate("window.tell({ k: 'counted' })")
    page.mouse.move(450, 329, steps=3)  # to the lower edge: what lies beyond it is chosen too
    page.mouse.up()
    page.evaluate("window.tell({ k: 'counted' })")
    page.wait_for_function("window.sent.filter((m) => m.k === 'box').at(-1).box[2] === null", timeout=60_000)
    box = page.evaluate("window.sent.filter((m) => m.k === 'box').at(-1).box")
    inner = 800 - 52 - 10
    assert box[0] == pytest.approx((250 - 52) / inner * 100, abs=0.3)
    assert box[1] == pytest.approx((450 - 52) / inner * 100, abs=0.3)
    assert box[3] == pytest.approx(10 - (100 - 8) / (330 - 8 - 30) * 20, abs=0.1)
    assert page.evaluate("document.querySelector('canvas').toDataURL()") != blank
    # With Shift the whole height; Escape lets go; arrows step; a click asks for the nearest point.
    page.keyboard.down("Shift")
    page.mouse.move(300, 100)
    page.mouse.down()
    page.mouse.move(500, 120, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.evaluate("window.tell({ k: 'counted' })")
    page.wait_for_function("(b => b[2] === null && b[3] === null)(window.sent.filter((m) => m.k === 'box').at(-1).box)", timeout=60_000)
    page.keyboard.press("ArrowRight")
    page.mouse.click(600, 150)
    page.evaluate("window.tell({ k: 'counted' })")
    page.keyboard.press("Escape")
    page.wait_for_function("window.sent.filter((m) => m.k === 'box').at(-1).box === null", timeout=60_000)
    kinds = [message["k"] for message in page.evaluate("window.sent")]
    assert {"hello", "box", "step", "near"} <= set(kinds)
    assert not failures
    page.close()

"""The scrubber: what the kernel answers a page, and a page that plays, drags and shows a failure (a browser without Jupyter)."""

import base64
import time

import numpy as np
import pytest
from tapes import A, moves_and_prints

import hftlab as hl
from hftlab.backtesting.travels import open as travel_open
from hftlab.errors import InputError
from hftlab.types import DESK_STATE_NAMES
from hftlab.widgets.page import STATIC
from hftlab.widgets.scrubber import Scrubber
from hftlab.widgets.scrubber_pack import HEAD
from hftlab.widgets.text import money

DEADLINE_S = 60.0
EVENT, NS, STATE, POSITION, PNL, FILLS = range(6)


@pytest.fixture(scope="module")
def report():
    made = hl.backtest(moves_and_prints(240), A, hl.FixedSpread(order_qty="0.05", half_spread_ticks=1), hl.Limits(position_qty_max="1"))
    yield made
    travel_open.forget()


class Wire:
    """A scrubber whose messages are kept instead of sent."""

    def __init__(self, travel, monkeypatch):
        self.sent: list[tuple[dict, list[np.ndarray]]] = []
        monkeypatch.setattr(Scrubber, "send", lambda _, content, buffers=(): self.sent.append((content, [bytes(b) for b in buffers])))
        self.scrubber = Scrubber(travel, height_px=300)

    def ask(self, **wish):
        self.scrubber._hear(None, wish, [])

    def wait(self, kind, count=1, **having):
        """The first message of a kind after `count` - 1 others, once it is there."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            found = [one for one in self.sent if one[0]["k"] == kind and having.items() <= one[0].items()]
            if len(found) >= count:
                return found[count - 1][0], [np.frombuffer(b) for b in found[count - 1][1]]
            time.sleep(0.01)
        raise AssertionError(f"no {kind} {having}; there were {[one[0]['k'] for one in self.sent]}")


@pytest.fixture
def wire(report, monkeypatch):
    made = Wire(hl.at(report, 300), monkeypatch)
    yield made
    made.scrubber.close()


def check(frame, here):
    assert (frame[EVENT], DESK_STATE_NAMES[int(frame[STATE])]) == (here.event, here.state)
    assert frame[NS] == here.now_ns - here.course.start_ns()
    assert (frame[POSITION], frame[PNL], frame[FILLS]) == (here.position(), here.pnl_quote, here.markets[0]["fills_count"])
    assert frame[HEAD] == pytest.approx(here.fair(), nan_ok=True)


def test_a_page_that_comes_is_told_the_run_the_moment_and_all_of_the_curve(wire, report):
    wire.ask(k="hello", n=0)
    info, _ = wire.wait("info")
    assert info["instruments"][0]["name"] == "A/USD"
    moment, (frame,) = wire.wait("moment")
    check(frame, hl.at(report, 300))
    assert {"facts", "orders", "rows", "did", "notes"} == set(moment["html"])
    assert "<b" not in moment["html"]["facts"]
    head, (samples, fills, _) = wire.wait("overview")
    end = hl.at(report, 1.0)
    assert head["events"] == end.event
    assert head["span_ns"] == end.now_ns - end.course.start_ns()
    assert samples.reshape(-1, 6)[:, 1].tolist() == pytest.approx(report.curves()["fair"].tolist())
    assert fills.reshape(-1, 4)[:, 1].tolist() == report.frame()["price"].tolist()


@pytest.mark.parametrize("by", ["time", "event"])
def test_frames_to_play_are_the_moments_themselves(wire, report, by):
    step = 70_000_000 if by == "time" else 3
    start = 5_000_000_000 if by == "time" else 250
    wire.ask(k="play", page="p", id=7, by=by, step=step, count=20, **{"from": start})
    head, (data,) = wire.wait("frames")
    frames = data.reshape(head["count"], -1)
    assert (head["id"], head["page"], head["end"]) == (7, "p", False)
    origin = wire.scrubber.course.start_ns()
    for k, frame in enumerate(frames):
        check(frame, hl.at(report, ts_ns=origin + start + k * step) if by == "time" else hl.at(report, start + k * step))


def test_the_last_frames_say_that_they_are(wire, report):
    last = hl.at(report, 1.0).event
    wire.ask(k="play", page="p", id=1, by="event", step=10, count=100, **{"from": last - 25})
    head, (data,) = wire.wait("frames")
    assert head["end"] is True
    assert data.reshape(head["count"], -1)[:, EVENT].tolist() == [last - 25, last - 15, last - 5, last]


def test_going_there_by_time_by_event_by_kind_and_from_python(wire, report):
    wire.ask(k="ns", page="p", id=1, ns=9e9, light=True)
    glance, (frame,) = wire.wait("moment", id=1)
    assert glance["html"] is None
    check(frame, hl.at(report, ts_ns=wire.scrubber.course.start_ns() + 9_000_000_000))
    wire.ask(k="event", page="p", id=2, event=411)
    check(wire.wait("moment", id=2)[1][0], hl.at(report, 411))
    wire.ask(k="find", page="p", id=3, kind="fill", back=False, event=411)
    check(wire.wait("moment", id=3)[1][0], hl.at(report, 411).next("fill"))
    there = wire.scrubber.jump(ts_ns=hl.at(report, 800).now_ns)
    assert there.event == wire.scrubber.event == wire.scrubber.travel.event
    check(wire.wait("moment", id=-1)[1][0], there)
    assert wire.scrubber.jump(event=12).event == 12
    assert wire.scrubber.jump(0.5).event == hl.at(report, 0.5).event


def test_what_goes_wrong_is_shown_and_the_next_wish_is_answered(wire, report, monkeypatch):
    wire.ask(k="find", page="p", id=1, kind="fill", back=True, event=2)
    assert "no fill before event 2" in wire.wait("error", id=1)[0]["text"]
    for wish in ({"k": "ns", "ns": float("nan")}, {"k": "ns", "ns": "9"}, {"k": "event"}, {"k": "find", "kind": "x", "event": 3}):
        before = len(wire.sent)
        wire.ask(page="p", id=5, **wish)
        wire.wait("error", 1 + sum(one[0]["k"] == "error" for one in wire.sent[:before]))
        assert isinstance(wire.scrubber.failure, InputError)
    with monkeypatch.context() as patch:
        patch.setattr("hftlab.widgets.scrubber.sp.frame_of", lambda *_: 1 / 0)
        wire.ask(k="event", page="p", id=8, event=5)
        assert "ZeroDivisionError" in wire.wait("error", id=8)[0]["text"]
    wire.ask(k="event", page="p", id=9, event=5)
    wire.wait("moment", id=9)
    assert wire.scrubber.failure is None
    with pytest.raises(InputError, match="below 1"):
        Scrubber(hl.at(report, 5), market=1)
    with pytest.raises(InputError, match="wanted"):
        wire.scrubber.jump()


def test_of_a_slider_that_is_dragged_only_the_last_wish_counts(wire):
    with wire.scrubber.course.lock:  # the thread waits in the first of them
        for k in range(200):
            wire.ask(k="ns", page="p", id=k, ns=1e7 * k, light=True)
    wire.wait("moment", id=199)
    assert sum(one[0]["k"] == "moment" for one in wire.sent) <= 3


def test_a_moment_displays_as_the_scrubber_and_as_a_page_without_scripts(report):
    shown = hl.at(report, 300)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert "<table>" in hl.at(report, 300)._repr_html_()


# --- in a browser ----------------------------------------------------------------------------------------------------------------
MODEL = """
async (code) => {
  window.out = []; window.hear = null;
  const model = { get: () => 300, on: (_, f) => { window.hear = f; }, off: () => {}, send: (m) => { window.out.push(m); } };
  const made = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  document.body.innerHTML = "<div id=home style='width:1000px'></div>";
  made.default.render({ model, el: document.getElementById("home") });
}
"""
TELL = """
([message, buffers]) => window.hear(message, buffers.map((text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)))
"""


class Page:
    """A page with the widget's own code, and this process as its kernel."""

    def __init__(self, page, wire):
        self.page, self.wire, self.told = page, wire, 0
        page.evaluate(MODEL, wire.scrubber._esm)

    def turn(self):
        """Carry what was said from one side to the other."""
        for message in self.page.evaluate("() => window.out.splice(0)"):
            self.wire.ask(**message)
        for message, buffers in self.wire.sent[self.told :]:
            self.page.evaluate(TELL, [message, [base64.b64encode(one).decode() for one in buffers]])
            self.told += 1

    def until(self, condition):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            self.turn()
            if self.page.evaluate(f"() => {condition}"):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"never {condition}: {self.page.inner_text('.hft-scrub-top')}")

    def event(self):
        return int(
            self.page.evaluate(
                "() => +document.querySelector('.hft-scrub-top').textContent.match(/event ([\\d,]+)/)[1].replaceAll(',', '')"
            )
        )


@pytest.mark.browser
def test_a_page_and_the_kernel_write_money_alike(browser):
    amounts = [0.0, -0.0, 0.0014, -0.0014, 3.2e-7, -1e-12, 1.0, -61_803.4, 1e9, 0.5]
    view = browser.new_page()
    code = (STATIC / "common.js").read_text()
    assert view.evaluate(f"(all) => {{ {code}; return all.map(money); }}", amounts) == [money(one) for one in amounts]
    assert view.evaluate(f"() => {{ {code}; return money(NaN); }}") == money(float("nan"))
    view.close()


@pytest.mark.browser
def test_a_page_plays_stops_drags_and_shows_what_went_wrong(browser, wire, report):
    view = browser.new_page(viewport={"width": 1100, "height": 900})
    failures: list[str] = []
    view.on("pageerror", lambda error: failures.append(str(error)))
    page = Page(view, wire)
    shown = "document.querySelector('.hft-scrub-top').textContent"
    page.until(f"{shown}.includes('event 300 of')")
    before = view.evaluate("() => [...document.querySelectorAll('canvas')].map((c) => c.toDataURL())")
    assert len(before) == 3
    view.select_option(".hft-scrub label:has-text('speed') select", label="10 events")
    view.click(".hft-scrub button[title^='play']")
    page.until(f"+{shown}.match(/event ([\\d,]+)/)[1].replaceAll(',', '') > 500")
    view.click(".hft-scrub button[title^='play']")
    page.until("document.querySelector('.hft-scrub button[title^=play]').textContent.includes('play')")
    stopped = page.event()
    page.until(f"document.querySelector('.hft-scrub-rows tr.now td').textContent === '{stopped:,}'")
    assert all(
        a != b
        for a, b in zip(before, view.evaluate("() => [...document.querySelectorAll('canvas')].map((c) => c.toDataURL())"), strict=True)
    )
    box = view.locator(".hft-scrub-track canvas").bounding_box()
    view.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 20)
    view.mouse.down()
    view.mouse.up()
    span_ns = wire.wait("overview")[0]["span_ns"]
    at_ns = wire.scrubber.course.start_ns() + round(0.75 * span_ns)
    page.until(f"Math.abs({hl.at(report, ts_ns=at_ns).event} - +{shown}.match(/event ([\\d,]+)/)[1].replaceAll(',', '')) < 6")
    wire.scrubber.jump(event=2)
    page.until(f"{shown}.includes('event 2 of')")
    view.click(".hft-scrub button:has-text('◀◀ fill')")
    page.until(
        "!document.querySelector('.hft-error').hidden && document.querySelector('.hft-error').textContent.includes('no fill before')"
    )
    view.focus(".hft-scrub-track canvas")
    view.keyboard.press("ArrowRight")
    page.until(f"{shown}.includes('event 3 of') && document.querySelector('.hft-error').hidden")
    assert not failures
    view.close()

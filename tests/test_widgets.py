"""The screens without a browser: what is packed, who may write, what happens when something fails."""

import threading

import numpy as np
import pytest
from fake_desk import SAMPLE_NS, Clock, FakeSession, FakeView, panel_of, until
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab.data.frame import Gauge
from hftlab.errors import DataError
from hftlab.types import ASK, BID, FILL_ROW, HALTED, LIVE, NO_PRICE, RESYNC, SAMPLE_ROW, SAMPLES
from hftlab.widgets import blotter, curves, ladder, pump, risk, strip, text, venue
from hftlab.widgets.commands import Worker, carry_out
from hftlab.widgets.dashboard import Dashboard
from hftlab.widgets.panel import HtmlPanel


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def view(clock):
    return FakeView(clock_ns=clock)


@pytest.fixture
def board(monkeypatch):
    """Make dashboards that no pump feeds, and close them at the end."""
    made = []
    monkeypatch.setattr(pump.PUMP, "add", lambda board: None)

    def make(source):
        made.append(Dashboard(source))
        return made[-1]

    yield make
    for one in made:
        one.close()


# --- numbers and text ---
@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 8), st.booleans())
def test_a_number_is_a_dash_or_reads_back_and_never_minus_zero(value, decimals, sign):
    shown = text.number(value, decimals, sign=sign)
    if shown == text.DASH:
        assert not np.isfinite(value)
    else:
        assert float(shown.replace("\u2212", "-")) == pytest.approx(round(value, decimals))
        assert not (shown.startswith("\u2212") and float(shown.replace("\u2212", "-")) == 0.0)


def test_everything_from_outside_is_escaped(view, clock):
    view.messages.append({"ts_ns": clock(), "level": "info", "text": "<img src=x onerror=alert(1)>"})
    from hftlab.widgets.health import Events

    shown = Events().render(view.frame())
    assert "<img" not in shown
    assert "&lt;img" in shown


# --- ladder ---
def rows_of(data, block, depth):
    start = ladder.HEAD + block * depth * ladder.ROW
    return data[start : start + depth * ladder.ROW].reshape(depth, ladder.ROW)


def test_the_ladder_is_the_book_best_first_with_our_orders_in_it(view):
    frame = view.frame()
    data = ladder.pack(frame, 0, 12)
    bids, asks = rows_of(data, 0, 12), rows_of(data, 1, 12)
    assert (bids[0, 0], asks[0, 0]) == frame.touch()
    assert (np.diff(bids[:, 0]) < 0).all()
    assert (np.diff(asks[:, 0]) > 0).all()
    for side, rows in ((BID, bids), (ASK, asks)):
        (order,) = [o for o in frame.orders() if o.side == side]
        (mine,) = rows[rows[:, 2] > 0]
        in_book = dict(frame.levels(0, 40)[0 if side == BID else 1])[order.price]
        assert mine[0] == order.price
        # A simulated order is not in the recorded book: the bar is theirs and ours together.
        assert mine[1:] == pytest.approx([in_book + order.leaves, order.leaves, order.ahead_qty, LIVE])


def test_a_price_where_only_we_are_has_a_row_and_one_beyond_the_depth_is_counted(view):
    market = view.markets[0]
    frame = view.frame()
    bid = int(market["book"]["best_bid_ticks"])
    frame.markets[0]["book"]["bid_lots"][bid - 3 - int(market["book"]["anchor_ticks"])] = 0
    buy = frame.markets[0]["orders"][0]
    buy["price_ticks"] = bid - 3
    bids = rows_of(ladder.pack(frame, 0, 12), 0, 12)
    assert bids[3, 0] == frame.instruments[0].tick_size * (bid - 3)
    assert bids[3, 1] == bids[3, 2] == pytest.approx(0.010)
    buy["price_ticks"] = bid - 25
    data = ladder.pack(frame, 0, 12)
    assert not (rows_of(data, 0, 12)[:, 2] > 0).any()
    assert data[8] == 1


def test_an_empty_book_packs_as_nan(view):
    frame = view.frame()
    book = frame.markets[0]["book"]
    book["best_bid_ticks"] = book["best_ask_ticks"] = NO_PRICE
    frame.markets[0]["orders"]["status"] = 0
    frame.markets[0]["validity"] = RESYNC
    data = ladder.pack(frame, 0, 10)
    assert np.isnan(data[ladder.HEAD :]).all()
    assert data[9] == RESYNC


# --- strip ---
def unpack(data):
    """Return head, samples, fills and bands as strip.js reads them."""
    head, at, out = data[: strip.HEAD], strip.HEAD, []
    for count, wide in zip(head[1:4].astype(int), (6, 3, 3), strict=True):
        out.append(data[at : at + count * wide].reshape(count, wide))
        at += count * wide
    assert at == len(data)
    return head, *out


@settings(max_examples=15)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_full_frame_then_news_give_the_page_the_whole_history(steps):
    clock = Clock()
    view = FakeView(clock_ns=clock, history=SAMPLES - 40)  # the ring wraps on the way
    panel = strip.Strip()
    page = np.empty((0, 6))
    for n in steps:
        clock.ns += n * SAMPLE_NS // 3
        frame = view.frame()
        head, samples, _, _ = unpack(panel.pack(frame))
        page = samples if head[0] else np.concatenate([page[:-1], samples])
    expected = strip.sample_table(frame.samples(), frame.instruments[0])
    assert np.array_equal(page[-1 - len(expected) : -1], expected, equal_nan=True)
    assert page[-1, 0] == frame.now_ns / 1e6
    panel.close()


def test_a_page_that_connects_gets_everything_again(view, clock):
    panel = strip.Strip()
    assert unpack(panel.pack(view.frame()))[0][0] == 1
    clock.ns += SAMPLE_NS
    assert len(unpack(panel.pack(view.frame()))[1]) <= 3
    panel.canvas._hear(None, {"k": "hello", "n": 0}, [])
    head, samples, fills, _ = unpack(panel.pack(view.frame()))
    assert head[0] == 1
    assert len(samples) == len(view.frame().samples()) + 1
    assert len(fills) == len(view.frame().fills())
    panel.close()


def test_holes_blindness_and_a_halt_become_bands(view):
    rows = np.zeros(40, SAMPLE_ROW)
    rows["ts_ns"] = np.arange(40) * SAMPLE_NS + view.clock_ns()
    rows["ts_ns"][20:] += 30 * SAMPLE_NS
    rows["fair_ticks"][5:8] = np.nan
    rows["bid_ticks"] = rows["ask_ticks"] = NO_PRICE
    rows["bid_ticks"][:30] = 1
    view.desk["state"] = HALTED
    frame = view.frame()
    found = {(a, b, int(kind)) for a, b, kind in strip.bands(frame, rows)}
    ms = rows["ts_ns"] / 1e6
    assert found == {
        (ms[19], ms[20], strip.NO_BOOK),
        (ms[5], ms[8], strip.NO_BOOK),
        (ms[29], frame.now_ns / 1e6, strip.HALT),
    }


# --- curves, money, markouts ---
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=2000))
def test_thinning_a_curve_keeps_its_extremes_and_ends(values):
    x, y = np.arange(len(values), dtype=float), np.array(values)
    thin_x, thin_y = curves.thin(x, y)
    assert len(thin_x) <= curves.POINTS_MAX
    assert (np.diff(thin_x) > 0).all()
    assert (thin_y.min(), thin_y.max(), thin_y[0], thin_y[-1]) == (y.min(), y.max(), y[0], y[-1])


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=50))
def test_the_corners_of_a_position_are_the_position(values):
    x, y = np.arange(len(values), dtype=float), np.array(values, dtype=float)
    xs, ys = curves.steps(x, y)
    # Just after each x, the last corner at or before it says the position.
    at = np.searchsorted(xs, x, side="right") - 1
    assert np.array_equal(ys[at], y)


def test_the_parts_of_the_pnl_add_up_to_the_account(view):
    frame = view.frame()
    parts = risk.identity(frame, 0)
    assert parts.complete
    assert len(frame.fills()) > 20
    assert abs(parts.residual) < 1e-9 * abs(parts.fees)


def test_a_markout_by_hand():
    # Bought at 100 at t=10 s; fair is 101 at 10.9 s and 103 at 15 s: +1 tick after 1 s, +3 after 5 s. The sell of 14 s is too young for 5 s.
    fills = np.zeros(2, FILL_ROW)
    fills["ts_ns"], fills["price_ticks"], fills["side"] = np.array([10, 14]) * 10**9, [100, 102], [BID, ASK]
    samples = np.zeros(4, SAMPLE_ROW)
    samples["ts_ns"], samples["fair_ticks"] = np.array([9.9, 10.9, 14.9, 15.0]) * 1e9, [100, 101, 102.5, 103]
    assert blotter.markouts(fills, samples, 1) == pytest.approx([1.0, -1.0])
    assert blotter.markouts(fills, samples, 5) == pytest.approx([3.0, np.nan], nan_ok=True)


@pytest.mark.parametrize(("amount", "level"), [(60, "ok"), (71, "warn"), (-91, "bad"), (200, "bad")])
def test_a_gauge_turns_amber_above_70_percent_and_red_above_90(amount, level):
    shown = risk.gauge_html(Gauge("position", amount, 100.0, "BTC"), 3)
    assert f"var(--hft-{level})" in shown
    assert "/ 100" in shown


# --- the line to a venue ---
def gateway(**changes):
    """Return what a gateway says of itself when all is well, but for what a test changes."""
    return {
        "venue": "binanceusdm",
        "stream_up": True,
        "down": "",
        "working": 2,
        "unknown": 0,
        "unresolved": 0,
        "waiting": 0,
        "budgets": {
            "weight_1m": {"used": 24.0, "size": 2400.0, "seconds": 60.0},
            "orders_10s": {"used": 21.0, "size": 300.0, "seconds": 10.0},
        },
        "clock": {"offset_ms": -0.62, "within_ms": 0.96, "drift_ppm": 3.0, "samples": 4, "far": False},
        "dead_man": {"armed": True, "left_s": 55.3, "refused": ""},
        "reconciled_ns": 1_000_000_000,
        "divergences": [],
        "fees": {"USDT": "0.11999760"},
        "counts": {"sent": 44},
    } | changes


def shown(**changes):
    """Return the lines of the panel by name, eleven seconds after the comparison."""
    return {name: (text, css) for name, text, css in venue.gateway_lines(gateway(**changes), 12_000_000_000)}


def test_the_venue_panel_says_what_matters_of_a_gateway():
    lines = shown()
    assert lines["orders at the venue"] == ("2", "")
    assert lines["its clock"] == ("\u22120.6 ± 1.0 ms", "")
    assert lines["dead man's switch"] == ("cancels all in 55 s", "")
    assert lines["reconciled"] == ("11 s ago", "")
    assert lines["budget used"] == ("7% of orders 10s", "")
    assert lines["fees paid"] == ("0.1200 USDT", "")
    assert not [name for name, (_, css) in lines.items() if css]


@pytest.mark.parametrize(
    ("changes", "name", "says", "css"),
    [
        ({"unknown": 1}, "of unknown fate", "1", "warn"),
        ({"unknown": 1, "unresolved": 1}, "of unknown fate", "1", "bad"),
        ({"waiting": 3}, "waiting for the budget", "3", "warn"),
        ({"stream_up": False}, "user stream", "down", "bad"),
        ({"down": "GET /x: no answer"}, "user stream", "no answer: GET /x: no answer", "bad"),
        ({"reconciled_ns": 0}, "reconciled", "not yet", "warn"),
        ({"divergences": ["BTC: 1 at the venue, 2 expected"]}, "reconciled", "BTC: 1 at the venue, 2 expected", "bad"),
        (
            {"dead_man": {"armed": False, "left_s": 0.0, "refused": "the venue has none"}},
            "dead man's switch",
            "none: the venue has none",
            "warn",
        ),
        ({"dead_man": {"armed": False, "left_s": 0.0, "refused": ""}}, "dead man's switch", "not armed", "warn"),
        ({"budgets": {"orders_10s": {"used": 290, "size": 300}}}, "budget used", "97% of orders 10s", "bad"),
        ({"fees": {}}, "fees paid", text.DASH, ""),
    ],
)
def test_what_is_not_well_has_its_colour(changes, name, says, css):
    assert shown(**changes)[name] == (says, css)


def test_a_small_fee_of_a_dear_coin_is_not_nothing():
    small = {"fees": {"BNB": "0.00001234", "USDT": "0"}}
    assert shown(**small)["fees paid"][0] == "0.0000123 BNB, 0 USDT"
    assert "paid: 0.0000123" in venue._all_of({"paid": 0.00001234})


def test_a_gateway_that_is_still_signing_in_says_so():
    assert venue.gateway_lines({"venue": "binance"}, 0) == [("orders", "signing in and comparing with the venue", "warn")]


def with_line(view, **engine):
    """Let a view publish what a session on a venue's feed publishes besides."""
    original = view._engine
    view._engine = lambda now: original(now) | engine
    return view


STREAM = {"name": "btcusdt@<b>depth", "up": True, "last_ns": 0, "messages": 5, "gaps": 2, "resyncs": 1, "reconnects": 0, "note": ""}


def test_the_venue_panel_is_on_the_dashboard_of_a_session_with_a_line_and_of_no_other(view, board):
    desk = board(view)
    panel = panel_of(desk, venue.Venue)
    desk.board.feed(view.frame(), 0.0)
    assert panel.widget.layout.display == "none"
    desk.board.feed(with_line(view, streams=[STREAM], gateways=[gateway()]).frame(), 10.0)
    assert panel.failure is None
    assert panel.widget.layout.display is None
    assert "btcusdt@&lt;b&gt;depth" in panel.html.value
    assert "counts.sent: 44" in panel.html.value  # the rest is read by pointing at it
    assert "cancels all in 55 s" in panel.html.value


def test_a_silent_stream_is_amber_and_a_lost_one_red(view):
    frame = view.frame()
    for up, ago_s, css in ((True, 1, None), (True, 30, "warn"), (False, 1, "bad")):
        stream = STREAM | {"up": up, "last_ns": frame.published_ns - ago_s * 10**9}
        html = venue.Venue().render(with_line(view, streams=[stream]).frame())
        assert [one for one in ("warn", "bad") if f"hft-level-{one}" in html] == ([css] if css else [])


def test_the_divergence_meter_is_a_table_in_the_unit_of_the_instrument(view):
    figures = {name: {"fills": n, "filled_lots": 10 * n, "pnl_quote": -0.5 * n} for name, n in zip(venue.NAMES, (5, 3, 1), strict=True)}
    meter = figures | {"fills_apart": 4, "lots_apart": 40, "pnl_apart": -2.0, "sure_share": 1 / 3}
    html = venue.Venue().render(with_line(view, streams=[], divergence=meter).frame())
    for cell in ("optimistic", "0.050", "0.010", "\u22122.50", "33%", "no stream is open yet"):
        assert cell in html


# --- failures stay where they are ---
class Broken(HtmlPanel):
    title = "Broken"
    fail = True

    def render(self, frame):
        if self.fail:
            raise ZeroDivisionError("<b>spread</b> was 0")
        return "fine"


def test_a_panel_shows_its_own_failure_and_recovers_by_itself(view):
    panel = Broken()
    panel.update(view.frame(), 0.0)
    assert panel._error.layout.display is None
    assert "ZeroDivisionError" in panel._error.value
    assert "&lt;b&gt;spread" in panel._error.value
    assert not panel.due(0.5)
    panel.fail = False
    panel.update(view.frame(), 1.0)
    assert panel._error.layout.display == "none"
    assert panel.html.value == "fine"
    panel.close()


def test_one_broken_panel_does_not_stop_the_others(view, board):
    desk = board(view)
    broken = panel_of(desk, curves.PnlCurve)
    broken.draw = lambda frame: 1 / 0
    frame = view.frame()
    desk.board.feed(frame, 0.0)
    assert [p for p in desk.panels if p.failure] == [broken]
    assert "61" in panel_of(desk, blotter.Fills).html.value  # which comes after it


# --- the pump ---
def told(desk):
    """Collect what is said in the health line."""
    said = []
    desk.health.bar.send = lambda content, buffers=None: said.append(content)
    return said


def test_a_run_that_cannot_be_read_is_said_on_the_screen_and_tried_again(view, board):
    desk = board(view)
    said = told(desk)
    now = [0.0]
    one = pump.Pump(clock_s=lambda: now[0])
    one._boards = [desk.board]
    desk.board.since_s = 0.0
    for problem in (DataError("snapshot.bin is empty; start the run."), OSError("no such file")):
        view.problem = problem
        now[0] += 1.0
        one.tick()
        assert str(problem) in said[-1]["problem"]
    view.problem = None
    now[0] += 1.0
    one.tick()
    assert said[-1]["state"] == "ACTIVE"
    assert said[-1]["problem"] == ""


def test_a_dashboard_that_fails_outside_of_its_panels_says_so_and_the_others_are_fed(view, board):
    first, second = board(view), board(view)
    said, other = told(first), told(second)

    def forgets(frame, now_s):
        raise MemoryError("no room for samples")

    first.board.keep = forgets
    one = pump.Pump(clock_s=lambda: 0.0)
    one._boards, first.board.since_s, second.board.since_s = [first.board, second.board], 0.0, 0.0
    first.board._trouble_due_s = -1.0
    one.tick()
    assert "no room for samples" in said[-1]["problem"]
    assert other[-1]["state"] == "ACTIVE"


def test_the_pump_goes_quiet_without_a_page_and_wakes_with_one(view, board):
    desk = board(view)
    now = [1000.0]
    one = pump.Pump(clock_s=lambda: now[0])
    one._boards, desk.board.since_s = [desk.board], 1000.0
    assert one.tick() == 1  # grace: no page has shown up yet
    now[0] += pump.GRACE_S + 1
    assert one.tick() == 0
    panel_of(desk, ladder.Ladder).canvas.beat_s = now[0]
    assert one.tick() == 1
    now[0] += pump.SILENCE_S + 1
    assert one.tick() == 0


def test_two_dashboards_of_one_source_ask_it_once_a_tick(view, board):
    first, second = board(view), board(view)
    asked, original = [], view.frame
    view.frame = lambda: asked.append(1) or original()
    one = pump.Pump(clock_s=lambda: 0.0)
    one._boards = [first.board, second.board]
    first.board.since_s = second.board.since_s = 0.0
    assert one.tick() == 2
    assert len(asked) == 1


def test_frames_are_dropped_for_a_page_that_cannot_keep_up(view):
    panel = ladder.Ladder()
    sent = []
    panel.canvas.send = lambda content, buffers=None: sent.append(content["n"])
    panel.canvas._hear(None, {"k": "hello", "n": 0}, [])
    for _ in range(300):
        panel.draw(view.frame())
    assert 0 < len(sent) <= 62
    panel.canvas._hear(None, {"k": "beat", "n": sent[-1]}, [])
    panel.draw(view.frame())
    assert sent[-1] == len(sent)
    panel.close()


def test_a_page_whose_hello_was_lost_is_fed_again(view):
    # Reloaded while the kernel was busy: its first beats say that it has seen nothing, and we had stopped because it was behind.
    panel = ladder.Ladder()
    sent = []
    panel.canvas.send = lambda content, buffers=None: sent.append(content["n"])
    panel.canvas._hear(None, {"k": "hello", "n": 0}, [])
    for _ in range(100):
        panel.draw(view.frame())
    stopped = len(sent)
    assert panel.canvas.behind
    panel.canvas.take_greeting()
    panel.canvas._hear(None, {"k": "beat", "n": 0}, [])
    panel.draw(view.frame())
    assert len(sent) == stopped
    panel.canvas._hear(None, {"k": "beat", "n": 0}, [])
    assert panel.canvas.take_greeting()
    panel.draw(view.frame())
    assert len(sent) == stopped + 1
    panel.close()


def test_the_thread_ends_with_the_last_dashboard(view, board):
    mine, desk = pump.Pump(), board(view)
    mine.add(desk.board)
    assert until(lambda: desk.board.number is not None)
    assert mine.running
    mine.remove(desk.board)
    assert until(lambda: not mine.running)


# --- commands ---
def test_controls_exist_if_and_only_if_the_source_has_commands(view, clock, board):
    reader, session = board(view), board(FakeSession(clock_ns=clock))
    assert reader.controls is None
    assert not reader.health.bar.controls
    assert session.controls in session.panels
    assert session.health.bar.controls
    # A page can send anything, also what has no button: a View has nothing that could answer.
    reader.health.bar._hear(None, {"k": "halt"}, [])
    assert reader.health.bar._on_halt is None


def test_a_press_is_carried_out_by_another_thread_and_its_result_shown(clock, board):
    session = FakeSession(clock_ns=clock)
    desk = board(session)
    threads, original = [], session.halt
    session.halt = lambda: threads.append(threading.current_thread().name) or original()
    desk.health.bar._hear(None, {"k": "halt"}, [])
    assert until(lambda: ("halt",) in session.calls)
    assert threads == ["hftlab-halt"]
    assert until(lambda: len(desk.controls._outcomes) > 0)
    desk.controls.refresh("HALTED")
    assert desk.controls.said.endswith("halt: acknowledged")


def test_a_halt_that_failed_stays_on_the_health_line(clock, board):
    session = FakeSession(clock_ns=clock)
    desk, session.unreachable = board(session), True
    said = told(desk)
    desk.health.bar._hear(None, {"k": "halt"}, [])
    assert until(lambda: len(desk.controls._outcomes) > 0)
    desk.controls.refresh("ACTIVE")
    desk.health.update(session.frame())
    assert "HALT FAILED: no answer" in said[-1]["problem"]


def test_a_halt_does_not_wait_for_a_slow_command(clock, board):
    session, gate = FakeSession(clock_ns=clock), threading.Event()
    desk = board(session)
    session.stop = lambda: gate.wait(5.0)
    desk.controls.page._hear(None, {"k": "command", "name": "stop"}, [])
    desk.health.bar._hear(None, {"k": "halt"}, [])
    assert until(lambda: ("halt",) in session.calls)
    assert not gate.is_set()
    gate.set()


def answered(controls, count):
    """Wait for so many outcomes and take them in."""
    assert until(lambda: len(controls._outcomes) >= count)
    controls.refresh("ACTIVE")


@pytest.fixture
def sliders(clock, board):
    """Give a session and the controls of its dashboard, which know the parameters."""
    session = FakeSession(clock_ns=clock)
    controls = board(session).controls
    controls.refresh("ACTIVE")
    answered(controls, 1)
    return session, controls


def test_apply_sends_all_that_was_staged_as_one_command_and_shows_what_was_acknowledged(sliders):
    session, controls = sliders
    controls.page._hear(None, {"k": "apply", "id": "1", "values": {"horizon_s": 60.0, "risk_aversion": 0.2}}, [])
    answered(controls, 1)
    assert [call for call in session.calls if call[0] == "set"] == [("set", 0, {"horizon_s": 60.0, "risk_aversion": 0.2})]
    assert {p["name"]: p["value"] for p in controls.params}["horizon_s"] == 60.0
    assert controls.answer == {"id": "1", "ok": True}
    assert controls.said.endswith("horizon s → 60, risk aversion → 0.2000: acknowledged")


def test_what_the_engine_refuses_stays_staged_and_nothing_of_it_is_applied(sliders):
    session, controls = sliders
    controls.page._hear(None, {"k": "apply", "id": "2", "values": {"horizon_s": 60.0, "order_qty": 0.06}}, [])
    answered(controls, 1)
    assert {p["name"]: p["value"] for p in controls.params} == session.values == FakeSession().values
    assert controls.answer == {"id": "2", "ok": False}
    assert "the limit is 0.05" in controls.said
    assert controls.level == "bad"


@pytest.mark.parametrize(
    ("ident", "values"),
    [
        ("1", {"__class__": 1.0}),
        ("1", {"horizon_s": float("nan")}),
        ("1", {"horizon_s": "60"}),
        ("1", {"horizon_s": True}),
        ("1", {"horizon_s": 60.0, "no_such": 1.0}),
        ("1", {}),
        ("1", [["horizon_s", 60.0]]),
        (None, {"horizon_s": 60.0}),
        ("x" * 1000, {"horizon_s": 60.0}),
    ],
)
def test_an_apply_with_anything_wrong_in_it_is_dropped_as_a_whole(sliders, ident, values):
    session, controls = sliders
    controls.page._hear(None, {"k": "apply", "id": ident, "values": values}, [])
    controls.page._hear(None, {"k": "command", "name": "__init__"}, [])
    controls.page._hear(None, {"k": "apply", "id": "last", "values": {"levels": 2}}, [])
    answered(controls, 1)
    assert session.calls == [("set", 0, {"levels": 2})]


def test_a_slider_keeps_its_range_while_the_value_lies_in_it():
    from hftlab.widgets.controls import plain

    ranges = {}
    base = {"name": "g", "label": "g", "unit": "", "step": 0.1, "log": True}
    assert plain(base | {"value": 1.0, "min": 0.1, "max": 10.0}, ranges)["max"] == 10.0
    assert plain(base | {"value": 5.0, "min": 0.5, "max": 50.0}, ranges)["max"] == 10.0
    assert plain(base | {"value": 20.0, "min": 2.0, "max": 200.0}, ranges)["max"] == 200.0


def test_a_worker_survives_any_failure():
    worker, seen = Worker("test-worker"), []
    worker.submit("bad", lambda: 1 / 0, seen.append)
    worker.submit("good", lambda: "done", seen.append)
    assert until(lambda: len(seen) == 2)
    assert seen[0].error == "ZeroDivisionError: division by zero"
    assert (seen[1].answer, seen[1].error) == ("done", "")
    assert carry_out("x", lambda: 1).answer == 1

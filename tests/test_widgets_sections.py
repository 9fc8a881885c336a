"""The sections of the dashboard without a browser: what is fed, what each panel says, who may switch a strategy."""

import numpy as np
import pytest
from fake_desk import SAMPLE_NS, Clock, FakeSession, FakeView, panel_of, until

from hftlab.analytics.stats import equity
from hftlab.data.frame import Gauge
from hftlab.errors import UnknownName
from hftlab.types import BID, HALTED, NO_PRICE, SAMPLE_ROW
from hftlab.widgets import exposure, market, operations, performance, risk, strategies
from hftlab.widgets.dashboard import SECTIONS, Dashboard, check_sections
from hftlab.widgets.history import SPACING_NS, History


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
    monkeypatch.setattr("hftlab.widgets.pump.PUMP.add", lambda board: None)

    def make(source):
        made.append(Dashboard(source))
        return made[-1]

    yield make
    for one in made:
        one.close()


def beat(desk, section, page="one"):
    """Say what a page says every second."""
    desk.health.bar._hear(None, {"k": "beat", "n": 0, "section": section, "page": page}, [])


def drawn(desk):
    """Count draws of each panel by its name."""
    counts = {}
    for panel in desk.panels:
        original, name = panel.draw, type(panel).__name__

        def count(frame, original=original, name=name):
            counts[name] = counts.get(name, 0) + 1
            original(frame)

        panel.draw = count
    return counts


# --- what is fed ---
def test_before_a_page_has_spoken_everything_is_drawn_once_so_that_no_section_opens_empty(view, board):
    desk = board(view)
    counts = drawn(desk)
    desk.board.feed(view.frame(), 0.0)
    assert set(counts) == {type(panel).__name__ for panel in desk.panels}
    assert not [panel for panel in desk.panels if panel.failure]


def test_before_a_page_has_spoken_each_panel_keeps_its_own_pace(view, board, clock):
    desk = board(view)
    counts = drawn(desk)
    for step in range(20):  # a second of the pump
        clock.ns += 50_000_000
        desk.board.feed(view.frame(), 100.0 + step * 0.05)
    assert counts["Ladder"] == 20
    assert counts["HeatMap"] == counts["Portfolio"] == 1


def test_only_the_section_in_sight_is_fed_and_a_new_one_at_once(view, board, clock):
    desk = board(view)
    desk.board.feed(view.frame(), 0.0)
    counts = drawn(desk)
    beat(desk, "market")
    desk.board.feed(view.frame(), 10.0)
    assert set(counts) == {"Health", "MarketState", "HeatMap"}
    beat(desk, "risk")
    # The frame is not new, and nothing is due: a section that comes into sight is drawn all the same.
    desk.board.feed(view.frame(), 10.001)
    assert {"DeskRisk", "MarketRisk", "Portfolio"} <= set(counts)
    assert "Ladder" not in counts


def test_two_pages_with_two_sections_are_both_fed(view, board):
    desk = board(view)
    beat(desk, "desk", "one")
    beat(desk, "market", "one")  # it has gone on to another
    beat(desk, "pnl", "two")
    counts = drawn(desk)
    desk.board.feed(view.frame(), 0.0)
    assert {"MarketState", "Equity"} <= set(counts)
    assert "Ladder" not in counts


def test_from_afar_only_the_health_line_and_the_commands_go_on(clock, board):
    session = FakeSession(clock_ns=clock)
    desk = board(session)
    beat(desk, "")
    counts = drawn(desk)
    desk.board.feed(session.frame(), 0.0)
    assert set(counts) == {"Health", "Controls"}


@pytest.mark.parametrize("section", ["nowhere", None, 7, ["desk"], {"a": 1}])
def test_a_section_that_does_not_exist_is_not_noted(view, board, section):
    desk = board(view)
    beat(desk, section)
    assert desk.health.bar.shown(0.0) is None


@pytest.mark.parametrize("page", [None, 7, "x" * 1000])
def test_a_page_without_a_proper_name_is_not_noted(view, board, page):
    desk = board(view)
    beat(desk, "desk", page)
    assert desk.health.bar.shown(0.0) is None


def test_many_pages_take_no_room_for_ever(view, board):
    desk = board(view)
    for k in range(1000):
        beat(desk, "desk", str(k))
    assert len(desk.health.bar._seen) <= 21


def test_sections_can_be_chosen_and_a_wrong_one_is_explained(view, monkeypatch):
    monkeypatch.setattr("hftlab.widgets.pump.PUMP.add", lambda board: None)
    desk = Dashboard(view, sections=("risk", "market"))
    assert [key for key, _ in desk.health.bar.sections] == ["risk", "market"]
    assert {panel.section for panel in desk.panels} == {"", "risk", "market"}
    desk.close()
    assert check_sections(None) == tuple(SECTIONS)
    assert check_sections("risk") == ("risk",)
    for wrong in (("risks",), ()):
        with pytest.raises(UnknownName, match="risk"):
            check_sections(wrong)


# --- history ---
def test_the_history_outlives_the_ring_of_the_state():
    clock = Clock()
    view, history = FakeView(clock_ns=clock, history=10), History()
    for _ in range(8):
        clock.ns += 300 * SAMPLE_NS
        history.take(view.frame(), clock.ns / 1e9)
    rows = history.rows(0)
    assert len(rows) == pytest.approx(8 * 300 * SAMPLE_NS // SPACING_NS, abs=3)
    assert (np.diff(rows["ts_ns"] // SPACING_NS) >= 1).all()
    assert rows["ts_ns"][-1] > view.frame().samples()["ts_ns"][0] > rows["ts_ns"][0]


def test_a_run_that_began_anew_has_no_old_history(clock):
    history = History()
    history.take(FakeView(clock_ns=clock).frame(), 0.0)
    assert len(history.rows(0)) > 100
    history.take(FakeView(clock_ns=clock, history=10).frame(), 10.0)
    assert len(history.rows(0)) <= 4


def test_a_full_history_gives_up_its_oldest_quarter(monkeypatch):
    monkeypatch.setattr("hftlab.widgets.history.ROWS", 40)
    history, rows = History(), np.zeros(30, SAMPLE_ROW)
    history._rows, history._used, history._taken = [np.zeros(40, SAMPLE_ROW)], [0], [0]
    for start in (0, 30):
        rows["ts_ns"] = (start + np.arange(30)) * SPACING_NS
        history._append(0, rows)
    assert history.rows(0)["ts_ns"].tolist() == [k * SPACING_NS for k in range(20, 60)]


def test_the_pnl_of_all_markets_is_the_desk_s(clock):
    view, history = FakeView(clock_ns=clock, markets=2), History()
    history.take(view.frame(), 0.0)
    times, pnl = history.pnl(SPACING_NS)
    assert (np.diff(times) == SPACING_NS).all()
    rows = [history.rows(i) for i in (0, 1)]
    assert pnl[-1] == pytest.approx(sum(one["pnl_quote"][one["ts_ns"] <= times[-1]][-1] for one in rows))
    assert equity.drawdown(pnl).max() > 0


# --- market ---
def test_the_spread_is_said_in_ticks_and_basis_points_and_a_missing_side_is_a_dash(view):
    panel = market.MarketState()
    shown = panel.render(view.frame())
    assert "1 ticks" in shown
    assert "0.081 bps" in shown  # a tick of 0.5 at 61 801
    frame = view.frame()
    frame.markets[0]["book"]["best_bid_ticks"] = NO_PRICE
    ticks, mean, _ = market.spreads(frame, 0)
    assert np.isnan(ticks)
    assert mean == pytest.approx(1.0)


def test_rates_are_counted_over_the_last_seconds_and_begin_anew_with_the_counter():
    rates = market.Rates()
    assert np.isnan(rates.take(0, 0, 0)).all()
    for k in range(1, 31):
        found = rates.take(k * 10**9, 2 * k, 100 * k)
    assert found == pytest.approx((2.0, 100.0))
    assert np.isnan(rates.take(31 * 10**9, 0, 0)).all()


def test_rates_after_a_pause_are_not_the_mean_over_it():
    rates = market.Rates()
    for second in (0, 5, 3600):
        found = rates.take(second * 10**9, second, second)
    assert np.isnan(found).all()
    assert rates.take(3602 * 10**9, 3620, 3640) == pytest.approx((10.0, 20.0))


@pytest.mark.parametrize("markets", [1, 2])
def test_the_map_is_bounded_and_knows_what_it_does_not_know(clock, markets):
    view, history = FakeView(clock_ns=clock, markets=markets), History()
    history.take(view.frame(), 0.0)
    labels, grid, edges = market.HeatMap(history).grid(view.frame())
    assert grid.shape == (len(labels), market.COLUMNS)
    assert len(labels) <= market.ROWS_MAX
    assert labels[0] == ("BTC/USDT" if markets == 2 else "1 s")
    # A walk of 0.45 ticks of 0.5 at 61 801 each 0.2 s: about 0.08 bps per root second; nothing is known of before it began.
    known = np.isfinite(grid[0])
    assert 0.04 < np.median(grid[0][known]) < 0.14
    assert not known[: len(known) // 2].any()
    assert edges[-2] <= view.frame().now_ns < edges[-1]


# --- risk ---
def test_the_gauges_of_the_desk_stand_once_and_those_of_a_market_with_it(clock):
    frame = FakeView(clock_ns=clock, markets=2).frame()
    shared, own = exposure.split(frame)
    assert {gauge.name for gauge in shared} == {"daily loss", "drawdown"}
    assert {"position", "notional", "open orders"} <= {gauge.name for gauge in own[0]}
    assert own[1][0].unit == "ETH"


def test_a_gauge_says_how_much_of_its_limit_is_used():
    assert ">65%<" in risk.gauge_html(Gauge("position", 65.2, 100.0, "BTC"), 3)
    for unknown in (Gauge("position", np.nan, 100.0, "BTC"), Gauge("position", 5.0, np.inf, "BTC")):
        assert "%<" not in risk.gauge_html(unknown, 3)


def test_the_risk_of_a_halted_desk_is_an_f_and_says_why(view):
    view.desk["state"], view.desk["halt_verdict"] = HALTED, 2
    panel = exposure.DeskRisk()
    shown = panel.render(view.frame())
    assert "HALTED" in shown
    assert "daily loss" in shown.split("</div>")[0]
    assert "grade F (0/100)" in panel._head.value


def test_the_portfolio_says_what_it_measures_and_over_what(view):
    panel = exposure.Portfolio()
    shown = panel.render(view.frame())
    for name in ("VaR 95", "CVaR 95", "gross exposure", "drawdown"):
        assert name in shown
    assert "USDT · one step of 10 s" in panel._head.value


# --- strategies ---
def test_a_view_has_no_switch_and_no_message_can_throw_one(view, board):
    desk = board(view)
    panel = panel_of(desk, strategies.Strategies)
    assert not panel.page.controls
    desk.board.feed(view.frame(), 0.0)
    panel.page._hear(None, {"k": "switch", "name": "deactivate", "market": 0}, [])
    assert panel.session is None
    assert panel.told[0] == ""


def test_a_strategy_is_switched_off_for_its_market_only(clock, board):
    session = FakeSession(clock_ns=clock, markets=2)
    desk = board(session)
    panel = panel_of(desk, strategies.Strategies)
    desk.board.feed(session.frame(), 0.0)
    for name, where in (("stop", 1), ("deactivate", 2), ("deactivate", -1), ("deactivate", "1"), ("deactivate", True), (["x"], 1)):
        panel.page._hear(None, {"k": "switch", "name": name, "market": where}, [])
    panel.page._hear(None, {"k": "switch", "name": "deactivate", "market": 1}, [])
    assert until(lambda: panel.told[0])
    assert session.calls == [("deactivate", 1)]
    assert panel.told[0] == "deactivate market 1: acknowledged"
    frame = session.frame()
    assert [strategies.quote_state(frame, i) for i in (0, 1)] == [("quoting", "ok"), ("deactivated", "warn")]


def test_what_a_strategy_does_is_said_in_words(view):
    frame = view.frame()
    assert strategies.quote_state(frame, 0) == ("quoting", "ok")
    frame.markets[0]["orders"]["status"][np.flatnonzero(frame.markets[0]["orders"]["side"] == BID)] = 0
    assert strategies.quote_state(frame, 0) == ("one side", "")
    frame.markets[0]["gate_verdict"] = 5
    assert strategies.quote_state(frame, 0) == ("not quoting: book not valid", "warn")
    frame.desk["state"] = HALTED
    assert strategies.quote_state(frame, 0) == ("halted", "bad")


# --- P&L ---
def test_the_sharpe_says_its_window_its_error_and_when_it_has_too_little(clock):
    for history_steps, says in ((1400, "±"), (60, "needs 30 steps")):
        view, history = FakeView(clock_ns=clock, history=history_steps), History()
        history.take(view.frame(), 0.0)
        panel = performance.Sharpe(history)
        panel.draw(view.frame())
        assert says in panel._head.value
        assert "window 300 steps of 1 s, annualised over 365 d" in panel._head.value


def test_the_execution_of_a_desk_without_fills_is_dashes_not_a_failure(clock):
    view = FakeView(clock_ns=clock, history=1)
    shown = dict(performance.figures(view.frame(), 0))
    assert shown["as maker"] == shown["earned against fair, mean"] == "–"
    assert "requests a fill, all markets: –" in performance.Execution().render(view.frame())


# --- operations ---
def test_each_stage_of_latency_has_a_unit_and_what_to_do_about_it(view):
    shown = operations.LatencyStages().render(view.frame())
    for cell in ("exchange to us", "12.0 ms", "rows to requests", "4 µs", "31 µs", "fill to us", "10.0 ms", "nothing to do"):
        assert cell in shown
    with_lag = view._engine
    view._engine = lambda now: with_lag(now) | {"feed_lag_ms": 180.0, "clock_offset_ms": 0.2}
    assert "run in the venue&#x27;s region" in operations.LatencyStages().render(view.frame())


def test_alerts_and_log_are_shown_newest_first_and_escaped(tmp_path, view):
    view.directory = tmp_path
    lines = [{"ts_ns": 10**18, "level": "warn", "kind": "risk", "text": "<b>first</b>"}, {"ts": 1e9, "level": "error", "text": "second"}]
    view.alerts = view.log = lambda n: lines[-n:]
    for panel in (operations.Alerts(view), operations.Log(view)):
        shown = panel.render(view.frame())
        assert shown.index("second") < shown.index("first")
        assert "&lt;b&gt;first" in shown
        assert "hft-level-bad" in shown
        assert "01:46:40" in shown
    view.alerts = view.log = lambda n: []
    assert "no alert so far" in operations.Alerts(view).render(view.frame())
    assert "nothing was logged" in operations.Log(view).render(view.frame())

"""Time travel: at every event the bytes of a plain run, wherever one came from; and what would have been from there."""

import numpy as np
import pandas as pd
import pytest
from sessions import BTC, close, quoter, run_session
from tapes import A, moves_and_prints

import hftlab as hl
from hftlab.backtesting.run import prepare
from hftlab.backtesting.timers import row_times
from hftlab.backtesting.travels import open as travel_open
from hftlab.backtesting.travels.marks import KINDS
from hftlab.data import journal as jn
from hftlab.data.frame import Frame
from hftlab.data.snapshot import SnapshotReader
from hftlab.engine.figures import Figures
from hftlab.engine.session import Driver
from hftlab.engine.spec import load_spec
from hftlab.errors import DataError, InputError, UnknownName
from hftlab.types import CANCEL, EVENT, FILL, SET_PARAMS, STATE, SUBMIT, TRADE

BLOCK = 97  # rows between two saved states: a run of a thousand rows has many
LIMITS = hl.Limits(position_qty_max="1")
QUOTER = hl.FixedSpread(order_qty="0.05", half_spread_ticks=1, life_ms_min=0)
OTHER = hl.FixedSpread(order_qty="0.05", half_spread_ticks=2, life_ms_min=0)


@pytest.fixture(autouse=True)
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:  # one of its own: run_session takes back all that the test's has done
        patch.setattr("hftlab.data.checkpoints.SPACING_ROWS", BLOCK)
        yield
    travel_open.forget()


@pytest.fixture(scope="module")
def tape():
    return moves_and_prints(120)


@pytest.fixture(scope="module")
def report(tape):
    made = hl.backtest(tape, A, QUOTER, LIMITS, latency=hl.Latency(order_ms=20))
    assert len(made.fills) > 20
    return made


def plain(report, events):
    """The digests of a plain run at events, and what it wrote up to each: nothing of time travel in it."""
    ready = prepare(report.origin.tape, dict(report.origin.call))
    rows = np.concatenate(list(ready.chunks))
    found, at = {}, 0
    for event in sorted(events):
        ready.state.step(ready.run, rows[at:event])
        found[event], at = ready.state.digest(), event
    return found, rows


def test_every_event_of_a_backtest_is_the_bytes_of_a_plain_run(report):
    count = hl.at(report, 1.0).event
    events = np.random.default_rng(5).integers(0, count + 1, 40).tolist()
    truth, rows = plain(report, events)
    assert count == len(rows)
    assert [hl.at(report, event).digest for event in events] == [truth[event] for event in events]


def test_the_answer_does_not_depend_on_how_one_came_there(report):
    here = hl.at(report, 500)
    assert here.step(137).step(-137).digest == here.digest
    assert here.step(-400).step(400).digest == here.digest
    assert hl.at(report, 500).to(7).to(500).digest == here.digest
    assert here.next("fill").step(1).prev("fill").digest == here.next("fill").digest


def test_a_moment_keeps_its_state_when_one_goes_on(report):
    here = hl.at(report, 300)
    before = here.digest
    here.step(500)
    assert here.digest == before
    with pytest.raises(ValueError, match="read-only"):
        here.desk["state"] = 1


def test_a_time_is_the_state_after_all_rows_up_to_it(report):
    _, rows = plain(report, [0])
    times = row_times(rows)
    for ts_ns in [*np.random.default_rng(2).integers(times[0] - 5, times[-1] + 5, 25).tolist(), int(times[100])]:
        assert hl.at(report, ts_ns=ts_ns).event == np.searchsorted(times, ts_ns, side="right")
    stamp = pd.Timestamp(int(times[200]), tz="UTC")
    wanted = int(np.searchsorted(times, times[200], side="right"))
    for where in (stamp, stamp.tz_convert("Asia/Tokyo"), stamp.tz_localize(None), np.datetime64(int(times[200]), "ns"), str(stamp)):
        assert hl.at(report, where).event == wanted
    assert hl.at(report, 0.5).event == np.searchsorted(times, times[0] + (int(times[-1]) - int(times[0])) // 2, side="right")
    assert hl.at(report, 0.0).now_ns == times[0]


def by_single_steps(report):
    """For each event what its row led to, found by running one row at a time."""
    ready = prepare(report.origin.tape, dict(report.origin.call))
    rows = np.concatenate(list(ready.chunks))
    return rows, [ready.state.step(ready.run, rows[k : k + 1])["kind"] for k in range(len(rows))]


WROTE = {
    "fill": lambda kinds: kinds == FILL,
    "order": lambda kinds: (kinds >= SUBMIT) & (kinds <= CANCEL),
    "risk": lambda kinds: kinds == STATE,
}


@pytest.mark.parametrize("kind", ["fill", "order", "risk", "trade", "timer", "message"])
def test_next_and_prev_stop_at_every_event_of_a_kind_and_at_no_other(tape, kind):
    limits = hl.Limits(position_qty_max="0.2", widen_at_frac=0.3, reduce_at_frac=0.7)  # near its limit now and then: the state changes
    report = hl.backtest(tape, A, QUOTER, limits, latency=hl.Latency(order_ms=20))
    rows, wrote = by_single_steps(report)
    hits = [bool(WROTE[kind](one).any()) for one in wrote] if kind in WROTE else KINDS[kind](rows).tolist()
    wanted = [k + 1 for k, hit in enumerate(hits) if hit]
    assert len(wanted) > 5
    course = hl.at(report, 0).course
    forth, here = [], 0
    while (found := course.find(kind, here, back=False)) is not None:
        forth.append(here := found)
    back, here = [], len(rows) + 1
    while (found := course.find(kind, here, back=True)) is not None:
        back.append(here := found)
    assert forth == wanted
    assert back[::-1] == wanted


def test_a_moment_is_a_frame_and_tells_the_rows_around_it_and_what_they_led_to(report):
    here = hl.at(report, 200).next("fill")
    assert isinstance(here, Frame)
    assert len(here.fills()) == int(here.markets[0]["fills_count"])
    assert here.fills()[-1]["recv_ns"] <= here.now_ns
    assert {gauge.name for gauge in here.gauges()} >= {"position", "daily loss"}
    rows = here.rows(3, 4)
    assert rows.index.tolist() == list(range(here.event - 2, here.event + 5))
    assert rows["offset"].tolist() == [-2, -1, 0, 1, 2, 3, 4]
    assert rows["ts"][here.event] == here.ts
    assert "fill" in here.did()["kind"].tolist()
    assert here.did()["price"].notna().any()
    orders = here.step(-1).orders_table()
    assert len(orders) == len(here.step(-1).orders())
    assert (orders["exchange_ahead_qty"].dropna() >= 0).all()
    assert here.quote()["bid"] < here.quote()["ask"]
    assert here.estimates()["sigma_bps_per_sqrt_s"] == here.sigma_bps()
    assert f"event {here.event:,}" in here._repr_html_()
    assert hl.at(report, 0).rows(5, 2)["offset"].tolist() == [1, 2]


def test_a_streamed_backtest_is_the_same_road(report, tape, tmp_path):
    streamed = hl.backtest(hl.stream(tape.save(tmp_path / "tape.npz"), rows_max=64), A, QUOTER, LIMITS, latency=hl.Latency(order_ms=20))
    assert streamed.digest == report.digest
    for event in (400, 31, 900):
        assert hl.at(streamed, event).digest == hl.at(report, event).digest


@pytest.mark.parametrize("strategy_ms", [0.0, 40.0])
def test_a_strategys_answers_are_rows_of_the_road(strategy_ms):
    tape = moves_and_prints(300)
    asked = {"strategy": hl.ZScoreReversion(qty="0.3", lookback=5, entry_z=0.8, every_s=1), "strategy_ms": strategy_ms, "bar_s": 1}
    report = hl.backtest(tape, A, hl.WorkTarget(order_qty="0.1"), LIMITS, **asked)
    assert len(report.fills) > 3
    end = hl.at(report, 1.0)
    assert end.course.marks.digest == report.digest
    assert end.pnl_quote == report.desk["pnl_quote"]
    assert any("strategy" in note for note in end.notes)
    wished = end.prev("command")
    assert wished.rows(1, 0)["kind"].tolist() == ["set_target"]
    assert wished.rows(1, 0)["says"].str.startswith("position").all()
    assert wished.run().digest == report.digest  # its answers are repeated


def test_a_run_that_does_not_come_out_the_same_says_so():
    tape = moves_and_prints(300)
    strategy = hl.ZScoreReversion(qty="0.3", lookback=5, entry_z=0.8, every_s=1)
    report = hl.backtest(tape, A, hl.WorkTarget(order_qty="0.1"), LIMITS, strategy=strategy, bar_s=1)
    changed = hl.ZScoreReversion(qty="0.2", lookback=5, entry_z=0.8, every_s=1)
    report.origin.call["strategy"] = changed
    assert any("not the run of the report" in note for note in hl.at(report, 1.0).notes)


# --- what would have been ----------------------------------------------------------------------------------------------------------
def test_nothing_changed_is_what_happened(report):
    here = hl.at(report, 600)
    assert here.run().digest == report.digest
    assert here.run().pnl_quote == report.pnl_quote
    assert here.happened().digest == report.digest
    assert here.run(for_s=10).digest == here.happened(for_s=10).digest != report.digest
    assert here.run(until=900).digest == hl.at(report, 5).happened(until=900).digest


def test_a_change_before_the_first_row_is_another_backtest(report, tape):
    changed = hl.at(report, 0).run(quoter=OTHER, limits=hl.Limits(position_qty_max="0.3"))
    again = hl.backtest(tape, A, OTHER, hl.Limits(position_qty_max="0.3"), latency=hl.Latency(order_ms=20))
    assert changed.digest == again.digest
    assert changed.pnl_quote == again.pnl_quote


def test_until_the_moment_all_is_as_it_was(report):
    here = hl.at(report, 700)
    changed = here.run(quoter=OTHER)
    parting = changed.diff(report)
    assert parting.number is not None
    assert parting.ts_ns >= here.now_ns
    before = changed.fills[changed.fills["learned_ns"] < here.now_ns]
    assert len(before) > 10
    for name in ("order_id", "ts_ns", "learned_ns", "price_ticks", "qty_lots", "position_lots", "fee_ticklots", "mid2"):
        assert before[name].tolist() == report.fills[: len(before)][name].tolist()
    assert "event 700" in changed.assumptions["changed"]
    assert not changed.compare(report).empty


def decide(desk, market, params, quote):
    quote.bid_ticks, quote.ask_ticks = int(market.fair_ticks) - 3, int(market.fair_ticks) + 3
    quote.bid_lots = quote.ask_lots = int(params.order_lots)
    quote.levels = 1


def test_a_quoter_of_ones_own_can_take_over(report):
    changed = hl.at(report, 700).run(quoter=hl.UserQuoter(decide=decide, order_qty="0.05"))
    assert changed.diff(report).ts_ns >= hl.at(report, 700).now_ns


def test_another_strategy_can_take_over(report):
    strategy = hl.ZScoreReversion(qty="0.3", lookback=3, entry_z=0.8, every_s=1)
    changed = hl.at(report, 700).run(quoter=hl.WorkTarget(order_qty="0.1"), strategy=strategy, strategy_ms=5)
    assert changed.diff(report).number is not None


def test_what_cannot_be_meant_is_said(report, tape):
    for where in (1.5, "never", True):
        with pytest.raises(InputError, match="wanted"):
            hl.at(report, where)
    with pytest.raises(InputError, match="one moment is wanted"):
        hl.at(report)
    with pytest.raises(InputError, match="whole nanoseconds"):
        hl.at(report, ts_ns=1.5)
    with pytest.raises(DataError, match=r"Ask for 0 to"):
        hl.at(report, 10**9)
    with pytest.raises(DataError, match="Ask for 0 to"):
        hl.at(report, 3).step(-4)
    with pytest.raises(UnknownName, match="Did you mean 'fill'"):
        hl.at(report, 3).next("fil")
    with pytest.raises(InputError, match="no fill before event 3"):
        hl.at(report, 3).prev("fill")
    with pytest.raises(InputError, match="before the moment"):
        hl.at(report, 500).run(until=400)
    with pytest.raises(InputError, match="both given"):
        hl.at(report, 500).run(until=600, for_s=1)
    with pytest.raises(InputError, match="modelled one already"):
        hl.at(report, 500).run(queue="power")
    with pytest.raises(UnknownName, match="Did you mean 'quoter'"):
        hl.at(report, 500).run(quotr=OTHER)
    with pytest.raises(InputError, match="wanted a run directory"):
        hl.at(tape, 5)


# --- sessions --------------------------------------------------------------------------------------------------------------------------
COMMANDS = [(1.0, "set", {"half_spread_ticks": 1.5}), (1.5, "halt", {}), (2.0, "resume", {})]
MODELLED = hl.PaperVenue(BTC, fills="modelled", latency=hl.Latency(order_ms=2.0))
MATCHED = hl.PaperVenue(BTC, latency=hl.Latency(order_ms=2.0, report_ms=3.0))


def two_lives(folder, monkeypatch, venue):
    """A session that was halted, resumed, ended and started again; its journal in segments of 1,000 rows."""
    run_session(folder, monkeypatch, venue=venue, seconds=3, commands=COMMANDS, trade_per_s=30.0)
    driver = Driver(load_spec(folder), folder, Figures())
    for _ in range(150):
        driver.turn()
    driver.publish(1)
    for _ in range(40):
        driver.turn()
    close(driver)
    rows = jn.read(folder / "journal")
    for path in jn.segments(folder / "journal"):
        path.unlink()
    for k, low in enumerate(range(0, len(rows), 1000)):
        (folder / "journal" / f"{k:06d}.rows").write_bytes(rows[low : low + 1000].tobytes())
    return driver, rows


@pytest.mark.parametrize("venue", [MODELLED, MATCHED], ids=["modelled", "matched"])
def test_every_event_of_a_session_is_the_bytes_of_a_plain_replay(tmp_path, monkeypatch, venue):
    driver, rows = two_lives(tmp_path / "run", monkeypatch, venue)
    spec = load_spec(tmp_path / "run")
    events = np.random.default_rng(4).integers(0, len(rows) + 1, 25)
    state, truth, at = spec.state(), {}, 0
    for event in np.sort(events).tolist():
        state.step(spec.run(), rows[at:event])
        truth[event], at = state.digest(), event
    assert [hl.at(tmp_path / "run", event).digest for event in events.tolist()] == [truth[event] for event in events.tolist()]
    assert hl.at(tmp_path / "run", 1.0).digest == driver.state.digest()
    # What the engine published is the state at that row of its journal.
    frame = SnapshotReader(tmp_path / "run" / "snapshot.bin", spec.instruments).frame()
    here = hl.at(hl.attach(tmp_path / "run"), int(frame.desk["rows"]))
    assert (here.desk.tobytes(), here.markets.tobytes()) == (frame.desk.tobytes(), frame.markets.tobytes())
    halted = hl.at(tmp_path / "run", 0).next("halt")
    assert halted.state == "HALTED"
    assert halted.prev("command").step(-1).state != "HALTED"
    assert halted.rows(1, 0)["kind"].tolist() == ["halt"]
    assert hl.at(hl.replay(tmp_path / "run"), 700).digest == hl.at(tmp_path / "run", 700).digest


def test_saved_states_of_a_session_are_used_again_and_never_believed_blindly(tmp_path, monkeypatch):
    _, rows = two_lives(tmp_path / "run", monkeypatch, MODELLED)
    run, folder = tmp_path / "run", tmp_path / "run" / "checkpoints"
    last = hl.at(run, len(rows)).digest
    saved = sorted(folder.rglob("*.state"))
    assert len(saved) == len(rows) // BLOCK
    travel_open.forget()
    course = travel_open.course_of(run)
    assert len(course.store) == len(saved)
    assert hl.at(run, len(rows)).digest == last
    assert course.marks.rows == 0  # it began at a saved state, and read none of the rows before
    # A journal that is another one: the states of the rows after the change are not those of this run any more.
    path = run / "journal" / "000000.rows"
    changed = np.frombuffer(path.read_bytes(), EVENT).copy()
    at = int(np.flatnonzero(changed["kind"] == TRADE)[3])
    changed["qty_lots"][at] += 1
    path.write_bytes(changed.tobytes())
    travel_open.forget()
    spec = load_spec(run)
    state = spec.state()
    state.step(spec.run(), jn.read(run / "journal"))
    assert hl.at(run, len(rows)).digest == state.digest() != last
    for one in folder.rglob("*.state"):
        one.unlink()
    assert hl.at(run, len(rows) // 2).step(5).step(-5).event == len(rows) // 2


def test_a_session_that_goes_on_has_later_moments(tmp_path, monkeypatch):
    run_session(tmp_path / "run", monkeypatch, venue=MODELLED, seconds=1)
    first = hl.at(tmp_path / "run", 1.0)
    driver = Driver(load_spec(tmp_path / "run"), tmp_path / "run", Figures())
    for _ in range(20):
        driver.turn()
    end = hl.at(tmp_path / "run", 1.0)
    assert end.event == int(driver.state.desk["rows"][0]) > first.event
    assert end.digest == driver.state.digest()
    close(driver)


def test_a_modelled_session_goes_on_from_its_very_state(tmp_path, monkeypatch):
    run_session(tmp_path / "run", monkeypatch, venue=MODELLED, seconds=3, commands=COMMANDS, trade_per_s=30.0)
    view = hl.attach(tmp_path / "run")
    report, here = view.report(), hl.at(view, 0.2)
    assert here.run().digest == report.digest
    changed = here.run(quoter=quoter(half_spread_ticks=2))
    assert changed.diff(report).ts_ns >= here.now_ns
    # Somebody set half_spread_ticks of the old quoter a second after the start: that would undo the change.
    rows = jn.read(tmp_path / "run" / "journal")
    setting = rows["kind"] == SET_PARAMS
    assert setting.any() and rows["ts_recv_ns"][setting].min() > here.now_ns  # noqa: PT018
    bids = changed.facts.own[(changed.facts.own["kind"] == SUBMIT) & (changed.facts.own["ts_recv_ns"] > rows["ts_recv_ns"][setting].max())]
    assert len(bids)
    assert changed.digest != here.run(quoter=quoter(half_spread_ticks=1.5)).digest


def test_a_session_that_was_matched_goes_on_at_a_modelled_exchange_without_its_orders(tmp_path, monkeypatch):
    run_session(tmp_path / "run", monkeypatch, venue=MATCHED, seconds=4, trade_per_s=30.0)
    view = hl.attach(tmp_path / "run")
    report, here = view.report(), hl.at(view, 0.5).next("message")
    fills = int(here.markets[0]["fills_count"])
    assert fills > 5
    changed = here.run(quoter=quoter(half_spread_ticks=1), queue="risk_averse", latency=hl.Latency(order_ms=5))
    assert len(changed.fills) > fills  # the account is closed over both parts, or Report.of had raised
    for name in ("order_id", "ts_ns", "price_ticks", "qty_lots"):
        assert changed.fills[name][:fills].tolist() == report.fills[name][:fills].tolist()
    assert changed.diff(report).ts_ns >= here.now_ns
    assert changed.assumptions["queue"] == hl.Queue(model="risk_averse").text()
    assert changed.assumptions["latency"] == hl.Latency(order_ms=5).text()
    assert "without our own orders" in changed.assumptions["from there"]
    with pytest.raises(InputError, match=r"comes from a session, run\. Wanted for its moments"):
        hl.at(report, 5)
    # What went on from a moment has no call that makes it again, and each that would need one says so.
    for wants in (
        changed.bracket,
        lambda: changed.sensitivity({}),
        lambda: hl.bundle(changed, tmp_path / "x.zip"),
        lambda: hl.at(changed, 5),
    ):
        with pytest.raises(InputError, match=r"went on from a moment .*quoter FixedSpread.*Wanted for .*hl\.backtest"):
            wants()
    with pytest.raises(InputError, match=r"part of a run.*first .* events"):
        here.happened().bracket()

"""The engine process: start, command, kill, resume, stop; and what happens when any of it is done wrong."""

import contextlib
import json
import os
import signal
import stat
import time

import numpy as np
import pytest
from drill import BTC, LIMITS, kill_once, start, wait_dead

import hftlab as hl
from hftlab.data import journal as jn
from hftlab.engine.spec import load_spec
from hftlab.errors import CommandRefused, DataError, EngineDied, EngineUnreachable, InputError, RunInUse, UnknownName


@pytest.fixture
def run(tmp_path):
    """A fresh run directory; whatever engine is left in it is killed at the end."""
    directory = tmp_path / "run"
    yield directory
    control = directory / "control.json"
    if control.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(control.read_text())["pid"], signal.SIGKILL)
        wait_dead(hl.attach(directory))


def test_a_session_quotes_takes_commands_and_stops_with_nothing_resting(run):
    session = start(run)
    session.wait(lambda f: {o.side for o in f.orders() if o.status == "live"} == {1, -1})
    assert session.set(risk_aversion=0.2)["ok"]
    session.wait(lambda f: abs(f.params()["risk_aversion_per_ticklot"] / BTC.ticklot_quote - 0.2) < 1e-12)
    session.pause()
    session.wait(lambda f: f.state == "PAUSED" and not f.orders())
    session.resume()
    session.wait(lambda f: len(f.orders()) == 2)
    session.halt()
    session.wait(lambda f: f.state == "HALTED" and not f.orders())
    report = session.stop()
    assert report.desk["state"] == "STOPPED"
    assert not session.frame().orders()
    assert not session.alive()
    assert report.pnl_quote == pytest.approx(float(session.frame().desk["pnl_quote"]), abs=0)
    said = [m["text"] for m in session.frame().engine["messages"]]
    assert any("risk_aversion=0.2" in text for text in said)


def test_replaying_the_journal_gives_the_bytes_that_the_session_published(run):
    session = start(run)
    session.wait(lambda f: len(f.fills()) > 0 or int(f.desk["rows"]) > 3000, timeout_s=30)
    session.set(order_qty="0.02")
    session.flatten()
    session.resume()
    session.stop()
    frame = session.frame()
    spec, rows = load_spec(run), jn.read(run / "journal")
    state = spec.state()
    state.step(spec.run(), rows)
    assert (state.desk.tobytes(), state.markets.tobytes()) == (frame.desk.tobytes(), frame.markets.tobytes())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_engine_leaves_a_run_that_replays_and_resumes(run, seed):
    kill_once(run, seed)


def test_a_halt_survives_a_restart_and_only_resume_clears_it(run):
    session = start(run)
    session.wait(lambda f: len(f.orders()) == 2)
    session.halt()
    os.kill(int(session.frame().engine["pid"]), signal.SIGKILL)
    wait_dead(session)
    again = hl.resume(run)
    time.sleep(0.3)
    assert again.frame().state == "HALTED"
    assert not again.frame().orders()
    again.resume()
    again.wait(lambda f: len(f.orders()) == 2)
    again.stop()


def test_a_view_reads_and_has_nothing_to_write_with(run):
    session = start(run)
    view = hl.attach(run)
    assert not any(hasattr(view, name) for name in ("halt", "set", "stop", "command", "_control"))
    assert view.frame().instruments[0] == BTC
    control = run / "control.json"
    assert stat.S_IMODE(control.stat().st_mode) == 0o600
    token = json.loads(control.read_text())["token"]
    for path in run.rglob("*"):
        if path.is_file() and path != control:
            assert token.encode() not in path.read_bytes(), f"{path.name} holds the token"
    session.stop()
    assert not control.exists()


def test_the_door_refuses_a_wrong_token_and_unknown_commands(run):
    import httpx

    session = start(run)
    url = json.loads((run / "control.json").read_text())["url"]
    for headers in ({}, {"authorization": "Bearer guess"}):
        assert httpx.post(f"{url}/command", json={"command": "halt"}, headers=headers, trust_env=False).status_code == 401
    assert session.frame().state == "ACTIVE"
    with pytest.raises(CommandRefused, match="Did you mean 'risk_aversion'"):
        session.set(risk_aversoin=0.3)
    with pytest.raises(CommandRefused, match="not a multiple of lot size"):
        session.set(order_qty="0.0001")
    with pytest.raises(CommandRefused, match="order_qty was 0"):
        session.set(order_qty="0")
    with pytest.raises(CommandRefused, match="from 0 to"):
        session.set(horizon_s=-1)
    with pytest.raises(CommandRefused):
        session.set(horizon_s="nan")
    session.stop()


def test_limits_are_not_loosened_beyond_their_caps_and_one_market_is_withdrawn_by_command(run):
    session = start(run)
    with pytest.raises(CommandRefused, match="looser than the hard cap"):
        session.set_limits(loss_quote_max=1e9)
    session.set_limits(loss_quote_max=20, volatility_bps_max=1e6)
    frame = session.frame()
    assert float(frame.desk["limits"]["loss_quote_max"]) == 20
    session.deactivate()
    frame = session.wait(lambda frame: not frame.orders(), timeout_s=30)
    assert (frame.active(), frame.state, frame.market_state()) == (False, "ACTIVE", "PAUSED")
    session.command("activate")
    session.wait(lambda frame: frame.active() and frame.orders(), timeout_s=30)
    assert [m["text"] for m in session.frame().engine["messages"] if " is " in m["text"]][-1].endswith("is ACTIVE")
    session.stop()


def test_a_run_directory_in_use_is_refused_and_named(run):
    session = start(run)
    with pytest.raises(RunInUse, match="attach"):
        start(run)
    with pytest.raises(RunInUse, match="attach"):
        start(run, replace=True)
    with pytest.raises(RunInUse):
        hl.resume(run)
    session.stop()
    with pytest.raises(RunInUse, match="replace=True"):
        start(run)


def test_a_stale_control_file_is_told_from_a_running_engine(run):
    session = start(run)
    left = (run / "control.json").read_text()
    os.kill(json.loads(left)["pid"], signal.SIGKILL)
    wait_dead(session)
    with pytest.raises(EngineDied, match=r"dead engine is left.*hl\.resume"):
        hl.attach(run, control=True)
    with pytest.raises((EngineDied, EngineUnreachable)):
        session.pause()
    assert hl.attach(run).frame().instruments[0] == BTC
    (run / "control.json").unlink()


def test_an_engine_that_dies_at_once_says_why(run, monkeypatch):
    session = start(run)
    session.stop()
    with (run / "journal" / "000000.rows").open("r+b") as file:
        file.seek(64 * 3)
        row = np.zeros(1, dtype=jn.EVENT)
        row["kind"] = 99
        file.write(row.tobytes())
    with pytest.raises(EngineDied, match="unknown event kind"):
        hl.resume(run)


def test_what_is_no_run_directory_is_said_so(tmp_path):
    with pytest.raises(DataError, match="no directory"):
        hl.attach(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"no run directory"):
        hl.attach(tmp_path)
    with pytest.raises(DataError):
        hl.resume(tmp_path)


def test_wrong_arguments_leave_no_directory_behind(run):
    with pytest.raises(UnknownName, match="Did you mean 'risk_aversion'"):
        hl.AvellanedaStoikov(order_qty="0.01", risk_averison=0.1)
    with pytest.raises(InputError, match="feed was"):
        hl.start("btc", hl.PaperVenue(), hl.FixedSpread(order_qty="0.01"), LIMITS, run=run)
    with pytest.raises(InputError, match="not a multiple of lot size"):
        hl.start(hl.SynthFeed(BTC), hl.PaperVenue(), hl.FixedSpread(order_qty="0.0101"), LIMITS, run=run)
    with pytest.raises(UnknownName, match="Did you mean 'replace'"):
        hl.start(hl.SynthFeed(BTC), hl.PaperVenue(BTC), hl.FixedSpread(order_qty="0.01"), LIMITS, run=run, replaces=True)
    with pytest.raises(UnknownName, match="Did you mean 'seed'"):
        hl.SynthFeed(BTC, sed=3)
    with pytest.raises(UnknownName, match="Did you mean 'activity'"):
        hl.SynthFeed(BTC, options={"activty": 2})
    with pytest.raises(InputError, match="risk_aversion was nan"):
        hl.start(hl.SynthFeed(BTC), hl.PaperVenue(BTC), hl.AvellanedaStoikov(order_qty="0.01", risk_aversion=float("nan")), LIMITS, run=run)
    assert not run.exists()


def test_a_modelled_venue_on_a_simulated_feed_fills_by_its_queue_model(run):
    session = hl.start(
        hl.SynthFeed(BTC, seed=3, speed=float("inf")),
        hl.PaperVenue(BTC, fills="modelled"),
        hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5),
        hl.Limits(position_qty_max="0.05", requests_per_s_max=1000),
        run=run,
    )
    session.wait(lambda f: len(f.fills()) > 0, timeout_s=60)
    session.stop()

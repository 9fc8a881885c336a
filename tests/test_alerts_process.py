"""The process of alerts beside a real engine: what reaches a sink, what happens when the sink hangs, and who tells of a dead engine."""

import contextlib
import json
import os
import re
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from drill import BTC, LIMITS, start, wait_dead

import hftlab as hl
from hftlab import cli
from hftlab.config import load
from hftlab.data.snapshot import SnapshotWriter
from hftlab.engine import alerts
from hftlab.engine.alert_rules import Condition
from hftlab.engine.alerts import AlertFollower
from hftlab.engine.spec import RunSpec

PATH = "/T0KEN-of-the-hook"


class Hook(ThreadingHTTPServer):
    """A local service that takes alerts; while `closed` it takes a connection and never answers."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.got, self.asked = [], 0
        self.open = threading.Event()
        self.open.set()
        self.url = f"json://127.0.0.1:{self.server_port}{PATH}?rto=1&cto=1"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.asked += 1
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.server.open.is_set():
            self.server.open.wait(60)
            return
        self.server.got.append((self.path.split("?")[0], json.loads(body)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook(monkeypatch):
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("HFTLAB_ALERTS__ON", "true")
        monkeypatch.setenv("HFTLAB_ALERT_URLS", server.url)
        yield server
        server.open.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def run(tmp_path):
    directory = tmp_path / "run"
    yield directory
    control = directory / "control.json"
    if control.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(control.read_text())["pid"], signal.SIGKILL)
        wait_dead(hl.attach(directory))


def until(condition, timeout_s=45.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "not so in time"
        time.sleep(0.02)


def texts(hook):
    return [body["message"] for _, body in hook.got]


def test_a_halt_arrives_and_its_end_a_clean_stop_is_silent_and_a_death_is_told(hook, run):
    # The file of the session says what is worth a word; one fill is a fifth of the limit.
    session = hl.start(
        hl.SynthFeed(BTC, seed=7, speed=20.0),
        hl.PaperVenue(BTC),
        hl.FixedSpread(order_qty="0.01", half_spread_ticks=0.5),
        LIMITS,
        run=run,
        settings={"alerts": {"limit_share": 0.1}},
    )
    until(lambda: any("position is at" in text for text in texts(hook)))
    session.halt()
    until(lambda: any("HALTED" in text for text in texts(hook)))
    path, body = next(one for one in hook.got if "HALTED" in one[1]["message"])
    assert (path, body["title"], body["type"]) == (PATH, "hftlab run: error (risk)", "failure")
    session.resume()
    until(lambda: any(re.match("over after .*HALTED", text) for text in texts(hook)))
    lines = session.alerts()
    assert [(one["key"], one["level"], one["resolved"], one["sent"]) for one in lines if one["key"] == "state"] == [
        ("state", "error", False, True),
        ("state", "info", True, True),
    ]
    session.stop()
    before = len(hook.got)
    again = hl.resume(run)
    os.kill(int(again.frame().engine["pid"]), signal.SIGKILL)
    until(lambda: any("ended without a clean stop" in text for text in texts(hook)[before:]))
    assert not any("ended without" in text for text in texts(hook)[:before])
    last = hl.attach(run).alerts(1)[0]
    assert (last["key"], last["level"], last["kind"]) == ("engine", "error", "health")
    # The address opens the hook: it stands in no file of the run.
    for file in run.rglob("*"):
        if file.is_file() and file.stat().st_size < 10_000_000:
            assert b"T0KEN" not in file.read_bytes(), file


def test_a_channel_that_hangs_leaves_the_engine_its_pace_and_its_stop(hook, run):
    # 20 limits changed while the hook takes connections and never answers: the engine answers each, and stops when told to.
    hook.open.clear()
    session = start(run)
    session.halt()
    until(lambda: hook.asked > 0)
    session.resume()
    turns = int(session.frame().engine["turns"])
    for i in range(20):
        session.set_limits(loss_quote_max=150 + i)
    frame = session.wait(lambda f: int(f.engine["turns"]) > turns + 200, timeout_s=60)
    assert frame.state == "ACTIVE"
    until(lambda: any("HALTED" in one["text"] for one in session.alerts()))
    assert session.stop().desk["state"] == "STOPPED"


# --- the command ---
# On Python 3.11 and 3.12 one of apprise's imports warns of its own end.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_the_command_tries_each_channel_and_shows_no_address(hook, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["alert", "test"]) == 0
    said = capsys.readouterr()
    assert "channel 1 (json): taken" in said.out
    assert texts(hook)
    monkeypatch.setenv("HFTLAB_ALERT_URLS", f"{hook.url} nonsense://T0KEN-of-the-hook")
    assert cli.main(["alert", "test"]) == 1
    said = capsys.readouterr()
    assert "channel 2 (nonsense)" in said.out + said.err
    assert "T0KEN" not in said.out + said.err
    monkeypatch.delenv("HFTLAB_ALERT_URLS")
    assert cli.main(["alert", "test"]) == 1
    assert "HFTLAB_ALERT_URLS" in capsys.readouterr().err


def test_a_disk_that_takes_nothing_more_keeps_no_alert_from_its_channel(tmp_path):
    # What a full disk does to the file of alerts, a folder of its name does: OSError.
    class Sink:
        name = "sink"

        def __init__(self):
            self.got = []

        def put(self, message):
            self.got.append(message)

    (tmp_path / "alerts.jsonl").mkdir()
    spec = RunSpec(hl.SynthFeed(BTC), hl.PaperVenue(BTC), (BTC,), (hl.FixedSpread(order_qty="0.01"),), (LIMITS,))
    spec.save(tmp_path)
    SnapshotWriter(tmp_path / "snapshot.bin", 1).close()
    sink = Sink()
    follower = AlertFollower(tmp_path, load(env_file=None), [sink])
    follower.tell([Condition("disk", "health", "error", "0.00 GB are free for the journal")], time.time_ns())
    follower.ended(live=False)
    assert [message.text.split(".")[0] for message in sink.got] == ["0", f"the engine of {tmp_path.name} ended without a clean stop"]


def test_the_word_of_a_watchdog_on_an_earlier_death_is_no_word_on_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts, "_SWEEP_S", 0.3)
    spec = RunSpec(hl.SynthFeed(BTC), hl.PaperVenue(BTC), (BTC,), (hl.FixedSpread(order_qty="0.01"),), (LIMITS,))
    spec.save(tmp_path)
    state, now_ns = spec.state(), time.time_ns()
    writer = SnapshotWriter(tmp_path / "snapshot.bin", 1)
    writer.publish(state.desk, state.markets, {}, now_ns)
    writer.close()
    follower = AlertFollower(tmp_path, load(env_file=None), [])
    follower.look()
    for at_ns, level in ((now_ns - 10**9, "error"), (now_ns + 10**9, "warn")):  # before the last frame, and after it
        with (tmp_path / "watchdog.jsonl").open("a") as file:
            file.write(json.dumps({"ts_ns": at_ns, "text": "swept", "cancelled": 0}) + "\n")
        assert follower._swept()[0] == level

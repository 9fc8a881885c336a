"""The doctor: in a world where all is well it says so, and each thing that can be wrong is found, with what to do about it."""

import dataclasses
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

import hftlab as hl
from hftlab import cli
from hftlab.config_names import ENVIRONMENT_ONLY
from hftlab.data.snapshot import SnapshotWriter
from hftlab.data.state import build
from hftlab.doctor import CHECKS, FAIL, OK, WARN, examine, this_world
from hftlab.doctor.packages import ASSETS, asked

BTC = hl.Instrument.bundled("binance:BTC/USDT")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def well(tmp_path, monkeypatch):
    """A world in which nothing is wrong: this one, with whatever this machine may lack made good."""
    for name in list(os.environ):
        if (name.startswith(("HFTLAB_", "EXCHANGE_")) and name not in ENVIRONMENT_ONLY) or name == "PYTHONDONTWRITEBYTECODE":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "kernel.nbc").touch()
    environ = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    return dataclasses.replace(
        this_world(),
        environ=environ,
        folder=tmp_path,
        runs=tmp_path / "runs",
        cores=4,
        memory_bytes=8 * 10**9,
        open_files_max=4096,
        cache=cache,
        free_bytes=lambda _path: 100 * 10**9,
        port_free=lambda _port: True,
        loopback=lambda: True,
        clock_source=lambda: "tsc",
        clock_steered=lambda: True,
    )


def findings(world):
    return {one.name: one for one in examine(world)}


def test_where_all_is_well_nothing_is_wrong(well):
    found = findings(well)
    assert {name: one for name, one in found.items() if one.level != OK} == {}
    assert {"python", "numba", "voila", "cache", "clock", "port 8888", "settings", "keys", "runs", "bqplot assets"} <= found.keys()
    assert len(found) > len(CHECKS)


@pytest.mark.parametrize(
    ("change", "name", "level", "says"),
    [
        ({"python": (3, 10, 14)}, "python", FAIL, "make environment"),
        ({"environ": {"PYTHONDONTWRITEBYTECODE": "1"}}, "bytecode", WARN, "unset it"),
        ({"cores": 1}, "cores", WARN, "pauses"),
        ({"memory_bytes": 5 * 10**8}, "memory", WARN, "close"),
        ({"free_bytes": lambda _: 2 * 10**9}, "disk", WARN, "old runs"),
        ({"free_bytes": lambda _: 10**8}, "disk", FAIL, "old runs"),
        ({"open_files_max": 256}, "open files", WARN, "ulimit"),
        ({"writable": lambda _: False}, "cache", FAIL, "HFTLAB_CACHE_DIR"),
        ({"cache": Path("nowhere")}, "kernels", WARN, "hftlab warm"),
        ({"clock_source": lambda: "acpi_pm"}, "clock source", WARN, "microseconds"),
        ({"clock_steered": lambda: False}, "clock", WARN, "chrony"),
        ({"version": lambda name: None if name == "numba" else "99"}, "numba", FAIL, "make environment"),
        ({"version": lambda name: "0.1" if name == "voila" else "99"}, "voila", FAIL, "make environment"),
        ({"environ": {"HFTLAB_ALERT_URLS": "x"}, "version": lambda n: None if n == "apprise" else "99"}, "apprise", FAIL, "pip install"),
        ({"asset_dirs": list}, "bqplot assets", FAIL, "force-reinstall bqplot"),
        ({"loopback": lambda: False}, "loopback", FAIL, "firewall"),
        ({"port_free": lambda port: port != 8888}, "port 8888", WARN, "--port"),
        ({"port_free": lambda port: port != 8866}, "port 8866", WARN, "--port"),
        ({"environ": {"https_proxy": "http://127.0.0.1:1"}}, "proxies", WARN, "unset"),
        ({"environ": {"DEBUG": "1"}}, "other names", WARN, "another program"),
    ],
)
def test_each_thing_that_can_be_wrong_is_found(well, change, name, level, says):
    one = findings(dataclasses.replace(well, **change))[name]
    assert one.level == level
    assert says in one.todo
    assert one.wanted


def test_an_extension_of_another_version_hides_the_right_one(well, tmp_path):
    # As after `pip install --user` of an older bqplot: JupyterLab takes the first folder of its list.
    for name in ASSETS.values():
        (tmp_path / "user" / name).mkdir(parents=True)
        (tmp_path / "user" / name / "package.json").write_text('{"version": "0.0.1"}')
    found = findings(dataclasses.replace(well, asset_dirs=lambda: [tmp_path / "user", *well.asset_dirs()]))
    for package in ASSETS:
        assert (found[f"{package} assets"].level, "0.0.1" in found[f"{package} assets"].found) == (FAIL, True)


def test_every_package_of_pyproject_is_looked_at(well):
    names = {text.split(">")[0].split(";")[0].strip() for text in asked(well)}
    assert {"numba", "voila", "pydantic-settings"} <= names
    assert names - {"uvloop"} <= findings(well).keys()


# --- settings and keys ---
def test_a_misspelt_variable_is_to_be_repaired(well, monkeypatch):
    monkeypatch.setenv("HFTLAB_LIMITS__LOS_QUOTE_MAX", "5")
    one = findings(well)["settings"]
    assert (one.level, "LOSS_QUOTE_MAX" in one.found) == (FAIL, True)


def test_keys_are_named_never_shown_and_a_readable_file_is_to_be_repaired(well, tmp_path):
    file = tmp_path / ".env"
    file.write_text("HFTLAB_BINANCE_KEY=hush-hush\nHFTLAB_BINANCE_SECRET=hush-hush\nHFTLAB_OKX_KEY=hush-hush\nHFTLAB_BYBIT_KEY=\n")
    file.chmod(0o644)
    found = findings(well)
    assert found["keys"].found == "HFTLAB_BINANCE_KEY, HFTLAB_BINANCE_SECRET, HFTLAB_OKX_KEY"
    assert "HFTLAB_OKX_SECRET" in found["key HFTLAB_OKX_KEY"].found
    assert (found[".env"].level, "chmod 600" in found[".env"].todo) == (FAIL, True)
    file.chmod(0o600)
    assert findings(well)[".env"].level == OK
    assert "hush-hush" not in json.dumps([one.to_dict() for one in examine(well)])


def test_a_readable_env_file_without_keys_is_only_to_be_known(well, tmp_path):
    (tmp_path / ".env").write_text("HFTLAB_MODE=paper\n")
    (tmp_path / ".env").chmod(0o644)
    assert findings(well)[".env"].level == WARN


def test_the_port_of_the_door_is_looked_at_where_one_is_set(well, monkeypatch):
    monkeypatch.setenv("HFTLAB_DOOR__PORT", "8123")
    assert "port 8123" in findings(well)
    one = findings(dataclasses.replace(well, port_free=lambda port: port != 8123))["port 8123"]
    assert (one.level, "HFTLAB_DOOR__PORT" in one.todo) == (WARN, True)


# --- runs ---
def made_run(world, name, *, mode="paper", files=()):
    path = world.runs / name
    path.mkdir(parents=True)
    (path / "spec.yaml").write_text(yaml.safe_dump({"instruments": [], "venue": {"mode": mode}}))
    for file in files:
        (path / file).write_text("")
    return path


def test_runs_that_ended_well_run_or_died(well):
    made_run(well, "good", files=["lock", "clean"])
    made_run(well, "running", files=["lock"])
    died = made_run(well, "died", files=["lock"])
    (died / "control.json").write_text('{"pid": 4711}')
    made_run(well, "never")
    (well.runs / "other").mkdir()
    broken = made_run(well, "broken", files=["lock"])
    (broken / "spec.yaml").write_text("- 1")
    found = findings(dataclasses.replace(well, alive=lambda path: path.name == "running"))
    assert found["runs"].found == f"6 in {well.runs}, 1 running: running"
    assert {name for name in found if name.startswith("run ")} == {"run died", "run never", "run other", "run broken"}
    assert (found["run died"].level, "process 4711" in found["run died"].found) == (WARN, True)
    assert found["run broken"].level == FAIL
    assert "hl.resume('died')" in found["run died"].todo


def test_a_live_engine_that_died_is_to_be_looked_after_until_its_watchdog_has_spoken(well):
    path = made_run(well, "real", mode="live", files=["lock"])
    assert findings(well)["run real"].level == FAIL
    (path / "watchdog.jsonl").write_text('{"text": "swept", "cancelled": 2}\n')
    assert findings(well)["run real"].level == WARN


def test_the_word_of_a_watchdog_on_an_earlier_death_is_no_word_on_this_one(well):
    path = made_run(well, "again", mode="live", files=["lock"])
    now_ns = time.time_ns()
    spec = yaml.safe_load((path / "spec.yaml").read_text()) | {"instruments": [BTC.to_dict()]}
    (path / "spec.yaml").write_text(yaml.safe_dump(spec))
    state = build((BTC,), (hl.FixedSpread(order_qty="0.01"),), (hl.Limits(position_qty_max="0.05"),))
    writer = SnapshotWriter(path / "snapshot.bin", 1)
    writer.publish(state.desk, state.markets, {}, now_ns)
    writer.close()
    (path / "watchdog.jsonl").write_text(json.dumps({"ts_ns": now_ns - 10**9, "text": "swept", "cancelled": 2}) + "\n")
    assert findings(well)["run again"].level == FAIL
    with (path / "watchdog.jsonl").open("a") as file:
        file.write(json.dumps({"ts_ns": now_ns + 10**9, "text": "swept", "cancelled": 1}) + "\n")
    assert findings(well)["run again"].level == WARN


# --- the clock of another ---
class Dated(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response_only(200)
        self.send_header("date", self.server.date or self.date_time_string())
        self.end_headers()


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Dated) as made:
        made.date = ""
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_the_date_of_a_server_is_compared(well, server):
    world = dataclasses.replace(well, clock_of=f"http://127.0.0.1:{server.server_port}/")
    offset_s, within_s = world.http_date_offset_s(world.clock_of)
    assert abs(offset_s) <= within_s  # the same clock: the header's whole second, and the way there and back
    assert findings(world)["clock offset"].level == OK
    server.date = "Sat, 01 Jan 2022 00:00:00 GMT"
    assert findings(world)["clock offset"].level == FAIL


def test_a_server_that_does_not_answer_is_said(well):
    one = findings(dataclasses.replace(well, clock_of="http://127.0.0.1:9/"))["clock offset"]
    assert (one.level, "did not say" in one.found) == (WARN, True)


# --- it never raises ---
@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(this_world())])
def test_whatever_part_of_the_world_breaks_there_is_a_report(well, field):
    class Broken:
        def __getattr__(self, name):
            raise OSError(name)

        def __call__(self, *_):
            raise RuntimeError

        def __bool__(self):
            raise RuntimeError

        def __str__(self):
            raise RuntimeError

    made_run(well, "one")
    found = examine(dataclasses.replace(well, **({"clock_of": "http://127.0.0.1:9/"} | {field: Broken()})))
    assert any(one.level == FAIL and one.found.startswith("the check broke") for one in found)
    assert len(found) > len(CHECKS)


def test_a_check_that_breaks_is_a_finding(well):
    def broken(_world):
        raise KeyError("x")
        yield

    (one,) = examine(well, (broken,))
    assert (one.name, one.level, "KeyError" in one.found) == ("broken", FAIL, True)


# --- the command ---
def test_the_command_shows_it_as_a_table_and_as_json(well, monkeypatch, capsys):
    monkeypatch.setattr("hftlab.doctor.this_world", lambda *_: dataclasses.replace(well, cores=1))
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "1 to know, 0 to repair" in said
    assert cli.main(["doctor", "--quiet"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    monkeypatch.setattr("hftlab.doctor.this_world", lambda *_: dataclasses.replace(well, loopback=lambda: False))
    assert cli.main(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["counts"][FAIL] == 1
    assert [one["name"] for one in told["findings"] if one["level"] == FAIL] == ["loopback"]

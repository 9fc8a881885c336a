"""`hftlab run FILE`, as a person types it: a file, a .env beside it, a variable before the command."""

import json
import re
import socket
from contextlib import closing
from pathlib import Path

import pytest

import hftlab as hl
from hftlab import cli
from hftlab.config import SECTIONS
from hftlab.config_names import ENVIRONMENT_ONLY, OLD_NAMES, TOP, variable
from hftlab.engine.alert_channels import Channel
from hftlab.engine.alerts import AlertFollower
from hftlab.engine.settings import settings_from

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "examples" / "spec.yaml"


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_file_runs_with_env_and_a_variable_laid_over_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    port = free_port()
    Path(".env").write_text(f"HFTLAB_LIMITS__LOSS_QUOTE_MAX=77\nHFTLAB_DOOR__PORT={port}\nHFTLAB_RUN=by-env\n")
    monkeypatch.setenv("HFTLAB_RUN", "mine")
    assert cli.main(["run", str(FILE)]) == 0
    assert "hftlab stop" in capsys.readouterr().out
    run = tmp_path / "runs" / "mine"
    session = hl.attach(run, control=True)
    try:
        assert float(session.frame().desk["limits"]["loss_quote_max"]) == 77
        assert json.loads((run / "control.json").read_text())["url"] == f"http://127.0.0.1:{port}"
        session.pause()
    finally:
        assert cli.main(["stop", str(run)]) == 0
    said = session.log()
    assert all({"ts_ns", "level", "source", "text"} <= line.keys() for line in said)
    assert any("pause by" in line["text"] for line in said)
    assert [line["ts_ns"] for line in said] == sorted(line["ts_ns"] for line in said)


def test_a_file_with_a_slip_starts_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HFTLAB_LIMIT__LOSS_QUOTE_MAX", "77")
    assert cli.main(["run", str(FILE)]) == 1
    assert "Did you mean 'HFTLAB_LIMITS__LOSS_QUOTE_MAX'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


# --- what is told when an engine with real orders dies ---
class Kept:
    """A channel's sink that keeps what it was given."""

    def __init__(self):
        self.got = []

    def send(self, message):
        self.got.append((message.level, message.text))
        return True


@pytest.mark.parametrize(
    ("words", "level", "says"),
    [
        ([{"text": "swept", "cancelled": 2, "ts_ns": 1 << 62}], "warn", "has withdrawn its orders (2 rested)"),
        ([{"text": "not reached (try 1)", "ts_ns": 1 << 62}], "error", "look at the venue yourself"),
    ],
)
def test_what_the_watchdog_did_is_told_too(words, level, says, tmp_path, monkeypatch):
    from sessions import run_session

    from hftlab.engine import alerts

    monkeypatch.setattr(alerts, "_SWEEP_S", 0.6)
    run_session(tmp_path / "run", pytest.MonkeyPatch(), seconds=0.5)
    (tmp_path / "run" / "watchdog.jsonl").write_text("".join(json.dumps(one) + "\n" for one in words))
    (tmp_path / "run" / "log.jsonl").write_text('{"level": "error", "text": "the disk is full"}\n')
    sink = Kept()
    channel = Channel("c", sink)
    AlertFollower(tmp_path / "run", settings_from(None, "test"), [channel]).ended(live=True)
    assert channel.close(30)
    assert sink.got[0] == ("error", "the engine of run ended without a clean stop. Its last error: the disk is full")
    assert sink.got[1][0] == level
    assert says in sink.got[1][1]


# --- the page about it ---
def test_the_page_of_operations_names_every_variable():
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in (*TOP, *ENVIRONMENT_ONLY, *(variable(section, entry) for section, made in SECTIONS.items() for entry in made.model_fields)):
        assert f"`{name}`" in text, name
    for name in re.findall(r"`(HFTLAB_[A-Z_]*[A-Z])`", text):
        parts = name.removeprefix("HFTLAB_").lower().split("__")
        known = (
            name in TOP | ENVIRONMENT_ONLY
            or parts[0] in {"feed", "venue", "quoter", "limits"}
            or parts[1] in SECTIONS[parts[0]].model_fields
        )
        assert known, name
    assert all(f"`{name}`" in text for name in OLD_NAMES)
    for name in re.findall(r"`((?:notebooks|docs|tests|hftlab|examples)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name
    for command in set(re.findall(r"`hftlab (\w+)", text)):
        assert command in cli.parser().format_help()

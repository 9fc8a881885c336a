"""The process that takes a dead engine's orders out of the market: nothing that may be broken beside it keeps it from that."""

import fcntl
import json
import os
from types import SimpleNamespace

import pytest

from hftlab.engine import process, watchdog
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.watchdog import Watch
from hftlab.errors import RunInUse

S = 1_000_000_000


@pytest.fixture
def dead(tmp_path):
    """The directory of an engine that ended without a clean stop: nobody holds its lock."""
    (tmp_path / "lock").touch()
    return tmp_path


def sweeps(monkeypatch, *outcomes):
    """Let each sweep come to one of the outcomes, a number or an error; return the list of the directories that were swept."""
    left, asked = list(outcomes), []

    async def sweep_run(directory):
        asked.append(directory)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(watchdog, "sweep_run", sweep_run)
    monkeypatch.setattr(watchdog, "RETRY_S", 0.0)
    return asked


def test_a_disk_that_takes_no_report_keeps_no_order_in_the_market(dead, monkeypatch, capsys):
    # What a full disk does to an engine's journal it does to the watchdog's report: both raise OSError.
    (dead / "watchdog.jsonl").mkdir()
    asked = sweeps(monkeypatch, 3)
    assert Watch(dead).run() == 0
    assert asked == [dead]
    assert '"cancelled": 3' in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("a page of HTML was no JSON"), KeyError("orders"), RuntimeError("the session is closed")])
def test_whatever_a_sweep_fails_by_it_is_tried_again(dead, monkeypatch, error):
    asked = sweeps(monkeypatch, error, 2)
    assert Watch(dead).run() == 0
    assert len(asked) == 2
    lines = [json.loads(line) for line in (dead / "watchdog.jsonl").read_text().splitlines()]
    assert lines[-1]["text"] == "swept"
    assert lines[-1]["cancelled"] == 2
    assert type(error).__name__ in lines[-2]["text"]


def test_an_engine_that_is_only_starting_again_is_not_silent(dead, monkeypatch):
    # The last frame is of the engine that died an hour ago; the new one replays its journal and has published nothing yet.
    old = SimpleNamespace(published_ns=wall_now_ns() - 3600 * S)
    monkeypatch.setattr(watchdog, "View", lambda _: SimpleNamespace(frame=lambda: old))
    watch = Watch(dead)
    assert watch._silent_s() < watchdog.SILENT_S
    watch._began_ns -= 60 * S  # a minute later it has still published nothing
    assert watch._silent_s() >= 60


def test_a_run_is_not_replaced_while_its_watchdog_withdraws_its_orders(dead):
    # By the spec of the run it knows which orders are its own: without it they would rest for ever.
    (dead / "spec.yaml").write_text("{}")
    fd = os.open(dead / "lock", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    with pytest.raises(RunInUse, match="its watchdog still withdraws its orders"):
        process._make(dead, replace=True)
    assert (dead / "spec.yaml").exists()
    os.close(fd)
    process._make(dead, replace=True)
    assert not list(dead.iterdir())

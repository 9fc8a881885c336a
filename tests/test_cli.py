"""The command line, in processes of its own: what a person types is what is tested."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hftlab import cli
from hftlab.engine import process
from hftlab.errors import EngineUnreachable, InputError

ROOT = Path(__file__).resolve().parents[1]


def hftlab(*arguments, **environment):
    command = [sys.executable, "-m", "hftlab", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_a_second_process_compiles_nothing():
    # The cache of this test run: the first call fills whatever is missing, the second must find everything there.
    assert hftlab("warm").returncode == 0
    again = hftlab("warm", "--check")
    assert again.returncode == 0, again.stderr
    assert len(re.findall("from the cache", again.stdout)) >= 3
    assert not re.search(r"\d compiled", again.stdout)


def test_the_check_fails_while_something_is_not_compiled(tmp_path, monkeypatch, capsys):
    # One group with one kernel is enough to see that the check can fail: an empty cache has nothing.
    import numba
    import numpy as np

    from hftlab import warm

    @numba.njit
    def fresh(x):
        return x + 1

    monkeypatch.setattr(warm, "GROUPS", {"fresh": lambda: fresh(np.zeros(1))})
    assert cli.main(["warm", "--check"]) == 1
    assert "compiled: fresh" in capsys.readouterr().err


def test_doctor_shows_versions_cache_and_ports(capsys):
    cli.main(["doctor"])
    said = capsys.readouterr().out
    for word in ("python", "numba", "jupyterlab", "voila", "cache", "chromium", "port 8888"):
        assert re.search(rf"^{word}\s", said, re.MULTILINE), f"{word} is missing in:\n{said}"


def test_doctor_fails_when_the_cache_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert cli.main(["doctor"]) == 1
    assert "Set HFTLAB_CACHE_DIR" in capsys.readouterr().out


def test_an_unknown_option_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        cli.main(["warm", "--chek"])
    assert "--chek" in capsys.readouterr().err


def test_options_of_lab_reach_jupyterlab(monkeypatch):
    started = []

    def execve(*given):
        started.append(given)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(SystemExit):
        cli.main(["lab", "--no-browser", "--port=9999"])
    program, command, env = started[0]
    assert program == command[0] == sys.executable
    assert command[1:3] == ["-m", "jupyterlab"]
    assert command[-2:] == ["--no-browser", "--port=9999"]
    assert "--LabApp.default_url=/lab/tree/notebooks/01_first_quote.ipynb" in command  # in the address that is printed
    assert env["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)  # a terminal in the lab knows hftlab
    assert any("shell_command" in one and "-l" not in one for one in command)


def test_a_run_is_named_by_its_path_or_its_name_or_found_beside_its_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("notebooks/runs/mine", "notebooks/runs/both", "runs/both", "other/runs/both", "runs/near"):
        (tmp_path / place).mkdir(parents=True)
    assert process.run_directory("mine") == process.run_directory("runs/mine") == tmp_path / "notebooks/runs/mine"
    assert process.run_directory("near") == process.run_directory("runs/near") == tmp_path / "runs/near"
    assert process.run_directory("nowhere") == tmp_path / "runs/nowhere"
    with pytest.raises(InputError, match=r"several runs 'both': .*notebooks/runs/both"):
        process.run_directory("both")
    monkeypatch.chdir(tmp_path / "notebooks/runs")
    assert process.run_directory("mine") == tmp_path / "notebooks/runs/mine"


def test_stop_takes_the_name_that_the_notebook_gave(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stop", "first-quote"]) == 1
    assert f"{tmp_path}/runs/first-quote" in capsys.readouterr().err


def test_engines_are_stopped_side_by_side(monkeypatch, capsys):
    # Each ends only when the other has been told: one after the other, the first would keep the second in the market.
    told = threading.Barrier(2)

    class Slow:
        def __init__(self, run):
            self.run = run

        def stop(self):
            told.wait(30)
            if self.run.name == "second":
                raise EngineUnreachable("it did not end")
            return "its report"

    monkeypatch.setattr(process, "attach", lambda run, *, control: Slow(run))
    assert cli.main(["stop", "first", "second"]) == 1
    said = capsys.readouterr()
    assert "first: its report" in said.out
    assert "second: EngineUnreachable: it did not end" in said.err

"""What a cold start says: that it compiles, and how far it is; a warm one says nothing."""

import os
import subprocess
import sys

import pytest

from hftlab.engine import compiling
from hftlab.engine.compiling import LONG, TELL_S, Compiling


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    monkeypatch.setattr(compiling.numba.config, "DISABLE_JIT", 0)


def test_a_cold_start_says_so_and_counts_what_is_there(tmp_path, capsys):
    folder = tmp_path / "kernels_0"
    one = Compiling(tmp_path)
    assert one.cold
    assert LONG in capsys.readouterr().out
    one.tell(TELL_S / 2)
    assert capsys.readouterr().out == ""
    folder.mkdir()
    for name in ("a.nbi", "b.nbi", "b.1.nbc"):
        (folder / name).touch()
    one.tell(TELL_S)
    assert f"{TELL_S:.0f} s: 2 kernels compiled" in capsys.readouterr().out
    one.tell(TELL_S + 0.1)
    assert capsys.readouterr().out == ""
    one.tell(2.5 * TELL_S)
    assert "2 kernels" in capsys.readouterr().out


def test_a_warm_start_says_nothing(tmp_path, capsys):
    (tmp_path / "kernels_0").mkdir()
    (tmp_path / "kernels_0" / "core.loop-41.py311.nbi").touch()
    one = Compiling(tmp_path)
    one.tell(1000.0)
    assert not one.cold
    assert capsys.readouterr().out == ""


def test_the_folder_that_numba_makes_at_import_is_no_warm_cache(tmp_path):
    # In a fresh process with an empty cache: importing the kernels makes the cache's folder.
    code = "from hftlab.kernels import core; from hftlab.engine.compiling import Compiling; assert Compiling().cold"
    environ = {**os.environ, "HFTLAB_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert "compiled once" in done.stdout
    assert list(tmp_path.rglob("kernels-*"))

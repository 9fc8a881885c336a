"""The cache of compiled kernels: whoever has the same sources finds them compiled, wherever they lie, and writers take turns."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching, types

from hftlab.kernels import jit, pricing

ROOT = Path(__file__).resolve().parents[1]
PRICE = "from hftlab.kernels import pricing; pricing.as_spread(0.1, 1.0, 1.0, 1.5, 1.0); print(pricing.__file__, pricing.as_spread.stats)"


SOURCE = """
from hftlab.kernels.jit import kernel


@kernel
def twice(x):
    return x + x


@kernel
def calls(small):
    return twice(2) + twice(3) + twice(small) + twice(small[0])


@kernel
def sides(x):
    return twice(x) + twice(1) + twice(-1)
"""


def loaded(file):
    spec = importlib.util.spec_from_file_location("fresh", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fresh(tmp_path):
    """Return kernels that nobody has compiled yet, from a file of their own."""
    file = tmp_path / "fresh.py"
    file.write_text(SOURCE)
    module = loaded(file)
    yield module
    shutil.rmtree(module.twice.stats.cache_path)


def test_a_copy_of_the_package_in_another_folder_compiles_nothing(tmp_path):
    pricing.as_spread(0.1, 1.0, 1.0, 1.5, 1.0)
    shutil.copytree(ROOT / "hftlab", tmp_path / "hftlab", ignore=shutil.ignore_patterns("__pycache__", "static", "*.npz"))
    said = subprocess.run(
        [sys.executable, "-c", PRICE], cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith(str(tmp_path / "hftlab"))
    assert "cache_misses=Counter()" in said.stdout


def test_two_signatures_are_two_files_and_each_is_saved_under_the_lock(fresh, monkeypatch):
    held = []

    def save(cache, sig, data):
        with Path(cache.cache_path, "lock").open("w") as another, pytest.raises(BlockingIOError):
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(sig)
        plain(cache, sig, data)

    plain = caching.FunctionCache.save_overload
    monkeypatch.setattr(caching.FunctionCache, "save_overload", save)
    assert (fresh.twice(2), fresh.twice(2.5)) == (4, 5.0)
    assert len(held) == 2
    assert len(list(Path(fresh.twice.stats.cache_path).glob("*.nbc"))) == 2
    with Path(fresh.twice.stats.cache_path, "lock").open("w") as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_edit_of_the_file_is_compiled_anew(fresh):
    assert fresh.twice(2) == 4
    file = Path(fresh.__file__)
    file.write_text(SOURCE.replace("x + x", "x + 3"))
    jit._stamp.cache_clear()
    edited = loaded(file)
    assert edited.twice(2) == 5
    assert not edited.twice.stats.cache_hits


def test_constants_and_narrow_integers_of_callers_compile_nothing_more(fresh):
    assert fresh.calls(np.array([7], np.uint8)).tolist() == [2 * (2 + 3 + 7 + 7)]
    assert [kinds for (kinds,) in fresh.twice.signatures] == [types.int64, types.uint8[::1]]
    assert fresh.sides(4) == 8
    assert [str(kinds) for (kinds,) in fresh.twice.signatures][2:] == ["Literal[int](1)", "Literal[int](-1)"]


def test_where_the_folder_cannot_be_written_numba_chooses_the_place(fresh, monkeypatch):
    monkeypatch.setattr(jit, "_writable", lambda _folder: False)
    elsewhere = jit._Cache(fresh.twice.py_func).cache_path
    assert elsewhere != fresh.twice.stats.cache_path
    assert not elsewhere.startswith(jit._CACHE_DIR)

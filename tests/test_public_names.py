"""The public face is a list: what `import hftlab` offers is what is written down, and nothing else."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import hftlab as hl

ROOT = Path(__file__).resolve().parents[1]


def test_the_names_are_sorted_and_listed_by_dir():
    assert hl.__all__ == sorted(set(hl.__all__))
    assert set(dir(hl)) == {*hl.__all__, "__version__"}


@pytest.mark.parametrize("name", hl.__all__)
def test_every_public_name_loads_and_says_what_it_is(name):
    value = getattr(hl, name)
    assert value.__name__ == name
    assert inspect.getdoc(value), f"hl.{name} has no docstring"
    # It lives where the table says, so that an error points at the right file.
    assert getattr(importlib.import_module(value.__module__), name) is value


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean 'backtest'"):
        hl.backtets  # noqa: B018


def test_there_are_about_twenty_names():
    assert len(hl.__all__) <= 48, "a name that few need belongs in its module"


def test_the_version_is_that_of_the_package():
    import tomllib

    assert hl.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_a_star_import_gives_the_public_names():
    code = "from hftlab import *; import hftlab; missing = [n for n in hftlab.__all__ if n not in globals()]; assert not missing, missing"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_folder_of_the_package_takes_the_place_of_a_public_name():
    # Importing `hftlab.x.y` binds `hftlab.x`; were x a public name, the module would stand where the function was.
    folders = {p.name for p in (ROOT / "hftlab").iterdir() if p.is_dir()} | {p.stem for p in (ROOT / "hftlab").glob("*.py")}
    assert not folders & set(hl.__all__)

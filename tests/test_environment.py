"""What a person installs is one thing, however they install it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

CONDA_NAMES = {
    "ccxt": "ccxt-py",
    "msgpack": "msgpack-python",
    "prometheus-client": "prometheus_client",
}  # where conda-forge calls a package by another name than PyPI


def conda_packages(name: str) -> set[str]:
    """Return what a conda environment file lists, without python and without pip, which installs the project itself."""
    listed = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["dependencies"]
    return {entry for entry in listed if entry != "pip" and not entry.startswith("python=") and not entry.startswith("python>")}


@pytest.mark.parametrize("name", ["environment.yml", "binder/environment.yml"])
def test_conda_installs_what_pyproject_asks_for(name):
    asked = [Requirement(text) for text in PROJECT["dependencies"]]
    assert conda_packages(name) == {f"{CONDA_NAMES.get(one.name, one.name)}{one.specifier}" for one in asked}


def test_conda_takes_a_python_that_the_project_accepts():
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert f"\n  - python{accepted}\n" in (ROOT / "environment.yml").read_text(encoding="utf-8")
    # Binder reads one version from the file, not a range; without one it builds its own default, which is too old.
    (version,) = re.findall(r"^  - python=([\d.]+)", (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert accepted.contains(version)


def test_the_lock_satisfies_pyproject():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", text, flags=re.MULTILINE):
        locked.setdefault(name, []).append(version)
    for asked in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]:
        requirement = Requirement(asked)
        versions = locked.get(requirement.name, [])
        assert versions, f"{requirement.name} is not in requirements.lock: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{asked}, but locked at {versions}: run `make lock`"


@pytest.mark.parametrize("name", [".ci/run", "binder/postBuild", "binder/start"])
def test_scripts_can_be_run(name):
    assert os.access(ROOT / name, os.X_OK)
    assert (ROOT / name).read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", name], cwd=ROOT, check=True)


def test_make_asks_for_a_newer_python_when_there_is_none(tmp_path):
    # A clone in which no python3 is on PATH: one clear message, and nothing left behind.
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "hftlab").mkdir()
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "find", "grep", "touch", "echo"):
        (tools / tool).symlink_to(shutil.which(tool))
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # a shim with nothing behind it
    old.chmod(0o755)
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    environment = {"PATH": str(tools), "HOME": str(tmp_path)}
    done = subprocess.run([make, "environment"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_wheel_carries_the_data_files(tmp_path):
    # Without network or isolation: hatchling is in the lock.
    pytest.importorskip("hatchling", reason="the builder is not in this environment; `make environment` installs it")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    import zipfile

    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    data = {p.relative_to(ROOT).as_posix() for p in (ROOT / "hftlab").rglob("*") if p.suffix in {".json", ".npz", ".js", ".css", ".svg"}}
    assert data, "no data files found: this test looks at nothing"
    assert data <= inside
    assert not [name for name in inside if name.startswith(("tests/", "notebooks/", "benchmarks/"))]

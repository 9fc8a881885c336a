"""Every file, test, command and name that CONTRIBUTING and the guides name is there."""

import argparse
import re
import tomllib
from pathlib import Path

import pytest

from benchmarks.drills.__main__ import DRILLS
from hftlab.cli import parser
from hftlab.errors import HftlabError

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
FILE = re.compile(r"(?<![\w./-])((?:hftlab|tests|docs|notebooks|examples|benchmarks)/[\w./-]*[\w/]|[\w-]+\.(?:toml|yml|lock|md)(?=`))")
LINK = re.compile(r"\]\(([^)#:\s]+)\)")


def page_of(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_of)
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    named = {name for name in FILE.findall(text) if not (page.parent / name).exists()}
    linked = {name for name in LINK.findall(text) if not (page.parent / name).exists()}
    assert not {name for name in named if not (ROOT / name).exists()}
    assert not linked


@pytest.mark.parametrize("page", PAGES, ids=page_of)
def test_commands_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    (commands,) = (action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert set(re.findall(r"(?:`|^|bin/| )hftlab (?!as hl)([a-z]+)\b(?=[ `\n])", text, re.MULTILINE)) <= set(commands)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z]+)|^make ([a-z]+)", text, re.MULTILINE)) <= {(t, "") for t in targets} | {("", t) for t in targets}
    assert set(re.findall(r"benchmarks\.drills ([a-z]+)", text)) <= set(DRILLS)
    benches = {path.stem.removeprefix("bench_") for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert set(re.findall(r"-m benchmarks ([a-z_]+)", text)) <= benches


@pytest.mark.parametrize("page", PAGES, ids=page_of)
def test_public_names_that_are_named_exist(page):
    import hftlab as hl

    text = page.read_text(encoding="utf-8")
    assert not {name for name in re.findall(r"\bhl\.(\w+)", text) if not hasattr(hl, name)}
    errors = {one.__name__ for one in _tree(HftlabError)}
    assert not {name for name in re.findall(r"`(\w+Error|EngineDied|RunInUse|CommandRefused)`", text) if name not in errors | {"KeyError"}}


def _tree(error):
    return {error, *(found for one in error.__subclasses__() for found in _tree(one))}


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("hftlab/kernels/core.py", ["def loop("]),
        ("hftlab/kernels/queue.py", ["def p_behind("]),
        ("hftlab/kernels/quote.py", ["def decide(", "def around(", "def public_touch(", "QUOTER_FIXED"]),
        ("hftlab/kernels/risk.py", ["def permit("]),
        ("hftlab/assumptions.py", ["QUEUES = "]),
        ("hftlab/params.py", ["QUOTERS: ", "class FixedSpread", "LIVE: "]),
        ("hftlab/analytics/queues/calibrate.py", ["MODELS = "]),
        ("hftlab/analytics/fit_fills/queue.py", ["PLAIN = "]),
        ("hftlab/analytics/facts/accounts.py", ["QUOTER_NAMES = "]),
        ("hftlab/analytics/estimators/flow.py", ["class TradeRate"]),
        ("hftlab/analytics/estimators/estimate.py", ["MARKET = ", "def _estimators"]),
        ("hftlab/analytics/report/report.py", ["class Report("]),
        ("hftlab/widgets/exposure.py", ["class DeskRisk"]),
        ("hftlab/venues/live/model.py", ["class Wire(", "class Reader(", "class Answer"]),
        ("hftlab/venues/server/skin.py", ["class Skin("]),
        ("tests/test_queue_models.py", ["BY_HAND = "]),
        ("tests/test_estimators.py", ["MAKERS = "]),
    ],
)
def test_what_the_recipes_copy_stands_where_they_say(file, names):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not [name for name in names if name not in text]


def test_the_readers_of_this_file_see_what_they_look_for():
    assert FILE.findall("`tests/test_gone.py`, `CHANGELOG.md` and hftlab/widgets/") == [
        "tests/test_gone.py",
        "CHANGELOG.md",
        "hftlab/widgets/",
    ]
    assert LINK.findall("[a](../live.md) [b](https://x.org) [c](#d)") == ["../live.md"]


def test_the_markers_of_the_suite_are_those_of_pyproject():
    said = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    markers = [one.partition(":")[0] for one in options["markers"]]
    assert markers
    assert all(re.search(rf'-m (?:"not )?{marker}', said) for marker in markers)

"""What the README promises is so: its code runs as it stands there, its commands exist, its links lead somewhere."""

import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hftlab.cli import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ROOT / "docs" / "guides" / "commands.md"
PAGES = {"README.md": README, "commands.md": COMMANDS.read_text(encoding="utf-8")}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text, language):
    return [code for kind, code in BLOCK.findall(text) if kind == language]


def test_the_twelve_lines_are_twelve_and_make_a_market(tmp_path):
    (block,) = blocks(README, "python")
    assert len(block.splitlines()) == 12
    ends = "session.wait(lambda f: len(f.orders()) == 2)\nassert report.fills.size\nprint(session.stop().desk['state'])\n"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", block + ends],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "STOPPED"
    assert (tmp_path / "runs" / "run-001" / "spec.yaml").exists()


def test_no_block_is_of_a_kind_that_nothing_here_runs():
    assert {kind for kind, _ in BLOCK.findall(README)} == {"python", "sh"}
    assert {kind for kind, _ in BLOCK.findall(PAGES["commands.md"])} == {"sh"}


def known(command):
    """Say whether a command can be typed: it is asked for, and not carried out. Raises for one of a kind that is not known here."""
    for word, example in (("RUN", "runs/x"), ("FILE", "x"), ("INSTRUMENT", "sim:BTC/USDT"), ("SECONDS", "60")):
        command = command.replace(word, example)
    program, *rest = shlex.split(command)
    if program == "make":
        targets = [one for one in rest if "=" not in one]
        phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
        return bool(targets) and set(targets) <= set(phony)
    if program == "hftlab":
        parser().parse_args(rest)
        return True
    if (program, *rest[:1]) == ("python", "-m"):
        return known_module(rest[1], rest[2:])
    if program == "binder/badge":
        return (ROOT / program).exists()
    if program == "conda":
        return rest in (["env", "create", "-f", "environment.yml"], ["activate", "hftlab"]) and (ROOT / "environment.yml").exists()
    if program == "pip":
        return rest == ["install", "--no-deps", "-e", "."]
    if program == "git":
        return rest[:3] == ["remote", "add", "origin"]
    raise AssertionError(f"{command!r}: nothing here knows whether that can be typed")


def known_module(module, arguments):
    if module == "benchmarks":
        return all((ROOT / "benchmarks" / f"bench_{name}.py").exists() for name in arguments)
    if module == "benchmarks.peers":
        return arguments[0] in importlib.import_module("benchmarks.peers.__main__").__doc__
    if module == "benchmarks.drills":
        source = (ROOT / "benchmarks" / "drills" / f"{arguments[0]}.py").read_text(encoding="utf-8")
        return all(f'"{option}"' in source for option in arguments[1:])
    raise AssertionError(f"{module!r}: nothing here knows that module")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_can_be_typed(page):
    in_blocks = [line for code in blocks(PAGES[page], "sh") for line in code.splitlines() if line]
    in_text = re.findall(r"`((?:make|hftlab|python -m) [^`]+)`", PAGES[page])
    typed = [one for one in (*in_blocks, *in_text) if "NAME" not in one]
    assert len(typed) > 10
    assert [one for one in typed if not known(one)] == []


@pytest.mark.parametrize(
    "wrong", ["make coffee", "make", "python -m benchmarks nonsense", "conda install hftlab", "pip install hftlab", "git push"]
)
def test_a_command_that_is_none_is_seen(wrong):
    assert not known(wrong)


@pytest.mark.parametrize("wrong", ["hftlab brew", "hftlab serve --colour"])
def test_a_command_of_ours_that_is_none_is_seen(wrong):
    with pytest.raises(SystemExit):
        known(wrong)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_every_file_that_is_named_exists(page):
    here = ROOT if page == "README.md" else COMMANDS.parent
    links = re.findall(r"\]\((?!https?://)([^)#]+)", PAGES[page]) + re.findall(r'(?:src|srcset)="([^"]+)"', PAGES[page])
    named = [ROOT / name for name in re.findall(r"`((?:notebooks|docs|tests|hftlab|binder)/[\w/.]*)`", PAGES[page])]
    assert links or named
    assert [name for name in links if not (here / name).exists()] == []
    assert [str(name) for name in named if not name.exists()] == []


def test_the_anchor_that_the_readme_links_to_is_a_heading():
    (anchor,) = re.findall(r"commands\.md#([\w-]+)", README)
    assert anchor in [title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", PAGES["commands.md"], re.MULTILINE)]


def test_the_pictures_are_light_enough_for_a_front_page():
    pictures = [ROOT / name for name in re.findall(r'(?:src|srcset)="([^"]+)"', README)]
    assert len(pictures) == 2
    assert all(20_000 < one.stat().st_size <= 1_500_000 for one in pictures)


def test_every_row_of_the_table_has_a_figure_and_its_command():
    rows = re.findall(r"^\| (\*\*.*)\|$", README, re.MULTILINE)
    assert len(rows) >= 10
    for row in rows:
        _, measured, by = [cell.strip() for cell in row.split("|")]
        assert re.search(r"\d", measured)
        assert re.fullmatch(r"`python -m benchmarks[^`]*`", by)


def test_make_knows_the_two_commands():
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    for code in blocks(README, "sh"):
        target = code.split()[1]
        said = subprocess.run([make, "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert f"make {target} " in said

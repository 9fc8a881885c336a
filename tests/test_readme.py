"""What the README promises runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_first_python_block_makes_a_market(tmp_path):
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    ends = "\nsession.wait(lambda f: len(f.orders()) == 2)\nprint(session.stop().desk['state'])\n"
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


def test_the_other_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1:]
    assert blocks
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, "README.md", "exec"), names)
        assert len(names["report"].fills) > 0


def test_every_file_that_is_named_exists():
    named = re.findall(r"`((?:notebooks|docs|tests|hftlab|binder)/[\w/.]+)`", README)
    assert named
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_every_command_of_hftlab_that_is_named_exists():
    from hftlab.cli import parser

    known = parser().format_help()
    for command in set(re.findall(r"`hftlab (\w+)", README)):
        assert command in known

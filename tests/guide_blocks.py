"""Types the commands of a guide beside its python blocks: what `doc_blocks` runs, with the shell's lines where they stand.

<!-- not typed: why -->      on the line before a ```sh block: it is not typed, and why
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from doc_blocks import GIVEN, ROOT, blocks

SHELL = re.compile(r"^(?:<!-- not typed: (?P<why>.*?) -->\n)?```sh[ \t]*\n(?P<typed>.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
TYPED_S = 600.0  # a busy machine; what is typed takes seconds


def typed(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the shell blocks of a page: first line, commands, and the reason when they are not typed."""
    for found in SHELL.finditer(text):
        yield text.count("\n", 0, found.start("typed")) + 1, found["typed"], found["why"] or ""


def follow(page: Path) -> tuple[int, int]:
    """Do what a page says from top to bottom in the working directory; return how many python and shell blocks were done."""
    text = page.read_text(encoding="utf-8")
    steps = [(block.line, block) for block in blocks(text)] + [(line, (commands, why)) for line, commands, why in typed(text)]
    names: dict[str, object] = {"__name__": "page"}
    done = [0, 0]
    for line, step in sorted(steps, key=lambda one: one[0]):
        if isinstance(step, tuple):
            commands, why = step
            if not why:
                _type(commands, f"{page.name}:{line}")
                done[1] += 1
        elif not step.not_run:
            names.update({name: GIVEN[name]() for name in step.given})
            exec(compile("\n" * (line - 1) + step.code, str(page), "exec"), names)
            done[0] += not step.hidden
    return done[0], done[1]


def _type(commands: str, where: str) -> None:
    """Run lines as a person types them, where `hftlab` and `python` are those of this environment."""
    here = f'python() {{ "{sys.executable}" "$@"; }}\nhftlab() {{ python -m hftlab "$@"; }}\n'
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-euc", here + commands], env=env, capture_output=True, text=True, timeout=TYPED_S, check=False)
    assert done.returncode == 0, f"{where}\n{commands}\n{done.stdout}\n{done.stderr}"

"""The guides work as they are written: each page is one small story, typed and run from top to bottom in an empty folder."""

import ast
import os
import sys
from pathlib import Path

import pytest
from doc_blocks import DOCS, ROOT, blocks
from guide_blocks import follow, typed

from hftlab.cli import main

GUIDES = sorted((DOCS / "guides").glob("*.md"))
STORIES = [page for page in GUIDES if "```python" in (text := page.read_text(encoding="utf-8")) or "```sh" in text]


@pytest.mark.parametrize("page", STORIES, ids=lambda page: page.stem)
def test_a_page_can_be_followed(page, tmp_path, monkeypatch):
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # where one starts Python, it finds one's files
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("examples").symlink_to(ROOT / "examples")
    text = page.read_text(encoding="utf-8")
    left_out = [block for block in blocks(text) if block.not_run], [why for _, _, why in typed(text) if why]
    shown = [block for block in blocks(text) if not block.hidden]
    try:
        assert follow(page) == (len(shown) - len(left_out[0]), sum(1 for _ in typed(text)) - len(left_out[1]))
    finally:
        for name in ("own_quoter", "own_strategy"):  # modules of this folder, which goes away
            sys.modules.pop(name, None)
        os.environ.clear()  # what a page that failed has not taken back would meet the next one
        os.environ.update(before)
        if Path("runs").is_dir():
            main(["stop", "--all", "runs"])


@pytest.mark.parametrize("page", STORIES, ids=lambda page: page.stem)
def test_what_is_not_run_could_be(page):
    # It asks a venue, so only its names are held: what it imports is there, and the rest is Python.
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.not_run:
            tree = ast.parse(block.code)
            imports = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
            exec(compile(imports, str(page), "exec"), {})


def test_the_quoter_of_the_guide_is_that_of_the_example():
    def decide(text):
        (found,) = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name == "decide")
        return ast.dump(found)

    first = next(blocks((DOCS / "guides" / "own_quoter.md").read_text(encoding="utf-8")))
    assert decide(first.code) == decide((ROOT / "examples" / "own_quoter.py").read_text(encoding="utf-8"))

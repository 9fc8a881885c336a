"""The package as syntax trees, each file parsed once, for the tests that read code."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hftlab"
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def text_of(path):
    return path.read_text(encoding="utf-8")


@cache
def parsed(path):
    return ast.parse(text_of(path))

"""How the pages of docs/ become a site: `make docs`. Pages are MyST Markdown; the reference is read from the docstrings."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import hftlab as hl  # noqa: E402  # the folder of the repository goes first: the docs are those of this tree

project = "hftlab"
author = "The hftlab authors"
copyright = "the hftlab authors, MIT licence"  # noqa: A001  # the name that Sphinx reads
release = version = hl.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "conf_reference"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

html_theme = "furo"
html_title = f"hftlab {release}"
html_copy_source = html_show_sourcelink = False
html_extra_path = ["grafana.json"]
html_static_path: list[str] = []

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # [text](page.md#a-heading), as on the forge

nitpicky = True
nitpick_ignore_regex: list[tuple[str, str]] = []

add_module_names = False
default_role = "code"
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 100
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types and units; annotations of numpy and Any would only fill the lines
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False

# What reStructuredText would take for markup, in docstrings that are plain text with `code` in it.
MARKUP = re.compile(r"(`[^`\n]+`)|([*_|\\])")


def plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make a docstring reStructuredText: what is between backticks is code, everything else stands for itself."""
    for number, line in enumerate(lines):
        bullet = re.match(r"\s*\* ", line)
        start = bullet.end() if bullet else 0
        lines[number] = line[:start] + MARKUP.sub(lambda m: f"`{m[1]}`\\" if m[1] else f"\\{m[2]}", line[start:])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", plain)

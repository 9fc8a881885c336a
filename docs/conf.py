"""How the pages of docs/ become a site: `make docs`. Pages are MyST Markdown; the reference is read from the docstrings."""

import re
import sys
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes

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
MARKUP = re.compile(r"(\w?)(`[^`\n]+`)(\w?)|([*_|\\])")


def marked(found: re.Match[str]) -> str:
    """Return code with room around it, which no reader sees, and anything else escaped."""
    before, code, after, other = found.groups()
    if other:
        return "\\" + other
    room = "\\ "
    return before + (room if before else "") + f"`{code}`" + (room if after else "") + after


def plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make a docstring reStructuredText: what is between backticks is code, everything else stands for itself."""
    for number, line in enumerate(lines):
        bullet = re.match(r"\s*\* ", line)
        start = bullet.end() if bullet else 0
        lines[number] = line[:start] + MARKUP.sub(marked, line[start:])


def inline(app: Any, tree: Any, page: str) -> None:
    """Put our pictures into the page itself, where their lines and letters take its colour, light or dark."""
    for image in list(tree.findall(nodes.image)):
        path = HERE / image["uri"]
        if app.builder.format == "html" and path.suffix == ".svg" and path.parent.name == "concepts":
            picture = re.sub(r"<style>.*?</style>", "", path.read_text(encoding="utf-8"))
            image.replace_self(nodes.raw("", picture.replace("<svg ", f'<svg aria-label="{escape(image["alt"])}" '), format="html"))


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("doctree-resolved", inline)
    app.connect("autodoc-process-docstring", plain)

"""The links of Markdown and of notebooks: where each leads, and whether there is something there."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]

FENCE = re.compile(r"^(```+|~~~+).*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(`+)(?:(?!\1).)+\1", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\](?:\([^)]*\))?)*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
TAG = re.compile(r"<(?:a|img|source)\s[^>]*?(?:href|src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.*?)#*\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Link:
    """A link in a page, and what is wrong with it ("" when nothing is)."""

    page: Path
    to: str
    wrong: str = ""


def pages() -> list[Path]:
    """Return every page that is written by hand: Markdown of the repository, docs and notebooks."""
    docs = [page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts]
    books = [page for page in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in page.parts]
    return sorted([*ROOT.glob("*.md"), *docs, *books])


@cache
def markdown(page: Path) -> str:
    """Return the Markdown of a page; of a notebook that of its cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    return FENCE.sub("", text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return what can be linked to in a page: its headings, as a forge and MyST name them, and the ids of its tags."""
    found: dict[str, int] = {}
    names = set(re.findall(r"\bid=\"([^\"]+)\"", markdown(page)))
    for heading in HEADING.findall(markdown(page)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        slug = "".join(c if c in "-_" or unicodedata.category(c)[0] in "LN" else "-" if c == " " else "" for c in words)
        count = found.get(slug, 0)
        found[slug] = count + 1
        names.add(f"{slug}-{count}" if count else slug)
        if page.suffix == ".ipynb":
            names.add(heading.strip().replace(" ", "-"))  # JupyterLab keeps capitals
    return frozenset(names)


def checked(page: Path) -> Iterator[Link]:
    """Yield every link of a page, looked at. What lies outside is looked at for its form only."""
    text = markdown(page)
    for to in [*LINK.findall(CODE.sub("``", text)), *TAG.findall(text)]:
        yield Link(page, to, _wrong(page, to))


def _wrong(page: Path, to: str) -> str:
    parts = urlsplit(to)
    if parts.scheme in {"http", "https"}:
        return "" if (parts.hostname and "." in parts.hostname) or parts.hostname in {"localhost", "127.0.0.1"} else "no host"
    if parts.scheme:
        return "" if parts.scheme in {"mailto", "attachment"} else f"scheme {parts.scheme}"
    if parts.path.startswith("/"):
        return "not relative"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists():
        return "nothing there"
    if not target.is_relative_to(ROOT):
        return "outside the repository"
    if parts.fragment and target.suffix in {".md", ".ipynb"} and unquote(parts.fragment) not in anchors(target):
        return f"no heading there; it has {', '.join(sorted(anchors(target)))}"
    return ""

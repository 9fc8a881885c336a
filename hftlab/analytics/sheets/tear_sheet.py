"""The tear sheet: all that a report has to say, warnings first, as one HTML file that needs nothing else, and inline in a notebook."""

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.sheets.sections import SECTIONS

if TYPE_CHECKING:
    from hftlab.analytics.report.report import Report

# Colours come from the page (Canvas, CanvasText) or mix with it, so that light and dark need no second set.
_STYLE = """<style>
.hl-tear{font:14px/1.5 system-ui,sans-serif;max-width:1080px;margin:0 auto}
.hl-tear h2{font-size:17px;margin:26px 0 8px;border-bottom:1px solid rgba(128,128,128,.4);padding-bottom:3px}
.hl-tear h3{font-size:13px;margin:12px 0 4px}
.hl-tear table{border-collapse:collapse;margin:6px 0;font-size:12px;background:none;display:table}
.hl-tear tr{background:none!important}
.hl-tear th{text-align:left;font-weight:600;padding:2px 10px 2px 0;background:none;border:0;vertical-align:top}
.hl-tear td{text-align:right;padding:2px 10px 2px 0;font-variant-numeric:tabular-nums;background:none;border:0;vertical-align:top}
.hl-tear td.w{text-align:left}
.hl-tear td.said{min-width:240px}
.hl-tear .wide{overflow-x:auto}
.hl-tear .row{display:flex;flex-wrap:wrap;gap:8px 28px;align-items:flex-start}
.hl-tear .row>div{max-width:100%}
.hl-tear .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:8px;margin:10px 0}
.hl-tear .card{border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:8px 10px}
.hl-tear .card b{display:block;font-size:18px;font-variant-numeric:tabular-nums}
.hl-tear small,.hl-tear .note{opacity:.75}
.hl-tear .note{font-size:12px;margin:4px 0}
.hl-tear .warn{border-left:3px solid #e08a1e;padding-left:8px;margin:6px 0}
.hl-tear details{padding:3px 0}
.hl-tear summary{cursor:pointer}
.hl-tear nav{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:12px;margin:4px 0}
.hl-tear nav a{color:inherit}
</style>"""

_PAGE = """<style>:root{color-scheme:light dark}body{background:Canvas;color:CanvasText;margin:16px}</style>"""


class TearSheet:
    """A report as a page. Shown in a notebook it is the page; `save` writes it as a file, `path` is where it was last written."""

    def __init__(self, report: "Report") -> None:
        self.report = report
        self.path: Path | None = None

    @property
    def title(self) -> str:
        """Return what was traded, when, and the digest."""
        facts = self.report.facts
        start, end = (str(np.datetime64(ns, "ns").astype("datetime64[s]")).replace("T", " ") for ns in (facts.start_ns, facts.end_ns))
        return f"{', '.join(one.name for one in self.report.instruments)} · {start} to {end} UTC · {self.report.digest}"

    @cached_property
    def sections(self) -> dict[str, str]:
        """Return the HTML of each section by its title, in the order of the page."""
        return {title: make(self.report) for title, make in SECTIONS}

    def document(self) -> str:
        """Return the whole page: it follows the reader's choice of light or dark, and fits a phone."""
        return (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width,initial-scale=1'>"
            f"<title>{escape(self.title)}</title>{_PAGE}</head><body>{self._body()}</body></html>"
        )

    def save(self, path: str | Path) -> Path:
        """Write the page as one file. Returns its path."""
        self.path = Path(path)
        self.path.write_text(self.document(), encoding="utf-8")
        return self.path

    def _body(self) -> str:
        links = "".join(f"<a href='#{_anchor(title)}'>{escape(title)}</a>" for title in self.sections)
        parts = "".join(f"<section id='{_anchor(title)}'><h2>{escape(title)}</h2>{body}</section>" for title, body in self.sections.items())
        return f"{_STYLE}<div class='hl-tear'><b>{escape(self.title)}</b><nav>{links}</nav>{parts}</div>"

    def _repr_html_(self) -> str:
        return self._body()

    def __repr__(self) -> str:
        where = f"in {self.path}" if self.path is not None else "not saved: .save(path) writes it"
        return f"<TearSheet of {self.report!r}, {where}>"


def _anchor(title: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower()).strip("-")

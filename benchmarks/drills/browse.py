"""Every notebook in JupyterLab and every dashboard as it is published, in headless Chromium: what each shows and what is wrong with it.

python -m benchmarks.drills browse                            all of them, as a table; fails when anything is wrong
python -m benchmarks.drills browse 03 dashboards/ --shots F   those whose path contains a word; pictures, light and dark, in folder F
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from benchmarks.drills.lab import BROWSER_ARGS, ROOT, WAIT_MS, command, lab, open_notebook
from benchmarks.drills.looks import Watch, faint, look
from hftlab.publish.demo import demo_gallery, demo_run
from hftlab.publish.launch import Publisher, Serving

NOTEBOOKS = ROOT / "notebooks"
DASHBOARDS = NOTEBOOKS / "dashboards"
OUTPUTS = ".jp-Notebook .jp-OutputArea-output"
RUN_MS = 600_000  # a whole notebook on a loaded machine
SIZE = {"width": 1300, "height": 1000}
SHELL_PX, TALL_PX = 90, 16_000  # what JupyterLab has above a notebook; how long a picture may be
REPAINT_MS = 1000  # a theme's style sheet may come after its name; canvases are painted with its colours by then
THEMES = ("JupyterLab Light", "JupyterLab Dark")

RUN_ALL = """() => { window.__ran = false; window.jupyterapp.commands.execute('notebook:run-all-cells')
.then(() => { window.__ran = true; }, (error) => { window.__ran = true; console.error('run-all-cells: ' + error); }); }"""
# A closed notebook would leave its kernel behind.
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"


@dataclass
class Page:
    """What was seen of one notebook or dashboard."""

    name: str
    cells: int
    seconds: float = 0.0
    widgets: int = 0
    figures: int = 0
    said: list[str] = field(default_factory=list)  # by the browser
    faults: list[str] = field(default_factory=list)  # to be seen on the page

    def row(self) -> str:
        """Return one line of the table."""
        return (
            f"{self.name:24} {self.cells:6} {self.seconds:8.1f} {self.widgets:8} {self.figures:8} {len(self.said):8} {len(self.faults):7}"
        )


HEAD = f"{'page':24} {'cells':>6} {'seconds':>8} {'widgets':>8} {'figures':>8} {'console':>8} {'faults':>7}"


def notebooks(folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks in `folder`, by name."""
    return sorted(folder.glob("*.ipynb"))


def code_cells(path: Path) -> int:
    """Return how many cells of code a notebook has."""
    return sum(cell.cell_type == "code" for cell in nbformat.read(path, 4).cells)


@contextmanager
def own_lab(folder: Path) -> Iterator[str]:
    """Run a JupyterLab over copies of the notebooks, all cells of which are on the page, in sight or not; give its address."""
    beside, folder = folder, folder / "notebooks"
    settings = folder / "config/lab/user-settings/@jupyterlab/notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    # All of them with what stands beside: the map checks that each of its links leads somewhere.
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns("runs", ".*"), dirs_exist_ok=True)
    for name in ("README.md", "CONTRIBUTING.md", "docs", "examples"):
        (beside / name).symlink_to(NOTEBOOKS.parent / name)
    try:
        with lab(folder) as url:
            yield url
    finally:
        # Some notebooks leave an engine behind on purpose.
        from hftlab.cli import main as cli

        if (folder / "runs").is_dir():
            cli(["stop", "--all", str(folder / "runs")])


def see_notebook(browser: Any, url: str, path: Path, *, shots: Path | None = None, settle_s: float = 30.0) -> Page:
    """Open a notebook in a page of its own, run it from top to bottom, look at it in both themes and end its kernel.

    `browser` is anything that makes pages; pages of one context share what they have loaded.
    """
    seen = Page(path.stem, code_cells(path))
    began_s = time.monotonic()
    page = browser.new_page()
    page.set_viewport_size(SIZE)
    watch = Watch.of(page)
    open_notebook(page, f"{url}/doc/tree/{path.name}")
    wear(page, THEMES[0])
    page.evaluate(RUN_ALL)
    page.wait_for_function("window.__ran", timeout=RUN_MS)
    for theme in THEMES:
        wear(page, theme)
        looked = look(page, OUTPUTS, settle_s)
        seen.widgets, seen.figures = looked.widgets, looked.figures
        seen.faults += [f"{theme}: {one}" for one in (*looked.faults, *faint(page, OUTPUTS))]
        shoot(page, shots, seen.name, theme)
    seen.said = watch.said[:]
    page.evaluate(SHUT_DOWN)
    page.close()
    seen.seconds = time.monotonic() - began_s
    return seen


def wear(page: Any, theme: str) -> None:
    """Put a theme on JupyterLab, and wait until it is on. JupyterLab remembers it for the next page."""
    if page.evaluate("document.body.dataset.jpThemeName") == theme:
        return
    command(page, "apputils:change-theme", theme=theme)
    page.wait_for_function(f"document.body.dataset.jpThemeName === '{theme}'", timeout=WAIT_MS)
    page.wait_for_timeout(REPAINT_MS)


def shoot(page: Any, shots: Path | None, name: str, theme: str) -> None:
    """Keep a picture of the whole notebook."""
    if shots is None:
        return
    shots.mkdir(parents=True, exist_ok=True)
    tall = page.evaluate("Math.max(...[...document.querySelectorAll('.jp-WindowedPanel-outer')].map((one) => one.scrollHeight))")
    page.set_viewport_size(SIZE | {"height": min(int(tall) + SHELL_PX, TALL_PX)})
    page.evaluate("document.querySelectorAll('.jp-WindowedPanel-outer').forEach((one) => { one.scrollTop = 0; })")
    page.wait_for_timeout(REPAINT_MS)
    page.screenshot(path=shots / f"{name}_{theme.rsplit(maxsplit=1)[-1].lower()}.png", timeout=WAIT_MS)
    page.set_viewport_size(SIZE)


@contextmanager
def published(folder: Path, theme: str) -> Iterator[Publisher]:
    """Publish the run and the gallery in `folder`; the run must be there, the gallery is what is in it."""
    places = {"run": folder / "run", "pages": DASHBOARDS, "gallery": folder / "gallery"}
    # niceness: viewers give way to everything else, and on a machine that tests, everything else never ends.
    serving = Serving(**places, ready=0, viewers=4, theme=theme, niceness=0, gone_s=1.0)
    with Publisher(serving) as publisher:
        yield publisher


@contextmanager
def shown_run(folder: Path) -> Iterator[None]:
    """Start what the dashboards show: a session that has orders out, and saved backtests."""
    demo_gallery(folder / "gallery")
    session = demo_run(folder / "run")
    try:
        session.wait(lambda frame: len(frame.orders()) == 2, timeout_s=60)
        yield
    finally:
        session.stop()


def see_dashboard(browser: Any, publisher: Publisher, path: Path, *, shots: Path | None = None, settle_s: float = 60.0) -> Page:
    """Open a dashboard as a viewer does, press each of its sections, and look at it."""
    theme = publisher.serving.theme
    seen = Page(f"{path.stem} {theme}", code_cells(path))
    began_s = time.monotonic()
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    watch = Watch.of(page)
    page.goto(f"{publisher.url}voila/render/{path.name}?token={publisher.token.get_secret_value()}", timeout=WAIT_MS)
    page.wait_for_selector(".jupyter-widgets", timeout=WAIT_MS)
    tabs = page.locator(".hft-tab")
    for k in range(max(1, tabs.count())):
        if tabs.count():
            tabs.nth(k).click()
        looked = look(page, "body", settle_s)
        seen.widgets, seen.figures = max(seen.widgets, looked.widgets), seen.figures + looked.figures
        seen.faults += [one for one in (*looked.faults, *faint(page, "body")) if one not in seen.faults]
        if shots is not None:
            shots.mkdir(parents=True, exist_ok=True)
            page.wait_for_timeout(1500)
            page.screenshot(path=shots / f"{path.stem}_{theme}_{k}.png", full_page=True, timeout=WAIT_MS)
    seen.said = watch.said[:]
    context.close()
    seen.seconds = time.monotonic() - began_s
    return seen


def tried(see: Callable[[], Page], path: Path) -> Page:
    """Return what `see` saw; a page on which the browser gave up is one with a fault, and the next has its turn."""
    from playwright.sync_api import Error

    try:
        return see()
    except Error as error:
        return Page(path.stem, code_cells(path), faults=[f"not seen to the end: {error.message.splitlines()[0]}"])


def see_all(words: list[str], shots: Path | None) -> Iterator[Page]:
    """See every notebook and dashboard whose path contains one of the words; all when there are none."""
    from playwright.sync_api import sync_playwright

    def wanted(path: Path) -> bool:
        return not words or any(word in str(path.relative_to(NOTEBOOKS)) for word in words)

    books, boards = [p for p in notebooks() if wanted(p)], [p for p in notebooks(DASHBOARDS) if wanted(p)]
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=BROWSER_ARGS)
        if books:
            (folder / "lab").mkdir()
            with own_lab(folder / "lab") as url:
                context = browser.new_context()
                yield from (tried(lambda path=path: see_notebook(context, url, path, shots=shots), path) for path in books)
        if boards:
            with shown_run(folder):
                for theme in ("light", "dark"):
                    with published(folder, theme) as publisher:
                        yield from (tried(lambda path=path: see_dashboard(browser, publisher, path, shots=shots), path) for path in boards)
        browser.close()


def main(arguments: list[str]) -> int:
    """Browse and print the table. Returns 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills browse", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("words", nargs="*", help="see only those whose path contains one of these")
    parser.add_argument("--shots", type=Path, help="keep screenshots in this folder")
    given = parser.parse_args(arguments)
    os.environ.setdefault("HFTLAB_ALERTS__ON", "false")  # each engine would start a process of alerts
    os.environ.setdefault("HFTLAB_COUNT_RUNS", "off")
    print(HEAD)
    wrong, began_s = 0, time.monotonic()
    for page in see_all(given.words, given.shots):
        print(page.row(), flush=True)
        for text in (*page.said, *page.faults):
            wrong += 1
            print(f"    {text}", file=sys.stderr, flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = f"{time.monotonic() - began_s:.0f} s, of which processors worked {used.ru_utime + used.ru_stime:.0f} s (engines not counted)"
    print(f"{took}; {wrong or 'no'} complaints")
    return int(wrong > 0)

"""What a browser really paints of the dashboard, and how long a slider and HALT take to reach the engine and come back.

A real engine on the simulated market, its dashboard in JupyterLab in headless Chromium. Painted frames are animation frames in which a
canvas of ours was drawn. A delay is from the press in the page until the page shows what the engine acknowledged: comm, kernel, HTTP,
journal, and the pump's way back are in it. It is taken while the stream runs, while a cell sleeps, while a cell computes in Python, and
while a cell holds the interpreter's lock for good: then nothing of this kernel runs, and only what the page says meanwhile is to be seen.
"""

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

import hftlab as hl
from benchmarks.drills.lab import BROWSER_ARGS, WAIT_MS, command, lab, open_notebook

QUIET_MS = 2000  # what was done before is over

START = """
import hftlab as hl
btc = hl.Instrument.bundled("sim:BTC/USDT")
session = hl.start(hl.SynthFeed(btc, seed=7), hl.PaperVenue(btc), hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01"),
                   hl.Limits(position_qty_max="0.05", loss_quote_max=200), run="runs/" + {name!r})
hl.dashboard(session)
"""
# PyDLL does not let go of the interpreter's lock: what a long call of some C extension does.
BLOCKS = {
    "sleep": "import time; time.sleep({s})",
    "python": "import time\nend = time.monotonic() + {s}\nwhile time.monotonic() < end: sum(range(1000))",
    "locked": "import ctypes; ctypes.PyDLL(None).usleep({us})",
}

# The kernel's own status also follows the widgets' messages, so the second cell's star says whether it still runs.
RUNS = "window.jupyterapp.shell.currentWidget.content.widgets[1].node.querySelector('.jp-InputPrompt').textContent.includes('*')"

# Before any script of the page: note the animation frame of every picture that a canvas begins.
SPY = """
window.__painted = []; window.__frames = [];
const clear = CanvasRenderingContext2D.prototype.clearRect;
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  if (this.canvas.closest && this.canvas.closest('.hft-canvas')) window.__painted.push([document.timeline.currentTime, this.canvas.closest('.hft-desk') ? 1 : 0]);
  return clear.apply(this, box);
};
const tick = (t) => { window.__frames.push(t); requestAnimationFrame(tick); };
requestAnimationFrame(tick);
"""

# Moves the slider to another place, presses Apply, and waits until nothing is pending any more: milliseconds.
APPLY = """(limitMs) => new Promise((done, fail) => {
  const box = [...document.querySelectorAll('.hft-slider')].find((node) => node.textContent.includes('risk aversion'));
  const input = box.querySelector('input'), began = performance.now(), limit = setTimeout(() => fail('no answer'), limitMs);
  input.value = String(+input.value > +input.max / 2 ? Math.round(input.max / 3) : Math.round(input.max / 1.5));
  input.dispatchEvent(new Event('input')); input.dispatchEvent(new Event('change'));
  document.querySelector('.hft-ends button').click();
  const look = () => { if (box.classList.contains('hft-pending')) requestAnimationFrame(look); else { clearTimeout(limit); done(performance.now() - began); } };
  look();
})"""

HALT = """(limitMs) => new Promise((done, fail) => {
  const began = performance.now(), limit = setTimeout(() => fail('no answer'), limitMs);
  let said = '';
  document.querySelector('.hft-halt').click();
  const look = () => {
    said = document.querySelector('.hft-notice').textContent || said;
    if (document.querySelector('.hft-state').textContent.includes('HALTED')) { clearTimeout(limit); done([performance.now() - began, said]); }
    else setTimeout(look, 5);
  };
  look();
})"""


@contextmanager
def desk(folder: Path, name: str, code: str | None = None) -> Iterator[str]:
    """Run a JupyterLab over a notebook with the dashboard, or with `code`; give the notebook's address."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells = [nbformat.v4.new_code_cell(code or START.format(name=name)), nbformat.v4.new_code_cell("")]
    nbformat.write(notebook, folder / "desk.ipynb")
    with lab(folder) as url:
        yield f"{url}/lab/tree/desk.ipynb"


def open_desk(page: Any, url: str) -> None:
    """Open the notebook, run its first cell and wait until the dashboard lives."""
    open_and_run(page, url)
    page.wait_for_function("document.querySelector('.hft-state')?.textContent.includes('ACTIVE')", timeout=WAIT_MS)
    page.wait_for_selector(".hft-slider", timeout=WAIT_MS)


def open_and_run(page: Any, url: str) -> None:
    """Open the notebook, note what its canvases paint from the first frame on, and run its cells."""
    page.add_init_script(SPY)
    open_notebook(page, url)
    command(page, "notebook:run-all-cells")


def painted(page: Any, seconds: float) -> dict[str, float]:
    """Return animation frames a second, those of them in which a canvas of ours was drawn, and pictures of all canvases a second."""
    page.evaluate("() => { window.__painted = []; window.__frames = []; }")
    page.wait_for_timeout(1000 * seconds)
    pictures, frames, span_s = page.evaluate(
        "() => [window.__painted.filter((one) => one[1]).map((one) => one[0]), window.__frames.length, "
        "(window.__frames.at(-1) - window.__frames[0]) / 1000]"
    )
    return {
        "animation_frames_per_s": round(frames / span_s, 1),
        "painted_frames_per_s": round(len(set(pictures)) / span_s, 1),
        "canvas_pictures_per_s": round(len(pictures) / span_s, 1),
    }


def delays(page: Any, presses: int) -> dict[str, float]:
    """Return quantiles of the delay of a slider, in ms."""
    found = [page.evaluate(APPLY, WAIT_MS) for _ in range(presses)]
    return {"n": presses, **{f"p{q}_ms": round(float(np.percentile(found, q)), 0) for q in (50, 95)}, "max_ms": round(max(found), 0)}


def block(page: Any, code: str) -> None:
    """Run `code` as the second cell, and wait until the kernel is busy with it."""
    page.evaluate(
        """(code) => { const tracker = window.jupyterapp.shell.currentWidget.content;
        tracker.activeCellIndex = 1; tracker.widgets[1].model.sharedModel.setSource(code);
        void window.jupyterapp.commands.execute('notebook:run-cell'); }""",
        code,
    )
    page.wait_for_function(RUNS, timeout=WAIT_MS)


def idle(page: Any) -> None:
    """Wait until no cell runs."""
    page.wait_for_function(f"!({RUNS})", timeout=WAIT_MS)


def resume(page: Any) -> None:
    """Resume after a halt: two presses."""
    page.click(".hft-buttons button:has-text('Resume')")
    page.click(".hft-buttons button:has-text('sure?')")
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('ACTIVE')", timeout=WAIT_MS)


def under(page: Any, code: str, presses: int) -> dict[str, Any]:
    """Return the delays of slider and HALT while `code` runs in the kernel, and whether it still ran at the end."""
    block(page, code)
    found: dict[str, Any] = {"slider": delays(page, presses)}
    halt_ms, said = page.evaluate(HALT, WAIT_MS)
    found |= {"halt_ms": round(halt_ms, 0), "page_said_meanwhile": said.strip(), "still_blocked_at_the_end": _busy(page)}
    idle(page)
    resume(page)
    return found


def locked(page: Any, code: str) -> dict[str, Any]:
    """Return what becomes of a HALT while a cell holds the interpreter's lock."""
    block(page, code)
    halt_ms, said = page.evaluate(HALT, WAIT_MS)
    idle(page)
    resume(page)
    return {"halt_ms": round(halt_ms, 0), "page_said_meanwhile": said.strip()}


def _busy(page: Any) -> bool:
    return bool(page.evaluate(RUNS))


def measure(folder: Path, seconds: float, presses: int, block_s: float) -> dict[str, Any]:
    """Return all figures of one run."""
    from playwright.sync_api import sync_playwright

    with desk(folder, "browser-drill") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=BROWSER_ARGS)
        page = browser.new_page(viewport={"width": 1400, "height": 950})
        open_desk(page, url)
        found: dict[str, Any] = {"desk": painted(page, seconds)}
        page.click(".hft-tab:has-text('Market')")
        page.wait_for_timeout(QUIET_MS)
        found["market"] = painted(page, seconds)
        page.click(".hft-tab:has-text('Desk')")
        found["streaming"] = {"slider": delays(page, presses), "halt_ms": round(page.evaluate(HALT, WAIT_MS)[0], 0)}
        resume(page)
        for name in ("sleep", "python"):
            found[name] = under(page, BLOCKS[name].format(s=block_s), max(3, presses // 3))
            page.wait_for_timeout(QUIET_MS)
        found["locked"] = locked(page, BLOCKS["locked"].format(us=int(block_s * 1e6)))
        found["locked"]["for_s"] = block_s
        browser.close()
    return found


def end_engine(run: Path) -> None:
    """Stop the engine, which outlives its notebook, also when the drill failed half-way."""
    view = hl.View(run)
    if run.is_dir() and view.alive():
        hl.Session(run).stop()


def main(arguments: list[str]) -> int:
    """Run the drill and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills browser", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long frames are counted")
    parser.add_argument("--presses", type=int, default=12, help="slider moves while streaming; a third of them in each blocked cell")
    parser.add_argument("--block", type=float, default=8.0, help="how long a cell blocks the kernel, in seconds")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = measure(Path(folder), given.seconds, given.presses, given.block)
        finally:
            end_engine(Path(folder) / "runs/browser-drill")
    found["load"] = [round(one, 1) for one in os.getloadavg()]
    print(json.dumps(found, indent=1))
    print(
        "A page speaks to its kernel only. While a cell holds the interpreter's lock nothing it sends is read: a HALT waits, and the page says\n"
        "so. The engine's own door is no way out for a page: it wants the token of control.json, which no page is given. The way that works\n"
        "is another process of the same user: hl.Session(RUN).halt() in a second notebook or a shell, or the engine's door with the token."
    )
    return 0

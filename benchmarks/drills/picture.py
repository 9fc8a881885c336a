"""The pictures of README.md, taken of the real thing: a market maker on the simulated market, in JupyterLab, in headless Chromium.

`python -m benchmarks.drills picture` writes docs/images/desk.webp (light, moving) and desk_dark.png (dark, still). It needs Pillow, which
is in none of the project's lists: `pip install pillow`.
"""

import argparse
import io
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import hftlab as hl
from benchmarks.drills.browser import desk, open_and_run
from benchmarks.drills.lab import BROWSER_ARGS
from hftlab.engine.view import engine_alive

ROOT = Path(__file__).resolve().parents[2]
WAIT_MS = 600_000  # nobody is in a hurry
IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1440, 1010
SHOWN_WIDTH = 1000
BYTES_MAX = 1_500_000

START = """
import hftlab as hl

btc = hl.Instrument.bundled("binance:BTC/USDT")
quoter = hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01")
limits = hl.Limits(position_qty_max="0.05", loss_quote_max=200)
session = hl.start(hl.SynthFeed(btc, seed=7), hl.PaperVenue(btc), quoter, limits, run="runs/desk")
hl.dashboard(session)
""".strip()

# Nothing but the notebook: no side bar, no status bar; and the dashboard from its top.
ROOM = """() => {
  const { commands, shell } = window.jupyterapp;
  if (!shell.leftCollapsed) void commands.execute('application:toggle-left-area');
  if (document.querySelector('#jp-main-statusbar')) void commands.execute('statusbar:toggle');
}"""


def frames(page: Any, count: int, every_s: float) -> list[bytes]:
    """Return screenshots as PNG, one every `every_s`, or as fast as they come."""
    taken = []
    for _ in range(count):
        due_s = time.monotonic() + every_s
        taken.append(page.screenshot())
        page.wait_for_timeout(max(0.0, 1000 * (due_s - time.monotonic())))
    return taken


def moving(taken: list[bytes], path: Path, every_s: float, quality: int) -> None:
    """Write screenshots as an animated WebP that goes round for ever."""
    from PIL import Image

    pictures = [Image.open(io.BytesIO(one)).convert("RGB") for one in taken]
    size = (SHOWN_WIDTH, round(SHOWN_WIDTH * pictures[0].height / pictures[0].width))
    small = [one.resize(size, Image.Resampling.LANCZOS) for one in pictures]
    small[0].save(
        path, save_all=True, append_images=small[1:], duration=round(1000 * every_s), loop=0, quality=quality, method=4, kmin=8, kmax=16
    )


def still(taken: bytes, path: Path) -> None:
    """Write one screenshot in few colours: a screen has few."""
    from PIL import Image

    Image.open(io.BytesIO(taken)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def take(folder: Path, given: argparse.Namespace) -> None:
    """Take both pictures into `given.to`."""
    from playwright.sync_api import sync_playwright

    given.to.mkdir(parents=True, exist_ok=True)
    with desk(folder, "desk", START) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=[*BROWSER_ARGS])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(WAIT_MS)
        open_and_run(page, url)
        page.wait_for_selector(".hft-state", state="attached")
        page.evaluate(ROOM)
        page.wait_for_timeout(1000 * given.settle)
        page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
        moving(frames(page, given.frames, given.every), given.to / "desk.webp", given.every, given.quality)
        page.evaluate("() => void window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
        page.wait_for_timeout(4000)
        still(page.screenshot(), given.to / "desk_dark.png")
        browser.close()


def main(arguments: list[str]) -> int:
    """Take the pictures; fail when one is too heavy for a front page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills picture", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--to", type=Path, default=IMAGES, help="the folder of the pictures")
    parser.add_argument("--settle", type=float, default=90.0, help="seconds of trading before the first frame")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--every", type=float, default=0.4, help="seconds between frames")
    parser.add_argument("--quality", type=int, default=60)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            take(Path(folder), given)
        finally:
            if engine_alive(run := Path(folder, "runs", "desk")):
                hl.attach(run, control=True).stop()
    sizes = {one.name: one.stat().st_size for one in sorted(given.to.iterdir())}
    print(sizes, "load", os.getloadavg())
    return int(max(sizes.values()) > BYTES_MAX)

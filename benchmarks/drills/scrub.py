"""What a browser really paints while the scrubber plays 100,000 events, and how fast the ladder follows a hand on the slider.

A backtest on the sample tape, its scrubber in JupyterLab in headless Chromium. Shown moments are animation frames in which the event
number on screen changed: pictures of the same moment do not count. A drag is a pointer that moves over the track without a rest.
"""

import argparse
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.drills.browser import desk, open_and_run
from benchmarks.drills.lab import BROWSER_ARGS, WAIT_MS, command

START = """
import hftlab as hl
tape = hl.sample()
btc = tape.instruments[0]
report = hl.backtest(tape, btc, hl.AvellanedaStoikov(risk_aversion=0.1, order_qty="0.01"),
                     hl.Limits(position_qty_max="0.05", loss_quote_max=200), latency=hl.Latency(order_ms=20))
hl.at(report, 10_000)
"""

EVENT = "+(document.querySelector('.hft-scrub-top')?.textContent.match(/event ([\\d,]+)/)?.[1] || '0').replaceAll(',', '')"

# Notes every animation frame: its time, and the event on screen.
SPY = f"""
window.__shown = [];
const look = (t) => {{ window.__shown.push([t, {EVENT}]); requestAnimationFrame(look); }};
requestAnimationFrame(look);
"""
PLAY = ".hft-scrub button[title^='play']"


def choose(page: Any, label: str, text: str) -> None:
    """Choose an option of a list of the scrubber."""
    page.locator(".hft-scrub label", has_text=label).locator("select").select_option(label=text)


def figures(page: Any) -> dict[str, Any]:
    """Return moments shown a second, the longest time without a new one, and the events passed, since the spy was emptied."""
    shown = page.evaluate("() => window.__shown")
    new = [now for before, now in itertools.pairwise(shown) if now[1] != before[1]]
    if len(new) < 2:
        return {"moments": len(new)}
    span_s = (new[-1][0] - new[0][0]) / 1e3
    gaps = sorted(b[0] - a[0] for a, b in itertools.pairwise(new))
    return {
        "moments": len(new),
        "seconds": round(span_s, 2),
        "moments_per_s": round((len(new) - 1) / span_s, 1),
        "animation_frames_per_s": round(sum(new[0][0] <= one[0] <= new[-1][0] for one in shown) / span_s, 1),
        "gap_ms_p99": round(gaps[int(0.99 * (len(gaps) - 1))], 0),
        "events": new[-1][1] - new[0][1],
    }


def played(page: Any, speed: str, *, events: int = 0, seconds: float = 0.0) -> dict[str, Any]:
    """Play at a speed until so many events have passed, or for so long."""
    choose(page, "speed", speed)
    start = page.evaluate(f"() => {EVENT}")
    page.evaluate("() => { window.__shown = []; }")
    page.click(PLAY)
    if events:
        page.wait_for_function(f"{EVENT} >= {start + events}", timeout=10 * WAIT_MS)
    else:
        page.wait_for_timeout(1000 * seconds)
    found = figures(page)
    page.click(PLAY)
    page.wait_for_function(f"document.querySelector(\"{PLAY}\").textContent.includes('play')", timeout=WAIT_MS)
    return found


def dragged(page: Any, moves: int) -> dict[str, Any]:
    """Drag the slider over the whole run and back."""
    box = page.locator(".hft-scrub-track canvas").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 5, y)
    page.evaluate("() => { window.__shown = []; }")
    page.mouse.down()
    for k in range(moves):
        share = abs(1 - 2 * k / moves)
        page.mouse.move(box["x"] + 5 + (box["width"] - 10) * (1 - share), y)
        page.wait_for_timeout(16)
    found = figures(page)
    page.mouse.up()
    return found


def shot(page: Any, folder: Path | None, name: str) -> None:
    """Keep a picture of the scrubber."""
    if folder is not None:
        page.locator(".hft-scrub").screenshot(path=folder / f"travel_{name}.png")


def measure(folder: Path, events: int, seconds: float, pictures: Path | None) -> dict[str, Any]:
    """Return all figures of one run."""
    from playwright.sync_api import sync_playwright

    with desk(folder, "scrub", START) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=BROWSER_ARGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1250})
        page.add_init_script(SPY)
        open_and_run(page, url)
        page.wait_for_selector(".hft-scrub", timeout=WAIT_MS)
        page.wait_for_function(
            f"{EVENT} === 10000 && document.querySelector('.hft-scrub-top').textContent.includes(' of ')", timeout=WAIT_MS
        )
        page.wait_for_timeout(1000)
        shot(page, pictures, "light")
        found: dict[str, Any] = {"each_event": played(page, "each event", seconds=seconds)}
        found[f"events_{events}"] = played(page, "100 events", events=events)
        found["twenty_times"] = played(page, "20×", seconds=seconds)  # passes half the run in five seconds: last, or it meets the end
        shot(page, pictures, "played")
        found["drag"] = dragged(page, 120)
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_timeout(2500)
        shot(page, pictures, "dark")
        browser.close()
    return found


def main(arguments: list[str]) -> int:
    """Run the drill and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills scrub", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=100_000, help="how many events are played")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the other speeds are watched")
    parser.add_argument("--shots", type=Path, help="keep screenshots in this folder")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.events, given.seconds, given.shots)
    found["load"] = [round(one, 1) for one in os.getloadavg()]
    print(json.dumps(found, indent=1))
    return 0

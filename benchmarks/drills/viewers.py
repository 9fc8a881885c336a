"""What viewers cost an engine, and what they can do to it.

python -m benchmarks.drills viewers --viewers 20 --minutes 2     the engine's processor use and tick gap with none and with all of them
python -m benchmarks.drills viewers --browser 3 --browser-minutes 30     … and real Chromium pages: what a browser's memory does
python -m benchmarks.drills viewers --attacks                    every attempt of benchmarks/drills/viewer_attacks.py, and its result
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil
from websockets.exceptions import ConnectionClosed

from benchmarks.drills import viewer_attacks as va
from benchmarks.drills.viewer_wire import Page
from hftlab.engine.view import Session
from hftlab.publish.demo import demo_run
from hftlab.publish.launch import Publisher, Serving

ROOT = Path(__file__).resolve().parents[2]
SETTLE_S = 5.0
NAMES = ("trading_desk", "risk", "market_quality", "trading_desk")


def engine_figures(session: Session, seconds: float) -> dict[str, float]:
    """Watch an engine: its processor use (percent of a core) and the gap of its loop, as it publishes them itself."""
    first = session.frame()
    process = psutil.Process(first.engine["pid"])
    process.cpu_percent()
    began_s, used_s = time.monotonic(), sum(process.cpu_times()[:2])
    gaps, ticks, end_s = [], [], time.monotonic() + seconds
    while time.monotonic() < end_s:
        time.sleep(0.25)
        figures = session.frame().engine
        gaps.append(float(figures.get("loop_gap_ms") or 0.0))
        ticks.append(float((figures.get("tick_us") or {}).get("p99") or 0.0))
    took_s, used_s = time.monotonic() - began_s, sum(process.cpu_times()[:2]) - used_s
    rows = int(session.frame().desk["rows"]) - int(first.desk["rows"])
    return {
        "cpu_percent": process.cpu_percent(),
        "rows_per_s": rows / took_s,  # the simulated market is livelier at times: processor use is to be seen beside it
        "cpu_us_per_row": used_s / max(rows, 1) * 1e6,
        "loop_gap_ms_p50": statistics.median(gaps),
        "loop_gap_ms_max": max(gaps),
        "tick_us_p99": ticks[-1],
        "machine_percent": psutil.cpu_percent(interval=1.0),
    }


def kernels_of(publisher: Publisher) -> list[psutil.Process]:
    """Return the viewers' kernels."""
    assert publisher.process is not None
    found = []
    for one in psutil.Process(publisher.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
            if "hftlab.publish.kernel" in " ".join(one.cmdline()):
                found.append(one)
    return found


def megabytes(process: psutil.Process) -> tuple[float, float]:
    """Return what a process has alone, and what it has in all (MB)."""
    info = process.memory_full_info()
    return info.uss / 1e6, info.rss / 1e6


class Viewers:
    """Pages that are open: each looks, says so once a second and reads what comes, in a thread of its own."""

    def __init__(self, publisher: Publisher, count: int) -> None:
        self.started_s: list[float] = []
        self.messages = 0
        self.lost = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(publisher, NAMES[k % len(NAMES)])) for k in range(count)]
        for thread in self._threads:  # one after the other, as people come; twenty at once would measure the start of twenty kernels
            before = len(self.started_s) + self.lost
            thread.start()
            while len(self.started_s) + self.lost == before:
                time.sleep(0.05)

    def _look(self, publisher: Publisher, name: str) -> None:
        start_s = time.monotonic()
        try:
            page = Page(publisher.url, publisher.token.get_secret_value(), name)
            ours = [one for one, state in page.widgets().items() if "_esm" in state["state"]]
        except (OSError, ConnectionClosed, AttributeError):
            self.lost += 1
            return
        self.started_s.append(time.monotonic() - start_s)
        due_s = 0.0
        while not self._stop.is_set():
            if time.monotonic() > due_s:
                due_s = time.monotonic() + 1.0
                page.beat(ours)
            try:
                page.socket.recv(timeout=0.5)
                self.messages += 1
            except TimeoutError:
                continue
            except ConnectionClosed:
                self.lost += 1
                break
        page.close()

    def close(self) -> None:
        """Leave, all at once and without a word."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)


def browsers(publisher: Publisher, count: int, minutes: float) -> dict:
    """Open pages in headless Chromium and watch what the memory of their scripts does."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info", "--js-flags=--expose-gc"],
        )
        pages, opened = [], []
        for k in range(count):
            page, start_s = browser.new_page(), time.monotonic()
            page.goto(
                f"{publisher.url}voila/render/{NAMES[k % len(NAMES)]}.ipynb?token={publisher.token.get_secret_value()}", timeout=120_000
            )
            page.wait_for_function("/ACTIVE|WIDEN|REDUCING/.test(document.querySelector('.hft-state')?.textContent)", timeout=120_000)
            opened.append(round(time.monotonic() - start_s, 2))
            pages.append(page)
        heap = []
        end_s = time.monotonic() + 60 * minutes
        while time.monotonic() < end_s:
            time.sleep(min(20.0, max(1.0, end_s - time.monotonic())))
            heap.append(
                round(sum(page.evaluate("(window.gc && gc(), performance.memory.usedJSHeapSize)") for page in pages) / 1e6 / count, 1)
            )
        browser.close()
    return {"browser_first_frame_s": opened, "browser_heap_mb": heap}


def attacks(session: Session, folder: Path) -> int:
    """Try everything once, print the table; return how many attempts were not held."""
    os.environ.update(va.PLANTED)
    pages = folder / "pages"
    va.pages_with_the_cell(pages, ROOT / "notebooks" / "dashboards", va.found_of(session.directory, 0, pages, ROOT / "hftlab"))
    before = va.engine_state(session.directory)
    with Publisher(Serving(run=session.directory, pages=pages, gallery=folder / "gallery", ready=0)) as publisher:
        print(publisher.text().replace(publisher.token.get_secret_value(), "…"))
        token = publisher.token.get_secret_value()
        page = Page(publisher.url, token, "trading_desk")
        rows = va.from_a_cell(publisher.url, token) + va.handshakes(page) + va.from_the_socket(page)
        rows += va.reconnects(page) + va.over_http(page, token)
        page.close()
    same = va.engine_state(session.directory) == before
    rows.append(("engine", "state, spec, key and commands afterwards", "as before" if same else "changed", same))
    print(va.table(rows))
    return sum(not held for *_, held in rows)


def load(session: Session, options: argparse.Namespace, folder: Path) -> int:
    """Measure with none, with all, and what is left when they have gone."""
    seconds = 60.0 * options.minutes
    serving = Serving(run=session.directory, pages=ROOT / "notebooks" / "dashboards", gallery=folder, viewers=options.viewers + 8, ready=1)
    said: dict = {"viewers": options.viewers, "none": engine_figures(session, seconds)}
    with Publisher(serving) as publisher:
        while len(kernels_of(publisher)) < 4:
            time.sleep(0.2)
        time.sleep(SETTLE_S)
        said["served, nobody looks"] = engine_figures(session, seconds)
        ready = len(kernels_of(publisher))
        if options.browser:
            said |= browsers(publisher, options.browser, options.browser_minutes)
        viewers = Viewers(publisher, options.viewers)
        said["page_start_s"] = {"p50": statistics.median(viewers.started_s), "max": max(viewers.started_s)}
        time.sleep(SETTLE_S)
        before = viewers.messages
        said["all"] = engine_figures(session, seconds)
        kernels = [megabytes(one) for one in kernels_of(publisher)]
        said["kernels"] = {
            "count": len(kernels),
            "own_mb": statistics.median(k[0] for k in kernels),
            "rss_mb": statistics.median(k[1] for k in kernels),
        }
        said["server_mb"] = megabytes(psutil.Process(publisher.process.pid))[1]
        said["messages_per_s_and_viewer"] = (viewers.messages - before) / max(1, options.viewers) / seconds
        said["lost"] = viewers.lost
        viewers.close()
        end_s = time.monotonic() + 90.0
        while len(kernels_of(publisher)) > ready and time.monotonic() < end_s:
            time.sleep(0.5)
        said["kernels_left_after_the_pages"] = max(0, len(kernels_of(publisher)) - ready)
        said["gone_after_s"] = 90.0 - (end_s - time.monotonic())
    print(json.dumps(said, indent=1, default=lambda value: round(value, 3)))
    return int(said["kernels_left_after_the_pages"] > 0)


def main(arguments: list[str]) -> int:
    """Run one of the two on an engine of its own."""
    parser = argparse.ArgumentParser(prog="benchmarks.drills viewers")
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long each of the three states is watched")
    parser.add_argument("--browser", type=int, default=0, help="open so many real pages before the viewers come, and watch their memory")
    parser.add_argument("--browser-minutes", type=float, default=2.0, help="how long they are watched")
    parser.add_argument("--attacks", action="store_true")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="hftlab-viewers-"))
    session = demo_run(folder / "run")
    try:
        session.wait(lambda frame: len(frame.orders()) == 2, timeout_s=60)
        return attacks(session, folder) if options.attacks else load(session, options, folder)
    finally:
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)

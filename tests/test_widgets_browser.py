"""The screens in a real browser: JupyterLab with a Session, Voila with a View."""

import os
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")]

SCRIPTS = Path(sysconfig.get_path("scripts"))
TESTS = Path(__file__).resolve().parent
READY_MS = 90_000  # a page that is reloaded fetches the state of every widget, and CI machines are loaded

# The files "break" and "die" beside the notebook are how a test reaches into the kernel.
SOURCE = """
import os, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from fake_desk import FakeSession, FakeView
from hftlab.widgets import dashboard

class Source({kind}):
    def frame(self):
        if Path("die").exists():
            os._exit(1)
        return super().frame()

board = dashboard(Source(markets=2))
(events,) = [panel for panel in board.panels if type(panel).__name__ == "Events"]
draw = events.draw
events.draw = lambda frame: 1 / 0 if Path("break").exists() else draw(frame)
board
"""


def write_notebook(folder: Path, kind: str) -> str:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    code = SOURCE.format(paths=[str(TESTS.parent), str(TESTS)], kind=kind)
    notebook.cells = [nbformat.v4.new_code_cell(code), nbformat.v4.new_markdown_cell("below\n\n" * 80)]
    nbformat.write(notebook, folder / "desk.ipynb")
    return "desk.ipynb"


@contextmanager
def serve(folder: Path, *command: str):
    """Run a server on a free port of loopback and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    log = (folder / "server.log").open("w")
    server = subprocess.Popen([*command, f"--port={port}"], cwd=folder, env=env, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and server.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        assert server.poll() is None, (folder / "server.log").read_text()[-2000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def run(page, command, **arguments) -> None:
    """Start a command of JupyterLab. Not awaited: some promises last as long as a dialog or a kernel, and `evaluate` has no time-out."""
    page.evaluate("([name, arguments]) => void window.jupyterapp.commands.execute(name, arguments)", [command, arguments])


def wait_until_live(page) -> None:
    page.wait_for_selector(".hft-bar", timeout=READY_MS)
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('ACTIVE')", timeout=READY_MS)
    page.wait_for_function(
        "document.querySelector('.hft-canvas canvas').width > 100 && document.querySelectorAll('.hft-panel td').length > 20",
        timeout=READY_MS,
    )


def canvas_pictures(page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.hft-section-desk .hft-canvas canvas')].map((c) => c.toDataURL())")


def assert_moves(page) -> None:
    """Wait until both canvases and the page as a whole look different: how soon is the machine's affair."""
    first, shot = canvas_pictures(page), page.screenshot()
    assert len(first) == 2
    moved = (
        """(first) => [...document.querySelectorAll('.hft-section-desk .hft-canvas canvas')].every((c, i) => c.toDataURL() !== first[i])"""
    )
    page.wait_for_function(moved, arg=first, timeout=READY_MS)
    assert page.screenshot() != shot


def darkness(page) -> str:
    return page.evaluate("getComputedStyle(document.querySelector('.hft-bar')).backgroundColor")


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """Give a page of JupyterLab in which the dashboard of a Session runs, and its folder."""
    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "config/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    name = write_notebook(folder, "FakeSession")
    command = (
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        "--allow-root",
        "--IdentityProvider.token=",
        "--expose-app-in-browser",
    )
    with serve(folder, *command) as url:
        page = browser.new_page(viewport={"width": 1400, "height": 950})
        failures: list[str] = []
        # Our scripts are loaded from blob: addresses; what other parts of the page throw when a kernel goes is not ours to judge.
        page.on("pageerror", lambda error: failures.append(error.stack) if "blob:" in error.stack else None)
        page.goto(f"{url}/lab/tree/{name}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=READY_MS)
        # Cells that are run before the kernel is connected wait for ever.
        page.wait_for_function(
            """() => { const kernel = window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel;
            return kernel?.connectionStatus === 'connected' && kernel.status === 'idle'; }""",
            timeout=READY_MS,
        )
        run(page, "notebook:run-all-cells")
        wait_until_live(page)
        yield page, folder
        page.close()
    assert not failures, failures


def test_lab_is_live_and_follows_the_theme(lab):
    page, _ = lab
    assert_moves(page)
    light, pictures = darkness(page), canvas_pictures(page)
    run(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_selector(".hft-desk.hft-dark", timeout=READY_MS)
    page.wait_for_function(f"getComputedStyle(document.querySelector('.hft-bar')).backgroundColor !== '{light}'", timeout=READY_MS)
    colour = page.evaluate("getComputedStyle(document.querySelector('.hft-canvas')).getPropertyValue('--hft-bid')")
    assert colour.strip() == "#5aa9e6"
    assert canvas_pictures(page) != pictures
    run(page, "apputils:change-theme", theme="JupyterLab Light")
    page.wait_for_selector(".hft-desk:not(.hft-dark)", timeout=READY_MS)


def test_a_reloaded_page_gets_the_history_at_once(lab):
    page, _ = lab
    run(page, "docmanager:save")
    page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=READY_MS)
    page.reload()
    wait_until_live(page)
    assert_moves(page)
    # The fair line reaches back over the whole window: its ink is found in the left tenth of the strip.
    inked = page.evaluate(
        """() => { const c = document.querySelectorAll('.hft-canvas canvas')[1], w = Math.floor(c.width / 10);
        return c.getContext('2d').getImageData(0, 0, w, c.height).data.some((v) => v > 0); }"""
    )
    assert inked


def test_halt_stays_in_sight_and_halts(lab):
    page, _ = lab
    scroller = ".jp-WindowedPanel-outer"
    before = page.locator(".hft-halt").bounding_box()
    page.evaluate(f"document.querySelector('{scroller}').scrollTop += 500")
    page.wait_for_timeout(500)
    top = page.locator(scroller).bounding_box()["y"]
    after = page.locator(".hft-halt").bounding_box()
    assert after["x"] == before["x"]
    assert top <= after["y"] < top + 60
    page.click(".hft-halt")
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('HALTED')", timeout=READY_MS)
    page.wait_for_selector(".hft-section-desk :text('halt by notebook: done')", timeout=READY_MS)
    page.wait_for_selector(".hft-said:has-text('halt: acknowledged')", timeout=READY_MS)
    # After a halt, resuming asks once more.
    page.click(".hft-buttons button:has-text('Resume')")
    page.click(".hft-buttons button:has-text('sure?')")
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('ACTIVE')", timeout=READY_MS)


def test_a_slider_is_staged_then_applied_or_taken_back(lab):
    page, _ = lab
    slider, apply = page.locator(".hft-slider", has_text="horizon"), page.locator(".hft-ends button").first
    slider.locator("input").focus()
    page.keyboard.press("End")
    page.wait_for_selector(".hft-slider.hft-pending:has-text('30 → 120 s')", timeout=READY_MS)
    page.keyboard.press("Escape")
    page.wait_for_selector(".hft-slider.hft-pending", state="detached", timeout=READY_MS)
    assert slider.locator(".hft-n").inner_text() == "30 s"
    assert apply.is_disabled()
    page.keyboard.press("End")
    levels = page.locator(".hft-slider", has_text="levels")
    levels.locator("input").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".hft-ends button:has-text('Apply 2')", timeout=READY_MS)
    apply.click()
    page.wait_for_selector(".hft-said:has-text('horizon s → 120, levels → 2: acknowledged')", timeout=READY_MS)
    page.wait_for_selector(".hft-slider.hft-pending", state="detached", timeout=READY_MS)
    assert slider.locator(".hft-n").inner_text() == "120 s"
    assert levels.locator(".hft-n").inner_text() == "2"


def test_each_section_opens_with_its_panels_by_keyboard(lab):
    page, _ = lab
    page.locator(".hft-tab[aria-selected='true']").focus()
    shows = {
        "Market": ".hft-section-market td:has-text('bps/√s')",
        "Risk": ".hft-section-risk .hft-head:has-text('grade')",
        "P&L": ".hft-section-pnl .bqplot path.line[d]",
        "Strategies": ".hft-section-strategies td:has-text('Avellaneda-Stoikov')",
        "Operations": ".hft-section-operations td:has-text('daily loss 71 % of its limit')",
    }
    for title, selector in shows.items():
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f".hft-tab[aria-selected='true']:text-is('{title}')", timeout=READY_MS)
        page.locator(selector).first.wait_for(timeout=READY_MS)
        assert page.locator(".hft-ladder, .hft-section-desk td").first.is_hidden()
        assert page.locator(".hft-halt").is_visible()
    # The colours of the map: more than the background and the greys of what is not known.
    page.locator(".hft-tab", has_text="Market").click()
    page.wait_for_function(
        """() => { const c = document.querySelector('.hft-section-market canvas'), d = c.width ? c.getContext('2d').getImageData(0, 0, c.width, c.height).data : [];
        for (let k = 0; k < d.length; k += 4) if (d[k + 3] === 255 && d[k + 2] - d[k] > 60) return true; return false; }""",
        timeout=READY_MS,
    )


def test_a_strategy_is_deactivated_at_once_and_activated_after_a_second_click(lab):
    page, _ = lab
    page.locator(".hft-tab", has_text="Strategies").click()
    row = page.locator(".hft-strategies tr", has_text="ETH/USDT")
    row.locator("button:text-is('Deactivate')").click()
    row.locator("td:has-text('deactivated')").wait_for(timeout=READY_MS)
    row.locator("button:text-is('Activate')").click()
    row.locator("button:has-text('sure?')").click()
    row.locator("td:has-text('quoting')").first.wait_for(timeout=READY_MS)
    assert page.locator(".hft-strategies tr", has_text="BTC/USDT").locator("td:has-text('quoting')").count() >= 1
    page.locator(".hft-tab", has_text="Desk").click()


def test_halt_is_on_the_screen_when_no_part_of_the_desk_is(lab):
    page, _ = lab
    scroller = page.locator(".jp-WindowedPanel-outer")
    scroller.evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
    page.locator(".hft-float .hft-halt").wait_for(timeout=READY_MS)
    inside, button = scroller.bounding_box(), page.locator(".hft-halt").bounding_box()
    assert inside["y"] <= button["y"] < inside["y"] + 60
    page.click(".hft-float .hft-halt")
    page.wait_for_selector(".hft-float .hft-state:has-text('HALTED')", timeout=READY_MS)
    scroller.evaluate("(node) => { node.scrollTop = 0; }")
    page.wait_for_selector(".hft-float", state="detached", timeout=READY_MS)
    page.click(".hft-buttons button:has-text('Resume')")
    page.click(".hft-buttons button:has-text('sure?')")
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('ACTIVE')", timeout=READY_MS)


def test_a_broken_panel_says_so_and_comes_back(lab):
    page, folder = lab
    (folder / "break").touch()
    page.wait_for_selector(".hft-error:has-text('ZeroDivisionError')", timeout=READY_MS)
    assert_moves(page)
    (folder / "break").unlink()
    page.wait_for_selector(".hft-error", state="hidden", timeout=READY_MS)


def test_a_dead_kernel_is_visibly_stale(lab):
    page, folder = lab
    (folder / "die").touch()
    page.wait_for_selector(".hft-age:has-text('stale since')", timeout=READY_MS)
    page.wait_for_selector(".hft-desk.hft-stale-desk", timeout=READY_MS)
    page.locator(".hft-halt").dispatch_event("click")  # JupyterLab's own dialog about the kernel lies above the page
    page.wait_for_function("/NOT (SENT|ANSWERED)/.test(document.querySelector('.hft-notice').textContent)", timeout=READY_MS)


def test_voila_shows_a_view_live_and_dark_on_a_phone_too_without_anything_to_press(page, tmp_path):
    name = write_notebook(tmp_path, "FakeView")
    with serve(tmp_path, str(SCRIPTS / "voila"), name, "--no-browser", "--Voila.ip=127.0.0.1", "--theme=dark") as url:
        page.goto(url)
        wait_until_live(page)
        assert_moves(page)
        assert page.locator(".hft-desk.hft-dark").count() == 1
        page.set_viewport_size({"width": 390, "height": 844})
        for title in ("Market", "Risk", "P&L", "Strategies", "Operations", "Desk"):
            page.locator(".hft-tab", has_text=title).click()
            page.wait_for_selector(f".hft-tab[aria-selected='true']:text-is('{title}')", timeout=READY_MS)
            assert page.locator(".hft-halt, .hft-controls, .hft-float").count() == 0
            # bqplot keeps its own tool buttons in the page, hidden.
            assert page.locator(".hft-desk button:visible, .hft-desk input:visible").count() == 0
            desk = page.locator(".hft-desk")
            assert desk.bounding_box()["width"] <= 390
            assert desk.evaluate("(node) => node.scrollWidth <= node.clientWidth + 1")
        page.goto("about:blank")

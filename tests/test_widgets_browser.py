"""The screens in a real browser: JupyterLab with a Session, Voila with a View."""

from pathlib import Path

import nbformat
import pytest
from fake_desk import FakeView

from benchmarks.drills.lab import SCRIPTS, WAIT_MS, command, open_notebook, serve
from benchmarks.drills.lab import lab as serve_lab
from hftlab.widgets.page import script
from hftlab.widgets.strip import Strip

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")]

TESTS = Path(__file__).resolve().parent

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


def wait_until_live(page) -> None:
    page.wait_for_selector(".hft-bar", timeout=WAIT_MS)
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('ACTIVE')", timeout=WAIT_MS)
    page.wait_for_function(
        "document.querySelector('.hft-canvas canvas').width > 100 && document.querySelectorAll('.hft-panel td').length > 20",
        timeout=WAIT_MS,
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
    page.wait_for_function(moved, arg=first, timeout=WAIT_MS)
    assert page.screenshot() != shot


def darkness(page) -> str:
    return page.evaluate("getComputedStyle(document.querySelector('.hft-bar')).backgroundColor")


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """Give a page of JupyterLab in which the dashboard of a Session runs, and its folder."""
    folder = tmp_path_factory.mktemp("lab")
    name = write_notebook(folder, "FakeSession")
    with serve_lab(folder) as url:
        page = browser.new_page(viewport={"width": 1400, "height": 950})
        failures: list[str] = []
        # Our scripts are loaded from blob: addresses; what other parts of the page throw when a kernel goes is not ours to judge.
        page.on("pageerror", lambda error: failures.append(error.stack) if "blob:" in error.stack else None)
        open_notebook(page, f"{url}/lab/tree/{name}")
        command(page, "notebook:run-all-cells")
        wait_until_live(page)
        yield page, folder
        page.close()
    assert not failures, failures


def test_lab_is_live_and_follows_the_theme(lab):
    page, _ = lab
    assert_moves(page)
    light, pictures = darkness(page), canvas_pictures(page)
    command(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_selector(".hft-desk.hft-dark", timeout=WAIT_MS)
    page.wait_for_function(f"getComputedStyle(document.querySelector('.hft-bar')).backgroundColor !== '{light}'", timeout=WAIT_MS)
    colour = page.evaluate("getComputedStyle(document.querySelector('.hft-canvas')).getPropertyValue('--hft-bid')")
    assert colour.strip() == "#5aa9e6"
    assert canvas_pictures(page) != pictures
    command(page, "apputils:change-theme", theme="JupyterLab Light")
    page.wait_for_selector(".hft-desk:not(.hft-dark)", timeout=WAIT_MS)


def test_a_reloaded_page_gets_the_history_at_once(lab):
    page, _ = lab
    command(page, "docmanager:save")
    page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=WAIT_MS)
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
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('HALTED')", timeout=WAIT_MS)
    page.wait_for_selector(".hft-section-desk :text('halt by notebook: done')", timeout=WAIT_MS)
    page.wait_for_selector(".hft-said:has-text('halt: acknowledged')", timeout=WAIT_MS)
    # After a halt, resuming asks once more.
    page.click(".hft-buttons button:has-text('Resume')")
    page.click(".hft-buttons button:has-text('sure?')")
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('ACTIVE')", timeout=WAIT_MS)


def test_a_slider_is_staged_then_applied_or_taken_back(lab):
    page, _ = lab
    slider, apply = page.locator(".hft-slider", has_text="horizon"), page.locator(".hft-ends button").first
    slider.locator("input").focus()
    page.keyboard.press("End")
    page.wait_for_selector(".hft-slider.hft-pending:has-text('30 → 120 s')", timeout=WAIT_MS)
    page.keyboard.press("Escape")
    page.wait_for_selector(".hft-slider.hft-pending", state="detached", timeout=WAIT_MS)
    assert slider.locator(".hft-n").inner_text() == "30 s"
    assert apply.is_disabled()
    page.keyboard.press("End")
    levels = page.locator(".hft-slider", has_text="levels")
    levels.locator("input").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".hft-ends button:has-text('Apply 2')", timeout=WAIT_MS)
    apply.click()
    page.wait_for_selector(".hft-said:has-text('horizon s → 120, levels → 2: acknowledged')", timeout=WAIT_MS)
    page.wait_for_selector(".hft-slider.hft-pending", state="detached", timeout=WAIT_MS)
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
        page.wait_for_selector(f".hft-tab[aria-selected='true']:text-is('{title}')", timeout=WAIT_MS)
        page.locator(selector).first.wait_for(timeout=WAIT_MS)
        assert page.locator(".hft-ladder, .hft-section-desk td").first.is_hidden()
        assert page.locator(".hft-halt").is_visible()
    # The colours of the map: more than the background and the greys of what is not known.
    page.locator(".hft-tab", has_text="Market").click()
    page.wait_for_function(
        """() => { const c = document.querySelector('.hft-section-market canvas'), d = c.width ? c.getContext('2d').getImageData(0, 0, c.width, c.height).data : [];
        for (let k = 0; k < d.length; k += 4) if (d[k + 3] === 255 && d[k + 2] - d[k] > 60) return true; return false; }""",
        timeout=WAIT_MS,
    )


def test_a_strategy_is_deactivated_at_once_and_activated_after_a_second_click(lab):
    page, _ = lab
    page.locator(".hft-tab", has_text="Strategies").click()
    row = page.locator(".hft-strategies tr", has_text="ETH/USDT")
    row.locator("button:text-is('Deactivate')").click()
    row.locator("td:has-text('deactivated')").wait_for(timeout=WAIT_MS)
    row.locator("button:text-is('Activate')").click()
    row.locator("button:has-text('sure?')").click()
    row.locator("td:has-text('quoting')").first.wait_for(timeout=WAIT_MS)
    assert page.locator(".hft-strategies tr", has_text="BTC/USDT").locator("td:has-text('quoting')").count() >= 1
    page.locator(".hft-tab", has_text="Desk").click()


def test_halt_is_on_the_screen_when_no_part_of_the_desk_is(lab):
    page, _ = lab
    scroller = page.locator(".jp-WindowedPanel-outer")
    scroller.evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
    page.locator(".hft-float .hft-halt").wait_for(timeout=WAIT_MS)
    inside, button = scroller.bounding_box(), page.locator(".hft-halt").bounding_box()
    assert inside["y"] <= button["y"] < inside["y"] + 60
    page.click(".hft-float .hft-halt")
    page.wait_for_selector(".hft-float .hft-state:has-text('HALTED')", timeout=WAIT_MS)
    scroller.evaluate("(node) => { node.scrollTop = 0; }")
    page.wait_for_selector(".hft-float", state="detached", timeout=WAIT_MS)
    page.click(".hft-buttons button:has-text('Resume')")
    page.click(".hft-buttons button:has-text('sure?')")
    page.wait_for_function("document.querySelector('.hft-state').textContent.includes('ACTIVE')", timeout=WAIT_MS)


def test_a_broken_panel_says_so_and_comes_back(lab):
    page, folder = lab
    (folder / "break").touch()
    page.wait_for_selector(".hft-error:has-text('ZeroDivisionError')", timeout=WAIT_MS)
    assert_moves(page)
    (folder / "break").unlink()
    page.wait_for_selector(".hft-error", state="hidden", timeout=WAIT_MS)


def test_a_dead_kernel_is_visibly_stale(lab):
    page, folder = lab
    (folder / "die").touch()
    page.wait_for_selector(".hft-age:has-text('stale since')", timeout=WAIT_MS)
    page.wait_for_selector(".hft-desk.hft-stale-desk", timeout=WAIT_MS)
    page.locator(".hft-halt").dispatch_event("click")  # JupyterLab's own dialog about the kernel lies above the page
    page.wait_for_function("/NOT (SENT|ANSWERED)/.test(document.querySelector('.hft-notice').textContent)", timeout=WAIT_MS)


LATE = """async ([module, values]) => {
  const heard = [], said = [];
  const model = { get: () => 200, on: (_, call) => heard.push(call), off: () => {}, send: (message) => said.push(message) };
  const { default: widget } = await import(URL.createObjectURL(new Blob([module], { type: 'text/javascript' })));
  const el = document.createElement('div');
  widget.render({ model, el });
  await new Promise((done) => setTimeout(done, 1500));
  document.body.appendChild(el);
  heard.forEach((call) => call({ k: 'frame', n: 1, age: 0 }, [new DataView(new Float64Array(values).buffer)]));
}"""


def test_a_canvas_that_comes_onto_its_page_late_is_painted(page):
    """A page that is loaded again on a busy machine gets its widgets seconds after they were made."""
    panel = Strip()
    page.set_content("<style>body { --hft-ink: #111; --hft-bid: #00f; --hft-ask: #f00 }</style>")
    page.evaluate(LATE, [script("strip.js"), panel.pack(FakeView().frame()).tolist()])
    page.wait_for_function(
        """() => { const c = document.querySelector('canvas');
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }""",
        timeout=WAIT_MS,
    )
    panel.close()


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
            page.wait_for_selector(f".hft-tab[aria-selected='true']:text-is('{title}')", timeout=WAIT_MS)
            assert page.locator(".hft-halt, .hft-controls, .hft-float").count() == 0
            # bqplot keeps its own tool buttons in the page, hidden.
            assert page.locator(".hft-desk button:visible, .hft-desk input:visible").count() == 0
            desk = page.locator(".hft-desk")
            assert desk.bounding_box()["width"] <= 390
            assert desk.evaluate("(node) => node.scrollWidth <= node.clientWidth + 1")
        page.goto("about:blank")

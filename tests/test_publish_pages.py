"""The published pages in a real browser: live on a phone's width, and red as soon as what they show is old."""

import time
from pathlib import Path

import httpx
import psutil
import pytest

from hftlab.publish.demo import demo_run
from hftlab.publish.handlers import finished
from hftlab.publish.launch import Publisher, Serving

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")]

ROOT = Path(__file__).resolve().parents[1]
READY_MS = 60_000
LIVE = "/ACTIVE|WIDEN|REDUCING|PAUSED/.test(document.querySelector('.hft-state')?.textContent)"


@pytest.fixture(scope="module")
def published(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    session = demo_run(folder / "run")
    try:
        session.wait(lambda frame: len(frame.orders()) == 2, timeout_s=60)
        serving = Serving(
            run=session.directory, pages=ROOT / "notebooks" / "dashboards", gallery=folder / "gallery", ready=0, viewers=2, gone_s=1.0
        )
        with Publisher(serving) as publisher:
            yield session, publisher
    finally:
        if session.alive():
            session.stop()


def kernels(publisher):
    return [one for one in psutil.Process(publisher.process.pid).children() if one.status() != psutil.STATUS_ZOMBIE]


def wait_for(condition, seconds=60.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "not so in time"
        time.sleep(0.1)


def test_a_page_on_a_phone_from_live_to_old(published, browser):
    session, publisher = published
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{publisher.address}", timeout=READY_MS)
    page.click("text=Trading desk")
    page.wait_for_function(LIVE, timeout=READY_MS)
    page.wait_for_function("document.querySelectorAll('.hft-canvas canvas').length > 0", timeout=READY_MS)
    page.wait_for_selector(".hft-band", state="hidden", timeout=READY_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("Math.max(...[...document.querySelectorAll('.hft-column')].map((c) => c.getBoundingClientRect().right))") <= 391
    assert page.locator(".hft-halt, .hft-controls").count() == 0
    assert "token=" not in page.evaluate("[...document.links].map((a) => a.href).join()")
    assert [url for url in asked if not url.startswith((publisher.url, "data:", "blob:"))] == []  # nobody else hears of the page
    assert errors == []
    assert page.locator(".hft-late").count() == 1
    assert not page.is_visible(".hft-late")

    # The kernel dies: nobody is left to say so, but the page.
    for one in kernels(publisher):
        one.kill()
    page.wait_for_selector(".hft-band:has-text('OLD DATA')", timeout=READY_MS)
    assert page.evaluate("document.title").startswith("\u26a0")
    assert page.locator(".hft-band").bounding_box()["width"] == 390

    page.reload()
    page.wait_for_function(LIVE, timeout=READY_MS)
    page.wait_for_selector(".hft-band", state="hidden", timeout=READY_MS)

    # The engine is stopped on purpose: the page says what it is that it shows.
    session.stop()
    page.wait_for_selector(".hft-band:has-text('was stopped')", timeout=READY_MS)
    page.close()
    wait_for(lambda: not kernels(publisher))


def test_every_page_opens_and_a_full_house_says_so(published, browser):
    _, publisher = published
    context = browser.new_context()
    context.new_page().goto(publisher.address, timeout=READY_MS)
    pages = []
    for name, sign in (("risk", ".hft-bar"), ("backtest_gallery", ".hft-gallery")):
        page = context.new_page()
        page.goto(f"{publisher.url}voila/render/{name}.ipynb", timeout=READY_MS)
        page.wait_for_selector(sign, timeout=READY_MS)
        pages.append(page)
    third = context.new_page()
    answer = third.goto(f"{publisher.url}voila/render/market_quality.ipynb", timeout=READY_MS)
    assert answer.status == 503
    assert "seats are taken" in third.inner_text("body")
    for page in pages:
        page.close()
    wait_for(lambda: not kernels(publisher))
    assert third.goto(f"{publisher.url}voila/render/market_quality.ipynb", timeout=READY_MS).status == 200
    third.wait_for_selector(".hft-bar", timeout=READY_MS)
    context.close()
    wait_for(lambda: not kernels(publisher))


def test_a_page_on_which_nothing_shows_says_so(browser):
    page = browser.new_page()
    page.set_content(finished('<html><head><link rel="x" href="https://example.org/x.css"></head><body data-base-url="/"></body></html>'))
    assert "example.org" not in page.content()
    assert not page.is_visible(".hft-late")
    page.evaluate("document.getAnimations().forEach((one) => one.finish())")
    assert "Load it again" in page.inner_text(".hft-late")
    assert page.is_visible(".hft-late")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<b class=\"hft-state\"></b>')")
    assert not page.is_visible(".hft-late")
    page.close()


def test_who_was_let_in_reloads_when_the_server_was_started_again_for_a_new_run(published):
    _, publisher = published
    with httpx.Client(trust_env=False, timeout=60, follow_redirects=True) as visitor:
        assert "Trading desk" in visitor.get(publisher.address).text
        publisher.stop()
        publisher.start()
        assert "Trading desk" in visitor.get(publisher.url).text
        visitor.cookies.clear()
        assert "Trading desk" not in visitor.get(publisher.url).text


def test_the_pages_end_with_their_launcher(published):
    _, publisher = published
    server = psutil.Process(publisher.process.pid)
    publisher.process.stdin.close()  # what the system does when a launcher is killed
    wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)

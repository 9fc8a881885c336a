"""What every test may ask for: the recordings beside the repository, a browser, a compile cache."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Deadlines measure the machine, and a test that compiles a kernel is slow once. Derandomized: the same examples on every machine.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

CHROMIUM_ARGS = (
    "--no-sandbox",  # a root user inside a container has no sandbox to offer
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recordings beside the repository; they are too big to be a part of it."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("the recordings are not beside this clone (../shared)")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (Debian and Ubuntu: apt-get install chromium)")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[object]:
    """Return a headless chromium (a playwright Browser); ask it for pages with `browser.new_page()`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(CHROMIUM_ARGS))
        yield started
        started.close()


@pytest.fixture
def page(browser) -> Iterator[object]:
    """Return one empty page of 1600 x 1000, which fails the test when a script on it throws."""
    opened = browser.new_page(viewport={"width": 1600, "height": 1000})
    failures: list[str] = []
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    opened.close()
    assert not failures, f"scripts on the page threw: {failures}"


@pytest.fixture(autouse=True)
def fresh_process():
    """Give each test the whole budget of dials and no secrets of others: in life a process has one budget, and its own secrets."""
    yield
    backoff, secret = sys.modules.get("hftlab.venues.live.backoff"), sys.modules.get("hftlab.secret")
    if backoff is not None:
        backoff.Dials.forget()
    if secret is not None:
        secret.forget()

"""What a visitor of a published page could try, and what came of each attempt. The whole list: benchmarks/drills/viewer_attacks.py."""

import contextlib
import os
import shutil
import socket
from pathlib import Path

import httpx
import pytest

import hftlab as hl
from benchmarks.drills import viewer_attacks as va
from benchmarks.drills.viewer_wire import Page
from hftlab.publish import landlock
from hftlab.publish.launch import Publisher, Serving

ROOT = Path(__file__).resolve().parents[1]
BTC = hl.Instrument.bundled("binance:BTC/USDT")
# Landlock holds neither of them before a version: signals 6, TCP 4. And never the modes of one's own files.
ONLY_ANOTHER_USER = {"open the run directory to all", "open control.json to all", "give itself a better niceness"}
SINCE = {
    "SIGTERM to the engine": 6,
    "SIGSTOP to the engine": 6,
    "POST halt to the engine's door": 4,
    "connect to the engine's door": 4,
    "connect to its own server": 4,
    "listen on a port": 4,
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Give an engine that runs, its viewers' server, and a page of it that is open; secrets lie about in the owner's environment."""
    folder = tmp_path_factory.mktemp("published")
    os.environ.update(va.PLANTED)
    (folder / ".env").write_text("BINANCE_API_SECRET=" + va.PLANTED["BINANCE_API_SECRET"])
    session = hl.start(
        hl.SynthFeed(BTC, seed=7),
        hl.PaperVenue(BTC),
        hl.AvellanedaStoikov(order_qty="0.01"),
        hl.Limits(position_qty_max="0.05"),
        run=folder / "run",
    )
    try:
        session.wait(lambda frame: len(frame.orders()) == 2, timeout_s=60)
        pages = folder / "pages"
        serving = Serving(run=session.directory, pages=pages, gallery=folder / "gallery", ready=0, head_s=4.0)
        found = va.found_of(session.directory, 0, pages, ROOT / "hftlab")
        va.pages_with_the_cell(pages, ROOT / "notebooks" / "dashboards", found)
        with Publisher(serving) as publisher:
            yield session, publisher
    finally:
        for name in va.PLANTED:
            os.environ.pop(name, None)
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def opened(published):
    """Give the trading desk, open."""
    _, publisher = published
    page = Page(publisher.url, publisher.token.get_secret_value(), "trading_desk")
    yield page
    page.close()


def not_held(rows):
    return [(what, said) for _, what, said, held in rows if not held]


def test_nothing_comes_through_the_socket_of_a_page(published, opened):
    session, _ = published
    before = va.engine_state(session.directory)
    rows = va.handshakes(opened) + va.from_the_socket(opened) + va.reconnects(opened)
    assert not not_held(rows)
    assert len(rows) > 40
    assert va.engine_state(session.directory) == before


def test_the_server_answers_to_nothing_but_its_pages(published, opened):
    _, publisher = published
    rows = va.over_http(opened, publisher.token.get_secret_value())
    assert not not_held(rows)


def test_a_cell_in_a_viewers_kernel_finds_nothing_and_changes_nothing(published):
    session, publisher = published
    if landlock.version() == 0 and not publisher.seat.other:
        pytest.skip("no Landlock and no other user: the start text says that viewers share the user")
    before, spec = va.engine_state(session.directory), (session.directory / "spec.yaml").read_bytes()
    rows = va.from_a_cell(publisher.url, publisher.token.get_secret_value())
    assert len(rows) > 30
    excused = set() if publisher.seat.other else ONLY_ANOTHER_USER | {what for what, since in SINCE.items() if landlock.version() < since}
    excused |= {what for what, since in SINCE.items() if landlock.version() < since and since == 4}
    assert not [(what, said) for what, said in not_held(rows) if what not in excused]
    assert va.engine_state(session.directory) == before
    assert (session.directory / "spec.yaml").read_bytes() == spec
    quoted = session.frame().number
    session.wait(lambda frame: frame.number > quoted + 5, timeout_s=30)  # it was not stopped in its tracks either


def test_requests_that_never_come_in_end_by_themselves(published):
    _, publisher = published
    half = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    slow = [socket.create_connection(("127.0.0.1", publisher.port), timeout=60) for _ in range(21)]
    for k, one in enumerate(slow):
        one.sendall(half if k else b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nhalf")
    for one in slow:
        with one, contextlib.suppress(ConnectionResetError):
            while one.recv(4096):
                pass  # what it still says; then it has closed
    # A body longer than anything that a page says is not taken in before somebody asks whose it is.
    with socket.create_connection(("127.0.0.1", publisher.port), timeout=60) as long, contextlib.suppress(ConnectionResetError):
        long.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90000000\r\n\r\n")
        assert not long.recv(4096).startswith(b"HTTP/1.1 100")
    assert httpx.get(publisher.url, params={"token": publisher.token.get_secret_value()}, trust_env=False, timeout=60).status_code == 200


def test_the_start_text_says_what_protects(published):
    _, publisher = published
    said = publisher.text()
    assert publisher.token.get_secret_value() in said
    assert ("as the engine's own user" in said) is not publisher.seat.other
    assert ("Landlock" in said) is True

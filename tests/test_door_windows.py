"""What watches through the door: health that means it, metrics, the stream, the page, the trail as a table."""

import json
import os
import re
import socket
import threading
import time
from dataclasses import replace

import pytest
from door_rig import rig, until
from sessions import BTC
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import hftlab as hl
from hftlab.data.journal import Journal
from hftlab.engine.door import stream
from hftlab.engine.door.health import health
from hftlab.engine.door.tokens import Scope
from hftlab.engine.metrics import Rates, metric_names

S = 1_000_000_000


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with rig(tmp_path_factory.mktemp("windows") / "run") as made:
        until(lambda: len(made.board.frame().orders()) == 2)
        yield made


@pytest.fixture
def own(tmp_path):
    with rig(tmp_path / "run") as made:
        until(lambda: len(made.board.frame().orders()) == 2)
        yield made


# --- health --------------------------------------------------------------------------------------------------------------
def a_frame(desk, **engine):
    """A frame that says all is well, to be made ill in one thing."""
    frame = desk.driver.state.frame()
    engine = {"loop_gap_ms": 1.0, "journal": {"rows": 1, "unsynced_rows": 0, "overdue_s": 0.0}} | engine
    markets = frame.markets.copy()
    markets["validity"], markets["last_recv_ns"], markets["link_down"] = 0, frame.desk["now_ns"], 0
    return type(frame)(frame.desk, markets, frame.instruments, 1000 * S, 1, engine)


@pytest.mark.parametrize(
    ("ill", "words"),
    [
        (lambda f: None, ""),
        (lambda f: f.engine.update(loop_gap_ms=501.0), "stood still for 501 ms"),
        (lambda f: f.engine.update(journal={"unsynced_rows": 9, "overdue_s": 2.1}), "owes rows of the journal for 2.1 s"),
        (lambda f: f.engine.update(clock_offset_ms=-1001.0), "-1001 ms from the venue's"),
        (lambda f: f.engine.update(streams=[{"name": "depth", "up": False, "note": "reconnecting"}]), "depth is down: reconnecting"),
        (lambda f: f.markets["validity"].__setitem__(0, 1), "not to be trusted (resync)"),
        (lambda f: f.markets["validity"].__setitem__(0, 2), "not to be trusted (crossed)"),
        (lambda f: f.markets["last_recv_ns"].__setitem__(0, 0), "no market data has come yet"),
        (lambda f: f.markets["last_recv_ns"].__setitem__(0, f.now_ns - 5 * S - 1), "feed is stale"),
        (lambda f: f.markets["last_recv_ns"].__setitem__(0, f.now_ns - 5 * S), ""),
        (lambda f: f.markets["link_down"].__setitem__(0, 1), "line to our orders at the venue is down"),
    ],
)
def test_each_ill_is_told_alone_and_in_words(desk, ill, words):
    frame = a_frame(desk)
    ill(frame)
    found = health(frame, 1000 * S)
    assert found.ok is (not words)
    assert len(found.reasons) == bool(words)
    assert words in " ".join(found.reasons)


def test_an_engine_that_publishes_nothing_is_ill_although_its_last_frame_was_well(desk):
    frame = a_frame(desk)
    assert health(frame, 1002 * S).ok
    assert health(frame, 1002 * S + 1_000_000).reasons == ["the engine has published nothing for 2.0 s"]


def test_the_door_of_an_engine_that_stands_still_answers_503(own):
    with own.client(Scope.READ) as client:
        own.gap.set()
        found = until(lambda: [one for one in [client.get("/health")] if "published nothing" in one.text])[0]
        assert found.status_code == 503
        assert found.json()["ok"] is False
        own.gap.clear()


def test_health_goes_bad_when_a_recording_has_ended_and_the_feed_is_stale(tmp_path):
    hl.sample().slice(0.0, 5.0).save(tmp_path / "short.npz")
    limits = hl.Limits(position_qty_max="0.05", stale_s_max=0.5)
    quoter = hl.FixedSpread(order_qty="0.01")
    session = hl.start(hl.ReplayFeed(tmp_path / "short.npz", speed=5.0), hl.PaperVenue(), quoter, limits, run=tmp_path / "run")
    import httpx

    control = json.loads((tmp_path / "run" / "control.json").read_text())
    headers = {"authorization": f"Bearer {control['read_token']}"}
    with httpx.Client(base_url=control["url"], headers=headers, trust_env=False, timeout=60) as client:
        found = until(lambda: [one for one in [client.get("/health")] if "feed is stale" in one.text])[0]
        assert (found.status_code, found.json()["ok"]) == (503, False)
        assert client.get("/risk").json()["refusals"]["stale data"] >= 1
    # The session finds the new tokens by itself.
    with httpx.Client(base_url=control["url"], trust_env=False, timeout=60) as client:
        assert client.post("/tokens/rotate", headers={"authorization": f"Bearer {control['token']}"}).status_code == 200
    assert session.halt("the feed is stale")["state"] == "HALTED"
    session.stop()
    calls = hl.attach(tmp_path / "run").audit()
    done = [(one["command"], one["why"]) for one in calls if one["ok"]]
    assert done == [("rotate tokens", ""), ("halt", "the feed is stale"), ("stop", "")]
    assert [one["status"] for one in calls if not one["ok"]] == [401]
    assert not [name for name in ("control.json", "read.token") if (tmp_path / "run" / name).exists()]


def test_the_journal_knows_how_far_the_disk_is_behind(tmp_path):
    import numpy as np

    from hftlab.types import EVENT

    journal = Journal(tmp_path / "journal")
    journal.append(np.zeros(3, EVENT))
    assert (journal.rows, journal.synced_rows, journal.due_rows) == (3, 0, 0)
    journal.append(np.zeros(2, EVENT), sync=True)
    assert (journal.rows, journal.synced_rows) == (5, 5)
    journal.append(np.zeros(4, EVENT))
    journal.sync_soon()
    assert journal.due_rows == 9
    until(lambda: journal.synced_rows == 9)
    journal.close()


# --- figures -------------------------------------------------------------------------------------------------------------
def test_rates_are_differences_of_counts_over_the_window(desk):
    rates = Rates()
    assert rates.per_s("rows") == 0.0
    frame = desk.board.frame()
    for second in range(30):
        frame = type(frame)(frame.desk.copy(), frame.markets, frame.instruments, second * S, second, {})
        frame.desk["rows"] = 100 * second if second < 15 else 1500 + 700 * (second - 15)
        rates.see(frame)
    assert rates.per_s("rows") == 700.0  # what was before the last ten seconds is forgotten


def test_prometheus_reads_what_is_written_and_every_name_has_its_unit(desk):
    from prometheus_client.parser import text_string_to_metric_families

    with desk.client(Scope.READ) as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {sample.name: sample for family in text_string_to_metric_families(answer.text) for sample in family.samples}
    assert set(found) <= metric_names()
    assert found["hftlab_up"].value == 1
    assert found["hftlab_messages_total"].labels == {"market": "sim:BTC/USDT"}
    assert found["hftlab_rows_total"].value > 0
    assert not [name for name in found if re.search(r"_(ms|us|ns)(_|$)", name)], "Prometheus counts in base units"


def test_the_dashboard_of_grafana_asks_for_names_that_there_are(root, desk):
    board = json.loads((root / "docs" / "grafana.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for text in expressions for name in re.findall(r"hftlab_\w+", text)}
    assert len(named) > 12
    assert named <= metric_names()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_what_is_answered_is_what_the_frame_says(desk):
    with desk.client() as client:
        client.post("/trading/pause")
        until(lambda: desk.board.frame().state == "PAUSED" and not desk.board.frame().orders())
        one, stats, frame = client.get("/positions").json()[0], client.get("/stats").json(), desk.board.frame()
        assert one["qty"] == frame.position()
        assert one["bought_qty"] - one["sold_qty"] == pytest.approx(one["qty"])
        parts = one["realised_quote"] + one["unrealised_quote"] - one["fees_quote"] - one["funding_quote"]
        assert parts == pytest.approx(one["pnl_quote"], abs=1e-9)
        assert stats["submits"] == int(frame.desk["submits"])
        assert client.get("/strategies").json()[0] | {"pnl_quote": 0, "position_qty": 0, "fills": 0, "orders": 0} == {
            "name": "FixedSpread",
            "market": 0,
            "instrument": "sim:BTC/USDT",
            "quoter": "FixedSpread",
            "python": None,
            "active": True,
            "state": "ACTIVE",
            "unquoted_because": "",
            "orders": 0,
            "fills": 0,
            "position_qty": 0,
            "pnl_quote": 0,
        }
        client.post("/trading/resume")
        until(lambda: len(desk.board.frame().orders()) == 2)


def test_one_strategy_is_switched_off_and_on_again_and_the_other_goes_on(tmp_path):
    with rig(tmp_path / "run", instruments=(BTC, replace(BTC, symbol="ETH/USDT", base="ETH"))) as own, own.client() as client:
        until(lambda: own.board.frame().orders(0) and client.get("/strategies").json()[0]["active"])
        assert [one["name"] for one in client.get("/strategies").json()] == ["FixedSpread-0", "FixedSpread-1"]
        assert client.post("/strategies/FixedSpread-0/deactivate", json={"who": "ana"}).status_code == 200
        until(lambda: not own.board.frame().orders(0))
        assert [one["active"] for one in client.get("/strategies").json()] == [False, True]
        assert client.get("/risk").json()["state"] == "ACTIVE"
        assert client.post("/strategies/FixedSpread-0/activate").status_code == 200
        until(lambda: own.board.frame().orders(0))
        assert [one["command"] for one in own.lines()] == ["deactivate", "activate"]


def test_a_limit_is_tightened_through_the_door_and_never_loosened_beyond_its_cap(own):
    with own.client() as client:
        assert client.post("/limits", json={"values": {"loss_quote_max": 100}}).status_code == 200
        assert client.get("/limits").json()[0]["limits"]["loss_quote_max"] == 100.0
        refused = client.post("/limits", json={"values": {"position_qty_max": "0.06"}})
        assert (refused.status_code, refused.json()["type"]) == (422, "CommandRefused")
        assert "looser than the hard cap 0.05" in refused.json()["error"]


# --- the stream ------------------------------------------------------------------------------------------------------------
def watch(desk, hz=10.0, **options):
    return connect(desk.door.url.replace("http", "ws") + f"/ws?hz={hz}", additional_headers=desk.headers(Scope.READ), proxy=None, **options)


def drain(socket):
    while True:
        socket.recv(timeout=30)


def test_a_watcher_gets_newer_and_newer_frames_no_faster_than_it_asked(desk):
    with watch(desk, hz=5.0) as socket:
        began, seen = time.monotonic(), [json.loads(socket.recv(timeout=30)) for _ in range(6)]
        took_s = time.monotonic() - began
    numbers = [one["number"] for one in seen]
    assert numbers == sorted(set(numbers))
    assert took_s > 0.9 * 5 / 5.0  # five gaps of a fifth of a second; it may be slower, never faster
    assert {"health", "stats", "positions", "orders", "risk", "strategies", "messages"} <= set(seen[0])
    until(lambda: desk.board.watchers == 0)


def test_a_watcher_that_talks_is_sent_away(desk):
    with watch(desk) as socket:
        socket.send('{"command": "halt"}')
        with pytest.raises(ConnectionClosed) as closed:
            drain(socket)
    assert closed.value.rcvd.code == stream.POLICY
    assert desk.board.frame().state == "ACTIVE"


def test_a_stream_ends_with_its_token(own):
    with watch(own) as socket, own.client() as client:
        socket.recv(timeout=30)
        client.post("/tokens/rotate")
        with pytest.raises(ConnectionClosed) as closed:
            drain(socket)
    assert closed.value.rcvd.code == stream.POLICY


def test_a_watcher_that_takes_nothing_is_let_go_and_nobody_waits_for_it(own, monkeypatch):
    monkeypatch.setattr(stream, "SEND_S", 0.5)
    host, port = own.door.url.removeprefix("http://").split(":")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((host, int(port)))
        token = own.headers(Scope.READ)["authorization"]
        raw.sendall(
            f"GET /ws?hz=10 HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        until(lambda: own.board.watchers == 1)
        # The system's own buffers hold some hundred frames; longer ones fill them sooner.
        monkeypatch.setattr(type(own.board), "overview_text", lambda board: json.dumps({"n": board.frame().number, "x": "x" * 900_000}))
        with watch(own, max_size=None) as other:
            first = json.loads(other.recv(timeout=30))["n"]
            until(lambda: own.board.watchers == 1)
            assert json.loads(other.recv(timeout=30))["n"] > first
    until(lambda: own.board.watchers == 0)


# --- the trail as a table ----------------------------------------------------------------------------------------------------
def test_the_table_tells_in_order_who_did_what_and_what_the_desk_did(own):
    with own.client() as client:
        client.post("/parameters", json={"values": {"half_spread_ticks": 1.5}, "who": "ana", "why": "wider before the news"})
        client.post("/trading/halt", headers={"authorization": "Bearer guess"})
        client.post("/trading/halt", json={"who": "ben", "why": "news"})
        until(lambda: not own.board.frame().orders())
    own.lines()
    table = hl.attach(own.folder).audit_table()
    assert table["row"].dropna().is_monotonic_increasing
    asked = table[table["who"].notna() | (table["what"] == "refused") | (table["what"] == "STATE")]
    told = [(one.what, one.who, one.why) for one in asked.astype(object).fillna("").itertuples()]
    assert told == [("SET_PARAMS", "ana", "wider before the news"), ("refused", "", ""), ("HALT", "ben", "news"), ("STATE", "", "")]
    assert table[table["what"] == "STATE"]["text"].item() == "ACTIVE to HALTED"
    assert set(table[table["what"] == "SUBMIT"]["side"]) == {"buy", "sell"}
    assert len(table[table["what"] == "FILL"]) == int(own.board.frame().markets["fills_count"].sum())
    assert list(table["time"]) == sorted(table["time"])


def test_the_end_of_a_trail_is_read_without_the_rest(tmp_path):
    from hftlab.engine.audit import AuditLog, read_calls

    log = AuditLog(tmp_path)
    for n in range(500):
        log.add({"call": f"n {n}", "answer": "x" * (n % 7) * 50})
    log.close()
    whole = read_calls(tmp_path)
    assert [one["call"] for one in whole] == [f"n {n}" for n in range(500)]
    for count in (1, 2, 17, 499, 500, 501):
        assert read_calls(tmp_path, count) == whole[-count:]
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(b'{"ts_ns": 12')  # a power cut
    assert read_calls(tmp_path) == whole
    assert read_calls(tmp_path / "none") == []


def test_a_torn_line_takes_no_other_with_it(tmp_path, monkeypatch):
    # A power cut in the middle of a line, an engine that starts again; then a disk that is full in the middle of one, and has room again.
    from hftlab.engine import audit

    (tmp_path / "audit.jsonl").write_bytes(b'{"ts_ns": 12')
    log, written = audit.AuditLog(tmp_path), threading.Event()
    log.add({"call": "halt"}, written.set)
    assert written.wait(30)
    write, room = os.write, [20]

    def half(fd, data):
        if not room:
            raise OSError(28, "no space left on device")
        return write(fd, data[: room.pop()])

    monkeypatch.setattr(audit.os, "write", half)
    written.clear()
    log.add({"call": "lost"}, written.set)
    assert written.wait(30)
    assert "no space left" in log.trouble
    monkeypatch.undo()
    log.add({"call": "resume"})
    log.close()
    assert [one["call"] for one in audit.read_calls(tmp_path)] == ["halt", "resume"]
    assert [one["call"] for one in audit.read_calls(tmp_path, 1)] == ["resume"]
    assert audit.read_calls(tmp_path, 0) == []


# --- the page ----------------------------------------------------------------------------------------------------------------
@pytest.mark.browser
def test_the_dashboard_shows_the_desk_asks_again_and_tells_when_it_is_old(own, browser):
    context = browser.new_context(
        http_credentials={"username": "x", "password": own.control()["read_token"]}, viewport={"width": 390, "height": 844}
    )
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    failures = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
    page.goto(f"{own.door.url}/dashboard")
    page.locator("#state", has_text="ACTIVE").wait_for(timeout=30_000)
    until(lambda: page.locator("#orders tr").count() == 3)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "fits a phone"
    with own.client() as client:
        client.post("/trading/halt")
    page.locator("#state", has_text="HALTED").wait_for(timeout=30_000)
    own.gap.set()
    page.locator("#banner", has_text="s old").wait_for(timeout=30_000)
    assert all(url.startswith(own.door.url) for url in asked), "nothing is asked of anybody else"
    assert not failures
    context.close()

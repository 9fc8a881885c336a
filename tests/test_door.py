"""The door: who is let in, what is answered, what is written down, and that a halt goes first."""

import asyncio
import base64
import hmac
import inspect
import json
import os
import stat
import threading

import httpx
import pytest
from door_rig import rig, until
from fastapi.routing import APIRoute
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from hftlab.engine.door import app, gate, tokens
from hftlab.engine.door.app import make_app
from hftlab.engine.door.tokens import LIFE_S, Scope
from hftlab.engine.inbox import WAITING_MAX, Command, Inbox

READS = ("/", "/health", "/stats", "/overview", "/metrics", "/audit", "/positions", "/orders", "/fills", "/risk", "/strategies")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with rig(tmp_path_factory.mktemp("door") / "run") as made:
        until(lambda: len(made.board.frame().orders()) == 2)
        yield made


@pytest.fixture
def own(tmp_path):
    """A desk of one test: what it does to tokens, rates or files is nobody else's."""
    with rig(tmp_path / "run") as made:
        until(lambda: len(made.board.frame().orders()) == 2)
        yield made


@pytest.fixture
def client(desk):
    with desk.client() as made:
        yield made


def ask(desk, method, path, scope=Scope.READ, **options):
    with desk.client(scope) as made:
        return made.request(method, path, **options)


def asked(app, calls):
    """Put calls (method, path, headers) straight to an application, one after the other."""

    async def all_of_them():
        transport = httpx.ASGITransport(app, client=("127.0.0.2", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1", timeout=60) as client:
            return [await client.request(method, path, headers=headers) for method, path, headers in calls]

    return asyncio.run(all_of_them())


def stopped_clock(desk):
    """The application of a desk for which no time passes: its rates do not refill."""
    return make_app(desk.board, desk.door._calls, desk.tokens, lambda: 0.0)


def every_call(app):
    """Every method and path that the application routes, with something in the place of its parameters."""
    found = []
    for route in app.routes:
        if isinstance(route, APIRoute | Route):
            found += [(method, route.path.replace("{name}", "FixedSpread")) for method in sorted(route.methods or ())]
    return found


# --- who is let in -------------------------------------------------------------------------------------------------------
def test_no_route_opens_without_a_good_token(own):
    calls = every_call(own.app)
    assert {("GET", "/health"), ("POST", "/trading/halt"), ("POST", "/command"), ("GET", "/openapi.json")} <= set(calls)
    good = own.control()
    basic = base64.b64encode(f"x:{good['token']}".encode()).decode()
    wrong = [
        {},
        {"authorization": "Bearer guess"},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {good['token']}x"},
        {"authorization": f"Bearer {good['token'][:-1]}"},
        {"authorization": good["token"]},
        {"authorization": f"Basic {basic}"},
        {"authorization": "Basic ???"},
        {"cookie": f"token={good['token']}"},
    ]
    tried = [(method, path, headers) for method, path in calls for headers in wrong]
    tried += [(method, f"{path}?token={good['token']}", {}) for method, path in calls]
    for call, answer in zip(tried, asked(own.app, tried), strict=True):
        assert answer.status_code in {401, 429}, call
        assert call[0] == "HEAD" or answer.json()["ok"] is False
    assert own.board.frame().state == "ACTIVE"


def test_the_read_token_reads_everything_and_commands_nothing(desk):
    tried = [(method, path, desk.headers(Scope.READ)) for method, path in every_call(desk.app)]
    for (method, path, _), answer in zip(tried, asked(desk.app, tried), strict=True):
        if method == "POST":
            assert (answer.status_code, answer.json()["type"]) == (403, "ReadOnly"), path
        else:
            assert answer.status_code in ({200, 503} if path == "/health" else {200}), (method, path, answer.text)
    assert desk.board.frame().state == "ACTIVE"


def test_a_route_that_somebody_adds_is_guarded(desk):
    app = make_app(desk.board, desk.door._calls, desk.tokens)
    app.add_api_route("/new", lambda: {"secret": 1}, methods=["GET", "POST", "PUT", "DELETE"])

    def status(method, headers):
        return asked(app, [(method, "/new", headers)])[0].status_code

    for method in ("GET", "POST", "PUT", "DELETE"):
        assert status(method, {}) in {401, 429}
        assert status(method, desk.headers(Scope.READ)) == (200 if method == "GET" else 403)
        assert status(method, desk.headers()) == 200


def test_a_websocket_needs_a_token_too(desk):
    url = desk.door.url.replace("http", "ws") + "/ws"
    for headers in ({}, {"authorization": "Bearer guess"}, desk.headers(Scope.READ) | {"origin": "http://127.0.0.1:8888"}):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers=headers, proxy=None)
        assert refused.value.response.status_code in {401, 403, 429}


def test_a_disk_without_room_for_new_tokens_leaves_the_old_ones_good(own, monkeypatch):
    tried = []

    def full(path, text):
        tried.append(path)
        raise OSError(28, "no space left on device")

    first = own.headers()
    monkeypatch.setattr(app, "HOUSEKEEPING_S", 0.05)
    monkeypatch.setattr(tokens, "_write", full)
    own.later_ns = int(LIFE_S * 0.6e9)  # it is time for new ones
    for _ in range(5):  # more often than old pairs are remembered
        with pytest.raises(OSError, match="no space left"):
            own.tokens.renew()
    with pytest.raises(OSError, match="no space left"):
        own.tokens.rotate()
    before = len(tried)
    until(lambda: len(tried) >= before + 3)  # the door tries by itself, and goes on trying
    with own.client() as client:
        assert client.get("/risk", headers=first).status_code == 200
        monkeypatch.undo()
        until(lambda: own.headers() != first)
        assert client.post("/trading/halt", headers=own.headers(), json={}).status_code == 200


def test_tokens_end_are_renewed_before_and_rotate_at_once(own):
    first = own.headers()
    with own.client(None) as client:
        assert client.get("/stats", headers=first).status_code == 200
        own.later_ns += int(LIFE_S * 0.6e9)
        # More than half its life is over: the door makes the next pair by itself.
        second = until(lambda: own.headers() if own.headers() != first else None)
        assert [client.get("/stats", headers=h).status_code for h in (first, second)] == [200, 200]
        own.later_ns += int(LIFE_S * 0.45e9)  # now the first has ended, the second not
        assert [client.get("/stats", headers=h).status_code for h in (first, second)] == [401, 200]
        rotated = client.post("/tokens/rotate", headers=second, json={"who": "me", "why": "a laptop was lost"})
        assert rotated.status_code == 200
        third = own.headers()
        assert third["authorization"].split()[1] not in rotated.text, "whoever stole a token must not be given the next"
        assert [client.get("/stats", headers=h).status_code for h in (first, second, third)] == [401, 401, 200]
    assert own.lines()[-1]["command"] is None or own.lines()[-1]["ok"] is False
    assert any(one["command"] == "rotate tokens" and one["why"] == "a laptop was lost" for one in own.lines())


def test_the_files_with_tokens_are_for_their_owner_alone(own):
    for name in ("control.json", "read.token"):
        assert stat.S_IMODE((own.folder / name).stat().st_mode) == 0o600
    assert (own.folder / "read.token").read_text().strip() == own.control()["read_token"]
    own.tokens.close()
    assert not [name for name in ("control.json", "read.token") if (own.folder / name).exists()]


def test_tokens_are_compared_in_constant_time(own, monkeypatch):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or a == b)
    good = own.control()["token"]
    for given in (good, good[:-1], "", "x" * 5000, "ключ", good):
        own.tokens.find(given)
    # Each look compares with every token, whole digests only: what was given changes neither how often nor how long.
    assert compared == [(32, 32)] * (6 * len(Scope))
    assert "==" not in inspect.getsource(tokens.Tokens.find)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"host": ""}, 421),
        ({"host": "localhost:9"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8888"}, 403),
        ({"origin": "own"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_cannot_use_a_browser_that_has_the_token(desk, headers, status):
    headers = {name: desk.door.url if value == "own" else value for name, value in headers.items()}
    answer = ask(desk, "GET", "/stats", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_a_browser_opens_the_dashboard_with_the_read_token_as_password(own):
    with own.client(None) as client:
        _opens_with_basic(own, client)


def _opens_with_basic(desk, client):
    asked = client.get("/dashboard", headers={"accept": "text/html"})
    assert (asked.status_code, asked.headers["www-authenticate"].split()[0]) == (401, "Basic")
    page = client.get("/dashboard", auth=("anyone", desk.control()["read_token"]))
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert desk.control()["read_token"] not in page.text
    assert client.post("/trading/halt", auth=("x", desk.control()["token"])).status_code == 401


# --- bounds --------------------------------------------------------------------------------------------------------------
def test_a_stranger_who_hammers_is_slowed_and_does_not_lock_the_owner_out(own):
    app, guess = stopped_clock(own), {"authorization": "Bearer guess"}
    found = asked(
        app,
        [("POST", "/trading/halt", guess)] * 60 + [("GET", "/stats", own.headers(Scope.READ)), ("POST", "/trading/pause", own.headers())],
    )
    assert [one.status_code for one in found] == [401] * int(gate.FAILED_BURST) + [429] * (60 - int(gate.FAILED_BURST)) + [200, 200]
    assert int(found[59].headers["retry-after"]) >= 1
    written = [one["status"] for one in own.lines()]
    assert written == [401] * int(gate.FAILED_BURST) + [200], "a flood is counted, not written down line by line"


def test_a_token_that_asks_too_much_is_told_to_wait_and_can_still_halt(own):
    app, read, control = stopped_clock(own), own.headers(Scope.READ), own.headers()
    burst = int(gate.READ_BURST)
    found = asked(app, [("GET", "/docs", read)] * (burst + 3) + [("GET", "/docs", control)])
    assert [one.status_code for one in found] == [200] * burst + [429] * 3 + [200]
    burst = int(gate.CONTROL_BURST)
    found = asked(app, [("POST", "/nowhere", control)] * (burst + 3) + [("POST", "/trading/halt", control)])
    assert [one.status_code for one in found] == [404] * burst + [429] * 3 + [200]
    assert own.board.frame().state == "HALTED"


def test_memory_for_rates_and_keys_is_bounded():
    from hftlab.engine.door.bounds import Buckets

    buckets = Buckets(1.0, 2.0, lambda: 0.0, most=8)
    for n in range(100):
        buckets.take(n)
    assert len(buckets) == 8


def test_long_bodies_end_at_the_gate(desk, client):
    for content in (b"x" * (gate.BODY_BYTES + 1), iter([b"x" * 40_000] * 3)):
        answer = client.post("/command", content=content)
        assert (answer.status_code, answer.json()["type"]) == (413, "BodyTooLong")
    assert asked(desk.app, [("POST", "/command", desk.headers() | {"content-length": "-1"})])[0].status_code == 413


# --- commands ------------------------------------------------------------------------------------------------------------
def test_a_halt_leaves_nothing_resting_and_says_who_and_why(own):
    with own.client() as client:
        answer = client.post("/trading/halt", json={"who": "ana", "why": "news at two"}).json()
        assert (answer["ok"], answer["state"]) == (True, "HALTED")
        until(lambda: not own.board.frame().orders())
        assert client.get("/orders").json() == []
        assert client.get("/risk").json()["state"] == "HALTED"
        line = own.lines()[-1]
        assert (line["who"], line["why"], line["scope"], line["command"]) == ("ana", "news at two", "control", "halt")
        assert (line["row"], line["count"]) == (answer["row"], 1)
        assert client.post("/trading/resume").json()["state"] == "ACTIVE"
        until(lambda: len(own.board.frame().orders()) == 2)


def test_a_halt_goes_before_what_waits_and_what_it_overtakes_is_refused(own):
    own.gap.set()  # the engine is busy
    answers = {}

    def send(name, path, body):
        with own.client() as client:
            answers[name] = client.post(path, json=body)

    waiting = [threading.Thread(target=send, args=(f"set {n}", "/parameters", {"values": {"order_qty": "0.02"}})) for n in range(4)] + [
        threading.Thread(target=send, args=("resume", "/trading/resume", {}))
    ]
    for one in waiting:
        one.start()
    until(lambda: own.driver.inbox._waiting.qsize() == 5)
    halt = threading.Thread(target=send, args=("halt", "/trading/halt", {}))
    halt.start()
    until(lambda: not own.driver.inbox._first.empty())
    own.gap.clear()
    for one in [*waiting, halt]:
        one.join(30)
    assert answers["halt"].json()["state"] == "HALTED"
    for name, answer in answers.items():
        if name != "halt":
            assert (answer.status_code, answer.json()["type"]) == (422, "Overtaken"), name
    assert own.board.frame().state == "HALTED"
    assert own.board.frame().params()["order_lots"] == 10


def test_an_inbox_that_is_full_still_takes_a_halt():
    inbox = Inbox()
    for _ in range(WAITING_MAX):
        inbox.put(Command("set", 0, {}, "x"))
    assert inbox.full()
    inbox.put(Command("halt", 0, {}, "x"))
    inbox.put(Command("resume", 0, {}, "x"))
    taken = list(inbox.take(WAITING_MAX + 2))
    assert (taken[0][0].name, taken[0][1]) == ("halt", False)
    assert [late for _, late in taken[1:-1]] == [True] * WAITING_MAX
    assert (taken[-1][0].name, taken[-1][1]) == ("resume", False), "what came after the halt is meant"


def test_a_value_nobody_foresaw_is_refused_and_the_engine_lives(desk, client):
    for value in ("1e999999999", "nan", "-inf", 10**400, 1e300, "9" * 41, [1], {"a": 1}, True, "x'; --", "٣"):
        answer = client.post("/command", content=json.dumps({"command": "set", "values": {"risk_aversion": value}}))
        assert answer.status_code == 422, (value, answer.text)
        assert answer.json()["error"]
    assert desk._thread.is_alive()
    assert client.post("/limits", json={"values": {"position_qty_max": "0.04"}}).status_code == 200
    assert client.get("/limits").json()[0]["limits"]["position_qty_max"] == 0.04


def test_parameters_are_read_and_set_in_human_units(desk, client):
    assert client.post("/parameters", json={"values": {"half_spread_ticks": 0.75}}).status_code == 200
    shown = {one["name"]: one["value"] for one in client.get("/parameters").json()[0]["parameters"]}
    assert shown["half_spread_ticks"] == 0.75
    refused = client.post("/parameters", json={"values": {"half_spred_ticks": 1}})
    assert refused.status_code == 422
    assert "Did you mean 'half_spread_ticks'" in refused.json()["error"]
    assert client.post("/strategies/FixedSpred/deactivate").json()["error"].endswith("Did you mean 'FixedSpread'?")


# --- the same key ----------------------------------------------------------------------------------------------------------
def test_the_same_key_and_request_is_done_once_and_answered_alike(own):
    with own.client() as client:
        body, key = {"values": {"half_spread_ticks": 0.6}}, {"idempotency-key": "k1"}
        first = client.post("/parameters", json=body, headers=key).json()
        commands = int(own.board.frame().desk["commands"])
        again = client.post("/parameters", json=body, headers=key).json()
        assert again == first
        assert int(own.board.frame().desk["commands"]) == commands
        other = client.post("/parameters", json={"values": {"half_spread_ticks": 0.7}}, headers=key)
        assert (other.status_code, other.json()["type"]) == (422, "KeyReused")
        elsewhere = client.post("/limits", json=body, headers=key)
        assert elsewhere.json()["type"] == "KeyReused"
        assert own.board.frame().params()["half_spread_ticks"] == 0.6
        new = client.post("/parameters", json=body, headers={"idempotency-key": "k2"}).json()
        assert new["row"] > first["row"]
    assert [one["replayed"] for one in own.lines()[:2]] == [False, True]


def test_a_refusal_is_remembered_for_its_key_too(desk, client):
    body, key = {"values": {"order_qty": "-1"}}, {"idempotency-key": "refused"}
    assert client.post("/parameters", json=body, headers=key).json() == client.post("/parameters", json=body, headers=key).json()


def test_a_key_must_be_short_and_plain(client):
    for key in ("x" * 129, "a\tb"):
        assert client.post("/trading/resume", headers={"idempotency-key": key}).status_code == 422


# --- the trail -------------------------------------------------------------------------------------------------------------
def test_no_secret_is_in_the_trail_the_log_or_an_answer(own):
    good = own.control()
    secrets = (good["token"], good["read_token"])
    with own.client() as client:
        texts = [
            client.post("/command", json={"command": good["token"], "who": good["token"], "why": good["read_token"]}).text,
            client.post("/command", json={"command": "set", "values": {good["read_token"][:40]: good["token"][:40]}}).text,
            client.post(f"/strategies/{good['token']}/activate").text,
            client.post(f"/{good['token']}").text,
            client.get(f"/{good['token']}").text,
            client.post("/trading/resume", headers={"idempotency-key": good["token"]}).text,
            client.post("/trading/resume", json={"who": "x" * 500 + good["token"]}).text,
            client.get("/audit?count=1000").text,
            client.get("/overview").text,
        ]
    own.lines()
    texts += [
        path.read_bytes().decode("latin-1")
        for path in own.folder.rglob("*")
        if path.is_file() and path.name not in {"control.json", "read.token"}
    ]
    for secret in secrets:
        # 40 of its 43 letters: what is cut off somewhere is as good as the whole.
        assert not [text[:300] for text in texts if secret[:40] in text]


def test_refused_calls_are_written_down(own):
    with own.client() as client:
        client.post("/trading/halt", headers={"authorization": "Bearer guess"})
        client.post("/trading/halt", headers=own.headers(Scope.READ))
        client.post("/command", content=b"{")
        client.post("/parameters", json={"values": {"order_qty": "-1"}, "who": "ben"})
        client.post("/nowhere")
        client.put("/command")
    lines = own.lines()
    assert [one["status"] for one in lines] == [401, 403, 422, 422, 404, 405]
    assert [one["ok"] for one in lines] == [False] * 6
    assert (lines[3]["who"], lines[3]["values"]) == ("ben", {"order_qty": "-1"})


def test_what_the_process_commands_itself_is_written_down(own):
    own.driver.inbox.put(Command("pause", 0, {}, "strategy Mine (it died, exit code 1)"))
    until(lambda: own.board.frame().state == "PAUSED")
    line = until(own.lines)[-1]
    assert (line["who"], line["client"], line["command"], line["ok"]) == ("strategy Mine (it died, exit code 1)", "engine", "pause", True)


def test_without_a_trail_only_what_protects_is_taken(own, monkeypatch):
    with own.client() as client:
        full = os.open("/dev/full", os.O_WRONLY)
        kept, own.audit._fd = own.audit._fd, full
        try:
            assert client.post("/parameters", json={"values": {"half_spread_ticks": 0.6}}).json()["audit_trouble"]
            assert client.post("/parameters", json={"values": {"half_spread_ticks": 0.7}}).json()["type"] == "NoAudit"
            assert "audit.jsonl cannot be written" in " ".join(client.get("/health").json()["reasons"])
            assert client.post("/trading/halt").json()["state"] == "HALTED"
        finally:
            own.audit._fd = kept
            os.close(full)
        own.lines()
        assert client.post("/trading/resume").status_code == 200


def test_every_error_has_the_one_form(desk, client):
    answers = [
        client.get("/nowhere"),
        client.put("/health"),
        client.post("/command", content=b"\xff"),
        client.post("/command", json={"command": "halt", "extra": 1}),
        client.get("/fills?count=0"),
        client.post("/strategies/x/activate"),
        client.get("/stats", headers={"authorization": "Bearer x"}),
    ]
    for answer in answers:
        found = answer.json()
        assert set(found) == {"ok", "status", "type", "error"}
        assert (found["ok"], found["status"]) == (False, answer.status_code)
        assert len(found["error"]) > 10
    assert answers[1].headers["allow"] == "GET"


@pytest.mark.parametrize("path", READS)
def test_what_is_read_comes_from_the_published_frame(desk, path, monkeypatch):
    # The running records are out of reach: a reader that looked at them would fail here.
    monkeypatch.setattr(type(desk.board), "driver", property(lambda _: 1 / 0), raising=False)
    answer = ask(desk, "GET", path)
    assert answer.status_code == 200 or path == "/health"  # a machine that is busy with other tests has gaps, and says so
    assert answer.headers["cache-control"] == "no-store"

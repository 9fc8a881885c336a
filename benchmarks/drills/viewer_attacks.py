"""Every way in that we know of, tried on a running engine with its viewers' server. Returns a row an attempt: where, what, result, held."""

import html
import json
import re
import shutil
from pathlib import Path

import httpx
import nbformat
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.drills.viewer_wire import SUBPROTOCOL, WAIT_S, Page, pack
from hftlab.engine.view import View
from hftlab.kernels.jit import cache_dir

PLANTED = {"BINANCE_API_SECRET": "planted-api-secret-9f2c", "HFTLAB_OKX_PASSWORD": "planted-password-77aa"}
HALTS = (
    {"k": "halt"},
    *({"k": "command", "name": name} for name in ("halt", "stop", "flatten", "pause", "resume")),
    {"k": "set", "name": "order_qty", "value": 1.0},
    {"k": "apply", "values": {"order_qty": 1.0}},
    {"k": "switch", "name": "deactivate", "market": 0},
)
UPDATES = (
    {"value": "pwned"},
    {"_esm": "pwned"},
    {"_css": "pwned"},
    {"children": []},
    {"controls": True},
    {"disabled": False},
    {"height_px": 1_000_000},
)
Row = tuple[str, str, str, bool]


def pages_with_the_cell(folder: Path, dashboards: Path, found: dict) -> Path:
    """Make a folder of pages in which `risk` is the attacker's cell; return it."""
    shutil.copytree(dashboards, folder)
    code = (Path(__file__).parent / "viewer_cell.py").read_text().replace('"FOUND_HERE"', repr(json.dumps(found)))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "risk.ipynb")
    return folder


def found_of(run: Path, port: int, pages: Path, package: Path) -> dict:
    """Return what the cell is told: where everything lies."""
    control = json.loads((run / "control.json").read_text())
    host, door = control["url"].removeprefix("http://").split(":")
    return {
        "run": str(run),
        "pid": control["pid"],
        "url": control["url"],
        "host": host,
        "port": int(door),
        "voila": port,
        "home": str(Path.home()),
        "package": str(package),
        "cache": str(cache_dir()),
        "pages": str(pages),
        "planted": PLANTED | {"token": control["token"]},
    }


def from_a_cell(url: str, token: str) -> list[Row]:
    """Open the attacker's page and return what its cell printed."""
    with httpx.Client(trust_env=False, timeout=120, base_url=url) as http:
        text = html.unescape(http.get("/voila/render/risk.ipynb", params={"token": token}).text)
    lines = [json.loads(one) for one in dict.fromkeys(re.findall(r"ATTEMPT (\[.*\])$", text, re.MULTILINE))]
    return [("cell", what, said, held) for what, said, held in lines]


def from_the_socket(page: Page) -> list[Row]:
    """Send what a page never sends."""
    rows: list[Row] = []
    before = page.widgets()
    assert len(before) > 20, f"the page has {len(before)} widgets; the attempts would prove nothing"

    def tried(what: str, answers: tuple[str, ...], *messages: tuple[str, dict, dict]) -> None:
        for kind, content, more in messages:
            page.send(kind, content, **more)
        seen = page.settle()
        came = [kind for kind in seen.kinds if kind in answers]
        rows.append(("socket", what, f"answered: {', '.join(came)}" if came else "dropped", not came))

    code = {"code": "open('pwned', 'w')", "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True}
    replies = ("execute_reply", "execute_input", "error", "stream")
    tried("execute_request", replies, ("execute_request", code, {}))
    tried("execute_request, silent", replies, ("execute_request", code | {"silent": True}, {}))
    for channel in ("control", "stdin", "iopub", "nonsense"):
        tried(f"execute_request on {channel}", replies, ("execute_request", code, {"channel": channel}))
    for kind, content in (
        ("inspect_request", {"code": "open", "cursor_pos": 4, "detail_level": 1}),
        ("complete_request", {"code": "op", "cursor_pos": 2}),
        ("history_request", {"output": True, "raw": True, "hist_access_type": "tail", "n": 9}),
        ("is_complete_request", {"code": "1"}),
    ):
        tried(kind, (kind.replace("request", "reply"),), (kind, content, {}))
    for kind in ("interrupt_request", "shutdown_request", "debug_request", "create_subshell_request", "usage_request"):
        content = {"restart": False} if kind == "shutdown_request" else {}
        reply = (kind.replace("request", "reply"),)
        for channel in ("control", "shell"):
            tried(f"{kind} on {channel}", reply, (kind, content, {"channel": channel}))
    tried("input_reply", ("error", "stream"), ("input_reply", {"value": "yes"}, {"channel": "stdin"}))
    made = {"_model_module": "@jupyter-widgets/controls", "_model_name": "HTMLModel", "_model_module_version": "2.0.0"}
    made |= {"_view_module": "@jupyter-widgets/controls", "_view_name": "HTMLView", "_view_module_version": "2.0.0", "value": "pwned"}
    opened = (
        "comm_open",
        {"comm_id": "made", "target_name": "jupyter.widget", "data": {"state": made}},
        {"metadata": {"version": "2.1.0"}},
    )
    tried("make a widget", ("comm_close", "error"), opened)
    everyone = [(one, state) for one, state in before.items()]
    for said in HALTS:
        tried(f"{json.dumps(said)} to every widget", ("error",), *(_custom(one, said) for one, _ in everyone))
    together = {name: value for one in UPDATES for name, value in one.items()}
    tried(f"{', '.join(together)} of every widget", ("comm_close", "error"), *(_update(one, together) for one, _ in everyone))
    ours = [(one, state) for one, state in everyone if "_esm" in state["state"]]
    for state in UPDATES:  # each alone too: a gate that looks at the first name only would let them through
        tried(f"{json.dumps(state)} to our own widgets", ("comm_close", "error"), *(_update(one, state) for one, _ in ours))
    tried("comm_close to every widget", ("comm_close", "error"), *(("comm_close", {"comm_id": one, "data": {}}, {}) for one, _ in everyone))
    after = page.widgets()
    changed = "pwned" in json.dumps(after) or set(after) != set(before)
    shown = [one["state"].get("controls") for one in after.values() if "controls" in one["state"]]
    rows.append(
        ("socket", "state of all widgets afterwards", "changed" if changed or any(shown) else "as before", not changed and not any(shown))
    )
    return [*rows, *_broken(page)]


def _custom(one: str, said: dict) -> tuple[str, dict, dict]:
    return "comm_msg", {"comm_id": one, "data": {"method": "custom", "content": said}}, {}


def _update(one: str, state: dict) -> tuple[str, dict, dict]:
    return "comm_msg", {"comm_id": one, "data": {"method": "update", "state": state, "buffer_paths": []}}, {}


def _broken(page: Page) -> list[Row]:
    """Send what is no message; each time the server must go on serving."""
    rows: list[Row] = []
    good = pack("shell", page.header("kernel_info_request"), {})
    for what, data in (
        ("offsets without end", (2**62).to_bytes(8, "little") + bytes(64)),
        ("offsets that point backwards", good[:8] + (2**40).to_bytes(8, "little") * 5 + good[48:]),
        ("an empty message", b""),
        ("text in place of bytes", json.dumps({"channel": "shell", "header": page.header("execute_request"), "content": {"code": "1"}})),
        ("JSON nested 50 000 deep", pack("shell", page.header("comm_msg"), {}).replace(b"{}", b"[" * 50_000, 1)),
        ("3 000 messages at once", None),
    ):
        try:
            for one in [good] * 3000 if data is None else [data]:
                page.socket.send(one)
            alive = page.http.get("/").status_code == 200
        except (ConnectionClosed, OSError):
            alive = page.http.get("/").status_code == 200
        rows.append(("socket", what, "the server goes on" if alive else "the server hangs", alive))
    try:
        with page.open() as other:
            other.send(pack("shell", page.header("comm_msg"), {"data": "x" * 200_000}))
            while True:
                other.recv(timeout=WAIT_S)
    except ConnectionClosed as closed:
        rows.append(("socket", "a message of 200 kB", f"closed: {closed.rcvd.code if closed.rcvd else 'reset'}", True))
    return rows


def handshakes(page: Page) -> list[Row]:
    """Open the socket as somebody else."""
    rows: list[Row] = []
    for what, options in (
        ("without the token's cookie", {"cookie": ""}),
        ("from another site's page", {"origin": "http://evil.example"}),
        ("legacy subprotocol (hangs Voila)", {"subprotocols": ()}),
        ("an unknown subprotocol", {"subprotocols": ("v9.example",)}),
    ):
        try:
            with page.open(**options):
                said, held = "opened", False
        except InvalidHandshake as error:
            said, held = f"refused: {getattr(getattr(error, 'response', None), 'status_code', type(error).__name__)}", True
        rows.append(("handshake", what, said, held))
    return rows


def reconnects(page: Page) -> list[Row]:
    """Come back as the same page while its kernel streams. (Each time the socket before it is closed by the server, for good.)"""
    everyone = [one for one, state in page.widgets().items() if "_esm" in state["state"]]
    for _ in range(8):
        page.beat(everyone)
        page.again()
    alive = page.http.get("/").status_code == 200 and bool(page.widgets())
    return [("socket", "the same page again, eight times", "the server goes on" if alive else "the server hangs", alive)]


def over_http(page: Page, token: str) -> list[Row]:
    """Ask for what a page never asks for. Held is an error, or the very page that was there before."""
    rows: list[Row] = []
    kernel = page.kernel
    with httpx.Client(trust_env=False, timeout=WAIT_S, base_url=page.url) as stranger:
        for path in ("/", "/voila/render/trading_desk.ipynb", f"/api/kernels/{kernel}", f"/api/kernels/{kernel}/channels"):
            answer = stranger.get(path)
            rows.append(("http, no token", path.replace(kernel, "ID"), str(answer.status_code), answer.status_code in {302, 403}))
        answer = stranger.get("/", params={"token": "x" * 32})
        rows.append(("http, no token", "/?token=wrong", str(answer.status_code), answer.status_code in {302, 403}))
        answer = stranger.post(f"/voila/api/shutdown/{kernel}")
        rows.append(("http, no token", "POST /voila/api/shutdown/ID", str(answer.status_code), answer.status_code in {302, 403}))
    xsrf = {"X-XSRFToken": page.http.cookies.get("_xsrf", "")}
    for verb, path in (
        ("GET", "/api/kernels"), ("POST", "/api/kernels"), ("DELETE", f"/api/kernels/{kernel}"),
        ("POST", f"/api/kernels/{kernel}/interrupt"), ("POST", f"/api/kernels/{kernel}/restart"),
        ("GET", "/api/kernelspecs"), ("GET", "/api/sessions"), ("POST", "/api/sessions"), ("GET", "/api/config/x"),
        ("GET", "/api/contents"), ("GET", "/voila/api/contents"), ("PUT", "/api/contents/x.ipynb"), ("GET", "/api/terminals"), ("POST", "/api/terminals"),
        ("GET", "/tree"), ("GET", "/voila/tree"), ("GET", "/lab"), ("GET", "/files/risk.ipynb"), ("GET", "/voila/files/risk.ipynb"),
        ("GET", "/voila/render/other.ipynb"), ("GET", "/voila/render/../runs/x.ipynb"), ("GET", "/voila/render/%2e%2e/01_first_quote.ipynb"),
        ("GET", "/voila/render/..%2f01_first_quote.ipynb"), ("POST", "/voila/render/risk.ipynb"),
        ("GET", "/voila/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd"), ("GET", "/voila/templates/lab/static/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd"),
        ("GET", "/voila/labextensions/..%2f..%2f..%2f..%2f..%2fetc/passwd"), ("GET", "/voila/api/themes/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd"),
        ("GET", f"/voila/query/{kernel}"), ("GET", f"/voila/execution/{kernel}"), ("GET", "/metrics"), ("GET", "/proxy/8888"),
    ):  # fmt: skip
        answer = page.http.request(verb, path, headers=xsrf)
        rows.append(
            (
                "http",
                f"{verb} {path.replace(kernel, 'ID')}",
                str(answer.status_code),
                answer.status_code >= 400 and "root:" not in answer.text,
            )
        )
    theme = re.compile(r'data-jp-theme-name="([^"]*)"')
    for query in ({"template": "reveal", "theme": "dark"}, {"template": "../../x", "theme": "../../x"}):
        text = page.http.get("/voila/render/backtest_gallery.ipynb", params=query).text
        same = theme.findall(text) == theme.findall(page.html) and "reveal" not in text
        rows.append(
            ("http", f"?template={query['template']}&theme={query['theme']}", "the page as it is" if same else "another page", same)
        )
    return rows


def engine_state(run: Path) -> tuple:
    """Return what no visitor may change: that it runs, its state, spec and key, and what was commanded."""
    view = View(run)
    said = [str(one["text"]) for one in view.frame().engine.get("messages", ()) if " by " in str(one["text"])]
    return view.alive(), view.frame().state, (run / "spec.yaml").read_bytes(), (run / "control.json").read_bytes(), said


def table(rows: list[Row]) -> str:
    """Return the attempts as text."""
    wide = max(len(what) for _, what, _, _ in rows)
    lines = [f"{'held' if held else 'NOT HELD':9}{where:15}{what:{wide}}  {said}" for where, what, said, held in rows]
    return "\n".join([*lines, f"{sum(held for *_, held in rows)} of {len(rows)} attempts held"])


__all__ = [
    "PLANTED",
    "SUBPROTOCOL",
    "engine_state",
    "found_of",
    "from_a_cell",
    "from_the_socket",
    "handshakes",
    "over_http",
    "pages_with_the_cell",
    "reconnects",
    "table",
]

"""Clients that are not ccxt, each in an environment of its own outside the project: book, account, orders and cancels, held against the truth."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.drills.conform.desk import Desk, Differs, Witness
from benchmarks.drills.conform.stories import ROWS, BinanceStory, HyperliquidStory

CLIENTS = Path(tempfile.gettempdir()) / "hftlab-conformance-clients"
PACKAGES = {
    "binance": ("python-binance", "binance-connector"),
    "binanceusdm": ("python-binance",),
    "hyperliquid": ("hyperliquid-python-sdk",),
}
ABOUT = (
    "Each in a process and an environment of its own, told nothing but an address and keys (`url`), or not even an address: its traffic to\n"
    "the real names goes through the proxy (`proxy`). The drill does not install them; without them their columns say so. To have them:\n"
    '`for p in python-binance binance-connector hyperliquid-python-sdk; do uv venv "$DIR/$p" && uv pip install --python "$DIR/$p/bin/python" $p; done`,\n'
    "then `--clients DIR`."
)
Cells = dict[str, str]


class Child:
    """A client in its process; `errors` is the file of what it complains of."""

    def __init__(self, process: Any, errors: Any) -> None:
        self._process, self._errors = process, errors

    def ask(self, call: str, *positional: Any, **named: Any) -> Any:
        """Return what a method of the client returned. Raises Differs with what it raised."""
        return self._say({"call": call, "arguments": (positional, named)})

    def stream(self, count: int, skip: int = 0) -> Any:
        return self._say({"call": "stream", "count": count, "skip": skip})

    def refused(self, words: str, call: str, *positional: Any, **named: Any) -> str:
        """Return the class of the error that must come."""
        self._put({"call": call, "arguments": (positional, named)})
        answer = self._get()
        if words not in answer.get("text", ""):
            raise Differs(f"{call} was answered {str(answer)[:200]}; wanted an error with {words!r}")
        return str(answer["error"])

    def _say(self, wanted: dict[str, Any]) -> Any:
        self._put(wanted)
        return self._result()

    def _result(self) -> Any:
        answer = self._get()
        if "error" in answer:
            raise Differs(f"{answer['error']}: {answer['text']}")
        return answer["result"]

    def _put(self, wanted: dict[str, Any]) -> None:
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()

    def _get(self) -> dict[str, Any]:
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        self._errors.seek(0)
        raise Differs(f"its process ended: {self._errors.read()[-300:]}")


@contextmanager
def child(venue: Any, clients: Path, package: str, d: Desk) -> Iterator[Child]:
    """Start a client, by another address or by the proxy; end it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    urls = _urls(venue.url, package) if d.through == "url" else {}
    if d.through == "proxy":
        authorities = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "WEBSOCKET_CLIENT_CA_BUNDLE")
        environment |= dict.fromkeys(authorities, venue.ca_file) | {"HTTPS_PROXY": venue.proxy_url, "https_proxy": venue.proxy_url}
    command = [str(clients / package / "bin" / "python"), str(Path(__file__).with_name("child.py"))]
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed below, after the process has ended
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        one = Child(process, errors)
        one._put({"client": package, "urls": urls, "keys": venue.keys(d.skin, d.account)})
        one._result()
        yield one
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        errors.close()


def _urls(base: str, package: str) -> dict[str, str]:
    sockets = base.replace("http", "ws", 1)
    if package == "python-binance":
        return {"API_URL": f"{base}/binance/api", "FUTURES_URL": f"{base}/binanceusdm/fapi", "STREAM_URL": f"{sockets}/binance/"}
    if package == "binance-connector":
        return {"rest": f"{base}/binance", "ws": f"{sockets}/binance"}
    return {"rest": f"{base}/hyperliquid"}


def run(venue: Any, clients: Path) -> dict[tuple[str, str], Cells]:
    """Run every client by both routes; those of one skin share the third account, one after another."""

    def of_skin(skin: str) -> dict[tuple[str, str], Cells]:
        witness = venue.call(lambda: Witness(venue.cores[skin]))
        return {
            (f"{package}, {skin}", through): _one(venue, clients, package, Desk(venue, skin, through, 2, witness, None))
            for package in PACKAGES[skin]
            for through in ("url", "proxy")
        }

    skins = venue.config.skins
    with ThreadPoolExecutor(len(skins)) as pool:
        return {name: cells for some in pool.map(of_skin, skins) for name, cells in some.items()}


def _one(venue: Any, clients: Path, package: str, d: Desk) -> Cells:
    if not (clients / package / "bin" / "python").exists():
        return dict.fromkeys(ROWS, "– not installed: skipped")
    try:
        with child(venue, clients, package, d) as client:
            story = (HyperliquidStory if d.hyperliquid else BinanceStory)(d, client, package)
            return {name: _cell(getattr(story, method)) for name, method in ROWS.items()}
    except Differs as error:
        return dict.fromkeys(ROWS, f"✗ {error}")


def _cell(work: Callable[[], str]) -> str:
    try:
        note = work()
    except Exception as error:  # why: a call that raises is a cell of the table, not the end of it
        return f"✗ {error}" if isinstance(error, Differs) else f"✗ {type(error).__name__}: {error}"
    return note if note.startswith("–") else f"ok: {note}" if note else "ok"

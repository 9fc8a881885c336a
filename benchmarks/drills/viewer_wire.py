"""A client that does what a page does, and whatever else a visitor might: HTTP, and the kernel's websocket message by message."""

import itertools
import json
import re
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
from websockets.sync.client import connect

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
WAIT_S = 60.0
PACE_PER_S, BURST = 150, 1500


def pack(channel: str, header: dict, content: dict, metadata: dict | None = None, buffers: tuple[bytes, ...] = ()) -> bytes:
    """Return a message of the v1 subprotocol: channel, header, parent, metadata, content, buffers."""
    parts = [json.dumps(one).encode() for one in (header, {}, metadata or {}, content)]
    pieces = [channel.encode(), *parts, *buffers]
    offsets = [8 * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return b"".join([(len(offsets)).to_bytes(8, "little"), *(one.to_bytes(8, "little") for one in offsets), *pieces])


def unpack(data: bytes) -> tuple[str, dict, dict, dict]:
    """Return channel, header, parent header and content of a message."""
    count = int.from_bytes(data[:8], "little")
    offsets = [int.from_bytes(data[8 * k : 8 * k + 8], "little") for k in range(1, count + 1)]
    pieces = [data[a:b] for a, b in itertools.pairwise(offsets)]
    return pieces[0].decode(), json.loads(pieces[1]), json.loads(pieces[2]), json.loads(pieces[4])


@dataclass
class Seen:
    """What came back until the kernel answered a question that it may always be asked."""

    kinds: list[str] = field(default_factory=list)
    contents: list[dict] = field(default_factory=list)


class Page:
    """A page that was opened: its HTML, its kernel's id, its socket."""

    def __init__(self, url: str, token: str, name: str) -> None:
        self.url = url
        self.http = httpx.Client(trust_env=False, timeout=WAIT_S, base_url=url)
        self.html = self.http.get(f"/voila/render/{name}.ipynb", params={"token": token}).text
        self.kernel = re.search(r'"kernelId":\s*"([0-9a-f-]+)"', self.html).group(1)
        self.session = uuid.uuid4().hex
        self._sent, self._since_s = 0, time.monotonic()
        self._stack = ExitStack()
        self.socket = self._stack.enter_context(self.open(session=self.session))

    def cookie(self) -> str:
        """Return the cookie that the token was exchanged for."""
        return "; ".join(f"{one.name}={one.value}" for one in self.http.cookies.jar)

    def open(self, *, subprotocols=(SUBPROTOCOL,), cookie: str | None = None, origin: str | None = None, session: str | None = None):
        """Return a socket to the kernel, to be used in a `with` block."""
        where = self.url.replace("http", "ws") + f"api/kernels/{self.kernel}/channels?session_id={session or uuid.uuid4().hex}"
        headers = {"Cookie": self.cookie() if cookie is None else cookie}
        return connect(
            where,
            subprotocols=list(subprotocols) or None,
            additional_headers=headers,
            origin=origin,
            max_size=None,
            open_timeout=WAIT_S,
            proxy=None,
        )

    def again(self) -> None:
        """Connect once more as the same page, while the first socket is open."""
        old = self.socket
        self.socket = self._stack.enter_context(self.open(session=self.session))
        old.close()

    def header(self, kind: str) -> dict:
        """Return the header of a new message."""
        date = "2026-01-01T00:00:00.000000Z"
        return {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "", "session": self.session, "date": date, "version": "5.3"}

    def send(
        self, kind: str, content: dict, *, channel: str = "shell", metadata: dict | None = None, buffers: tuple[bytes, ...] = ()
    ) -> str:
        """Send a message; return its id."""
        header = self.header(kind)
        # Below the gate's own rate: what is dropped shall be dropped for what it says.
        while self._sent - PACE_PER_S * (time.monotonic() - self._since_s) > BURST:
            time.sleep(0.02)
        self._sent += 1
        self.socket.send(pack(channel, header, content, metadata, buffers))
        return header["msg_id"]

    def settle(self) -> Seen:
        """Ask for the kernel's name and return what came before the answer: what was sent before and passed has been carried out by then."""
        asked, seen = self.send("kernel_info_request", {}), Seen()
        while True:
            _, header, parent, content = unpack(self.socket.recv(timeout=WAIT_S))
            if header["msg_type"] == "kernel_info_reply" and parent.get("msg_id") == asked:
                return seen
            if parent.get("msg_id") != asked:
                seen.kinds.append(header["msg_type"])
                seen.contents.append(content)

    def widgets(self) -> dict[str, dict]:
        """Return the state of every widget by its id, as a page asks for it when it opens."""
        comm = uuid.uuid4().hex
        self.send("comm_open", {"comm_id": comm, "target_name": "jupyter.widget.control", "data": {}}, metadata={"version": "1.0.0"})
        end_s, ask_s = time.monotonic() + WAIT_S, 0.0
        while time.monotonic() < end_s:
            # It comes on another channel than the answers, and a server that has just connected to a busy kernel may miss it.
            if time.monotonic() > ask_s:
                self.send("comm_msg", {"comm_id": comm, "data": {"method": "request_states"}})
                ask_s = time.monotonic() + 5.0
            try:
                _, _, _, content = unpack(self.socket.recv(timeout=1.0))
            except TimeoutError:
                continue
            if content.get("comm_id") == comm and "states" in content.get("data", {}):
                return content["data"]["states"]
        raise TimeoutError(f"the kernel did not tell its widgets within {WAIT_S:g} s")

    def beat(self, widgets) -> None:
        """Say that somebody looks."""
        for one in widgets:
            self.send("comm_msg", {"comm_id": one, "data": {"method": "custom", "content": {"k": "beat", "n": 0}}})

    def close(self) -> None:
        """Leave without a word, as a phone does that loses its line."""
        self._stack.close()
        self.http.close()

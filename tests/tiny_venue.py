"""The smallest skin there is: it echoes, so that the tests of the transport and the faults see what is done to its words."""

import json
from types import SimpleNamespace

from hftlab.venues.server.skin import Connection, Reply, Request


class TinyCore:
    """A core that only knows the time."""

    venue = "tiny"

    def __init__(self) -> None:
        self.now = 0
        self.instruments = {"BTCUSDT": SimpleNamespace(symbol="BTC/USDT")}

    def now_ns(self) -> int:
        return self.now

    def advance(self, now_ns: int) -> None:
        self.now = now_ns


class TinySkin:
    """Answers HTTP with what was asked; a WebSocket says `stream kind text` to have `text` sent back as that stream and kind.

    `of ACCOUNT` makes it a user stream.
    """

    hosts = ("api.tiny.test", "stream.tiny.test")

    def __init__(self, name: str = "tiny") -> None:
        self.name = name
        self.core = TinyCore()
        self.connections: dict[int, Connection] = {}
        self.requests: list[Request] = []
        self.messages: list[dict] = []

    def kind(self, request: Request) -> str:
        return request.path.rsplit("/", 1)[-1]

    def http(self, request: Request) -> Reply:
        self.requests.append(request)
        body = {"method": request.method, "path": request.path, "query": request.query, "body": request.body.decode()}
        return Reply(body, headers={"X-Tiny": "yes"})

    def opened(self, connection: Connection) -> None:
        self.connections[connection.number] = connection

    def message(self, connection: Connection, text: str) -> None:
        if text.startswith("of "):
            connection.state["account"] = text[3:]
            return
        if text == "bye":
            connection.close(1000, "asked for")
            return
        if text.startswith("{"):  # a request as on a ws-api
            asked = json.loads(text)
            self.messages.append(asked)
            connection.send(json.dumps({"id": asked["id"], "status": 200}), stream="reply", kind="reply")
            return
        stream, kind, said = text.split(" ", 2)
        connection.send(said, stream=stream, kind=kind)

    def closed(self, connection: Connection) -> None:
        del self.connections[connection.number]

    def tick(self, now_ns: int) -> None:
        pass

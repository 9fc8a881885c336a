"""Public streams: who is subscribed to what, on which path, and every frame encoded once for all who get it."""

from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import orjson

from hftlab.venues.server.binance_common import House
from hftlab.venues.server.binance_frames import Frames
from hftlab.venues.server.binance_market import same_aggregate
from hftlab.venues.server.binance_sources import Batch, Source, source_of, source_of_all
from hftlab.venues.server.binance_user import UserStreams
from hftlab.venues.server.model import DepthDiff, Print, Touch
from hftlab.venues.server.skin import Connection

SECOND_NS = 1_000_000_000
STREAMS_MAX = 1024
ROUTES = ("public", "market", "private")
PUBLIC_KINDS = ("depth", "bookTicker", "trade")  # of futures; everything else is on /market


class Streams:
    """Subscriptions and frames. `messages_per_s_max` bounds what one client may say.

    Futures have three routes since 2026: /public (book and trades), /market (the rest) and /private (user). A connection without a route
    gets what /public has, and with `old_paths` everything, as until then.
    """

    def __init__(self, house: House, frames: Frames, users: UserStreams, *, messages_per_s_max: int, old_paths: bool = False) -> None:
        self.house, self.frames, self.users = house, frames, users
        self.messages_per_s_max, self.old_paths = messages_per_s_max, old_paths
        self._listeners: dict[str, dict[int, Connection]] = {}
        self._sources: dict[str, Source] = {}
        self._batches: dict[str, list[Batch]] = {symbol: [] for symbol in house.grids}
        self._names = {
            symbol: {kind: f"{symbol.lower()}@{kind}" for kind in ("trade", "bookTicker", "depth@0ms")} for symbol in house.grids
        }
        self._symbols = {symbol.lower(): symbol for symbol in house.grids}
        self._aggregates: dict[str, list[Print]] = {}

    # --- connections ---
    def opened(self, connection: Connection) -> None:
        """Subscribe to what path and query name."""
        state, (route, mode, names) = connection.state, split_path(connection.path, spot=self.house.spot)
        state.update(route=route, combined=mode == "stream", streams=[], heard=deque())
        query = parse_qsl(connection.query)
        for name, value in query:
            if name == "streams":
                names.extend(value.split("/"))
        self.subscribe(connection, [name for name in names if name])
        keys = [value for name, value in query if name == "listenKey"]
        events = [value.split("/") for name, value in query if name == "events"]
        for number, key in enumerate(keys):
            self._listen(connection, key, events[number] if number < len(events) else ())

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.unsubscribe(connection, list(connection.state.get("streams", ())))  # none, when it never opened

    def subscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """Add streams; one that does not exist is taken and stays silent, as the venue does."""
        streams = connection.state["streams"]
        for name in names:
            if name in streams or (self._listen(connection, name, ()) if "@" not in name and "!" not in name else False):
                continue
            if name.isdigit() or len(streams) >= STREAMS_MAX:
                continue  # ccxt numbers its connections in the path
            streams.append(name)
            if self._serves(connection, name):
                if name not in self._listeners:
                    self._start(name)
                self._listeners.setdefault(name, {})[connection.number] = connection

    def unsubscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """Take streams away."""
        for name in names:
            if name in connection.state["streams"]:
                connection.state["streams"].remove(name)
            if "@" not in name:
                self.users.detach(connection, name)
            listeners = self._listeners.get(name, {})
            listeners.pop(connection.number, None)
            if not listeners:
                self._listeners.pop(name, None)
                self._stop(name)

    def _listen(self, connection: Connection, key: str, events: Iterable[str]) -> bool:
        if not self.house.spot and not self.old_paths and connection.state["route"] != "private":
            return False
        return self.users.attach(connection, key, combined=connection.state["combined"], events=events)

    def _serves(self, connection: Connection, name: str) -> bool:
        """Say whether a connection's route carries a stream."""
        route = connection.state["route"]
        if self.house.spot or (self.old_paths and not route):
            return True
        kind = name[1:].partition("@")[0] if name.startswith("!") else name.partition("@")[2]
        return (route or "public") == ("public" if kind.startswith(PUBLIC_KINDS) else "market")

    def _start(self, name: str) -> None:
        subject, _, rest = name.partition("@")
        kind, _, speed = rest.partition("@")
        symbol = self._symbols.get(subject, "")
        if subject.startswith("!"):
            source = source_of_all(self.frames, subject[1:], speed)
        else:
            source = source_of(self.frames, symbol, kind, speed) if symbol else None
        if source is None:
            return
        self._sources[name] = source
        if isinstance(source, Batch):
            self._batches[symbol].append(source)

    def _stop(self, name: str) -> None:
        source = self._sources.pop(name, None)
        if isinstance(source, Batch):
            self._batches[self._symbols[name.partition("@")[0]]].remove(source)

    # --- what clients say ---
    def message(self, connection: Connection, text: str) -> None:
        """Answer SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, GET_PROPERTY and SET_PROPERTY."""
        if not self._in_time(connection):
            connection.close(1008, "Too many requests")
            return
        answer = self._answer(connection, text)
        connection.send(orjson.dumps(answer).decode(), stream="", kind="reply")

    def _in_time(self, connection: Connection) -> bool:
        heard, now_ns = connection.state["heard"], self.house.core.now_ns()
        heard.append(now_ns)
        while heard[0] <= now_ns - SECOND_NS:
            heard.popleft()
        return len(heard) <= self.messages_per_s_max

    def _answer(self, connection: Connection, text: str) -> dict[str, Any]:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return {"error": {"code": 3, "msg": f"Invalid JSON: {error}"}}
        if not isinstance(message, dict):
            return {"error": {"code": 2, "msg": "Invalid request: request must be an object"}}
        number, method, params = message.get("id"), message.get("method"), message.get("params", [])
        if not isinstance(params, list):
            return {"error": {"code": 2, "msg": "Invalid request: params must be an array"}, "id": number}
        result: Any = None
        if method == "SUBSCRIBE":
            if not params or not all(isinstance(name, str) for name in params):
                return {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": number}
            self.subscribe(connection, params)
        elif method == "UNSUBSCRIBE":
            self.unsubscribe(connection, [str(name) for name in params])
        elif method == "LIST_SUBSCRIPTIONS":
            result = connection.state["streams"]
        elif method in {"SET_PROPERTY", "GET_PROPERTY"} and params and params[0] == "combined":
            if method == "SET_PROPERTY":
                connection.state["combined"] = bool(params[1:] and params[1])
            else:
                result = connection.state["combined"]
        else:
            return {"error": {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}, "id": number}
        return {"result": result, "id": number}

    # --- events ---
    def depth(self, diff: DepthDiff) -> None:
        """Take a change of a book; what it looks like to everybody is up to the faults."""
        batches, live = self._batches[diff.symbol], self._names[diff.symbol]["depth@0ms"]
        if not batches and live not in self._listeners:
            return
        for seen in self.house.faults.diffs(diff):
            for batch in batches:
                batch.add(seen)
            if live in self._listeners:
                self._send(live, self.frames.depth(seen))

    def touch(self, touch: Touch) -> None:
        """Tell best bid and ask."""
        for name in (self._names[touch.symbol]["bookTicker"], "!bookTicker"):
            if name in self._listeners:
                self._send(name, self.frames.touch(touch))

    def trade(self, one: Print) -> None:
        """Tell a trade, and keep it for its aggregate."""
        name = self._names[one.symbol]["trade"]
        if name in self._listeners:
            self._send(name, self.frames.trade(one))
        group = self._aggregates.setdefault(one.symbol, [])
        if group and not same_aggregate(group[-1], one):
            self._tell_aggregate(one.symbol)
        self._aggregates[one.symbol].append(one)

    def _tell_aggregate(self, symbol: str) -> None:
        group, name = self._aggregates[symbol], f"{symbol.lower()}@aggTrade"
        self._aggregates[symbol] = []
        if name in self._listeners:
            self._send(name, self.frames.aggregate(group))

    def tick(self, now_ns: int) -> None:
        """Send what is due."""
        for symbol, group in self._aggregates.items():
            if group:
                self._tell_aggregate(symbol)
        for name, source in list(self._sources.items()):
            if now_ns >= source.due_ns:
                for event in source.take(now_ns):
                    self._send(name, event)

    def _send(self, name: str, event: Any) -> None:
        text, wrapped = orjson.dumps(event).decode(), ""
        for connection in list(self._listeners.get(name, {}).values()):
            if connection.state["combined"]:
                wrapped = wrapped or f'{{"stream":"{name}","data":{text}}}'
                connection.send(wrapped, stream=name, kind="md")
            else:
                connection.send(text, stream=name, kind="md")


def split_path(path: str, *, spot: bool) -> tuple[str, str, list[str]]:
    """Return route ("" without one), mode (ws or stream) and the stream names of a WebSocket's path.

    A spot client on the plain port may need "/stream" in front of everything: ccxt tells spot from futures by it.
    """
    parts = [part for part in path.split("/") if part]
    if spot and len(parts) > 1 and parts[0] == "stream":
        parts = parts[1:]
    route = parts.pop(0) if not spot and parts and parts[0] in ROUTES else ""
    mode = parts.pop(0) if parts and parts[0] in {"ws", "stream"} else ""
    return route, mode, parts

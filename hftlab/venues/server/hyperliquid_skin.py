"""The loopback Hyperliquid: /info, /exchange and /ws of the perpetuals exchange over the matching engine."""

from typing import Any

import msgspec
import orjson

from hftlab.venues.server.hyperliquid_account import HyperliquidAccounts
from hftlab.venues.server.hyperliquid_exchange import HyperliquidExchange, unreadable
from hftlab.venues.server.hyperliquid_info import HyperliquidInfo
from hftlab.venues.server.hyperliquid_limits import HyperliquidRules, Window, info_weight
from hftlab.venues.server.hyperliquid_market import HyperliquidMarket
from hftlab.venues.server.hyperliquid_state import HyperliquidState, PerpCore
from hftlab.venues.server.hyperliquid_streams import HyperliquidStreams
from hftlab.venues.server.hyperliquid_wire import DECODE_ERRORS, action_of, cancels, convert_request, decode_request, takes
from hftlab.venues.server.skin import Connection, Faults, Reply, Request

_KINDS = {
    "order": "order",
    "modify": "amend",
    "batchModify": "amend",
    "cancel": "cancel",
    "cancelByCloid": "cancel",
    "scheduleCancel": "cancel",
    "openOrders": "query",
    "frontendOpenOrders": "query",
    "orderStatus": "query",
    "historicalOrders": "query",
    "clearinghouseState": "account",
    "spotClearinghouseState": "account",
    "userFills": "account",
    "userFillsByTime": "account",
    "userFunding": "account",
    "userRateLimit": "account",
    "l2Book": "market",
    "meta": "market",
    "spotMeta": "market",
    "metaAndAssetCtxs": "market",
    "spotMetaAndAssetCtxs": "market",
    "allMids": "market",
    "candleSnapshot": "market",
    "recentTrades": "market",
}


class HyperliquidSkin:
    """Implements `Skin`. Accounts are opened in the core under their lower-case address; keys are never given to the exchange."""

    name = "hyperliquid"
    hosts: tuple[str, ...] = ("api.hyperliquid.xyz", "api.hyperliquid-testnet.xyz")

    def __init__(self, core: PerpCore, faults: Faults, rules: HyperliquidRules | None = None) -> None:
        self.core = core
        self.rules = rules or HyperliquidRules()
        self.state = HyperliquidState(core, faults, self.rules)
        market, accounts = HyperliquidMarket(self.state), HyperliquidAccounts(self.state)
        self._info = HyperliquidInfo(self.state, market, accounts)
        self._exchange = HyperliquidExchange(self.state)
        self._streams = HyperliquidStreams(self.state, market, accounts)
        self._weights = Window(self.rules.weight_per_min)
        self._messages = Window(self.rules.messages_per_min)
        self._block_ns = 0
        self._waiting: list[tuple[int, Connection, Any, Any]] = []  # posts of this block: (group, connection, id, request)
        core.listen(self._streams.on_event)

    # --- HTTP ---
    def kind(self, request: Request) -> str:
        """Return the class of a request."""
        asked = _decoded(request.body)
        if request.path == "/exchange" and isinstance(asked.get("action"), dict):
            asked = asked["action"]
        return _KINDS.get(str(asked.get("type")), "other")

    def http(self, request: Request) -> Reply:
        """Answer one request."""
        if request.method != "POST" or request.path not in {"/info", "/exchange"}:
            return Reply("Not found", 404)
        asked = _decoded(request.body)
        weight = info_weight(str(asked.get("type"))) if request.path == "/info" else 1 + _batch(asked.get("action")) // 40
        if not self._weights.take(request.client, weight, self.core.now_ns()):
            return Reply(None, 429)
        if request.path == "/info":
            return self._answer_info(asked)
        try:
            reply = self._exchange.answer(decode_request(request.body))
        except DECODE_ERRORS:
            return unreadable()
        self._streams.flush()
        return reply

    def _answer_info(self, asked: dict[str, Any]) -> Reply:
        if not self._info.knows(asked.get("type")):
            return unreadable()
        try:
            return Reply(self._info.answer(asked))
        except msgspec.ValidationError:
            return unreadable()

    # --- WebSocket ---
    def opened(self, connection: Connection) -> None:
        """Take note of a new WebSocket: it subscribes by messages only."""

    def closed(self, connection: Connection) -> None:
        """Forget a WebSocket."""
        self._streams.forget(connection)
        self._waiting = [one for one in self._waiting if one[1] is not connection]

    def message(self, connection: Connection, text: str) -> None:
        """Take one text frame of the client."""
        if not self._messages.take(connection.client, 1, self.core.now_ns()):
            connection.close(1008, "Too many messages")
            return
        asked = _decoded(text)
        method, wanted = asked.get("method"), asked.get("subscription")
        if method == "ping":
            connection.send('{"channel":"pong"}', stream="reply", kind="reply")
        elif method in {"subscribe", "unsubscribe"} and isinstance(wanted, dict):
            act = self._streams.subscribe if method == "subscribe" else self._streams.unsubscribe
            problem = act(connection, wanted)
            if problem:
                self._streams.tell(connection, "error", f"{problem}: {orjson.dumps(wanted).decode()}", kind="reply")
        elif method == "post" and isinstance(asked.get("request"), dict):
            self._post(connection, asked.get("id"), asked["request"])
        else:
            self._streams.tell(connection, "error", f"Error parsing JSON into valid websocket request: {text}", kind="reply")

    def _post(self, connection: Connection, number: Any, request: dict[str, Any]) -> None:
        """Do a request that came over the WebSocket, or let it wait for the end of its block."""
        kind, payload = request.get("type"), request.get("payload")
        if kind == "info" and isinstance(payload, dict):
            reply = self._answer_info(payload)
            body = {"type": payload.get("type"), "data": reply.body}
            self._posted(connection, number, Reply(body if reply.status == 200 else reply.body, reply.status), "info")
            return
        try:
            action = convert_request(payload)
            group = 1 if cancels(action_of(action)) else 2 * takes(action_of(action))
        except DECODE_ERRORS:
            self._posted(connection, number, unreadable(), "action")
            return
        self._waiting.append((group, connection, number, action))
        if not self.rules.in_block_ordering:
            self._act()

    def _posted(self, connection: Connection, number: Any, reply: Reply, kind: str) -> None:
        response = {"type": kind if reply.status == 200 else "error", "payload": reply.body}
        self._streams.tell(connection, "post", {"id": number, "response": response}, kind="reply")

    def _act(self) -> None:
        """Act on the posts of a block: what takes nothing, cancels, what may take."""
        waiting, self._waiting = self._waiting, []
        for _, connection, number, action in sorted(waiting, key=lambda one: one[0]):
            self._posted(connection, number, self._exchange.answer(action), "action")
        self._streams.flush()

    def tick(self, now_ns: int) -> None:
        """Cancel what a dead man's switch is due for; at the end of a block send its frames."""
        self._exchange.due()
        if now_ns >= self._block_ns:
            self._block_ns = now_ns + round(self.rules.block_s * 1e9)
            self._act()
            self._streams.block(now_ns)
        self._streams.flush()


def _decoded(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _batch(action: Any) -> int:
    """Return how many orders or cancels an action holds, before it is known to be one."""
    return max((len(value) for value in action.values() if isinstance(value, list)), default=0) if isinstance(action, dict) else 0

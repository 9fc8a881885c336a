"""ws-api: the REST endpoints over a WebSocket, each request signed by itself, and the subscriptions to user events."""

from typing import Any

import orjson

from hftlab.venues.server.binance_common import NONE, SIGNED, Call, Denied, House, Params, Route, Routes
from hftlab.venues.server.binance_limits import Limits
from hftlab.venues.server.binance_signing import authorize, signed_params
from hftlab.venues.server.binance_user import UserStreams
from hftlab.venues.server.skin import Connection

SPOT_METHODS = {
    "ping": ("GET", "/api/v3/ping"),
    "time": ("GET", "/api/v3/time"),
    "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
    "depth": ("GET", "/api/v3/depth"),
    "trades.recent": ("GET", "/api/v3/trades"),
    "trades.historical": ("GET", "/api/v3/historicalTrades"),
    "trades.aggregate": ("GET", "/api/v3/aggTrades"),
    "klines": ("GET", "/api/v3/klines"),
    "uiKlines": ("GET", "/api/v3/uiKlines"),
    "avgPrice": ("GET", "/api/v3/avgPrice"),
    "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
    "ticker.price": ("GET", "/api/v3/ticker/price"),
    "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.status": ("GET", "/api/v3/order"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "/api/v3/order/amend/keepPriority"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "account.status": ("GET", "/api/v3/account"),
    "account.commission": ("GET", "/api/v3/account/commission"),
    "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
    "userDataStream.start": ("POST", "/api/v3/userDataStream"),
    "userDataStream.ping": ("PUT", "/api/v3/userDataStream"),
    "userDataStream.stop": ("DELETE", "/api/v3/userDataStream"),
}
FUTURES_METHODS = {
    "ping": ("GET", "/fapi/v1/ping"),
    "time": ("GET", "/fapi/v1/time"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v1/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "openOrders.status": ("GET", "/fapi/v1/openOrders"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
}
OPEN_WEIGHT = {True: 2, False: 5}  # what a connection costs


class WsApi:
    """Requests and answers of ws-api connections."""

    def __init__(self, house: House, limits: Limits, routes: Routes, users: UserStreams) -> None:
        self.house, self.limits, self.users = house, limits, users
        methods = SPOT_METHODS if house.spot else FUTURES_METHODS
        self._routes: dict[str, Route] = {name: routes[where] for name, where in methods.items()}
        self._sessions: dict[str, Any] = {
            "session.logon": (SIGNED, self._logon),
            "session.status": (NONE, self._session),
            "session.logout": (NONE, self._session),
        }
        if house.spot:
            self._sessions |= {
                "userDataStream.subscribe.signature": (SIGNED, self._subscribe),
                "userDataStream.unsubscribe": (NONE, self._unsubscribe),
            }

    @property
    def methods(self) -> list[str]:
        """Return the names of all methods."""
        return [*self._routes, *self._sessions]

    def opened(self, connection: Connection) -> None:
        """Count a new connection against its address's weight; one too many is closed."""
        connection.state.update(wsapi=True, since_ms=self.house.now_ms())
        try:
            self.limits.spend(connection.client, OPEN_WEIGHT[self.house.spot], self.house.core.now_ns())
        except Denied as denied:
            connection.close(1008, denied.text[:100])

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.users.closed(connection)

    def message(self, connection: Connection, text: str) -> None:
        """Answer one request."""
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            error = {"code": -1135, "msg": "Invalid JSON Request"}
            self._send(connection, {"id": None, "status": 400, "error": error})
            return
        number, raw = request.get("id"), request.get("params") or {}
        params = Params.of_json(raw if isinstance(raw, dict) else {})
        method, account, answer = str(request.get("method")), "", {}
        counted, status = False, 200
        try:
            weight, security, counted = self._needs(method, params)
            self.limits.spend(connection.client, weight, self.house.core.now_ns())
            account = authorize(self.house, security, params.get("apiKey"), params, signed_params(params.values))
            answer = {"result": self._act(connection, method, Call(params, account, connection.client))}
        except Denied as denied:
            status, body = denied.status, denied.body()
            if "Retry-After" in denied.headers:
                now_ms = self.house.now_ms()
                body["data"] = {"serverTime": now_ms, "retryAfter": now_ms + 1000 * int(denied.headers["Retry-After"])}
            answer = {"error": body}
        rates = {}
        if params.get("returnRateLimits") != "false":
            rates["rateLimits"] = self.limits.counted(connection.client, account if counted else "", self.house.core.now_ns())
        self._send(connection, {"id": number, "status": status, **answer, **rates})

    def _needs(self, method: str, params: Params) -> tuple[int, str, bool]:
        if method in self._routes:
            route = self._routes[method]
            return route.weight_of(params), route.security, route.orders
        if method not in self._sessions:
            raise Denied(-5000, f"Method {method} is invalid")
        return 2, self._sessions[method][0], False

    def _act(self, connection: Connection, method: str, call: Call) -> Any:
        if method in self._routes:
            return self._routes[method].handler(call)
        return self._sessions[method][1](connection, call)

    @staticmethod
    def _send(connection: Connection, answer: dict[str, Any]) -> None:
        connection.send(orjson.dumps(answer).decode(), stream="", kind="reply")

    # --- what only a connection can do ---
    def _logon(self, connection: Connection, call: Call) -> None:
        raise Denied(-4056, "HMAC_SHA256 API key is not supported.")

    def _session(self, connection: Connection, call: Call) -> dict[str, Any]:
        times = {"connectedSince": connection.state["since_ms"], "serverTime": self.house.now_ms()}
        return {"apiKey": None, "authorizedSince": None, **times, "returnRateLimits": True, "userDataStream": False}

    def _subscribe(self, connection: Connection, call: Call) -> dict[str, int]:
        return {"subscriptionId": self.users.subscribe(connection, call.account)}

    def _unsubscribe(self, connection: Connection, call: Call) -> dict[str, Any]:
        number = call.params.get("subscriptionId")
        self.users.unsubscribe(connection, int(number) if number.isdigit() else None)
        return {}

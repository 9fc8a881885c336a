"""The protocol skins of Binance spot and USDⓈ-M over one core: their endpoints, limits and streams put together."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from hftlab.venues.server.binance_candles import Candles
from hftlab.venues.server.binance_common import Call, Denied, House, Params, Routes
from hftlab.venues.server.binance_frames import Frames
from hftlab.venues.server.binance_info import Info
from hftlab.venues.server.binance_limits import SECOND, Limits, OrderLimit
from hftlab.venues.server.binance_market import MarketData
from hftlab.venues.server.binance_signing import authorize, signed_text
from hftlab.venues.server.binance_spot_account import SpotAccount
from hftlab.venues.server.binance_spot_rest import SpotOrders
from hftlab.venues.server.binance_streams import Streams
from hftlab.venues.server.binance_usdm_account import UsdmAccount
from hftlab.venues.server.binance_usdm_rest import UsdmOrders
from hftlab.venues.server.binance_user import UserStreams
from hftlab.venues.server.binance_wsapi import WsApi
from hftlab.venues.server.model import Core, DepthDiff, Event, OrderEvent, Print, Touch
from hftlab.venues.server.skin import Connection, Faults, Reply, Request

SPOT_ORDERS = (("SECOND", 10, 100), ("DAY", 1, 200_000))
FUTURES_ORDERS = (("SECOND", 10, 300), ("MINUTE", 1, 1200))
KEY_LIFE_S = 3600.0
DIALS_MAX, DIALS_NS = 300, 300 * SECOND
WSAPI_PATHS = ("/ws-api/", "/ws-fapi/")


class BinanceSkin:
    """What both skins do. Implements `hftlab.venues.server.skin.Skin`; options are limits that the real venue has set for good.

    `weight_max` per minute and address, `orders` per account as (SECOND, MINUTE or DAY, how many of them, orders), `key_life_s` of a
    listen key, `dials_max` WebSockets per address in five minutes; `old_paths` lets futures streams come over connections without /public, /market or /private, as they did until 2026.
    """

    name: str
    hosts: tuple[str, ...]
    spot = True
    messages_per_s_max = 5

    def __init__(
        self,
        core: Core,
        faults: Faults,
        *,
        weight_max: int,
        orders: Sequence[tuple[str, int, int]],
        key_life_s: float = KEY_LIFE_S,
        dials_max: int = DIALS_MAX,
        old_paths: bool = False,
    ) -> None:
        self.core, self.faults = core, faults
        self.house = House(core, faults, self.spot)
        self.limits = Limits(weight_max, tuple(OrderLimit(*one) for one in orders), credit=self.spot)
        self._wallet_limits = Limits(12_000, header="X-SAPI-USED-IP-WEIGHT-1M")
        self.dials_max = dials_max
        self._dials: dict[str, deque[int]] = {}
        self.candles = Candles()
        for symbol in core.instruments:
            for one in core.prints(symbol):
                self.candles.add(one, self.house.ms(one.ts_ns))
        frames = Frames(self.house, self.candles)
        self.users = UserStreams(self.house, round(key_life_s * SECOND))
        self.streams = Streams(self.house, frames, self.users, messages_per_s_max=self.messages_per_s_max, old_paths=old_paths)
        self.routes: Routes = {
            **Info(self.house, self.limits).routes(),
            **MarketData(self.house, self.candles).routes(),
            **self.users.routes(),
            **self._trading(),
        }
        self.wsapi = WsApi(self.house, self.limits, self.routes, self.users)
        core.listen(self._heard)

    def _trading(self) -> Routes:
        raise AssertionError("a skin trades")

    # --- requests ---
    def kind(self, request: Request) -> str:
        """Return the class of a request: order, amend, cancel, query, account, market or other."""
        route = self.routes.get((request.method, request.path))
        return route.kind if route else "other"

    def http(self, request: Request) -> Reply:
        """Answer one request, at once."""
        route, now_ns = self.routes.get((request.method, request.path)), self.core.now_ns()
        limits = self._wallet_limits if request.path.startswith("/sapi/") else self.limits
        account, body, status = "", None, 200
        headers: dict[str, str] = {}
        try:
            text = request.body.decode("utf-8", "replace")
            params = Params.parse(request.query, text)
            limits.spend(request.client, route.weight_of(params) if route else 1, now_ns)
            if route is None:
                raise Denied(-5000, f"Path {request.path}, Method {request.method} is invalid", 404)
            key = request.headers.get("x-mbx-apikey", "")
            account = authorize(self.house, route.security, key, params, signed_text(request.query, text))
            body = route.handler(Call(params, account, request.client))
        except Denied as denied:
            body, status, headers = denied.body(), denied.status, denied.headers
        counted = account if route and route.orders else ""
        return Reply(body, status, {**limits.headers(request.client, counted, now_ns), **headers})

    # --- sockets ---
    def opened(self, connection: Connection) -> None:
        """Take note of a new WebSocket; one too many from an address is closed at once."""
        dials, now_ns = self._dials.setdefault(connection.client, deque()), self.core.now_ns()
        dials.append(now_ns)
        while dials[0] <= now_ns - DIALS_NS:
            dials.popleft()
        if len(dials) > self.dials_max:
            connection.close(1008, "Too many requests")
        if connection.path.startswith(WSAPI_PATHS):
            self.wsapi.opened(connection)
        else:
            self.streams.opened(connection)

    def message(self, connection: Connection, text: str) -> None:
        """Take one text frame of the client."""
        if connection.state.get("wsapi"):
            self.wsapi.message(connection, text)
        else:
            self.streams.message(connection, text)

    def closed(self, connection: Connection) -> None:
        """Forget a WebSocket."""
        if not connection.state.get("wsapi"):
            self.streams.closed(connection)
        self.users.closed(connection)

    # --- time and events ---
    def tick(self, now_ns: int) -> None:
        """Do what is due: batched frames, expiry of keys."""
        self.streams.tick(now_ns)
        self.users.tick(now_ns)

    def _heard(self, event: Event) -> None:
        """Pass an event of the core on to whom it concerns."""
        if isinstance(event, DepthDiff):
            self.streams.depth(event)
        elif isinstance(event, Touch):
            self.streams.touch(event)
        elif isinstance(event, Print):
            self.candles.add(event, self.house.ms(event.ts_ns))
            self.streams.trade(event)
        elif isinstance(event, OrderEvent):
            self._order(event)
        else:
            self.users.account(event)

    def _order(self, event: OrderEvent) -> None:
        fill = event.fill
        if fill is not None and event.order.filled_lots == fill.qty_lots:
            self.limits.filled(event.order.account, event.ts_ns, maker=fill.maker)
        self.users.order(event)


class BinanceSpot(BinanceSkin):
    """Binance spot."""

    name = "binance"
    hosts: tuple[str, ...] = ("api.binance.com", "stream.binance.com", "ws-api.binance.com", "data-stream.binance.vision")

    def __init__(self, core: Core, faults: Faults, **options: Any) -> None:
        super().__init__(core, faults, **{"weight_max": 6000, "orders": SPOT_ORDERS, **options})

    def _trading(self) -> Routes:
        return {**SpotOrders(self.house, self.limits).routes(), **SpotAccount(self.house).routes()}


class BinanceUsdm(BinanceSkin):
    """Binance USDⓈ-M futures."""

    name = "binanceusdm"
    hosts: tuple[str, ...] = ("fapi.binance.com", "fstream.binance.com", "ws-fapi.binance.com", "dapi.binance.com")
    spot = False
    messages_per_s_max = 10

    def __init__(self, core: Core, faults: Faults, **options: Any) -> None:
        super().__init__(core, faults, **{"weight_max": 2400, "orders": FUTURES_ORDERS, **options})

    def _trading(self) -> Routes:
        self.orders = UsdmOrders(self.house, self.limits)
        return {**self.orders.routes(), **UsdmAccount(self.house).routes()}

    def tick(self, now_ns: int) -> None:
        """Do what is due: countdowns first, so that their frames go out in the same turn."""
        self.orders.tick(now_ns)
        super().tick(now_ns)

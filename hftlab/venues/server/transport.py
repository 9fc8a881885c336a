"""The sockets of the loopback exchange: a plain port, a TLS port and a CONNECT proxy in front of the skins.

Plain: the first part of the path names the skin and is taken off. TLS: the Host header names it and the path is the venue's own.
Everything (cores, skins, faults, sockets) lives on one event loop: a skin never sees two things happen at once.
"""

import asyncio
import itertools
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from hftlab.venues.server.connections import Socket, reset
from hftlab.venues.server.fate import Nothing, Plan
from hftlab.venues.server.proxy import Proxy
from hftlab.venues.server.refusals import refusal_frame
from hftlab.venues.server.skin import Reply, Request, Skin

LOOPBACK = "127.0.0.1"
TICK_S = 0.002
PULSE_S = 0.1
SHUTDOWN_S = 0.2
SETTLE_S = 0.02
CONTROL = "_venue"
PORTS = ("plain", "tls", "proxy", "control")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a venue treats its WebSockets: seconds between pings, until a missing pong ends it, and of its life (0: never)."""

    ping_s: float = 0.0
    pong_s: float = 0.0
    life_s: float = 0.0


# venues.md section 4: spot pings every 20 s and waits a minute, futures every 3 minutes and waits 10; Hyperliquid leaves it to the client.
PACES = {"binance": Pace(20.0, 60.0, 86_400.0), "binanceusdm": Pace(180.0, 600.0, 86_400.0), "hyperliquid": Pace()}


class Transport:
    """Sockets over skins. `clock` gives ns UTC, `advance(now_ns)` moves the markets. All methods belong to the loop's thread."""

    def __init__(
        self,
        skins: Sequence[Skin],
        clock: Callable[[], int],
        advance: Callable[[int], None],
        faults: Nothing | None = None,
        *,
        paces: Mapping[str, Pace] | None = None,
        acted: Callable[[], None] = lambda: None,
    ) -> None:
        """`acted` is called after everything that may have changed a core, before anybody is told of it."""
        self.skins = {skin.name: skin for skin in skins}
        self.hosts = {host: skin for skin in skins for host in skin.hosts}
        self.paces = {**PACES, **(paces or {})}
        self.faults = faults or Nothing()
        self.sockets: dict[int, Socket] = {}
        self.ports: dict[str, int] = {}
        self.served = 0
        self.defects: list[Exception] = []
        self._wanted = True
        self._clock, self._advance, self._acted = clock, advance, acted
        self._control: Callable[[Request], Awaitable[Reply]] | None = None
        self._numbers = itertools.count(1)
        self._server: web.Server
        self._door: web.Server  # the control port's: what resets the clients' connections leaves it alone
        self._proxy: Proxy | None = None
        self._listeners: list[asyncio.Server] = []
        self._control_listener: asyncio.Server
        self._tls: ssl.SSLContext | None = None

    # --- opening and closing ---
    async def open(
        self,
        ports: Mapping[str, int],
        tls: ssl.SSLContext | None = None,
        control: Callable[[Request], Awaitable[Reply]] | None = None,
    ) -> None:
        """Listen on 127.0.0.1. `ports`: plain, control, tls, proxy; 0 chooses one, which `ports` of this object then names."""
        self._tls, self._control = tls, control
        self._server, self._door = web.Server(self._handle, access_log=None), web.Server(self._handle, access_log=None)
        self.ports = {name: ports.get(name, 0) for name in PORTS if tls is not None or name not in {"tls", "proxy"}}
        self._control_listener = await asyncio.get_running_loop().create_server(self._door, sock=self._bind("control"))
        await self._listen()

    def _bind(self, name: str) -> socket.socket:
        sock = socket.create_server((LOOPBACK, self.ports[name]), backlog=1024)
        self.ports[name] = sock.getsockname()[1]
        return sock

    async def _listen(self) -> None:
        """Open the clients' ports, the same ones each time."""
        loop = asyncio.get_running_loop()
        for name in self.ports:
            if name == "proxy":
                self._proxy = Proxy(self.hosts.__contains__, self.ports["tls"])
                self._listeners.append(await asyncio.start_server(self._proxy, sock=self._bind(name)))
            elif name != "control":
                self._listeners.append(
                    await loop.create_server(self._server, sock=self._bind(name), ssl=self._tls if name == "tls" else None)
                )

    def shut(self) -> None:
        """Refuse new connections and reset all that are open: what clients see when the venue's machine dies. Control stays open."""
        self._wanted = False
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self.reset_all()

    def reopen(self) -> None:
        """Open the ports again, within a tenth of a second."""
        self._wanted = True

    def reset_all(self) -> None:
        """Reset every connection of a client, the idle ones of HTTP too."""
        for handler in self._server.connections:
            reset(handler.transport)
        if self._proxy is not None:
            self._proxy.reset()

    async def close(self) -> None:
        """End everything."""
        self.shut()
        self._control_listener.close()
        await self._server.shutdown(SHUTDOWN_S)
        await self._door.shutdown(SHUTDOWN_S)
        if self._proxy is not None:
            await self._proxy.close()
        # A reset that came through the proxy reaches the TLS side one turn of the loop later, and its socket is closed the turn after.
        await asyncio.sleep(SETTLE_S)

    # --- time ---
    async def tick(self) -> None:
        """Move the markets, the faults and the skins, for ever."""
        while True:
            now_ns = self._clock()
            self._advance(now_ns)
            self.faults.tick(now_ns)
            for skin in self.skins.values():
                skin.tick(skin.core.now_ns())
            self._acted()
            await asyncio.sleep(TICK_S)

    async def pulse(self) -> None:
        """Ping the clients, cut off those that do not answer or are too old, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            if self._wanted and not self._listeners:
                await self._listen()
                if not self._wanted:
                    self.shut()
            for connection in list(self.sockets.values()):
                self._keep(connection, self.paces.get(connection.skin, Pace()), loop.time())
            await asyncio.sleep(PULSE_S)

    def _keep(self, connection: Socket, pace: Pace, now_s: float) -> None:
        if pace.life_s and now_s - connection.opened_s >= pace.life_s:
            connection.close(1001, "connection lifetime")
        elif pace.pong_s and now_s - max(connection.ponged_s, connection.opened_s) >= pace.ping_s + pace.pong_s:
            connection.close(1008, "Pong timeout")
        elif pace.ping_s and now_s - connection.pinged_s >= pace.ping_s:
            connection.ping(str(self._clock() // 1_000_000).encode())

    # --- requests ---
    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        target, _, query = http.raw_path.partition("?")
        if http.transport is None:
            return web.Response()  # the client was gone before its request was read
        secure = http.transport.get_extra_info("ssl_object") is not None
        if secure:
            skin, path = self.hosts.get(http.host.rsplit(":", 1)[0].lower()), target
        else:
            name, _, rest = target.lstrip("/").partition("/")
            skin, path = self.skins.get(name), "/" + rest
        body = await http.read()
        client = str(http.transport.get_extra_info("peername")[0]) if http.transport else ""
        headers = {name.lower(): value for name, value in http.headers.items()}
        request = Request(http.method, path, query, headers, body, client)
        if skin is not None and headers.get("upgrade", "").lower() == "websocket":
            return await self._websocket(skin, request, http)
        if skin is not None:
            return await self._http(skin, request, http)
        if not secure and self._control is not None and target.lstrip("/").startswith(CONTROL):
            reply = await self._control(request)
            self._acted()
            return _response(reply)
        known = f"hosts are {', '.join(self.hosts)}" if secure else f"the first part of the path is one of {', '.join(self.skins)}"
        return _response(Reply({"error": f"{http.host}{target} names no venue; {known}."}, 404))

    async def _http(self, skin: Skin, request: Request, http: web.BaseRequest) -> web.StreamResponse:
        self.served += 1
        plan = self.faults.request(skin, request, skin.kind(request))
        if plan.before_s:
            await asyncio.sleep(plan.before_s)
        if plan.reset_before:
            reset(http.transport)
            return web.Response()
        reply = plan.instead or self._ask(skin, request)
        delay_s = plan.after_s + self.faults.reply_delay_s(skin)
        if delay_s:
            await asyncio.sleep(delay_s)
        if plan.reset_after or plan.silent:
            reset(http.transport)
            return web.Response()
        return _response(plan.answer or reply)

    def _ask(self, skin: Skin, request: Request) -> Reply:
        try:
            reply = skin.http(request)
            self._acted()
        except Exception as error:  # why: a defect of a skin must not look like a fault of the venue; whoever stops the venue is told
            self.defects.append(error)
            return Reply({"error": f"{type(error).__name__}: {error}"}, 500)
        return reply

    async def _websocket(self, skin: Skin, request: Request, http: web.BaseRequest) -> web.StreamResponse:
        if self.faults.dial(skin, request.path):
            reset(http.transport)
            return web.Response()
        connection = Socket(next(self._numbers), skin.name, request.path, request.query, request.client, self.faults)
        self.sockets[connection.number] = connection
        try:
            response: web.StreamResponse = await connection.serve(http, partial(self._message, skin), partial(self._told, skin.opened))
        finally:
            del self.sockets[connection.number]
            self._told(skin.closed, connection)
            self.faults.forget(connection)
        return response

    def _message(self, skin: Skin, connection: Socket, text: str) -> None:
        plan = self.faults.message(skin, connection, text)
        if plan is None:
            self._told(skin.message, connection, text)
        elif plan.before_s:
            asyncio.get_running_loop().call_later(plan.before_s, self._deliver, skin, connection, text, plan)
        else:
            self._deliver(skin, connection, text, plan)

    def _deliver(self, skin: Skin, connection: Socket, text: str, plan: Plan) -> None:
        """Let a request that came over a WebSocket have its fate."""
        if connection.closing:
            return
        if plan.reset_before:
            connection.reset()
            return
        connection.muted = plan.silent or plan.answer is not None
        if plan.instead is None:
            self._told(skin.message, connection, text)
        connection.muted = False
        if plan.reset_after:
            connection.reset()
        elif (said := plan.instead or plan.answer) is not None and not plan.silent:
            connection.send(refusal_frame(skin.name, json.loads(text), said), stream="reply", kind="reply")

    def _told(self, tell: Callable[..., None], connection: Socket, *what: str) -> None:
        try:
            tell(connection, *what)
            self._acted()
        except Exception as error:  # why: as in _ask
            self.defects.append(error)
            connection.reset()


def _response(reply: Reply) -> web.Response:
    """Return a reply on the wire; bytes are sent as they are, anything else as compact JSON."""
    body: Any = reply.body
    data = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json;charset=UTF-8", **reply.headers}
    return web.Response(body=data, status=reply.status, headers=headers)

"""Binance's user streams: what the venue tells about our orders without being asked.

Spot: a signed subscription on the ws-api. USDⓈ-M: a listen key, kept alive by our own PUT, and the private stream under it.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal

import msgspec

from hftlab.errors import VenueDown, VenueRefused
from hftlab.venues.live.binance_decode import Decoder, Report
from hftlab.venues.live.binance_rejects import judge
from hftlab.venues.live.binance_rest import BinanceRest
from hftlab.venues.live.binance_sign import Encoder
from hftlab.venues.live.link import Connection, Link
from hftlab.venues.live.model import Endpoint, Outcome, Payment, StreamDown, StreamUp, VenueEvent

KEEPALIVE_S = 20 * 60.0  # a key lives for 60 minutes
KEEPALIVE_RETRY_S = 30.0
GREET_S = 5.0
FUNDING_WAITS_S = (0.0, 2.0, 10.0, 60.0)


class _Head(msgspec.Struct):
    """Enough of any message to know what it is."""

    e: str = ""
    event: msgspec.Raw = msgspec.Raw()  # ws-api: the event itself
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()  # combined streams
    id: str | int | None = None
    status: int = 0


class _OrderUpdate(msgspec.Struct):
    o: Report


class _Change(msgspec.Struct):
    m: str


class _AccountUpdate(msgspec.Struct):
    a: _Change


_HEAD = msgspec.json.Decoder(_Head)
_REPORT = msgspec.json.Decoder(Report)
_ORDER_UPDATE = msgspec.json.Decoder(_OrderUpdate)
_ACCOUNT_UPDATE = msgspec.json.Decoder(_AccountUpdate)


class BinanceUser:
    """Follows one account; `tell` gets StreamUp, StreamDown, fills, orders and payments."""

    def __init__(
        self,
        endpoint: Endpoint,
        rest: BinanceRest,
        encoder: Encoder,
        decoder: Decoder,
        tell: Callable[[VenueEvent], None],
        now_ms: Callable[[], int],
        sync: Callable[[], Awaitable[object]],
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._endpoint, self._rest, self._encoder, self._decoder = endpoint, rest, encoder, decoder
        self._tell, self._now_ms, self._sync = tell, now_ms, sync
        self._spot = endpoint.venue == "binance"
        self._greeting: asyncio.Future[tuple[int, bytes]] | None = None
        self.payments_since_ms = 0  # 0: since it runs
        self._payments_from_ms = 0
        self._funding = asyncio.Event()
        where = self._spot_address if self._spot else self._private_address
        self.link = Link(where, self._heard, self._greet, self._fell, ssl_context=ssl_context, proxy=endpoint.proxy)

    async def run(self) -> None:
        """Follow until cancelled."""
        self._payments_from_ms = self.payments_since_ms or self._now_ms()
        works: list[Awaitable[None]] = [self.link.run()]
        if not self._spot:
            works += [self._keep_alive(), self._follow_funding()]
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)  # type: ignore[arg-type] # they are coroutines

    # --- connection ---
    async def _spot_address(self) -> str:
        await self._sync()
        return self._endpoint.urls["private"]

    async def _private_address(self) -> str:
        await self._sync()
        reply = await self._rest.ask("POST", "/fapi/v1/listenKey", signed=False)
        return f"{self._endpoint.urls['private']}/ws?listenKey={reply['listenKey']}"

    async def _greet(self, connection: Connection) -> None:
        """Sign in where that is done on the socket, then say that the stream stands."""
        if self._spot:
            self._greeting = asyncio.get_running_loop().create_future()
            connection.send(self._encoder.query("user", "userDataStream.subscribe.signature", {}, self._now_ms()))
            try:
                async with asyncio.timeout(GREET_S):
                    status, text = await self._greeting
            finally:
                self._greeting = None
            if status != 200:
                _raise_refusal(status, text)
        self._tell(StreamUp())
        self._funding.set()  # what was paid while nobody listened

    def _fell(self, why: str) -> None:
        self._tell(StreamDown(why))

    async def _keep_alive(self) -> None:
        """Prolong the listen key; a key that the venue no longer knows is replaced by dialling again."""
        wait_s = KEEPALIVE_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = KEEPALIVE_S
            if not self.link.is_up:
                continue
            try:
                await self._rest.ask("PUT", "/fapi/v1/listenKey", signed=False)
            except VenueRefused as error:
                self._drop(f"the listen key could not be prolonged: {error}")
            except VenueDown:
                wait_s = KEEPALIVE_RETRY_S

    def _drop(self, why: str) -> None:
        if self.link.current is not None:
            self.link.current.drop(why)

    # --- messages ---
    def _heard(self, text: bytes) -> None:
        head = _HEAD.decode(text)
        body: bytes | msgspec.Raw = text
        if inner := (head.event or head.data):
            body, head = inner, _HEAD.decode(inner)
        if head.e == "executionReport":
            self._say(_REPORT.decode(body))
        elif head.e == "ORDER_TRADE_UPDATE":
            self._say(_ORDER_UPDATE.decode(body).o)
        elif head.e == "ACCOUNT_UPDATE":
            if _ACCOUNT_UPDATE.decode(body).a.m == "FUNDING_FEE":
                self._funding.set()
        elif head.e in {"listenKeyExpired", "eventStreamTerminated", "serverShutdown"}:
            self._drop(f"the venue says {head.e}")
        elif head.id == "user" and self._greeting is not None and not self._greeting.done():
            self._greeting.set_result((head.status, bytes(text)))

    def _say(self, report: Report) -> None:
        for event in self._decoder.report(report):
            self._tell(event)

    # --- funding ---
    async def _follow_funding(self) -> None:
        """Ask what was paid when the stream says that something was: it names neither the contract nor the payment."""
        while True:
            await self._funding.wait()
            self._funding.clear()
            for wait_s in FUNDING_WAITS_S:  # the list of payments may be behind the stream
                await asyncio.sleep(wait_s)
                with suppress(VenueDown):  # asked again with the next payment, from the same moment on
                    if await self._tell_payments():
                        break

    async def _tell_payments(self) -> int:
        """Tell every payment since the last one known, that one included; return how many are later."""
        known_ms = self._payments_from_ms
        params = {"incomeType": "FUNDING_FEE", "startTime": known_ms, "limit": 1000}
        rows = await self._rest.ask("GET", "/fapi/v1/income", params)
        for row in rows:
            self._payments_from_ms = max(self._payments_from_ms, int(row["time"]))
            number = self._decoder.index.get(row["symbol"])
            if number is not None:
                amount, ts_ns = -Decimal(row["income"]), int(row["time"]) * 1_000_000
                self._tell(Payment(f"{row['symbol']}:{row['tranId']}", number, amount, row["asset"], ts_ns))
        return sum(int(row["time"]) > known_ms for row in rows)


def _raise_refusal(status: int, text: bytes) -> None:
    """Raise what a refused subscription means."""
    error = msgspec.json.decode(text).get("error", {})
    code, words = int(error.get("code", 0)), str(error.get("msg", ""))
    outcome, reason = judge(status, code, words)
    shown = f"the user stream was refused: status {status}, code {code}, {words}"
    if outcome == Outcome.REJECTED and reason is not None and reason.name != "CLOCK":
        raise VenueRefused(shown, reason.value)
    raise VenueDown(shown)

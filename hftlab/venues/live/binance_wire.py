"""Orders at Binance, spot and USDⓈ-M, the short way: a signed message put together by hand, one ws-api socket, answers by number.

Policy is the gateway's: nothing is sent twice here. What was sent and not answered, because time ran out or the socket fell, is UNSURE.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hftlab.errors import VenueDown
from hftlab.instrument import Instrument
from hftlab.venues.live.binance_account import BinanceAccount
from hftlab.venues.live.binance_decode import Decoder
from hftlab.venues.live.binance_rejects import judge
from hftlab.venues.live.binance_rest import BinanceRest
from hftlab.venues.live.binance_sign import Encoder, Signer
from hftlab.venues.live.binance_user import BinanceUser
from hftlab.venues.live.budgets import BUDGETS, cost_of
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.link import Connection, Link, supervised
from hftlab.venues.live.model import Answer, Broken, Endpoint, OrderRequest, OrderState, Outcome, Reject, StreamDown, VenueEvent, VenueFill

DEADLINE_S = 5.0
OPEN_S = 15.0

_INTERVALS = {"SECOND": ("s", 1.0), "MINUTE": ("m", 60.0), "HOUR": ("h", 3600.0), "DAY": ("d", 86_400.0)}
_KINDS = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders"}


class _RateLimit(msgspec.Struct):
    rateLimitType: str  # noqa: N815 # the venue's name
    interval: str
    intervalNum: int  # noqa: N815 # the same
    limit: float
    count: float = 0.0


class _Error(msgspec.Struct):
    code: int = 0
    msg: str = ""
    data: dict[str, Any] | None = None


class _Reply(msgspec.Struct):
    id: int | str | None = None
    status: int = 0
    result: dict[str, Any] | None = None
    error: _Error | None = None
    rateLimits: list[_RateLimit] = []  # noqa: N815 # the venue's name; msgspec copies a default


_REPLY = msgspec.json.Decoder(_Reply)
_NOTHING: Mapping[str, float] = {}


def _nobody(event: VenueEvent) -> None:
    """Stand in until the gateway listens."""


class BinanceWire:
    """`Wire` for `binance` and `binanceusdm`."""

    def __init__(
        self,
        endpoint: Endpoint,
        instruments: tuple[Instrument, ...],
        keys: Keys,
        clock_ns: Callable[[], int],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.venue, self.instruments = endpoint.venue, instruments
        self.amends = "in_place"  # spot: the only amend it has, a smaller size at the same price (`order.amend.keepPriority`)
        self.dead_man = endpoint.venue == "binanceusdm"
        self.payments_since_ns = 0
        self.on_event: Callable[[VenueEvent], None] = _nobody
        self._endpoint = endpoint
        self._clock_ns, self._offset_ns, self._deadline_s = clock_ns, 0, deadline_s
        signer = Signer(keys)
        self._encoder, self._decoder = Encoder(self.venue, instruments, signer), Decoder(instruments)
        self._rest = BinanceRest(endpoint, signer, self._now_ms)
        self._account = BinanceAccount(self._rest, self._decoder, self.venue)
        self._budgets = dict(BUDGETS[self.venue])
        context = ssl.create_default_context(cafile=endpoint.ca_file or None) if endpoint.urls["api"].startswith("wss") else None
        self._link = Link(self._address, self._heard, self._greet, self._fell, ssl_context=context, proxy=endpoint.proxy)
        self._api_url = endpoint.urls["api"]
        self._user = BinanceUser(endpoint, self._rest, self._encoder, self._decoder, self._tell, self._now_ms, self.server_time_ns, context)
        self._waiting: dict[int, OrderRequest] = {}
        self._deadlines: deque[tuple[float, int]] = deque()  # in order: every request has the same time
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._opened: asyncio.Future[None] | None = None

    # --- life ---
    async def open(self) -> None:
        """Connect both sockets; returns when orders can be sent and the user stream stands. Raises VenueDown after 15 s."""
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._user.payments_since_ms = self.payments_since_ns // 1_000_000
        self._tasks = [
            supervised(self._link.run(), f"{self.venue} orders", self._broke),
            supervised(self._user.run(), f"{self.venue} user stream", self._broke),
        ]
        try:
            async with asyncio.timeout(OPEN_S):
                await self._opened
        except TimeoutError:
            await self.close()
            raise VenueDown(f"{self.venue} did not let us in within {OPEN_S:g} s; is {self._api_url} reachable from here?") from None
        except BaseException:  # why: whatever it was, nothing may stay open; it is raised again
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect. Cancels nothing; what is unanswered stays unsure."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # an exception among them has been told by `_broke`
        self._tasks = []
        self._lose_all("the wire was closed")
        await self._rest.close()

    async def _address(self) -> str:
        return self._api_url

    async def _greet(self, connection: Connection) -> None:
        asyncio.get_running_loop().call_soon(self._look_open)

    def _look_open(self) -> None:
        if self._opened is not None and not self._opened.done() and self._link.is_up and self._user.link.is_up:
            self._opened.set_result(None)

    def _tell(self, event: VenueEvent) -> None:
        self.on_event(event)
        if self._opened is not None and not self._opened.done():
            asyncio.get_running_loop().call_soon(self._look_open)

    def _broke(self, error: BaseException) -> None:
        """A background task ended by an exception: whoever opens hears it; later the stream is down and the wire broken."""
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(_first_of(error))
            return
        self.on_event(StreamDown(f"defect: {_first_of(error)!r}"))
        self.on_event(Broken(_first_of(error)))

    # --- requests ---
    def _now_ms(self) -> int:
        return (self._clock_ns() + self._offset_ns) // 1_000_000

    def encode(self, request: OrderRequest) -> bytes:
        """Return the message without key, time and signature."""
        return self._encoder.plain(request)

    def send(self, request: OrderRequest) -> bytes:
        """Sign and send. Never blocks, never raises."""
        text = self._encoder.signed(request, self._now_ms())
        if not self._link.send(text):
            answer = Answer(request.number, Outcome.NOT_SENT, text="the order socket is down")
            asyncio.get_running_loop().call_soon(self.on_event, answer)
            return b""
        loop = self._loop
        self._waiting[request.number] = request
        self._deadlines.append((loop.time() + self._deadline_s, request.number))
        if self._timer is None:
            self._timer = loop.call_later(self._deadline_s, self._expire)
        return text

    def _expire(self) -> None:
        """Give up on what has not been answered in time; a socket that has said nothing since then is dialled anew."""
        loop = asyncio.get_running_loop()
        self._timer, silent = None, False
        while self._deadlines:
            due, number = self._deadlines[0]
            if number in self._waiting and due > loop.time():
                self._timer = loop.call_at(due, self._expire)
                break
            self._deadlines.popleft()
            if self._waiting.pop(number, None) is not None:
                silent = silent or self._heard_at < due - self._deadline_s
                self.on_event(Answer(number, Outcome.UNSURE, text=f"no answer within {self._deadline_s:g} s"))
        if silent and self._link.current is not None:
            self._link.current.drop(f"silent for {self._deadline_s:g} s with a request unanswered")

    def _fell(self, why: str) -> None:
        self._lose_all(f"the order socket fell: {why}")

    def _lose_all(self, why: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lost, self._waiting = list(self._waiting), {}
        self._deadlines.clear()
        for number in lost:
            self.on_event(Answer(number, Outcome.UNSURE, text=why))

    def _heard(self, text: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        reply = _REPLY.decode(text)
        for limit in reply.rateLimits:
            self._note(limit)
        if not isinstance(reply.id, int):
            return  # "serverShutdown" and the like: the socket will fall, and be dialled again
        request = self._waiting.pop(reply.id, None)
        if request is not None:  # an answer after its deadline was given up: the gateway asks
            self.on_event(self._answer(request, reply))

    def _answer(self, request: OrderRequest, reply: _Reply) -> Answer:
        if reply.status == 200 and reply.result is not None:
            state = self._decoder.order(reply.result)
            fills = self._decoder.fills_of(reply.result) if "fills" in reply.result else ()
            return Answer(request.number, Outcome.DONE, state=state, fills=fills)
        error = reply.error or _Error()
        outcome, reason = judge(reply.status, error.code, error.msg, request.kind)
        if reason == Reject.CLOCK:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tasks.append(supervised(self._resync(), f"{self.venue} clock", self._broke))
        retry_s = 0.0
        if error.data and "retryAfter" in error.data:
            retry_s = max(0.0, (float(error.data["retryAfter"]) - self._now_ms()) / 1000)
        return Answer(request.number, outcome, reason, f"{error.code}: {error.msg}", retry_after_s=retry_s)

    async def _resync(self) -> None:
        try:
            await self.server_time_ns()
        except VenueDown:
            return  # the next refusal for the clock asks again

    # --- budgets ---
    def _note(self, limit: _RateLimit) -> None:
        letter, seconds = _INTERVALS[limit.interval]
        name = f"{_KINDS.get(limit.rateLimitType, limit.rateLimitType.lower())}_{limit.intervalNum}{letter}"
        self._rest.used[name] = limit.count
        self._budgets[name] = (limit.limit, limit.intervalNum * seconds)

    def costs(self, request: OrderRequest) -> Mapping[str, float]:
        """Return what a request uses: nothing where it cannot leave. Cancels that are tried all through an outage must not be short then."""
        return cost_of(self.venue, request.kind) if self._link.is_up else _NOTHING

    def budgets(self) -> Mapping[str, tuple[float, float]]:
        """Return the venue's budgets as last heard; `used` tells what it counts against us."""
        return self._budgets

    @property
    def used(self) -> Mapping[str, float]:
        """Return what the venue last said that we have used of each budget."""
        return self._rest.used

    # --- questions ---
    async def query(self, instrument: int, client_id: str) -> OrderState | None:
        """Ask for one order by our id."""
        return await self._account.query(instrument, client_id)

    async def open_orders(self) -> list[OrderState]:
        """Ask for every open order in our instruments."""
        return await self._account.open_orders()

    async def fills(self, instrument: int, since_ns: int) -> list[VenueFill]:
        """Ask for our executions, oldest first, all pages."""
        return await self._account.fills(instrument, since_ns, self._now_ms())

    async def positions(self) -> list[int | None]:
        """Ask for the position (spot: base balance) of each instrument in lots."""
        return await self._account.positions()

    async def cancel_all(self, instrument: int) -> None:
        """Cancel everything of the account in an instrument."""
        await self._account.cancel_all(instrument)

    async def arm(self, seconds: float) -> None:
        """Start, prolong or (0) stop the venue's countdown for each of our instruments."""
        await self._account.arm(seconds)

    async def server_time_ns(self) -> int:
        """Ask for the venue's clock; our requests are stamped with it from now on."""
        asked_ns = self._clock_ns()
        time_ns = await self._account.server_time_ns()
        self._offset_ns = time_ns - (asked_ns + self._clock_ns()) // 2
        return time_ns


def _first_of(error: BaseException) -> BaseException:
    """Return the first exception of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

"""The user stream of any venue through ccxt.pro: loops over watch_orders and watch_my_trades, started again whenever they fall.

ccxt tells nothing when a subscription stands, prolongs a Binance listen key only once, and does not hear that one expired: all three are
done here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeVar

from ccxt.base import errors as wrong

from hftlab.errors import VenueDown
from hftlab.venues.live.ccxt_decode import CcxtDecoder
from hftlab.venues.live.ccxt_exchange import SOCKET_FELL, asked, bound, shortened
from hftlab.venues.live.model import Payment, StreamDown, StreamUp, VenueEvent

T = TypeVar("T")
KEEPALIVE_S = 20 * 60.0
FUNDING_EVERY_S = 60.0
FUNDING_LATE_MS = 600_000
LOOK_S = 0.02
STANDS_S = 15.0
DELAY_S_MIN, DELAY_S_MAX = 0.2, 15.0
ENDED = ("listenKeyExpired", "eventStreamTerminated", "serverShutdown")


class CcxtUser:
    """Follows one account; `tell` gets StreamUp, StreamDown, fills, orders and payments."""

    def __init__(
        self,
        exchange: Any,
        decoder: CcxtDecoder,
        tell: Callable[[VenueEvent], None],
        now_ms: Callable[[], int],
        sync: Callable[[], Awaitable[object]],
    ) -> None:
        self._exchange, self._decoder, self._tell, self._now_ms, self._sync = exchange, decoder, tell, now_ms, sync
        self._ended: asyncio.Future[str] | None = None
        self.payments_since_ms = 0  # 0: since it runs
        self._payments_began_ms = self._payments_from_ms = 0
        self.is_up = False
        inner = exchange.handle_message

        def listen(client: Any, message: Any) -> None:
            self._listen(message)
            inner(client, message)

        exchange.handle_message = listen  # each of ccxt's sockets takes the handler when it is made

    async def run(self) -> None:
        """Follow until cancelled. Raises what is neither the network's nor the venue's."""
        self._payments_began_ms = self._payments_from_ms = self.payments_since_ms or self._now_ms()
        delay_s = DELAY_S_MIN
        while True:
            why = await self._follow()
            delay_s = DELAY_S_MIN if self.is_up else min(2 * delay_s, DELAY_S_MAX)
            if self.is_up:
                self.is_up = False
                self._tell(StreamDown(why))
            with suppress(*SOCKET_FELL):  # it is gone already
                await self._exchange.close_ws_clients()
            self._forget_key()
            await asyncio.sleep(delay_s)

    async def _follow(self) -> str:
        """Run the loops until one falls; return why."""
        self._ended = asyncio.get_running_loop().create_future()
        why = "ended"
        works = [self._orders, self._trades, self._announce, self._until_ended]
        if self._has_key():
            works.append(self._keep_alive)
        if self._has_funding():
            works.append(self._follow_funding)
        try:
            await self._sync()  # a stamp that is off would be refused
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work())
        except* (wrong.NetworkError, wrong.InvalidNonce, VenueDown, *SOCKET_FELL) as group_error:
            error = _first_of(group_error)
            why = shortened(error) or type(error).__name__
        return why

    # --- loops ---
    async def _orders(self) -> None:
        while True:
            for row in await unmasked(self._exchange.watch_orders()):
                if (state := self._decoder.order(row)) is not None:
                    self._tell(state)

    async def _trades(self) -> None:
        while True:
            for row in await unmasked(self._exchange.watch_my_trades()):
                if (fill := self._decoder.fill(row)) is not None:
                    self._tell(fill)

    async def _announce(self) -> None:
        """Say StreamUp when both subscriptions are on a connected socket and a question asked after them has come back."""
        async with asyncio.timeout(STANDS_S):
            while not self._stands():  # noqa: ASYNC110 # ccxt has no event for it
                await asyncio.sleep(LOOK_S)
        if self._exchange.has.get("fetchTime"):
            await asked(self._exchange, bound(self._exchange, "fetch_time"), "time")
        self.is_up = True
        self._tell(StreamUp())

    def _stands(self) -> bool:
        connected = [client for client in self._exchange.clients.values() if client.isConnected and not client.closed()]
        waited_for = {name.split(":")[0] for client in connected for name in client.futures}
        return "myTrades" in waited_for and bool(waited_for & {"orders", "order"})

    async def _until_ended(self) -> None:
        assert self._ended is not None
        raise VenueDown(await self._ended)

    def _listen(self, message: Any) -> None:
        """Notice what ccxt does not: the venue ends the stream."""
        if not isinstance(message, dict) or self._ended is None or self._ended.done():
            return
        event = message.get("event") if isinstance(message.get("event"), dict) else message
        if isinstance(event, dict) and event.get("e") in ENDED:
            self._ended.set_result(f"the venue says {event['e']}")

    # --- listen keys ---
    def _has_key(self) -> bool:
        return self._exchange.id in {"binanceusdm", "binancecoinm"}

    async def _keep_alive(self) -> None:
        method = "fapiPrivatePutListenKey" if self._exchange.id == "binanceusdm" else "dapiPrivatePutListenKey"
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            try:
                await getattr(self._exchange, method)()
            except wrong.ExchangeError as error:
                raise VenueDown(f"the listen key could not be prolonged: {shortened(error)}") from error

    def _forget_key(self) -> None:
        """Have ccxt ask for a new listen key: it would go on with a dead one."""
        for kind in ("linear", "inverse"):
            if self._has_key() and kind in self._exchange.options:
                self._exchange.options[kind] = {**self._exchange.options[kind], "listenKey": None, "lastAuthenticatedTime": 0}

    # --- funding ---
    def _has_funding(self) -> bool:
        swaps = [i.symbol for i in self._decoder.instruments if self._exchange.market(i.symbol).get("swap")]
        return bool(swaps) and bool(self._exchange.has.get("fetchFundingHistory"))

    async def _follow_funding(self) -> None:
        """Ask what was paid: the streams of most venues do not say."""
        while True:
            with suppress(VenueDown):  # asked again a minute later, from the same moment on
                await self._tell_payments()
            await asyncio.sleep(FUNDING_EVERY_S)

    async def _tell_payments(self) -> None:
        latest_ms = self._payments_from_ms
        for number, instrument in enumerate(self._decoder.instruments):
            # One of another symbol may become visible after a later one. What was told before is known by its key.
            since_ms = max(self._payments_from_ms - FUNDING_LATE_MS, self._payments_began_ms)
            ask = bound(self._exchange, "fetch_funding_history", instrument.symbol, since_ms, 500)
            for row in await asked(self._exchange, ask, "funding"):
                ts_ms = int(row["timestamp"])
                latest_ms = max(latest_ms, ts_ms)
                key, asset = f"{instrument.symbol}:{row.get('id') or ts_ms}:{ts_ms}", str(row.get("code") or instrument.settle)
                self._tell(Payment(key, number, -Decimal(str(row["amount"])), asset, ts_ms * 1_000_000))
        self._payments_from_ms = latest_ms


async def unmasked(watching: Awaitable[T]) -> T:
    """Await ccxt, which hides some refusals behind a KeyError of its own tidying up."""
    try:
        return await watching
    except KeyError as error:
        if isinstance(error.__context__, wrong.BaseError):
            raise error.__context__ from error
        raise


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

"""Orders at any venue that ccxt knows. Slower than a wire of our own, and the reference to check one against.

ccxt's transport sends a PUT or DELETE a second time when a kept connection turns out to be dead. For an amend or a cancel that is
harmless: the second answer is "no change" or "no such order", and the gateway asks. Orders are POSTs, which are never repeated.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ccxt.base import errors as wrong

from hftlab.errors import InputError, VenueDown
from hftlab.instrument import Instrument
from hftlab.types import AMEND, CANCEL, MARKET_ORDER
from hftlab.venues.live.budgets import BUDGETS, cost_of
from hftlab.venues.live.ccxt_account import CcxtAccount
from hftlab.venues.live.ccxt_calls import AMENDS, call_for
from hftlab.venues.live.ccxt_decode import CcxtDecoder
from hftlab.venues.live.ccxt_exchange import as_ours, exchange_for, markets_of, shortened
from hftlab.venues.live.ccxt_rejects import judge_error, retry_after_s
from hftlab.venues.live.ccxt_user import CcxtUser
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.link import supervised
from hftlab.venues.live.model import (
    Answer,
    Broken,
    Endpoint,
    OrderRequest,
    OrderState,
    Outcome,
    StreamDown,
    StreamUp,
    VenueEvent,
    VenueFill,
)

DEADLINE_S = 10.0
OPEN_S = 60.0  # the markets of some venues are megabytes


def _nobody(event: VenueEvent) -> None:
    """Stand in until the gateway listens."""


class CcxtWire:
    """`Wire` over ccxt.pro."""

    def __init__(
        self,
        endpoint: Endpoint,
        instruments: tuple[Instrument, ...],
        keys: Keys,
        clock_ns: Callable[[], int],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.venue, self.instruments = endpoint.venue, instruments
        self.amends = AMENDS.get(endpoint.venue, "never")
        self.dead_man = endpoint.venue in {"binanceusdm", "hyperliquid"}
        self.payments_since_ns = 0
        self.on_event: Callable[[VenueEvent], None] = _nobody
        self._endpoint, self._keys, self._clock_ns, self._deadline_s = endpoint, keys, clock_ns, deadline_s
        self._decoder = CcxtDecoder(instruments)
        self._venue_ids: dict[str, str] = {}  # of our open orders, by client order id: some amends go by the venue's id only
        self._tasks: set[asyncio.Task[None]] = set()
        self._unanswered: set[int] = set()
        self._opened: asyncio.Future[None] | None = None
        self.exchange: Any = None
        self._account: CcxtAccount | None = None

    # --- life ---
    async def open(self) -> None:
        """Load the markets, start the user stream; returns when it stands. Raises VenueDown, VenueRefused, InputError."""
        self.exchange = exchange_for(self._endpoint, self._keys)
        self._account = CcxtAccount(self.exchange, self._decoder)
        self._opened = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(OPEN_S):
                await markets_of(self.exchange)
                self._check_symbols()
                await self.server_time_ns()
                user = CcxtUser(self.exchange, self._decoder, self._tell, lambda: self._clock_ns() // 1_000_000, self.server_time_ns)
                user.payments_since_ms = self.payments_since_ns // 1_000_000
                self._tasks.add(supervised(user.run(), f"{self.venue} user stream", self._broke))
                await self._opened
        except TimeoutError:
            await self.close()
            raise VenueDown(f"{self.venue} did not let us in within {OPEN_S:g} s; is it reachable from here?") from None
        except BaseException:  # why: whatever it was, nothing may stay open; it is raised again
            await self.close()
            raise

    def _check_symbols(self) -> None:
        for instrument in self.instruments:
            if instrument.symbol not in self.exchange.markets:
                raise InputError(
                    f"{self.venue} lists no {instrument.symbol!r}; it has {len(self.exchange.markets)} markets, named as ccxt does."
                )

    async def close(self) -> None:
        """Disconnect. Cancels nothing; what is unanswered stays unsure."""
        tasks, self._tasks = list(self._tasks), set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # an exception among them has been told by `_broke`
        if self.exchange is not None:
            self.exchange.timeout_on_exit = 0
            await self.exchange.close()

    def _tell(self, event: VenueEvent) -> None:
        if isinstance(event, OrderState):
            self._remember(event)
        self.on_event(event)
        if isinstance(event, StreamUp) and self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _remember(self, state: OrderState) -> None:
        if state.status == "open" and state.venue_id:
            self._venue_ids[state.client_id] = state.venue_id
        else:
            self._venue_ids.pop(state.client_id, None)

    def _broke(self, error: BaseException) -> None:
        """A background task ended by an exception: whoever opens hears it; later the stream is down and the wire broken."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        told = as_ours(error, self.exchange, "user stream") if isinstance(error, wrong.BaseError) else error
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(told)
            return
        self.on_event(StreamDown(f"defect: {type(error).__name__}: {shortened(error)}"))
        self.on_event(Broken(told))

    # --- requests ---
    def encode(self, request: OrderRequest) -> bytes:
        """Return the call as JSON: ccxt hides the bytes."""
        contract = ":" in self.instruments[request.instrument].symbol
        return call_for(self.venue, self.instruments[request.instrument], request, contract=contract).text()

    def send(self, request: OrderRequest) -> bytes:
        """Start the call. Never blocks, never raises."""
        task = supervised(self._do(request), f"{self.venue} request {request.number}", self._broke)
        self._tasks.add(task)
        self._unanswered.add(request.number)
        task.add_done_callback(lambda done: self._ended(done, request.number))
        return b""

    def _ended(self, task: "asyncio.Task[None]", number: int) -> None:
        self._tasks.discard(task)
        if number in self._unanswered:  # closed before the task had its first turn
            self._answers(Answer(number, Outcome.NOT_SENT, text="the wire was closed"))

    def _answers(self, answer: Answer) -> None:
        self._unanswered.discard(answer.number)
        self.on_event(answer)

    async def _do(self, request: OrderRequest) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._answered(request)
        except TimeoutError:
            answer = Answer(request.number, Outcome.UNSURE, text=f"no answer within {self._deadline_s:g} s")
        except asyncio.CancelledError:
            self._answers(Answer(request.number, Outcome.UNSURE, text="the wire was closed"))
            raise
        except Exception as error:  # why: whatever went wrong in ccxt leaves the request's fate open, and that is what is told
            outcome, reason = judge_error(error, self.venue, request.kind, request.flags)
            wait_s = retry_after_s(self.exchange) if outcome == Outcome.NOT_SENT else 0.0
            answer = Answer(request.number, outcome, reason, f"{type(error).__name__}: {shortened(error)}", retry_after_s=wait_s)
        self._answers(answer)

    async def _answered(self, request: OrderRequest) -> Answer:
        instrument = self.instruments[request.instrument]
        call = call_for(self.venue, instrument, request, contract=bool(self.exchange.market(instrument.symbol).get("contract")))
        arguments = list(call.arguments)
        if request.kind in {AMEND, CANCEL} and arguments[0] is None:
            arguments[0] = self._venue_ids.get(request.client_id)
        if request.kind == AMEND and self.venue == "hyperliquid" and arguments[0] is None:
            return Answer(request.number, Outcome.NOT_SENT, text="the venue's id of the order is not known yet, and its amend wants it")
        if self.venue == "hyperliquid" and request.flags & MARKET_ORDER and request.kind not in {AMEND, CANCEL}:
            arguments[4] = await self._mid(instrument)
        row = await getattr(self.exchange, call.method)(*arguments, dict(call.params))
        if request.kind == CANCEL and row.get("symbol") is None:
            return Answer(request.number, Outcome.DONE)  # "success", and the stream tells what was left of it
        state = self._decoder.order(row, request)
        if state is not None:
            self._remember(state)
        return Answer(request.number, Outcome.DONE, state=state)

    async def _mid(self, instrument: Instrument) -> str:
        """Ask for the price around which Hyperliquid's "market" order, an IOC limit 5 % away, is placed."""
        book = await self.exchange.fetch_order_book(instrument.symbol, 1)
        best = (book["bids"] or book["asks"])[0][0]
        return instrument.price_text(instrument.ticks(best, toward=1))

    # --- budgets ---
    def costs(self, request: OrderRequest) -> Mapping[str, float]:
        """Return what a request uses."""
        return cost_of(self.venue, request.kind, self.amends)

    def budgets(self) -> Mapping[str, tuple[float, float]]:
        """Return the venue's budgets; of a venue without a table here ccxt's own rate, over ten seconds."""
        if self.venue in BUDGETS:
            return BUDGETS[self.venue]
        every_ms = float(self.exchange.rateLimit) if self.exchange is not None else 1000.0
        return {"requests": (max(1.0, 10_000 / every_ms), 10.0)}

    # --- questions ---
    def _asks(self) -> CcxtAccount:
        if self._account is None:
            raise VenueDown(f"the {self.venue} wire is not open")
        return self._account

    async def query(self, instrument: int, client_id: str) -> OrderState | None:
        """Ask for one order by our id."""
        return await self._asks().query(instrument, client_id)

    async def open_orders(self) -> list[OrderState]:
        """Ask for every open order in our instruments."""
        found = await self._asks().open_orders()
        for state in found:
            self._remember(state)
        return found

    async def fills(self, instrument: int, since_ns: int) -> list[VenueFill]:
        """Ask for our executions, oldest first, all pages."""
        return await self._asks().fills(instrument, since_ns, self._clock_ns())

    async def positions(self) -> list[int | None]:
        """Ask for the position (spot: base balance) of each instrument in lots."""
        return await self._asks().positions()

    async def cancel_all(self, instrument: int) -> None:
        """Cancel everything of the account in an instrument."""
        await self._asks().cancel_all(instrument)

    async def arm(self, seconds: float) -> None:
        """Start, prolong or (0) stop the venue's dead man's switch."""
        await self._asks().arm(seconds)

    async def server_time_ns(self) -> int:
        """Ask for the venue's clock; ccxt stamps requests with it from now on where the venue compares."""
        return await self._asks().server_time_ns()

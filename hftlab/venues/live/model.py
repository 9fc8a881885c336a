"""The nouns of the live path: where a venue lives, what it says of our orders, and what a transport for orders must do.

A `Wire` translates and has no policy; the gateway (retries, unknown fates, reconciliation, limits of the venue) has all of
it, once, for every venue. A `Reader` turns a venue's streams into EVENT rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

import msgspec
import numpy as np

from hftlab.instrument import Instrument


class Reject(StrEnum):
    """Why a venue refused, in one vocabulary for all venues."""

    WOULD_TAKE = "post-only would take"
    INSUFFICIENT = "balance or margin too small"
    BAD_PRICE = "price refused"
    BAD_QTY = "quantity refused"
    MIN_NOTIONAL = "below the minimum order value"
    DUPLICATE_ID = "client order id in use"
    UNKNOWN_ORDER = "no such order"
    NO_CHANGE = "amend changes nothing"
    NO_AMEND = "amend not allowed"
    ENDED_BY_AMEND = "the amend ended the order"
    REDUCE_ONLY = "reduce-only would not reduce"
    NO_MATCH = "nothing to match"
    RATE = "too many requests"
    CLOSED = "market closed or in maintenance"
    CLOCK = "timestamp outside the venue's window"
    KEYS = "keys refused"
    OTHER = "other"


class Outcome(StrEnum):
    """What is known of one request after its answer, or the lack of one."""

    DONE = "done"
    REJECTED = "rejected"  # the venue said no: nothing of it happened
    NOT_SENT = "not sent"  # it surely never left us, or the venue surely did not act on it (429, 418, 503 at the door)
    UNSURE = "unsure"  # a time-out, a reset, -1007: it may or may not have happened


@dataclass(frozen=True, slots=True)
class OrderState:
    """What the venue says of one order of ours, in its own words made uniform. `leaves_lots` is 0 for an ended one."""

    client_id: str
    venue_id: str
    instrument: int
    side: int
    price_ticks: int
    qty_lots: int
    filled_lots: int
    status: str  # open, filled, canceled, rejected
    ts_ns: int  # exchange time of this state
    reason: Reject | None = None

    @property
    def leaves_lots(self) -> int:
        """Return what is still open."""
        return self.qty_lots - self.filled_lots if self.status == "open" else 0


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One execution as the venue tells it; the same fill may be told many times. `trade_id` is the venue's name of the trade."""

    trade_id: int
    client_id: str  # "" where the venue does not say (then venue_id names the order)
    venue_id: str
    instrument: int
    side: int
    price_ticks: int
    qty_lots: int
    maker: bool
    fee: Decimal  # paid > 0
    fee_asset: str
    ts_ns: int
    leaves_lots: int = -1  # -1: not told with the fill

    @property
    def key(self) -> int:
        """Return what names it among the executions of its instrument: both sides of a trade of the account with itself have one trade id."""
        return self.side * self.trade_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request handed to `Wire.send`, keyed by its `number`."""

    number: int
    outcome: Outcome
    reason: Reject | None = None
    text: str = ""
    state: OrderState | None = None
    fills: tuple[VenueFill, ...] = ()
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamDown:
    """The user stream is gone: what happens from now on is only learned by asking."""

    why: str


@dataclass(frozen=True, slots=True)
class StreamUp:
    """The user stream is (again) there; what happened in between must be asked for."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that moved outside of fills (funding), paid > 0, in the settlement currency. `key` names it uniquely."""

    key: str
    instrument: int
    amount: Decimal
    asset: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A part of the wire has ended by an error that it does not get over: from here on nothing may leave, or be heard. A new wire is needed."""

    error: BaseException


VenueEvent = Answer | OrderState | VenueFill | Payment | StreamDown | StreamUp | Broken


class OrderRequest(msgspec.Struct, frozen=True):  # a frozen dataclass takes three times as long to make, on the way of every order
    """One request on its way out. `kind` is SUBMIT, AMEND or CANCEL (hftlab.types); `qty_lots` of an AMEND is the new total."""

    number: int
    kind: int
    client_id: str
    venue_id: str  # "" when the venue has not told it yet
    instrument: int
    side: int
    price_ticks: int
    qty_lots: int
    flags: int  # POST_ONLY, IOC, FOK, MARKET_ORDER, REDUCE_ONLY
    filled_lots: int = 0  # of the order, as far as known: for venues that amend by replacing
    new_client_id: str = ""  # for venues whose amend makes a new order


class Wire(Protocol):
    """One venue's orders. Every coroutine raises VenueDown for what may be tried again and HftlabError for what may not."""

    venue: str
    instruments: tuple[Instrument, ...]
    amends: str  # in_place: same ids; replace: the amend makes a new order with `new_client_id`; never
    dead_man: bool  # whether `arm` works
    on_event: Callable[[VenueEvent], None]  # set by the gateway before `open`; always called on the loop's thread
    payments_since_ns: int  # set before `open`: funding paid from then on is told, by the venue's clock; 0: from `open` on

    async def open(self) -> None:
        """Connect, sign in, start the user stream and keep it alive; tells StreamUp when it stands, StreamDown whenever it falls."""
        ...

    async def close(self) -> None:
        """Disconnect. Cancels nothing."""
        ...

    def send(self, request: OrderRequest) -> bytes:
        """Send now and return the bytes put on the socket (b"" where a library hides them). Never blocks, never raises.

        What becomes of it is told as an Answer with its number, also when nothing was heard in time (UNSURE).
        """
        ...

    def encode(self, request: OrderRequest) -> bytes:
        """Return what `send` would put on the socket, with nothing sent and no signature in it (shadow mode, tests)."""
        ...

    async def query(self, instrument: int, client_id: str) -> OrderState | None:
        """Ask for one order; None when the venue says that it knows no such order."""
        ...

    async def open_orders(self) -> list[OrderState]:
        """Ask for every open order of the account in our instruments, whoever placed it."""
        ...

    async def fills(self, instrument: int, since_ns: int) -> list[VenueFill]:
        """Ask for our executions from a time on, oldest first, all pages."""
        ...

    async def positions(self) -> list[int | None]:
        """Ask for the signed position in lots of each instrument; for spot the base balance; None where the venue cannot say."""
        ...

    async def cancel_all(self, instrument: int) -> None:
        """Ask the venue to cancel every order of the account in an instrument, whoever placed it."""
        ...

    async def arm(self, seconds: float) -> None:
        """Have the venue cancel everything unless `arm` is called again in time; 0 disarms. Only where `dead_man`."""
        ...

    async def server_time_ns(self) -> int:
        """Ask for the venue's clock, ns UTC."""
        ...

    def costs(self, request: OrderRequest) -> Mapping[str, float]:
        """Return what a request uses of the venue's budgets, e.g. {"orders_10s": 1, "weight_1m": 1}."""
        ...

    def budgets(self) -> Mapping[str, tuple[float, float]]:
        """Return each budget as (size, seconds until it is full again), and keep it current from the venue's headers."""
        ...


@dataclass(slots=True)
class StreamStatus:
    """Health of one stream, for screens and watchdogs."""

    name: str
    up: bool = False
    last_ns: int = 0  # when the last message came, our clock
    messages: int = 0
    gaps: int = 0
    resyncs: int = 0
    reconnects: int = 0
    note: str = ""


class Reader(Protocol):
    """One venue's market data. `emit` is called on the loop's thread with EVENT rows of whole messages, in order."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return what it follows; rows name an instrument by its place here."""
        ...

    @property
    def streams(self) -> Sequence[StreamStatus]:
        """Return the health of its streams."""
        ...

    async def run(self, emit: Callable[[np.ndarray], None], say: Callable[[str, str], None]) -> None:
        """Connect, follow, resync, reconnect, until cancelled. `say(level, text)` tells people; levels info, warn, error."""
        ...


@dataclass(frozen=True)
class Endpoint:
    """Where a venue is reached: the real one, its testnet, or a loopback exchange."""

    venue: str  # ccxt id: binance, binanceusdm, hyperliquid, …
    kind: str = "real"  # real, testnet, loopback
    urls: Mapping[str, str] = field(default_factory=dict)  # rest, ws (market streams), private (user streams), api (ws-api)
    ccxt: Mapping[str, Any] = field(default_factory=dict)  # constructor options for ccxt
    proxy: str = ""  # of an http proxy; only with a loopback exchange
    ca_file: str = ""

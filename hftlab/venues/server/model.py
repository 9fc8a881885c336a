"""The nouns of the loopback exchange, between its core (accounts, matching, truth) and its skins (the protocols of real venues).

Integers inside: ticks, lots, ns of exchange time. Skins turn them into the texts of their protocol through `Instrument`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from hftlab.instrument import Instrument
from hftlab.venues.server.why import Refused as Refused  # noqa: PLC0414  # named here for all who import the nouns
from hftlab.venues.server.why import Why as Why  # noqa: PLC0414


class Status(StrEnum):
    """Where an order stands."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"  # ended by the venue: IOC rest, FOK, self-trade prevention, post-only amended into the other side
    REJECTED = "REJECTED"


OPEN = (Status.NEW, Status.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a client asks for. `price_ticks` is None for a market order; `stp` is one of hftlab.types.STP_*."""

    symbol: str
    side: int
    qty_lots: int
    price_ticks: int | None = None
    client_id: str = ""
    tif: str = "GTC"  # GTC, IOC, FOK
    post_only: bool = False
    reduce_only: bool = False
    stp: int = 0


@dataclass(slots=True)
class Order:
    """An order at the exchange; the core owns and changes it, everybody else reads it or a copy."""

    account: str
    symbol: str
    order_id: int
    client_id: str
    side: int
    price_ticks: int | None
    qty_lots: int
    tif: str
    post_only: bool
    reduce_only: bool
    stp: int
    created_ns: int
    updated_ns: int
    status: Status = Status.NEW
    filled_lots: int = 0
    filled_ticklots: int = 0  # sum of price x lots: average price = filled_ticklots / filled_lots
    amends: int = 0
    why: Why | None = None  # of an order that the venue ended

    @property
    def leaves_lots(self) -> int:
        """Return what is still open."""
        return self.qty_lots - self.filled_lots if self.status in OPEN else 0


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of one of the clients' orders. `trade_id` counts up per symbol and names the public print too."""

    trade_id: int
    account: str
    symbol: str
    order_id: int
    client_id: str
    side: int
    price_ticks: int
    qty_lots: int
    maker: bool
    fee: Decimal  # paid > 0, rebate < 0
    fee_asset: str
    realized: Decimal  # of a derivative position
    ts_ns: int


@dataclass(frozen=True, slots=True)
class DepthDiff:
    """A change of the public book. Update ids count every changed level: this one covers first_id..last_id without a hole."""

    symbol: str
    first_id: int
    last_id: int
    previous_id: int  # last_id of the diff before
    ts_ns: int
    bids: tuple[tuple[int, int], ...]  # (price_ticks, lots now there)
    asks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Print:
    """A public trade."""

    symbol: str
    trade_id: int
    ts_ns: int
    price_ticks: int
    qty_lots: int
    side: int  # of the aggressor


@dataclass(frozen=True, slots=True)
class Touch:
    """Best bid and ask after update `last_id`; NO_PRICE and 0 for an empty side."""

    symbol: str
    last_id: int
    ts_ns: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """Something happened to a client's order. `order` is a copy made at that moment."""

    what: str  # NEW, TRADE, CANCELED, EXPIRED, AMENDED, REJECTED
    order: Order
    ts_ns: int
    fill: Fill | None = None


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """Balances or positions of an account changed; the skin reads the new values from the core."""

    account: str
    reason: str  # ORDER, FUNDING, DEPOSIT
    ts_ns: int
    symbols: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()


Event = DepthDiff | Print | Touch | OrderEvent | AccountEvent


@dataclass(slots=True)
class Position:
    """A derivative position: signed lots, and the sum of price x lots that opened it."""

    lots: int = 0
    entry_ticklots: int = 0
    realized: Decimal = Decimal(0)


@dataclass(slots=True)
class Account:
    """Free plus locked money per asset; positions per symbol. `key` is an API key (Binance) or an address (Hyperliquid)."""

    key: str
    secret: str = ""
    balances: dict[str, Decimal] = field(default_factory=dict)  # total: free + locked
    positions: dict[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Book:
    """A copy of the public book at `last_id`: levels from the best outward, (price_ticks, lots)."""

    symbol: str
    last_id: int
    ts_ns: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Filters:
    """A symbol's rules, changeable while the venue runs; the grids themselves are the instrument's."""

    qty_lots_min: int = 1
    qty_lots_max: int = 10**9
    notional_quote_min: Decimal = Decimal(5)
    band_frac: float = 0.5  # a limit price may lie this far from the touch
    orders_max: int = 200
    amends_max: int = 10_000
    trading: bool = True
    price_step: int = 1  # prices are multiples of so many ticks, quantities of so many lots: a grid that grew while the venue ran
    qty_step: int = 1


class Core(Protocol):
    """What a skin may ask of the core of one venue. Single-threaded; every call acts at `now_ns()` and emits its events at once.

    Listeners are called in the order of events, before the call that caused them returns.
    """

    venue: str  # binance, binanceusdm, hyperliquid
    instruments: dict[str, Instrument]  # by the venue's own symbol, e.g. BTCUSDT or BTC

    def now_ns(self) -> int:
        """Return exchange time."""
        ...

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have every event from now on told to `listener`."""
        ...

    def add_account(self, key: str, secret: str = "", balances: dict[str, Any] | None = None) -> Account:
        """Open an account, or return the one with this key."""
        ...

    def account(self, key: str) -> Account | None:
        """Return the account with this key."""
        ...

    def free(self, account: str, asset: str) -> Decimal:
        """Return what of an asset no open order locks (spot) or no margin needs (derivatives)."""
        ...

    def place(self, account: str, wish: NewOrder) -> Order:
        """Take in an order. Raises Refused."""
        ...

    def amend(
        self, account: str, symbol: str, price_ticks: int, qty_lots: int, *, order_id: int = 0, client_id: str = "", new_client_id: str = ""
    ) -> Order:
        """Change price and total quantity in place, by the venue's amend rule. Raises Refused (with `order` when it ended by it).

        `new_client_id` is what the order is called from then on, where a venue's amend renames it (Binance spot).
        """
        ...

    def cancel(self, account: str, symbol: str, *, order_id: int = 0, client_id: str = "") -> Order:
        """Cancel an open order. Raises Refused(UNKNOWN_ORDER) when none is open under that name."""
        ...

    def cancel_all(self, account: str, symbol: str | None = None) -> list[Order]:
        """Cancel every open order of an account, in one symbol or all. Returns them."""
        ...

    def order(self, account: str, symbol: str, *, order_id: int = 0, client_id: str = "") -> Order | None:
        """Return an order, open or ended; of several with one client id the newest."""
        ...

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Return the open orders, oldest first."""
        ...

    def orders(self, account: str, symbol: str) -> list[Order]:
        """Return every order ever placed there, oldest first."""
        ...

    def fills(self, account: str, symbol: str | None = None) -> list[Fill]:
        """Return the executions, oldest first."""
        ...

    def fills_of(self, order_id: int) -> list[Fill]:
        """Return the executions of one order, oldest first."""
        ...

    def prints(self, symbol: str, limit: int = 500) -> Sequence[Print]:
        """Return the newest public trades, oldest first."""
        ...

    def book(self, symbol: str, levels: int = 1000, back: int = 0) -> Book:
        """Return the public book as it is, or as it was `back` diffs ago (kept for some hundred)."""
        ...

    def touch(self, symbol: str) -> Touch:
        """Return best bid and ask."""
        ...

    def filters(self, symbol: str) -> Filters:
        """Return the rules in force."""
        ...

    def set_filters(self, symbol: str, **changes: Any) -> None:
        """Change rules in force; open orders stay."""
        ...

    def mark_price(self, symbol: str) -> Decimal:
        """Return the mark price (mid of the touch)."""
        ...

"""One unmodified ccxt.pro client at the loopback venue, and what it is held against: the venue's own truth."""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hftlab.venues.server.hashing import hash_levels
from hftlab.venues.server.model import Book, DepthDiff, OrderEvent, Print, Status, Touch

T = TypeVar("T")
MS = 1_000_000  # ns
MARKETS = {"binance": ("BTC/USDT", "BTCUSDT"), "binanceusdm": ("BTC/USDT:USDT", "BTCUSDT"), "hyperliquid": ("BTC/USDC:USDC", "BTC")}
# ccxt's word for where an order stands
STATUS = {
    Status.NEW: "open",
    Status.PARTIALLY_FILLED: "open",
    Status.FILLED: "closed",
    Status.CANCELED: "canceled",
    Status.EXPIRED: "expired",
    Status.REJECTED: "rejected",
}
AGREE_S = 15.0
LEVELS = 20  # of Hyperliquid's books


class Differs(Exception):
    """What a client was told is not what is so at the venue."""


class Absent(Exception):
    """ccxt has no such call for this venue, or the venue has no such thing: nothing to compare."""


def same(what: str, found: Any, true: Any) -> None:
    """Raise Differs unless two values are equal."""
    if found != true:
        raise Differs(f"{what} {found!r}, at the venue {true!r}")


def near(what: str, found: float | None, true: float, part: float = 1e-9) -> None:
    """Raise Differs unless two numbers are equal up to the noise of floating point."""
    if found is None or abs(found - true) > part * max(1.0, abs(true)):
        raise Differs(f"{what} {found!r}, at the venue {true!r}")


def known(what: str, found: Any, true: Any) -> None:
    """Raise Differs unless a value is among those that were so."""
    if found not in true:
        raise Differs(f"{what} {found!r}, which it never was at the venue")


class Witness:
    """Keeps what a core does from now on. Written on the venue's thread, read from any."""

    def __init__(self, core: Any) -> None:
        self.touches: dict[str, list[Touch]] = {symbol: [core.touch(symbol)] for symbol in core.instruments}
        self.prints: dict[str, list[Print]] = {symbol: list(core.prints(symbol, 10**6)) for symbol in core.instruments}
        self.orders: list[OrderEvent] = []
        # Hyperliquid's books bear no id. The venue keeps a thousand diffs back, two seconds of a busy market: a client may be later.
        self.books: dict[str, list[Book]] = {symbol: [core.book(symbol, LEVELS)] for symbol in core.instruments}
        self._core = core if core.venue == "hyperliquid" else None
        core.listen(self.on_event)

    def on_event(self, event: Any) -> None:
        if isinstance(event, Touch):
            self.touches[event.symbol].append(event)
        elif isinstance(event, Print):
            self.prints[event.symbol].append(event)
        elif isinstance(event, OrderEvent):
            self.orders.append(event)
        elif isinstance(event, DepthDiff) and self._core is not None:
            self.books[event.symbol].append(self._core.book(event.symbol, LEVELS))


@dataclass
class Desk:
    """A client of one skin by one route, with an account of its own. `orders` are those it placed, by the names its story gives them."""

    venue: Any
    skin: str
    through: str
    account: int
    witness: Witness
    ex: Any
    orders: dict[str, str] = field(default_factory=dict)
    books: Any = None
    ears: Any = None

    def __post_init__(self) -> None:
        self.symbol, self.own = MARKETS[self.skin]
        self.key = self.venue.account(self.skin, self.account)
        self.core = self.venue.cores[self.skin]
        self.instrument = self.core.instruments[self.own]
        self.spot, self.perp = self.skin == "binance", self.skin != "binance"
        self.hyperliquid = self.skin == "hyperliquid"

    # --- the truth ---
    def ask(self, function: Callable[[], T]) -> T:
        return self.venue.call(function)

    def true_order(self, order_id: str) -> Any:
        found = self.ask(lambda: self.core.order(self.key, self.own, order_id=int(order_id)))
        if found is None:
            raise Differs(f"the client speaks of an order {order_id}, the venue knows none")
        return found

    def true_fills(self) -> dict[str, Any]:
        return {str(one.trade_id): one for one in self.ask(lambda: self.core.fills(self.key, self.own))}

    def resting(self) -> set[str]:
        """Return the numbers of this account's resting orders, by the venue's truth."""
        return {str(one["order_id"]) for one in self.venue.resting(self.skin) if one["account"] == self.key}

    def lots(self) -> int:
        """Return the position, or of a spot account what its fills came to."""
        return self.venue.position_lots(self.skin, self.account).get(self.own, 0)

    def touch(self) -> tuple[float, float]:
        touch = self.ask(lambda: self.core.touch(self.own))
        return self.price(touch.bid_ticks), self.price(touch.ask_ticks)

    def away(self, part: float) -> float:
        """Return a price on everybody's grid, a part of the touch below it (or above, where negative)."""
        bid, ask = self.touch()
        step = 1 if self.hyperliquid else 0.1
        return round(round((bid * (1 - part) if part > 0 else ask * (1 - part)) / step) * step, 1)

    def price(self, ticks: int) -> float:
        return float(self.instrument.price(ticks))

    def qty(self, lots: int) -> float:
        return float(self.instrument.qty(lots))

    # --- comparisons ---
    def hash_of(self, book: Any) -> str:
        one = self.instrument
        return hash_levels(*([(one.ticks(level[0]), one.lots(level[1])) for level in book[side]] for side in ("bids", "asks")))

    def books_at(self, time_ms: int) -> set[str]:
        """Return the hashes of the books, LEVELS deep, that stood in a millisecond of the venue's clock: one where nothing happened in it."""
        books = self.ask(lambda: list(self.witness.books[self.own]))
        first = bisect_left(books, time_ms, key=lambda one: one.ts_ns // MS)
        last = bisect_right(books, time_ms, key=lambda one: one.ts_ns // MS)
        return {hash_levels(one.bids, one.asks) for one in books[max(0, first - 1) : last]}

    def same_order(self, found: Any, *told: str, true: Any = None) -> Any:
        """Hold an order of ccxt against the venue's. What is None was not told, and must not be among `told`."""
        true = self.true_order(found["id"]) if true is None else true
        price = None if true.price_ticks is None else self.price(true.price_ticks)
        wanted = {
            "side": "buy" if true.side > 0 else "sell",
            "amount": self.qty(true.qty_lots),
            "status": STATUS[true.status],
            "filled": self.qty(true.filled_lots),
            "clientOrderId": true.client_id or None,
            "price": price,
        }
        if self.hyperliquid and true.status is Status.EXPIRED:
            wanted["status"] = "canceled" if true.filled_lots else "rejected"
        for name, value in wanted.items():
            if name in told and found[name] is None and value is not None:
                raise Differs(f"{name} of order {found['id']} was not told, at the venue {value!r}")
            if found[name] is None or (name == "price" and value is None):
                continue
            if name in {"side", "status", "clientOrderId"}:
                same(f"{name} of order {found['id']}", found[name], value)
            else:
                near(f"{name} of order {found['id']}", found[name], value)
        return true

    def same_trade(self, found: Any) -> None:
        """Hold an execution of ccxt against the venue's."""
        fill = self.true_fills().get(found["id"])
        if fill is None:
            raise Differs(f"trade {found['id']}, which the venue does not know")
        name = f"of trade {found['id']}"
        same(f"order {name}", found["order"], str(fill.order_id))
        same(f"side {name}", found["side"], "buy" if fill.side > 0 else "sell")
        same(f"price {name}", found["price"], self.price(fill.price_ticks))
        near(f"amount {name}", found["amount"], self.qty(fill.qty_lots))
        if found["takerOrMaker"] is not None or not self.hyperliquid:  # ccxt leaves it out of Hyperliquid's stream
            same(f"takerOrMaker {name}", found["takerOrMaker"], "maker" if fill.maker else "taker")
        near(f"fee {name}", found["fee"]["cost"], float(fill.fee), 1e-8)
        same(f"fee currency {name}", found["fee"]["currency"], fill.fee_asset)
        same(f"time {name}", found["timestamp"], fill.ts_ns // MS)

    async def agrees(self, check: Callable[[], None], timeout_s: float = AGREE_S) -> None:
        """Wait until a comparison holds; raise its last difference when it never does."""
        until_s = time.monotonic() + timeout_s
        while True:
            try:
                return check()
            except Differs:
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(0.05)

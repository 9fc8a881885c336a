"""What the Hyperliquid skin keeps beside the core: names, clocks, and per address what the venue counts and remembers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from hftlab.instrument import Instrument
from hftlab.venues.server.hyperliquid_limits import Budget, HyperliquidRules
from hftlab.venues.server.hyperliquid_text import fill_row, frontend_row, order_row, order_status
from hftlab.venues.server.model import Core, Fill, Order
from hftlab.venues.server.skin import Faults

CASH = "USDC"
_NS_PER_MS = 1_000_000


class Leverages(Protocol):
    """The margin of a venue of perpetuals."""

    def leverage(self, key: str, symbol: str) -> int:
        """Return the leverage of an account in a symbol."""
        ...


class PerpCore(Core, Protocol):
    """A core with margin."""

    @property
    def perps(self) -> Leverages:
        """Return who knows the margin."""
        ...

    def set_leverage(self, account: str, symbol: str, leverage: int) -> None:
        """Change the leverage of an account in a symbol."""
        ...

    def advance(self, now_ns: int | None = None) -> None:
        """Let the markets run up to `now_ns`."""
        ...


@dataclass
class User:
    """One address: its executions as the venue shows them, and what its limits and its dead man's switch count."""

    fills: list[dict[str, Any]] = field(default_factory=list)  # oldest first
    fundings: list[dict[str, Any]] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)  # lots after the last fill seen
    traded_quote: Decimal = Decimal(0)
    budget: Budget = field(default_factory=Budget)
    isolated: set[str] = field(default_factory=set)  # coins; told, but the margin is one for all
    builders: dict[str, str] = field(default_factory=dict)  # approved: builder -> highest rate
    agents: dict[str, tuple[str, int]] = field(default_factory=dict)  # address -> (name, valid until, ms)
    schedule_ms: int = 0  # 0: no cancel is scheduled
    triggers: tuple[int, int] = (0, 0)  # (day, scheduled cancels that came due on it)
    scheduled: set[int] = field(default_factory=set)  # orders that a scheduled cancel ended


class HyperliquidState:
    """Shared by the parts of the skin."""

    def __init__(self, core: PerpCore, faults: Faults, rules: HyperliquidRules) -> None:
        self.core = core
        self.faults = faults
        self.rules = rules
        self.coins: tuple[str, ...] = tuple(core.instruments)  # the asset number is the place
        self.users: dict[str, User] = {}
        self.vaults: dict[str, str] = {}  # vault or sub-account -> its master

    # --- names ---
    def instrument(self, coin: str) -> Instrument:
        """Return the instrument of a coin. Raises KeyError."""
        return self.core.instruments[coin]

    def asset(self, coin: str) -> int:
        """Return the number of a coin."""
        return self.coins.index(coin)

    def user(self, address: str) -> User:
        """Return what is kept of an address."""
        return self.users.setdefault(address, User())

    def account_of(self, signer: str) -> str | None:
        """Return the account that a signer acts for: its own, or the one that approved it as an agent; None when there is none."""
        if self.core.account(signer) is not None:
            return signer
        return self.principal(signer)

    def principal(self, agent: str) -> str | None:
        """Return who approved an agent whose approval still holds."""
        now_ms = self.now_ms()
        return next((master for master, user in self.users.items() if user.agents.get(agent, ("", 0))[1] > now_ms), None)

    # --- clocks ---
    def ms(self, ts_ns: int) -> int:
        """Return a time of the core as the venue's clock shows it, in ms."""
        return self.faults.clock_ns(ts_ns) // _NS_PER_MS

    def now_ms(self) -> int:
        """Return the venue's clock in ms."""
        return self.ms(self.core.now_ns())

    # --- orders ---
    def find(self, address: str, *, order_id: int = 0, client_id: str = "") -> Order | None:
        """Return an order in whatever coin."""
        found = (self.core.order(address, coin, order_id=order_id, client_id=client_id) for coin in self.coins)
        return max((one for one in found if one is not None), key=lambda one: one.created_ns, default=None)

    def shown(self, orders: list[Order]) -> Iterator[Order]:
        """Leave out the orders that a fault hides from queries."""
        now_ns = self.core.now_ns()
        return (order for order in orders if not self.faults.hides(order, now_ns))

    def status(self, order: Order) -> str:
        """Return the status text of an order."""
        return order_status(order, scheduled=order.order_id in self.user(order.account).scheduled)

    def row(self, order: Order, *, frontend: bool = False) -> dict[str, Any]:
        """Return an order as the venue shows it."""
        render = frontend_row if frontend else order_row
        return render(order, self.instrument(order.symbol), order.symbol, self.ms(order.created_ns))

    def with_status(self, order: Order, *, frontend: bool = False) -> dict[str, Any]:
        """Return an order together with its status, as `orderUpdates`, `orderStatus` and `historicalOrders` show it."""
        return {"order": self.row(order, frontend=frontend), "status": self.status(order), "statusTimestamp": self.ms(order.updated_ns)}

    # --- executions ---
    def filled(self, fill: Fill) -> dict[str, Any]:
        """Take note of an execution and return it as the venue shows it."""
        user = self.user(fill.account)
        instrument = self.instrument(fill.symbol)
        start = user.positions.get(fill.symbol, 0)
        user.positions[fill.symbol] = start + fill.side * fill.qty_lots
        user.traded_quote += instrument.price(fill.price_ticks) * instrument.qty(fill.qty_lots)
        row = fill_row(fill, instrument, fill.symbol, start, self.ms(fill.ts_ns))
        user.fills.append(row)
        return row

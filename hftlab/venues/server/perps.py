"""The money of a venue of linear perpetuals: positions, realized profit, funding, and a simple margin.

One wallet in the settlement currency. Margin of a symbol is the larger of its two worst positions (all bids filled, or all asks), at the
mark price and the orders' own prices, divided by the leverage. There is no liquidation: a wallet may fall below zero, and then no order
that opens anything is taken.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction

from hftlab.errors import InputError
from hftlab.instrument import Instrument, Number, decimal
from hftlab.types import ASK, BID
from hftlab.venues.server.accounts import NOTHING, Accounts, FeeRates, Settled
from hftlab.venues.server.model import Order, Position
from hftlab.venues.server.orders import OrderTable

LEVERAGE = 20


class PerpMoney:
    """Wallets and positions. `mark_half_ticks` gives twice the mark price of a symbol, in ticks."""

    def __init__(
        self,
        accounts: Accounts,
        instruments: Mapping[str, Instrument],
        fees: FeeRates,
        orders: OrderTable,
        mark_half_ticks: Callable[[str], int],
    ) -> None:
        self._accounts, self._instruments, self.fees = accounts, instruments, fees
        self._orders, self._mark = orders, mark_half_ticks
        self._leverage: dict[tuple[str, str], int] = {}

    def leverage(self, key: str, symbol: str) -> int:
        """Return the leverage of an account in a symbol."""
        return self._leverage.get((key, symbol), LEVERAGE)

    def set_leverage(self, key: str, symbol: str, leverage: int) -> None:
        """Change it. Raises InputError outside 1 to 125."""
        if not 1 <= leverage <= 125:
            raise InputError(f"leverage was {leverage}; wanted 1 to 125.")
        self._leverage[key, symbol] = leverage

    def position(self, key: str, symbol: str) -> Position:
        """Return the position of an account in a symbol, flat where it never traded."""
        return self._accounts[key].positions.get(symbol) or Position()

    def unrealized(self, key: str, symbol: str) -> Decimal:
        """Return the profit of a position at the mark price."""
        position = self.position(key, symbol)
        half_ticklots = position.lots * self._mark(symbol) - 2 * position.entry_ticklots
        return self._instruments[symbol].money_quote(half_ticklots) / 2

    def margin(self, key: str, symbol: str, extra: tuple[int, int, int] | None = None, without: Order | None = None) -> Decimal:
        """Return what a symbol binds of the wallet, with an order more (side, lots, ticklots) or one less."""
        position = self.position(key, symbol).lots * self._mark(symbol)
        worst = {BID: position, ASK: position}
        for order in self._orders.open(key, symbol):
            if order is not without and order.price_ticks is not None and not order.reduce_only:
                worst[order.side] += 2 * order.side * order.leaves_lots * order.price_ticks
        if extra:
            worst[extra[0]] += 2 * extra[0] * extra[2]
        half_ticklots = max(abs(worst[BID]), abs(worst[ASK]))
        return self._instruments[symbol].money_quote(half_ticklots) / 2 / self.leverage(key, symbol)

    def equity(self, key: str, asset: str) -> Decimal:
        """Return the wallet with unrealized profit."""
        mine = [symbol for symbol, one in self._instruments.items() if one.settle == asset]
        return self._accounts[key].balances.get(asset, NOTHING) + sum((self.unrealized(key, symbol) for symbol in mine), NOTHING)

    def free(self, key: str, asset: str) -> Decimal:
        """Return the equity that no margin needs; below zero when more is needed than there is."""
        mine = [symbol for symbol, one in self._instruments.items() if one.settle == asset]
        return self.equity(key, asset) - sum((self.margin(key, symbol) for symbol in mine), NOTHING)

    def hold(self, order: Order) -> bool:
        """Do nothing: margin is worked out when it is asked for."""
        return False

    def affords(self, key: str, symbol: str, side: int, lots: int, ticklots: int, instead_of: Order | None = None) -> bool:
        """Say whether the equity covers the margin with this order, or the order needs no more margin than there is bound now."""
        before = self.margin(key, symbol)
        after = self.margin(key, symbol, (side, lots, ticklots), instead_of)
        return after <= before or self.free(key, self._instruments[symbol].settle) >= after - before

    def settle(self, order: Order, price_ticks: int, lots: int, *, maker: bool) -> Settled:
        """Move the position; what it closes is realized against its average entry, rounded to whole ticklots, nothing lost."""
        instrument = self._instruments[order.symbol]
        position = self._accounts[order.account].positions.setdefault(order.symbol, Position())
        closed = -order.side * min(lots, abs(position.lots)) if position.lots * order.side < 0 else 0  # with the sign of the position
        realized = NOTHING
        if closed:
            entry = round(Fraction(position.entry_ticklots * closed, position.lots))
            realized = instrument.money_quote(closed * price_ticks - entry)
            position.entry_ticklots -= entry
            position.lots -= closed
        opened = order.side * (lots - abs(closed))
        position.lots += opened
        position.entry_ticklots += opened * price_ticks
        position.realized += realized
        fee = self.fees.on(instrument.money_quote(lots * price_ticks), maker=maker)
        self._accounts.pay(order.account, instrument.settle, realized - fee)
        return Settled(fee, instrument.settle, realized)

    def fund(self, symbol: str, rate: Number) -> dict[str, Decimal]:
        """Let longs pay shorts `rate` of their positions' worth at the mark price. Returns what each account received."""
        instrument, exact = self._instruments[symbol], decimal(rate, "the funding rate")
        received = {}
        for key, account in self._accounts.by_key.items():
            lots = self.position(key, symbol).lots
            if lots:
                received[key] = -instrument.money_quote(lots * self._mark(symbol)) / 2 * exact
                account.balances[instrument.settle] = account.balances.get(instrument.settle, NOTHING) + received[key]
        return received

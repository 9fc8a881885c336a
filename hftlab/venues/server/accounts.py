"""The accounts of a venue, and the money of a spot venue: totals, what open orders lock, fees in the asset received.

All money is Decimal and exact: prices, quantities and rates are short decimals, and nothing is ever divided.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from hftlab.errors import InputError
from hftlab.instrument import Instrument, decimal
from hftlab.types import BID
from hftlab.venues.server.model import Account, Order

NOTHING = Decimal(0)


@dataclass(frozen=True)
class Settled:
    """What one execution cost and brought besides the exchange of assets."""

    fee: Decimal
    fee_asset: str
    realized: Decimal = NOTHING


@dataclass(frozen=True)
class FeeRates:
    """Fees of maker and taker as fractions; below zero is a rebate."""

    maker: Decimal
    taker: Decimal

    @classmethod
    def of_bps(cls, maker_bps: Any, taker_bps: Any) -> "FeeRates":
        """Return rates given in basis points. Raises InputError for what is no number."""
        return cls(decimal(maker_bps, "maker_bps").scaleb(-4), decimal(taker_bps, "taker_bps").scaleb(-4))

    def on(self, amount: Decimal, *, maker: bool) -> Decimal:
        """Return the fee on an amount."""
        return amount * (self.maker if maker else self.taker)


class Accounts:
    """Accounts by key, numbered from 1: the number is the owner of their orders in the matching engine."""

    def __init__(self) -> None:
        self.by_key: dict[str, Account] = {}
        self._numbers: dict[str, int] = {}

    def add(self, key: str, secret: str, balances: Mapping[str, Any] | None) -> Account:
        """Open an account, or return the one with this key. Raises InputError for a balance that is no number or below zero."""
        if key in self.by_key:
            return self.by_key[key]
        totals = {asset: decimal(value, f"the balance of {asset}") for asset, value in (balances or {}).items()}
        for asset, total in totals.items():
            if total < 0:
                raise InputError(f"the balance of {asset} was {total}; wanted zero or more.")
        self._numbers[key] = len(self._numbers) + 1
        self.by_key[key] = Account(key, secret, totals)
        return self.by_key[key]

    def number(self, key: str) -> int:
        """Return the number of an account. Raises InputError for an unknown key."""
        if key not in self._numbers:
            raise InputError("no account with this key; open it with add_account().")
        return self._numbers[key]

    def __getitem__(self, key: str) -> Account:
        self.number(key)
        return self.by_key[key]

    def pay(self, key: str, asset: str, amount: Decimal) -> None:
        """Add to a total; amounts below zero take away."""
        balances = self[key].balances
        balances[asset] = balances.get(asset, NOTHING) + amount


class Money(Protocol):
    """How a venue keeps its accounts' money."""

    def free(self, key: str, asset: str) -> Decimal:
        """Return what of an asset can be used for new orders or withdrawn."""
        ...

    def hold(self, order: Order) -> bool:
        """Bring what an order locks to what it needs now. Returns whether that moved what is free."""
        ...

    def affords(self, key: str, symbol: str, side: int, lots: int, ticklots: int, instead_of: Order | None = None) -> bool:
        """Say whether an order for `lots` at a worth of at most `ticklots` is covered, in place of another one."""
        ...

    def settle(self, order: Order, price_ticks: int, lots: int, *, maker: bool) -> Settled:
        """Book one execution of an order."""
        ...


class SpotMoney:
    """Buys lock quote, sells lock base; a buy pays its fee in base, a sell in quote."""

    def __init__(self, accounts: Accounts, instruments: Mapping[str, Instrument], fees: FeeRates) -> None:
        self._accounts, self._instruments, self.fees = accounts, instruments, fees
        self._held: dict[int, tuple[str, Decimal]] = {}
        self._locked: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def locked(self, key: str, asset: str) -> Decimal:
        """Return what open orders lock of an asset."""
        return self._locked[key, asset]

    def free(self, key: str, asset: str) -> Decimal:
        """Return the total less what open orders lock."""
        return self._accounts[key].balances.get(asset, NOTHING) - self._locked[key, asset]

    def _claim(self, symbol: str, side: int, lots: int, ticklots: int) -> tuple[str, Decimal]:
        instrument = self._instruments[symbol]
        if side == BID:
            return instrument.quote, instrument.money_quote(ticklots)
        return instrument.base, instrument.qty(lots) * instrument.multiplier

    def hold(self, order: Order) -> bool:
        """Lock what is still open of a limit order; a market order locks nothing."""
        before = self._held.pop(order.order_id, None)
        if before is not None:
            self._locked[order.account, before[0]] -= before[1]
        now = None
        if order.leaves_lots and order.price_ticks is not None:
            now = self._claim(order.symbol, order.side, order.leaves_lots, order.leaves_lots * order.price_ticks)
            self._held[order.order_id] = now
            self._locked[order.account, now[0]] += now[1]
        return now != before

    def affords(self, key: str, symbol: str, side: int, lots: int, ticklots: int, instead_of: Order | None = None) -> bool:
        """Say whether enough is free."""
        asset, amount = self._claim(symbol, side, lots, ticklots)
        released = self._held.get(instead_of.order_id, (asset, NOTHING))[1] if instead_of else NOTHING
        return self.free(key, asset) + released >= amount

    def settle(self, order: Order, price_ticks: int, lots: int, *, maker: bool) -> Settled:
        """Exchange base and quote."""
        instrument = self._instruments[order.symbol]
        base, quote = instrument.qty(lots) * instrument.multiplier, instrument.money_quote(lots * price_ticks)
        received, asset = (base, instrument.base) if order.side == BID else (quote, instrument.quote)
        fee = self.fees.on(received, maker=maker)
        self._accounts.pay(order.account, instrument.base, order.side * base)
        self._accounts.pay(order.account, instrument.quote, -order.side * quote)
        self._accounts.pay(order.account, asset, -fee)
        return Settled(fee, asset)

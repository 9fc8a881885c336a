"""What an exchange shows of itself, and what tests and faults make it do."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.instrument import Number, decimal
from hftlab.types import ASK, BID, IOC, MARKET_ORDER, SUBMIT
from hftlab.venues.server.model import OPEN, AccountEvent, Book, Fill, Filters, Order, Position, Print, Touch
from hftlab.venues.server.perps import PerpMoney
from hftlab.venues.server.requests import Requests
from hftlab.venues.server.truth import fill_facts, order_facts, plain


class Controls(Requests):
    """Reading and steering; `hftlab.venues.server.core.Exchange` adds trading."""

    # --- orders and fills --------------------------------------------------------------------------------------------
    def order(self, account: str, symbol: str, *, order_id: int = 0, client_id: str = "") -> Order | None:
        """Return an order, open or ended; of several with one client id the newest."""
        return self._orders.find(account, symbol, order_id, client_id)

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Return the open orders, oldest first."""
        return self._orders.open(account, symbol)

    def orders(self, account: str, symbol: str) -> list[Order]:
        """Return every order ever placed there, oldest first."""
        return self._orders.placed(account, symbol)

    def fills(self, account: str, symbol: str | None = None) -> list[Fill]:
        """Return the executions, oldest first."""
        return self._orders.filled(account, symbol)

    def fills_of(self, order_id: int) -> list[Fill]:
        """Return the executions of one order, oldest first."""
        return self._orders.fills_of(order_id)

    def queue_ahead(self, order: Order) -> int:
        """Return the true lots in front of an order at its price, or -1 when it does not rest."""
        return self.listing(order.symbol).ahead(self._accounts.number(order.account), order.order_id)

    # --- positions ---------------------------------------------------------------------------------------------------
    @property
    def perps(self) -> PerpMoney:
        """Return wallets, positions and margins of a venue of perpetuals. Raises InputError at a spot venue."""
        if not isinstance(self.money, PerpMoney):
            raise InputError(f"{self.venue} is a spot venue; it has balances and no positions.")
        return self.money

    def position(self, account: str, symbol: str) -> Position:
        """Return a derivative position, flat where there never was one."""
        return self.perps.position(account, symbol)

    def set_leverage(self, account: str, symbol: str, leverage: int) -> None:
        """Change the leverage of an account in a symbol. Raises InputError outside 1 to 125, and at a spot venue."""
        self.perps.set_leverage(account, symbol, leverage)
        self.log.note("leverage", self._now_ns, account=account, symbol=symbol, leverage=leverage)

    # --- the public side ---------------------------------------------------------------------------------------------
    def prints(self, symbol: str, limit: int = 500) -> Sequence[Print]:
        """Return the newest public trades, oldest first."""
        return list(self.listing(symbol).prints)[-limit:]

    def book(self, symbol: str, levels: int = 1000, back: int = 0) -> Book:
        """Return the public book as it is, or as it was `back` diffs ago (the oldest kept, where that is nearer)."""
        return self.listing(symbol).book.copy(levels, back)

    def touch(self, symbol: str) -> Touch:
        """Return best bid and ask."""
        return self.listing(symbol).book.touch()

    def mark_price(self, symbol: str) -> Decimal:
        """Return the mark price: the mid of the touch; with one side empty the other, with both the last print, else 0."""
        listing = self.listing(symbol)
        return listing.instrument.price(listing.mark_half_ticks()) / 2

    def filters(self, symbol: str) -> Filters:
        """Return the rules in force."""
        return self.listing(symbol).filters

    def set_filters(self, symbol: str, **changes: Any) -> None:
        """Change rules in force; open orders stay. Raises UnknownName for a rule that does not exist, InputError for money that is no number."""
        listing = self.listing(symbol)
        for name in changes:
            if name not in Filters.__dataclass_fields__:
                raise UnknownName(f"no filter {name!r}.{did_you_mean(name, Filters.__dataclass_fields__)}")
        if "notional_quote_min" in changes:  # text from a log, or from another process
            changes["notional_quote_min"] = decimal(changes["notional_quote_min"], "notional_quote_min")
        listing.filters = replace(listing.filters, **changes)
        self.log.note("filters", self._now_ns, symbol=symbol, **changes)

    # --- the crowd on command ----------------------------------------------------------------------------------------
    def nudge(self, symbol: str, side: int, lots: int) -> None:
        """Let a taker of the crowd buy (side BID) or sell `lots` at any price."""
        self.crowd(symbol, side, lots, 0, MARKET_ORDER)

    def quote(self, symbol: str, side: int, price_ticks: int, lots: int) -> None:
        """Let the crowd place a limit order, which may trade at once. Raises InputError outside the window of prices."""
        if not self.listing(symbol).reaches(price_ticks):
            raise InputError(f"the crowd was to quote {price_ticks} ticks; wanted a price nearer to the touch, within 32768 ticks.")
        self.crowd(symbol, side, lots, price_ticks, 0)

    def fill_order(self, order: Order, lots: int) -> None:
        """Let the crowd take whatever stands before an order, at better prices and at its own, and then `lots` of it.

        Raises InputError for an order that does not rest, or holds less.
        """
        now_ns = self._turn()
        ahead = self.queue_ahead(order)
        if order.status not in OPEN or ahead < 0 or order.price_ticks is None or not 0 < lots <= order.leaves_lots:
            raise InputError(f"order {order.order_id} was {order.status} with {order.leaves_lots} lots; {lots} of them cannot be filled.")
        better = self.listing(order.symbol).book.better(order.side, order.price_ticks)
        # In the same turn: in another one there might be more in front of it than was just counted.
        self._bring(now_ns, order.symbol, -order.side, better + ahead + lots, order.price_ticks, IOC)

    def crowd(self, symbol: str, side: int, lots: int, price_ticks: int, flags: int) -> None:
        """Let the crowd bring an order; `flags` as hftlab.types has them (MARKET_ORDER, IOC)."""
        if side not in (BID, ASK) or lots <= 0:
            raise InputError(f"side was {side}, lots {lots}; wanted BID (1) or ASK (-1), and at least one lot.")
        self._bring(self._turn(), symbol, side, lots, price_ticks, flags)

    def _bring(self, now_ns: int, symbol: str, side: int, lots: int, price_ticks: int, flags: int) -> None:
        listing = self.listing(symbol)
        self.log.note("crowd", now_ns, symbol=symbol, side=side, lots=lots, price_ticks=price_ticks, flags=flags)
        self._take(listing, listing.request(SUBMIT, now_ns, side=side, price_ticks=price_ticks, qty_lots=lots, flags=flags))
        self._tidy(listing, now_ns)

    # --- money on command --------------------------------------------------------------------------------------------
    def fund(self, symbol: str, rate: Number) -> dict[str, Decimal]:
        """Let longs pay shorts `rate` of what their positions are worth at the mark. Returns what each account received."""
        now_ns, listing = self._turn(), self.listing(symbol)
        received = self.perps.fund(symbol, rate)
        self.log.note("fund", now_ns, symbol=symbol, rate=str(rate), received={key: plain(amount) for key, amount in received.items()})
        for account in received:
            self._tell_account(account, listing, "FUNDING", now_ns)
        return received

    def deposit(self, account: str, asset: str, amount: Number) -> None:
        """Add to a balance; below zero takes away. Raises InputError when less than that is free."""
        now_ns, exact = self._turn(), decimal(amount, "the deposit")
        if exact < 0 and self.money.free(account, asset) + exact < 0:
            raise InputError(f"{-exact} {asset} were to be withdrawn; only {self.money.free(account, asset)} are free.")
        self._accounts.pay(account, asset, exact)
        self.log.note("deposit", now_ns, account=account, asset=asset, amount=exact)
        self._tell(AccountEvent(account, "DEPOSIT", now_ns, (), (asset,)))

    # --- the truth ---------------------------------------------------------------------------------------------------
    def book_hash(self, symbol: str, last_id: int, levels: int | None = None) -> str:
        """Return the hash of the book after the diff that ended at `last_id`; see `hftlab.venues.server.hashing` for how it is made.

        Of the whole book for the newest half million diffs, or with `levels` of the best levels of each side for some hundred.
        Raises InputError for an id at which no diff ended, or one that is no longer kept.
        """
        return self.listing(symbol).book.hash(last_id, levels)

    def truth(self) -> dict[str, Any]:
        """Return everything that a client could be wrong about, as plain values that JSON takes; money as text, sizes in ticks and lots."""
        accounts = {}
        for key, account in self._accounts.by_key.items():
            accounts[key] = {
                "balances": {asset: plain(total) for asset, total in account.balances.items()},
                "free": {asset: plain(self.money.free(key, asset)) for asset in account.balances},
                "positions": {
                    symbol: {name: plain(value) for name, value in asdict(position).items()}
                    for symbol, position in account.positions.items()
                },
                "open_orders": [order.order_id for order in self._orders.open(key)],
            }
        return {
            "venue": self.venue,
            "ts_ns": self._now_ns,
            "accounts": accounts,
            "orders": [order_facts(order) for order in self._orders.all.values()],
            "fills": [fill_facts(fill) for fill in self._orders.fills],
            "books": {
                symbol: {"last_id": one.book.last_id, "hash": one.book.hash(one.book.last_id), "last_trade_id": one.last_trade_id}
                for symbol, one in self._listings.items()
            },
        }

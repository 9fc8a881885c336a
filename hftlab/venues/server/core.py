"""The exchange of one venue: what skins ask of it, and what tests and faults tell it to do."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from decimal import Decimal
from typing import Any, NoReturn

from hftlab.data.tape import Tape
from hftlab.errors import UnknownName, did_you_mean
from hftlab.instrument import Number
from hftlab.types import AMEND_NEVER, AMEND_ONLY_SMALLER, AMEND_SAME_PRICE
from hftlab.venues.server.controls import Controls
from hftlab.venues.server.filters import check_price, check_size
from hftlab.venues.server.listing import Listing
from hftlab.venues.server.market import Market, StillMarket, SynthMarket
from hftlab.venues.server.market_tape import TapeMarket
from hftlab.venues.server.model import Account, NewOrder, Order, Refused, Status, Why
from hftlab.venues.server.rules import bundled_instruments


class Exchange(Controls):
    """One venue over its markets: implements `hftlab.venues.server.model.Core`, and the controls of tests and faults.

    `venue` is binance (spot), binanceusdm or hyperliquid (linear perpetuals); `markets` are drivers by the venue's own symbol; `clock_ns`
    is the only clock. Fees are in basis points, the venue's base tier where none are given; below zero is a rebate.
    The same markets, calls and times make the same log.
    """

    # --- accounts ----------------------------------------------------------------------------------------------------
    def add_account(self, key: str, secret: str = "", balances: Mapping[str, Any] | None = None) -> Account:
        """Open an account, or return the one with this key."""
        known = key in self._accounts.by_key
        account = self._accounts.add(key, secret, balances)
        if not known:
            self.log.note("account", self._now_ns, account=key, balances={asset: f"{total:f}" for asset, total in account.balances.items()})
        return account

    def account(self, key: str) -> Account | None:
        """Return the account with this key."""
        return self._accounts.by_key.get(key)

    def accounts(self) -> list[Account]:
        """Return all accounts, in the order in which they were opened."""
        return list(self._accounts.by_key.values())

    def free(self, account: str, asset: str) -> Decimal:
        """Return what of an asset no open order locks (spot) or no margin needs (derivatives)."""
        return self.money.free(account, asset)

    # --- trading -----------------------------------------------------------------------------------------------------
    def place(self, account: str, wish: NewOrder) -> Order:
        """Take in an order. Raises Refused."""
        now_ns = self._turn()
        try:
            listing, qty_lots = self._checked(account, wish)
        except Refused as refused:
            self._refuse("place", account, wish.symbol, refused)
        order = Order(
            account=account,
            symbol=wish.symbol,
            order_id=self._orders.last_id + 1,
            client_id=wish.client_id,
            side=wish.side,
            price_ticks=wish.price_ticks,
            qty_lots=qty_lots,
            tif=wish.tif,
            post_only=wish.post_only,
            reduce_only=wish.reduce_only,
            stp=wish.stp,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        self.log.note("place", now_ns, order_id=order.order_id, account=account, **{name: getattr(wish, name) for name in wish.__slots__})
        self._orders.add(order)
        self._enter(listing, order, now_ns)
        self._tidy(listing, now_ns)
        return order

    def _checked(self, account: str, wish: NewOrder) -> tuple[Listing, int]:
        """Return where the order goes and its lots, which reduce-only may cut. Raises Refused."""
        listing = self.listing(wish.symbol)
        if not listing.filters.trading:
            raise Refused(Why.CLOSED, wish.symbol)
        if wish.price_ticks is not None:
            check_price(listing, wish.side, wish.price_ticks, rests=wish.tif == "GTC")
        check_size(listing, wish.qty_lots, wish.price_ticks, small=wish.reduce_only)
        if wish.client_id and self._orders.find_open(account, wish.symbol, 0, wish.client_id):
            raise Refused(Why.DUPLICATE_ID, wish.client_id)
        if len(self._orders.open(account, wish.symbol)) >= listing.filters.orders_max or listing.full:
            raise Refused(Why.TOO_MANY, f"{listing.filters.orders_max} open orders")
        qty_lots = wish.qty_lots
        if wish.reduce_only:
            qty_lots = min(qty_lots, 0 if self.rules.spot else self.reducible(account, wish.symbol, wish.side))
            if qty_lots == 0:
                raise Refused(Why.REDUCE_ONLY)
        crosses = listing.crosses(wish.side, wish.price_ticks)
        if wish.post_only and crosses:
            raise Refused(Why.WOULD_TAKE)
        if self.rules.refuses_unmatched and not crosses and (wish.price_ticks is None or wish.tif != "GTC"):
            raise Refused(Why.NO_MATCH)
        self._check_cover(account, listing, wish, qty_lots)
        return listing, qty_lots

    def _check_cover(self, account: str, listing: Listing, wish: NewOrder, qty_lots: int) -> None:
        if wish.reduce_only:
            return
        if wish.price_ticks is not None:
            ticklots = qty_lots * wish.price_ticks
        else:
            ticklots = listing.book.cost(wish.side, qty_lots, self._own_levels(account, wish.symbol, -wish.side))
        if not self.money.affords(account, wish.symbol, wish.side, qty_lots, ticklots):
            raise Refused(Why.INSUFFICIENT)

    def _own_levels(self, account: str, symbol: str, side: int) -> dict[int, int]:
        """Return the lots of an account that rest on a side, by price."""
        own: dict[int, int] = {}
        for order in self._orders.open(account, symbol):
            if order.side == side and order.price_ticks is not None:
                own[order.price_ticks] = own.get(order.price_ticks, 0) + order.leaves_lots
        return own

    def amend(
        self, account: str, symbol: str, price_ticks: int, qty_lots: int, *, order_id: int = 0, client_id: str = "", new_client_id: str = ""
    ) -> Order:
        """Change price and total quantity in place, by the venue's amend rule. Raises Refused (with `order` when it ended by it).

        `new_client_id` is what the order is called from then on; it must not be in use.
        """
        now_ns = self._turn()
        try:
            listing = self.listing(symbol)
            order = self._found(account, symbol, order_id, client_id)
            self._check_amend(listing, order, price_ticks, qty_lots)
            if new_client_id and self._orders.find_open(account, symbol, 0, new_client_id):
                raise Refused(Why.DUPLICATE_ID, new_client_id)
        except Refused as refused:
            self._refuse("amend", account, symbol, refused)
        named = {"new_client_id": new_client_id} if new_client_id else {}
        self.log.note("amend", now_ns, order_id=order.order_id, price_ticks=price_ticks, qty_lots=qty_lots, **named)
        order.amends += 1
        if new_client_id:
            self._orders.rename(order, new_client_id)
        why = None
        if qty_lots <= order.filled_lots:
            why = Why.BAD_QTY
            self._drop(listing, order, now_ns, Status.CANCELED, why)
        elif order.post_only and listing.crosses(order.side, price_ticks):
            why = Why.WOULD_TAKE
            self._drop(listing, order, now_ns, Status.EXPIRED, why)
        else:
            self._change(listing, order, price_ticks, qty_lots, now_ns, self.rules.amend_rule)
        self._tidy(listing, now_ns)
        if why is not None:
            raise Refused(why, "the amend ended the order", copy(order))
        return order

    def _found(self, account: str, symbol: str, order_id: int, client_id: str) -> Order:
        order = self._orders.find_open(account, symbol, order_id, client_id)
        if order is None:
            raise Refused(Why.UNKNOWN_ORDER, str(order_id or client_id))
        return order

    def _check_amend(self, listing: Listing, order: Order, price_ticks: int, qty_lots: int) -> None:
        """Refuse what the venue does not let an amend do; the order rests on."""
        if not listing.filters.trading:
            raise Refused(Why.CLOSED, order.symbol)
        rule, same_price = self.rules.amend_rule, price_ticks == order.price_ticks
        if rule == AMEND_NEVER:
            raise Refused(Why.NO_AMEND, "this venue replaces the order")
        if same_price and qty_lots == order.qty_lots:
            raise Refused(Why.NO_CHANGE)
        if order.amends >= listing.filters.amends_max:
            raise Refused(Why.TOO_MANY, f"{order.amends} amends of this order")
        shrinks = order.filled_lots < qty_lots < order.qty_lots
        if (rule & AMEND_SAME_PRICE and not same_price) or (rule & AMEND_ONLY_SMALLER and not shrinks):
            raise Refused(Why.NO_AMEND, "only a smaller quantity, above what is filled, may be asked for")
        if qty_lots <= order.filled_lots:
            return  # it ends the order, whatever the filters say
        check_price(listing, order.side, price_ticks, rests=True)
        check_size(listing, qty_lots, price_ticks, small=order.reduce_only)
        leaves = qty_lots - order.filled_lots
        if order.reduce_only and leaves > self.reducible(order.account, order.symbol, order.side, order):
            raise Refused(Why.REDUCE_ONLY)
        if not order.reduce_only and not self.money.affords(
            order.account, order.symbol, order.side, leaves, leaves * price_ticks, instead_of=order
        ):
            raise Refused(Why.INSUFFICIENT)

    def cancel(self, account: str, symbol: str, *, order_id: int = 0, client_id: str = "") -> Order:
        """Cancel an open order. Raises Refused(UNKNOWN_ORDER) when none is open under that name."""
        now_ns = self._turn()
        try:
            listing = self.listing(symbol)
            order = self._found(account, symbol, order_id, client_id)
        except Refused as refused:
            self._refuse("cancel", account, symbol, refused)
        self.log.note("cancel", now_ns, order_id=order.order_id)
        self._drop(listing, order, now_ns, Status.CANCELED)
        return order

    def cancel_all(self, account: str, symbol: str | None = None) -> list[Order]:
        """Cancel every open order of an account, in one symbol or all. Returns them."""
        now_ns = self._turn()
        try:
            if symbol is not None:
                self.listing(symbol)
        except Refused as refused:
            self._refuse("cancel_all", account, symbol or "", refused)
        orders = self._orders.open(account, symbol)
        for order in orders:
            self.log.note("cancel", now_ns, order_id=order.order_id)
            self._drop(self._listings[order.symbol], order, now_ns, Status.CANCELED)
        return orders

    def _refuse(self, what: str, account: str, symbol: str, refused: Refused) -> NoReturn:
        self.log.note("refused", self._now_ns, request=what, account=account, symbol=symbol, why=refused.why, text=refused.text)
        raise refused


def open_exchange(
    venue: str,
    *,
    clock_ns: Callable[[], int],
    symbols: Iterable[str] | None = None,
    seed: int | None = 1,
    tapes: Mapping[str, Tape] | None = None,
    speed: float = 1.0,
    maker_bps: Number | None = None,
    taker_bps: Number | None = None,
    **options: float,
) -> Exchange:
    """Return an exchange over the catalogue's instruments of a venue, or some of its `symbols` (BTCUSDT; BTC at Hyperliquid).

    A symbol in `tapes` is driven by that recording at `speed`, the others by the simulated crowd (`seed`, one more for each symbol, and
    flow `options`), or with seed=None by nobody. Raises UnknownName for a venue, symbol or option that does not exist.
    """
    known, tapes = bundled_instruments(venue), tapes or {}
    markets: dict[str, Market] = {}
    for number, symbol in enumerate(known if symbols is None else symbols):
        if symbol in tapes:
            markets[symbol] = TapeMarket(tapes[symbol], speed=speed)
        elif symbol not in known:
            raise UnknownName(f"no symbol {symbol!r} at {venue}.{did_you_mean(symbol, known)}")
        else:
            markets[symbol] = StillMarket(known[symbol]) if seed is None else SynthMarket(known[symbol], seed=seed + number, **options)
    return Exchange(venue, markets, clock_ns=clock_ns, maker_bps=maker_bps, taker_bps=taker_bps)

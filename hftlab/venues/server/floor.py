"""What the matching engine reports, turned into orders, fills, money and events, in one order for everybody."""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.errors import InputError, KernelFault
from hftlab.instrument import Instrument
from hftlab.kernels.world import OUT_ROWS
from hftlab.types import (
    ACCEPTED,
    AMENDED,
    CANCELED,
    EVENT,
    FILL,
    KIND_NAMES,
    MAKER,
    REJECTED,
    STP_CANCEL_TAKER,
)
from hftlab.venues.server.accounts import Accounts, FeeRates, SpotMoney
from hftlab.venues.server.listing import FLAGS, KIND, ORDER_ID, PRICE, QTY, Happening, Listing, Row
from hftlab.venues.server.market import Market
from hftlab.venues.server.model import AccountEvent, Event, Fill, Filters, Order, OrderEvent, Print, Refused, Status, Touch, Why
from hftlab.venues.server.orders import OrderTable
from hftlab.venues.server.perps import PerpMoney
from hftlab.venues.server.rules import rules_of
from hftlab.venues.server.truth import Log, fill_facts

ENDED = {Status.CANCELED: "CANCELED", Status.EXPIRED: "EXPIRED", Status.REJECTED: "REJECTED"}


@dataclass(slots=True)
class Hand:
    """The order that a request is about, and what it means when the matching engine ends it."""

    order: Order
    status: Status = Status.EXPIRED
    why: Why | None = None
    stopped: bool = False  # by self-trade prevention: it could have gone on trading
    known: bool = False  # it comes in again, which is no news
    leaves: bool = False  # it is taken out of the matching engine to come in again


class Floor:
    """The state of one venue and everything that changes it. `hftlab.venues.server.core.Exchange` is what skins talk to."""

    def __init__(
        self,
        venue: str,
        markets: Mapping[str, Market],
        *,
        clock_ns: Callable[[], int],
        maker_bps: Any = None,
        taker_bps: Any = None,
    ) -> None:
        self.venue, self.rules = venue, rules_of(venue)
        if not markets:
            raise InputError("no markets were given; wanted at least one, by the venue's own symbol.")
        self._clock_ns = clock_ns
        self._now_ns = clock_ns()
        self._busy = False
        out = np.zeros(OUT_ROWS, EVENT)
        self.instruments: dict[str, Instrument] = {symbol: market.instrument for symbol, market in markets.items()}
        self._listings = {
            symbol: Listing(symbol, market, self._first_filters(market.instrument), self._now_ns, out) for symbol, market in markets.items()
        }
        self._touches: dict[str, Touch] = {symbol: listing.book.touch() for symbol, listing in self._listings.items()}
        self._listeners: list[Callable[[Event], None]] = []
        self._orders, self._accounts, self.log = OrderTable(), Accounts(), Log()
        fees = FeeRates.of_bps(
            self.rules.maker_bps if maker_bps is None else maker_bps, self.rules.taker_bps if taker_bps is None else taker_bps
        )
        self.money: SpotMoney | PerpMoney = (
            SpotMoney(self._accounts, self.instruments, fees)
            if self.rules.spot
            else PerpMoney(self._accounts, self.instruments, fees, self._orders, lambda symbol: self._listings[symbol].mark_half_ticks())
        )
        self._shrunk: set[tuple[str, str]] = set()  # accounts and symbols whose reduce-only orders may be too large now

    def _first_filters(self, instrument: Instrument) -> Filters:
        if instrument.inverse:
            raise InputError(f"{instrument.name} is inverse; wanted a spot pair or a linear contract.")
        return Filters(notional_quote_min=instrument.notional_quote_min, orders_max=self.rules.orders_max)

    def listing(self, symbol: str) -> Listing:
        """Return a symbol's book and rules. Raises Refused(UNKNOWN_SYMBOL)."""
        if symbol not in self._listings:
            raise Refused(Why.UNKNOWN_SYMBOL, symbol)
        return self._listings[symbol]

    # --- listeners ---------------------------------------------------------------------------------------------------
    def now_ns(self) -> int:
        """Return exchange time: the clock's, and never before what has happened."""
        return max(self._now_ns, self._clock_ns())

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have every event from now on told to `listener`."""
        self._listeners.append(listener)

    def _tell(self, event: Event) -> None:
        self._busy = True
        try:
            for listener in self._listeners:
                listener(event)
        finally:
            self._busy = False

    def _tell_order(self, what: str, order: Order, ts_ns: int, fill: Fill | None = None) -> None:
        facts: dict[str, Any] = {
            "order_id": order.order_id,
            "status": order.status,
            "qty_lots": order.qty_lots,
            "price_ticks": order.price_ticks,
        }
        facts |= {"why": order.why} if order.why else {}
        self.log.note(what, ts_ns, **facts, **({"fill": fill_facts(fill)} if fill else {}))
        self._tell(OrderEvent(what, copy(order), ts_ns, fill))

    # --- what the matching engine says -------------------------------------------------------------------------------
    def _take(self, listing: Listing, rows: np.ndarray, hand: Hand | None = None) -> None:
        """Make happen what the rows say."""
        for happening in listing.happenings(rows):
            touched: dict[str, None] = {}
            trades = _trade_of_fills(happening)
            before: Row | None = None
            for row in happening.reports:
                order = self._orders.all[row[ORDER_ID]]
                if self._report(listing, order, row, hand, before, next(trades) if row[KIND] == FILL else None):
                    touched[order.account] = None
                before = row
            for account in touched:
                self._tell_account(account, listing, "ORDER", happening.ts_ns)
            self._publish(listing, happening)

    def _publish(self, listing: Listing, happening: Happening) -> None:
        """Tell the public: prints, the book, the touch."""
        for trade in happening.prints:
            listing.prints.append(trade)
            self._tell(trade)
        levels = happening.levels
        if listing.waiting:
            levels = [(side, price, lots + listing.waiting_lots(side, price)) for side, price, lots in levels]
        diff = listing.book.change(happening.ts_ns, levels)
        if diff is None:
            return
        self._tell(diff)
        touch, before = listing.book.touch(), self._touches[listing.symbol]
        if (touch.bid_ticks, touch.bid_lots, touch.ask_ticks, touch.ask_lots) != (
            before.bid_ticks,
            before.bid_lots,
            before.ask_ticks,
            before.ask_lots,
        ):
            self._touches[listing.symbol] = touch
            self._tell(touch)

    def _tell_account(self, account: str, listing: Listing, reason: str, ts_ns: int) -> None:
        one = listing.instrument
        assets = (one.base, one.quote) if self.rules.spot else (one.settle,)
        self._tell(AccountEvent(account, reason, ts_ns, (listing.symbol,), assets))

    def _report(self, listing: Listing, order: Order, row: Row, hand: Hand | None, before: Row | None, trade: Print | None) -> bool:
        """Let one report change its order. Returns whether money or what is free of it moved."""
        ts_ns, kind = row[0], row[KIND]
        order.updated_ns = ts_ns
        if kind == FILL:
            assert trade is not None
            self._fill(listing, order, row, trade)
            return True
        if kind == ACCEPTED:
            return not (hand and hand.known) and self._accept(order, ts_ns)
        if kind == AMENDED:
            order.qty_lots = row[QTY] + listing.filled_before.get(order.order_id, 0)
            order.price_ticks = None if order.price_ticks is None else row[PRICE]
            moved = self.money.hold(order)
            self._tell_order("AMENDED", order, ts_ns)
        elif kind == REJECTED and order.tif == "FOK":
            moved = self._accept(order, ts_ns)
            self._end(order, Status.EXPIRED, Why.CANNOT_FILL, ts_ns)
        elif kind == CANCELED and hand and hand.leaves and hand.order is order:
            return False
        elif kind == CANCELED and (hand is None or (hand.order is not order and not listing.within(row[PRICE]))):
            listing.waiting[order.order_id] = order  # the window of prices moved away from it; the crowd ends nobody's order
            return False
        elif kind == CANCELED:
            status, why = _ending(order, hand, before)
            moved = self._end(order, status, why, ts_ns)
        else:
            raise KernelFault(f"the matching engine answered {KIND_NAMES[kind]} to order {order.order_id}, which had passed every check.")
        return moved

    def _accept(self, order: Order, ts_ns: int) -> bool:
        """Make a new order known. Returns whether it locks money."""
        moved = self.money.hold(order)
        self._tell_order("NEW", order, ts_ns)
        return moved

    def _fill(self, listing: Listing, order: Order, row: Row, trade: Print) -> None:
        lots, price, maker = row[QTY], row[PRICE], bool(row[FLAGS] & MAKER)
        settled = self.money.settle(order, price, lots, maker=maker)
        order.filled_lots += lots
        order.filled_ticklots += lots * price
        order.status = Status.FILLED if order.filled_lots == order.qty_lots else Status.PARTIALLY_FILLED
        self.money.hold(order)
        self._orders.update(order)
        fill = Fill(
            trade_id=trade.trade_id,
            account=order.account,
            symbol=order.symbol,
            order_id=order.order_id,
            client_id=order.client_id,
            side=order.side,
            price_ticks=price,
            qty_lots=lots,
            maker=maker,
            fee=settled.fee,
            fee_asset=settled.fee_asset,
            realized=settled.realized,
            ts_ns=row[0],
        )
        self._orders.add_fill(fill)
        if not self.rules.spot:
            self._shrunk.add((order.account, order.symbol))
        self._tell_order("TRADE", order, row[0], fill)

    def _end(self, order: Order, status: Status, why: Why | None, ts_ns: int) -> bool:
        """End an order without a trade. Returns whether that freed money."""
        order.status, order.why, order.updated_ns = status, why, ts_ns
        self._orders.update(order)
        moved = self.money.hold(order)
        self._tell_order(ENDED[status], order, ts_ns)
        return moved


def _trade_of_fills(happening: Happening) -> Iterator[Print]:
    """Yield the print of each FILL report in turn. A client that takes has a FILL for every trade, its maker's just before it."""
    prints, fills = happening.prints, [row for row in happening.reports if row[KIND] == FILL]
    client_takes = any(not row[FLAGS] & MAKER for row in fills)
    at = 0
    for row in fills:
        while not client_takes and (prints[at].price_ticks, prints[at].qty_lots) != (row[PRICE], row[QTY]):
            at += 1
        yield prints[at]
        if not client_takes or not row[FLAGS] & MAKER:
            at += 1


def _ending(order: Order, hand: Hand | None, before: Row | None) -> tuple[Status, Why | None]:
    """Say how an order ended that the matching engine canceled."""
    if hand is None or hand.order is not order:
        return Status.EXPIRED, Why.SELF_TRADE  # it stood in the way of a taker of its own account
    prevented = before is not None and before[KIND] in (CANCELED, AMENDED) and before[ORDER_ID] != order.order_id
    if hand.stopped or (prevented and order.stp > STP_CANCEL_TAKER):
        return Status.EXPIRED, Why.SELF_TRADE
    unmatched = hand.status is Status.EXPIRED and hand.why is None and not order.filled_lots
    return hand.status, Why.NO_MATCH if unmatched else hand.why

"""How a checked request reaches the matching engine, or an order waits outside its window of prices; and how time passes."""

from hftlab.errors import InputError
from hftlab.types import AMEND, AMEND_KEEPS_SMALLER, ASK, BID, CANCEL, FOK, IOC, MARKET_ORDER, POST_ONLY, STP_CANCEL_TAKER, SUBMIT
from hftlab.venues.server.floor import Floor, Hand
from hftlab.venues.server.listing import Happening, Listing
from hftlab.venues.server.model import OPEN, Order, Status, Why
from hftlab.venues.server.perps import PerpMoney

FLAGS_OF = {"GTC": 0, "IOC": IOC, "FOK": FOK}
NEAR_TICKS = 30_000  # of the touch: well inside the window, so that an order is not let in and pushed out in turns


class Requests(Floor):
    """What acts on one order, wherever it rests. Nothing here checks: whoever calls has."""

    # --- time --------------------------------------------------------------------------------------------------------
    def advance(self, now_ns: int | None = None) -> None:
        """Let the markets run up to `now_ns`, or to now. Symbol by symbol: between two symbols only requests are in order of time.

        Raises InputError when a listener calls it, directly or by a request.
        """
        if self._busy:
            raise InputError("the exchange was called from one of its listeners; do it after the call that caused the event.")
        until_ns = self.now_ns() if now_ns is None else now_ns
        if until_ns < self._now_ns:
            return
        for listing in self._listings.values():
            for rows in listing.market.advance(listing.room, until_ns):
                self._take(listing, rows)
            self._tidy(listing, until_ns)
        self._now_ns = until_ns

    def _turn(self) -> int:
        """Bring the markets to now, before a request acts. Returns the time."""
        self.advance()
        return self._now_ns

    # --- one order ---------------------------------------------------------------------------------------------------
    def _enter(self, listing: Listing, order: Order, now_ns: int, *, known: bool = False) -> None:
        """Bring an order in: a new one, or one that is `known` and comes in again."""
        limit, crosses = order.price_ticks, listing.crosses(order.side, order.price_ticks)
        waits = limit is not None and order.tif == "GTC" and not listing.reaches(limit)
        if waits and not crosses:
            if not known and self._accept(order, now_ns):
                self._tell_account(order.account, listing, "ORDER", now_ns)
            listing.waiting[order.order_id] = order
            self._show(listing, order, now_ns)
            return
        if known and order.post_only and crosses:
            self._end(order, Status.EXPIRED, Why.WOULD_TAKE, now_ns)
            return
        if order.filled_lots:
            listing.filled_before[order.order_id] = order.filled_lots
        rows = listing.request(
            SUBMIT,
            now_ns,
            owner=self._accounts.number(order.account),
            order_id=order.order_id,
            side=order.side,
            price_ticks=limit or 0,
            qty_lots=order.leaves_lots,
            flags=(MARKET_ORDER if limit is None else 0) | (IOC if waits else FLAGS_OF[order.tif]) | (POST_ONLY if order.post_only else 0),
            stp=order.stp,
        )
        # the rest of one that took all there was and would rest out of anybody's reach ends, as under a price band
        why = Why.PRICE_BAND if waits else None
        self._take(listing, rows, Hand(order, why=why, stopped=_stopped(listing, order, limit), known=known))

    def _show(self, listing: Listing, order: Order, now_ns: int) -> None:
        """Tell the public about the level of an order outside the window, where the matching engine has nothing."""
        assert order.price_ticks is not None
        self._publish(listing, Happening(now_ns, levels=[(order.side, order.price_ticks, 0)]))

    def _drop(self, listing: Listing, order: Order, now_ns: int, status: Status, why: Why | None = None) -> None:
        """End an order."""
        if listing.waiting.pop(order.order_id, None):
            if self._end(order, status, why, now_ns):
                self._tell_account(order.account, listing, "ORDER", now_ns)
            self._show(listing, order, now_ns)
            return
        rows = listing.request(CANCEL, now_ns, owner=self._accounts.number(order.account), order_id=order.order_id)
        self._take(listing, rows, Hand(order, status, why))

    def _change(self, listing: Listing, order: Order, price_ticks: int, qty_lots: int, now_ns: int, rule: int) -> None:
        """Give an order another price or total quantity, above what is filled, by the bits AMEND_* of `rule`."""
        owner = self._accounts.number(order.account)
        if order.order_id not in listing.waiting and listing.within(price_ticks):
            rows = listing.request(
                AMEND,
                now_ns,
                owner=owner,
                order_id=order.order_id,
                price_ticks=price_ticks,
                qty_lots=qty_lots - listing.filled_before.get(order.order_id, 0),
                stp=order.stp,
                amend_rule=rule,
            )
            self._take(listing, rows, Hand(order, stopped=_stopped(listing, order, price_ticks)))
            return
        if listing.waiting.pop(order.order_id, None):
            self._show(listing, order, now_ns)
        else:
            self._take(listing, listing.request(CANCEL, now_ns, owner=owner, order_id=order.order_id), Hand(order, leaves=True))
        order.price_ticks, order.qty_lots, order.updated_ns = price_ticks, qty_lots, now_ns
        moved = self.money.hold(order)
        self._tell_order("AMENDED", order, now_ns)
        if moved:
            self._tell_account(order.account, listing, "ORDER", now_ns)
        self._enter(listing, order, now_ns, known=True)

    # --- what follows from it ----------------------------------------------------------------------------------------
    def _tidy(self, listing: Listing, now_ns: int) -> None:
        """Let in who has waited long enough, and cut reduce-only orders. After all rows: a request in between would overtake them."""
        for order in [one for one in listing.waiting.values() if listing.reaches(one.price_ticks or 0, NEAR_TICKS)]:
            if not listing.full:
                del listing.waiting[order.order_id]
                self._enter(listing, order, now_ns, known=True)
        while self._shrunk:
            account, symbol = self._shrunk.pop()
            self._cut(account, self._listings[symbol], now_ns)

    def reducible(self, account: str, symbol: str, side: int, without: Order | None = None) -> int:
        """Return the lots by which reduce-only orders of `side` may still reduce a position, besides those that rest."""
        if not isinstance(self.money, PerpMoney):
            return 0
        lots = -side * self.money.position(account, symbol).lots
        resting = sum(o.leaves_lots for o in self._orders.open(account, symbol) if o.reduce_only and o.side == side and o is not without)
        return max(0, lots - resting)

    def _cut(self, account: str, listing: Listing, now_ns: int) -> None:
        """Cut reduce-only orders, the youngest first, to what they can still reduce."""
        assert isinstance(self.money, PerpMoney)
        left = {side: max(0, -side * self.money.position(account, listing.symbol).lots) for side in (BID, ASK)}
        for order in [one for one in self._orders.open(account, listing.symbol) if one.reduce_only]:
            keep = min(order.leaves_lots, left[order.side])
            left[order.side] -= keep
            if order.status in OPEN and keep == 0:
                self._drop(listing, order, now_ns, Status.EXPIRED, Why.REDUCE_ONLY)
            elif keep < order.leaves_lots:
                assert order.price_ticks is not None
                self._change(listing, order, order.price_ticks, order.filled_lots + keep, now_ns, AMEND_KEEPS_SMALLER)


def _stopped(listing: Listing, order: Order, limit: int | None) -> bool:
    """Say, after a request, whether self-trade prevention stopped it: the other side has not moved away from its price."""
    return order.stp == STP_CANCEL_TAKER and listing.crosses(order.side, limit)

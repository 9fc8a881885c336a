"""Orders, cancels and modifies of Hyperliquid over the core."""

from decimal import Decimal
from typing import Any

from hftlab.errors import InputError, OffGridPrice, OffGridQuantity
from hftlab.instrument import decimal
from hftlab.types import ASK, BID, NO_PRICE, STP_CANCEL_MAKER
from hftlab.venues.server.hyperliquid_state import HyperliquidState
from hftlab.venues.server.hyperliquid_text import plain, price_fits, refusal
from hftlab.venues.server.hyperliquid_wire import BatchModify, CancelCloids, CancelOids, Modify, Modifying, OrderWire, PlaceOrders
from hftlab.venues.server.model import OPEN, NewOrder, Order, Refused, Why

_TIFS = {"Gtc": ("GTC", False), "Alo": ("GTC", True), "Ioc": ("IOC", False)}
_NOT_OPEN = "Cannot modify canceled or filled order"


class Failed(Exception):
    """A whole action is refused, in the venue's words."""


class Said(Exception):
    """One order of a batch is refused, in the venue's words."""


class HyperliquidOrders:
    """Each public method does one action for one address and returns the `response` of the reply."""

    def __init__(self, state: HyperliquidState) -> None:
        self._state = state

    def place(self, address: str, action: PlaceOrders) -> Any:
        """Place the orders of an action, one after the other. Raises Failed for a builder without leave."""
        if action.builder is not None and action.builder.b.lower() not in self._state.user(address).builders:
            raise Failed("Builder fee has not been approved.")
        return _statuses("order", [self._place_one(address, wire) for wire in action.orders])

    def cancel(self, address: str, action: CancelOids | CancelCloids) -> Any:
        """Cancel by oid or cloid."""
        if isinstance(action, CancelOids):
            return _statuses("cancel", [self._cancel_one(address, one.a, one.o, "") for one in action.cancels])
        return _statuses("cancel", [self._cancel_one(address, one.asset, 0, one.cloid.lower()) for one in action.cancels])

    def modify(self, address: str, action: Modify) -> Any:
        """Modify one order. Raises Failed: unlike a batch, one modify is refused as a whole."""
        status = self._modify_one(address, action)
        if "error" in status:
            raise Failed(status["error"])
        return {"type": "default"}

    def batch_modify(self, address: str, action: BatchModify) -> Any:
        """Modify several orders."""
        return _statuses("order", [self._modify_one(address, one) for one in action.modifies])

    # --- one order ---
    def _place_one(self, address: str, wire: OrderWire) -> dict[str, Any]:
        try:
            wish = self._wish(wire)
            self._state.faults.before("order", wish.symbol, None)
            return self._place(address, wish)
        except Said as said:
            return {"error": str(said)}

    def _cancel_one(self, address: str, asset: int, order_id: int, client_id: str) -> Any:
        core = self._state.core
        try:
            coin = self._coin(asset)
            self._state.faults.before("cancel", coin, core.order(address, coin, order_id=order_id, client_id=client_id))
            core.cancel(address, coin, order_id=order_id, client_id=client_id)
        except Refused as error:
            return {"error": refusal(error.why, asset)}
        except Said as said:
            return {"error": str(said)}
        return "success"

    def _modify_one(self, address: str, wire: Modifying) -> dict[str, Any]:
        """Cancel an order and place another one, in one action.

        What is wrong with the new order by itself (price, size) leaves the old one alive. What only the book or the margin
        refuse comes after the cancel: the old order is gone then, and the words say so. (Told alike by several users of the
        venue, with the text; its documents are silent.)
        """
        core = self._state.core
        try:
            wish = self._wish(wire.order)
            order = self._named(address, wish.symbol, wire.oid)
            self._state.faults.before("amend", wish.symbol, order)
            order = self._named(address, wish.symbol, wire.oid)
            if order is not None and order.status in OPEN and order.side == wish.side:
                core.cancel(address, wish.symbol, order_id=order.order_id)
            elif not wire.a:
                raise Said(_NOT_OPEN)
        except Said as said:
            return {"error": str(said)}
        try:
            return self._place(address, wish)
        except Said as said:
            return {"error": f"Error placing new order during modify: {said}"}

    def _named(self, address: str, coin: str, name: int | str) -> Order | None:
        """Return the order that an oid (a whole number) or a cloid (a text) names."""
        if isinstance(name, str):
            return self._state.core.order(address, coin, client_id=name.lower())
        return self._state.core.order(address, coin, order_id=name)

    def _wish(self, wire: OrderWire) -> NewOrder:
        """Return what an order on the wire asks for. Raises Said."""
        coin = self._coin(wire.a)
        instrument = self._state.instrument(coin)
        if wire.t.limit is None:
            raise Said(f"Invalid TP/SL price. asset={wire.a}")
        tif, post_only = _TIFS[wire.t.limit.tif]
        price, qty = _number(wire.p), _number(wire.s)
        if qty == 0:
            raise Said(f"Order has zero size. asset={wire.a}")
        if price <= 0 or not price_fits(price, instrument):
            raise Said(refusal(Why.BAD_PRICE, wire.a))
        try:
            price_ticks, qty_lots = instrument.ticks(price), instrument.lots(qty)
        except OffGridPrice as error:
            raise Said(refusal(Why.BAD_PRICE, wire.a)) from error
        except OffGridQuantity as error:
            raise Said(refusal(Why.BAD_QTY, wire.a)) from error
        side = BID if wire.b else ASK
        return NewOrder(coin, side, qty_lots, price_ticks, (wire.c or "").lower(), tif, post_only, wire.r, STP_CANCEL_MAKER)

    def _place(self, address: str, wish: NewOrder) -> dict[str, Any]:
        """Place an order and return its status. Raises Said."""
        asset = self._state.asset(wish.symbol)
        try:
            order = self._state.core.place(address, wish)
        except Refused as error:
            raise Said(refusal(error.why, asset, self._bbo(wish.symbol))) from error
        if order.status in OPEN:
            return {"resting": _names(order)}
        if not order.filled_lots:
            raise Said(refusal(order.why or Why.NO_MATCH, asset, self._bbo(wish.symbol)))
        instrument = self._state.instrument(wish.symbol)
        average = instrument.tick_size * order.filled_ticklots / order.filled_lots
        return {"filled": {"totalSz": plain(instrument.qty(order.filled_lots)), "avgPx": plain(round(average, 6)), **_names(order)}}

    def _coin(self, asset: int) -> str:
        if not 0 <= asset < len(self._state.coins):
            raise Said(f"Asset {asset} is unknown.")
        return self._state.coins[asset]

    def _bbo(self, coin: str) -> str:
        touch, instrument = self._state.core.touch(coin), self._state.instrument(coin)
        sides = (touch.bid_ticks, touch.ask_ticks)
        return "@".join("none" if ticks == NO_PRICE else f"{instrument.price(ticks).normalize():f}" for ticks in sides)


def _statuses(kind: str, statuses: list[Any]) -> dict[str, Any]:
    return {"type": kind, "data": {"statuses": statuses}}


def _names(order: Order) -> dict[str, Any]:
    return {"oid": order.order_id, "cloid": order.client_id} if order.client_id else {"oid": order.order_id}


def _number(text: str) -> Decimal:
    """Return a number of the wire. Raises Said."""
    try:
        return decimal(text, "number")
    except InputError as error:
        raise Said(f"{text!r} is no number.") from error

"""Orders and balances of the spot venue: REST, and by the same handlers ws-api."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hftlab.venues.server.binance_common import SIDE_NAMES, SIGNED, STP_TEXTS, Call, Denied, House, Params, Route, Routes, status_text
from hftlab.venues.server.binance_limits import Limits, Weight
from hftlab.venues.server.binance_orders import check_rules, client_id, page, qty_lots, refusal, spot_order, within
from hftlab.venues.server.binance_reports import spot_type
from hftlab.venues.server.model import NewOrder, Order, Refused, Status, Why

RESPONSES = ("ACK", "RESULT", "FULL")
ONLY = {"ONLY_NEW": Status.NEW, "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED}


class SpotOrders:
    """Trading endpoints. `limits` counts the orders."""

    def __init__(self, house: House, limits: Limits) -> None:
        self.house, self.limits = house, limits

    def routes(self) -> Routes:
        """Return the endpoints."""
        order = "/api/v3/order"
        return {
            ("POST", order): Route(self.place, 1, SIGNED, "order", orders=True),
            ("POST", f"{order}/test"): Route(self.test, 1, SIGNED, "query"),
            ("GET", order): Route(self.query, 4, SIGNED, "query"),
            ("DELETE", order): Route(self.cancel, 1, SIGNED, "cancel"),
            ("POST", f"{order}/cancelReplace"): Route(self.cancel_replace, 1, SIGNED, "amend", orders=True),
            ("PUT", f"{order}/amend/keepPriority"): Route(self.amend, 4, SIGNED, "amend"),
            ("GET", "/api/v3/openOrders"): Route(self.open_orders, Weight(6, 80), SIGNED, "query"),
            ("DELETE", "/api/v3/openOrders"): Route(self.cancel_all, 1, SIGNED, "cancel"),
            ("GET", "/api/v3/allOrders"): Route(self.all_orders, 20, SIGNED, "query"),
        }

    # --- placing ---
    def place(self, call: Call) -> dict[str, Any]:
        """Place an order."""
        wish, respond = spot_order(self.house, call.params), self._response(call.params)
        check_rules(self.house, wish)
        return self._placed(self._enter(call, wish), respond, call.params)

    def test(self, call: Call) -> dict[str, Any]:
        """Check an order and place nothing."""
        check_rules(self.house, spot_order(self.house, call.params))
        return {}

    def _enter(self, call: Call, wish: NewOrder) -> Order:
        now_ns = self.house.core.now_ns()
        self.limits.check(call.account, now_ns)
        self.house.faults.before("order", wish.symbol, None)
        try:
            order = self.house.core.place(call.account, wish)
        except Refused as refused:
            raise refusal(self.house, refused) from refused
        self.limits.add(call.account, now_ns)
        return order

    @staticmethod
    def _response(params: Params) -> str:
        respond = params.get("newOrderRespType", "ACK" if params.get("type") == "LIMIT_MAKER" else "FULL")
        if respond not in RESPONSES:
            raise Denied(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
        return respond

    def _placed(self, order: Order, respond: str, params: Params) -> dict[str, Any]:
        house, at = self.house, self.house.ms(order.created_ns)
        ack = {"symbol": order.symbol, "orderId": order.order_id, "orderListId": -1, "clientOrderId": order.client_id, "transactTime": at}
        if respond == "ACK":
            return ack
        quote = params.decimal("quoteOrderQty") if params.get("quoteOrderQty") else Decimal(0)
        body = {**ack, **self._facts(order), "origQuoteOrderQty": f"{quote:.8f}", "workingTime": at}
        if respond == "RESULT":
            return body
        grid = house.grids[order.symbol]
        fills = [
            {
                "price": grid.price(fill.price_ticks),
                "qty": grid.qty(fill.qty_lots),
                "commission": f"{fill.fee:.8f}",
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in house.core.fills_of(order.order_id)
        ]
        return {**body, "fills": fills}

    def _facts(self, order: Order) -> dict[str, Any]:
        grid = self.house.grids[order.symbol]
        return {
            "price": grid.price(order.price_ticks),
            "origQty": grid.qty(order.qty_lots),
            "executedQty": grid.qty(order.filled_lots),
            "origQuoteOrderQty": grid.qty(0),
            "cummulativeQuoteQty": grid.quote(order.filled_ticklots),
            "status": status_text(order),
            "timeInForce": order.tif,
            "type": spot_type(order),
            "side": SIDE_NAMES[order.side],
            "selfTradePreventionMode": STP_TEXTS[order.stp],
        }

    # --- ending ---
    def cancel(self, call: Call) -> dict[str, Any]:
        """Cancel one order."""
        symbol = self.house.symbol(call.params)
        return self._cancel(call, symbol, *self._named(call.params, "orderId", "origClientOrderId"), "newClientOrderId")

    def _named(self, params: Params, number: str, name: str) -> tuple[int, str]:
        if not params.get(number) and not params.get(name):
            raise Denied(-1102, f"Param '{name}' or '{number}' must be sent, but both were empty/null!")
        return params.integer(number), params.get(name)

    def _find(self, account: str, symbol: str, order_id: int, name: str) -> Order | None:
        """Return the order under a number or a client id; where both are told, both must be its own."""
        order = self.house.core.order(account, symbol, order_id=order_id, client_id=name)
        return None if order and order_id and name and order.client_id != name else order

    def _cancel(self, call: Call, symbol: str, order_id: int, name: str, own_name: str) -> dict[str, Any]:
        house, order = self.house, self._find(call.account, symbol, order_id, name)
        if order is None:
            raise refusal(house, Refused(Why.UNKNOWN_ORDER))
        only = call.params.get("cancelRestrictions")
        if only and only not in ONLY:
            raise Denied(-1145, "Invalid cancelRestrictions")
        own = client_id(house, call.params, own_name)
        house.faults.before("cancel", symbol, order)
        if only and order.status is not ONLY[only] and order.leaves_lots:
            raise Denied(-2011, "Order was not canceled due to cancel restrictions.")
        house.cancel_id = own
        try:
            order = house.core.cancel(call.account, symbol, order_id=order.order_id)
        except Refused as refused:
            raise refusal(house, refused) from refused
        finally:
            house.cancel_id = ""
        return self._ended(order, own)

    def _ended(self, order: Order, own: str) -> dict[str, Any]:
        ids = {"orderId": order.order_id, "orderListId": -1, "clientOrderId": own, "transactTime": self.house.ms(order.updated_ns)}
        return {"symbol": order.symbol, "origClientOrderId": order.client_id, **ids, **self._facts(order)}

    def cancel_all(self, call: Call) -> list[dict[str, Any]]:
        """Cancel every open order of a symbol; none at all is an error here."""
        symbol, house = self.house.symbol(call.params), self.house
        orders = house.core.open_orders(call.account, symbol)
        for order in orders:
            house.faults.before("cancel", symbol, order)
        own = house.word(22)
        house.cancel_id = own
        try:
            orders = house.core.cancel_all(call.account, symbol)
        finally:
            house.cancel_id = ""
        if not orders:
            raise refusal(house, Refused(Why.UNKNOWN_ORDER))
        return [self._ended(order, own) for order in orders]

    # --- changing ---
    def cancel_replace(self, call: Call) -> dict[str, Any]:
        """Cancel one order and place another. Filters are looked at before anything is done; the rest may half fail."""
        house, params = self.house, call.params
        wish, respond = spot_order(house, params), self._response(params)
        mode = params.choice(
            "cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"), -1130, "Data sent for parameter 'cancelReplaceMode' is not valid."
        )
        target = self._named(params, "cancelOrderId", "cancelOrigClientOrderId")
        check_rules(house, wish)
        self.limits.check(call.account, house.core.now_ns())
        canceled = attempt(lambda: self._cancel(call, wish.symbol, *target, "cancelNewClientOrderId"))
        if isinstance(canceled, Denied) and mode == "STOP_ON_FAILURE":
            self.limits.add(call.account, house.core.now_ns())  # an order that was not attempted counts too
            raise Denied(-2022, "Order cancel-replace failed.", data=both(canceled, None))
        placed = attempt(lambda: self._placed(self._enter(call, wish), respond, params))
        if isinstance(canceled, Denied) and isinstance(placed, Denied):
            raise Denied(-2022, "Order cancel-replace failed.", data=both(canceled, placed))
        if isinstance(canceled, Denied) or isinstance(placed, Denied):
            raise Denied(-2021, "Order cancel-replace partially failed.", 409, data=both(canceled, placed))
        return both(canceled, placed)

    def amend(self, call: Call) -> dict[str, Any]:
        """Make an order smaller; it keeps its place, and gets another client id unless its own is told again."""
        house, params, symbol = self.house, call.params, self.house.symbol(call.params)
        order = self._find(call.account, symbol, *self._named(params, "orderId", "origClientOrderId"))
        lots, name = qty_lots(house, house.grids[symbol], params, "newQty"), client_id(house, params, "newClientOrderId")
        house.faults.before("amend", symbol, order)
        if order is None or not order.leaves_lots:
            raise Denied(-2013, "Order does not exist.")
        old = order.client_id
        house.amended_id = old
        try:
            order = house.core.amend(
                call.account, symbol, order.price_ticks or 0, lots, order_id=order.order_id, new_client_id="" if name == old else name
            )
        except Refused as refused:
            raise self._amend_refusal(refused, grows=lots > order.qty_lots) from refused
        finally:
            house.amended_id = ""
        facts = self._facts(order)
        facts |= {"qty": facts.pop("origQty"), "quoteOrderQty": facts.pop("origQuoteOrderQty"), "preventedQty": house.grids[symbol].qty(0)}
        facts["cumulativeQuoteQty"] = facts.pop("cummulativeQuoteQty")
        ids = {"symbol": symbol, "orderId": order.order_id, "orderListId": -1, "origClientOrderId": old, "clientOrderId": order.client_id}
        amended = {**ids, **facts, "workingTime": house.ms(order.created_ns)}
        return {"transactTime": house.ms(order.updated_ns), "executionId": order.amends, "amendedOrder": amended}

    def _amend_refusal(self, refused: Refused, *, grows: bool) -> Denied:
        if refused.why is Why.NO_CHANGE:
            return Denied(-2038, "The requested action would change no state; rejecting.")
        if refused.why is Why.TOO_MANY:
            return Denied(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
        if refused.why is Why.NO_AMEND:
            return (
                Denied(-2038, "Order amend (quantity increase) is not supported.") if grows else Denied(-1013, "Filter failure: LOT_SIZE")
            )
        return refusal(self.house, refused)

    # --- asking ---
    def query(self, call: Call) -> dict[str, Any]:
        """Return one order."""
        symbol = self.house.symbol(call.params)
        order = self.house.seen(self._find(call.account, symbol, *self._named(call.params, "orderId", "origClientOrderId")))
        if order is None:
            raise Denied(-2013, "Order does not exist.")
        return self._row(order)

    def _row(self, order: Order) -> dict[str, Any]:
        made, zero = self.house.ms(order.created_ns), self.house.grids[order.symbol].qty(0)
        ids = {"symbol": order.symbol, "orderId": order.order_id, "orderListId": -1, "clientOrderId": order.client_id}
        times = {"time": made, "updateTime": self.house.ms(order.updated_ns), "workingTime": made, "isWorking": True}
        return {**ids, **self._facts(order), "stopPrice": zero, "icebergQty": zero, **times}

    def open_orders(self, call: Call) -> list[dict[str, Any]]:
        """Return the open orders of one symbol or all."""
        symbol = self.house.symbol(call.params) if call.params.get("symbol") else None
        return [self._row(order) for order in self.house.core.open_orders(call.account, symbol) if self.house.seen(order)]

    def all_orders(self, call: Call) -> list[dict[str, Any]]:
        """Return open and ended orders of a symbol."""
        house, symbol = self.house, self.house.symbol(call.params)
        orders = [one for one in house.core.orders(call.account, symbol) if house.seen(one) and within(call, house.ms(one.created_ns))]
        return [self._row(order) for order in page(call, orders, lambda order: order.order_id, "orderId", 1000)]


Tried = dict[str, Any] | Denied


def attempt(step: Callable[[], dict[str, Any]]) -> Tried:
    """Return what a step gives, or how it was denied."""
    try:
        return step()
    except Denied as denied:
        return denied


def both(canceled: Tried, placed: Tried | None) -> dict[str, Any]:
    """Return what became of the two halves of a cancel-replace; None was not attempted."""
    names = {True: "FAILURE", False: "SUCCESS"}
    bodies = [half.body() if isinstance(half, Denied) else half for half in (canceled, placed)]
    new = "NOT_ATTEMPTED" if placed is None else names[isinstance(placed, Denied)]
    results = {"cancelResult": names[isinstance(canceled, Denied)], "newOrderResult": new}
    return {**results, "cancelResponse": bodies[0], "newOrderResponse": bodies[1]}

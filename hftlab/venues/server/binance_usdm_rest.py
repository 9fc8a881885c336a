"""Orders of the USDⓈ-M venue: REST, and by the same handlers ws-api."""

import json
from collections.abc import Callable
from typing import Any

from hftlab.types import BID
from hftlab.venues.server.binance_common import (
    MS,
    SIDE_NAMES,
    SIGNED,
    STP_TEXTS,
    Call,
    Denied,
    House,
    Params,
    Route,
    Routes,
    missing,
    status_text,
)
from hftlab.venues.server.binance_limits import Limits, Weight
from hftlab.venues.server.binance_orders import check_rules, futures_order, page, price_ticks, qty_lots, refusal, side_of, within
from hftlab.venues.server.binance_reports import futures_tif, futures_type
from hftlab.venues.server.model import NewOrder, Order, Refused, Why

BATCH_MAX, CANCEL_BATCH_MAX = 5, 10
NO_SUCH_ORDER = Denied(-2013, "Order does not exist.")


class UsdmOrders:
    """Trading endpoints. `limits` counts the orders; `countdowns` hold when everything of an account in a symbol is cancelled."""

    def __init__(self, house: House, limits: Limits) -> None:
        self.house, self.limits = house, limits
        self.countdowns: dict[tuple[str, str], int] = {}

    def routes(self) -> Routes:
        """Return the endpoints."""
        order, batch = "/fapi/v1/order", "/fapi/v1/batchOrders"
        return {
            ("POST", order): Route(self.place, 0, SIGNED, "order", orders=True),
            ("POST", f"{order}/test"): Route(self.test, 0, SIGNED, "query"),
            ("PUT", order): Route(self.amend, 0, SIGNED, "amend", orders=True),
            ("GET", order): Route(self.query, 1, SIGNED, "query"),
            ("DELETE", order): Route(self.cancel, 1, SIGNED, "cancel"),
            ("POST", batch): Route(lambda call: self._batch(call, self.place), 5, SIGNED, "order", orders=True),
            ("PUT", batch): Route(lambda call: self._batch(call, self.amend), 5, SIGNED, "amend", orders=True),
            ("DELETE", batch): Route(self.cancel_batch, 1, SIGNED, "cancel"),
            ("DELETE", "/fapi/v1/allOpenOrders"): Route(self.cancel_all, 1, SIGNED, "cancel"),
            ("POST", "/fapi/v1/countdownCancelAll"): Route(self.countdown, 10, SIGNED, "cancel"),
            ("GET", "/fapi/v1/openOrder"): Route(self.open_order, 1, SIGNED, "query"),
            ("GET", "/fapi/v1/openOrders"): Route(self.open_orders, Weight(1, 40), SIGNED, "query"),
            ("GET", "/fapi/v1/allOrders"): Route(self.all_orders, 5, SIGNED, "query"),
            ("GET", "/fapi/v1/userTrades"): Route(self.trades, 5, SIGNED, "query"),
        }

    # --- placing ---
    def place(self, call: Call) -> dict[str, Any]:
        """Place an order."""
        house, wish = self.house, futures_order(self.house, call.params)
        respond = call.params.get("newOrderRespType", "ACK")
        if respond not in {"ACK", "RESULT"}:
            raise Denied(-1136, "Invalid newOrderRespType")
        check_rules(house, wish)
        now_ns = house.core.now_ns()
        self.limits.check(call.account, now_ns)
        house.faults.before("order", wish.symbol, None)
        if wish.tif == "FOK" and not self._fills_whole(wish):
            raise refusal(house, Refused(Why.CANNOT_FILL))
        try:
            order = house.core.place(call.account, wish)
        except Refused as refused:
            raise refusal(house, refused) from refused
        self.limits.add(call.account, now_ns)
        row = self._row(order)
        if respond == "ACK":  # what was known when the order was taken in, before it met anybody
            zero = house.grids[order.symbol].qty(0)
            row |= {"status": "NEW", "executedQty": zero, "cumQty": zero, "cumQuote": "0", "avgPrice": "0.00"}
        return row

    def _fills_whole(self, wish: NewOrder) -> bool:
        """Say whether the book holds enough for a fill-or-kill order, which otherwise never becomes an order."""
        book = self.house.core.book(wish.symbol)
        there = book.asks if wish.side == BID else book.bids
        return sum(lots for ticks, lots in there if wish.side * ((wish.price_ticks or 0) - ticks) >= 0) >= wish.qty_lots

    def test(self, call: Call) -> dict[str, Any]:
        """Check an order and place nothing."""
        check_rules(self.house, futures_order(self.house, call.params))
        return {}

    def _row(self, order: Order, *, asked: bool = False) -> dict[str, Any]:
        grid, kind = self.house.grids[order.symbol], futures_type(order)
        row = {
            "orderId": order.order_id,
            "symbol": order.symbol,
            "status": status_text(order),
            "clientOrderId": order.client_id,
            "price": grid.price(order.price_ticks),
            "avgPrice": grid.average(order),
            "origQty": grid.qty(order.qty_lots),
            "executedQty": grid.qty(order.filled_lots),
            "cumQuote": grid.quote(order.filled_ticklots),
            "timeInForce": futures_tif(order),
            "type": kind,
            "reduceOnly": order.reduce_only,
            "closePosition": False,
            "side": SIDE_NAMES[order.side],
            "positionSide": "BOTH",
            "stopPrice": grid.price(0),
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": kind,
            "priceMatch": "NONE",
            "selfTradePreventionMode": STP_TEXTS[order.stp],
            "goodTillDate": 0,
            "updateTime": self.house.ms(order.updated_ns),
        }
        return {**row, "time": self.house.ms(order.created_ns)} if asked else {**row, "cumQty": row["executedQty"]}

    # --- changing and ending ---
    def _named(self, call: Call) -> tuple[str, Order | None]:
        """Return the symbol and the order meant; where number and client id are told, the number counts."""
        symbol, params = self.house.symbol(call.params), call.params
        if not params.get("orderId") and not params.get("origClientOrderId"):
            raise Denied(-1102, "Mandatory parameter 'orderId' was not sent, was empty/null, or malformed.")
        number, name = params.integer("orderId"), params.get("origClientOrderId")
        return symbol, self.house.core.order(call.account, symbol, order_id=number, client_id="" if number else name)

    def amend(self, call: Call) -> dict[str, Any]:
        """Change price and quantity in place.

        A post-only order amended into the other side is ended and the answer is -5022; one made as small as what is filled is
        cancelled, and the answer is the cancelled order.
        """
        house, params = self.house, call.params
        symbol, order = self._named(call)
        side, grid = side_of(params), house.grids[symbol]
        lots, price = qty_lots(house, grid, params), price_ticks(house, grid, params)
        self.limits.check(call.account, house.core.now_ns())
        house.faults.before("amend", symbol, order)
        if order is None or not order.leaves_lots or order.side != side:
            raise NO_SUCH_ORDER
        wish = NewOrder(symbol, side, max(1, lots - order.filled_lots), price, reduce_only=order.reduce_only)
        if not house.core.filters(symbol).trading:
            raise Denied(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
        if lots > order.filled_lots:
            check_rules(house, wish)
        try:
            order = house.core.amend(call.account, symbol, price, lots, order_id=order.order_id)
        except Refused as refused:
            if refused.order is None or refused.why is Why.WOULD_TAKE:
                raise self._amend_refusal(refused) from refused
            order = refused.order
        self.limits.add(call.account, house.core.now_ns())
        return self._row(order)

    def _amend_refusal(self, refused: Refused) -> Denied:
        if refused.why is Why.TOO_MANY:
            return Denied(-5026, "Exceed maximum modify order limit.")
        return NO_SUCH_ORDER if refused.why is Why.UNKNOWN_ORDER else refusal(self.house, refused)

    def cancel(self, call: Call) -> dict[str, Any]:
        """Cancel one order."""
        symbol, order = self._named(call)
        self.house.faults.before("cancel", symbol, order)
        if order is None:
            raise refusal(self.house, Refused(Why.UNKNOWN_ORDER))
        try:
            return self._row(self.house.core.cancel(call.account, symbol, order_id=order.order_id))
        except Refused as refused:
            raise refusal(self.house, refused) from refused

    def cancel_all(self, call: Call) -> dict[str, Any]:
        """Cancel every open order of a symbol; none at all is fine here."""
        symbol = self.house.symbol(call.params)
        for order in self.house.core.open_orders(call.account, symbol):
            self.house.faults.before("cancel", symbol, order)
        self.house.core.cancel_all(call.account, symbol)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _batch(self, call: Call, act: Callable[[Call], dict[str, Any]]) -> list[dict[str, Any]]:
        """Place or change up to five orders; each stands or falls by itself."""
        wishes = _list(call.params.need("batchOrders"), "batchOrders", BATCH_MAX)
        if not all(isinstance(wish, dict) for wish in wishes):  # left out, the answers would belong to other orders than they seem to
            raise missing("batchOrders")
        return [_one(act, Call(Params.of_json(wish), call.account, call.client)) for wish in wishes]

    def cancel_batch(self, call: Call) -> list[dict[str, Any]]:
        """Cancel up to ten orders by number or client id."""
        number = "orderIdList" if call.params.get("orderIdList") else "origClientOrderIdList"
        name = "orderId" if number == "orderIdList" else "origClientOrderId"
        symbol = self.house.symbol(call.params)
        orders = _list(call.params.need(number), number, CANCEL_BATCH_MAX)
        return [_one(self.cancel, Call(Params.of_json({"symbol": symbol, name: one}), call.account, call.client)) for one in orders]

    # --- the dead man's switch ---
    def countdown(self, call: Call) -> dict[str, str]:
        """Have everything of a symbol cancelled unless this is called again in time; 0 disarms."""
        symbol, wait = self.house.symbol(call.params), call.params.need("countdownTime")
        wait_ms = call.params.integer("countdownTime")
        if wait_ms > 0:
            self.countdowns[call.account, symbol] = self.house.core.now_ns() + wait_ms * MS
        else:
            self.countdowns.pop((call.account, symbol), None)
        return {"symbol": symbol, "countdownTime": wait}

    def tick(self, now_ns: int) -> None:
        """Cancel where time is up."""
        for who, due_ns in list(self.countdowns.items()):
            if now_ns >= due_ns:
                del self.countdowns[who]
                self.house.core.cancel_all(*who)

    # --- asking ---
    def query(self, call: Call) -> dict[str, Any]:
        """Return one order."""
        order = self.house.seen(self._named(call)[1])
        if order is None:
            raise NO_SUCH_ORDER
        return self._row(order, asked=True)

    def open_order(self, call: Call) -> dict[str, Any]:
        """Return one order if it is open."""
        order = self.house.seen(self._named(call)[1])
        if order is None or not order.leaves_lots:
            raise NO_SUCH_ORDER
        return self._row(order, asked=True)

    def open_orders(self, call: Call) -> list[dict[str, Any]]:
        """Return the open orders of one symbol or all."""
        symbol = self.house.symbol(call.params) if call.params.get("symbol") else None
        return [self._row(order, asked=True) for order in self.house.core.open_orders(call.account, symbol) if self.house.seen(order)]

    def all_orders(self, call: Call) -> list[dict[str, Any]]:
        """Return open and ended orders of a symbol."""
        house, symbol = self.house, self.house.symbol(call.params)
        orders = [one for one in house.core.orders(call.account, symbol) if house.seen(one) and within(call, house.ms(one.created_ns))]
        return [self._row(order, asked=True) for order in page(call, orders, lambda order: order.order_id, "orderId", 1000)]

    def trades(self, call: Call) -> list[dict[str, Any]]:
        """Return the account's executions in one symbol or all."""
        house, number = self.house, call.params.integer("orderId")
        symbol = house.symbol(call.params) if call.params.get("symbol") else None
        fills = [one for one in house.core.fills(call.account, symbol) if within(call, house.ms(one.ts_ns))]
        fills = [one for one in fills if not number or one.order_id == number]
        return [
            {
                "symbol": fill.symbol,
                "id": fill.trade_id,
                "orderId": fill.order_id,
                "side": SIDE_NAMES[fill.side],
                "price": house.grids[fill.symbol].price(fill.price_ticks),
                "qty": house.grids[fill.symbol].qty(fill.qty_lots),
                "realizedPnl": f"{fill.realized:.8f}",
                "quoteQty": house.grids[fill.symbol].quote(fill.price_ticks * fill.qty_lots),
                "commission": f"{fill.fee:.8f}",
                "commissionAsset": fill.fee_asset,
                "marginAsset": house.grids[fill.symbol].instrument.settle,
                "time": house.ms(fill.ts_ns),
                "positionSide": "BOTH",
                "buyer": fill.side == BID,
                "maker": fill.maker,
            }
            for fill in page(call, fills, lambda one: one.trade_id, "fromId", 1000)
        ]


def _list(text: str, name: str, most: int) -> list[Any]:
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list) or not values:
        raise missing(name)
    if len(values) > most:
        raise Denied(-4082, "Invalid number of batch place orders.")
    return values


def _one(act: Callable[[Call], dict[str, Any]], call: Call) -> dict[str, Any]:
    try:
        return act(call)
    except Denied as denied:
        return denied.body()

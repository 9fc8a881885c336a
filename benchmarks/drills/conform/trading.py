"""Orders, their edits and cancels; what an account is told when it asks, and what its streams told it meanwhile."""

from typing import Any

import ccxt.pro as ccxt

from benchmarks.drills.conform import account
from benchmarks.drills.conform.desk import Absent, Desk, Differs, near, same
from hftlab.venues.server.model import Status

TRIES = 5
TOLD = {
    "placed": ("side", "amount", "status", "filled", "clientOrderId", "price"),
    "fetched": ("side", "amount", "status", "filled", "price"),
}


async def place(d: Desk, name: str, kind: str, side: str, amount: float, price: float | None = None, **params: Any) -> Any:
    """Place an order, remember it under a name, and hold the answer against the venue's order."""
    before, events = {one.order_id for one in d.ask(lambda: d.core.orders(d.key, d.own))}, len(d.witness.orders)
    found = await d.ex.create_order(d.symbol, kind, side, amount, price, params)
    new = [str(one.order_id) for one in d.ask(lambda: d.core.orders(d.key, d.own)) if one.order_id not in before]
    same("orders that came of it", new, [found["id"]])
    d.orders[name] = found["id"]
    true = d.true_order(found["id"])
    # The answer tells the order as the request left it; the market may have gone on since.
    states = [event for event in d.witness.orders[events:] if event.order.order_id == true.order_id]
    at_once = [place for place, event in enumerate(states) if event.ts_ns == true.created_ns]
    _one_of(d, found, [event.order for event in states[at_once[-1] :]], *(() if d.hyperliquid else TOLD["placed"]))
    near("amount at the venue", d.qty(true.qty_lots), amount)
    if kind == "limit":
        near("price at the venue", d.price(true.price_ticks), price or 0.0)
    return true


def rests(d: Desk, *names: str) -> None:
    same("resting", d.resting(), {d.orders[name] for name in names})


async def create_limit(d: Desk) -> str:
    client_id = f"0x{d.account + 1:032x}" if d.hyperliquid else f"conform-{d.through}"
    true = await place(d, "limit", "limit", "buy", 0.01, d.away(0.01), clientOrderId=client_id)
    same("client id at the venue", true.client_id, client_id)
    rests(d, "limit")
    return ""


async def create_post_only(d: Desk) -> str:
    true = await place(d, "post-only", "limit", "sell", 0.02, d.away(-0.01), postOnly=True)
    same("post-only at the venue", true.post_only, True)
    rests(d, "limit", "post-only")
    return ""


async def create_ioc(d: Desk) -> str:
    true = await place(d, "ioc", "limit", "buy", 0.03, d.away(-0.005), timeInForce="IOC")
    same("filled, tif at the venue", (true.status, true.tif), (Status.FILLED, "IOC"))
    return ""


async def create_fok(d: Desk) -> str:
    if d.hyperliquid:
        raise Absent("the venue has none")
    true = await place(d, "fok", "limit", "sell", 0.01, d.away(0.005), timeInForce="FOK")
    same("filled, tif at the venue", (true.status, true.tif), (Status.FILLED, "FOK"))
    return ""


async def create_market(d: Desk) -> str:
    before = d.lots()
    true = await place(d, "market", "market", "buy", 0.02, d.touch()[1] if d.hyperliquid else None)
    same("status", true.status, Status.FILLED)
    same("position moved by", d.lots() - before, true.qty_lots)
    return ""


async def maker_fill(d: Desk) -> str:
    """The crowd takes a part of an order at the touch; it is asked for at once, and taken away before the market has had it."""
    for _ in range(TRIES):
        if await _partly_filled(d):
            rests(d, "limit", "post-only")
            return ""
    raise Differs(f"the market took {TRIES} orders before they could be asked for")


async def _partly_filled(d: Desk) -> bool:
    await place(d, "maker", "limit", "buy", 0.05, d.touch()[0])
    number, before, part = int(d.orders["maker"]), len(d.witness.orders), d.instrument.lots("0.004")
    order = d.ask(lambda: d.core.order(d.key, d.own, order_id=number))
    if order.leaves_lots <= part:
        return False
    d.ask(lambda: d.core.fill_order(order, part))
    found = await d.ex.fetch_order(d.orders["maker"], d.symbol)
    _one_of(d, found, [event.order for event in d.witness.orders[before:] if event.order.order_id == number], *TOLD["fetched"])
    try:
        await d.ex.cancel_order(d.orders["maker"], d.symbol)
    except ccxt.OrderNotFound:
        same("status at the venue", d.true_order(d.orders["maker"]).status, Status.FILLED)
    return True


def _one_of(d: Desk, found: Any, states: list[Any], *told: str) -> None:
    """Hold an order of ccxt against every state in which it was since it was asked for."""
    differences = []
    for state in states:
        try:
            d.same_order(found, *told, true=state)
        except Differs as error:
            differences.append(error)
        else:
            return
    raise differences[-1] if differences else Differs("the venue knows of no fill")


async def fetch_open_orders(d: Desk) -> str:
    found = await d.ex.fetch_open_orders(d.symbol)
    same("open", {one["id"] for one in found}, d.resting())
    for one in found:
        d.same_order(one, "side", "amount", "status", "filled", "price")
    return f"{len(found)}"


async def edit_order(d: Desk) -> str:
    number, price = d.orders["limit"], d.away(0.012)
    params = {"clientOrderId": f"0x{d.account + 101:032x}"} if d.hyperliquid else {}
    edited = await d.ex.edit_order(number, d.symbol, "limit", "buy", 0.03, price, params)
    old, true = d.true_order(number), d.true_order(edited["id"])
    d.orders["limit"] = edited["id"]
    near("price at the venue", d.price(true.price_ticks), price)
    near("amount at the venue", d.qty(true.qty_lots), 0.03)
    if d.skin == "binanceusdm":
        same("the same order", edited["id"], number)
        d.same_order(edited, "side", "amount", "status", "price")
        return "in place"
    same("old and new", (old.status, true.status), (Status.CANCELED, Status.NEW))
    return "new id"


async def fetch_order(d: Desk) -> str:
    for name in ("limit", "ioc", "market"):
        d.same_order(await d.ex.fetch_order(d.orders[name], d.symbol), "side", "amount", "status", "filled")
    return ""


async def cancel_order(d: Desk) -> str:
    found = await d.ex.cancel_order(d.orders["post-only"], d.symbol)
    same("status at the venue", d.true_order(d.orders["post-only"]).status, Status.CANCELED)
    if d.spot:  # names the cancel, as Binance does, and the order as origClientOrderId
        found = {**found, "clientOrderId": found["info"]["origClientOrderId"]}
    if not d.hyperliquid:
        d.same_order(found, "status", "clientOrderId")
    rests(d, "limit")
    return ""


async def socket_orders(d: Desk) -> str:
    """Place, edit and cancel over the venue's own WebSocket API."""
    placed = await d.ex.create_order_ws(d.symbol, "limit", "buy", 0.01, d.away(0.01))
    same("status at the venue", d.true_order(placed["id"]).status, Status.NEW)
    price = d.away(0.013)
    edited = await d.ex.edit_order_ws(placed["id"], d.symbol, "limit", "buy", 0.02, price)
    true = d.true_order(edited["id"])
    near("price at the venue", d.price(true.price_ticks), price)
    near("amount at the venue", d.qty(true.qty_lots), 0.02)
    await d.ex.cancel_order_ws(edited["id"], d.symbol)
    same("status at the venue", d.true_order(edited["id"]).status, Status.CANCELED)
    rests(d, "limit")
    return ""


async def cancel_all(d: Desk) -> str:
    note = ""
    if d.ex.has["cancelAllOrders"]:
        await d.ex.cancel_all_orders(d.symbol)
    else:
        await d.ex.cancel_orders([one["id"] for one in await d.ex.fetch_open_orders(d.symbol)], d.symbol)
        note = "by cancel_orders"
    rests(d)
    return note


async def reduce_only(d: Desk) -> str:
    """Flatten, asking for more than there is."""
    if d.spot:
        raise Absent("spot")
    size = d.qty(d.lots())
    await d.ex.create_order(d.symbol, "market", "sell", size + 0.05, d.touch()[0], {"reduceOnly": True})
    same("lots", d.lots(), 0)
    await d.agrees(lambda: account.streamed_position(d))
    return account.same_position(d, [one for one in await d.ex.fetch_positions([d.symbol]) if one["contracts"]])


ORDERS = (
    ("create_order limit", create_limit),
    ("create_order post-only", create_post_only),
    ("create_order IOC", create_ioc),
    ("create_order FOK", create_fok),
    ("create_order market", create_market),
    ("a part of a resting order fills", maker_fill),
    ("fetch_open_orders", fetch_open_orders),
    ("fetch_balance", account.fetch_balance),
    ("fetch_positions", account.fetch_positions),
    ("watch_positions", account.watch_positions),
    ("edit_order", edit_order),
    ("fetch_order", fetch_order),
    ("cancel_order", cancel_order),
    ("create, edit, cancel over the socket", socket_orders),
    ("cancel_all", cancel_all),
)
AFTER = (
    ("reduce-only market order", reduce_only),
    ("fetch_orders", account.fetch_orders),
    ("fetch_closed_orders", account.fetch_closed_orders),
    ("fetch_my_trades", account.fetch_my_trades),
)
HEARD = (
    ("watch_orders", account.watch_orders),
    ("watch_my_trades", account.watch_my_trades),
    ("watch_balance", account.watch_balance),
)

"""Orders, their edits and cancels; what an account is told when it asks, and what its streams told it meanwhile."""

import asyncio
from typing import Any

import ccxt.pro as ccxt

from benchmarks.drills.conform.desk import Absent, Desk, Differs, near, same
from hftlab.venues.server.model import Status

TRIES = 5
TOLD = {"binance": ("side", "amount", "status", "filled", "clientOrderId", "price"), "hyperliquid": ("filled",)}


async def place(d: Desk, name: str, kind: str, side: str, amount: float, price: float | None = None, **params: Any) -> Any:
    """Place an order, remember it under a name, and hold the answer against the venue's order."""
    before = {one.order_id for one in d.ask(lambda: d.core.orders(d.key, d.own))}
    found = await d.ex.create_order(d.symbol, kind, side, amount, price, params)
    new = [str(one.order_id) for one in d.ask(lambda: d.core.orders(d.key, d.own)) if one.order_id not in before]
    same("orders that came of it", new, [found["id"]])
    d.orders[name] = found["id"]
    true = d.same_order(found, *(() if d.hyperliquid else TOLD["binance"]))
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
        await place(d, "maker", "limit", "buy", 0.05, d.touch()[0])
        number, before = int(d.orders["maker"]), len(d.witness.orders)
        order = d.ask(lambda: d.core.order(d.key, d.own, order_id=number))
        if order.leaves_lots <= d.instrument.lots("0.004"):
            continue
        d.ask(lambda: d.core.fill_order(order, d.instrument.lots("0.004")))
        found = await d.ex.fetch_order(d.orders["maker"], d.symbol)
        _one_of(d, found, [event.order for event in d.witness.orders[before:] if event.order.order_id == number])
        try:
            await d.ex.cancel_order(d.orders["maker"], d.symbol)
        except ccxt.OrderNotFound:
            same("status at the venue", d.true_order(d.orders["maker"]).status, Status.FILLED)
        rests(d, "limit", "post-only")
        return ""
    raise Differs(f"the market took {TRIES} orders before they could be asked for")


def _one_of(d: Desk, found: Any, states: list[Any]) -> None:
    """Hold an order of ccxt against every state in which it was since it was asked for."""
    differences = []
    for state in states:
        try:
            d.same_order(found, "side", "amount", "status", "filled", "price", true=state)
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


async def fetch_balance(d: Desk) -> str:
    """With orders resting, so that something is locked."""
    found = await d.ex.fetch_balance()
    account = d.venue.truth(d.skin)["accounts"][d.key]
    if d.spot:
        for asset, total in account["balances"].items():
            near(f"total {asset}", found[asset]["total"], float(total))
            near(f"free {asset}", found[asset]["free"], float(account["free"][asset]))
        return ""
    (asset, wallet), *_ = account["balances"].items()
    del wallet  # both show the account's value, which moves with the mark
    _same_equity(d, found[asset]["total"])
    if not 0 < found[asset]["used"] < found[asset]["total"]:
        raise Differs(f"used {found[asset]['used']}, with a position and orders open")
    return ""


def _same_equity(d: Desk, found: float) -> None:
    """Equity is the wallet and the position at one of the marks of late."""
    wallet = float(next(iter(d.venue.truth(d.skin)["accounts"][d.key]["balances"].values())))
    position = d.ask(lambda: d.core.position(d.key, d.own))
    cost = float(d.instrument.money_quote(position.entry_ticklots))
    size = d.qty(position.lots)
    values = [wallet - cost + size * (d.price(one.bid_ticks) + d.price(one.ask_ticks)) / 2 for one in d.witness.touches[d.own][-200:]]
    if not any(abs(found - value) < 1e-5 for value in values):
        raise Differs(f"equity {found}, at the venue {values[-1]}")


async def fetch_positions(d: Desk) -> str:
    if d.spot:
        raise Absent("spot")
    found = [one for one in await d.ex.fetch_positions([d.symbol]) if one["contracts"]]
    return _same_position(d, found)


def _same_position(d: Desk, found: list[Any]) -> str:
    true = d.ask(lambda: d.core.position(d.key, d.own))
    same("lots by fills and by position", d.lots(), true.lots)
    if not true.lots:
        same("positions", [one for one in found if one["contracts"]], [])
        return "flat"
    if len(found) != 1:
        raise Differs(f"{len(found)} positions, at the venue 1")
    same("side", found[0]["side"], "long" if true.lots > 0 else "short")
    near("contracts", found[0]["contracts"], abs(d.qty(true.lots)))
    near("entry price", found[0]["entryPrice"], float(d.instrument.tick_size) * true.entry_ticklots / true.lots, 1e-7)
    return ""


async def fetch_orders(d: Desk) -> str:
    found = await d.ex.fetch_orders(d.symbol)
    true = {str(one.order_id) for one in d.ask(lambda: d.core.orders(d.key, d.own))}
    same("orders", {one["id"] for one in found}, true)
    for one in found:
        d.same_order(one, "side", "amount", "status")
    return f"{len(found)}"


async def fetch_closed_orders(d: Desk) -> str:
    found = await d.ex.fetch_closed_orders(d.symbol)
    true = {str(one.order_id) for one in d.ask(lambda: d.core.orders(d.key, d.own)) if one.status is Status.FILLED}
    same("closed", {one["id"] for one in found}, true)
    return f"{len(found)}"


async def fetch_my_trades(d: Desk) -> str:
    found = await d.ex.fetch_my_trades(d.symbol)
    same("trades", {one["id"] for one in found}, set(d.true_fills()))
    for one in found:
        d.same_trade(one)
    return f"{len(found)}"


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
    await d.agrees(lambda: streamed_position(d))
    return _same_position(d, [one for one in await d.ex.fetch_positions([d.symbol]) if one["contracts"]])


class Ears:
    """Listens to everything the account is told, all through the story."""

    STREAMS = ("orders", "my_trades", "balance", "positions")

    def __init__(self, d: Desk) -> None:
        self.d, self.tasks = d, list[Any]()
        self.came: dict[str, int] = dict.fromkeys(self.STREAMS, 0)
        self.last: dict[str, Any] = {}

    async def open(self) -> None:
        d, calls = self.d, {"orders": (self.d.symbol,), "my_trades": (self.d.symbol,), "balance": (), "positions": ()}
        for name in self.STREAMS:
            if name != "positions" or d.perp:
                self.tasks.append(asyncio.ensure_future(self._hear(name, *calls[name])))

        def listens() -> None:
            sockets = [one for one in d.venue.transport.sockets.values() if one.skin == d.skin and one.state.get("account") == d.key]
            if not sockets:
                raise Differs("no socket of this account listens")
            if d.hyperliquid and not {"balance", "positions"} <= self.last.keys():
                raise Differs("the first states did not come")

        await d.agrees(lambda: self.check() or listens())

    async def _hear(self, name: str, *arguments: Any) -> None:
        watch = getattr(self.d.ex, f"watch_{name}")
        while True:
            self.last[name] = await watch(*arguments)
            self.came[name] += 1

    def check(self) -> None:
        """Raise what a listener ended with."""
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()


def _heard(d: Desk, name: str) -> str:
    d.ears.check()
    if not d.ears.came[name]:
        raise Differs("nothing came")
    return f"{d.ears.came[name]} came"


async def watch_orders(d: Desk) -> str:
    def check() -> None:
        kept = {one["id"]: one for one in d.ex.orders}
        true = {str(one.order_id) for one in d.ask(lambda: d.core.orders(d.key, d.own))}
        same("orders", set(kept), true)
        for one in kept.values():
            d.same_order(one, "side", "amount", "status", "filled")

    await d.agrees(check)
    return _heard(d, "orders")


async def watch_my_trades(d: Desk) -> str:
    def check() -> None:
        kept = [one for one in d.ex.myTrades]
        same("trades", sorted(one["id"] for one in kept), sorted(d.true_fills()))
        for one in kept:
            d.same_trade(one)

    await d.agrees(check)
    return _heard(d, "my_trades")


async def watch_balance(d: Desk) -> str:
    def check() -> None:
        kept = d.ears.last.get("balance") if d.hyperliquid else d.ex.balance.get("spot" if d.spot else "linear")
        if not kept:
            raise Differs("no balance came")
        for asset, total in d.venue.truth(d.skin)["accounts"][d.key]["balances"].items():
            if asset in kept:
                near(f"total {asset}", kept[asset]["total"], float(total))
            elif d.perp or asset in {"BTC", "USDT"}:
                raise Differs(f"nothing was told of {asset}")

    await d.agrees(check)
    return _heard(d, "balance")


async def watch_positions(d: Desk) -> str:
    if d.spot:
        raise Absent("spot")

    await d.agrees(lambda: streamed_position(d))
    return _heard(d, "positions")


def streamed_position(d: Desk) -> None:
    _same_position(d, [one for one in d.ears.last.get("positions", ()) if one["symbol"] == d.symbol and one["contracts"]])


ORDERS = (
    ("create_order limit", create_limit),
    ("create_order post-only", create_post_only),
    ("create_order IOC", create_ioc),
    ("create_order FOK", create_fok),
    ("create_order market", create_market),
    ("a part of a resting order fills", maker_fill),
    ("fetch_open_orders", fetch_open_orders),
    ("fetch_balance", fetch_balance),
    ("fetch_positions", fetch_positions),
    ("watch_positions", watch_positions),
    ("edit_order", edit_order),
    ("fetch_order", fetch_order),
    ("cancel_order", cancel_order),
    ("create, edit, cancel over the socket", socket_orders),
    ("cancel_all", cancel_all),
)
AFTER = (
    ("reduce-only market order", reduce_only),
    ("fetch_orders", fetch_orders),
    ("fetch_closed_orders", fetch_closed_orders),
    ("fetch_my_trades", fetch_my_trades),
)
HEARD = (
    ("watch_orders", watch_orders),
    ("watch_my_trades", watch_my_trades),
    ("watch_balance", watch_balance),
)

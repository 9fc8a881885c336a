"""What an account is told when it asks, and what its streams told it meanwhile."""

import asyncio
from typing import Any

from benchmarks.drills.conform.desk import Absent, Desk, Differs, near, same
from hftlab.venues.server.model import Status


async def fetch_balance(d: Desk) -> str:
    """With orders resting, so that something is locked."""
    touches = len(d.witness.touches[d.own])
    found = await d.ex.fetch_balance()
    account = d.venue.truth(d.skin)["accounts"][d.key]
    if d.spot:
        for asset, total in account["balances"].items():
            near(f"total {asset}", found[asset]["total"], float(total))
            near(f"free {asset}", found[asset]["free"], float(account["free"][asset]))
        return ""
    asset = next(iter(account["balances"]))  # both venues show the account's value, which moves with the mark
    _same_equity(d, found[asset]["total"], touches - 1)
    if not 0 < found[asset]["used"] < found[asset]["total"]:
        raise Differs(f"used {found[asset]['used']}, with a position and orders open")
    return ""


def _same_equity(d: Desk, found: float, touches: int) -> None:
    """Equity is the wallet and the position at one of the marks since it was asked for."""
    wallet = float(next(iter(d.venue.truth(d.skin)["accounts"][d.key]["balances"].values())))
    position = d.ask(lambda: d.core.position(d.key, d.own))
    cost = float(d.instrument.money_quote(position.entry_ticklots))
    size = d.qty(position.lots)
    values = [wallet - cost + size * (d.price(one.bid_ticks) + d.price(one.ask_ticks)) / 2 for one in d.witness.touches[d.own][touches:]]
    if not any(abs(found - value) < 1e-5 for value in values):
        raise Differs(f"equity {found}, at the venue {values[-1]}")


async def fetch_positions(d: Desk) -> str:
    if d.spot:
        raise Absent("spot")
    found = [one for one in await d.ex.fetch_positions([d.symbol]) if one["contracts"]]
    return same_position(d, found)


def same_position(d: Desk, found: list[Any]) -> str:
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
        kept = list(d.ex.myTrades)
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
    same_position(d, [one for one in d.ears.last.get("positions", ()) if one["symbol"] == d.symbol and one["contracts"]])

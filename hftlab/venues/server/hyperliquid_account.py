"""The private side of the loopback Hyperliquid: positions, orders, executions and limits of one address, as the venue shows them."""

from decimal import Decimal
from typing import Any

from hftlab.venues.server.hyperliquid_state import CASH, HyperliquidState
from hftlab.venues.server.hyperliquid_text import plain
from hftlab.venues.server.model import OPEN, Position

_SHOWN_MAX = 2000
_NOTHING = Decimal(0)


class HyperliquidAccounts:
    """Answers about one address; an address without an account has nothing."""

    def __init__(self, state: HyperliquidState) -> None:
        self._state = state

    # --- money ---
    def clearinghouse(self, address: str) -> dict[str, Any]:
        """Return margin and positions."""
        account = self._state.core.account(address)
        held = {} if account is None else {coin: one for coin, one in account.positions.items() if one.lots}
        cash = _NOTHING if account is None else account.balances.get(CASH, _NOTHING)
        free = _NOTHING if account is None else self._state.core.free(address, CASH)
        worth = {coin: self._worth(coin, one) for coin, one in held.items()}
        equity = cash + sum((value - self._cost(coin, held[coin]) for coin, value in worth.items()), _NOTHING)
        used = max(equity - free, _NOTHING)
        summary = {
            "accountValue": plain(equity),
            "totalNtlPos": plain(sum((abs(value) for value in worth.values()), _NOTHING)),
            "totalRawUsd": plain(equity - sum(worth.values(), _NOTHING)),
            "totalMarginUsed": plain(used),
        }
        return {
            "marginSummary": summary,
            "crossMarginSummary": summary,
            "crossMaintenanceMarginUsed": plain(used / 2),
            "withdrawable": plain(max(free, _NOTHING)),
            "assetPositions": [{"type": "oneWay", "position": self._position(address, coin, one)} for coin, one in held.items()],
            "time": self._state.now_ms(),
        }

    def _worth(self, coin: str, position: Position) -> Decimal:
        return self._state.instrument(coin).qty(position.lots) * self._state.core.mark_price(coin)

    def _cost(self, coin: str, position: Position) -> Decimal:
        return self._state.instrument(coin).money_quote(position.entry_ticklots)

    def _position(self, address: str, coin: str, position: Position) -> dict[str, Any]:
        instrument = self._state.instrument(coin)
        times = self._state.core.perps.leverage(address, coin)
        mode = "isolated" if coin in self._state.user(address).isolated else "cross"
        worth, cost = self._worth(coin, position), self._cost(coin, position)
        margin = abs(worth) / times
        return {
            "coin": coin,
            "szi": plain(instrument.qty(position.lots)),
            "leverage": {"type": mode, "value": times},
            "entryPx": plain(round(instrument.tick_size * position.entry_ticklots / position.lots, 6)),
            "positionValue": plain(abs(worth)),
            "unrealizedPnl": plain(worth - cost),
            "returnOnEquity": plain(round((worth - cost) * times / abs(cost), 8)),
            "liquidationPx": None,
            "marginUsed": plain(round(margin, 6)),
            "maxLeverage": self._state.rules.leverage_max,
            "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
        }

    # --- orders ---
    def open_orders(self, address: str, *, frontend: bool = False) -> list[dict[str, Any]]:
        """Return the open orders, newest first."""
        if self._state.core.account(address) is None:
            return []
        shown = self._state.shown(self._state.core.open_orders(address))
        return [self._state.row(order, frontend=frontend) for order in shown][::-1]

    def history(self, address: str) -> list[dict[str, Any]]:
        """Return orders with their status, newest first; like the venue, an ended order also with the status that it had at first."""
        if self._state.core.account(address) is None:
            return []
        every = [order for coin in self._state.coins for order in self._state.shown(self._state.core.orders(address, coin))]
        every.sort(key=lambda order: (order.updated_ns, order.order_id), reverse=True)
        rows = []
        for order in every[:_SHOWN_MAX]:
            rows.append(self._state.with_status(order, frontend=True))
            if order.status not in OPEN and order.tif != "IOC":
                began = {"status": "open", "statusTimestamp": self._state.ms(order.created_ns)}
                rows.append(rows[-1] | began)
        return rows

    def order_status(self, address: str, name: int | str) -> dict[str, Any]:
        """Return one order, by oid (a whole number) or cloid (a text)."""
        unknown = {"status": "unknownOid"}
        if self._state.core.account(address) is None:
            return unknown
        found = {"client_id": name.lower()} if isinstance(name, str) else {"order_id": name}
        order = self._state.find(address, **found)
        if order is None or self._state.faults.hides(order, self._state.core.now_ns()):
            return unknown
        return {"status": "order", "order": self._state.with_status(order, frontend=True)}

    # --- executions ---
    def fills(self, address: str) -> list[dict[str, Any]]:
        """Return the newest executions, newest first."""
        return self._state.user(address).fills[-_SHOWN_MAX:][::-1]

    def fills_by_time(self, address: str, start_ms: int, end_ms: int | None) -> list[dict[str, Any]]:
        """Return executions of a span, oldest first and the oldest when they are too many: the next page begins where this one ends."""
        return _span(self._state.user(address).fills, start_ms, end_ms)

    def fundings(self, address: str, start_ms: int, end_ms: int | None) -> list[dict[str, Any]]:
        """Return funding payments of a span, oldest first."""
        return _span(self._state.user(address).fundings, start_ms, end_ms)

    # --- limits and names ---
    def rate_limit(self, address: str) -> dict[str, Any]:
        """Return the budget of requests."""
        user = self._state.user(address)
        cap = user.budget.cap(user.traded_quote, self._state.rules)
        return {"cumVlm": plain(user.traded_quote), "nRequestsUsed": user.budget.used, "nRequestsCap": cap}

    def fees(self, address: str) -> dict[str, Any]:
        """Return the fee rates, as fractions."""
        cross, add = (plain(rate) for rate in (self._state.rules.taker_rate, self._state.rules.maker_rate))
        schedule = {"cross": cross, "add": add, "tiers": {"vip": [], "mm": []}, "referralDiscount": "0.0"}
        rates = {"userCrossRate": cross, "userAddRate": add, "userSpotCrossRate": cross, "userSpotAddRate": add}
        return {"dailyUserVlm": [], "feeSchedule": schedule, "activeReferralDiscount": "0.0", **rates}

    def role(self, address: str) -> dict[str, Any]:
        """Return what an address is: user, agent, subAccount or missing."""
        if address in self._state.vaults:
            return {"role": "subAccount", "data": {"master": self._state.vaults[address]}}
        if self._state.core.account(address) is not None:
            return {"role": "user"}
        master = self._state.principal(address)
        return {"role": "missing"} if master is None else {"role": "agent", "data": {"user": master}}

    def agents(self, address: str) -> list[dict[str, Any]]:
        """Return the named agents; one without a name is not told."""
        agents = self._state.user(address).agents.items()
        return [{"name": name, "address": agent, "validUntil": until} for agent, (name, until) in agents if name]

    def builder_fee(self, address: str, builder: str) -> int:
        """Return what a builder may take, in tenths of a basis point."""
        rate = self._state.user(address).builders.get(builder, "0%")
        return int(Decimal(rate.rstrip("%")) * 1000)


def _span(rows: list[dict[str, Any]], start_ms: int, end_ms: int | None) -> list[dict[str, Any]]:
    return [row for row in rows if start_ms <= row["time"] and (end_ms is None or row["time"] <= end_ms)][:_SHOWN_MAX]

"""User streams: listen keys that really expire, subscriptions of ws-api, and who is told what."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from hftlab.venues.server.binance_common import KEY, SIGNED, Call, Denied, House, Route, Routes
from hftlab.venues.server.binance_orders import within
from hftlab.venues.server.binance_reports import account_position, account_update, execution_report, order_update
from hftlab.venues.server.model import AccountEvent, OrderEvent
from hftlab.venues.server.skin import Connection

STREAM = "user"
SUBSCRIPTION_KEY = "subscription "  # what ws-api subscriptions are called among the keys


@dataclass(slots=True)
class Key:
    """A listen key, or a subscription of ws-api, which has no end of its own."""

    account: str
    opened_ns: int
    renewed_ns: int
    lasts: bool = True
    silent: bool = False


@dataclass(slots=True)
class Sink:
    """Where one account's events go. `wrap` is put round each event; `events` empty means all."""

    connection: Connection
    key: str
    wrap: tuple[str, str] = ("", "")
    events: frozenset[str] = frozenset()

    def tell(self, event: dict[str, Any], text: str) -> None:
        """Send one event."""
        if not self.events or event["e"] in self.events:
            self.connection.send(f"{self.wrap[0]}{text}{self.wrap[1]}", stream=STREAM, kind="user")


@dataclass(slots=True)
class Payment:
    """Funding that an account received, below zero when it paid."""

    account: str
    symbol: str
    asset: str
    amount: Decimal
    ts_ns: int


@dataclass(slots=True)
class UserStreams:
    """Keys, sinks and events of all accounts. `key_life_ns` is how long a key lives without being renewed."""

    house: House
    key_life_ns: int
    keys: dict[str, Key] = field(default_factory=dict)
    payments: list[Payment] = field(default_factory=list)
    _sinks: dict[str, list[Sink]] = field(default_factory=dict)
    _wallets: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    _executions: int = 0

    def routes(self) -> Routes:
        """Return the endpoints."""
        if self.house.spot:
            path = "/api/v3/userDataStream"
            return {
                ("POST", path): Route(self.open_key, 2, KEY, "other"),
                ("PUT", path): Route(self.renew_key, 2, KEY, "other"),
                ("DELETE", path): Route(self.close_key, 2, KEY, "other"),
            }
        path = "/fapi/v1/listenKey"
        return {
            ("POST", path): Route(self.open_key, 1, KEY, "other"),
            ("PUT", path): Route(self.renew_key, 1, KEY, "other"),
            ("DELETE", path): Route(self.close_key, 1, KEY, "other"),
            ("GET", "/fapi/v1/income"): Route(self.income, 30, SIGNED, "account"),
        }

    # --- keys ---
    def open_key(self, call: Call) -> dict[str, str]:
        """Return the account's key, made or renewed."""
        now_ns, name = self.house.core.now_ns(), self._name_of(call.account)
        if not name:
            name = self.house.word(64, call.account)
            self.keys[name] = Key(call.account, now_ns, now_ns)
        self.keys[name].renewed_ns = now_ns
        return {"listenKey": name}

    def renew_key(self, call: Call) -> dict[str, str]:
        """Let a key live on. Raises Denied (-1125)."""
        name = self._known(call)
        self.keys[name].renewed_ns = self.house.core.now_ns()
        return {} if self.house.spot else {"listenKey": name}

    def close_key(self, call: Call) -> dict[str, str]:
        """End a key; its streams fall silent."""
        self._drop(self._known(call))
        return {}

    def _name_of(self, account: str) -> str:
        return next((name for name, key in self.keys.items() if key.account == account and key.lasts), "")

    def _known(self, call: Call) -> str:
        name = call.params.need("listenKey") if self.house.spot else call.params.get("listenKey") or self._name_of(call.account)
        key = self.keys.get(name)
        if key is None or key.account != call.account or not key.lasts:
            raise Denied(-1125, "This listenKey does not exist.")
        return name

    def _drop(self, name: str) -> None:
        key = self.keys.pop(name)
        self._sinks[key.account] = [sink for sink in self._sinks.get(key.account, []) if sink.key != name]

    def tick(self, now_ns: int) -> None:
        """End what has lived too long, or what a fault ends."""
        for name, key in list(self.keys.items()):
            fate = self.house.faults.user_key(name, now_ns - key.opened_ns)
            if fate == "silent":
                key.silent = True
            elif fate == "expire" or (key.lasts and now_ns - key.renewed_ns > self.key_life_ns):
                self._expire(name, key)

    def _expire(self, name: str, key: Key) -> None:
        event: dict[str, Any] = {"e": "listenKeyExpired", "E": self.house.now_ms(), "listenKey": name}
        if not key.lasts:
            event = {"e": "eventStreamTerminated", "E": self.house.now_ms()}
        self._tell(event, (sink for sink in self._sinks.get(key.account, []) if sink.key == name))
        self._drop(name)

    # --- who listens ---
    def attach(self, connection: Connection, name: str, *, combined: bool, events: Iterable[str] = ()) -> bool:
        """Send a key's events to a connection. Returns False where there is no such key."""
        key = self.keys.get(name)
        if key is None or not key.lasts:
            return False
        connection.state["account"] = key.account  # whose fills a fault may tell again
        wrap = (f'{{"stream":"{name}","data":', "}") if combined else ("", "")
        self._sinks.setdefault(key.account, []).append(Sink(connection, name, wrap, frozenset(events)))
        return True

    def detach(self, connection: Connection, name: str) -> None:
        """Send a key's events to a connection no more."""
        for account, sinks in self._sinks.items():
            self._sinks[account] = [sink for sink in sinks if sink.connection is not connection or sink.key != name]

    def subscribe(self, connection: Connection, account: str) -> int:
        """Send an account's events to a ws-api connection. Returns the number of the subscription."""
        number: int = connection.state.get("subscriptions", 0)
        connection.state.update(subscriptions=number + 1, account=account)
        name, now_ns = f"{SUBSCRIPTION_KEY}{connection.number}/{number}", self.house.core.now_ns()
        self.keys[name] = Key(account, now_ns, now_ns, lasts=False)
        wrap = (f'{{"subscriptionId":{number},"event":', "}")
        self._sinks.setdefault(account, []).append(Sink(connection, name, wrap))
        return number

    def unsubscribe(self, connection: Connection, number: int | None = None) -> None:
        """End one subscription of a ws-api connection, or all."""
        prefix = f"{SUBSCRIPTION_KEY}{connection.number}/"
        wanted = prefix if number is None else f"{prefix}{number}"
        for name in [name for name in self.keys if name == wanted or (number is None and name.startswith(prefix))]:
            self._drop(name)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.unsubscribe(connection)
        for account, sinks in self._sinks.items():
            self._sinks[account] = [sink for sink in sinks if sink.connection is not connection]

    # --- events ---
    def order(self, event: OrderEvent) -> None:
        """Tell the owner of an order."""
        self._executions += 1
        sinks = self._listening(event.order.account)
        if sinks:
            told = execution_report(self.house, event, self._executions) if self.house.spot else order_update(self.house, event)
            self._tell(told, sinks)

    def account(self, event: AccountEvent) -> None:
        """Tell the owner of an account."""
        paid = Decimal(0) if self.house.spot else self._keep_wallets(event)
        sinks = self._listening(event.account)
        if sinks:
            self._tell(account_position(self.house, event) if self.house.spot else account_update(self.house, event, paid), sinks)

    def _keep_wallets(self, event: AccountEvent) -> Decimal:
        """Take note of a wallet's total; return what funding added to it."""
        account, added = self.house.core.account(event.account), Decimal(0)
        assert account is not None
        for asset in event.assets:
            total = account.balances.get(asset, Decimal(0))
            added = total - self._wallets.get((event.account, asset), total)
            self._wallets[event.account, asset] = total
        if event.reason != "FUNDING":
            return Decimal(0)
        self.payments.append(Payment(event.account, event.symbols[0], event.assets[0], added, event.ts_ns))
        return added

    def listens(self, account: str) -> bool:
        """Say whether anybody is told of an account."""
        return bool(self._listening(account))

    def _listening(self, account: str) -> list[Sink]:
        return [sink for sink in self._sinks.get(account, []) if not self.keys[sink.key].silent]

    def _tell(self, event: dict[str, Any], sinks: Iterable[Sink]) -> None:
        text = orjson.dumps(event).decode()
        for sink in sinks:
            sink.tell(event, text)

    # --- what moved a futures wallet ---
    def income(self, call: Call) -> list[dict[str, Any]]:
        """Return realized profit, commissions and funding, oldest first."""
        symbol, kind = call.params.get("symbol"), call.params.get("incomeType")
        rows = [row for row in self._incomes(call.account) if within(call, row["time"])]
        rows = [row for row in rows if (not symbol or row["symbol"] == symbol) and (not kind or row["incomeType"] == kind)]
        limit = call.params.limit(100, 1000)
        return rows[:limit] if call.params.get("startTime") else rows[-limit:]

    def _incomes(self, account: str) -> list[dict[str, Any]]:
        rows = []
        for fill in self.house.core.fills(account):
            at = {"time": self.house.ms(fill.ts_ns), "asset": fill.fee_asset, "symbol": fill.symbol, "tradeId": str(fill.trade_id)}
            number = 2 * fill.trade_id
            rows.append({"incomeType": "COMMISSION", "income": f"{-fill.fee:.8f}", "info": str(fill.trade_id), "tranId": number, **at})
            if fill.realized:
                gain = f"{fill.realized:.8f}"
                rows.append({"incomeType": "REALIZED_PNL", "income": gain, "info": str(fill.trade_id), "tranId": number + 1, **at})
        for paid in (one for one in self.payments if one.account == account):
            at = {"time": self.house.ms(paid.ts_ns), "asset": paid.asset, "symbol": paid.symbol, "tradeId": ""}
            amount = f"{paid.amount:.8f}"
            rows.append({"incomeType": "FUNDING_FEE", "income": amount, "info": "FUNDING_FEE", "tranId": paid.ts_ns, **at})
        return sorted(rows, key=lambda row: int(row["time"]))

"""The WebSocket of the loopback Hyperliquid: who subscribed to what, and the frames that leave at the end of a block."""

from collections.abc import Iterable
from typing import Any

import orjson

from hftlab.venues.server.hyperliquid_account import HyperliquidAccounts
from hftlab.venues.server.hyperliquid_market import INTERVALS, HyperliquidMarket
from hftlab.venues.server.hyperliquid_state import CASH, HyperliquidState
from hftlab.venues.server.hyperliquid_text import plain, tx_hash
from hftlab.venues.server.model import AccountEvent, DepthDiff, Event, OrderEvent, Print, Touch
from hftlab.venues.server.skin import Connection

OF_COIN = ("l2Book", "trades", "bbo", "activeAssetCtx")
OF_USER = ("orderUpdates", "userFills", "userEvents", "userFundings", "clearinghouseState", "spotState")
OF_ALL = ("allMids",)
CANDLE = "candle"  # its topic is of a coin and an interval: BTC/1m
STATES = ("clearinghouseState", "spotState")
_SNAPSHOT_FILLS = 2000

Topic = tuple[str, str]


class HyperliquidStreams:
    """Collects what happens and sends it: what concerns an account soon (`flush`), the market once a block (`block`)."""

    def __init__(self, state: HyperliquidState, market: HyperliquidMarket, accounts: HyperliquidAccounts) -> None:
        self._state, self._market, self._accounts = state, market, accounts
        self._listeners: dict[Topic, dict[int, Connection]] = {}
        self._orders: dict[str, list[dict[str, Any]]] = {}
        self._fills: dict[str, list[dict[str, Any]]] = {}
        self._fundings: dict[str, list[dict[str, Any]]] = {}
        self._changed: set[str] = set()
        self._cash: dict[str, Any] = {}
        self._prints: dict[str, list[dict[str, Any]]] = {}
        self._touched: set[str] = set()
        self._book_ns = 0
        self._context_ns = 0

    # --- what happens ---
    def on_event(self, event: Event) -> None:
        """Take note of an event of the core."""
        if isinstance(event, DepthDiff):
            self._market.on_diff(event)
        elif isinstance(event, Print):
            self._market.on_print(event)
            self._prints.setdefault(event.symbol, []).append(self._market.trade(event))
        elif isinstance(event, Touch):
            self._touched.add(event.symbol)
        elif isinstance(event, OrderEvent):
            self._on_order(event)
        else:
            self._on_account(event)

    def _on_order(self, event: OrderEvent) -> None:
        address = event.order.account
        self._orders.setdefault(address, []).append(self._state.with_status(event.order))
        if event.fill is not None:
            self._fills.setdefault(address, []).append(self._state.filled(event.fill))
        self._note_cash(address)

    def _on_account(self, event: AccountEvent) -> None:
        before, now = self._cash.get(event.account), self._note_cash(event.account)
        if event.reason != "FUNDING" or before is None:
            return
        for coin in event.symbols:
            instrument = self._state.instrument(coin)
            lots = self._state.user(event.account).positions.get(coin, 0)
            delta = {"type": "funding", "coin": coin, "usdc": plain(now - before), "szi": plain(instrument.qty(lots)), "fundingRate": "0.0"}
            time_ms = self._state.ms(event.ts_ns)
            row = {"time": time_ms, "hash": tx_hash(time_ms), "delta": delta}
            self._state.user(event.account).fundings.append(row)
            self._fundings.setdefault(event.account, []).append({"time": time_ms, **delta})

    def _note_cash(self, address: str) -> Any:
        account = self._state.core.account(address)
        self._changed.add(address)
        if account is not None:
            self._cash[address] = account.balances.get(CASH, 0)
        return self._cash.get(address, 0)

    # --- subscriptions ---
    def subscribe(self, connection: Connection, wanted: dict[str, Any]) -> str:
        """Subscribe and send what the venue sends at once. Returns "", or why not."""
        topic = self.topic(wanted)
        if topic is None:
            return "Invalid subscription"
        if connection.number in self._listeners.get(topic, {}):
            return "Already subscribed"
        if sum(connection.number in known for known in self._listeners.values()) >= self._state.rules.subscriptions_max:
            return "Too many subscriptions"
        self._listeners.setdefault(topic, {})[connection.number] = connection
        if topic[0] in OF_USER:
            connection.state["account"] = topic[1]  # whose fills a fault may tell again
        self.tell(connection, "subscriptionResponse", {"method": "subscribe", "subscription": wanted}, kind="reply")
        for channel, data, kind in self._first(topic):
            self.tell(connection, channel, data, kind=kind, stream=_name(topic))
        return ""

    def unsubscribe(self, connection: Connection, wanted: dict[str, Any]) -> str:
        """Unsubscribe. Returns "", or why not."""
        topic = self.topic(wanted)
        if topic is None or self._listeners.get(topic, {}).pop(connection.number, None) is None:
            return "Already unsubscribed"
        self.tell(connection, "subscriptionResponse", {"method": "unsubscribe", "subscription": wanted}, kind="reply")
        return ""

    def forget(self, connection: Connection) -> None:
        """Drop every subscription of a connection."""
        for known in self._listeners.values():
            known.pop(connection.number, None)

    def topic(self, wanted: dict[str, Any]) -> Topic | None:
        """Return what a subscription is for; None for what this exchange does not have."""
        kind = wanted.get("type")
        if kind in OF_COIN and wanted.get("coin") in self._state.coins and wanted.get("nSigFigs") is None:
            return kind, wanted["coin"]
        if kind in OF_USER and isinstance(wanted.get("user"), str):
            return kind, wanted["user"].lower()
        if kind == CANDLE and wanted.get("coin") in self._state.coins and wanted.get("interval") in INTERVALS:
            return kind, f"{wanted['coin']}/{wanted['interval']}"
        return (kind, "") if kind in OF_ALL else None

    def _first(self, topic: Topic) -> Iterable[tuple[str, Any, str]]:
        """Return the frames that follow a subscription at once, as (channel, data, kind)."""
        kind, of = topic
        if kind == "trades":
            recent = self._market.trades(of, self._state.rules.trades_on_subscribe)
            return [("trades", recent, "md")] if recent else []
        if kind == "userFills":
            return [("userFills", {"isSnapshot": True, "user": of, "fills": self._accounts.fills(of)[:_SNAPSHOT_FILLS]}, "user")]
        if kind == "userFundings":
            rows = [{"time": row["time"], **row["delta"]} for row in self._state.user(of).fundings]
            return [("userFundings", {"isSnapshot": True, "user": of, "fundings": rows}, "user")]
        if kind in {"orderUpdates", "userEvents"}:
            return []
        if kind == CANDLE:
            candle = self._market.candle(*of.split("/"))
            return [] if candle is None else [(CANDLE, candle, "md")]
        return [self._frame(topic)]

    def _frame(self, topic: Topic) -> tuple[str, Any, str]:
        """Return the frame that shows how a topic stands now."""
        kind, of = topic
        if kind == "clearinghouseState":
            return kind, {"dex": "", "user": of, "clearinghouseState": self._accounts.clearinghouse(of)}, "user"
        if kind == "spotState":
            return kind, {"user": of, "spotState": {"balances": []}}, "user"
        if kind == "allMids":
            return kind, {"mids": self._market.mids()}, "md"
        if kind == "activeAssetCtx":
            return kind, {"coin": of, "ctx": self._market.context(of)}, "md"
        return kind, self._market.frame(of) if kind == "l2Book" else self._market.touch(of), "md"

    # --- frames ---
    def flush(self) -> None:
        """Send what concerns accounts."""
        orders, self._orders = self._orders, {}
        fills, self._fills = self._fills, {}
        fundings, self._fundings = self._fundings, {}
        changed, self._changed = self._changed, set()
        for address, rows in orders.items():
            self._tell_all(("orderUpdates", address), "orderUpdates", rows, "user")
        for address, rows in fills.items():
            self._tell_all(("userFills", address), "userFills", {"user": address, "fills": rows}, "user")
            self._tell_all(("userEvents", address), "user", {"fills": rows}, "user")
        for address, rows in fundings.items():
            self._tell_all(("userFundings", address), "userFundings", {"user": address, "fundings": rows}, "user")
            for row in rows:
                self._tell_all(("userEvents", address), "user", {"funding": row}, "user")
        for address in changed:
            self._tell_now([("clearinghouseState", address)])

    def block(self, now_ns: int) -> None:
        """Send what the market did since the last block, and what is due."""
        prints, self._prints = self._prints, {}
        touched, self._touched = self._touched, set()
        for coin, rows in prints.items():
            self._tell_all(("trades", coin), "trades", rows, "md")
            for interval in INTERVALS:
                if self._listeners.get((CANDLE, f"{coin}/{interval}")):
                    self._tell_all((CANDLE, f"{coin}/{interval}"), CANDLE, self._market.candle(coin, interval), "md")
        self._tell_now([("bbo", coin) for coin in self._state.coins if coin in touched])
        if now_ns >= self._book_ns:
            self._book_ns = now_ns + round(self._state.rules.book_interval_s * 1e9)
            self._tell_now([("l2Book", coin) for coin in self._state.coins])
        if now_ns >= self._context_ns:
            self._context_ns = now_ns + round(self._state.rules.context_interval_s * 1e9)
            self._tell_now([("activeAssetCtx", coin) for coin in self._state.coins])
            self._tell_now([("allMids", ""), *(topic for topic in self._listeners if topic[0] in STATES)])

    def _tell_now(self, topics: list[Topic]) -> None:
        for topic in topics:
            if self._listeners.get(topic):
                channel, data, kind = self._frame(topic)
                self._tell_all(topic, channel, data, kind)

    def _tell_all(self, topic: Topic, channel: str, data: Any, kind: str) -> None:
        listeners = self._listeners.get(topic)
        if not listeners:
            return
        text = _text(channel, data)
        for connection in list(listeners.values()):
            connection.send(text, stream=_name(topic), kind=kind)

    def tell(self, connection: Connection, channel: str, data: Any, *, kind: str, stream: str = "reply") -> None:
        """Send one frame to one connection."""
        connection.send(_text(channel, data), stream=stream, kind=kind)


def _name(topic: Topic) -> str:
    """Return how a fault aims at a topic: btc@l2Book, allMids, userFills."""
    kind, of = topic
    return f"{of.lower().split('/')[0]}@{kind}" if kind in OF_COIN or kind == CANDLE else kind


def _text(channel: str, data: Any) -> str:
    return orjson.dumps({"channel": channel, "data": data}).decode()

"""What the clients that are not ccxt do, each answer held against the venue's truth."""

from itertools import pairwise
from typing import Any

from benchmarks.drills.conform.desk import LEVELS, MS, Desk, Differs, near, same
from hftlab.venues.server.hashing import hash_texts
from hftlab.venues.server.model import Status

BOOKS = 20
SKIP = 3  # python-binance applies one diff too many after its snapshot and is right again with the next

# --- Binance: the methods of both packages, spot and futures, by what they are for ---
CALLS = {
    "python-binance spot": {
        "rules": "get_exchange_info",
        "book": "get_order_book",
        "account": "get_account",
        "place": "create_order",
        "open": "get_open_orders",
        "order": "get_order",
        "cancel": "cancel_order",
        "trades": "get_my_trades",
    },
    "python-binance futures": {
        "rules": "futures_exchange_info",
        "book": "futures_order_book",
        "account": "futures_account",
        "place": "futures_create_order",
        "open": "futures_get_open_orders",
        "order": "futures_get_order",
        "cancel": "futures_cancel_order",
        "trades": "futures_account_trades",
        "amend": "futures_modify_order",
        "position": "futures_position_information",
    },
    "binance-connector spot": {
        "rules": "exchange_info",
        "book": "depth",
        "account": "account",
        "place": "new_order",
        "open": "get_open_orders",
        "order": "get_order",
        "cancel": "cancel_order",
        "trades": "my_trades",
    },
}


class BinanceStory:
    """What a Binance client does. Each method is a cell."""

    def __init__(self, d: Desk, client: Any, package: str) -> None:
        self.d, self.client, self.package = d, client, package
        self.calls = CALLS[f"{package} {'spot' if d.spot else 'futures'}"]
        self.named = {"symbol": d.own}

    def _ask(self, what: str, **named: Any) -> Any:
        return self.client.ask(self.calls[what], **self.named, **named)

    def rules(self) -> str:
        (one,) = self.client.ask(self.calls["rules"])["symbols"]
        steps = {each["filterType"]: each for each in one["filters"]}
        near("tick size", float(steps["PRICE_FILTER"]["tickSize"]), float(self.d.instrument.tick_size))
        near("lot size", float(steps["LOT_SIZE"]["stepSize"]), float(self.d.instrument.lot_size))
        return ""

    def book(self) -> str:
        book = self._ask("book", limit=100)
        found = hash_texts(self.d.instrument, book["bids"], book["asks"])
        same("book", found, self.d.ask(lambda: self.d.core.book_hash(self.d.own, book["lastUpdateId"], 100)))
        return "100 levels by id"

    def stream(self) -> str:
        if not self.d.spot:
            return "– its futures book has no ids"
        frames = self.client.stream(BOOKS, SKIP)
        if self.package == "python-binance":
            for one in frames:
                same(f"book at {one['id']}", hash_texts(self.d.instrument, one["bids"], one["asks"]), self._true(one["id"]))
            return f"{len(frames)} books by id"
        for before, after in pairwise(frames):
            same("first id of a diff", after["U"], before["u"] + 1)
        for one in frames:
            self._true(one["u"])
        return f"{len(frames)} diffs without a gap"

    def _true(self, last_id: int) -> str:
        return str(self.d.venue.book_hash(self.d.skin, self.d.own, last_id))

    def post_only(self) -> str:
        kind = {"type": "LIMIT_MAKER"} if self.d.spot else {"type": "LIMIT", "timeInForce": "GTX"}
        self.price = self.d.away(0.01)
        placed = self._ask(
            "place", side="BUY", quantity="0.01", price=str(self.price), newClientOrderId=f"{self.package}-{self.d.through}", **kind
        )
        self.number = placed["orderId"]
        true = self.d.true_order(str(self.number))
        same("resting", self.d.resting(), {str(self.number)})
        same("client id", true.client_id, f"{self.package}-{self.d.through}")
        near("price", self.d.price(true.price_ticks), self.price)
        return ""

    def open_orders(self) -> str:
        found = self._ask("open")
        same("open", {str(one["orderId"]) for one in found}, self.d.resting())
        same("status", self._ask("order", orderId=self.number)["status"], "NEW")
        return ""

    def amend(self) -> str:
        if "amend" not in self.calls:
            return "– not in this package"
        price = self.d.away(0.02)
        self._ask("amend", orderId=self.number, side="BUY", quantity="0.02", price=str(price))
        near("price", self.d.price(self.d.true_order(str(self.number)).price_ticks), price)
        return "in place"

    def cancel(self) -> str:
        self._ask("cancel", orderId=self.number)
        same("status", self.d.true_order(str(self.number)).status, Status.CANCELED)
        same("resting", self.d.resting(), set())
        return ""

    def market(self) -> str:
        placed = self._ask("place", side="BUY", type="MARKET", quantity="0.01")
        same("status", self.d.true_order(str(placed["orderId"])).status, Status.FILLED)
        true = {number: one for number, one in self.d.true_fills().items() if one.order_id == placed["orderId"]}
        found = {str(one["id"]): one for one in self._ask("trades") if one["orderId"] == placed["orderId"]}
        same("trades", set(found), set(true))
        for number, one in found.items():
            near("price", float(one["price"]), self.d.price(true[number].price_ticks))
            near("commission", float(one["commission"]), float(true[number].fee), 1e-8)
        return ""

    def account(self) -> str:
        found, true = self.client.ask(self.calls["account"]), self.d.venue.truth(self.d.skin)["accounts"][self.d.key]
        if self.d.spot:
            for one in found["balances"]:
                near(one["asset"], float(one["free"]) + float(one["locked"]), float(true["balances"].get(one["asset"], 0)))
            return ""
        near("wallet", float(found["totalWalletBalance"]), float(true["balances"]["USDT"]))
        (position,) = [one for one in self._ask("position") if float(one["positionAmt"])]
        near("position", float(position["positionAmt"]), self.d.qty(self.d.lots()))
        return ""

    def refusals(self) -> str:
        cross = {"type": "LIMIT_MAKER"} if self.d.spot else {"type": "LIMIT", "timeInForce": "GTX"}
        named = {**self.named, "side": "BUY", "quantity": "0.01", "price": str(self.d.away(-0.01)), **cross}
        kind = self.client.refused("2010" if self.d.spot else "5022", self.calls["place"], **named)
        self.client.refused("2011", self.calls["cancel"], **self.named, orderId=999999999)
        return kind


class HyperliquidStory:
    """What Hyperliquid's own SDK does. Each method is a cell."""

    def __init__(self, d: Desk, client: Any, package: str) -> None:
        self.d, self.client = d, client

    def rules(self) -> str:
        (one,) = self.client.ask("meta")["universe"]
        same("coin and decimals", (one["name"], one["szDecimals"]), (self.d.own, self.d.instrument.qty_decimals))
        return ""

    def _same_book(self, book: Any) -> None:
        sides = ([(level["px"], level["sz"]) for level in side] for side in book["levels"])
        if hash_texts(self.d.instrument, *sides) not in self.d.books_at(book["time"]):
            raise Differs(f"the book at {book['time']}, which was not so at the venue")

    def book(self) -> str:
        self._same_book(self.client.ask("l2_snapshot", self.d.own))
        return f"{LEVELS} levels by time"

    def stream(self) -> str:
        frames = self.client.stream(BOOKS)
        for one in frames:
            self._same_book(one)
        return f"{len(frames)} blocks"

    def post_only(self) -> str:
        self.price = self.d.away(0.01)
        answer = self.client.ask("order", self.d.own, True, 0.01, self.price, {"limit": {"tif": "Alo"}})
        self.number = answer["response"]["data"]["statuses"][0]["resting"]["oid"]
        same("resting", self.d.resting(), {str(self.number)})
        near("price", self.d.price(self.d.true_order(str(self.number)).price_ticks), self.price)
        return ""

    def open_orders(self) -> str:
        same("open", {str(one["oid"]) for one in self.client.ask("open_orders", self.d.key)}, self.d.resting())
        same("status", self.client.ask("query_order_by_oid", self.d.key, self.number)["order"]["status"], "open")
        return ""

    def amend(self) -> str:
        price = self.d.away(0.02)
        answer = self.client.ask("modify_order", self.number, self.d.own, True, 0.02, price, {"limit": {"tif": "Alo"}})
        same("answer", answer["status"], "ok")
        (number,) = self.d.resting()
        self.number = int(number)
        near("price", self.d.price(self.d.true_order(number).price_ticks), price)
        return "new id"

    def cancel(self) -> str:
        self.client.ask("cancel", self.d.own, self.number)
        same("status", self.d.true_order(str(self.number)).status, Status.CANCELED)
        same("resting", self.d.resting(), set())
        return ""

    def market(self) -> str:
        answer = self.client.ask("market_open", self.d.own, True, 0.01)
        filled = answer["response"]["data"]["statuses"][0]["filled"]
        true = {number: one for number, one in self.d.true_fills().items() if one.order_id == filled["oid"]}
        near("filled", float(filled["totalSz"]), self.d.qty(sum(one.qty_lots for one in true.values())))
        found = {str(one["tid"]): one for one in self.client.ask("user_fills", self.d.key) if one["oid"] == filled["oid"]}
        same("trades", set(found), set(true))
        for number, one in found.items():
            same("time", one["time"], true[number].ts_ns // MS)
            near("fee", float(one["fee"]), float(true[number].fee), 1e-8)
        return ""

    def account(self) -> str:
        (held,) = self.client.ask("user_state", self.d.key)["assetPositions"]
        near("position", float(held["position"]["szi"]), self.d.qty(self.d.lots()))
        return ""

    def refusals(self) -> str:
        for words, call, arguments in (
            ("immediately matched", "order", (self.d.own, True, 0.01, self.d.away(-0.01), {"limit": {"tif": "Alo"}})),
            ("never placed", "cancel", (self.d.own, 999999999)),
        ):
            (status,) = self.client.ask(call, *arguments)["response"]["data"]["statuses"]
            if words not in status["error"]:
                raise Differs(f"{status}; wanted {words!r} in it")
        return ""


ROWS = {
    "rules": "rules",
    "book": "book",
    "book by its stream": "stream",
    "post-only order": "post_only",
    "open orders, order": "open_orders",
    "amend": "amend",
    "cancel": "cancel",
    "market order and its trades": "market",
    "account, position": "account",
    "post-only that would cross, cancel of an unknown order": "refusals",
}

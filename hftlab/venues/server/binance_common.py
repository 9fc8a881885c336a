"""What both Binance skins share: errors as the venue words them, parameters as clients send them, numbers as it writes them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

from hftlab.instrument import Instrument
from hftlab.types import ASK, BID, NO_PRICE, STP_CANCEL_BOTH, STP_CANCEL_MAKER, STP_CANCEL_TAKER, STP_DECREMENT, STP_NONE
from hftlab.venues.server.model import Core, Order, Status, Why
from hftlab.venues.server.skin import Faults

NONE, KEY, SIGNED = "none", "key", "signed"  # what a route asks of its caller
MS = 1_000_000  # ns
SIDES = {"BUY": BID, "SELL": ASK}
SIDE_NAMES = {BID: "BUY", ASK: "SELL"}
STP_MODES = {
    "NONE": STP_NONE,
    "EXPIRE_TAKER": STP_CANCEL_TAKER,
    "EXPIRE_MAKER": STP_CANCEL_MAKER,
    "EXPIRE_BOTH": STP_CANCEL_BOTH,
    "DECREMENT": STP_DECREMENT,
}
STP_TEXTS = {value: name for name, value in STP_MODES.items()}
NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
TEXTS_KEPT = 100_000


class Denied(Exception):
    """A request that the venue refuses, with its code and words. `data` is a further member of the error."""

    def __init__(self, code: int, text: str, status: int = 400, data: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text, self.status, self.data, self.headers = code, text, status, data, dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the error as JSON has it."""
        return {"code": self.code, "msg": self.text, **({"data": self.data} if self.data is not None else {})}


def missing(name: str) -> Denied:
    """Return the error for a mandatory parameter that is not there."""
    return Denied(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


class Params:
    """The parameters of one request, all texts."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    @classmethod
    def parse(cls, *texts: str) -> "Params":
        """Read query strings and form bodies."""
        values: dict[str, str] = {}
        for text in texts:
            for name, value in parse_qsl(text, keep_blank_values=True):
                if name in values:
                    raise Denied(-1101, f"Duplicate values for parameter '{name}' detected.")
                values[name] = value
        return cls(values)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Params":
        """Take the members of a JSON object; true and false as clients sign them."""
        return cls(
            {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items() if value is not None}
        )

    def get(self, name: str, default: str = "") -> str:
        """Return a parameter, or the default where it is missing or empty."""
        return self.values.get(name) or default

    def need(self, name: str) -> str:
        """Return a mandatory parameter."""
        if not self.values.get(name):
            raise missing(name)
        return self.values[name]

    def integer(self, name: str, default: int = 0) -> int:
        """Return a whole number."""
        text = self.get(name)
        if not text:
            return default
        if not re.fullmatch(r"-?[0-9]{1,20}", text):
            raise Denied(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a yes or no."""
        return self.get(name).lower() == "true"

    def decimal(self, name: str) -> Decimal:
        """Return a mandatory decimal number; no exponents."""
        text = self.need(name)
        if not re.fullmatch(NUMBER, text):
            raise Denied(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{NUMBER}'.")
        return Decimal(text)

    def choice(self, name: str, allowed: tuple[str, ...], code: int, text: str) -> str:
        """Return a mandatory parameter that is one of a few words."""
        value = self.need(name)
        if value not in allowed:
            raise Denied(code, text)
        return value

    def limit(self, default: int, most: int) -> int:
        """Return `limit` within its bounds."""
        return max(1, min(self.integer("limit", default), most))


@dataclass(frozen=True, slots=True)
class Call:
    """One request, however it came: REST or ws-api. `account` is the key that signed it, "" of a public one."""

    params: Params
    account: str
    client: str


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `weight` may depend on the parameters; `orders`: whether answers tell the order counts."""

    handler: Callable[[Call], Any]
    weight: int | Callable[[Params], int] = 1
    security: str = NONE
    kind: str = "market"
    orders: bool = False

    def weight_of(self, params: Params) -> int:
        """Return what this request costs."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


Routes = dict[tuple[str, str], Route]


class Grid:
    """The numbers of one symbol as the venue writes them: spot with 8 decimals, futures with the symbol's precision."""

    def __init__(self, instrument: Instrument, price_decimals: int, qty_decimals: int) -> None:
        self.instrument, self.price_decimals, self.qty_decimals = instrument, price_decimals, qty_decimals
        self._prices: dict[int, str] = {NO_PRICE: _fixed(0, price_decimals)}
        self._qtys: dict[int, str] = {}
        self._tick = int(instrument.tick_size.scaleb(price_decimals))
        self._lot = int(instrument.lot_size.scaleb(qty_decimals))

    def price(self, ticks: int | None) -> str:
        """Return the text of a price; None (a market order) is zero."""
        ticks = NO_PRICE if ticks is None else ticks
        text = self._prices.get(ticks)
        if text is None:
            if len(self._prices) > TEXTS_KEPT:
                self._prices = {NO_PRICE: self._prices[NO_PRICE]}
            text = self._prices[ticks] = _fixed(ticks * self._tick, self.price_decimals)
        return text

    def qty(self, lots: int) -> str:
        """Return the text of a quantity."""
        text = self._qtys.get(lots)
        if text is None:
            if len(self._qtys) > TEXTS_KEPT:
                self._qtys.clear()
            text = self._qtys[lots] = _fixed(lots * self._lot, self.qty_decimals)
        return text

    def levels(self, levels: Any) -> list[tuple[str, str]]:
        """Return levels as texts."""
        return [(self.price(ticks), self.qty(lots)) for ticks, lots in levels]

    def quote(self, ticklots: int) -> str:
        """Return the text of ticks x lots in quote currency."""
        return f"{self.instrument.money_quote(ticklots):.8f}"

    def average(self, order: Order) -> str:
        """Return the text of an order's average price."""
        if not order.filled_lots:
            return _fixed(0, self.price_decimals)
        return f"{Decimal(order.filled_ticklots) / order.filled_lots * self.instrument.tick_size:.{self.price_decimals + 3}f}"


def _fixed(units: int, decimals: int) -> str:
    """Return units of 10**-decimals as a text with that many decimals."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    if not decimals:
        return f"{sign}{units}"
    whole, rest = divmod(units, 10**decimals)
    return f"{sign}{whole}.{rest:0{decimals}d}"


@dataclass(slots=True)
class House:
    """What the parts of one skin share: the core, the faults, and how this venue writes things."""

    core: Core
    faults: Faults
    spot: bool
    stp_default: str = "EXPIRE_MAKER"
    grids: dict[str, Grid] = field(default_factory=dict)
    cancel_id: str = ""  # client id of the cancel that the core is at: its report on the user stream carries it
    amended_id: str = ""  # client id that the order had before the amend that the core is at
    _counter: int = 0

    def __post_init__(self) -> None:
        for symbol, instrument in self.core.instruments.items():
            price, qty = (8, 8) if self.spot else (max(2, instrument.price_decimals), instrument.qty_decimals)
            self.grids[symbol] = Grid(instrument, price, qty)

    def ms(self, ts_ns: int) -> int:
        """Return a time of the core as this venue's clock shows it, in ms."""
        return self.faults.clock_ns(ts_ns) // MS

    def now_ms(self) -> int:
        """Return the venue's clock."""
        return self.faults.clock_ns(self.core.now_ns()) // MS

    def symbol(self, params: Params) -> str:
        """Return the mandatory symbol, which must be listed."""
        symbol = params.need("symbol")
        if symbol not in self.core.instruments:
            raise Denied(-1121, "Invalid symbol.")
        return symbol

    def symbols(self, params: Params) -> list[str]:
        """Return the symbol asked for, or all."""
        return [self.symbol(params)] if params.get("symbol") else list(self.core.instruments)

    def word(self, letters: int, salt: str = "") -> str:
        """Return a new name of letters and digits: never the same twice, and the same for the same calls at the same times."""
        self._counter += 1
        seed, text = f"{self.core.venue}/{salt}/{self.core.now_ns()}/{self._counter}", ""
        while len(text) < letters:
            number = int.from_bytes(blake2b(f"{seed}/{len(text)}".encode(), digest_size=16).digest(), "big")
            for _ in range(20):
                number, digit = divmod(number, 62)
                text += "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[digit]
        return text[:letters]

    def seen(self, order: Order | None) -> Order | None:
        """Return an order unless a fault hides it from queries."""
        return None if order is None or self.faults.hides(order, self.core.now_ns()) else order


def always(body: Any) -> Callable[[Call], Any]:
    """Return a handler that gives one answer to everybody."""
    return lambda _: body


def status_text(order: Order) -> str:
    """Return an order's status in the venue's word: self-trade prevention has its own."""
    if order.status is Status.EXPIRED and order.why is Why.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return order.status.value

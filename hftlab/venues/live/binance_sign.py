"""Requests of Binance's ws-api as bytes, signed.

The signature is over `name=value&…` with the names sorted, the values as they stand (the venue's ws-api "request security"). What does
not change from one order to the next is put together once per instrument, side and flags: an order then costs one `%`, one HMAC, one `%`.
"""

import hmac
from collections.abc import Mapping
from functools import cache, lru_cache

from hftlab.instrument import Instrument
from hftlab.types import AMEND, BID, CANCEL, FOK, IOC, MARKET_ORDER, POST_ONLY, REDUCE_ONLY, SUBMIT
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import OrderRequest

RECV_WINDOW_MS = 5000
_FREE = "%s"


def symbol_of(instrument: Instrument) -> str:
    """Return Binance's own name: BTCUSDT; of a dated contract BTCUSDT_250926."""
    _, _, dated = instrument.symbol.partition("-")
    return f"{instrument.base}{instrument.quote}{'_' if dated else ''}{dated}"


class Signer:
    """HMAC-SHA256 over the exact text, in hex."""

    def __init__(self, keys: Keys) -> None:
        self.key = keys.key.get_secret_value()
        # The key is worked into the hash once; a copy then costs half of `hmac.digest`.
        self._keyed = hmac.new(keys.secret.get_secret_value().encode(), digestmod="sha256")

    def __repr__(self) -> str:
        return "Signer(**********)"

    def sign(self, text: str) -> str:
        """Return the signature of a text."""
        keyed = self._keyed.copy()
        keyed.update(text.encode())
        return keyed.hexdigest()


class Encoder:
    """Turns order requests into ws-api messages of one venue (binance or binanceusdm)."""

    def __init__(self, venue: str, instruments: tuple[Instrument, ...], signer: Signer) -> None:
        self.venue = venue
        self._signer = signer
        self._symbols = [symbol_of(instrument) for instrument in instruments]
        # Prices and sizes of quotes come again and again: their texts are kept.
        self._price_texts = [lru_cache(4096)(instrument.price_text) for instrument in instruments]
        self._qty_texts = [lru_cache(1024)(lambda lots, i=i: f"{i.qty(lots):f}") for i in instruments]
        self._template = cache(self._made)

    def signed(self, request: OrderRequest, timestamp_ms: int) -> bytes:
        """Return the message that is put on the socket."""
        method, payload, body, _ = self._template(request.kind, request.instrument, request.side, request.flags)
        values = (*self._values(request), timestamp_ms)
        signature = self._signer.sign(payload % values)
        return b'{"id":%d,"method":"%b","params":{%b,"signature":"%b"}}' % (
            request.number,
            method,
            (body % values).encode(),
            signature.encode(),
        )

    def plain(self, request: OrderRequest) -> bytes:
        """Return the same message without key, time and signature."""
        method, _, _, plain = self._template(request.kind, request.instrument, request.side, request.flags)
        return b'{"id":%d,"method":"%b","params":{%b}}' % (request.number, method, (plain % self._values(request)).encode())

    def query(self, number: int | str, method: str, params: Mapping[str, str], timestamp_ms: int) -> bytes:
        """Return a signed message of any other kind; `params` without key, time and signature."""
        full = {**params, "apiKey": self._signer.key, "recvWindow": str(RECV_WINDOW_MS), "timestamp": str(timestamp_ms)}
        names = sorted(full)
        signature = self._signer.sign("&".join(f"{name}={full[name]}" for name in names))
        shown = f'"{number}"' if isinstance(number, str) else str(number)
        return f'{{"id":{shown},"method":"{method}","params":{{{_json({n: full[n] for n in names})},"signature":"{signature}"}}}}'.encode()

    def _values(self, request: OrderRequest) -> tuple[str, ...]:
        """Return what fills the free places of a template, in the order of their sorted names."""
        if request.kind == CANCEL:
            return (request.client_id,)
        qty = self._qty_texts[request.instrument](request.qty_lots)
        if request.kind == AMEND and self.venue == "binance":
            return request.client_id, qty, request.client_id
        if request.kind == SUBMIT and request.flags & MARKET_ORDER:
            return request.client_id, qty
        return request.client_id, self._price_texts[request.instrument](request.price_ticks), qty

    def _made(self, kind: int, instrument: int, side: int, flags: int) -> tuple[bytes, str, str, str]:
        """Return method, text to sign, members of the JSON object, and those without key and time."""
        method, params = self._params(kind, side, flags)
        fixed = {**params, "symbol": self._symbols[instrument], "recvWindow": str(RECV_WINDOW_MS)}
        full = {**fixed, "apiKey": self._signer.key, "timestamp": _FREE}
        full = {name: full[name] for name in sorted(full)}
        # `timestamp` comes last among the free ones: every other free name sorts before it.
        return method, "&".join(f"{name}={value}" for name, value in full.items()), _json(full), _json(dict(sorted(fixed.items())))

    def _params(self, kind: int, side: int, flags: int) -> tuple[bytes, dict[str, str]]:
        if kind == CANCEL:
            return b"order.cancel", {"origClientOrderId": _FREE}
        word = "BUY" if side == BID else "SELL"
        if kind == AMEND:
            if self.venue == "binance":
                # Without a new client order id the venue makes one up; the old one may be given again.
                return b"order.amend.keepPriority", {"newClientOrderId": _FREE, "newQty": _FREE, "origClientOrderId": _FREE}
            return b"order.modify", {"origClientOrderId": _FREE, "price": _FREE, "quantity": _FREE, "side": word}
        assert kind == SUBMIT
        params = {"newClientOrderId": _FREE, "quantity": _FREE, "side": word}
        params["newOrderRespType"] = "FULL" if self.venue == "binance" else "RESULT"
        if flags & REDUCE_ONLY and self.venue != "binance":
            params["reduceOnly"] = "true"
        if flags & MARKET_ORDER:
            return b"order.place", {**params, "type": "MARKET"}
        return b"order.place", {**params, "price": _FREE, **self._kind_of_limit(flags)}

    def _kind_of_limit(self, flags: int) -> dict[str, str]:
        if flags & POST_ONLY:
            return {"type": "LIMIT_MAKER"} if self.venue == "binance" else {"type": "LIMIT", "timeInForce": "GTX"}
        return {"type": "LIMIT", "timeInForce": "IOC" if flags & IOC else "FOK" if flags & FOK else "GTC"}


def _json(members: Mapping[str, str]) -> str:
    """Return the members of a JSON object; times are numbers there, everything else is text."""
    numbers = {"timestamp", "recvWindow"}
    return ",".join(f'"{name}":{value}' if name in numbers else f'"{name}":"{value}"' for name, value in members.items())

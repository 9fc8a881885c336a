"""Order requests as calls of ccxt: which method, and with what. Nothing is sent here."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from hftlab.instrument import Instrument
from hftlab.types import AMEND, BID, CANCEL, FOK, IOC, MARKET_ORDER, POST_ONLY, REDUCE_ONLY
from hftlab.venues.live.model import OrderRequest

# What an amend is at a venue: in_place (same ids), replace (a new order). Venues that are not named cancel and submit.
AMENDS = {"binanceusdm": "in_place", "binancecoinm": "in_place", "binance": "replace", "hyperliquid": "replace"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `arguments` are ccxt's positional ones, prices and amounts as exact texts; `params` go to the venue."""

    method: str
    arguments: tuple[str | None, ...]
    params: dict[str, Any] = field(default_factory=dict)

    def text(self) -> bytes:
        """Return it as JSON: what shadow mode notes where a library hides the bytes."""
        return msgspec.json.encode({"call": self.method, "arguments": self.arguments, "params": self.params})


def call_for(venue: str, instrument: Instrument, request: OrderRequest, *, contract: bool) -> Call:
    """Return the call for a request. `contract`: the market is a derivative, where reduce-only means something."""
    side = "buy" if request.side == BID else "sell"
    if request.kind == CANCEL:
        return Call("cancel_order", (request.venue_id or None, instrument.symbol), {"clientOrderId": request.client_id})
    if request.kind == AMEND:
        return _amend(venue, instrument, request, side)
    amount = f"{instrument.qty(request.qty_lots):f}"
    params = {"clientOrderId": request.client_id, **flags_of(request.flags, contract=contract)}
    if request.flags & MARKET_ORDER:
        return Call("create_order", (instrument.symbol, "market", side, amount, None), params)
    return Call("create_order", (instrument.symbol, "limit", side, amount, instrument.price_text(request.price_ticks)), params)


def flags_of(flags: int, *, contract: bool) -> dict[str, Any]:
    """Return the flags of a row in ccxt's unified words."""
    params: dict[str, Any] = {}
    if flags & POST_ONLY:
        params["postOnly"] = True
    elif flags & IOC:
        params["timeInForce"] = "IOC"
    elif flags & FOK:
        params["timeInForce"] = "FOK"
    if flags & REDUCE_ONLY and contract:
        params["reduceOnly"] = True
    return params


def _amend(venue: str, instrument: Instrument, request: OrderRequest, side: str) -> Call:
    price = instrument.price_text(request.price_ticks)
    in_place = AMENDS.get(venue) == "in_place"
    # A replacement is a new order: of the wished total it is to have what is not filled yet.
    lots = request.qty_lots if in_place else request.qty_lots - request.filled_lots
    arguments = (request.venue_id or None, instrument.symbol, "limit", side, f"{instrument.qty(lots):f}", price)
    if in_place:
        return Call("edit_order", arguments, {"origClientOrderId": request.client_id})
    new_id = request.new_client_id or request.client_id
    post_only = {"postOnly": True} if request.flags & POST_ONLY else {}
    if venue == "binance":
        return Call("edit_order", arguments, {"cancelOrigClientOrderId": request.client_id, "newClientOrderId": new_id, **post_only})
    # Hyperliquid drops the client order id of a modified order unless it is given again.
    return Call("edit_order", arguments, {"clientOrderId": new_id, **post_only})

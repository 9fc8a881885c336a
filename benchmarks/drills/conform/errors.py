"""What must be refused: the venue's own code or words, and the class that ccxt makes of them.

By other URLs than the real ones ccxt knows only some of Binance's futures codes, for it chooses its table by the URL: it then raises the
plain ExchangeError. The classes below follow from the codes of the venues' documents and from ccxt's own tables.
"""

from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ccxt.pro as ccxt

from benchmarks.drills.conform.desk import Absent, Desk, Differs, same
from hftlab.venues.server.model import Status

EXPIRES, NONE = "expires", "none"
NOT_THERE = {"price off the grid": "ccxt rounds it", "a client id twice": "its cloids may come again"}


@dataclass(frozen=True)
class Refusal:
    """What a skin says, and the class by the real URL and by another one. `says` EXPIRES: no error but an order that expired at once."""

    says: str
    by_proxy: type[Exception] = ccxt.ExchangeError
    by_url: type[Exception] | None = None


@contextmanager
def stale(d: Desk, **precision: float) -> Any:
    """Let the client believe in another grid, as it does when the venue has changed its filters: ccxt itself would round."""
    kept = d.ex.markets[d.symbol]["precision"]
    d.ex.markets[d.symbol]["precision"] = {**kept, **precision}
    try:
        yield
    finally:
        d.ex.markets[d.symbol]["precision"] = kept


async def _cross(d: Desk) -> Any:
    return await d.ex.create_order(d.symbol, "limit", "buy", 0.01, d.away(-0.01), {"postOnly": True})


async def _ioc(d: Desk) -> Any:
    return await d.ex.create_order(d.symbol, "limit", "buy", 0.01, d.away(0.01), {"timeInForce": "IOC"})


async def _fok(d: Desk) -> Any:
    return await d.ex.create_order(d.symbol, "limit", "sell", 8.0, d.touch()[0], {"timeInForce": "FOK"})


async def _funds(d: Desk) -> Any:
    return await d.ex.create_order(d.symbol, "limit", "buy", 900, d.away(0.01))


async def _price(d: Desk) -> Any:
    bid = d.away(0.01)
    with stale(d, price=1e-8):
        return await d.ex.create_order(d.symbol, "limit", "buy", 0.01, round(bid) + (0.001 if d.spot else 0.01))


async def _lot(d: Desk) -> Any:
    with stale(d, amount=1e-8):
        return await d.ex.create_order(d.symbol, "limit", "buy", 0.010001 if not d.spot else 0.01000001, d.away(0.01))


async def _value(d: Desk) -> Any:
    amount = {"binance": 0.00001, "binanceusdm": 0.001, "hyperliquid": 0.00005}[d.skin]
    bid = d.away(0.4) if d.skin == "binanceusdm" else d.away(0.01)
    return await d.ex.create_order(d.symbol, "limit", "buy", amount, bid)


async def _far(d: Desk) -> Any:
    return await d.ex.create_order(d.symbol, "limit", "buy", 0.01, d.away(0.8))


async def _cancel(d: Desk) -> Any:
    return await d.ex.cancel_order("999999999", d.symbol)


async def _fetch(d: Desk) -> Any:
    return await d.ex.fetch_order("999999999", d.symbol)


async def _gone(d: Desk) -> Any:
    """Cancel an order that has been filled."""
    return await d.ex.cancel_order(d.orders["market"], d.symbol)


async def _twice(d: Desk) -> Any:
    params = {"clientOrderId": f"twice-{d.through}"}
    first = await d.ex.create_order(d.symbol, "limit", "buy", 0.01, d.away(0.01), params)
    try:
        return await d.ex.create_order(d.symbol, "limit", "buy", 0.01, d.away(0.01), params)
    finally:
        await d.ex.cancel_order(first["id"], d.symbol)


async def _signature(d: Desk) -> Any:
    name = "privateKey" if d.hyperliquid else "secret"
    kept = getattr(d.ex, name)
    setattr(d.ex, name, "0x" + "11" * 32)
    try:
        return await d.ex.cancel_order("999999999", d.symbol)
    finally:
        setattr(d.ex, name, kept)


NOT_FILLABLE, INSUFFICIENT, INVALID, ANY = ccxt.OrderNotFillable, ccxt.InsufficientFunds, ccxt.InvalidOrder, ccxt.ExchangeError
IMMEDIATE, BAD, NOT_FOUND, AUTH = ccxt.OrderImmediatelyFillable, ccxt.BadRequest, ccxt.OrderNotFound, ccxt.AuthenticationError
CASES: tuple[tuple[str, Callable[[Desk], Awaitable[Any]], Refusal, Refusal, Refusal], ...] = (
    (
        "post-only that would cross",
        _cross,
        Refusal("Order would immediately match and take.", IMMEDIATE),
        Refusal('"code":-5022', NOT_FILLABLE, INVALID),
        Refusal("Post only order would have immediately matched, bbo was", INVALID),
    ),
    ("IOC that finds nothing", _ioc, Refusal(EXPIRES), Refusal(EXPIRES), Refusal("could not immediately match", INVALID)),
    (
        "FOK that does not fit",
        _fok,
        Refusal(EXPIRES),
        Refusal('"code":-5021', NOT_FILLABLE, INVALID),
        Refusal("Failed to deserialize", ANY),
    ),
    (
        "insufficient funds",
        _funds,
        Refusal("Account has insufficient balance for requested action.", INSUFFICIENT),
        Refusal('"code":-2019', INSUFFICIENT, ANY),
        Refusal("Insufficient margin", INSUFFICIENT),
    ),
    (
        "price off the grid",
        _price,
        Refusal("PRICE_FILTER", INVALID),
        Refusal('"code":-4014', BAD),
        Refusal(NONE),
    ),
    (
        "amount off the grid",
        _lot,
        Refusal("LOT_SIZE", INVALID),
        Refusal('"code":-1111', BAD),
        Refusal("Order has invalid size", INVALID),
    ),
    (
        "below the least value",
        _value,
        Refusal("NOTIONAL", BAD),
        Refusal('"code":-4164', INVALID, ANY),
        Refusal("minimum value of $10", INVALID),
    ),
    (
        "too far from the market",
        _far,
        Refusal("PERCENT_PRICE_BY_SIDE", INVALID),
        Refusal('"code":-4024', BAD),
        Refusal("Order price cannot be more than 80% away", INVALID),
    ),
    (
        "cancel of an unknown order",
        _cancel,
        Refusal('"code":-2011', NOT_FOUND),
        Refusal('"code":-2011', NOT_FOUND),
        Refusal("never placed, already canceled, or filled", NOT_FOUND),
    ),
    (
        "cancel of a filled order",
        _gone,
        Refusal('"code":-2011', NOT_FOUND),
        Refusal('"code":-2011', NOT_FOUND),
        Refusal("never placed, already canceled, or filled", NOT_FOUND),
    ),
    (
        "fetch of an unknown order",
        _fetch,
        Refusal('"code":-2013', NOT_FOUND),
        Refusal('"code":-2013', NOT_FOUND),
        Refusal("unknownOid", NOT_FOUND),
    ),
    ("a client id twice", _twice, Refusal('"code":-2010', INVALID), Refusal('"code":-4116', INVALID, ANY), Refusal(NONE)),
    (
        "a wrong signature",
        _signature,
        Refusal('"code":-1022', AUTH),
        Refusal('"code":-1022', AUTH),
        Refusal("does not exist", INVALID),
    ),
)
COLUMN = {"binance": 2, "binanceusdm": 3, "hyperliquid": 4}


async def refused(d: Desk, case: tuple[Any, ...]) -> str:
    """Ask for what must be refused; return the class that came of it."""
    ask, wanted = case[1], case[COLUMN[d.skin]]
    if wanted.says == NONE:
        raise Absent(NOT_THERE[case[0]])
    rested, known = d.resting(), len(d.ask(lambda: d.core.orders(d.key, d.own)))
    error: Exception | None = None
    try:
        answer = await ask(d)
    except ccxt.BaseError as raised:
        error = raised
    same("resting afterwards", d.resting(), rested)
    if wanted.says == EXPIRES:
        if error is not None:
            raise Differs(f"{type(error).__name__}: {error}; wanted an order that expires")
        same("status", (answer["status"], d.true_order(answer["id"]).status, answer["filled"]), ("expired", Status.EXPIRED, 0))
        return "expires"
    if error is None:
        raise Differs("it was not refused")
    if wanted.says not in str(error):
        raise Differs(f"{type(error).__name__}: {error}; wanted {wanted.says!r} in it")
    kind = wanted.by_url if d.through == "url" and wanted.by_url is not None else wanted.by_proxy
    if type(error) is not kind:
        raise Differs(f"{type(error).__name__}, wanted {kind.__name__}: {error}")
    if case[0] != "a client id twice":
        same("orders at the venue", len(d.ask(lambda: d.core.orders(d.key, d.own))), known)
    return type(error).__name__

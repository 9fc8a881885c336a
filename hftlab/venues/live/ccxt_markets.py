"""An Instrument from a venue's own list of markets, asked for through ccxt."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE

from hftlab.errors import InputError, UnknownInstrument, did_you_mean
from hftlab.instrument import Instrument
from hftlab.venues.live.ccxt_exchange import exchange_for, markets_of
from hftlab.venues.live.endpoints import endpoint
from hftlab.venues.live.model import Endpoint

T = TypeVar("T")

# What an amend does to an order's place, where we know it; elsewhere orders are cancelled and submitted anew.
AMEND_RULES = {
    "binance": "smaller_only",
    "binanceusdm": "requeues_or_cancels",
    "binancecoinm": "requeues_or_cancels",
    "hyperliquid": "requeues",
}


def fetch_instrument(name: str, server: str | None = None, proxy: str = "", ca_file: str = "") -> Instrument:
    """Ask a venue for one of its markets, as "venue:SYMBOL" with ccxt's names, e.g. "binanceusdm:BTC/USDT:USDT".

    `server`, `proxy`, `ca_file` as in `endpoint`. Grid, least order value and contract size are the venue's of this moment (Hyperliquid's
    tick grows with the price: five significant digits). Works in a notebook: the asking is done in a thread of its own. Raises
    UnknownInstrument, InputError for markets that an Instrument cannot describe, VenueDown.
    """
    venue, colon, symbol = name.partition(":")
    if not colon or not symbol:
        raise InputError(f"instrument was {name!r}; wanted 'venue:SYMBOL', e.g. 'binanceusdm:BTC/USDT:USDT'.")
    place = endpoint(venue, server, proxy, ca_file)
    return _in_a_thread(_fetched(place, symbol))


async def _fetched(place: Endpoint, symbol: str) -> Instrument:
    exchange = exchange_for(place)
    exchange.timeout_on_exit = 0
    try:
        markets = await markets_of(exchange)
    finally:
        await exchange.close()
    if symbol not in markets:
        raise UnknownInstrument(f"{place.venue} lists no {symbol!r}.{did_you_mean(symbol, _alike(symbol, markets))}")
    return instrument_of(place.venue, markets[symbol], exchange.precisionMode)


def _alike(symbol: str, markets: Mapping[str, Any]) -> list[str]:
    base = symbol.split("/", maxsplit=1)[0]
    return [name for name in markets if name.split("/")[0] == base] or list(markets)[:20]


def instrument_of(venue: str, market: Mapping[str, Any], precision_mode: int) -> Instrument:
    """Return the Instrument of one of ccxt's market structures. Raises InputError for what an Instrument cannot describe."""
    symbol, settle = market["symbol"], market.get("settle")
    kind = market.get("type")
    inverse = bool(market.get("inverse"))
    if kind not in {"spot", "swap", "future"}:
        raise InputError(f"{venue}:{symbol} is of type {kind!r}; hftlab trades spot, perpetual swaps and futures.")
    if kind != "spot" and settle != (market["base"] if inverse else market["quote"]):
        raise InputError(
            f"{venue}:{symbol} settles in {settle}; wanted {market['quote']} (linear) or {market['base']} (inverse): no quanto contracts."
        )
    if market.get("active") is False:
        raise InputError(f"{venue}:{symbol} is not traded at present, says the venue.")
    cost = (market.get("limits") or {}).get("cost") or {}
    return Instrument(
        venue=venue,
        symbol=symbol,
        base=market["base"],
        quote=market["quote"],
        tick_size=_step(market, "price", precision_mode),
        lot_size=_step(market, "amount", precision_mode),
        notional_quote_min=Decimal(str(cost.get("min") or 0)),
        multiplier=Decimal(str(market.get("contractSize") or 1)) if kind != "spot" else Decimal(1),
        amend=AMEND_RULES.get(venue, "never"),
        inverse=inverse,
    )


def _step(market: Mapping[str, Any], what: str, precision_mode: int) -> Decimal:
    """Return the grid of prices or amounts."""
    value = (market.get("precision") or {}).get(what)
    if value is None:
        raise InputError(f"{market['symbol']}: the venue does not say how fine its {what}s are; make the Instrument by hand.")
    if precision_mode == TICK_SIZE:
        return Decimal(str(value))
    if precision_mode == DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(value))
    raise InputError(f"{market['symbol']}: its {what}s have {value} significant digits and no fixed grid; make the Instrument by hand.")


def _in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own: a notebook's loop is busy running the cell that waits here."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(asyncio.run(work))
        except BaseException as error:  # why: raised again below, in the thread that waits for it
            failed.append(error)

    thread = threading.Thread(target=run, name="ccxt markets")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]

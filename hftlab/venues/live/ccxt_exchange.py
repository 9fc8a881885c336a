"""ccxt's object for one venue, made safe: no queue of its own, no addresses but the endpoint's, no fees approved behind anybody's back."""

import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import ccxt.pro as ccxtpro
from ccxt.base import errors as wrong

from hftlab.errors import InputError, VenueDown, VenueRefused, did_you_mean
from hftlab.venues.live.ccxt_rejects import judge_error, retry_after_s
from hftlab.venues.live.endpoints import LOOPBACK_HOSTS
from hftlab.venues.live.keys import Keys
from hftlab.venues.live.model import Endpoint, Outcome, Reject

T = TypeVar("T")
TIMEOUT_MS = 10_000
_JSON_ONLY = ("binance", "binanceusdm", "binancecoinm", "hyperliquid")  # other venues say "pong" as plain text
# Binance's futures have no sandbox any more, but a demo account under addresses of its own.
_DEMO = ("binanceusdm", "binancecoinm")


def exchange_for(endpoint: Endpoint, keys: Keys | None = None) -> Any:
    """Return a ccxt.pro exchange for an endpoint, on the running loop; close it with `await exchange.close()`. Raises InputError."""
    made = getattr(ccxtpro, endpoint.venue, None) if endpoint.venue in ccxtpro.exchanges else None
    if made is None:
        raise InputError(f"ccxt knows no venue {endpoint.venue!r} with streams.{did_you_mean(endpoint.venue, ccxtpro.exchanges)}")
    exchange = made({"timeout": TIMEOUT_MS, **copy.deepcopy(dict(endpoint.ccxt)), **_credentials(keys)})
    if endpoint.ca_file:
        exchange.cafile = endpoint.ca_file
    if endpoint.kind == "testnet":
        _to_testnet(exchange, endpoint)
    if endpoint.kind == "loopback" and not endpoint.proxy:
        _seal(exchange.urls["api"], endpoint.urls["rest"])
    _guard(exchange)
    if endpoint.venue == "hyperliquid":
        # ccxt's version approves a builder fee for ccxt and sets a referrer, with a signature each, before the first order.
        exchange.initialize_client = _nothing_to_initialize
    return exchange


def _guard(exchange: Any) -> None:
    """Have a message that ccxt cannot read end its socket: otherwise nothing is read from then on, and nobody is told."""
    inner_client = exchange.client

    def client(url: str) -> Any:
        made = inner_client(url)
        if "handle_message" not in vars(made):
            inner, inner_callback = made.handle_message, made.on_message_callback

            def checked(socket: Any, message: Any) -> None:
                if isinstance(message, str) and exchange.id in _JSON_ONLY:
                    raise ValueError(f"{message[:60]!r} is no JSON")
                inner_callback(socket, message)

            def guarded(message: Any) -> None:
                try:
                    inner(message)
                except Exception as error:  # why: any defect or garbage in there; whoever watches this socket is told by on_error
                    made.on_error(wrong.NetworkError(f"a message could not be read: {type(error).__name__}: {error}"))

            made.on_message_callback, made.handle_message = checked, guarded
        return made

    exchange.client = client


async def _nothing_to_initialize() -> bool:
    return True


def _credentials(keys: Keys | None) -> dict[str, str]:
    if keys is None:
        return {}
    return {
        "apiKey": keys.key.get_secret_value(),
        "secret": keys.secret.get_secret_value(),
        "password": keys.password.get_secret_value(),
        "walletAddress": keys.wallet.get_secret_value(),
        "privateKey": keys.private_key.get_secret_value(),
    }


def _to_testnet(exchange: Any, endpoint: Endpoint) -> None:
    try:
        if endpoint.venue in _DEMO:
            exchange.enable_demo_trading(True)
        else:
            exchange.set_sandbox_mode(True)
    except wrong.NotSupported as error:
        raise InputError(f"{endpoint.venue} has no testnet that ccxt knows; a loopback exchange speaks Binance and Hyperliquid.") from error


def _seal(urls: dict[str, Any], base: str) -> None:
    """Lead every address that the endpoint does not name to a dead end of the loopback exchange, so that nothing leaves this machine."""
    for name, value in urls.items():
        if isinstance(value, dict):
            _seal(value, base)
        elif isinstance(value, str) and urlsplit(value).hostname not in LOOPBACK_HOSTS:
            scheme = "ws" if value.startswith("ws") else "http"
            urls[name] = f"{scheme}://{urlsplit(base).netloc}/nowhere/{name}"


# What falls with a socket under ccxt's hands; it leaves some of these in aiohttp's words.
SOCKET_FELL = (aiohttp.ClientError, OSError)


async def asked(exchange: Any, call: Callable[[], Awaitable[T]], what: str) -> T:
    """Await one question to a venue; VenueDown for what may be asked again, VenueRefused for what may not."""
    try:
        return await call()
    except (wrong.BaseError, *SOCKET_FELL) as error:
        raise as_ours(error, exchange, what) from error


def as_ours(error: BaseException, exchange: Any, what: str) -> VenueDown | VenueRefused:
    """Return what an exception of ccxt is to us."""
    outcome, reason = judge_error(error, exchange.id)
    shown = f"{exchange.id} {what}: {type(error).__name__}: {shortened(error)}"
    if outcome == Outcome.REJECTED and reason != Reject.CLOCK:
        return VenueRefused(shown, (reason or Reject.OTHER).value)
    return VenueDown(shown, retry_after_s(exchange))


def shortened(error: BaseException) -> str:
    """Return an error's text without the query of an address: it may hold a signature."""
    words = (word.split("?", 1)[0] if "://" in word else word for word in str(error).split(" "))
    return " ".join(words)[:300]


def bound(exchange: Any, name: str, *arguments: Any, **named: Any) -> Callable[[], Awaitable[Any]]:
    """Return a call of one of the exchange's methods, to be awaited by `asked`."""
    return partial(getattr(exchange, name), *arguments, **named)


async def markets_of(exchange: Any) -> dict[str, Any]:
    """Load the venue's markets once."""
    loaded: dict[str, Any] = await asked(exchange, bound(exchange, "load_markets"), "markets")
    return loaded

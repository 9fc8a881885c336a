"""Where each venue lives: the real one, its testnet, or a loopback exchange on this machine.

Whether real money is at stake is decided here and nowhere else: an `Endpoint` of kind "real" has the venue's own addresses and no
proxy. A server that is not this machine, and not a venue that this file knows, is refused; so is a proxy that is not this machine.

`urls` of the venues that have a reader of their own (a path is appended as it stands):

    binance       rest  ws (+ /ws/… or /stream?streams=…)  api (ws-api)  private (= api: the user stream is subscribed there)
    binanceusdm   rest  ws  ws_public  ws_market  private (each + /ws/… or /stream?streams=…)  api (ws-fapi)
    hyperliquid   rest (+ /info, /exchange)  ws (complete)  private (= ws)
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hftlab.errors import InputError, did_you_mean
from hftlab.venues.live.model import Endpoint

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

# The exchanges' own public addresses. Futures testnet: REST under the demo host, streams and ws-api under the testnet's.
_REAL = {
    "binance": {"rest": "https://api.binance.com", "ws": "wss://stream.binance.com:9443", "api": "wss://ws-api.binance.com:443/ws-api/v3"},
    "binanceusdm": {"rest": "https://fapi.binance.com", "ws": "wss://fstream.binance.com", "api": "wss://ws-fapi.binance.com/ws-fapi/v1"},
    "hyperliquid": {"rest": "https://api.hyperliquid.xyz", "ws": "wss://api.hyperliquid.xyz/ws"},
}
_TESTNET = {
    "binance": {
        "rest": "https://testnet.binance.vision",
        "ws": "wss://stream.testnet.binance.vision",
        "api": "wss://ws-api.testnet.binance.vision/ws-api/v3",
    },
    "binanceusdm": {
        "rest": "https://demo-fapi.binance.com",
        "ws": "wss://fstream.binancefuture.com",
        "api": "wss://testnet.binancefuture.com/ws-fapi/v1",
    },
    "hyperliquid": {"rest": "https://api.hyperliquid-testnet.xyz", "ws": "wss://api.hyperliquid-testnet.xyz/ws"},
}
OWN_READERS = tuple(_REAL)

# The recorded options keep ccxt from asking for what the venue in question does not have or need: every kind of market, currencies, margins.
_CCXT_OPTIONS: dict[str, dict[str, Any]] = {
    "binance": {"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"},
    "binanceusdm": {"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": ["linear"]}},
    "hyperliquid": {"builderFee": False, "defaultType": "swap", "fetchMarkets": {"types": ["swap"]}},
}


def endpoint(venue: str, server: str | None = None, proxy: str = "", ca_file: str = "") -> Endpoint:
    """Return where a venue is reached.

    `venue` is a ccxt id. `server`: None for the real venue, "testnet" for its testnet, or "http://127.0.0.1:PORT" for a loopback
    exchange. `proxy` ("http://127.0.0.1:PORT") leads the real addresses to a loopback exchange whose certificate `ca_file` vouches
    for; an endpoint with a proxy is never a real one. Raises InputError.
    """
    if proxy:
        return _through_proxy(venue, server, proxy, ca_file)
    if ca_file:
        raise InputError(
            f"ca_file was {ca_file!r} without a proxy; it is the certificate of a loopback exchange: pass its proxy too, or neither."
        )
    if server is None:
        return Endpoint(venue, "real", _completed(venue, _REAL.get(venue, {})), _constructor(venue))
    if server == "testnet":
        return Endpoint(venue, "testnet", _completed(venue, _TESTNET.get(venue, {})), _constructor(venue))
    return _loopback(venue, server)


def _through_proxy(venue: str, server: str | None, proxy: str, ca_file: str) -> Endpoint:
    if server is not None:
        raise InputError(
            f"server was {server!r} and proxy {proxy!r}; a proxy leads the real addresses to a loopback exchange: pass one of them."
        )
    _checked_loopback(proxy, "proxy")
    if not ca_file:
        raise InputError(f"proxy was {proxy!r} without ca_file; wanted the certificate that the loopback exchange wrote beside it.")
    options = {**_constructor(venue), "httpsProxy": proxy, "wssProxy": proxy}
    return Endpoint(venue, "loopback", _completed(venue, _REAL.get(venue, {})), options, proxy, ca_file)


def _loopback(venue: str, server: str) -> Endpoint:
    _checked_loopback(server, "server")
    if venue not in _REAL:
        raise InputError(f"the loopback exchange does not speak {venue!r}.{did_you_mean(venue, _REAL)}")
    base = f"{server.rstrip('/')}/{venue}"
    sockets = base.replace("http", "ws", 1)
    urls = {
        # ccxt.pro takes a stream for a spot one by '/stream' in its address, so the spot streams live under it.
        "binance": {"rest": base, "ws": f"{sockets}/stream", "api": f"{sockets}/ws-api/v3"},
        "binanceusdm": {"rest": base, "ws": sockets, "api": f"{sockets}/ws-fapi/v1"},
        "hyperliquid": {"rest": base, "ws": f"{sockets}/ws"},
    }[venue]
    return Endpoint(venue, "loopback", _completed(venue, urls), {**_constructor(venue), "urls": {"api": _ccxt_urls(venue, base, sockets)}})


def _checked_loopback(url: str, what: str) -> None:
    """Refuse an address that is not a plain one of this machine with a port."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS or port is None:
        raise InputError(
            f"{what} was {url!r}; wanted 'http://127.0.0.1:PORT' of a loopback exchange on this machine"
            f"{', None for the real venue, or ' + repr('testnet') if what == 'server' else ''}. Other hosts are refused: "
            "a venue is either known by name or on this machine."
        )
    if parts.path not in {"", "/"} or parts.query or parts.username:
        raise InputError(f"{what} was {url!r}; wanted no path, query or name in it: 'http://{parts.hostname}:{port}'.")


def _completed(venue: str, urls: Mapping[str, str]) -> dict[str, str]:
    """Add the addresses that follow from the others."""
    full = dict(urls)
    if venue == "binance":
        full["private"] = full["api"]
    elif venue == "binanceusdm":
        full |= {"ws_public": f"{full['ws']}/public", "ws_market": f"{full['ws']}/market", "private": f"{full['ws']}/private"}
    elif venue == "hyperliquid":
        full["private"] = full["ws"]
    return full


def _constructor(venue: str) -> dict[str, Any]:
    """Return the options with which ccxt's class of a venue is made, apart from keys and addresses."""
    # Its queue holds cancels behind orders and lets four orders a second through: the gateway has a limiter of its own.
    return {"enableRateLimit": False, "newUpdates": True, "options": {"adjustForTimeDifference": False, **_CCXT_OPTIONS.get(venue, {})}}


def _ccxt_urls(venue: str, base: str, sockets: str) -> dict[str, Any]:
    """Return ccxt's own names of the addresses of a loopback exchange."""
    if venue == "hyperliquid":
        return {"public": base, "private": base, "ws": {"public": f"{sockets}/ws"}}
    if venue == "binance":
        api, sapi = f"{base}/api/v3", f"{base}/sapi/v1"
        ws = {"spot": f"{sockets}/stream/ws", "margin": f"{sockets}/stream/ws", "ws-api": {"spot": f"{sockets}/ws-api/v3"}}
        return {"public": api, "private": api, "v1": f"{base}/api/v1", "sapi": sapi, "ws": ws}
    versions = {"": "v1", "V2": "v2", "V3": "v3"}
    rest = {f"fapi{kind}{suffix}": f"{base}/fapi/{version}" for kind in ("Public", "Private") for suffix, version in versions.items()}
    # Must end in exactly /ws: ccxt.pro then makes /public/ws, /market/ws and /private/ws of it.
    return {**rest, "ws": {"linear": f"{sockets}/ws", "ws-api": {"linear": f"{sockets}/ws-fapi/v1"}}}

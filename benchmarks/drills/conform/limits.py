"""Too many requests: how many are served, what the headers say, and the class of the refusal. At venues with a small budget."""

from typing import Any

import ccxt.pro as ccxt

from benchmarks.drills.conform.desk import MARKETS, Absent, Differs, same
from hftlab.venues.server.config import VenueConfig
from hftlab.venues.server.serve import LoopbackVenue

BUDGET = {"binance": 100, "binanceusdm": 30, "hyperliquid": 100}
WEIGHT = {"binance": 5, "binanceusdm": 5, "hyperliquid": 2}  # of a book of 100 levels
MARKETS_WEIGHT = {"binance": 20, "binanceusdm": 1}
OPTION = {"binance": "weight_max", "binanceusdm": "weight_max", "hyperliquid": "weight_per_min"}
BANNED_AFTER = 10


async def until_refused(ex: Any, symbol: str) -> tuple[int, Exception]:
    """Ask for the book again and again; return how many were served, and the refusal."""
    for served in range(1000):
        try:
            await ex.fetch_order_book(symbol, 100)
        except ccxt.BaseError as error:
            return served, error
    raise Differs("1000 requests were served")


async def rates(skin: str, through: str) -> dict[str, str]:
    """Return the cells of one skin by one route."""
    symbol = MARKETS[skin][0]
    limits = {skin: {OPTION[skin]: BUDGET[skin]}}
    with LoopbackVenue(VenueConfig(skins=(skin,), market="still", limits=limits)) as venue:
        ex = getattr(ccxt, skin)(venue.ccxt_options(skin, through))
        try:
            return {"rate limit: 429": await _limit(ex, skin, symbol), "asking on: 418": await _ban(ex, skin, symbol)}
        finally:
            await ex.close()


def _header(ex: Any, name: str) -> str:
    """Return a header of the last answer; ccxt respells their names."""
    found = {key.lower(): value for key, value in ex.last_response_headers.items()}
    if name.lower() not in found:
        raise Differs(f"no header {name} among {', '.join(found)}")
    return str(found[name.lower()])


async def _limit(ex: Any, skin: str, symbol: str) -> str:
    try:
        await ex.load_markets()
        if skin == "hyperliquid":
            used = None
        else:
            used = int(_header(ex, "X-MBX-USED-WEIGHT-1M"))
            same("used weight told", used, MARKETS_WEIGHT[skin])
        served, error = await until_refused(ex, symbol)
        if used is not None:
            same("requests served", served, (BUDGET[skin] - used) // WEIGHT[skin])
            if int(_header(ex, "Retry-After")) not in range(1, 62):
                raise Differs(f"Retry-After {_header(ex, 'Retry-After')}")
        wanted = ccxt.DDoSProtection if skin != "hyperliquid" else ccxt.RateLimitExceeded
        same("class", type(error).__name__, wanted.__name__)
        if "429" not in str(error):
            raise Differs(f"no 429 in {error}")
    except (Differs, ccxt.BaseError) as error:
        return f"✗ {error}"
    return f"ok: {wanted.__name__} after {served}"


async def _ban(ex: Any, skin: str, symbol: str) -> str:
    try:
        if skin == "hyperliquid":
            raise Absent("it bans nobody")
        for asked in range(2, 100):
            _, error = await until_refused(ex, symbol)
            if "418" in str(error):
                same("refusals before the ban", asked - 1, BANNED_AFTER)
                same("class", type(error).__name__, "DDoSProtection")
                return f"ok: DDoSProtection after {asked - 1}"
        raise Differs("never banned")
    except Absent as why:
        return f"– {why}"
    except (Differs, ccxt.BaseError) as error:
        return f"✗ {error}"

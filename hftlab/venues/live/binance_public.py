"""Binance's public REST as a reader of market data needs it: snapshots of the book and the newest prints, as raw bytes."""

import ssl

import httpx

from hftlab.errors import VenueDown
from hftlab.venues.live.backoff import Budget
from hftlab.venues.live.model import Endpoint

TIMEOUT_S = 5.0
LEVELS, PRINTS = 1000, 1000  # the most that one request gives
# Weights of those two requests, and how much of the venue's minute we take: the rest is for orders.
_WEIGHTS = {"binance": (50, 25, 1500), "binanceusdm": (20, 5, 800)}
_WEIGHT_MAX = {"binance": 6000, "binanceusdm": 2400}
_USED = "x-mbx-used-weight-1m"
_HOLD_S = 10.0  # after a 429 or 418 that does not say how long


class BinancePublic:
    """Unsigned requests to one venue, within a budget. Raises VenueDown."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._prefix = "/api/v3" if endpoint.venue == "binance" else "/fapi/v1"
        self._depth_weight, self._prints_weight, per_minute = _WEIGHTS[endpoint.venue]
        self._weight_max = _WEIGHT_MAX[endpoint.venue]
        self._budget = Budget(per_minute, 60.0)
        self._http = httpx.AsyncClient(
            base_url=endpoint.urls["rest"],
            timeout=TIMEOUT_S,
            proxy=endpoint.proxy or None,
            verify=ssl.create_default_context(cafile=endpoint.ca_file or None),
            trust_env=False,  # a proxy of the environment must not stand between us and the venue unasked
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def depth(self, symbol: str) -> bytes:
        """Return a snapshot of the book."""
        return await self._get("depth", symbol, LEVELS, self._depth_weight)

    async def prints(self, symbol: str) -> bytes:
        """Return the newest prints, with their ids."""
        return await self._get("trades", symbol, PRINTS, self._prints_weight)

    async def _get(self, what: str, symbol: str, limit: int, weight: int) -> bytes:
        await self._budget.turn(weight)
        path = f"{self._prefix}/{what}"
        try:
            reply = await self._http.get(path, params={"symbol": symbol, "limit": limit})
        # A connection that is reset before httpx first looks at it has lost its socket: anyio then stumbles over None.
        except (httpx.HTTPError, AttributeError) as error:
            raise VenueDown(f"GET {path}: no answer ({type(error).__name__}: {error})") from error
        used = reply.headers.get(_USED, "")
        if used.isdigit() and int(used) > 0.8 * self._weight_max:  # somebody else at our address asks a lot too
            self._budget.hold(5.0)
        if reply.status_code == httpx.codes.OK:
            return reply.content
        retry_s = float(told) if (told := reply.headers.get("retry-after", "")).isdigit() else 0.0
        if reply.status_code in {418, 429}:
            retry_s = retry_s or _HOLD_S
            self._budget.hold(retry_s)
        raise VenueDown(f"GET {path}: HTTP {reply.status_code}, {reply.text[:200]}", retry_s)

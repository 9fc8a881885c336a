"""Binance's REST for what is not urgent: asking, cancelling everything, countdowns, keys of user streams.

httpx, because it never sends a request again by itself; aiohttp repeats a PUT or DELETE when a kept connection turns out to be dead.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from hftlab.errors import VenueDown, VenueRefused
from hftlab.venues.live.binance_rejects import judge
from hftlab.venues.live.binance_sign import RECV_WINDOW_MS, Signer
from hftlab.venues.live.model import Endpoint, Outcome, Reject

TIMEOUT_S = 10.0
# Headers that tell what we have used, and our names of the budgets.
USED = {
    "x-mbx-used-weight-1m": "weight_1m",
    "x-mbx-order-count-10s": "orders_10s",
    "x-mbx-order-count-1m": "orders_1m",
    "x-mbx-order-count-1d": "orders_1d",
}


class BinanceRest:
    """Signed and unsigned requests to one Binance venue. Raises VenueDown or VenueRefused."""

    def __init__(self, endpoint: Endpoint, signer: Signer, now_ms: Callable[[], int]) -> None:
        self._signer, self._now_ms = signer, now_ms
        self.used: dict[str, float] = {}  # of each budget, as the venue last said
        self._endpoint = endpoint
        self._http = self._client()

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._endpoint.urls["rest"],
            timeout=TIMEOUT_S,
            proxy=self._endpoint.proxy or None,
            verify=ssl.create_default_context(cafile=self._endpoint.ca_file or None),
            trust_env=False,  # a proxy of the environment must not stand between us and the venue unasked
            headers={"X-MBX-APIKEY": self._signer.key} if self._signer.key else {},
        )

    async def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        await self._http.aclose()

    async def ask(self, method: str, path: str, params: Mapping[str, Any] | None = None, *, signed: bool = True) -> Any:
        """Send one request and return what it answers, decoded."""
        if self._http.is_closed:
            self._http = self._client()
        text = urlencode(params or {})
        if signed:
            stamp = urlencode({"recvWindow": RECV_WINDOW_MS, "timestamp": self._now_ms()})
            text = f"{text}&{stamp}" if text else stamp
            text = f"{text}&signature={self._signer.sign(text)}"
        in_body = method in {"POST", "PUT"}
        try:
            reply = await self._http.request(
                method,
                f"{path}?{text}" if text and not in_body else path,
                content=text if in_body else None,
                headers={"Content-Type": "application/x-www-form-urlencoded"} if in_body else None,
            )
        # A connection that is reset before httpx first looks at it has lost its socket: anyio then stumbles over None.
        except (httpx.HTTPError, AttributeError) as error:
            raise VenueDown(f"{method} {path}: no answer ({type(error).__name__}: {error})") from error
        self._note_used(reply.headers)
        return self._read(method, path, reply)

    def _note_used(self, headers: httpx.Headers) -> None:
        for header, name in USED.items():
            if header in headers:
                self.used[name] = float(headers[header])

    def _read(self, method: str, path: str, reply: httpx.Response) -> Any:
        try:
            body = msgspec.json.decode(reply.content) if reply.content else {}
        except msgspec.DecodeError as error:
            body = None
            if reply.status_code < 300:
                raise VenueDown(f"{method} {path}: the answer is not JSON ({reply.content[:80]!r})") from error
        if reply.status_code < 300:
            return body
        told = body if isinstance(body, dict) else {}
        code, text = int(told.get("code", 0)), str(told.get("msg", reply.text[:200]))
        outcome, reason = judge(reply.status_code, code, text)
        shown = f"{method} {path}: HTTP {reply.status_code}, code {code}, {text}"
        if outcome == Outcome.REJECTED and reason != Reject.CLOCK:
            raise VenueRefused(shown, (reason or Reject.OTHER).value)
        raise VenueDown(shown, _seconds(reply.headers.get("retry-after", "")))


def _seconds(text: str) -> float:
    """Return what a Retry-After header says, 0 where there is none."""
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0

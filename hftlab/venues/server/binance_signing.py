"""Who sent a request: API key, HMAC-SHA256 over exactly the bytes sent, and the time in it."""

import hmac
from collections.abc import Mapping
from hashlib import sha256

from hftlab.venues.server.binance_common import KEY, NONE, Denied, House, Params, missing

RECV_WINDOW_MS, RECV_WINDOW_MS_MAX, AHEAD_MS_MAX = 5000, 60_000, 1000
MICROSECONDS_FROM = 100_000_000_000_000  # a timestamp above is in microseconds


def signed_text(query: str, body: str) -> str:
    """Return what a REST signature is over: query and body as sent, one after the other, without the signature itself."""
    return "".join("&".join(one for one in part.split("&") if not one.startswith("signature=")) for part in (query, body))


def signed_params(params: Mapping[str, str]) -> str:
    """Return what a ws-api signature is over: the parameters in the order of their names, not percent-encoded."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def authorize(house: House, security: str, key: str, params: Params, payload: str) -> str:
    """Return the account that a request speaks for, "" for a public one.

    Raises Denied: -2014, -2015, -1102, -1131, -1021, -1022, in the order in which the venue looks.
    """
    if security == NONE:
        return ""
    if not key:
        raise Denied(-2014, "API-key format invalid.", 401)
    account = house.core.account(key)
    if account is None:
        raise Denied(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    if security == KEY:
        return key
    check_time(house, params)
    signature = params.get("signature")
    if not signature:
        raise missing("signature")
    wanted = hmac.new(account.secret.encode(), payload.encode(), sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise Denied(-1022, "Signature for this request is not valid.")
    return key


def check_time(house: House, params: Params) -> None:
    """Raise Denied (-1021) when the timestamp is more than a second ahead of the venue's clock, or older than recvWindow."""
    params.need("timestamp")
    sent = params.integer("timestamp")
    sent_ms = sent // 1000 if sent >= MICROSECONDS_FROM else sent
    window = params.decimal("recvWindow") if params.get("recvWindow") else RECV_WINDOW_MS
    if window > RECV_WINDOW_MS_MAX:
        raise Denied(-1131, "recvWindow must be less than 60000")
    now_ms = house.now_ms()
    if sent_ms >= now_ms + AHEAD_MS_MAX:
        raise Denied(-1021, f"Timestamp for this request was {AHEAD_MS_MAX}ms ahead of the server's time.")
    if now_ms - sent_ms > window:
        raise Denied(-1021, "Timestamp for this request is outside of the recvWindow.")

"""The words in which each venue refuses for reasons of its own: too many requests, maintenance, an unknown fate.

Codes of Binance from its error list (-1001 … -1016); Hyperliquid answers with plain texts. WebSocket requests are answered in the
envelope of each venue's WebSocket API.
"""

import json
from typing import Any

from hftlab.venues.server.skin import Reply

# what -> (HTTP status, Binance's code, words)
_WORDS: dict[str, tuple[int, int, str]] = {
    "rate": (429, -1003, "Too many requests; current limit is 2400 requests per minute. Please use WebSocket Streams for live updates."),
    "ban": (418, -1003, "Way too many requests; IP banned until {until_ms}. Please use WebSocket Streams for live updates to avoid bans."),
    "orders": (429, -1015, "Too many new orders; current limit is 300 orders per 10 SECOND."),
    "maintenance": (503, -1016, "This service is no longer available."),
    "unknown": (408, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    "gateway": (504, 0, "Gateway Time-out"),
}


def refusal(skin: str, what: str, *, retry_after_s: float = 0.0, until_ms: int = 0) -> Reply:
    """Return the reply of a venue: `what` is rate, ban, orders, maintenance, unknown (fate), gateway (not even the venue's own words)."""
    status, code, words = _WORDS[what]
    headers = {"Retry-After": str(max(1, round(retry_after_s)))} if retry_after_s else {}
    text = words.format(until_ms=until_ms)
    if what == "gateway":
        return Reply(f"<html><body><h1>{status} {text}</h1></body></html>".encode(), status, {**headers, "Content-Type": "text/html"})
    if skin == "hyperliquid":
        return Reply({"error": text} if what != "rate" else None, status, headers)
    return Reply({"code": code, "msg": text}, status, headers)


def refusal_frame(skin: str, request: Any, reply: Reply) -> str:
    """Return a refusal as the answer to a request that came over a WebSocket; `request` is the client's message, decoded."""
    if skin == "hyperliquid":
        payload = reply.body["error"] if isinstance(reply.body, dict) else f"status {reply.status}"
        return json.dumps({"channel": "post", "data": {"id": request.get("id"), "response": {"type": "error", "payload": payload}}})
    error = reply.body if isinstance(reply.body, dict) else {"code": -1000, "msg": f"status {reply.status}"}
    return json.dumps({"id": request.get("id"), "status": reply.status, "error": error})


# Requests over WebSockets: Binance names a method, Hyperliquid posts the body of an HTTP request.
_METHODS = {
    "order.place": "order",
    "order.modify": "amend",
    "order.amend.keepPriority": "amend",
    "order.cancelReplace": "amend",
    "order.cancel": "cancel",
    "openOrders.cancelAll": "cancel",
    "order.status": "query",
    "openOrders.status": "query",
    "v2/account.status": "account",
    "account.status": "account",
}
_ACTIONS = {"order": "order", "cancel": "cancel", "cancelByCloid": "cancel", "modify": "amend", "batchModify": "amend"}


def message_kind(message: Any) -> str:
    """Return the class of a client's message as `Skin.kind` names it for HTTP; "" for what is no request (subscriptions, pings)."""
    if not isinstance(message, dict):
        return ""
    method = message.get("method")
    if method == "post":
        request = message.get("request") or {}
        if request.get("type") != "action":
            return "query"
        return _ACTIONS.get((request.get("payload") or {}).get("action", {}).get("type"), "other")
    return _METHODS.get(method, "") if isinstance(method, str) else ""

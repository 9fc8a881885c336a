"""What every call passes before any route: where it comes from, whose token it has, how often, and how long its body is.

It stands around the whole application, so a route that somebody adds is guarded before anyone thinks of it: reading needs a token,
and everything that is no reading needs the control token.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from hftlab.engine.audit import AuditLog
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.door.bounds import Buckets
from hftlab.engine.door.tokens import Scope, Token, Tokens

ASGI = Callable[..., Awaitable[Any]]
Message = MutableMapping[str, Any]

HOSTS = ("127.0.0.1", "localhost")
BODY_BYTES = 64 * 1024
BODY_S = 5.0
READ_PER_S, READ_BURST = 40.0, 80.0
CONTROL_PER_S, CONTROL_BURST = 50.0, 100.0
FAILED_PER_S, FAILED_BURST = 1.0, 10.0
HALT_PATH = "/trading/halt"
SAFE = ("GET", "HEAD", "OPTIONS")
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
CSP = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Tally:
    """Counts what the gate turned away."""

    def __init__(self) -> None:
        self.refused = 0


class Refused(Exception):
    """A call that ends at the gate: HTTP status, a name for programs, words for people."""

    def __init__(self, status: int, kind: str, text: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(text)
        self.status, self.kind, self.text, self.headers = status, kind, text, headers


def problem(status: int, kind: str, text: str) -> dict[str, Any]:
    """Return the one form of every error."""
    return {"ok": False, "status": status, "type": kind, "error": text}


class Gate:
    """Wraps an application. `clock_s` is a stopwatch."""

    def __init__(self, app: ASGI, tokens: Tokens, audit: AuditLog, tally: Tally, clock_s: Callable[[], float]) -> None:
        self._app, self._tokens, self._audit, self._tally = app, tokens, audit, tally
        self.rates = {
            Scope.READ: Buckets(READ_PER_S, READ_BURST, clock_s),
            Scope.CONTROL: Buckets(CONTROL_PER_S, CONTROL_BURST, clock_s),
        }
        self.failures = Buckets(FAILED_PER_S, FAILED_BURST, clock_s)
        self._unwritten = 0  # refusals that were not worth a line of their own

    async def __call__(self, scope: MutableMapping[str, Any], receive: ASGI, send: ASGI) -> None:
        """Let a call through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        token: Token | None = None
        try:
            headers = _headers(scope)
            _check_origin(headers, scope)
            token = self._check_token(headers, scope)
            self._check_scope(token, scope)
            self._check_rate(token, scope)
            if scope["type"] == "http" and scope["method"] not in SAFE:
                receive = _replay(await _body(headers, receive))
        except Refused as refusal:
            self._tally.refused += 1
            self._write_down(refusal, token, scope)
            await _answer(refusal, scope, send)
            return
        scope.setdefault("state", {})["token"] = token
        await self._app(scope, receive, _with_headers(send))

    def _check_token(self, headers: dict[str, str], scope: MutableMapping[str, Any]) -> Token:
        given, basic = _given(headers)
        token = self._tokens.find(given)
        # A browser keeps and sends a Basic password by itself, also when another site asks it to: so it may open windows, no doors.
        if token is not None and not (basic and (token.scope is not Scope.READ or _needs(scope) is not Scope.READ)):
            return token
        wait_s = self.failures.take(_client(scope))
        if wait_s:
            raise Refused(429, "TooManyFailures", "too many calls without a good token; wait", _retry_after(wait_s))
        kind = b'Basic realm="hftlab: any name, and the read token as password"' if _wants_html(headers) else b'Bearer realm="hftlab"'
        raise Refused(
            401,
            "TokenWrong",
            "the token was missing, wrong, or has ended; wanted `Authorization: Bearer …` with a token of control.json in the run directory",
            ((b"www-authenticate", kind),),
        )

    def _check_scope(self, token: Token, scope: MutableMapping[str, Any]) -> None:
        if _needs(scope) is Scope.CONTROL and token.scope is not Scope.CONTROL:
            raise Refused(403, "ReadOnly", "this token reads only; a command needs the control token")

    def _check_rate(self, token: Token, scope: MutableMapping[str, Any]) -> None:
        if scope["path"] == HALT_PATH and token.scope is Scope.CONTROL:
            return  # a program that sends too much must not use up the halt of the person who stops it
        wait_s = self.rates[_needs(scope)].take(token.digest)
        if wait_s:
            raise Refused(
                429, "TooManyCalls", f"too many calls with this token; the next is welcome in {wait_s:.2f} s", _retry_after(wait_s)
            )

    def _write_down(self, refusal: Refused, token: Token | None, scope: MutableMapping[str, Any]) -> None:
        """Put the refusal into the audit trail: of each control call, and of each call without a good token. Floods are counted."""
        if token is not None and _needs(scope) is Scope.READ:
            return
        if refusal.status == 429:
            self._unwritten += 1
            return
        before = f" (and {self._unwritten} more calls before, refused as too many)" if self._unwritten else ""
        self._unwritten = 0
        self._audit.add(
            {
                "ts_ns": wall_now_ns(),
                "scope": token.scope if token is not None else None,
                "client": _client(scope),
                "call": f"{scope.get('method', 'WS')} {scope['path']}",
                "status": refusal.status,
                "ok": False,
                "answer": refusal.text + before,
            }
        )


def _needs(scope: MutableMapping[str, Any]) -> Scope:
    return Scope.READ if scope["type"] == "websocket" or scope["method"] in SAFE else Scope.CONTROL


def _headers(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """Return the headers by name. Raises Refused where one that decides something stands twice: two readers could take either."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in found and key in ("authorization", "host", "origin", "content-length", "idempotency-key"):
            raise Refused(400, "HeaderTwice", f"the header {key} stands there twice")
        found[key] = value.decode("latin-1")
    return found


def _check_origin(headers: dict[str, str], scope: MutableMapping[str, Any]) -> None:
    """Refuse what a page of another site has a browser send here, also when it gave that site our address (DNS rebinding)."""
    host = headers.get("host", "")
    if host.rsplit(":", 1)[0] not in HOSTS:
        raise Refused(421, "HostUnknown", f"the Host header was not one of {', '.join(HOSTS)}; this door opens on this machine only")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Refused(403, "OtherOrigin", "the call came from a page of another origin")
    links = scope["type"] == "http" and scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not links:
        raise Refused(403, "OtherOrigin", "the call came from a page of another site")


def _given(headers: dict[str, str]) -> tuple[str, bool]:
    """Return the token of a call, "" for none, and whether it came as the password of HTTP Basic."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip(), False
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2], True
        except (binascii.Error, UnicodeDecodeError):
            return "", True
    return "", False


def _client(scope: MutableMapping[str, Any]) -> str:
    return str((scope.get("client") or ("unknown",))[0])


def _wants_html(headers: dict[str, str]) -> bool:
    return "text/html" in headers.get("accept", "")


def _retry_after(wait_s: float) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"retry-after", str(int(wait_s) + 1).encode()),)


async def _body(headers: dict[str, str], receive: ASGI) -> bytes:
    """Return the whole body. Raises Refused when it is too long or does not come."""
    too_long = Refused(413, "BodyTooLong", f"the body is longer than {BODY_BYTES} bytes")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > BODY_BYTES:
        raise too_long
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Refused(400, "Disconnected", "the client left before its request was complete")
                body += message.get("body", b"")
                if len(body) > BODY_BYTES:
                    raise too_long
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        raise Refused(408, "BodyLate", f"the body was not there after {BODY_S:g} s") from None


def _replay(body: bytes) -> Callable[[], Awaitable[Message]]:
    """Return a `receive` that gives the body once more."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    never = asyncio.Event()

    async def receive() -> Message:
        if first:
            return first.pop()
        # No route of ours asks again; were one to, it must wait as if the client stayed.
        await never.wait()
        return {"type": "http.disconnect"}

    return receive


def _with_headers(send: ASGI) -> ASGI:
    """Return a `send` that adds the headers of HEADERS to every answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            own = any(name.lower() == CSP[0] for name, _ in headers)
            message = {**message, "headers": [*headers, *HEADERS, *(() if own else (CSP,))]}
        await send(message)

    return sending


async def _answer(refusal: Refused, scope: MutableMapping[str, Any], send: ASGI) -> None:
    body = json.dumps(problem(refusal.status, refusal.kind, refusal.text)).encode()
    kind = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.kind})
            return
        kind = "websocket.http"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *HEADERS,
        *refusal.headers,
    ]
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})

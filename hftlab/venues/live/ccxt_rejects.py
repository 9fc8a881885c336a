"""ccxt's exceptions in our words, and whether the request may have happened.

ccxt picks the class by the venue's code and, for Binance, by the address that was asked; with any other address many codes fall to the
bare ExchangeError. So the code is read out of the text first; the class only speaks where there is none.
"""

import re
from collections.abc import Iterable
from typing import Any

import aiohttp
from ccxt.base import errors as wrong

from hftlab.types import AMEND, POST_ONLY
from hftlab.venues.live.binance_rejects import judge
from hftlab.venues.live.ccxt_calls import AMENDS
from hftlab.venues.live.model import Outcome, Reject

_CODE = re.compile(r'"code"\s*:\s*(-?\d+)')
_STATUS = re.compile(r"://\S+ ([45]\d\d) ")

# Hyperliquid has no codes: parts of its texts, and of other venues' that speak alike, in the order in which they are looked for.
TEXTS = (
    ("immediately have matched", Reject.WOULD_TAKE),
    ("would have immediately matched", Reject.WOULD_TAKE),
    ("post only", Reject.WOULD_TAKE),
    ("could not immediately match", Reject.NO_MATCH),
    ("no liquidity", Reject.NO_MATCH),
    ("minimum value", Reject.MIN_NOTIONAL),
    ("notional", Reject.MIN_NOTIONAL),
    ("reduce only", Reject.REDUCE_ONLY),
    ("never placed, already canceled, or filled", Reject.UNKNOWN_ORDER),
    ("cannot modify canceled or filled order", Reject.UNKNOWN_ORDER),
    ("unknownoid", Reject.UNKNOWN_ORDER),
    ("insufficient", Reject.INSUFFICIENT),
    ("too many", Reject.RATE),
    ("nonce", Reject.CLOCK),
    ("halted", Reject.CLOSED),
    ("no longer available", Reject.CLOSED),
    ("duplicate", Reject.DUPLICATE_ID),
    ("does not exist", Reject.KEYS),
    ("tick size", Reject.BAD_PRICE),
    ("price", Reject.BAD_PRICE),
    ("size", Reject.BAD_QTY),
    ("amount", Reject.BAD_QTY),
    ("quantity", Reject.BAD_QTY),
)
# With these a venue says that it does not know itself.
DOUBTS = ("status unknown", "timeout", "timed out")
# A class before those from which it is derived.
CLASSES: tuple[tuple[type[Exception], Reject], ...] = (
    (wrong.InsufficientFunds, Reject.INSUFFICIENT),
    (wrong.OrderImmediatelyFillable, Reject.WOULD_TAKE),
    (wrong.DuplicateOrderId, Reject.DUPLICATE_ID),
    (wrong.OrderNotFound, Reject.UNKNOWN_ORDER),
    (wrong.AuthenticationError, Reject.KEYS),
    (wrong.MarketClosed, Reject.CLOSED),
    (wrong.ContractUnavailable, Reject.CLOSED),
    (wrong.BadSymbol, Reject.OTHER),
)


def judge_error(error: BaseException, venue: str, kind: int = 0, flags: int = 0) -> tuple[Outcome, Reject | None]:
    """Return what an exception of a ccxt call means for the request behind it."""
    text = str(error)
    if venue == "binance" and kind == AMEND and "cancelResult" in text:
        return _of_replacement(text)
    if venue.startswith("binance") and (code := _CODE.search(text)):
        return judge(_status(text), int(code.group(1)), text, kind)
    if isinstance(error, wrong.DDoSProtection | wrong.RateLimitExceeded):
        return Outcome.NOT_SENT, Reject.RATE
    if isinstance(error, wrong.InvalidNonce):
        return Outcome.REJECTED, Reject.CLOCK
    if isinstance(error, wrong.OnMaintenance):
        return Outcome.NOT_SENT, Reject.CLOSED
    if isinstance(error, wrong.NetworkError):
        return _of_network(error, venue, text, kind)
    if isinstance(error.__cause__, aiohttp.ClientError) or not isinstance(error, wrong.BaseError):
        return Outcome.UNSURE, None  # an answer that broke off, or that ccxt could not read
    return _of_refusal(error, text, flags)


def _of_replacement(text: str) -> tuple[Outcome, Reject | None]:
    """Judge spot's cancelReplace by its two halves: the old order may be gone though the new one was refused."""
    if '"cancelResult":"SUCCESS"' in text:
        return Outcome.REJECTED, Reject.ENDED_BY_AMEND
    inner = next((int(code) for code in _CODE.findall(text) if code not in {"-2021", "-2022"}), 0)
    return judge(400, inner, text) if inner else (Outcome.UNSURE, None)


def _of_network(error: BaseException, venue: str, text: str, kind: int) -> tuple[Outcome, Reject | None]:
    if isinstance(error.__cause__, aiohttp.ClientConnectorError | OSError) and not isinstance(error, wrong.RequestTimeout):
        # aiohttp repeats a PUT by itself: it may be the second one that found no connection, and the first one that amended.
        by_put = kind == AMEND and AMENDS.get(venue) == "in_place"
        never_connected = isinstance(error.__cause__, aiohttp.ClientConnectorError) and not by_put
        return (Outcome.NOT_SENT, Reject.CLOSED) if never_connected else (Outcome.UNSURE, None)
    if venue.startswith("binance") and _status(text):
        return judge(_status(text), 0, text)
    return Outcome.UNSURE, None


def _of_refusal(error: BaseException, text: str, flags: int) -> tuple[Outcome, Reject | None]:
    if isinstance(error, wrong.OrderNotFillable):
        return Outcome.REJECTED, Reject.WOULD_TAKE if flags & POST_ONLY else Reject.NO_MATCH
    if any(words in text.lower() for words in DOUBTS):
        return Outcome.UNSURE, None
    for kind, reason in CLASSES:
        if isinstance(error, kind):
            return Outcome.REJECTED, reason
    reason = by_text(text, TEXTS)
    return (Outcome.NOT_SENT if reason in {Reject.RATE, Reject.CLOSED} else Outcome.REJECTED), reason


def by_text(text: str, table: Iterable[tuple[str, Reject]]) -> Reject:
    """Return the word for the first part of the table that the text has, OTHER for none."""
    lower = text.lower()
    return next((reason for part, reason in table if part in lower), Reject.OTHER)


def _status(text: str) -> int:
    """Return the HTTP status that ccxt puts behind the address, else 400: a code without one came with a refusal."""
    found = _STATUS.search(text)
    return int(found.group(1)) if found else 400 if _CODE.search(text) else 0


def retry_after_s(exchange: Any) -> float:
    """Return what the last answer's Retry-After header asked for, 0 without one."""
    headers = exchange.last_response_headers or {}
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0

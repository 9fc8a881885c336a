"""What Binance's codes mean for a request: in our words, and whether the request may have happened all the same.

Sources: the venue's published error codes (spot: errors.md, USDⓈ-M: error-code page) and its notes on HTTP 503; the texts of -2010,
-1013 and -1111 name the cause that their codes do not.
"""

from hftlab.types import AMEND
from hftlab.venues.live.model import Outcome, Reject

# "Execution status unknown": internal errors and time-outs between the venue's own parts.
UNSURE_CODES = frozenset({-1000, -1001, -1006, -1007})
# Turned away at the door: nothing behind it saw the request.
DOOR = {-1003: Reject.RATE, -1004: Reject.RATE, -1008: Reject.RATE, -1015: Reject.RATE, -1016: Reject.CLOSED}

CODES = {
    **dict.fromkeys((-1021, -4188, -5028), Reject.CLOCK),
    **dict.fromkeys((-1002, -1022, -1099, -2008, -2014, -2015), Reject.KEYS),
    **dict.fromkeys((-2011, -2013, -2026, -2039), Reject.UNKNOWN_ORDER),
    **dict.fromkeys((-2018, -2019, -2024, -2027, -2028), Reject.INSUFFICIENT),
    **dict.fromkeys((-4001, -4002, -4013, -4014, -4016, -4024, -4029), Reject.BAD_PRICE),
    **dict.fromkeys((-4003, -4004, -4005, -4023, -4030), Reject.BAD_QTY),
    **dict.fromkeys((-4108, -4140, -4141), Reject.CLOSED),
    **dict.fromkeys((-2022, -4118), Reject.REDUCE_ONLY),
    **dict.fromkeys((-5024, -5025, -5026, -2038), Reject.NO_AMEND),
    **dict.fromkeys((-2020, -4131, -5021), Reject.NO_MATCH),  # -4131: a market order beyond PERCENT_PRICE, the book is too thin
    -4116: Reject.DUPLICATE_ID,
    -4164: Reject.MIN_NOTIONAL,
    -5022: Reject.WOULD_TAKE,
    -5027: Reject.NO_CHANGE,
}

# Parts of a text, in the order in which they are looked for.
TEXTS = (
    ("immediately match", Reject.WOULD_TAKE),
    ("duplicate", Reject.DUPLICATE_ID),
    ("insufficient", Reject.INSUFFICIENT),
    ("market is closed", Reject.CLOSED),
    ("notional", Reject.MIN_NOTIONAL),
    ("lot_size", Reject.BAD_QTY),
    ("quantity", Reject.BAD_QTY),
    ("price", Reject.BAD_PRICE),
    ("precision", Reject.BAD_PRICE),
    ("unknown order", Reject.UNKNOWN_ORDER),
    ("not currently", Reject.CLOSED),
)
TEXT_CODES = frozenset({-1013, -1111, -2010})


def judge(status: int, code: int, text: str, kind: int = 0) -> tuple[Outcome, Reject | None]:
    """Return what a refusal means: the HTTP (or ws-api) status, the venue's code (0: none given) and text, the kind of request."""
    if status in {418, 429} or code in DOOR:
        return Outcome.NOT_SENT, DOOR.get(code, Reject.RATE)
    if code in UNSURE_CODES:
        return Outcome.UNSURE, None
    if code == 0 and status >= 500:
        # "Unknown error" comes from behind the door, "Service Unavailable" from the door itself.
        at_the_door = status == 503 and "unknown" not in text.lower()
        return (Outcome.NOT_SENT, Reject.CLOSED) if at_the_door else (Outcome.UNSURE, None)
    if code == 0 and status in {0, 408}:
        return Outcome.UNSURE, None
    if code == -5022 and kind == AMEND:
        return Outcome.REJECTED, Reject.ENDED_BY_AMEND  # a GTX order amended into the other side is cancelled
    return Outcome.REJECTED, reason_of(code, text)


def reason_of(code: int, text: str) -> Reject:
    """Return why the venue refused."""
    if code in TEXT_CODES:
        lower = text.lower()
        return next((reason for part, reason in TEXTS if part in lower), Reject.OTHER)
    return CODES.get(code, Reject.OTHER)

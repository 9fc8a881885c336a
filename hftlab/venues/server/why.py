"""Why the exchange says no, in one vocabulary that every skin translates into its own codes and words."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hftlab.venues.server.model import Order


class Why(StrEnum):
    """Why the exchange refuses something; a skin turns each into its venue's code and words."""

    BAD_PRICE = "price off the grid or out of bounds"
    BAD_QTY = "quantity off the grid or out of bounds"
    MIN_NOTIONAL = "below the minimum order value"
    PRICE_BAND = "price too far from the market"
    WOULD_TAKE = "post-only order would take"
    DUPLICATE_ID = "client order id is in use"
    UNKNOWN_ORDER = "no such order"
    INSUFFICIENT = "balance or margin too small"
    REDUCE_ONLY = "reduce-only order would not reduce"
    CANNOT_FILL = "fill-or-kill cannot fill"
    NO_MATCH = "immediate-or-cancel found nothing"
    NO_AMEND = "this amend is not allowed"
    NO_CHANGE = "the amend changes nothing"
    TOO_MANY = "too many open orders or amends"
    CLOSED = "trading in this symbol is halted"
    UNKNOWN_SYMBOL = "no such symbol"
    SELF_TRADE = "would have traded with an order of its own account"


class Refused(Exception):
    """The exchange refuses a request; nothing of it happened, unless `order` shows that an order ended by it."""

    def __init__(self, why: Why, text: str = "", order: "Order | None" = None) -> None:
        super().__init__(f"{why.value}{': ' if text else ''}{text}")
        self.why, self.text, self.order = why, text, order

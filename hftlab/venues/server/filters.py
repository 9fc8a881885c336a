"""The rules that an order must pass before it reaches the matching engine."""

from decimal import Decimal

from hftlab.venues.server.listing import Listing
from hftlab.venues.server.model import Refused, Why


def check_price(listing: Listing, side: int, price_ticks: int, *, rests: bool) -> None:
    """Refuse a price that is not positive, off the grid in force, or too far from the mark; to one that may rest, also far beyond an empty other side."""
    if price_ticks <= 0:
        raise Refused(Why.BAD_PRICE, f"{price_ticks} ticks")
    if price_ticks % listing.filters.price_step:
        raise Refused(Why.BAD_PRICE, f"{price_ticks} ticks; wanted a multiple of {listing.filters.price_step}")
    mark = listing.mark_half_ticks() / 2
    if mark and abs(price_ticks - mark) > listing.filters.band_frac * mark:
        raise Refused(
            Why.PRICE_BAND, f"{listing.instrument.price_text(price_ticks)}, more than {listing.filters.band_frac:.0%} from the mark"
        )
    if rests and listing.overshoots(side, price_ticks) and not listing.crosses(side, price_ticks):
        raise Refused(Why.PRICE_BAND, "nobody is there to trade with, and it lies far beyond the touch")


def check_size(listing: Listing, qty_lots: int, price_ticks: int | None, *, small: bool) -> None:
    """Refuse a quantity out of bounds, off the grid in force, or, unless it may be small, one worth too little (a market order at the mark price)."""
    filters = listing.filters
    if not filters.qty_lots_min <= qty_lots <= filters.qty_lots_max:
        raise Refused(Why.BAD_QTY, f"{qty_lots} lots; wanted {filters.qty_lots_min} to {filters.qty_lots_max}")
    if qty_lots % filters.qty_step:
        raise Refused(Why.BAD_QTY, f"{qty_lots} lots; wanted a multiple of {filters.qty_step}")
    half_ticks = listing.mark_half_ticks() if price_ticks is None else 2 * price_ticks
    worth: Decimal = listing.instrument.money_quote(half_ticks * qty_lots) / 2
    if not small and worth < filters.notional_quote_min:
        raise Refused(Why.MIN_NOTIONAL, f"{worth:f}; wanted {filters.notional_quote_min} at least")

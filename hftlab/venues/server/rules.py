"""How the three venues differ in what they accept and what becomes of it."""

from dataclasses import dataclass
from decimal import Decimal

from hftlab.errors import UnknownName, did_you_mean
from hftlab.instrument import AMEND_RULES, Instrument, bundled_names


@dataclass(frozen=True)
class VenueRules:
    """A venue's own ways. `amend` is one of `hftlab.instrument.AMEND_RULES`."""

    spot: bool  # balances of base and quote; else positions with margin in the settlement currency
    amend: str
    maker_bps: Decimal
    taker_bps: Decimal
    orders_max: int
    refuses_unmatched: bool  # an IOC order that finds nothing is an error, not an order that expired

    @property
    def amend_rule(self) -> int:
        """Return the bits AMEND_* of the matching engine."""
        return AMEND_RULES[self.amend]


RULES = {
    "binance": VenueRules(True, "smaller_only", Decimal(10), Decimal(10), 200, refuses_unmatched=False),
    "binanceusdm": VenueRules(False, "requeues_or_cancels", Decimal(2), Decimal(5), 200, refuses_unmatched=False),
    # the venue's amend is a cancel and a new order under a new number: its skin does both
    "hyperliquid": VenueRules(False, "never", Decimal("1.5"), Decimal("4.5"), 1000, refuses_unmatched=True),
}


def rules_of(venue: str) -> VenueRules:
    """Return a venue's ways. Raises UnknownName."""
    if venue not in RULES:
        raise UnknownName(f"no venue {venue!r}.{did_you_mean(venue, RULES)}")
    return RULES[venue]


def venue_symbol(instrument: Instrument) -> str:
    """Return the name that the venue itself gives an instrument: BTCUSDT at Binance, BTC at Hyperliquid."""
    return instrument.base if instrument.venue == "hyperliquid" else instrument.base + instrument.quote


def bundled_instruments(venue: str) -> dict[str, Instrument]:
    """Return the catalogue's instruments of a venue, by the venue's own symbols. Raises UnknownName."""
    rules_of(venue)
    found = [Instrument.bundled(name) for name in bundled_names() if name.startswith(f"{venue}:")]
    return {venue_symbol(one): one for one in found}

"""How much: Kelly, volatility targeting, limits that follow volatility, and sizes that follow inventory.

Shares are of capital; quantities come back in base units, rounded down to the lots of an Instrument: a size errs on the small side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from hftlab.errors import InputError
from hftlab.instrument import Instrument, Number, decimal
from hftlab.strict import number

# --- Kelly ---------------------------------------------------------------------------------------------------------------------


def kelly(p: float, odds: float = 1.0, *, fraction: float = 1.0, frac_max: float = 1.0) -> float:
    """Return the share of capital to stake on a bet that wins `odds` times the stake with probability `p` and loses it otherwise.

    f = p - (1 - p) / odds (Kelly 1956, "A new interpretation of information rate"), times `fraction` (a half gives three quarters of
    the growth at half the swings), at most `frac_max`; 0 where there is no edge. Raises InputError.
    """
    p, odds = number(p, "p", 0, 1), number(odds, "odds", 1e-12)
    fraction, frac_max = number(fraction, "fraction", 0, 1), number(frac_max, "frac_max", 0)
    return min(max(p - (1.0 - p) / odds, 0.0) * fraction, frac_max)


def kelly_continuous(mean: float, sigma: float, *, rate: float = 0.0, fraction: float = 1.0, leverage_max: float = 1.0) -> float:
    """Return the share of capital to hold in something that earns `mean` with standard deviation `sigma`, of the same time.

    f = (mean - rate) / sigma^2 (Merton 1969, Thorp 2006), times `fraction`, at most `leverage_max`; 0 where there is no edge. A short
    position is asked for with the negative mean. Raises InputError.
    """
    mean, rate, sigma = number(mean, "mean"), number(rate, "rate"), number(sigma, "sigma", 1e-12)
    fraction, leverage_max = number(fraction, "fraction", 0, 1), number(leverage_max, "leverage_max", 0)
    return min(max((mean - rate) / sigma**2, 0.0) * fraction, leverage_max)


def kelly_growth(share: float, p: float, odds: float = 1.0) -> float:
    """Return the mean logarithm of growth of one bet at this share: what `kelly` makes largest. -inf where ruin is possible."""
    share, p, odds = number(share, "share", 0), number(p, "p", 0, 1), number(odds, "odds", 1e-12)
    if share >= 1.0 and p < 1.0:
        return -math.inf
    return p * math.log1p(share * odds) + ((1.0 - p) * math.log1p(-share) if p < 1.0 else 0.0)


# --- volatility ----------------------------------------------------------------------------------------------------------------


def volatility_target(target: float, sigma: float, *, leverage_max: float = 1.0) -> float:
    """Return the leverage at which a position that swings by `sigma` swings by `target`, both of the same time: target / sigma, capped.

    (Moreira & Muir 2017 scale by the variance; the target of a risk budget is a standard deviation.) Raises InputError.
    """
    return min(number(target, "target", 0) / number(sigma, "sigma", 1e-12), number(leverage_max, "leverage_max", 0))


def scaled_limit(instrument: Instrument, qty_max: Number, sigma: float, *, usual: float, frac_min: float = 0.1) -> Decimal:
    """Return a position limit that shrinks as volatility rises above its `usual` level, so that the money at risk stays the same.

    qty_max x usual / sigma, never more than `qty_max` and never less than `frac_min` of it, rounded down to lots. Raises InputError.
    """
    share = min(max(number(usual, "usual", 0) / number(sigma, "sigma", 1e-12), number(frac_min, "frac_min", 0, 1)), 1.0)
    return _whole(instrument, float(decimal(qty_max, "qty_max")) * share)


# --- quantities ----------------------------------------------------------------------------------------------------------------


def size_of(instrument: Instrument, share: float, capital_quote: float, price: Number) -> Decimal:
    """Return the quantity whose worth is `share` of the capital at a price, rounded down to lots; 0 below one lot.

    The worth of a quantity is that of the instrument: multiplier and inverse contracts included. Raises InputError, OffGridPrice.
    """
    share, capital = number(share, "share", 0), number(capital_quote, "capital_quote", 0)
    lot_worth = abs(instrument.worth_of(instrument.ticks(price))) * instrument.ticklot_quote
    return instrument.qty(int(share * capital / lot_worth + 1e-9))


@dataclass(frozen=True)
class Sizes:
    """Quantities to show on each side, in base units on the lot grid; 0 is no quote."""

    bid_qty: Decimal
    ask_qty: Decimal


def inventory_sizes(
    instrument: Instrument, order_qty: Number, position_qty: Number, position_qty_max: Number, *, eta: float | None = None
) -> Sizes:
    """Return the sizes of a quote that leans against the inventory: the side that adds to the position shrinks, the other stays whole.

    With u = |position| / limit the adding side shows order_qty x exp(-eta u), after Fushimi, Gonzalez Rojas & Herman 2018, "Optimal
    high-frequency market making" (phi = phi_max exp(-eta q); theirs counts q in lots, ours in limits, so that eta means the same for
    any limit). Without `eta` it falls on a straight line: order_qty x (1 - u). Neither side ever passes the limit: what is left up to it
    caps the size. Rounded down to lots. Raises InputError, OffGridQuantity.
    """
    order, limit = instrument.lots(order_qty), instrument.lots(position_qty_max)
    held = instrument.lots(position_qty, signed=True, toward_zero=True)
    used = min(abs(held) / limit, 1.0)
    falls = (1.0 - used) if eta is None else math.exp(-number(eta, "eta", 0) * used)
    adding = min(int(order * falls + 1e-9), max(limit - abs(held), 0))
    leaving = min(order, limit + abs(held))
    bid, ask = (adding, leaving) if held > 0 else (leaving, adding) if held < 0 else (min(order, limit),) * 2
    return Sizes(instrument.qty(bid), instrument.qty(ask))


def risk_parity(sigmas: Sequence[float]) -> np.ndarray:
    """Return shares (n,) that sum to 1 and swing alike: 1/sigma each, scaled (inverse volatility; exact for equal correlations)."""
    values = np.array([number(one, "sigma", 1e-12) for one in sigmas])
    if not len(values):
        raise InputError("no sigmas were given; wanted one for each market.")
    inverse = 1.0 / values
    shares: np.ndarray = inverse / inverse.sum()
    return shares


def _whole(instrument: Instrument, qty: float) -> Decimal:
    return instrument.qty(int(qty / float(instrument.lot_size) + 1e-9))

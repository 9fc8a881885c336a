"""Stress scenarios on what is held now: the current position, the visible book, and our own resting orders."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.portfolio import formulas as pm
from hftlab.analytics.portfolio.book import Floats, Holding
from hftlab.types import ASK, BID

if TYPE_CHECKING:
    import pandas as pd

PRICE_SHOCKS_FRAC = (0.01, 0.05, 0.10)
VOLATILITY_FACTORS = (2.0, 3.0)
SPREAD_FACTORS = (2.0, 5.0)
DEPTH_FACTOR = 0.25


def shocked_quote(one: Holding, shock_frac: float) -> float:
    """Return the P&L in settlement currency when the price jumps by a fraction of itself.

    The orders of ours that stand in the way are filled at their prices: a fall that our bids do not survive buys first.
    """
    if one.position_lots == 0 and not len(one.orders):
        return 0.0
    to_ticks = one.mark_ticks * (1.0 + shock_frac)
    total = float(one.moved_quote(to_ticks))
    hit = BID if shock_frac < 0 else ASK
    for side, price_ticks, lots in one.orders:
        if side == hit and (to_ticks - price_ticks) * hit < 0:
            total += float(one.moved_quote(to_ticks, side * lots, price_ticks))
    return total


def liquidation_quote(one: Holding, depth_factor: float = 1.0) -> tuple[float, float]:
    """Return the P&L of closing the position at once through the visible book, against the mark and before fees, and the share it covers.

    What the book does not hold is counted at its last price: with a share below 1 the cost is a lower bound. NaN without a book.
    """
    if one.position_lots == 0:
        return 0.0, 1.0
    levels = one.bids if one.position_lots > 0 else one.asks
    if not len(levels):
        return float("nan"), 0.0
    wanted = abs(one.position_lots)
    available = np.cumsum(levels[:, 1] * depth_factor)
    taken = np.diff(np.minimum(available, wanted), prepend=0.0)
    covered = float(taken.sum())
    taken[-1] += wanted - covered
    side = 1 if one.position_lots > 0 else -1
    return float(np.sum(one.moved_quote(levels[:, 0].astype(np.float64), side * taken))), covered / wanted


def spread_quote(one: Holding, factor: float) -> float:
    """Return the P&L of closing at a touch that stands `factor` times as far from the mark as it does now. NaN without a book."""
    if one.position_lots == 0:
        return 0.0
    levels = one.bids if one.position_lots > 0 else one.asks
    if not len(levels):
        return float("nan")
    return float(one.moved_quote(one.mark_ticks + factor * (float(levels[0, 0]) - one.mark_ticks)))


def stress(
    holdings: Sequence[Holding],
    rates: Floats,
    covariance: Floats,
    *,
    price_shocks_frac: Sequence[float] = PRICE_SHOCKS_FRAC,
    volatility_factors: Sequence[float] = VOLATILITY_FACTORS,
    spread_factors: Sequence[float] = SPREAD_FACTORS,
    depth_factor: float = DEPTH_FACTOR,
) -> "pd.DataFrame":
    """Return one row a scenario: `pnl_quote` in the reporting currency, and `meaning` in words. `rates` f8 (m,), `covariance` (m, m).

    Price shocks move all markets alike. NaN stands where the scenario needs what is not known (a book, enough moves).
    """
    import pandas as pd

    exposures = np.array([one.exposure_quote for one in holdings]) * rates

    def over(values: Sequence[float]) -> float:
        return float(np.dot(values, rates))

    rows: list[tuple[str, float, str]] = []
    for shock in sorted({signed for size in price_shocks_frac for signed in (-size, size)}):
        words = "every price jumps; our orders in the way are filled"
        rows.append((f"price {shock:+.1%}", over([shocked_quote(one, shock) for one in holdings]), words))
    for factor in volatility_factors:
        loss = factor * pm.var_normal(exposures, covariance)
        rows.append((f"volatility x {factor:g}", -loss, "the normal VaR 95 with this many times the EWMA volatility"))
    rows.append(("correlation to 1", -pm.var_undiversified(exposures, covariance), "the VaR 95 of each market added up: no hedge holds"))
    for factor in spread_factors:
        words = "closing at a touch this many times as far away"
        rows.append((f"spread x {factor:g}", over([spread_quote(one, factor) for one in holdings]), words))
    for factor, name in ((1.0, "liquidation"), (depth_factor, f"liquidation, depth x {depth_factor:g}")):
        closed = [liquidation_quote(one, factor) for one in holdings]
        share = min(part for _, part in closed)
        words = "closing now through the visible book, before fees"
        if share < 1:
            words += f"; it covers {share:.0%} of it, the rest is counted at its last price: a lower bound of the cost"
        rows.append((name, over([quote for quote, _ in closed]), words))
    return pd.DataFrame(rows, columns=["scenario", "pnl_quote", "meaning"]).set_index("scenario")

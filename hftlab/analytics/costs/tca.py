"""What trading cost, fill by fill: effective and realised spread, price impact, slippage, fees; by side, hour, size, with intervals.

With D = +1 where the aggressor bought and -1 where he sold (our own side as taker, the other one as maker), a fill at price p, matched
at mid m, with the mid at m' a horizon later (Huang & Stoll 1996, in ticks a lot):

    effective spread  2 D (p - m)      realised spread  2 D (p - m')      price impact  2 D (m' - m)

Effective = realised + impact, exactly: each is a whole number of ticks. As maker we are paid the effective spread and keep the
realised one, what is between them went to who knew better; as taker we pay it. Slippage is our side x (p - mid when the order was
decided): positive is worse than the price that was looked at. All means are weighted by lots; intervals as in `analytics.markouts.markouts`.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.exact import product, value2
from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.journeys import NONE_NS, journeys
from hftlab.analytics.facts.path import HORIZONS_NS, HORIZONS_S, HOUR_NS
from hftlab.analytics.facts.prices import best_at, mids2_at
from hftlab.analytics.markouts.markouts import interval
from hftlab.errors import InputError, did_you_mean
from hftlab.instrument import Instrument
from hftlab.types import NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

BY = ("all", "side", "hour", "size", "instrument")
LIQUIDITY = ("maker", "taker")
SLIPPAGE_BLOCK_NS = 1_000_000_000  # a fill and its decision lie within about a second: blocks are at least five of them


def spreads(fills: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return effective (n,), realised and impact (n, horizons) spreads of FILL_FACT rows in ticks, int64, in the aggressor's direction."""
    aggressor = np.where(fills["maker"] != 0, -fills["side"], fills["side"]).astype(np.int64)
    effective = aggressor * (2 * fills["price_ticks"] - fills["mid2"])
    realised = aggressor[:, None] * (2 * fills["price_ticks"][:, None] - fills["later_mid2"])
    return effective, realised, aggressor[:, None] * (fills["later_mid2"] - fills["mid2"][:, None])


def kept2(fills: np.ndarray, instruments: tuple[Instrument, ...], k: int) -> np.ndarray:
    """Return what the maker of each fill had kept HORIZONS_NS[k] later, half the realised spread x lots, in halves of a money unit."""
    found = np.zeros(len(fills), object)
    aggressor = np.where(fills["maker"] != 0, -fills["side"], fills["side"]).astype(np.int64)
    for i, one in enumerate(instruments):
        mine = np.flatnonzero(fills["instrument"] == i)
        edge2 = 2 * one.value_of(fills["price_ticks"][mine]) - value2(one, fills["later_mid2"][mine, k])
        found[mine] = product(aggressor[mine] * fills["qty_lots"][mine], edge2)
    return found


def decided_ns(facts: Facts) -> np.ndarray:
    """Return for each fill when its order was decided, NONE_NS where the order is from before the first row."""
    orders = journeys(facts.own)
    if not len(orders):
        return np.full(len(facts.fills), NONE_NS, np.int64)
    at = np.minimum(np.searchsorted(orders["order_id"], facts.fills["order_id"]), len(orders) - 1)
    return np.where(orders["order_id"][at] == facts.fills["order_id"], orders["decided_ns"][at], NONE_NS)


def slippage2(facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """Return for each fill, in half ticks: our side x (2 price - mid2 at the decision), and the same beyond the touch there.

    The touch is the best price of the other side when the order was decided: what a taker could hope for. NO_PRICE where unknown.
    """
    fills, decided = facts.fills, decided_ns(facts)
    from_mid, from_touch = (np.full(len(fills), NO_PRICE, np.int64) for _ in range(2))
    for i, prices in enumerate(facts.prices):
        mine = np.flatnonzero((fills["instrument"] == i) & (decided != NONE_NS))
        price, side = fills["price_ticks"][mine], fills["side"][mine].astype(np.int64)
        mid2 = mids2_at(prices, decided[mine])
        from_mid[mine] = np.where(mid2 == NO_PRICE, NO_PRICE, side * (2 * price - np.where(mid2 == NO_PRICE, 0, mid2)))
        bid, ask = best_at(prices, decided[mine])
        other = np.where(side > 0, ask, bid)
        from_touch[mine] = np.where(other == NO_PRICE, NO_PRICE, 2 * side * (price - np.where(other == NO_PRICE, 0, other)))
    return from_mid, from_touch


def buckets(facts: Facts, instruments: tuple[Instrument, ...], by: str) -> tuple[np.ndarray, list[str]]:
    """Return the bucket of each fill and the names of the buckets. Raises InputError.

    "size": quarters of the fills by their lots, equal sizes in one; "hour": UTC on the exchange's clock.
    """
    fills = facts.fills
    if by == "all":
        return np.zeros(len(fills), np.int64), ["all fills"]
    if by == "side":
        return np.where(fills["side"] > 0, 0, 1), ["buy", "sell"]
    if by == "instrument":
        return fills["instrument"].astype(np.int64), [one.symbol for one in instruments]
    if by == "hour":
        hours, which = np.unique(fills["ts_ns"] // HOUR_NS, return_inverse=True)
        return which, [str(np.datetime64(int(hour) * HOUR_NS, "ns").astype("datetime64[h]")) for hour in hours]
    if by == "size":
        if not len(fills):
            return np.zeros(0, np.int64), []
        edges = np.unique(np.quantile(fills["qty_lots"], (0.25, 0.5, 0.75), method="inverted_cdf"))
        used, which = np.unique(np.searchsorted(edges, fills["qty_lots"]), return_inverse=True)
        ends = [fills["qty_lots"][which == n] for n in range(len(used))]
        return which, [f"{one.min():,} lots" if one.min() == one.max() else f"{one.min():,} to {one.max():,} lots" for one in ends]
    raise InputError(f"by was {by!r}.{did_you_mean(by, BY)} Wanted one of {', '.join(BY)}.")


def spread_table(facts: Facts, instruments: tuple[Instrument, ...], by: str = "all", *, level: float = 0.95) -> "pd.DataFrame":
    """Return one row a liquidity, bucket and horizon: effective, realised and impact in ticks, the last two with intervals.

    `excluded`: fills whose horizon lies past the end of the data. `kept_quote` is what the makers of these fills had kept by then as
    money: half the realised spread times lots. Raises InputError for an unknown `by`.
    """
    import pandas as pd

    fills = facts.fills
    effective, realised, impact = spreads(fills)
    which, names = buckets(facts, instruments, by)
    unit = np.array([one.ticklot_quote for one in instruments])[fills["instrument"]]
    rows = []
    for liquidity, bucket, mine in _groups(fills, which, names):
        for k, (seconds, horizon_ns) in enumerate(zip(HORIZONS_S, HORIZONS_NS, strict=True)):
            used = mine & (fills["past_end"][:, k] == 0)
            weights, ts_ns = fills["qty_lots"][used].astype(float), fills["ts_ns"][used]
            row: dict[str, Any] = {"liquidity": liquidity, "bucket": bucket, "horizon_s": seconds}
            row |= {"fills": int(used.sum()), "excluded": int((mine & ~used).sum()), "effective_ticks": _mean(effective[used], weights)}
            for name, values in (("realised", realised[used, k]), ("impact", impact[used, k])):
                low, high = interval(ts_ns, values.astype(float), weights, horizon_ns, level=level)
                row |= {f"{name}_ticks": _mean(values, weights), f"{name}_low": low, f"{name}_high": high}
            kept = kept2(fills[used], instruments, k)
            rows.append(row | {"kept_quote": float((kept * unit[used]).sum()) / 2})
    spread = [f"{name}_{part}" for name in ("realised", "impact") for part in ("ticks", "low", "high")]
    columns = ["liquidity", "bucket", "horizon_s", "fills", "excluded", "effective_ticks", *spread, "kept_quote"]
    return pd.DataFrame(rows, columns=columns)


def cost_table(facts: Facts, instruments: tuple[Instrument, ...], by: str = "all", *, level: float = 0.95) -> "pd.DataFrame":
    """Return one row a liquidity and bucket: fills, quantity, slippage from the mid and beyond the touch, effective spread, fees.

    Slippage and effective spread in ticks with intervals; `effective_bps` and `fee_bps` of the price. Raises InputError.
    """
    import pandas as pd

    fills = facts.fills
    effective, _, _ = spreads(fills)
    from_mid, from_touch = slippage2(facts)
    which, names = buckets(facts, instruments, by)
    lot = np.array([float(one.lot_size) for one in instruments])[fills["instrument"]]
    rows = []
    for liquidity, bucket, mine in _groups(fills, which, names):
        weights, ts_ns, price = fills["qty_lots"][mine].astype(float), fills["ts_ns"][mine], np.abs(fills["price_ticks"][mine])
        row: dict[str, Any] = {"liquidity": liquidity, "bucket": bucket, "fills": int(mine.sum())}
        row["qty_base"] = float((fills["qty_lots"][mine] * lot[mine]).sum())
        measures = {"slippage": from_mid[mine], "beyond_touch": from_touch[mine], "effective": 2 * effective[mine]}
        for name, halves in measures.items():
            known = halves != NO_PRICE
            ticks = np.where(known, halves, 0)[known] / 2
            low, high = interval(ts_ns[known], ticks, weights[known], SLIPPAGE_BLOCK_NS, level=level)
            row |= {f"{name}_ticks": _mean(ticks, weights[known]), f"{name}_low": low, f"{name}_high": high}
        row["effective_bps"] = _mean(effective[mine] / np.maximum(price, 1) * 1e4, weights)
        row["fee_bps"] = _fee_bps(fills[mine], instruments)
        rows.append(row)
    measured = [f"{name}_{part}" for name in ("slippage", "beyond_touch", "effective") for part in ("ticks", "low", "high")]
    return pd.DataFrame(rows, columns=["liquidity", "bucket", "fills", "qty_base", *measured, "effective_bps", "fee_bps"])


def _groups(fills: np.ndarray, which: np.ndarray, names: list[str]) -> list[tuple[str, str, np.ndarray]]:
    makers = fills["maker"] != 0
    groups = [(kind, name, (which == n) & (makers == (kind == "maker"))) for n, name in enumerate(names) for kind in LIQUIDITY]
    return [group for group in groups if group[2].any()]


def _fee_bps(fills: np.ndarray, instruments: tuple[Instrument, ...]) -> float:
    paid = float(fills["fee_ticklots"].sum()) + float(fills["fee_uticklots"].sum()) * 1e-6
    worth = sum(
        float(np.abs(one.value_of(fills["price_ticks"][mine]) * fills["qty_lots"][mine]).sum())
        for one, mine in ((one, fills["instrument"] == i) for i, one in enumerate(instruments))
    )
    return paid / worth * 1e4 if worth else math.nan


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(values, weights=weights)) if len(values) and weights.sum() > 0 else math.nan

"""Markouts: how far the mid stood from the price of our fills, some time after them, with honest intervals.

The markout of a fill is side x (mid a horizon after the match - price), in ticks: what it would have made if unwound at that
mid. Averages are weighted by lots. Fills whose horizon lies past the end of the data are counted, and left out.

Intervals come from a block bootstrap, because markouts of fills close in time share the same path. A block is all fills of
one stretch of time; the rule for its length is the longer of five horizons and a fiftieth of the time from the first to the
last fill. Blocks are drawn with replacement. The draws' quantiles are widened by t(blocks - 1) / z, by sqrt(blocks /
(blocks - 1)), and for what blocks of length L miss of horizons h that overlap: their covariance falls linearly to zero at h, so
a share h / 3L of the variance lies between blocks. With fewer than BLOCKS_MIN blocks there is no interval: it would not hold
the truth as often as it says.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.collector import Facts
from hftlab.analytics.journeys import NONE_NS
from hftlab.analytics.path import HORIZONS_NS, HORIZONS_S
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.types import ACCEPTED, AMENDED, NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

BLOCKS_MIN = 8
BLOCKS = 50
HORIZONS_A_BLOCK = 5
DRAWS = 2000
SEED = 20_080_415

GROUPS = ("all", "side", "liquidity", "queue", "imbalance", "spread")
_IMBALANCE = (-0.6, -0.2, 0.2, 0.6)
_SPREAD = (1, 2, 5)


def block_ns(ts_ns: np.ndarray, horizon_ns: int) -> int:
    """Return the length of a bootstrap block in nanoseconds: see the rule above."""
    span_ns = int(ts_ns.max() - ts_ns.min()) if len(ts_ns) else 0
    return max(HORIZONS_A_BLOCK * horizon_ns, span_ns // BLOCKS, 1)


def interval(
    ts_ns: np.ndarray, values: np.ndarray, weights: np.ndarray, horizon_ns: int, *, level: float = 0.95, seed: int = SEED
) -> tuple[float, float]:
    """Return the interval of the weighted mean of `values` at times `ts_ns`, (nan, nan) where there is too little to tell.

    `values` and `weights` are float arrays of one length. The same numbers give the same interval.
    """
    if not len(values):
        return math.nan, math.nan
    which = (ts_ns - ts_ns.min()) // block_ns(ts_ns, horizon_ns)
    _, block = np.unique(which, return_inverse=True)
    sums, sizes = np.bincount(block, weights * values), np.bincount(block, weights)
    count = len(sums)
    if count < BLOCKS_MIN:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    center = float(sums.sum() / sizes.sum())
    between = horizon_ns / (3 * block_ns(ts_ns, horizon_ns))
    wider = _student(1 - tail, count - 1) / _student(1 - tail, 10**9) * math.sqrt(count / (count - 1) / (1 - between))
    return center - (center - float(low)) * wider, center + (float(high) - center) * wider


def _student(p: float, df: int) -> float:
    """Return the p-quantile of Student's t (Cornish-Fisher to 1/df**3, Abramowitz & Stegun 26.7.5: 0.5 % off at 7 degrees)."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / float(df) ** (n + 1) for n, term in enumerate(terms))


def ahead_lots(facts: Facts) -> np.ndarray:
    """Return for each fill the lots that stood before its order when it last took its place, NONE_NS (-1) where nobody said."""
    own, fills = facts.own, facts.fills
    told = own[np.isin(own["kind"], (ACCEPTED, AMENDED))]
    if not len(told) or not len(fills):
        return np.full(len(fills), NONE_NS, np.int64)
    order = np.lexsort((told["ts_exch_ns"], told["order_id"]))
    ids, ts_ns, ahead = (told[name][order] for name in ("order_id", "ts_exch_ns", "seq"))
    # One sorted key out of (order, time): the last word about an order at or before its fill.
    rank = np.searchsorted(np.unique(ids), ids)
    mine = np.searchsorted(np.unique(ids), fills["order_id"])
    times, place = np.unique(np.concatenate([ts_ns, fills["ts_ns"]]), return_inverse=True)
    at = np.searchsorted(rank * len(times) + place[: len(ids)], mine * len(times) + place[len(ids) :], side="right") - 1
    known = (at >= 0) & (ids[np.maximum(at, 0)] == fills["order_id"])
    return np.where(known, ahead[np.maximum(at, 0)], NONE_NS)


def buckets(facts: Facts, by: str) -> tuple[np.ndarray, list[str]]:
    """Return the bucket of each fill (int, -1: does not apply) and the names of the buckets. Raises InputError."""
    fills = facts.fills
    if by == "all":
        return np.zeros(len(fills), np.int64), ["all fills"]
    if by == "side":
        return np.where(fills["side"] > 0, 0, 1), ["buy", "sell"]
    if by == "liquidity":
        return np.where(fills["maker"] != 0, 0, 1), ["maker", "taker"]
    if by == "queue":
        return _queue_buckets(facts)
    known = (fills["bid_ticks"] != NO_PRICE) & (fills["ask_ticks"] != NO_PRICE)
    if by == "imbalance":
        lots = fills["bid_lots"] + fills["ask_lots"]
        signed = fills["side"] * (fills["bid_lots"] - fills["ask_lots"]) / np.maximum(lots, 1)
        names = ["below -0.6", "-0.6 to -0.2", "-0.2 to 0.2", "0.2 to 0.6", "0.6 and more"]
        return np.where(known & (lots > 0), np.searchsorted(_IMBALANCE, signed, side="right"), -1), names
    if by == "spread":
        wide = np.where(known, fills["ask_ticks"] - fills["bid_ticks"], 0)
        return np.where(known, np.searchsorted(_SPREAD, wide), -1), ["1 tick", "2 ticks", "3 to 5 ticks", "more than 5 ticks"]
    raise InputError(f"by was {by!r}.{did_you_mean(by, GROUPS)}")


def _queue_buckets(facts: Facts) -> tuple[np.ndarray, list[str]]:
    """Quarters of the lots ahead at placement, over maker fills; equal values stay in one bucket."""
    ahead = ahead_lots(facts)
    told = (ahead != NONE_NS) & (facts.fills["maker"] != 0)
    if not told.any():
        return np.full(len(ahead), -1), []
    edges = np.unique(np.quantile(ahead[told], (0.25, 0.5, 0.75), method="inverted_cdf"))
    found = np.where(told, np.searchsorted(edges, ahead), -1)
    names = []
    for n in range(len(edges) + 1):
        inside = ahead[found == n]
        low, high = (int(inside.min()), int(inside.max())) if len(inside) else (0, 0)
        names.append(f"{low:,} lots ahead" if low == high else f"{low:,} to {high:,} lots ahead")
    return found, names


def in_bucket(facts: Facts, by: str, name: str) -> np.ndarray:
    """Return which fills lie in the bucket of that name. Raises InputError, UnknownName."""
    which, names = buckets(facts, by)
    if name not in names:
        raise UnknownName(f"no bucket {name!r} by {by}.{did_you_mean(name, names)}")
    return which == names.index(name)


def table(facts: Facts, by: str = "all", *, level: float = 0.95) -> "pd.DataFrame":
    """Return one row a bucket and horizon: fills used and left out, mean markout in ticks with its interval, and in bps of the price.

    Raises InputError for an unknown `by`.
    """
    import pandas as pd

    fills = facts.fills
    which, names = buckets(facts, by)
    price = fills["price_ticks"].astype(float)
    rows = []
    for bucket, name in enumerate(names):
        for k, (seconds, horizon_ns) in enumerate(zip(HORIZONS_S, HORIZONS_NS, strict=True)):
            mine = which == bucket
            used = mine & (fills["past_end"][:, k] == 0)
            if not mine.any():
                continue
            weights = fills["qty_lots"][used].astype(float)
            ticks = fills["side"][used] * (fills["later_mid2"][used, k] / 2 - price[used])
            bps = ticks / np.abs(price[used]) * 1e4
            low, high = interval(fills["ts_ns"][used], ticks, weights, horizon_ns, level=level)
            mean = float(np.average(ticks, weights=weights)) if used.any() else math.nan
            rows.append(
                {
                    "bucket": name,
                    "horizon_s": seconds,
                    "fills": int(used.sum()),
                    "excluded": int((mine & ~used).sum()),
                    "markout_ticks": mean,
                    "low_ticks": low,
                    "high_ticks": high,
                    "markout_bps": float(np.average(bps, weights=weights)) if used.any() else math.nan,
                }
            )
    columns = ["bucket", "horizon_s", "fills", "excluded", "markout_ticks", "low_ticks", "high_ticks", "markout_bps"]
    return pd.DataFrame(rows, columns=columns)

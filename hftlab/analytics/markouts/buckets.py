"""What fills are sorted by: who and where they were, and how the market stood when they came.

Every way to sort gives each fill one bucket, or none (-1) where it does not apply. Ranks ("queue", "size", …) are quarters or thirds
of the fills themselves, so equal values stay together and a bucket is never empty by construction.
"""

from collections.abc import Callable

import numpy as np

from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.journeys import NONE_NS
from hftlab.analytics.facts.path import HOUR_NS
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.types import ACCEPTED, AMENDED, NO_PRICE

Buckets = tuple[np.ndarray, list[str]]

IMBALANCE = (-0.6, -0.2, 0.2, 0.6)
SPREAD = (1, 2, 5)
VOLATILITY_S = 60
VOLATILITY_S_MIN = 20  # less of a past says nothing of how calm it was


def ahead_lots(facts: Facts) -> np.ndarray:
    """Return for each fill the lots that stood before its order when it last took its place, NONE_NS (-1) where nobody said."""
    found = _last_word(facts, "seq")
    return np.where(facts.fills["maker"] != 0, found, NONE_NS)


def rested_ms(facts: Facts) -> np.ndarray:
    """Return for each fill how long its order had held its place, in ms, NaN where nobody said."""
    since_ns = _last_word(facts, "ts_exch_ns")
    return np.where(since_ns == NONE_NS, np.nan, (facts.fills["ts_ns"] - since_ns) / 1e6)


def _last_word(facts: Facts, column: str) -> np.ndarray:
    """Return a column of the last ACCEPTED or AMENDED of each fill's order at or before its match, NONE_NS where there is none."""
    own, fills = facts.own, facts.fills
    told = own[np.isin(own["kind"], (ACCEPTED, AMENDED))]
    if not len(told) or not len(fills):
        return np.full(len(fills), NONE_NS, np.int64)
    order = np.lexsort((told["ts_exch_ns"], told["order_id"]))
    ids, ts_ns, values = (told[name][order] for name in ("order_id", "ts_exch_ns", column))
    # One sorted key out of (order, time): the last word about an order at or before its fill.
    rank = np.searchsorted(np.unique(ids), ids)
    mine = np.searchsorted(np.unique(ids), fills["order_id"])
    times, place = np.unique(np.concatenate([ts_ns, fills["ts_ns"]]), return_inverse=True)
    at = np.searchsorted(rank * len(times) + place[: len(ids)], mine * len(times) + place[len(ids) :], side="right") - 1
    known = (at >= 0) & (ids[np.maximum(at, 0)] == fills["order_id"])
    return np.where(known, values[np.maximum(at, 0)], NONE_NS)


def at_price_lots(facts: Facts) -> np.ndarray:
    """Return what the market showed at a maker fill's price when it was matched, 0 where the price was gone; NONE_NS where unknown.

    The thinner the queue at that moment, the nearer the price was to giving way.
    """
    fills = facts.fills
    bought = fills["side"] > 0
    best = np.where(bought, fills["bid_ticks"], fills["ask_ticks"])
    lots = np.where(bought, fills["bid_lots"], fills["ask_lots"])
    behind = np.where(best == NO_PRICE, 0, fills["side"] * (fills["price_ticks"] - best))  # > 0: the market is beyond our price
    found = np.where(best == NO_PRICE, 0, np.where(behind == 0, lots, 0))
    return np.where((fills["maker"] != 0) & (fills["touched"] != 0) & (behind >= 0), found, NONE_NS)


def signed_imbalance(facts: Facts) -> np.ndarray:
    """Return (lots on our side - lots on the other) / both, of the best prices at the match; NaN where a side was missing."""
    fills = facts.fills
    lots = fills["bid_lots"] + fills["ask_lots"]
    known = (fills["bid_ticks"] != NO_PRICE) & (fills["ask_ticks"] != NO_PRICE) & (lots > 0)
    return np.where(known, fills["side"] * (fills["bid_lots"] - fills["ask_lots"]) / np.maximum(lots, 1), np.nan)


def spread_ticks(facts: Facts) -> np.ndarray:
    """Return the spread at the match in ticks, f8, NaN where a side was missing."""
    fills = facts.fills
    known = (fills["bid_ticks"] != NO_PRICE) & (fills["ask_ticks"] != NO_PRICE)
    return np.where(known, np.where(known, fills["ask_ticks"], 0) - np.where(known, fills["bid_ticks"], 0), np.nan)


def volatility_ticks(facts: Facts, seconds: int = VOLATILITY_S) -> np.ndarray:
    """Return the volatility of the mid before each fill in ticks per square root of a second, NaN where less than 20 s were known.

    Root mean square of the moves of whole seconds, of the last `seconds` up to the match: nothing of it comes after the fill.
    """
    fills, found = facts.fills, np.full(len(facts.fills), np.nan)
    back_ns = np.arange(seconds, -1, -1) * 1_000_000_000
    for i, path in enumerate(facts.paths):
        mine = np.flatnonzero(fills["instrument"] == i)
        if not len(mine) or not len(path.mids):
            continue
        times = fills["ts_ns"][mine, None] - back_ns
        moves = np.diff(path.mids.at(times), axis=1) / 2
        known = path.mids.known(times)[:, :-1]
        count = known.sum(axis=1)
        power = np.where(known, moves**2, 0).sum(axis=1) / np.maximum(count, 1)
        found[mine] = np.where(count >= VOLATILITY_S_MIN, np.sqrt(power), np.nan)
    return found


# --- the buckets -----------------------------------------------------------------------------------------------------------------
def _all(facts: Facts) -> Buckets:
    return np.zeros(len(facts.fills), np.int64), ["all fills"]


def _side(facts: Facts) -> Buckets:
    return np.where(facts.fills["side"] > 0, 0, 1), ["buy", "sell"]


def _liquidity(facts: Facts) -> Buckets:
    return np.where(facts.fills["maker"] != 0, 0, 1), ["maker", "taker"]


def _instrument(facts: Facts) -> Buckets:
    return facts.fills["instrument"].astype(np.int64), [path.instrument.symbol for path in facts.paths]


def _queue(facts: Facts) -> Buckets:
    return _ranks(ahead_lots(facts), "lots ahead")


def _at_price(facts: Facts) -> Buckets:
    return _ranks(at_price_lots(facts), "lots at our price")


def _rested(facts: Facts) -> Buckets:
    rested = rested_ms(facts)
    whole = np.where(np.isfinite(rested) & (facts.fills["maker"] != 0), np.rint(np.nan_to_num(rested)), NONE_NS)
    return _ranks(whole.astype(np.int64), "ms at rest")


def _size(facts: Facts) -> Buckets:
    return _ranks(facts.fills["qty_lots"].astype(np.int64), "lots filled")


def _imbalance(facts: Facts) -> Buckets:
    signed = signed_imbalance(facts)
    names = ["below -0.6", "-0.6 to -0.2", "-0.2 to 0.2", "0.2 to 0.6", "0.6 and more"]
    return np.where(np.isfinite(signed), np.searchsorted(IMBALANCE, signed, side="right"), -1), names


def _spread(facts: Facts) -> Buckets:
    wide = spread_ticks(facts)
    return np.where(np.isfinite(wide), np.searchsorted(SPREAD, wide), -1), ["1 tick", "2 ticks", "3 to 5 ticks", "more than 5 ticks"]


def _hour(facts: Facts) -> Buckets:
    hours, which = np.unique(facts.fills["ts_ns"] // HOUR_NS, return_inverse=True)
    return which.astype(np.int64), [
        f"{str(np.datetime64(int(hour) * HOUR_NS, 'ns').astype('datetime64[h]'))[5:].replace('T', ' ')} h UTC" for hour in hours
    ]


def _volatility(facts: Facts) -> Buckets:
    values = volatility_ticks(facts)
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), -1), []
    edges = np.unique(np.quantile(values[known], (1 / 3, 2 / 3)))
    found = np.where(known, np.searchsorted(edges, np.nan_to_num(values), side="left"), -1)
    words = ("calm", "middling", "wild") if len(edges) == 2 else ("calm", "wild")
    unit = "ticks/\u221as"
    names = [f"{words[0]}: up to {edges[0]:.3g} {unit}"]
    names += [f"{words[1]}: to {edges[1]:.3g} {unit}"] if len(edges) == 2 else []
    return found, [*names, f"{words[-1]}: above {edges[-1]:.3g} {unit}"]


def _ranks(values: np.ndarray, unit: str) -> Buckets:
    """Quarters of whole numbers from 0, over those that are known (below 0: not); equal values stay in one bucket."""
    known = values >= 0
    if not known.any():
        return np.full(len(values), -1), []
    edges = np.quantile(values[known], (0.25, 0.5, 0.75), method="inverted_cdf")
    if edges[0] == 0 and values.max() > 0:  # many are zero: these stand alone, and the others are cut in three
        edges = np.append(0, np.quantile(values[values > 0], (1 / 3, 2 / 3), method="inverted_cdf"))
    edges = np.unique(edges[edges < values.max()])
    found = np.where(known, np.searchsorted(edges, values), -1)
    names = []
    for n in range(len(edges) + 1):
        inside = values[found == n]
        low, high = int(inside.min()), int(inside.max())
        names.append(f"{low:,} {unit}" if low == high else f"{low:,} to {high:,} {unit}")
    return found, names


WAYS: dict[str, Callable[[Facts], Buckets]] = {
    "all": _all,
    "side": _side,
    "liquidity": _liquidity,
    "instrument": _instrument,
    "queue": _queue,
    "queue_at_fill": _at_price,
    "rested": _rested,
    "imbalance": _imbalance,
    "spread": _spread,
    "size": _size,
    "hour": _hour,
    "volatility": _volatility,
}
GROUPS = tuple(WAYS)


def buckets(facts: Facts, by: str) -> Buckets:
    """Return the bucket of each fill (int, -1: does not apply) and the names of the buckets. Raises InputError."""
    if by not in WAYS:
        raise InputError(f"by was {by!r}.{did_you_mean(by, GROUPS)}")
    return WAYS[by](facts)


def in_bucket(facts: Facts, by: str, name: str) -> np.ndarray:
    """Return which fills lie in the bucket of that name. Raises InputError, UnknownName."""
    which, names = buckets(facts, by)
    if name not in names:
        raise UnknownName(f"no bucket {name!r} by {by}.{did_you_mean(name, names)}")
    return which == names.index(name)

"""Markouts: how far the mid stood from the price of our fills, some time after them, with honest intervals.

The markout of a fill is side x (mid a horizon after the match - price): what it would have made if unwound at that mid. Means are
weighted by lots: in ticks, in basis points of the price, and as money of all the fills together. Fills whose horizon lies past the
end of the data are counted, and left out. Intervals: `hftlab.analytics.stats.interval`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.exact import value2
from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.path import HORIZONS_NS, HORIZONS_S
from hftlab.analytics.markouts.buckets import GROUPS, ahead_lots, buckets, in_bucket
from hftlab.analytics.stats.interval import BLOCKS_MIN, interval, intervals
from hftlab.errors import InputError
from hftlab.strict import number
from hftlab.types import NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BLOCKS_MIN", "GROUPS", "ahead_lots", "buckets", "in_bucket", "interval", "later", "mean", "table", "values"]

UNITS = ("ticks", "bps", "quote")
FIGURES = [f"{figure}_{unit}" for unit in UNITS for figure in ("markout", "low", "high")]


def horizons(horizons_s: Any) -> tuple[float, ...]:
    """Return horizons in seconds, rising. Raises InputError for anything but one or more numbers from 0."""
    given = [horizons_s] if isinstance(horizons_s, int | float) else list(horizons_s)
    if not given:
        raise InputError("horizons_s was empty; wanted one or more horizons in seconds, such as [0.1, 1, 10].")
    return tuple(sorted({float(number(one, "horizons_s", 0)) for one in given}))


def later(facts: Facts, horizon_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return for each fill the mid (i8, half ticks) that stood `horizon_s` after its match, and whether that is known (bool).

    It is not where the data end before, nor where the market never had two sides.
    """
    fills, horizon_ns = facts.fills, round(horizon_s * 1e9)
    due_ns = fills["ts_ns"] + horizon_ns
    if horizon_ns == 0:
        return fills["mid2"], fills["mid2"] != NO_PRICE
    if horizon_ns in HORIZONS_NS:
        k = HORIZONS_NS.index(horizon_ns)
        return fills["later_mid2"][:, k], fills["past_end"][:, k] == 0
    found = np.full(len(fills), NO_PRICE, np.int64)
    for i, path in enumerate(facts.paths):
        mine = fills["instrument"] == i
        found[mine] = path.mids.at(due_ns[mine])
    return found, (due_ns <= facts.end_ns) & (found != NO_PRICE)


def values(facts: Facts, horizon_s: float) -> np.ndarray:
    """Return the markout of each fill, f8 (n, 3): in ticks, in bps of its price, in money for one lot; NaN where it is not known."""
    fills = facts.fills
    mid2, known = later(facts, horizon_s)
    mid2 = np.where(known, mid2, 2 * fills["price_ticks"])
    found = np.empty((len(fills), 3))
    price = fills["price_ticks"].astype(float)
    found[:, 0] = fills["side"] * (mid2 / 2 - price)
    found[:, 1] = found[:, 0] / np.maximum(np.abs(price), 1) * 1e4
    for i, path in enumerate(facts.paths):
        mine = fills["instrument"] == i
        moved2 = value2(path.instrument, mid2[mine]) - 2 * path.instrument.value_of(fills["price_ticks"][mine])
        found[mine, 2] = fills["side"][mine] * moved2.astype(float) / 2 * path.instrument.ticklot_quote
    found[~known] = np.nan
    return found


def mean(facts: Facts, made: np.ndarray, mine: np.ndarray, horizon_s: float, *, level: float = 0.95) -> dict[str, Any]:
    """Return the figures of the fills `mine` (bool, one a fill) whose markouts are `made` (as `values` gives them).

    fills, excluded; markout, low and high in ticks and in bps (means of lots), and in money (of all of them together).
    """
    used = mine & np.isfinite(made[:, 0])
    weights = facts.fills["qty_lots"][used].astype(float)
    row: dict[str, Any] = {"fills": int(used.sum()), "excluded": int((mine & ~used).sum())}
    whole = float(weights.sum())
    means = weights @ made[used] / whole if whole > 0 else np.full(3, math.nan)
    ends = intervals(facts.fills["ts_ns"][used], made[used], weights, round(horizon_s * 1e9), level=level)
    for k, unit in enumerate(UNITS):
        scale = whole if unit == "quote" else 1.0
        figures = (means[k], ends[k, 0], ends[k, 1])
        row |= {f"{name}_{unit}": float(figure) * scale for name, figure in zip(("markout", "low", "high"), figures, strict=True)}
    return row


def table(
    facts: Facts, by: str = "all", across: str | None = None, horizons_s: Sequence[float] | float = HORIZONS_S, *, level: float = 0.95
) -> "pd.DataFrame":
    """Return one row a bucket (of `by`, and of `across` where it is given) and horizon: see `mean` for the figures.

    Raises InputError for an unknown `by` or `across`, or horizons that are none.
    """
    import pandas as pd

    seconds = horizons(horizons_s)
    made = {one: values(facts, one) for one in seconds}
    names = ["bucket"] if across is None else ["bucket", "across"]
    rows = [
        dict(zip(names, cell, strict=True)) | {"horizon_s": one} | mean(facts, made[one], mine, one, level=level)
        for cell, mine in _cells(facts, by, across)
        for one in seconds
    ]
    return pd.DataFrame(rows, columns=[*names, "horizon_s", "fills", "excluded", *FIGURES])


def _cells(facts: Facts, by: str, across: str | None) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Yield the names of each bucket, or of each pair of buckets, that holds fills, and which fills (bool)."""
    which, names = buckets(facts, by)
    others, other_names = buckets(facts, across) if across is not None else (np.zeros(len(which), np.int64), [""])
    for n, name in enumerate(names):
        for m, other in enumerate(other_names):
            mine = (which == n) & (others == m)
            if mine.any():
                yield ((name,) if across is None else (name, other)), mine

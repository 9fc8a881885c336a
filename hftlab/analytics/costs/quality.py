"""How good the quotes were: captured spread, uptime, hit rate, life, place in the queue, requests per fill, turnover, throughput.

Spread capture efficiency over H: Σ side x (mid H after the match - price) x lots over maker fills, divided by Σ quoted half-spread x
lots, where the quoted half-spread of a fill is how far its price stood from the exchange's mid when the order took that price. 1: all
that was quoted was kept; below 0: the market took more than was quoted. Interval: block bootstrap of the ratio (`analytics.markouts.markouts`).

Quoting uptime: the share of the run's time in which on both sides at least the minimum size rested within N ticks of that side's best
price, on the exchange's clock. A halted or stopped desk is down, also while its cancels are on their way.

A quote is a stay: one order at one price. Hit rate: the share of quotes that were filled, in part or in whole. Life: from the
acceptance at a price to the next price or the end; a quote that still rests in the end counts in the rate and not in the lives.
By price-time priority nothing is ahead of a maker order at its fill, so that what is told of the place at a fill is what stood behind.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftlab.analytics.costs.stays import down_ns, live_lots, pieces, stay_of, stays
from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.figures import inventory, quantiles_ms, ratio
from hftlab.analytics.facts.prices import mids2_at
from hftlab.analytics.markouts.markouts import interval
from hftlab.instrument import Instrument
from hftlab.types import AMEND, CANCEL, NO_PRICE, SUBMIT

CAPTURE_S = (1.0, 10.0)
WITHIN_TICKS = 5
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Placed:
    """Maker fills whose placement and later mid are known: FILL_FACT, and of each what was quoted and kept, in half ticks x lots (f8)."""

    fills: np.ndarray
    quoted: np.ndarray
    kept: np.ndarray
    excluded: int


def placed(facts: Facts, i: int, horizon_s: float) -> Placed:
    """Return the maker fills of market `i` with the half-spread that they were quoted at, and what was left of it `horizon_s` later."""
    fills = facts.fills[(facts.fills["instrument"] == i) & (facts.fills["maker"] != 0)]
    later_ns = fills["ts_ns"] + round(horizon_s * 1e9)
    found = stays(facts.own[facts.own["instrument"] == i], facts.end_ns)
    which = stay_of(found, fills["order_id"], fills["ts_ns"])
    used = (which >= 0) & (later_ns <= facts.end_ns) & bool((facts.prices[i]["mid2"] != NO_PRICE).any())
    some, side = fills[used], fills["side"][used].astype(np.int64)
    then = mids2_at(facts.prices[i], found["from_ns"][which[used]])
    later = mids2_at(facts.prices[i], later_ns[used])
    kept = (side * (later - 2 * some["price_ticks"]) * some["qty_lots"]).astype(float)
    quoted = (side * (then - 2 * some["price_ticks"]) * some["qty_lots"]).astype(float)
    weighed = quoted > 0  # a post-only price stands off the mid; one that does not was told of late, and weighs nothing
    return Placed(some[weighed], quoted[weighed], kept[weighed], len(fills) - int(weighed.sum()))


def capture(facts: Facts, i: int, horizon_s: float, *, level: float = 0.95) -> dict[str, float]:
    """Return the spread capture efficiency of market `i`: value, low, high, fills used, excluded (past the end, or never placed).

    `weight`: Σ quoted half-spread x lots in half ticks x lots, by which the values of several runs are put together.
    """
    made = placed(facts, i, horizon_s)
    low, high = interval(made.fills["ts_ns"], made.kept / made.quoted, made.quoted, round(horizon_s * 1e9), level=level)
    value, weight = ratio(float(made.kept.sum()), float(made.quoted.sum())), float(made.quoted.sum())
    return {"value": value, "low": low, "high": high, "fills": len(made.fills), "excluded": made.excluded, "weight": weight}


def break_even(facts: Facts, i: int, horizon_s: float = CAPTURE_S[-1], *, level: float = 0.95) -> tuple[float, float, float]:
    """Return the half-spread in ticks at which the maker fills of market `i` would have kept nothing and lost nothing: mean, low, high.

    How far the mid went against a fill from its placement to `horizon_s` after it, plus the fee. Who quotes wider is filled by others,
    mostly by those who know more: it is a floor for the next try, not the best width. A rebate can make it negative.
    """
    made = placed(facts, i, horizon_s)
    lots = made.fills["qty_lots"].astype(float)
    fees = made.fills["fee_ticklots"] + made.fills["fee_uticklots"] * 1e-6
    values = ((made.quoted - made.kept) / 2 + fees) / np.maximum(lots, 1)
    low, high = interval(made.fills["ts_ns"], values, lots, round(horizon_s * 1e9), level=level)
    return ratio(float((values * lots).sum()), float(lots.sum())), low, high


def uptime(facts: Facts, i: int, instrument: Instrument, *, within_ticks: int | None = WITHIN_TICKS, qty_min: Any = None) -> float:
    """Return the quoting uptime of market `i`: see above. `qty_min` in base units, None: any size; `within_ticks` None: at any distance.

    Raises InputError for a quantity off the grid.
    """
    least = 1 if qty_min is None else max(1, instrument.lots(qty_min, toward_zero=True))
    found = pieces(facts.own[facts.own["instrument"] == i], facts.end_ns)
    start, end = facts.start_ns, facts.end_ns
    if end <= start:
        return math.nan
    halts = down_ns(facts.states, end)
    moments = [found["from_ns"], found["until_ns"], facts.prices[i]["ts_ns"], np.array([edge for halt in halts for edge in halt], np.int64)]
    edges = np.unique(np.clip(np.concatenate([np.array([start, end]), *moments]), start, end))
    up = (live_lots(_inside(found, start, end), facts.prices[i], within_ticks, edges) >= least).all(axis=0)
    for since, until in halts:
        up &= (edges[:-1] < since) | (edges[:-1] >= until)
    return float(np.diff(edges)[up].sum()) / (end - start)


def _inside(found: np.ndarray, start: int, end: int) -> np.ndarray:
    found = found.copy()
    for name in ("from_ns", "until_ns"):
        found[name] = np.clip(found[name], start, end)
    return found


def order_to_trade(facts: Facts, i: int, fills: int | None = None) -> float:
    """Return requests (new, amend, cancel) a fill of market `i`; with `fills`, up to that many: NaN where the run had fewer.

    Two quoters are compared at as many fills of each: one that is filled less often must not look busier for it.
    """
    mine, made = facts.own[facts.own["instrument"] == i], facts.fills[facts.fills["instrument"] == i]
    asked = mine[np.isin(mine["kind"], (SUBMIT, AMEND, CANCEL))]
    if fills is None:
        return ratio(len(asked), len(made))
    if not 0 < fills <= len(made):
        return math.nan
    until_ns = np.sort(made["ts_ns"])[fills - 1]
    return int((asked["ts_recv_ns"] <= until_ns).sum()) / fills


def quotes(facts: Facts, i: int, instrument: Instrument) -> dict[str, float]:
    """Return count, hit rate, lives and places of the quotes of market `i`, units in the names."""
    found = stays(facts.own[facts.own["instrument"] == i], facts.end_ns)
    hit, ended, lot = found["filled_lots"] > 0, found["ended"] != 0, float(instrument.lot_size)
    low, high = interval(found["from_ns"], hit.astype(float), np.ones(len(found)), _SECOND_NS)
    lives = quantiles_ms("life", (found["until_ns"] - found["from_ns"])[ended] / 1e6)
    waits = quantiles_ms("wait", (found["first_fill_ns"] - found["from_ns"])[hit] / 1e6)
    told = found["ahead_lots"] >= 0
    return {
        "quotes": len(found),
        "quote_hit_rate": ratio(int(hit.sum()), len(found)),
        "quote_hit_rate_low": low,
        "quote_hit_rate_high": high,
        "quote_life_ms_p50": lives["p50_ms"],
        "quote_life_ms_p95": lives["p95_ms"],
        "quote_life_ms_max": lives["max_ms"],
        "quote_to_fill_ms_p50": waits["p50_ms"],
        "quote_to_fill_ms_p95": waits["p95_ms"],
        "ahead_at_placement_base_p50": _median(found["ahead_lots"][told]) * lot,
        "ahead_at_placement_of_filled_base_p50": _median(found["ahead_lots"][told & hit]) * lot,
        "behind_at_fill_base_p50": _median(_behind(facts, i)) * lot,
    }


def _behind(facts: Facts, i: int) -> np.ndarray:
    """Return the lots of others at our price in the moment of each maker fill at the touch: they stood behind us."""
    fills = facts.fills[(facts.fills["instrument"] == i) & (facts.fills["maker"] != 0)]
    bought = fills["side"] > 0
    at_touch = np.where(bought, fills["bid_ticks"], fills["ask_ticks"]) == fills["price_ticks"]
    return np.where(bought, fills["bid_lots"], fills["ask_lots"])[at_touch]


def throughput(facts: Facts, i: int) -> dict[str, float]:
    """Return requests and new orders a second of market `i` over the run, and the busiest second."""
    mine, span_s = facts.own[facts.own["instrument"] == i], (facts.end_ns - facts.start_ns) / 1e9
    asked = mine[np.isin(mine["kind"], (SUBMIT, AMEND, CANCEL))]
    _, counts = np.unique(asked["ts_recv_ns"] // _SECOND_NS, return_counts=True)
    return {
        "requests_per_s": ratio(len(asked), span_s),
        "orders_per_s": ratio(int((asked["kind"] == SUBMIT).sum()), span_s),
        "requests_in_busiest_s": int(counts.max(initial=0)),
    }


def turnover(facts: Facts, i: int, instrument: Instrument) -> dict[str, float]:
    """Return what was traded over what was held on average (time-weighted |position|), in times, and a hour."""
    fills = facts.fills[facts.fills["instrument"] == i]
    held = inventory(fills, instrument, facts.start_ns, facts.end_ns)
    times = float(ratio(held["turnover_base"], held["position_base_abs_mean"]))
    return {"inventory_turnover": times, "inventory_turnover_per_h": ratio(times, (facts.end_ns - facts.start_ns) / 3.6e12)}


def market_quality(
    facts: Facts, i: int, instrument: Instrument, *, within_ticks: int | None = WITHIN_TICKS, qty_min: Any = None
) -> dict[str, float]:
    """Return all measures of market `i` by name, units in the names; `_low` and `_high` are 95 % intervals. Raises InputError."""
    found: dict[str, float] = {}
    for horizon_s in CAPTURE_S:
        one = capture(facts, i, horizon_s)
        name = f"spread_capture_{horizon_s:g}s"
        found |= _with_interval(name, (one["value"], one["low"], one["high"]))
    if not instrument.inverse:  # a fee of an inverse contract is no number of ticks
        found |= _with_interval("break_even_half_spread_ticks", break_even(facts, i))
    found["uptime_share"] = uptime(facts, i, instrument, within_ticks=within_ticks, qty_min=qty_min)
    found["uptime_anywhere_share"] = uptime(facts, i, instrument, within_ticks=None, qty_min=qty_min)
    found["order_to_trade"] = order_to_trade(facts, i)
    return found | quotes(facts, i, instrument) | turnover(facts, i, instrument) | throughput(facts, i)


def _with_interval(name: str, measured: tuple[float, float, float]) -> dict[str, float]:
    """Return a measure and its interval under its name, `_low` and `_high`."""
    return {name: measured[0], f"{name}_low": measured[1], f"{name}_high": measured[2]}


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else math.nan

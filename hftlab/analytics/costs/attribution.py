"""Whose P&L it was: by quoter, instrument, hour, side, and by the market's state (volatility, spread), closed in integers.

By side, hour, instrument and quoter the parts are those of `analytics.facts.pnl`. By the market's state the run is cut into slices of time.
With mid m at the start and m' at the end of a slice, V(x) the worth of a lot, and what was held at its start:

    P&L of a slice = held x (V(m') - V(m)) + Σ s (V(m') - V(p)) - fees - funding       (s lots bought > 0 at p, matched within it)

Slices follow each other and the last one ends at the mark, so that their P&L adds up to the account's to the last unit; where it does
not, AccountingError. A slice stands in the tercile of its realised volatility (root of the sum of squared moves of the mid over the
root of its time; equal values share one), and under its time-weighted spread, to the nearest tick: what the state *was* in the slice, not what could be
known at its start, so that these tables explain a run and predict nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.exact import product, total, value2
from hftlab.analytics.facts.path import HOUR_NS
from hftlab.analytics.facts.pnl import HALF, WHOLE, Identity, Parts
from hftlab.analytics.facts.prices import best_at, mids2_at
from hftlab.errors import AccountingError, InputError, did_you_mean
from hftlab.types import NO_PRICE, PAYMENT

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.report.report import Report

BY = ("quoter", "instrument", "side", "hour", "volatility", "spread")
SLICE_S = 10.0
SLICES_MAX = 20_000
TERCILES = ("calm", "middling", "wild")
_SPREADS = ((1.0, "1 tick"), (2.0, "2 ticks"), (5.0, "3 to 5 ticks"), (np.inf, "more than 5 ticks"))  # to the nearest tick
_FEE_REST, _FUNDING_REST = 200, 2


def attribute_pnl(report: "Report", by: str, *, slice_s: float = SLICE_S) -> "pd.DataFrame":
    """Return the P&L by one of BY as money: parts where they are known, fills, the share of time, and what the parts leave over.

    `residual` is 0 in every row. Raises InputError, and AccountingError when the rows do not add up to the P&L of the report.
    """
    import pandas as pd

    if by not in BY:
        raise InputError(f"by was {by!r}.{did_you_mean(by, BY)} Wanted one of {', '.join(BY)}.")
    if by in {"volatility", "spread"}:
        rows = [row for i, one in enumerate(report.pnl) for row in _by_state(report, i, one, by, slice_s)]
    else:
        rows = [row for i, one in enumerate(report.pnl) for row in _by_parts(report, i, one, by)]
    merged: dict[str, dict[str, Any]] = {}
    for name, row in rows:
        into = merged.setdefault(name, dict.fromkeys(row, 0))
        for key, value in row.items():
            into[key] += value
    _hold_against_total(report, by, [row for _, row in rows])
    rows_of = [{by: name} | row for name, row in merged.items()]
    table = pd.DataFrame(rows_of) if rows_of else pd.DataFrame(columns=[by, "pnl_quote", "fills", "residual"])
    return table.drop(columns=["units", "market"], errors="ignore").set_index(by)


def _hold_against_total(report: "Report", by: str, rows: Sequence[dict[str, Any]]) -> None:
    for i, one in enumerate(report.pnl):
        found = sum(row["units"] for row in rows if row["market"] == i)
        if found != one.total.account:
            raise AccountingError(
                f"{one.instrument.name}: the P&L by {by} adds up to {found:,}, the account has {one.total.account:,} "
                "(1e-8 of half a money unit). An attribution that does not add up is not shown."
            )


def _row(i: int, one: Identity, parts: Parts) -> dict[str, Any]:
    money = {f"{name}_quote": value for name, value in parts.quote(one.instrument.ticklot_quote).items() if name != "account"}
    account = parts.account / WHOLE * one.instrument.ticklot_quote
    return {"pnl_quote": account, **money, "fills": parts.fills, "residual": parts.residual, "units": parts.account, "market": i}


def _by_parts(report: "Report", i: int, one: Identity, by: str) -> list[tuple[str, dict[str, Any]]]:
    if by in {"instrument", "quoter"}:
        name = one.instrument.symbol if by == "instrument" else str(report.accounts[i].get("quoter", "unknown"))
        return [(name, _row(i, one, one.total))]
    if by == "hour":
        hours = {str(np.datetime64(hour * HOUR_NS, "ns").astype("datetime64[h]")): parts for hour, parts in one.hours.items()}
        return [(name, _row(i, one, parts)) for name, parts in hours.items()]
    rows = [("buy" if side > 0 else "sell", _row(i, one, parts)) for side, parts in one.sides.items()]
    if one.total.funding:  # paid for holding, not for a side
        rows.append(("funding", _row(i, one, Parts(funding=one.total.funding, account=-one.total.funding))))
    return rows


def _by_state(report: "Report", i: int, one: Identity, by: str, slice_s: float) -> list[tuple[str, dict[str, Any]]]:
    edges = slice_edges(report.facts.start_ns, report.facts.end_ns, slice_s)
    account, fills = slice_accounts(report, i, one, edges)
    names = _volatility(report.facts.prices[i], edges) if by == "volatility" else _spread(report.facts.prices[i], edges)
    span, unit, rows = edges[-1] - edges[0], one.instrument.ticklot_quote, []
    order = TERCILES if by == "volatility" else tuple(name for _, name in _SPREADS)
    for name in (*order, "unknown"):
        mine = names == name
        if not mine.any():
            continue
        units = sum(account[n] for n in np.flatnonzero(mine).tolist())
        row = {"pnl_quote": units / WHOLE * unit, "time_share": float(np.diff(edges)[mine].sum() / max(span, 1)) / len(report.pnl)}
        rows.append((name, row | {"fills": int(fills[mine].sum()), "residual": 0, "units": units, "market": i}))
    return rows


def slice_edges(start_ns: int, end_ns: int, slice_s: float) -> np.ndarray:
    """Return the edges of slices of `slice_s` (more for a run of more than SLICES_MAX of them), the last one shorter. Raises InputError."""
    if not (np.isfinite(slice_s) and slice_s > 0):
        raise InputError(f"slice_s was {slice_s}; wanted seconds above 0.")
    step = max(round(slice_s * 1e9), -(-(end_ns - start_ns) // SLICES_MAX), 1)
    return np.append(np.arange(start_ns, max(end_ns, start_ns + 1), step, dtype=np.int64), max(end_ns, start_ns + 1))


def slice_accounts(report: "Report", i: int, one: Identity, edges: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return the P&L of each slice in 1e-8 of half a money unit, and its fills. What lies outside the edges counts in the end slices."""
    facts, instrument, slices = report.facts, one.instrument, len(edges) - 1
    fills = facts.fills[facts.fills["instrument"] == i]
    signed = fills["side"].astype(np.int64) * fills["qty_lots"]
    at = np.clip(np.searchsorted(edges, fills["ts_ns"], side="left") - 1, 0, slices - 1)
    mids = mids2_at(facts.prices[i], edges)
    mids[-1] = one.mark_mid2
    known = mids != NO_PRICE
    worth2 = np.where(known, value2(instrument, np.where(known, mids, 2)), 0)
    booked = facts.own[(facts.own["kind"] == PAYMENT) & (facts.own["instrument"] == i)]
    paid_at = np.clip(np.searchsorted(edges, booked["ts_exch_ns"], side="left") - 1, 0, slices - 1)
    account, held = [0] * slices, 0
    order = np.argsort(at, kind="stable")
    cuts = np.searchsorted(at[order], np.arange(slices + 1))
    for n in range(slices):
        mine = order[cuts[n] : cuts[n + 1]]
        account[n] = HALF * held * int(worth2[n + 1] - worth2[n])
        if len(mine):
            lots = signed[mine]
            account[n] += HALF * total(product(lots, worth2[n + 1] - 2 * instrument.value_of(fills["price_ticks"][mine])))
            account[n] -= WHOLE * total(fills["fee_ticklots"][mine]) + _FEE_REST * total(fills["fee_uticklots"][mine])
            held += total(lots)
    for n in np.unique(paid_at).tolist():
        mine = paid_at == n
        account[n] -= WHOLE * total(booked["qty_lots"][mine]) + _FUNDING_REST * total(booked["leaves_lots"][mine])
    return account, np.bincount(at, minlength=slices)


def _volatility(prices: np.ndarray, edges: np.ndarray) -> np.ndarray:
    told = prices[prices["mid2"] != NO_PRICE]
    at = np.searchsorted(edges, told["ts_ns"][1:], side="left") - 1
    inside = (at >= 0) & (at < len(edges) - 1)
    moves = np.diff(told["mid2"]).astype(float)
    power = np.bincount(at[inside], weights=moves[inside] ** 2, minlength=len(edges) - 1)
    rate = power / np.maximum(np.diff(edges), 1)
    low, high = np.quantile(rate, (1 / 3, 2 / 3), method="inverted_cdf")
    names = np.where(rate <= low, TERCILES[0], np.where(rate <= high, TERCILES[1], TERCILES[2]))
    return names if len(told) else np.full(len(edges) - 1, "unknown")


def _spread(prices: np.ndarray, edges: np.ndarray) -> np.ndarray:
    moments = np.unique(np.concatenate([edges, prices["ts_ns"][(prices["ts_ns"] > edges[0]) & (prices["ts_ns"] < edges[-1])]]))
    bid, ask = best_at(prices, moments[:-1])
    known = (bid != NO_PRICE) & (ask != NO_PRICE)
    lasted = np.where(known, np.diff(moments), 0).astype(float)
    at = np.searchsorted(edges, moments[:-1], side="right") - 1
    wide = np.where(known, np.where(known, ask, 0) - np.where(known, bid, 0), 0).astype(float)
    time = np.bincount(at, weights=lasted, minlength=len(edges) - 1)
    mean = np.bincount(at, weights=lasted * wide, minlength=len(edges) - 1) / np.maximum(time, 1)
    bounds, labels = [bound for bound, _ in _SPREADS], np.array([name for _, name in _SPREADS])
    return np.where(time > 0, labels[np.searchsorted(bounds, np.rint(mean))], "unknown")

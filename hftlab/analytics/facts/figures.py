"""Figures of a run beside its P&L: fill ratios, uptime, requests per fill, inventory, latencies, times to a fill."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.journeys import FILLED, REFUSED, between_ms, journeys
from hftlab.analytics.facts.segments import quoted_s, segments, traded_at_our_prices
from hftlab.instrument import Instrument
from hftlab.types import ACCEPTED, AMEND, CANCEL, PAYMENT, SUBMIT

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.5, 0.95, 0.99, 1.0)


def ratio(part: float, whole: float) -> float:
    """Return part / whole, NaN for nothing of nothing."""
    return part / whole if whole else math.nan


def market_figures(facts: Facts, i: int, instrument: Instrument, chunks: Iterable[np.ndarray] | None = None) -> dict[str, Any]:
    """Return the figures of one market, units in the names; `chunks` are rows of the tape, for the share of the queue's volume.

    A fill ratio per order says little of a quoter: it falls with every requote. So there are three: per order, per second in
    which something rested, and per lot that traded at our prices while we rested there.
    """
    found = journeys(facts.own[facts.own["instrument"] == i])
    fills = facts.fills[facts.fills["instrument"] == i]
    sent = facts.own["kind"][facts.own["instrument"] == i]
    rested = segments(facts.own, facts.end_ns)
    rested = rested[rested["instrument"] == i]
    seconds, span_s = quoted_s(rested), (facts.end_ns - facts.start_ns) / 1e9
    lot = float(instrument.lot_size)
    maker_lots = int(fills["qty_lots"][fills["maker"] != 0].sum())
    figures = {
        "orders": len(found),
        "orders_refused": int((found["status"] == REFUSED).sum()),
        "orders_filled_share": ratio(int((found["status"] == FILLED).sum()), len(found)),
        "orders_touched_share": ratio(int((found["fills"] > 0).sum()), len(found)),
        "filled_of_asked_share": ratio(int(found["filled_lots"].sum()), int(found["last_qty_lots"].sum())),
        "fills": len(fills),
        "fills_per_quoted_s": ratio(len(fills), seconds["either"]),
        "filled_base_per_quoted_s": ratio(int(fills["qty_lots"].sum()) * lot, seconds["either"]),
        "quoted_bid_share": ratio(seconds["bid"], span_s),
        "quoted_ask_share": ratio(seconds["ask"], span_s),
        "quoted_both_share": ratio(seconds["both"], span_s),
        "requests": int(np.isin(sent, (SUBMIT, AMEND, CANCEL)).sum()),
        "order_to_trade": ratio(int(np.isin(sent, (SUBMIT, AMEND, CANCEL)).sum()), len(fills)),
        "maker_share": ratio(int((fills["maker"] != 0).sum()), len(fills)),
    }
    if chunks is not None:
        lots = sum(value for (which, _), value in traded_at_our_prices(rested, chunks).items() if which == i)
        figures["traded_at_our_prices_base"] = lots * lot
        figures["filled_of_queue_volume_share"] = ratio(maker_lots, lots)
    return figures | inventory(fills, instrument, facts.start_ns, facts.end_ns)


def inventory(fills: np.ndarray, instrument: Instrument, start_ns: int, end_ns: int) -> dict[str, float]:
    """Return what was held, weighted by time on the exchange's clock from start to end, in base units; `turnover` in base too."""
    order = np.argsort(fills["ts_ns"], kind="stable")
    held = np.concatenate([[0], np.cumsum((fills["side"].astype(np.int64) * fills["qty_lots"])[order])])
    edges = np.concatenate([[start_ns], np.clip(fills["ts_ns"][order], start_ns, end_ns), [end_ns]])
    for_ns = np.maximum(np.diff(edges), 0).astype(float)
    whole, lot = for_ns.sum(), float(instrument.lot_size)
    mean = ratio(float((held * for_ns).sum()), whole)
    return {
        "position_base_mean": mean * lot,
        "position_base_abs_mean": ratio(float((np.abs(held) * for_ns).sum()), whole) * lot,
        "position_base_sd": math.sqrt(max(ratio(float((held.astype(float) ** 2 * for_ns).sum()), whole) - mean**2, 0.0)) * lot,
        "position_base_min": int(held.min()) * lot,
        "position_base_max": int(held.max()) * lot,
        "long_share": ratio(float(for_ns[held > 0].sum()), whole),
        "short_share": ratio(float(for_ns[held < 0].sum()), whole),
        "turnover_base": int(fills["qty_lots"].sum()) * lot,
    }


def inventory_curve(fills: np.ndarray, instrument: Instrument, start_ns: int, end_ns: int, points: int = 2000) -> "pd.DataFrame":
    """Return the position at even steps of time, at most `points`: last, lowest and highest of each step, in base units (index: UTC)."""
    import pandas as pd

    order = np.argsort(fills["ts_ns"], kind="stable")
    ts_ns = np.clip(fills["ts_ns"][order], start_ns, end_ns)
    held = np.concatenate([[0], np.cumsum((fills["side"].astype(np.int64) * fills["qty_lots"])[order])])
    step_ns = max(1_000_000_000, -(-(end_ns - start_ns) // points))
    count = max(1, -(-(end_ns - start_ns) // step_ns))
    ends = start_ns + step_ns * np.arange(1, count + 1)
    last = np.searchsorted(ts_ns, ends, side="right")
    first = np.concatenate([[0], last[:-1]])
    # `first` is the position carried into a step; reduceat wants an end beyond it, which the next position gives.
    low = [int(held[a : b + 1].min()) for a, b in zip(first, last, strict=True)]
    high = [int(held[a : b + 1].max()) for a, b in zip(first, last, strict=True)]
    lot = float(instrument.lot_size)
    index = pd.to_datetime(np.minimum(ends, end_ns), utc=True).rename("ts")
    table = {"position_base": held[last] * lot, "low_base": np.array(low) * lot, "high_base": np.array(high) * lot}
    return pd.DataFrame(table, index=index)


def latencies(facts: Facts) -> "pd.DataFrame":
    """Return how long things took, read from the rows themselves: count and quantiles in milliseconds.

    Entry: from our decision to the exchange's acceptance. Cancel: likewise. Response: from the exchange's act to our knowing. To a
    fill: from acceptance, and from the decision, to the first fill, for orders that had one.
    """
    import pandas as pd

    found = journeys(facts.own)
    reports = facts.own[(facts.own["kind"] >= ACCEPTED) & (facts.own["kind"] < PAYMENT)]
    stages = {
        "entry": between_ms(found, "decided_ns", "accepted_ns"),
        "cancel": between_ms(found, "cancel_ns", "done_ns"),
        "response": (reports["ts_recv_ns"] - reports["ts_exch_ns"]) / 1e6,
        "acceptance to first fill": between_ms(found, "accepted_ns", "first_fill_ns"),
        "decision to first fill": between_ms(found, "decided_ns", "first_fill_ns"),
        "life of an order": between_ms(found, "accepted_ns", "done_ns"),
    }
    return pd.DataFrame([quantiles_ms(name, values) for name, values in stages.items()]).set_index("stage")


def quantiles_ms(name: str, values: np.ndarray) -> dict[str, Any]:
    """Return name, count, median, 95 %, 99 % and largest of the values that are numbers."""
    known = values[np.isfinite(values)]
    found = np.quantile(known, QUANTILES) if len(known) else np.full(len(QUANTILES), math.nan)
    return {"stage": name, "count": len(known)} | dict(zip(("p50_ms", "p95_ms", "p99_ms", "max_ms"), map(float, found), strict=True))


def status_counts(facts: Facts, names: Sequence[str]) -> dict[str, int]:
    """Return how many orders ended how."""
    status = journeys(facts.own)["status"]
    return {name: int((status == n).sum()) for n, name in enumerate(names)}

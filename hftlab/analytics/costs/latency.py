"""What latency cost a run, and what to do about it: its stages, and the fills that came while a move of ours was on its way.

A fill is late when a request to move or cancel its order had been sent and the exchange had not acted on it yet: a faster line would have
changed it. What late fills kept against what the others kept is what latency cost; the difference has a block-bootstrap interval as far
as each side has one. `latency_advice` speaks of a live desk and its machine; this reads a report, of a backtest or of a session.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.costs.advice import HOP_MS, NOTHING, StageAdvice
from hftlab.analytics.costs.tca import spreads
from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.path import HORIZONS_NS, HORIZONS_S
from hftlab.analytics.markouts.markouts import interval
from hftlab.types import AMEND, AMENDED, CANCEL, CANCEL_REJECTED, CANCELED, REJECTED

if TYPE_CHECKING:
    from hftlab.analytics.report.report import Report

LATE_K = HORIZONS_S.index(1.0)
TAIL = 5.0  # a p99 beyond so many medians is a tail of its own
MUCH = 0.1  # a share of late fills that is worth an effort
STAGES = {"entry": "order to the venue", "cancel": "cancel to the venue", "response": "report back to us"}


@dataclass(frozen=True, slots=True)
class Late:
    """Maker fills while a move of ours was on its way, and the others: counts, and what each kept 1 s later in ticks a lot (mean, low, high)."""

    late: int
    others: int
    late_ticks: tuple[float, float, float]
    other_ticks: tuple[float, float, float]

    @property
    def share(self) -> float:
        """Return the share of maker fills that were late, NaN without any."""
        return self.late / (self.late + self.others) if self.late + self.others else math.nan


def in_flight(facts: Facts) -> np.ndarray:
    """Return for each fill whether a request to move or cancel its order was on its way at the match (bool)."""
    own, fills = facts.own, facts.fills
    asked = own[np.isin(own["kind"], (AMEND, CANCEL))]
    # A REJECTED of an order that rests answers an amend; of one that does not, its submit: there is no fill then.
    answered = own[np.isin(own["kind"], (AMENDED, CANCELED, CANCEL_REJECTED, REJECTED))]
    open_requests = _count(asked["order_id"], asked["ts_recv_ns"], fills) - _count(answered["order_id"], answered["ts_exch_ns"], fills)
    return np.asarray(open_requests > 0)


def _count(order_id: np.ndarray, ts_ns: np.ndarray, fills: np.ndarray) -> np.ndarray:
    """Return for each fill how many of some rows are of its order and at or before its match."""
    ids = np.unique(np.concatenate([order_id, fills["order_id"]]))
    times, place = np.unique(np.concatenate([ts_ns, fills["ts_ns"]]), return_inverse=True)
    size = max(len(times), 1)
    key = np.sort(np.searchsorted(ids, order_id) * size + place[: len(order_id)])
    mine = np.searchsorted(ids, fills["order_id"]) * size
    return np.searchsorted(key, mine + place[len(order_id) :], side="right") - np.searchsorted(key, mine, side="left")


def late_fills(facts: Facts) -> Late:
    """Return how many maker fills were late, and what these and the others kept a second later."""
    fills, moving = facts.fills, in_flight(facts)
    _, realised, _ = spreads(fills)
    maker = fills["maker"] != 0
    kept = [_kept(fills, realised[:, LATE_K] / 2, maker & which) for which in (moving, ~moving)]
    return Late(int((maker & moving).sum()), int((maker & ~moving).sum()), kept[0], kept[1])


def _kept(fills: np.ndarray, ticks: np.ndarray, mine: np.ndarray) -> tuple[float, float, float]:
    used = mine & (fills["past_end"][:, LATE_K] == 0)
    weights = fills["qty_lots"][used].astype(float)
    if not len(weights):
        return math.nan, math.nan, math.nan
    low, high = interval(fills["ts_ns"][used], ticks[used], weights, HORIZONS_NS[LATE_K])
    return float(np.average(ticks[used], weights=weights)), low, high


def advise_report(report: "Report") -> list[StageAdvice]:
    """Return the stages of a report's orders and what to do about each; the last is what late fills say of all of them."""
    table = report.latency()
    assumed = report.origin is not None
    typical = {name: float(table.loc[name, "p50_ms"]) for name in STAGES}
    whole = sum(abs(ms) for ms in typical.values() if math.isfinite(ms))
    found = []
    for name, title in STAGES.items():
        p50_ms, p99_ms = typical[name], float(table.loc[name, "p99_ms"])
        share = abs(p50_ms) / whole if whole and math.isfinite(p50_ms) else 0.0
        found.append(StageAdvice(title, p50_ms, p99_ms, share, _stage(name, p50_ms, p99_ms, assumed=assumed)))
    return [
        *found,
        StageAdvice("fills while a move was on its way", math.nan, math.nan, 0.0, _late(late_fills(report.facts), assumed=assumed)),
    ]


def _stage(name: str, p50_ms: float, p99_ms: float, *, assumed: bool) -> str:
    if not math.isfinite(p50_ms):
        return "not measured: none was sent" if name != "response" else "not measured: nothing was reported"
    if p50_ms < 0:
        return "set the clock first: a time below zero says that ours and the venue's differ (chrony or systemd-timesyncd)"
    if p50_ms > HOP_MS:
        where = "assumed at" if assumed else "took"
        return f"{where} more than {HOP_MS:g} ms, which is distance or a busy venue: run in the venue's region"
    if p99_ms > TAIL * max(p50_ms, 1e-3) and p99_ms > 1.0:
        return (
            f"one in a hundred takes {p99_ms / max(p50_ms, 1e-3):,.0f} times the typical time: look for bursts (request limits, a shared machine), "
            "and run the backtest with the recorded latencies (hl.Latency(recorded=report.round_trips()))"
        )
    return NOTHING


def _late(late: Late, *, assumed: bool) -> str:
    if not late.late + late.others:
        return "no maker fills"
    if not late.late:
        return f"none of {late.others:,} maker fills: {NOTHING}"
    said = (
        f"{late.late:,} of {late.late + late.others:,} maker fills ({late.share:.0%}); they kept {_ticks(late.late_ticks)} a lot after 1 s, "
        f"the others {_ticks(late.other_ticks)}. "
    )
    sure = late.late_ticks[2] < late.other_ticks[1]  # the intervals do not meet; without intervals nothing is sure
    if late.share < MUCH:
        return said + "They are few: a faster line would change little."
    if sure:
        return (
            said
            + "A faster line, or a wider quote while the market moves, is worth it"
            + (": report.sensitivity({1: {'latency': hl.Latency(order_ms=1)}, …}) says how much." if assumed else ".")
        )
    return said + "The intervals do not tell them apart: a longer run says whether speed is worth paying for."


def _ticks(kept: tuple[float, float, float]) -> str:
    value, low, high = kept
    if not math.isfinite(value):
        return "–"
    return f"{value:+.2f} ticks [{low:+.2f}, {high:+.2f}]" if math.isfinite(low) else f"{value:+.2f} ticks (too few for an interval)"

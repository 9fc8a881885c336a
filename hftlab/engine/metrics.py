"""Figures of an engine for machines: counters, rates over the last seconds, and the text that Prometheus reads.

Names follow Prometheus: `hftlab_<what>_<base unit>`, counters end in `_total`, one time series a market where a market has its own.
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hftlab.data.frame import Frame
from hftlab.types import DESK_STATE_NAMES, STATUS_NAMES, VALIDITY_NAMES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WINDOW_S = 10.0
# Name, type, meaning. A frame's `engine` figure may be absent: then its series is.
GAUGES = {
    "hftlab_up": "1 while the engine publishes",
    "hftlab_healthy": "1 while /health is ok",
    "hftlab_frame_age_seconds": "age of the last published frame",
    "hftlab_loop_gap_seconds": "longest gap between two turns of the loop in the last 5 s",
    "hftlab_tick_to_request_p50_seconds": "processor time from rows to requests, median",
    "hftlab_tick_to_request_p99_seconds": "processor time from rows to requests, 99th percentile",
    "hftlab_feed_lag_seconds": "time from the exchange to us of the last message",
    "hftlab_clock_offset_seconds": "our clock against the venue's",
    "hftlab_journal_unsynced_rows": "rows of the journal that are not on the disk yet",
    "hftlab_journal_overdue_seconds": "for how long the disk owes rows that it was asked for",
    "hftlab_pnl_quote": "P&L since the start after fees, marked to fair, settlement currency",
    "hftlab_pnl_day_quote": "P&L since midnight UTC",
    "hftlab_drawdown_quote": "loss from the peak",
    "hftlab_watchers": "open WebSocket streams",
    "hftlab_process_resident_memory_bytes": "resident memory of the engine process",
}
MARKET_GAUGES = {
    "hftlab_position_base": "position in base units",
    "hftlab_open_orders": "orders working or in flight",
    "hftlab_unknown_orders": "orders of unknown fate",
    "hftlab_feed_age_seconds": "age of the book, session time",
    "hftlab_book_valid": "1 while the book may be trusted",
    "hftlab_fair_price": "fair price, quote currency",
    "hftlab_vpin_ratio": "toxicity of the flow, 0 to 1",
    "hftlab_spread_price": "best ask less best bid, quote currency",
}
COUNTERS = {
    "hftlab_rows": "rows of the journal",
    "hftlab_submits": "orders submitted",
    "hftlab_amends": "orders amended",
    "hftlab_cancels": "orders cancelled",
    "hftlab_rejects": "orders that the venue refused",
    "hftlab_commands": "command rows",
    "hftlab_door_refused": "calls that the door refused at its gate",
    "hftlab_audit_lines": "lines of the audit trail written by this process",
    "hftlab_process_cpu_seconds": "processor time of the engine process",
}
MARKET_COUNTERS = {
    "hftlab_messages": "market messages",
    "hftlab_trades": "public prints",
    "hftlab_gaps": "gaps in the feed",
    "hftlab_fills": "fills of ours",
}
LABELLED = {
    "hftlab_state": ("state", "1 for the state that the desk is in"),
    "hftlab_limit_used_ratio": ("market, limit", "share of a limit that is used"),
    "hftlab_refusals_total": ("reason", "requests that the risk gate refused"),
    "hftlab_stream_up": ("stream", "1 while a stream of the venue is up"),
}


def metric_names() -> set[str]:
    """Return every name that `/metrics` may show, as Prometheus writes them."""
    counters = {f"{name}_total" for name in (*COUNTERS, *MARKET_COUNTERS)}
    return {*GAUGES, *MARKET_GAUGES, *counters, *LABELLED}


def counts(frame: Frame) -> dict[str, int]:
    """Return what only grows: rows, messages, requests, fills."""
    desk, markets = frame.desk, frame.markets
    return {
        "rows": int(desk["rows"]),
        "messages": int(markets["messages"].sum()),
        "requests": int(desk["submits"] + desk["amends"] + desk["cancels"]),
        "fills": int(markets["fills_count"].sum()),
    }


class Rates:
    """How fast counts grow, over the last WINDOW_S seconds of frames."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, dict[str, int]]] = deque()

    def see(self, frame: Frame) -> None:
        """Take note of a frame; older ones than the window go. Call it about once a second."""
        if self._seen and frame.published_ns <= self._seen[-1][0]:
            return
        self._seen.append((frame.published_ns, counts(frame)))
        while len(self._seen) > 2 and self._seen[1][0] < frame.published_ns - int(WINDOW_S * 1e9):
            self._seen.popleft()

    def per_s(self, name: str) -> float:
        """Return a rate; 0.0 before two frames were seen."""
        if len(self._seen) < 2:
            return 0.0
        (first_ns, before), (last_ns, after) = self._seen[0], self._seen[-1]
        return (after[name] - before[name]) / ((last_ns - first_ns) / 1e9)


class _Collected:
    """Hands families made elsewhere to Prometheus' writer of text."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield from self._families


def text_of(frame: Frame, more: dict[str, float]) -> bytes:
    """Return the text for Prometheus. `more` holds what the frame does not know, by metric name: health, age, the door's own counts."""
    registry = CollectorRegistry()
    registry.register(_Collected([*_desk(frame, more), *_markets(frame), *_labelled(frame)]))
    return generate_latest(registry)


def _desk(frame: Frame, more: dict[str, float]) -> Iterator[Metric]:
    engine, desk = frame.engine, frame.desk
    tick, journal = engine.get("tick_us") or {}, engine.get("journal") or {}
    process = psutil.Process()
    values: dict[str, Any] = {
        "hftlab_loop_gap_seconds": _scaled(engine.get("loop_gap_ms"), 1e-3),
        "hftlab_tick_to_request_p50_seconds": _scaled(tick.get("p50"), 1e-6),
        "hftlab_tick_to_request_p99_seconds": _scaled(tick.get("p99"), 1e-6),
        "hftlab_feed_lag_seconds": _scaled(engine.get("feed_lag_ms"), 1e-3),
        "hftlab_clock_offset_seconds": _scaled(engine.get("clock_offset_ms"), 1e-3),
        "hftlab_journal_unsynced_rows": journal.get("unsynced_rows"),
        "hftlab_journal_overdue_seconds": journal.get("overdue_s"),
        "hftlab_pnl_quote": float(desk["pnl_quote"]),
        "hftlab_pnl_day_quote": float(desk["pnl_quote"] - desk["day_open_pnl_quote"]),
        "hftlab_drawdown_quote": float(desk["drawdown_quote"]),
        "hftlab_process_resident_memory_bytes": process.memory_info().rss,
        "hftlab_rows": int(desk["rows"]),
        "hftlab_process_cpu_seconds": sum(process.cpu_times()[:2]),
    } | {f"hftlab_{name}": int(desk[name]) for name in ("submits", "amends", "cancels", "rejects", "commands")}
    values |= more
    for name, what in GAUGES.items():
        if values.get(name) is not None and math.isfinite(values[name]):
            yield GaugeMetricFamily(name, what, value=values[name])
    for name, what in COUNTERS.items():
        if values.get(name) is not None:
            yield CounterMetricFamily(name, what, value=values[name])


def _markets(frame: Frame) -> Iterator[Metric]:
    gauges = {name: GaugeMetricFamily(name, what, labels=["market"]) for name, what in MARKET_GAUGES.items()}
    counters = {name: CounterMetricFamily(name, what, labels=["market"]) for name, what in MARKET_COUNTERS.items()}
    for i, instrument in enumerate(frame.instruments):
        market = frame.markets[i]
        bid, ask = frame.touch(i)
        lost = int((market["orders"]["status"] == STATUS_NAMES.index("unknown")).sum())
        values = {
            "hftlab_position_base": frame.position(i),
            "hftlab_open_orders": int(market["working"]),
            "hftlab_unknown_orders": lost,
            "hftlab_feed_age_seconds": feed_age_s(frame, i),
            "hftlab_book_valid": int(frame.validity(i) == VALIDITY_NAMES[0]),
            "hftlab_fair_price": frame.fair(i),
            "hftlab_vpin_ratio": frame.toxicity(i),
            "hftlab_spread_price": ask - bid,
        }
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                gauges[name].add_metric([instrument.name], float(value))
        for name, field in zip(MARKET_COUNTERS, ("messages", "trades", "gaps", "fills_count"), strict=True):
            counters[name].add_metric([instrument.name], int(market[field]))
    yield from gauges.values()
    yield from counters.values()


def _labelled(frame: Frame) -> Iterator[Metric]:
    state = GaugeMetricFamily("hftlab_state", LABELLED["hftlab_state"][1], labels=["state"])
    for name in DESK_STATE_NAMES:
        state.add_metric([name], int(frame.state == name))
    used = GaugeMetricFamily("hftlab_limit_used_ratio", LABELLED["hftlab_limit_used_ratio"][1], labels=["market", "limit"])
    for i, instrument in enumerate(frame.instruments):
        for gauge in frame.gauges(i):
            if math.isfinite(gauge.share):
                used.add_metric([instrument.name, gauge.name], gauge.share)
    refused = CounterMetricFamily("hftlab_refusals", LABELLED["hftlab_refusals_total"][1], labels=["reason"])
    for reason, count in frame.refusals().items():
        refused.add_metric([reason], count)
    streams = GaugeMetricFamily("hftlab_stream_up", LABELLED["hftlab_stream_up"][1], labels=["stream"])
    for one in frame.engine.get("streams") or []:
        streams.add_metric([str(one["name"])], int(bool(one["up"])))
    yield from (state, used, refused, streams)


def feed_age_s(frame: Frame, i: int) -> float | None:
    """Return how old the book of market `i` is in session time, None before its first message."""
    last_ns = int(frame.markets[i]["last_recv_ns"])
    return max(0.0, (frame.now_ns - last_ns) / 1e9) if last_ns else None


def _scaled(value: Any, factor: float) -> float | None:
    return None if value is None else float(value) * factor

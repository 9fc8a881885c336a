"""What in a published frame is worth an alert: rules from frames to conditions. They read no clock and no file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hftlab.config import AlertsSection
from hftlab.data.frame import Frame, Gauge

INFO, WARN, ERROR = "info", "warn", "error"
_STATES = {"HALTED": ERROR, "REDUCING": WARN, "WIDEN": WARN, "PAUSED": INFO}
_EASED = 0.9  # a gauge that came to its mark is over only below this share of the mark: no flicker at the edge
# These are of one order or one moment, or budgets that are meant to be used up; at their limit for so long they are worth a word.
_BRIEF = frozenset(("open orders", "request budget used", "risk per trade", "share of a minute's volume", "share of the book", "sweep"))
_LATENCY = frozenset(("feed latency", "order round trip"))
_FLOW_HOLD_S = 5.0
_BRIEF_HOLD_S = 2.0  # for what may jump for one message


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so. `key` tells one from another; an `event` happened at one moment and cannot be over."""

    key: str
    kind: str  # risk, latency, connectivity, health, fills
    level: str
    text: str
    market: int | None = None
    event: bool = False


class Rules:
    """The rules of one run. `look` is told the frames in order, and remembers since when something has been so."""

    def __init__(self, section: AlertsSection) -> None:
        self._section = section
        self._since: dict[str, int] = {}  # key -> wall clock ns
        self._looked: set[str] = set()
        self._marked: set[str] = set()
        self._fills: list[int] = []
        self._said: list[dict[str, Any]] = []

    def look(self, frame: Frame, wall_ns: int) -> list[Condition]:
        """Return what is so in this frame, looked at at `wall_ns` (UTC), of the kinds that are asked for."""
        self._looked = set()
        found = [
            *self._risk(frame, wall_ns),
            *self._orders(frame, wall_ns),
            *self._latency(frame, wall_ns),
            *self._books(frame, wall_ns),
            *self._links(frame, wall_ns),
            *self._health(frame, wall_ns),
            *self._new_fills(frame),
        ]
        for key in self._since.keys() - self._looked:
            del self._since[key]
        return [one for one in found if one.kind in self._section.kinds]

    def _held_s(self, key: str, wall_ns: int) -> float:
        """Return for how long `key` has been so, which it is now."""
        self._looked.add(key)
        return (wall_ns - self._since.setdefault(key, wall_ns)) / 1e9

    # --- risk ---
    def _risk(self, frame: Frame, wall_ns: int) -> Iterator[Condition]:
        if frame.state in _STATES:
            why = f": {frame.state_reason}" if frame.state_reason else ""
            yield Condition("state", "risk", _STATES[frame.state], f"the desk is {frame.state}{why}")
        told: set[tuple[str, float, float]] = set()
        for i, instrument in enumerate(frame.instruments):
            for gauge in frame.gauges(i):
                # What holds for the whole desk is told by every market in the same words.
                if (gauge.name, gauge.amount, gauge.limit) in told:
                    continue
                told.add((gauge.name, gauge.amount, gauge.limit))
                yield from self._gauge(gauge, i, instrument.symbol, wall_ns)

    def _gauge(self, gauge: Gauge, market: int, symbol: str, wall_ns: int) -> Iterator[Condition]:
        key = f"limit {gauge.name} {market}"
        flow = gauge.name in _BRIEF or gauge.name in _LATENCY
        mark = 1.0 if flow else self._section.limit_share
        if not gauge.share >= mark * (_EASED if key in self._marked else 1.0):  # also when it is no number
            self._marked.discard(key)
            return
        self._marked.add(key)
        if flow and self._held_s(key, wall_ns) < _FLOW_HOLD_S:
            return
        level = ERROR if gauge.share >= 1.0 and not flow else WARN
        text = f"{symbol}: {gauge.name} is at {gauge.share:.0%} of its limit ({abs(gauge.amount):,.6g} of {gauge.limit:,.6g} {gauge.unit})"
        yield Condition(key, "latency" if gauge.name in _LATENCY else "risk", level, text.replace(" )", ")"), market)

    def _orders(self, frame: Frame, wall_ns: int) -> Iterator[Condition]:
        for i, instrument in enumerate(frame.instruments):
            for order in frame.orders(i):
                key = f"order {order.order_id} {i}"
                if order.status == "unknown" and (age_s := self._held_s(key, wall_ns)) > self._section.unknown_s_max:
                    what = f"{instrument.symbol}: the venue has not told for {age_s:.0f} s what became of order {order.order_id}"
                    yield Condition(key, "risk", ERROR, f"{what} ({order.leaves:g} at {order.price:g})", i)

    # --- latency ---
    def _latency(self, frame: Frame, wall_ns: int) -> Iterator[Condition]:
        section, engine = self._section, frame.engine
        lag_ms, gap_ms = engine.get("feed_lag_ms"), engine.get("loop_gap_ms")
        if lag_ms is not None and lag_ms > section.feed_lag_ms_max and self._held_s("feed lag", wall_ns) >= _BRIEF_HOLD_S:
            yield Condition("feed lag", "latency", WARN, f"market data come {lag_ms:,.0f} ms late (mark: {section.feed_lag_ms_max:g} ms)")
        if gap_ms is not None and gap_ms > section.loop_gap_ms_max:
            yield Condition(
                "loop gap", "latency", WARN, f"the engine's loop stood still for {gap_ms:,.0f} ms (mark: {section.loop_gap_ms_max:g} ms)"
            )

    # --- connectivity ---
    def _books(self, frame: Frame, wall_ns: int) -> Iterator[Condition]:
        section = self._section
        for i, instrument in enumerate(frame.instruments):
            market = frame.markets[i]
            age_s = (frame.now_ns - int(market["last_recv_ns"])) / 1e9
            if int(market["messages"]) and age_s > section.feed_stale_s and frame.state != "STOPPED":
                yield Condition(f"stale {i}", "connectivity", WARN, f"{instrument.symbol}: no market data for {age_s:.0f} s", i)
            validity = frame.validity(i)
            if validity != "valid" and self._held_s(f"book {i}", wall_ns) > section.feed_stale_s:
                yield Condition(f"book {i}", "connectivity", WARN, f"{instrument.symbol}: the book is not usable ({validity})", i)

    def _links(self, frame: Frame, wall_ns: int) -> Iterator[Condition]:
        for stream in frame.engine.get("streams", ()):
            key = f"stream {stream['name']}"
            if not stream["up"] and self._held_s(key, wall_ns) >= _BRIEF_HOLD_S:
                yield Condition(key, "connectivity", WARN, f"{stream['name']} is down{_note(stream)}")
        for gateway in frame.engine.get("gateways", ()):
            # A venue that is still being signed in has no more than its name.
            down = gateway.get("down") or not gateway.get("stream_up", True)
            key = f"gateway {gateway['venue']}"
            if down and self._held_s(key, wall_ns) >= _BRIEF_HOLD_S:
                what = "does not answer" if gateway.get("down") else "sends no reports of our orders"
                yield Condition(key, "connectivity", ERROR, f"{gateway['venue']} {what}")

    # --- health ---
    def _health(self, frame: Frame, wall_ns: int) -> Iterator[Condition]:
        section = self._section
        silent_s = (wall_ns - frame.published_ns) / 1e9
        if silent_s > section.silent_s:
            yield Condition("silent", "health", ERROR, f"the engine has published nothing for {silent_s:.0f} s")
        offset_ms = frame.engine.get("clock_offset_ms")
        if offset_ms is not None and abs(offset_ms) > section.clock_offset_ms_max:
            yield Condition("clock", "health", WARN, f"this machine's clock is {offset_ms:+,.0f} ms off the venue's")
        said = list(frame.engine.get("messages", ()))
        new, self._said = _new(self._said, said), said
        for message in new:
            if message["level"] == "error" and not str(message["text"]).startswith("desk is "):  # that is the rule of states
                yield Condition(f"said {message['text']}", "health", ERROR, str(message["text"]), event=True)

    def _new_fills(self, frame: Frame) -> Iterator[Condition]:
        counts = [int(market["fills_count"]) for market in frame.markets]
        for i, (before, now) in enumerate(zip(self._fills or counts, counts, strict=True)):
            if now > before:
                text = f"{frame.instruments[i].symbol}: {now - before} fills, the position is {frame.position(i):g}"
                yield Condition(f"fills {i}", "fills", INFO, text.replace("1 fills", "1 fill"), i, event=True)
        self._fills = counts


def _note(stream: dict[str, Any]) -> str:
    return f": {stream['note']}" if stream.get("note") else ""


def _new(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was added to a list that loses its first as it grows. By place: two messages may bear one time, or a later one an earlier."""
    kept = next(k for k in range(min(len(before), len(now)), -1, -1) if before[len(before) - k :] == now[:k])
    return now[kept:]

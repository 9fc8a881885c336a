"""From conditions to alerts: one message when something begins, one when it is over, and not a flood when it flickers."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hftlab.config import AlertsSection
from hftlab.engine.alert_rules import INFO, Condition

RANK = {"info": 0, "warn": 1, "error": 2}
_SETTLE_NS = 3_000_000_000  # what is gone for less is not over
_MINUTE_NS = 60_000_000_000
_EVENTS_MAX = 500  # keys of events that are remembered for their quiet time


@dataclass(frozen=True, slots=True)
class Alert:
    """One line of alerts.jsonl. `sent` says whether it went to the channels."""

    ts_ns: int
    level: str
    kind: str
    key: str
    text: str
    market: int | None = None
    resolved: bool = False
    sent: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(slots=True)
class _Told:
    """What is known of a key: as it was last seen, whether people know of it, and when they were told."""

    condition: Condition
    began_ns: int
    seen_ns: int
    open: bool = False  # told, and not yet told to be over
    told_ns: int = 0
    told_rank: int = -1
    times: int = 0  # how often it began since people were told


class Book:
    """Keeps what was told. `update` is called with everything that is so at a moment; times are wall clock, ns UTC."""

    def __init__(self, section: AlertsSection) -> None:
        self._section = section
        self._quiet_ns = int(section.quiet_s * 1e9)
        self._told: dict[str, _Told] = {}
        self._sent: deque[int] = deque()
        self._held_back = 0

    def update(self, conditions: Iterable[Condition], now_ns: int) -> list[Alert]:
        """Return what people are to be told now: to be written down, and where `sent` to go to the channels."""
        alerts = [alert for one in conditions for alert in self._seen(one, now_ns)]
        alerts += [alert for key in list(self._told) for alert in self._gone(key, now_ns)]
        return [*self._summary(now_ns), *alerts]

    def _seen(self, one: Condition, now_ns: int) -> Iterator[Alert]:
        told = self._told.get(one.key)
        if told is None:
            told = self._told[one.key] = _Told(one, now_ns, 0)
        if one.event or now_ns - told.seen_ns > _SETTLE_NS:
            told.began_ns, told.times = now_ns, told.times + 1
        told.condition, told.seen_ns = one, now_ns
        worse = RANK[one.level] > told.told_rank
        # A second halt is news however soon it comes; fills are told together by whoever counts them.
        unhushed = one.kind == "fills" or (one.kind == "risk" and one.level == "error")
        quiet = told.told_ns and now_ns - told.told_ns < self._quiet_ns and not unhushed
        if (told.open and not worse) or (quiet and not worse):
            return
        again = f" ({told.times} times since the last message)" if told.times > 1 else ""
        told.open, told.told_ns, told.told_rank, told.times = not one.event, now_ns, RANK[one.level], 0
        yield self._alert(one, one.level, one.text + again, now_ns)

    def _gone(self, key: str, now_ns: int) -> Iterator[Alert]:
        told = self._told[key]
        if now_ns - told.seen_ns <= _SETTLE_NS:
            return
        if told.open:
            told.open = False
            lasted_s = (told.seen_ns - told.began_ns) / 1e9
            was = RANK[told.condition.level] >= RANK[self._section.level]
            yield self._alert(told.condition, INFO, f"over after {lasted_s:.0f} s: {told.condition.text}", now_ns, resolved=True, send=was)
        elif now_ns - told.told_ns >= self._quiet_ns or len(self._told) > _EVENTS_MAX:
            del self._told[key]

    def _alert(self, one: Condition, level: str, text: str, now_ns: int, *, resolved: bool = False, send: bool | None = None) -> Alert:
        wanted = RANK[level] >= RANK[self._section.level] if send is None else send
        sent = wanted and self._may_send(now_ns, urgent=level == "error")
        self._held_back += wanted and not sent
        return Alert(now_ns, level, one.kind, one.key, text, one.market, resolved, sent)

    def _may_send(self, now_ns: int, *, urgent: bool) -> bool:
        """Take one message of the minute's budget; its last quarter is kept for errors."""
        while self._sent and now_ns - self._sent[0] >= _MINUTE_NS:
            self._sent.popleft()
        budget = self._section.per_min_max
        if len(self._sent) >= (budget if urgent else max(1, budget - budget // 4)):
            return False
        self._sent.append(now_ns)
        return True

    def _summary(self, now_ns: int) -> Iterator[Alert]:
        if self._held_back and self._may_send(now_ns, urgent=False):
            text = f"{self._held_back} more alerts were held back; they are in alerts.jsonl of the run"
            self._held_back = 0
            yield Alert(now_ns, "warn", "health", "held back", text, sent=True)

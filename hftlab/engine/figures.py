"""What the engine knows of itself and shows beside the state: pace, delays, and what happened in words."""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from hftlab.data.frame import GRADE_NAMES, reason_text
from hftlab.data.state import State
from hftlab.secret import scrub
from hftlab.types import CHANGES, DESK_STATE_NAMES, NO_HALTED, TIMER, VALIDITY_NAMES, VERDICT_NAMES

_EDGES_US = np.geomspace(1.0, 1e5, 41)
_MESSAGES = 60
_GAP_WINDOW_NS = 5_000_000_000


class Figures:
    """Collects figures of one engine process. Times come in as arguments: it reads no clock."""

    def __init__(self, **fixed: Any) -> None:
        self._fixed = fixed
        self._counts = np.zeros(len(_EDGES_US) + 1, np.int64)
        self._gaps: deque[tuple[int, int]] = deque()
        self.gap_ns_max = 0
        self._rows: deque[tuple[int, int]] = deque()
        self._messages: deque[dict[str, Any]] = deque(maxlen=_MESSAGES)
        self._lag_ms = float("nan")
        self._seen: tuple[Any, ...] | None = None
        self.turns = 0
        self.more: Callable[[], dict[str, Any]] = dict  # what a live session adds: streams, gateway, divergence

    def turn(self, start_ns: int, gap_ns: int, rows: int) -> None:
        """Note one turn of the loop: when, how long after the one before, and with how many rows."""
        self.turns += 1
        self.gap_ns_max = max(self.gap_ns_max, gap_ns)
        while self._gaps and self._gaps[-1][1] <= gap_ns:
            self._gaps.pop()
        self._gaps.append((start_ns, gap_ns))
        while self._gaps[0][0] < start_ns - _GAP_WINDOW_NS:
            self._gaps.popleft()
        if rows:
            self._rows.append((start_ns, rows))
        while self._rows and self._rows[0][0] < start_ns - 1_000_000_000:
            self._rows.popleft()

    def came(self, wall_ns: int, rows: int) -> None:
        """Note rows that came between turns."""
        self._rows.append((wall_ns, rows))

    def decided(self, took_ns: int) -> None:
        """Note the processor time from rows to requests of one turn that sent any."""
        self._counts[int(np.searchsorted(_EDGES_US, took_ns / 1e3))] += 1

    def lag(self, rows: np.ndarray) -> None:
        """Note how long the last market rows took from the exchange to us."""
        market = rows[rows["kind"] < TIMER]
        if len(market):
            self._lag_ms = float(market["ts_recv_ns"][-1] - market["ts_exch_ns"][-1]) / 1e6

    def say(self, now_ns: int, text: str, level: str = "info") -> dict[str, Any]:
        """Add a message for the screen and return it."""
        message = {"ts_ns": now_ns, "level": level, "text": scrub(text)}  # a screen is seen by more people than a log
        self._messages.append(message)
        return message

    def watch(self, state: State, now_ns: int) -> list[dict[str, Any]]:
        """Say in words what changed since the last look: state, validity of books, refusals."""
        desk = state.desk[0]
        now = (
            int(desk["changes_count"]),
            tuple(int(v) for v in state.markets["validity"]),
            tuple(int(v) for v in desk["verdicts"][: len(VERDICT_NAMES)]),
        )
        before, self._seen = self._seen, now
        if before is None:
            return []
        said = [self._say_change(state, n) for n in range(max(before[0], now[0] - CHANGES), now[0])]
        for i, (old, new) in enumerate(zip(before[1], now[1], strict=True)):
            if old != new:
                name = state.instruments[i].symbol
                said.append(self.say(now_ns, f"{name}: book {VALIDITY_NAMES[new]}", "warn" if new else "info"))
        for verdict, (old, new) in enumerate(zip(before[2], now[2], strict=True)):
            if old == 0 and new > 0 and verdict != NO_HALTED:
                said.append(self.say(now_ns, f"first refusal: {VERDICT_NAMES[verdict]}", "warn"))
        return said

    def _say_change(self, state: State, n: int) -> dict[str, Any]:
        change = state.desk[0]["changes"][n % CHANGES]
        text, verdict = DESK_STATE_NAMES[int(change["after"])], int(change["verdict"])
        who = "desk" if change["market"] < 0 else state.instruments[int(change["market"])].symbol
        reason = ""
        if text in GRADE_NAMES and verdict:
            reason = f": {reason_text(verdict, change['share'])}"
        elif text == "HALTED" and verdict != NO_HALTED:  # a commanded halt says who sent it
            reason = f": {VERDICT_NAMES[verdict]}"
        level = {"HALTED": "error", "WIDEN": "warn", "REDUCING": "warn"}.get(text, "info")
        return self.say(int(change["ts_ns"]), f"{who} is {text}{reason}", level)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the snapshot."""
        span = (self._rows[-1][0] - self._rows[0][0]) / 1e9 if len(self._rows) > 1 else 0.0
        rate = sum(n for _, n in self._rows) / max(span, 1.0)
        return (
            self._fixed
            | {
                "events_per_s": round(rate, 1),
                "loop_gap_ms": max((g for _, g in self._gaps), default=0) / 1e6,
                "loop_gap_ms_max": self.gap_ns_max / 1e6,
                "turns": self.turns,
                "feed_lag_ms": None if self._lag_ms != self._lag_ms else self._lag_ms,
                "tick_us": self._tick_us(),
                "messages": list(self._messages),
            }
            | self.more()
        )

    def _tick_us(self) -> dict[str, Any]:
        total = int(self._counts.sum())
        if not total:
            return {"p50": None, "p99": None, "edges_us": [], "counts": []}
        share = np.cumsum(self._counts) / total
        top = np.append(_EDGES_US, _EDGES_US[-1])
        used = np.flatnonzero(self._counts)
        low, high = max(int(used[0]) - 1, 0), min(int(used[-1]) + 1, len(_EDGES_US) - 1)
        return {
            "p50": float(top[int(np.searchsorted(share, 0.5))]),
            "p99": float(top[int(np.searchsorted(share, 0.99))]),
            "edges_us": [round(float(e), 2) for e in _EDGES_US[low : high + 1]],
            "counts": [int(c) for c in self._counts[low + 1 : high + 1]],
        }

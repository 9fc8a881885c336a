"""What a drill sees of a desk: after every message the worst there was, every refusal, every change of state."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hftlab.data.state import State
from hftlab.types import CHANGES, DESK_STATE_NAMES, FREE, VERDICT_NAMES


@dataclass
class Watch:
    """Watches a State from the shock on. Money in the settlement currency, positions in lots, one a market; times in ns after the shock."""

    state: State
    shock_ns: int
    first_ns: dict[str, int] = field(default_factory=dict)  # of each verdict, in the order in which they came
    transitions: list[tuple[int, str, str, str]] = field(default_factory=list)  # when, before, after, why
    clear_ns: int | None = None  # when nothing of ours rested for the first time after something was refused
    position_lots: Any = None
    reach_lots: Any = None  # position if every order that may rest were filled
    order_lots: Any = None  # the largest order, as it stands or as it is asked to be
    exposure_quote: float = 0.0
    loss_quote: float = 0.0
    drawdown_quote: float = 0.0

    def __post_init__(self) -> None:
        desk, markets = self.state.desk, self.state.markets
        self._now, self._changes_count, self._verdicts = desk["now_ns"], desk["changes_count"], desk["verdicts"][0]
        self._pnl, self._day_open, self._drawdown = desk["pnl_quote"], desk["day_open_pnl_quote"], desk["drawdown_quote"]
        self._resting = self.state.exchanges["resting_count"]
        self._position, self._open, self._mark = markets["position_lots"], markets["open_lots"], markets["mark_ticks"]
        self._units = [one.ticklot_quote for one in self.state.instruments]
        self._started = self._verdicts.copy()
        self._counts, self._held = self._verdicts.tobytes(), b""
        self._changes = int(self._changes_count[0])
        self.position_lots = np.zeros(len(markets), np.int64)
        self.reach_lots = np.zeros(len(markets), np.int64)
        self.order_lots = np.zeros(len(markets), np.int64)

    def look(self) -> None:
        """Note what is so now. It is asked after every message, so what has not changed is not looked at twice."""
        since = max(int(self._now[0]) - self.shock_ns, 0)
        pnl = float(self._pnl[0])
        self.loss_quote = max(self.loss_quote, float(self._day_open[0]) - pnl)
        self.drawdown_quote = max(self.drawdown_quote, float(self._drawdown[0]))
        held = self._position.tobytes() + self._open.tobytes()
        if held != self._held:
            self._held = held
            self._look_at_positions()
        if self._position.any():
            self._look_at_exposure()
        counts = self._verdicts.tobytes()
        if counts != self._counts:
            for number in np.flatnonzero(self._verdicts != np.frombuffer(self._counts, self._verdicts.dtype)):
                self.first_ns.setdefault(VERDICT_NAMES[number], since)
            self._counts = counts
        if int(self._changes_count[0]) != self._changes:
            self._look_at_states()
        if self.clear_ns is None and self.first_ns and not self._resting.any():
            self.clear_ns = since

    def _look_at_positions(self) -> None:
        position, waiting = self._position, self._open
        np.maximum(self.position_lots, np.abs(position), out=self.position_lots)
        reach = np.maximum(np.abs(position + waiting[:, 0]), np.abs(position - waiting[:, 1]))
        np.maximum(self.reach_lots, reach, out=self.reach_lots)
        orders = self.state.markets["orders"]
        largest = np.maximum(orders["leaves_lots"], orders["wish_lots"]) * (orders["status"] != FREE)
        np.maximum(self.order_lots, largest.max(axis=1), out=self.order_lots)

    def _look_at_states(self) -> None:
        count = int(self._changes_count[0])
        for number in range(self._changes, count):
            row = self.state.desk["changes"][0][number % CHANGES]
            if row["market"] >= 0 and self.transitions and self.transitions[-1][2] == "HALTED":
                continue  # what a market would do is of no account while the desk is halted
            before, after = (DESK_STATE_NAMES[int(row[name])] for name in ("before", "after"))
            why = VERDICT_NAMES[int(row["verdict"])] if row["verdict"] else ""
            self.transitions.append((max(int(row["ts_ns"]) - self.shock_ns, 0), before, after, why))
        self._changes = count

    def _look_at_exposure(self) -> None:
        worth = sum(
            abs(lots * one.worth_of(mark)) * unit
            for one, lots, mark, unit in zip(self.state.instruments, self._position.tolist(), self._mark.tolist(), self._units, strict=True)
            if lots
        )
        self.exposure_quote = max(self.exposure_quote, float(worth))

    def refusals(self) -> dict[str, int]:
        """Return how often each verdict was given since the shock."""
        more = self._verdicts - self._started
        return {name: int(n) for name, n in zip(VERDICT_NAMES, more, strict=False) if n}

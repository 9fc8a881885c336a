"""The meter of shadow mode: the same desk on the same rows with three exchanges that differ in how they fill.

Optimistic: our orders are first in every queue. Modelled: by the queue model. Pessimistic: only prints beyond our price fill. What live
would have done lies between the first and the last in fills, not in money (a losing quoter that is filled less loses less); how far
these two are apart says how much of a shadow result is the queue model's opinion.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.data.state import State, build
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.params import Limits, Quoter
from hftlab.strict import keywords, number, spread
from hftlab.types import ACCEPTED, FILL, PAYMENT

NAMES = ("optimistic", "modelled", "pessimistic")
BOUNDS = {"optimistic": "touch", "pessimistic": "through"}


class Divergence:
    """Three states that are stepped with the same rows; deterministic, so a journal gives the same figures again.

    Arguments are those of `hl.backtest`; `run` is the compiled loop (with a user's own `decide` another than the built-in one), and
    `same_s` how far apart in time two fills of the same side and price may be to count as the same fill.
    Raises InputError for what cannot be used.
    """

    @keywords
    def __init__(
        self,
        instruments: Sequence[Instrument],
        quoters: Sequence[Quoter],
        limits: Sequence[Limits],
        *,
        fees: Fees | Sequence[Fees] | None = None,
        latency: Latency | Sequence[Latency] | None = None,
        queue: Queue | str | Sequence[Queue | str] = "power",
        sample_ms: float = 250.0,
        bar_s: float = 10.0,
        run: Any = None,
        same_s: float = 10.0,
    ) -> None:
        self.instruments = tuple(instruments)
        self._run = core.run if run is None else run
        count = len(self.instruments)
        modelled = tuple(Queue.of(one) for one in ((queue,) * count if isinstance(queue, str) else spread(queue, count, "queue models")))
        queues = {"modelled": modelled} | {name: tuple(_as(one, model) for one in modelled) for name, model in BOUNDS.items()}
        self.states: dict[str, State] = {
            name: build(self.instruments, quoters, limits, fees=fees, latency=latency, queue=queues[name], sample_ms=sample_ms, bar_s=bar_s)
            for name in NAMES
        }
        self._filled = dict.fromkeys(NAMES, 0)
        self._fills = dict.fromkeys(NAMES, 0)
        self._same = _Same(round(number(same_s, "same_s", 0, 3600) * 1e9))

    def step(self, rows: np.ndarray) -> np.ndarray:
        """Run EVENT rows (market data, timers, commands) through all three; return what the modelled one wrote.

        Raises InputError for reports of a real venue, which none of the three has sent an order to; KernelFault, UserCodeError.
        """
        kinds = rows["kind"]
        if len(rows) and ((kinds >= ACCEPTED) & (kinds <= PAYMENT)).any():
            raise InputError(
                "a report of a venue came to the divergence meter; wanted market data, timers and commands: it plays its own venue."
            )
        written = {name: state.step(self._run, rows) for name, state in self.states.items()}
        fills = {name: part[part["kind"] == FILL] if len(part) else part for name, part in written.items()}
        for name, part in fills.items():
            self._fills[name] += len(part)
            self._filled[name] += int(part["qty_lots"].sum())
        if len(fills["modelled"]) or len(fills["pessimistic"]):
            self._same.add(fills["modelled"], fills["pessimistic"])
        return written["modelled"]

    def figures(self) -> dict[str, Any]:
        """Return plain values: of each of NAMES `fills`, `filled_lots` (over all instruments), `pnl_quote`; and what lies between them.

        `fills_apart`, `lots_apart`, `pnl_apart`: optimistic less pessimistic. `sure_share`: of the lots that the modelled one filled,
        those that the pessimistic one filled too, at the same price (None before the first).
        """
        each: dict[str, Any] = {
            name: {
                "fills": self._fills[name],
                "filled_lots": self._filled[name],
                "pnl_quote": float(state.desk["pnl_quote"][0]),
                "position_lots": [int(lots) for lots in state.markets["position_lots"]],
            }
            for name, state in self.states.items()
        }
        best, worst = each["optimistic"], each["pessimistic"]
        lots = self._filled["modelled"]
        return each | {
            "fills_apart": best["fills"] - worst["fills"],
            "lots_apart": best["filled_lots"] - worst["filled_lots"],
            "pnl_apart": best["pnl_quote"] - worst["pnl_quote"],
            "sure_share": self._same.lots / lots if lots else None,
        }

    def digest(self) -> str:
        """Return a digest of all three states."""
        return " ".join(state.digest() for state in self.states.values())


def _as(queue: Queue, model: str) -> Queue:
    """Return a bound with everything else as in a model."""
    return Queue(model=model, power=queue.power, partial_fills=queue.partial_fills, self_trade=queue.self_trade)


class _Same:
    """Counts the lots that two runs filled at the same side and price at about the same time, each lot once."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._open: tuple[dict[tuple[int, ...], deque[list[int]]], ...] = ({}, {})
        self.lots = 0

    def add(self, *fills: np.ndarray) -> None:
        """Take the fills (EVENT) that both runs learned of next, in the order in which they did: how rows are cut must not matter."""
        rows = np.concatenate(fills)
        whose = np.repeat([0, 1], [len(part) for part in fills])
        for k in np.argsort(rows["ts_recv_ns"], kind="stable"):
            self._one(rows[k], int(whose[k]))

    def _one(self, row: np.void, whose: int) -> None:
        ours, theirs = self._open[whose], self._open[1 - whose]
        key = (int(row["instrument"]), int(row["side"]), int(row["price_ticks"]))
        ts_ns, lots = int(row["ts_exch_ns"]), int(row["qty_lots"])
        waiting = theirs.get(key, deque())
        while waiting and waiting[0][0] < ts_ns - self._window_ns:
            waiting.popleft()
        while waiting and lots:
            both = min(lots, waiting[0][1])
            self.lots += both
            lots -= both
            waiting[0][1] -= both
            if not waiting[0][1]:
                waiting.popleft()
        if not waiting:
            theirs.pop(key, None)
        if lots:
            ours.setdefault(key, deque()).append([ts_ns, lots])
            self._forget(ours, ts_ns)

    def _forget(self, open_: dict[tuple[int, ...], deque[list[int]]], ts_ns: int) -> None:
        """Drop the prices at which nothing can be matched any more: a meter runs for days."""
        for key in [key for key, waiting in open_.items() if waiting[-1][0] < ts_ns - self._window_ns]:
            del open_[key]

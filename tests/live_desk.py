"""An engine in small: the real kernel State behind a real gateway, over a venue in memory, in virtual time."""

import asyncio
import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from fake_wire import FakeWire, now_ns

from hftlab.assumptions import Fees
from hftlab.data.state import build
from hftlab.instrument import Instrument
from hftlab.kernels.core import run as core_run
from hftlab.params import FixedSpread, Limits
from hftlab.types import ASK, BID, CANCEL, CLEAR, DEPTH, EVENT, FREE, HALT, LAST, RESUME, SNAPSHOT, SUBMIT, TIMER
from hftlab.venues.live.gateway import Gateway
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_restart import Known
from hftlab.venues.live.reconcile import Kept

TAG = "abc123"
DEPTH_LEVELS = 3


class Engine:
    """State, gateway and journal. `check` is called whenever the state has changed."""

    def __init__(
        self,
        wire: FakeWire,
        instruments: tuple[Instrument, ...],
        *,
        quoter: FixedSpread,
        limits: Limits,
        fees: Fees | None = None,
        policy: Policy | None = None,
        journal: list[np.ndarray] | None = None,
        kept: Kept | None = None,
    ) -> None:
        m = len(instruments)
        self.wire = wire
        self.state = build(instruments, [quoter] * m, [limits] * m, fees=fees, simulate=False, own_in_book=False)
        self.journal = list(journal or [])
        for rows in self.journal:
            self.state.step(core_run, rows)
        self.inbox: list[np.ndarray] = []
        self.check: Callable[[], None] = lambda: None
        self.said: list[tuple[str, str]] = []
        self.alarms: list[str] = []
        self.alive = True
        self.submits = 0
        self.gateway = Gateway(
            wire,
            instruments,
            TAG,
            self.state.markets,
            emit=self.take,
            say=lambda *words: self.said.append(words),
            on_alarm=self.alarms.append,
            clock_ns=now_ns,
            policy=policy,
            known=Known.of(self.journal),
            kept=kept,
        )

    def take(self, rows: np.ndarray) -> None:
        """Take rows from the market, the gateway or a person; they are run in the loop's next round."""
        if not self.inbox:
            asyncio.get_running_loop().call_soon(self.turn)
        self.inbox.append(rows)

    def turn(self) -> None:
        """Journal what has come, run it, and send what comes out."""
        if not self.alive or not self.inbox:
            return
        rows = np.concatenate(self.inbox)
        self.inbox = []
        self.journal.append(rows)
        written = self.state.step(core_run, rows)
        requests = written[(written["kind"] >= SUBMIT) & (written["kind"] <= CANCEL)]
        self.submits += int(np.count_nonzero(requests["kind"] == SUBMIT))
        if len(requests):
            self.gateway.submit(requests)
        self.check()

    def command(self, kind: int) -> None:
        """Give a command of a person: HALT, RESUME, PAUSE."""
        self.take(np.array([(now_ns(), now_ns(), 0, 0, 0, 0, 0, kind, 0, LAST, 0)], dtype=EVENT))

    def kill(self) -> None:
        """Let the process die: nothing more is run, sent or said."""
        self.alive = False
        self.wire.stream = False
        self.wire.on_event = lambda event: None

    @property
    def market(self):
        return self.state.markets[0]

    def money(self, i: int = 0) -> Fraction:
        """Return the settlement money of an instrument as the ledger has it, exactly."""
        m = self.state.markets[i]
        ticklots = Fraction(int(m["cash_ticklots"])) - int(m["fees_ticklots"]) - Fraction(int(m["fees_uticklots"]), 10**6)
        ticklots -= int(m["funding_ticklots"]) + Fraction(int(m["funding_e8ticklots"]), 10**8)
        return ticklots * Fraction(self.state.instruments[i].money_unit)

    def interval(self, i: int = 0) -> tuple[int, int]:
        """Return the least and the greatest position that the engine counts with."""
        m = self.state.markets[i]
        position = int(m["position_lots"])
        return position - int(m["open_lots"][1]), position + int(m["open_lots"][0])

    def resting(self, i: int = 0) -> set[tuple[int, int, int, int]]:
        """Return (order id, side, price, leaves) of the orders in the engine's table."""
        orders = self.state.markets[i]["orders"]
        return {
            (int(o["order_id"]), int(o["side"]), int(o["price_ticks"]), int(o["leaves_lots"])) for o in orders[orders["status"] != FREE]
        }


class Crowd:
    """The others: a mid price that walks, and market orders that hit us. Deterministic in its seed."""

    def __init__(self, wire: FakeWire, engine: Callable[[], Engine], seed: int, *, mid_ticks: int = 500_000, step_s: float = 0.02) -> None:
        self._wire, self._engine, self._random = wire, engine, random.Random(seed)
        self._mid, self._step_s = mid_ticks, step_s
        self.steps = 0

    async def play(self, until: Callable[[], bool]) -> None:
        """Walk until told to end."""
        while not until():
            await asyncio.sleep(self._step_s)
            self.step()

    def step(self) -> None:
        """Move the mid, trade with whoever stands in the way, and show the book."""
        dice = self._random
        self.steps += 1
        self._mid += dice.choice((-3, -2, -1, 0, 0, 1, 2, 3))
        bid, ask = self._mid - 1, self._mid + 1
        self._wire.touch = [(bid, ask)] * len(self._wire.instruments)
        for i in range(len(self._wire.instruments)):
            self._wire.trade(i, ASK, ask, 1 << 40)  # bids that the market has fallen through
            self._wire.trade(i, BID, bid, 1 << 40)
            if dice.random() < 0.2:
                side = dice.choice((BID, ASK))
                self._wire.trade(i, side, -(1 << 60) if side == ASK else 1 << 60, dice.randint(1, 12))
        self.show()

    def show(self) -> None:
        """Send the book and a timer to the engine."""
        now = now_ns()
        levels = [(self._mid - 1 - k, BID) for k in range(DEPTH_LEVELS)] + [(self._mid + 1 + k, ASK) for k in range(DEPTH_LEVELS)]
        rows = [(now, now, 0, 0, 0, 0, 0, TIMER, 0, LAST, 0)] if self.steps % 5 == 0 else []
        for i in range(len(self._wire.instruments)):
            rows.append((now, now, 0, 0, 0, 0, 0, CLEAR, 0, SNAPSHOT, i))
            rows += [(now, now, price, 50, 0, 0, 0, DEPTH, side, SNAPSHOT, i) for price, side in levels]
            rows[-1] = (*rows[-1][:9], SNAPSHOT | LAST, i)
        engine = self._engine()
        if engine.alive:
            engine.take(np.array(rows, dtype=EVENT))


__all__ = ["HALT", "RESUME", "Crowd", "Engine"]

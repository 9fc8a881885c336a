"""The gateway: the policy between the engine's requests and a venue's orders, once for every venue."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from hftlab.instrument import Instrument
from hftlab.types import LIVE
from hftlab.venues.live.book_of_orders import Book, Order
from hftlab.venues.live.deadman import DeadMan
from hftlab.venues.live.gateway_answers import Answers
from hftlab.venues.live.gateway_asks import Asks
from hftlab.venues.live.gateway_clock import VenueClock
from hftlab.venues.live.gateway_exit import Exit
from hftlab.venues.live.gateway_facts import Facts
from hftlab.venues.live.gateway_halt import Cleared
from hftlab.venues.live.gateway_money import Money
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_resolve import EARLIER, Resolver
from hftlab.venues.live.gateway_restart import Known, orders_of
from hftlab.venues.live.gateway_sender import Sender
from hftlab.venues.live.gateway_tasks import Tasks
from hftlab.venues.live.gateway_teller import Teller
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.limiter import Limiter
from hftlab.venues.live.model import Answer, Broken, OrderState, Payment, StreamDown, StreamUp, VenueEvent, VenueFill, Wire
from hftlab.venues.live.reconcile import Kept, Reconciler

_TICK_S = 0.25
_DEAF_S = 60.0  # a request of an ended order is forgotten when it was not answered for so long


class Gateway:
    """Sends the engine's requests through a Wire and tells the engine what became of them.

    `markets`: MARKET[m] of the engine's State as it stands when the gateway is made (after the replay of its journal): its
    orders, its positions and the schedule of fees that its ledger charges. `emit(rows)` takes EVENT rows on the loop's thread,
    never from within `submit`; rows of one message come in one call. `say(level, text)` tells people (info, warn, error),
    `on_alarm(reason)` asks the engine to stop quoting, `clock_ns()` is the clock of `ts_recv_ns`. `known` and `kept` are for a
    restart: what the journal says (`Known.of`), and the last `kept` of the gateway before.

    Made within a running event loop, and used on its thread only. Life: `start`, then `run` beside `submit`, `halt`, `close`.
    """

    def __init__(
        self,
        wire: Wire,
        instruments: Sequence[Instrument],
        tag: str,
        markets: np.ndarray,
        *,
        emit: Callable[[np.ndarray], None],
        say: Callable[[str, str], None],
        on_alarm: Callable[[str], None],
        clock_ns: Callable[[], int],
        policy: Policy | None = None,
        known: Known | None = None,
        kept: Kept | None = None,
    ) -> None:
        policy, known = policy or Policy(), known or Known()
        self.policy = policy
        self.tag = tag
        self._loop = asyncio.get_running_loop()
        self._wire, self._say, self._on_alarm, self._clock_ns = wire, say, on_alarm, clock_ns
        self._tasks = Tasks(f"the gateway to {wire.venue}", say, on_alarm)
        self._submitting = self._started = self._halted = False
        self.stream_up = False
        self._linked = False  # what the engine was told last
        self._begun_when_up = 0
        self.book = Book(Ids(wire.venue, tag), self._loop.time)
        self.limiter = Limiter(self._loop.time, wire.budgets, policy.reserve)
        self.teller = Teller(self.book, Money(instruments, markets), emit, clock_ns, self._loop.call_soon)
        self.sender = Sender(wire, self.book, self.teller, self.limiter, policy, self._loop)
        self.facts = Facts(self.book, self.teller, self, self._loop.time)
        self.asks = Asks(self.limiter, policy, say)
        self.clock = VenueClock(wire, self.asks, policy, clock_ns, say, on_alarm)
        self.resolver = Resolver(wire, self.book, self.facts, self.sender, self.asks, policy, self._tasks.spawn, say)
        self.resolver.clock_offset_ns = lambda: self.clock.offset_ns
        self.dead_man = DeadMan(wire, self.asks, policy.dead_man_s, say)
        self._answers = Answers(self.facts, self.sender, self.limiter, say=say, alarm=on_alarm)
        held = [int(lots) for lots in markets["position_lots"]]
        self.reconciler = Reconciler(
            wire,
            instruments,
            self.book,
            self.facts,
            self.resolver,
            self.asks,
            policy,
            held=held,
            settled=lambda: self.settled,
            clock_ns=clock_ns,
            say=say,
            alarm=on_alarm,
        )
        self._exit = Exit(wire, self.book, self.sender, self.resolver, policy, say)
        self.reconciler.looked = self._tell_link
        self._remember(known, kept)
        self._restored = orders_of(markets, known, self.book.ids, replaces=wire.amends == "replace")
        for order in self._restored:
            self.book.add(order)
        wire.on_event = self.on_event

    def _remember(self, known: Known, kept: Kept | None) -> None:
        self.teller.remember(known.trades, known.payments)
        self.facts.journaled = set(known.trades)
        self.facts.ungenerated = set(known.trades)
        if kept is not None:
            self.facts.kept_ns = self.facts.foreign.after_ns = self.facts.newest_ns = kept.until_ns
            self.reconciler.baseline = list(kept.beyond_lots)
            self.reconciler.kept = kept
            self.teller.money.by_asset.update({asset: Decimal(fee) for asset, fee in kept.fees.items()})

    # --- life ---
    async def start(self, since_ns: int | None = None) -> None:
        """Open the wire and compare everything; returns when nothing of ours is of unknown fate. Until then only cancels leave.

        `since_ns`: our time from which executions are not yet known: of the last row of the journal; None for now. Asks on for as
        long as the venue does not answer; a position that differs without reason ends the wait with an alarm. Raises what the wire
        raises for what cannot be tried again.
        """
        since_ns = self._clock_ns() if since_ns is None else since_ns
        # What others traded since the last look that agreed is no part of what was kept then.
        self.reconciler.since_ns = min(since_ns, self.kept.until_ns) if self.kept is not None and self.kept.until_ns else since_ns
        await self.asks.now(self._wire.open)
        for order in self._restored:
            order.asked_s = self._loop.time()
            for generation in range(max(order.generation - EARLIER, 0), order.generation):
                self.resolver.learn(order, generation)
            if order.status != LIVE:
                self.facts.doubt(order)
        while not (await self.reconciler.look() and self.settled) and not self.reconciler.alarms:
            self._tasks.check()
            await asyncio.sleep(self.policy.retry_min_s)
        self._started = True
        self.sender.closed = self._halted

    @property
    def settled(self) -> bool:
        """Return whether every order's fate, and every fill that was promised, is known."""
        doubtful = any(order.doubtful for order in self.book.working.values())
        return not doubtful and not any(self.resolver.incomplete.values()) and not self.resolver.learning

    @property
    def kept(self) -> Kept | None:
        """Return what to give the gateway after a restart; None before the first look at which all agreed."""
        return self.reconciler.kept

    async def run(self) -> None:
        """Watch over requests, reconcile, keep the dead man's switch armed and the venue's clock measured, until cancelled.

        An error in any of these ends the session: it is told through `say` and `on_alarm`, and raised.
        """
        for work in (self._watch(), self.reconciler.run(lambda: self.stream_up), self.clock.run(), self.dead_man.run()):
            self._tasks.spawn(work)
        try:
            await self._tasks.failure()
        finally:
            await self._tasks.stop()

    async def halt(self) -> Cleared:
        """Cancel everything of ours and verify it with the venue; returns what was found resting.

        From here on only cancels leave. `Policy.scope` "account" cancels every order in the instruments, whoever placed it. Works
        with the stream down and budgets used up; goes on for as long as the venue does not answer. Raises what cannot be tried again.
        """
        self._halted = True
        return await self._exit.halt(account=self.policy.scope == "account")

    def reopen(self) -> None:
        """Let new orders leave again after a halt."""
        self._halted = False
        self.sender.closed = not self._started

    async def stop(self) -> Cleared:
        """Halt, disarm the dead man's switch once that is verified, and close."""
        cleared = await self.halt()
        await self.dead_man.disarm()
        await self.close()
        return cleared

    async def close(self) -> None:
        """Disconnect; cancels nothing."""
        await self._tasks.stop()
        await self._wire.close()

    # --- the hot path ---
    def submit(self, rows: np.ndarray) -> None:
        """Take SUBMIT, AMEND and CANCEL rows (EVENT) as the engine writes them: sent now, or waiting for the venue's budget."""
        self._submitting = True
        self.sender.submit(rows)
        self._submitting = False

    def on_event(self, event: VenueEvent) -> None:
        """Take what the wire says, on the loop's thread."""
        if isinstance(event, Answer):
            self._answers.answer(event)
        elif isinstance(event, OrderState):
            self.facts.state(event)
        elif isinstance(event, VenueFill):
            self.facts.fill(event)
        elif isinstance(event, Payment):
            self.teller.pay(event)
        elif isinstance(event, StreamDown):
            self.stream_up = False
            self._say("warn", f"the user stream is down: {event.why}")
            self.reconciler.soon()
            self._tell_link()
        elif isinstance(event, StreamUp):
            self.stream_up = True
            self._begun_when_up = self.reconciler.begun
            self.reconciler.soon()
        elif isinstance(event, Broken):  # cancels may not leave any more: whoever watches the engine sweeps with a wire of its own
            self._tasks.fail(event.error)
        if not self._submitting:  # a wire may know at once that nothing can be sent
            self.teller.flush()

    def _tell_link(self) -> None:
        """Tell the engine when the line falls, and that it stands once everything was compared since the stream came back."""
        up = self.stream_up and self.reconciler.completed > self._begun_when_up
        if up != self._linked:
            self._linked = up
            self.teller.link(len(self._wire.instruments), up=up)

    # --- what the facts ask for ---
    def ask(self, order: Order, delay_s: float = 0.0) -> None:
        """Ask for an order until its fate is known."""
        self.resolver.ask(order, delay_s)

    def learn(self, order: Order, generation: int) -> None:
        """Ask how an earlier generation of an order ended."""
        self.resolver.learn(order, generation)

    def want_fills(self, order: Order) -> None:
        """Ask for executions that were promised and have not come."""
        self.resolver.want_fills(order)

    def orphan(self, state: OrderState, ended_s: float) -> None:
        """Cancel an order of ours that the engine does not have; one that has just ended may be shown open for a while."""
        if ended_s < self.policy.gone_s:
            self.reconciler.soon(self.policy.gone_s)
            return
        self.teller.counts["orphans cancelled"] += 1
        self._say("warn", f"order {state.client_id} of ours rests at {self._wire.venue} and the engine does not have it: cancelling it.")
        self.sender.cancel_by_id(state.instrument, state.client_id, state.venue_id, state.side)

    def cancel(self, order: Order) -> None:
        """Send the cancel that an order is waiting for."""
        self.sender.cancel(order)

    # --- supervision ---
    async def _watch(self) -> None:
        """Take silence for what it is: after a while, the fate of a request is unknown."""
        while True:
            await asyncio.sleep(_TICK_S)
            for sent in self.sender.overdue():
                if sent.order is not None:
                    self._answers.unsure(sent.order, sent.request)
            self.sender.forget(self._loop.time() - _DEAF_S)

    def status(self) -> dict[str, Any]:
        """Return how the gateway stands, in plain values for screens."""
        working, reconciler = self.book.working.values(), self.reconciler
        return {
            "venue": self._wire.venue,
            "stream_up": self.stream_up,
            "down": self.asks.down,
            "working": len(working),
            "unknown": sum(order.doubtful for order in working),
            "unresolved": sum(order.worried for order in working),
            "waiting": self.sender.waiting,
            "unanswered": len(self.sender.sent),
            "budgets": self.limiter.status(),
            "quiet_s": max(self.limiter.quiet_s(), 0.0),
            "clock": self.clock.status(),
            "dead_man": self.dead_man.status(),
            "reconciled_ns": reconciler.last_ns,
            "reconciles": reconciler.looks,
            "divergences": list(reconciler.differences),
            "foreign_fills": len(self.facts.foreign.by_trade),
            "fees": {asset: str(fee) for asset, fee in self.teller.money.by_asset.items()},
            "fills": self.teller.fills,
            "counts": dict(self.teller.counts),
        }

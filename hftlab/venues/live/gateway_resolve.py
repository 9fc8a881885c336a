"""Orders of unknown fate: asked for by client id until the venue has said what is true.

Nothing is ever sent again but cancels, and nothing is concluded from silence. "No such order" counts only when it was said often
enough, long enough after the last request, and when the open orders and the executions do not contradict it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from hftlab.types import ACCEPTED, AMENDED, FREE, LIVE, REJECTED, UNKNOWN
from hftlab.venues.live.book_of_orders import Book, Order
from hftlab.venues.live.gateway_asks import Asks
from hftlab.venues.live.gateway_facts import Facts
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_sender import Sender
from hftlab.venues.live.model import OrderState, VenueFill, Wire

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


EARLIER = 3
"""Generations of an amended order that are asked for after a restart; of older ones every fill was told long before."""


class Resolver:
    """One task for each order that is asked for, one for each instrument whose executions are."""

    def __init__(
        self,
        wire: Wire,
        book: Book,
        facts: Facts,
        sender: Sender,
        asks: Asks,
        policy: Policy,
        spawn: Spawn,
        say: Callable[[str, str], None],
    ) -> None:
        self._wire, self._book, self._facts, self._sender, self._asks, self._policy = wire, book, facts, sender, asks, policy
        self._spawn, self._say = spawn, say
        self._loop = asyncio.get_running_loop()
        self.asking: dict[int, asyncio.Task[None]] = {}
        self.incomplete: dict[int, dict[int, Order]] = {}  # instrument -> order id -> order whose fills are missing
        self.learning: dict[tuple[int, int], asyncio.Task[None]] = {}  # order id and generation
        self.worries = 0
        self.clock_offset_ns: Callable[[], int] = lambda: 0

    # --- one order ---
    def ask(self, order: Order, delay_s: float = 0.0) -> None:
        """Ask for an order, the first time after `delay_s`, until its fate is known; unless that is being done."""
        if order.status != FREE and order.order_id not in self.asking:
            self.asking[order.order_id] = self._spawn(self._resolve(order, delay_s))

    async def _resolve(self, order: Order, delay_s: float) -> None:
        policy, began_s = self._policy, self._loop.time()
        order.nones = order.olds = 0
        try:
            while order.status != FREE and order.end is None:
                await asyncio.sleep(delay_s)
                delay_s = min(max(2 * delay_s, policy.retry_min_s), policy.retry_max_s if order.worried else policy.query_s_max)
                if order.status != FREE and order.end is None and await self._look(order):
                    return
                self._worry(order, began_s, "it has not said what became of it")
        finally:
            del self.asking[order.order_id]

    async def _look(self, order: Order) -> bool:
        """Ask once and draw the conclusions; returns whether nothing is open any more."""
        asked_s = self._loop.time()
        amend = order.amending
        state = await self._query(order, order.client_id, asked_s)
        if amend is not None and amend.new_client_id:
            state = await self._query(order, amend.new_client_id, asked_s) or state
        if order.status == FREE or order.end is not None:
            return True
        if order.changed_s > asked_s or order.asked_s > asked_s:
            return False  # the answer may be older than what was learned or sent meanwhile
        if state is None:
            return await self._missing(order, asked_s)
        order.nones = 0
        if state.status != "open":
            return self._replaced(order, state)
        return self._found(order, state)

    async def _query(self, order: Order, client_id: str, asked_s: float) -> OrderState | None:
        state = await self._asks.now(lambda: self._wire.query(order.instrument, client_id))
        if state is not None:
            changed_s = order.changed_s
            self._facts.state(state, asked_s=asked_s)
            order.changed_s = changed_s  # this answer is no reason to ask again
        return state

    def learn(self, order: Order, generation: int) -> None:
        """Ask how an earlier generation of an order ended, until the venue says: its executions may name nothing but the venue's id."""
        key = (order.order_id, generation)
        if key not in self.learning:
            self.learning[key] = self._spawn(self._learn(order, generation))

    async def _learn(self, order: Order, generation: int) -> None:
        began_s, delay_s = self._loop.time(), 0.0
        try:
            while self._loop.time() - began_s < self._policy.worry_s:
                await asyncio.sleep(delay_s)
                delay_s = min(max(2 * delay_s, self._policy.retry_min_s), self._policy.query_s_max)
                client_id = self._book.ids.client_id(order.order_id, generation)
                state = await self._asks.now(partial(self._wire.query, order.instrument, client_id))
                if state is not None:
                    self._facts.state(state)
                    return
            self._say("warn", f"{self._wire.venue} does not say how {client_id} ended; its executions would be seen as somebody else's.")
        finally:
            del self.learning[order.order_id, generation]

    def _found(self, order: Order, state: OrderState) -> bool:
        """It rests. What of it we asked for last may still be on its way."""
        differs = (state.price_ticks, state.qty_lots) != (order.price_ticks, order.qty_lots)
        if order.amending is not None or differs:
            order.olds += 1
            if order.olds < self._policy.gone_looks or not self._long_ago(order.asked_s):
                return False
            if order.amending is not None:
                order.amending = None
                self._facts.teller.report(order, REJECTED)  # the amend has not happened
        if order.cancel_wanted:
            if not order.canceling and self._loop.time() - order.asked_s >= self._policy.recancel_s:
                self._sender.cancel(order)
            return False
        if differs:
            order.price_ticks, order.qty_lots = state.price_ticks, state.qty_lots
            self._facts.teller.counts["corrected"] += 1
            if order.status == LIVE:
                self._facts.teller.report(order, UNKNOWN)
            self._facts.teller.report(order, AMENDED, state.ts_ns)
        else:
            self._facts.teller.report(order, ACCEPTED, state.ts_ns)
        self._facts.resolved(order)
        return True

    def _replaced(self, order: Order, state: OrderState) -> bool:
        """The old order of an amend that replaces has ended, and the new one is not seen."""
        order.olds += 1
        if order.olds < self._policy.gone_looks or not self._long_ago(order.asked_s):
            return False
        order.amending = None
        order.end = state
        self._facts.finish(order)
        return True

    async def _missing(self, order: Order, asked_s: float) -> bool:
        """Believe "no such order" only when nothing speaks against it."""
        order.nones += 1
        if order.nones == 1:
            order.none_s = asked_s
        if order.nones < self._policy.gone_looks or not (self._long_ago(order.asked_s) and self._long_ago(order.none_s)):
            return False
        for state in await self._asks.now(self._wire.open_orders):
            self._facts.state(state, asked_s=asked_s)
            if self._book.name(state.instrument, state.client_id, state.venue_id) == (order.order_id, order.generation):
                order.nones = 0
        await self.fetch(order.instrument, order.sent_ns)
        contradicted = order.nones == 0 or order.changed_s > asked_s or order.asked_s > asked_s
        if order.status == FREE or order.end is not None:
            return True
        if contradicted or self._facts.foreign.could_be_of(order):
            return False
        self._facts.gone(order)
        return True

    def _long_ago(self, at_s: float) -> bool:
        return self._loop.time() - at_s >= self._policy.gone_s

    def _worry(self, order: Order, since_s: float, what: str) -> None:
        if order.worried or self._loop.time() - since_s < self._policy.worry_s:
            return
        order.worried = True
        self.worries += 1
        self._say(
            "error", f"order {order.client_id} has been asked for {self._policy.worry_s:g} s at {self._wire.venue} and {what}; asking on."
        )

    # --- executions ---
    def want_fills(self, order: Order) -> None:
        """Fetch executions of an order's instrument until all that were promised to it are there."""
        waiting = self.incomplete.setdefault(order.instrument, {})
        running = bool(waiting)
        waiting[order.order_id] = order
        if not running:
            self._spawn(self._fetch_promised(order.instrument))

    async def _fetch_promised(self, instrument: int) -> None:
        policy, waiting = self._policy, self.incomplete[instrument]
        delay_s, began_s = policy.fills_wait_s, self._loop.time()
        while True:
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, policy.retry_max_s)
            for order_id in [order_id for order_id, order in waiting.items() if order.complete]:
                del waiting[order_id]
            if not waiting:
                return
            await self.fetch(instrument, min(order.sent_ns for order in waiting.values()))
            for order in waiting.values():
                if not order.complete:
                    self._worry(order, began_s, "has not shown executions that it promised")

    async def fetch(self, instrument: int, since_ns: int) -> list[VenueFill]:
        """Fetch and apply the executions from a time of our clock on, with an overlap for those that become visible late."""
        from_ns = since_ns + self.clock_offset_ns() - int(self._policy.overlap_s * 1e9)
        fills = await self._asks.now(lambda: self._wire.fills(instrument, max(from_ns, 0)))
        for fill in fills:
            self._facts.fill(fill, fetched=True)
        return fills

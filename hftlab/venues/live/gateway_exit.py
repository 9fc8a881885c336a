"""A halt of a living engine: as `clear`, with what the gateway knows of its own orders."""

import asyncio
from collections.abc import Callable

from hftlab.types import FREE
from hftlab.venues.live.book_of_orders import Book
from hftlab.venues.live.gateway_halt import Cleared, clear
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_resolve import Resolver
from hftlab.venues.live.gateway_sender import Sender
from hftlab.venues.live.model import OrderState, Wire


class Exit:
    """Cancels and verifies for one gateway."""

    def __init__(self, wire: Wire, book: Book, sender: Sender, resolver: Resolver, policy: Policy, say: Callable[[str, str], None]) -> None:
        self._wire, self._book, self._sender, self._resolver, self._policy, self._say = wire, book, sender, resolver, policy, say
        self._loop = asyncio.get_running_loop()

    async def halt(self, *, account: bool) -> Cleared:
        """Let only cancels leave, cancel all that is ours without waiting for any budget, and verify."""
        self._sender.close()
        for order in list(self._book.working.values()):
            order.cancel_wanted = True
            if order.asked_s > 0:
                self._sender.cancel_by_id(order.instrument, order.client_id, order.venue_id, order.side, order)
        return await clear(
            self._wire,
            lambda state: self._book.ids.parse(state.client_id) is not None,
            self._cancel,
            say=self._say,
            settle_s=self._policy.fills_wait_s,
            policy=self._policy,
            unsettled=self._may_rest,
            account=range(len(self._wire.instruments)) if account else (),
        )

    def _cancel(self, state: OrderState) -> None:
        name = self._book.name(state.instrument, state.client_id, state.venue_id)
        order = self._book.orders.get(name[0]) if name is not None else None
        ours = order if order is not None and order.status != FREE and order.client_id == state.client_id else None
        self._sender.cancel_by_id(state.instrument, state.client_id, state.venue_id, state.side, ours)

    def _may_rest(self) -> list[str]:
        """Return what may rest although the venue does not show it: its fate is unknown, or it may still be on its way."""
        left = [order for order in self._book.working.values() if order.status != FREE and order.end is None]
        for order in left:
            if order.asked_s < self._loop.time() - self._policy.recancel_s:
                self._resolver.ask(order)
        return [order.client_id for order in left]

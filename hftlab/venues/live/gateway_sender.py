"""From the engine's requests to what leaves: at once where the venue's budget allows, else in order of urgency.

Cancels leave before amends, amends before new orders. What never left is withdrawn without the venue: the engine is told that it
was refused. No new order is ever sent twice.
"""

import asyncio
from dataclasses import dataclass

import numpy as np

from hftlab.types import AMEND, CANCEL, FREE, LOST, PENDING_AMEND, PENDING_CANCEL, REJECTED, SUBMIT
from hftlab.venues.live.book_of_orders import Book, Order
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.gateway_teller import Teller
from hftlab.venues.live.limiter import Limiter
from hftlab.venues.live.model import OrderRequest, Wire

URGENCY = (CANCEL, AMEND, SUBMIT)


@dataclass(slots=True)
class Sent:
    """A request that was sent and is not answered."""

    request: OrderRequest
    order: Order | None  # None: the cancel of an orphan
    at_s: float
    overdue: bool = False


class Sender:
    """`submit` is the hot path: nothing in it waits, and nothing in it asks the venue."""

    def __init__(self, wire: Wire, book: Book, teller: Teller, limiter: Limiter, policy: Policy, loop: asyncio.AbstractEventLoop) -> None:
        self.sent: dict[int, Sent] = {}
        self.closed = True  # nothing but cancels leaves: before a first reconcile, and from a halt on
        self._wire, self._book, self._teller, self._limiter, self._policy, self._loop = wire, book, teller, limiter, policy, loop
        self._number = 0
        self._replaces = wire.amends == "replace"
        self._waiting: dict[int, dict[int, tuple[float, int, int]]] = {kind: {} for kind in URGENCY}  # order id -> (since, price, size)
        self._timer: asyncio.TimerHandle | None = None

    # --- from the engine ---
    def submit(self, rows: np.ndarray) -> None:
        """Take SUBMIT, AMEND and CANCEL rows (EVENT) as the engine writes them."""
        for _, now_ns, price_ticks, lots, _, order_id, _, kind, side, flags, instrument in rows.tolist():
            if kind == SUBMIT:
                new = Order(order_id, instrument, side, flags, price_ticks, lots, self._book.ids.client_id(order_id), sent_ns=now_ns)
                self._book.add(new)
                self._want(new, SUBMIT, price_ticks, lots)
                continue
            order = self._book.orders.get(order_id)
            if order is None or order.status == FREE:
                # It crossed with the report of the order's end, which the engine will read.
                self._teller.counts["requests for ended orders"] += 1
            elif kind == CANCEL:
                self._cancel_row(order)
            else:
                self._amend_row(order, price_ticks, lots)

    def _amend_row(self, order: Order, price_ticks: int, lots: int) -> None:
        if order.status == LOST or order.amending is not None:
            self._teller.report(order, REJECTED)  # decided before the engine knew that its fate is unknown
            return
        order.status = PENDING_AMEND
        self._want(order, AMEND, price_ticks, lots)

    def _cancel_row(self, order: Order) -> None:
        order.cancel_wanted = True
        if order.status != LOST:
            order.status = PENDING_CANCEL
        if self._waiting[AMEND].pop(order.order_id, None) is not None:
            self._teller.report(order, REJECTED)
        if self._waiting[SUBMIT].pop(order.order_id, None) is not None:
            self._teller.report(order, REJECTED)
        elif order.doubtful:
            self._teller.counts["cancels joined to a query"] += 1
        else:
            self.cancel(order)

    def cancel(self, order: Order) -> None:
        """Send the cancel of an order, unless one is on its way, or an amend whose answer says what to cancel."""
        if order.status != FREE and not order.canceling and not (self._replaces and order.amending is not None):
            self._want(order, CANCEL, order.price_ticks, order.qty_lots)

    def _want(self, order: Order, kind: int, price_ticks: int, lots: int) -> None:
        if self.closed and kind != CANCEL:
            self._teller.report(order, REJECTED)
            return
        ahead = any(self._waiting[urgent] for urgent in URGENCY[: URGENCY.index(kind) + 1])
        wait_s = 0.0 if ahead else self._send(order, kind, price_ticks, lots)
        if ahead or wait_s > 0:
            self._waiting[kind][order.order_id] = (self._loop.time(), price_ticks, lots)
            self._wake(min(wait_s, self._policy.wait_s))

    def _send(self, order: Order, kind: int, price_ticks: int, lots: int) -> float:
        """Send one request and return 0.0, or send nothing and return how many seconds to wait."""
        self._number += 1
        replaced = self._replaces and kind == AMEND
        request = OrderRequest(
            self._number,
            kind,
            order.client_id,
            order.venue_id,
            order.instrument,
            order.side,
            price_ticks,
            lots,
            order.flags,
            order.executed_lots,
            self._book.ids.client_id(order.order_id, order.generation + 1) if replaced else "",
        )
        wait_s = self._limiter.take(self._wire.costs(request), cancel=kind == CANCEL)
        if wait_s > 0:
            return wait_s
        order.asked_s = self._loop.time()
        if kind == AMEND:
            order.amending = request
        elif kind == CANCEL:
            order.canceling = True
        self.sent[request.number] = Sent(request, order, order.asked_s)
        self._teller.counts["sent"] += 1
        self._wire.send(request)
        return 0.0

    # --- what waits ---
    def _wake(self, delay_s: float) -> None:
        if self._timer is None or self._timer.when() > self._loop.time() + delay_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(max(delay_s, 0.001), self._pump)

    def _pump(self) -> None:
        """Send what waits and may leave now, the most urgent first; refuse what has waited too long."""
        self._timer = None
        now_s, next_s = self._loop.time(), self._policy.wait_s
        blocked = False
        for kind in URGENCY:
            waiting = self._waiting[kind]
            for order_id in list(waiting):
                since_s, price_ticks, lots = waiting[order_id]
                order = self._book.orders[order_id]
                if order.status == FREE:
                    del waiting[order_id]
                elif kind != CANCEL and (self.closed or now_s - since_s >= self._policy.wait_s):
                    del waiting[order_id]
                    self._teller.counts["refused for want of budget"] += 1
                    self._teller.report(order, REJECTED)
                elif not blocked:
                    wait_s = self._send(order, kind, price_ticks, lots)
                    blocked = wait_s > 0
                    next_s = min(next_s, wait_s) if blocked else next_s
                    if not blocked:
                        del waiting[order_id]
        if self.waiting:
            self._wake(next_s)

    @property
    def waiting(self) -> int:
        """Return how many requests wait for budget."""
        return sum(len(waiting) for waiting in self._waiting.values())

    def again(self, order: Order, delay_s: float) -> None:
        """Send a cancel again that surely did not reach the venue."""
        self._loop.call_later(delay_s, self.cancel, order)

    def close(self) -> None:
        """Let nothing but cancels leave from now on; what waits is refused."""
        self.closed = True
        self._pump()

    # --- cancels outside of the engine ---
    def cancel_by_id(self, instrument: int, client_id: str, venue_id: str, side: int, order: Order | None = None) -> None:
        """Send a cancel that no budget may hold back: of an orphan, or of anything in a halt."""
        self._number += 1
        request = OrderRequest(self._number, CANCEL, client_id, venue_id, instrument, side, 0, 0, 0)
        self._limiter.force(self._wire.costs(request))
        self.sent[request.number] = Sent(request, order, self._loop.time())
        if order is not None:
            order.canceling = order.cancel_wanted = True
            order.asked_s = self._loop.time()
        self._teller.counts["sent"] += 1
        self._wire.send(request)

    # --- answers ---
    def answered(self, number: int) -> Sent | None:
        """Return what an answer belongs to, and forget it."""
        return self.sent.pop(number, None)

    def overdue(self) -> list[Sent]:
        """Return what has had no answer for too long, each once; it is kept for a late answer."""
        before_s = self._loop.time() - self._policy.answer_s
        late = [sent for sent in self.sent.values() if not sent.overdue and sent.at_s <= before_s]
        for sent in late:
            sent.overdue = True
        return late

    def forget(self, before_s: float) -> None:
        """Forget requests for ended orders that were sent before a time and never answered."""
        done = [n for n, sent in self.sent.items() if sent.at_s < before_s and (sent.order is None or sent.order.status == FREE)]
        for number in done:
            del self.sent[number]

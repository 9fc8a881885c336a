"""From what a venue says of our orders to what is true of them.

A venue says things twice, late, and in any order. A fill is told to the engine once, by its trade id, whoever says it first. An
order ends for the engine when its terminal report *and* every fill that it promises have been told; what contradicts itself is
asked for.
"""

import math
from collections.abc import Callable
from typing import Protocol

from hftlab.types import ACCEPTED, AMENDED, CANCELED, FREE, LOST, PENDING_CANCEL, PENDING_NEW, REJECTED, UNKNOWN
from hftlab.venues.live.book_of_orders import Book, Order
from hftlab.venues.live.foreign import Foreign
from hftlab.venues.live.gateway_teller import Teller
from hftlab.venues.live.model import OrderState, Reject, VenueFill


class Asker(Protocol):
    """Who asks the venue when what it said is not enough."""

    def ask(self, order: Order, delay_s: float = 0.0) -> None:
        """Ask for an order, the first time after `delay_s`, until its fate is known."""
        ...

    def learn(self, order: Order, generation: int) -> None:
        """Ask how an earlier generation of an order ended."""
        ...

    def want_fills(self, order: Order) -> None:
        """Ask for executions: some that were promised to an order have not come."""
        ...

    def orphan(self, state: OrderState, ended_s: float) -> None:
        """See to an order of ours that seems to rest; for the engine it ended `ended_s` ago (infinite: it never had it)."""
        ...

    def cancel(self, order: Order) -> None:
        """Send the cancel that an order is waiting for."""
        ...


class Facts:
    """Applies states and fills to the book, and tells the engine. `now_s` is the loop's clock."""

    def __init__(self, book: Book, teller: Teller, asker: Asker, now_s: Callable[[], float]) -> None:
        self.book = book
        self.teller = teller
        self.foreign = Foreign()
        # Fills that were told before a restart: those whose fee was not heard of since, and those whose generation was not.
        self.journaled: set[tuple[int, int]] = set()
        self.ungenerated: set[tuple[int, int]] = set()
        self.kept_ns = 0  # venue time up to which the fees of fills are known from before the restart
        self.newest_ns = 0  # venue time of the newest fill
        self._asker = asker
        self._now_s = now_s

    # --- fills ---
    def fill(self, fill: VenueFill, *, fetched: bool = False) -> None:
        """Apply one fill, whoever says it."""
        self.newest_ns = max(self.newest_ns, fill.ts_ns)
        name = self.book.name(fill.instrument, fill.client_id, fill.venue_id)
        if name is None:
            if fill.key not in self.teller.trades[fill.instrument]:
                self.foreign.add(fill)
            self._again(fill, None, 0)
            return
        self._learn(fill.instrument, name, fill.venue_id)
        order_id, generation = name
        order = self.book.orders.get(order_id)
        if not self.teller.trades[fill.instrument].add(fill.key):
            self.teller.counts["duplicates dropped"] += 1
            self._again(fill, order, generation)
            return
        if order is not None:
            if generation > order.generation and order.amending is not None:
                self.switch(order, None, fill.ts_ns)
            order.told[generation] = order.told.get(generation, 0) + fill.qty_lots
            order.said[generation] = max(order.said.get(generation, 0), order.told[generation])
            order.changed_s = self._now_s()
            if order.unplaced:
                self._placed(order)
        self.teller.fill(fill, order_id, order, fetched=fetched)
        if order is not None:
            self.finish(order)

    def _again(self, fill: VenueFill, order: Order | None, generation: int) -> None:
        """Learn from a fill that the journal holds already what the journal does not hold: its fee's asset, its generation."""
        key = (fill.instrument, fill.key)
        if key in self.journaled:
            self.journaled.discard(key)
            if fill.ts_ns > self.kept_ns:
                self.teller.money.count(fill)
        if key in self.ungenerated and order is not None and order.told.get(-1, 0) >= fill.qty_lots:
            self.ungenerated.discard(key)
            order.told[-1] -= fill.qty_lots
            order.told[generation] = order.told.get(generation, 0) + fill.qty_lots
            self.finish(order)

    def _learn(self, instrument: int, name: tuple[int, int], venue_id: str) -> None:
        if self.book.learn_venue_id(instrument, name, venue_id):
            for fill in self.foreign.claim(instrument, venue_id):
                self.fill(fill, fetched=True)

    # --- states ---
    def state(self, state: OrderState, *, asked_s: float = -1.0) -> None:
        """Apply what the venue says of one order. `asked_s`: loop time at which it was asked for; -1: it came by itself."""
        name = self.book.name(state.instrument, state.client_id, state.venue_id)
        if name is None:
            return
        self._learn(state.instrument, name, state.venue_id)
        order_id, generation = name
        order = self.book.orders.get(order_id)
        if order is None:
            if asked_s >= 0 and state.status == "open":
                self._asker.orphan(state, math.inf)
            return
        order.said[generation] = max(order.said.get(generation, 0), state.filled_lots)
        if order.status == FREE:
            if asked_s > order.changed_s and state.status == "open":
                self._asker.orphan(state, asked_s - order.changed_s)
            elif not order.complete:
                self._asker.want_fills(order)
            return
        if generation < order.generation or (state.status == "open" and (order.end is not None or state.ts_ns < order.state_ns)):
            self.finish(order)
            return
        if generation > order.generation:
            self.switch(order, state, state.ts_ns)
        order.state_ns = max(order.state_ns, state.ts_ns)
        order.changed_s = self._now_s()
        if state.status == "open":
            self._open(order, state)
        elif not (order.amending is not None and order.amending.new_client_id):
            order.end = state
        # Else the old order of an amend that replaces has ended: the amend's own answer says whether a new one lives.
        self.finish(order)

    def _open(self, order: Order, state: OrderState) -> None:
        amend = order.amending
        if amend is not None and not amend.new_client_id and (state.price_ticks, state.qty_lots) == (amend.price_ticks, amend.qty_lots):
            self.amended(order, state.price_ticks, state.qty_lots, state.ts_ns)
        elif order.unplaced:
            self._placed(order)
            if not order.doubtful:
                self.teller.report(order, ACCEPTED, state.ts_ns)

    def _placed(self, order: Order) -> None:
        """Note the proof that the venue has an order."""
        order.unplaced = False
        if order.doubtful and not order.cancel_wanted:
            if order.status == LOST:
                self.teller.report(order, ACCEPTED)
            self.resolved(order)

    def accepted(self, order: Order, ts_ns: int) -> None:
        """Apply the venue's word that it has taken a new order."""
        if order.unplaced:
            self._placed(order)
            if order.status in {PENDING_NEW, PENDING_CANCEL}:
                self.teller.report(order, ACCEPTED, ts_ns)

    def amended(self, order: Order, price_ticks: int, qty_lots: int, ts_ns: int) -> None:
        """Apply an amend in place: total size `qty_lots` at `price_ticks`."""
        order.amending = None
        order.price_ticks, order.qty_lots = price_ticks, qty_lots
        self._changed(order, ts_ns)

    def switch(self, order: Order, state: OrderState | None, ts_ns: int) -> None:
        """Let the next generation of an order stand for it: an amend that replaces has happened."""
        amend = order.amending
        if not order.venue_id:
            self._asker.learn(order, order.generation)
        order.venue_id = ""
        if amend is not None and amend.new_client_id:
            order.generation, order.client_id = order.generation + 1, amend.new_client_id
            order.price_ticks, order.qty_lots = amend.price_ticks, amend.qty_lots - amend.filled_lots
        elif state is not None:  # after a restart: which generation rests is news
            found = self.book.ids.parse(state.client_id)
            order.generation, order.client_id = found[1] if found else order.generation, state.client_id or order.client_id
        if state is not None:
            order.price_ticks, order.qty_lots, order.venue_id = state.price_ticks, state.qty_lots, state.venue_id
        order.amending = None
        order.state_ns = 0
        self._changed(order, ts_ns)

    def _changed(self, order: Order, ts_ns: int) -> None:
        order.unplaced = False
        order.changed_s = self._now_s()
        if order.cancel_wanted and (order.doubtful or order.generation):
            self._asker.cancel(order)  # it stays as it is for the engine until it is gone
        if not (order.doubtful and order.cancel_wanted):
            self.teller.report(order, AMENDED, ts_ns)
            self.resolved(order)
        self.finish(order)

    def finish(self, order: Order) -> None:
        """End an order for the engine when it has ended and nothing of it is missing."""
        if order.end is None:
            over = order.filled_lots >= order.qty_lots and order.amending is None
            if over and order.status != FREE:
                self.teller.report(order, CANCELED, leaves_lots=0)
        elif order.complete:
            end = order.end
            refused = end.status == "rejected" or (end.reason is not None and not order.live and not any(order.told.values()))
            left = max(order.qty_lots - order.filled_lots, 0)
            order.amending = None
            self.teller.report(order, REJECTED if refused else CANCELED, end.ts_ns, leaves_lots=left)
        if order.status == FREE:
            order.changed_s = self._now_s()
            self.resolved(order)
        if not order.complete:
            self._asker.want_fills(order)

    # --- doubt ---
    def ask(self, order: Order, delay_s: float) -> None:
        """Ask for an order that was cancelled, unless the venue says by itself in time how much of it was filled."""
        self._asker.ask(order, delay_s)

    def doubt(self, order: Order) -> None:
        """The fate of an order is unknown from here on: the engine counts its worst case, and the venue is asked."""
        if order.status == FREE:
            return
        if not order.doubtful:
            order.doubtful, order.doubt_s = True, self._now_s()
            order.nones = order.olds = 0
        if order.status != LOST:
            self.teller.report(order, UNKNOWN)
        self._asker.ask(order)

    def resolved(self, order: Order) -> None:
        """An order's fate is known again."""
        if order.doubtful:
            order.doubtful = False
            self.teller.counts["resolved"] += 1
        order.worried = False

    def gone(self, order: Order) -> None:
        """The venue has no such order, has said so often enough, and nothing contradicts it."""
        order.amending = None
        never = order.unplaced and not any(order.told.values())
        self.teller.report(order, REJECTED if never and not order.live else CANCELED)
        self.resolved(order)


def ended_by(reason: Reject | None) -> bool:
    """Return whether a refused amend means that the order itself is gone, or is not what we think."""
    return reason in {Reject.UNKNOWN_ORDER, Reject.NO_CHANGE, Reject.ENDED_BY_AMEND}

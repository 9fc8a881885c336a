"""What we know of each of our orders at the venue, next to what the engine has been told of it.

The engine's table of orders changes by the rows that it is told (`hftlab.kernels.orders.TRANSITIONS`); the same table is kept
here by the same transitions, so that only rows are told that fit.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hftlab.kernels.orders import TRANSITIONS
from hftlab.types import FREE, PENDING_NEW
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.model import OrderRequest, OrderState

NEXT: list[list[int]] = TRANSITIONS.tolist()
"""The kernel's transitions as plain ints: NEXT[status][kind], -1 for a report that does not fit."""

ENDED_S = 120.0
"""How long an ended order is remembered, of which every fill that the venue has spoken of was told.

A venue may list it as open for a moment (`Policy.gone_s`), and its executions are asked for again for a while (`Policy.overlap_s`, and
the time between two looks); those are told already, and known by their ids. A later word is still known by its client id.
"""
ENDED_MOST = 20_000
"""Ended orders that are remembered at most: of one whose fills are missing for so long, people were told."""


@dataclass(slots=True)
class Order:
    """One order. Prices and sizes are those of its current generation: an amend that makes a new order starts the next one."""

    order_id: int
    instrument: int
    side: int
    flags: int
    price_ticks: int
    qty_lots: int
    client_id: str
    status: int = PENDING_NEW  # in the engine's table, once it has read what it was told
    live: bool = False  # the engine knows that it rested, or traded
    generation: int = 0
    venue_id: str = ""
    table_lots: int = 0  # its size in the engine's table, over all generations
    executed_lots: int = 0  # that size less what it leaves there
    sent_ns: int = 0  # our clock: when it was first sent
    asked_s: float = 0.0  # loop time of the last request for it
    changed_s: float = 0.0  # loop time of the last fact about it
    state_ns: int = 0  # venue time of the newest state
    amending: OrderRequest | None = None  # an amend that was sent and whose outcome is not known
    canceling: bool = False  # a cancel was sent and is not answered
    cancel_wanted: bool = False
    unplaced: bool = True  # nothing proves yet that the venue has it
    doubtful: bool = False  # of unknown fate, being asked for
    doubt_s: float = 0.0  # since when
    nones: int = 0  # "no such order" so many times in a row
    none_s: float = 0.0  # loop time of the first of them
    olds: int = 0  # found as before an amend of unknown fate so many times in a row
    worried: bool = False  # people were told that it cannot be resolved
    end: OrderState | None = None  # its terminal report
    told: dict[int, int] = field(default_factory=dict)  # lots of the fills told to the engine, by generation
    said: dict[int, int] = field(default_factory=dict)  # lots that the venue says were filled, by generation

    @property
    def filled_lots(self) -> int:
        """Return what was told as filled in this generation."""
        return self.told.get(self.generation, 0)

    @property
    def total_lots(self) -> int:
        """Return the size over all generations, as the engine counts it."""
        return self.qty_lots + sum(lots for generation, lots in self.told.items() if generation < self.generation)

    @property
    def complete(self) -> bool:
        """Return whether every fill that the venue has spoken of was told."""
        return all(self.told.get(generation, 0) >= lots for generation, lots in self.said.items())

    @property
    def leaves_lots(self) -> int:
        """Return what the engine's table is to hold as still open after the fills told so far.

        Of an order that is filled by its old size while an amend to a larger one is in flight, something may be left; a fill that
        leaves nothing would end it in the table. The table counts the rest of such an amend by itself (`wish_lots`).
        """
        left = self.qty_lots - self.filled_lots
        if left <= 0 and self.amending is not None:
            left = (
                self.amending.qty_lots - self.amending.filled_lots
                if self.amending.new_client_id
                else self.amending.qty_lots - self.filled_lots
            )
        return max(left, 0)


class Book:
    """Our orders by order id, client id and the venue's id. `now_s` is the loop's clock."""

    def __init__(self, ids: Ids, now_s: Callable[[], float]) -> None:
        self.ids = ids
        self._now_s = now_s
        self.orders: dict[int, Order] = {}
        self.working: dict[int, Order] = {}  # those the engine's table holds
        self._by_venue: dict[tuple[int, str], tuple[int, int]] = {}  # -> order id, generation
        self._ended: deque[tuple[float, int]] = deque()  # (when, order id)
        self._venue_ids: dict[int, list[tuple[int, str]]] = {}

    def add(self, order: Order) -> None:
        """Enter an order."""
        order.table_lots = order.table_lots or order.qty_lots
        self.orders[order.order_id] = order
        if order.status != FREE:
            self.working[order.order_id] = order

    def name(self, instrument: int, client_id: str, venue_id: str) -> tuple[int, int] | None:
        """Return (order id, generation) of what the venue speaks of, None when it is not ours as far as we know."""
        found = self.ids.parse(client_id) if client_id else None
        return found or (self._by_venue.get((instrument, venue_id)) if venue_id else None)

    def learn_venue_id(self, instrument: int, name: tuple[int, int], venue_id: str) -> bool:
        """Remember the venue's id of an order; returns whether it is news."""
        key = (instrument, venue_id)
        if not venue_id or key in self._by_venue:
            return False
        self._by_venue[key] = name
        self._venue_ids.setdefault(name[0], []).append(key)
        order = self.orders.get(name[0])
        if order is not None and order.generation == name[1]:
            order.venue_id = venue_id
        return True

    def ended(self, order: Order) -> None:
        """Note that the engine's table no longer holds an order; those that ended long ago are forgotten."""
        if self.working.pop(order.order_id, None) is None:
            return
        ended, now_s = self._ended, self._now_s()
        ended.append((now_s, order.order_id))
        # Two at a time, so that what has gathered goes too, and the call stays short.
        for _ in range(2):
            if ended[0][0] < now_s - ENDED_S or len(ended) > ENDED_MOST:
                self._forget(ended.popleft()[1], now_s)

    def _forget(self, order_id: int, now_s: float) -> None:
        """Forget an ended order, or remember it for as long again when fills of it are missing."""
        order = self.orders[order_id]
        if not order.complete and len(self._ended) < ENDED_MOST:
            self._ended.append((now_s, order_id))
            return
        del self.orders[order_id]
        for key in self._venue_ids.pop(order_id, ()):
            self._by_venue.pop(key, None)

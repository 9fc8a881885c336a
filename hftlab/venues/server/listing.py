"""One symbol at the exchange: its matching engine, its public book and prints, its rules.

The matching engine holds orders within 65536 ticks. An order further away waits outside, shown in the public book, and comes in, as the
youngest at its price, when the touch is near. A taker that empties the whole window does not reach it: as under a price band.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from hftlab.kernels.lob import ahead_of
from hftlab.kernels.lob_types import LOB_LEVELS, NIL
from hftlab.kernels.world import request_world, snapshot_world
from hftlab.types import ASK, BID, DEPTH, EVENT, LAST, NO_PRICE, TRADE
from hftlab.venues.server.depth import Change, PublicBook
from hftlab.venues.server.market import CROWD, Market
from hftlab.venues.server.model import Filters, Order, Print

PRINTS = 5000  # public trades kept a symbol

Row = tuple[int, ...]  # fields of EVENT, in its order
PRICE, QTY, LEAVES, ORDER_ID, KIND, SIDE, FLAGS = 2, 3, 4, 5, 7, 8, 9


@dataclass(slots=True)
class Happening:
    """What the public sees at one moment, and the reports that came with it."""

    ts_ns: int = 0
    reports: list[Row] = field(default_factory=list)
    prints: list[Print] = field(default_factory=list)
    levels: list[Change] = field(default_factory=list)


class Listing:
    """A symbol. `out` is room for the rows of the matching engine, shared by all listings of a venue."""

    def __init__(self, symbol: str, market: Market, filters: Filters, start_ns: int, out: np.ndarray) -> None:
        self.symbol, self.market, self.filters = symbol, market, filters
        self.instrument = market.instrument
        self.room, self._row = out, np.zeros(1, EVENT)
        self.world = market.open(start_ns, out)
        self._lob = self.world["lob"]
        rows = out[: snapshot_world(self.world, out, start_ns, start_ns)].tolist()
        levels = [(row[SIDE], row[PRICE], row[QTY]) for row in rows if row[KIND] == DEPTH]
        self.book = PublicBook(symbol, start_ns, levels)
        self.prints: deque[Print] = deque(maxlen=PRINTS)
        self.last_trade_id = 0
        self.waiting: dict[int, Order] = {}  # orders too far from the touch for the window; shown, and let in when it comes near
        self.filled_before: dict[int, int] = {}  # lots that an order had filled when it last came in: the engine counts from then

    @property
    def full(self) -> bool:
        """Return whether the matching engine can hold no further order."""
        return bool(self._lob["free_head"][0] == NIL)

    def within(self, price_ticks: int) -> bool:
        """Return whether a price lies in the window of the matching engine: 65536 ticks round the touch, moved when it must be."""
        anchor = int(self._lob["anchor_ticks"][0])
        return anchor <= price_ticks < anchor + LOB_LEVELS

    def reaches(self, price_ticks: int, within_ticks: int = LOB_LEVELS // 2) -> bool:
        """Return whether a price lies in the window, or less than `within_ticks` from the touch, where the window may be moved to."""
        bid, ask = int(self._lob["best_bid_ticks"][0]), int(self._lob["best_ask_ticks"][0])
        touch = bid if bid != NO_PRICE else ask
        near = touch == NO_PRICE or -within_ticks <= price_ticks - touch < within_ticks
        return near or (within_ticks == LOB_LEVELS // 2 and self.within(price_ticks))

    def overshoots(self, side: int, price_ticks: int) -> bool:
        """Return whether an order would come to rest on the wrong side of the touch and out of reach, where nobody could trade with it."""
        bid, ask = int(self._lob["best_bid_ticks"][0]), int(self._lob["best_ask_ticks"][0])
        touch = bid if bid != NO_PRICE else ask
        return not self.reaches(price_ticks) and side * (price_ticks - touch) > 0

    def waiting_lots(self, side: int, price_ticks: int) -> int:
        """Return what waits outside the window at a price."""
        return sum(order.leaves_lots for order in self.waiting.values() if order.side == side and order.price_ticks == price_ticks)

    def crosses(self, side: int, price_ticks: int | None) -> bool:
        """Return whether an order would take at once; None is any price."""
        other = int(self._lob["best_ask_ticks" if side == BID else "best_bid_ticks"][0])
        return other != NO_PRICE and (price_ticks is None or side * (price_ticks - other) >= 0)

    def ahead(self, owner: int, order_id: int) -> int:
        """Return the lots in front of an order at its price, or -1 when it does not rest."""
        return int(ahead_of(self._lob[0], owner, order_id))

    def mark_half_ticks(self) -> int:
        """Return twice the mid of the touch in ticks; with one side empty the other, with both the last print, else 0."""
        bid, ask = self.book.best(BID), self.book.best(ASK)
        if NO_PRICE not in (bid, ask):
            return bid + ask
        if bid != ask:
            return 2 * max(bid, ask)
        return 2 * self.prints[-1].price_ticks if self.prints else 0

    def request(
        self,
        kind: int,
        now_ns: int,
        *,
        owner: int = CROWD,
        order_id: int = 0,
        side: int = 0,
        price_ticks: int = 0,
        qty_lots: int = 0,
        flags: int = 0,
        stp: int = 0,
        amend_rule: int = 0,
    ) -> np.ndarray:
        """Bring one request (SUBMIT, AMEND, CANCEL) to the matching engine. Returns its rows, in the shared room."""
        row = self._row
        row["kind"], row["order_id"], row["side"] = kind, order_id, side
        row["price_ticks"], row["qty_lots"], row["flags"] = price_ticks, qty_lots, flags
        self._lob["stp_mode"], self._lob["amend_rule"] = stp, amend_rule
        return self.room[: request_world(self.world, self.room, row, 0, now_ns, owner)]

    def happenings(self, rows: np.ndarray) -> Iterator[Happening]:
        """Yield what happened, one for each row flagged LAST, numbering the trades."""
        now = Happening()
        for row in rows.tolist():
            kind, now.ts_ns = row[KIND], row[0]
            if kind == TRADE:
                self.last_trade_id += 1
                now.prints.append(Print(self.symbol, self.last_trade_id, row[0], row[PRICE], row[QTY], row[SIDE]))
            elif kind == DEPTH:
                now.levels.append((row[SIDE], row[PRICE], row[QTY]))
            else:
                now.reports.append(row)
            if row[FLAGS] & LAST:
                yield now
                now = Happening()

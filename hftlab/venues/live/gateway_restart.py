"""What a restarted gateway knows: from the engine's replayed table of orders, and from the rows of its journal."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hftlab.types import AMEND, AMENDED, FILL, FREE, LOST, PAYMENT, PENDING_AMEND, PENDING_CANCEL
from hftlab.venues.live.book_of_orders import Order
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.model import OrderRequest


@dataclass(slots=True)
class Known:
    """What the journal says that the replayed state does not: trade ids, payments, generations of amended orders."""

    # Oldest first, for the gateway remembers the newest: (instrument, `VenueFill.key`), and (instrument, number of the payment's key).
    trades: dict[tuple[int, int], None] = field(default_factory=dict)
    payments: dict[tuple[int, int], None] = field(default_factory=dict)
    generations: dict[int, int] = field(default_factory=dict)  # order id -> generation
    filled: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # order id -> lots
    first_ns: dict[int, int] = field(default_factory=dict)  # order id -> when it first traded, or was amended

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> "Known":
        """Return what some parts of a journal (EVENT rows) say."""
        known = cls()
        for rows in parts:
            known.add(rows)
        return known

    def add(self, rows: np.ndarray) -> None:
        """Read more rows of a journal."""
        kinds = rows["kind"]
        for row in rows[(kinds == FILL) | (kinds == PAYMENT) | (kinds == AMENDED)]:
            instrument, order_id, seq = int(row["instrument"]), int(row["order_id"]), int(row["seq"])
            self.first_ns.setdefault(order_id, int(row["ts_recv_ns"]))
            if row["kind"] == FILL:
                self.trades[instrument, int(row["side"]) * seq] = None
                self.filled[order_id] += int(row["qty_lots"])
            elif row["kind"] == AMENDED:
                self.generations[order_id] = seq
            elif order_id == 0:  # one with an order id is the rest of a fill's fee, and came with the fill
                self.payments[instrument, seq] = None


def orders_of(markets: np.ndarray, known: Known, ids: Ids, *, replaces: bool) -> list[Order]:
    """Return the orders of the engine's table (MARKET[m]), as the gateway had them when the engine died."""
    return [
        _order(instrument, row, known, ids, replaces=replaces)
        for instrument, market in enumerate(markets)
        for row in market["orders"][market["orders"]["status"] != FREE]
    ]


def _order(instrument: int, row: np.void, known: Known, ids: Ids, *, replaces: bool) -> Order:
    order_id, status = int(row["order_id"]), int(row["status"])
    total, leaves = int(row["qty_lots"]), int(row["leaves_lots"])
    generation, filled = known.generations.get(order_id, 0), known.filled.get(order_id, 0)
    order = Order(
        order_id,
        instrument,
        int(row["side"]),
        int(row["flags"]),
        int(row["price_ticks"]),
        leaves if replaces else total,
        ids.client_id(order_id, generation),
        status=status,
        table_lots=total,
        executed_lots=total - leaves,
        live=bool(row["live_ns"] > 0),
        generation=generation,
        sent_ns=min(int(row["sent_ns"]), known.first_ns.get(order_id, int(row["sent_ns"]))),
        unplaced=not row["live_ns"] > 0,
        cancel_wanted=status in {PENDING_CANCEL, LOST},
    )
    # Which of an order's fills belong to which of its generations the journal does not say; the venue's executions will.
    order.told[-1 if replaces else 0] = filled
    wish = (int(row["wish_ticks"]), int(row["wish_lots"]))
    if status == PENDING_AMEND or (status in {PENDING_CANCEL, LOST} and wish != (order.price_ticks, leaves)):
        new_id = ids.client_id(order_id, generation + 1) if replaces else ""
        order.amending = OrderRequest(
            0, AMEND, order.client_id, "", instrument, order.side, wish[0], total - leaves + wish[1], order.flags, total - leaves, new_id
        )
    return order

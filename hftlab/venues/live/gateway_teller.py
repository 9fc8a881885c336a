"""Tells the engine what happened to its orders, as EVENT rows: each fact once, and only what its table of orders can take."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from hashlib import blake2b

import numpy as np

from hftlab.types import (
    ACCEPTED,
    AMENDED,
    BACKFILL,
    CANCEL_REJECTED,
    CANCELED,
    EVENT,
    FILL,
    FREE,
    LAST,
    LINK,
    LOST,
    MAKER,
    PAYMENT,
    REJECTED,
    UNKNOWN,
)
from hftlab.venues.live.book_of_orders import NEXT, Book, Order
from hftlab.venues.live.gateway_money import Money
from hftlab.venues.live.model import Payment, VenueFill

SEEN_KEPT = 100_000
"""Trade ids remembered per instrument, 10 MB of them: hours of the busiest desk, while a venue repeats minutes."""


class Seen:
    """Trade ids (or hashes of payment keys) of one instrument that were told; the oldest are forgotten."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[int, None] = {}

    def add(self, number: int) -> bool:
        """Remember a number; returns whether it is new."""
        if number in self._numbers:
            return False
        self._numbers[number] = None
        if len(self._numbers) > SEEN_KEPT:
            del self._numbers[next(iter(self._numbers))]
        return True

    def __contains__(self, number: int) -> bool:
        return number in self._numbers


def payment_number(key: str) -> int:
    """Return the positive int64 that stands for a payment's key in the `seq` of its row."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") >> 1


class Teller:
    """`emit` gets EVENT rows, never from within `Gateway.submit`; rows of one message come in one call, LAST on its last."""

    def __init__(
        self,
        book: Book,
        money: Money,
        emit: Callable[[np.ndarray], None],
        clock_ns: Callable[[], int],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self.book = book
        self.money = money
        self.counts: Counter[str] = Counter()
        self.trades: dict[int, Seen] = defaultdict(Seen)
        self.payments: dict[int, Seen] = defaultdict(Seen)
        self.net_lots: dict[int, int] = defaultdict(int)  # signed sum of the fills told, by instrument
        self.fills = 0  # told so far: who looks twice sees whether one came in between
        self._emit = emit
        self._clock_ns = clock_ns
        self._later = later
        self._rows: list[tuple[int, ...]] = []
        self._waits = False

    # --- rows out ---
    def _row(self, instrument: int, kind: int, ts_ns: int, body: tuple[int, int, int, int, int], side: int = 0, flags: int = 0) -> None:
        now_ns = self._clock_ns()
        self._rows.append((ts_ns or now_ns, now_ns, *body, kind, side, flags, instrument))
        if not self._waits:
            self._waits = True
            self._later(self.flush)

    def flush(self) -> None:
        """Hand the rows so far to the engine."""
        self._waits = False
        if not self._rows:
            return
        rows = np.array(self._rows, dtype=EVENT)
        self._rows = []
        lasts = {int(row["instrument"]): i for i, row in enumerate(rows)}
        rows["flags"][list(lasts.values())] |= LAST
        self._emit(rows)

    def link(self, instruments: int, *, up: bool) -> None:
        """Tell for each instrument whether what happens to our orders reaches us."""
        for instrument in range(instruments):
            self._row(instrument, LINK, 0, (0, int(up), 0, 0, 0))

    # --- orders ---
    def report(self, order: Order, kind: int, ts_ns: int = 0, *, leaves_lots: int | None = None) -> bool:
        """Tell a report without money, if the engine's table can take it; returns whether it was told."""
        after = FREE if order.status == FREE else NEXT[order.status][kind]
        if order.status == FREE or after < 0:
            return False
        if kind == REJECTED and order.live and after == FREE:
            after = order.status  # as the kernel has it: an amend was refused
        leaves = order.leaves_lots if leaves_lots is None else leaves_lots
        body = (order.price_ticks, order.total_lots, leaves, order.order_id, order.generation)
        self._row(order.instrument, kind, ts_ns, body, order.side)
        if kind == AMENDED:
            order.table_lots, order.executed_lots = order.total_lots, order.total_lots - leaves
        self.counts[REPORT_NAMES[kind]] += 1
        order.status = after
        order.live = order.live or kind in (ACCEPTED, AMENDED)
        if after == FREE:
            self.book.ended(order)
        return True

    def fill(self, fill: VenueFill, order_id: int, order: Order | None, *, fetched: bool) -> None:
        """Tell a fill, and what the venue charged for it beyond the ledger's schedule. The caller has seen that it is new."""
        leaves = order.leaves_lots if order is not None else 0
        flags = (MAKER if fill.maker else 0) | (BACKFILL if fetched else 0)
        body = (fill.price_ticks, fill.qty_lots, leaves, order_id, fill.trade_id)
        self._row(fill.instrument, FILL, fill.ts_ns, body, fill.side, flags)
        self.fills += 1
        self.net_lots[fill.instrument] += fill.side * fill.qty_lots
        ticklots, e8 = self.money.fee_difference(fill)
        if ticklots or e8:
            self._row(fill.instrument, PAYMENT, fill.ts_ns, (0, ticklots, e8, order_id, fill.trade_id))
        if order is None or order.status == FREE:
            return
        order.executed_lots = order.table_lots - leaves
        order.status = FREE if leaves == 0 else NEXT[order.status][FILL]
        order.live = True
        if order.status == FREE:
            self.book.ended(order)
        elif order.doubtful and order.status != LOST and not order.unplaced:
            # A fill does not say what became of an amend or cancel without an answer: the order stays one of unknown fate.
            self.report(order, UNKNOWN, fill.ts_ns)

    def pay(self, payment: Payment) -> None:
        """Tell a payment outside of fills, once by its key."""
        number = payment_number(payment.key)
        if not self.payments[payment.instrument].add(number):
            self.counts["duplicates dropped"] += 1
            return
        ticklots, e8 = self.money.payment(payment.instrument, payment.amount)
        self._row(payment.instrument, PAYMENT, payment.ts_ns, (0, ticklots, e8, 0, number))
        self.counts["payments"] += 1

    def remember(self, trades: Iterable[tuple[int, int]], payments: Iterable[tuple[int, int]]) -> None:
        """Remember what the journal holds already, as (instrument, number)."""
        for instrument, number in trades:
            self.trades[instrument].add(number)
        for instrument, number in payments:
            self.payments[instrument].add(number)


REPORT_NAMES = {
    ACCEPTED: "accepted",
    REJECTED: "rejected",
    AMENDED: "amended",
    CANCELED: "canceled",
    UNKNOWN: "unsure",
    CANCEL_REJECTED: "cancels refused",
}

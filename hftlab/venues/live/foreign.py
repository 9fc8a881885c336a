"""Executions in the account that are not ours: what they moved, and the newest ones by name, for an order may turn out to be ours."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from hftlab.venues.live.book_of_orders import Order
from hftlab.venues.live.model import VenueFill

FOREIGN_KEPT = 10_000
"""Fills of others that are remembered one by one; of older ones, what they moved."""


@dataclass(slots=True)
class Foreign:
    """Fills that are not ours, as far as we know: their order may yet turn out to be."""

    by_trade: dict[tuple[int, int], VenueFill] = field(default_factory=dict)  # by instrument and `VenueFill.key`
    by_order: dict[tuple[int, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    after_ns: int = 0  # venue time from which fills count in what others moved
    old_lots: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # by instrument, of the forgotten ones
    old_fees: dict[tuple[int, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))  # by instrument and asset

    def add(self, fill: VenueFill) -> None:
        """Keep a fill, once."""
        self.by_trade[fill.instrument, fill.key] = fill
        if fill.venue_id:
            self.by_order[fill.instrument, fill.venue_id].add(fill.key)
        if len(self.by_trade) > FOREIGN_KEPT:
            self._forget(self.by_trade.pop(next(iter(self.by_trade))))

    def _forget(self, fill: VenueFill) -> None:
        """Keep of a fill what it moved."""
        named = fill.instrument, fill.venue_id
        if named in self.by_order:
            self.by_order[named].discard(fill.key)
            if not self.by_order[named]:
                del self.by_order[named]
        if fill.ts_ns > self.after_ns:
            self.old_lots[fill.instrument] += fill.side * fill.qty_lots
            self.old_fees[fill.instrument, fill.fee_asset] += fill.fee

    def claim(self, instrument: int, venue_id: str) -> list[VenueFill]:
        """Take out the fills of an order that turned out to be ours."""
        keys = sorted(self.by_order.pop((instrument, venue_id), ()), key=abs)
        found = (self.by_trade.pop((instrument, key), None) for key in keys)
        return [fill for fill in found if fill is not None]

    def lots(self, instrument: int) -> int:
        """Return what they have moved since `after_ns`, signed."""
        return self.old_lots[instrument] + sum(fill.side * fill.qty_lots for fill in self._counted(instrument))

    def fees(self, instrument: int, asset: str) -> Decimal:
        """Return what they have paid since `after_ns` in an asset."""
        paid = (fill.fee for fill in self._counted(instrument) if fill.fee_asset == asset)
        return self.old_fees[instrument, asset] + sum(paid, Decimal(0))

    def _counted(self, instrument: int) -> list[VenueFill]:
        return [fill for fill in self.by_trade.values() if fill.instrument == instrument and fill.ts_ns > self.after_ns]

    def could_be_of(self, order: Order) -> bool:
        """Return whether one of them, of an order that nobody has named, fits an order of ours."""
        return any(
            not fill.client_id
            and (fill.instrument, fill.side) == (order.instrument, order.side)
            and fill.ts_ns >= order.sent_ns - 1_000_000_000
            and fill.qty_lots <= order.qty_lots
            and (fill.price_ticks - order.price_ticks) * order.side <= 0
            for fill in self.by_trade.values()
        )

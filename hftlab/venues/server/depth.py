"""The public book of one symbol: its levels, its update ids, and what it was some diffs ago."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping

from hftlab.errors import InputError
from hftlab.types import ASK, BID, NO_PRICE
from hftlab.venues.server.hashing import HashRing, hash_levels, level_hash, sum_levels
from hftlab.venues.server.model import Book, DepthDiff, Touch

HISTORY = 1024  # diffs that can be undone

Change = tuple[int, int, int]  # side, price_ticks, lots now there
Level = tuple[int, int]


class PublicBook:
    """Levels by price, and the diffs that made them. Update ids count every changed level by one."""

    def __init__(self, symbol: str, ts_ns: int, levels: Iterable[Change], history: int = HISTORY) -> None:
        self.symbol, self.ts_ns = symbol, ts_ns
        self._lots: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
        for side, price, lots in levels:
            self._lots[side][price] = lots
        self._prices = {side: sorted(self._lots[side]) for side in (BID, ASK)}
        # a new book has come about level by level; ids begin above zero, for zero means "none" in some protocols
        self.last_id = len(self._lots[BID]) + len(self._lots[ASK]) + 1
        self.hashes = HashRing(self.last_id, sum_levels(self._lots[BID].items(), self._lots[ASK].items()))
        self._undo: deque[tuple[int, int, list[Change]]] = deque(maxlen=history)  # id and time before it, and the levels before it

    def lots(self, side: int, price_ticks: int) -> int:
        """Return what stands at a price."""
        return self._lots[side].get(price_ticks, 0)

    def best(self, side: int) -> int:
        """Return the best price of a side, or NO_PRICE."""
        prices = self._prices[side]
        if not prices:
            return NO_PRICE
        return prices[-1] if side == BID else prices[0]

    def touch(self) -> Touch:
        """Return best bid and ask."""
        bid, ask = self.best(BID), self.best(ASK)
        return Touch(self.symbol, self.last_id, self.ts_ns, bid, self.lots(BID, bid), ask, self.lots(ASK, ask))

    def cost(self, side: int, qty_lots: int, without: Mapping[int, int]) -> int:
        """Return the ticklots that a taker of `side` would pay for up to `qty_lots`, if the lots in `without` (by price) were not there."""
        left, ticklots = qty_lots, 0
        for price, lots in self._side(-side, len(self._prices[-side])):
            take = min(lots - without.get(price, 0), left)
            left, ticklots = left - take, ticklots + take * price
            if left == 0:
                break
        return ticklots

    def better(self, side: int, price_ticks: int) -> int:
        """Return the lots that stand on `side` at better prices than this one."""
        prices, lots = self._prices[side], self._lots[side]
        ahead = prices[bisect_left(prices, price_ticks + 1) :] if side == BID else prices[: bisect_left(prices, price_ticks)]
        return sum(lots[price] for price in ahead)

    def change(self, ts_ns: int, levels: Iterable[Change]) -> DepthDiff | None:
        """Set levels, the last word on each price counts. Returns the diff, or None where nothing changed."""
        wanted = {(side, price): lots for side, price, lots in levels}
        changed = [(side, price, lots) for (side, price), lots in wanted.items() if self.lots(side, price) != lots]
        if not changed:
            return None
        before = [(side, price, self.lots(side, price)) for side, price, _ in changed]
        self._undo.append((self.last_id, self.ts_ns, before))
        by = 0
        for (side, price, lots), (_, _, was) in zip(changed, before, strict=True):
            self._set(side, price, lots)
            by += level_hash(side, price, lots) - level_hash(side, price, was)
        previous = self.last_id
        self.last_id, self.ts_ns = previous + len(changed), ts_ns
        self.hashes.move(self.last_id, by)
        bids, asks = (tuple((price, lots) for at, price, lots in changed if at == side) for side in (BID, ASK))
        return DepthDiff(self.symbol, previous + 1, self.last_id, previous, ts_ns, bids, asks)

    def _set(self, side: int, price_ticks: int, lots: int) -> None:
        levels, prices = self._lots[side], self._prices[side]
        if lots == 0:
            del levels[price_ticks]
            del prices[bisect_left(prices, price_ticks)]
            return
        if price_ticks not in levels:
            insort(prices, price_ticks)
        levels[price_ticks] = lots

    def _side(self, side: int, count: int) -> list[Level]:
        """Return the best `count` levels of a side."""
        prices, lots = self._prices[side], self._lots[side]
        best = prices[: -count - 1 : -1] if side == BID else prices[:count]
        return [(price, lots[price]) for price in best]

    def copy(self, levels: int, back: int = 0) -> Book:
        """Return up to `levels` of each side, as they are or as they were `back` diffs ago (the oldest kept, where that is nearer)."""
        if levels < 1 or back < 0:
            raise InputError(f"asked for {levels} levels, {back} diffs back; wanted at least one level, and zero or more diffs.")
        if back == 0 or not self._undo:
            return Book(self.symbol, self.last_id, self.ts_ns, tuple(self._side(BID, levels)), tuple(self._side(ASK, levels)))
        sides = {side: dict(self._lots[side]) for side in (BID, ASK)}
        undone = [self._undo[-n] for n in range(1, min(back, len(self._undo)) + 1)]
        for _, _, before in undone:
            for side, price, lots in before:
                sides[side][price] = lots
        last_id, ts_ns, _ = undone[-1]
        bids, asks = (
            tuple(sorted(((price, lots) for price, lots in sides[side].items() if lots), key=lambda level: -side * level[0])[:levels])
            for side in (BID, ASK)
        )
        return Book(self.symbol, last_id, ts_ns, bids, asks)

    def hash(self, last_id: int, levels: int | None = None) -> str:
        """Return the hash of the whole book after the diff that ended at `last_id`, or of its best `levels` (some hundred diffs back).

        Raises InputError for an id that ended no diff, or is no longer kept.
        """
        if levels is None:
            return self.hashes.at(last_id)
        ids = [self.last_id, *(before for before, _, _ in reversed(self._undo))]
        if last_id not in ids:
            raise InputError(f"no diff ended at update id {last_id} among the newest {len(ids)}: {ids[-1]} to {ids[0]}.")
        book = self.copy(levels, ids.index(last_id))
        return hash_levels(book.bids, book.asks)

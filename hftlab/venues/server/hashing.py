"""What a book is at an update id, as one short text that a client can make of its own book.

The hash of a book is the sum of the hashes of its levels, modulo 2**64, so a change of one level costs two small hashes however deep
the book is, and the order of levels does not matter. A level is the text `B<ticks>:<lots>` or `A<ticks>:<lots>`, hashed by blake2b of
8 bytes, big endian. This tells books apart that differ by accident; it is no signature.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b

from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.types import ASK, BID

KEPT = 500_000  # hashes a symbol, 16 bytes each
_MASK = (1 << 64) - 1

Levels = Iterable[tuple[int, int]]


def level_hash(side: int, price_ticks: int, lots: int) -> int:
    """Return the share of one level in the hash of its book; an empty level has none."""
    if lots == 0:
        return 0
    return int.from_bytes(blake2b(f"{'B' if side == BID else 'A'}{price_ticks}:{lots}".encode(), digest_size=8).digest(), "big")


def sum_levels(bids: Levels, asks: Levels) -> int:
    """Return the hash of a book as a number."""
    total = sum(level_hash(BID, price, lots) for price, lots in bids) + sum(level_hash(ASK, price, lots) for price, lots in asks)
    return total & _MASK


def hash_levels(bids: Levels, asks: Levels) -> str:
    """Return the hash of a book given as (price_ticks, lots) of each side, in any order: 16 hex digits."""
    return f"{sum_levels(bids, asks):016x}"


def hash_texts(instrument: Instrument, bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]]) -> str:
    """Return the hash of a book given as texts (price, quantity), as venues write them. Raises OffGridPrice, OffGridQuantity."""
    sides = ([(instrument.ticks(price), instrument.lots(qty)) for price, qty in levels] for levels in (bids, asks))
    return hash_levels(*sides)


class HashRing:
    """The hash of the whole book after each diff, the newest `KEPT` at least."""

    def __init__(self, last_id: int, value: int, kept: int = KEPT) -> None:
        self._kept = kept
        self._ids, self._values = array("q", [last_id]), array("Q", [value])

    @property
    def value(self) -> int:
        """Return the hash after the newest diff."""
        return self._values[-1]

    def move(self, last_id: int, by: int) -> None:
        """Take note that the diff ending at `last_id` changed the sum of level hashes by `by`."""
        self._values.append((self._values[-1] + by) & _MASK)
        self._ids.append(last_id)
        if len(self._ids) > 2 * self._kept:
            self._ids, self._values = self._ids[-self._kept :], self._values[-self._kept :]

    def at(self, last_id: int) -> str:
        """Return the hash after the diff that ended at `last_id`. Raises InputError where there is none, or none any more."""
        place = bisect_left(self._ids, last_id)
        if place == len(self._ids) or self._ids[place] != last_id:
            raise InputError(
                f"no diff ended at update id {last_id}; known are {len(self._ids):,} from {self._ids[0]} to {self._ids[-1]}. "
                "Ask for the last_id of a diff or a snapshot."
            )
        return f"{self._values[place]:016x}"

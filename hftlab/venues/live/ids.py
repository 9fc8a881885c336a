"""Client order ids of ours: they name the run and the order, both ways, and are the same after a restart.

An order id of the engine is unique within a run directory, and a run has one tag; so an id that was sent once is never
sent for another order, and whoever reads a venue's open orders can tell ours from others'.
"""

import hashlib
import re
import secrets
import string

from hftlab.errors import InputError

_TAG = re.compile(r"[a-z0-9]{6}")
_LETTERS = string.ascii_lowercase + string.digits
# A cloid's last 64 bits: 20 for the generation, 44 for the order id (10**11 orders of a run, 10**6 amends of an order).
_ORDER_BITS = 44
_GENERATIONS = 1 << 20


def new_tag() -> str:
    """Return a random tag for a run: six letters or digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(6))


class Ids:
    """The ids of one run at one venue.

    Text form (Binance and most others): `h{tag}-{order_id}`, with `.{generation}` after an amend that made a new order; at
    most 36 characters. Hyperliquid: `0x`, 16 hex digits of the tag's blake2b, 16 hex digits of generation and order id.
    """

    def __init__(self, venue: str, tag: str) -> None:
        if not _TAG.fullmatch(tag):
            raise InputError(f"the tag of a run was {tag!r}; wanted six of a-z and 0-9, as `new_tag()` makes them.")
        self.tag = tag
        self._hex = venue.startswith("hyperliquid")
        self._prefix = "0x" + hashlib.blake2b(tag.encode(), digest_size=8).hexdigest() if self._hex else f"h{tag}-"

    def client_id(self, order_id: int, generation: int = 0) -> str:
        """Return the client id of an order. Raises InputError for numbers that no id can hold."""
        if not 0 < order_id < 1 << (_ORDER_BITS if self._hex else 63) or not 0 <= generation < _GENERATIONS:
            raise InputError(
                f"no client id can hold order {order_id}, generation {generation}; an order is amended {_GENERATIONS - 1:,} times."
            )
        if self._hex:
            return f"{self._prefix}{generation << _ORDER_BITS | order_id:016x}"
        return f"{self._prefix}{order_id}.{generation}" if generation else f"{self._prefix}{order_id}"

    def parse(self, client_id: str) -> tuple[int, int] | None:
        """Return (order id, generation) of an id of this run, None for anybody else's."""
        if not client_id.startswith(self._prefix):
            return None
        rest = client_id[len(self._prefix) :]
        if self._hex:
            number = int(rest, 16) if re.fullmatch(r"[0-9a-f]{16}", rest) else 0
            order_id, generation = number & ((1 << _ORDER_BITS) - 1), number >> _ORDER_BITS
        else:
            found = re.fullmatch(r"([1-9][0-9]{0,18})(?:\.([1-9][0-9]{0,6}))?", rest, re.ASCII)
            order_id, generation = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
        return (order_id, generation) if order_id else None

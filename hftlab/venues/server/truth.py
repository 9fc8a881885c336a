"""What really happened at the exchange: an append-only log of requests and events, in order, ready to be written as JSON lines."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hftlab.venues.server.model import Fill, Order


def plain(value: Any) -> Any:
    """Return a value as JSON has it; money as text, so that no digit is lost."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value


def order_facts(order: Order) -> dict[str, Any]:
    """Return an order as plain values."""
    return {name: plain(getattr(order, name)) for name in order.__slots__}


def fill_facts(fill: Fill) -> dict[str, Any]:
    """Return a fill as plain values."""
    return {name: plain(getattr(fill, name)) for name in fill.__slots__}


class Log:
    """Lines in the order of what happened. The public flow is not in it: it follows from the seed, and its books are hashed."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def note(self, what: str, ts_ns: int, **facts: Any) -> None:
        """Append one line; its number is its place."""
        self.lines.append({"n": len(self.lines), "ts_ns": ts_ns, "what": what, **{name: plain(value) for name, value in facts.items()}})

    def json_lines(self, start: int = 0) -> Iterator[str]:
        """Yield the lines from number `start` on as JSON."""
        for line in self.lines[start:]:
            yield json.dumps(line, separators=(",", ":"))

"""What a report can be made again from: the tape and the call, and the books that stood at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.strategies.base import strategy_from_dict
from hftlab.types import AT_DESK, AT_EXCHANGE, BID, CLEAR, DEPTH

if TYPE_CHECKING:
    import pandas as pd

    from hftlab.analytics.luck.ledger import Counted

_CHUNK = 1 << 18


def pieces(tape: Any) -> Iterator[np.ndarray]:
    """Yield the rows (EVENT, in receive order) of a tape in pieces; one that is streamed is read again."""
    if hasattr(tape, "chunks"):
        yield from tape.chunks()
        return
    for start in range(0, len(tape.rows), _CHUNK):
        yield tape.rows[start : start + _CHUNK]


@dataclass(frozen=True)
class Origin:
    """`tape` with its rows (see `pieces`), the keyword arguments of the call, and what to call with them.

    `run(tape=…, **call)` gives the report again. `counted` is the line that the lab wrote of this run, None where it counts none.
    """

    tape: Any
    call: Mapping[str, Any]
    run: Callable[..., Any] = field(repr=False)
    counted: "Counted | None" = field(default=None, repr=False)

    def again(self, **changes: Any) -> Any:
        """Return the report of the same run with other arguments."""
        call = {**self.call, **changes}
        if call.get("strategy") is not None:  # a strategy that ran remembers; a new run wants a new one
            call["strategy"] = strategy_from_dict(call["strategy"].to_dict())
        return self.run(tape=self.tape, **call)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the rows of the tape in pieces."""
        return pieces(self.tape)

    def book_at(self, ts_ns: int, instrument: int, depth: int = 5, *, exchange: bool = False) -> "pd.DataFrame":
        """Return the best `depth` levels a side, best first, as they stood at `ts_ns` inclusive: side, price_ticks, qty_lots.

        On our clock, or with `exchange=True` on the exchange's: what had happened there, received or not.
        """
        import pandas as pd

        clock, theirs = ("ts_exch_ns", AT_DESK) if exchange else ("ts_recv_ns", AT_EXCHANGE)
        books: dict[int, dict[int, int]] = {1: {}, -1: {}}
        for rows in self.chunks():
            mine = (rows["instrument"] == instrument) & np.isin(rows["kind"], (DEPTH, CLEAR)) & (rows[clock] <= ts_ns)
            part = rows[mine & ((rows["flags"] & (AT_DESK | AT_EXCHANGE)) != theirs)]
            for side, levels in books.items():
                apply_levels(levels, part, side)
            if not exchange and rows["ts_recv_ns"][-1] > ts_ns:
                break
        best = []
        for side, levels in books.items():
            prices = sorted((price for price, lots in levels.items() if lots > 0), reverse=side == BID)[:depth]
            best += [("bid" if side == BID else "ask", price, levels[price]) for price in prices]
        return pd.DataFrame(best, columns=["side", "price_ticks", "qty_lots"])


def apply_levels(levels: dict[int, int], rows: np.ndarray, side: int) -> None:
    """Bring one side (price -> lots) up to date: the last word on each price since the side was last cleared."""
    clears = np.flatnonzero((rows["kind"] == CLEAR) & ((rows["side"] == side) | (rows["side"] == 0)))
    if len(clears):
        levels.clear()
        rows = rows[clears[-1] + 1 :]
    rows = rows[(rows["kind"] == DEPTH) & (rows["side"] == side)][::-1]
    prices, last = np.unique(rows["price_ticks"], return_index=True)
    levels.update(zip(prices.tolist(), rows["qty_lots"][last].tolist(), strict=True))

"""The best levels of a book, read from its record."""

from typing import Any

import numpy as np

from hftlab.types import BID, NO_PRICE


def side_levels(book: Any, side: int, depth: int) -> list[tuple[int, int]]:
    """Return up to `depth` (ticks, lots) from the best price of a side; looks into the far table only when it must."""
    lots = book["bid_lots" if side == BID else "ask_lots"]
    best = int(book["best_bid_ticks" if side == BID else "best_ask_ticks"])
    if best == NO_PRICE:
        return []
    anchor = int(book["anchor_ticks"])
    index = np.flatnonzero(lots)
    near = index[::-1][:depth] if side == BID else index[:depth]
    rows = [(anchor + int(k), int(lots[k])) for k in near]
    if len(rows) < depth and int(book["far_count"]):
        far = np.flatnonzero(np.sign(book["far"]["lots"]) == side)
        rows += [(int(book["far"]["ticks"][k]), abs(int(book["far"]["lots"][k]))) for k in far]
        rows.sort(key=lambda row: -side * row[0])
    return rows[:depth]

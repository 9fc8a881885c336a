"""Two runs of one rule, order by order and fill by fill: which agree, and what is different about every one that does not.

A fill agrees when exchange time, side, price and quantity are all the same; an order when the time it was sent, side and price
are. What is left is paired by what it still has in common, and each pair or single one is a difference with a name. A fill whose
order the other run never sent is a consequence: of something earlier, which is where to look. One whose order both runs sent is
a cause: the two exchanges judged the same order differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ORDER = np.dtype([("sent_ns", "i8"), ("price_ticks", "i8"), ("side", "i1")])
"""An order sent: when, at what price, +1 to buy or -1 to sell."""

FILL = np.dtype([("exch_ns", "i8"), ("price_ticks", "i8"), ("qty_lots", "i8"), ("order", "i8"), ("side", "i1")])
"""A fill: when the exchange matched it, and the row of its order among the orders of the same run."""

AGREE, ONLY_THEIRS, ONLY_OURS, OTHER_TIME, OTHER_PRICE, OTHER_QTY = (
    "agree",
    "only theirs",
    "only ours",
    "other time",
    "other price",
    "other qty",
)
KINDS = (AGREE, OTHER_TIME, OTHER_PRICE, OTHER_QTY, ONLY_THEIRS, ONLY_OURS)
NONE = -1

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Run:
    """What a run did. orders: ORDER[n], fills: FILL[m]; position in lots, P&L in quote currency."""

    orders: Rows
    fills: Rows
    cancels: int
    position_lots: int
    pnl_quote: float


class Pair(NamedTuple):
    """Rows of their and of our array that belong together (NONE: there is none), and how they differ."""

    kind: str
    theirs: int
    ours: int


@dataclass(frozen=True)
class Comparison:
    """orders, fills: one Pair for each that either run has; caused: the fill differences whose order both runs sent."""

    theirs: Run
    ours: Run
    orders: Sequence[Pair]
    fills: Sequence[Pair]
    caused: Sequence[Pair]

    def share(self, what: str) -> float:
        """Return which part of the union of "orders" or "fills" agrees, NaN when there are none."""
        pairs: Sequence[Pair] = getattr(self, what)
        return sum(pair.kind == AGREE for pair in pairs) / len(pairs) if pairs else float("nan")


def compare(theirs: Run, ours: Run, window_ns: int = 1_000_000_000) -> Comparison:
    """Pair the orders and fills of two runs. Times further apart than `window_ns` are not the same event at another time."""
    orders = pairs(theirs.orders, ours.orders, "sent_ns", window_ns)
    fills = pairs(theirs.fills, ours.fills, "exch_ns", window_ns)
    both_theirs = {pair.theirs for pair in orders if pair.kind == AGREE}
    both_ours = {pair.ours for pair in orders if pair.kind == AGREE}
    caused = [pair for pair in fills if pair.kind != AGREE and _both_sent(pair, theirs, ours, both_theirs, both_ours)]
    return Comparison(theirs, ours, orders, fills, caused)


def _both_sent(pair: Pair, theirs: Run, ours: Run, both_theirs: set[int], both_ours: set[int]) -> bool:
    known_theirs = pair.theirs == NONE or int(theirs.fills["order"][pair.theirs]) in both_theirs
    known_ours = pair.ours == NONE or int(ours.fills["order"][pair.ours]) in both_ours
    return known_theirs and known_ours


def pairs(theirs: Rows, ours: Rows, clock: str, window_ns: int) -> list[Pair]:
    """Return one Pair for every row of either array, in time order. `clock` names the field of the time.

    First those alike in everything, then those alike but for the time (the nearest first come, within `window_ns`), for the
    price, for the quantity; what is left is alone.
    """
    same = [name for name in ("side", "price_ticks", "qty_lots") if name in (theirs.dtype.names or ())]
    left, right = list(range(len(theirs))), list(range(len(ours)))
    found: list[Pair] = []

    def take(kind: str, fields: Sequence[str], window: int = 0) -> None:
        taken = _nearest(theirs[left], ours[right], clock, fields, window)
        found.extend(Pair(kind, left[a], right[b]) for a, b in taken)
        gone_left, gone_right = {left[a] for a, _ in taken}, {right[b] for _, b in taken}
        left[:] = [i for i in left if i not in gone_left]
        right[:] = [i for i in right if i not in gone_right]

    take(AGREE, same)
    if "qty_lots" in same:
        take(OTHER_QTY, ["side", "price_ticks"])
    take(OTHER_TIME, same, window_ns)
    take(OTHER_PRICE, [name for name in same if name != "price_ticks"])
    found += [Pair(ONLY_THEIRS, i, NONE) for i in left] + [Pair(ONLY_OURS, NONE, i) for i in right]

    def when(pair: Pair) -> int:
        return int(ours[clock][pair.ours] if pair.theirs == NONE else theirs[clock][pair.theirs])

    return sorted(found, key=when)


def _nearest(theirs: Rows, ours: Rows, clock: str, fields: Sequence[str], window_ns: int) -> list[tuple[int, int]]:
    """Return index pairs equal in `fields` and at most `window_ns` apart, the closest in time first; each index once."""
    waiting: dict[tuple[int, ...], list[int]] = {}
    for j, row in enumerate(ours):
        waiting.setdefault(tuple(int(row[name]) for name in fields), []).append(j)
    near = [
        (abs(int(row[clock]) - int(ours[clock][j])), i, j)
        for i, row in enumerate(theirs)
        for j in waiting.get(tuple(int(row[name]) for name in fields), ())
    ]
    used_theirs, used_ours, taken = set(), set(), []
    for apart_ns, i, j in sorted(near):
        if apart_ns <= window_ns and i not in used_theirs and j not in used_ours:
            used_theirs.add(i)
            used_ours.add(j)
            taken.append((i, j))
    return taken


# --- in words ----------------------------------------------------------------------------------------------------------


def table(comparison: Comparison, shown: int = 40) -> str:
    """Return the comparison as text: totals, counts by kind, and the first `shown` differing fills."""
    theirs, ours = comparison.theirs, comparison.ours
    lines = [f"{'':<14}{'theirs':>16}{'ours':>16}"]
    for name, a, b in (
        ("orders", len(theirs.orders), len(ours.orders)),
        ("cancels", theirs.cancels, ours.cancels),
        ("fills", len(theirs.fills), len(ours.fills)),
        ("position lots", theirs.position_lots, ours.position_lots),
    ):
        lines.append(f"{name:<14}{a:>16,}{b:>16,}")
    lines += [f"{'P&L':<14}{theirs.pnl_quote:>16.6f}{ours.pnl_quote:>16.6f}", "", f"{'':<14}{'orders':>16}{'fills':>16}"]
    for kind in KINDS:
        lines.append(f"{kind:<14}{_count(comparison.orders, kind):>16,}{_count(comparison.fills, kind):>16,}")
    lines.append(f"{'agreement':<14}{comparison.share('orders'):>16.2%}{comparison.share('fills'):>16.2%}")
    different = [pair for pair in comparison.fills if pair.kind != AGREE]
    lines += ["", f"{len(different):,} fills differ, {len(comparison.caused):,} of them on orders that both runs sent."]
    caused = set(comparison.caused)
    lines += [_line(pair, comparison, pair in caused) for pair in different[:shown]]
    if len(different) > shown:
        lines.append(f"… and {len(different) - shown:,} more")
    return "\n".join(lines)


def _count(found: Sequence[Pair], kind: str) -> int:
    return sum(pair.kind == kind for pair in found)


def _line(pair: Pair, comparison: Comparison, both_sent: bool) -> str:
    words = [_fill(run.fills[i]) for run, i in ((comparison.theirs, pair.theirs), (comparison.ours, pair.ours)) if i != NONE]
    return f"{pair.kind:<12} {' | '.join(words)}{'   both sent this order' if both_sent else ''}"


def _fill(row: np.void) -> str:
    return f"{int(row['exch_ns'])} {'buy ' if row['side'] > 0 else 'sell'} {int(row['qty_lots'])} @ {int(row['price_ticks'])}"


def read_theirs(path: Path, answer: dict[str, float], lot_size: float) -> Run:
    """Return the run that theirs.py dumped into `path`, with the totals that it answered."""
    with np.load(path) as file:
        sent, done = file["sent"], file["done"]
    orders = np.zeros(len(sent), ORDER)
    for name in ORDER.names or ():
        orders[name] = sent[name]
    filled = done[done["qty"] > 0]
    filled = filled[np.argsort(filled["exch_ns"], kind="stable")]
    fills = np.zeros(len(filled), FILL)
    fills["exch_ns"], fills["price_ticks"], fills["side"] = filled["exch_ns"], filled["price_ticks"], filled["side"]
    fills["qty_lots"] = np.rint(filled["qty"] / lot_size)
    fills["order"] = filled["order_id"]  # its number among those sent
    return Run(orders, fills, int(answer["cancels"]), round(answer["position"] / lot_size), answer["pnl"])

"""Two runs side by side: the figures that differ, and the first order or fill in which they part."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.instrument import Instrument
from hftlab.types import AMEND, CANCEL, FILL, KIND_NAMES, MAKER, SUBMIT

if TYPE_CHECKING:
    import pandas as pd

# What makes two requests or fills the same: when, of what order, and what.
_SAME = ("ts_recv_ns", "kind", "instrument", "order_id", "side", "price_ticks", "qty_lots", "flags")


def differences(this: Mapping[str, Any], other: Mapping[str, Any]) -> "pd.DataFrame":
    """Return one row for each name whose value differs (NaN equals NaN): both values, and their difference where they are numbers."""
    import pandas as pd

    rows = []
    for name in [*this, *(name for name in other if name not in this)]:
        a, b = this.get(name), other.get(name)
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
        if a == b or (_is_nan(a) and _is_nan(b)) or (numbers and math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)):  # type: ignore[arg-type]
            continue  # the last bit of a sum of floats is no difference; the digest sees those that are
        rows.append({"what": name, "this": a, "other": b, "difference": float(b) - float(a) if numbers else math.nan})  # type: ignore[arg-type]
    table = pd.DataFrame(rows, columns=["what", "this", "other", "difference"])
    return table.set_index("what")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def acts(own: np.ndarray) -> np.ndarray:
    """Return the requests and fills among the rows of a run, in the desk's order."""
    return own[np.isin(own["kind"], (SUBMIT, AMEND, CANCEL, FILL))]


def first_difference(this: np.ndarray, other: np.ndarray) -> int | None:
    """Return the number of the first request or fill that is not the same in both, None where all are. A fill's match time counts."""
    common = min(len(this), len(other))
    same = np.ones(common, bool)
    for name in _SAME:
        same &= this[name][:common] == other[name][:common]
    matched = (this["kind"][:common] != FILL) | (this["ts_exch_ns"][:common] == other["ts_exch_ns"][:common])
    apart = np.flatnonzero(~(same & matched))
    if len(apart):
        return int(apart[0])
    return None if len(this) == len(other) else common


Books = Callable[..., "pd.DataFrame"]


@dataclass(frozen=True, repr=False)
class Divergence:
    """Where two runs part: the `number`-th request or fill of each (None: it had no more), its time, and the books they saw then.

    `books` are (this, other) tables of levels, None for a run whose tape is not at hand; of the exchange for a fill at its match, of
    the desk for a request.
    """

    number: int | None
    this: np.void | None
    other: np.void | None
    same: int
    instruments: tuple[Instrument, ...]
    books: tuple[Any, Any]

    @property
    def ts_ns(self) -> int | None:
        """Return the time of the earlier of the two acts on our clock, None for equal runs."""
        times = [int(act["ts_recv_ns"]) for act in (self.this, self.other) if act is not None]
        return min(times) if times else None

    def text(self) -> str:
        """Return the difference in one or two sentences."""
        if self.number is None:
            return f"no difference: all {self.same:,} requests and fills are the same."
        return (
            f"the first {self.number:,} requests and fills are the same; then, at {_utc(self.ts_ns)}, "
            f"this run {self._act(self.this)} and the other {self._act(self.other)}."
        )

    def _act(self, row: np.void | None) -> str:
        if row is None:
            return "does nothing more"
        one = self.instruments[int(row["instrument"])]
        kind, side = int(row["kind"]), "buy" if row["side"] > 0 else "sell"
        words = {SUBMIT: "submits", AMEND: "amends", CANCEL: "cancels", FILL: "is filled on"}.get(kind, KIND_NAMES[kind])
        how = (" as maker" if int(row["flags"]) & MAKER else " as taker") if kind == FILL else ""
        price, qty = one.price_text(int(row["price_ticks"])), one.qty(int(row["qty_lots"]))
        return f"{words} order {int(row['order_id'])}, {side} {qty} {one.symbol} at {price}{how} ({_utc(int(row['ts_recv_ns']))})"

    def __repr__(self) -> str:
        return f"<Divergence: {self.text()}>"

    def _repr_html_(self) -> str:
        tables = "".join(
            f"<div><b>{name}</b>{'<div>its tape is not at hand</div>' if book is None else book.to_html(index=False, border=0)}</div>"
            for name, book in zip(("this run's book", "the other's book"), self.books, strict=True)
        )
        shown = "" if self.number is None else f"<div style='display:flex;gap:32px'>{tables}</div>"
        return f"<div>{escape(self.text())}</div>{shown}"


def diverge(
    this: np.ndarray, other: np.ndarray, instruments: Sequence[Instrument], books: tuple[Books | None, Books | None], depth: int = 5
) -> Divergence:
    """Return where two runs part, given their own rows and what rebuilds their books (see Origin.book_at)."""
    ours, theirs = acts(this), acts(other)
    number = first_difference(ours, theirs)
    if number is None:
        return Divergence(None, None, None, len(ours), tuple(instruments), (None, None))
    mine, his = (rows[number] if number < len(rows) else None for rows in (ours, theirs))
    first = min((row for row in (mine, his) if row is not None), key=lambda row: int(row["ts_recv_ns"]))
    exchange = int(first["kind"]) == FILL
    at_ns, which = int(first["ts_exch_ns" if exchange else "ts_recv_ns"]), int(first["instrument"])
    seen = [None if book is None else _priced(book(at_ns, which, depth, exchange=exchange), instruments[which]) for book in books]
    return Divergence(number, mine, his, number, tuple(instruments), (seen[0], seen[1]))


def _priced(book: "pd.DataFrame", instrument: Instrument) -> "pd.DataFrame":
    book.insert(1, "price", [instrument.price_text(int(ticks)) for ticks in book["price_ticks"]])
    book.insert(2, "qty", [str(instrument.qty(int(lots))) for lots in book["qty_lots"]])
    return book


def _utc(ts_ns: int | None) -> str:
    return "–" if ts_ns is None else f"{np.datetime64(ts_ns, 'ns').astype('datetime64[us]')} UTC"

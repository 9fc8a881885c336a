"""Which part of the flow costs: the fills sorted by what the market did just before each of them, and what each part made of it.

Nothing here looks past the fill except the markout itself, and VPIN's bucket size (see `Prints.vpin`). The regimes overlap: each sorts
all fills anew, so their money does not add up across regimes, only within one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.drawing.pictures import amount, intervals
from hftlab.analytics.facts.collector import Facts
from hftlab.analytics.facts.prints import Prints
from hftlab.analytics.markouts import markouts as mo
from hftlab.types import NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

MOVE_S = 1.0
FLOW_S = 5.0
ONE_SIDED = 0.5
REGIMES = ("VPIN", "sweep", "flow before", "move before")


def toxicity(facts: Facts, chunks: Iterable[np.ndarray] | None, horizon_s: float, vpin_bucket_lots: float | None = None) -> "Toxicity":
    """Return the fills by regime; `chunks` are the market's rows (EVENT), None where there are none to be had. Raises InputError."""
    import pandas as pd

    (seconds,) = mo.horizons(horizon_s)
    made = mo.values(facts, seconds)
    lots = facts.fills["qty_lots"].astype(float)
    prints = Prints.read(chunks, len(facts.paths)) if chunks is not None else None
    rows = []
    for regime, which, names in _regimes(facts, prints, vpin_bucket_lots):
        sorted_ = np.isfinite(made[:, 0]) & (which >= 0)
        for n, name in enumerate(names):
            mine = which == n
            if mine.any():
                share = float(lots[mine & sorted_].sum() / lots[sorted_].sum()) if sorted_.any() else np.nan
                rows.append({"regime": regime, "bucket": name, "lots_share": share} | mo.mean(facts, made, mine, seconds))
    table = pd.DataFrame(rows, columns=["regime", "bucket", "lots_share", "fills", "excluded", *mo.FIGURES])
    return Toxicity(table, seconds, facts.paths[0].instrument.settle, prints is not None)


def _regimes(facts: Facts, prints: tuple[Prints, ...] | None, bucket_lots: float | None) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    """Yield name, the bucket of each fill (-1: does not apply) and the buckets' names."""
    fills = facts.fills
    if prints is not None:
        vpin, levels, balance = (np.full(len(fills), np.nan) for _ in range(3))
        for i, one in enumerate(prints):
            mine = fills["instrument"] == i
            ts_ns, side = fills["ts_ns"][mine], fills["side"][mine].astype(np.int64)
            vpin[mine] = one.vpin_before(ts_ns, bucket_lots)
            levels[mine] = one.levels(ts_ns, -side)
            balance[mine] = -side * one.balance(ts_ns, int(FLOW_S * 1e9))
        yield "VPIN", *_thirds(vpin)
        maker = fills["maker"] != 0
        yield (
            "sweep",
            np.where(maker, np.minimum(levels, 3), -1).astype(int),
            ["no print at its time", "one price", "2 prices", "3 or more"],
        )
        bins = np.searchsorted((-ONE_SIDED, ONE_SIDED), balance)
        names = ["against the taker's side", "mixed", "all on the taker's side"]
        yield "flow before", np.where(np.isfinite(balance), bins, -1), names
    moved = _moved2(facts)
    names = ["mid came our way", "still", "mid went against us"]
    yield "move before", np.where(np.isfinite(moved), 1 - np.sign(np.nan_to_num(moved)), -1).astype(int), names


def _thirds(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), -1), []
    low, high = np.quantile(values[known], (1 / 3, 2 / 3))
    which = np.where(known, np.searchsorted((low, high), np.nan_to_num(values)), -1)
    return which, [f"low, to {low:.2f}", f"middling, to {high:.2f}", f"high, above {high:.2f}"]


def _moved2(facts: Facts) -> np.ndarray:
    """Return how far the mid moved for our side in the second before each match, half ticks, NaN where it was not known.

    What stood one nanosecond before the match: the print that filled us is not a part of it.
    """
    fills, found = facts.fills, np.full(len(facts.fills), np.nan)
    for i, path in enumerate(facts.paths):
        mine = fills["instrument"] == i
        now, before = fills["ts_ns"][mine] - 1, fills["ts_ns"][mine] - int(MOVE_S * 1e9)
        ends, starts = path.mids.at(now), path.mids.at(before)
        known = path.mids.known(before) & (ends != NO_PRICE)
        found[mine] = np.where(known, fills["side"][mine] * (ends - starts), np.nan)
    return found


@dataclass(frozen=True, repr=False)
class Toxicity:
    """`table`: one row a regime and bucket, with the share of the lots and the figures of `Report.markouts` at `horizon_s`."""

    table: "pd.DataFrame"
    horizon_s: float
    unit: str
    prints: bool = field(repr=False)

    def worst(self) -> "pd.Series | None":
        """Return the row that lost most money for sure (its interval lies below zero), None where none did."""
        sure = self.table[self.table["high_quote"] < 0]
        return None if sure.empty else sure.loc[sure["markout_quote"].idxmin()]

    def __repr__(self) -> str:
        return f"<Toxicity at {self.horizon_s:g} s: {self._said()}>"

    def _said(self) -> str:
        if self.table.empty:
            return "no fills to sort"
        worst = self.worst()
        if worst is None:
            return "no regime lost money for sure"
        return (
            f"the surest loss: {worst['regime']}, {worst['bucket']}: {worst['lots_share']:.0%} of the lots, "
            f"{amount(worst['markout_quote'])} {self.unit} ({amount(worst['low_quote'])} to {amount(worst['high_quote'])})"
        )

    def _repr_html_(self) -> str:
        pictures = "".join(
            f"<div>{intervals([(str(r.bucket), r.markout_ticks, r.low_ticks, r.high_ticks) for r in rows.itertuples()], f'{name}: markout in ticks')}</div>"
            for name, rows in self._finite().groupby("regime", sort=False)
        )
        shown = self.table.drop(columns=[name for name in self.table if name.endswith("_bps")])
        missing = "" if self.prints else " VPIN, sweeps and flow need the public prints: report.toxicity(source=tape)."
        note = (
            f"{self._said()[:1].upper()}{self._said()[1:]}. Markout {self.horizon_s:g} s after the match, 95 % block bootstrap for each row on "
            f"its own: of twenty rows of chance alone one lies off zero.{missing}"
        )
        style = "display:flex;flex-wrap:wrap;gap:8px 28px"
        table = shown.to_html(border=0, index=False, float_format="{:,.4g}".format)
        return (
            f"<div style='{style}'>{pictures}</div><div style='opacity:.75'>{escape(note)}</div><div style='overflow-x:auto'>{table}</div>"
        )

    def _finite(self) -> "pd.DataFrame":
        return self.table[np.isfinite(self.table["low_ticks"].astype(float))]

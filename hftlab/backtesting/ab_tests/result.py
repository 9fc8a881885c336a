"""Two arms compared: figures by block of time, paired differences with intervals, and one call at the end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.drawing.pictures import intervals
from hftlab.analytics.facts.path import HORIZONS_S
from hftlab.analytics.report.report import Report
from hftlab.analytics.signals.study_stats import BLOCKS_MIN, sign_flips
from hftlab.analytics.stats.bands import NOTHING, mean_band
from hftlab.analytics.stats.regression import Floats
from hftlab.errors import InputError
from hftlab.types import NO_PRICE

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {
    "half_spread": "ticks",
    "fills": "1/min",
    "capture": "ticks",
    "edge": "quote/min",
    "markout_1s": "ticks",
    "pnl": "quote/min",
}
"""Half of the distance of our quotes; maker fills; how far from the mid they were, a lot; the same as money a minute; what they had made
after 1 s, a lot; the P&L at the desk's own mark. All of one block."""

_SECOND = HORIZONS_S.index(1.0)


def measures(report: Report, market: int, starts_ns: np.ndarray, ends_ns: np.ndarray) -> Floats:
    """Return the MEASURES of each stretch (stretches, measures), NaN where there is nothing to measure.

    Stretches are by the desk's clock, ascending and apart: a fill belongs to the one in which the desk learned of it.
    """
    fills = report.fills[(report.fills["instrument"] == market) & (report.fills["maker"] != 0)]
    count, minutes = len(starts_ns), (ends_ns - starts_ns) / 60e9
    at, inside = _place(fills["learned_ns"], starts_ns, ends_ns)
    at, fills = at[inside], fills[inside]
    lots = fills["qty_lots"].astype(np.float64)
    known = fills["mid2"] != NO_PRICE
    edge = np.where(known, fills["side"] * (fills["mid2"] / 2 - fills["price_ticks"]), 0.0) * lots
    later = np.where(
        fills["past_end"][:, _SECOND] == 0, fills["side"] * (fills["later_mid2"][:, _SECOND] / 2 - fills["price_ticks"]), np.nan
    )
    marked = np.isfinite(later)
    total = np.bincount(at, lots * known, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = [
            _half_spread(report, market, starts_ns, ends_ns),
            np.bincount(at, minlength=count) / minutes,
            np.bincount(at, edge, count) / total,
            np.bincount(at, edge, count) * report.instruments[market].ticklot_quote / minutes,
            np.bincount(at[marked], (later * lots)[marked], count) / np.bincount(at[marked], lots[marked], count),
            _pnl(report, market, starts_ns, ends_ns) / minutes,
        ]
    return np.column_stack(columns)


def _place(ts_ns: np.ndarray, starts_ns: np.ndarray, ends_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the stretch of each time, and whether it lies in it."""
    at = np.maximum(np.searchsorted(starts_ns, ts_ns, side="right") - 1, 0)
    return at, (ts_ns >= starts_ns[at]) & (ts_ns < ends_ns[at])


def _half_spread(report: Report, market: int, starts_ns: np.ndarray, ends_ns: np.ndarray) -> Floats:
    rows = report.samples[report.samples["instrument"] == market]
    at, inside = _place(rows["ts_recv_ns"], starts_ns, ends_ns)
    quoted = inside & (rows["order_id"] != NO_PRICE) & (rows["seq"] != NO_PRICE)
    wide = (rows["seq"] - rows["order_id"])[quoted] / 2.0
    return np.asarray(np.bincount(at[quoted], wide, len(starts_ns)) / np.bincount(at[quoted], minlength=len(starts_ns)))


def _pnl(report: Report, market: int, starts_ns: np.ndarray, ends_ns: np.ndarray) -> Floats:
    rows = report.samples[report.samples["instrument"] == market]
    if not len(rows):
        return np.full(len(starts_ns), np.nan)
    pnl = rows["leaves_lots"].view(np.float64)
    first, last = (np.searchsorted(rows["ts_recv_ns"], edge, side="right") - 1 for edge in (starts_ns, ends_ns))
    return np.asarray(np.where(first >= 0, pnl[np.maximum(last, 0)] - pnl[np.maximum(first, 0)], np.nan))


@dataclass(frozen=True, repr=False)
class AB:
    """What a comparison found. `a` and `b` (pairs, measures): the MEASURES of each pair of stretches.

    The rule is a fixed horizon: `planned` pairs were decided on before, and nothing is called before it is `over`. Then the p-values are
    those of turning pairs round, corrected over the measures (Romano–Wolf). A pair that was lost on the way (the turn came too late) is
    no arm's doing, and leaves the test as it is.
    """

    a: Floats
    b: Floats
    planned: int
    level: float
    said: str
    over: bool = True

    def table(self) -> "pd.DataFrame":
        """Return one row a measure: means of both arms, the mean difference with its Student interval over pairs, p, and the call.

        `p` and `p_raw` are NaN and `found` is False until it is over; `found` wants 8 pairs or more. Raises InputError with fewer than 2 pairs.
        """
        import pandas as pd

        if len(self.a) < 2:
            raise InputError(
                f"{len(self.a)} pairs so far; wanted two or more for a difference with an interval, and the plan of {self.planned} played for a call."
            )
        more = self.b - self.a
        known = np.isfinite(more)
        raw, corrected = sign_flips(np.where(known, more, 0.0)) if self.over else (np.full(len(MEASURES), np.nan),) * 2
        rows = []
        for k, (name, unit) in enumerate(MEASURES.items()):
            use = known[:, k]
            n = int(use.sum())
            mean = float(more[use, k].mean()) if n else np.nan
            low, high = mean_band(more[use, k], self.level) if n > 1 else NOTHING
            rows.append(
                {
                    "measure": name,
                    "unit": unit,
                    "a": float(self.a[use, k].mean()) if n else np.nan,
                    "b": float(self.b[use, k].mean()) if n else np.nan,
                    "difference": mean,
                    "low": low,
                    "high": high,
                    "pairs": n,
                    "p": corrected[k],
                    "p_raw": raw[k],
                    "found": bool(corrected[k] <= 1 - self.level) and n >= BLOCKS_MIN,
                }
            )
        return pd.DataFrame(rows).set_index("measure")

    @property
    def verdict(self) -> str:
        """Return the call in words."""
        if not self.over:
            return f"no call yet: {len(self.a)} of {self.planned} pairs, and the rule looks once, at the end"
        found = self.table().query("found")
        if not len(found):
            return f"no difference found in {len(self.a)} pairs"
        words = (f"{name} {row.difference:+.4g} {row.unit} ({row.low:.4g} to {row.high:.4g})" for name, row in found.iterrows())
        return "B against A: " + ", ".join(words)

    def __repr__(self) -> str:
        return f"<AB {self.said}: {self.verdict}>"

    def _repr_html_(self) -> str:
        if len(self.a) < 2:
            return f"<div>{self.verdict}</div>"
        table = self.table()
        share = table[(table["a"] > 0) & table["difference"].notna() & (table.index != "pnl")]
        rows = [(f"{name}", *(100 * row[one] / row.a for one in ("difference", "low", "high"))) for name, row in share.iterrows()]
        picture = intervals(rows, "B less A, % of A, with interval") if rows else ""
        shown = table.to_html(border=0, float_format="{:,.4g}".format)
        note = (
            f"{self.said}. Interval at {self.level:.0%} over pairs (Student); p from turning pairs round, corrected over the measures "
            f"(Romano–Wolf). Rule: a fixed horizon of {self.planned} pairs, called once."
        )
        head = f"<div style='font-weight:600'>{self.verdict}</div>"
        return f"{head}{picture}<div style='overflow-x:auto'>{shown}</div><div style='opacity:.75'>{note}</div>"

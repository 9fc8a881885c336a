"""How a result hangs on its assumptions: the same run on several tapes, once for each case, with intervals over the tapes.

Every case sees the same tapes, so two cases are told apart by their differences on each tape: much sharper than by their two intervals.
"""

import os
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.analytics.drawing.pictures import amount, intervals
from hftlab.analytics.report.origin import Origin
from hftlab.analytics.stats.bands import mean_bands
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.svg import Chart

if TYPE_CHECKING:
    import pandas as pd

_LOG_FROM = 20  # numbers that span more than this factor are drawn by their logarithm
_KEPT = ("pnl_quote", "fills", "traded_base", "half_spread_quote", "adverse_selection_quote", "fees_quote")


def sensitivity(
    origin: Origin, cases: Mapping[Any, Mapping[str, Any]], tapes: Any = None, blocks: int = 10, name: str = "case"
) -> "Sensitivity":
    """Run `origin` again on every tape in every case; see `Report.sensitivity`. Raises InputError, UnknownName."""
    import pandas as pd

    _check(origin, cases)
    parts = blocks_of(origin.tape, blocks) if tapes is None else _several(tapes)
    jobs = [(case, n, Origin(tape, origin.call, origin.run), changes) for n, tape in enumerate(parts) for case, changes in cases.items()]
    runs = [_one(jobs[0])]  # alone: a decide of the user's is compiled once, and what is wrong with a case is said at once
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:  # the kernels run without the GIL
        runs += list(pool.map(_one, jobs[1:]))
    source = f"{len(parts)} blocks of the tape, each from a flat start" if tapes is None else f"{len(parts)} tapes"
    return Sensitivity(pd.DataFrame(runs), tuple(cases), source, _unit(parts[0]), name)


def _one(job: tuple[Any, int, Origin, Mapping[str, Any]]) -> dict[str, Any]:
    case, number_of_tape, origin, changes = job
    summary = origin.again(**changes).summary()
    return {"case": case, "tape": number_of_tape} | {name: summary[name] for name in _KEPT}


def blocks_of(tape: Any, blocks: int) -> list[Any]:
    """Return a tape cut into pieces of equal time, each beginning with the books as they stood. Raises InputError."""
    if blocks < 2:
        raise InputError(f"blocks was {blocks}; wanted at least two: an interval needs more than one run.")
    if not hasattr(tape, "slice"):
        raise InputError("this run read a stream, which cannot be cut. Pass tapes=[…], two or more of hl.load(…).")
    edges = [*(float(edge) for edge in np.linspace(0.0, tape.span_s, blocks + 1)[:-1]), None]
    return [tape.slice(low, high) for low, high in pairwise(edges)]


def _several(tapes: Any) -> list[Any]:
    if not isinstance(tapes, Sequence) or len(tapes) < 2 or not all(hasattr(tape, "chunks") for tape in tapes):
        raise InputError(f"tapes was {tapes!r}; wanted a list of two or more tapes. Without it, one tape is cut into blocks.")
    return list(tapes)


def _check(origin: Origin, cases: Any) -> None:
    if not isinstance(cases, Mapping) or not cases or not all(isinstance(changes, Mapping) for changes in cases.values()):
        raise InputError(
            f"cases was {cases!r}; wanted a name for each and what is different in it: {{'5 ms': {{'latency': hl.Latency(…)}}}}."
        )
    for changes in cases.values():
        for name in changes:
            if name not in origin.call:
                raise UnknownName(f"a backtest has no argument {name!r}.{did_you_mean(name, origin.call)}")


def _unit(tape: Any) -> str:
    return str(tape.instruments[0].settle)


@dataclass(frozen=True, repr=False)
class Sensitivity:
    """`runs` has one row a case and tape: P&L in the settlement currency, fills, quantity traded, parts of the P&L."""

    runs: "pd.DataFrame"
    cases: tuple[Hashable, ...]
    source: str = field(repr=False)
    unit: str = field(repr=False)
    name: str = "case"

    def table(self) -> "pd.DataFrame":
        """Return one row a case, means over the tapes.

        `pnl_quote` with its 95 % interval `low` to `high`; `more_quote`, the difference from the first case on the same tape, with
        `more_low` to `more_high`; `winning_tapes`, the share of tapes with a profit; then fills, quantity and parts of the P&L.
        """
        import pandas as pd

        by_case = {name: self.runs.pivot_table(index="tape", columns="case", values=name, sort=False)[list(self.cases)] for name in _KEPT}
        pnl = by_case["pnl_quote"].to_numpy()
        mean, low, high = mean_bands(pnl)
        more, more_low, more_high = mean_bands(pnl - pnl[:, :1])
        columns = {
            "pnl_quote": mean,
            "low": low,
            "high": high,
            "more_quote": more,
            "more_low": more_low,
            "more_high": more_high,
            "winning_tapes": (pnl > 0).mean(axis=0),
        }
        return pd.DataFrame(
            columns | {name: by_case[name].to_numpy().mean(axis=0) for name in _KEPT[1:]}, index=pd.Index(self.cases, name=self.name)
        )

    def picture(self) -> str:
        """Return SVG of the P&L by case: a curve with a band where the cases are numbers, else one row a case."""
        by = "" if self.name == "case" else f", by {self.name}"
        table, title = self.table(), f"Mean P&L ({self.unit}) and its 95 % interval{by}"
        names = list(self.cases)
        if len(names) < 2 or not all(isinstance(name, int | float) and not isinstance(name, bool) for name in names):
            return intervals([(str(case), row.pnl_quote, row.low, row.high) for case, row in table.iterrows()], title)
        table = table.sort_index()
        x, low, high = (np.asarray(column, np.float64) for column in (table.index, table["low"], table["high"]))
        wide = bool(x[0] > 0 and x[-1] > _LOG_FROM * x[0])
        bounds = (min(0.0, float(low.min())), max(0.0, float(high.max())))
        chart = Chart(
            title,
            x=(float(x[0]), float(x[-1])),
            y=bounds,
            y_unit=self.unit,
            x_log=wide,
            x_label=self.name,
            y_label="mean P&L",
            width=560,
            height=230,
        )
        chart.line(x, np.zeros(len(x)), "currentColor", dashed=True).band(x, low, high)
        return chart.line(x, table["pnl_quote"].to_numpy()).dots(x, table["pnl_quote"].to_numpy()).svg()

    def __repr__(self) -> str:
        rows = ", ".join(
            f"{case}: {amount(row.pnl_quote)} ({amount(row.low)} to {amount(row.high)})" for case, row in self.table().iterrows()
        )
        return f"<Sensitivity over {self.source}; P&L in {self.unit} {rows}>"

    def _repr_html_(self) -> str:
        shown = self.table()[["pnl_quote", "low", "high", "more_quote", "more_low", "more_high", "winning_tapes", "fills", "traded_base"]]
        note = (
            f"Means over {self.source}. low and high: 95 % Student interval of the mean over tapes. more: difference from the first case, "
            "tape by tape. It says how sure the mean is on tapes like these; nothing about other days."
        )
        table = shown.to_html(border=0, float_format="{:,.4f}".format)
        return f"<div>{self.picture()}</div><div style='overflow-x:auto'>{table}</div><div style='opacity:.75'>{escape(note)}</div>"

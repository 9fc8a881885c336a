"""hftbacktest's event arrays, looked at before they are converted: what would stop the reader, all of it, by row and column."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hftlab.data.markets import Wanted, as_instruments
from hftlab.data.npz import BUY_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT
from hftlab.data.validate_report import ERROR, Finding
from hftlab.data.validate_rows import some

_CLEAR, _KINDS = 3, (1, 2, 3, 4, 5)
_OFF_GRID = 1e-4  # of a tick or lot, as the reader allows


def scan_events(data: npt.NDArray[Any], name: str, wanted: Wanted) -> list[Finding]:
    """Return what is wrong with the columns of an hftbacktest array of dtype `HFTBACKTEST`; rows count from 0."""
    instruments = as_instruments(wanted) or ()
    kind = (data["ev"] & np.uint64(0xFF)).astype(int)
    known = np.isin(kind, _KINDS)
    valued = known & (kind != _CLEAR)
    px, qty = data["px"], data["qty"]
    sided = (data["ev"] & (BUY_EVENT | SELL_EVENT)) != 0
    drop = "Drop the row, or make the file again from its source."
    found = [
        *some(
            ERROR,
            "kinds",
            "ev",
            ~known,
            lambda row: f"event kind {kind[row]} is unknown",
            "1 depth, 2 trade, 3 clear, 4 snapshot or 5 best price",
            drop,
        ),
        *some(ERROR, "kinds", "ev", valued & ~sided, lambda _: "neither BUY_EVENT nor SELL_EVENT", "one of the two flags", drop),
        *some(
            ERROR,
            "kinds",
            "ev",
            known & ((data["ev"] & (EXCH_EVENT | LOCAL_EVENT)) == 0),
            lambda _: "neither EXCH_EVENT nor LOCAL_EVENT: nobody sees the row",
            "at least one of the two flags",
            "Set both flags, or drop the row.",
        ),
    ]
    for column, values, what in (("px", px, "price"), ("qty", qty, "quantity")):
        bad = valued & ~np.isfinite(values)
        found += some(ERROR, f"{what} values", column, bad, lambda row, v=values, w=what: f"the {w} is {v[row]}", "a number", drop)  # type: ignore[misc]
    found += some(ERROR, "prices", "px", valued & (px <= 0), lambda row: f"the price is {px[row]}", "more than zero", drop)
    found += some(ERROR, "quantities", "qty", valued & (qty < 0), lambda row: f"the quantity is {qty[row]}", "zero or more", drop)
    for one in instruments[:1]:
        found += _off_grid(px, valued, "px", "price", float(one.tick_size), f"tick size {one.tick_size} of {one.name}")
    return [replace(finding, place=f"{name}, row {finding.row:,}", row=-1) for finding in found]


def _off_grid(
    values: npt.NDArray[np.float64], valued: npt.NDArray[np.bool_], column: str, what: str, step: float, grid: str
) -> list[Finding]:
    scaled = np.where(valued & np.isfinite(values), values, 0.0) / step
    bad = np.abs(scaled - np.rint(scaled)) > _OFF_GRID
    return some(
        ERROR,
        "grid",
        column,
        bad,
        lambda row: f"{what} {values[row]} is no multiple of the {grid}",
        f"{np.floor(scaled[int(np.flatnonzero(bad)[0])]) * step:.10g} or the next one up" if bad.any() else "",
        "One row: it is damaged. Many: the likely cause is a wrong instrument.",
    )

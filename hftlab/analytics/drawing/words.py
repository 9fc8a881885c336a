"""Times and shares as words of a page: one way to write each."""

import math
from typing import Any

import numpy as np


def utc(ts_ns: int, unit: str = "s") -> str:
    """Return a time (ns since 1970, UTC) as 2026-01-31 23:59:59, cut to the `unit`: s, ms or us."""
    return str(np.datetime64(int(ts_ns), "ns").astype(f"datetime64[{unit}]")).replace("T", " ")


def utc_hour(hour: int) -> str:
    """Return the hour since 1970 as a label that sorts: 2026-01-31T23."""
    return str(np.datetime64(int(hour), "h"))


def share(value: Any) -> str:
    """Return a share as per cent, a dash for one that is not known."""
    return f"{value:.1%}" if math.isfinite(value) else "–"


def share_between(low: float, high: float) -> str:
    """Return the interval of a share, or that there was too little for one."""
    return f"[{share(low)}, {share(high)}]" if math.isfinite(low) else "too little for an interval"

"""The page of a signal study: three small charts a signal, and the table."""

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from hftlab.svg import DATA, SERIES, Chart

if TYPE_CHECKING:
    from hftlab.analytics.signals.study_result import SignalStudy

_WIDE, _HIGH = 330, 190
_QUEUE = SERIES[1]


def row(study: "SignalStudy", s: int) -> str:
    """Return the three charts of signal number `s`: correlation by horizon, move by tenth, markout of joined orders by tenth."""
    best = int(np.argmax(np.abs(study.ic[s])))
    name, at = study.names[s], f"{study.horizons_s[best]:g} s"
    strong = " · found" if (study.p[s] <= 1 - study.level).any() else " · not found"
    head = f"<div style='font-weight:600;margin-top:.6em'>{escape(name)}{strong}, p {study.p[s].min():.3g} corrected</div>"
    return f"{head}<div>{_decay(study, s)}{_tenths(study, s, best, at)}{_touch(study, s, best, at)}</div>"


def _decay(study: "SignalStudy", s: int) -> str:
    x, y, reach = np.array(study.horizons_s), study.ic[s], np.nan_to_num(study.ic_reach[s])
    chart = Chart(
        "rank correlation with the next move",
        x=_wide(x),
        y=_span(y - reach, y + reach),
        x_unit="s",
        x_log=True,
        x_label="horizon",
        y_label="rank correlation, -1 to 1",
        width=_WIDE,
        height=_HIGH,
    )
    chart.line(np.array(_wide(x)), np.zeros(2), "currentColor", dashed=True)
    return _whiskers(chart, x, y, reach).line(x, y).dots(x, y).svg()


def _tenths(study: "SignalStudy", s: int, k: int, at: str) -> str:
    mean, reach = study.tenths[s, k]
    chart = _by_tenth(f"mean move after {at}, by tenth of the signal", mean - np.nan_to_num(reach), mean + np.nan_to_num(reach))
    return _marks(chart, mean, reach, DATA).svg()


def _touch(study: "SignalStudy", s: int, k: int, at: str) -> str:
    hit, queue = study.touch["hit"], study.touch["queue"]
    parts = [(hit.made[s, k], hit.reach[s, k], DATA, -0.12), (queue.made[s, k], queue.reach[s, k], _QUEUE, 0.12)]
    ends = [mean + sign * np.nan_to_num(reach) for mean, reach, _, _ in parts for sign in (-1, 1)]
    chart = _by_tenth(f"joined at the touch: met (blue), queue (orange), {at} after", *ends)
    for mean, reach, colour, shift in parts:
        _marks(chart, mean, reach, colour, shift)
    return chart.svg()


def _by_tenth(title: str, *ends: np.ndarray) -> Chart:
    chart = Chart(
        title,
        x=(0.5, 10.5),
        y=_span(*ends),
        x_label="tenth of the signal, 1 to 10",
        y_label="mean move",
        y_unit="ticks",
        width=_WIDE,
        height=_HIGH,
    )
    return chart.line(np.array([0.5, 10.5]), np.zeros(2), "currentColor", dashed=True)


def _marks(chart: Chart, mean: np.ndarray, reach: np.ndarray, colour: str, shift: float = 0.0) -> Chart:
    known = np.isfinite(mean)
    x = np.flatnonzero(known) + 1 + shift
    return _whiskers(chart, x, mean[known], np.nan_to_num(reach[known]), colour).dots(x, mean[known], colour)


def _whiskers(chart: Chart, x: np.ndarray, y: np.ndarray, reach: np.ndarray, colour: str = DATA) -> Chart:
    for at, middle, half in zip(x, y, reach, strict=True):
        chart.line(np.array([at, at]), np.array([middle - half, middle + half]), colour)
    return chart


def _span(*ends: np.ndarray) -> tuple[float, float]:
    """Return the range of the known values and zero."""
    known = np.concatenate([end[np.isfinite(end)] for end in ends])
    return min(0.0, float(known.min(initial=0.0))), max(0.0, float(known.max(initial=0.0)))


def _wide(x: np.ndarray) -> tuple[float, float]:
    return float(x[0]) / 1.3, float(x[-1]) * 1.3


def page(study: "SignalStudy") -> str:
    """Return the study as HTML."""
    shown = study.table()[
        ["signal", "horizon_s", "ic", "ic_low", "ic_high", "p", "found", "blocks_agree", "top_less_bottom_bps", "hit_ticks", "queue_ticks"]
    ]
    table = shown.to_html(border=0, index=False, float_format="{:,.3g}".format)
    key = (
        f"<span style='color:{DATA}'>●</span> met: a print reached its price within {study.join_s:g} s &nbsp; "
        f"<span style='color:{_QUEUE}'>●</span> queue: prints ate all that stood before it (cancels not credited)"
    )
    note = (
        f"{study.samples:,} samples, one every {study.every_s:g} s, in {study.blocks} blocks. Intervals at {study.level:.0%} from drawing whole "
        f"blocks; p corrected over {study.p.size} questions (Romano–Wolf, blocks turned round). Above its median a signal joins the bid, below "
        "the ask. Tenths are of the whole tape: they describe it."
    )
    ahead = "".join(
        f"<div style='color:#d1495b;font-weight:600'>{escape(name)} looks ahead: on a tape that ends earlier its past values are others. "
        "Nothing it shows could have been known.</div>"
        for name in study.looks_ahead
    )
    return f"{ahead}{study.picture()}<div>{key}</div><div style='overflow-x:auto'>{table}</div><div style='opacity:.75'>{note}</div>"

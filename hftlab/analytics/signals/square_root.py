"""The square-root law of impact, I = Y sigma sqrt(Q / V), fitted: on one's own metaorders, or on the sweeps of a market's prints."""

import math
from dataclasses import dataclass

import numpy as np

from hftlab.analytics.estimators.result import FEW, Estimate
from hftlab.analytics.grow import Grow
from hftlab.analytics.report.sensitivity import student_t
from hftlab.analytics.signals.player import Player, mid_ticks
from hftlab.analytics.stats.regression import NOTHING, Floats, Line, added_p, hac, lags_for, line
from hftlab.errors import InputError
from hftlab.kernels.flow_est_types import TOUCH_AT
from hftlab.strict import keywords, number
from hftlab.types import TRADE

PRINT = np.dtype([("ts_ns", "i8"), ("lots", "i8"), ("side", "i8")])
MID = np.dtype([("ts_ns", "i8"), ("ticks", "f8")])
_POWERS = np.linspace(0.05, 1.5, 146)


@dataclass(frozen=True)
class SquareRootFit:
    """`y`: the factor Y of I = Y sigma sqrt(Q / V); `exponent`: the power of Q that fits best, free; `line` with its R2."""

    y: Estimate
    exponent: Estimate
    line: Line


def fit_square_root(impact: Floats, qty: Floats, *, volume: float, sigma: float, level: float = 0.90) -> SquareRootFit:
    """Fit the signed impacts (n,) of metaorders of `qty` (n,), in order of time; positive impact is against the one who trades.

    `volume` trades, and prices swing `sigma` (in the unit of `impact`), over the same stretch of time, any: sigma / sqrt(V) does not
    depend on it. Both are taken as known. Y by least squares through the origin with a Newey–West band; the flag's p tests that neither
    a constant nor a part that is linear in Q adds anything. The exponent by non-linear least squares. Raises InputError.
    """
    impact, qty = np.asarray(impact, np.float64), np.asarray(qty, np.float64)
    if impact.shape != qty.shape or impact.ndim != 1:
        raise InputError(f"impact had shape {impact.shape}, qty {qty.shape}; wanted one dimension each, of one length.")
    if (qty <= 0).any():
        raise InputError(f"qty held {qty.min():g}; wanted sizes above zero: the side belongs into the sign of the impact.")
    scale = number(sigma, "sigma", 1e-300) / math.sqrt(number(volume, "volume", 1e-300))
    known = np.isfinite(impact)
    impact, x = impact[known], scale * np.sqrt(qty[known])
    found = line(impact, x, origin=True, level=level)
    if not found.samples:
        nothing = Estimate("square-root Y", math.nan, math.nan, math.nan, "", len(x), level=level)
        return SquareRootFit(nothing, Estimate("impact exponent", math.nan, math.nan, math.nan, "", len(x), level=level), NOTHING)
    unit = x / np.sqrt(np.mean(x * x))
    fit_p = added_p(impact, np.column_stack([unit, np.ones(len(x)), unit * unit]), 1, found.lags)
    words = f"impact = Y sigma sqrt(Q/V), R2 {found.r2:.2f}, Newey–West band of {found.lags} lags"
    y = Estimate("square-root Y", found.slope, found.low, found.high, "", found.samples, fit_p, level, words)
    return SquareRootFit(y, _exponent(impact, unit * unit, level), found)


def _exponent(impact: Floats, size: Floats, level: float) -> Estimate:
    """Return the power d of impact = c size^d with its band: the best of a grid, then the line in (c, d) about it."""
    left = []
    for power in _POWERS:
        x = size**power
        left.append(float(((impact - x * (x @ impact) / (x @ x)) ** 2).sum()))
    power = float(_POWERS[int(np.argmin(left))])
    factor = 0.0
    for _ in range(50):
        x = size**power
        factor = float(x @ impact / (x @ x))
        design = np.column_stack([x, factor * x * np.log(size)])
        step = float(np.linalg.lstsq(design, impact - factor * x, rcond=None)[0][1])
        power = float(np.clip(power + np.clip(step, -0.2, 0.2), -1.0, 3.0))
        if abs(step) < 1e-10:
            break
    x = size**power
    design = np.column_stack([x, factor * x * np.log(size)])
    lags = lags_for(len(x))
    error = math.sqrt(max(float(hac(design, impact - factor * x, lags)[1, 1]), 0.0))
    reach = student_t(max(len(x) - 2, 1), level) * error
    words = "impact = c Q^d, d free: non-linear least squares, Newey–West band"
    return Estimate("impact exponent", power, power - reach, power + reach, "", len(x), level=level, said=words)


class SquareRootLaw:
    """Reads a market, takes each sweep (prints of one side, each within `gap_s` of the one before) as an order, and fits the law.

    Its impact is the mid `after_s` after its last print less the mid before its first, signed by its side. sigma is the root of the summed
    squares of mid moves over `after_s` a second, V the volume a second. Sweeps whose `after_s` the next one begins in overlap with it: the
    band is Newey–West. Any cut of the rows into `update` calls gives the same.
    """

    @keywords
    def __init__(self, market: int = 0, *, gap_s: float = 0.1, after_s: float = 1.0, level: float = 0.90) -> None:
        self.gap_ns, self.after_ns = round(number(gap_s, "gap_s", 0) * 1e9), round(number(after_s, "after_s", 1e-3) * 1e9)
        self.market, self.level = market, number(level, "level", 0.5, 0.999)
        self._player, self._prints, self._mids = Player(market), Grow(PRINT), Grow(MID)
        self._end_ns = 0

    def update(self, rows: np.ndarray) -> None:
        """Read market rows (EVENT, in receive order)."""
        if not len(rows):
            return
        touches: np.ndarray = np.asarray(self._player.play(rows)[2]).view(TOUCH_AT)
        mids = np.zeros(len(touches), MID)
        mids["ts_ns"], mids["ticks"] = touches["ts_ns"], mid_ticks(touches)
        self._mids.append(mids)
        mine = rows[(rows["instrument"] == self.market) & (rows["kind"] == TRADE) & (rows["side"] != 0)]
        prints = np.zeros(len(mine), PRINT)
        prints["ts_ns"], prints["lots"], prints["side"] = mine["ts_recv_ns"], mine["qty_lots"], mine["side"]
        self._prints.append(prints)
        self._end_ns = int(rows["ts_recv_ns"][-1])

    def orders(self) -> tuple[Floats, Floats]:
        """Return the impact in ticks and the size in lots of each sweep (n,) that is long enough ago to be measured."""
        prints = self._prints.rows
        if not len(prints):
            return np.zeros(0), np.zeros(0)
        ts_ns = prints["ts_ns"]
        first = np.flatnonzero((np.diff(ts_ns, prepend=-(1 << 62)) > self.gap_ns) | (np.diff(prints["side"], prepend=0) != 0))
        last = np.append(first[1:], len(prints)) - 1
        lots = np.add.reduceat(prints["lots"], first).astype(np.float64)
        # Before: as known when the first print came, so without what a message of the same time says.
        moves = prints["side"][first] * (self._mid(ts_ns[last] + self.after_ns) - self._mid(ts_ns[first] - 1))
        old = ts_ns[last] + self.after_ns < self._end_ns
        return moves[old], lots[old]

    def fit(self) -> SquareRootFit:
        """Return Y, the free exponent and the line. Raises InputError with fewer than 30 sweeps."""
        moves, lots = self.orders()
        if len(lots) < FEW:
            raise InputError(f"{len(lots)} sweeps; wanted {FEW} or more.")
        start_ns = int(self._mids.rows["ts_ns"][0])
        grid = np.arange(start_ns, self._end_ns, self.after_ns)
        steps = np.diff(self._mid(grid))
        per_s = math.sqrt(float(np.nanmean(steps**2)) / (self.after_ns / 1e9))
        volume_per_s = float(self._prints.rows["lots"].sum()) / ((self._end_ns - start_ns) / 1e9)
        return fit_square_root(moves, lots, volume=volume_per_s, sigma=per_s, level=self.level)

    def estimate(self) -> Estimate:
        """Return Y with its band, NaN while there are fewer than 30 sweeps."""
        lots = self.orders()[1]
        if len(lots) < FEW:
            return Estimate("square-root Y", math.nan, math.nan, math.nan, "", len(lots), level=self.level)
        return self.fit().y

    def _mid(self, ts_ns: np.ndarray) -> Floats:
        mids = self._mids.rows
        at = np.searchsorted(mids["ts_ns"], ts_ns, side="right") - 1
        return np.where(at >= 0, mids["ticks"][np.maximum(at, 0)], np.nan)

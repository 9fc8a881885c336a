"""How often our own resting orders are filled by their distance from the mid: lambda(delta) = A exp(-k delta), queues and all."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hftlab.analytics.estimators.intensity import Curve
from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.estimators.walk import Watching, known
from hftlab.analytics.grow import Grow
from hftlab.analytics.stats.tests import dispersion_of, pearson_p, poisson_band, z_of
from hftlab.instrument import Instrument
from hftlab.kernels import est_sums
from hftlab.types import ACCEPTED, AMENDED, CANCEL, CANCELED, EVENT, FILL, MAKER, PAYMENT, SUBMIT

if TYPE_CHECKING:
    import pandas as pd

BINS = 4096
BLOCKS = 40


@dataclass(frozen=True)
class Exposure:
    """seconds, fills: f8 (blocks, bins), by block of time and by depth of our order in half ticks from the mid."""

    seconds: np.ndarray
    fills: np.ndarray


class FillIntensity(Watching):
    """A [1/s, one order] and k [1/price] of our own fills: Poisson maximum likelihood on the time that our orders rested at each depth.

    fills_b ~ Poisson(A exp(-k d_b) T_b), T_b being how long orders rested at depth d_b; fitted by Newton's method (a log-linear model with
    an offset). One fill is one order at one exchange time. Bands: normal in ln A and in k by the Fisher information, widened by how much
    more blocks of time scatter than the law says. Fit: of k Pearson's chi-square by depth, of A by blocks of time.

    `update` reads market rows, `hear` our requests and reports (EVENT, as a Report's `facts.own` has them).
    """

    KEEPS = ("touches",)

    def __init__(self, instrument: Instrument, *, market: int = 0) -> None:
        super().__init__(market=market)
        self.instrument = instrument
        self._own = Grow(EVENT)
        self._mids: list[tuple[np.ndarray, np.ndarray]] = []

    def hear(self, own: np.ndarray) -> None:
        """Take rows about our own orders; those of other markets are left out."""
        about = (own["kind"] >= SUBMIT) & (own["kind"] <= CANCEL) | (own["kind"] >= ACCEPTED) & (own["kind"] < PAYMENT)
        self._own.append(own[about & (own["instrument"] == self._market)])

    def take_mids(self, ts_ns: np.ndarray, mid2: np.ndarray) -> None:
        """Take a path of the mid (i8, half ticks) where there are no market rows to read it from."""
        self._mids.append((ts_ns, mid2))

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return k."""
        return self.estimates(level)["fill_decay"]

    def estimates(self, level: float = 0.90) -> dict[str, Estimate]:
        """Return "fill_decay" (k) and "fill_arrival" (A)."""
        exposure, tick, z = self.exposure(), float(self.instrument.tick_size), z_of(level)
        curve = self._fitted(exposure, level)
        n = int(exposure.fills.sum())
        said = "our fills on the time our orders rested at each depth; Poisson maximum likelihood"
        by_depth, by_time = _fits(exposure, curve)
        k, width = curve.k, z * curve.k_error
        error = math.hypot(curve.log_arrival_error, curve.pivot_ticks * curve.k_error)
        a_low, a_high = curve.arrival * math.exp(-z * error), curve.arrival * math.exp(z * error)
        unit = f"1/{self.instrument.quote}"
        return {
            "fill_decay": Estimate("fill_decay", k / tick, (k - width) / tick, (k + width) / tick, unit, n, by_depth, level, said),
            "fill_arrival": Estimate("fill_arrival", curve.arrival, a_low, a_high, "1/s", n, by_time, level, said),
        }

    def curve(self, level: float = 0.90) -> tuple[Curve, "pd.DataFrame"]:
        """Return the fitted curve, and a table of what was counted: depth_ticks, per_s, low, high, fills, seconds."""
        import pandas as pd

        exposure = self.exposure()
        seconds, fills = exposure.seconds.sum(axis=0), exposure.fills.sum(axis=0)
        rows = [
            (at / 2.0, fills[at] / seconds[at], *poisson_band(fills[at], seconds[at], level), int(fills[at]), seconds[at])
            for at in np.flatnonzero(seconds > 0)[:200]
        ]
        columns = ["depth_ticks", "per_s", "low", "high", "fills", "seconds"]
        return self._fitted(exposure, level), pd.DataFrame(rows, columns=columns)

    def exposure(self) -> Exposure:
        """Return how long our orders rested at each depth, and their fills there."""
        nothing = Exposure(np.zeros((1, BINS)), np.zeros((1, BINS)))
        path_ns, mid2 = self._path()
        own = self._own.rows
        rests = _rests(own, self.end_exch_ns or (int(path_ns[-1]) if len(path_ns) else 0))
        if not len(rests) or not len(path_ns):
            return nothing
        start_ns = max(int(rests[:, 0].min()), int(path_ns[0]))
        blocks = np.linspace(start_ns, max(int(rests[:, 1].max()), start_ns + BLOCKS), BLOCKS + 1).astype(np.int64)[:-1]
        seconds, fills = np.zeros((BLOCKS, BINS)), np.zeros((BLOCKS, BINS))
        est_sums.rest_exposure(rests, path_ns, mid2, blocks, seconds)
        hit = own[(own["kind"] == FILL) & ((own["flags"] & MAKER) != 0)]
        _, first = np.unique(np.stack([hit["order_id"], hit["ts_exch_ns"]]), axis=1, return_index=True)
        hit = hit[first]
        # The mid that stood before the fill: the order that filled us may have moved it.
        before = np.searchsorted(path_ns, hit["ts_exch_ns"], side="left") - 1
        depth2 = (mid2[np.maximum(before, 0)] - 2 * hit["price_ticks"]) * hit["side"]
        inside = (before >= 0) & (depth2 >= 0) & (depth2 < BINS)
        block = np.clip(np.searchsorted(blocks, hit["ts_exch_ns"], side="right") - 1, 0, BLOCKS - 1)
        np.add.at(fills, (block[inside], depth2[inside]), 1.0)
        return Exposure(seconds, fills)

    def _path(self) -> tuple[np.ndarray, np.ndarray]:
        touches = self.rows("touches")
        touches = touches[known(touches)]
        parts = [*self._mids, (np.maximum.accumulate(touches["exch_ns"]), touches["bid_ticks"] + touches["ask_ticks"])]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _fitted(self, exposure: Exposure, level: float) -> Curve:
        seconds, fills = exposure.seconds.sum(axis=0), exposure.fills.sum(axis=0)
        used = (seconds > 0) | (fills > 0)
        depth, t, n = np.arange(BINS)[used] / 2.0, np.maximum(seconds[used], 1e-9), fills[used]
        total = float(n.sum())
        unknown = Curve(math.nan, math.nan, math.nan, math.nan, math.nan, level)
        if total < 2 or len(depth) < 2:
            return unknown
        k = 0.0
        for _ in range(200):
            weights = t * np.exp(-k * (depth - depth[0]))
            weights /= weights.sum()
            middle = float(weights @ depth)
            information = float(weights @ (depth - middle) ** 2)
            if information <= 1e-12:
                return unknown
            step = (middle - float(n @ depth) / total) / information
            k += float(np.clip(step, -1.0, 1.0))
            if abs(step) < 1e-12:
                break
        scale = float((t * np.exp(-k * (depth - middle))).sum())
        law = total * weights
        by_block = _law(exposure, k, total / scale * math.exp(k * middle))
        rest = (exposure.fills - by_block)[:, used]
        k_spread = dispersion_of(rest @ (depth - middle), by_block[:, used] @ (depth - middle) ** 2)
        a_spread = dispersion_of(rest.sum(axis=1), by_block.sum(axis=1))
        k_error = math.sqrt(k_spread / float(law @ (depth - middle) ** 2))
        return Curve(total / scale * math.exp(k * middle), k, middle, math.sqrt(a_spread / total), k_error, level)


def _law(exposure: Exposure, k: float, arrival: float) -> np.ndarray:
    """Return the fills that the law expects, f8 (blocks, bins)."""
    return np.asarray(exposure.seconds * arrival * np.exp(-k * np.arange(BINS) / 2.0))


def _fits(exposure: Exposure, curve: Curve) -> tuple[float, float]:
    """Return p of the law by depth and by time."""
    if not math.isfinite(curve.k):
        return math.nan, math.nan
    law = _law(exposure, curve.k, curve.arrival)
    by_depth = pearson_p(exposure.fills.sum(axis=0), law.sum(axis=0), fitted=2)
    return by_depth, pearson_p(exposure.fills.sum(axis=1), law.sum(axis=1), fitted=1)


def _rests(own: np.ndarray, end_ns: int) -> np.ndarray:
    """Return from when until when which price of ours rested: i8 (n, 4) from_ns, until_ns, price_ticks, side."""
    told = own[np.isin(own["kind"], (ACCEPTED, AMENDED, CANCELED, FILL))]
    told = told[np.argsort(told["ts_exch_ns"], kind="stable")]
    columns = (told[name].tolist() for name in ("ts_exch_ns", "order_id", "kind", "leaves_lots", "price_ticks", "side"))
    resting: dict[int, tuple[int, int, int]] = {}  # from_ns, price, side
    found = []
    for ts_ns, order_id, kind, leaves, price, side in zip(*columns, strict=True):
        before = resting.get(order_id)
        moved = kind in (ACCEPTED, AMENDED) and (before is None or before[1] != price)
        if before is not None and (moved or kind == CANCELED or leaves == 0):
            found.append((before[0], ts_ns, *before[1:]))
            del resting[order_id]
        if moved and leaves > 0:
            resting[order_id] = (ts_ns, price, side)
    found += [(from_ns, max(end_ns, from_ns), price, side) for from_ns, price, side in resting.values()]
    return np.array(found, np.int64).reshape(-1, 4)

"""What trades and how one-sided: market orders and volume by time, VPIN."""

import math

import numpy as np

from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.estimators.walk import NS, VPIN_STATE, Watching, stays_s
from hftlab.analytics.stats.bands import dispersion_of, drawn_band, mean_band, poisson_band
from hftlab.analytics.stats.tests import even_p, exponential_p, least, neumann_p
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import est_sums
from hftlab.kernels.jit import records
from hftlab.strict import number
from hftlab.types import VPIN_BUCKETS

BLOCKS = 40
REPLICATES = 2000


class _Flow(Watching):
    """What the estimators of the flow share: the market orders, and the seconds in which they were looked for."""

    KEEPS = ("touches", "orders")

    def __init__(self, instrument: Instrument, *, market: int = 0, window_s: float | None = None) -> None:
        super().__init__(market=market, window_s=window_s)
        self.instrument = instrument

    def _places(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the orders since the first book, when each came as a share of the time watched, and that time in seconds."""
        touches, orders = self.rows("touches"), self.rows("orders")
        if not len(touches):
            return orders[:0], np.zeros(0), 0.0
        start_ns = int(touches["exch_ns"][0])
        orders = orders[orders["exch_ns"] >= start_ns]
        span_s = float(stays_s(touches, self.end_exch_ns).sum())
        return orders, np.sort(orders["exch_ns"] - start_ns) / NS / max(span_s, 1e-9), span_s


class TradeRate(_Flow):
    """Market orders of both sides per second: trade activity.

    Law: Poisson of one rate. Band: Garwood's, widened by how much more blocks of time scatter than Poisson counts. Fit: the waits are
    exponential (Moran), the counts of 20 blocks even.
    """

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return the rate."""
        orders, place, span_s = self._places()
        n = len(orders)
        said = "market orders of both sides; Poisson band, widened by the dispersion of blocks"
        if span_s <= 0:
            return Estimate("trades", math.nan, math.nan, math.nan, "1/s", 0, math.nan, level, said)
        counts = np.bincount(np.minimum((place * BLOCKS).astype(int), BLOCKS - 1), minlength=BLOCKS)
        spread = dispersion_of(counts - n / BLOCKS, np.full(BLOCKS, n / BLOCKS))
        low, high = poisson_band(n, span_s, level, spread)
        fit = least(exponential_p(np.diff(place)), even_p(place, 20))
        return Estimate("trades", n / span_s, low, high, "1/s", n, fit, level, said)


class VolumeRate(_Flow):
    """Volume per minute, of both sides, in base units.

    Law: blocks of time alike and apart from one another. Band: Student's on the means of up to 40 blocks. Fit: von Neumann's ratio of
    those means, which is small when they follow each other.
    """

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return the volume per minute."""
        orders, place, span_s = self._places()
        unit = f"{self.instrument.qty_unit}/min"
        lots = orders["qty_lots"][np.argsort(orders["exch_ns"], kind="stable")]
        blocks = int(min(BLOCKS, len(orders) // 10))
        said = "prints of both sides; Student's band of blocks of time"
        if blocks < 5:
            return Estimate("volume", math.nan, math.nan, math.nan, unit, len(orders), math.nan, level, said)
        sums = np.bincount(np.minimum((place * blocks).astype(int), blocks - 1), lots, blocks)
        per_min = sums * float(self.instrument.lot_size) / (span_s / 60.0 / blocks)
        low, high = mean_band(per_min, level)
        return Estimate("volume", float(per_min.mean()), low, high, unit, len(orders), neumann_p(per_min), level, said)


class Vpin(_Flow):
    """VPIN over the last 50 buckets, by the desk's own kernel (`kernels.toxicity`).

    `bucket_qty`: the size of a bucket in base units; None takes a hundredth of the volume seen. Band: bootstrap of runs of buckets
    (moving blocks of n^(1/3); Kuensch 1989), about the mean. Law: the shares of buckets are of one kind and do not follow each other
    (von Neumann's ratio over all buckets).
    """

    def __init__(
        self, instrument: Instrument, *, market: int = 0, bucket_qty: float | str | None = None, window_s: float | None = None
    ) -> None:
        super().__init__(instrument, market=market, window_s=window_s)
        self._bucket_lots = None if bucket_qty is None else instrument.lots(bucket_qty, toward_zero=True)
        if self._bucket_lots is not None and self._bucket_lots < 1:
            raise InputError(f"bucket_qty was {bucket_qty}; wanted one lot ({instrument.lot_size}) or more.")

    def shares(self) -> tuple[np.ndarray, int]:
        """Return |bought less sold| / volume of each full bucket (f8), oldest first, and the size of a bucket in lots."""
        orders = np.ascontiguousarray(self.rows("orders"))
        total = int(orders["qty_lots"].sum())
        bucket = self._bucket_lots or max(1, total // (2 * VPIN_BUCKETS))
        state, shares = records(np.zeros(1, VPIN_STATE)), np.zeros(total // bucket + 1)
        state["limits"]["vpin_bucket_lots"] = bucket
        count = est_sums.vpin_buckets(records(orders), state, shares) if len(orders) else 0
        return shares[:count], bucket

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return VPIN, NaN until 50 buckets are full."""
        shares, bucket = self.shares()
        size = f"{self.instrument.qty(bucket)} {self.instrument.qty_unit}"
        said = f"50 buckets of {size}; moving-block bootstrap"
        if len(shares) < VPIN_BUCKETS:
            return Estimate("vpin", math.nan, math.nan, math.nan, "", len(shares), math.nan, level, said)
        last = shares[-VPIN_BUCKETS:]
        value = float(last.mean())
        means = block_bootstrap(last, REPLICATES)
        low, high = drawn_band(means, level)
        return Estimate("vpin", value, low, high, "", len(last), neumann_p(shares), level, said)


def block_bootstrap(values: np.ndarray, replicates: int, seed: int = 0) -> np.ndarray:
    """Return means of replicates of values (f8) made of runs of n^(1/3) of them, on a ring: f8 (replicates,)."""
    n = len(values)
    length = max(1, round(n ** (1 / 3)))
    starts = np.random.default_rng(seed).integers(0, n, (replicates, -(-n // length)))
    index = (starts[:, :, None] + np.arange(length)) % n
    picked = values[index.reshape(replicates, -1)[:, :n]].mean(axis=1)
    # A run of length l is drawn as one: the scatter of n/l runs falls short of that of n values by the last, cut one.
    return np.asarray(values.mean() + (picked - values.mean()) * math.sqrt(n / (n - length)))


class Spread(Watching):
    """The spread in ticks, as time saw it.

    Band: Student's on the means of 40 blocks of time. Fit: von Neumann's ratio of those means.
    """

    KEEPS = ("touches",)

    def __init__(self, instrument: Instrument, *, market: int = 0, window_s: float | None = None, blocks: int = BLOCKS) -> None:
        super().__init__(market=market, window_s=window_s)
        self.instrument, self._blocks = instrument, int(number(blocks, "blocks", 5, 1000))

    def estimate(self, level: float = 0.90) -> Estimate:
        """Return the mean spread."""
        touches = self.rows("touches")
        said = "mean over time; Student's band of blocks of time"
        means = time_means(touches, self.end_exch_ns, self._blocks)
        if len(means) < 5:
            return Estimate("spread", math.nan, math.nan, math.nan, "ticks", len(touches), math.nan, level, said)
        low, high = mean_band(means, level)
        return Estimate("spread", float(means.mean()), low, high, "ticks", len(touches), neumann_p(means), level, said)


def time_means(touches: np.ndarray, end_ns: int, blocks: int) -> np.ndarray:
    """Return the mean spread [ticks] of equal blocks of time; blocks without a book are left out."""
    if len(touches) < 2:
        return np.zeros(0)
    stays = stays_s(touches, end_ns)
    spread = np.where(touches["bid_ticks"] == touches["ask_ticks"], np.nan, (touches["ask_ticks"] - touches["bid_ticks"]).astype(float))
    held = np.where(np.isnan(spread), 0.0, 1.0)
    times = np.concatenate([[0.0], np.cumsum(stays)])
    edges = np.linspace(0.0, times[-1], blocks + 1)
    sums, seconds = (
        np.diff(np.interp(edges, times, np.concatenate([[0.0], np.cumsum(part * stays)]))) for part in (np.nan_to_num(spread), held)
    )
    return np.asarray(sums[seconds > 0] / seconds[seconds > 0])

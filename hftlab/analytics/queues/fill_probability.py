"""How good the chance of a fill is that the quoting decisions go by: forecasts at placement against the matching engine's truth.

The orders are those of `hl.calibrate_queue`: one lot, joining a queue of a simulated market, cancelled after `horizon_s`. A desk that does
not quote watches what the public saw of that market, and is asked for its forecast at the moment when each order is sent: the same
kernel on the same estimates as in a live session.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hftlab.analytics.queues import scores as sc
from hftlab.analytics.queues.probes import PAST_NS, Probes, record
from hftlab.data.state import build
from hftlab.errors import InputError, UnknownName, did_you_mean
from hftlab.instrument import Instrument
from hftlab.kernels import core
from hftlab.kernels.forecast import forecasts
from hftlab.params import FixedSpread, Limits
from hftlab.strict import number
from hftlab.types import DEPTH, EVENT, L3_ORDER, LAST, PAUSE, SUBMIT

BASE, MODEL, SCALED, QUEUE, EXPONENTIAL, ORACLE = (
    "base rate",
    "queue and price",
    "queue and price, rescaled",
    "queue alone",
    "exponential depth",
    "regression on truth",
)
NAMES = (BASE, MODEL, SCALED, QUEUE, EXPONENTIAL, ORACLE)


@dataclass(frozen=True)
class FillForecasts:
    """Orders with their fate and what was said of it. `p` f8 (6, n) by `names`, `filled` bool (n,), `behind_ticks` and `seed` i8 (n,).

    "base rate" knows only how far behind the best price the order stood. "queue and price" is `kernels.queue_value`, as it stands;
    "rescaled" is a logistic regression on it (one slope and one constant for each distance), "queue alone" leaves out that the price may
    come through the order, "exponential depth" is 1 - exp(-A exp(-k depth) H) with the quoter's own A and k (Avellaneda & Stoikov 2008). "regression on
    truth" was taught true fills by eight variables: about the best that can be said at placement. What is learned is learned on the other
    half of the seeds.
    """

    p: np.ndarray = field(repr=False)
    filled: np.ndarray = field(repr=False)
    behind_ticks: np.ndarray = field(repr=False)
    seed: np.ndarray = field(repr=False)
    horizon_s: float = 2.0
    names: tuple[str, ...] = NAMES

    def table(self, behind_ticks: int | None = None) -> pd.DataFrame:
        """Return brier, skill, log_loss and slope of each forecast, of all orders or those at one distance.

        Means over seeds with their standard errors (`_se`): orders of one seed share their market. `skill` is against the base rate.
        """
        mine = np.ones(len(self.filled), bool) if behind_ticks is None else self.behind_ticks == behind_ticks
        rows = []
        for name, p in zip(self.names, self.p, strict=True):
            parts = [mine & (self.seed == s) for s in np.unique(self.seed)]
            rows.append({"forecast": name} | sc.over_seeds([_scores(p[one], self.p[0, one], self.filled[one]) for one in parts]))
        return pd.DataFrame(rows).set_index("forecast")

    def reliability(self, name: str = MODEL, bins: int = 10) -> pd.DataFrame:
        """Return bins of equal width of one forecast: mean forecast, share filled with its standard error, and count. Raises UnknownName."""
        if name not in self.names:
            raise UnknownName(f"no forecast {name!r}.{did_you_mean(name, self.names)}")
        return sc.reliability(self.p[self.names.index(name)], self.filled, self.seed, bins)


def _scores(p: np.ndarray, base: np.ndarray, filled: np.ndarray) -> dict[str, float]:
    """Return the scores of one forecast; one that says the same of every order has no slope."""
    said = sc.scores(p, base, filled)
    return said if np.ptp(p) > 1e-9 else said | {"slope": np.nan}


def fill_forecasts(
    instrument: Instrument | None = None,
    *,
    seeds: Iterable[int] = range(20),
    minutes: float = 10.0,
    horizon_s: float = 2.0,
    behind_ticks: tuple[int, ...] = (0, 1),
    every_s: float = 0.5,
    **options: float,
) -> FillForecasts:
    """Return forecasts of fills within `horizon_s` at placement, and what became of the orders; arguments as of `hl.calibrate_queue`.

    The same arguments give the same result. Raises InputError.
    """
    instrument = instrument or Instrument.bundled("sim:BTC/USDT")
    numbers = tuple(seeds)
    if len(set(numbers)) < 2:
        raise InputError(f"seeds were {list(numbers)}; wanted at least two: half of them are learned from, the other half scored.")
    seconds, horizon_s = number(minutes, "minutes", 0.5, 1e5) * 60, number(horizon_s, "horizon_s", 0.01, 600)

    def one(seed: int) -> tuple[Probes, np.ndarray]:
        found = record(
            instrument,
            seed,
            seconds=seconds,
            horizon_s=horizon_s,
            looks_s=np.array([]),
            behind_ticks=behind_ticks,
            every_s=every_s,
            **options,
        )
        return found, watched(instrument, found, horizon_s)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:  # the kernels run without the GIL
        runs = list(pool.map(one, numbers))
    seed = np.repeat(np.arange(len(runs)), [len(probes.side) for probes, _ in runs])
    behind = np.concatenate([probes.behind_ticks for probes, _ in runs])
    filled = np.concatenate([probes.filled_ns > 0 for probes, _ in runs])
    model, queue, exponential = np.concatenate([said for _, said in runs], axis=1)
    known = np.concatenate([probes.known()[:, 0] for probes, _ in runs])
    keep = ~np.isnan(model)  # before the rates are known the desk says nothing
    seed, behind, filled, known = seed[keep], behind[keep], filled[keep], known[keep]
    model, queue, exponential = model[keep], queue[keep], exponential[keep]
    fold = seed % 2
    kept = np.clip(model, sc.P_MIN, 1 - sc.P_MIN)
    scaled = sc.out_of_sample(np.log(kept / (1 - kept))[:, None], filled, behind, fold)
    base, oracle = sc.base_rate(filled, behind, fold), sc.out_of_sample(known, filled, behind, fold)
    return FillForecasts(np.stack([base, model, scaled, queue, exponential, oracle]), filled, behind, seed, horizon_s)


def watched(instrument: Instrument, probes: Probes, horizon_s: float) -> np.ndarray:
    """Return what a desk that watches says of each probe when it is sent: f8 (3, n), NaN before it knows the rates.

    Chance of a fill within the horizon; the part of it that is the queue's; by exponential depth.
    """
    quoter = FixedSpread(order_qty=instrument.lot_size, placement_ticks=1, intensity_half_life_s=60, volatility_half_life_s=60)
    state = build((instrument,), (quoter,), (Limits(position_qty_max=instrument.lot_size),), simulate=False, sample_ms=0)
    rows = probes.rows
    paused = np.zeros(1, EVENT)
    paused["kind"], paused["flags"], paused["ts_recv_ns"] = PAUSE, LAST, rows["ts_recv_ns"][0] - PAST_NS
    state.step(core.run, paused)
    public = (rows["kind"] >= DEPTH) & (rows["kind"] <= L3_ORDER)
    sent = np.flatnonzero(rows["kind"] == SUBMIT)
    said = np.full((len(sent), 3), np.nan)
    start = 0
    for at in sent:
        state.step(core.run, rows[start:at][public[start:at]])
        start = int(at)
        i = int(rows["order_id"][at]) - 1
        ahead_lots = float(probes.looks["level_lots"][i, 0])
        forecasts(state.markets, int(rows["side"][at]), int(rows["price_ticks"][at]), ahead_lots, horizon_s, said[i])
    return said.T

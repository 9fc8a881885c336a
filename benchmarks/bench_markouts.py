"""Markouts: how often their intervals hold the truth, on simulated fills of many kinds, and whether their means are the truth.

`held`: the share of the repetitions that answer whose 95 % interval holds the true mean; wanted 0.93 to 0.97. `answered`: the share
that gives an interval at all: with too few independent stretches of time there is none. `informed flow`: backtests of a maker against
takers whose share of informed ones is known, so its markout is known (benchmarks/informed_flow.py); wanted: means within two standard
errors as often as chance has it (95 %), and no bias of their mean. HFTLAB_BENCH_RUNS sets the repetitions.
"""

import math
import os
import time
from collections.abc import Callable

import numpy as np

from benchmarks import informed_flow as flow
from hftlab.analytics.stats.interval import interval

RUNS = int(os.environ.get("HFTLAB_BENCH_RUNS", "1000"))
HOUR_S = 3600.0
Fills = tuple[np.ndarray, np.ndarray, np.ndarray, float]  # seconds, markouts, lots, the true mean
Rng = np.random.Generator


def _path(rng: Rng, ts: np.ndarray, seconds: float, horizon_s: float, sd: np.ndarray | None = None) -> np.ndarray:
    """Return how far a random walk goes in the horizon after each time; `sd` its volatility by the second."""
    step = horizon_s / 20
    moves = rng.normal(0, 1, int((seconds + horizon_s) / step) + 2)
    if sd is not None:
        moves *= sd[np.minimum((np.arange(len(moves)) * step).astype(int), len(sd) - 1)]
    path = np.concatenate([[0], np.cumsum(moves)]) * math.sqrt(step)
    return path[((ts + horizon_s) / step).astype(int)] - path[(ts / step).astype(int)]


def _sides(rng: Rng, count: int) -> np.ndarray:
    """Return sides that are one and the same most of the time: what makes markouts hang together."""
    return rng.choice((-1, 1)) * np.where(rng.random(count) < 0.8, 1, -1)


def _wander(rng: Rng, seconds: float, tau_s: float) -> np.ndarray:
    """Return an Ornstein-Uhlenbeck path, one value a second, of variance one."""
    keep = math.exp(-1 / tau_s)
    shocks = rng.normal(size=int(seconds) + 5) * math.sqrt(1 - keep * keep)
    shocks[0] = rng.normal()
    found = np.empty(len(shocks))
    last = 0.0
    for n, shock in enumerate(shocks):
        found[n] = last = keep * last + shock
    return found


def walk(rng: Rng, fills_per_s: float, horizon_s: float, seconds: float = HOUR_S) -> Fills:
    """Return fills of a Poisson process on a random walk, whose horizons overlap."""
    ts = np.sort(rng.uniform(0, seconds, rng.poisson(seconds * fills_per_s)))
    return ts, 0.7 + _sides(rng, len(ts)) * _path(rng, ts, seconds, horizon_s), rng.integers(1, 9, len(ts)).astype(float), 0.7


def bursts(rng: Rng, bursts_per_s: float, horizon_s: float) -> Fills:
    """Return fills that come ten together, all on one side."""
    size = rng.geometric(0.1, max(1, rng.poisson(HOUR_S * bursts_per_s)))
    ts = np.repeat(rng.uniform(0, HOUR_S - 5, len(size)), size) + rng.exponential(0.3, size.sum())
    side = np.repeat(rng.choice((-1, 1), len(size)), size)
    order = np.argsort(ts)
    ts, side = np.minimum(ts[order], HOUR_S - 1e-6), side[order]
    return ts, 0.7 + side * _path(rng, ts, HOUR_S, horizon_s), rng.integers(1, 9, len(ts)).astype(float), 0.7


def moody(rng: Rng, fills_per_s: float, horizon_s: float) -> Fills:
    """Return fills of a market whose volatility and activity rise and fall together over minutes."""
    mood = np.exp(0.7 * _wander(rng, HOUR_S + horizon_s, 100.0))
    ts = np.sort(rng.uniform(0, HOUR_S, rng.poisson(HOUR_S * fills_per_s * 8)))
    ts = ts[rng.random(len(ts)) < np.minimum(mood[ts.astype(int)] / 8, 1)]
    return ts, 0.7 + _sides(rng, len(ts)) * _path(rng, ts, HOUR_S, horizon_s, mood), np.ones(len(ts)), 0.7


def regimes(rng: Rng, tau_s: float, seconds: float = HOUR_S) -> Fills:
    """Return fills whose takers are informed (four ticks) with a chance that wanders between 0.1 and 0.9 over `tau_s`."""
    ts = np.sort(rng.uniform(0, seconds, rng.poisson(seconds * 0.5)))
    informed = rng.random(len(ts)) < (0.5 + 0.4 * np.tanh(_wander(rng, seconds, tau_s)))[ts.astype(int)]
    return ts, 1 - 4.0 * informed + rng.normal(0, 0.5, len(ts)), rng.integers(1, 9, len(ts)).astype(float), -1.0


def rare(rng: Rng, fills_per_s: float) -> Fills:
    """Return fills of which one in twelve meets a taker who knows of fifteen ticks."""
    ts = np.sort(rng.uniform(0, HOUR_S, max(1, rng.poisson(HOUR_S * fills_per_s))))
    return ts, 0.5 - 15.0 * (rng.random(len(ts)) < 1 / 12) + rng.normal(size=len(ts)), np.ones(len(ts)), 0.5 - 15.0 / 12


def heavy(rng: Rng) -> Fills:
    """Return fills whose sizes have a tail: exponent 1.5, at most 200 lots."""
    ts, made, _, true = walk(rng, 0.3, 1.0)
    return ts, made, np.minimum(np.ceil(rng.random(len(ts)) ** (-1 / 1.5)), 200), true


def visits(rng: Rng) -> Fills:
    """Return the fills of a bucket that the market visits twelve times, a minute each."""
    ts = np.sort(np.concatenate([start + rng.uniform(0, 60, rng.poisson(20)) for start in rng.uniform(0, HOUR_S - 60, 12)]))
    return ts, 0.7 + _sides(rng, len(ts)) * _path(rng, ts, HOUR_S, 1.0), rng.integers(1, 9, len(ts)).astype(float), 0.7


KINDS: dict[str, tuple[float, Callable[[Rng], Fills]]] = {
    "720 fills, 1 s": (1.0, lambda rng: walk(rng, 0.2, 1.0)),
    "1,800 fills, 30 s: horizons overlap 15 times": (30.0, lambda rng: walk(rng, 0.5, 30.0)),
    "1,800 fills, 60 s: 30 times": (60.0, lambda rng: walk(rng, 0.5, 60.0)),
    "3,000 fills in ten minutes, 0.1 s": (0.1, lambda rng: walk(rng, 5.0, 0.1, 600.0)),
    "9,000 fills in half an hour, 5 s: 25 times": (5.0, lambda rng: walk(rng, 5.0, 5.0, 1800.0)),
    "72 fills": (1.0, lambda rng: walk(rng, 0.02, 1.0)),
    "36 fills": (1.0, lambda rng: walk(rng, 0.01, 1.0)),
    "22 fills": (1.0, lambda rng: walk(rng, 0.006, 1.0)),
    "180 bursts of ten on one side, 1 s": (1.0, lambda rng: bursts(rng, 0.05, 1.0)),
    "180 bursts of ten on one side, 5 s": (5.0, lambda rng: bursts(rng, 0.05, 5.0)),
    "43 bursts of ten on one side": (1.0, lambda rng: bursts(rng, 0.012, 1.0)),
    "volatility and activity wander, 1 s": (1.0, lambda rng: moody(rng, 0.5, 1.0)),
    "volatility and activity wander, 10 s": (10.0, lambda rng: moody(rng, 0.2, 10.0)),
    "informed share wanders over 10 s": (1.0, lambda rng: regimes(rng, 10.0)),
    "informed share wanders over 30 s": (1.0, lambda rng: regimes(rng, 30.0)),
    "informed share wanders over 100 s": (1.0, lambda rng: regimes(rng, 100.0)),
    "one in twelve informed, 720 fills": (1.0, lambda rng: rare(rng, 0.2)),
    "one in twelve informed, 180 fills": (1.0, lambda rng: rare(rng, 0.05)),
    "one in twelve informed, 60 fills": (1.0, lambda rng: rare(rng, 1 / 60)),
    "sizes with a heavy tail": (1.0, heavy),
    "a bucket visited twelve times": (1.0, visits),
}


def coverage(horizon_s: float, make: Callable[[Rng], Fills], runs: int, seed: int = 7) -> dict[str, float]:
    """Return `held` and `answered` over `runs` repetitions."""
    rng, answered, held = np.random.default_rng(seed), 0, 0
    for _ in range(runs):
        ts, made, lots, true = make(rng)
        low, high = interval((ts * 1e9).astype(np.int64), made, lots, int(horizon_s * 1e9))
        answered += math.isfinite(low)
        held += low <= true <= high
    return {"held": held / answered if answered else math.nan, "answered": answered / runs}


def informed(share: float, seeds: int, delay_s: float = 0.5, horizons_s: tuple[float, ...] = (0.2, 1.0, 5.0)) -> dict[str, object]:
    """Return how far means of backtests on informed flow lie from the truth, over seeds and horizons, in standard errors."""
    away = []
    for seed in range(seeds):
        found = flow.report(flow.market(seed, share=share, delay_s=delay_s)).markouts(horizons_s=horizons_s)
        true = np.array([flow.truth(share, delay_s, one) for one in found["horizon_s"]])
        error = (found["high_ticks"] - found["low_ticks"]).to_numpy() / (2 * 2.01)  # half of a 95 % interval of fifty blocks
        away.append((found["markout_ticks"].to_numpy() - true) / error)
    z = np.array(away)
    return {
        "truth_ticks": [flow.truth(share, delay_s, one) for one in horizons_s],
        "within_2_errors": float((np.abs(z) < 2).mean()),
        "mean_of_all_in_its_errors": [float(one) for one in z.mean(axis=0) * math.sqrt(seeds) / z.std(axis=0, ddof=1)],
    }


def run() -> dict[str, object]:
    """Return coverage by kind of fills, and the truth on informed flow."""
    began = time.perf_counter()
    kinds = {name: coverage(horizon_s, make, RUNS) for name, (horizon_s, make) in KINDS.items()}
    shares = {f"share {share:g}": informed(share, max(RUNS // 25, 10)) for share in (0.0, 0.3, 0.6, 1.0)}
    wrong = [name for name, found in kinds.items() if not 0.93 <= found["held"] <= 0.97]
    return {
        "repetitions": RUNS,
        "intervals": kinds,
        "outside_0.93_to_0.97": wrong,
        "informed_flow": shares,
        "took_s": time.perf_counter() - began,
    }

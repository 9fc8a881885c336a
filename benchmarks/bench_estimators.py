"""How honest the estimators are: 200 markets of known law each, how many 90 % bands hold the truth, and how many wrong laws are flagged.

The bars: 85 to 95 % of the bands, 90 % of the wrong laws. A right law may be flagged in a few percent of the runs (the test is at 1 %).
"""

import functools
import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.drills import estimator_truth as truth
from hftlab.analytics.estimators.fills import FillIntensity
from hftlab.analytics.estimators.flow import Spread, TradeRate, VolumeRate, Vpin
from hftlab.analytics.estimators.intensity import Intensity
from hftlab.analytics.estimators.profiles import BookDepth
from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.estimators.volatility import RealisedKernel, Volatility

RUNS = 200
BTC = truth.BTC
VPIN_LOTS = 100


@dataclass(frozen=True)
class Case:
    """An estimate by name, the estimator that gives it, the market of its law, one of a wrong law, and what that is."""

    name: str
    make: Callable[[], Any]
    right: Callable[[np.random.Generator], Any]
    wrong: Callable[[np.random.Generator], Any]
    what: str


def _flow(**options: str) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: truth.flow(rng, **options)


CASES = (
    Case("volatility", lambda: Volatility(BTC), truth.diffusion, lambda r: truth.diffusion(r, wrong=True), "stochastic volatility"),
    Case(
        "volatility_kernel",
        lambda: RealisedKernel(BTC),
        lambda r: truth.diffusion(r, noise=10.0),
        lambda r: truth.diffusion(r, noise=10.0, wrong=True),
        "stochastic volatility",
    ),
    Case("decay", lambda: Intensity(BTC), _flow(spreads="apart"), _flow(spreads="apart", depth="power"), "power-law reach"),
    Case("arrival", lambda: Intensity(BTC), _flow(spreads="apart"), _flow(spreads="apart", times="clusters"), "clustered orders"),
    Case("trades", lambda: TradeRate(BTC), _flow(), _flow(times="clusters"), "clustered orders"),
    Case("volume", lambda: VolumeRate(BTC), _flow(), _flow(times="swings"), "a rate that swings"),
    Case("spread", lambda: Spread(BTC), _flow(spreads="apart"), _flow(spreads="wander"), "a spread that wanders"),
    Case("depth", lambda: BookDepth(BTC), _flow(), _flow(sizes="wander"), "sizes that wander"),
    Case("vpin", lambda: Vpin(BTC, bucket_qty=str(BTC.qty(VPIN_LOTS))), _flow(), _flow(sides="drift"), "buyers who take over"),
    Case("fill_decay", lambda: FillIntensity(BTC), truth.fills, lambda r: truth.fills(r, law="power"), "power law of depth"),
    Case("fill_arrival", lambda: FillIntensity(BTC), truth.fills, lambda r: truth.fills(r, law="bursts"), "fills in bursts"),
)


@dataclass(frozen=True)
class Row:
    """Shares of the runs: bands that hold the truth, right laws flagged, wrong laws flagged; and the mean of value / truth."""

    name: str
    covered: float
    false_flags: float
    flagged: float
    ratio: float
    what: str


def estimate_once(case: Case, market: Callable[[np.random.Generator], Any], seed: int) -> Estimate:
    """Return the estimate of one market; each case has markets of its own."""
    one, made = case.make(), market(np.random.default_rng((zlib.crc32(case.name.encode()), seed)))
    if isinstance(made, tuple):
        one.update(made[0])
        one.hear(made[1])
    else:
        one.update(made)
    found = one.estimates() if hasattr(one, "estimates") else {case.name: one.estimate()}
    return found[case.name]  # type: ignore[no-any-return]


def study(case: Case, runs: int = RUNS) -> Row:
    """Return the shares of one case over `runs` seeds."""
    right = [estimate_once(case, case.right, seed) for seed in range(runs)]
    wrong = [estimate_once(case, case.wrong, seed) for seed in range(runs)]
    known = truth.TRUTH[case.name] if case.name != "vpin" else expected_vpin()
    return Row(
        case.name,
        float(np.mean([one.low <= known <= one.high for one in right])),
        float(np.mean([one.flag == "wrong law" for one in right])),
        float(np.mean([one.flag == "wrong law" for one in wrong])),
        float(np.mean([one.value / known for one in right])),
        case.what,
    )


@functools.cache
def expected_vpin() -> float:
    """Return the mean share of a bucket of VPIN_LOTS by which one side outweighs the other, for the sizes and even sides of `flow`.

    By drawing 200,000 buckets: orders are geometric, and the last one of a bucket is split at its edge.
    """
    rng = np.random.default_rng(12345)
    sizes = rng.geometric(1 / truth.LOTS_MEAN, 4_200_000)
    signed = np.where(rng.random(len(sizes)) < 0.5, 1, -1)
    ends = np.cumsum(sizes)
    edges = np.arange(1, 200_001) * VPIN_LOTS
    total = np.concatenate([[0], np.cumsum(sizes * signed)])
    at = np.searchsorted(ends, edges)
    before = total[at] + signed[at] * (edges - (ends[at] - sizes[at]))
    return float(np.abs(np.diff(before, prepend=0)).mean() / VPIN_LOTS)


def run() -> dict[str, object]:
    """Return the table, and how long it took."""
    began = time.perf_counter()
    rows = [study(case) for case in CASES]
    return {"runs": RUNS, "seconds": round(time.perf_counter() - began, 1)} | {
        row.name: {
            "covered": row.covered,
            "flagged when right": row.false_flags,
            "flagged when wrong": row.flagged,
            "value / truth": round(row.ratio, 4),
            "wrong law": row.what,
        }
        for row in rows
    }


def main() -> None:
    """Print the table as Markdown."""
    print("| estimate | 90 % bands that hold the truth | right law flagged | wrong law flagged | value / truth | the wrong law |")
    print("|---|---|---|---|---|---|")
    began = time.perf_counter()
    for case in CASES:
        row = study(case)
        mark = "" if 0.85 <= row.covered <= 0.95 and row.flagged >= 0.9 and math.isfinite(row.ratio) else " (missed)"
        cells = f"{row.covered:.1%}{mark} | {row.false_flags:.1%} | {row.flagged:.1%} | {row.ratio:.3f} | {row.what}"
        print(f"| `{row.name}` | {cells} |")
    print(f"\n{RUNS} runs each, {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()

"""Flow estimators on simulated truth: how often their 90 % bands hold it, and how often another law is flagged. 200 runs each.

Each row is {covered, flagged_right_law, flagged_wrong_law}. The wrong laws: arrivals of which most come by the clock; a mid
that answers order flow by its signed root (OFI, Kyle); a touch whose moves repeat the sign of the last one (micro-price); impact that
is linear in size (square root).
"""

from collections.abc import Callable

import numpy as np

from benchmarks import flow_truth as ft
from hftlab.analytics.estimators.result import Estimate
from hftlab.analytics.signals.hawkes import fit_hawkes, simulate_hawkes
from hftlab.analytics.signals.imbalance import OrderFlow, Steps
from hftlab.analytics.signals.kyle import KyleLambda
from hftlab.analytics.signals.microprice import MicroPrice
from hftlab.analytics.signals.square_root import fit_square_root

RUNS = 200
MU, ALPHA, BETA, END_S = 0.5, 0.8, 1.5, 1000.0
SLOPE = 0.02
STEPS = 800
CHAIN = 10_000

One = tuple[list[tuple[Estimate, float]], Estimate]
"""The estimates of one run with their truths, and one on a wrong law."""


def hawkes(rng: np.random.Generator) -> One:
    """Return mu, alpha, beta, branching and mean rate of a Hawkes process, and the branching of arrivals of which most come by the clock."""
    fit = fit_hawkes(simulate_hawkes(MU, ALPHA, BETA, END_S, rng), END_S)
    share = ALPHA / BETA
    truth = [(fit.mu, MU), (fit.alpha, ALPHA), (fit.beta, BETA), (fit.branching, share), (fit.rate, MU / (1 - share))]
    return truth, fit_hawkes(ft.clocked_times(rng, END_S), END_S).branching


def line(rng: np.random.Generator, of: Callable[[], Steps], rows: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> One:
    """Return the slope of a mid that answers flow in a line, with noise that hangs together, and that of a root."""
    flow = np.rint(rng.normal(0, 1000, STEPS)).astype(np.int64)
    size = np.abs(flow) / 1000
    noise = ft.noise_of(rng, STEPS, 15.0, size)
    root = np.sign(flow) * np.sqrt(size) * 1000
    found = []
    for answer in (flow, root):
        estimator = of()
        estimator.update(rows(flow, np.rint(SLOPE * answer + noise).astype(np.int64)))
        found.append(estimator.estimate())
    return [(found[0], SLOPE)], found[1]


def micro(rng: np.random.Generator) -> One:
    """Return G* of the states of a chain with one tick of spread, and of one with momentum."""
    made, truth = [], ft.true_adjustment()
    for momentum in (0.0, 0.5):
        estimator = MicroPrice(buckets=ft.BUCKETS, spreads=ft.SPREADS)
        estimator.update(ft.touch_rows(ft.chain_touches(rng, CHAIN, momentum=momentum)))
        made.append(estimator)
    return [(made[0].estimate(i, 1), truth[k]) for i, k in ((0.25, 2), (0.75, 3))], made[1].estimate(0.75, 1)


def root(rng: np.random.Generator) -> One:
    """Return Y and the free exponent of metaorders that follow the square-root law, and Y of those whose impact is linear in size."""
    qty = rng.lognormal(3.0, 1.0, STEPS)
    noise = rng.normal(0, 10, STEPS)
    right = fit_square_root(0.8 * 20 * np.sqrt(qty / 400) + noise, qty, volume=400, sigma=20)
    wrong = fit_square_root(0.8 * 20 * (qty / 50) + noise, qty, volume=400, sigma=20)
    return [(right.y, 0.8), (right.exponent, 0.5)], wrong.y


LAWS: dict[str, Callable[[np.random.Generator], One]] = {
    "hawkes": hawkes,
    "ofi": lambda rng: line(rng, lambda: OrderFlow(interval_s=1.0), ft.ofi_rows),
    "kyle": lambda rng: line(rng, lambda: KyleLambda(interval_s=1.0), ft.print_rows),
    "microprice": micro,
    "square_root": root,
}


def judge(law: Callable[[np.random.Generator], One], runs: int, seed: int) -> dict[str, object]:
    """Return how often the bands held the truth (by estimate), and how often the right and the wrong law were flagged."""
    rng = np.random.default_rng(seed)
    covered: dict[str, int] = {}
    right = wrong = 0
    for _ in range(runs):
        truth, other = law(rng)
        for one, value in truth:
            covered[one.name] = covered.get(one.name, 0) + (one.low <= value <= one.high)
        right += truth[0][0].flag == "wrong law"
        wrong += other.flag == "wrong law"
    return {
        "covered": {name: count / runs for name, count in covered.items()},
        "flagged_right_law": right / runs,
        "flagged_wrong_law": wrong / runs,
    }


def run(runs: int = RUNS) -> dict[str, object]:
    """Return the judgement of every law."""
    return {"runs": runs} | {name: judge(law, runs, 7) for name, law in LAWS.items()}

"""Five hundred random rules on a market without an edge: the best looks like skill, until somebody counts.

Small and seeded here, on random walks; on simulated markets, and through whole backtests, in `python -m benchmarks luck`.
"""

import numpy as np
import pytest

from benchmarks.bench_luck import best_of, random_rules
from hftlab.analytics.luck.overfit import probability_of_overfitting

REPEATS = 20


@pytest.fixture(scope="module")
def found():
    prices = [np.cumsum(np.random.default_rng([seed, 1]).standard_t(5, 401)) for seed in range(REPEATS)]
    return [random_rules(path, seed, 500) for seed, path in enumerate(prices)]


def test_the_best_of_many_looks_like_skill_and_its_deflated_value_does_not(found):
    best = [best_of(moves) for moves in found]
    alone, deflated = (np.array([one[name] for one in best]) for name in ("alone_p", "deflated_p"))
    assert (alone < 0.05).mean() >= 0.9
    assert (deflated > 0.1).mean() >= 0.9
    assert 0.25 < np.median(deflated) < 0.75  # and not by doubting everything


def test_a_rule_that_knows_something_survives_the_count(found):
    moves = found[0].copy()
    moves[:, 17] += 0.3 * moves[:, 17].std()
    best = best_of(moves)
    assert best["sharpe"] == pytest.approx(0.3, abs=0.2)
    assert best["deflated_p"] < 0.05


def test_choosing_among_rules_without_skill_is_overfitting(found):
    values = [probability_of_overfitting(moves[:, :100], blocks=8).probability for moves in found]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(REPEATS))

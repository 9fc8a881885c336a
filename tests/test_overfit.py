"""The best of many: published numbers, laws, and what chance alone would show."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.analytics.luck.overfit import (
    deflated_sharpe,
    expected_max_sharpe,
    mean_of_sums,
    minimum_track_record,
    probabilistic_sharpe,
    probability_of_overfitting,
)
from hftlab.analytics.returns.sharpe import per_period, sharpe
from hftlab.errors import InputError

YEAR = 250


def test_the_published_deflated_ratio():
    # Bailey & López de Prado 2014, the numerical example: SR0 .1132, DSR .9004.
    ratio, variance = 2.5 / math.sqrt(YEAR), 0.5 / YEAR
    assert expected_max_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(ratio, 1250, -3, 10, trials=100, trials_variance=variance) == pytest.approx(0.9004, abs=5e-5)


def test_the_best_of_many_normals_is_what_simulation_shows():
    draws = np.random.default_rng(0).normal(size=(4000, 200)).max(axis=1)
    assert expected_max_sharpe(200, 1.0) == pytest.approx(draws.mean(), rel=0.015)
    assert expected_max_sharpe(1, 1.0) == 0.0


ratios, skews = st.floats(-0.5, 0.5), st.floats(-3, 3)


@given(ratios, st.integers(10, 5000), skews, st.integers(1, 10_000))
def test_more_trials_never_make_a_ratio_better(ratio, n, skew, trials):
    one = deflated_sharpe(ratio, n, skew, 3 + skew**2, trials=trials)
    assert 0 <= deflated_sharpe(ratio, n, skew, 3 + skew**2, trials=trials + 50) <= one <= 1
    assert deflated_sharpe(ratio, n, skew, 3 + skew**2, trials=1) == probabilistic_sharpe(ratio, n, skew, 3 + skew**2)


@given(st.floats(0.01, 0.5), skews, st.floats(0.0, 0.4), st.floats(0.6, 0.999))
def test_the_minimum_track_record_is_where_the_probability_gets_there(ratio, skew, benchmark, level):
    kurtosis = 3 + 1.5 * skew**2
    length = minimum_track_record(ratio, skew, kurtosis, benchmark=benchmark, level=level)
    if ratio <= benchmark:
        assert length == math.inf
    elif length < 1e7:
        before, after = (
            probabilistic_sharpe(ratio, n, skew, kurtosis, benchmark=benchmark) for n in (max(2, math.floor(length)), math.ceil(length) + 1)
        )
        assert after >= level - 1e-9
        if length > 2:
            assert before <= level + 1e-9


def test_a_sharpe_ratio_carries_its_trials():
    values = np.random.default_rng(3).normal(0.1, 1, 400)
    alone, many = sharpe(values, 365), sharpe(values, 365, trials=500)
    assert alone.deflated == alone.probability == many.probability
    assert many.deflated < 0.5
    assert alone.probability > 0.99
    assert "500 trials" in str(many)


def brute_force(matrix, blocks):
    """The paper, word by word, without a sum that is shared."""
    from itertools import combinations

    parts, lost = np.split(matrix, blocks), []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[k] for k in chosen])
        outside = np.concatenate([parts[k] for k in range(blocks) if k not in chosen])
        best = int(np.argmax([per_period(column) for column in inside.T]))
        future = np.array([per_period(column) for column in outside.T])
        rank = (np.sum(future < future[best]) + 1) / (matrix.shape[1] + 1)
        lost.append(math.log(rank / (1 - rank)))
    return np.array(lost)


def test_the_probability_of_overfitting_is_that_of_the_paper():
    matrix = np.random.default_rng(4).normal(0.05, 1, (60, 7))
    found = probability_of_overfitting(matrix, blocks=6)
    assert found.logits == pytest.approx(brute_force(matrix, 6))
    assert found.probability == np.mean(brute_force(matrix, 6) <= 0)
    assert found.splits == 20


def test_without_skill_the_past_says_nothing_and_with_skill_it_does():
    rng = np.random.default_rng(5)
    nothing = [probability_of_overfitting(rng.normal(size=(200, 30)), blocks=8).probability for _ in range(40)]
    assert np.mean(nothing) == pytest.approx(0.5, abs=4 * np.std(nothing) / math.sqrt(40))
    skilled = rng.normal(size=(200, 30))
    skilled[:, 11] += 0.5
    found = probability_of_overfitting(skilled, blocks=8)
    assert found.probability < 0.02
    assert found.loss_share < 0.02


def test_rules_that_never_trade_are_ranked_as_nothing_made():
    matrix = np.zeros((40, 3))
    matrix[:, 2] = -1 + 0.1 * np.random.default_rng(0).normal(size=40)
    found = probability_of_overfitting(matrix, blocks=4)
    assert (found.chosen_in == 0).all()
    assert (found.chosen_out == 0).all()
    assert probability_of_overfitting(matrix, blocks=4, figure=mean_of_sums).chosen_in.tolist() == [0.0] * 6


@pytest.mark.parametrize(("shape", "blocks"), [((40, 1), 4), ((40, 3), 5), ((6, 3), 4), ((40,), 4), ((400, 3), 22)])
def test_what_cannot_be_halved_is_refused(shape, blocks):
    with pytest.raises(InputError):
        probability_of_overfitting(np.zeros(shape), blocks=blocks)

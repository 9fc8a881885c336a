"""The reality check and the bootstrap under it: size, power, and beside an independent program."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.analytics.luck.reality_check import reality_check
from hftlab.analytics.stats.stationary import block_length, draws, mean_variances, weights
from hftlab.errors import InputError


def autoregressive(seed, n, rho):
    values = np.random.default_rng(seed).normal(size=n)
    for t in range(1, n):
        values[t] += rho * values[t - 1]
    return values


@pytest.mark.parametrize(
    ("seed", "n", "rho", "length"),
    [
        (0, 250, 0.5, 7.187789113190263),
        (1, 500, 0.3, 4.01613733378905),
        (2, 1000, 0.0, 1.012205263809385),
        (3, 2000, -0.3, 8.23800626562191),
        (4, 50, 0.8, 3.23359159766052),
    ],
)
def test_the_block_length_is_that_of_an_independent_program(seed, n, rho, length):
    # arch 8: optimal_block_length(values)["stationary"], an implementation of Patton, Politis & White 2009.
    assert block_length(autoregressive(seed, n, rho)) == pytest.approx(length, rel=1e-9)


def test_a_series_that_does_not_vary_has_blocks_of_one():
    assert block_length(np.full(100, 3.0)) == 1.0


@given(st.integers(2, 60), st.floats(1, 20), st.integers(0, 99))
def test_a_replicate_is_made_of_blocks_that_go_around(n, length, seed):
    index = np.concatenate(list(draws(n, length, 7, seed)))
    assert index.shape == (7, n)
    assert ((index >= 0) & (index < n)).all()
    counts = np.concatenate(list(weights(n, length, 7, seed)))
    assert (counts.sum(axis=1) == n).all()
    assert (counts[3] == np.bincount(index[3], minlength=n)).all()


def test_blocks_have_the_length_that_was_asked_for():
    index = np.concatenate(list(draws(1000, 8.0, 200, 1)))
    follows = (index[:, 1:] - index[:, :-1]) % 1000 == 1
    assert 1 / (1 - follows.mean()) == pytest.approx(8, rel=0.05)


def test_the_variance_of_a_mean_needs_no_drawing():
    values = np.stack([autoregressive(7, 120, 0.5), autoregressive(8, 120, -0.2)], axis=1)
    means = np.concatenate([picks @ values / 120 for picks in weights(120, 6.0, 20_000, 3)])
    assert mean_variances(values, 6.0) == pytest.approx(120 * means.var(axis=0), rel=0.04)


def test_null_returns_are_rejected_about_as_often_as_asked():
    # 200 tables of 12 rules that hang together. At 5 %, four standard errors of 200 draws reach to 11 %.
    # The full study (1000 tables, three laws): `python -m benchmarks luck`.
    rng, found = np.random.default_rng(2), []
    for seed in range(200):
        table = rng.normal(size=(120, 12)) + rng.normal(size=(120, 1))
        found.append(reality_check(table, block=2, replicates=200, seed=seed))
    for name in ("white", "spa"):
        share = np.mean([getattr(one, name) < 0.05 for one in found])
        assert 0.005 <= share <= 0.11, name
        assert 0.3 < np.median([getattr(one, name) for one in found]) < 0.7


def test_a_rule_with_an_edge_is_found_and_bad_company_hides_it_from_white_only():
    rng = np.random.default_rng(3)
    table = rng.normal(size=(250, 20))
    table[:, 7] += 0.25
    clean = reality_check(table, replicates=500)
    assert clean.best == 7
    assert clean.white < 0.02
    assert clean.spa < 0.02
    # Forty wild losers: their spread sets the bar of White's check, and Hansen's puts them aside.
    bad = np.concatenate([table, 12 * rng.normal(size=(250, 40)) - 4], axis=1)
    crowded = reality_check(bad, replicates=500)
    assert crowded.white > 0.3
    assert crowded.spa < 0.05
    assert crowded.spa_low <= crowded.spa <= crowded.spa_high


def test_the_studentised_statistic_by_hand():
    # Every draw redone one by one, as Hansen 2005 writes it.
    table = np.random.default_rng(4).normal(0.05, 1, (40, 3))
    found = reality_check(table, block=3, replicates=150, seed=9)
    n, means, omega = 40, table.mean(axis=0), np.sqrt(mean_variances(table, 3))
    seen = max(*(math.sqrt(n) * means / omega), 0)
    above = white = 0
    for index in np.concatenate(list(draws(n, 3, 150, 9))):
        drawn = table[index].mean(axis=0)
        centre = np.where(means >= -omega / math.sqrt(n) * math.sqrt(2 * math.log(math.log(n))), means, 0)
        above += max(*(math.sqrt(n) * (drawn - centre) / omega), 0) > seen
        white += max(drawn - means) >= max(means)
    assert (found.spa, found.white) == (above / 150, white / 150)


def test_a_benchmark_is_taken_from_every_rule():
    table = np.random.default_rng(5).normal(0.2, 1, (200, 5))
    market = np.random.default_rng(6).normal(0.4, 1, 200)
    assert reality_check(table, replicates=200).white < 0.1
    assert reality_check(table, market, replicates=200).white > 0.5


def test_rules_that_never_trade_beat_nobody():
    table = np.concatenate([np.zeros((50, 3)), -1 + np.random.default_rng(0).normal(size=(50, 2))], axis=1)
    found = reality_check(table, replicates=100)
    assert found.spa == 1.0
    assert "best of 5 rules" in str(found)


@pytest.mark.parametrize(
    "call", [{"returns": np.zeros((5, 3))}, {"returns": np.zeros(50)}, {"returns": np.zeros((50, 2)), "replicates": 10}]
)
def test_what_says_nothing_is_refused(call):
    with pytest.raises(InputError):
        reality_check(**call)

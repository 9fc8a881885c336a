"""The pricing formulas against published values, their limits, and the laws that they obey."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.analytics.theory.glft import exact_depths
from hftlab.errors import InputError
from hftlab.kernels.pricing import (
    as_reservation_ticks,
    as_spread,
    ewma_variance_per_s,
    ewma_weight,
    glft_c1,
    glft_c2,
    glft_depths,
)

gammas = st.floats(1e-4, 5.0)
sigmas = st.floats(0.01, 20.0)
decays = st.floats(0.01, 50.0)
arrivals = st.floats(0.01, 200.0)
sizes = st.floats(0.01, 50.0)
taus = st.floats(0.0, 1000.0)
inventories = st.floats(-100.0, 100.0)


# --- Avellaneda & Stoikov --------------------------------------------------------------------------------------------
def test_the_spread_of_the_paper_has_its_known_value():
    # gamma=.1 sigma=2 T-t=1 k=1.5: .1*4*1 + 20*ln(1 + .1/1.5). Exact arithmetic, 50 digits, rounded.
    assert as_spread(0.1, 2.0, 1.0, 1.5, 1.0) == pytest.approx(1.6907704227514, abs=5e-14)


def test_the_reservation_price_of_a_long_maker_is_below_fair():
    # By hand: 100 - 3 * .1 * 4 * .5 = 99.4.
    assert as_reservation_ticks(100.0, 3.0, 0.1, 2.0, 0.5) == pytest.approx(99.4, abs=1e-12)


def test_the_spread_without_risk_aversion_is_two_over_k():
    assert as_spread(0.0, 2.0, 1.0, 1.5, 1.0) == 2.0 / 1.5


@given(gamma=st.floats(1e-300, 1e-9), k=decays, size=sizes)
def test_the_limit_of_no_risk_aversion_is_reached_without_a_step(gamma, k, size):
    # ln(1+x)/x = 1 - x/2 + …: the distance from 2/k is below x/k, for x however small.
    x = gamma * size / k
    assert abs(as_spread(gamma, 1.0, 0.0, k, size) - 2.0 / k) <= (x + 4e-16) / k


@given(gamma=gammas, sigma=sigmas, tau=taus, k=decays, size=sizes, more=st.floats(1.05, 3.0))
def test_the_spread_falls_with_the_decay_and_rises_with_volatility_and_time(gamma, sigma, tau, k, size, more):
    spread = as_spread(gamma, sigma, tau, k, size)
    assert as_spread(gamma, sigma, tau, k * more, size) < spread
    assert as_spread(gamma, sigma * more, tau + 1e-3, k, size) > spread
    assert as_spread(gamma, sigma, tau * more + 1.0, k, size) > spread


@given(q=inventories, gamma=gammas, sigma=sigmas, tau=taus)
def test_the_reservation_price_leans_as_far_up_for_a_short_as_down_for_a_long(q, gamma, sigma, tau):
    assert as_reservation_ticks(0.0, -q, gamma, sigma, tau) == -as_reservation_ticks(0.0, q, gamma, sigma, tau)


@given(gamma=gammas, sigma=sigmas, tau=taus, k=decays, size=sizes, scale=st.floats(0.01, 100.0))
def test_the_spread_does_not_depend_on_the_unit_of_price(gamma, sigma, tau, k, size, scale):
    # Ten times smaller a unit: prices and sigma ten times as large, gamma and k a tenth.
    changed = as_spread(gamma / scale, sigma * scale, tau, k / scale, size)
    assert changed == pytest.approx(scale * as_spread(gamma, sigma, tau, k, size), rel=1e-12)


@given(gamma=gammas, sigma=sigmas, tau=taus, k=decays, size=sizes)
def test_orders_of_any_size_follow_from_the_unit_of_the_paper(gamma, sigma, tau, k, size):
    # `size` units of an asset are one unit of another whose price is `size` times as large.
    published = gamma * (sigma * size) ** 2 * tau + 2.0 / gamma * math.log1p(gamma / (k / size))
    assert as_spread(gamma, sigma, tau, k, size) == pytest.approx(published / size, rel=1e-12)


# --- Guéant, Lehalle & Fernandez-Tapia ---------------------------------------------------------------------------------
def test_the_glft_constants_have_their_known_values():
    # sigma=.3 A=.9 k=.3 gamma=.01; computed to 7 digits from arXiv 1105.3115, section 4.
    assert glft_c1(0.01, 0.3, 1.0) == pytest.approx(3.278982, abs=5e-7)
    assert glft_c2(0.01, 0.3, 0.3, 0.9, 1.0) == pytest.approx(0.0678658, abs=5e-8)


@pytest.mark.parametrize(("q", "exact", "closed"), [(0, 3.31305, 3.31292), (5, 3.65348, 3.65224), (20, 4.66554, 4.67023)])
def test_the_bids_of_both_forms_have_their_known_values(q, exact, closed):
    # The same parameters with Q=30 T=600. Each form against its own number: they differ, more so at large inventories.
    depths = exact_depths(600.0, 30, 0.01, 0.3, 0.3, 0.9)
    assert depths.bid[30 + q] == pytest.approx(exact, abs=5e-6)
    assert glft_depths(float(q), 0.01, 0.3, 0.3, 0.9, 1.0)[0] == pytest.approx(closed, abs=5e-6)


def test_the_exact_form_agrees_with_another_matrix_exponential():
    # scipy's Padé approximant of the same matrix; written from the paper, not from our code.
    from scipy.linalg import expm

    gamma, sigma, k, A, Q, tau = 0.05, 0.8, 0.7, 1.3, 12, 45.0
    j = np.arange(-Q, Q + 1)
    eta = A * (1 + gamma / k) ** -(1 + k / gamma)
    matrix = np.diag(k * gamma * sigma**2 / 2 * j**2.0) - eta * (np.eye(2 * Q + 1, k=1) + np.eye(2 * Q + 1, k=-1))
    v = expm(-matrix * tau) @ np.ones(2 * Q + 1)
    bid = np.log(v[:-1] / v[1:]) / k + np.log(1 + gamma / k) / gamma
    np.testing.assert_allclose(exact_depths(tau, Q, gamma, sigma, k, A).bid[:-1], bid, rtol=1e-11)


@given(gamma=st.floats(1e-3, 0.1), sigma=st.floats(0.05, 0.5), k=st.floats(0.2, 2.0), A=st.floats(0.5, 5.0))
def test_near_zero_inventory_the_closed_form_is_close_to_the_exact_one_far_from_the_horizon(gamma, sigma, k, A):
    # The closed form expands around q = 0; its error there is of second order in the skew.
    q_max, c2 = 40, glft_c2(gamma, sigma, k, A, 1.0)
    exact = exact_depths(3000.0, q_max, gamma, sigma, k, A)
    for q in (-1, 0, 1):
        bid, ask = glft_depths(float(q), gamma, sigma, k, A, 1.0)
        assert abs(exact.bid[q_max + q] - bid) < 0.02 * glft_c1(gamma, k, 1.0) + c2
        assert abs(exact.ask[q_max + q] - ask) < 0.02 * glft_c1(gamma, k, 1.0) + c2


def test_at_large_inventories_the_closed_form_is_poor():
    # Why both exist: at sigma = 3 the bid of a maker who holds 20 is 13.27, and the closed form says 17.19, 30% more.
    exact = exact_depths(600.0, 30, 0.01, 3.0, 0.3, 0.9).bid[30 + 20]
    assert 1.29 < glft_depths(20.0, 0.01, 3.0, 0.3, 0.9, 1.0)[0] / exact < 1.30


@given(q=inventories, gamma=gammas, sigma=sigmas, k=decays, A=arrivals, size=sizes)
def test_the_bid_of_a_long_is_the_ask_of_a_short(q, gamma, sigma, k, A, size):
    bid, ask = glft_depths(q, gamma, sigma, k, A, size)
    mirrored_bid, mirrored_ask = glft_depths(-q, gamma, sigma, k, A, size)
    assert bid == pytest.approx(mirrored_ask, rel=1e-12, abs=1e-12)
    assert ask == pytest.approx(mirrored_bid, rel=1e-12, abs=1e-12)


@given(q=inventories, gamma=gammas, sigma=sigmas, k=decays, A=arrivals, size=sizes)
def test_the_spread_of_glft_does_not_depend_on_the_inventory(q, gamma, sigma, k, A, size):
    bid, ask = glft_depths(q, gamma, sigma, k, A, size)
    spread = 2.0 * glft_c1(gamma, k, size) + size * glft_c2(gamma, sigma, k, A, size)
    assert bid + ask == pytest.approx(spread, rel=1e-9, abs=1e-9 * abs(bid))


@given(gamma=gammas, sigma=sigmas, k=decays, A=arrivals, more=st.floats(1.05, 3.0))
def test_the_skew_rises_with_volatility_and_falls_with_arrivals(gamma, sigma, k, A, more):
    skew = glft_c2(gamma, sigma, k, A, 1.0)
    assert glft_c2(gamma, sigma * more, k, A, 1.0) > skew
    assert glft_c2(gamma, sigma, k, A * more, 1.0) < skew


@given(q=inventories, gamma=gammas, sigma=sigmas, k=decays, A=arrivals, size=sizes)
def test_glft_for_any_size_follows_from_the_unit_of_the_paper(q, gamma, sigma, k, A, size):
    bid, ask = glft_depths(q, gamma, sigma, k, A, size)
    unit_bid, unit_ask = glft_depths(q / size, gamma, sigma * size, k / size, A, 1.0)
    assert bid == pytest.approx(unit_bid / size, rel=1e-9, abs=1e-9)
    assert ask == pytest.approx(unit_ask / size, rel=1e-9, abs=1e-9)


def test_without_risk_aversion_glft_quotes_one_over_k_on_both_sides_whatever_it_holds():
    assert glft_depths(7.0, 0.0, 0.3, 0.5, 0.9, 1.0) == (2.0, 2.0)


@given(gamma=st.floats(1e-3, 1.0), sigma=st.floats(0.1, 3.0), k=st.floats(0.2, 5.0), A=st.floats(0.1, 10.0), tau=st.floats(0.0, 1e4))
def test_the_exact_depths_mirror_and_rise_with_the_inventory(gamma, sigma, k, A, tau):
    depths = exact_depths(tau, 8, gamma, sigma, k, A)
    np.testing.assert_allclose(depths.bid[:-1], depths.ask[:0:-1], rtol=1e-9, atol=1e-9)
    assert np.all(np.diff(depths.bid[:-1]) >= -1e-9)  # the more we hold, the further down we bid
    assert depths.bid[-1] == np.inf
    assert depths.ask[0] == np.inf


def test_at_the_horizon_the_inventory_no_longer_matters():
    depths = exact_depths(0.0, 5, 0.1, 1.0, 1.5, 10.0)
    np.testing.assert_allclose(depths.bid[:-1], math.log1p(0.1 / 1.5) / 0.1, rtol=1e-14)


def test_the_exact_form_for_another_size_is_the_unit_form_rescaled():
    depths = exact_depths(100.0, 5.0, 0.01, 0.3, 0.3, 0.9, size=0.5)
    unit = exact_depths(100.0, 10, 0.01, 0.15, 0.6, 0.9)
    np.testing.assert_allclose(depths.q, unit.q * 0.5)
    np.testing.assert_allclose(depths.bid[:-1], unit.bid[:-1] / 0.5, rtol=1e-11)


@pytest.mark.parametrize("wrong", [{"sigma": 0.0}, {"k": -1.0}, {"A": math.nan}, {"gamma": -0.1}, {"tau_s": math.inf}, {"q_max": 2.5}])
def test_values_outside_the_model_are_refused_by_name(wrong):
    values = {"tau_s": 10.0, "q_max": 3, "gamma": 0.1, "sigma": 1.0, "k": 1.5, "A": 2.0} | wrong
    with pytest.raises(InputError, match=f"^{next(iter(wrong))} was"):
        exact_depths(**values)


# --- volatility --------------------------------------------------------------------------------------------------------
def test_the_weight_of_one_half_life_is_one_half():
    assert ewma_weight(3_000_000_000, 3.0) == pytest.approx(0.5, rel=1e-15)
    assert ewma_weight(0, 3.0) == 0.0


@given(first=st.integers(1, 10**12), second=st.integers(1, 10**12), half_life=st.floats(0.1, 1e4))
def test_a_quiet_time_decays_the_variance_alike_in_one_step_or_in_two(first, second, half_life):
    once = ewma_variance_per_s(4.0, 0.0, first + second, half_life)
    twice = ewma_variance_per_s(ewma_variance_per_s(4.0, 0.0, first, half_life), 0.0, second, half_life)
    assert twice == pytest.approx(once, rel=1e-9, abs=1e-12)


def test_the_variance_of_a_random_walk_is_found_whatever_the_message_rate():
    # sigma = 2 ticks/sqrt(s), 40,000 s at irregular times; with a half-life of 2000 s some 5800 s count: a few per cent of error.
    rng = np.random.default_rng(5)
    for mean_s in (0.5, 5.0):
        gaps_ns = np.maximum(1, rng.exponential(mean_s * 1e9, int(40_000 / mean_s))).astype(np.int64)
        moves = rng.normal(0.0, 2.0 * np.sqrt(gaps_ns * 1e-9))
        variance = 0.0
        for move, gap_ns in zip(moves, gaps_ns, strict=True):
            variance = ewma_variance_per_s(variance, move, gap_ns, 2000.0)
        assert variance == pytest.approx(4.0, rel=0.25)


def test_two_rows_at_one_instant_say_nothing_about_a_rate():
    assert ewma_variance_per_s(3.0, 5.0, 0, 10.0) == 3.0

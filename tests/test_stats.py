"""Distributions and bands against scipy and published tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hftlab.analytics.stats import bands
from hftlab.analytics.stats import distributions as ds
from hftlab.analytics.stats.resample import times_drawn
from hftlab.errors import InputError


@pytest.mark.parametrize(
    ("x", "degrees", "p"),
    # scipy 1.14: stats.chi2.sf
    [(3.841458820694124, 1, 0.05), (18.307038053275146, 10, 0.05), (124.34211340400407, 100, 0.05), (2.0, 2, math.exp(-1.0))],
)
def test_the_chi_square_is_that_of_the_tables(x, degrees, p):
    assert ds.chi2_sf(x, degrees) == pytest.approx(p, rel=1e-9)
    assert ds.chi2_quantile(1 - p, degrees) == pytest.approx(x, rel=1e-9)


def test_the_poisson_band_is_garwoods():
    # Garwood 1936: 10 events, 90 %: 5.425 to 16.962.
    low, high = bands.poisson_band(10, 1.0, 0.90)
    assert (round(low, 3), round(high, 3)) == (5.425, 16.962)


@given(st.floats(1, 1e6), st.floats(0.001, 0.999))
def test_students_t_is_that_of_scipy(degrees, level):
    assert ds.student_t(degrees, level) == pytest.approx(stats.t.ppf((1 + level) / 2, degrees), rel=3e-8)


def test_students_t_refuses_what_it_does_not_know():
    for degrees, level in ((0.5, 0.95), (5, 0.9999), (5, 0.0)):
        with pytest.raises(InputError):
            ds.student_t(degrees, level)


@given(st.floats(0.0, 50.0), st.integers(1, 20), st.integers(1, 500))
def test_the_tail_of_f_is_that_of_scipy(value, above, below):
    assert ds.f_tail(value, above, below) == pytest.approx(stats.f.sf(value, above, below), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 17), (400, 1000)])
def test_the_band_of_a_share_is_wilsons(hits, n):
    wanted = stats.binomtest(hits, n).proportion_ci(0.9, method="wilson")
    assert bands.wilson_band(hits / n, n, 0.9) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_a_band_needs_nine_draws_of_ten():
    drawn = np.arange(100.0)
    drawn[:10] = math.nan
    assert bands.mostly_known_band(drawn, 0.9) == bands.drawn_band(drawn, 0.9) == pytest.approx((10 + 0.05 * 89, 10 + 0.95 * 89))
    drawn[10] = math.inf
    assert all(math.isnan(end) for end in bands.mostly_known_band(drawn, 0.9))
    assert all(math.isnan(end) for end in bands.drawn_band(np.full(3, math.nan)))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_draws_are_counted(count, draws, seed):
    picks = np.random.default_rng(seed).integers(0, count, (draws, 7))
    assert times_drawn(picks, count).tolist() == [[float(np.sum(row == one)) for one in range(count)] for row in picks]

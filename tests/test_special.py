"""Our gamma and beta functions are scipy's, and one and the same number compiled and as plain Python."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from scipy.special import betainc, gammaln

from hftlab.kernels.special import beta_share, log_gamma, log_rise

ABOVE_ZERO = st.floats(1e-3, 1e5)


@settings(max_examples=200, deadline=None)
@given(x=ABOVE_ZERO)
def test_log_gamma_is_scipys(x):
    assert log_gamma(x) == pytest.approx(gammaln(x), rel=1e-13, abs=1e-13)


@settings(max_examples=200, deadline=None)
@given(x=ABOVE_ZERO, by=st.floats(0, 1e5))
def test_log_rise_is_the_difference_of_two_log_gammas(x, by):
    lost = 1e-15 * (abs(gammaln(x + by)) + abs(gammaln(x)))  # what scipy's own difference cannot tell
    assert log_rise(x, by) == pytest.approx(gammaln(x + by) - gammaln(x), rel=1e-12, abs=1e-13 + 4 * lost)


@settings(max_examples=200, deadline=None)
@given(a=st.floats(0.01, 20_000), b=st.floats(0.01, 500), x=st.floats(0, 1))
def test_the_incomplete_beta_function_is_scipys(a, b, x):
    assert beta_share(a, b, x) == pytest.approx(betainc(a, b, x), rel=1e-9, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(x=ABOVE_ZERO, by=st.floats(0, 1e5))
def test_compiled_and_plain_are_the_same_number(x, by):
    assert getattr(log_gamma, "py_func", log_gamma)(x) == log_gamma(x)
    assert getattr(log_rise, "py_func", log_rise)(x, by) == log_rise(x, by)

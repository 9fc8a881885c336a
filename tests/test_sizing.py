"""Sizing: published numbers, what each formula makes largest, and that no size is beyond its cap or off the grid."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import A

from hftlab.analytics.portfolio.sizing import (
    inventory_sizes,
    kelly,
    kelly_continuous,
    kelly_growth,
    risk_parity,
    scaled_limit,
    size_of,
    volatility_target,
)
from hftlab.errors import InputError, OffGridQuantity
from hftlab.instrument import Instrument

PROBABILITIES = st.floats(0.01, 0.99)
ODDS = st.floats(0.1, 20)


# --- Kelly ---------------------------------------------------------------------------------------------------------------------


def test_the_coin_that_falls_well_six_times_in_ten():
    assert kelly(0.6) == pytest.approx(0.2)
    assert kelly(0.6, fraction=0.5) == pytest.approx(0.1)
    assert kelly(0.6, frac_max=0.05) == 0.05
    assert kelly(0.5) == kelly(0.3) == 0.0


def test_odds_of_two_to_one():
    # f = (2 x .5 - .5) / 2
    assert kelly(0.5, 2) == pytest.approx(0.25)


def test_the_continuous_share_is_edge_over_variance():
    # .05 / .0225, by hand: the S&P of a textbook, mean .11, rate .06, sigma .15
    assert kelly_continuous(0.11, 0.15, rate=0.06, leverage_max=10) == pytest.approx(0.05 / 0.0225)
    assert kelly_continuous(0.11, 0.15, rate=0.06) == 1.0
    assert kelly_continuous(0.05, 0.15, rate=0.06) == 0.0


@given(PROBABILITIES, ODDS, st.floats(0, 0.999))
def test_no_share_grows_faster_than_kellys(p, odds, other):
    assert kelly_growth(kelly(p, odds), p, odds) >= kelly_growth(other, p, odds) - 1e-12


@given(st.floats(0.51, 0.6))
def test_half_of_kelly_has_three_quarters_of_the_growth(p):
    # g is nearly a parabola in f for small edges: g(f/2) = 3/4 g(f)
    whole = kelly(p)
    assert kelly_growth(whole / 2, p) == pytest.approx(0.75 * kelly_growth(whole, p), rel=0.02)


@given(st.floats(0.001, 0.01), st.floats(0.0, 0.0002))
def test_small_bets_lead_to_the_continuous_share(sigma, mean):
    # a coin of +-sigma with mean mu: p = (1 + mu/sigma)/2, share of capital f/sigma
    p = (1 + mean / sigma) / 2
    assert kelly(p) / sigma == pytest.approx(kelly_continuous(mean, sigma, leverage_max=math.inf), abs=1e-9)


def test_a_bet_that_may_ruin_is_no_growth():
    assert kelly_growth(1.0, 0.99) == -math.inf
    assert kelly_growth(1.0, 1.0) == pytest.approx(math.log(2))


@pytest.mark.parametrize("call", [lambda: kelly(1.2), lambda: kelly(0.5, 0), lambda: kelly_continuous(0.1, 0), lambda: kelly(math.nan)])
def test_what_is_no_bet_is_refused(call):
    with pytest.raises(InputError, match="wanted a number from"):
        call()


# --- volatility ----------------------------------------------------------------------------------------------------------------


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 5))
def test_what_is_targeted_swings_as_targeted_or_less(target, sigma, cap):
    leverage = volatility_target(target, sigma, leverage_max=cap)
    assert leverage * sigma <= target * (1 + 1e-12)
    assert leverage == cap or leverage * sigma == pytest.approx(target)


def test_ten_percent_of_a_market_that_swings_by_forty():
    assert volatility_target(0.10, 0.40) == pytest.approx(0.25)
    assert volatility_target(0.10, 0.05) == 1.0
    assert volatility_target(0.10, 0.05, leverage_max=3) == pytest.approx(2.0)


def test_a_limit_halves_when_volatility_doubles_and_has_a_floor():
    assert scaled_limit(A, "1.00", 2.0, usual=1.0) == Decimal("0.50")
    assert scaled_limit(A, "1.00", 0.5, usual=1.0) == Decimal("1.00")
    assert scaled_limit(A, "1.00", 3.0, usual=1.0) == Decimal("0.33")
    assert scaled_limit(A, "1.00", 1000.0, usual=1.0) == Decimal("0.10")


def test_shares_that_swing_alike():
    shares = risk_parity([0.1, 0.2, 0.4])
    assert shares == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert np.ptp(shares * [0.1, 0.2, 0.4]) == pytest.approx(0)
    with pytest.raises(InputError, match="no sigmas"):
        risk_parity([])


# --- quantities ----------------------------------------------------------------------------------------------------------------


def test_a_share_of_capital_becomes_whole_lots():
    # a fifth of 10,000 at 1000 is 2; a lot is 0.01
    assert size_of(A, 0.2, 10_000, 1000) == Decimal("2.00")
    assert size_of(A, 0.2, 10_000, "1000.5") == Decimal("1.99")
    assert size_of(A, 0.0001, 10, 1000) == 0


def test_an_inverse_contract_is_sized_by_its_own_worth():
    one = Instrument(venue="test", symbol="XUSD", base="X", quote="USD", tick_size="0.5", lot_size="1", multiplier="100", inverse=True)
    # 100 USD at 1000 is 0.1 X: half of 10 X buys 50
    assert size_of(one, 0.5, 10, 1000) == 50


@given(st.integers(1, 500), st.integers(1, 500), st.integers(-600, 600), st.one_of(st.none(), st.floats(0, 10)))
def test_a_quote_that_leans_never_leads_beyond_the_limit(order, limit, held, eta):
    sizes = inventory_sizes(A, A.qty(order), A.qty(held), A.qty(limit), eta=eta)
    bid, ask = (int(qty / A.lot_size) for qty in (sizes.bid_qty, sizes.ask_qty))
    assert 0 <= bid <= order
    assert 0 <= ask <= order
    assert held + bid <= max(limit, held)
    assert held - ask >= min(-limit, held)
    mirrored = inventory_sizes(A, A.qty(order), A.qty(-held), A.qty(limit), eta=eta)
    assert (mirrored.bid_qty, mirrored.ask_qty) == (sizes.ask_qty, sizes.bid_qty)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 499), st.one_of(st.none(), st.floats(0, 10)))
def test_the_more_is_held_the_less_is_added(order, limit, held, eta):
    less = inventory_sizes(A, A.qty(order), A.qty(held + 1), A.qty(limit), eta=eta)
    more = inventory_sizes(A, A.qty(order), A.qty(held), A.qty(limit), eta=eta)
    assert less.bid_qty <= more.bid_qty


def test_sizes_by_hand():
    flat = inventory_sizes(A, "0.10", 0, "1")
    assert (flat.bid_qty, flat.ask_qty) == (Decimal("0.10"), Decimal("0.10"))
    half = inventory_sizes(A, "0.10", "0.5", "1")
    assert (half.bid_qty, half.ask_qty) == (Decimal("0.05"), Decimal("0.10"))
    # exp(-2 x 0.5) = 0.3679
    curved = inventory_sizes(A, "0.10", "-0.5", "1", eta=2)
    assert (curved.bid_qty, curved.ask_qty) == (Decimal("0.10"), Decimal("0.03"))
    full = inventory_sizes(A, "0.10", "1", "1", eta=0)
    assert (full.bid_qty, full.ask_qty) == (0, Decimal("0.10"))


def test_a_size_off_the_grid_is_refused():
    with pytest.raises(OffGridQuantity):
        inventory_sizes(A, "0.105", 0, "1")

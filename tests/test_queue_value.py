"""The chance of a fill and the worth of a place, against the exact law, simulation and scipy's laws; and what staging makes of it."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats
from stories import Story, kinds, limits, quoter

from hftlab.kernels.queue_value import fill_p, reach_p
from hftlab.types import ASK, BID, CLEAR, DECISION_NAMES, DEPTH, GAP, KEEP_PLACE, NO_PRICE, TRADE

RATES = st.floats(0.01, 20)


def chain_p(n, mu, theta, rho, horizon_s):
    """P(fill) of the chain itself: states n, …, 0, filled, gone; by uniformisation."""
    size = n + 3
    q = np.zeros((size, size))
    for i in range(n + 1):
        rate = mu + theta * i
        q[i, i - 1 if i else n + 1] += rate
        q[i, n + 2] += rho
        q[i, i] -= rate + rho
    fastest = -q.diagonal().min()
    step = np.eye(size) + q / fastest
    row, total = np.eye(size)[n], 0.0
    for k in range(int(fastest * horizon_s + 12 * math.sqrt(fastest * horizon_s) + 30)):
        total += stats.poisson.pmf(k, fastest * horizon_s) * row[n + 1]
        row = row @ step
    return total


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 25), mu=RATES, theta=st.floats(0.05, 5), rho=st.floats(0, 10), horizon_s=st.floats(0.05, 5))
def test_the_closed_form_is_that_of_the_chain(n, mu, theta, rho, horizon_s):
    theta = max(theta, 1e-4 * (mu + rho))  # the floor of the kernel
    assert fill_p(n, mu, theta, rho, horizon_s) == pytest.approx(chain_p(n, mu, theta, rho, horizon_s), abs=1e-8)


def test_by_hand_first_in_the_queue_is_a_race_of_two_clocks():
    # Nobody in front: filled at rate 3, gone at rate 1: 3/4 of them fill; within H 3/4 (1 - exp(-4 H)).
    assert fill_p(0.0, 3.0, 2.0, 1.0, 1e9) == pytest.approx(0.75, rel=1e-9)
    assert fill_p(0.0, 3.0, 2.0, 1.0, 0.5) == pytest.approx(0.75 * (1 - math.exp(-2)), rel=1e-9)
    # One in front, who is served or leaves at rate 3 + 2: 5/6 x 3/4.
    assert fill_p(1.0, 3.0, 2.0, 1.0, 1e9) == pytest.approx(5 / 6 * 3 / 4, rel=1e-9)


def test_nobody_cancels_is_the_gamma_law():
    # Without cancels the wait for n + 1 market orders at rate mu is Gamma(n + 1, mu).
    assert fill_p(7.0, 2.0, 0.0, 0.0, 3.0) == pytest.approx(stats.gamma.cdf(3.0, 8, scale=0.5), rel=5e-3)


@settings(max_examples=60, deadline=None)
@given(n=st.floats(0, 200), mu=RATES, theta=st.floats(0, 5), rho=st.floats(0, 10), horizon_s=st.floats(0.01, 100))
def test_a_better_place_more_time_and_calmer_prices_never_make_a_fill_less_likely(n, mu, theta, rho, horizon_s):
    p = fill_p(n, mu, theta, rho, horizon_s)
    assert 0.0 <= p <= 1.0 + 1e-12
    slack = 1e-9
    assert fill_p(n / 2, mu, theta, rho, horizon_s) >= p - slack
    assert fill_p(n, mu, theta, rho, 2 * horizon_s) >= p - slack
    assert fill_p(n, mu, theta, rho / 2, horizon_s) >= p - 1e-3  # the floor of theta moves with rho


def test_a_price_comes_near_as_a_random_walk_does():
    assert reach_p(2.0, 1.0, 4.0) == pytest.approx(2 * (1 - stats.norm.cdf(1.0)), rel=1e-12)
    assert (reach_p(0.0, 0.0, 1.0), reach_p(1.0, 0.0, 1.0)) == (1.0, 0.0)


# --- keep, amend or replace ----------------------------------------------------------------------------------------------------------


def rates(story, *, orders_per_s=1.0, order_lots=10.0, cancels_per_s=0.05, away_per_s=0.2, impact_ticks=0.0, sigma_ticks=1.0):
    """Let the desk believe these rates, of a hundred seconds of each side."""
    flow = story.state.markets["flow"]
    flow["side_s"], flow["orders"], flow["away"] = 200.0, 200 * orders_per_s, 200 * away_per_s
    flow["printed_lots"] = flow["orders"] * order_lots
    flow["lots_s"] = 200.0 * 50
    flow["gone_lots"] = flow["printed_lots"] + cancels_per_s * flow["lots_s"]
    flow["impact_weight"], flow["impact_sum_ticks"] = 100.0, 100.0 * impact_ticks
    story.state.markets["variance_ticks2_per_s"] = story.state.markets["variance_sum"] = sigma_ticks**2
    story.state.markets["variance_weight"] = 1.0


def resting(keep_ticks, ahead_lots=0.0, **options):
    """Both sides of a one-tick quote rest at 1999 and 2001, the bid with `ahead_lots` in front, in queues of 500."""
    story = Story(quoter(queue_keep_ticks=keep_ticks, fill_horizon_s=20, **options), limits())
    story.book(lots=500)
    story.answer()
    rates(story)
    bid = story.state.markets["orders"][0]["side"] == BID
    story.state.markets["orders"]["ahead_lots"][0][bid & (story.state.markets["orders"]["status"][0] != 0)] = ahead_lots
    return story


def decisions(story):
    return {order.side: order.decision for order in story.state.frame().orders()}


def step_back(story):
    """The wish steps a tick back: a skew, with the market as it was."""
    story.state.markets["params"]["half_spread_ticks"] = 2.0
    return story.timer()


def test_a_place_in_front_is_kept_and_one_at_the_back_is_not():
    # First in the queue against the back of an empty level one tick behind: kept. With 5000 lots in front it is worth nothing.
    front = resting(1, ahead_lots=0)
    asked = step_back(front)
    assert decisions(front)[BID] == "keep: its place is worth more"
    assert BID not in asked["side"]
    back = resting(1, ahead_lots=500_000)
    asked = step_back(back)
    assert decisions(back)[BID] == "amend: the wish has moved"
    assert BID in asked["side"]


def test_it_is_kept_only_so_far_from_the_wish():
    story = resting(1)
    story.state.markets["params"]["half_spread_ticks"] = 3.0
    asked = story.timer()
    assert kinds(asked) == (0, 2, 0)
    assert DECISION_NAMES[KEEP_PLACE] not in decisions(story).values()


def test_without_the_parameter_or_without_rates_the_rule_is_the_old_one():
    off = resting(0)
    assert kinds(step_back(off)) == (0, 2, 0)
    unknown = resting(1)
    unknown.state.markets["flow"]["orders"] = 0
    assert kinds(step_back(unknown)) == (0, 2, 0)
    order = unknown.state.frame().orders()[0]
    assert math.isnan(order.fill_p)
    assert math.isnan(order.value_ticks)


def test_a_place_that_would_lose_is_left():
    # Long: the reservation price is below the bid. Whoever fills us there takes from us: the better place is the worse one.
    story = resting(3, skew_ticks_per_order=1)
    story.state.markets["position_lots"] = 20
    asked = story.timer()  # reservation 1998, wish 1997 and 1999 (held to 2000 by the touch)
    assert (BID, 1997) in {(int(r["side"]), int(r["price_ticks"])) for r in asked}


def test_the_screen_shows_what_a_place_is_worth():
    story = resting(1, ahead_lots=0)
    rates(story, impact_ticks=0.25)
    story.timer()
    order = next(order for order in story.state.frame().orders() if order.side == BID)
    # Served at its price it earns the tick to the fair price less what the price goes against it; or the fair price, 1 above, comes
    # to a tick below it: then the way of 2 ticks is against it.
    served, passed = fill_p(0.0, 1.0, 0.05, 0.2, 20.0), reach_p(2.0, 1.0, 20.0)
    assert order.fill_p == pytest.approx(1 - (1 - served) * (1 - passed), rel=1e-6)
    assert order.value_ticks == pytest.approx(served * (1.0 - 0.25) + (1 - served) * passed * (1.0 - 2.0), rel=1e-6)
    assert order.decision == "keep: at the wished price"


def test_why_an_order_stays_or_goes_is_told():
    story = Story(quoter(hysteresis_ticks=2, life_ms_min=1000), limits(position_qty_max="10"))
    story.book()
    story.answer()
    said = []
    for half in (2.0, 4.0):  # one tick away: within hysteresis; three ticks back: moved
        story.state.markets["params"]["half_spread_ticks"] = half
        story.timer()
        said.append(decisions(story)[ASK])
    story.answer()
    story.state.markets["params"]["half_spread_ticks"] = 1.0
    story.timer()
    said.append(decisions(story)[ASK])  # closer, but young
    assert said == ["keep: within hysteresis", "amend: the wish has moved", "keep: younger than its life"]
    story.state.markets["params"]["order_lots"] = 5
    story.state.markets["params"]["half_spread_ticks"] = 4.0
    story.timer()
    assert decisions(story)[ASK] == "amend: less is wished"


# --- the rates -----------------------------------------------------------------------------------------------------------------------


def test_the_rates_of_a_market_told_by_hand():
    # Ten seconds, a look each. 20 lots leave the bid a second: 10 to a market order, 10 by cancel; and each second the level is full again.
    story = Story(quoter(queue_keep_ticks=1, intensity_half_life_s=1e6), limits())
    w = story.w
    story.book(lots=50)
    for _ in range(10):
        story.wait(1000)
        story.tell(w.row(TRADE, 0, ASK, 1999, 10))  # a seller meets the bid
        story.tell(w.row(DEPTH, 0, BID, 1999, 30))
        story.tell(w.row(DEPTH, 0, BID, 1999, 50))
    flow = story.market()["flow"]
    assert float(flow["orders"]) == pytest.approx(10, rel=1e-3)
    assert float(flow["printed_lots"]) == pytest.approx(100, rel=1e-3)
    assert float(flow["gone_lots"]) == pytest.approx(200, rel=1e-3)
    assert float(flow["side_s"]) == pytest.approx(20, rel=1e-3)
    assert float(flow["lots_s"]) == pytest.approx(10 * 100, rel=1e-3)
    story.tell(w.row(DEPTH, 0, BID, 2000, 5))
    assert float(story.market()["flow"]["away"]) == 1.0
    story.tell(w.row(GAP))  # a gap: what comes next is compared with nothing
    assert int(story.market()["flow"]["bid_ticks"]) == NO_PRICE
    story.book(lots=1)
    assert float(story.market()["flow"]["gone_lots"]) == pytest.approx(200, rel=1e-3)


def test_the_adverse_move_is_where_the_fair_price_stands_a_second_after_a_market_order():
    story = Story(quoter(queue_keep_ticks=1, intensity_half_life_s=1e6), limits())
    w = story.w
    story.book()
    story.tell(w.row(TRADE, 0, BID, 2001, 10))  # a buyer, fair is 2000
    story.wait(400)
    story.book(1999, 2003)
    story.wait(600)
    story.book(2001, 2005)
    flow = story.market()["flow"]
    assert (float(flow["impact_sum_ticks"]), float(flow["impact_weight"])) == (3.0, 1.0)


def test_nothing_is_measured_that_no_decision_asks_for():
    story = Story(quoter(), limits())
    story.book()
    story.tell(story.w.row(TRADE, 0, BID, 2001, 10))
    story.wait(100)
    story.book(lots=10)
    flow = story.market()["flow"]
    assert (int(flow["ns"]), float(flow["orders"]), float(flow["gone_lots"])) == (0, 0.0, 0.0)


# --- placement -----------------------------------------------------------------------------------------------------------------------


def placed(impact_ticks, ticks=2, lots=5, skew=0, position=0, **options):
    story = Story(
        quoter(placement_ticks=ticks, fill_horizon_s=5, half_spread_ticks=3, skew_ticks_per_order=skew, **options),
        limits(position_qty_max="5"),
    )
    w = story.w
    rows = [w.row(DEPTH, 0, s, 2000 - s * k, lots, 2) for k in range(1, 8) for s in (BID, ASK)]
    story.state.markets["params"]["placement_ticks"] = 0
    story.tell(w.row(CLEAR, flags=2), *rows)
    story.answer()
    story.state.markets["position_lots"] = position
    rates(story, impact_ticks=impact_ticks)
    story.state.markets["params"]["placement_ticks"] = ticks
    story.timer()
    quote = story.market()["quote"]
    return int(quote["bid_ticks"]), int(quote["ask_ticks"])


def test_it_joins_the_touch_where_a_fill_earns_and_stays_away_where_it_loses():
    # Wish 1997 and 2003. Half a spread of one tick is earned at the touch; a second later the price has gone 0.2 or 1.8 against us.
    assert placed(0.2) == (1999, 2001)
    assert placed(1.8) == (1995, 2005)
    assert placed(0.2, ticks=0) == (1997, 2003)


def test_it_never_goes_nearer_than_the_least_half_spread():
    assert placed(0.2, half_spread_ticks_min=2) == (1998, 2002)


@settings(max_examples=30, deadline=None)
@given(impact=st.floats(0, 3), ticks=st.integers(0, 6), position=st.integers(-30, 30), lots=st.integers(1, 5000))
def test_a_placement_stays_within_its_ticks_its_side_and_out_of_the_other(impact, ticks, position, lots):
    plain = placed(impact, 0, lots, 0.5, position)
    bid, ask = placed(impact, ticks, lots, 0.5, position)
    assert abs(bid - plain[0]) <= ticks
    assert abs(ask - plain[1]) <= ticks
    reservation = 2000 - 0.05 * position
    assert bid <= plain[0] or bid < min(reservation, 2001)
    assert ask >= plain[1] or ask > max(reservation, 1999)

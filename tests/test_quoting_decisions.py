"""Spread, skew, life, size and regime as live parameters: the law of each, a story by hand, and off by default."""

import math

import hypothesis.strategies as st
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from stories import Story, kinds, limits, quoter
from tapes import A

from hftlab.analytics.portfolio.sizing import inventory_sizes
from hftlab.engine.commands import rows_of
from hftlab.engine.view import slider
from hftlab.errors import InputError
from hftlab.instrument import Instrument
from hftlab.kernels import staging
from hftlab.params import LIVE_DECISIONS, AvellanedaStoikov, FixedSpread
from hftlab.tunable import TUNABLE, to_human
from hftlab.types import ASK, BID, TRADE

WIDE = limits(position_qty_max="50", price_band_bps=1e5)


def believing(sigma_ticks, *, lots=0, bounds=WIDE, **options):
    """A quoter that believes a volatility and holds a position, and its wish. Fair is 2000."""
    story = Story(quoter(half_spread_ticks=4, **options), bounds)
    story.book()
    story.state.markets["variance_ticks2_per_s"] = story.state.markets["variance_sum"] = sigma_ticks**2
    story.state.markets["variance_weight"] = 1.0
    story.state.markets["position_lots"] = lots
    story.timer()
    return story, story.market()["quote"]


# --- volatility ----------------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(sigma=st.floats(0, 20), sigmas=st.floats(0, 3), skew=st.floats(0, 3), lots=st.integers(-50, 50))
def test_half_spread_and_skew_follow_the_standard_deviation_of_a_second(sigma, sigmas, skew, lots):
    _, quote = believing(sigma, lots=lots, half_spread_sigmas=sigmas, skew_sigmas_per_order=skew, skew_ticks_per_order=1)
    orders = lots / 10  # an order is 0.1, ten lots
    assert float(quote["half_spread_ticks"]) == pytest.approx(4 + sigmas * sigma, rel=1e-12)
    assert float(quote["reservation_ticks"]) == pytest.approx(2000 - orders * (1 + skew * sigma), abs=1e-9)


def test_by_hand_a_wilder_market_is_quoted_wider_and_leaned_in_further():
    # sigma 2 ticks a second: half-spread 4 + 1.5 x 2 = 7, and a long position of one order leans by 1 x 2.
    _, quote = believing(2.0, lots=10, half_spread_sigmas=1.5, skew_sigmas_per_order=1)
    assert (int(quote["bid_ticks"]), int(quote["ask_ticks"])) == (1991, 2005)


# --- regimes -------------------------------------------------------------------------------------------------------------------------


def wild(*, ratio, activity=1.0, most=3.0, least=1.5, kind=FixedSpread):
    options = {"half_spread_ticks": 4} if kind is FixedSpread else {"decay_per_price": 0.5}
    story = Story(kind(order_qty="0.1", life_ms_min=0, regime_factor_max=most, regime_ratio_min=least, **options), WIDE)
    story.book()
    market, now = story.state.markets, story.w.now
    market["variance_sum"] = market["variance_ticks2_per_s"] = 1.0
    market["variance_weight"] = market["variance_short_weight"] = 1.0
    market["variance_short_sum"] = ratio**2
    market["arrivals_ns"], market["arrivals_from_ns"], market["arrivals_short_from_ns"] = now, now - 10**15, now - 10**15
    market["arrivals_per_s"], market["arrivals_short_per_s"] = 1.0, activity
    market["fair_ns"] = now
    story.timer()
    return story


@settings(max_examples=60, deadline=None)
@given(ratio=st.floats(0.1, 20), activity=st.floats(0.01, 100), most=st.floats(1, 10), least=st.floats(1, 5))
def test_the_half_spread_grows_with_the_wilder_of_two_readings_in_its_bounds(ratio, activity, most, least):
    story = wild(ratio=ratio, activity=activity, most=most, least=least)
    factor = min(max(max(ratio, math.sqrt(activity)) / least, 1.0), most)
    assert story.state.frame().regime_factor() == pytest.approx(factor, rel=1e-6)
    assert float(story.market()["quote"]["half_spread_ticks"]) == pytest.approx(4 * factor, rel=1e-6)


def test_by_hand_three_times_the_volatility_is_twice_the_spread():
    quote = wild(ratio=3.0).market()["quote"]
    assert (int(quote["bid_ticks"]), int(quote["ask_ticks"])) == (1992, 2008)
    assert wild(ratio=3.0, most=1.0).state.frame().regime_factor() == 1.0
    calm, mad = (wild(ratio=r, kind=AvellanedaStoikov).market()["quote"]["half_spread_ticks"] for r in (1.0, 3.0))
    assert float(mad) == pytest.approx(2 * float(calm))


def test_a_burst_widens_the_quote_and_the_calm_after_it_brings_it_back():
    story = Story(quoter(half_spread_ticks=2, regime_factor_max=4, regime_half_life_s=2, volatility_half_life_s=600), WIDE)
    rng = np.random.default_rng(5)
    widest = []
    for step_ticks, times in ((1, 600), (8, 60), (1, 150)):
        seen = []
        for _ in range(times):
            story.wait(200)
            middle = 2000 + step_ticks * int(rng.integers(-1, 2))
            story.book(middle - 1, middle + 1)
            seen.append(story.state.frame().regime_factor())
        widest.append((max(seen[20:]), seen[-1]))
    (calm, _), (burst, _), (_, after) = widest
    assert calm < 1.5
    assert burst > 2.0
    assert after == 1.0


def test_a_crowd_of_market_orders_widens_it_too_and_a_price_that_stands_still_does_not():
    story = Story(quoter(regime_factor_max=4, regime_half_life_s=2, intensity_half_life_s=600), WIDE)
    story.book()
    found = []
    for wait_ms, times in ((1000, 60), (50, 100), (1000, 30)):
        for _ in range(times):
            story.wait(wait_ms)
            story.tell(story.w.row(TRADE, 0, BID, 2001, 1))
            story.book()
        found.append(story.state.frame().regime_factor())
    assert found[0] == 1.0
    assert found[1] > 1.3
    assert found[2] == 1.0


@numba.njit
def _life_ns(markets):
    return staging.life_ns(markets[0])


# --- the life of an order ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(sigma=st.sampled_from([0.0]) | st.floats(1e-3, 100), move=st.floats(0, 50), low=st.floats(0, 500), high=st.floats(0, 5000))
def test_the_least_life_is_the_time_in_which_the_price_moves_so_far_in_its_bounds(sigma, move, low, high):
    story, _ = believing(sigma, life_move_ticks=move, life_ms_min=low, life_ms_max=high)
    life_ms = _life_ns(story.state.markets) / 1e6
    if move == 0:
        assert life_ms == pytest.approx(low)
    else:
        seconds = (move / sigma) ** 2 if sigma > 0 and (move / sigma) ** 2 < 1e9 else 1e9
        assert life_ms == pytest.approx(max(min(1e3 * seconds, high), low), rel=1e-6, abs=1e-6)


def test_by_hand_in_a_wild_market_an_order_follows_sooner():
    # The price moves 2 ticks in (2/sigma)^2: a second at sigma 2, 40 ms at sigma 10. The order is 100 ms old when a better price is wished.
    asked = []
    for sigma in (2.0, 10.0):
        story, _ = believing(sigma, life_move_ticks=2, life_ms_min=10)
        story.answer()
        story.wait(100)
        story.state.markets["fair_ns"] = story.w.now
        story.state.markets["params"]["half_spread_ticks"] = 3
        asked.append(kinds(story.timer()))
    assert asked == [(0, 0, 0), (0, 2, 0)]


# --- anti-flicker --------------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    hysteresis=st.integers(1, 6),
    life_ms=st.integers(0, 400),
    steps=st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 200)), min_size=5, max_size=40),
)
def test_an_order_is_never_moved_for_less_than_the_hysteresis_nor_closer_before_its_life(hysteresis, life_ms, steps):
    story = Story(quoter(half_spread_ticks=5, hysteresis_ticks=hysteresis, life_ms_min=life_ms), WIDE)
    story.book()
    story.answer()
    for step, wait_ms in steps:
        story.wait(wait_ms)
        before = {int(o["order_id"]): (int(o["price_ticks"]), int(o["side"]), int(o["live_ns"])) for o in story.orders()}
        asked = story.book(1999 + step, 2001 + step)
        for row in asked:
            price, side, live_ns = before[int(row["order_id"])]
            closer = (int(row["price_ticks"]) - price) * side
            assert abs(closer) >= hysteresis
            assert closer < 0 or story.w.now - live_ns >= life_ms * 1_000_000
        story.answer()


# --- size by inventory ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(lots=st.integers(-120, 120), taper=st.floats(0, 1), order=st.integers(1, 60))
def test_the_side_that_adds_shrinks_on_a_straight_line_and_the_other_stays(lots, taper, order):
    story = Story(quoter(half_spread_ticks=4, order_qty=str(order / 100), size_taper_frac=taper), limits(position_qty_max="1"))
    story.state.markets["position_lots"] = lots
    story.book()
    quote = story.market()["quote"]
    adding, other = ("bid_lots", "ask_lots") if lots > 0 else ("ask_lots", "bid_lots")
    assert int(quote[other]) == order
    assert int(quote[adding]) == int(order * (1 - taper * min(abs(lots) / 100, 1)) + 1e-9) or lots == 0


@settings(max_examples=60, deadline=None)
@given(lots=st.integers(-100, 100), order=st.integers(1, 100))
def test_a_whole_taper_is_that_of_inventory_sizes(lots, order):
    qty, held = A.qty(order), A.qty(lots)
    story = Story(quoter(half_spread_ticks=4, order_qty=qty, size_taper_frac=1), limits(position_qty_max="1", order_qty_max="5"))
    story.state.markets["position_lots"] = lots
    asked = story.book()
    shown = {side: sum(int(r["qty_lots"]) for r in asked if int(r["side"]) == side) for side in (BID, ASK)}
    want = inventory_sizes(A, qty, held, "1")  # the gate holds the limit, so what is asked for is the same to the lot
    assert (shown[BID], shown[ASK]) == (A.lots(want.bid_qty, signed=True), A.lots(want.ask_qty, signed=True))


def test_by_hand_half_of_the_limit_held_and_half_a_taper_leave_three_quarters():
    _, quote = believing(1.0, lots=50, bounds=limits(position_qty_max="1"), order_qty="0.2", size_taper_frac=0.5)
    assert (int(quote["bid_lots"]), int(quote["ask_lots"])) == (15, 20)


# --- as parameters -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FixedSpread, AvellanedaStoikov])
@pytest.mark.parametrize("name", [*LIVE_DECISIONS, "calibration_band_ticks"])
def test_each_has_a_slider_that_sets_what_it_shows(kind, name):
    made = kind(order_qty="0.1")
    assert name in made.tunable()
    record = made.record(A)[0]
    value = to_human(name, record, A)
    assert value == pytest.approx(float(getattr(made, name)))
    shown = slider(name, value, A)
    rule = TUNABLE[name]
    assert rule.low <= shown["min"] <= value <= shown["max"] <= rule.high
    story = Story(made, WIDE)
    for end in (shown["min"], shown["max"]):
        story.tell(*(tuple(row) for row in rows_of("set", 0, {name: end}, story.state, story.w.now)))
        assert to_human(name, story.market()["params"], A) == pytest.approx(end)


def test_the_skew_in_sigmas_is_for_each_orders_worth():
    record = FixedSpread(order_qty="0.25", skew_sigmas_per_order=2).record(A)
    assert float(record["skew_sigmas_per_lot"][0]) == pytest.approx(2 / 25)
    assert to_human("skew_sigmas_per_order", record[0], A) == pytest.approx(2)


@pytest.mark.parametrize(
    ("name", "value"), [("size_taper_frac", 1.1), ("regime_factor_max", 0.5), ("placement_ticks", 1.5), ("queue_keep_ticks", -1)]
)
def test_what_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        FixedSpread(order_qty="0.1", **{name: value}).record(Instrument.bundled("sim:BTC/USDT"))

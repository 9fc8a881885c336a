"""A quoter whose calibrated half-spread is less certain than it is wide does not quote."""

import math

import hypothesis.strategies as st
from hypothesis import given, settings
from stories import Story, kinds, limits, quoter

from hftlab.engine.commands import rows_of
from hftlab.params import AvellanedaStoikov, UserQuoter
from hftlab.types import SET_TARGET

NAME = "calibration band"


def banded(band, half=4.0, **options):
    return Story(quoter(half_spread_ticks=half, calibration_band_ticks=band, **options))


@settings(max_examples=40, deadline=None)
@given(half=st.floats(0.5, 15), band=st.floats(0, 30))
def test_it_quotes_just_where_the_band_is_no_wider_than_the_half_spread(half, band):
    story = banded(band, half)
    asked = story.book()
    assert kinds(asked) == ((2, 0, 0) if band <= half else (0, 0, 0))
    assert story.refused(NAME) == (band > half)
    assert story.state.frame().unquoted_because() == (NAME if band > half else "")


def test_a_band_that_widens_takes_the_quotes_away_and_one_that_narrows_brings_them_back():
    story = banded(0)
    story.book()
    story.answer()

    def set_band(ticks):
        return story.tell(*(tuple(row) for row in _rows(story, calibration_band_ticks=ticks)))

    assert kinds(set_band(4.5)) == (0, 0, 2)
    story.answer()
    assert story.state.frame().unquoted_because() == NAME
    # It does not flutter about the threshold: back below recover_frac, 0.8, of the half-spread of 4.
    assert kinds(set_band(3.9)) == (0, 0, 0)
    assert kinds(set_band(3.2)) == (2, 0, 0)
    assert story.refused(NAME) == 1
    assert story.state.frame().unquoted_because() == ""


def _rows(story, **values):
    return rows_of("set", 0, values, story.state, story.w.now)


def test_the_frame_shows_the_half_spread_as_an_interval():
    story = banded(1.5)
    story.book()
    assert story.state.frame().quote_band_ticks() == (2.5, 5.5)
    wide = banded(6.0)
    wide.book()
    assert wide.state.frame().quote_band_ticks() == (0.0, 10.0)
    none = banded(0)
    none.book()
    assert all(math.isnan(end) for end in none.state.frame().quote_band_ticks())


def test_on_timers_only_the_quotes_stay_away_between_two_timers():
    story = banded(5.0, decide_on="timer")
    story.book()
    assert kinds(story.timer()) == (0, 0, 0)
    assert kinds(story.book(1998, 2000)) == (0, 0, 0)
    assert story.state.frame().unquoted_because() == NAME
    assert story.refused(NAME) == 1


def test_a_target_is_worked_whatever_the_band():
    story = banded(1e3)
    story.book()
    assert kinds(story.command(SET_TARGET, lots=5, side=1)) == (1, 0, 0)


def test_the_spread_of_a_users_quoter_is_what_its_prices_say():
    def decide(desk, market, params, quote):
        quote.bid_ticks, quote.ask_ticks = 1996, 2004
        quote.bid_lots = quote.ask_lots = 10

    mine = UserQuoter(order_qty="0.1", decide=decide, calibration_band_ticks=4.5)
    story = Story(mine)  # the built-in run wishes nothing for it
    story.book()
    market = story.state.markets
    story.wish(bid=1996, ask=2004)
    assert story.refused(NAME) == 1
    market["params"]["calibration_band_ticks"] = 3.2
    assert len(story.wish(bid=1996, ask=2004)) == 2
    market["params"]["calibration_band_ticks"] = 4.5
    story.wish(bid=1996)  # one side: its distance from the fair price of 2000
    assert story.refused(NAME) == 2


def test_avellaneda_stoikov_comes_back_when_its_own_spread_has_widened():
    story = Story(AvellanedaStoikov(order_qty="0.1", decay_per_price=1.5, risk_aversion=0.3, calibration_band_ticks=3), limits())
    story.book()
    assert story.state.frame().unquoted_because() == NAME
    story.state.markets["variance_ticks2_per_s"] = 100.0
    assert kinds(story.timer())[0] == 2

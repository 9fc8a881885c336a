"""Every check of the gate at its edge: at the limit an order passes, one step beyond it is refused, and the reason is counted.

A: tick 0.5, lot 0.01. A wish is 10 lots at 1999 with fair at 2000, so its worst case is 10 x 2000 x 0.005 = 100 USD.
"""

import math
from dataclasses import replace

import pytest
from stories import Story, kinds, limits, quoter, sides
from tapes import MS, A, B

from hftlab.types import ASK, BID, FILL, HALT, MAKER, RESUME, TRADE, VERDICT_NAMES

IDLE = quoter(order_qty="1")


def desk(instruments=(A,), **options):
    """A desk that knows a book and quotes nothing by itself: only the wishes of a test reach the gate."""
    story = Story(IDLE, limits(**options), instruments)
    story.state.markets["params"]["kind"] = 0
    story.book()
    return story


def hold(story, lots, price=2000, i=0):
    """Give the desk a position, by a fill of an order that it no longer knows."""
    side = BID if lots > 0 else ASK
    story.tell(story.w.row(FILL, i, side, price, abs(lots), MAKER, 987_655))


def print_lots(story, lots, side=BID, price=2001, i=0):
    story.tell(story.w.row(TRADE, i, side, price, lots))


def asks_for(story, **wish):
    return [lots for _, _, lots in sides(story.wish(**({"bid": 1999} | wish)))]


def one_more_held(story):
    hold(story, 10)


def a_print(story):
    print_lots(story, 100)


def our_ask_at_2003(story):
    story.book(1999, 2009)
    story.wish(ask=2003)
    story.answer()


def dear(notional):
    return replace(A, notional_quote_min=notional)


# What a typical minute trades just after a print of 100 lots, half-life a minute: 100 x ln 2 in the first one, over the half of a
# minute's weight that has been seen.
PER_MIN = 100 * math.log(2) / 0.5

# name, what passes, what does not, what comes before, the wish
ORDERS = [
    ("position", {"position_qty_max": "0.11"}, {"position_qty_max": "0.10"}, one_more_held, {}),
    ("duplicate position", {"one_position": False}, {"one_position": True}, one_more_held, {}),
    ("order size", {"order_qty_max": "0.1"}, {"order_qty_max": "0.09"}, None, {}),
    ("price band", {"price_band_bps": 5}, {"price_band_bps": 4.99}, None, {}),
    ("liquidity", {"liquidity_frac_max": 0.2}, {"liquidity_frac_max": 0.199}, None, {}),
    ("concentration", {"concentration_frac_max": 10.001 / PER_MIN}, {"concentration_frac_max": 9.999 / PER_MIN}, a_print, {}),
    (
        "risk per trade",  # 20,000 ticklots x 0.005 = 100, all of it at risk, of 1000
        {"risk_per_trade_frac_max": 0.1, "stop_bps": 10_000, "capital_quote": 1000},
        {"risk_per_trade_frac_max": 0.0999, "stop_bps": 10_000, "capital_quote": 1000},
        None,
        {"bid": 2000},
    ),
    ("notional", {"notional_quote_max": 100}, {"notional_quote_max": 99.99}, None, {}),
    ("capital", {"capital_quote": 100}, {"capital_quote": 99.99}, None, {}),
    ("exposure", {"exposure_quote_max": 100}, {"exposure_quote_max": 99.99}, None, {}),
    ("leverage", {"leverage_max": 0.1, "capital_quote": 1000}, {"leverage_max": 0.0999, "capital_quote": 1000}, None, {}),
    ("margin", {"margin_frac": 0.25, "capital_quote": 25}, {"margin_frac": 0.25, "capital_quote": 24.99}, None, {}),
    ("request rate", {"requests_burst": 3, "requests_reserved": 2}, {"requests_burst": 3, "requests_reserved": 2}, None, {}),
]


@pytest.mark.parametrize(("name", "inside", "outside", "before", "wish"), ORDERS[:-1], ids=[row[0] for row in ORDERS[:-1]])
def test_an_order_at_its_limit_passes_and_one_beyond_it_is_refused_with_its_reason(name, inside, outside, before, wish):
    for options, passes in ((inside, True), (outside, False)):
        story = desk(**options)
        if before:
            before(story)
        assert bool(asks_for(story, **wish)) == passes
        assert story.refused(name) == (not passes)
        others = [other for other in VERDICT_NAMES if other not in {"ok", name}]
        assert not any(story.refused(other) for other in others)


def test_what_is_left_of_the_position_limit_is_what_is_asked_for():
    story = desk(position_qty_max="0.11")
    hold(story, 10)
    assert asks_for(story) == [1]


@pytest.mark.parametrize(("notional", "passes"), [("99.95", True), ("99.955", False)])
def test_the_venues_least_notional(notional, passes):
    story = desk((dear(notional),))
    assert bool(asks_for(story)) == passes
    assert story.refused("min notional") == (not passes)


@pytest.mark.parametrize(("bid", "passes"), [(2002, True), (2003, False)])
def test_our_own_ask_is_not_met(bid, passes):
    story = desk()
    our_ask_at_2003(story)
    assert bool(asks_for(story, bid=bid)) == passes
    assert story.refused("self cross") == (not passes)


def test_open_orders_are_counted_one_by_one():
    for most, asked in ((2, 2), (1, 1)):
        story = desk(orders_max=most)
        assert len(asks_for(story, ask=2001)) == asked
        assert story.refused("open orders") == 2 - asked


def test_the_last_tokens_are_kept_for_cancels_and_each_venue_has_its_own():
    other = replace(A, venue="other")
    story = desk((A, other), requests_per_s_max=1, requests_burst=3, requests_reserved=2)
    story.book(i=1)
    assert asks_for(story, ask=2001) == [10]
    assert story.refused("request rate") == 1
    assert asks_for(story, i=1) == [10]
    assert kinds(story.answer()) == (0, 0, 1)  # nothing is wished any more: the reserve is for this
    assert [float(n) for n in story.desk["request_tokens"][:2]] == [1, 2]


# --- what stops the desk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"loss_quote_max": 10}, "daily loss"),
        ({"loss_frac_max": 0.01, "capital_quote": 1000}, "daily loss"),
        ({"drawdown_frac_max": 0.01, "capital_quote": 1000}, "drawdown"),
    ],
)
def test_a_loss_at_its_limit_is_borne_and_one_tick_more_halts(options, reason):
    story = desk(**options)
    hold(story, 10)  # at 2000: a fall of 1 tick costs 0.05
    story.book(1799, 1801)  # exactly 10
    assert story.state.frame().state == "ACTIVE"
    story.book(1798, 1800)
    assert (story.state.frame().state, story.state.frame().halt_reason) == ("HALTED", reason)
    assert story.refused(reason) == 1


# --- what takes the quotes of a market away --------------------------------------------------------------------------------------


def slow_feed(story):
    story.w.feed_ns = 5 * MS
    story.book()


def slow_answer(story):
    story.wish(bid=1990)
    story.wait(5)
    story.answer()


def no_answer(story):
    story.wish(bid=1990)
    story.wait(5)
    story.timer()


def wild(story):
    story.state.markets["variance_ticks2_per_s"] = 4.0  # 2 ticks of 2000: 10 bps
    story.timer()


def one_sided(story):
    for _ in range(30):
        print_lots(story, 10)
    for _ in range(20):
        print_lots(story, 5)
        print_lots(story, 5, ASK, 1999)


def picked_off(story):
    hold(story, 10, 1999)
    story.wait(1000)
    story.book(1994, 1996)  # (1995 - 1999) / 1999 = -20.01 bps, one fill of at least five


def swept(story):
    story.state.markets["variance_ticks2_per_s"] = 4.0
    story.state.markets["variance_weight"] = 1.0
    for price in (2001, 2002, 2002, 2003):  # 2 ticks are 3.162 standard deviations of 100 ms
        print_lots(story, 1, BID, price)


VPIN = {"vpin_bucket_qty": "0.1"}
PULLS = [
    ("latency", {"latency_ms_max": 5}, {"latency_ms_max": 4.9}, slow_feed),
    ("latency", {"latency_ms_max": 5}, {"latency_ms_max": 4.9}, slow_answer),
    ("latency", {"latency_ms_max": 5}, {"latency_ms_max": 4.9}, no_answer),
    ("volatility", {"volatility_bps_max": 10}, {"volatility_bps_max": 9.99}, wild),
    ("toxic flow", VPIN | {"vpin_max": 0.6}, VPIN | {"vpin_max": 0.59}, one_sided),
    ("markout", {"markout_loss_bps_max": 4.01}, {"markout_loss_bps_max": 4}, picked_off),
    ("sweep", {"sweep_levels_max": 3}, {"sweep_levels_max": 2}, swept),
    ("sweep", {"sweep_sigmas_max": 3.17}, {"sweep_sigmas_max": 3.16}, swept),
]


@pytest.mark.parametrize(("name", "inside", "outside", "cause"), PULLS, ids=[f"{row[0]}-{row[3].__name__}" for row in PULLS])
def test_a_pull_takes_the_quotes_away_and_they_come_back_after_its_time(name, inside, outside, cause):
    story = desk(**inside)
    cause(story)
    while len(story.orders()):
        story.answer()
    assert asks_for(story, bid=1990)
    assert story.state.frame().unquoted_because() == ""

    story = desk(**outside, pull_s=2)
    cause(story)
    assert not asks_for(story, bid=1990)
    while len(story.orders()):
        story.answer()
    assert not len(story.orders())
    assert (story.refused(name), story.state.frame().unquoted_because()) == (1, name)
    # The cause is over: the quotes come back once `pull_s` has passed since.
    story.state.markets["feed_ns"] = 0
    story.state.markets["variance_ticks2_per_s"] = 0.0
    story.state.markets["vpin"] = math.nan
    story.w.feed_ns = 0
    story.wait(1990)
    story.timer()
    assert not asks_for(story, bid=1990)
    story.wait(20)
    story.timer()
    assert asks_for(story, bid=1990)


def test_vpin_is_the_mean_imbalance_of_fifty_buckets_and_one_huge_print_fills_them_all():
    story = desk(**VPIN)
    for _ in range(49):
        print_lots(story, 10)
    assert math.isnan(story.state.frame().toxicity())
    print_lots(story, 5)
    print_lots(story, 5, ASK, 1999)
    assert story.state.frame().toxicity() == 49 / 50
    print_lots(story, 6, ASK, 1999)
    print_lots(story, 8, BID)  # 4 close the bucket: |4 - 6| = 2; 4 are left
    assert story.state.frame().toxicity() == (48 * 10 + 0 + 2) / 500
    print_lots(story, 1_000_003)
    assert story.state.frame().toxicity() == 1.0
    assert int(story.market()["vpin_open_lots"]) == 7


def test_a_markout_counts_fills_by_what_they_made_and_fades():
    story = desk(markout_half_life_s=10)
    hold(story, 10, 1999)
    story.wait(999)
    story.book(2003, 2005)
    assert story.state.frame().markout_bps() == 0
    story.wait(1)
    story.timer()
    made = (2004 - 1999) / 1999 * 1e4
    assert story.state.frame().markout_bps() == pytest.approx(made / 5)
    story.wait(10_000)
    story.timer()
    assert story.state.frame().markout_bps() == pytest.approx(made / 5 / 2)


# --- several at once -----------------------------------------------------------------------------------------------------------


def test_of_two_breaches_the_first_in_the_order_of_the_checks_is_counted():
    story = desk(order_qty_max="0.05", price_band_bps=1, capital_quote=1)
    assert not asks_for(story)
    assert story.state.frame().refusals() == {"order size": 1}
    story = desk(sweep_levels_max=1, latency_ms_max=4)
    swept(story)
    slow_feed(story)
    assert not asks_for(story)
    assert story.state.frame().unquoted_because() == "latency"


def test_money_is_that_of_all_instruments_and_a_book_that_is_lost_still_counts():
    # A's bid comes to 100, 10 lots of B at 10,000 ticks of 0.01 to 1000.
    for exposure, passes in ((1100, True), (1099, False)):
        story = desk((A, B), exposure_quote_max=exposure, position_qty_max="10")
        story.book(9999, 10001, i=1)
        assert asks_for(story) == [10]
        assert bool(asks_for(story, bid=9999, i=1)) == passes
        assert story.refused("exposure") == (not passes)


def test_margin_of_several_instruments_counts_what_is_paid_in_full_beside_it():
    bounds = (limits(capital_quote=350), limits(position_qty_max="10", margin_frac=0.25))  # 100 for A, 250 for B
    for capital, passes in ((350, True), (349, False)):
        story = Story((IDLE, IDLE), (limits(capital_quote=capital), bounds[1]), (A, replace(B, lot_size="0.1")))
        story.state.markets["params"]["kind"] = 0
        story.book()
        story.book(9999, 10001, i=1)
        assert asks_for(story) == [10]
        assert bool(asks_for(story, bid=9999, i=1, lots=100)) == passes
        assert story.refused("margin") == (not passes)


def test_with_too_much_on_the_way_to_less_is_open():
    story = desk(capital_quote=150)
    hold(story, 15)
    story.state.desk["limits"]["capital_quote"] = 100
    assert not asks_for(story)
    assert story.refused("capital") == 1
    assert asks_for(story, bid=None, ask=2001, lots=15) == [15]
    assert not asks_for(story, bid=None, ask=2001, lots=16) or story.refused("capital") == 1


def test_limits_of_one_market_do_not_touch_the_other():
    story = Story((IDLE, IDLE), (limits(order_qty_max="0.05"), limits(position_qty_max="10")), (A, B))
    story.state.markets["params"]["kind"] = 0
    story.book()
    story.book(9999, 10001, i=1)
    assert not asks_for(story)
    assert asks_for(story, bid=9999, i=1) == [10]


def test_a_halt_comes_before_every_other_reason():
    story = desk(order_qty_max="0.05")
    story.command(HALT)
    assert not asks_for(story)
    assert story.state.frame().refusals() == {"halted": 1}
    story.command(RESUME)
    assert not asks_for(story)
    assert story.state.frame().refusals() == {"halted": 1, "order size": 1}


def test_every_verdict_has_its_place_in_this_table():
    here = {row[0] for row in (*ORDERS, *PULLS)} | {"min notional", "self cross", "open orders", "daily loss", "drawdown", "halted"}
    elsewhere = {"venue link", "book not valid", "stale data", "crossed book", "bad quote", "calibration band"}  # one story each
    assert here | elsewhere | {"ok", "reducing"} == set(VERDICT_NAMES)  # "reducing": test_graded

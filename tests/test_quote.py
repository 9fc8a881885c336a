"""Quoters against formulas in human units, on an instrument whose tick and lot are not one (tick 0.5, lot 0.01)."""

import math

import numpy as np
import pytest
from stories import FAR_LIMITS, Story, kinds, quoter, sides
from tapes import MS, START_NS, A

from hftlab.params import AvellanedaStoikov, Limits, WorkTarget
from hftlab.types import ACCEPTED, AMEND, ASK, BID, CANCEL, DEPTH, FILL, SET_TARGET, SUBMIT

WIDE = Limits(**(FAR_LIMITS | {"position_qty_max": "50", "price_band_bps": 1e5, "orders_max": 60}))
TICK, LOT = 0.5, 0.01


def as_quoter(**options):
    return AvellanedaStoikov(
        **({"order_qty": "0.2", "risk_aversion": 0.3, "decay_per_price": 1.5, "life_ms_min": 0, "half_spread_ticks_min": 0} | options)
    )


def held(story, qty, sigma):
    """Give the desk a position of `qty` base units and a volatility of `sigma` price units per root second."""
    story.state.markets["position_lots"] = round(qty / LOT)
    story.state.markets["variance_sum"] = story.state.markets["variance_ticks2_per_s"] = (sigma / TICK) ** 2
    story.state.markets["variance_weight"] = 1.0
    story.book()
    return story.market()["quote"]


# --- Avellaneda and Stoikov --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qty", [0.0, 0.7, -1.3])
@pytest.mark.parametrize("gamma", [0.3, 2.0])
def test_reservation_and_spread_are_those_of_the_paper_in_price_units(qty, gamma):
    sigma, tau, k, size, fair = 1.25, 30.0, 1.5, 0.2, 1000.0
    quote = held(Story(as_quoter(risk_aversion=gamma, horizon_s=tau), WIDE), qty, sigma)
    reservation = fair - qty * gamma * sigma**2 * tau
    # eq. 30 for an order of `size`: the paper's unit is one order.
    spread = gamma * size * sigma**2 * tau + 2 / (gamma * size) * math.log(1 + gamma * size / k)
    assert float(quote["reservation_ticks"]) * TICK == pytest.approx(reservation, rel=1e-12)
    assert float(quote["half_spread_ticks"]) * TICK * 2 == pytest.approx(spread, rel=1e-12)
    assert int(quote["bid_ticks"]) == math.floor(round((reservation - spread / 2) / TICK, 9))
    assert int(quote["ask_ticks"]) == math.ceil(round((reservation + spread / 2) / TICK, 9))


def test_a_finite_horizon_runs_down_and_after_it_only_the_2_over_k_part_is_left():
    end_ns = START_NS + 10_000 * MS
    story = Story(as_quoter(horizon="finite", end_ns=end_ns), WIDE)
    k, gamma, size, sigma = 1.5, 0.3, 0.2, 2.0
    base = 2 / (gamma * size) * math.log(1 + gamma * size / k)
    for wait_ms, left_s in ((0, 10.0), (9_000, 1.0), (1_000, 0.0), (60_000, 0.0)):
        story.wait(wait_ms)
        story.state.markets["fair_ns"] = story.w.now
        quote = held(story, 0.5, sigma)
        assert float(quote["half_spread_ticks"]) * TICK * 2 == pytest.approx(base + gamma * size * sigma**2 * left_s, rel=1e-6)
        assert float(quote["reservation_ticks"]) * TICK == pytest.approx(1000 - 0.5 * gamma * sigma**2 * left_s, rel=1e-9)


def test_the_stationary_horizon_is_that_of_gueant_lehalle_and_fernandez_tapia():
    gamma, k, arrival, size, sigma, q = 0.3, 1.5, 0.9, 0.2, 1.25, 0.4
    quote = held(Story(as_quoter(horizon="stationary", arrival_per_s=arrival), WIDE), q, sigma)
    x = gamma * size / k
    c1 = math.log(1 + x) / (gamma * size)
    c2 = math.sqrt(sigma**2 * gamma / (2 * k * arrival * size) * (1 + x) ** (1 + 1 / x))
    bid, ask = c1 + (2 * q + size) / 2 * c2, c1 - (2 * q - size) / 2 * c2
    assert float(quote["reservation_ticks"]) * TICK == pytest.approx(1000 + (ask - bid) / 2, rel=1e-9)
    assert float(quote["half_spread_ticks"]) * TICK == pytest.approx((ask + bid) / 2, rel=1e-9)


def test_the_same_money_at_risk_gives_the_same_quote_whatever_the_grid():
    def prices(tick, lot):
        instrument = type(A)(**{**A.to_dict(), "tick_size": tick, "lot_size": lot})
        story = Story(as_quoter(horizon_s=10), WIDE, (instrument,))
        scale = 0.5 / float(tick)
        story.state.markets["position_lots"] = round(0.6 / float(lot))
        story.state.markets["variance_sum"] = story.state.markets["variance_ticks2_per_s"] = (1.0 * scale / 0.5) ** 2
        story.state.markets["variance_weight"] = 1.0
        story.book(round(1999 * scale), round(2001 * scale))
        quote = story.market()["quote"]
        return float(quote["reservation_ticks"]) * float(tick), float(quote["half_spread_ticks"]) * float(tick)

    assert prices("0.5", "0.01") == pytest.approx(prices("0.01", "0.1"), rel=1e-12)


# --- fixed spread ------------------------------------------------------------------------------------------------------------------


def test_a_fixed_spread_leans_by_ticks_for_each_orders_worth():
    # Long 0.3 = three orders of 0.1, 2 ticks each: 6 below fair; 4 each side of that.
    story = Story(quoter(half_spread_ticks=4, skew_ticks_per_order=2), WIDE)
    quote = held(story, 0.3, 0.0)
    assert (float(quote["reservation_ticks"]), int(quote["bid_ticks"]), int(quote["ask_ticks"])) == (1994.0, 1990, 1998)


def test_inventory_is_counted_from_the_target():
    quote = held(Story(quoter(half_spread_ticks=4, skew_ticks_per_order=2, target_qty="0.3"), WIDE), 0.3, 0.0)
    assert float(quote["reservation_ticks"]) == 2000.0


def test_a_bid_rounds_down_an_ask_up_and_floors_hold():
    story = Story(quoter(half_spread_ticks=1, half_spread_bps_min=20), WIDE)
    quote = held(story, 0.0, 0.0)
    assert float(quote["half_spread_ticks"]) == pytest.approx(4.0)  # 20 bps of 2000
    story.book(1999, 2002)  # fair 2000.5, floor 4.001
    quote = story.market()["quote"]
    assert (int(quote["bid_ticks"]), int(quote["ask_ticks"])) == (1996, 2005)
    narrow = held(Story(quoter(half_spread_ticks=50, half_spread_ticks_max=3), WIDE), 0.0, 0.0)
    assert (int(narrow["bid_ticks"]), int(narrow["ask_ticks"])) == (1997, 2003)


def test_a_ladder_of_levels_steps_away_from_the_market():
    story = Story(quoter(half_spread_ticks=2, levels=3, level_step_ticks=5), WIDE)
    assert sides(story.book()) == [
        (BID, 1998, 10), (BID, 1993, 10), (BID, 1988, 10), (ASK, 2002, 10), (ASK, 2007, 10), (ASK, 2012, 10),
    ]  # fmt: skip


def test_fewer_levels_take_the_outer_ones_away():
    story = Story(quoter(half_spread_ticks=2, levels=3), WIDE)
    story.book()
    story.answer()
    story.state.markets["params"]["levels"] = 1
    asked = story.book()
    assert (kinds(asked), sorted(set(asked["price_ticks"].tolist()))) == ((0, 0, 4), [1996, 1997, 2003, 2004])


def test_a_quote_inside_the_spread_stands_a_tick_from_the_other_side():
    # Short 2: the reservation price lies above the market, and a bid may not take.
    story = Story(quoter(half_spread_ticks=1, skew_ticks_per_order=1), WIDE)
    story.state.markets["position_lots"] = -200
    assert sides(story.book()) == [(BID, 2000, 10), (ASK, 2021, 10)]


# --- fair value ----------------------------------------------------------------------------------------------------------------------


def micro(**options):
    story = Story(quoter(fair="micro", half_spread_ticks=1), WIDE, **options)
    w = story.w
    story.tell(w.row(3, flags=2), w.row(DEPTH, 0, BID, 100, 30, 2), w.row(DEPTH, 0, ASK, 101, 10, 2))
    return story


def test_the_micro_price_of_100_x_30_against_101_x_10_is_100_75():
    assert float(micro().market()["fair_ticks"]) == 100.75


def test_our_own_orders_are_taken_out_of_the_book_before_pricing():
    story = micro(own_in_book=True)
    bid = next(o for o in story.orders() if o["side"] == BID)
    order_id, price, lots = int(bid["order_id"]), int(bid["price_ticks"]), int(bid["qty_lots"])
    w = story.w
    # One message: our order is accepted, and then the book shows it.
    row = w.row(ACCEPTED, 0, BID, price, lots, order_id=order_id)
    story.tell((*row[:4], lots, *row[5:]), w.row(DEPTH, 0, BID, price, lots + (30 if price == 100 else 0)))
    assert float(story.market()["fair_ticks"]) == 100.75


def test_a_level_that_is_ours_alone_is_no_touch():
    story = Story(quoter(half_spread_ticks=3), WIDE, own_in_book=True)
    story.book(1990, 2010)
    ours = {int(o["side"]): o.copy() for o in story.orders()}
    w, bid = story.w, ours[BID]
    row = w.row(ACCEPTED, 0, BID, int(bid["price_ticks"]), 10, order_id=int(bid["order_id"]))
    story.tell((*row[:4], 10, *row[5:]), w.row(DEPTH, 0, BID, int(bid["price_ticks"]), 10))
    assert int(story.market()["book"]["best_bid_ticks"]) == 1997
    assert float(story.market()["fair_ticks"]) == 2000.0


def test_between_our_fill_and_the_book_without_it_nothing_is_decided():
    # Others 5 at 1999, ours 10: the fill of ours comes first, and 15 of others never stood there.
    story = Story(quoter(fair="micro"), WIDE, own_in_book=True)
    story.book(1999, 2001, lots=5)
    bid = next(o for o in story.orders() if o["side"] == BID).copy()
    w, order_id = story.w, int(bid["order_id"])
    row = w.row(ACCEPTED, 0, BID, 1999, 10, order_id=order_id)
    story.tell((*row[:4], 10, *row[5:]), w.row(DEPTH, 0, BID, 1999, 15))
    fair = float(story.market()["fair_ticks"])
    asked = story.tell(w.row(FILL, 0, BID, 1999, 10, 256, order_id), w.row(DEPTH, 0, BID, 1999, 5))
    assert float(story.market()["fair_ticks"]) == fair
    assert sides(asked) == [(BID, 1999, 10)]


# --- volatility ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.many
def test_volatility_does_not_depend_on_how_talkative_the_feed_is():
    """The same path of fair prices, told every 100 ms, or with nine messages that move nothing after each."""

    def variance(extra):
        story = Story(quoter(volatility_half_life_s=5.0), WIDE)
        path = np.random.default_rng(5).integers(-3, 4, 200).cumsum()
        for move in path:
            story.book(1999 + int(move), 2001 + int(move))
            for k in range(extra):
                story.tell(story.w.row(DEPTH, 0, BID, 1500, 1 + k))
                story.wait(1)
            story.wait(100 - extra)
        return float(story.market()["variance_ticks2_per_s"])

    assert variance(0) == pytest.approx(variance(9), rel=1e-12)
    # Steps of -3..3 have variance 4, ten times a second.
    assert 20 < variance(0) < 80


@pytest.mark.many
def test_a_move_loses_half_its_weight_in_a_half_life():
    story = Story(quoter(volatility_half_life_s=2.0), WIDE)
    for _ in range(600):
        story.book()
        story.wait(100)
    story.book(2009, 2011)
    peak = float(story.market()["variance_ticks2_per_s"])
    story.wait(2000)
    story.book(2009, 2011)
    assert peak > 0
    assert float(story.market()["variance_ticks2_per_s"]) == pytest.approx(peak / 2, rel=1e-3)


# --- targets -------------------------------------------------------------------------------------------------------------------------


def test_a_target_is_worked_as_a_one_sided_quote_until_it_is_reached():
    story = Story(WorkTarget(order_qty="0.1", life_ms_min=0), WIDE)
    assert kinds(story.book()) == (0, 0, 0)
    assert sides(story.command(SET_TARGET, side=1, lots=-15)) == [(ASK, 2001, 10)]
    story.answer()
    asked = story.fill(story.orders()[0], 10)
    assert sides(asked) == [(ASK, 2001, 5)]
    story.answer()
    # The touch moves: the order follows it.
    assert sides(story.book(1995, 1998), AMEND) == [(ASK, 1998, 5)]
    story.answer()
    assert kinds(story.fill(story.orders()[0], 5)) == (0, 0, 0)
    assert int(story.market()["position_lots"]) == -15
    assert sides(story.command(SET_TARGET, side=1, lots=0)) == [(BID, 1995, 10)]
    story.answer()
    assert story.command(SET_TARGET, side=0)["kind"].tolist() == [CANCEL]


def test_a_target_keeps_to_the_position_limit():
    story = Story(WorkTarget(order_qty="0.5"), Limits(**(FAR_LIMITS | {"position_qty_max": "0.3"})))
    story.book()
    asked = story.command(SET_TARGET, side=1, lots=200)
    assert asked["kind"].tolist() == [SUBMIT]
    assert sides(asked) == [(BID, 1999, 30)]

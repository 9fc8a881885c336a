"""The gate, one story for each check. A: tick 0.5, lot 0.01, so at 2000 ticks 0.1 of it is 100 USD. B: tick 0.01, lot 1."""

import math

import numpy as np
import pytest
from stories import Story, kinds, limits, quoter, sides
from tapes import A, B

from hftlab.instrument import Instrument
from hftlab.types import (
    ACTIVE,
    ASK,
    BID,
    CANCELED,
    CROSSED,
    DEPTH,
    FILL,
    FLATTEN,
    GAP,
    GRADE_REDUCE,
    HALTED,
    LINK,
    MAKER,
    NO_PRICE,
    PAUSE,
    PENDING_CANCEL,
    RESUME,
    RESYNC,
    SUBMIT,
    TRADE,
    VALID,
    VERDICT_NAMES,
)

# --- position ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [BID, ASK])
def test_at_its_position_limit_the_desk_quotes_one_side_only(side):
    story = Story(bounds=limits(position_qty_max="0.1"))
    assert sides(story.book()) == [(BID, 1999, 10), (ASK, 2001, 10)]
    story.answer()
    mine = next(o for o in story.orders() if o["side"] == side)
    asked = story.fill(mine, 10)
    assert sides(asked) == []
    assert story.refused("position") == 1
    story.book()
    assert story.refused("position") == 1
    assert [int(o["side"]) for o in story.orders()] == [-side]
    other = story.orders()[0]
    asked = story.fill(other, 10)
    # flat again: both sides
    assert sides(asked) == [(BID, 1999, 10), (ASK, 2001, 10)]


def test_orders_that_wait_count_against_the_position_limit():
    # 6 at the first level, the 4 that are left at the second; a partial fill of 2 leaves no room, for 2 + 4 + 4 = 10.
    story = Story(quoter(order_qty="0.06", levels=2), limits(position_qty_max="0.1"))
    assert sides(story.book()) == [(BID, 1999, 6), (BID, 1998, 4), (ASK, 2001, 6), (ASK, 2002, 4)]
    story.answer()
    first = next(o for o in story.orders() if o["price_ticks"] == 1999)
    assert kinds(story.fill(first, 2)) == (0, 0, 0)


def test_a_cancel_that_is_not_confirmed_still_counts_as_an_order():
    story = Story(quoter(order_qty="10"), limits(position_qty_max="10"), (B,))
    story.book(9999, 10001)
    story.answer()
    assert kinds(story.book(10001, 10003)) == (0, 0, 2)
    assert story.refused("position") == 2
    assert sides(story.answer()) == [(BID, 10001, 10), (ASK, 10003, 10)]


# --- the line to the venue --------------------------------------------------------------------------------------------------


def test_with_the_line_to_the_venue_down_quotes_are_withdrawn_and_nothing_is_sent_until_it_stands_again():
    story = Story()
    story.book()
    story.answer()
    assert kinds(story.report(LINK, 0)) == (0, 0, 2)
    assert story.refused("venue link") == 1
    story.answer()
    story.tell(story.w.row(FILL, 0, BID, 1999, 10, MAKER, 12345))  # asked for afterwards: the money moved all the same
    assert int(story.market()["position_lots"]) == 10
    assert len(story.command(FLATTEN)) == 0
    assert kinds(story.report(LINK, 0, lots=1)) == (1, 0, 0)  # the flattening order
    story.command(RESUME)
    assert int(story.market()["gate_verdict"]) == 0


# --- size, number, money -----------------------------------------------------------------------------------------------------


def test_an_order_larger_than_allowed_is_refused_once_for_each_wish():
    story = Story(bounds=limits(order_qty_max="0.09"))
    for _ in range(3):
        assert kinds(story.book()) == (0, 0, 0)
    assert story.refused("order size") == 2  # a bid and an ask
    story.book(2009, 2011)
    assert story.refused("order size") == 4
    assert story.refused("halted") == 0


def test_no_more_open_orders_than_allowed():
    story = Story(quoter(levels=3), limits(orders_max=4))
    assert kinds(story.book()) == (4, 0, 0)
    assert story.refused("open orders") == 2


@pytest.mark.parametrize(("quote_max", "submits"), [(99.9, 0), (100, 2)])
def test_notional_is_that_of_position_and_orders_at_fair(quote_max, submits):
    story = Story(bounds=limits(notional_quote_max=quote_max))
    assert kinds(story.book())[0] == submits
    assert story.refused("notional") == 2 - submits


@pytest.mark.parametrize(("capital", "submits"), [(1099, 0), (1101, 2)])
def test_capital_is_shared_by_the_markets(capital, submits):
    # A's orders may come to 100, B's to 10 x 100 = 1000.
    story = Story((quoter(), quoter(order_qty="10")), (limits(capital_quote=capital), limits(position_qty_max="10")), (A, B))
    assert kinds(story.book())[0] == 2
    assert kinds(story.book(9999, 10001, i=1))[0] == submits
    assert story.refused("capital") == 2 - submits


def test_a_market_whose_book_is_lost_still_uses_its_capital():
    story = Story((quoter(), quoter(order_qty="10")), (limits(capital_quote=1099), limits(position_qty_max="10")), (A, B))
    story.book()
    story.answer()
    story.fill(story.orders()[0], 10)
    story.tell(story.w.row(GAP))
    assert math.isnan(story.market()["fair_ticks"])
    assert kinds(story.book(9999, 10001, i=1))[0] == 0
    assert story.refused("capital") == 2


def test_an_order_below_the_venues_minimum_is_not_sent():
    small = Instrument(venue="test", symbol="S/USD", base="S", quote="USD", tick_size="0.5", lot_size="0.01", notional_quote_min=5)
    story = Story(quoter(order_qty="0.01"), instruments=(small,))
    assert kinds(story.book(997, 999)) == (0, 0, 0)  # 0.01 x 498.5 = 4.985
    assert story.refused("min notional") == 2
    assert sides(story.book(1000, 1002)) == [(BID, 1000, 1), (ASK, 1002, 1)]


# --- rate --------------------------------------------------------------------------------------------------------------------


def test_the_request_budget_refuses_submits_and_never_a_cancel():
    story = Story(quoter(levels=2), limits(requests_per_s_max=1, requests_burst=3))
    assert kinds(story.book()) == (3, 0, 0)
    assert story.refused("request rate") == 1
    story.answer()
    assert kinds(story.command(PAUSE)) == (0, 0, 3)
    story.answer()
    # The cancels overdrew it to -3: after 3.9 s not one request, after 5 s two.
    story.command(RESUME)
    story.wait(3_900)
    assert kinds(story.book()) == (0, 0, 0)
    story.wait(1_100)
    assert kinds(story.book()) == (2, 0, 0)


# --- price and data ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bps", "submits"), [(4.9, 0), (5.1, 2)])
def test_prices_stay_within_a_band_around_fair(bps, submits):
    story = Story(bounds=limits(price_band_bps=bps))  # one tick of 2000 is 5 bps
    assert kinds(story.book())[0] == submits
    assert story.refused("price band") == 2 - submits


def test_a_stale_book_is_not_quoted_and_prints_do_not_make_it_fresh():
    story = Story(bounds=limits(stale_s_max=5))
    story.book()
    story.answer()
    story.wait(3000)
    story.tell(story.w.row(TRADE, 0, BID, 2001, 1))
    story.wait(1999)
    assert kinds(story.timer()) == (0, 0, 0)
    story.wait(2)
    assert kinds(story.timer()) == (0, 0, 2)
    story.timer()
    assert story.refused("stale data") == 1
    story.answer()
    assert kinds(story.tell(story.w.row(DEPTH, 0, BID, 1998, 5))) == (2, 0, 0)


def test_a_crossed_book_is_not_quoted_until_it_has_uncrossed():
    story = Story()
    story.book()
    story.answer()
    assert kinds(story.tell(story.w.row(DEPTH, 0, BID, 2001, 5))) == (0, 0, 2)
    assert story.refused("crossed book") == 1
    assert story.market()["crosses"] == 1
    story.answer()
    assert sides(story.tell(story.w.row(DEPTH, 0, BID, 2001, 0))) == [(BID, 1999, 10), (ASK, 2001, 10)]


def test_a_gap_takes_the_quotes_away_until_a_whole_snapshot():
    story = Story()
    story.book()
    story.answer()
    assert kinds(story.tell(story.w.row(GAP))) == (0, 0, 2)
    story.answer()
    assert kinds(story.tell(story.w.row(DEPTH, 0, BID, 1999, 60))) == (0, 0, 0)
    assert story.refused("book not valid") == 1
    assert kinds(story.book()) == (2, 0, 0)


# --- what makes no sense -------------------------------------------------------------------------------------------------------


def test_nothing_is_shown_that_our_own_order_would_meet_not_even_one_being_cancelled():
    story = Story(quoter(order_qty="10"), limits(position_qty_max="100"), (B,))
    story.book(9999, 10003)
    story.answer()
    story.command(PAUSE)
    assert [int(s) for s in story.orders()["status"]] == [PENDING_CANCEL] * 2
    mine = int(story.orders()["price_ticks"].max())
    assert kinds(story.wish(bid=mine)) == (0, 0, 0)
    assert story.refused("self cross") == 1
    story.answer()
    assert sides(story.wish(bid=mine)) == [(BID, mine, 10)]


@pytest.mark.parametrize(("bid", "ask"), [(2001, 2001), (2003, 2001), (NO_PRICE, 2003), (1990, NO_PRICE), (None, NO_PRICE)])
def test_a_crossed_or_senseless_wish_shows_nothing(bid, ask):
    # NO_PRICE is what a NaN becomes: the clamp to the touch would make an offer at best bid + 1 of it.
    story = Story()
    story.book()
    story.answer()
    assert kinds(story.wish(bid=bid, ask=ask)) == (0, 0, 2)
    assert story.refused("bad quote") == 1


# --- the order of the checks -----------------------------------------------------------------------------------------------------


def test_the_checks_run_in_the_order_of_their_names():
    """Everything is wrong at once; each check that is put right lets the next one speak."""
    story = Story()
    story.book()
    story.command(PAUSE)
    story.report(CANCELED, int(story.orders()["order_id"][0]))  # the bid; the ask is still on its way out
    state, desk, market = story.state, story.state.desk, story.state.markets
    market["orders"]["price_ticks"] = 1990
    desk["state"], market["validity"], desk["now_ns"] = HALTED, RESYNC, desk["now_ns"] + 60_000_000_000
    market["link_down"] = 1
    desk["limits"]["requests_burst"] = desk["limits"]["capital_quote"] = desk["tokens_ns"] = 0
    market["limits"]["one_position"], market["limits"]["stop_bps"] = 1, 1e4
    market["limits"]["reduce_at_frac"], market["grade"], market["position_lots"] = 1, GRADE_REDUCE, 1
    zero = ("liquidity_frac_max", "concentration_frac_max", "risk_per_trade_frac_max")
    desk["limits"]["exposure_quote_max"] = desk["limits"]["leverage_max"] = 0
    market["pulled_until_ns"] = desk["now_ns"] + 1
    market["params"]["calibration_band_ticks"] = 1e3
    market["pull_verdict"] = VERDICT_NAMES.index("latency")
    for name in (*zero, "position_lots_max", "order_lots_max", "orders_max", "notional_ticklots_max", "price_band_bps"):
        market["limits"][name] = 0
    market["spec"]["notional_ticklots_min"] = 1 << 40
    crossed = {"bid": 2000, "ask": 2000}
    wished = {}

    def right(record, name, value):
        record[name] = value

    heal = {
        "halted": lambda: right(desk, "state", ACTIVE),
        "venue link": lambda: right(market, "link_down", 0),
        "book not valid": lambda: right(market, "validity", CROSSED),
        "stale data": lambda: right(market, "last_recv_ns", desk["now_ns"]),
        "crossed book": lambda: right(market, "validity", VALID),
        **{
            name: lambda n=name: right(market, "pull_verdict", VERDICT_NAMES.index(n) + 1)
            for name in ("latency", "volatility", "toxic flow", "markout")
        },
        "sweep": lambda: right(market, "pulled_until_ns", 0),
        "calibration band": lambda: right(market["params"], "calibration_band_ticks", 0),
        "bad quote": lambda: wished.update(bid=1999, ask=None),
        "reducing": lambda: right(market, "grade", 0),
        "position": lambda: right(market["limits"], "position_lots_max", 100),
        "duplicate position": lambda: right(market["limits"], "one_position", 0),
        "order size": lambda: right(market["limits"], "order_lots_max", 100),
        "price band": lambda: right(market["limits"], "price_band_bps", 200),
        "self cross": lambda: (
            right(market["orders"], "price_ticks", 3000) or right(market["orders"], "wish_ticks", 3000) or right(market, "own_known", 0)
        ),
        "min notional": lambda: right(market["spec"], "notional_ticklots_min", 0),
        "liquidity": lambda: right(market["limits"], "liquidity_frac_max", 1),
        "concentration": lambda: right(market["limits"], "concentration_frac_max", np.inf),
        "risk per trade": lambda: right(market["limits"], "risk_per_trade_frac_max", np.inf),
        "notional": lambda: right(market["limits"], "notional_ticklots_max", np.inf),
        "capital": lambda: right(desk["limits"], "capital_quote", 1e9) or right(market["limits"], "margin_frac", 1e8),
        "exposure": lambda: right(desk["limits"], "exposure_quote_max", np.inf),
        "leverage": lambda: right(desk["limits"], "leverage_max", np.inf),
        "margin": lambda: right(market["limits"], "margin_frac", 0),
        "open orders": lambda: right(market["limits"], "orders_max", 20),
        "request rate": lambda: right(desk, "request_tokens", 2.0) or right(desk["limits"], "requests_burst", 2.0),
    }
    assert [n for n in VERDICT_NAMES if n not in ("ok", "daily loss", "drawdown")] == list(heal)
    wished.update(crossed)
    for name, cure in heal.items():
        before = story.refused(name)
        assert SUBMIT not in story.wish(**wished)["kind"]
        verdict = int(market["gate_verdict"][0]) or int(market["refused_verdict"][0][0])
        assert VERDICT_NAMES[verdict] == name
        assert story.refused(name) == before + (name != "halted")
        cure()
    assert sides(story.wish(**wished)) == [(BID, 1999, 10)]
    assert state.desk["submits"][0] == 3

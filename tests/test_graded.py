"""The answer in steps: each threshold at its edge, what each step does to the quotes, and that it does not flutter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import Story, kinds, limits, quoter, sides
from tapes import A, B

from hftlab.kernels import graded
from hftlab.kernels.jit import records
from hftlab.types import (
    ACTIVATE,
    ASK,
    BID,
    DEACTIVATE,
    FILL,
    FLATTEN,
    GRADE_FULL,
    GRADE_REDUCE,
    GRADE_WIDEN,
    HALT,
    LIMITS,
    MAKER,
    PAUSE,
    QUOTE,
    RESUME,
    SET_TARGET,
    STATE,
    VERDICT_NAMES,
)

STEPS = {"widen_at_frac": 0.5, "reduce_at_frac": 0.8, "recover_frac": 0.5, "widen_factor": 3, "position_qty_max": "100"}


def long_ten(**options):
    """Long 0.1 A at 2000, quoted; a fall of 1 tick costs 0.05, of 200 ticks the 10 USD of the daily loss limit."""
    story = Story(bounds=limits(**(STEPS | {"loss_quote_max": 10} | options)))
    story.book()
    story.answer()
    story.tell(story.w.row(FILL, 0, BID, 2000, 10, MAKER, 987_655))
    return story


def state_of(story):
    frame = story.state.frame()
    return frame.state, frame.state_reason


def fall(story, ticks):
    """The book falls to so many ticks below 2000; the venue carries out what is asked."""
    asked = story.book(1999 - ticks, 2001 - ticks)
    while len(story.orders()) and (story.orders()["status"] != 2).any():
        asked = np.concatenate([asked, story.answer()])
    return asked


def quotes(story):
    return sorted((int(o["side"]), int(o["price_ticks"])) for o in story.orders())


def test_a_loss_that_grows_is_answered_in_steps_and_each_is_told_with_its_reason():
    story = long_ten()
    told = []
    for ticks in (100, 101, 160, 161, 200, 201):
        fall(story, ticks)
        told.append(story.state.frame().state)
    assert told == ["ACTIVE", "WIDEN", "WIDEN", "REDUCING", "REDUCING", "HALTED"]
    changes = story.state.frame().changes()
    assert [VERDICT_NAMES[int(v)] for v in changes["verdict"]] == ["daily loss"] * 3
    assert changes["share"].tolist() == pytest.approx([0.505, 0.805, 0.0])
    assert changes["after"].tolist() == [5, 2, 3]
    assert changes["market"].tolist() == [-1] * 3


def test_a_state_row_is_written_for_reports_and_journal_readers():
    story = long_ten()
    fall(story, 101)
    fall(story, 150)
    story.w.rows.clear()
    story.book(1839 - 1, 1839 + 1)
    row = story.written[story.written["kind"] == STATE][0]
    assert (int(row["qty_lots"]), int(row["leaves_lots"]), int(row["seq"])) == (2, 5, 1)
    assert VERDICT_NAMES[int(row["order_id"])] == "daily loss"
    assert float(row["price_ticks"].view(np.float64)) == pytest.approx(0.805)
    assert story.state.frame().state_reason == "daily loss 80 % of its limit"


def test_a_step_is_left_only_well_below_its_threshold():
    story = long_ten()
    told = []
    for ticks in (161, 150, 81, 79, 51, 49, 99, 101):
        fall(story, ticks)
        told.append(story.state.frame().state)
    #        REDUCING until below 0.5 x 0.8, WIDEN until below 0.5 x 0.5
    assert told == ["REDUCING", "REDUCING", "REDUCING", "WIDEN", "WIDEN", "ACTIVE", "ACTIVE", "WIDEN"]


@given(shares=st.lists(st.floats(0, 2), max_size=40), widen=st.floats(0.1, 1), more=st.floats(0, 1), recover=st.floats(0.01, 1))
def test_no_grade_is_lower_than_its_threshold_says_or_left_within_its_margin(shares, widen, more, recover):
    bounds = records(np.zeros(1, LIMITS))
    bounds["widen_at_frac"], bounds["reduce_at_frac"], bounds["recover_frac"] = widen, widen + more, recover
    grade = GRADE_FULL
    for share in shares:
        before, grade = grade, graded.next_grade(grade, share, bounds[0])
        assert grade >= (GRADE_REDUCE if share > widen + more else GRADE_WIDEN if share > widen else GRADE_FULL)
        if grade < before:
            assert share < recover * (widen + more if before == GRADE_REDUCE else widen)
        if grade > before:
            assert share > (widen + more if grade == GRADE_REDUCE else widen)
        assert graded.next_grade(grade, share, bounds[0]) == grade


# --- what a step does ------------------------------------------------------------------------------------------------------------


def test_wider_multiplies_the_half_spread_of_whatever_was_wished():
    story = long_ten()
    fall(story, 101)
    assert quotes(story) == [(ASK, 1899 + 3), (BID, 1899 - 3)]
    assert float(story.market()["quote"]["half_spread_ticks"]) == 3


@pytest.mark.parametrize(
    ("wish", "made"),
    [
        ((1999, 2001), (1997, 2003)),
        ((1998, 2001), (1995, 2004)),  # around 1999.5: 1.5 x 3 = 4.5
        ((1998, None), (1994, None)),  # 2 from fair, then 6
        ((None, 2001), (None, 2003)),
        ((2001, None), (2001, None)),  # beyond fair there is nothing to widen
    ],
)
def test_the_middle_stays_and_a_lone_side_moves_from_fair(wish, made):
    story = Story(bounds=limits(**STEPS))
    story.book(1990, 2010)
    story.state.markets["grade"] = GRADE_WIDEN
    quote = records(np.zeros(1, QUOTE))
    bid, ask = wish
    quote["bid_lots"], quote["ask_lots"] = 10 * (bid is not None), 10 * (ask is not None)
    quote["bid_ticks"], quote["ask_ticks"], quote["fair_ticks"] = bid or 0, ask or 0, 2000.0
    graded.temper(story.state.desk[0], story.state.markets[0], quote[0])
    assert int(quote["bid_ticks"][0]) == (made[0] or 0)
    assert int(quote["ask_ticks"][0]) == (made[1] or 0)


def test_only_what_reduces_the_position_is_quoted_and_never_past_zero():
    story = Story(quoter(order_qty="0.08", levels=2), limits(**(STEPS | {"loss_quote_max": 10})))
    story.book()
    story.answer()
    story.tell(story.w.row(FILL, 0, BID, 2000, 10, MAKER, 987_655))
    fall(story, 161)
    assert state_of(story) == ("REDUCING", "daily loss 80 % of its limit")
    assert story.refused("reducing") > 0
    for _ in range(10):
        assert all(int(order["side"]) == ASK for order in story.orders())
        assert int(story.orders()["leaves_lots"].sum()) <= int(story.market()["position_lots"])
        if len(story.orders()):
            story.fill(story.orders()[0], int(story.orders()[0]["leaves_lots"]))
        story.answer()
    assert (int(story.market()["position_lots"]), len(story.orders())) == (0, 0)


def test_flatten_and_halt_work_from_every_step():
    for ticks in (101, 161):
        story = long_ten()
        fall(story, ticks)
        story.command(FLATTEN)
        story.answer()
        assert [int(o["side"]) for o in story.orders()] == [ASK]
        story = long_ten()
        fall(story, ticks)
        assert kinds(story.command(HALT))[2] == len(story.orders())
        assert state_of(story)[0] == "HALTED"


def test_a_target_is_only_worked_towards_zero_when_reducing():
    story = long_ten()
    fall(story, 161)
    story.command(SET_TARGET, side=1, lots=30)
    story.answer()
    assert not len(story.orders())
    story.command(SET_TARGET, side=1, lots=-30)
    story.answer()
    assert [(int(o["side"]), int(o["leaves_lots"])) for o in story.orders()] == [(ASK, 10)]


def test_a_resume_does_not_clear_a_step():
    story = long_ten()
    fall(story, 161)
    story.command(PAUSE)
    assert state_of(story) == ("PAUSED", "")
    story.command(RESUME)
    assert state_of(story)[0] == "REDUCING"


# --- what leads to a step --------------------------------------------------------------------------------------------------------


def two_markets(**options):
    bounds = limits(**(STEPS | options))
    story = Story((quoter(), quoter(order_qty="10")), (bounds, bounds), (A, B))
    story.book()
    story.answer()
    story.book(9999, 10001, i=1)
    story.answer(1)
    return story


def test_a_position_widens_its_own_market_only():
    story = two_markets(position_qty_max="1000")
    story.tell(story.w.row(FILL, 1, BID, 10_000, 501, MAKER, 987_655))
    frame = story.state.frame()
    assert (frame.state, frame.state_reason) == ("WIDEN", "B/USD: position 50 % of its limit")
    assert (frame.market_state(0), frame.market_state(1)) == ("ACTIVE", "WIDEN")
    assert frame.changes()["market"].tolist() == [1]


def test_a_loss_takes_the_quotes_of_every_market_at_once():
    story = two_markets(loss_quote_max=10)
    story.tell(story.w.row(FILL, 0, BID, 2000, 10, MAKER, 987_655))
    asked = story.book(1838, 1840)
    assert sorted(asked[asked["kind"] == 98]["instrument"].tolist()) == [0, 1, 1]  # B has no position to reduce


@pytest.mark.parametrize(
    ("options", "field", "value", "reason"),
    [
        ({"volatility_bps_max": 10}, "variance_ticks2_per_s", 4 * 0.6**2, "volatility 60 % of its limit"),
        ({"vpin_bucket_qty": "0.1", "vpin_max": 0.5}, "vpin", 0.3, "toxic flow 60 % of its limit"),
        ({"markout_loss_bps_max": 10}, "markout_bps", -6.0, "markout 60 % of its limit"),
    ],
)
def test_volatility_and_toxic_flow_widen(options, field, value, reason):
    story = Story(bounds=limits(**(STEPS | options)))
    story.book()
    story.state.markets[field] = value
    story.timer()
    assert state_of(story) == ("WIDEN", f"A/USD: {reason}")


def test_orders_shrink_in_eighths_above_a_volatility():
    story = Story(quoter(order_qty="0.8"), limits(size_volatility_bps=5))
    story.book()
    for bps, lots in ((5.0, 80), (6.0, 60), (10.0, 40), (100.0, 10)):
        story.state.markets["variance_ticks2_per_s"] = (bps * 2000 / 1e4) ** 2
        quote = records(np.zeros(1, QUOTE))
        quote["bid_lots"] = quote["ask_lots"] = 80
        graded.temper(story.state.desk[0], story.state.markets[0], quote[0])
        assert (int(quote["bid_lots"][0]), int(quote["ask_lots"][0])) == (lots, lots)


# --- one market by command -------------------------------------------------------------------------------------------------------


def test_a_deactivated_market_is_withdrawn_and_the_other_goes_on():
    story = two_markets()
    asked = story.command(DEACTIVATE, 1)
    assert (kinds(asked), set(asked["instrument"].tolist())) == ((0, 0, 2), {1})
    frame = story.state.frame()
    assert (frame.active(0), frame.active(1), frame.state, frame.market_state(1)) == (True, False, "ACTIVE", "PAUSED")
    story.answer(1)
    assert kinds(story.book(9990, 9992, i=1)) == (0, 0, 0)
    assert kinds(story.command(SET_TARGET, 1, side=1, lots=5)) == (0, 0, 0)
    story.command(SET_TARGET, 1)
    assert sides(story.command(ACTIVATE, 1)) == [(BID, 9990, 10), (ASK, 9992, 10)]
    assert frame.changes()["after"].tolist() == [1]

"""Losses and halts: what trips them, what they leave, and what ends them."""

import math

import pytest
from stories import Story, kinds, limits, quoter, sides
from tapes import A, B, bits

from hftlab.types import (
    ACTIVE,
    ASK,
    BID,
    FLATTEN,
    HALT,
    HALTED,
    LIMIT_NAMES,
    PAUSE,
    RESUME,
    SET_LIMITS,
    SET_PARAMS,
    SET_TARGET,
    STOP,
    STOPPED,
)

DAY_MS = 86_400_000


# --- losses ------------------------------------------------------------------------------------------------------------------


def long_ten(bounds, instruments=(A,)):
    """Long 0.1 A bought at 999.5; a fall of 1 tick costs 0.05 USD."""
    story = Story((quoter(), quoter(order_qty="1"))[: len(instruments)], bounds, instruments)
    story.book()
    story.answer()
    if len(instruments) > 1:
        story.book(9999, 10001, i=1)
        story.answer(1)
    story.fill(next(o for o in story.orders() if o["side"] == BID), 10)
    story.answer()
    return story


def test_a_daily_loss_halts_the_desk_and_cancels_everything_in_every_market():
    story = long_ten(limits(loss_quote_max=40), (A, B))
    working = len(story.orders(0)) + len(story.orders(1))
    assert working == 4
    asked = story.book(1199, 1201)  # 799 ticks x 0.05 = 39.95
    assert story.desk["state"] == ACTIVE
    story.answer()
    asked = story.book(1196, 1198)  # 40.10
    assert story.desk["state"] == HALTED
    assert story.state.frame().halt_reason == "daily loss"
    assert kinds(asked) == (0, 0, 4)
    assert set(asked["instrument"].tolist()) == {0, 1}
    assert story.refused("daily loss") == 1
    assert story.refused("halted") == 0
    assert kinds(story.book(9999, 10003, i=1)) == (0, 0, 0)


def test_the_daily_loss_begins_anew_with_the_utc_day_and_a_halt_does_not_end_with_it():
    story = long_ten(limits(loss_quote_max=40, drawdown_frac_max=1e6))
    story.book(1399, 1401)  # -29.95
    story.wait(DAY_MS)
    story.book(1399, 1401)
    story.book(799, 801)  # another -30
    assert story.desk["state"] == ACTIVE
    story.book(499, 501)  # -45 since midnight
    assert story.desk["state"] == HALTED
    story.wait(DAY_MS)
    story.book(499, 501)
    assert story.desk["state"] == HALTED


def test_a_drawdown_from_the_peak_halts():
    # peak +50.05 - 0.05, allowed 0.1 x (1000 + peak)
    story = long_ten(limits(capital_quote=1000, drawdown_frac_max=0.1))
    story.book(2999, 3001)
    peak = float(story.desk["peak_pnl_quote"])
    assert peak == pytest.approx((3000 - 1999) * 10 * 0.005)
    falls = math.floor(0.1 * (1000 + peak) / 0.05)
    story.book(3000 - falls - 1, 3000 - falls + 1)
    assert story.desk["state"] == ACTIVE
    story.book(3000 - falls - 3, 3000 - falls - 1)
    assert story.state.frame().halt_reason == "drawdown"
    assert story.refused("drawdown") == 1


def test_where_both_losses_are_too_large_the_daily_loss_is_named():
    story = long_ten(limits(loss_quote_max=40, capital_quote=1000, drawdown_frac_max=0.01))
    story.book(1196, 1198)
    assert story.state.frame().halt_reason == "daily loss"


# --- halt --------------------------------------------------------------------------------------------------------------------


def test_only_resume_clears_a_halt_and_it_is_counted_once():
    story = Story()
    story.book()
    story.answer()
    assert kinds(story.command(HALT)) == (0, 0, 2)
    story.answer()
    for kind, fields in ((PAUSE, {}), (SET_TARGET, {"side": 1, "lots": 5}), (SET_PARAMS, {"order_id": 2, "price": bits(5.0)}), (HALT, {})):
        assert kinds(story.command(kind, **fields)) == (0, 0, 0)
        assert story.desk["state"] == HALTED
    assert kinds(story.book(1990, 1995)) == (0, 0, 0)
    assert story.refused("halted") == 1
    story.command(SET_TARGET)
    assert kinds(story.command(RESUME)) == (2, 0, 0)


def test_a_loss_that_still_stands_halts_again_before_anything_is_sent():
    story = long_ten(limits(loss_quote_max=40))
    story.book(1099, 1101)
    story.answer()
    asked = story.command(RESUME)
    assert story.desk["state"] == HALTED
    assert kinds(asked) == (0, 0, 0)
    assert story.refused("daily loss") == 2
    story.command(SET_LIMITS, order_id=LIMIT_NAMES.index("loss_quote_max"), price=bits(100.0))
    assert kinds(story.command(RESUME))[0] == 2
    assert story.desk["state"] == ACTIVE


def test_a_stop_after_a_loss_stays_a_stop():
    story = long_ten(limits(loss_quote_max=40))
    story.command(STOP)
    story.answer()
    story.book(1099, 1101)
    assert story.desk["state"] == STOPPED
    story.command(RESUME)
    assert story.desk["state"] == STOPPED
    halted = long_ten(limits(loss_quote_max=40))
    halted.book(1099, 1101)
    halted.command(STOP)
    assert halted.desk["state"] == STOPPED


def test_flatten_cancels_first_then_takes_and_ends_flat_and_paused():
    story = long_ten(limits())
    story.command(SET_LIMITS, order_id=LIMIT_NAMES.index("order_lots_max"), price=bits(6.0))
    asked = story.command(FLATTEN)
    assert kinds(asked)[0] == 0
    assert kinds(asked)[2] == len(story.orders())
    asked = story.answer()
    # 10 to sell, 6 at a time, 10 bps (2 ticks of 1999, rounded down, and 1) through the bid.
    assert sides(asked) == [(ASK, 1999 - 2, 6)]
    asked = story.fill(story.orders()[0], 6)
    assert sides(asked) == [(ASK, 1999 - 2, 4)]
    story.fill(story.orders()[0], 4)
    assert story.market()["position_lots"] == 0
    assert (int(story.desk["flattening"]), story.state.frame().state) == (0, "PAUSED")

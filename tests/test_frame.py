"""What a frame shows, in human units, of a desk whose state is known."""

import math

import numpy as np
import pytest
from stories import Story, limits, quoter
from tapes import A

from hftlab.types import ASK, BARS, BID, FILLS, HALT, LADDER, SAMPLES, TRADE


@pytest.fixture
def story():
    """Two orders of 0.1 resting at 999.5 and 1000.5, 0.04 of the bid filled at 999.5."""
    made = Story(bounds=limits(position_qty_max="0.5", notional_quote_max=400, loss_quote_max=100, orders_max=8))
    made.book()
    made.answer()
    made.fill(next(o for o in made.orders() if o["side"] == BID), 4)
    return made


def test_prices_quantities_and_orders_are_human(story):
    frame = story.state.frame()
    assert (frame.fair(), frame.touch(), frame.position()) == (1000.0, (999.5, 1000.5), 0.04)
    assert (frame.state, frame.validity(), frame.halt_reason) == ("ACTIVE", "valid", "")
    bid, ask = frame.orders()[0], frame.orders()[1]
    assert {bid.side, ask.side} == {BID, ASK}
    bid = bid if bid.side == BID else ask
    assert (bid.price, bid.qty, bid.leaves, bid.ahead_qty, bid.status, bid.level) == (999.5, 0.1, pytest.approx(0.06), 0.5, "live", 0)


def test_gauges_stand_beside_their_limits(story):
    gauges = {g.name: g for g in story.state.frame().gauges()}
    assert (gauges["position"].amount, gauges["position"].limit) == (0.04, 0.5)
    assert gauges["notional"].amount == pytest.approx(40)
    assert gauges["notional"].share == pytest.approx(0.1)
    assert (gauges["open orders"].amount, gauges["open orders"].limit) == (2, 8)
    assert gauges["daily loss"].amount == 0  # bought at 999.5, marked at 1000: a gain
    story.book(1799, 1801)
    loss = (1999 - 1800) * 4 * A.ticklot_quote
    assert {g.name: g for g in story.state.frame().gauges()}["daily loss"].amount == pytest.approx(loss)


def test_every_limit_that_is_set_has_its_gauge_with_the_sum_that_the_gate_makes():
    bounds = limits(
        position_qty_max="1",
        order_qty_max="0.1",
        capital_quote=1000,
        loss_frac_max=0.1,
        exposure_quote_max=400,
        leverage_max=2,
        margin_frac=0.25,
        risk_per_trade_frac_max=0.02,
        stop_bps=100,
        liquidity_frac_max=0.4,
        concentration_frac_max=1,
        latency_ms_max=50,
        volatility_bps_max=20,
        vpin_bucket_qty="0.1",
        vpin_max=0.5,
        markout_loss_bps_max=10,
        sweep_levels_max=5,
    )
    story = Story(quoter(order_qty="0.1", levels=2), bounds)
    story.tell(story.w.row(TRADE, 0, BID, 2000, 100))
    story.book(lots=50)
    story.answer()
    story.state.markets["variance_ticks2_per_s"] = 4.0
    story.state.markets["vpin"], story.state.markets["markout_bps"], story.state.markets["feed_ns"] = 0.25, -2.5, 5_000_000
    gauges = {g.name: g for g in story.state.frame().gauges()}
    # 2 x 10 lots a side, 10 USD a lot: 200 USD at the worst, 0.1 x 1000 USD = 100 an order, 1 at its stop.
    wanted = {
        "daily loss of equity": (0, 10),
        "exposure": (200, 400),
        "leverage": (0.2, 2),
        "margin": (50, 1000),
        "risk per trade": (0.1, 2),
        "share of a minute's volume": (100 * 10 / (200 * math.log(2)), 100),
        "share of the book": (20, 40),
        "feed latency": (5, 50),
        "order round trip": (0, 50),
        "volatility": (10, 20),
        "toxic flow": (0.25, 0.5),
        "markout loss": (2.5, 10),
        "sweep": (1, 5),
    }
    for name, (amount, limit) in wanted.items():
        assert (gauges[name].amount, gauges[name].limit) == (pytest.approx(amount), pytest.approx(limit)), name
    assert set(gauges) == {*wanted, *(g.name for g in Story().state.frame().gauges()), "age of the book"}


def test_a_halt_says_why_and_refusals_are_counted_by_name(story):
    story.command(HALT)
    frame = story.state.frame()
    assert (frame.state, frame.halt_reason) == ("HALTED", "halted")
    assert frame.refusals() == {"halted": 1}


def test_before_the_first_book_there_are_no_prices():
    frame = Story().state.frame()
    assert all(math.isnan(x) for x in (frame.fair(), *frame.touch()))
    assert [side.shape for side in frame.levels()] == [(0, 2), (0, 2)]
    assert (frame.orders(), len(frame.fills()), len(frame.samples()), frame.validity()) == ([], 0, 0, "resync")
    assert all(np.isfinite(g.amount) for g in frame.gauges())


def test_levels_come_best_first_from_the_window_and_the_table_of_far_ones(story):
    w = story.w
    story.tell(w.row(3, 0, BID, 1998, 7), w.row(1, 0, BID, 1998, 7), w.row(1, 0, BID, 1990, 3), w.row(1, 0, BID, 1998 - LADDER, 9))
    bids, asks = story.state.frame().levels()
    assert bids.tolist() == [[999.0, 0.07], [995.0, 0.03], [(1998 - LADDER) * 0.5, 0.09]]
    assert asks.tolist() == [[1000.5, 0.5]]
    assert story.state.frame().levels(depth=1)[0].shape == (1, 2)


def test_rings_give_the_newest_in_order():
    story = Story()
    markets = story.state.markets
    for name, key, size in (("samples", "ts_ns", SAMPLES), ("fills", "ts_ns", FILLS), ("bars", "ts_ns", BARS)):
        for count in (size - 1, size, size + 1, 2 * size, 3 * size + 5):
            markets[name][key][0][np.arange(count) % size] = np.arange(count)
            markets[f"{name}_count"] = count
            found = getattr(story.state.frame(), name)()[key]
            assert found.tolist() == list(range(max(0, count - size), count))


def test_a_frame_is_a_copy_and_the_looking_one_cannot_write(story):
    frame = story.state.frame()
    story.book(1899, 1901)
    assert frame.fair() == 1000.0
    looking = story.state.frame(copy=False)
    assert looking.fair() == 950.0
    for record, name in ((looking.desk, "state"), (looking.markets[0], "position_lots"), (looking.markets[0]["limits"], "orders_max")):
        with pytest.raises(ValueError, match="read-only"):
            record[name] = 9
    assert int(story.desk["state"]) == 0
    assert story.state.frame().fair() == 950.0


def test_sigma_is_in_basis_points(story):
    story.state.markets["variance_ticks2_per_s"] = 4.0
    assert story.state.frame().sigma_bps() == pytest.approx(2 / 2000 * 1e4)


def test_a_sample_row_shows_our_best_prices():
    story = Story(quoter(levels=2), sample_ms=100)
    story.book()
    story.answer()
    story.wait(200)
    story.timer()
    row = story.state.frame().samples()[-1]
    assert (int(row["bid_ticks"]), int(row["ask_ticks"]), float(row["fair_ticks"])) == (1999, 2001, 2000.0)

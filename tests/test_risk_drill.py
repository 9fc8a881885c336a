"""The drill: every scenario is caught by the limit that is meant for it, and by nothing where that limit is off."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftlab.backtesting.drills.risk_drill import risk_drill
from hftlab.backtesting.drills.scenarios import (
    SCENARIOS,
    FarPrice,
    FatFinger,
    FeedFreeze,
    FlashCrash,
    Gap,
    ToxicFlow,
    VenueHalt,
    VolatilityBurst,
)
from hftlab.backtesting.drills.tapes import Step, held_back, moved, stopped
from hftlab.backtesting.run import backtest
from hftlab.data.journal import Journal
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.engine.spec import RunSpec
from hftlab.errors import InputError, UnknownName
from hftlab.instrument import Instrument
from hftlab.params import FixedSpread, Limits, UserQuoter
from hftlab.types import ASK, BID, CLEAR, DEPTH, LAST, TRADE
from hftlab.venues.feeds import PaperVenue, SynthFeed

S = 1_000_000_000
BTC = Instrument.bundled("sim:BTC/USDT")
TAPE = Tape(synth_rows(BTC, 14, 5), (BTC,), "14 s, seed 5")
QUOTER = FixedSpread(order_qty="0.01", half_spread_ticks=0.5, skew_ticks_per_order=0.2)
# Nothing here stops anything.
LOOSE = {
    "position_qty_max": "1000",
    "order_qty_max": "1000",
    "capital_quote": math.inf,
    "loss_quote_max": math.inf,
    "drawdown_frac_max": 1e9,
    "requests_per_s_max": 1e6,
    "requests_burst": 1e6,
    "price_band_bps": 1e6,
    "stale_s_max": 1e6,
}
SMALL = {
    "gap": Gap(jump_frac=0.1),
    "flash crash": FlashCrash(fall_s=1, rise_s=1),
    "feed freeze": FeedFreeze(freeze_s=4),
    "fat finger": FatFinger(for_s=2),
    "far price": FarPrice(for_s=2),
    "venue halt": VenueHalt(halt_s=3),
    "volatility burst": VolatilityBurst(for_s=3),
    "toxic flow": ToxicFlow(for_s=4),
}
# With this one limit on, and no other, the scenario is caught by this verdict.
MEANT = {
    "gap": ({"loss_quote_max": 10}, "daily loss"),
    "flash crash": ({"sweep_levels_max": 30}, "sweep"),
    "feed freeze": ({"stale_s_max": 1}, "stale data"),
    "fat finger": ({"order_qty_max": "0.02"}, "order size"),
    "far price": ({"price_band_bps": 100}, "price band"),
    "volatility burst": ({"volatility_bps_max": 20}, "volatility"),
    "toxic flow": ({"position_qty_max": "0.03"}, "position"),
}


def drill(scenarios, *, source=TAPE, **limits):
    """A drill in which only `limits` stop anything."""
    return risk_drill(source, QUOTER, Limits(**(LOOSE | limits)), scenarios=scenarios)


# --- every scenario and its limit ------------------------------------------------------------------------------------------------


def test_every_scenario_has_a_small_one_here():
    assert set(SMALL) == set(SCENARIOS)
    assert set(MEANT) == set(SCENARIOS) - {"venue halt"}


def test_without_limits_nothing_catches_anything():
    scenarios = [VenueHalt(halt_s=3, link=False) if name == "venue halt" else one for name, one in SMALL.items()]
    result = drill(scenarios)
    assert [one.caught_by for one in result.outcomes] == [None] * len(SCENARIOS)
    assert not result.ok
    assert "NOTHING" in result._repr_html_()


@pytest.mark.parametrize("name", MEANT)
def test_the_limit_that_is_meant_for_it_catches_it_alone(name):
    limits, verdict = MEANT[name]
    outcome = drill([SMALL[name]], **limits)[name]
    assert outcome.caught_by == verdict
    assert 0 <= outcome.after_ns < 5 * S
    assert outcome.safe


def test_a_halt_leaves_nothing_in_the_market():
    result = drill([SMALL["gap"]], loss_quote_max=10)
    outcome = result["gap"]
    assert [(after, why) for _, _, after, why in outcome.transitions] == [("HALTED", "daily loss")]
    assert outcome.state_end == "HALTED"
    assert outcome.resting_end == 0
    assert outcome.clear_ns >= outcome.after_ns
    assert outcome.loss_worst_quote > outcome.loss_quote_max == 10
    assert outcome.report.desk["halted_by"] == "daily loss"
    assert result.ok


def test_a_gap_is_made_large_enough_to_go_through_the_stop():
    outcome = drill(["gap"], loss_quote_max=100)["gap"]
    assert outcome.caught_by == "daily loss"
    # The jump is half as far again as it takes, so the position loses 150; our bid of 0.01, at the old price, is filled and loses too.
    held = outcome.position_worst[0]
    assert outcome.loss_worst_quote == pytest.approx(150 * held / (held - 0.01), rel=0.01)


def test_what_stays_within_the_limits_on_money_needs_no_catching():
    outcome = drill([Gap(jump_frac=0.01)], loss_quote_max=5000, drawdown_frac_max=0.5, capital_quote=1e6)["gap"]
    assert outcome.caught_by is None
    assert outcome.verdict == "within limits"
    assert outcome.safe
    assert outcome.loss_worst_quote > 0


def test_a_fat_finger_is_harmless_where_no_order_leaves_that_is_larger_than_allowed():
    allowed = drill([FatFinger(for_s=2)], order_qty_max="2")["fat finger"]
    assert (allowed.caught_by, allowed.verdict) == (None, "within limits")
    assert allowed.order_worst == (1.0,)  # a hundred times 0.01
    assert drill([FatFinger(for_s=2)], order_qty_max="0.02")["fat finger"].order_worst[0] <= 0.02


def test_a_venue_that_halts_is_held_by_its_line_and_the_worst_of_unknown_orders_stays_within_the_limit():
    result = drill([VenueHalt(halt_s=4, reopen_frac=0.05)], position_qty_max="0.03")
    outcome = result["venue halt"]
    assert outcome.caught_by == "venue link"
    assert outcome.after_ns == 0
    assert outcome.reach_worst[0] <= 0.03 + 1e-12
    assert outcome.within_position
    # nothing can be cancelled while the venue is away: our orders rest until it opens
    assert outcome.clear_ns >= 4 * S


def test_a_line_that_nobody_watches_is_seen_by_the_data_that_stops():
    outcome = drill([VenueHalt(halt_s=4, link=False)], stale_s_max=1)["venue halt"]
    assert outcome.caught_by == "stale data"
    assert 0.8 * S < outcome.after_ns < 1.3 * S


def test_steps_before_the_halt_are_told_with_their_reasons():
    limits = {"loss_quote_max": 60, "widen_at_frac": 0.3, "reduce_at_frac": 0.6, "position_qty_max": "0.5"}
    outcome = drill([ToxicFlow(for_s=4, drift_frac=0.05)], **limits)["toxic flow"]
    states = [after for _, _, after, _ in outcome.transitions]
    assert {"WIDEN", "REDUCING"} <= set(states) or "HALTED" in states
    assert {why for _, _, after, why in outcome.transitions if after != "ACTIVE"} <= {"daily loss", "position"}
    assert sorted(outcome.transitions, key=lambda one: one[0]) == list(outcome.transitions)


# --- the drill itself -------------------------------------------------------------------------------------------------------------


def test_a_drill_is_the_same_each_time_and_without_a_shock_it_is_the_backtest():
    limits = Limits(**(LOOSE | {"position_qty_max": "0.05"}))
    one, two = (risk_drill(TAPE, QUOTER, limits, scenarios=[SMALL["volatility burst"]], seed=3)["volatility burst"] for _ in range(2))
    assert one == two
    assert one.report.digest == two.report.digest
    other = risk_drill(TAPE, QUOTER, limits, scenarios=[SMALL["volatility burst"]], seed=4)["volatility burst"]
    assert other.report.digest != one.report.digest
    calm = drill([Gap(jump_frac=0.0)], position_qty_max="0.05")["gap"]
    assert calm.report.summary()["fills"] == pytest.approx(backtest(TAPE, None, QUOTER, limits).summary()["fills"], abs=2)


def test_an_instrument_is_drilled_on_a_market_made_for_it():
    result = risk_drill(BTC, QUOTER, Limits(position_qty_max="0.05"), scenarios=["far price"], seconds=8, shock_s=4)
    assert result.shock_s == pytest.approx(4, abs=0.01)
    assert result["far price"].caught_by == "price band"
    assert list(result.table().index) == ["far price"]
    assert repr(result).startswith("<DrillResult ok; far price: price band +")


def test_a_run_is_drilled_on_its_own_recording_with_its_own_quoter_and_limits(tmp_path):
    spec = RunSpec(SynthFeed(BTC), PaperVenue(), (BTC,), (QUOTER,), (Limits(position_qty_max="0.05", price_band_bps=50),))
    run = tmp_path / "run"
    run.mkdir()
    spec.save(run)
    Journal(run / "journal", 1 << 20).append(TAPE.rows)
    outcome = risk_drill(run, scenarios=[SMALL["far price"]])["far price"]
    assert outcome.caught_by == "price band"
    assert outcome.position_max == (0.05,)


def wishing(desk, market, params, quote):
    """One order a side at the touch."""
    quote.bid_ticks, quote.ask_ticks = market.book.best_bid_ticks, market.book.best_ask_ticks
    quote.bid_lots = quote.ask_lots = int(params.order_lots)


def test_a_quoter_of_ones_own_is_drilled_like_any_other():
    mine = UserQuoter(order_qty="0.01", decide=wishing)
    result = risk_drill(
        TAPE, mine, Limits(**(LOOSE | {"order_qty_max": "0.02", "loss_quote_max": 10})), scenarios=["fat finger", SMALL["gap"]]
    )
    assert [one.caught_by for one in result.outcomes] == ["order size", "daily loss"]
    assert result.ok


def test_two_markets_fall_together():
    eth = Instrument.bundled("binance:ETH/USDT")
    both = Tape.join([TAPE, Tape(synth_rows(eth, 14, 6), (eth,), "another")])
    quoters = (QUOTER, FixedSpread(order_qty="0.1", half_spread_ticks=0.5))
    limits = (Limits(**(LOOSE | {"loss_quote_max": 10})), Limits(**LOOSE))
    outcome = risk_drill(both, quoters, limits, scenarios=[Gap(jump_frac=0.2)])["gap"]
    assert outcome.caught_by == "daily loss"
    assert len(outcome.position_worst) == 2
    assert outcome.resting_end == 0


def test_what_cannot_be_drilled_says_why():
    with pytest.raises(UnknownName, match="Did you mean 'flash crash'"):
        drill(["flash crsh"])
    with pytest.raises(UnknownName, match="no scenario 'gap' in this drill"):
        drill([SMALL["far price"]])["gap"]
    with pytest.raises(InputError, match="wants a quoter and limits"):
        risk_drill(TAPE)
    with pytest.raises(InputError, match="asked of a int; wanted an Instrument, a Tape, a Session"):
        risk_drill(7)
    with pytest.raises(InputError, match="shock_s was 99"):
        risk_drill(TAPE, QUOTER, Limits(**LOOSE), shock_s=99)


# --- tapes that are made worse ---------------------------------------------------------------------------------------------------


def book_at(rows, ts_ns):
    """Price -> lots of each side at an exchange time."""
    books = {BID: {}, ASK: {}}
    for row in rows[rows["ts_exch_ns"] <= ts_ns]:
        if row["kind"] == CLEAR:
            for side in books if row["side"] == 0 else (int(row["side"]),):
                books[side].clear()
        elif row["kind"] == DEPTH:
            books[int(row["side"])][int(row["price_ticks"])] = int(row["qty_lots"])
    return {side: {p: q for p, q in levels.items() if q} for side, levels in books.items()}


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(1, 12), st.floats(-0.3, 0.3)), min_size=1, max_size=4), st.booleans())
def test_a_moved_market_has_the_same_book_at_another_place(steps, prints):
    steps = [Step(TAPE.start_ns + int(s * S), frac, prints=prints) for s, frac in sorted(steps)]
    rows = moved(TAPE.rows, steps)
    Tape(rows, TAPE.instruments)  # still a tape
    assert (np.diff(rows["ts_recv_ns"]) >= 0).all()
    at = steps[-1].ts_ns + S
    before, after = book_at(TAPE.rows, at), book_at(rows, at)
    reference = book_at(TAPE.rows, steps[0].ts_ns - 1)
    middle = (max(reference[BID]) + min(reference[ASK])) // 2
    offset = round(middle * steps[-1].frac)
    for side in (BID, ASK):
        best = max if side == BID else min
        assert best(after[side]) == best(before[side]) + offset
        shared = {p + offset: q for p, q in before[side].items()}
        near = sorted(shared, reverse=side == BID)[:20]
        assert {p: after[side].get(p) for p in near} == {p: shared[p] for p in near}


def test_a_step_that_prints_goes_through_what_rests_and_a_gap_does_not():
    step = TAPE.start_ns + 5 * S
    quiet, loud = (moved(TAPE.rows, [Step(step, -0.01, prints=prints)]) for prints in (False, True))
    known = int((TAPE.rows["kind"] == TRADE).sum())
    assert int((quiet["kind"] == TRADE).sum()) == known
    more = loud[(loud["kind"] == TRADE) & (loud["ts_exch_ns"] == step)]
    book = book_at(TAPE.rows, step - 1)
    reached = max(book[BID]) + round((max(book[BID]) + min(book[ASK])) // 2 * -0.01)
    eaten = [(p, book[BID][p]) for p in sorted(book[BID], reverse=True) if p > reached]
    assert set(more["side"].tolist()) == {ASK}
    assert more[["price_ticks", "qty_lots"]].tolist() == [*eaten, (reached, sum(q for _, q in eaten))]


@given(st.floats(0, 13), st.floats(0.001, 10))
def test_what_is_held_back_happens_when_it_did_and_comes_in_order(start_s, for_s):
    start = TAPE.start_ns + int(start_s * S)
    rows = held_back(TAPE.rows, start, start + int(for_s * S))
    assert (rows["ts_exch_ns"] == TAPE.rows["ts_exch_ns"]).all()
    assert (np.diff(rows["ts_recv_ns"]) >= 0).all()
    assert not ((rows["ts_recv_ns"] >= start) & (rows["ts_recv_ns"] < start + int(for_s * S))).any()
    assert (rows["ts_recv_ns"] >= TAPE.rows["ts_recv_ns"]).all()


def test_a_stopped_market_leaves_whole_messages_out():
    start = TAPE.start_ns + 5 * S
    rows = stopped(TAPE.rows, start, start + 2 * S)
    gone = (TAPE.rows["ts_exch_ns"] >= start) & (TAPE.rows["ts_exch_ns"] < start + 2 * S)
    assert len(rows) == len(TAPE.rows) - int(gone.sum())
    assert (rows["flags"][-1] & LAST) != 0

"""The partition law, and the accounts, over random tapes with two instruments."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import TAPES, A, B, Writer, build_tape

from hftlab.assumptions import Fees, Latency, Queue
from hftlab.data.state import build
from hftlab.kernels import core
from hftlab.params import AvellanedaStoikov, FixedSpread, Limits
from hftlab.types import ASK, CANCEL, CANCELED, FILL, SUBMIT, TRADE

LATENCY = Latency(order_ms=3, report_ms=4)
# Every limit that is off by default, near enough to bite on these tapes.
ALL_ON = {
    "loss_frac_max": 0.02,
    "exposure_quote_max": 6000,
    "leverage_max": 0.7,
    "margin_frac": 0.5,
    "risk_per_trade_frac_max": 0.01,
    "stop_bps": 100,
    "liquidity_frac_max": 0.5,
    "concentration_frac_max": 0.5,
    "requests_reserved": 2,
    "latency_ms_max": 9,
    "volatility_bps_max": 40,
    "size_volatility_bps": 10,
    "vpin_max": 0.9,
    "markout_loss_bps_max": 5,
    "markout_ms": 50,
    "sweep_levels_max": 2,
    "sweep_sigmas_max": 3,
    "pull_s": 0.2,
    "widen_at_frac": 0.3,
    "reduce_at_frac": 0.6,
}
# Every quoting decision that is off by default.
DECISIONS = {
    "life_move_ticks": 1,
    "life_ms_max": 50,
    "queue_keep_ticks": 2,
    "placement_ticks": 2,
    "fill_horizon_s": 1,
    "regime_factor_max": 3,
    "regime_ratio_min": 1,
    "regime_half_life_s": 0.1,
    "size_taper_frac": 0.7,
    "calibration_band_ticks": 0.75,
}
VENUES = st.fixed_dictionaries(
    {
        "latency": st.sampled_from(
            [LATENCY, Latency(order_ms=1, cancel_ms=9, compute_us=250, feed_share=1.5, jitter_ms=3, seed=5), (Latency(), LATENCY)]
        ),
        "queue": st.sampled_from(["power", "log2", "fifo", "touch", Queue(partial_fills=False), ("risk_averse", "through")]),
        "more": st.sampled_from([None, ALL_ON]),
        "decisions": st.sampled_from([None, DECISIONS]),
        "fees": st.just(Fees(maker_bps=1, taker_bps=5, tiers=[(1000, 0.5, 4)])),
    }
)


def two_markets(*, more=None, decisions=None, **options):
    more = more or {}
    first, second = {"hysteresis_ticks": 1, "life_ms_min": 5}, {"life_ms_min": 0, "fair": "micro"}
    if decisions:
        first |= decisions | {"half_spread_sigmas": 0.1, "skew_sigmas_per_order": 0.1}
        second |= decisions
    buckets = ({"vpin_bucket_qty": "0.02"}, {"vpin_bucket_qty": "2"}) if more else ({}, {})
    quoters = (
        FixedSpread(order_qty="0.2", half_spread_ticks=1, skew_ticks_per_order=0.5, levels=2, **first),
        AvellanedaStoikov(order_qty="20", risk_aversion=0.001, decay_per_price=100, **second),
    )
    limits = (
        Limits(position_qty_max="1", requests_per_s_max=100, loss_quote_max=300, **more, **buckets[0]),
        Limits(position_qty_max="100", requests_per_s_max=100, loss_quote_max=300, **more, **buckets[1]),
    )
    options = {"fees": Fees(maker_bps=1, taker_bps=5), "latency": LATENCY} | options
    return build((A, B), quoters, limits, **options)


@settings(max_examples=60)
@given(steps=TAPES, cuts=st.lists(st.integers(0, 10_000), max_size=12), venue=VENUES)
def test_any_partition_of_a_tape_leaves_the_same_bytes(steps, cuts, venue):
    rows = build_tape(steps)
    whole, parts = two_markets(**venue), two_markets(**venue)
    written = whole.step(core.run, rows)
    edges = sorted({0, len(rows), *(c % (len(rows) + 1) for c in cuts)})
    pieces = [parts.step(core.run, rows[a:b]) for a, b in itertools.pairwise(edges)]
    assert whole.digest() == parts.digest()
    assert np.concatenate(pieces).tobytes() == written.tobytes()


@settings(max_examples=60)
@given(steps=TAPES)
def test_fills_add_up_to_position_cash_and_fees(steps):
    state = two_markets()
    written = state.step(core.run, build_tape(steps))
    for i in (0, 1):
        fills = written[(written["kind"] == FILL) & (written["instrument"] == i)]
        signed = fills["side"].astype(np.int64) * fills["qty_lots"]
        market = state.markets[i]
        assert signed.sum() == market["position_lots"]
        assert -(signed * fills["price_ticks"]).sum() == market["cash_ticklots"]
        maker = (fills["flags"] & 256) != 0
        assert (fills["price_ticks"] * fills["qty_lots"] * np.where(maker, 100, 500)).sum() == int(
            market["fees_ticklots"]
        ) * 1_000_000 + int(market["fees_uticklots"])
        assert abs(market["position_lots"]) <= market["limits"]["position_lots_max"]
    assert state.desk["unexpected"][0] == 0


def quiet_market(**options):
    """One market with a snapshot at 2000 +- 1 with 50 lots a level, quoted one tick from the mid."""
    w = Writer(copies=True, feed_ns=0)
    w.snapshot(0, 2000)
    quoter = FixedSpread(order_qty="0.1", half_spread_ticks=1, life_ms_min=0)
    options = {"latency": Latency(order_ms=1)} | options
    state = build((A,), (quoter,), (Limits(position_qty_max="1"),), **options)
    return w, state


@pytest.mark.parametrize("model", ["risk_averse", "power"])
def test_fifty_lots_ahead_are_traded_before_us_whatever_the_queue_model(model):
    # Our bid of 10 joins 50 at 1999. Sellers print 30, then 20: nothing for us. Then 4: we get 4. Then 9: the other 6.
    w, state = quiet_market(queue=model)
    for lots in (30, 20, 4, 9):
        w.now += 10_000_000
        w.message(w.row(TRADE, 0, ASK, 1999, lots))
    w.now += 10_000_000
    w.message(w.row(TRADE, 0, ASK, 1990, 1))
    written = state.step(core.run, w.array())
    fills = written[written["kind"] == FILL]
    assert fills["qty_lots"].tolist() == [4, 6]
    assert fills["price_ticks"].tolist() == [1999, 1999]


def test_a_print_fills_no_more_than_its_own_quantity():
    w, state = quiet_market()
    w.now += 10_000_000
    w.message(w.row(TRADE, 0, ASK, 1998, 3))  # through our price: 3 lots, not our 10
    w.now += 10_000_000
    w.message(w.row(TRADE, 0, ASK, 1990, 0))
    written = state.step(core.run, w.array())
    assert written[written["kind"] == FILL]["qty_lots"].tolist() == [3]


def test_requests_travel_and_the_desk_learns_of_them_late():
    w, state = quiet_market(latency=Latency(order_ms=5, report_ms=7))
    rows = w.array()
    state.step(core.run, rows)
    assert state.desk["submits"][0] == 2
    assert set(state.markets[0]["orders"]["status"][:2]) == {1}
    for ms, status in ((11, 1), (13, 2)):
        w = Writer(copies=True, feed_ns=0)
        w.now += ms * 1_000_000
        w.message(w.row(TRADE, 0, ASK, 1500, 0))
        state.step(core.run, w.array())
        assert set(state.markets[0]["orders"]["status"][:2]) == {status}


def test_a_report_for_an_order_that_is_not_ours_is_counted_and_changes_no_order():
    w, state = quiet_market()
    w.message(w.row(CANCELED, 0, order_id=987_654))
    state.step(core.run, w.array())
    assert state.desk["unexpected"][0] == 1


def test_requests_are_only_submits_and_cancels_where_the_venue_cannot_amend():
    state = two_markets()
    rows = build_tape([(1, "move", n, 50, 300) for n in (1, 2, 1, -3, -2)])
    written = state.step(core.run, rows)
    kinds = set(written[(written["instrument"] == 1) & (written["kind"] < 112) & (written["kind"] >= 96)]["kind"].tolist())
    assert kinds == {SUBMIT, CANCEL}

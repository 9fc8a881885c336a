"""Limits: their way into the record and back, what does not fit together, and what a running desk may change."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import limits, quoter
from tapes import A, B

from hftlab.data.state import build
from hftlab.engine.commands import rows_of
from hftlab.errors import CommandRefused, InputError, UnknownName
from hftlab.limits import FIXED, RULES, SMALLER, Limits, human, looser
from hftlab.types import ACTIVATE, DEACTIVATE, LIMIT_NAMES, SET_LIMITS

FULL = {
    "position_qty_max": "0.5",
    "order_qty_max": "0.1",
    "orders_max": 7,
    "notional_quote_max": 5000,
    "loss_frac_max": 0.02,
    "exposure_quote_max": 9000,
    "leverage_max": 3,
    "margin_frac": 0.25,
    "risk_per_trade_frac_max": 0.02,
    "stop_bps": 50,
    "liquidity_frac_max": 0.05,
    "concentration_frac_max": 0.1,
    "one_position": True,
    "requests_reserved": 5,
    "latency_ms_max": 50,
    "volatility_bps_max": 3,
    "size_volatility_bps": 1,
    "vpin_bucket_qty": "2.5",
    "vpin_max": 0.7,
    "markout_loss_bps_max": 2,
    "markout_ms": 500,
    "markout_half_life_s": 30,
    "sweep_levels_max": 5,
    "sweep_sigmas_max": 4,
    "sweep_ms": 50,
    "pull_s": 2,
    "widen_at_frac": 0.6,
    "reduce_at_frac": 0.8,
    "recover_frac": 0.7,
    "widen_factor": 1.5,
}


def test_every_limit_stands_in_the_table_and_in_the_record():
    assert {f.name for f in fields(Limits)} - {"hard"} == set(RULES)
    assert {rule.machine for rule in RULES.values()} == set(LIMIT_NAMES)


def test_limits_come_back_from_their_record_and_from_their_dict():
    full = Limits(**FULL, hard={"loss_quote_max": 900})
    record = full.record(A)
    again = Limits.of(record[0], A)
    assert again.record(A).tobytes() == record.tobytes()
    for name, value in FULL.items():
        assert float(human(name, record[0], A)) == pytest.approx(float(value))
    assert Limits(**full.to_dict()) == full
    assert "vpin_max" not in Limits(position_qty_max=1).to_dict()


def test_what_is_not_set_never_stops_anything():
    record = Limits(position_qty_max=1).record(A)[0]
    off = {"margin_frac": 0, "stop_bps": 0, "one_position": 0, "requests_reserved": 0, "vpin_bucket_lots": 0}
    always = ("position_lots_max", "order_lots_max", "orders_max", "price_band_bps", "stale_ns_max", "capital_quote", "loss_quote_max")
    always += ("drawdown_frac_max", "requests_per_s_max", "requests_burst")
    how = ("markout_ns", "markout_half_life_s", "sweep_ns", "pull_ns", "recover_frac", "widen_factor")
    for name in LIMIT_NAMES:
        if name not in always + how:
            assert float(record[name]) == off.get(name, math.inf)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"risk_per_trade_frac_max": 0.02}, "needs stop_bps"),
        ({"vpin_max": 0.5}, "needs vpin_bucket_qty"),
        ({"requests_reserved": 20}, "nothing could ever be sent"),
        ({"widen_at_frac": 0.8, "reduce_at_frac": 0.5}, "below widen_at_frac"),
        ({"widen_factor": 0.5}, "from 1"),
        ({"leverage_max": math.nan}, "leverage_max was nan"),
        ({"hard": {"loss_quote_max": 400}}, "tighter than the limit 500"),
        ({"hard": {"requests_reserved": 3}}, "tighter"),
        ({"hard": {"markout_ms": 5}}, "cannot be changed"),
        ({"hard": {"los_quote_max": 5}}, "loss_quote_max"),
    ],
)
def test_limits_that_cannot_be_are_refused_with_what_was_wanted(options, said):
    with pytest.raises(InputError, match=said):
        Limits(position_qty_max=1, **options).caps(A)


# --- while it runs ---------------------------------------------------------------------------------------------------------------


def state(*bounds):
    return build((A, B)[: len(bounds)], (quoter(order_qty="1"),) * len(bounds), bounds, simulate=False)


def change(desk, market=0, **values):
    return rows_of("set_limits", market, values, desk, 1)


def apply(desk, rows):
    for row in rows:
        assert row["kind"] == SET_LIMITS
        desk.markets["limits"][int(row["instrument"])][LIMIT_NAMES[int(row["order_id"])]] = row["price_ticks"].view("f8")


def test_a_limit_is_loosened_up_to_what_it_was_at_the_start_and_no_further():
    desk = state(limits(loss_quote_max=100))
    apply(desk, change(desk, loss_quote_max=10))
    apply(desk, change(desk, loss_quote_max=100))
    with pytest.raises(CommandRefused, match=r"loss_quote_max was 100.01, looser than the hard cap 100.0"):
        change(desk, loss_quote_max=100.01)
    with pytest.raises(CommandRefused, match="vpin_bucket_qty is how something is measured"):
        change(desk, vpin_bucket_qty=1)


def test_a_market_that_is_paid_in_full_gets_no_margin_while_it_runs():
    # A margin of 1 % would let a hundred times as much be bought with the same capital.
    desk = state(limits())
    for margin_frac in (1e-9, 0.01, 0.5, 1.0):
        with pytest.raises(CommandRefused, match=r"margin_frac was .* looser than the hard cap 0"):
            change(desk, margin_frac=margin_frac)
    change(desk, margin_frac=1.5)
    desk = state(limits(margin_frac=0.5))
    apply(desk, change(desk, margin_frac=0))  # paid in full is stricter
    apply(desk, change(desk, margin_frac=0.5))
    with pytest.raises(CommandRefused, match=r"looser than the hard cap 0\.5"):
        change(desk, margin_frac=0.4)
    change(state(limits(hard={"margin_frac": 0.1})), margin_frac=0.1)  # a person allowed it beforehand


def test_a_hard_cap_is_what_a_person_allowed_beforehand():
    desk = state(limits(loss_quote_max=100, hard={"loss_quote_max": 300, "requests_reserved": 0}))
    change(desk, loss_quote_max=300)
    with pytest.raises(CommandRefused, match="hard cap 300"):
        change(desk, loss_quote_max=301)


def test_nothing_is_applied_when_one_of_several_is_refused():
    desk = state(limits())
    with pytest.raises(CommandRefused):
        change(desk, orders_max=3, loss_quote_max=1e10)
    with pytest.raises(UnknownName, match="order_qty_max"):
        change(desk, orders_max=3, order_qty_mx=1)
    with pytest.raises(InputError, match="no limit"):
        change(desk)


def test_limits_of_the_desk_are_set_with_its_first_market_whichever_is_named():
    desk = state(limits(), limits())
    rows = change(desk, 1, loss_quote_max=50, order_qty_max=1)
    assert sorted((int(r["instrument"]), LIMIT_NAMES[int(r["order_id"])]) for r in rows) == [(0, "loss_quote_max"), (1, "order_lots_max")]


@given(
    name=st.sampled_from([name for name in RULES if not RULES[name].sized and name != "one_position"]),
    value=st.floats(0, 1e6),
)
def test_no_sequence_of_changes_passes_a_cap(name, value):
    desk = state(limits(**FULL | {"position_qty_max": "1"}))
    rule, cap = RULES[name], float(desk.caps[0][RULES[name].machine])
    try:
        apply(desk, change(desk, **{name: value}))
    except (InputError, CommandRefused):
        return
    now = float(desk.markets["limits"][0][rule.machine])
    assert not looser(rule, now, cap)
    assert now >= cap if rule.looser == SMALLER else now == cap if rule.looser == FIXED else now <= cap


def test_activate_and_deactivate_are_of_one_market():
    desk = state(limits(), limits())
    for name, kind in (("activate", ACTIVATE), ("deactivate", DEACTIVATE)):
        row = rows_of(name, 1, {}, desk, 5)[0]
        assert (int(row["kind"]), int(row["instrument"])) == (kind, 1)
    with pytest.raises(UnknownName, match="takes no parameters"):
        rows_of("deactivate", 0, {"x": 1}, desk, 5)

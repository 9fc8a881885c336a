"""Quality of quotes and whose P&L it was: by hand, against a slow count, and closed to the last unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tca import BOTH, collect
from written import LINEAR, MS, START_NS, STORIES, Written, build, row

import hftlab as hl
from hftlab.analytics.costs import attribution, quality
from hftlab.analytics.costs.stays import down_ns, live_lots, pieces, stay_of, stays
from hftlab.analytics.facts.pnl import identity
from hftlab.analytics.report.report import Report
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.errors import InputError
from hftlab.types import ACCEPTED, AMEND, AMENDED, CANCEL, CANCELED, HALTED, NO_PRICE, STATE, SUBMIT

AT = START_NS
SIM = hl.Instrument.bundled("sim:BTC/USDT")


def report_of(kind, ms, order_id, side, price, lots, leaves=None, ahead=0):
    return row(kind, AT + ms * MS, AT + ms * MS + MS, price, lots, lots if leaves is None else leaves, order_id, ahead, side)


def asked(kind, ms, order_id, side=0, price=0, lots=0):
    return row(kind, AT + ms * MS, AT + ms * MS, price, lots, order_id=order_id, side=side)


def two_sided():
    """Ten seconds, mid 101 then 103: bid 99 from 1 s, raised to 101 at 4 s, filled there 2 + 3 of 5; ask 103 from 2 s, cancelled at 8 s."""
    w = Written()
    w.touch(AT, 100, 102)
    w.sample(AT, 101.0)
    w.add(AT + 990 * MS, asked(SUBMIT, 990, 1, 1, 99, 5))
    w.add(AT + 1_000 * MS, report_of(ACCEPTED, 1_000, 1, 1, 99, 5, ahead=7))
    w.add(AT + 1_990 * MS, asked(SUBMIT, 1_990, 2, -1, 103, 4))
    w.add(AT + 2_000 * MS, report_of(ACCEPTED, 2_000, 2, -1, 103, 4, ahead=1))
    w.touch(AT + 3_000 * MS, 102, 104)
    w.add(AT + 3_990 * MS, asked(AMEND, 3_990, 1, 1, 101, 5))
    w.add(AT + 4_000 * MS, report_of(AMENDED, 4_000, 1, 1, 101, 5, ahead=0))
    w.touch(AT + 5_000 * MS, 101, 103, bid_lots=9)
    w.fill(AT + 5_500 * MS, AT + 5_501 * MS, 1, 101, 2, leaves=3)
    w.fill(AT + 6_000 * MS, AT + 6_001 * MS, 1, 101, 3, leaves=0)
    w.touch(AT + 6_200 * MS, 100, 102)
    w.add(AT + 7_990 * MS, asked(CANCEL, 7_990, 2))
    w.add(AT + 8_000 * MS, report_of(CANCELED, 8_000, 2, -1, 103, 4))
    w.sample(AT + 10_000 * MS, 101.0)
    return w


# --- stays -------------------------------------------------------------------------------------------------------------------
def test_quotes_by_hand():
    facts = collect(two_sided().array())
    found = stays(facts.own, facts.end_ns)
    told = [(int(s["order_id"]), int(s["price_ticks"]), (int(s["from_ns"]) - AT) // MS, (int(s["until_ns"]) - AT) // MS) for s in found]
    assert told == [(1, 99, 1_000, 4_000), (1, 101, 4_000, 6_000), (2, 103, 2_000, 8_000)]
    assert list(found["filled_lots"]) == [0, 5, 0]
    assert list(found["ahead_lots"]) == [7, 0, 1]
    assert list(stay_of(found, np.array([1, 1, 2, 9]), AT + np.array([1_500, 6_000, 3_000, 1_500]) * MS)) == [0, 1, 2, -1]
    figures = quality.quotes(facts, 0, LINEAR)
    assert figures["quotes"] == 3
    assert figures["quote_hit_rate"] == pytest.approx(1 / 3)
    assert figures["quote_life_ms_p50"] == 3_000
    assert figures["quote_life_ms_max"] == 6_000
    assert figures["quote_to_fill_ms_p50"] == 1_500
    assert figures["ahead_at_placement_base_p50"] == pytest.approx(0.01)
    assert figures["ahead_at_placement_of_filled_base_p50"] == 0
    assert figures["behind_at_fill_base_p50"] == pytest.approx(0.09)


def test_spread_capture_by_hand():
    facts = collect(two_sided().array())
    one = quality.capture(facts, 0, 1.0)
    # The price of 101 was taken while the mid was 103: 2 ticks quoted on 5 lots. The mid was 101 a second after each fill: nothing kept.
    assert (one["value"], one["fills"], one["excluded"]) == (0.0, 2, 0)
    w = two_sided()
    w.touch(AT + 6_300 * MS, 101, 103)
    # Now the mid is 102 a second later: one tick of two kept.
    assert quality.capture(collect(w.array()), 0, 1.0)["value"] == 0.5
    assert quality.capture(collect(w.array()), 0, 10.0)["excluded"] == 2
    assert np.isnan(one["low"])


def test_uptime_by_hand():
    facts = collect(two_sided().array())

    def up(within, least=None):
        return quality.uptime(facts, 0, LINEAR, within_ticks=within, qty_min=least)

    # Both sides rest from 2 s to 6 s. The bid of 99 stands 1 behind until 3 s, then 3 behind until 4 s; that of 101 is 1 behind until 5 s, then best.
    # The ask of 103 stands 1 behind until 3 s, then 1 in front of the market (104) until 5 s, then at it.
    assert up(None) == pytest.approx(0.4)
    assert up(5) == pytest.approx(0.4)
    assert up(2) == pytest.approx(0.3)
    assert up(1) == pytest.approx(0.3)
    assert up(0) == pytest.approx(0.1)
    # With 4 lots on both sides until the fill at 5.5 s leaves 3.
    assert up(None, "0.04") == pytest.approx(0.35)
    assert up(None, "0.05") == 0.0
    with pytest.raises(InputError):
        up(None, "-1")


def test_a_halted_desk_is_down_though_its_orders_still_rest():
    w = two_sided()
    w.add(AT + 3_500 * MS, row(STATE, AT + 3_500 * MS, AT + 3_500 * MS, lots=HALTED, seq=1))
    assert quality.uptime(collect(w.array()), 0, LINEAR, within_ticks=None) == pytest.approx(0.15)
    w.add(AT + 5_000 * MS, row(STATE, AT + 5_000 * MS, AT + 5_000 * MS, lots=0, seq=1))
    facts = collect(w.array())
    assert down_ns(facts.states, facts.end_ns) == [(AT + 3_500 * MS, AT + 5_000 * MS)]
    assert quality.uptime(facts, 0, LINEAR, within_ticks=None) == pytest.approx(0.25)


def test_requests_a_fill_at_as_many_fills():
    facts = collect(two_sided().array())
    assert quality.order_to_trade(facts, 0) == 2.0  # two new, one amend, one cancel; two fills
    assert quality.order_to_trade(facts, 0, 1) == 3.0  # the cancel came after the first
    assert np.isnan(quality.order_to_trade(facts, 0, 3))
    figures = quality.throughput(facts, 0)
    assert figures == {"requests_per_s": 0.4, "orders_per_s": 0.2, "requests_in_busiest_s": 1}
    turned = quality.turnover(facts, 0, LINEAR)
    assert turned["inventory_turnover"] == pytest.approx(5 / (2 * 0.05 + 5 * 0.4))  # held 2 for half a second, 5 for four, of ten


@settings(max_examples=40)
@given(
    orders=st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 30), st.sampled_from([1, -1]), st.integers(0, 6), st.integers(1, 9)), max_size=12
    ),
    moves=st.lists(st.tuples(st.integers(0, 60), st.integers(-3, 3)), max_size=12),
    within=st.sampled_from([None, 0, 2, 5]),
    least=st.integers(1, 12),
)
def test_live_size_is_what_a_slow_count_finds(orders, moves, within, least):
    w, mid = Written(), 100
    for ms, move in sorted(moves):
        mid += move
        w.touch(AT + ms * MS, mid - 1, mid + 1)
    for number, (start, lasts, side, behind, lots) in enumerate(orders, 1):
        price = 100 - side * behind
        w.add(AT + start * MS, report_of(ACCEPTED, start, number, side, price, lots))
        w.add(AT + (start + lasts) * MS, report_of(CANCELED, start + lasts, number, side, price, lots))
    w.sample(AT + 80 * MS, 100.0)
    w.sample(AT - MS, 100.0)  # the run begins a millisecond before the first order
    facts = collect(w.array())
    edges = AT + np.arange(81) * MS
    lots = live_lots(pieces(facts.own, facts.end_ns), facts.prices[0], within, edges)
    up = 0
    for ms in range(80):
        bid, ask = NO_PRICE, NO_PRICE
        level = 100
        for at, move in sorted(moves):
            level += move
            if at <= ms:
                bid, ask = level - 1, level + 1
        found = [0, 0]
        for start, lasts, side, behind, size in orders:
            price, best = 100 - side * behind, bid if side > 0 else ask
            near = within is None or (best != NO_PRICE and side * (best - price) <= within)
            found[side < 0] += size * (start <= ms < start + lasts and near)
        assert list(lots[:, ms]) == found
        up += min(found) >= least
    assert quality.uptime(facts, 0, LINEAR, within_ticks=within, qty_min=f"{least / 100}") == pytest.approx(up / 81)


# --- attribution -------------------------------------------------------------------------------------------------------------
@settings(max_examples=40)
@given(steps=STORIES, slice_s=st.sampled_from([0.5, 3.0, 100.0]))
def test_every_attribution_adds_up_to_the_account(steps, slice_s):
    w = build(steps)
    facts = collect(w.array(), BOTH)
    closed = identity(facts, BOTH, w.ledgers())
    accounts = tuple({"quoter": name} for name in ("A", "B"))
    report = Report(BOTH, facts, accounts, {}, w.ledgers(), len(w.rows))
    wanted = sum(one.total.account * one.instrument.ticklot_quote / 2e8 for one in closed)
    for by in attribution.BY:
        table = report.attribution(by, slice_s=slice_s)
        assert table["pnl_quote"].sum() == pytest.approx(wanted, abs=1e-9)
        assert (table["residual"] == 0).all()
        assert table["fills"].sum() == len(facts.fills)


def test_slices_and_states_by_hand():
    facts = collect(two_sided().array())
    names = attribution._spread(facts.prices[0], AT + np.array([0, 5_000, 10_000]) * MS)
    assert list(names) == ["2 ticks", "2 ticks"]
    edges = AT + np.array([0, 2_500, 5_500, 10_000]) * MS
    # Moves of the mid: none, +2 and -1, -1.
    assert list(attribution._volatility(facts.prices[0], edges)) == ["calm", "wild", "middling"]


def test_attribution_says_what_it_can_do_and_follows_a_run():
    tape = hl.sample().slice(0, 60)
    quoter = hl.FixedSpread(order_qty="0.01", half_spread_ticks=1, life_ms_min=0)
    report = hl.backtest(tape, None, quoter, hl.Limits(position_qty_max="0.05", loss_quote_max=200), fees=hl.Fees(maker_bps=-0.5))
    assert report.attribution("quoter").index.to_list() == ["FixedSpread"]
    assert report.attribution("quoter")["pnl_quote"].iloc[0] == pytest.approx(report.pnl_quote)
    assert report.attribution("volatility")["time_share"].sum() == pytest.approx(1)
    with pytest.raises(InputError, match="Did you mean 'hour'"):
        report.attribution("hours")
    with pytest.raises(InputError, match="slice_s was 0"):
        report.attribution("spread", slice_s=0)
    figures = report.quality()["BTC/USDT"]
    assert figures["order_to_trade"] == report.summary()["order_to_trade"]
    assert figures["uptime_anywhere_share"] == pytest.approx(report.figures().loc["quoted_both_share", "BTC/USDT"], abs=1e-9)
    assert figures["quotes"] == (report.facts.own["kind"] == ACCEPTED).sum() + (report.facts.own["kind"] == AMENDED).sum()


def test_where_takers_know_more_a_maker_captures_less_than_nothing_and_leaning_holds_less():
    """The small version of benchmarks/bench_quoters.py: one seed, three minutes."""
    tape = Tape(synth_rows(SIM, 180, 0, toxic=1.0), (SIM,))
    limits = hl.Limits(position_qty_max="0.5", loss_quote_max=1e9, drawdown_frac_max=1e9, capital_quote=1e9)
    by = {
        "symmetric": hl.FixedSpread(order_qty="0.01", half_spread_ticks=1),
        "leaning": hl.AvellanedaStoikov(order_qty="0.01", risk_aversion=10, horizon="stationary"),
    }
    made = {name: hl.backtest(tape, SIM, one, limits, latency=hl.Latency(order_ms=5)) for name, one in by.items()}
    for report in made.values():
        captured = quality.capture(report.facts, 0, 1.0)
        assert captured["high"] < 0
        assert captured["fills"] > 50
    held = {name: report.figures().loc["position_base_sd"].iloc[0] for name, report in made.items()}
    assert held["leaning"] < 0.7 * held["symmetric"]

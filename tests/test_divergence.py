"""The divergence meter: three exchanges on the same rows, bounds in the right order, the same again from the same rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import BTC, limits, quoter
from tapes import STEP, A, B, build_tape

import hftlab as hl
from hftlab.analytics.divergence.shadow import NAMES, Divergence, _Same
from hftlab.backtesting.timers import with_timers
from hftlab.data.synth import synth_rows
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UnknownName
from hftlab.types import ACCEPTED, EVENT, FILL, LATENCY, SUBMIT

LATE = hl.Latency(order_ms=4.0, report_ms=3.0)
MS = 1_000_000


def meter(**options):
    return Divergence((BTC,), (quoter(),), (limits(),), **({"latency": LATE, "fees": hl.Fees(maker_bps=1)} | options))


def journal(seconds=30.0, seed=4):
    tape = Tape(synth_rows(BTC, seconds, seed, latency_ns=2 * MS, trade_per_s=8.0), (BTC,), "made")
    return np.concatenate(list(with_timers(iter([tape.merge().rows]), 100 * MS)))


def test_each_of_the_three_is_the_backtest_with_its_queue():
    rows = journal()
    found = meter(queue=hl.Queue(model="power", power=1.5))
    written = found.step(rows)
    figures = found.figures()
    tape = Tape(synth_rows(BTC, 30.0, 4, latency_ns=2 * MS, trade_per_s=8.0), (BTC,), "made")
    for name, queue in (("optimistic", "touch"), ("modelled", hl.Queue(model="power", power=1.5)), ("pessimistic", "through")):
        report = hl.backtest(tape, BTC, quoter(), limits(), queue=queue, latency=LATE, fees=hl.Fees(maker_bps=1))
        assert figures[name]["fills"] == report.summary()["fills"] > 5
        assert figures[name]["filled_lots"] == int(report.fills["qty_lots"].sum())
        assert figures[name]["position_lots"] == [report.ledgers[0].position_lots]
    assert figures["optimistic"]["filled_lots"] > figures["modelled"]["filled_lots"] > figures["pessimistic"]["filled_lots"]
    assert figures["lots_apart"] == figures["optimistic"]["filled_lots"] - figures["pessimistic"]["filled_lots"]
    assert figures["pnl_apart"] == figures["optimistic"]["pnl_quote"] - figures["pessimistic"]["pnl_quote"]
    assert 0 < figures["sure_share"] < 1
    assert np.count_nonzero(written["kind"] == FILL) == figures["modelled"]["fills"]
    assert (written["kind"] == SUBMIT).any()


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 40_000), max_size=6))
def test_how_the_rows_are_cut_changes_nothing(cuts):
    rows = journal(10.0)
    whole, parts = meter(), meter()
    whole.step(rows)
    for part in np.split(rows, sorted(min(cut, len(rows)) for cut in cuts)):
        parts.step(part)
    assert parts.digest() == whole.digest()
    assert parts.figures() == whole.figures()


@settings(max_examples=20)
@given(steps=st.lists(STEP, min_size=5, max_size=60))
def test_the_same_rows_give_the_same_figures(steps):
    rows = build_tape(steps)
    rows = rows[rows["kind"] != LATENCY]
    made = []
    for _ in range(2):
        found = Divergence((A, B), (quoter(order_qty="0.2"), quoter(order_qty="20")), (limits(), limits(position_qty_max="100")))
        found.step(rows)
        made.append((found.digest(), found.figures()))
    assert made[0] == made[1]
    share = made[0][1]["sure_share"]
    assert share is None or 0 <= share <= 1


def test_before_the_first_fill_nothing_is_shared():
    found = meter()
    found.step(np.zeros(0, EVENT))
    figures = found.figures()
    assert figures["sure_share"] is None
    assert [figures[name]["fills"] for name in NAMES] == [0, 0, 0]


def fills(*rows):
    made = np.zeros(len(rows), EVENT)
    made["kind"] = FILL
    for k, (ts_ms, side, ticks, lots) in enumerate(rows):
        made["ts_recv_ns"][k] = ts_ms * MS
        made["ts_exch_ns"][k], made["side"][k], made["price_ticks"][k], made["qty_lots"][k] = ts_ms * MS, side, ticks, lots
    return made


def test_a_lot_is_the_same_once():
    same, none = _Same(1000 * MS), fills()
    same.add(fills((0, 1, 100, 5), (10, -1, 101, 3)), none)
    same.add(none, fills((200, 1, 100, 4)))
    assert same.lots == 4
    same.add(none, fills((300, 1, 100, 4)))  # one lot was left, and three wait for the model
    assert same.lots == 5
    same.add(fills((400, 1, 100, 2)), none)
    assert same.lots == 7
    same.add(none, fills((5000, -1, 101, 3)))  # too late
    assert same.lots == 7
    same.add(fills((9000, 1, 50, 1)), fills((9000, 1, 50, 1)))
    assert same.lots == 8


def test_what_waits_is_forgotten_in_time():
    same = _Same(1000 * MS)
    for k in range(500):
        same.add(fills((k * 100, 1, k, 1)), fills())
    assert len(same._open[0]) <= 11


def test_bad_input_is_refused():
    report = np.zeros(1, EVENT)
    report["kind"] = ACCEPTED
    with pytest.raises(InputError, match="plays its own venue"):
        meter().step(report)
    with pytest.raises(UnknownName, match="latency"):
        meter(latnecy=LATE)

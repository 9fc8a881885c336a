"""Advice about latency: which stage, how much of the whole, and what the likely reason is on this machine."""

import dataclasses
import math

import pytest
from stories import Story

from hftlab import cli
from hftlab.analytics.costs.advice import NOTHING, Machine, advise, this_machine
from hftlab.types import BID

IDLE = Machine(cores=4, load=0.2, real_time=True)
GOOD = {"feed_lag_ms": 8.0, "loop_gap_ms": 2.0, "tick_us": {"p50": 10.0, "p99": 40.0}}


@pytest.fixture(scope="module")
def frame():
    return Story().state.frame()


def of(frame, machine=IDLE, **engine):
    return {one.stage: one for one in advise(dataclasses.replace(frame, engine=GOOD | engine), machine)}


def gateway(within_ms, waiting=0):
    return [{"venue": "x", "waiting": waiting, "clock": {"samples": 3, "within_ms": within_ms}}]


def test_shares_are_of_the_whole_way(frame):
    # 8 ms in, 2 ms of waiting, 0.01 ms of thinking, 9.99 ms out: 20 ms in all.
    found = of(frame, gateways=gateway(9.99))
    assert [round(found[name].share, 4) for name in ("exchange to us", "waiting for the loop", "rows to requests")] == [0.4, 0.1, 0.0005]
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    assert (found["rows to requests"].p50_ms, found["rows to requests"].p99_ms) == (0.01, 0.04)


def test_where_all_is_well_there_is_nothing_to_do(frame):
    found = of(frame, gateways=gateway(10.0))
    assert {one.what_to_do for name, one in found.items() if name != "fill to us"} == {NOTHING}


@pytest.mark.parametrize(
    ("engine", "machine", "stage", "says"),
    [
        ({"feed_lag_ms": 180.0}, IDLE, "exchange to us", "venue's region"),
        ({"feed_lag_ms": -30.0}, IDLE, "exchange to us", "set the clock first"),
        ({"feed_lag_ms": 60.0, "clock_offset_ms": 45.0}, IDLE, "exchange to us", "off by +45 ms"),
        ({"loop_gap_ms": 40.0}, Machine(2, 6.5, real_time=True), "waiting for the loop", "6.5 processes want 2 cores"),
        ({"loop_gap_ms": 40.0}, Machine(1, 0.5, real_time=True), "waiting for the loop", "one of its own"),
        ({"loop_gap_ms": 40.0}, Machine(4, 0.5, real_time=False), "waiting for the loop", "ulimit -r"),
        ({"loop_gap_ms": 40.0}, IDLE, "waiting for the loop", "interpreter"),
        ({"tick_us": {"p50": 300.0, "p99": 400.0}}, IDLE, "rows to requests", "fewer levels"),
        ({"tick_us": {"p50": 10.0, "p99": 5000.0}}, IDLE, "rows to requests", "decide_on='timer'"),
        ({"tick_us": {"p50": 10.0, "p99": 5000.0}}, Machine(2, 9.0), "rows to requests", "overbooked"),
        ({"gateways": gateway(80.0)}, IDLE, "order to the venue", "venue's region"),
        ({"gateways": gateway(8.0, waiting=3)}, IDLE, "order to the venue", "3 requests wait"),
        ({}, IDLE, "order to the venue", "assumed"),
    ],
)
def test_each_reason_has_its_advice(frame, engine, machine, stage, says):
    assert says in of(frame, machine, **engine)[stage].what_to_do


def test_before_anything_is_measured_nothing_is_advised(frame):
    found = advise(dataclasses.replace(frame, engine={}), IDLE)
    assert {one.share for one in found} == {0.0}
    assert all(math.isnan(one.p50_ms) and math.isnan(one.p99_ms) for one in found)
    assert {one.what_to_do for one in found} == {
        "not measured yet",
        "no orders are sent from here: the latency is the one that was assumed",
    }


def test_the_way_of_a_fill_is_read_from_the_fills():
    made = Story()
    made.book()
    made.answer()
    made.fill(next(o for o in made.orders() if o["side"] == BID), 4)
    fill = made.state.frame().fills()[0]
    way_ms = float(fill["recv_ns"] - fill["ts_ns"]) / 1e6
    assert of(made.state.frame())["fill to us"].p50_ms == pytest.approx(way_ms)


def test_this_machine_can_be_asked():
    made = this_machine()
    assert made.cores >= 1
    assert made.load >= 0
    assert made.real_time is None


def test_the_command_shows_the_stages_of_a_run(tmp_path, monkeypatch, capsys):
    from sessions import run_session

    run_session(tmp_path / "run", monkeypatch, seconds=5.0)
    assert cli.main(["latency", str(tmp_path / "run"), "--journal"]) == 0
    said = capsys.readouterr().out
    for stage in ("exchange to us", "rows to requests", "order to the venue", "entry", "acceptance to first fill"):
        assert stage in said
    assert cli.main(["latency", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err

"""Timers among merged rows: whatever the chunks, and between the two moments of a row that is written once for both clocks."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import MS, START_NS

from hftlab.backtesting.timers import with_timers
from hftlab.types import AT_DESK, AT_EXCHANGE, EVENT, LAST, LATENCY, TIMER, TRADE


def row(exch_ms, recv_ms, flags):
    made = np.zeros(1, EVENT)
    made["ts_exch_ns"], made["ts_recv_ns"] = START_NS + int(exch_ms * MS), START_NS + int(recv_ms * MS)
    made["kind"], made["flags"] = TRADE, flags | LAST
    return made


BOTH = AT_DESK | AT_EXCHANGE


def told(rows):
    marks = {AT_EXCHANGE: "exchange", AT_DESK: "desk", BOTH: "both", 0: "timer"}
    return [marks[int(r["flags"]) & BOTH] if r["kind"] != LATENCY else "latency" for r in rows]


def test_a_row_for_both_clocks_is_torn_by_a_timer_between_its_two_times():
    rows = np.concatenate([row(1, 1, BOTH), row(8, 12, BOTH), row(13, 14, BOTH)])
    out = np.concatenate(list(with_timers(iter((rows,)), 10 * MS, start=START_NS)))
    assert told(out) == ["both", "exchange", "timer", "desk", "both", "timer"]
    assert out["ts_recv_ns"][2] == START_NS + 10 * MS


def test_a_timer_at_the_moment_of_either_copy_comes_after_it():
    at_exchange = np.concatenate(list(with_timers(iter((np.concatenate([row(1, 1, BOTH), row(10, 12, BOTH)]),)), 10 * MS, start=START_NS)))
    assert told(at_exchange)[:4] == ["both", "exchange", "timer", "desk"]
    at_desk = np.concatenate(list(with_timers(iter((np.concatenate([row(1, 1, BOTH), row(8, 10, BOTH)]),)), 10 * MS, start=START_NS)))
    assert told(at_desk)[:3] == ["both", "both", "timer"]


@settings(max_examples=100)
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 25)), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    latencies=st.lists(st.integers(0, 300), max_size=5),
)
def test_the_rows_are_the_same_however_the_tape_is_cut(steps, cuts, latencies):
    rows, now = [], 0
    for wait, feed in steps:
        now += wait
        rows.append(row(now, now + feed, BOTH))
        now += feed
    rows = np.concatenate(rows)
    extra = np.zeros(len(latencies), EVENT)
    extra["ts_recv_ns"] = extra["ts_exch_ns"] = START_NS + np.sort(np.array(latencies, np.int64)) * MS
    extra["kind"], extra["flags"] = LATENCY, LAST
    edges = sorted({0, len(rows), *(c % (len(rows) + 1) for c in cuts)})
    parts = [rows[a:b] for a, b in itertools.pairwise(edges)]
    whole = np.concatenate(list(with_timers(iter((rows,)), 10 * MS, extra=extra)))
    cut = np.concatenate(list(with_timers(iter(parts), 10 * MS, extra=extra)))
    assert cut.tobytes() == whole.tobytes()
    times = np.where((whole["flags"] & BOTH) == AT_EXCHANGE, whole["ts_exch_ns"], whole["ts_recv_ns"])
    assert (np.diff(times) >= 0).all()
    due = whole["ts_recv_ns"][whole["kind"] == TIMER]
    assert (np.diff(due) == 10 * MS).all()

"""Markouts: by hand, and intervals that hold the truth as often as they say."""

import math

import numpy as np
import pytest
from scipy import stats
from written import LINEAR, MS, START_NS, Written, row

from hftlab.analytics import markouts as mo
from hftlab.analytics import markouts_interval
from hftlab.analytics.collector import Collector
from hftlab.errors import InputError
from hftlab.types import ACCEPTED, AMENDED


def facts_of(w, **finish):
    collector = Collector((LINEAR,))
    collector.add(w.array())
    return collector.finish(**finish)


def test_markouts_by_hand():
    w = Written()
    w.touch(START_NS, 100, 102, bid_lots=9, ask_lots=1)
    w.fill(START_NS + MS, START_NS + 2 * MS, 1, 100, 3)
    w.touch(START_NS + 500 * MS, 103, 105, bid_lots=1, ask_lots=9)
    w.fill(START_NS + 600 * MS, START_NS + 601 * MS, -1, 103, 1, maker=False)
    facts = facts_of(w, end_ns=START_NS + 2_000 * MS)
    every = mo.table(facts).set_index("horizon_s")
    # 0.1 s: the buy stands at 101 - 100 = +1 (3 lots), the sell at 103 - 104 = -1 (1 lot). 1 s: +4 and -1.
    assert every["markout_ticks"][0.1] == pytest.approx((3 - 1) / 4)
    assert every["markout_ticks"][1.0] == pytest.approx((12 - 1) / 4)
    assert (every["fills"][1.0], every["excluded"][1.0]) == (2, 0)
    assert (every["fills"][5.0], every["excluded"][5.0]) == (0, 2)
    assert math.isnan(every["markout_ticks"][5.0])
    assert every["markout_bps"][0.1] == pytest.approx((3 * 100 - 1e4 / 103) / 4)
    side = mo.table(facts, "side").set_index(["bucket", "horizon_s"])["markout_ticks"]
    assert (side["buy", 1.0], side["sell", 1.0]) == (4, -1)
    liquidity = mo.table(facts, "liquidity").set_index(["bucket", "horizon_s"])["markout_ticks"]
    assert (liquidity["maker", 1.0], liquidity["taker", 1.0]) == (4, -1)
    # Our buy stood with 9 against 1, our sell into 1 against 9 has 9 on its own side too.
    imbalance = mo.table(facts, "imbalance")
    assert set(imbalance["bucket"]) == {"0.6 and more"}
    assert set(mo.table(facts, "spread")["bucket"]) == {"2 ticks"}
    with pytest.raises(InputError, match="Did you mean 'queue'"):
        mo.table(facts, "que")


def test_the_place_in_the_queue_is_the_last_one_told_before_the_fill():
    w = Written()
    w.touch(START_NS, 100, 102)
    for n, ahead in enumerate((0, 0, 5, 8, 20)):
        ts = START_NS + (n + 1) * 10_000 * MS
        w.add(ts, row(ACCEPTED, ts, ts, 100, 1, 1, order_id=64 * (n + 1), seq=ahead, side=1))
        w.fill(ts + 20 * MS, ts + 20 * MS, 1, 100, 1, order_id=64 * (n + 1))
        w.add(ts + 30 * MS, row(AMENDED, ts + 30 * MS, ts + 30 * MS, 100, 1, 1, order_id=64 * (n + 1), seq=99, side=1))
    w.add(START_NS + 10_005 * MS, row(AMENDED, START_NS + 10_005 * MS, START_NS + 10_005 * MS, 100, 1, 1, order_id=64, seq=3, side=1))
    w.fill(START_NS + 90_000 * MS, START_NS + 90_000 * MS, -1, 102, 1, order_id=6400)
    facts = facts_of(w)
    assert list(mo.ahead_lots(facts)) == [3, 0, 5, 8, 20, -1]
    which, names = mo.buckets(facts, "queue")
    assert list(which) == [0, 0, 1, 2, 3, -1]
    assert names == ["0 to 3 lots ahead", "5 lots ahead", "8 lots ahead", "20 lots ahead"]


def simulated(rng, seconds, fills_per_s, horizon_s, edge):
    """Poisson fills on a Gaussian mid: markout = edge + side x (move over the horizon), so the mean is `edge`."""
    count = rng.poisson(seconds * fills_per_s)
    ts = np.sort(rng.uniform(0, seconds, count))
    step = horizon_s / 20
    path = np.concatenate([[0], np.cumsum(rng.normal(0, 1, int((seconds + horizon_s) / step) + 2))]) * math.sqrt(step)
    side = rng.choice((-1, 1)) * np.where(rng.random(count) < 0.8, 1, -1)  # one side most of the time: strongly dependent
    move = path[((ts + horizon_s) / step).astype(int)] - path[(ts / step).astype(int)]
    lots = rng.integers(1, 9, count).astype(float)
    return (ts * 1e9).astype(np.int64), edge + side * move, lots


@pytest.mark.parametrize(("seconds", "fills_per_s", "horizon_s"), [(3600, 0.2, 1.0), (3600, 0.5, 30.0), (1800, 1.0, 5.0), (600, 5.0, 0.1)])
def test_intervals_hold_the_truth_95_times_in_100(seconds, fills_per_s, horizon_s):
    rng = np.random.default_rng(11)
    edge, runs, held = 0.7, 1000, 0
    for _ in range(runs):
        ts, values, lots = simulated(rng, seconds, fills_per_s, horizon_s, edge)
        low, high = mo.interval(ts, values, lots, int(horizon_s * 1e9))
        held += low <= edge <= high
    assert 0.93 <= held / runs <= 0.97


def test_intervals_are_seeded_and_silent_when_there_is_too_little():
    ts, values, lots = simulated(np.random.default_rng(1), 600, 1.0, 1.0, 0.0)
    assert mo.interval(ts, values, lots, 10**9) == mo.interval(ts, values, lots, 10**9)
    assert all(math.isnan(x) for x in mo.interval(ts, values, lots, 60 * 10**9))
    assert all(math.isnan(x) for x in mo.interval(ts[:0], values[:0], lots[:0], 10**9))


@pytest.mark.parametrize("df", [7, 12, 49])
def test_students_quantile_against_scipy(df):
    assert markouts_interval.student(0.975, df) == pytest.approx(stats.t.ppf(0.975, df), rel=2e-3)

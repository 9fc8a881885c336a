"""Python strategies: what the z-score wishes, and that the targets of a backtest are the ones it wished."""

import time
from dataclasses import replace

import numpy as np
import pytest
from stories import Story, limits
from tapes import MS, A, Writer

import hftlab as hl
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UserCodeError
from hftlab.params import WorkTarget
from hftlab.strategies.base import strategy_from_dict
from hftlab.strategies.zscore import ZScoreReversion

LOOKBACK, BAR_MS = 8, 1000


def with_closes(*closes):
    story = Story(WorkTarget(order_qty="0.1"))
    story.state.markets["bars"]["close_ticks"][0][: len(closes)] = closes
    story.state.markets["bars_count"] = len(closes)
    return story.state.frame()


def test_z_by_hand_and_the_wishes_that_follow():
    # mean 102, sd with ddof 1 = sqrt(80 / 4): z = 8 / 4.4721 = 1.78885
    strategy = ZScoreReversion(qty="0.3", lookback=5, entry_z=1.7, exit_z=0.5)
    high, low = with_closes(100, 100, 100, 100, 110), with_closes(100, 100, 100, 100, 90)
    assert strategy.z(high) == pytest.approx(8 / 20**0.5)
    assert strategy.on_timer(with_closes(100, 100, 100, 110)) is None
    assert float(strategy.on_timer(high)[0]) == -0.3
    assert strategy.on_timer(high) is None
    assert float(strategy.on_timer(low)[0]) == 0.3
    assert float(strategy.on_timer(with_closes(98, 102, 98, 102, 100))[0]) == 0
    assert np.isnan(strategy.z(with_closes(7, 7, 7, 7, 7)))


def test_a_strategy_that_is_started_anew_ends_the_position_that_it_wished_before():
    calm = with_closes(98, 102, 98, 102, 100)
    assert ZScoreReversion(qty="0.3", lookback=5).on_timer(calm) is None
    short = replace(calm, markets=calm.markets.copy())
    short.markets["has_target"], short.markets["target_lots"] = 1, -3
    assert float(ZScoreReversion(qty="0.3", lookback=5).on_timer(short)[0]) == 0


class Watched(ZScoreReversion):
    """Writes down when it wished what, and tries to write where it only may read."""

    def on_timer(self, frame):
        with pytest.raises(ValueError, match="read-only"):
            frame.desk["state"] = 3
        with pytest.raises(ValueError, match="read-only"):
            frame.markets["target_lots"] = 1
        wish = super().on_timer(frame)
        if wish:
            self.wishes.append((frame.now_ns, float(wish[0])))
        return wish


@pytest.fixture(scope="module")
def path():
    """Mid prices in ticks every 100 ms for a minute, and the tape of them."""
    moves = np.random.default_rng(11).integers(-2, 3, 600)
    mids = 2000 + moves.cumsum()
    w = Writer(feed_ns=0)
    w.now = w.now // (10_000 * MS) * (10_000 * MS)
    start = w.now
    for mid in mids:
        w.snapshot(0, int(mid), depth=3)
        w.now += 100 * MS
    return start, mids, Tape(w.array(), (A,))


def expected(start, mids):
    """The wishes by the rule in the docstring, on closes taken from the path by its own times."""
    closes, side, wishes = [], 0, []
    for second in range(1, 60):
        # A bar ends with the price at its last instant; the first timer only opens the bars.
        closes.append(mids[second * BAR_MS // 100])
        if len(closes) < LOOKBACK:
            continue
        window = np.array(closes[-LOOKBACK:], float)
        z = (window[-1] - window.mean()) / window.std(ddof=1)
        new = -1 if z >= 1.2 else 1 if z <= -1.2 else 0 if abs(z) <= 0.4 else side
        if new != side:
            side = new
            wishes.append((start + second * BAR_MS * MS, 0.3 * side))
    return wishes


def run(path):
    strategy = Watched(qty="0.3", lookback=LOOKBACK, entry_z=1.2, exit_z=0.4, every_s=1.0)
    strategy.wishes = []
    report = hl.backtest(path[2], A, WorkTarget(order_qty="0.1", life_ms_min=0), limits(), strategy=strategy, bar_s=BAR_MS / 1000)
    return report, strategy.wishes


def test_the_targets_of_a_backtest_are_those_of_the_rule_on_the_recorded_path(path):
    report, wishes = run(path)
    assert len(wishes) > 5
    assert wishes == [(t, pytest.approx(q)) for t, q in expected(*path[:2])]
    again, same = run(path)
    assert (again.digest, same) == (report.digest, wishes)


def test_a_strategy_that_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="wanted lookback >= 3"):
        ZScoreReversion(qty="0.1", lookback=2)
    with pytest.raises(InputError, match="exit_z < entry_z"):
        ZScoreReversion(qty="0.1", entry_z=1, exit_z=1)


def test_a_strategy_travels_as_its_class_and_values():
    strategy = ZScoreReversion(qty="0.3", lookback=7)
    assert strategy_from_dict(strategy.to_dict()) == strategy
    with pytest.raises(UserCodeError, match=r"put the class into a \.py file"):
        strategy_from_dict({"module": "__main__", "class": "Gone", "values": {}})
    with pytest.raises(UserCodeError, match="is no strategy"):
        strategy_from_dict({"module": "fractions", "class": "Fraction", "values": {}})


class Slow:
    """Wishes 0.02 once, on its first call; takes its time."""

    every_s = 1.0

    def __init__(self, seconds=0.0):
        self.seconds, self.calls = seconds, []

    def on_timer(self, frame):
        self.calls.append(int(frame.desk["now_ns"]))
        time.sleep(self.seconds)
        return {0: 0.02} if len(self.calls) == 3 else None


def first_request_after(strategy, **options):
    tape = hl.sample().slice(0, 20)
    limits = hl.Limits(position_qty_max="0.05")
    report = hl.backtest(tape, None, hl.WorkTarget(order_qty="0.02", decide_on="message"), limits, strategy=strategy, **options)
    return (report.journeys()["decided"].iloc[0].value - strategy.calls[2]) / 1e6, report


def test_a_strategy_s_time_can_be_charged_to_the_clock():
    at_once, _ = first_request_after(Slow())
    charged, report = first_request_after(Slow(), strategy_ms=700)
    assert at_once < 200
    assert 700 <= charged < at_once + 1000
    assert report.assumptions["strategy"].endswith("its answers took 700 ms")
    measured, report = first_request_after(Slow(0.02), strategy_ms="measured")
    assert measured >= 20
    assert "as measured" in report.assumptions["strategy"]


def test_an_answer_not_yet_due_waits_across_chunks(tmp_path):
    path = hl.sample().slice(0, 20).save(tmp_path / "tape.rows", mapped=True)
    limits, quoter = hl.Limits(position_qty_max="0.05"), hl.WorkTarget(order_qty="0.02")
    digests = {
        hl.backtest(hl.stream(path, rows_max=rows_max), None, quoter, limits, strategy=Slow(), strategy_ms=700).digest
        for rows_max in (500, 3000, 10**6)
    }
    assert len(digests) == 1


def test_a_wrong_strategy_ms_is_refused_with_or_without_a_strategy():
    limits, quoter = hl.Limits(position_qty_max="0.05"), hl.WorkTarget(order_qty="0.02")
    with pytest.raises(InputError, match="Did you mean 'measured'"):
        hl.backtest(hl.sample(), None, quoter, limits, strategy_ms="mesured")
    with pytest.raises(InputError, match="strategy_ms was -1"):
        hl.backtest(hl.sample(), None, quoter, limits, strategy=Slow(), strategy_ms=-1)

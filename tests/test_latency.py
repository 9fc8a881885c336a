"""When requests and reports arrive: every kind of latency, by hand or by its law."""

import numpy as np
import pytest
from stories import Story
from tapes import MS, START_NS

from hftlab.assumptions import Latency, latency_rows
from hftlab.errors import InputError


def sent(latency, feed_ms=0.0, extra=()):
    """A desk that has just sent its two quotes at START_NS, after a book that took `feed_ms` to come: arrival times after that."""
    story = Story(simulate=True, latency=latency)
    story.w.feed_ns = int(feed_ms * MS)
    story.w.now -= story.w.feed_ns
    if len(extra):
        story.state.step(_run(), extra)
    story.book()
    exchange = story.state.exchanges[0]
    return [int(t) - START_NS for t in exchange["requests"]["ts_exch_ns"][: int(exchange["request_count"])]], story


def _run():
    from hftlab.kernels import core

    return core.run


def test_a_constant_latency_with_our_own_compute_time_before_it():
    arrivals, _ = sent(Latency(order_ms=5, compute_us=250))
    assert arrivals == [5 * MS + 250_000] * 2


def test_cancels_may_travel_faster_but_never_overtake():
    _, story = sent(Latency(order_ms=5, cancel_ms=1, report_ms=0))
    story.wait(1)
    story.book(1990, 1992)  # moves both quotes: nothing is acknowledged yet, so it waits
    story.wait(9)
    story.timer()
    story.wait(1)
    before = story.w.now
    story.command(66)  # halt: cancels
    exchange = story.state.exchanges[0]
    first, count = int(exchange["request_head"]), int(exchange["request_count"])
    arrivals = [int(exchange["requests"]["ts_exch_ns"][(first + k) % 256]) - before for k in range(count)]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] in (1 * MS, 5 * MS)


def test_a_share_of_the_feed_s_own_latency_of_the_moment():
    arrivals, story = sent(Latency(order_ms=5, feed_share=0.5), feed_ms=8)
    assert arrivals == [5 * MS + 4 * MS] * 2
    story.w.now = START_NS + 20 * MS
    story.timer()
    reports = story.state.exchanges[0]["reports"]["ts_recv_ns"][:2] - START_NS
    assert reports.tolist() == [9 * MS + 9 * MS] * 2  # back the same way


@pytest.mark.many
def test_a_random_part_has_its_mean_and_its_seed():
    draws = []
    for seed in range(400):
        (first, second), _ = sent(Latency(order_ms=5, jitter_ms=2, jitter_log_sd=0.5, seed=seed))
        assert 5 * MS < first <= second  # one ordered connection
        draws.append((first - 5 * MS) / MS)
    assert sent(Latency(order_ms=5, jitter_ms=2, seed=7))[0] == sent(Latency(order_ms=5, jitter_ms=2, seed=7))[0]
    # A lognormal of mean 2 and log sd .5 has sd 2 sqrt(e^.25 - 1) = 1.066; the mean of 400 draws has a twentieth of it.
    assert abs(np.mean(draws) - 2) < 4 * 1.066 / 20
    assert abs(np.std(np.log(draws)) - 0.5) < 4 * 0.5 / np.sqrt(800)


def test_recorded_round_trips_are_joined_by_straight_lines():
    table = [(START_NS - 10 * MS, START_NS - 8 * MS, START_NS - 7 * MS), (START_NS + 10 * MS, START_NS + 16 * MS, START_NS + 19 * MS)]
    latency = Latency(order_ms=99, recorded=np.array(table))
    rows = latency_rows([latency])
    arrivals, story = sent(latency, extra=rows[:1])
    assert arrivals == [4 * MS] * 2  # half way between 2 and 6
    story.w.now = START_NS + 5 * MS
    story.timer()
    reports = story.state.exchanges[0]["reports"]["ts_recv_ns"][:2] - START_NS
    assert reports.tolist() == [4 * MS + 2.4 * MS] * 2  # matched at +4 ms: 1 + 2 x 14/20


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([(5, 4, 6)], "matched_ns at row 0"),
        ([(5, 6, 5)], "learned_ns at row 0"),
        ([(5, 6, 7), (4, 6, 7)], "sent_ns at row 0"),
        ([[1, 2]], "shape"),
    ],
)
def test_a_recording_that_goes_back_in_time_is_refused(table, words):
    with pytest.raises(InputError, match=words):
        Latency(recorded=np.array(table)).rows(0)


@pytest.mark.parametrize("name", ["order_ms", "report_ms", "cancel_ms", "compute_us", "feed_share", "jitter_ms"])
def test_no_latency_is_negative(name):
    with pytest.raises(InputError, match=f"{name} was -1"):
        Story(latency=Latency(**{name: -1}))


def test_a_latency_in_words_and_in_plain_values():
    latency = Latency(order_ms=5, cancel_ms=1, jitter_ms=2, recorded=[(1, 2, 4)])
    assert latency.text() == "1 recorded round trips, cancel 1 ms, random 2 ms (log sd 1, seed 0); feed as recorded"
    assert Latency(**latency.to_dict()).to_dict() == latency.to_dict()

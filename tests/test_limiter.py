"""The venue's limits: never exceeded in any window, cancels first, quiet when the venue wants it."""

from hypothesis import given
from hypothesis import strategies as st

from hftlab.venues.live.limiter import Limiter

SIZE, SECONDS = 10.0, 5.0


class Time:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def limiter(reserve: float = 0.2, size: float = SIZE) -> tuple[Limiter, Time]:
    clock = Time()
    return Limiter(clock, lambda: {"orders": (size, SECONDS)}, reserve), clock


@given(
    steps=st.lists(st.tuples(st.floats(0, 3), st.sampled_from([1.0, 2.0, 5.0]), st.booleans()), max_size=80),
    begin=st.floats(0, SECONDS),
)
def test_no_window_of_the_venue_holds_more_than_its_size_wherever_it_begins(steps, begin):
    limit, clock = limiter()
    taken: list[tuple[float, float]] = []
    for pause_s, cost, cancel in steps:
        clock.now_s += pause_s
        if limit.take({"orders": cost}, cancel=cancel) == 0:
            taken.append((clock.now_s, cost))
    for start, _ in taken:
        for first in (start, start - begin):
            assert sum(cost for at, cost in taken if first <= at < first + SECONDS) <= SIZE


@given(steps=st.lists(st.tuples(st.floats(0, 2), st.sampled_from([1.0, 3.0])), max_size=60))
def test_after_the_wait_that_was_asked_for_there_is_room(steps):
    limit, clock = limiter()
    for pause_s, cost in steps:
        clock.now_s += pause_s
        wait_s = limit.take({"orders": cost}, cancel=False)
        if wait_s:
            clock.now_s += wait_s + 1e-6
            assert limit.take({"orders": cost}, cancel=False) == 0


def test_a_part_of_the_budget_is_kept_for_cancels():
    limit, _ = limiter(reserve=0.2)
    sent = sum(limit.take({"orders": 1}, cancel=False) == 0 for _ in range(20))
    cancels = sum(limit.take({"orders": 1}, cancel=True) == 0 for _ in range(20))
    assert (sent, cancels) == (8, 2)


def test_a_request_that_is_larger_than_the_budget_goes_when_nothing_else_was_sent():
    limit, _ = limiter(size=2)
    assert limit.take({"orders": 5}, cancel=False) == 0
    assert limit.take({"orders": 1}, cancel=True) > 0


def test_too_many_requests_stops_all_but_cancels_and_a_ban_stops_those_too():
    limit, clock = limiter()
    limit.stop(2.0)
    assert limit.take({"orders": 1}, cancel=False) == 2.0
    assert limit.take({"orders": 1}, cancel=True) == 0.0
    assert limit.quiet_s() == 2.0
    limit.stop(3.0, everything=True)
    assert limit.take({"orders": 1}, cancel=True) == 3.0
    clock.now_s += 3.0
    assert limit.take({"orders": 1}, cancel=False) == 0.0


def test_costs_of_budgets_that_the_venue_does_not_have_are_free():
    limit, _ = limiter()
    assert all(limit.take({"weight": 1e9}, cancel=False) == 0 for _ in range(5))
    assert limit.status() == {"orders": {"used": 0.0, "size": SIZE, "seconds": SECONDS}}

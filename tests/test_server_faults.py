"""What a fault may be called, when it strikes, and that a seed decides it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftlab.errors import InputError, UnknownName
from hftlab.venues.server.drills import random_schedule
from hftlab.venues.server.faults import FRAME, KINDS, REQUEST, SPELL, Fault, matches
from hftlab.venues.server.schedule import NS, Schedule, load_faults

FRAMES = {
    "skin": "binance",
    "kind": "md",
    "stream": "btcusdt@depth@100ms",
    "symbol": "BTCUSDT",
    "path": "/ws/0",
    "text": "{}",
    "connection": 1,
}


class Hands:
    """A clock that somebody turns."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * NS

    def __call__(self) -> int:
        return self.now_ns

    def turn(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS)


def struck(fault: Fault, events: int, seed: int = 0) -> list[int]:
    """Return at which of so many events a fault of frames strikes, counted from 1."""
    schedule = Schedule([fault], seed=seed, clock=Hands())
    return [n for n in range(1, events + 1) if schedule.strikes(FRAME, **FRAMES)]


# --- what it may be ---
def test_a_misspelt_fault_option_or_word_is_told_what_was_meant():
    with pytest.raises(UnknownName, match="Did you mean 'duplicate'"):
        Fault("duplicat")
    with pytest.raises(UnknownName, match="Did you mean 'at_event'"):
        Fault("gap", at_evnt=3)
    with pytest.raises(UnknownName, match="no option 'ms'"):
        Fault("gap", ms=3)
    with pytest.raises(UnknownName, match="Did you mean 'order'"):
        Fault("mass_disconnect", on="ordr")
    with pytest.raises(UnknownName, match="Did you mean 'silence'"):
        Fault("accept_then_timeout", say="silent")


@pytest.mark.parametrize(
    "options",
    [{"k": "two"}, {"k": True}, {"p": 1.5}, {"times": -1}, {"at_event": 1, "every": 2}, {"on": "order"}, {"every_s": 1.0}],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_refused(options):
    with pytest.raises(InputError):
        Fault("gap", **options)


def test_a_spell_that_counts_must_be_told_what():
    with pytest.raises(InputError, match="on='order'"):
        Fault("mass_disconnect", at_event=3)


@pytest.mark.parametrize("name", KINDS)
def test_every_fault_says_what_it_does_and_survives_its_own_description(name):
    fault = Fault(name, at_s=1, times=3)
    assert len(Fault.NAMES[name]) > 20
    assert Fault.from_dict(fault.to_dict()) == fault
    assert eval(repr(fault), {"Fault": Fault}) == fault


def test_a_file_of_faults_is_read(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("seed: 7\nfaults:\n  - {fault: gap, every: 500, jitter: 100, times: 5, k: 2}\n  - {fault: mass_disconnect, at_s: 3}\n")
    faults, seed = load_faults(path)
    assert (faults, seed) == ([Fault("gap", every=500, jitter=100, times=5, k=2), Fault("mass_disconnect", at_s=3)], 7)
    with pytest.raises(UnknownName, match="fautls"):
        load_faults({"fautls": []})
    with pytest.raises(InputError, match="'fault'"):
        load_faults([{"kind": "gap"}])
    with pytest.raises(InputError, match="wanted a list"):
        load_faults({"faults": 3})


def test_scopes_are_globs_with_alternatives():
    assert matches("*@depth*|*@l2Book", "btcusdt@depth@100ms")
    assert matches("*@depth*|*@l2Book", "btc@l2Book")
    assert not matches("*@depth*|*@l2Book", "btcusdt@trade")
    assert Fault("gap", connection=2).concerns(**{**FRAMES, "connection": 2})
    assert not Fault("gap", connection=2).concerns(**FRAMES)
    assert not Fault("gap", symbol="ETH*").concerns(**FRAMES)
    assert not Fault("gap").concerns(**{**FRAMES, "stream": "btcusdt@trade"})
    assert not Fault("gap", text='"U":7,').concerns(**FRAMES)


# --- when it strikes ---
@given(at=st.integers(1, 50), times=st.integers(1, 5))
def test_at_event_strikes_at_that_event_and_goes_on_as_often_as_it_may(at, times):
    assert struck(Fault("gap", at_event=at, times=times), 60) == list(range(at, at + times))


@given(every=st.integers(1, 40), jitter=st.integers(0, 10), times=st.integers(0, 6), seed=st.integers(0, 99))
def test_every_strikes_within_its_jitter_and_a_seed_decides_where(every, jitter, times, seed):
    fault = Fault("gap", every=every, jitter=jitter, times=times)
    found = struck(fault, 300, seed)
    assert found == struck(fault, 300, seed)
    gaps = [b - a for a, b in zip([0, *found], found, strict=False)]
    assert all(max(1, every - jitter) <= gap <= every + jitter for gap in gaps)
    assert len(found) == times if times and times * (every + jitter) <= 300 else len(found) <= (times or 300)


@given(seed=st.integers(0, 20))
def test_chance_strikes_as_often_as_it_says(seed):
    found = struck(Fault("gap", p=0.2, times=0), 2000, seed)
    assert found == struck(Fault("gap", p=0.2, times=0), 2000, seed)
    assert 280 < len(found) < 520  # 400 ± 18: six standard deviations and more


def test_a_fault_waits_for_its_time_and_counts_from_then():
    clock = Hands()
    schedule = Schedule([Fault("gap", at_s=5.0, at_event=2)], clock=clock)
    assert not schedule.strikes(FRAME, **FRAMES)
    clock.turn(5)
    assert [bool(schedule.strikes(FRAME, **FRAMES)) for _ in range(4)] == [False, True, False, False]


def test_what_does_not_concern_a_fault_does_not_count():
    schedule = Schedule([Fault("gap", at_event=2, symbol="ETHUSDT")], clock=Hands())
    assert not any(schedule.strikes(FRAME, **FRAMES) for _ in range(10))
    schedule.strikes(FRAME, **{**FRAMES, "symbol": "ETHUSDT"})
    assert schedule.strikes(FRAME, **{**FRAMES, "symbol": "ETHUSDT"})
    assert not schedule.strikes(REQUEST, **FRAMES)


def test_a_fault_can_be_fired_by_hand_and_disarmed():
    schedule = Schedule(clock=Hands())
    number = schedule.add(Fault("gap", at_event=1000))
    assert not schedule.strikes(FRAME, **FRAMES)
    schedule.fire(number)
    assert schedule.strikes(FRAME, **FRAMES)
    schedule.remove(number)
    schedule.add(Fault("gap"))
    schedule.clear()
    assert not schedule.strikes(FRAME, **FRAMES)
    with pytest.raises(UnknownName, match="armed are none"):
        schedule.fire(number)


def test_two_faults_do_not_disturb_each_others_chances():
    alone = struck(Fault("gap", p=0.3, times=0), 100, seed=5)
    schedule = Schedule([Fault("gap", p=0.3, times=0), Fault("duplicate", p=0.9, times=0)], seed=5, clock=Hands())
    together = [n for n in range(1, 101) if any(one.fault.name == "gap" for one in schedule.strikes(FRAME, **FRAMES))]
    assert together == alone


# --- spells ---
def spells_of(faults, turns):
    """Return (seconds, name, begins or ends) of what a schedule tells, its clock turned as told."""
    clock, told = Hands(), []
    schedule = Schedule(faults, clock=clock)
    start_ns = clock.now_ns
    schedule.begin = lambda spell: told.append(((clock.now_ns - start_ns) / NS, spell.fault.name, "begins"))
    schedule.end = lambda spell: told.append(((clock.now_ns - start_ns) / NS, spell.fault.name, "ends"))
    for seconds in turns:
        clock.turn(seconds)
        schedule.tick()
    return told, schedule


def test_a_spell_begins_on_the_clock_lasts_and_comes_again():
    told, _ = spells_of([Fault("stall", at_s=1.0, s=2.0, every_s=5.0, times=2)], [0.5] * 40)
    assert told == [(1.0, "stall", "begins"), (3.0, "stall", "ends"), (6.0, "stall", "begins"), (8.0, "stall", "ends")]


def test_a_spell_of_no_length_is_over_at_once_and_one_of_length_zero_never():
    told, schedule = spells_of([Fault("mass_disconnect", at_s=1.0), Fault("filter_change", at_s=2.0, price_step=2)], [1.0] * 5)
    assert told[:2] == [(1.0, "mass_disconnect", "begins"), (2.0, "mass_disconnect", "ends")]
    assert told[2:] == [(2.0, "filter_change", "begins")]
    assert [spell.fault.name for spell in schedule.spells] == ["filter_change"]


def test_a_spell_begins_on_an_event():
    schedule = Schedule([Fault("mass_disconnect", on="order", at_event=2, skin="binance")], clock=Hands())
    began = []
    schedule.begin = began.append
    schedule.moment("order", skin="hyperliquid")
    schedule.moment("order", skin="binance")
    schedule.moment("cancel", skin="binance")
    assert not began
    schedule.moment("order", skin="binance")
    assert [spell.fault.name for spell in began] == ["mass_disconnect"]


def test_clearing_the_schedule_ends_what_is_on():
    told, schedule = spells_of([Fault("stall", s=0.0)], [1.0])
    schedule.clear()
    assert [what for *_, what in told] == ["begins", "ends"]


# --- drills ---
@pytest.mark.parametrize("name", KINDS)
def test_a_drill_follows_from_its_seed_and_ends_in_time_to_recover(name):
    drills = [random_schedule(name, seed, 60.0) for seed in range(20)]
    assert drills == [random_schedule(name, seed, 60.0) for seed in range(20)]
    assert len({repr(faults) for faults in drills}) == 20
    for fault in itertools.chain(*drills):
        assert 6.0 <= fault.at_s <= 42.0
        if KINDS[name].point == SPELL:
            assert fault.at_s + fault.options.get("s", 0.0) < 60.0


def test_a_drill_may_be_told_what_shall_not_vary():
    assert {fault.k for seed in range(9) for fault in random_schedule("gap", seed, 10, k=7, symbol="BTCUSDT")} == {7}
    with pytest.raises(UnknownName, match="Did you mean 'gap'"):
        random_schedule("gaps", 1, 10)

"""The loop of an engine when something beside it fails: a halt is confirmed by each venue, leaving leaves all, time may be set back."""

import asyncio
import time

import numpy as np
import pytest
from sessions import BTC, limits, quoter

import hftlab as hl
from hftlab.engine import session
from hftlab.engine.figures import Figures
from hftlab.engine.inbox import Command
from hftlab.engine.live import LiveDriver
from hftlab.engine.session import Driver
from hftlab.engine.spec import RunSpec
from hftlab.types import EVENT, HALTED, TIMER
from hftlab.venues.live.spec import LiveFeed, LiveVenue

S = 1_000_000_000


class Line:
    """A line to a venue whose every answer is held back until the test lets it come."""

    def __init__(self, venue, *, answers=True, closes=None):
        self.venue, self.failure = venue, closes
        self.halts = self.reopened = 0
        self.closed = []
        self.answers = asyncio.Event()
        if answers:
            self.answers.set()

    async def halt(self):
        self.halts += 1
        await self.answers.wait()

    def reopen(self):
        self.reopened += 1

    async def close(self, *, clean):
        self.closed.append(clean)
        if self.failure is not None:
            raise self.failure

    def submit(self, requests): ...

    def save_kept(self): ...

    def streams(self):
        return []


@pytest.fixture
def driver(tmp_path):
    perp = hl.Instrument.bundled("binanceusdm:BTC/USDT:USDT")
    spec = RunSpec(LiveFeed(perp), LiveVenue("paper"), (perp,), (quoter(),), (limits(position_qty_max="0.05"),))
    made = LiveDriver(spec, tmp_path, Figures(mode="paper", venue="paper", started_ns=time.time_ns()))
    yield made
    made._journal.close()
    made._snapshot.close()


async def turns(driver, until=lambda: False, count=20):
    """Turn until it is so, or at least for some turns."""
    end = time.monotonic() + 30.0
    while (not until() and time.monotonic() < end) if count is None else count > 0:
        driver.turn()
        await asyncio.sleep(0)
        count = None if count is None else count - 1


def command(driver, name):
    driver.inbox.put(Command(name, 0, {}, "a test"))


def state(driver):
    return int(driver.state.desk["state"][0])


# --- halting ---
def test_a_venue_that_does_not_answer_a_halt_keeps_no_other_waiting(driver):
    async def story():
        driver._lines = [Line("deaf", answers=False), Line("well")]
        command(driver, "halt")
        await turns(driver)
        assert [line.halts for line in driver._lines] == [1, 1]
        assert not driver.verified
        driver._lines[0].answers.set()
        await turns(driver)
        assert driver.verified

    asyncio.run(story())


def test_the_end_of_an_earlier_halt_is_no_word_on_a_later_one(driver):
    # Halt: one venue confirms, the other hangs. Resume: both quote again. Halt: the first has to be asked anew.
    async def story():
        quick, slow = driver._lines = [Line("quick"), Line("slow", answers=False)]
        command(driver, "halt")
        await turns(driver)
        command(driver, "resume")
        await turns(driver)
        assert [line.reopened for line in (quick, slow)] == [1, 1]
        command(driver, "halt")
        await turns(driver)
        assert not driver.verified
        slow.answers.set()
        await turns(driver)
        assert driver.verified
        assert quick.halts == 2

    asyncio.run(story())


@pytest.mark.parametrize("before", [["halt", "flatten"], ["pause"], []])
def test_an_alarm_leaves_a_desk_that_is_halted_and_flattens_no_more(driver, before):
    async def story():
        for name in before:
            command(driver, name)
        await turns(driver)
        driver.state.desk["flattening"] = int("flatten" in before)  # flat already, it would be over at once
        driver.alarm("a position that nothing explains")
        await turns(driver)
        assert state(driver) == HALTED
        assert not int(driver.state.desk["flattening"][0])

    asyncio.run(story())


def test_an_alarm_overtakes_a_resume_that_waits(driver):
    async def story():
        command(driver, "halt")
        await turns(driver)
        command(driver, "resume")
        driver.alarm("a position that nothing explains")
        await turns(driver)
        assert state(driver) == HALTED

    asyncio.run(story())


# --- leaving ---
def test_a_line_that_cannot_be_closed_leaves_no_other_venue_with_orders(driver):
    async def story():
        lines = [Line("full", closes=OSError(28, "no space left on device")), Line("other")]
        await driver._leave(lines, clean=False)
        assert [line.halts for line in lines] == [1, 1]
        assert [line.closed for line in lines] == [[False], [False]]

    asyncio.run(story())


def test_after_a_clean_stop_what_kept_a_line_from_closing_is_raised_once_all_were_closed(driver):
    async def story():
        lines = [Line("one", closes=OSError("refused")), Line("other")]
        with pytest.raises(OSError, match="refused"):
            await driver._leave(lines, clean=True)
        assert lines[1].closed == [True]

    asyncio.run(story())


def test_a_journal_that_cannot_be_written_ends_a_start_that_waits_for_a_venue(driver, monkeypatch):
    left = []

    async def sign_in():
        try:
            await asyncio.sleep(3600)
        finally:
            left.append(True)

    def full(rows, *, sync=False):
        raise OSError(28, "no space left on device")

    async def story():
        work = asyncio.create_task(driver._beside_turns(sign_in()))
        await asyncio.sleep(0.05)
        monkeypatch.setattr(driver._journal, "append", full)
        driver.take(np.array([(1, 1, 0, 0, 0, 0, 0, TIMER, 0, 1, 0)], EVENT))
        with pytest.raises(OSError, match="no space left"):
            await asyncio.wait_for(work, 30)
        monkeypatch.undo()

    asyncio.run(story())
    assert left == [True]


# --- time ---
def test_a_clock_that_is_set_back_by_an_hour_stops_neither_timers_nor_frames(tmp_path, monkeypatch):
    now = [time.time_ns()]
    monkeypatch.setattr(session, "wall_now_ns", lambda: now[0])
    spec = RunSpec(hl.SynthFeed(BTC, seed=3), hl.PaperVenue(BTC), (BTC,), (quoter(),), (limits(position_qty_max="0.05"),))
    made = Driver(spec, tmp_path, Figures(mode="paper", venue="paper", started_ns=now[0]))
    for _ in range(3):
        now[0] += S
        made.turn()
    now[0] -= 3600 * S
    rows, frames = int(made.state.desk["rows"][0]), made._snapshot.number
    for _ in range(3):
        now[0] += S
        made.turn()
    assert int(made.state.desk["rows"][0]) == rows + 3  # a timer each; the simulated market waits for its time
    assert made._snapshot.number == frames + 3
    made._journal.close()
    made._snapshot.close()

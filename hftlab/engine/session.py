"""The driver of one engine process: the only place where a clock is read.

A turn: take what the market sent and what people commanded, journal it, run it, send the requests that came out, and
publish at 20 Hz. Journal first, then run; so a replay of the journal is the state, and start-up after a crash is a replay.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hftlab.data import journal as jn
from hftlab.data.snapshot import SnapshotWriter
from hftlab.data.state import State
from hftlab.engine.clock import wall_now_ns
from hftlab.engine.commands import rows_of
from hftlab.engine.figures import Figures
from hftlab.engine.inbox import Command, Inbox
from hftlab.engine.spec import RunSpec
from hftlab.errors import HftlabError
from hftlab.types import CANCEL, EVENT, LAST, STOPPED, SUBMIT, TIMER
from hftlab.venues.base import Source
from hftlab.venues.feeds import PaperVenue, ReplayFeed, SynthFeed
from hftlab.venues.sources import ReplaySource, SynthSource, load_tape, lost_orders, market_rows

log = logging.getLogger("hftlab.engine")

IDLE_S = 0.001
_LOG_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FLAT_OUT_NS = 50_000_000  # session time played in one turn when the speed is infinite
COMMANDS_A_TURN = 32  # each is synced to the disk: the market must not wait for a flood of them
OVERTAKEN = "a halt or a stop came after it and went first; send it again if it is still meant"


class Clock:
    """Session time: `start_ns` at the moment of making, then `speed` times as fast as the wall clock."""

    def __init__(self, start_ns: int | None, *, speed: float) -> None:
        self._wall0 = wall_now_ns()
        self._start = self._wall0 if start_ns is None else start_ns
        self.speed = speed
        self._flat_out = speed == float("inf")

    def now_ns(self, wall_ns: int) -> int:
        """Return the session time at a wall time; flat out, each call moves on by FLAT_OUT_NS."""
        if self._flat_out:
            self._start += FLAT_OUT_NS
            return self._start
        return self._start + int((wall_ns - self._wall0) * self.speed)

    @property
    def idle(self) -> bool:
        """Say whether the loop may rest between turns."""
        return not self._flat_out


class Driver:
    """Runs a spec in its directory. `inbox` takes Commands from any thread."""

    def __init__(self, spec: RunSpec, directory: Path, figures: Figures) -> None:
        self.spec = spec
        self.directory = directory
        self.figures = figures
        self.inbox = Inbox()
        self.told: Callable[[Command, dict[str, Any]], None] | None = None  # hears every command with its answer
        self.wake = threading.Event()
        self.state: State = spec.state()
        self._run = spec.run()
        self._stopping: list[Command] = []
        self._ended = False
        self._source_done = False

        # A step without rows loads, or compiles, the kernels before a clock starts.
        self.state.step(self._run, np.zeros(0, EVENT))
        from_feed = 0
        for rows in jn.parts(directory / "journal"):
            self.replayed(rows, self.state.step(self._run, rows))
            from_feed += market_rows(rows)
        before = int(self.state.desk["rows"][0])
        log.info("replayed %d rows", before)
        self._journal = jn.Journal(directory / "journal")
        tape = load_tape(spec.feed)
        self._source, self.clock = self._open_source(tape, before, from_feed)
        self._snapshot = SnapshotWriter(directory / "snapshot.bin", len(spec.instruments))
        self._timer_ns = int(spec.timer_ms * 1e6)
        self._next_timer_ns = 0
        self._publish_ns = int(spec.publish_ms * 1e6)
        self._next_publish_ns = 0
        self._last_turn_ns = 0
        self._owed = (0, 0)  # rows that the disk was asked for and had not written yet, and since when (wall clock)
        opening = self._opening(restarted=before > 0)
        if len(opening):
            self._process(opening, sync=False)

    # --- start ---
    def replayed(self, rows: np.ndarray, written: np.ndarray) -> None:
        """Take note of rows of the journal, and of what they led to, at a restart."""

    def _open_source(self, tape: Any, before: int, from_feed: int) -> tuple[Source, Clock]:
        feed, now_ns = self.spec.feed, int(self.state.desk["now_ns"][0])
        if isinstance(feed, ReplayFeed):
            source = ReplaySource(tape, from_feed)
            return source, Clock(max(now_ns, source.start_ns), speed=feed.speed)
        assert isinstance(feed, SynthFeed)
        assert isinstance(self.spec.venue, PaperVenue)
        # Real time goes on while the engine is down; a market at another speed goes on where it was.
        clock = Clock(None if feed.speed == 1.0 or not before else now_ns, speed=feed.speed)
        epoch = int(self.state.markets["gaps"][0])
        price = None
        if before and np.isfinite(self.state.markets["mark_ticks"][0]):
            price = str(feed.instrument.price(int(self.state.markets["mark_ticks"][0])))
        start_ns = max(now_ns, clock.now_ns(wall_now_ns()))
        return SynthSource(feed, self.spec.venue, start_ns, epoch=epoch + 1 if before else 0, price=price), clock

    def _opening(self, *, restarted: bool) -> np.ndarray:
        rows = self._source.open()
        if restarted and isinstance(self._source, SynthSource):
            now_ns = max(int(self.state.desk["now_ns"][0]), self.clock.now_ns(wall_now_ns()))
            matched = self.spec.venue.matched(self.spec.feed)
            lost = lost_orders(self.state.markets if matched else self.state.markets[:0], now_ns)
            rows = np.concatenate([lost, rows])
            self.figures.say(now_ns, "restarted: journal replayed; the simulated market opened anew", "warn")
        return rows

    # --- the loop ---
    def loop(self) -> None:
        """Turn until a stop command is done."""
        while not self._ended:
            self.turn()
            if self.clock.idle and not self._ended:
                self.wake.wait(IDLE_S)
                self.wake.clear()
        self.publish(wall_now_ns())
        self._journal.close()
        self._snapshot.close()
        self._answer_stops()

    def _answer_stops(self) -> None:
        for command in self._stopping:
            self._answer(command, {"ok": True, "rows": int(self.state.desk["rows"][0]), "resting": 0, "state": "STOPPED"})

    def _answer(self, command: Command, answer: dict[str, Any]) -> None:
        command.answer.put(answer)
        if self.told is not None:
            self.told(command, answer)

    def turn(self) -> None:
        """Do one turn."""
        wall_ns = wall_now_ns()
        now_ns = self.clock.now_ns(wall_ns)
        parts = [self._source.advance(now_ns)]
        if _due(now_ns, self._next_timer_ns, self._timer_ns):
            parts.append(_timer(max(now_ns, int(self.state.desk["now_ns"][0]))))
            self._next_timer_ns = (now_ns // self._timer_ns + 1) * self._timer_ns
        rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if len(rows):
            self.figures.lag(rows)
            self._process(rows, sync=False)
        for command, overtaken in self.inbox.take(COMMANDS_A_TURN):
            if overtaken:
                self._refuse(command, now_ns, OVERTAKEN, "Overtaken")
            else:
                self._command(command, now_ns)
        gap_ns = wall_ns - self._last_turn_ns if self._last_turn_ns else 0
        self._last_turn_ns = wall_ns
        self.figures.turn(wall_ns, gap_ns, len(rows))
        if self._stopping and self._nothing_rests():
            self._ended = True
        if _due(wall_ns, self._next_publish_ns, self._publish_ns):
            self._next_publish_ns = wall_ns + self._publish_ns
            self.publish(wall_ns)

    def _process(self, rows: np.ndarray, *, sync: bool) -> None:
        self._journal.append(rows, sync=sync)
        began = time.perf_counter_ns()
        written = self.state.step(self._run, rows)
        if len(written):
            requests = _requests_in(written)
            if len(requests):
                took_ns = time.perf_counter_ns() - began
                self._source.submit(requests)
                self.figures.decided(took_ns)

    def _command(self, command: Command, now_ns: int) -> None:
        now_ns = max(now_ns, int(self.state.desk["now_ns"][0]))
        try:
            rows = rows_of(command.name, command.market, command.values, self.state, now_ns)
        except HftlabError as error:
            self._refuse(command, now_ns, str(error), type(error).__name__)
            return
        except Exception as error:  # why: no row was made yet, so nothing is half done; a value nobody foresaw must not end the engine
            log.exception("a command could not be read")
            self._refuse(command, now_ns, f"{command.name} could not be read: {type(error).__name__}: {error}", type(error).__name__)
            return
        row = int(self.state.desk["rows"][0])
        self._process(rows, sync=True)
        level = "warn" if command.name in ("halt", "flatten", "stop") else "info"
        self._log_message(self.figures.say(now_ns, f"{_text(command)} by {command.who}", level))
        # Published before it is answered: whoever was told finds it in the next frame that they read.
        self.publish(wall_now_ns())
        if command.name == "stop":
            self._stopping.append(command)
            return
        rows_run, state = int(self.state.desk["rows"][0]), self.state.frame(copy=False).state
        self._answer(command, {"ok": True, "rows": rows_run, "state": state, "row": row, "count": len(rows)})

    def _refuse(self, command: Command, now_ns: int, error: str, kind: str) -> None:
        self._log_message(self.figures.say(now_ns, f"refused {_text(command)} by {command.who}: {error}", "warn"))
        self._answer(command, {"ok": False, "error": error, "type": kind})

    def _nothing_rests(self) -> bool:
        quiet = int(self.state.exchanges["request_count"].sum() + self.state.exchanges["report_count"].sum()) == 0
        return quiet and int(self.state.markets["working"].sum()) == 0 and int(self.state.desk["state"][0]) == STOPPED

    def publish(self, wall_ns: int) -> None:
        """Publish the state and the engine's figures."""
        for message in self.figures.watch(self.state, int(self.state.desk["now_ns"][0])):
            self._log_message(message)
        if not self._source_done and self._source.done():
            self._source_done = True
            self._log_message(self.figures.say(int(self.state.desk["now_ns"][0]), "the recording is at its end", "warn"))
        figures = self.figures.to_dict() | {"journal": self._journal_lag(wall_ns)}
        self._snapshot.publish(self.state.desk, self.state.markets, figures, wall_ns)

    def _journal_lag(self, wall_ns: int) -> dict[str, Any]:
        """Return how far the disk is behind: rows not synced, and for how long it owes rows that it was asked for."""
        journal = self._journal
        if self._owed[0] <= journal.synced_rows:
            self._owed = (journal.due_rows, wall_ns) if journal.due_rows > journal.synced_rows else (0, 0)
        overdue_s = (wall_ns - self._owed[1]) / 1e9 if self._owed[1] else 0.0
        return {"rows": journal.rows, "unsynced_rows": journal.rows - journal.synced_rows, "overdue_s": overdue_s}

    def say(self, level: str, text: str) -> None:
        """Put a message on the screen and into the log."""
        self._log_message(self.figures.say(int(self.state.desk["now_ns"][0]), text, level))

    def _log_message(self, message: Mapping[str, Any]) -> None:
        log.log(_LOG_LEVELS[message["level"]], "%s", message["text"])

    def fail(self, text: str) -> None:
        """Publish a last frame that says why the engine ends."""
        self.figures.say(int(self.state.desk["now_ns"][0]), text, "error")
        self._snapshot.publish(self.state.desk, self.state.markets, self.figures.to_dict(), wall_now_ns())


def _due(now_ns: int, next_ns: int, every_ns: int) -> bool:
    """Say whether something that comes every so often is due; also when the clock was set back, or it would wait for that long."""
    return now_ns >= next_ns or now_ns < next_ns - every_ns


def _requests_in(written: np.ndarray) -> np.ndarray:
    """Return the requests among rows that a run wrote; on the way of every order, and two or three rows: no array is made for a mask."""
    kinds = written["kind"].tolist()
    asked = [i for i, kind in enumerate(kinds) if SUBMIT <= kind <= CANCEL]
    return written if len(asked) == len(kinds) else written[asked]


def _text(command: Command) -> str:
    return command.name + "".join(f" {k}={v}" for k, v in command.values.items())


def _timer(now_ns: int) -> np.ndarray:
    return np.array([(now_ns, now_ns, 0, 0, 0, 0, 0, TIMER, 0, LAST, 0)], dtype=EVENT)

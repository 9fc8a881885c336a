"""Two parameter sets in a running session: they take turns, by one command each, and the journal says whose turn it was.

Why turns and not a shadow beside it: what makes one spread better than another is who trades with it and where it stands in the queue.
A shadow has no queue and no counterparty, only a model of them; that comparison is `ab_tests.ab.ab(session, …)`, on the session's own market
data. In turns both arms meet the same venue, and the drawn order of each pair keeps drifts of the market out of the difference.

Whose turn it is is drawn beforehand from a seed. A turn is one `set` through the session's own door: checked, journaled and audited like
any other; limits, halt and the operator stand above it. The engine's clock, not the notebook's, says when. Should this process
die, the session goes on with the parameters of the arm whose turn it was: they had been accepted as sound, and nothing else changes.
The result is read from the run alone, so another process, another day, finds the same.
"""

import re
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from hftlab.backtesting.ab_tests.ab import Schedule, of_switched
from hftlab.backtesting.ab_tests.result import AB
from hftlab.data import journal as jn
from hftlab.engine.view import Session, View
from hftlab.errors import CommandRefused, DataError, EngineDied, EngineUnreachable, InputError
from hftlab.strict import keywords, number
from hftlab.tunable import TUNABLE, to_human, to_machine

STEP_S = 0.1
_WHY = re.compile(
    r"A/B (?P<name>[\w.-]+): block (?P<block>\d+) of (?P<blocks>\d+), arm (?P<arm>[AB]), (?P<block_s>[\d.e+]+) s, washout (?P<washout_s>[\d.e+-]+) s"
)
_END = re.compile(r"A/B (?P<name>[\w.-]+): end, (?P<end>.*)", re.DOTALL)
_OVER = "all blocks were played"


class LiveAB:
    """One experiment on one market of a session. `other`: the live parameters of arm B; arm A is what they are now.

    `start()` lets a thread take the steps, `stop()` ends it and gives back arm A; `step()` takes one step by hand. `ended` says why
    it ended, "" while it runs.
    """

    @keywords
    def __init__(
        self, session: Session, other: Mapping[str, Any], *, schedule: Schedule | None = None, market: int = 0, name: str = "test"
    ) -> None:
        if not re.fullmatch(r"[\w.-]{1,30}", name):
            raise InputError(f"name was {name!r}; wanted letters, digits, '.', '-' or '_', at most 30: it stands in the audit trail.")
        self.session, self.schedule, self.market, self.name = session, schedule or Schedule(), market, name
        self.values = _both_arms(session, dict(other), market)
        if any(match["name"] == name for match in _turns(session)):
            raise InputError(f"{session.name} has an A/B named {name!r} already; give this one a name of its own.")
        self.ended = ""
        self._arms = self.schedule.arms()
        self._block, self._due_ns = -1, 0
        self._stop = threading.Event()
        self._turning = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> "LiveAB":
        """Let a thread of this process take the steps. Raises InputError when it was started before."""
        if self._thread is not None or self.ended:
            raise InputError(f"this A/B {'has ended: ' + self.ended if self.ended else 'runs already'}; make another one.")
        self._thread = threading.Thread(target=self._run, name=f"A/B {self.name}", daemon=True)
        self._thread.start()
        return self

    def step(self) -> bool:
        """Send the command of the next block when the last has had its time; say whether there is more to come.

        When this process comes late a block is longer, and only `block_s` of it counts. A halt ends the experiment, as does a command
        that the engine refuses or does not answer: `ended` says which.
        """
        with self._turning:
            if self.ended:
                return False
            try:
                frame = self.session.frame()
                if frame.state == "HALTED":
                    return self._end("the desk was halted")
                now_ns = int(frame.desk["now_ns"])
                if now_ns < self._due_ns:
                    return True
                if self._block + 1 == len(self._arms):
                    return self._end(_OVER)
                self._turn(self._block + 1)
                self._due_ns = now_ns + round(self.schedule.block_s * 1e9)
            except (CommandRefused, DataError, EngineDied, EngineUnreachable) as error:
                return self._end(f"{type(error).__name__}: {error}")
            return True

    def stop(self) -> None:
        """End it: the thread is joined, arm A is set again. `result()` then makes no call unless all blocks had been played."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._turning:
            if not self.ended:
                self._end("stopped")

    def result(self, level: float = 0.95) -> AB:
        """Return the result so far, from the run's journal. Raises InputError before the first pair is over."""
        return result(self.session, self.name, market=self.market, level=level)

    def __repr__(self) -> str:
        state = self.ended or f"block {self._block + 1} of {len(self._arms)}"
        return f"<LiveAB {self.name} on {self.session.name}: A {self.values[0]}, B {self.values[1]}, {state}>"

    def _run(self) -> None:
        try:
            while self.step() and not self._stop.wait(STEP_S):
                pass
        except Exception as error:  # why: a thread that died in silence would leave arm B in force, and say that it still runs
            with self._turning:
                self._end(f"{type(error).__name__}: {error}")

    def _turn(self, block: int) -> None:
        arm, plan = int(self._arms[block]), self.schedule
        why = f"A/B {self.name}: block {block + 1} of {len(self._arms)}, arm {'AB'[arm]}, {plan.block_s:g} s, washout {plan.washout_s:g} s"
        try:
            self.session.command("set", self.market, why=why, **self.values[arm])
        except EngineUnreachable:
            self._block = block  # it may have been done all the same: then arm A is to be given back
            raise
        self._block = block

    def _end(self, why: str) -> bool:
        """Note why it ended and give back arm A, if there is anyone to take it."""
        self.ended = why
        if self._block >= 0 and self.session.alive():
            try:
                self.session.command("set", self.market, why=f"A/B {self.name}: end, {why}", **self.values[0])
            except (CommandRefused, EngineDied, EngineUnreachable) as error:
                self.ended = f"{why}; arm A could not be set again ({type(error).__name__}: {error})"
        return False


def result(view: View, name: str = "test", *, market: int = 0, level: float = 0.95) -> AB:
    """Return the result of the A/B called `name` from a run, running or ended. Raises InputError without such an A/B, or a whole pair.

    A block counts from its command, less the washout, to the next turn; one that was cut short by more than half is left out with its
    pair.
    """
    number(level, "level", 0.5, 0.999)
    turns = [match for match in _turns(view) if match["name"] == name]
    blocks = [match for match in turns if "arm" in match]
    if not blocks:
        known = sorted({match["name"] for match in _turns(view)})
        raise InputError(f"{view.name} has no A/B named {name!r}; wanted one of: {', '.join(known) or '(there is none)'}.")
    times = _times(view, [match["row"] for match in turns])
    report = view.report()
    block_ns, washout_ns = (round(float(blocks[0][key]) * 1e9) for key in ("block_s", "washout_s"))
    ends = [*(times[turn["row"]] for turn in turns[1:]), report.facts.end_ns]
    found: dict[int, tuple[int, int, int]] = {}
    for turn, end_ns in zip(turns, ends, strict=True):
        start_ns = times[turn["row"]]
        if "arm" in turn and end_ns - start_ns >= block_ns // 2:
            found[int(turn["block"]) - 1] = (start_ns + washout_ns, min(end_ns, start_ns + block_ns), "AB".index(turn["arm"]))
    whole = [
        n for pair in range(int(blocks[0]["blocks"]) // 2) if {2 * pair, 2 * pair + 1} <= found.keys() for n in (2 * pair, 2 * pair + 1)
    ]
    if not whole:
        raise InputError(f"no pair of the A/B {name!r} is over yet: {len(blocks)} of {blocks[0]['blocks']} blocks began.")
    starts_ns, ends_ns, arms = (np.array([found[n][k] for n in whole]) for k in range(3))
    planned = int(blocks[0]["blocks"]) // 2
    said = f"arms took turns in {view.name} every {float(blocks[0]['block_s']):g} s, {float(blocks[0]['washout_s']):g} s of washout"
    over = any(turn.get("end") == _OVER for turn in turns)
    return of_switched(report, arms, starts_ns, ends_ns, market, planned, level, said, over=over)


def _turns(view: View) -> list[dict[str, Any]]:
    """Return the turns and ends of every A/B of a run, oldest first, with the row of each in the journal."""
    found = []
    for call in view.audit(None):
        match = _WHY.fullmatch(call["why"] or "") or _END.fullmatch(call["why"] or "")
        if match is not None and call["ok"] and call["row"] is not None:
            found.append(match.groupdict() | {"row": int(call["row"])})
    return found


def _times(view: View, rows: list[int]) -> dict[int, int]:
    """Return the desk's time of these rows of the journal."""
    times: dict[int, int] = {}
    first = 0
    for part in jn.parts(view.directory / "journal"):
        times |= {row: int(part["ts_recv_ns"][row - first]) for row in rows if first <= row < first + len(part)}
        first += len(part)
    return times


def _both_arms(session: Session, other: dict[str, Any], market: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values of both arms. Raises InputError and UnknownName for what no command can set."""
    if not other:
        raise InputError("other was empty; wanted the live parameters in which arm B differs, such as {'half_spread_ticks': 3}.")
    instrument, record = session.instruments[market], session.frame().markets[market : market + 1]["params"]
    for name, value in other.items():
        to_machine(name, value, instrument, record)
    now = {name: to_human(name, record[0], instrument) for name in other}
    # A size goes back as the decimal that it was: a float may lie beside the lot grid.
    return {name: str(value) if TUNABLE[name].sized else value for name, value in now.items()}, other

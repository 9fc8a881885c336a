"""An engine without its process, with its door: for tests of what the door says and does."""

import contextlib
import json
import threading
import time
from pathlib import Path

import httpx
from sessions import BTC, close, limits, quoter

import hftlab as hl
from hftlab.engine.audit import read_calls
from hftlab.engine.door.server import Door
from hftlab.engine.door.tokens import Scope
from hftlab.engine.figures import Figures
from hftlab.engine.session import Driver
from hftlab.engine.spec import RunSpec


class Rig:
    """A paper session whose driver turns in a thread, and its door. `later_ns` is by how much the clock of the tokens is ahead."""

    def __init__(self, folder: Path, instruments=(BTC,), *, turning=True, **door) -> None:
        count = len(instruments)
        self.spec = RunSpec(
            hl.SynthFeed(instruments[0], seed=3),
            hl.PaperVenue(instruments[0]),
            tuple(instruments),
            (quoter(),) * count,
            (limits(position_qty_max="0.05"),) * count,
            publish_ms=20.0,
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.spec.save(folder)
        self.folder = folder
        self.driver = Driver(self.spec, folder, Figures(mode="paper", venue="paper", started_ns=time.time_ns()))
        self.driver.publish(time.time_ns())
        self.later_ns = 0
        self.door = Door(self.driver, folder, **door)
        self.door._tokens._clock_ns = lambda: time.time_ns() + self.later_ns
        self.door.open()
        self.app, self.board = self.door.app, self.door._board
        self.tokens, self.audit = self.door._tokens, self.door._audit
        self.gap = threading.Event()  # set: the engine is busy with something long
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)
        if turning:
            self._thread.start()

    def _turn(self) -> None:
        while not self._end.is_set():
            if not self.gap.is_set():
                self.driver.turn()
                # A stop is acknowledged like any command, and the rig goes on: whoever tests every command needs an engine after it.
                while self.driver._stopping:
                    self.driver._answer(self.driver._stopping.pop(), {"ok": True, "rows": 0, "resting": 0, "state": "STOPPED"})
            time.sleep(0.001)

    def control(self) -> dict:
        return json.loads((self.folder / "control.json").read_text())

    def headers(self, scope=Scope.CONTROL) -> dict[str, str]:
        return {"authorization": f"Bearer {self.control()['token' if scope is Scope.CONTROL else 'read_token']}"}

    def client(self, scope=Scope.CONTROL, **options) -> httpx.Client:
        headers = self.headers(scope) if scope is not None else {}
        return httpx.Client(base_url=self.door.url, headers=headers, trust_env=False, timeout=60, **options)

    def lines(self) -> list[dict]:
        """The audit trail, once what was asked for is on the disk."""
        done = threading.Event()
        self.audit.add({"call": "flush", "ok": True}, done.set)
        assert done.wait(30)
        return [one for one in read_calls(self.folder) if one["call"] != "flush"]

    def close(self) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(30)
        self.door.close()
        close(self.driver)


@contextlib.contextmanager
def rig(folder: Path, **options):
    made = Rig(folder, **options)
    try:
        yield made
    finally:
        made.close()


def until(condition, timeout_s: float = 30.0):
    """Wait for a condition, generously, and return what it gave."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, "not so in time"
        time.sleep(0.01)
    return found

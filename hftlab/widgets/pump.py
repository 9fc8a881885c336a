"""The pump: one thread a notebook, the only writer to widgets.

It asks each source once a tick for its latest frame and hands that to the panels that are due. Frames are dropped, never
queued. It goes quiet for a dashboard that nobody looks at (its page sends no heartbeat) and wakes when a page comes back:
a page that is fed counts as activity, so otherwise an abandoned kernel would never be culled.
"""

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from hftlab.data.frame import Frame
from hftlab.errors import HftlabError
from hftlab.widgets.controls import Controls
from hftlab.widgets.health import Health
from hftlab.widgets.page import PageWidget
from hftlab.widgets.panel import Panel

TICK_S = 0.05
IDLE_TICK_S = 0.25  # while nobody looks
GRACE_S = 60.0  # a page may need this long to show up at first
SILENCE_S = 12.0
TROUBLE_S = 0.5


class Board:
    """What the pump feeds: a source, its panels, and the widgets whose pages send heartbeats."""

    def __init__(
        self,
        source: Any,
        panels: Sequence[Panel],
        pages: Sequence[PageWidget],
        health: Health,
        controls: Controls | None = None,
        keep: Callable[[Frame, float], None] | None = None,
    ) -> None:
        self.source, self.panels, self.pages, self.health, self.controls = source, panels, pages, health, controls
        self.keep = keep  # remembers what the state is too small to keep; asked with every frame, whatever is in sight
        self.since_s = time.monotonic()
        self.number: int | None = None
        self._shown: frozenset[str] | None = None
        self._trouble_due_s = 0.0

    def watched(self, now_s: float) -> bool:
        """Return whether somebody looks at it, as far as heartbeats tell."""
        beats = [page.beat_s for page in self.pages if page.beat_s is not None]
        return now_s - max(beats) < SILENCE_S if beats else now_s - self.since_s < GRACE_S

    def feed(self, frame: Frame, now_s: float) -> None:
        """Hand `frame` to the panels in sight that are due; a frame seen before only to the health line and the controls.

        A section that comes into sight gets its frame at once, also one that was seen before: a run may have ended.
        """
        shown = self.health.bar.shown(time.monotonic())
        news = shown is not None and not shown <= (self._shown or frozenset())
        seen = frame.number == self.number and not news and not any(page.greeted for page in self.pages)
        self.number, self._shown = frame.number, shown
        if self.keep is not None:
            self.keep(frame, now_s)
        for panel in self.panels:
            always = panel is self.health or panel is self.controls
            in_sight = always or shown is None or panel.section in shown
            if in_sight and (panel.due(now_s) or news) and (always or not seen):
                panel.update(frame, now_s)

    def trouble(self, problem: str, now_s: float) -> None:
        """Say that there is no frame, now and then."""
        self.number = None
        if now_s >= self._trouble_due_s:
            self._trouble_due_s = now_s + TROUBLE_S
            self.health.trouble(problem)
            if self.controls is not None:
                self.controls.refresh("")


class Pump:
    """Feeds any number of boards from one thread, which lives as long as there are any."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._boards: list[Board] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Return whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    def add(self, board: Board) -> None:
        """Feed `board` from now on."""
        with self._lock:
            self._boards = [*self._boards, board]
            if not self.running:
                self._stop = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(self._stop,), name="hftlab-pump", daemon=True)
                self._thread.start()

    def remove(self, board: Board) -> None:
        """Stop feeding `board`; the thread ends with the last one."""
        with self._lock:
            self._boards = [b for b in self._boards if b is not board]
            if not self._boards:
                self._stop.set()

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._lock:
            self._boards = []
            self._stop.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2.0)

    def tick(self) -> int:
        """Feed every watched board once. Returns how many there were."""
        now_s = self._clock_s()
        watched = [board for board in self._boards if board.watched(now_s)]
        frames: dict[int, Frame | str] = {}
        for board in watched:
            key = id(board.source)
            if key not in frames:
                frames[key] = latest(board.source)
            frame = frames[key]
            if isinstance(frame, str):
                board.trouble(frame, now_s)
            else:
                try:
                    board.feed(frame, now_s)
                except Exception as error:  # why: the one thread of all dashboards must outlive a failure of one, and the screen say which
                    board.trouble(f"{type(error).__name__}: {error} Trying again.", now_s)
        return len(watched)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            start_s = time.monotonic()
            watched = self.tick()
            # A late tick is not made up for: what was missed is dropped.
            stop.wait(max(0.005, (TICK_S if watched else IDLE_TICK_S) - (time.monotonic() - start_s)))


def latest(source: Any) -> Frame | str:
    """Return the latest frame of `source`, or why there is none."""
    try:
        frame: Frame = source.frame()
    except HftlabError as error:
        return f"{error} Trying again."
    except Exception as error:  # why: whatever a source throws must be read on the screen; the pump goes on for the others
        return f"{type(error).__name__}: {error} Trying again."
    return frame


PUMP = Pump()
atexit.register(PUMP.stop)

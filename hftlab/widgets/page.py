"""Widgets of our own that a page draws: their files, and what the page says back (heartbeat, how far it has come)."""

import time
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import numpy.typing as npt
import traitlets as t

from hftlab.engine.clock import age_ms

STATIC = Path(__file__).parent / "static"
AHEAD_MAX = 60  # frames on their way to a page; more would be seconds of lag in its queue


def script(*names: str) -> str:
    """Return the page code of one widget: the shared part and its own, in this order."""
    return "\n".join((STATIC / part).read_text(encoding="utf-8") for part in ("common.js", *names))


STYLE = (STATIC / "desk.css").read_text(encoding="utf-8")


class PageWidget(anywidget.AnyWidget):
    """An anywidget whose page sends "hello" when it (re)connects and a "beat" a second while somebody can see it."""

    _css = STYLE

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.beat_s: float | None = None  # time.monotonic() of the last sign of life
        self.greeted = True  # a page connected and knows nothing yet
        self.on_msg(self._hear)

    def _hear(self, _widget: Any, message: Any, _buffers: Any) -> None:
        # Runs in whatever thread the kernel chooses: it only leaves notes, which the pump reads.
        if not isinstance(message, dict):
            return
        if message.get("k") in ("hello", "beat"):
            self.on_beat(message)
            self.beat_s = time.monotonic()
            if message["k"] == "hello":
                self.greeted = True
        else:
            self.on_page(message)

    def on_beat(self, message: dict[str, Any]) -> None:
        """Take note of a heartbeat."""

    def on_page(self, message: dict[str, Any]) -> None:
        """Take note of any other message; untrusted."""

    def take_greeting(self) -> bool:
        """Return whether a page connected since the last call."""
        greeted, self.greeted = self.greeted, False
        return greeted


class Canvas(PageWidget):
    """A canvas that is fed with float64 buffers, one a frame."""

    height_px = t.Int(300).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self.sent = 0
        self.received = 0
        self._last_beat = (0, 0)  # what the last beat told, and what had been sent then
        super().__init__(**traits)

    def on_beat(self, message: dict[str, Any]) -> None:
        """Note how far the page has come. A page that says hello has no messages waiting.

        One that is behind and came no further for a whole beat, in which nothing was sent, has lost its messages or its hello (a page
        that was reloaded while the kernel was busy): it would wait for us, and we for it, for ever. It gets everything anew.
        """
        n = message.get("n")
        told = n if isinstance(n, int) else self.received
        lost = self.behind and self._last_beat == (told, self.sent)
        self._last_beat = (told, self.sent)
        self.received = self.sent if lost or message["k"] == "hello" else told
        if lost:
            self.greeted = True

    @property
    def behind(self) -> bool:
        """Return whether the page has too many frames to digest already; what it missed it need not see."""
        return self.sent - self.received > AHEAD_MAX and self.beat_s is not None

    def push(self, data: npt.NDArray[np.float64], published_ns: int) -> None:
        """Send one frame, a 1-D float64 array published at `published_ns` (wall clock)."""
        self.sent += 1
        self.send({"k": "frame", "n": self.sent, "age": age_ms(published_ns)}, buffers=[np.ascontiguousarray(data).data])

"""A band over the whole page when what it shows has become old. The page counts by its own clock: no kernel is needed for that."""

import time
from typing import Any

import ipywidgets as w
import traitlets as t

from hftlab.data.frame import Frame
from hftlab.engine.clock import age_ms
from hftlab.widgets.page import STATIC, PageWidget, script
from hftlab.widgets.pump import GRACE_S, PUMP, SILENCE_S

TELL_S = 0.5
OLD_S = 3.0


class Band(PageWidget):
    """The band: hidden while frames come. `old_ms` is the age from which they are called old, `text` what the data are of."""

    _esm = script("banner.js")
    _css = (STATIC / "banner.css").read_text(encoding="utf-8")
    old_ms = t.Float(1000 * OLD_S).tag(sync=True)
    name = t.Unicode("").tag(sync=True)


class Watch:
    """What the pump feeds the band from: the age of every new frame. Of no frame it says nothing, and the page goes on counting."""

    def __init__(self, source: Any, band: Band) -> None:
        self.source, self.band = source, band
        self.since_s = time.monotonic()
        self.number: int | None = None
        self._due_s = 0.0

    def watched(self, now_s: float) -> bool:
        """Return whether somebody looks at it."""
        beat_s = self.band.beat_s
        return now_s - (self.since_s + GRACE_S - SILENCE_S if beat_s is None else beat_s) < SILENCE_S

    def feed(self, frame: Frame, now_s: float) -> None:
        """Tell the page the age of a frame that it does not know yet, and every frame to a page that just came."""
        if frame.number == self.number and not self.band.greeted:
            return
        if now_s >= self._due_s:
            self._due_s, self.number = now_s + TELL_S, frame.number
            self.band.take_greeting()
            self.band.send({"k": "age", "age": age_ms(frame.published_ns), "at": frame.published_ns / 1e6, "state": frame.state})

    def trouble(self, problem: str, now_s: float) -> None:
        """Say why nothing can be read."""
        if now_s >= self._due_s:
            self._due_s = now_s + TELL_S
            self.band.send({"k": "trouble", "text": problem})


def banner(source: Any) -> w.Widget:
    """Return the band for the pages of `source` (a View): it appears over everything when the last frame is older than three seconds.

    It says since when, also when the kernel, the server or the line to it has gone.
    """
    band = Band(name=str(source.name))
    PUMP.add(Watch(source, band))  # type: ignore[arg-type]  # what the pump asks of a board, and no more
    return band

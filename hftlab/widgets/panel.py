"""What every panel has: a widget, its own pace, and a place to show its own failure."""

import time
import traceback
from abc import ABC, abstractmethod

import ipywidgets as w

from hftlab.data.frame import Frame
from hftlab.widgets.text import esc, head

RETRY_S = 1.0  # a failing panel tries again this often, not at its full pace


class Panel(ABC):
    """A body under a heading. Subclasses fill `draw`; the pump calls `update`, at most `hz` times a second."""

    hz = 4.0
    title = ""
    section = ""  # where it stands; only what is in sight is fed

    def __init__(self, body: w.Widget, *, right: str = "", css: str = "", market: int = 0) -> None:
        self.market = market
        self.body = body
        self._head = w.HTML(head(self.title, right)) if self.title else None
        self._error = w.HTML(layout=w.Layout(display="none"))
        self.widget = w.VBox([c for c in (self._head, self._error, body) if c is not None])
        for name in ("hft-panel", *css.split()):
            self.widget.add_class(name)
        self.failure: Exception | None = None
        self._due_s = 0.0

    @abstractmethod
    def draw(self, frame: Frame) -> None:
        """Bring the body up to date with `frame`. Raises whatever goes wrong; `update` shows it."""

    def heading(self, right: str) -> None:
        """Set what stands at the right of the heading (HTML)."""
        if self._head is not None:
            self._head.value = head(self.title, right)

    def due(self, now_s: float) -> bool:
        """Return whether the panel's own pace allows another update at `now_s` (monotonic)."""
        return now_s >= self._due_s

    def update(self, frame: Frame, now_s: float | None = None) -> None:
        """Draw `frame`. A failure is shown in this panel, and goes away by itself with the next update that works."""
        now_s = time.monotonic() if now_s is None else now_s
        # Half a pump tick early counts as due, or a 4 Hz panel would run at 3.3.
        self._due_s = now_s + 1.0 / self.hz - 0.02
        try:
            self.draw(frame)
        except Exception as error:  # why: one broken panel must not stop the others, nor the HALT button beside them
            self._due_s = now_s + RETRY_S
            self._show(error)
        else:
            if self.failure is not None:
                self.failure = None
                self._error.layout.display = "none"

    def _show(self, error: Exception) -> None:
        self.failure = error
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
        self._error.value = f'<div class="hft-error"><b>{esc(type(error).__name__)}</b>: {esc(error)} <span class="hft-dim">({esc(where)}; trying again)</span></div>'
        self._error.layout.display = None

    def close(self) -> None:
        """Close the widgets of this panel."""
        for widget in (self.body, self._head, self._error, self.widget):
            if widget is not None:
                widget.close()


class HtmlPanel(Panel):
    """A panel whose body is one HTML text. Sent only when the text has changed."""

    def __init__(self, *, right: str = "", css: str = "", market: int = 0) -> None:
        self.html = w.HTML()
        super().__init__(self.html, right=right, css=css, market=market)

    def draw(self, frame: Frame) -> None:
        """Send the text of `frame`."""
        self.html.value = self.render(frame)

    @abstractmethod
    def render(self, frame: Frame) -> str:
        """Return the body as HTML."""

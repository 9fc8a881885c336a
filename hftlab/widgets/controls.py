"""Commands and live parameters. Exists only where the source is a Session."""

import math
import time
from collections import deque
from typing import Any

from hftlab.data.frame import Frame
from hftlab.widgets.commands import ORDERLY, URGENT, Outcome
from hftlab.widgets.health import Health
from hftlab.widgets.page import PageWidget, script
from hftlab.widgets.panel import Panel
from hftlab.widgets.text import amount

COMMANDS = ("pause", "resume", "flatten", "stop")
REFRESH_S = 3.0  # somebody else may change parameters too
ASK_TUNABLE = "read parameters"


class ControlsPage(PageWidget):
    """Buttons and sliders in the page; what it says is put in `inbox`."""

    _esm = script("controls.js")

    def __init__(self, panel: "Controls") -> None:
        self._panel = panel
        super().__init__()

    def on_page(self, message: dict[str, Any]) -> None:
        """Queue a command. Anything else than the known commands and parameters is dropped."""
        if message.get("k") == "command" and message.get("name") in COMMANDS:
            self._panel.command(str(message["name"]))
        elif message.get("k") == "set":
            self._panel.set_param(message.get("name"), message.get("value"))


class Controls(Panel):
    """Pause, resume, flatten, stop, and a slider for each parameter that the session says can be tuned."""

    hz = 5.0
    title = "Quoter"

    def __init__(self, session: Any, *, market: int = 0) -> None:
        self.session = session
        self.page = ControlsPage(self)
        super().__init__(self.page, right="applies on release", market=market)
        self.health: Health | None = None
        self.params: list[dict[str, Any]] = []
        self.said, self.level = "", "dim"
        self._outcomes: deque[Outcome] = deque(maxlen=100)  # written by the workers, read by the pump
        self._ranges: dict[str, tuple[float, float]] = {}
        self._asked_s = -math.inf
        self._asking = False
        self._shown: dict[str, Any] = {}

    # --- called in the kernel's comm thread: these only queue ---
    def halt(self) -> None:
        """Queue a halt, ahead of everything."""
        URGENT.submit("halt", self.session.halt, self._outcomes.append)

    def command(self, name: str) -> None:
        """Queue pause, resume, flatten or stop."""
        ORDERLY.submit(name, getattr(self.session, name), self._outcomes.append)

    def set_param(self, name: Any, value: Any) -> None:
        """Queue a new value for a tunable parameter."""
        known = next((p for p in self.params if p["name"] == name), None)
        if known is None or not isinstance(value, int | float) or not math.isfinite(value):
            return
        ORDERLY.submit(
            f"{known['label']} → {amount(value)}", lambda: self.session.set(market=self.market, **{name: value}), self._outcomes.append
        )
        ORDERLY.submit(ASK_TUNABLE, self._ask, self._outcomes.append)

    def _ask(self) -> Any:
        return self.session.tunable(self.market)

    # --- called by the pump ---
    def draw(self, frame: Frame) -> None:
        """Send what the engine acknowledged, and the parameters as they are."""
        self.refresh(frame.state)

    def refresh(self, state: str) -> None:
        """Take in outcomes and send the page what changed; also called while the run cannot be read."""
        now_s = time.monotonic()
        while self._outcomes:
            self._take(self._outcomes.popleft())
        if not self._asking and now_s - self._asked_s > REFRESH_S:
            self._asking, self._asked_s = True, now_s
            ORDERLY.submit(ASK_TUNABLE, self._ask, self._outcomes.append)
        content = {"state": state, "said": self.said, "level": self.level, "params": self.params}
        if self.page.take_greeting() or content != self._shown:
            self._shown = content
            self.page.send({"k": "controls", **content})

    def _take(self, outcome: Outcome) -> None:
        if outcome.label == ASK_TUNABLE:
            self._asking = False
            if outcome.error:
                self._say(f"parameters: {outcome.error}", "bad")
            else:
                self.params = [plain(p, self._ranges) for p in outcome.answer]
            return
        if outcome.error:
            self._say(f"{outcome.label}: {outcome.error}", "bad")
        else:
            self._say(f"{outcome.label}: acknowledged", "dim")
        if outcome.label == "halt" and self.health is not None:
            self.health.halt_problem = f"HALT FAILED: {outcome.error}" if outcome.error else ""

    def _say(self, text: str, level: str) -> None:
        self.said, self.level = f"{time.strftime('%H:%M:%S', time.gmtime())}  {text}", level


def plain(param: dict[str, Any], ranges: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Return a tunable parameter as plain JSON values with a usable step and range.

    `ranges` keeps the range of each slider as it was first seen, for as long as the value lies in it: a session may give a
    range around the present value, and a slider whose thumb moves back to the middle after each change cannot be used.
    """
    name, value = str(param["name"]), float(param["value"])
    low, high = ranges.get(name, (float(param["min"]), float(param["max"])))
    if not low <= value <= high:
        low, high = float(param["min"]), float(param["max"])
    step = float(param.get("step") or 0.0) or abs(high - low) / 100 or 1.0
    high = max(high, low + step)
    ranges[name] = low, high
    return {
        "name": name,
        "label": str(param.get("label") or name),
        "unit": str(param.get("unit") or ""),
        "value": value,
        "min": low,
        "max": high,
        "step": step,
        "log": bool(param.get("log")) and low > 0,
    }

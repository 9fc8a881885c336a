"""Commands and live parameters. Exists only where the source is a Session."""

import math
import time
from collections import deque
from dataclasses import dataclass
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
IDENT_MAX = 40


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an Apply, and which one it was."""

    ident: str
    outcome: Outcome


class ControlsPage(PageWidget):
    """Buttons and sliders in the page. What is moved there is staged there, and comes here when somebody presses Apply."""

    _esm = script("controls.js")

    def __init__(self, panel: "Controls") -> None:
        self._panel = panel
        super().__init__()

    def on_page(self, message: dict[str, Any]) -> None:
        """Queue a command. Anything else than the known commands and parameters is dropped."""
        if message.get("k") == "command" and message.get("name") in COMMANDS:
            self._panel.command(str(message["name"]))
        elif message.get("k") == "apply":
            self._panel.apply(message.get("id"), message.get("values"))


class Controls(Panel):
    """Pause, resume, flatten, stop, and a slider for each parameter that the session says can be tuned: moved, then applied together."""

    hz = 10.0
    title = "Quoter"

    def __init__(self, session: Any, *, market: int = 0) -> None:
        self.session = session
        self.page = ControlsPage(self)
        super().__init__(self.page, right="staged until applied", market=market)
        self.health: Health | None = None
        self.params: list[dict[str, Any]] = []
        self.said, self.level = "", "dim"
        self.answer = {"id": "", "ok": True}  # to the last Apply
        self._outcomes: deque[Outcome | Applied] = deque(maxlen=100)  # written by the workers, read by the pump
        self._ranges: dict[str, tuple[float, float, float]] = {}
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

    def apply(self, ident: Any, values: Any) -> None:
        """Queue ONE set command for all `values` (parameter name to number); the answer to the page carries `ident`.

        Dropped as a whole when anything in it is no number or no tunable parameter: half of a wish is another wish.
        """
        labels = {p["name"]: p["label"] for p in self.params}
        if not isinstance(ident, str) or len(ident) > IDENT_MAX or not isinstance(values, dict) or not values:
            return
        for name, value in values.items():
            if name not in labels or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return
        label = ", ".join(f"{labels[name]} → {amount(value)}" for name, value in values.items())
        wished = dict(values)

        def command() -> Any:
            self.session.set(market=self.market, **wished)
            return self._ask()

        ORDERLY.submit(label, command, lambda outcome: self._outcomes.append(Applied(ident, outcome)))

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
        content = {"state": state, "said": self.said, "level": self.level, "params": self.params, "answer": self.answer}
        if self.page.take_greeting() or content != self._shown:
            self._shown = content
            self.page.send({"k": "controls", **content})

    def _take(self, outcome: "Outcome | Applied") -> None:
        if isinstance(outcome, Applied):
            self.answer = {"id": outcome.ident, "ok": not outcome.outcome.error}
            if not outcome.outcome.error:
                self.params = [plain(p, self._ranges) for p in outcome.outcome.answer]
            outcome = outcome.outcome
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


def plain(param: dict[str, Any], ranges: dict[str, tuple[float, float, float]]) -> dict[str, Any]:
    """Return a tunable parameter as plain JSON values with a usable step and range.

    `ranges` keeps range and step of each slider as they were first seen, for as long as the value lies in it: a session may give a
    range around the present value, and a slider whose thumb moves back to the middle after each change cannot be used.
    """
    name, value = str(param["name"]), float(param["value"])
    low, high, step = ranges.get(name, (math.inf, -math.inf, 0.0))
    if not low <= value <= high:
        low, high = float(param["min"]), float(param["max"])
        step = float(param.get("step") or 0.0) or abs(high - low) / 100 or 1.0
        high = max(high, low + step)
        ranges[name] = low, high, step
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

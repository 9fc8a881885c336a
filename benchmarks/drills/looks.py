"""What a browser says of a page, and what is wrong with the pictures on it."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Texts that are nobody's fault, and why.
HARMLESS: dict[str, str] = {}


@dataclass
class Watch:
    """Keeps everything that a page complains of, from the moment it is made."""

    said: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, page: Any) -> "Watch":
        """Watch `page`, on which nothing has been opened yet."""
        watch = cls()
        page.on("console", lambda message: watch.note("console", message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: watch.note("script", error.stack or str(error)))
        page.on("requestfailed", lambda request: watch.note("request", f"{request.failure} {request.url}"))
        page.on("response", lambda answer: watch.note("answer", f"{answer.status} {answer.url}") if answer.status >= 400 else None)
        return watch

    def note(self, kind: str, text: str) -> None:
        """Keep a complaint, unless it is known to be harmless."""
        if not any(known in text for known in HARMLESS):
            self.said.append(f"{kind}: {text[:400]}")


LOOK = Path(__file__).with_name("looks.js").read_text(encoding="utf-8")
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
CONTRAST_LEAST = 1.8  # a colour for the other theme has about 1; the faintest text that is meant to be faint has more than this


@dataclass
class Look:
    """What one page showed: how many widgets and figures, and what is wrong."""

    widgets: int
    figures: int
    faults: list[str]


def look(page: Any, outputs: str, settle_s: float = 30.0) -> Look:
    """Look at what lies below the selector `outputs`; what is not drawn yet has `settle_s` to get there."""
    end_s = time.monotonic() + settle_s
    while True:
        seen = page.evaluate(LOOK, outputs)
        if not seen["faults"] or time.monotonic() > end_s:
            return Look(seen["widgets"], seen["figures"], seen["faults"])
        page.wait_for_timeout(250)


def faint(page: Any, outputs: str) -> list[str]:
    """Return the texts below the selector `outputs` that can hardly be told from what is behind them."""
    return page.evaluate(CONTRAST, [outputs, CONTRAST_LEAST])
